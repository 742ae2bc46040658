//! What the auditor reads, whether from tables or from files; it judges nothing.

use std::collections::BTreeMap;

use policy::Timestamp;

use super::report::Report;
use crate::forms::schema::Table;
use crate::nouns::batch::Sought;
use crate::nouns::error::StoreError;
use crate::sql::Cell;

/// A leaf as stored.
#[derive(Debug)]
pub(super) struct StoredLeaf {
    pub index: i64,
    /// The hash column, where the source has one.
    pub hash: Option<Vec<u8>>,
    pub bytes: Vec<u8>,
}

/// A checkpoint as stored.
#[derive(Debug)]
pub(super) struct StoredCheckpoint {
    pub size: i64,
    pub note: String,
}

/// A source of evidence. Ranges are asked for in ascending order, each once.
pub(super) trait Evidence {
    /// How many leaves the source says it has: as of [`look_again`](Self::look_again) or of [`settle`](Self::settle), whichever was
    /// last.
    fn size(&self) -> u64;
    /// Looks how many there are by now.
    fn look_again(&mut self) -> Result<(), StoreError>;
    /// From now on everything is of one moment. Before, each question sees its own: what a leaf stands for is written with it,
    /// once and for ever, so that a long walk keeps no snapshot from a database that goes on.
    fn settle(&mut self) -> Result<(), StoreError>;
    /// Leaves with an index in the range, ascending.
    fn leaves(&mut self, from: u64, to: u64) -> Result<Vec<StoredLeaf>, StoreError>;
    /// One leaf, out of order.
    fn leaf(&mut self, index: u64) -> Result<Option<Vec<u8>>, StoreError>;
    /// Rows of a table whose leaf is in the range; all columns, the key first.
    fn rows(&mut self, table: &'static Table, from: u64, to: u64) -> Result<Vec<Vec<Cell>>, StoreError>;
    /// Rows of intents by operation, of any range before; each operation is asked for once.
    fn intents(&mut self, ops: &[u64]) -> Result<Vec<Vec<Cell>>, StoreError>;
    /// The row of one intent, out of order.
    fn intent(&mut self, op: u64) -> Result<Option<Vec<Cell>>, StoreError>;
    /// The operations whose bytes lie beside their intents, with the number of chunks of each.
    fn objects(&mut self) -> Result<BTreeMap<u64, u64>, StoreError>;
    /// The bytes of one; none where its chunks are not those that were counted.
    fn object(&mut self, op: u64, chunks: u64) -> Result<Option<Vec<u8>>, StoreError>;
    /// Rows of records of kind `key`.
    fn keys(&mut self) -> Result<Vec<Vec<Cell>>, StoreError>;
    /// The hashes of a full tile.
    fn tile(&mut self, level: u8, n: u64) -> Result<Option<Vec<u8>>, StoreError>;
    /// The root beside a full tile, where the source has one.
    fn tile_root(&mut self, level: u8, n: u64) -> Result<Option<Vec<u8>>, StoreError>;
    /// Checkpoints after a size, ascending, some at a time.
    fn checkpoints(&mut self, after: Option<i64>) -> Result<Vec<StoredCheckpoint>, StoreError>;
    /// The name index of operations in the range, as `(slot, name)`, where the source has one.
    fn names(&mut self, from: u64, to: u64) -> Result<Option<Vec<(i64, Cell)>>, StoreError>;
    /// Whatever else the source holds, against the tree as re-derived: its head, rows outside the log, schema.
    fn rest(&mut self, derived: &Derived<'_>, report: &mut Report) -> Result<(), StoreError>;
}

/// What is asked of a source, beside what an auditor reads of it.
pub(super) trait Traces: Evidence {
    /// The newest checkpoint.
    fn newest(&mut self) -> Result<Option<String>, StoreError>;
    /// The batches that may have a message.
    fn batches(&mut self, sought: &Sought) -> Result<Vec<u64>, StoreError>;
    /// The hashes beside a batch.
    fn hashes(&mut self, op: u64) -> Result<Option<Vec<u8>>, StoreError>;
    /// The first so many hashes of a tile.
    fn part(&mut self, level: u8, n: u64, width: u16) -> Result<Option<Vec<u8>>, StoreError>;
}

/// What the leaves derive, for [`Evidence::rest`].
pub(super) struct Derived<'a> {
    pub size: u64,
    pub edge: &'a [[u8; 32]],
    /// The time in force after all leaves.
    pub in_force: Timestamp,
    /// The unfinished tile of each level.
    pub partial: &'a dyn Fn(u8) -> Vec<u8>,
}
