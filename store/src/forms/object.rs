//! Large objects: what is signed whole and is no column of its intent. A CRL is as large as its issuer's past.
//!
//! The intent holds the digest that the key signs; the bytes lie beside it in chunks, written in the same transaction. They go
//! in the transaction that concludes a newer CRL of the issuer; the digest and the signature over it stay for ever.

use std::sync::Arc;

use hsm::{Algorithm, Message};
use ring::digest::{self, Context, SHA256};

use crate::nouns::entry::Entry;

/// Bytes of a row: small beside what a connection may hold, large beside what a row costs.
pub(crate) const CHUNK_BYTES: usize = 1 << 20;
/// Five million entries of a CRL. DER's readers end at 256 MiB.
pub(crate) const OBJECT_BYTES_MAX: usize = 255 << 20;
/// The table numbers an object's chunks in nine bits: slot = op * 512 + n.
pub(crate) const OBJECT_SLOTS: u64 = 512;
const _: () = assert!(OBJECT_BYTES_MAX.div_ceil(CHUNK_BYTES) <= OBJECT_SLOTS as usize);

/// An object that is about to be written.
#[derive(Debug)]
pub(crate) struct Object {
    pub bytes: Arc<[u8]>,
    /// What the intent holds instead.
    pub digest: Vec<u8>,
}

impl Object {
    /// The object of an entry; none where the message is a column. `sha256` is the message's.
    pub fn of(entry: &Entry, sha256: &[u8; 32]) -> Option<Object> {
        // What the fold keeps is what says that it covers something: a CRL.
        let (Some(_), Message::Whole(bytes)) = (entry.covers, &entry.message) else { return None };
        let digest = match hash(entry.key.algorithm()) {
            hash if *hash == SHA256 => sha256.to_vec(),
            other => digest::digest(other, bytes).as_ref().to_vec(),
        };
        Some(Object { bytes: Arc::clone(bytes), digest })
    }

    /// Its rows, in their order.
    pub fn chunks(&self) -> impl Iterator<Item = &[u8]> {
        self.bytes.chunks(CHUNK_BYTES)
    }
}

/// Where an object lies: `object slot=7680 op=15`.
pub(crate) fn place(op: u64) -> String {
    format!("object slot={} op={op}", op.saturating_mul(OBJECT_SLOTS))
}

/// The digest of an object under way, as the algorithm that signed it makes it.
pub(crate) struct ObjectDigest(Context);

impl ObjectDigest {
    pub fn of(algorithm: Algorithm) -> ObjectDigest {
        ObjectDigest(Context::new(hash(algorithm)))
    }

    pub fn update(&mut self, chunk: &[u8]) {
        self.0.update(chunk);
    }

    pub fn is(self, digest: &[u8]) -> bool {
        self.0.finish().as_ref() == digest
    }
}

/// The digest that a key signs; of algorithms that make none that could be kept, SHA-256 all the same.
fn hash(algorithm: Algorithm) -> &'static digest::Algorithm {
    algorithm.hash().unwrap_or(&SHA256)
}

/// Whether an object's digest is another than the SHA-256 that stands in the leaf of its intent.
pub(crate) fn has_digest_of_its_own(algorithm: Algorithm) -> bool {
    *hash(algorithm) != SHA256
}
