//! Revocation by clients (RFC 8555 section 7.6): by the account that got the certificate, by an account that has proven all its
//! names, or by the certificate's own key.

use ca::{CaError, RevocationReason};
use ring::digest;
use serde::Deserialize;
use store::{Attested, Credential, State};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::proven::has_proven_all;
use crate::gate::{AcmeState, ByEither, actor_id};
use crate::objects::store_problem;
use crate::wire::{ErrorKind, Problem, base64url};

/// The revokeCert payload.
#[derive(Deserialize)]
struct Revoke {
    certificate: String,
    reason: Option<u8>,
}

/// Revokes the certificate in the payload.
pub async fn revoke(state: &AcmeState, by: ByEither) -> Result<(), Problem> {
    let asked: Revoke = match &by {
        ByEither::Account(by) => by.message.object()?,
        ByEither::Key(by) => by.message.object()?,
    };
    let reason = RevocationReason::from_code(asked.reason.unwrap_or(0)).filter(|reason| reason.is_a_subscribers());
    let reason = reason.ok_or_else(|| {
        Problem::new(ErrorKind::BadRevocationReason, "the reason is not one a subscriber may give (0, 1, 3, 4, 5, 9)")
    })?;
    let der = base64url(&asked.certificate, "certificate")?;
    let credential = ours(state, &der).await?;
    let actor = match &by {
        ByEither::Account(by) => {
            let account = &by.account.object;
            if credential.actor.id != actor_id(&account.id) && !has_proven_all(state, account, &credential).await? {
                return Err(Problem::unauthorized(
                    "the certificate is not this account's, nor has it proven all of its names",
                ));
            }
            state.actor(account)
        }
        ByEither::Key(by) => {
            let hash = digest::digest(&digest::SHA256, &by.key.spki_der());
            if hash.as_ref() != credential.key_hash {
                return Err(Problem::unauthorized("the key is not the certificate's key"));
            }
            state.key_holder(&credential.serial_hex(), &by.key)
        }
    };
    let there = credential.reason.and_then(RevocationReason::from_code);
    let is_held = there == Some(RevocationReason::CertificateHold);
    let raises = reason.is_compromise() && !there.is_some_and(RevocationReason::is_compromise);
    if credential.state == State::Revoked && !raises && !is_held {
        return Err(Problem::new(ErrorKind::AlreadyRevoked, "the certificate is revoked already"));
    }
    if let ByEither::Account(by) = &by {
        by.spend(state, 1)?;
    }
    // In a task of its own: a client that hangs up changes nothing.
    let (authority, tasks) = (state.authority().clone(), state.tasks());
    let done = tasks.spawn(async move { authority.revoke_found(&actor, credential, reason).await }).await;
    match done {
        Ok(Ok(_published)) => Ok(()),
        Ok(Err(error)) => Err(problem(&error)),
        Err(_) => Err(Problem::new(ErrorKind::ServerInternal, "the revocation ended without an outcome")),
    }
}

/// The credential behind a certificate, byte for byte, if an ACME account got it here.
async fn ours(state: &AcmeState, der: &[u8]) -> Result<Attested<Credential>, Problem> {
    let malformed = || Problem::malformed("the certificate is not one DER certificate");
    let (rest, certificate) = X509Certificate::from_der(der).map_err(|_| malformed())?;
    if !rest.is_empty() {
        return Err(malformed());
    }
    let serial = certificate.raw_serial().iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    let found = state.authority().ledger().credential(&serial).await.map_err(|error| store_problem(&error))?;
    let unknown = || Problem::not_found("certificate issued here");
    let credential = found.ok_or_else(unknown)?;
    match credential.x509_der().as_deref() == Some(der) && credential.actor.id.starts_with(&actor_id("")) {
        true => Ok(credential),
        false => Err(unknown()),
    }
}

fn problem(error: &CaError) -> Problem {
    match error {
        CaError::Refused(refusal) => {
            Problem::unauthorized(format!("policy refuses this revocation: {}", refusal.missing))
        }
        CaError::NotFound(_) => Problem::not_found("certificate issued here"),
        CaError::Conflict(_) => Problem::new(ErrorKind::AlreadyRevoked, "the certificate is revoked already"),
        CaError::Unavailable { retry_after_secs, why, issuer: _ } => Problem::unavailable(why, *retry_after_secs),
        CaError::Held { why, retry_after_secs } => Problem::held(why, *retry_after_secs),
        CaError::BadRequest { .. } => Problem::malformed(error.to_string()),
        CaError::Lint(_) | CaError::Unknown { .. } | CaError::Altered(_) | CaError::Internal(_) => {
            tracing::error!(%error, "a revocation failed");
            Problem::new(ErrorKind::ServerInternal, "the revocation failed; the operator's log says why")
        }
    }
}
