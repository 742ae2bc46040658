//! The proof of an OCSP response, followed step by step: pure, and trusting nobody who handed it over.
//!
//! response -> its place in the batch -> the root in the batch's leaf -> a head that the log's key signed; and the responder's
//! certificate -> its leaf -> such a head. A step that does not hold is a failure that names it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ca::BroughtResponse;
use hsm::{Algorithm, Message};
use serde_json::{Value, json};
use store::{Head, LeafProof, Traced, leaf_hash, root_by_path, signed_head};

use crate::failure::{Exit, Failure, OrFail};
use crate::output::field;

/// A proof as the server or the register answered it.
pub struct Proof(Value);

/// What was found to be so.
pub struct Proved {
    /// The batch's leaf.
    pub batch: Value,
    /// The leaf of the responder's certificate.
    pub responder: Value,
    /// The head that both are under, at the least.
    pub head: Head,
}

/// The profile of responders' certificates, which is no file's.
const RESPONDER_PROFILE: &str = "ocsp";

impl Proof {
    /// As the server answered it.
    pub fn answered(answer: Value) -> Proof {
        Proof(answer)
    }

    /// As the register, or an export of it, says it.
    pub fn traced(traced: &Traced) -> Proof {
        let Traced { batch, leaf, responder, issuer_key } = traced;
        Proof(json!({
            "position": batch.position,
            "messages": batch.messages,
            "path": batch.path.iter().map(|hash| STANDARD.encode(hash)).collect::<Vec<_>>(),
            "batch": proven(leaf),
            "responder": responder.as_ref().map(proven),
            "issuer_key": issuer_key.as_ref().map(|key| STANDARD.encode(key)),
        }))
    }

    /// All of it, for whoever follows it with another program.
    pub fn json(&self) -> &Value {
        &self.0
    }

    /// Follows it from the response to heads that this key signed.
    pub fn follow(&self, response: &BroughtResponse, key: &str) -> Result<Proved, Failure> {
        let part = |name: &str| self.0.get(name).filter(|part| part.is_object());
        let batch = part("batch").ok_or_else(|| broken("it has no batch"))?;
        let (batch, size) = in_log(batch, key)?;
        let said = |name: &str| batch.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        held(said("event") == "intend" && said("kind") == "ocsp-batch", "its leaf is not that of a batch")?;
        let key_hash = batch.get("key").map(|key| field(key, "hash")).unwrap_or_default();
        held(key_hash == hex::encode(response.key_hash()), "its batch was signed with another key")?;
        held(said("algorithm") == response.signed.0.as_str(), "its batch was signed in another way")?;
        let (messages, position) = (number(&batch, "messages")?, number(&self.0, "position")?);
        held(number(&self.0, "messages")? == messages, "its batch has another number of messages")?;
        let root = root_by_path(&leaf_hash(&response.data), position, messages, &hashes(&self.0, "path")?);
        let root = root.map(hex::encode).unwrap_or_default();
        held(root == said("digest"), "its path does not lead to the root in its batch's leaf")?;
        let responder = part("responder").ok_or_else(|| broken("its batch names no responder"))?;
        let (responder, other) = in_log(responder, key)?;
        let said = |name: &str| responder.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let profile = responder.get("profile").map(|profile| field(profile, "name")).unwrap_or_default();
        held(
            said("event") == "intend" && said("kind") == "certificate" && profile == RESPONDER_PROFILE,
            "its responder's leaf is not that of an OCSP responder's certificate",
        )?;
        held(
            said("digest") == hex::encode(sha256(&response.certificate_tbs)),
            "its responder's leaf is that of another certificate",
        )?;
        self.issued(response, &responder)?;
        let head = if size.size <= other.size { size } else { other };
        Ok(Proved { batch, responder, head })
    }
}

impl Proof {
    /// The responder's certificate is signed by the key that its leaf names.
    fn issued(&self, response: &BroughtResponse, leaf: &Value) -> Result<(), Failure> {
        let key = STANDARD.decode(field(&self.0, "issuer_key")).unwrap_or_default();
        let named = leaf.get("key").map(|key| field(key, "hash")).unwrap_or_default();
        held(named == hex::encode(sha256(&key)), "the key of its responder's issuer is another than its leaf names")?;
        let algorithm = field(leaf, "algorithm").parse::<Algorithm>();
        let tbs = Message::from(response.certificate_tbs.clone());
        let is_signed = algorithm
            .is_ok_and(|algorithm| hsm::verify(algorithm, &key, &tbs, &response.certificate_signature).is_ok());
        held(is_signed, "the responder's certificate in it is not as its issuer signed it")
    }
}

fn proven(proof: &LeafProof) -> Value {
    let LeafProof { index, leaf, size, path, checkpoint } = proof;
    json!({
        "index": index,
        "entry": STANDARD.encode(leaf),
        "leaf": serde_json::from_slice::<Value>(leaf).unwrap_or_default(),
        "size": size,
        "proof": path.iter().map(|hash| STANDARD.encode(hash)).collect::<Vec<_>>(),
        "checkpoint": checkpoint,
    })
}

/// The leaf of a proof, read from the very bytes that the log hashed, and the head that it is under.
fn in_log(proof: &Value, key: &str) -> Result<(Value, Head), Failure> {
    let note = proof.get("checkpoint").and_then(Value::as_str);
    let note = note
        .ok_or_else(|| Failure::new(Exit::Unavailable, "no signed head covers it yet").help("ask again in a second"))?;
    let head = signed_head(key, note).or_exit(Exit::Findings, "the head that it is under is not the log's")?;
    let entry = STANDARD.decode(field(proof, "entry")).map_err(|_| broken("a leaf in it is no base64"))?;
    let leaf: Value = serde_json::from_slice(&entry).map_err(|_| broken("a leaf in it is no JSON"))?;
    let index = number(&leaf, "i")?;
    let root = root_by_path(&leaf_hash(&entry), index, head.size, &hashes(proof, "proof")?);
    held(root == Some(head.root), &format!("the path of leaf {index} does not lead to the signed head"))?;
    // What people read beside the bytes is what the bytes say.
    let says = |name: &str, is: Value| proof.get(name).is_none_or(|said| *said == is);
    let so = says("leaf", leaf.clone()) && says("index", index.into()) && says("size", head.size.into());
    held(so, &format!("what it says beside the entry {index} is not what the entry says"))?;
    Ok((leaf, head))
}

fn hashes(of: &Value, name: &str) -> Result<Vec<[u8; 32]>, Failure> {
    let list = of.get(name).and_then(Value::as_array).ok_or_else(|| broken("a path in it is missing"))?;
    let hash = |hash: &Value| STANDARD.decode(hash.as_str()?).ok()?.try_into().ok();
    list.iter().map(hash).collect::<Option<_>>().ok_or_else(|| broken("a path in it is not of hashes"))
}

fn number(of: &Value, name: &str) -> Result<u64, Failure> {
    of.get(name).and_then(Value::as_u64).ok_or_else(|| broken(&format!("it does not say `{name}`")))
}

fn held(is_so: bool, says: &str) -> Result<(), Failure> {
    if is_so { Ok(()) } else { Err(broken(says)) }
}

/// Whoever answered this proves nothing by it.
fn broken(says: &str) -> Failure {
    Failure::new(Exit::Findings, format!("the proof does not hold: {says}"))
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, bytes).as_ref());
    hash
}
