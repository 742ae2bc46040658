//! A credential as it is shown.

use ca::RevocationReason;
use policy::{Owner, Timestamp};
use serde::Serialize;
use store::{Credential, Issued, Kin};
use utoipa::ToSchema;

use super::fetched::Fetched;
use crate::app::App;
use crate::observe::inventory::{self, Standing};

const PEM_END: &str = "-----END CERTIFICATE-----\n";

/// A credential of the register.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Certificate {
    /// The operation that made it: the index of its intent in the log.
    operation: u64,
    /// The serial, in hex.
    serial: String,
    /// `certificate`, `ca-certificate`, `ssh-user`, `ssh-host`, `code-signature`, `crl`, `ocsp-batch`.
    kind: &'static str,
    /// `intended`, `issued`, `expired`, `failed`, `revoked`; `held`: revoked until it is released.
    state: &'static str,
    /// The profile it was made under.
    profile: String,
    /// The issuer's label.
    issuer: String,
    /// Whose it is.
    #[schema(value_type = Option<String>)]
    owner: Option<Owner>,
    /// The subject, for display.
    subject: String,
    /// Names or principals.
    names: Vec<String>,
    /// The first second of its validity.
    #[schema(value_type = Option<String>, format = DateTime)]
    not_before: Option<Timestamp>,
    /// The last second of its validity.
    #[schema(value_type = Option<String>, format = DateTime)]
    not_after: Option<Timestamp>,
    /// SHA-256 of the subject's public key, hex.
    key_hash: String,
    /// Another program signed it with its CA's key, and it was taken in; its profile is `imported`.
    imported: bool,
    /// Who asked for it; of an imported one, who took it in.
    actor: String,
    /// Whether the server renews it.
    renew: bool,
    /// Who is expected to renew it: `server`, `agent`, `acme`, `nobody`. Believed while the new one comes in time.
    renewer: &'static str,
    /// From when on somebody should act if nothing took its place; none where its life is too short for that.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    act_at: Option<Timestamp>,
    /// From when on it should be renewed, and not later by much. Where one alone is shown.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    renew_at: Option<Timestamp>,
    /// Why that is before its time: `revoked`, `issuer-ended` (its CA is revoked or compromised), `drill`. In lists `issuer-ended` alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    replace: Option<&'static str>,
    /// Whether a later certificate of the same kind, profile, owner and names took its place.
    replaced: bool,
    /// The serial of the one it took the place of.
    #[serde(skip_serializing_if = "Option::is_none")]
    predecessor: Option<String>,
    /// The serial of the one that took its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    successor: Option<String>,
    /// When it was revoked.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked_at: Option<Timestamp>,
    /// Since when its key is not to be trusted, where that was said.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    invalid_at: Option<Timestamp>,
    /// Why it was revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    /// Of a code signature: when it was made.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    signed_at: Option<Timestamp>,
    /// What its CSR asked for and did not get: extensions that programs send by habit, by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    left_out: Vec<String>,
    /// In the answer to a revocation: `published`, a CRL that has it is served; `pending`, it follows. Absent where no CRL is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    crl: Option<&'static str>,
    /// Of one that the server renewed by itself: who was first given it. Absent: nobody was, and what is in use is the one before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    fetched: Option<Fetched>,
    /// The certificate, PEM. Not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate: Option<String>,
    /// The certificate and its intermediates, PEM. Not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    chain: Option<String>,
}

impl Certificate {
    /// Without the PEM texts.
    pub(crate) fn row(credential: Credential, now: Timestamp) -> Self {
        Self {
            operation: credential.operation,
            serial: credential.serial_hex(),
            kind: credential.kind.as_str(),
            state: Standing::of(&credential, now).as_str(),
            renewer: credential.renewer().as_str(),
            act_at: credential.look_at(),
            renew_at: None,
            replace: None,
            replaced: false,
            predecessor: None,
            successor: None,
            renew: credential.details.get("renew").and_then(serde_json::Value::as_bool).unwrap_or(false),
            not_before: credential.validity.map(|validity| validity.not_before()),
            not_after: credential.validity.map(|validity| validity.not_after()),
            key_hash: hex::encode(credential.key_hash),
            imported: credential.imported.is_some(),
            reason: credential.reason.and_then(RevocationReason::from_code).map(RevocationReason::as_str),
            revoked_at: credential.revoked_at,
            invalid_at: credential.invalid,
            left_out: ca::left_out(&credential),
            signed_at: credential.concluded_at.filter(|_| credential.kind == store::Kind::CodeSignature),
            profile: credential.profile,
            issuer: credential.issuer,
            owner: credential.owner,
            subject: credential.subject,
            names: credential.names,
            actor: credential.actor.id,
            crl: None,
            fetched: None,
            certificate: None,
            chain: None,
        }
    }

    /// With the PEM texts.
    pub(crate) fn whole(issued: Issued, app: &App) -> Self {
        let chain = app.authority().chain_pem(&issued);
        let certificate = chain.find(PEM_END).and_then(|end| chain.get(..end + PEM_END.len())).map(str::to_owned);
        Self { certificate, chain: Some(chain), ..Self::row(issued.into_credential(), app.world().now()) }
    }

    /// With who was first given it.
    pub(super) fn fetched(self, fetched: Option<Fetched>) -> Self {
        Self { fetched, ..self }
    }

    /// With where its CRL is.
    pub(super) fn on_crl(self, crl: Option<&'static str>) -> Self {
        Self { crl, ..self }
    }

    /// With when it should be renewed.
    pub(super) fn due(self, renewal: Option<ca::Renewal>) -> Self {
        let replace = renewal.as_ref().and_then(|renewal| renewal.why.as_ref()).map(ca::Why::as_str);
        Self { renew_at: renewal.map(|renewal| renewal.from), replace, ..self }
    }

    /// One of a list: nobody believes what a CA issued that is over, and a list shall not say that all is well.
    pub(super) fn listed(entry: inventory::Entry, app: &App, now: Timestamp) -> Self {
        let replace = entry.is_orphaned(app.authority(), now).then(|| ca::Why::IssuerEnded.as_str());
        Self { replace, ..Self::row(entry.credential, now) }.beside(entry.kin)
    }

    /// With who stands before and after it.
    pub(crate) fn beside(self, kin: Kin) -> Self {
        let Kin { predecessor, successor, replaced } = kin;
        Self { predecessor, successor, replaced, ..self }
    }
}
