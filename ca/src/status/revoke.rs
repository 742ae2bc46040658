//! Revocation: durable first, published next.

use std::sync::Arc;

use policy::{Action, Actor, Name, Principal, Resource, ResourceKind};
use store::{ActorStamp, Attested, Credential, GrantStamp, Kind, LostRevocation, Revocation, State};

use crate::craft::Office;
use crate::error::CaError;
use crate::intake::RevocationReason;
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
pub(crate) struct Revoker {
    pub(crate) office: Office,
    pub(crate) desks: Arc<Desks>,
}

impl Revoker {
    /// Revokes, then publishes the issuer's CRL. An intent without a conclusion can be revoked too: it counts as issued.
    ///
    /// The revocation is durable when this returns, and so is the CRL, unless many have been made in the last seconds; then it
    /// follows within a second, so that many revocations share one.
    pub(crate) async fn revoke(
        &self,
        actor: &Actor,
        serial_hex: &str,
        reason: RevocationReason,
    ) -> Result<Published, CaError> {
        let found = self.office.ledger.credential(serial_hex).await?;
        self.revoke_found(actor, found.ok_or_else(|| missing(serial_hex))?, reason).await
    }

    /// The same for one that was found, compared and attested before: no second look-up that could find another.
    pub(crate) async fn revoke_found(
        &self,
        actor: &Actor,
        credential: Attested<Credential>,
        reason: RevocationReason,
    ) -> Result<Published, CaError> {
        let serial_hex = credential.serial_hex();
        let (action, resource) = act(&credential).ok_or_else(|| missing(&serial_hex))?;
        let grant = self.office.gate.authorize(actor, action, resource).await?;
        match credential.state {
            State::Issued | State::Intended => {}
            // RFC 5280 section 5.3.1: whoever finds out later that the key leaked has it said, and the key refused from then on.
            State::Revoked if raises(credential.reason, reason) => {}
            State::Revoked => return Err(CaError::Conflict(format!("certificate {serial_hex} is revoked already"))),
            State::Failed => return Err(CaError::Conflict(format!("certificate {serial_hex} was never signed"))),
        }
        let revocation = Revocation {
            operation: credential.operation,
            reason: reason.code(),
            at: self.office.checks.clock.of_revocation(),
            actor: ActorStamp::from(actor),
            grant: GrantStamp::from(&grant),
        };
        self.office.ledger.revoke(revocation).await?;
        Ok(self.desks.after_revocation(&credential.issuer).await)
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
        reason: RevocationReason,
    ) -> Result<ShownRevoked, CaError> {
        let shown = Shown::read(certificate, &self.office.issuers.read())?;
        let serial_hex = hex::encode(&shown.lost.serial);
        if let Some(found) = self.office.ledger.credential(&serial_hex).await? {
            if found.x509_der().is_some_and(|registered| registered != shown.der) {
                let says = format!("the register has another certificate with the serial {serial_hex}");
                return Err(CaError::Conflict(says));
            }
            let published = self.revoke_found(actor, found, reason).await?;
            return Ok(ShownRevoked { serial_hex, is_lost: false, published });
        }
        let (action, resource) = shown.act();
        let grant = self.office.gate.authorize(actor, action, resource).await?;
        let revocation = LostRevocation {
            of: shown.lost,
            reason: reason.code(),
            at: self.office.checks.clock.of_revocation(),
            actor: ActorStamp::from(actor),
            grant: GrantStamp::from(&grant),
        };
        let issuer = revocation.of.issuer.clone();
        self.office.ledger.revoke_lost(revocation).await?;
        let published = self.desks.after_revocation(&issuer).await;
        Ok(ShownRevoked { serial_hex, is_lost: true, published })
    }
}

/// Whether a reason may take the place of the one that is there.
fn raises(there: Option<u8>, reason: RevocationReason) -> bool {
    reason == RevocationReason::KeyCompromise && there != Some(RevocationReason::KeyCompromise.code())
}

fn missing(serial_hex: &str) -> CaError {
    CaError::NotFound(format!("certificate {serial_hex}"))
}

/// What revoking it is, to policy; `None` for what cannot be revoked.
fn act(credential: &Attested<Credential>) -> Option<(Action, Resource)> {
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
