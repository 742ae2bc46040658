//! The page: how one certificate is kept. Straight down, and after each step what a crash there means.
//!
//! Only `deploy` changes files, only from a journal, and a pass begins with the journal: so the run after a crash
//! takes the same way as the live one. At no step is a certificate installed that was not verified, or a pair given
//! up for one that does not match.

use std::panic::resume_unwind;
use std::sync::Arc;

use policy::Timestamp;
use tokio::sync::{Semaphore, watch};

use crate::credential::{Bundle, HostKey, Leaf, Request};
use crate::deploy::{Candidate, Desk, Direction, FileSet, Journal, Kept, reload, status_path, swap};
use crate::disk::read_json;
use crate::error::AgentError;
use crate::look::{State, Status, probe};
use crate::plan::{Certificate, Wish, retry_at};
use crate::source::{Reach, Standing, fetch, stands, verify};

/// Keeps one certificate.
pub(crate) struct Keeper {
    pub plan: Certificate,
    pub reach: Arc<Reach>,
    /// How many may ask a server at the same time.
    pub permits: Arc<Semaphore>,
    /// Turns true when the agent is to end.
    pub stop: watch::Receiver<bool>,
}

/// How a pass ended.
enum Outcome {
    /// Nothing was due.
    Fresh,
    /// A new certificate is in service, the first one or another.
    Installed { first: bool },
    /// The new certificate is not served; the old files are back.
    RolledBack(String),
}

/// Why another certificate is to be had.
#[derive(Debug, Clone, Copy)]
enum Due {
    Because(&'static str),
    Revoked,
}

impl Due {
    fn why(self) -> &'static str {
        match self {
            Due::Because(why) => why,
            Due::Revoked => "it was revoked",
        }
    }
}

impl Keeper {
    /// One pass: repairs, renews if due, writes the status. Never fails: what went wrong is in the status.
    pub async fn pass(&self) -> Status {
        let outcome = self.keep().await;
        let status = self.settle(outcome);
        let written = self.desk().and_then(|desk| desk.write_status(&status));
        if let Err(error) = written {
            tracing::error!(certificate = self.plan.name, error = error.chain(), "the status cannot be written");
        }
        status
    }

    async fn keep(&self) -> Result<Outcome, AgentError> {
        let desk = self.desk()?;

        // 1. A journal says that a run ended between 4 and 7, or that a first install is not served yet. Go on there, and
        //    if that was long ago, or the plan has other files or names since, go on from it.
        let mut outcome = Outcome::Fresh;
        if let Some(journal) = desk.journal()? {
            tracing::info!(certificate = self.plan.name, "a change of files is under way: going on with it");
            outcome = self.deploy(&desk, journal).await?;
            if let Outcome::RolledBack(_) = outcome {
                return Ok(outcome);
            }
        }

        // 2. Is anything due? What counts is on disk, not in a memory of ours.
        let found = self.found()?;
        let pair = found.pair(&self.plan.files);
        let Some(due) = self.due_now(&desk, &found, pair.as_ref()).await? else {
            desk.drop_candidate()?;
            return Ok(outcome);
        };
        tracing::info!(certificate = self.plan.name, why = due.why(), "due");

        // Its places first: a certificate that cannot be put anywhere is not asked for.
        swap::ready(&self.plan.name, self.plan.files.uid, self.plan.files.paths())?;

        // 3. A new certificate: verified, then durable in the state folder. Crash before: the CA issued one that
        //    nobody has; the next pass asks for another. Crash after: the next pass finds the candidate.
        let candidate = match self.candidate(&desk, pair.as_ref())? {
            Some(candidate) => candidate,
            None => self.obtain(&desk, due, pair.as_ref()).await?,
        };

        // 4. The journal, with old and new in full. Crash after: step 1.
        let journal = Journal {
            direction: Direction::Forward,
            old: self.found()?,
            new: FileSet::wanted(&self.plan, &candidate.bundle),
            wish: candidate.wish,
        };
        desk.write_journal(&journal)?;
        self.deploy(&desk, journal).await
    }

    /// Steps 5 to 7, and back. Entered with the journal on disk; leaves it there only where another try may help.
    async fn deploy(&self, desk: &Desk<'_>, journal: Journal) -> Result<Outcome, AgentError> {
        let mut journal = Arc::new(journal);
        let first = journal.old.pair(&self.plan.files).is_none();

        if journal.direction == Direction::Forward {
            // 5. The new files. Crash inside: old or new (one folder), or mixed (several), and the journal stands.
            // 6. The reload, and the look. Crash after: both are done again, which changes nothing.
            let why = match self.forward(&journal).await {
                Ok(()) => {
                    // 7. Done. Crash before the journal is closed: all of it again. Crash after: the candidate is what is installed,
                    //    and is dropped at step 2.
                    if let Some(leaf) = journal.new.pair(&self.plan.files) {
                        let (fingerprint, wish) = (leaf.fingerprint_hex(), journal.wish.clone());
                        desk.write_kept(&Kept { fingerprint, wish })?;
                    }
                    desk.close_journal()?;
                    desk.drop_candidate()?;
                    return Ok(Outcome::Installed { first });
                }
                Err(AgentError::Stopped) => return Err(AgentError::Stopped),
                Err(why) => why,
            };
            if first {
                // Nothing to go back to: a matching pair that is not served yet is better than none, as the service
                // may be waiting for just these files. The journal stands, and the next pass tries 5 and 6 again;
                // unless the certificate itself is old by now.
                if self.due(journal.new.pair(&self.plan.files).as_ref(), Some(&journal.wish)).is_some() {
                    desk.close_journal()?;
                    desk.drop_candidate()?;
                }
                return Err(why);
            }
            // 6b. The way back is written before it is taken. Crash before: forward once more; after: back.
            //     (Nobody else holds the journal here: the install has ended.)
            let Journal { old, new, wish, .. } = Arc::into_inner(journal).ok_or(AgentError::Stopped)?;
            let back = Journal { direction: Direction::Back(why.chain()), old, new, wish };
            desk.write_journal(&back)?;
            journal = Arc::new(back);
        }

        // 7b. The old files, byte for byte, and the reload again. Crash inside: again. The candidate stays: it is good,
        //     and the next attempt need not ask the CA for another.
        self.install(&journal, |journal| &journal.old).await?;
        let mut why = match &journal.direction {
            Direction::Back(why) => why.clone(),
            Direction::Forward => String::new(),
        };
        if let Err(again) = self.reload().await {
            why = format!("{why}; the old files are back, but: {}", again.chain());
        }
        desk.close_journal()?;
        Ok(Outcome::RolledBack(why))
    }

    async fn forward(&self, journal: &Arc<Journal>) -> Result<(), AgentError> {
        self.install(journal, |journal| &journal.new).await?;
        self.reload().await?;
        match (&self.plan.check, journal.new.pair(&self.plan.files)) {
            (None, _) => Ok(()),
            (Some(check), Some(leaf)) => probe::served(check, &leaf).await,
            // The plan has other paths now than when the journal was written.
            (Some(_), None) => Err(AgentError::Check("the plan's files have changed".to_owned())),
        }
    }

    /// Off the runtime's threads: flushing takes as long as the disk takes.
    async fn install(&self, journal: &Arc<Journal>, which: fn(&Journal) -> &FileSet) -> Result<(), AgentError> {
        let (disk, journal) = (Arc::clone(&self.reach.disk), Arc::clone(journal));
        let done = tokio::task::spawn_blocking(move || swap::install(&*disk, which(&journal)));
        match done.await {
            Ok(installed) => installed,
            Err(e) if e.is_panic() => resume_unwind(e.into_panic()),
            Err(_) => Err(AgentError::Stopped),
        }
    }

    async fn reload(&self) -> Result<(), AgentError> {
        match &self.plan.reload {
            Some(reload) => reload::run(reload).await,
            None => Ok(()),
        }
    }

    /// A new key (or the old one, where the plan says so), a request, a chain, verified and written down.
    async fn obtain(&self, desk: &Desk<'_>, due: Due, pair: Option<&Leaf>) -> Result<Candidate, AgentError> {
        let key = match (self.plan.reuse_key, due) {
            // Why it was revoked is not asked: a key that others may have is not pinned any longer.
            (true, Due::Revoked) | (false, _) => None,
            (true, Due::Because(_)) => self.old_key(),
        };
        let key = key.map_or_else(|| HostKey::make(self.plan.key), Ok)?;
        let request = key.request(&self.plan.names)?;
        let mut stop = self.stop.clone();
        // A disk that is full is found before anybody is asked, not at each try with another certificate in hand.
        desk.take_room()?;
        let fetched = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => Err(AgentError::Stopped),
            fetched = self.ask(&request, pair) => fetched,
        };
        desk.give_room()?;
        let pem = fetched?;
        let bundle = Bundle::new(key.pem(), &pem).map_err(AgentError::Unfit)?;
        let now = self.reach.world.now();
        let leaf = verify(&self.plan, &bundle, now)?;
        tracing::info!(
            certificate = self.plan.name,
            serial = leaf.serial,
            not_after = %leaf.not_after,
            "a new certificate"
        );
        let candidate = Candidate { fetched: now, wish: self.plan.wish(), bundle };
        desk.write_candidate(&candidate)?;
        Ok(candidate)
    }

    async fn ask(&self, request: &Request, replaces: Option<&Leaf>) -> Result<String, AgentError> {
        let _permit = self.permits.acquire().await.map_err(|_| AgentError::Stopped)?;
        fetch(&self.reach, &self.plan, request, replaces).await
    }

    fn old_key(&self) -> Option<HostKey> {
        let found = self.found().ok()?;
        HostKey::reuse(found.key(&self.plan.files)?, self.plan.key)
    }

    /// A candidate that is still what the plan asks for, young, not due itself, and another than the one that is due.
    fn candidate(&self, desk: &Desk<'_>, installed: Option<&Leaf>) -> Result<Option<Candidate>, AgentError> {
        let Some(candidate) = desk.candidate()? else {
            return Ok(None);
        };
        let now = self.reach.world.now();
        let young = (0..=CANDIDATE_SECS_MAX).contains(&now.since(candidate.fetched));
        let fit = verify(&self.plan, &candidate.bundle, now).is_ok_and(|leaf| {
            let other = installed.is_none_or(|installed| installed.fingerprint != leaf.fingerprint);
            other && self.due(Some(&leaf), Some(&candidate.wish)).is_none()
        });
        Ok((young && fit).then_some(candidate))
    }

    /// Why another certificate is to be had, as far as the host itself knows; `asked` is what the pair was asked for with.
    fn due(&self, pair: Option<&Leaf>, asked: Option<&Wish>) -> Option<&'static str> {
        let Some(leaf) = pair else { return Some("there is no certificate with its key") };
        if self.reach.world.now() >= self.plan.cadence.renewal_of(leaf) {
            return Some("its time has come");
        }
        self.plan.wish().unfulfilled(leaf, asked)
    }

    /// The same for what is installed, and whether its server says that it was revoked, or is to be replaced before its time. A server that says nothing now is asked
    /// again with the next look: what is installed is no worse for it.
    async fn due_now(&self, desk: &Desk<'_>, found: &FileSet, pair: Option<&Leaf>) -> Result<Option<Due>, AgentError> {
        // A note that cannot be read is worth less than a pass: the certificate speaks for itself.
        let kept = desk.kept().ok().flatten();
        let kept = kept.filter(|kept| pair.is_some_and(|leaf| leaf.fingerprint_hex() == kept.fingerprint));
        if let Some(why) = self.due(pair, kept.as_ref().map(|kept| &kept.wish)) {
            return Ok(Some(Due::Because(why)));
        }
        let Some(leaf) = pair else { return Ok(None) };
        // Of what was read once, and looked at: the files may be others by now.
        let (mut stop, chain) = (self.stop.clone(), found.chain(&self.plan.files));
        let asked = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return Err(AgentError::Stopped),
            asked = stands(&self.reach, &self.plan, leaf, &chain) => asked,
        };
        match asked {
            Ok(Standing::Good) => Ok(None),
            Ok(Standing::Revoked) => Ok(Some(Due::Revoked)),
            Ok(Standing::Due(why)) => Ok(Some(Due::Because(why))),
            Err(error) => {
                tracing::debug!(
                    certificate = self.plan.name,
                    error = error.chain(),
                    "not known how its server sees it"
                );
                Ok(None)
            }
        }
    }

    fn found(&self) -> Result<FileSet, AgentError> {
        FileSet::read(&self.plan.name, self.plan.files.uid, self.plan.files.paths())
    }

    fn desk(&self) -> Result<Desk<'_>, AgentError> {
        Desk::open(&*self.reach.disk, &self.reach.state_dir, &self.plan.name)
    }

    /// The status after a pass.
    fn settle(&self, outcome: Result<Outcome, AgentError>) -> Status {
        let name = &self.plan.name;
        let path = status_path(&self.reach.state_dir, name);
        // A status file that cannot be read is worth less than a pass: it is written anew.
        let mut status = read_json(&path).ok().flatten().unwrap_or_else(|| Status::pending(name));
        let now = self.reach.world.now();
        let leaf = self.found().ok().and_then(|found| found.pair(&self.plan.files));
        status.describe(leaf.as_ref());
        status.files = self.plan.files.paths().map(Into::into).collect();
        let asked = match &outcome {
            Err(AgentError::Busy { retry_after_secs, .. }) => Some(*retry_after_secs),
            Ok(_) | Err(_) => None,
        };
        let failed = match outcome {
            Ok(Outcome::Fresh) => None,
            Ok(Outcome::Installed { first }) => {
                status.last_attempt = Some(now);
                status.renewals += u64::from(!first);
                tracing::info!(certificate = name, serial = status.serial, "in service");
                None
            }
            Ok(Outcome::RolledBack(why)) => Some((State::RolledBack, why)),
            // Not a failure of anything; the next run goes on.
            Err(AgentError::Stopped) => return status,
            Err(error) => Some((State::Failed, error.chain())),
        };
        match failed {
            None => {
                status.state = State::Ok;
                status.last_error = None;
                status.failures = 0;
                status.next_renewal = Some(self.plan.cadence.next_of(leaf.as_ref(), now));
            }
            Some((state, why)) => {
                tracing::warn!(certificate = name, state = ?state, error = why, "not renewed");
                status.state = state;
                status.last_attempt = Some(now);
                status.last_error = Some(why);
                status.failures = status.failures.saturating_add(1);
                let end: Option<Timestamp> = leaf.as_ref().map(|leaf| leaf.not_after);
                status.next_renewal = Some(retry_at(&self.reach.world, status.failures, end, asked));
            }
        }
        status
    }
}

/// How long a certificate that could not be put in service is tried again before another is asked for.
const CANDIDATE_SECS_MAX: i64 = 86_400;

#[cfg(test)]
mod tests;
