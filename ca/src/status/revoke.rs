//! Revocation: durable first, published next.

use std::sync::Arc;

use policy::{Action, Actor, Grant, Name, Principal, Resource, ResourceKind, Timestamp};
use store::{ActorStamp, Attested, Credential, GrantStamp, HOLD, Kind, LostRevocation, RELEASED, Revocation, State};

use crate::craft::Office;
use crate::error::CaError;
use crate::intake::{Ending, RevocationReason};
use crate::status::desk::{Desks, Published};
use crate::status::shown::Shown;

/// A certificate that was shown and is revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownRevoked {
    /// Its serial, lower-case hex.
    pub serial_hex: String,
    /// The register does not hold it: its CRL is all that will speak of it.
    pub is_lost: bool,
    /// Whether its CRL is served.
    pub published: Published,
}

/// Who revokes.
#[derive(Clone)]
pub(crate) struct Revoker {
    pub(crate) office: Office,
    pub(crate) desks: Arc<Desks>,
}

impl Revoker {
    /// Revokes, then publishes the issuer's CRL. An intent without a conclusion can be revoked too: it counts as issued.
    ///
    /// The revocation is durable when this returns, and so is the CRL, unless many have been made in the last seconds; then it
    /// follows within a second, so that many revocations share one.
    pub(crate) async fn revoke(&self, actor: &Actor, serial_hex: &str, ending: Ending) -> Result<Published, CaError> {
        let found = self.office.ledger.credential(serial_hex).await?;
        self.revoke_found(actor, found.ok_or_else(|| missing(serial_hex))?, ending).await
    }

    /// The same for one that was found, compared and attested before: no second look-up that could find another.
    pub(crate) async fn revoke_found(
        &self,
        actor: &Actor,
        credential: Attested<Credential>,
        ending: Ending,
    ) -> Result<Published, CaError> {
        let grant = self.may(actor, &credential).await?;
        self.end(actor, &grant, credential, ending).await
    }

    /// What was on hold counts again. What never was, or is released already, stays as it is.
    pub(crate) async fn release(&self, actor: &Actor, serial_hex: &str) -> Result<Published, CaError> {
        let found = self.office.ledger.credential(serial_hex).await?;
        let credential = found.ok_or_else(|| missing(serial_hex))?;
        let grant = self.may(actor, &credential).await?;
        let serial = credential.serial_hex();
        match credential.state {
            State::Issued => return Ok(self.published(&credential).await),
            State::Revoked if credential.reason == Some(HOLD) => {}
            State::Revoked => return Err(CaError::Conflict(format!("certificate {serial} is revoked for good"))),
            State::Intended | State::Failed => {
                return Err(CaError::Conflict(format!("certificate {serial} was never on hold")));
            }
        }
        if credential.kind == Kind::CaCertificate {
            return Err(CaError::Conflict(format!("certificate {serial} is that of a CA, which is revoked for good")));
        }
        if credential.validity.is_some_and(|validity| validity.not_after() < self.office.ledger.cautious_time()) {
            return Err(CaError::Conflict(format!(
                "certificate {serial} has ended meanwhile: nothing is there to release"
            )));
        }
        self.write(actor, &grant, &credential, RELEASED, None).await?;
        Ok(self.published(&credential).await)
    }

    /// Whether this actor may end it.
    pub(super) async fn may(&self, actor: &Actor, credential: &Credential) -> Result<Grant, CaError> {
        let (action, resource) = act(credential).ok_or_else(|| missing(&credential.serial_hex()))?;
        self.office.gate.authorize(actor, action, resource).await
    }

    async fn end(
        &self,
        actor: &Actor,
        grant: &Grant,
        credential: Attested<Credential>,
        ending: Ending,
    ) -> Result<Published, CaError> {
        self.record_end(actor, grant, &credential, ending).await?;
        Ok(self.published(&credential).await)
    }

    /// Writes the end of a credential, unless it is said already; nothing is published.
    pub(super) async fn record_end(
        &self,
        actor: &Actor,
        grant: &Grant,
        credential: &Attested<Credential>,
        ending: Ending,
    ) -> Result<(), CaError> {
        fits(credential, ending, self.office.ledger.cautious_time())?;
        if is_said(credential, ending)? {
            return Ok(());
        }
        match self.write(actor, grant, credential, ending.reason.code(), ending.invalid).await {
            // Another asked for the same at the same time: what is there now answers both.
            Err(CaError::Conflict(why)) => {
                let again = self.office.ledger.credential_by_operation(credential.operation).await?;
                let is_there = again.is_some_and(|again| is_said(&again, ending).is_ok_and(|said| said));
                if is_there { Ok(()) } else { Err(CaError::Conflict(why)) }
            }
            done => done,
        }
    }

    async fn write(
        &self,
        actor: &Actor,
        grant: &Grant,
        credential: &Credential,
        reason: u8,
        invalid: Option<Timestamp>,
    ) -> Result<(), CaError> {
        let revocation = Revocation {
            operation: credential.operation,
            reason,
            at: self.office.checks.clock.of_revocation(),
            invalid,
            shard: self.office.issuers.read().shard(&credential.issuer, &credential.serial),
            actor: ActorStamp::from(actor),
            grant: GrantStamp::from(grant),
        };
        Ok(self.office.ledger.revoke(revocation).await.map(drop)?)
    }

    async fn published(&self, credential: &Credential) -> Published {
        let shard = self.office.issuers.read().shard(&credential.issuer, &credential.serial);
        self.desks.after_revocation(&credential.issuer, shard).await
    }
}

/// Whether the reason is one for this credential.
fn fits(credential: &Credential, ending: Ending, now: Timestamp) -> Result<(), CaError> {
    let Ending { reason, invalid } = ending;
    let is_ca = credential.kind == Kind::CaCertificate;
    match reason {
        RevocationReason::CaCompromise if !is_ca => {
            return Err(CaError::bad("reason", "ca-compromise is said of the certificate of a CA".to_owned()));
        }
        held if is_ca && !held.is_a_cas() => {
            let says = "a CA is not put on hold: what it issued would count now and then";
            return Err(CaError::bad("reason", says.to_owned()));
        }
        RevocationReason::Unspecified
        | RevocationReason::KeyCompromise
        | RevocationReason::CaCompromise
        | RevocationReason::AffiliationChanged
        | RevocationReason::Superseded
        | RevocationReason::CessationOfOperation
        | RevocationReason::CertificateHold
        | RevocationReason::PrivilegeWithdrawn => {}
    }
    if invalid.is_some_and(|invalid| invalid > now) {
        return Err(CaError::bad("invalid", "the key cannot have been lost in the future".to_owned()));
    }
    Ok(())
}

/// Whether this is what the register says already; an error where it may not be said.
fn is_said(credential: &Credential, ending: Ending) -> Result<bool, CaError> {
    let serial_hex = credential.serial_hex();
    let conflict = |why: &str| Err(CaError::Conflict(format!("certificate {serial_hex} {why}")));
    let there = credential.reason.and_then(RevocationReason::from_code);
    match (credential.state, there) {
        (State::Issued | State::Intended, _) => Ok(false),
        (State::Failed, _) => conflict("was never signed"),
        (State::Revoked, Some(there)) if there == ending.reason => {
            let same = ending.invalid.is_none() || ending.invalid == credential.invalid;
            if same { Ok(true) } else { conflict("is revoked already, with another invalidity date or none") }
        }
        (State::Revoked, Some(RevocationReason::CertificateHold)) => Ok(false),
        // RFC 5280 section 5.3.1: whoever finds out later that the key leaked has it said, and the key refused from then on.
        (State::Revoked, there) if ending.reason.is_compromise() && !there.is_some_and(|r| r.is_compromise()) => {
            Ok(false)
        }
        (State::Revoked, _) => conflict("is revoked already"),
    }
}

impl Revoker {
    /// The CA whose certificate is shown; none where it is another's. One that no CA of ours signed is refused.
    pub(crate) fn shown_ca(&self, certificate: &[u8]) -> Result<Option<String>, CaError> {
        Ok(Shown::read(certificate, &self.office.issuers.read())?.ca_subject())
    }

    /// Revokes a certificate that is shown, PEM or DER: the register's own, or one that it lost.
    pub(crate) async fn revoke_shown(
        &self,
        actor: &Actor,
        certificate: &[u8],
        ending: Ending,
    ) -> Result<ShownRevoked, CaError> {
        let shown = Shown::read(certificate, &self.office.issuers.read())?;
        let serial_hex = hex::encode(&shown.lost.serial);
        if let Some(found) = self.office.ledger.credential(&serial_hex).await? {
            if found.x509_der().is_some_and(|registered| registered != shown.der) {
                let says = format!("the register has another certificate with the serial {serial_hex}");
                return Err(CaError::Conflict(says));
            }
            let published = self.revoke_found(actor, found, ending).await?;
            return Ok(ShownRevoked { serial_hex, is_lost: false, published });
        }
        let (action, resource) = shown.act();
        let grant = self.office.gate.authorize(actor, action, resource).await?;
        let issuer = shown.lost.issuer.clone();
        let shard = self.office.issuers.read().shard(&issuer, &shown.lost.serial);
        if ending.reason == RevocationReason::CertificateHold {
            let says = "what the register lost is not put on hold: nothing could say later what it was";
            return Err(CaError::bad("reason", says.to_owned()));
        }
        let there = self.office.ledger.revocation_of(&issuer, &shown.lost.serial).map(|(_, _, reason)| reason);
        if there != Some(ending.reason.code()) {
            let revocation = LostRevocation {
                of: shown.lost,
                reason: ending.reason.code(),
                at: self.office.checks.clock.of_revocation(),
                invalid: ending.invalid,
                shard,
                actor: ActorStamp::from(actor),
                grant: GrantStamp::from(&grant),
            };
            self.office.ledger.revoke_lost(revocation).await?;
        }
        let published = self.desks.after_revocation(&issuer, shard).await;
        Ok(ShownRevoked { serial_hex, is_lost: true, published })
    }
}

pub(super) fn missing(serial_hex: &str) -> CaError {
    CaError::NotFound(format!("certificate {serial_hex}"))
}

/// What revoking it is, to policy; `None` for what cannot be revoked.
fn act(credential: &Credential) -> Option<(Action, Resource)> {
    let owner = credential.owner.clone();
    match credential.kind {
        Kind::Certificate => {
            let names = credential.names.iter().filter_map(|n| Name::parse(n).ok()).collect();
            Some((Action::RevokeCertificate, Resource::certificate(owner, &credential.profile, names)))
        }
        Kind::SshUser | Kind::SshHost => {
            let principals = credential.names.iter().filter_map(|n| Principal::parse(n).ok()).collect();
            Some((Action::RevokeCertificate, Resource::ssh(owner, principals, &credential.profile)))
        }
        Kind::CaCertificate => Some((Action::ManageAuthority, Resource::plain(ResourceKind::Authority))),
        Kind::CodeSignature | Kind::Crl | Kind::CaRequest | Kind::OcspBatch => None,
    }
}
