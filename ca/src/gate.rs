//! Who may: policy's decision, and the leaf of every refusal.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use policy::{Action, Actor, Grant, Owner, Refusal, Resource};
use store::{Ledger, RefusalEntry, StoreError};
use tokio::task::JoinSet;

use crate::error::{CaError, LintFailure};
use crate::refused::{Counting, Crowd, Noted, RefusalState};
use crate::rules::Rules;

/// Where every request passes.
#[derive(Clone)]
pub(crate) struct Gate {
    rules: Rules,
    refusals: Refusals,
}

/// Where what is refused becomes leaves. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Refusals {
    ledger: Ledger,
    crowd: Crowd,
    own: Arc<Mutex<Own>>,
}

/// When a draft of the service itself was last refused, by who, what and which lint.
type Own = HashMap<(String, String, Option<String>), Instant>;

impl Gate {
    pub(crate) fn new(ledger: Ledger, rules: Rules) -> Gate {
        Gate { refusals: Refusals::new(ledger), rules }
    }

    /// What it decides by.
    pub(crate) fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Decides, and writes the refusal leaf where policy refuses: no refusal is answered of which the log says nothing. Of one holder so
    /// many are leaves of their own, and the rest is counted there.
    pub(crate) async fn authorize(&self, actor: &Actor, action: Action, resource: Resource) -> Result<Grant, CaError> {
        match self.judge(actor, action, &resource) {
            Ok(grant) => Ok(grant),
            Err(refusal) => {
                let leaf = RefusalEntry::new(&refusal, target(&resource));
                Box::pin(self.refusals.write(leaf, actor)).await?;
                Err(CaError::Refused(refusal))
            }
        }
    }

    /// Decides, and writes nothing. What a refusal lacks is looked for as long as somebody may listen: where an actor's refusals are counted
    /// it would cost twenty times as much as the answer, in the place of others' answers.
    pub(crate) fn judge(&self, actor: &Actor, action: Action, resource: &Resource) -> Result<Grant, Refusal> {
        let policies = self.rules.policies();
        policies.decide_briefly(actor, action, resource).or_else(|brief| match self.refusals.counting(actor) {
            Counting::Not => policies.decide(actor, action, resource),
            Counting::Apart => Err(brief),
            // It may be his first: nobody told him the reason.
            Counting::Together => Err(brief.among_many()),
        })
    }

    /// Refuses a draft that failed its lint ([`Refusals::refuse`]).
    pub(crate) async fn refuse(&self, failure: LintFailure) -> CaError {
        self.refusals.refuse(failure).await
    }

    /// For those who draft without a gate before them.
    pub(crate) fn refusals(&self) -> Refusals {
        self.refusals.clone()
    }

    /// Refuses an owner that the configuration does not have: a mistyped one would have what nobody looks after. To be asked of
    /// those who may, so that no stranger learns who is there.
    pub(crate) fn check_owner(&self, owner: &Owner) -> Result<(), CaError> {
        match self.rules.policies().owners().iter().any(|rules| rules.name == *owner) {
            true => Ok(()),
            false => Err(CaError::bad("owner", format!("the configuration has no owner `{owner}`"))),
        }
    }

    /// Decides what the service does by itself.
    pub(crate) fn decide_own(&self, actor: &Actor, action: Action, resource: &Resource) -> Result<Grant, CaError> {
        Ok(self.rules.policies().decide(actor, action, resource)?)
    }
}

impl Refusals {
    pub(crate) fn new(ledger: Ledger) -> Refusals {
        Refusals { ledger, crowd: Crowd::default(), own: Arc::default() }
    }

    /// Writes the leaf of a draft that failed its lint. Whoever asked is known, or there would be no draft. What the service tries by
    /// itself, every two seconds for a CRL, is a leaf once an hour.
    pub(crate) async fn refuse(&self, failure: LintFailure) -> CaError {
        let leaf = &failure.leaf;
        tracing::error!(findings = %LintFailure::in_words(&failure.findings), target = leaf.target, "a draft failed its lint");
        if leaf.actor.proof == "system" && !self.is_news(leaf) {
            return failure.into();
        }
        match self.write((**leaf).clone(), &failure.actor).await {
            Ok(()) => failure.into(),
            Err(error) => error,
        }
    }

    /// Writes down how many were refused beyond those that are leaves: of each holder whose window is over; at the end, of all. What the
    /// register does not take is owed, and told by the next that asks; one of which nobody knows whether it was taken is told twice
    /// rather than never. At the end there is no next: it waits for places in the register's queue as long as its caller waits for it.
    pub(crate) async fn tell_counted(&self, is_end: bool) -> Result<(), CaError> {
        // All at once, so that they share the register's commits: at the end of the service there are seconds for them.
        let mut writing = JoinSet::new();
        for sum in self.crowd.due(Instant::now(), is_end) {
            let ledger = self.ledger.clone();
            writing.spawn(async move {
                let written = told(|| ledger.refuse(sum.leaf()), is_end).await;
                (written, sum)
            });
        }
        let mut outcome = Ok(());
        while let Some(written) = writing.join_next().await {
            match written {
                Ok((Ok(_), sum)) => self.crowd.is_told(&sum),
                Ok((Err(error), sum)) => {
                    self.crowd.owes(sum);
                    outcome = Err(error.into());
                }
                // It stays among those of which no leaf tells.
                Err(_) => {}
            }
        }
        outcome
    }

    fn counting(&self, actor: &Actor) -> Counting {
        self.crowd.counting(actor, Instant::now())
    }

    /// What was refused beyond what is leaves of its own, and to whom very often.
    pub(crate) fn state(&self) -> RefusalState {
        self.crowd.state(Instant::now())
    }

    async fn write(&self, refusal: RefusalEntry, actor: &Actor) -> Result<(), CaError> {
        match self.crowd.note(refusal, actor, Instant::now()) {
            Noted::Told(place, leaf) => self.ledger.refuse(leaf).await.inspect_err(|_| self.crowd.untold(place))?,
            Noted::Counting(place, leaf) => self.ledger.refuse(leaf).await.inspect_err(|_| self.crowd.unsaid(place))?,
            Noted::Counted => return Ok(()),
        };
        Ok(())
    }

    fn is_news(&self, leaf: &RefusalEntry) -> bool {
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        own.retain(|_, said| said.elapsed() < OWN_AGAIN);
        let about = (leaf.actor.id.clone(), leaf.target.clone(), leaf.rule.clone());
        if own.contains_key(&about) || own.len() >= OWN_MAX {
            return false;
        }
        own.insert(about, Instant::now());
        true
    }
}

/// Writes a number; `is_end`: where the queue is full it is tried until there is a place.
async fn told<W>(write: impl Fn() -> W, is_end: bool) -> Result<u64, StoreError>
where
    W: Future<Output = Result<u64, StoreError>>,
{
    loop {
        match write().await {
            Err(StoreError::Busy { .. }) if is_end => tokio::time::sleep(QUEUE_PAUSE).await,
            outcome => return outcome,
        }
    }
}

/// What a refusal was about, for display.
fn target(resource: &Resource) -> String {
    let mut words = vec![resource.kind.as_str().to_owned()];
    words.extend(resource.profile.iter().map(|p| format!("profile {p}")));
    words.extend(resource.owner.iter().map(|o| format!("owner {o}")));
    words.extend(resource.key.iter().map(|k| format!("key {k}")));
    words.extend(resource.names.iter().take(SHOWN_MAX).map(|n| n.to_string()));
    words.extend(resource.principals.iter().take(SHOWN_MAX).map(|p| format!("principal {p}")));
    let text = words.join(", ");
    text.chars().take(TARGET_MAX).collect()
}

/// What the service asks for by itself and fails alike is said again after this ...
const OWN_AGAIN: Duration = Duration::from_secs(3600);
/// ... and so many different ones in that time.
const OWN_MAX: usize = 256;
/// So long it rests where the queue of the register is full.
const QUEUE_PAUSE: Duration = Duration::from_millis(5);
/// Enough to know what it was about.
const SHOWN_MAX: usize = 10;
const TARGET_MAX: usize = 1000;

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn at_the_end_a_number_waits_for_its_place_in_the_queue() {
        let asked = Cell::new(0_u64);
        let write = || {
            asked.set(asked.get() + 1);
            let is_full = asked.get() < 4;
            std::future::ready(if is_full { Err(StoreError::Busy { retry_after_secs: 1 }) } else { Ok(asked.get()) })
        };
        assert!(matches!(told(write, false).await, Err(StoreError::Busy { .. })), "the next that asks tells it");
        assert!(matches!(told(write, true).await, Ok(4)));
        let gone = || std::future::ready(Err(StoreError::Closed));
        assert!(matches!(told(gone, true).await, Err(StoreError::Closed)), "nobody waits for a register that is gone");
    }
}
