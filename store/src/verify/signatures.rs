//! Every concluded signature, under the recorded key of its fingerprint, over the exact bytes of its intent.

use std::collections::HashMap;

use hsm::{Algorithm, Message};

use super::report::Report;
use super::rows::cell;
use crate::forms::keys::{self, RecordedKey};
use crate::forms::schema::{INTENT, RECORD};
use crate::log::LogKey;
use crate::rows::{FORM_OBJECT, FORM_WHOLE};
use crate::sql::Cell;

/// The keys that the register recorded, by fingerprint, each with the leaf that first did.
pub(super) struct Keys(HashMap<[u8; 32], (RecordedKey, u64)>);

impl Keys {
    pub fn read(rows: &[Vec<Cell>]) -> Keys {
        let mut keys = HashMap::new();
        for row in rows {
            // A key record that cannot be read is found by its leaf; whoever needs the key is found here.
            let Some(Cell::Text(body)) = cell(&RECORD, row, "body") else { continue };
            let Some(Cell::Int(leaf)) = cell(&RECORD, row, "leaf") else { continue };
            let Ok(leaf) = u64::try_from(*leaf) else { continue };
            if let Ok(key) = keys::read(body) {
                let first = keys.get(&key.fingerprint).map_or(leaf, |(_, there): &(RecordedKey, u64)| leaf.min(*there));
                keys.insert(key.fingerprint, (key, first));
            }
        }
        Keys(keys)
    }

    /// The keys that may sign checkpoints of this origin, each with its leaf.
    pub fn log_keys(&self, origin: &str) -> Vec<(LogKey, u64)> {
        let of_log = self.0.values().filter(|(key, _)| key.purpose == keys::LOG_PURPOSE);
        of_log.filter_map(|(key, leaf)| Some((LogKey::new(origin, key.algorithm, &key.spki).ok()?, *leaf))).collect()
    }
}

/// One signature to check.
pub(super) struct Job {
    pub op: u64,
    pub signature: Vec<u8>,
    /// The intent's row, where it was found.
    pub intent: Option<Vec<Cell>>,
    /// The bytes of its object, where the digest is not enough.
    pub object: Option<Vec<u8>>,
}

impl Job {
    /// Whether it is of an object that was signed whole, as Ed25519 and ML-DSA do: a signature that says nothing without the bytes.
    pub fn wants_object(&self) -> bool {
        let text = |column| match self.intent.as_deref().and_then(|row| cell(&INTENT, row, column)) {
            Some(Cell::Text(text)) => text.as_str(),
            _ => "",
        };
        text("form") == FORM_OBJECT && text("algorithm").parse().is_ok_and(|is: Algorithm| is.hash().is_none())
    }
}

/// Checks signatures on all processors; answers how many it checked.
pub(super) fn check(keys: &Keys, jobs: &[Job], report: &mut Report) -> u64 {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let share = jobs.len().div_ceil(threads).max(1);
    let verdicts: Vec<(u64, Result<(), String>)> = std::thread::scope(|scope| {
        let judge = |jobs: &[Job]| jobs.iter().map(|job| (job.op, verdict(keys, job))).collect::<Vec<_>>();
        let workers: Vec<_> = jobs.chunks(share).map(|some| scope.spawn(move || judge(some))).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap_or_default()).collect()
    });
    if verdicts.len() != jobs.len() {
        report.find("signature", "signatures", "a verifying thread ended early: some were not checked");
    }
    for (op, verdict) in &verdicts {
        if let Err(why) = verdict {
            report.find("signature", format!("conclusion of op={op} column signature"), why.clone());
        }
    }
    verdicts.len() as u64
}

fn verdict(keys: &Keys, job: &Job) -> Result<(), String> {
    let row = job.intent.as_deref().ok_or("its intent is not there")?;
    let (Some(Cell::Blob(key_hash)), Some(Cell::Text(algorithm)), Some(Cell::Text(form)), Some(Cell::Blob(bytes))) = (
        cell(&INTENT, row, "key_hash"),
        cell(&INTENT, row, "algorithm"),
        cell(&INTENT, row, "form"),
        cell(&INTENT, row, "message"),
    ) else {
        return Err("its intent is malformed".into());
    };
    let fingerprint = <[u8; 32]>::try_from(key_hash.as_slice()).map_err(|_| "its key's fingerprint is malformed")?;
    let (key, _) =
        keys.0.get(&fingerprint).ok_or_else(|| format!("its key {} is not recorded", hex::encode(fingerprint)))?;
    let algorithm: Algorithm = algorithm.parse().map_err(|e: hsm::UnknownName| e.to_string())?;
    if algorithm != key.algorithm {
        return Err(format!("made with {algorithm}, by a key for {}", key.algorithm));
    }
    let message = match (form.as_str(), &job.object) {
        (FORM_WHOLE, _) => Message::from(bytes.clone()),
        (FORM_OBJECT, Some(object)) => Message::from(object.clone()),
        (FORM_OBJECT, None) => {
            return hsm::verify_digest(algorithm, &key.spki, bytes, &job.signature).map_err(|e| e.to_string());
        }
        (_, _) => Message::Sha256(bytes.as_slice().try_into().map_err(|_| "its digest is malformed")?),
    };
    hsm::verify(algorithm, &key.spki, &message, &job.signature).map_err(|e| e.to_string())
}
