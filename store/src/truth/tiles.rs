//! Tiles whose hashes were proved, kept for proofs and for the public: what is read often lies close together.

use std::collections::HashMap;
use std::sync::Arc;

use crate::log::Hash;

/// Tiles that are kept, 8 KiB each.
const TILES_MAX: usize = 1_024;

/// The kept ones, by level and number.
#[derive(Debug, Default)]
pub(super) struct Tiles(HashMap<(u8, u64), Arc<[Hash]>>);

impl Tiles {
    /// The hashes of a tile, where they were proved.
    pub fn get(&self, level: u8, n: u64) -> Option<Arc<[Hash]>> {
        self.0.get(&(level, n)).cloned()
    }

    /// Keeps a tile. Where too many are kept, all are dropped: they are proved again.
    pub fn put(&mut self, level: u8, n: u64, hashes: Arc<[Hash]>) {
        if self.0.len() >= TILES_MAX {
            self.0.clear();
        }
        self.0.insert((level, n), hashes);
    }
}
