//! SSH certificates over HTTP: a user's or a host's public key becomes a certificate of the SSH CA.

use axum::extract::State as Shared;
use axum::response::Response;
use ca::{SshIssued, SshRequest};
use http::StatusCode;
use policy::{Owner, Principal, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::App;
use crate::intake::{Caller, Json, json};
use crate::problem::Problem;

/// A request for an SSH certificate.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewSshCertificate {
    /// The public key, one OpenSSH line.
    #[schema(example = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI... alice@laptop")]
    public_key: String,
    /// Whom it may log in as, or which host it is. Never empty.
    #[schema(value_type = Vec<String>, example = json!(["alice"]))]
    principals: Vec<Principal>,
    /// Whose it is.
    #[schema(value_type = String, example = "web")]
    owner: Owner,
    /// Its life; absent: the profile's.
    #[serde(default)]
    validity_secs: Option<u64>,
    /// What sshd logs before the actor's name, which stands in brackets after it; absent: the actor's name alone.
    #[serde(default)]
    key_id: Option<String>,
}

impl From<NewSshCertificate> for SshRequest {
    fn from(new: NewSshCertificate) -> Self {
        let NewSshCertificate { public_key, principals, owner, validity_secs, key_id } = new;
        Self { owner, public_key, principals, key_id, life: validity_secs.into() }
    }
}

/// An SSH certificate.
#[derive(Serialize, ToSchema)]
pub(crate) struct SshCertificate {
    /// The operation that made it.
    operation: u64,
    /// Its serial, hex.
    serial: String,
    /// One OpenSSH line, for `KEY-cert.pub`.
    certificate: String,
    /// Whom it may log in as, or which host it is.
    principals: Vec<String>,
    /// From when.
    #[schema(value_type = Option<String>, format = DateTime)]
    not_before: Option<Timestamp>,
    /// Until when.
    #[schema(value_type = Option<String>, format = DateTime)]
    not_after: Option<Timestamp>,
}

impl From<SshIssued> for SshCertificate {
    fn from(ssh: SshIssued) -> Self {
        let credential = ssh.issued.into_credential();
        Self {
            operation: credential.operation,
            serial: credential.serial_hex(),
            certificate: ssh.certificate,
            principals: credential.names,
            not_before: credential.validity.map(|validity| validity.not_before()),
            not_after: credential.validity.map(|validity| validity.not_after()),
        }
    }
}

/// Issues an SSH user certificate.
#[utoipa::path(post, path = "/api/v1/ssh/user", tag = "ssh", operation_id = "signSshUser", request_body = NewSshCertificate,
    responses((status = 201, description = "Issued", body = SshCertificate)))]
pub(crate) async fn user(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Json(new): Json<NewSshCertificate>,
) -> Result<Response, Problem> {
    let authority = app.authority().clone();
    let ssh = app.to_its_end(async move { authority.sign_ssh_user(&actor, new.into()).await }).await?;
    Ok(json(StatusCode::CREATED, &SshCertificate::from(ssh)))
}

/// Issues an SSH host certificate.
#[utoipa::path(post, path = "/api/v1/ssh/host", tag = "ssh", operation_id = "signSshHost", request_body = NewSshCertificate,
    responses((status = 201, description = "Issued", body = SshCertificate)))]
pub(crate) async fn host(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Json(new): Json<NewSshCertificate>,
) -> Result<Response, Problem> {
    let authority = app.authority().clone();
    let ssh = app.to_its_end(async move { authority.sign_ssh_host(&actor, new.into()).await }).await?;
    Ok(json(StatusCode::CREATED, &SshCertificate::from(ssh)))
}
