//! What a caller of the ledger can be told, named for what it can do about it.

use std::time::Duration;

/// What whoever asks for something is told of a register that is held, and the way out. Why it is held, the status says, and the log
/// of the service.
pub const HELD: &str = "The register is held: it is not the one that this node knew. Nothing is issued or written until an operator \
     looks (`chancery audit verify`) and says how it goes on (`chancery audit resume --reason TEXT`).";

/// The ledger did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The queue is full; nothing was written. Ask again later.
    #[error("the ledger's queue is full, ask again in {retry_after_secs} s")]
    Busy {
        /// When to ask again.
        retry_after_secs: u32,
    },
    /// The database is away; nothing was written. It resumes by itself.
    #[error("the register is unavailable: {0}")]
    Unavailable(String),
    /// The register's disk is full; nothing was written. It resumes by itself once there is room.
    #[error("the register is unavailable: {0}")]
    Full(String),
    /// The token does not answer, or has not the key: nothing was sealed, opened or written. It resumes by itself, unless the key is gone.
    #[error("the token is unavailable: {0}")]
    Token(String),
    /// What was to be written beside the register finds no place: a backup's target.
    #[error("the backup cannot be written: {0}")]
    Target(String),
    /// Nobody knows whether an access is in the log, and nothing was opened for it. Ask again: that is another access.
    #[error("nothing was opened, since nobody knows whether the log says so: {0}")]
    Unshown(String),
    /// A question took longer than it may, and was ended in the database: ask for less, or later.
    #[error("the register took longer than {} s for a question, and the question was ended", limit.as_secs())]
    Late {
        /// What one statement may take.
        limit: Duration,
    },
    /// Nobody knows whether the write became durable. A conclusion is tried again by the ledger itself.
    #[error("the outcome of the write is unknown: {0}")]
    Unknown(String),
    /// Something moved under the caller: a record has another version, an operation was concluded or revoked before.
    #[error("conflict: {0}")]
    Conflict(String),
    /// The serial is taken for this issuer's key.
    #[error("duplicate: {0}")]
    Duplicate(String),
    /// No such operation.
    #[error("not found: {0}")]
    NotFound(String),
    /// The caller's entry breaks a bound or does not fit its operation.
    #[error("invalid entry: {0}")]
    Invalid(String),
    /// A row that decides something is not as a node of ours wrote it: the request is refused and an alarm raised.
    #[error("the register was altered: {0}; run `chancery audit verify`")]
    Altered(String),
    /// The log is not an extension of what this node knows: nothing is written until an operator says how to go on.
    #[error(
        "the register is held: {0}; look with `chancery audit verify`, and say how it goes on with `chancery audit resume --reason TEXT`"
    )]
    Held(String),
    /// The register holds what it never wrote; run `verify`.
    #[error("the register is corrupt: {0}")]
    Corrupt(String),
    /// The database speaks, but refuses: schema of another version, rights missing, a bad URL.
    #[error("database: {0}")]
    Database(String),
    /// Another node has this node's number, and serials of two nodes would meet.
    #[error("instance {instance} is in use on this register, by {who}")]
    Taken {
        /// The number.
        instance: u16,
        /// Whoever has it.
        who: String,
    },
    /// The clock is not believed; nothing was written. It says what to do.
    #[error(transparent)]
    Clock(#[from] crate::nouns::held::Held),
    /// The ledger was closed.
    #[error("the ledger is closed")]
    Closed,
}
