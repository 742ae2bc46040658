//! How the service is: whether it would issue now, what somebody should look at, and what a scrape reads.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ca::{Authority, TokenHealth as Health};
use lifecycle::{Bucket, Expiring, RenewalWatch};
use policy::{Action, Actor, Grant, Owner, Resource, Timestamp, World};
use secrets::{SecretError, SecretPath};
use serde::Serialize;
use store::{Alarm, Integrity, Ledger, StoreError};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use utoipa::ToSchema;

use super::backups::BackupWatch;
use super::forecast::Surveyor;
use super::metrics::{Own, Readings};
use super::notice::{Names, Notice, Sentences};
use super::orphans::{Orphans, orphans};
use super::refusals;
use super::secrets::Keepsakes;
use super::vitals::{Ends, Vitals};

/// Alarms told one by one; the rest is a number.
const ALARMS_MAX: usize = 20;

/// For saying whether we are ready: whoever probes waits a few seconds at most, and a register that takes longer issues nothing
/// in time either.
const READY_MAX: Duration = Duration::from_secs(2);

/// So long somebody is told of a serial that the register does not hold.
const TOLD_SECS: i64 = 86_400;
/// An OCSP responder is renewed a week before its end; one with so little left was not.
const RESPONDER_LEFT_SECS: i64 = 5 * 86_400;
/// How often the token and the disk are tried at most.
const PROBE_EVERY: Duration = Duration::from_secs(1);
/// A register, or a token, that does not answer, in a word.
const NO_ANSWER: &str = "no answer";
/// A register whose disk has no room, in a word.
const FULL: &str = "full";
/// Of issuers of which each has ended in its own way.
const ENDED: &str = "ended";
/// What is told to whoever reads meanwhile.
const HELD_READS: &str = "The register is held: what is listed is what its database shows now, which is not what this node knew. \
     `chancery audit resume --help` says how it goes on.";

/// Whether something would be issued now, part by part; `why` has a word for each part that is false. The reasons are for
/// `/api/v1/status`, not for strangers.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Readiness {
    /// The token answers.
    hsm: bool,
    /// The register answers, and is the one that this node knew.
    register: bool,
    /// The clock is believed.
    clock: bool,
    /// One of the CAs may issue now.
    issuers: bool,
    /// The HTTPS listener has its certificate, and it has not ended.
    https: bool,
    /// Issuers under which nothing is issued now, each with a word for why; the others go on, and `issuers` is true.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    stopped: BTreeMap<String, &'static str>,
    /// Tokens that do not answer, while another does; of several.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tokens: BTreeMap<String, &'static str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    why: BTreeMap<&'static str, &'static str>,
}

impl Readiness {
    fn of(
        parts: [(&'static str, Option<&'static str>); 5],
        stopped: BTreeMap<String, &'static str>,
        tokens: BTreeMap<String, &'static str>,
    ) -> Self {
        let why: BTreeMap<_, _> = parts.into_iter().filter_map(|(part, why)| Some((part, why?))).collect();
        let is = |part| !why.contains_key(part);
        let [hsm, register, clock, issuers, https] = PARTS.map(is);
        Self { hsm, register, clock, issuers, https, stopped, tokens, why }
    }

    /// Each part, and whether it is.
    pub(crate) fn parts(&self) -> [(&'static str, bool); 5] {
        let [a, b, c, d, e] = PARTS;
        [(a, self.hsm), (b, self.register), (c, self.clock), (d, self.issuers), (e, self.https)]
    }

    /// Every part is.
    pub(crate) fn is_ready(&self) -> bool {
        self.why.is_empty()
    }
}

/// The parts, by the names that [`Readiness`] has for them.
const PARTS: [&str; 5] = ["hsm", "register", "clock", "issuers", "https"];

/// The HSM.
#[derive(Serialize, ToSchema)]
pub(crate) struct HsmStatus {
    /// `ready`, `healing`, `locked`.
    pub(crate) state: &'static str,
    /// What was seen.
    pub(crate) why: Option<String>,
}

impl HsmStatus {
    /// The token's health in words.
    pub(crate) fn of(health: Health) -> Self {
        match health {
            Health::Ready => Self { state: "ready", why: None },
            Health::Healing { why } => Self { state: "healing", why: Some(why) },
            Health::Locked { why } => Self { state: "locked", why: Some(why) },
        }
    }
}

/// Whether it is so, or a word for why not.
type Answer = Result<(), &'static str>;

/// A question that one at a time asks.
struct Probe {
    turn: Arc<Semaphore>,
    /// The last answer, none where it did not come in time.
    last: Mutex<Option<(Instant, Option<Answer>)>>,
}

impl Default for Probe {
    fn default() -> Self {
        Self { turn: Arc::new(Semaphore::new(1)), last: Mutex::default() }
    }
}

impl Probe {
    /// Whether it is so; asked at most once in [`PROBE_EVERY`], whoever comes: anyone may ask, and it costs a flush.
    async fn lately(&self, question: impl Future<Output = Answer> + Send + 'static) -> Option<Answer> {
        if let Some((_, answer)) = locked(&self.last).filter(|(at, _)| at.elapsed() < PROBE_EVERY) {
            return answer;
        }
        let answer = self.ask(question).await;
        *locked(&self.last) = Some((Instant::now(), answer));
        answer
    }

    /// The answer; none where it does not come in time. In a task of its own: the turn lasts until the answer, not until whoever
    /// asked has given up.
    async fn ask<T: Send + 'static>(&self, question: impl Future<Output = T> + Send + 'static) -> Option<T> {
        let asked = async {
            let turn = Arc::clone(&self.turn).acquire_owned().await.ok()?;
            let task = tokio::spawn(async move {
                let _turn = turn;
                question.await
            });
            task.await.ok()
        };
        timeout(READY_MAX, asked).await.ok().flatten()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Looks after the rooms below.
pub(crate) struct Lookout {
    authority: Authority,
    ledger: Ledger,
    world: World,
    renewals: RenewalWatch,
    surveyor: Arc<Surveyor>,
    keepsakes: Arc<Keepsakes>,
    notice: Notice,
    /// What goes on by itself, and what it has to say.
    tasks: Vec<(&'static str, Names, Sentences)>,
    backups: BackupWatch,
    /// One probe at a time asks each: behind a frozen database they would fill its queues.
    register: Probe,
    writes: Probe,
    token: Probe,
    /// Until when the HTTPS listener has its certificate.
    https: Mutex<Option<Timestamp>>,
}

impl Lookout {
    /// A lookout over these rooms.
    pub(crate) fn new(
        authority: Authority,
        ledger: Ledger,
        world: World,
        renewals: RenewalWatch,
        (surveyor, keepsakes): (Arc<Surveyor>, Arc<Keepsakes>),
        (notice, tasks, backups): (Notice, Vec<(&'static str, Names, Sentences)>, BackupWatch),
    ) -> Self {
        let (register, writes, token) = (Probe::default(), Probe::default(), Probe::default());
        let https = Mutex::default();
        Self {
            authority,
            ledger,
            world,
            renewals,
            surveyor,
            keepsakes,
            notice,
            tasks,
            backups,
            register,
            writes,
            token,
            https,
        }
    }

    /// The HTTPS listener has its certificate: until then it answers.
    pub(crate) fn https_answers(&self, until: Timestamp) {
        *locked(&self.https) = Some(until);
    }

    /// Asks the rooms below. One that does not answer in time is not ready.
    pub(crate) async fn readiness(&self) -> Readiness {
        // First: what they find is so for the others too.
        let (register, token) = tokio::join!(self.register_says(), self.token_says());
        let health = self.authority.health();
        let hsm = match health.token {
            Health::Ready => token,
            Health::Healing { .. } => Some("healing"),
            Health::Locked { .. } => Some("locked"),
        };
        let clock = self.ledger.time_held().map(|_| "not believed");
        // What holds issuance and is neither the register nor the clock is a CA that has ended, or not begun.
        let held = health.held.is_some() && self.ledger.held().is_none() && clock.is_none();
        let issuers = held.then(|| in_a_word(&health.stopped));
        let https = match *locked(&self.https) {
            None => Some("no certificate yet"),
            Some(until) => (until < self.world.now()).then_some("its certificate has ended"),
        };
        let [a, b, c, d, e] = PARTS;
        let stopped = health.stopped.into_iter().map(|one| (one.issuer, one.word)).collect();
        let several = health.tokens.len() > 1;
        let away = health.tokens.into_iter().filter(|(_, token)| several && *token != Health::Ready);
        let away = away.map(|(name, token)| (name, HsmStatus::of(token).state)).collect();
        Readiness::of([(a, hsm), (b, register), (c, clock), (d, issuers), (e, https)], stopped, away)
    }

    /// What is wrong with the register, in a word.
    async fn register_says(&self) -> Option<&'static str> {
        let ledger = self.ledger.clone();
        match self.register.ask(async move { ledger.follow().await }).await {
            Some(Ok(())) => {}
            Some(Err(StoreError::Held(_))) => return Some("held"),
            Some(Err(error)) => return Some(unwritten(&error)),
            None => return Some(NO_ANSWER),
        }
        // What is read may be there although nothing can be written.
        let ledger = self.ledger.clone();
        match self.writes.lately(async move { ledger.would_write().await.map_err(|error| unwritten(&error)) }).await {
            Some(Ok(())) => self.ledger.condition().away.map(|_| NO_ANSWER),
            Some(Err(word)) => Some(word),
            None => Some(NO_ANSWER),
        }
    }

    /// What is wrong with the token, in a word, as far as it has not been met yet.
    async fn token_says(&self) -> Option<&'static str> {
        if self.authority.health().token != Health::Ready {
            return None;
        }
        let authority = self.authority.clone();
        match self.token.lately(async move { authority.probe_token().await.then_some(()).ok_or(NO_ANSWER) }).await {
            Some(Ok(())) => None,
            Some(Err(word)) => Some(word),
            None => Some(NO_ANSWER),
        }
    }

    /// The figures that end the service's work when nobody looks at them.
    async fn vitals(&self, tokens: Ends) -> Vitals {
        Vitals::of(&self.authority, &self.ledger, tokens).await
    }

    /// What is told to whoever reads while the register is held; none when all is well.
    pub(crate) fn held(&self) -> Option<&'static str> {
        self.ledger.held().map(|_| HELD_READS)
    }

    /// What somebody should look at, in sentences: one for each cause, with the way out where there is one. A secret, its owner, a user of
    /// a lease and the host he is at are named to whoever may list that secret; others hear how many there are and of what kind.
    pub(crate) async fn alarms(&self, grant: &Grant, tokens: Ends) -> Result<Vec<String>, StoreError> {
        let health = self.authority.health();
        let several = health.tokens.len() > 1;
        let of_token = |(name, token): (String, Health)| {
            let which = if several { format!("The token `{name}`") } else { "The HSM".to_owned() };
            match token {
                Health::Ready => None,
                Health::Healing { why } => Some(format!("{which} does not answer and is being brought back: {why}.")),
                Health::Locked { why } => {
                    Some(format!("{which} refused the PIN ({why}); it is not tried again before a restart."))
                }
            }
        };
        let mut alarms: Vec<String> = health.tokens.into_iter().filter_map(of_token).collect();
        let integrity = self.ledger.integrity();
        let is_held = integrity.held.is_some();
        let (of_the_hold, altered) = by_the_hold(integrity);
        let is_all = health.held.is_some();
        match health.held {
            Some(why) if is_held => alarms.push(format!("Nothing is issued or written: {why}.{of_the_hold}")),
            Some(why) => alarms.push(format!("Nothing is issued: {why}.")),
            None => {}
        }
        // What holds everything is told once; an issuer that signs nothing for anybody, and not each of its profiles.
        let stopped = if is_all { Vec::new() } else { health.stopped };
        let unfit = health.unfit.into_iter().filter(|unfit| !unfit.is_told && !is_held).map(|unfit| unfit.why);
        let stopped = stopped.into_iter().map(|one| one.why);
        alarms.extend(stopped.chain(health.due).chain(unfit.take(ALARMS_MAX)).map(|why| format!("{why}.")));
        let names_all = self.lists_every_owner(grant.actor());
        alarms.extend(altered.iter().rev().take(ALARMS_MAX).map(|alarm| {
            let place = if names_all { alarm.place.clone() } else { unnamed(&alarm.place) };
            format!(
                "The register was altered: {}: {} (met {} times since {}). Look with `chancery audit verify`.",
                place, alarm.says, alarm.times, alarm.at
            )
        }));
        alarms.extend(self.notice.says());
        for (what, names, task) in &self.tasks {
            let (mut says, total) = task.says(ALARMS_MAX);
            match names {
                Names::Secrets if !names_all => says.clear(),
                Names::Secrets => says.retain(|says| self.lists_what_is_named(grant.actor(), says)),
                Names::Nothing => {}
            }
            let more = total.saturating_sub(says.len());
            let which = if says.is_empty() { "alarms" } else { "more alarms" };
            alarms.extend(says);
            alarms.extend((more > 0).then(|| format!("Of {what} there are {which}: {more}.")));
        }
        alarms.extend(self.backups.alarms(self.ledger.cautious_time()));
        let condition = self.ledger.condition();
        alarms
            .extend(condition.away.map(|why| format!("The register is away and is tried again every second: {why}.")));
        alarms.extend(condition.held_log_bytes.map(|bytes| {
            format!(
                "Another program reads the register and keeps its write-ahead log, which has {} MiB and grows: end that program's \
                 reading (a shell, a backup; `fuser` on the database's file names it).",
                bytes >> 20
            )
        }));
        alarms.extend(self.of_ocsp());
        alarms.extend(refusals::alarms(&self.authority.refusals(), ALARMS_MAX));
        // Not by a clock that is not believed: that has an alarm of its own.
        alarms.extend(self.of_one_factor(&tokens));
        alarms.extend(self.vitals(tokens).await.alarms(self.ledger.cautious_time()));
        match orphans(grant, &self.authority, &self.ledger, None).await {
            Ok(orphans) => alarms.extend(orphans.iter().map(Orphans::says)),
            Err(StoreError::Held(_)) if is_held => {}
            Err(error) => return Err(error),
        }
        match self.keepsakes.survey(grant).await {
            Ok(survey) => {
                alarms.extend(survey.alarms(|owner, path| self.lists(grant.actor(), Some(owner), path.as_str())))
            }
            Err(SecretError::Store(StoreError::Held(_))) if is_held => {}
            Err(SecretError::Store(error)) => return Err(error),
            Err(other) => return Err(StoreError::Corrupt(other.to_string())),
        }
        match self.rescues().await {
            Ok(rescues) => alarms.extend(rescues),
            Err(StoreError::Held(_)) if is_held => {}
            Err(error) => return Err(error),
        }
        let found = match lifecycle::alarms(&self.ledger, self.world.now(), &self.renewals, ALARMS_MAX).await {
            // What a register that is held does not have was told already.
            Err(StoreError::Held(_)) if is_held => return Ok(alarms),
            found => found?,
        };
        alarms.extend(found.first.iter().map(ToString::to_string));
        if found.total > ALARMS_MAX as u64 {
            alarms.push(format!("There are {} more alarms.", found.total - ALARMS_MAX as u64));
        }
        Ok(alarms)
    }

    /// Whether somebody may list the secrets of an owner at a path: as the lists ask it, and no refusal to write down.
    fn lists(&self, actor: &Actor, owner: Option<&Owner>, path: &str) -> bool {
        let on = Resource::secret(owner.cloned(), path);
        self.authority.policies().permits(actor, Action::ListSecrets, &on)
    }

    /// Whether he may list those of all owners.
    pub(crate) fn lists_every_owner(&self, actor: &Actor) -> bool {
        let policies = self.authority.policies();
        self.lists(actor, None, "") && policies.owners().iter().all(|rules| self.lists(actor, Some(&rules.name), ""))
    }

    /// Whether he may list what a sentence names, once he may list those of all owners: a policy may take paths out.
    fn lists_what_is_named(&self, actor: &Actor, says: &str) -> bool {
        let words = says.split_whitespace().map(|word| word.trim_matches(|c: char| ".,:;()`".contains(c)));
        words.filter_map(|word| word.parse::<SecretPath>().ok()).all(|path| self.lists(actor, None, path.as_str()))
    }

    /// A responder that is not renewed; and that somebody asked by OCSP of a certificate that this node might have made and the
    /// register does not hold, for a day.
    fn of_ocsp(&self) -> Vec<String> {
        let (state, now) = (self.authority.ocsp_state(), self.world.now());
        let ending = state.responders.iter().filter(|(_, until)| until.since(now) < RESPONDER_LEFT_SECS);
        let ending = ending.map(|(issuer, until)| {
            format!(
                "The OCSP responder of `{issuer}` ends at {until}, and no new one was made: the log of the service says why. Then \
                 nothing is answered for it."
            )
        });
        let unknown = state.last_alarm.filter(|(_, at)| now.since(*at) < TOLD_SECS).map(|(serial, at)| {
            format!(
                "Somebody asked by OCSP of certificate {serial} of this node, which the register does not hold ({} such requests, \
                 told last at {at}). Anybody can make a serial up; where somebody has such a certificate, a key of ours signed behind \
                 the register.",
                state.alarms
            )
        });
        ending.chain(unknown).collect()
    }

    /// Administrators without a second factor, where one is demanded: whoever finds such a token enrols a device of his own.
    fn of_one_factor(&self, tokens: &Ends) -> Option<String> {
        let missing = tokens.one_factor > 0 && self.authority.policies().demand().is_some();
        missing.then(|| {
            let more = tokens.one_factor.saturating_sub(tokens.named.len());
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            format!(
                "Administrators without a second factor: {}{more}. With each of these tokens: `chancery mfa enrol`; one that nobody uses: \
                 `chancery token revoke`.",
                tokens.named.join(", ")
            )
        })
    }

    /// Administrators' tokens that were made on the host, for a week, the newest first: whoever did not do it should know.
    async fn rescues(&self) -> Result<Vec<String>, StoreError> {
        let now = self.world.now();
        let words = self.ledger.record_each(store::RESCUE).await?;
        // One that somebody altered has its own alarm, and hides no other.
        let mut words: Vec<_> = words.into_iter().filter_map(|(_, word)| word.ok()).collect();
        words.retain(|word| word.expires.is_some_and(|end| end > now));
        words.sort_by_key(|word| std::cmp::Reverse(word.at));
        let more = words.len().saturating_sub(ALARMS_MAX);
        let told = words.iter().take(ALARMS_MAX).map(|word| {
            let reason = word.body.get("reason").and_then(serde_json::Value::as_str).unwrap_or_default();
            match word.body.get("second_factor").and(word.body.get("token")).and_then(serde_json::Value::as_str) {
                Some(token) => format!(
                    "The second factor of the token {token} was taken away on the host at {} (`chancery mfa rescue`): {reason:?}. Where \
                     nobody of yours did it, revoke that token and look who holds the host.",
                    word.at
                ),
                None => format!(
                    "The administrator's token {} was made on the host at {} (`chancery token rescue`): {reason:?}. Where nobody of \
                     yours did it, revoke it and look who holds the host.",
                    word.id, word.at
                ),
            }
        });
        let rest = (more > 0).then(|| {
            format!("{more} more administrators' tokens were made on the host this week; `chancery audit list` tells of each.")
        });
        Ok(told.chain(rest).collect())
    }

    /// What a scrape reads although the register is away.
    pub(crate) fn own(&self) -> Own {
        let integrity = self.ledger.integrity();
        let condition = self.ledger.condition();
        Own {
            audited: self.ledger.audited(),
            alarms: integrity.alarms_total,
            held: integrity.held.is_some(),
            away: condition.away.is_some(),
            held_log_bytes: condition.held_log_bytes.unwrap_or(0),
            clock_held: self.ledger.time_held().is_some(),
            ready: Vec::new(),
            signing: self.authority.signing_times(),
            tokens: self
                .authority
                .health()
                .tokens
                .into_iter()
                .map(|(name, token)| (name, token == Health::Ready))
                .collect(),
            profiles: self.profiles(),
            renewals: self.renewals.counts(),
            ocsp: self.authority.ocsp_state(),
            refusals: self.authority.refusals(),
            backup: self.backups.last(),
        }
    }

    /// Each profile in force, and whether something can be issued under it.
    fn profiles(&self) -> Vec<(String, bool)> {
        let unfit = self.authority.unfit();
        let is_fit = |name: &str| !unfit.iter().any(|unfit| unfit.profile == name);
        self.authority.profiles().iter().map(|p| (p.name().to_owned(), is_fit(p.name()))).collect()
    }

    /// What a scrape reads.
    pub(crate) async fn readings(&self, grant: &Grant, tokens: Ends) -> Result<Readings, StoreError> {
        let counts = self.ledger.counts().await?;
        let survey = self.surveyor.survey(grant, None).await?;
        Ok(Readings {
            hsm_ready: self.authority.health().token == Health::Ready,
            log_size: self.ledger.head().size,
            unconcluded: counts.intended,
            states: vec![
                ("intended", counts.intended),
                ("issued", counts.issued.saturating_sub(survey.expired())),
                ("expired", survey.expired()),
                ("replaced", counts.replaced),
                ("failed", counts.failed),
                ("revoked", counts.revoked),
            ],
            expiring: cumulative(&survey.buckets),
            secrets: self
                .keepsakes
                .survey(grant)
                .await
                .map(|survey| (survey.tally, survey.overdue))
                .unwrap_or_default(),
            vitals: self.vitals(tokens).await,
        })
    }
}

/// Why nothing would be written: strangers hear of what sort it is.
fn unwritten(error: &StoreError) -> &'static str {
    if matches!(error, StoreError::Full(_)) { FULL } else { NO_ANSWER }
}

/// Why no issuer issues: as of each of them, or that they ended, one way or the other.
fn in_a_word(stopped: &[ca::Stopped]) -> &'static str {
    let mut words = stopped.iter().map(|one| one.word);
    let first = words.next().unwrap_or(ENDED);
    if words.all(|word| word == first) { first } else { ENDED }
}

/// How many expire within a day, a week ...: each number with those before it, and `later` with all.
fn cumulative(buckets: &BTreeMap<Bucket, Expiring>) -> Vec<(&'static str, u64)> {
    let mut sum = 0;
    let counted = buckets.iter().map(|(bucket, expiring)| {
        sum += expiring.count;
        (if *bucket == Bucket::Later { "all" } else { bucket.as_str() }, sum)
    });
    counted.collect()
}

/// A place in the register without the names of secrets, of their owners and readers; other places as they are.
fn unnamed(place: &str) -> String {
    if !place.split_whitespace().any(|word| OF_SECRETS.contains(&word)) {
        return place.to_owned();
    }
    let words = place.split_whitespace().map(|word| match word.split_once('=') {
        Some((name, _)) if NAMING.contains(&name) => format!("{name}=(not told)"),
        Some(_) | None => word.to_owned(),
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Places of secrets begin with these words, or have them.
const OF_SECRETS: [&str; 8] = [
    "kind=secret",
    "kind=rotation",
    "kind=lease",
    "kind=lease-role",
    "kind=ssh-host-report",
    "kind=transit-key",
    "ward",
    "reading",
];
/// What names them there.
const NAMING: [&str; 4] = ["id", "owner", "reader", "lookup"];

/// What a register that is held comes with in alarms: how many rows were met since that are not what this node knew, in words. The
/// others are causes of their own.
fn by_the_hold(integrity: Integrity) -> (String, Vec<Alarm>) {
    let Some(why) = integrity.held else { return (String::new(), integrity.alarms) };
    let since = integrity.alarms.iter().find(|alarm| alarm.says == why).map(|alarm| alarm.at);
    let (with_it, others): (Vec<_>, Vec<_>) =
        integrity.alarms.into_iter().partition(|alarm| since.is_some_and(|since| alarm.at >= since));
    let rows = with_it.iter().filter(|alarm| alarm.says != why).count();
    let told = match rows {
        0 => String::new(),
        rows => format!(" Places of it met since that are not as this node knew them: {rows}."),
    };
    (told, others)
}

#[cfg(test)]
mod tests {
    use policy::Timestamp;

    use super::*;

    fn alarm(at: i64, place: &str, says: &str) -> Alarm {
        Alarm { at: Timestamp::from_unix(at), place: place.to_owned(), says: says.to_owned(), times: 1 }
    }

    #[test]
    fn a_register_that_is_held_is_one_alarm() {
        let before = alarm(7, "record kind=api-token id=a", "an older version was put back");
        let alarms =
            vec![before.clone(), alarm(9, "log", "cut"), alarm(9, "leaf 8", "missing"), alarm(12, "b", "gone")];
        let held = Integrity { held: Some("cut".to_owned()), alarms: alarms.clone(), alarms_total: 4 };
        let (told, others) = by_the_hold(held);
        assert!(told.ends_with(": 2."), "{told}");
        assert_eq!(others, [before]);
        let fine = Integrity { held: None, alarms: alarms.clone(), alarms_total: 4 };
        assert_eq!(by_the_hold(fine), (String::new(), alarms));
    }

    #[test]
    fn a_place_in_the_register_tells_no_name_of_a_secret_to_whoever_may_list_none() {
        for (place, told) in [
            ("record kind=secret id=merger/escrow", "record kind=secret id=(not told)"),
            ("ward id=merger/escrow@1 column ends", "ward id=(not told) column ends"),
            (
                "reading id=merger/escrow@1 reader=token:a column leaf",
                "reading id=(not told) reader=(not told) column leaf",
            ),
            ("record kind=api-token id=a", "record kind=api-token id=a"),
            ("leaf 8", "leaf 8"),
        ] {
            assert_eq!(unnamed(place), told);
        }
    }

    #[test]
    fn why_nobody_issues_is_one_word_where_it_is_the_same_for_all() {
        let stopped = |word| ca::Stopped { issuer: "tls".to_owned(), word, why: String::new() };
        assert_eq!(in_a_word(&[stopped("revoked"), stopped("revoked")]), "revoked");
        assert_eq!(in_a_word(&[stopped("revoked"), stopped("away")]), "ended");
        assert_eq!(in_a_word(&[]), "ended");
    }

    #[test]
    fn a_full_disk_is_said_to_be_full_and_no_more_of_it() {
        assert_eq!(unwritten(&StoreError::Full("the disk of /srv/register is full".to_owned())), "full");
        assert_eq!(unwritten(&StoreError::Unavailable("refused".to_owned())), "no answer");
    }

    #[test]
    fn readiness_says_each_part_and_a_word_for_what_is_not() {
        let [hsm, register, clock, issuers, https] = PARTS;
        let parts = |word| [(hsm, None), (register, word), (clock, None), (issuers, None), (https, None)];
        let held =
            serde_json::to_value(Readiness::of(parts(Some("held")), BTreeMap::new(), BTreeMap::new())).expect("JSON");
        let told = serde_json::json!({"hsm": true, "register": false, "clock": true, "issuers": true, "https": true,
            "why": {"register": "held"}});
        assert_eq!(held, told);
        let stopped = BTreeMap::from([("code".to_owned(), "away"), ("vpn".to_owned(), "revoked")]);
        let others_go_on = Readiness::of(parts(None), stopped, BTreeMap::new());
        assert!(others_go_on.is_ready());
        let told = serde_json::to_value(others_go_on).expect("JSON");
        assert_eq!(told["stopped"], serde_json::json!({"code": "away", "vpn": "revoked"}));
        assert!(!Readiness::of(parts(Some("held")), BTreeMap::new(), BTreeMap::new()).is_ready());
    }
}
