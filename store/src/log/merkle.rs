//! RFC 6962 section 2.1 hashing, and the right edge of a growing tree.
//!
//! A [`Tree`] holds what an append needs and no more: the roots of the perfect subtrees that make up the tree (its
//! edge), and the unfinished tile of each level. Appending costs one hash more than the leaf's own, on average.

use ring::digest::{Context, SHA256};

use super::tile::{TILE_HEIGHT, TILE_WIDTH};
use crate::nouns::error::StoreError;

/// A SHA-256.
pub(crate) type Hash = [u8; 32];

/// RFC 6962 section 2.1: `MTH({d(0)}) = SHA-256(0x00 || d(0))`.
pub fn leaf_hash(leaf: &[u8]) -> [u8; 32] {
    hash(0, leaf, &[])
}

/// RFC 6962 section 2.1: `MTH(D[n]) = SHA-256(0x01 || MTH(D[0:k]) || MTH(D[k:n]))`.
pub(crate) fn node_hash(left: &Hash, right: &Hash) -> Hash {
    hash(1, left, right)
}

fn hash(prefix: u8, left: &[u8], right: &[u8]) -> Hash {
    let mut context = Context::new(&SHA256);
    context.update(&[prefix]);
    context.update(left);
    context.update(right);
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

/// The root over an edge, largest subtree first. RFC 6962: the root of the empty tree is the hash of nothing.
pub(crate) fn fold_edge(edge: &[Hash]) -> Hash {
    let mut from_the_right = edge.iter().rev();
    match from_the_right.next() {
        None => crate::forms::schema::sha256(&[]),
        Some(last) => from_the_right.fold(*last, |right, left| node_hash(left, &right)),
    }
}

/// The root over consecutive hashes of one level, as RFC 6962 splits them.
pub(crate) fn tile_root(hashes: &[Hash]) -> Hash {
    let mut edge: Vec<Hash> = Vec::with_capacity(16);
    for (at, hash) in hashes.iter().enumerate() {
        push(&mut edge, at as u64, *hash, |_, _| ());
    }
    fold_edge(&edge)
}

/// Adds a leaf to the edge of a tree of `size` leaves: as many subtrees merge as `size` has ones at its end.
/// `merged(height, root)` sees each new perfect subtree.
fn push(edge: &mut Vec<Hash>, size: u64, leaf: Hash, mut merged: impl FnMut(u32, &Hash)) {
    let mut root = leaf;
    for height in 1..=size.trailing_ones() {
        // The edge has one subtree for each one in `size`: there is one to merge with.
        let Some(left) = edge.pop() else { break };
        root = node_hash(&left, &root);
        merged(height, &root);
    }
    edge.push(root);
}

/// A tile that an append completed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FullTile {
    pub level: u8,
    pub n: u64,
    /// 256 hashes, end to end.
    pub hashes: Vec<u8>,
    /// The root over them: one hash of the level above.
    pub root: Hash,
}

/// The growing edge of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tree {
    size: u64,
    edge: Vec<Hash>,
    /// The unfinished tile of each level, fewer than 256 hashes each.
    partial: Vec<Vec<Hash>>,
}

impl Tree {
    /// A tree from its unfinished tiles, lowest level first.
    pub fn from_partial(size: u64, partial: Vec<Vec<Hash>>) -> Result<Tree, StoreError> {
        for level in 0..8_u8 {
            let held = partial.get(usize::from(level)).map_or(0, Vec::len);
            if held != usize::from(super::tile::partial_width(size, level)) {
                return Err(StoreError::Corrupt(format!("the log's level {level} has {held} hashes at its edge")));
            }
        }
        let mut edge = Vec::new();
        for hashes in partial.iter().rev() {
            let mut tile_edge = Vec::new();
            for (at, hash) in hashes.iter().enumerate() {
                push(&mut tile_edge, at as u64, *hash, |_, _| ());
            }
            edge.append(&mut tile_edge);
        }
        Ok(Tree { size, edge, partial })
    }

    pub fn size(&self) -> u64 {
        self.size
    }

    pub fn root(&self) -> Hash {
        fold_edge(&self.edge)
    }

    /// The roots of the perfect subtrees, largest first.
    pub fn edge(&self) -> &[Hash] {
        &self.edge
    }

    /// The unfinished tile of a level.
    pub fn partial(&self, level: u8) -> &[Hash] {
        self.partial.get(usize::from(level)).map_or(&[], Vec::as_slice)
    }

    /// Appends a leaf's hash; completed tiles go to `full`.
    pub fn append(&mut self, leaf: Hash, full: &mut Vec<FullTile>) {
        let mut roots: [Hash; 8] = [[0; 32]; 8];
        push(&mut self.edge, self.size, leaf, |height, root| {
            // Heights 8, 16, 24 ...: the root over a full tile of level 0, 1, 2 ...
            let level = (height / TILE_HEIGHT).checked_sub(1).filter(|_| height % TILE_HEIGHT == 0);
            if let Some(slot) = level.and_then(|level| roots.get_mut(level as usize)) {
                *slot = *root;
            }
        });
        self.size += 1;
        let mut next = leaf;
        for (level, root) in roots.into_iter().enumerate() {
            if self.partial.len() <= level {
                self.partial.push(Vec::with_capacity(usize::from(TILE_WIDTH)));
            }
            let Some(hashes) = self.partial.get_mut(level) else { return };
            hashes.push(next);
            if hashes.len() < usize::from(TILE_WIDTH) {
                return;
            }
            let n = (self.size >> (TILE_HEIGHT * (level as u32 + 1))) - 1;
            full.push(FullTile { level: level as u8, n, hashes: hashes.concat(), root });
            hashes.clear();
            next = root;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn leaf(n: u64) -> Hash {
        leaf_hash(&n.to_be_bytes())
    }

    /// RFC 6962 section 2.1, word for word.
    fn mth(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => crate::forms::schema::sha256(&[]),
            [one] => *one,
            more => {
                let k = more.len().next_power_of_two() / 2;
                node_hash(&mth(&more[..k]), &mth(&more[k..]))
            }
        }
    }

    #[test]
    fn known_roots_of_the_certificate_transparency_test_data() {
        // The eight leaves and their roots from the certificate-transparency reference tests.
        let leaves: [&[u8]; 8] = [
            &[],
            &[0x00],
            &[0x10],
            &[0x20, 0x21],
            &[0x30, 0x31],
            &[0x40, 0x41, 0x42, 0x43],
            &[0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57],
            &[0x60, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x6b, 0x6c, 0x6d, 0x6e, 0x6f],
        ];
        let roots = [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ];
        let mut tree = Tree::default();
        assert_eq!(hex::encode(tree.root()), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        for (leaf, root) in leaves.into_iter().zip(roots) {
            tree.append(leaf_hash(leaf), &mut Vec::new());
            assert_eq!(hex::encode(tree.root()), root);
        }
    }

    #[test]
    fn a_tree_of_70000_has_the_tiles_the_specification_says() {
        let (mut tree, mut full) = (Tree::default(), Vec::new());
        for n in 0..70_000 {
            tree.append(leaf(n), &mut full);
        }
        let of = |level| full.iter().filter(|t| t.level == level).count();
        assert_eq!((of(0), of(1), of(2)), (273, 1, 0));
        assert_eq!([0, 1, 2, 3].map(|level| tree.partial(level).len()), [112, 17, 1, 0]);
        for tile in &full {
            assert_eq!(tile.hashes.len(), 8_192);
            let hashes: Vec<Hash> = tile.hashes.chunks(32).map(|h| h.try_into().unwrap()).collect();
            assert_eq!(tile_root(&hashes), tile.root);
        }
        let again = Tree::from_partial(70_000, (0..3).map(|level| tree.partial(level).to_vec()).collect()).unwrap();
        assert_eq!((again.root(), again.edge()), (tree.root(), tree.edge()));
    }

    proptest! {
        #[test]
        fn the_edge_folds_to_the_root_the_rfc_defines(size in 0u64..700) {
            let leaves: Vec<Hash> = (0..size).map(leaf).collect();
            let (mut tree, mut full) = (Tree::default(), Vec::new());
            for hash in &leaves {
                tree.append(*hash, &mut full);
            }
            prop_assert_eq!(tree.root(), mth(&leaves));
            prop_assert_eq!(tile_root(&leaves), mth(&leaves));
            prop_assert_eq!(tree.edge().len(), size.count_ones() as usize);
        }
    }
}
