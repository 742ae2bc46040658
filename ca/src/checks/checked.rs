//! What must hold at the moment something is signed, whoever asked for it and however right its bytes are.
//!
//! The page takes a [`Checked`] and nothing else, and a [`Checked`] has one constructor: so no path to a signature can leave
//! one of these checks out. Drafting asks the clock too, since a draft needs the time; that is not relied upon here.

use std::sync::Arc;

use policy::World;
use store::{Entry, Kind, Ledger};

use crate::checks::clock::Clock;
use crate::drafting::Linted;
use crate::error::CaError;
use crate::issuers::compromised::is_compromised;
use crate::issuers::record::KIND;
use crate::issuers::{CaCertificate, Issuing, Standing};

/// What is asked before a signature.
pub(crate) struct Checks {
    /// Time, as far as it can be believed.
    pub(crate) clock: Clock,
    /// The register, which knows the keys that were revoked as compromised. A leaked key does not get better with a new
    /// certificate (CA/Browser Forum baseline requirements, section 6.1.1.3): nothing is issued for it again, by nobody.
    ledger: Ledger,
}

impl Checks {
    pub(crate) fn new(world: World, ledger: &Ledger) -> Checks {
        Checks { clock: Clock::new(world, ledger), ledger: ledger.clone() }
    }

    /// Why nothing is issued under any of these now; `None` while one of them may sign: one that ended leaves the others alone.
    pub(crate) fn held<'a>(&self, issuers: impl Iterator<Item = &'a Arc<Issuing>>) -> Option<String> {
        if let Some(held) = self.ledger.time_held() {
            return Some(held.to_string());
        }
        let mut first = None;
        for issuer in issuers {
            first = first.or(Some(self.stopped(issuer)?));
        }
        first
    }

    /// Why nothing is issued under this CA now: it was revoked, or its time is not now.
    pub(crate) fn stopped(&self, issuer: &Issuing) -> Option<String> {
        self.ended(issuer).or_else(|| self.clock.outside(issuer))
    }

    /// Why nothing is issued under this CA any more; `None` while it may sign. By the fold of the log, at each issuance: it may be
    /// revoked while the service runs, by whichever node; and so may each CA above it.
    pub(crate) fn ended(&self, issuer: &Issuing) -> Option<String> {
        let label = &issuer.label;
        if let Some(ended) = issuer.standing.ended {
            return Some(format!("CA `{label}` is {ended}; nothing is issued under it"));
        }
        self.dead(issuer)
    }

    /// Why nobody believes anything that is signed under this CA any more, an operator's word that it ends apart: what tells of its
    /// revocations goes on after that.
    pub(crate) fn dead(&self, issuer: &Issuing) -> Option<String> {
        let label = &issuer.label;
        if self.is_compromised(&issuer.key.fingerprint()) {
            return Some(self.way_out(issuer, format!("the key of CA `{label}` is compromised")));
        }
        let dead = |certificate: &CaCertificate| {
            certificate.operation.is_some_and(|operation| self.ledger.is_revoked(operation))
                || self.is_compromised(&certificate.key_hash())
        };
        let Some(first) = issuer.chains.first() else {
            return Some(format!("no chain leads from CA `{label}` to a root; nothing is issued under it"));
        };
        if issuer.chains.iter().any(|chain| !chain.iter().any(|certificate| dead(certificate))) {
            return None;
        }
        match first.first().is_some_and(|own| dead(own)) {
            true => Some(self.way_out(issuer, format!("the certificate of CA `{label}` is revoked"))),
            false => Some(format!("every CA above `{label}` is revoked; nothing is issued under it")),
        }
    }

    fn way_out(&self, issuer: &Issuing, why: String) -> String {
        format!(
            "{why}; nothing is issued under it. `chancery ca rotate {}` makes its successor",
            issuer.name().issuer()
        )
    }

    /// Whether a key (SHA-256 of its SubjectPublicKeyInfo) is known to be in other hands.
    pub(crate) fn is_compromised(&self, key_hash: &[u8; 32]) -> bool {
        is_compromised(&self.ledger, key_hash)
    }

    /// Refuses a generation that was ended, or changed since it was read: by the fold, at each signature.
    fn standing(&self, standing: &Standing) -> Result<(), CaError> {
        if self.ledger.record_version(KIND, standing.name.issuer()) != standing.version {
            let why = format!("issuer `{}` was changed at this moment", standing.name.issuer());
            return Err(CaError::unavailable(CHANGED_RETRY_SECS, why));
        }
        match standing.ended {
            Some(ended) => {
                let (name, issuer) = (&standing.name, standing.name.issuer());
                Err(CaError::Conflict(format!(
                    "generation {name} is {ended}; nothing is signed with it. `chancery ca rotate {issuer}` makes the successor of one that \
                     issued"
                )))
            }
            None => Ok(()),
        }
    }
}

/// A linted draft whose issuer is usable and whose key is not compromised, at a time that can be believed. The only thing that
/// the issuance page takes.
pub(crate) struct Checked {
    entry: Entry,
}

impl Checked {
    /// Checks.
    pub(crate) async fn new(linted: Linted, checks: &Checks) -> Result<Checked, CaError> {
        // It is as it was read. CRLs and OCSP go on: what was issued under a generation that ended is revoked still.
        if let Some(standing) = linted.standing().filter(|_| !linted.tells()) {
            checks.standing(standing)?;
        }
        // The clock is believed, and at it the issuer's certificate has begun and lasts long enough.
        match linted.issuer() {
            // They tell of revocations, which no clock holds back.
            Some((issuer, _)) if tells_of_revocations(linted.kind()) => checks.clock.of_crl(issuer)?,
            Some((issuer, needed_secs)) => {
                // And it was not revoked. Its CRLs go on, since its revocations must be told.
                let ended = if linted.tells() { checks.dead(issuer) } else { checks.ended(issuer) };
                if let Some(why) = ended {
                    tracing::error!(%why, "refused");
                    return Err(CaError::Conflict(why));
                }
                checks.clock.now_for(linted.actor(), issuer, needed_secs).await?
            }
            None => checks.clock.now().await?,
        };
        // The key was not revoked as compromised: a holder's, or a CA's of ours.
        if names_a_key(linted.kind()) && checks.is_compromised(linted.key_hash()) {
            return Err(CaError::bad("key", "it was revoked as compromised; make a new key"));
        }
        Ok(Checked { entry: linted.into_entry() })
    }

    /// The ledger's entry, with the linted bytes in it.
    pub(crate) fn into_entry(self) -> Entry {
        self.entry
    }

    /// The page's own tests need something to issue, right or not.
    #[cfg(test)]
    pub(crate) fn for_tests(entry: Entry) -> Checked {
        Checked { entry }
    }
}

fn tells_of_revocations(kind: Kind) -> bool {
    match kind {
        Kind::Crl | Kind::OcspBatch => true,
        Kind::Certificate
        | Kind::SshUser
        | Kind::SshHost
        | Kind::CodeSignature
        | Kind::CaCertificate
        | Kind::CaRequest => false,
    }
}

/// Whether it says of a key that it may be believed.
fn names_a_key(kind: Kind) -> bool {
    match kind {
        Kind::Certificate
        | Kind::SshUser
        | Kind::SshHost
        | Kind::CodeSignature
        | Kind::CaCertificate
        | Kind::CaRequest => true,
        // What tells of revocations goes on, or nobody would hear of them.
        Kind::Crl | Kind::OcspBatch => false,
    }
}

/// It is read again with the next request.
const CHANGED_RETRY_SECS: u32 = 1;
