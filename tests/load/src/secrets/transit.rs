//! Batches that are sealed over REST, beside the cipher alone in this process and the peer's transit where it has one.
//!
//! What of it is the room's is measured elsewhere (`cargo bench -p chancery-secrets --bench transit`); this is the whole request: TLS, JSON, base64
//! both ways, the caller's rights and an entry of the log that is durable before the first item is sealed.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::StatusCode;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use serde_json::{Value, json};

use super::Wish;
use super::peer::{BATCHES, Peer};
use super::reading::{clients, leaves, pid_of};
use super::round::{Asking, Seen, seen};
use crate::error::CompareError;
use crate::house::House;
use crate::rest::Rest;

/// Of a batch.
pub(super) const ITEMS: usize = 100;
/// Of an item.
pub(super) const ITEM_BYTES: usize = 1_024;
/// The key that seals. A register of an earlier run has it.
const KEY: &str = "load";
/// How long the cipher alone works in each round: nothing else does meanwhile.
const ALONE: Duration = Duration::from_millis(500);
/// By so much an answer may be shorter than the first: the digits of an entry's number.
const NUMBER_BYTES: usize = 20;

/// One round of each.
#[derive(Clone, Debug)]
pub(super) struct Batches {
    /// Of one item by the cipher alone, in microseconds of one core.
    pub(super) alone_us: f64,
    /// Of a batch.
    pub(super) ours: Seen,
    pub(super) peer: Option<Seen>,
}

/// What was seen of batches.
#[derive(Clone, Debug)]
pub(super) struct Transit {
    pub(super) rounds: Vec<Batches>,
    pub(super) answers: u64,
    /// What the log has more.
    pub(super) leaves: u64,
    /// What the peer said where it has no transit.
    pub(super) peer_has_none: Option<String>,
}

pub(super) async fn measure(wish: &Wish, house: &House, peer: Option<&Peer>) -> Result<Transit, CompareError> {
    let plain: Vec<Vec<u8>> = (0..ITEMS).map(plaintext).collect();
    let texts: Vec<String> = plain.iter().map(|plain| STANDARD.encode(plain)).collect();
    let mut rest = Rest::new(house)?;
    key(&mut rest).await?;
    let (pid, ours) = (pid_of(house)?, ours(&mut rest, &texts).await?);
    // What is unsealed once, is.
    seen(clients(house, wish)?, pid, &ours, wish.round).await?.without_errors()?;
    let (theirs, peer_has_none) = match peer {
        None => (None, None),
        Some(peer) => match peer.batch(&texts).await? {
            Ok(body) => (Some((peer, theirs(peer, body).await?)), None),
            Err(said) => (None, Some(said)),
        },
    };
    let (mut rounds, mut answers, before) = (Vec::new(), 0, leaves(&mut rest).await?);
    for _ in 0..wish.rounds {
        let alone_us = alone(&plain, ALONE)?;
        let ours = seen(clients(house, wish)?, pid, &ours, wish.round).await?.without_errors()?;
        answers += ours.answers;
        let peer = match &theirs {
            None => None,
            Some((peer, asking)) => Some(seen(peer.clients(wish.clients)?, peer.pid(), asking, wish.round).await?),
        };
        rounds.push(Batches { alone_us, ours, peer });
    }
    let leaves = leaves(&mut rest).await?.saturating_sub(before);
    Ok(Transit { rounds, answers, leaves, peer_has_none })
}

/// The key, made where it is not there.
async fn key(rest: &mut Rest) -> Result<(), CompareError> {
    if rest.get(&format!("/api/v1/transit/keys/{KEY}")).await?.status == StatusCode::OK {
        return Ok(());
    }
    let wish = json!({ "name": KEY, "kind": "aes256-gcm", "mode": "plain", "owner": "default" });
    rest.post("/api/v1/transit/keys", &wish).await.map(|_| ())
}

/// A batch of ours; the first is read to its end, so that all of them are known to seal each item.
async fn ours(rest: &mut Rest, texts: &[String]) -> Result<Arc<Asking>, CompareError> {
    let items: Vec<Value> = texts.iter().map(|text| json!({ "plaintext": text })).collect();
    let (path, body) = (format!("/api/v1/transit/{KEY}/encrypt"), Bytes::from(json!({ "items": items }).to_string()));
    let first = Asking::send(&path, body.clone(), 0).once(rest, 0).await?;
    match sealed(&first.body) {
        ITEMS => Ok(Asking::send(&path, body, first.body.len().saturating_sub(NUMBER_BYTES))),
        count => Err(CompareError::Failed(format!("{path} sealed {count} of {ITEMS} items"))),
    }
}

/// The peer's, held to as long an answer as its first.
async fn theirs(peer: &Peer, body: Bytes) -> Result<Arc<Asking>, CompareError> {
    let mut one = peer.clients(1)?;
    let rest = one.first_mut().ok_or_else(|| CompareError::Failed("no client".into()))?;
    let first = Asking::send(BATCHES, body.clone(), ITEMS * ITEM_BYTES).once(rest, 0).await?;
    Ok(Asking::send(BATCHES, body, first.body.len().saturating_sub(NUMBER_BYTES)))
}

/// How many items an answer says are sealed.
fn sealed(answer: &[u8]) -> usize {
    let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
    let items = answer.get("items").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let is_sealed = |item: &&Value| item["status"] == 200 && item["ciphertext"].is_string();
    items.iter().filter(is_sealed).count()
}

/// Of one item, by ring's AES-256-GCM and nothing else, on this thread.
fn alone(plain: &[Vec<u8>], length: Duration) -> Result<f64, CompareError> {
    let failed = |_| CompareError::Failed("ring's AES-256-GCM refused".into());
    // A key that guards nothing.
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[7; 32]).map_err(failed)?);
    let (mut items, began) = (0_u64, Instant::now());
    while began.elapsed() < length || items == 0 {
        for plain in plain {
            items += 1;
            drop(black_box(alone_one(&key, items, plain).map_err(failed)?));
        }
    }
    Ok(began.elapsed().as_secs_f64() * 1e6 / items as f64)
}

/// A copy of the plaintext, a nonce that counts, the tag.
fn alone_one(key: &LessSafeKey, number: u64, plain: &[u8]) -> Result<Vec<u8>, ring::error::Unspecified> {
    let mut nonce = [0; 12];
    for (to, from) in nonce.iter_mut().rev().zip(number.to_le_bytes()) {
        *to = from;
    }
    let mut sealed = Vec::with_capacity(plain.len() + AES_256_GCM.tag_len());
    sealed.extend_from_slice(plain);
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut sealed)?;
    Ok(sealed)
}

/// One of the batch: none like another.
fn plaintext(number: usize) -> Vec<u8> {
    let byte = u8::try_from(number % 256).unwrap_or_default();
    vec![byte; ITEM_BYTES]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cipher_alone_seals_each_item_with_its_tag_under_a_nonce_of_its_own() {
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[7; 32]).unwrap());
        let (one, other) = (alone_one(&key, 1, &plaintext(5)).unwrap(), alone_one(&key, 256, &plaintext(5)).unwrap());
        assert_eq!((one.len(), other.len()), (ITEM_BYTES + 16, ITEM_BYTES + 16));
        assert_ne!(one, other);
        assert!(alone(&[plaintext(0)], Duration::ZERO).is_ok_and(|us| us > 0.0));
    }

    #[test]
    fn an_item_that_was_not_sealed_is_seen() {
        let good = json!({ "ciphertext": "chy:v1:x", "status": 200 });
        let answer = json!({ "items": [good, { "error": "no", "status": 400 }, good] }).to_string();
        assert_eq!((sealed(answer.as_bytes()), sealed(b"no json")), (2, 0));
    }
}
