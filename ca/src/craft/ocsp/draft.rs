//! Drafts of responses: those of a moment in one batch.

use std::sync::Arc;

use hsm::{Batch, Message};
use policy::{Grant, Timestamp, Validity};
use serde_json::json;
use store::Kind;

use crate::craft::ocsp::lint::Responses;
use crate::craft::ocsp::responder::Responder;
use crate::craft::ocsp::said::{RESPONSE_SECS, Wanted};
use crate::drafting::{BACKDATE_SECS_MAX, Draft, Facts, ProfileStamp};
use crate::encode::ocsp::{Status, Times};
use crate::error::DraftError;

/// From when to when responses of this moment hold: from a little in the past, for relying parties whose clock is behind, but not
/// before the newest revocation they tell of; until a day and a half from now, and never past the responder's own end. Each ends with
/// its certificate, where that ends before.
pub(crate) fn times(responder: &Responder, now: Timestamp, wanted: &[Wanted]) -> Result<Times, DraftError> {
    let told = wanted.iter().flat_map(|wanted| &wanted.said).filter_map(|said| match said.status {
        Status::Revoked { at, .. } => Some(at),
        Status::Good | Status::Unknown => None,
    });
    let early = now.plus_secs(-BACKDATE_SECS_MAX).max(responder.validity.not_before());
    let this_update = told.max().map_or(early, |told| early.max(told)).min(now);
    let next_update = now.plus_secs(RESPONSE_SECS).min(responder.validity.not_after());
    match next_update > now {
        true => Ok(Times { produced: now, this_update, next_update }),
        false => Err(DraftError::new("validity", "its responder has ended")),
    }
}

/// Drafts the responses of a moment; 1 to [`BATCH_MAX`](hsm::BATCH_MAX).
pub(crate) fn draft(
    grant: Grant,
    responder: &Arc<Responder>,
    wanted: Vec<Wanted>,
    times: Times,
) -> Result<Draft<Responses>, DraftError> {
    let messages = wanted.iter().map(|wanted| wanted.data(responder, times)).collect::<Result<Vec<_>, _>>()?;
    let batch = Batch::new(messages).ok_or_else(|| DraftError::new("batch", "of no responses, or of too many"))?;
    let count =
        |is: fn(&Status) -> bool| wanted.iter().flat_map(|wanted| &wanted.said).filter(|said| is(&said.status)).count();
    let issuer = &responder.issuer;
    let facts = Facts {
        kind: Kind::OcspBatch,
        profile: ProfileStamp::built_in("ocsp-response", TEXT),
        key: responder.key.clone(),
        subject: format!("{} OCSP responses of {}", wanted.len(), issuer.subject),
        message: Message::Batch(batch),
        serial: Vec::new(),
        issuer: issuer.label.clone(),
        owner: None,
        names: Vec::new(),
        key_hash: responder.key.fingerprint(),
        validity: Validity::new(times.this_update, times.next_update).ok(),
        covers: None,
        renews: None,
        details: json!({
            "good": count(|status| matches!(status, Status::Good)),
            "revoked": count(|status| matches!(status, Status::Revoked { .. })),
            "unknown": count(|status| matches!(status, Status::Unknown)),
            "responder": responder.operation,
        }),
    };
    Ok(Draft::new(grant, facts, Responses { responder: responder.clone(), wanted, times }))
}

/// What its responses are, for whoever reads the log.
pub(crate) const TEXT: &str = "ocsp-response v1: a batch of ResponseData, responder by key, a day and a half";
