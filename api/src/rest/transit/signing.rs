//! What is signed, or authenticated by HMAC, and held against that.

use axum::extract::State as Shared;
use axum::response::Response;
use http::StatusCode;
use secrets::keyring::{InUse, Request};
use secrets::transit::{Act, Sign, Verify, version_of};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::bytes::Bytes;
use super::{Batch, Hidden, closed, told, used};
use crate::app::App;
use crate::intake::{Caller, Segment};
use crate::problem::Problem;

/// What is to be signed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Messages {
    /// Under which version; absent: the newest.
    #[serde(default)]
    version: Option<u32>,
    /// 1 to 1000.
    items: Vec<Message>,
}

/// One message.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Message {
    /// Base64 of the message itself: no digest of it.
    #[schema(value_type = String)]
    message: Bytes,
    /// Base64: for which context, of a derived key.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    context: Option<Bytes>,
}

/// What was signed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignedMessages {
    /// 1 to 1000.
    items: Vec<SignedMessage>,
}

/// A message and what was made of it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignedMessage {
    /// Base64 of the message.
    #[schema(value_type = String)]
    message: Bytes,
    /// As it was answered: `chy:v1:...`.
    signature: String,
    /// Base64: for which context, of a derived key.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    context: Option<Bytes>,
}

/// What came of a batch.
#[derive(Serialize, ToSchema)]
pub(crate) struct SigningAnswer {
    /// The key.
    key: String,
    /// The entry of the log that says so.
    leaf: u64,
    /// What came of each, in their order.
    items: Vec<SigningItem>,
}

/// What came of one.
#[derive(Default, Serialize, ToSchema)]
pub(crate) struct SigningItem {
    /// `chy:v1:` and base64: of a key that signs its signature, of one that authenticates its HMAC.
    #[serde(skip_serializing_if = "Option::is_none")]
    signature: Option<String>,
    /// Whether it was made of that message by this key.
    #[serde(skip_serializing_if = "Option::is_none")]
    valid: Option<bool>,
    /// Why there is nothing to say.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// The HTTP status that it alone would have had.
    status: u16,
}

/// Signs a batch, or makes HMACs, as the key's kind is.
#[utoipa::path(post, path = "/api/v1/transit/{key}/sign", tag = "transit", operation_id = "transitSign", request_body = Messages,
    params(("key" = String, Path, description = "The key's name")),
    responses((status = 200, description = "What came of each, in their order", body = SigningAnswer)))]
pub(crate) async fn sign(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Segment(name): Segment,
    Hidden(Messages { version, items }): Batch<Messages>,
) -> Result<Response, Problem> {
    let request = Request { act: Act::Sign, items: items.len(), versions: version.into_iter().collect() };
    let work = move |in_use: &InUse| {
        let all: Vec<Sign<'_>> = items.iter().map(Message::of).collect();
        Ok(in_use.key()?.sign(version, &all)?.into_each())
    };
    let (answered, made) = used(&app, &actor, &name, request, work).await?;
    let each = made.into_iter().map(|one| match one {
        Ok(text) => SigningItem { signature: Some(text), status: StatusCode::OK.as_u16(), ..SigningItem::default() },
        Err(error) => SigningItem::refused(error),
    });
    Ok(closed(StatusCode::OK, &SigningAnswer { key: answered.key, leaf: answered.leaf, items: each.collect() }))
}

/// Holds signatures or HMACs against their messages. Whoever has a public key needs nobody for that.
#[utoipa::path(post, path = "/api/v1/transit/{key}/verify", tag = "transit", operation_id = "transitVerify", request_body = SignedMessages,
    params(("key" = String, Path, description = "The key's name")),
    responses((status = 200, description = "What came of each, in their order", body = SigningAnswer)))]
pub(crate) async fn verify(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Segment(name): Segment,
    Hidden(SignedMessages { items }): Batch<SignedMessages>,
) -> Result<Response, Problem> {
    let versions = items.iter().filter_map(|item| version_of(&item.signature)).collect();
    let request = Request { act: Act::Verify, items: items.len(), versions };
    let work = move |in_use: &InUse| {
        let all: Vec<Verify<'_>> = items.iter().map(SignedMessage::of).collect();
        in_use.key()?.verify(&all)
    };
    let (answered, made) = used(&app, &actor, &name, request, work).await?;
    let each = made.into_iter().map(|one| match one {
        Ok(valid) => SigningItem { valid: Some(valid), status: StatusCode::OK.as_u16(), ..SigningItem::default() },
        Err(error) => SigningItem::refused(error),
    });
    Ok(closed(StatusCode::OK, &SigningAnswer { key: answered.key, leaf: answered.leaf, items: each.collect() }))
}

impl SigningItem {
    fn refused(error: secrets::transit::TransitError) -> Self {
        let (error, status) = told(error);
        Self { error: Some(error), status, ..Self::default() }
    }
}

impl Message {
    fn of(&self) -> Sign<'_> {
        Sign { message: &self.message.0, context: self.context.as_ref().map(|bytes| bytes.0.as_slice()) }
    }
}

impl SignedMessage {
    fn of(&self) -> Verify<'_> {
        let context = self.context.as_ref().map(|bytes| bytes.0.as_slice());
        Verify { message: &self.message.0, context, text: &self.signature }
    }
}
