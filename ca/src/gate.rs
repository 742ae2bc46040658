//! Who may: policy's decision, and the leaf of every refusal.

use policy::{Action, Actor, Grant, Owner, Resource};
use store::{Ledger, RefusalEntry};

use crate::error::CaError;
use crate::rules::Rules;

/// Where every request passes.
#[derive(Clone)]
pub(crate) struct Gate {
    ledger: Ledger,
    rules: Rules,
}

impl Gate {
    pub(crate) fn new(ledger: Ledger, rules: Rules) -> Gate {
        Gate { ledger, rules }
    }

    /// What it decides by.
    pub(crate) fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Decides, and writes the refusal leaf where policy refuses: no refusal is answered that is not in the log.
    pub(crate) async fn authorize(&self, actor: &Actor, action: Action, resource: Resource) -> Result<Grant, CaError> {
        match self.rules.policies().decide(actor, action, &resource) {
            Ok(grant) => Ok(grant),
            Err(refusal) => {
                self.ledger.refuse(RefusalEntry::new(&refusal, target(&resource))).await?;
                Err(CaError::Refused(refusal))
            }
        }
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

/// Enough to know what it was about.
const SHOWN_MAX: usize = 10;
const TARGET_MAX: usize = 1000;
