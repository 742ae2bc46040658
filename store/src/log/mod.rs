//! The Merkle log: RFC 6962 hashing, C2SP tiles, signed checkpoints.

mod merkle;
mod note;
mod path;
mod read;
mod tile;

pub use merkle::leaf_hash;
pub(crate) use merkle::{FullTile, Hash, Tree, fold_edge, tile_root};
pub(crate) use note::{Checkpoint, LogKey, check_origin, checkpoint_text, parse_text, sign_note};
pub use note::{check_verifier_key, verifier_key};
pub(crate) use path::path_among;
pub use path::{root_by_path, signed_head};
pub(crate) use read::{entries, inclusion_proof, inclusion_proof_by, tile};
pub(crate) use tile::{TILE_WIDTH, entries_path, leaves_under, partial_width, tile_path};

/// The tree as committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// How many leaves.
    pub size: u64,
    /// The RFC 6962 root over them.
    pub root: [u8; 32],
}
