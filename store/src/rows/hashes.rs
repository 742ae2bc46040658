//! The hashes of a batch's messages, kept beside its intent: what leads one OCSP response to the root in the batch's leaf.
//!
//! Neither messages nor signatures are kept (LEAF.md, "Batches"). With these 32 bytes a message whoever has one of them months later
//! is given its audit path. They decide nothing: they are believed where they hash to the root that the leaf names.

use hsm::Batch;
use policy::Timestamp;

use crate::forms::leaf::{Event, Leaf};
use crate::log::{Hash, leaf_hash, tile_root};
use crate::nouns::entry::Kind;

/// So long the hashes of a batch are there, by the log's own time: whoever looks once a year finds those of all of it, and of what came
/// since. Whoever wants a proof for longer asks for it and keeps it: it is a few hundred bytes.
pub(crate) const HASHES_SECS: i64 = 400 * DAY;
/// They go a day later, so that an export that ends at a checkpoint of the same day lacks none.
pub(crate) const GONE_SECS: i64 = HASHES_SECS + DAY;
const DAY: i64 = 86_400;
/// Batches whose hashes go in one transaction. One comes with each that is written: twice as many go, and some.
pub(crate) const GO_MAX: usize = 16;
pub(crate) const HASH_BYTES: usize = 32;

/// The hashes of a batch's messages, end to end.
pub(crate) fn of(batch: &Batch) -> Vec<u8> {
    batch.bytes().flat_map(leaf_hash).collect()
}

/// Those bytes as hashes; none where they are no such.
pub(crate) fn read(bytes: &[u8]) -> Option<Vec<Hash>> {
    let (hashes, rest) = bytes.as_chunks::<HASH_BYTES>();
    (rest.is_empty() && !hashes.is_empty()).then(|| hashes.to_vec())
}

/// Where they lie: `batch op=15`.
pub(crate) fn place(op: u64) -> String {
    format!("batch op={op}")
}

/// Whether a leaf is the intent of a batch.
pub(crate) fn is_batch(leaf: &Leaf) -> bool {
    leaf.event == Event::Intend && leaf.kind == Kind::OcspBatch.as_str()
}

/// The hashes, where they are those of the batch of this leaf; else what is wrong with them.
pub(crate) fn held(leaf: &Leaf, bytes: &[u8]) -> Result<Vec<Hash>, &'static str> {
    let hashes = read(bytes).ok_or("are no hashes of 32 bytes each")?;
    let fits = leaf.messages == Some(hashes.len() as u64)
        && leaf.digest.as_deref() == Some(hex::encode(tile_root(&hashes)).as_str());
    if fits { Ok(hashes) } else { Err("its hashes are not those of the root in its leaf") }
}

/// Whether they may be gone: by the time that a later leaf put into force.
pub(crate) fn may_be_gone(written: Timestamp, latest: Timestamp) -> bool {
    latest.since(written) > HASHES_SECS
}

/// What is said of a batch whose hashes are gone.
pub(crate) fn gone(op: u64) -> String {
    format!("batch {op} may have it, and is so old that the hashes of its messages are not kept any more")
}

/// What is said of hashes that are no batch's.
pub(crate) const NO_BATCH: &str = "no batch has these hashes";
/// What is said of hashes that should be there.
pub(crate) const MISSING: &str = "the hashes of its messages are missing";
