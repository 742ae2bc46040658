//! Audit paths (RFC 6962 section 2.1.1): made of hashes that are at hand, and followed to the root by whoever is given one.

use super::Head;
use super::merkle::{Hash, node_hash, tile_root};
use super::note::{Checkpoint, LogKey};
use crate::nouns::error::StoreError;

/// No tree is higher.
const PATH_MAX: usize = 64;

/// The path of one of these hashes to the root over all of them, from the leaf up; none where there are not so many.
pub(crate) fn path_among(hashes: &[Hash], index: usize) -> Option<Vec<Hash>> {
    let (mut some, mut at, mut path) = (hashes, index, Vec::new());
    some.get(at)?;
    while some.len() > 1 {
        // k is the largest power of two smaller than n.
        let (left, right) = some.split_at(1 << (some.len() - 1).ilog2());
        (some, at) = match at.checked_sub(left.len()) {
            None => {
                path.push(tile_root(right));
                (left, at)
            }
            Some(at) => {
                path.push(tile_root(left));
                (right, at)
            }
        };
    }
    path.reverse();
    Some(path)
}

/// The root that a path leads to from the hash of leaf `index` in a tree of `size` leaves (RFC 9162 section 2.1.3.2); none where the
/// path is not as long as there.
pub fn root_by_path(leaf: &[u8; 32], index: u64, size: u64, path: &[[u8; 32]]) -> Option<[u8; 32]> {
    if index >= size || path.len() > PATH_MAX {
        return None;
    }
    let (mut at, mut last, mut root) = (index, size - 1, *leaf);
    for hash in path {
        if last == 0 {
            return None;
        }
        if at & 1 == 1 || at == last {
            root = node_hash(hash, &root);
            while at & 1 == 0 && at != 0 {
                (at, last) = (at >> 1, last >> 1);
            }
        } else {
            root = node_hash(&root, hash);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    (last == 0).then_some(root)
}

/// What a checkpoint says, if the key of this verifier key string signed it.
pub fn signed_head(verifier_key: &str, checkpoint: &str) -> Result<Head, StoreError> {
    let key = LogKey::parse(verifier_key.trim())?;
    let checkpoint = Checkpoint::parse(checkpoint).map_err(StoreError::Invalid)?;
    key.verify(&checkpoint).map_err(StoreError::Invalid)?;
    Ok(Head { size: checkpoint.size, root: checkpoint.root })
}

#[cfg(test)]
mod tests {
    use super::super::merkle::leaf_hash;
    use super::*;

    #[test]
    fn each_path_leads_to_the_root_and_no_other_does() {
        for size in 1..70_usize {
            let hashes: Vec<Hash> = (0..size).map(|n| leaf_hash(&n.to_be_bytes())).collect();
            let root = tile_root(&hashes);
            for at in 0..size {
                let path = path_among(&hashes, at).unwrap();
                let led = |index: usize, path: &[Hash]| root_by_path(&hashes[at], index as u64, size as u64, path);
                assert_eq!(led(at, &path), Some(root), "{at} of {size}");
                assert_ne!(led((at + 1) % size, &path), Some(root).filter(|_| size > 1), "{at} of {size}");
                let longer = [path.as_slice(), &[[7; 32]]].concat();
                assert_eq!(led(at, &longer), None, "{at} of {size}");
                if let Some((_, shorter)) = path.split_last() {
                    assert_eq!(led(at, &path[..shorter.len()]), None, "{at} of {size}");
                }
            }
            assert_eq!(path_among(&hashes, size), None);
            assert_eq!(root_by_path(&root, size as u64, size as u64, &[]), None);
        }
    }
}
