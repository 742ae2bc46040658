//! The page: how one file of secrets is kept. Straight down, and after each step what a crash there means.
//!
//! The file stands whole or not at all, and is replaced by one rename: so no journal holds its text, and the run after a crash finds the old
//! file or the new one, compares it with what the server has, and goes on.

use std::sync::Arc;
use std::time::Duration;

use delivery::cache::Moment;
use delivery::template::{filled, pieces};
use tokio::sync::{Semaphore, watch};

use super::found::{Done, Found};
use super::nap::nap;
use super::wake::Sleeper;
use crate::deploy::{Desk, Note, Placing, Seen, Written, notify, status_path};
use crate::disk::{Image, read_json};
use crate::error::AgentError;
use crate::look::SecretStatus;
use crate::plan::{AtEnd, SecretFile};
use crate::source::{Caller, Got, Reach, Sight, Strongroom, Values};

/// Keeps one file.
pub(crate) struct SecretKeeper {
    pub plan: Arc<SecretFile>,
    pub reach: Arc<Reach>,
    pub room: Strongroom,
    /// How many may ask a server at the same time.
    pub permits: Arc<Semaphore>,
    /// Turns true when the agent is to end.
    pub stop: watch::Receiver<bool>,
    pub sleeper: Sleeper,
    /// What this run knows of the file; nothing before the server answered for the first time.
    pub known: Option<Known>,
}

/// What a run knows of the file that it put, or found, in its place.
pub(crate) struct Known {
    /// How the secrets stood at the server.
    sight: Sight,
    /// The file as it was left.
    file: Seen,
    /// Who asked: the cache opens to nobody else.
    caller: Caller,
}

impl SecretKeeper {
    /// One pass: looks, replaces the file if anything moved, writes the status; and how long to wait. Never fails: what went wrong is in the
    /// status.
    pub async fn pass(&mut self) -> (SecretStatus, Duration) {
        let found = self.keep().await;
        let path = status_path(&self.reach.state_dir, &self.plan.name);
        // A status file that cannot be read is worth less than a pass: it is written anew.
        let before: Option<SecretStatus> = read_json(&path).ok().flatten();
        let before = before.unwrap_or_else(|| SecretStatus::pending(&self.plan.name, self.plan.file.path.clone()));
        let (status, pause) = found.settle(before, &self.plan, &self.reach.world);
        let written = self.desk().and_then(|desk| desk.write_status(&status));
        if let Err(error) = written {
            tracing::error!(secret = self.plan.name, error = error.chain(), "the status cannot be written");
        }
        (status, pause)
    }

    /// The pass, and what is so after it.
    async fn keep(&mut self) -> Found {
        let (plan, reach) = (Arc::clone(&self.plan), Arc::clone(&self.reach));
        // 1. The place first: nothing is asked for that could not be put anywhere. What a crash left beside it goes. Where that has to wait
        //    for too long, the server is asked all the same: what ends is taken away, whoever is at work there.
        let opened = Placing::open(&*reach.disk, &plan.file).and_then(|placing| {
            let desk = Desk::open(&*reach.disk, &reach.state_dir, &plan.name)?;
            Ok((placing, desk))
        });
        let (placing, desk) = match opened {
            Ok(opened) => opened,
            Err(error) => return Found { ended: Err(error), note: None, is_there: false, now: Moment::now().ok() },
        };
        let cleared = placing.clear().await;
        let ended = self.keep_in(&placing, &desk).await.and_then(|done| cleared.map(|()| done));
        Found { ended, note: desk.note(), is_there: placing.seen().is_some(), now: Moment::now().ok() }
    }

    /// Until the next pass; false if the agent is to end.
    pub async fn wait(&mut self, pause: Duration) -> bool {
        nap(pause, self.stop.clone(), self.sleeper.clone()).await
    }

    async fn keep_in(&mut self, placing: &Placing<'_>, desk: &Desk<'_>) -> Result<Done, AgentError> {
        let note = desk.note();
        // 2. The server is asked how all stands, and for the values where that is another than this run knows, or they are half as old as
        //    they may become. Crash before or after: the next run asks.
        match self.ask(placing, note.as_ref()).await {
            Ok(Got::Unmoved) => {
                if let Some(note) = note {
                    let note = Note { seen: now()?, ..note };
                    desk.write_note(&note)?;
                    self.pay(desk, note).await?;
                }
                Ok(Done::live(false))
            }
            Ok(Got::Live(values, sight)) => {
                let (note, is_new) = self.put(placing, desk, note, values).await?;
                let caller = self.room.caller()?;
                self.known = placing.seen().map(|file| Known { sight, file, caller });
                self.pay(desk, note).await?;
                Ok(Done::live(is_new))
            }
            Err(away) if away.is_away() => self.without(placing, desk, note, away).await,
            Err(AgentError::Stopped) => Err(AgentError::Stopped),
            // Nothing was taken away: the one before stays, as where a check refuses the new one.
            Err(mistake) if mistake.is_mistake() => Err(mistake),
            // Refused: it ends at once. Anything else (a server that is not believed, no credential): when its time is over.
            Err(error) => {
                let max_age_secs = self.plan.max_age_secs;
                let is_over = |note: &Note| now().is_ok_and(|now| note.left_ms(&now, max_age_secs).is_none());
                if error.is_refusal() || note.as_ref().is_none_or(is_over) {
                    self.end(placing)?;
                    return Err(AgentError::Over {
                        because: error.chain(),
                        is_refused: error.is_refusal(),
                        ended: None,
                    });
                }
                Err(error)
            }
        }
    }

    async fn ask(&self, placing: &Placing<'_>, note: Option<&Note>) -> Result<Got, AgentError> {
        let (caller, now) = (self.room.caller()?, now()?);
        let is_due = note.is_none_or(|note| note.refresh_ms(&now, self.plan.max_age_secs) == Some(0));
        let is_known = |known: &&Known| !is_due && Some(known.file) == placing.seen() && known.caller == caller;
        let seen = self.known.as_ref().filter(is_known).map(|known| &known.sight);
        let mut stop = self.stop.clone();
        let _permit = self.permits.acquire().await.map_err(|_| AgentError::Stopped)?;
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => Err(AgentError::Stopped),
            got = self.room.ask(seen) => got,
        }
    }

    /// Steps 3 to 5: the text in its place, where another one stands there; and whether it did.
    async fn put(
        &self,
        placing: &Placing<'_>,
        desk: &Desk<'_>,
        before: Option<Note>,
        values: Values,
    ) -> Result<(Note, bool), AgentError> {
        let image = self.image(&values)?;
        let is_there = placing.standing()?.is_some_and(|standing| standing == image);
        let owes = !is_there || before.is_some_and(|note| note.owes);
        let Values { versions, at, lease_secs, .. } = values;
        let note = Note { at, lease_secs, seen: now()?, versions, owes };
        let new_file = match is_there {
            true => None,
            // 3. Whole, beside the old one, and judged. Crash after: it is taken away at step 1.
            false => Some(self.judged(placing, &image).await?),
        };
        // 4. That the service is to be told. Crash after: the next run finds the old file, and puts the new one there; or the new one, and
        //    tells.
        desk.write_note(&note)?;
        if let Some(new_file) = new_file {
            // 5. The rename of what was judged. Crash before: the old file; after: the new one.
            placing.alone().await?.place(&new_file)?;
            tracing::info!(secret = self.plan.name, file = %self.plan.file.path.display(), "a new file is in its place");
        }
        Ok((note, !is_there))
    }

    /// The new file, which waits beside the old one.
    async fn judged(&self, placing: &Placing<'_>, image: &Image) -> Result<Written, AgentError> {
        let new_file = placing.alone().await?.write(image)?;
        if let Some(check) = &self.plan.check
            && let Err(refused) = notify::judge(check, new_file.path()).await
        {
            placing.alone().await?.discard()?;
            return Err(refused);
        }
        Ok(new_file)
    }

    /// 6. The service is told. Crash before or inside: it is told by the next run, once more at most.
    async fn pay(&self, desk: &Desk<'_>, note: Note) -> Result<(), AgentError> {
        if !note.owes {
            return Ok(());
        }
        notify::tell(&self.plan.on_change).await?;
        desk.write_note(&Note { owes: false, ..note })
    }

    /// The server is away: what stands there may be used for as long as it said, and what was kept put there where it does not.
    async fn without(
        &mut self,
        placing: &Placing<'_>,
        desk: &Desk<'_>,
        note: Option<Note>,
        away: AgentError,
    ) -> Result<Done, AgentError> {
        let because = away.chain();
        // What somebody else wrote there is put right from the cache.
        let is_ours = self.known.as_ref().is_none_or(|known| Some(known.file) == placing.seen());
        let moment = now()?;
        if let Some(note) =
            note.as_ref().filter(|note| is_ours && note.left_ms(&moment, self.plan.max_age_secs).is_some())
            && placing.standing()?.is_some()
        {
            self.pay(desk, note.clone()).await?;
            return Ok(Done::cached(false, because));
        }
        match self.room.kept().await {
            Ok(values) => {
                let (note, is_new) = self.put(placing, desk, note, values).await?;
                if let (Some(known), Some(file)) = (&mut self.known, placing.seen()) {
                    known.file = file;
                }
                self.pay(desk, note).await?;
                Ok(Done::cached(is_new, because))
            }
            Err(ended) => {
                self.end(placing)?;
                Err(AgentError::Over { because, is_refused: false, ended: Some(ended.chain()) })
            }
        }
    }

    fn image(&self, values: &Values) -> Result<Image, AgentError> {
        let unfit = |error: delivery::template::TemplateError| AgentError::Unfit(error.to_string());
        // The plan was refused if it could not be taken apart.
        let pieces = pieces(&self.plan.template, self.plan.environment.as_deref()).map_err(unfit)?;
        let mut text = filled(&pieces, &values.values, TEXT_BYTES_MAX).map_err(unfit)?;
        let file = &self.plan.file;
        Ok(Image::new(std::mem::take(&mut *text), file.mode).of(file.uid, file.gid))
    }

    /// Its values are not to be used any more.
    fn end(&mut self, placing: &Placing<'_>) -> Result<(), AgentError> {
        self.known = None;
        match self.plan.at_end {
            AtEnd::Keep => Ok(()),
            AtEnd::Remove if placing.seen().is_none() => Ok(()),
            AtEnd::Remove => {
                tracing::warn!(secret = self.plan.name, file = %self.plan.file.path.display(), "it ends: the file is taken away");
                placing.remove()
            }
        }
    }

    fn desk(&self) -> Result<Desk<'_>, AgentError> {
        Desk::open(&*self.reach.disk, &self.reach.state_dir, &self.plan.name)
    }
}

fn now() -> Result<Moment, AgentError> {
    Moment::now().map_err(|e| AgentError::disk("/proc".as_ref(), "it does not say since when this host runs", e))
}

/// What the agent reads back of a file is as long (`disk`).
const TEXT_BYTES_MAX: usize = 1 << 20;
