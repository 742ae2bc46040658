//! How a register is opened, and what it tells of itself.

use std::path::PathBuf;
use std::sync::Arc;

use policy::Timestamp;

use crate::log::Head;

/// How the log is known outside.
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// The checkpoint's origin line and the log key's name: a schema-less URL without spaces or `+`.
    pub origin: String,
    /// A folder of this node alone, outside the database: the newest head it saw, by which a register that was put back is
    /// noticed, and an image of the fold, which a start goes on from. The newest signed checkpoint is kept in the token too.
    /// Without a folder none of it is kept.
    pub state: Option<PathBuf>,
    /// This node's number, where it is to have it alone: a second node with the same one is refused. Its serials begin with it.
    pub instance: Option<u16>,
}

/// From where a node that had stopped goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resumed {
    /// The register's head, which is the node's from now on.
    pub head: Head,
    /// The newest head this node knew. Leaves of it that the register lacks are lost.
    pub known: Option<Head>,
    /// Revocations that the register lost and this node knew: they were written again.
    pub revoked_again: u64,
    /// Records of which this node knew another version, as kind and id, the first [`RESUMED_RECORDS_MAX`]: whoever ended a token or an
    /// account since has to do it again.
    pub older: Vec<(String, String)>,
}

/// Records that are named to an operator.
pub const RESUMED_RECORDS_MAX: usize = 1_000;

/// A signed head of the log, as it is published.
#[derive(Clone, Debug)]
pub struct SignedHead {
    /// How many leaves it is of.
    pub size: u64,
    /// The checkpoint, a signed note.
    pub note: Arc<str>,
    /// Since when this node has it.
    pub since: Timestamp,
}

/// What a register is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opening {
    /// To serve.
    Serve,
    /// To serve; what is missing is made.
    Found,
    /// For an operator's work on a register that this node knows, beside no service of this node.
    Alone,
    /// To go on from a head that this node did not know.
    Resume,
}
