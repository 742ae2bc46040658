//! What is published of the revoked: full CRLs, one series per issuer.
//!
//! Every CRL is an entry of the ledger like any other signature; the newest one in the register is what is served. It lies on a
//! shelf in memory, so that the public reads it at the cost of a look, and goes on reading while the database is away. It is the
//! newest as long as the log, which is in memory too, knows of no newer one.

use std::sync::Arc;
use std::time::Duration;

use policy::{Action, Actor, Grant, Resource, ResourceKind, Timestamp};
use store::Revocations;

use crate::craft::Office;
use crate::craft::crl::draft;
use crate::error::CaError;
use crate::gate::Gate;
use crate::status::shelf::{PublishedCrl, Shelf};

/// Who makes CRLs, and knows the newest.
pub(crate) struct Publisher {
    office: Office,
    shelf: Arc<Shelf>,
}

impl Publisher {
    /// With the register's newest CRLs on the shelf. One that cannot be had now is asked for again when it is wanted.
    pub(crate) async fn open(office: Office) -> Publisher {
        let publisher = Publisher { office, shelf: Arc::default() };
        for issuer in publisher.office.hierarchy.issuers() {
            if let Err(e) = publisher.known(&issuer.label).await {
                tracing::error!(issuer = %issuer.label, error = %e, "the newest CRL cannot be read");
            }
        }
        publisher
    }

    /// The newest CRL of an issuer, for the public. If another node made a newer one and the database does not give it soon,
    /// the one on the shelf: an answer that is seconds old is better than none, and nobody waits behind a frozen database.
    pub(crate) async fn newest(self: &Arc<Self>, issuer: &str) -> Result<PublishedCrl, CaError> {
        let missing = || CaError::NotFound(format!("CRL of `{issuer}`"));
        self.office.hierarchy.issuing(issuer).map_err(|_| missing())?;
        let Some(there) = self.shelf.get(issuer) else { return self.known(issuer).await?.ok_or_else(missing) };
        if self.is_newest(issuer, &there) {
            return Ok(there);
        }
        // One question at a time; it goes on when its caller has left.
        let Some(turn) = self.shelf.turn(issuer) else { return Ok(there) };
        let (publisher, label) = (Arc::clone(self), issuer.to_owned());
        let asked = tokio::spawn(async move {
            let _turn = turn;
            publisher.known(&label).await
        });
        match tokio::time::timeout(WAIT_MAX, asked).await {
            Ok(Ok(Ok(newer))) => Ok(newer.unwrap_or(there)),
            Ok(Ok(Err(e))) => {
                tracing::warn!(issuer, error = %e, "the newest CRL cannot be read, the one before is served");
                Ok(there)
            }
            Ok(Err(_)) | Err(_) => Ok(there),
        }
    }

    /// The newest CRL of an issuer: the one on the shelf, or the register's.
    async fn known(&self, issuer: &str) -> Result<Option<PublishedCrl>, CaError> {
        match self.shelf.get(issuer) {
            Some(there) if self.is_newest(issuer, &there) => Ok(Some(there)),
            Some(_) | None => {
                let newest = self.office.ledger.newest_crl(issuer).await?;
                Ok(newest.and_then(|crl| self.shelf.put(&crl)))
            }
        }
    }

    fn is_newest(&self, issuer: &str, there: &PublishedCrl) -> bool {
        self.office.ledger.newest_crl_operation(issuer).is_none_or(|newest| newest <= there.operation)
    }

    /// Makes a CRL of `label` if one is due; `true` if one was made. `last_number` is the highest number that this process used.
    pub(crate) async fn publish(&self, label: &str, last_number: &mut u64) -> Result<bool, CaError> {
        let issuer = self.office.hierarchy.issuing(label)?;
        let now = self.office.checks.clock.of_crl(&issuer)?;
        for _ in 0..NUMBERS_MAX {
            // What is known of the revoked first, the newest CRL after: it may cover more than was known, never less.
            let revocations = self.office.ledger.revocations(label);
            let newest = self.known(label).await?;
            if newest.as_ref().is_some_and(|crl| !due(crl, &revocations, now)) {
                return Ok(false);
            }
            let number = newest.as_ref().map_or(0, |crl| crl.number).max(*last_number) + 1;
            *last_number = number;
            let draft = draft(grant(&self.office.gate)?, &issuer, number, &revocations, now)?;
            match self.office.issue(draft).await {
                Ok(issued) => {
                    self.shelf.put(&issued);
                    return Ok(true);
                }
                // The number was used up, by another node or by a CRL that was never signed; or another node published one
                // that covers more: the register refuses what covers less.
                Err(CaError::Conflict(_)) => continue,
                Err(e) => return Err(e),
            }
        }
        Err(CaError::Conflict(format!("no free CRL number for `{label}` in {NUMBERS_MAX} tries")))
    }
}

fn grant(gate: &Gate) -> Result<Grant, CaError> {
    gate.decide_own(&Actor::system("crl"), Action::ManageAuthority, &Resource::plain(ResourceKind::Authority))
}

fn due(newest: &PublishedCrl, revocations: &Revocations, now: Timestamp) -> bool {
    newest.told != Some(revocations.covers.revocations()) || now.since(newest.this_update) >= AGE_MAX_SECS
}

/// A CRL is replaced at this age, long before its end.
const AGE_MAX_SECS: i64 = 86_400;
/// Numbers tried before giving up: more than nodes that could be publishing at once.
const NUMBERS_MAX: usize = 8;
/// So long the public waits for a CRL that another node made, before it gets the one on the shelf.
const WAIT_MAX: Duration = Duration::from_secs(2);
