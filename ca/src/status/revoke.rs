//! Revocation: durable first, published next.

use std::sync::Arc;

use policy::{Action, Actor, Name, Principal, Resource, ResourceKind};
use store::{ActorStamp, Attested, Credential, GrantStamp, Kind, LostRevocation, Revocation, State};

use crate::craft::Office;
use crate::error::CaError;
use crate::intake::RevocationReason;
use crate::status::desk::Desks;
use crate::status::shown::Shown;

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
    ) -> Result<(), CaError> {
        let found = self.office.ledger.credential(serial_hex).await?;
        self.revoke_found(actor, found.ok_or_else(|| missing(serial_hex))?, reason).await
    }

    /// The same for one that was found, compared and attested before: no second look-up that could find another.
    pub(crate) async fn revoke_found(
        &self,
        actor: &Actor,
        credential: Attested<Credential>,
        reason: RevocationReason,
    ) -> Result<(), CaError> {
        let serial_hex = credential.serial_hex();
        let (action, resource) = act(&credential).ok_or_else(|| missing(&serial_hex))?;
        let grant = self.office.gate.authorize(actor, action, resource).await?;
        match credential.state {
            State::Issued | State::Intended => {}
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
        self.desks.after_revocation(&credential.issuer).await;
        Ok(())
    }
}

impl Revoker {
    /// Revokes a certificate that is shown: the register's own, or one that it lost. Answers whether it holds it.
    pub(crate) async fn revoke_shown(
        &self,
        actor: &Actor,
        der: &[u8],
        reason: RevocationReason,
    ) -> Result<bool, CaError> {
        let shown = Shown::read(der, &self.office.hierarchy)?;
        let serial_hex = hex::encode(&shown.lost.serial);
        if let Some(found) = self.office.ledger.credential(&serial_hex).await? {
            if found.x509_der().is_some_and(|registered| registered != der) {
                let says = format!("the register has another certificate with the serial {serial_hex}");
                return Err(CaError::Conflict(says));
            }
            return self.revoke_found(actor, found, reason).await.map(|()| true);
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
        self.desks.after_revocation(&issuer).await;
        Ok(false)
    }
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
        Kind::CodeSignature | Kind::Crl => None,
    }
}
