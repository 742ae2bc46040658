//! The proof of one message of a batch, made from bytes alone: what a running service answers, of a register in place or an exported
//! folder.
//!
//! It judges as little as a server that answers: whoever is given the proof follows its paths, and holds the heads to a key that he
//! has from elsewhere.

use policy::Timestamp;

use super::auditor::Source;
use super::database::Tables;
use super::evidence::Traces;
use super::folder::Folder;
use super::rows::cell;
use crate::forms::keys;
use crate::forms::leaf::Leaf;
use crate::forms::schema::{INTENT, RECORD};
use crate::log::{Checkpoint, inclusion_proof_by, leaf_hash, path_among};
use crate::nouns::batch::{InBatch, LeafProof, Sought, Traced};
use crate::nouns::error::StoreError;
use crate::rows::hashes;
use crate::sql::Cell;

/// Finds the batch of a message and leads it to the newest checkpoint; none where no batch has it. Blocks: call it off the async threads.
pub fn trace(source: impl Into<Source>, sought: &Sought) -> Result<Option<Traced>, StoreError> {
    match source.into() {
        Source::Database(database) => in_source(&mut Tables::open(&database)?, sought),
        Source::Folder(dir) => in_source(&mut Folder::open(&dir)?, sought),
    }
}

fn in_source(source: &mut dyn Traces, sought: &Sought) -> Result<Option<Traced>, StoreError> {
    let note = source.newest()?.ok_or_else(|| StoreError::NotFound("no checkpoint yet".into()))?;
    let size = Checkpoint::parse(&note).map_err(StoreError::Corrupt)?.size;
    let hash = leaf_hash(&sought.message);
    let latest = match size.checked_sub(1) {
        Some(last) => read(source, last)?.time.parse().unwrap_or(Timestamp::from_unix(0)),
        None => Timestamp::from_unix(0),
    };
    let (mut gone, mut doubt) = (None, None);
    for op in source.batches(sought)? {
        if op >= size {
            doubt = doubt.or(Some((op, "is not yet under a signed head")));
            continue;
        }
        let leaf = read(source, op)?;
        let there = match source.hashes(op)? {
            Some(bytes) => hashes::held(&leaf, &bytes),
            None if leaf.time.parse().is_ok_and(|at| hashes::may_be_gone(at, latest)) => {
                gone = gone.or(Some(op));
                continue;
            }
            None => Err(hashes::MISSING),
        };
        match there {
            Ok(there) => {
                if let Some(at) = there.iter().position(|there| *there == hash) {
                    let path = path_among(&there, at).unwrap_or_default();
                    let batch = InBatch { operation: op, position: at as u64, messages: there.len() as u64, path };
                    return traced(source, batch, (size, &note)).map(Some);
                }
            }
            Err(says) => doubt = doubt.or(Some((op, says))),
        }
    }
    match (doubt, gone) {
        (Some((op, says)), _) => Err(StoreError::Altered(format!("{}: {says}", hashes::place(op)))),
        (None, Some(op)) => Err(StoreError::NotFound(hashes::gone(op))),
        (None, None) => Ok(None),
    }
}

fn traced(source: &mut dyn Traces, batch: InBatch, head: (u64, &str)) -> Result<Traced, StoreError> {
    let row = source.intent(batch.operation)?;
    let details = match row.as_ref().and_then(|row| cell(&INTENT, row, "details")) {
        Some(Cell::Text(details)) => serde_json::from_str(details).unwrap_or_default(),
        _ => serde_json::Value::Null,
    };
    let responder = match details.get("responder").and_then(serde_json::Value::as_u64) {
        Some(op) => Some(proof(source, op, head)?),
        None => None,
    };
    let issuer_key = match &responder {
        Some(responder) => issuer_key(source, responder)?,
        None => None,
    };
    Ok(Traced { issuer_key, leaf: proof(source, batch.operation, head)?, batch, responder })
}

/// The recorded key that a leaf names.
fn issuer_key(source: &mut dyn Traces, of: &LeafProof) -> Result<Option<Vec<u8>>, StoreError> {
    let leaf = Leaf::parse(&of.leaf).map_err(StoreError::Corrupt)?;
    let Some(named) = leaf.key else { return Ok(None) };
    let id = Cell::Text(named.hash);
    let row = source.keys()?.into_iter().find(|row| cell(&RECORD, row, "id") == Some(&id));
    Ok(match row.as_ref().and_then(|row| cell(&RECORD, row, "body")) {
        Some(Cell::Text(body)) => keys::read(body).ok().map(|key| key.spki),
        Some(_) | None => None,
    })
}

fn proof(source: &mut dyn Traces, index: u64, (size, note): (u64, &str)) -> Result<LeafProof, StoreError> {
    let leaf = source.leaf(index)?.ok_or_else(|| missing(index))?;
    let path = inclusion_proof_by(&mut |level, n, width| source.part(level, n, width), index, size)?;
    Ok(LeafProof { index, leaf, size, path, checkpoint: note.to_owned() })
}

fn read(source: &mut dyn Traces, index: u64) -> Result<Leaf, StoreError> {
    let bytes = source.leaf(index)?.ok_or_else(|| missing(index))?;
    Leaf::parse(&bytes).map_err(|why| StoreError::Corrupt(format!("leaf idx={index}: {why}")))
}

fn missing(index: u64) -> StoreError {
    StoreError::Altered(format!("leaf idx={index}: the leaf is missing"))
}
