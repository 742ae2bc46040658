//! What is published of the revoked: full CRLs, one series per issuer.
//!
//! Every CRL is an entry of the ledger like any other signature; the newest one in the register is what is served.

use policy::{Action, Actor, Grant, Resource, ResourceKind, Timestamp};
use store::{Credential, Revocations};

use crate::craft::Office;
use crate::craft::crl::draft;
use crate::error::CaError;
use crate::gate::Gate;

/// Who makes CRLs, and knows the newest.
pub(crate) struct Publisher {
    office: Office,
}

impl Publisher {
    pub(crate) fn new(office: Office) -> Publisher {
        Publisher { office }
    }

    /// The newest CRL of an issuer, DER.
    pub(crate) async fn newest(&self, issuer: &str) -> Result<Vec<u8>, CaError> {
        let missing = || CaError::NotFound(format!("CRL of `{issuer}`"));
        self.office.hierarchy.issuing(issuer).map_err(|_| missing())?;
        let newest = self.office.ledger.newest_crl(issuer).await?.ok_or_else(missing)?;
        newest.x509_der().ok_or_else(missing)
    }

    /// Makes a CRL of `label` if one is due; `true` if one was made. `last_number` is the highest number that this process used.
    pub(crate) async fn publish(&self, label: &str, last_number: &mut u64) -> Result<bool, CaError> {
        let issuer = self.office.hierarchy.issuing(label)?;
        let now = self.office.checks.clock.of_crl(&issuer)?;
        for _ in 0..NUMBERS_MAX {
            // What is known of the revoked first, the newest CRL after: it may cover more than was known, never less.
            let revocations = self.office.ledger.revocations(label);
            let newest = self.office.ledger.newest_crl(label).await?;
            if newest.as_ref().is_some_and(|crl| !due(crl, &revocations, now)) {
                return Ok(false);
            }
            let number = newest.as_ref().map_or(0, |crl| number_of(crl)).max(*last_number) + 1;
            *last_number = number;
            let draft = draft(grant(&self.office.gate)?, &issuer, number, &revocations, now)?;
            match self.office.issue(draft).await {
                Ok(_) => return Ok(true),
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

fn due(newest: &Credential, revocations: &Revocations, now: Timestamp) -> bool {
    let told = newest.details.get("revocations").and_then(|n| n.as_u64());
    let age = newest.validity.map_or(i64::MAX, |v| now.since(v.not_before()));
    told != Some(revocations.covers.revocations()) || age >= AGE_MAX_SECS
}

fn number_of(crl: &Credential) -> u64 {
    crl.serial.last_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

/// A CRL is replaced at this age, long before its end.
const AGE_MAX_SECS: i64 = 86_400;
/// Numbers tried before giving up: more than nodes that could be publishing at once.
const NUMBERS_MAX: usize = 8;
