//! The tree that the leaves of a stream make, held against the head that it says, and against heads that are known from elsewhere; and what it
//! was where a checkpoint speaks of it. That one is judged by whoever has the log's key: no stream is refused for it.

use crate::log::{FullTile, Hash, Head, Tree, leaf_hash};
use crate::nouns::error::StoreError;
use crate::sql::Cell;
use crate::verify::Kept;

/// A history under way.
pub(super) struct History {
    tree: Tree,
    full: Vec<FullTile>,
    known: Vec<Kept>,
    /// How many leaves a checkpoint says.
    marked: Option<u64>,
    /// The tree when it was that large.
    at_mark: Option<Head>,
}

impl History {
    pub fn new(known: &[Kept]) -> History {
        History { tree: Tree::default(), full: Vec::new(), known: known.to_vec(), marked: None, at_mark: None }
    }

    /// The same, which remembers the tree of so many leaves.
    pub fn marking(self, size: Option<u64>) -> History {
        History { marked: size, ..self }
    }

    /// The next row of `leaf`.
    pub fn leaf(&mut self, row: &[Cell]) -> Result<(), StoreError> {
        let index = self.tree.size();
        let wrong = || StoreError::Corrupt(format!("leaf {index} is missing, or not what its hash says"));
        let [Cell::Int(at), Cell::Blob(hash), Cell::Blob(bytes)] = row else { return Err(wrong()) };
        let found = leaf_hash(bytes);
        if u64::try_from(*at) != Ok(index) || *hash != found {
            return Err(wrong());
        }
        self.tree.append(found, &mut self.full);
        self.full.clear();
        if self.marked == Some(self.tree.size()) {
            self.at_mark = Some(self.head());
        }
        self.meet()
    }

    /// Where a head of this size is known, it has to be this one.
    fn meet(&self) -> Result<(), StoreError> {
        let size = self.tree.size();
        let mut other = self.known.iter().filter(|known| known.size == size && known.root != self.tree.root());
        match other.next() {
            None => Ok(()),
            Some(known) => Err(StoreError::Conflict(format!(
                "{} knows another log of this name: at {size} entries its root is {}, and the backup's {}",
                known.by,
                hex::encode(known.root),
                hex::encode(self.tree.root())
            ))),
        }
    }

    /// The head, once all leaves came.
    pub fn head(&self) -> Head {
        Head { size: self.tree.size(), root: self.tree.root() }
    }

    /// The tree of as many leaves as were to be remembered; none where there are fewer.
    pub fn at_mark(&self) -> Option<Head> {
        self.at_mark
    }

    /// Whether the row of the head says what the leaves amount to.
    pub fn is_edge(&self, size: u64, edge: &[u8]) -> bool {
        let ours: Vec<u8> = self.tree.edge().iter().flat_map(|hash: &Hash| hash.iter().copied()).collect();
        self.tree.size() == size && ours == edge
    }
}
