//! The proof of one OCSP response over HTTP: where it stands in its batch, and that the batch is in the log.
//!
//! The whole chain is answered and none of it has to be believed: whoever has the response hashes it, follows the path to the root in
//! the batch's leaf, and that leaf's to a signed head. Who may read the log may ask.

use axum::extract::State as Shared;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ca::{BroughtResponse, OCSP_RESPONSE_BYTES_MAX};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use store::{Found, Sought};
use utoipa::ToSchema;

use super::audit::{Proven, proven};
use crate::app::App;
use crate::intake::{Json, Permitted, ReadsAudit, json};
use crate::problem::{Kind, Problem};

/// A response whose proof is wanted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OcspProofWish {
    /// The OCSP response as it was served, DER in base64, at most 40 KiB.
    response: String,
}

/// A response with the proof that it is of this log.
#[derive(Serialize, ToSchema)]
pub(crate) struct OcspProof {
    /// Its place among the messages of its batch, from 0.
    position: u64,
    /// How many messages the batch has.
    messages: u64,
    /// RFC 6962 audit path from its ResponseData to the root over them, which the batch's leaf names as its `digest`, base64.
    path: Vec<String>,
    /// The batch's leaf.
    batch: Proven,
    /// The leaf of its responder's certificate, whose `digest` is that of the certificate's tbsCertificate.
    responder: Option<Proven>,
    /// The key that signed that certificate, by whose hash its leaf names it: a SubjectPublicKeyInfo, base64.
    issuer_key: Option<String>,
}

/// Proves that an OCSP response is of this log, whether it was made ahead of time or for one who asked.
#[utoipa::path(post, path = "/api/v1/audit/ocsp-proof", tag = "audit", operation_id = "proveOcspResponse",
    request_body = OcspProofWish, responses((status = 200, description = "The proof", body = OcspProof),
        (status = 404, description = "No batch of this log has it, or that was so long ago that nobody keeps what leads to it")))]
pub(crate) async fn prove(
    Shared(app): Shared<App>,
    Permitted { grant, .. }: Permitted<ReadsAudit>,
    Json(wish): Json<OcspProofWish>,
) -> Result<Response, Problem> {
    let wrong = |why: &str| Problem::field("response", format!("{why}."));
    if wish.response.len() > OCSP_RESPONSE_BYTES_MAX.div_ceil(3) * 4 {
        return Err(wrong("Longer than an OCSP response is"));
    }
    let bytes = STANDARD.decode(&wish.response).map_err(|_| wrong("It is no base64"))?;
    let response = BroughtResponse::read(&bytes).map_err(|why| wrong(&format!("Not to be proved: {why}")))?;
    let key_hash = response.key_hash();
    let sought = Sought { message: response.data, begins: response.begins, key_hash };
    let found = match app.ledger().batch_with(sought).await? {
        Found::In(found) => found,
        Found::Gone(batch) => {
            let says = format!(
                "It may be of batch {batch}, which is so old that what leads to its root is not kept any more."
            );
            return Err(Problem::new(Kind::NotFound, says));
        }
        Found::Nowhere => return Err(Problem::new(Kind::NotFound, "No batch of this log has this response.")),
    };
    let batch = app.ledger().credential_by_operation(found.operation).await?;
    let responder = batch.and_then(|batch| batch.details.get("responder")?.as_u64());
    let responder = match responder {
        Some(operation) => Some(proven(&grant, &app, operation).await?),
        None => None,
    };
    let named = responder.as_ref().and_then(|responder| responder.leaf["key"]["hash"].as_str());
    let issuer_key = match named {
        Some(hash) => {
            app.ledger().record_get("key", hash).await?.and_then(|key| Some(key.body["spki"].as_str()?.to_owned()))
        }
        None => None,
    };
    let proof = OcspProof {
        position: found.position,
        messages: found.messages,
        path: found.path.iter().map(|hash| STANDARD.encode(hash)).collect(),
        batch: proven(&grant, &app, found.operation).await?,
        responder,
        issuer_key,
    };
    Ok(json(StatusCode::OK, &proof))
}
