//! A lease that goes on: its user lives longer, or is made out another document.

use policy::{Action, Grant};
use store::ActorStamp;

use super::base::{Leases, Underway, nobody, said};
use super::place::{Document, Hired, Hirer, Tenancy};
use super::records::{LEASE_SECS_MIN, Lease, LeaseRole, Stage};
use crate::error::SecretError;
use crate::rotation::Outcome;
use crate::turning::Warrants;
use crate::vault::Vault;

/// A user who lives longer.
#[derive(Debug)]
pub struct Renewed {
    /// The lease.
    pub lease: Lease,
    /// What he shows from now on.
    pub document: Option<Document>,
}

impl Leases {
    /// Lets a user live longer, from now on, and never longer than the longest of his lease.
    ///
    /// # Errors
    /// [`SecretError::OutOfUse`]: he is ended; [`SecretError::Conflict`]: the target refused, or does not answer.
    pub async fn renew(
        &self,
        grant: Grant,
        id: &str,
        secs: Option<u64>,
        warrants: &impl Warrants,
        targets: &impl Tenancy,
    ) -> Result<Renewed, SecretError> {
        let mut lease = self.look(id).await?;
        Vault::is_for(&grant, Action::LeaseSecret, &lease.role, &lease.owner)?;
        let now = self.seconds().await?;
        if lease.body.stage != Stage::Live || lease.body.until <= now {
            return Err(SecretError::OutOfUse(format!("the lease {id} is over: ask for another")));
        }
        // Who set the role up may have taken back what it gives.
        let gives = |role: &LeaseRole| {
            role.like() == lease.body.like && *role.at() == lease.body.at && *role.owner() == lease.owner
        };
        let Some(role) = self.role(&lease.role).await?.filter(gives) else {
            let why =
                format!("the role {} is gone, or gives something else now: ask for another lease of it", lease.role);
            return Err(SecretError::OutOfUse(why));
        };
        let (_, longest) = role.secs();
        let until_max = lease.body.until_max.min(lease.body.since.saturating_add(longest));
        let span = lease.body.until.saturating_sub(lease.body.since);
        let secs = secs.unwrap_or(span).max(LEASE_SECS_MIN);
        let until = now.saturating_add(secs).min(until_max);
        if until <= lease.body.until {
            let why = format!("the lease {id} lives as long already, or has reached its longest: ask for another");
            return Err(SecretError::Conflict(why));
        }
        if lease.body.documents.len() >= RENEWALS_MAX {
            let why = format!("the lease {id} was renewed {RENEWALS_MAX} times: give it back, and ask for another");
            return Err(SecretError::Conflict(why));
        }
        // What another node asks for at this moment would be forgotten over this.
        if lease.settled().is_some_and(|settled| lease.body.node != self.node && settled > now) {
            return Err(SecretError::Conflict(format!("the lease {id} is being renewed by another node: ask again")));
        }
        let admin = self.admin(&lease.body.at, warrants).await?;
        // One more may be from before, of which nobody took down the name: its end looks for it, however many are known after it.
        let was_doubtful = lease.body.is_doubtful;
        // The longer time is written down first: the target may have it already when the answer is lost.
        lease.body.until = until;
        lease.body.is_doubtful = lease.body.public_key.is_some();
        (lease.body.node, lease.body.asked) = (self.node, if lease.body.is_doubtful { now } else { 0 });
        self.underway().insert(id.to_owned(), lease.role.clone());
        let _underway = Underway(self, id.to_owned());
        self.vault.ledger().record(vec![lease.record(ActorStamp::from(grant.actor()))?]).await?;
        let mut lease = self.look(id).await?;
        let login = nobody(&lease.body.user);
        let hirer = Hirer { login: &login, like: &lease.body.like, until, lease: &lease };
        let Hired { outcome, document } = targets.renew(&lease.body.at, &admin, hirer).await;
        let is_away = matches!(outcome, Outcome::Away(_));
        let Some(said) = said(outcome) else {
            if let Some(id) = document.as_ref().map(|document| document.id.clone()) {
                lease.takes_down(Some(id.clone()));
                lease.body.is_doubtful = was_doubtful;
                let taken = self.vault.ledger().record(vec![lease.record(ActorStamp::from(grant.actor()))?]).await;
                if let Err(error) = taken {
                    // Somebody ended him meanwhile, or renewed him too: this one is nobody's.
                    lease.body.documents = vec![id];
                    self.take_back(&lease, &admin, &ActorStamp::from(grant.actor()), targets).await;
                    return Err(error.into());
                }
            }
            return Ok(Renewed { lease: self.look(id).await?, document });
        };
        let why = format!("{id} was not renewed at the target: {said}");
        Err(if is_away { SecretError::Away(why) } else { SecretError::Conflict(why) })
    }
}

/// So often a lease is renewed whose renewal makes out a certificate: each stands in its record, and is taken back at its end.
pub const RENEWALS_MAX: usize = 100;
