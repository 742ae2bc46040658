//! What is sealed and opened, in batches: each item comes to something, or says why not.

use axum::extract::State as Shared;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use policy::{Action, Resource, ResourceKind};
use ring::rand::SystemRandom;
use secrets::keyring::{InUse, Request};
use secrets::transit::{Act, Each, Encrypt, Sealed, TransitError, random as drawn, version_of};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::bytes::Bytes;
use super::{Answered, Batch, Hidden, closed, told, used};
use crate::app::App;
use crate::intake::{Caller, Json, Segment};
use crate::problem::Problem;

/// What is to be sealed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Plaintexts {
    /// Under which version; absent: the newest.
    #[serde(default)]
    version: Option<u32>,
    /// 1 to 1000.
    items: Vec<Plaintext>,
}

/// One plaintext.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Plaintext {
    /// Base64 of its bytes.
    #[schema(value_type = String)]
    plaintext: Bytes,
    /// Base64: for which context, of a derived key.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    context: Option<Bytes>,
    /// Base64: what else it is bound to; it has to be said again when it is opened.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    associated_data: Option<Bytes>,
}

/// What was sealed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ciphertexts {
    /// Of what is sealed anew: under which version; absent: the newest.
    #[serde(default)]
    version: Option<u32>,
    /// 1 to 1000.
    items: Vec<Ciphertext>,
}

/// One ciphertext.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ciphertext {
    /// As it was answered: `chy:v1:...`.
    ciphertext: String,
    /// Base64: for which context, of a derived key.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    context: Option<Bytes>,
    /// Base64: what else it is bound to.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    associated_data: Option<Bytes>,
}

/// What came of a batch.
#[derive(Serialize, ToSchema)]
pub(crate) struct TransitAnswer {
    /// The key.
    key: String,
    /// The entry of the log that says so.
    leaf: u64,
    /// What came of each, in their order.
    items: Vec<TransitItem>,
}

/// What came of one.
#[derive(Default, Serialize, ToSchema)]
pub(crate) struct TransitItem {
    #[serde(skip_serializing_if = "Option::is_none")]
    ciphertext: Option<String>,
    /// Base64 of its bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    plaintext: Option<String>,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// The HTTP status that it alone would have had.
    status: u16,
}

/// A data key that is asked for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DataKeyWish {
    /// 16, 32 or 64; absent: 32.
    #[serde(default)]
    bytes: Option<usize>,
    /// Whether its bytes are answered too, beside the sealed key.
    #[serde(default)]
    plaintext: bool,
    /// Under which version; absent: the newest.
    #[serde(default)]
    version: Option<u32>,
    /// Base64: for which context, of a derived key.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    context: Option<Bytes>,
    /// Base64: what else it is bound to.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    associated_data: Option<Bytes>,
}

/// A data key.
#[derive(Serialize, ToSchema)]
pub(crate) struct DataKeyAnswer {
    /// The key that sealed it.
    key: String,
    /// The entry of the log that says so.
    leaf: u64,
    /// It, sealed.
    ciphertext: String,
    /// Base64 of its bytes, where they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    plaintext: Option<String>,
}

/// How many random bytes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RandomWish {
    /// 1 to 65536.
    bytes: usize,
}

/// Random bytes.
#[derive(Serialize, ToSchema)]
pub(crate) struct RandomBytes {
    /// In base64.
    base64: String,
}

/// Encrypts a batch. One item that cannot be sealed keeps no other from it.
#[utoipa::path(post, path = "/api/v1/transit/{key}/encrypt", tag = "transit", operation_id = "transitEncrypt", request_body = Plaintexts,
    params(("key" = String, Path, description = "The key's name")),
    responses((status = 200, description = "What came of each, in their order", body = TransitAnswer)))]
pub(crate) async fn encrypt(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Segment(name): Segment,
    Hidden(Plaintexts { version, items }): Batch<Plaintexts>,
) -> Result<Response, Problem> {
    let request = Request { act: Act::Encrypt, items: items.len(), versions: version.into_iter().collect() };
    let work = move |in_use: &InUse| {
        let all: Vec<Encrypt<'_>> = items.iter().map(Plaintext::of).collect();
        Ok(in_use.key()?.encrypt(version, &all, &mut SystemRandom::new())?.into_each())
    };
    let (answered, made) = used(&app, &actor, &name, request, work).await?;
    Ok(closed(StatusCode::OK, &TransitAnswer::sealed(answered, made)))
}

/// Decrypts a batch, each under the version that sealed it.
#[utoipa::path(post, path = "/api/v1/transit/{key}/decrypt", tag = "transit", operation_id = "transitDecrypt", request_body = Ciphertexts,
    params(("key" = String, Path, description = "The key's name")),
    responses((status = 200, description = "What came of each, in their order", body = TransitAnswer)))]
pub(crate) async fn decrypt(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Segment(name): Segment,
    Hidden(Ciphertexts { version, items }): Batch<Ciphertexts>,
) -> Result<Response, Problem> {
    if version.is_some() {
        return Err(Problem::field("version", "Each text says which version opens it."));
    }
    let named = items.iter().filter_map(|item| version_of(&item.ciphertext)).collect();
    let request = Request { act: Act::Decrypt, items: items.len(), versions: named };
    let work = move |in_use: &InUse| {
        let all: Vec<Sealed<'_>> = items.iter().map(Ciphertext::of).collect();
        let opened = in_use.key()?.decrypt(&all)?;
        Ok(opened.into_iter().map(|one| one.map(|plain| STANDARD.encode(plain.as_slice()))).collect())
    };
    let (answered, made): (_, Each<String>) = used(&app, &actor, &name, request, work).await?;
    let item = |plain| TransitItem { plaintext: Some(plain), ..TransitItem::default() };
    Ok(closed(StatusCode::OK, &TransitAnswer::of(answered, made, item)))
}

/// Seals anew what an older version sealed. What it was bound to stays, and what was sealed is shown to nobody.
#[utoipa::path(post, path = "/api/v1/transit/{key}/rewrap", tag = "transit", operation_id = "transitRewrap", request_body = Ciphertexts,
    params(("key" = String, Path, description = "The key's name")),
    responses((status = 200, description = "What came of each, in their order", body = TransitAnswer)))]
pub(crate) async fn rewrap(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Segment(name): Segment,
    Hidden(Ciphertexts { version, items }): Batch<Ciphertexts>,
) -> Result<Response, Problem> {
    let named = items.iter().filter_map(|item| version_of(&item.ciphertext)).chain(version).collect();
    let request = Request { act: Act::Rewrap, items: items.len(), versions: named };
    let work = move |in_use: &InUse| {
        let all: Vec<Sealed<'_>> = items.iter().map(Ciphertext::of).collect();
        Ok(in_use.key()?.rewrap(version, &all, &mut SystemRandom::new())?.into_each())
    };
    let (answered, made) = used(&app, &actor, &name, request, work).await?;
    Ok(closed(StatusCode::OK, &TransitAnswer::sealed(answered, made)))
}

/// Draws a key for the caller to encrypt with on his own, and seals it: what he keeps beside what he encrypts.
#[utoipa::path(post, path = "/api/v1/transit/{key}/data-key", tag = "transit", operation_id = "transitDataKey", request_body = DataKeyWish,
    params(("key" = String, Path, description = "The key's name")),
    responses((status = 200, description = "The key", body = DataKeyAnswer)))]
pub(crate) async fn data_key(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Segment(name): Segment,
    Hidden(wish): Batch<DataKeyWish>,
) -> Result<Response, Problem> {
    let request = Request { act: Act::DataKey, items: 1, versions: wish.version.into_iter().collect() };
    let work = move |in_use: &InUse| {
        let item = Encrypt { plain: b"", context: given(&wish.context), associated: bound(&wish.associated_data) };
        let bytes = wish.bytes.unwrap_or(DATA_KEY_BYTES);
        in_use.key()?.data_key(wish.version, bytes, wish.plaintext, &item, &mut SystemRandom::new())
    };
    let (Answered { key, leaf }, made) = used(&app, &actor, &name, request, work).await?;
    let plaintext = made.plain.map(|plain| STANDARD.encode(plain.as_slice()));
    Ok(closed(StatusCode::OK, &DataKeyAnswer { key, leaf, ciphertext: made.wrapped, plaintext }))
}

/// Draws random bytes. They are nobody's, and no entry of the log says of them.
#[utoipa::path(post, path = "/api/v1/transit/random", tag = "transit", operation_id = "transitRandom", request_body = RandomWish,
    responses((status = 200, description = "The bytes", body = RandomBytes)))]
pub(crate) async fn random(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Json(wish): Json<RandomWish>,
) -> Result<Response, Problem> {
    let on = Resource::plain(ResourceKind::TransitKey);
    let _grant = app.authorize(&actor, Action::TransitRandom, on).await?;
    let bytes = drawn(wish.bytes, &mut SystemRandom::new())?;
    Ok(closed(StatusCode::OK, &RandomBytes { base64: STANDARD.encode(bytes.as_slice()) }))
}

impl Plaintext {
    fn of(&self) -> Encrypt<'_> {
        Encrypt { plain: &self.plaintext.0, context: given(&self.context), associated: bound(&self.associated_data) }
    }
}

impl Ciphertext {
    fn of(&self) -> Sealed<'_> {
        Sealed { text: &self.ciphertext, context: given(&self.context), associated: bound(&self.associated_data) }
    }
}

impl TransitAnswer {
    fn sealed(answered: Answered, made: Each<String>) -> Self {
        Self::of(answered, made, |text| TransitItem { ciphertext: Some(text), ..TransitItem::default() })
    }

    fn of(answered: Answered, made: Each<String>, item: impl Fn(String) -> TransitItem) -> Self {
        let each = |one: Result<String, TransitError>| match one {
            Ok(made) => TransitItem { status: StatusCode::OK.as_u16(), ..item(made) },
            Err(error) => {
                let (error, status) = told(error);
                TransitItem { error: Some(error), status, ..TransitItem::default() }
            }
        };
        Self { key: answered.key, leaf: answered.leaf, items: made.into_iter().map(each).collect() }
    }
}

fn given(bytes: &Option<Bytes>) -> Option<&[u8]> {
    bytes.as_ref().map(|bytes| bytes.0.as_slice())
}

fn bound(bytes: &Option<Bytes>) -> &[u8] {
    given(bytes).unwrap_or_default()
}

/// A key of AES-256.
const DATA_KEY_BYTES: usize = 32;
