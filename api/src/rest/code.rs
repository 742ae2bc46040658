//! Code signing over HTTP: keys that live in the token, and signatures over a file's digest.
//!
//! The file itself never comes here: the caller hashes it, so that its size is no limit of ours.

use axum::extract::State as Shared;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ca::{CodeFormat, CodeKeyRequest, CodeRequest};
use http::StatusCode;
use policy::{Action, Owner, Resource};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::certificates::{Certificate, created};
use crate::app::App;
use crate::intake::{Caller, Json, json};
use crate::observe::inventory::{is_narrow, only_owner};
use crate::problem::Problem;

/// What a key is when nobody says.
const ALGORITHM: &str = "p256";

/// A new code-signing key.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewKey {
    /// The key's name, `[a-z0-9][a-z0-9._-]{0,62}`.
    #[schema(example = "release")]
    label: String,
    /// Whose it is.
    #[schema(value_type = String, example = "web")]
    owner: Owner,
    /// `p256` (the default) or an RSA size.
    #[serde(default)]
    algorithm: Option<String>,
    /// The certificate's common name; absent: the label.
    #[serde(default)]
    subject: Option<String>,
}

/// A code-signing key and its newest certificate.
#[derive(Serialize, ToSchema)]
pub(crate) struct CodeKey {
    /// The key's name.
    label: String,
    /// Whose it is.
    #[schema(value_type = String)]
    owner: Owner,
    /// Its newest certificate.
    certificate: Certificate,
}

/// All keys that the caller may see.
#[derive(Serialize, ToSchema)]
pub(crate) struct KeyList {
    items: Vec<CodeKey>,
    /// So many keys whose rows are not what the log says: they sign nothing; told to who sees every owner's, and the status names them.
    #[serde(skip_serializing_if = "Option::is_none")]
    altered: Option<u64>,
}

/// Makes a code-signing key in the token, and its certificate.
#[utoipa::path(post, path = "/api/v1/keys", tag = "code", operation_id = "createCodeKey", request_body = NewKey,
    responses((status = 201, description = "Made", body = Certificate), (status = 409, description = "The label is in use")))]
pub(crate) async fn post_key(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Json(new): Json<NewKey>,
) -> Result<Response, Problem> {
    let algorithm = new.algorithm.as_deref().unwrap_or(ALGORITHM);
    let kind = algorithm.parse().map_err(|error| unknown_algorithm(&error))?;
    let request = CodeKeyRequest { label: new.label, owner: new.owner, kind, subject: new.subject };
    let authority = app.authority().clone();
    let issued = app.to_its_end(async move { authority.create_code_key(&actor, request).await }).await?;
    Ok(created(issued, &app))
}

fn unknown_algorithm(error: &impl std::fmt::Display) -> Problem {
    Problem::field("algorithm", error.to_string())
}

/// Lists code-signing keys: those of the caller's one owner, or all.
#[utoipa::path(get, path = "/api/v1/keys", tag = "code", operation_id = "listCodeKeys",
    responses((status = 200, description = "The keys", body = KeyList)))]
pub(crate) async fn list_keys(Shared(app): Shared<App>, Caller(actor): Caller) -> Result<Response, Problem> {
    let owner = only_owner(&actor);
    let on = Resource::certificate(owner.clone(), "code-signing", Vec::new());
    let _grant = app.authorize(&actor, Action::ReadCertificate, on).await?;
    let keys = app.authority().code_keys().await?;
    let altered = Some(keys.altered).filter(|count| *count > 0 && !is_narrow(&actor));
    let items = keys
        .items
        .into_iter()
        .filter(|(_, of, _)| owner.as_ref().is_none_or(|owner| owner == of))
        .map(|(label, owner, issued)| CodeKey { label, owner, certificate: Certificate::whole(issued, &app) })
        .collect();
    Ok(json(StatusCode::OK, &KeyList { items, altered }))
}

/// A request for a code signature.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SigningWish {
    /// The key's name.
    #[schema(example = "release")]
    key: String,
    /// `raw`: the bare signature; `cms`: a detached CMS SignedData.
    format: Format,
    /// SHA-256 of the file, hex.
    sha256: String,
    /// The file's name, for the register.
    #[serde(default)]
    file_name: Option<String>,
}

/// How a code signature is packed.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Format {
    /// The bare signature.
    Raw,
    /// A detached CMS SignedData, DER.
    Cms,
}

impl From<Format> for CodeFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Raw => Self::Raw,
            Format::Cms => Self::Cms,
        }
    }
}

/// A code signature.
#[derive(Serialize, ToSchema)]
pub(crate) struct Signature {
    /// The operation that made it.
    operation: u64,
    /// As asked for.
    format: Format,
    /// How it signs.
    algorithm: &'static str,
    /// base64 of the signature in its format.
    signature: String,
    /// The signer's certificate and intermediates, PEM.
    chain: String,
}

/// Signs a file's digest with a code-signing key.
#[utoipa::path(post, path = "/api/v1/sign", tag = "code", operation_id = "signCode", request_body = SigningWish,
    responses((status = 201, description = "Signed", body = Signature), (status = 404, description = "No such key")))]
pub(crate) async fn sign(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Json(wish): Json<SigningWish>,
) -> Result<Response, Problem> {
    let sha256 = hex::decode(&wish.sha256).ok().and_then(|bytes| bytes.try_into().ok());
    let sha256 = sha256.ok_or_else(|| Problem::field("sha256", "A SHA-256 is 64 hex digits."))?;
    let request = CodeRequest { key: wish.key, sha256, format: wish.format.into(), file_name: wish.file_name };
    let authority = app.authority().clone();
    let signed = app.to_its_end(async move { authority.sign_code(&actor, request).await }).await?;
    let answer = Signature {
        operation: signed.issued.operation,
        format: wish.format,
        algorithm: signed.issued.algorithm.as_str(),
        signature: STANDARD.encode(&signed.bytes),
        chain: signed.chain_pem,
    };
    Ok(json(StatusCode::CREATED, &answer))
}
