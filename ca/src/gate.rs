//! Who may: policy's decision, and the leaf of every refusal.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use policy::{Action, Actor, Grant, Owner, Refusal, Resource};
use store::{Ledger, RefusalEntry};
use tokio::task::JoinSet;

use crate::error::{CaError, LintFailure};
use crate::refused::{Crowd, Noted, RefusalState};
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

    /// Decides, and writes the refusal leaf where policy refuses: no refusal is answered of which the log says nothing. Of one actor so
    /// many are leaves of their own, and the rest is counted there.
    pub(crate) async fn authorize(&self, actor: &Actor, action: Action, resource: Resource) -> Result<Grant, CaError> {
        match self.judge(actor, action, &resource) {
            Ok(grant) => Ok(grant),
            Err(refusal) => {
                Box::pin(self.refusals.write(RefusalEntry::new(&refusal, target(&resource)))).await?;
                Err(CaError::Refused(refusal))
            }
        }
    }

    /// Decides, and writes nothing. What a refusal lacks is looked for as long as somebody may listen: where an actor's refusals are counted
    /// it would cost twenty times as much as the answer, in the place of others' answers.
    pub(crate) fn judge(&self, actor: &Actor, action: Action, resource: &Resource) -> Result<Grant, Refusal> {
        let policies = self.rules.policies();
        policies.decide_briefly(actor, action, resource).or_else(|brief| match self.refusals.is_counting(actor) {
            true => Err(brief),
            false => policies.decide(actor, action, resource),
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
        match self.write((**leaf).clone()).await {
            Ok(()) => failure.into(),
            Err(error) => error,
        }
    }

    /// Writes down how many were refused beyond those that are leaves: of each actor whose window is over; at the end, of all. What the
    /// register does not take is owed, and told by the next that asks; one of which nobody knows whether it was taken is told twice
    /// rather than never.
    pub(crate) async fn tell_counted(&self, is_end: bool) -> Result<(), CaError> {
        // All at once, so that they share the register's commits: at the end of the service there are seconds for them.
        let mut writing = JoinSet::new();
        for sum in self.crowd.due(Instant::now(), is_end) {
            let ledger = self.ledger.clone();
            writing.spawn(async move { (ledger.refuse(sum.leaf()).await, sum) });
        }
        let mut outcome = Ok(());
        while let Some(written) = writing.join_next().await {
            if let Ok((Err(error), sum)) = written {
                self.crowd.owes(std::iter::once(sum));
                outcome = Err(error.into());
            }
        }
        outcome
    }

    fn is_counting(&self, actor: &Actor) -> bool {
        self.crowd.is_counting(&actor.id, Instant::now())
    }

    /// What was refused beyond what is leaves of its own, and to whom very often.
    pub(crate) fn state(&self) -> RefusalState {
        self.crowd.state(Instant::now())
    }

    async fn write(&self, refusal: RefusalEntry) -> Result<(), CaError> {
        match self.crowd.note(refusal, Instant::now()) {
            Noted::Told(leaf) => {
                let actor = leaf.actor.id.clone();
                self.ledger.refuse(leaf).await.inspect_err(|_| self.crowd.untold(&actor))?
            }
            Noted::Counting(leaf) => {
                let actor = leaf.actor.id.clone();
                self.ledger.refuse(leaf).await.inspect_err(|_| self.crowd.unsaid(&actor))?
            }
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
/// Enough to know what it was about.
const SHOWN_MAX: usize = 10;
const TARGET_MAX: usize = 1000;
