//! A message of a batch, as it is looked for and found.

use policy::Timestamp;

/// What is known of a message whose batch is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sought {
    /// What was signed, byte for byte.
    pub message: Vec<u8>,
    /// From when it holds: the `not_before` of its batch.
    pub begins: Timestamp,
    /// SHA-256 of the SubjectPublicKeyInfo of the key that signed it.
    pub key_hash: [u8; 32],
}

/// Where a message stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InBatch {
    /// The operation that made its batch, and its leaf.
    pub operation: u64,
    /// Its place among the messages, from 0.
    pub position: u64,
    /// How many messages the batch has.
    pub messages: u64,
    /// The RFC 6962 audit path to the root that the leaf names as its `digest`, from the message up.
    pub path: Vec<[u8; 32]>,
}

/// A leaf with what leads it to a signed head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeafProof {
    /// The leaf's index.
    pub index: u64,
    /// Its bytes.
    pub leaf: Vec<u8>,
    /// Of so many leaves is the tree that the path is in.
    pub size: u64,
    /// The RFC 6962 audit path, from the leaf up.
    pub path: Vec<[u8; 32]>,
    /// The signed head of that tree.
    pub checkpoint: String,
}

/// A message of a batch with everything that leads it to a signed head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traced {
    /// Where it stands in its batch.
    pub batch: InBatch,
    /// The batch's leaf.
    pub leaf: LeafProof,
    /// The leaf of the certificate of the responder that the batch says signed it.
    pub responder: Option<LeafProof>,
    /// The key that signed that certificate, whose hash its leaf names: a SubjectPublicKeyInfo as it is recorded.
    pub issuer_key: Option<Vec<u8>>,
}

/// What came of looking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// There it is.
    In(InBatch),
    /// This batch may have it, and is so old that what leads to its root is not kept any more.
    Gone(u64),
    /// No batch of the log that is kept has it.
    Nowhere,
}
