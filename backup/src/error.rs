//! What whoever makes or reads a backup can be told.

use store::StoreError;

/// There is no backup, or none that can be read.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The register, or the stream that it was or becomes.
    #[error(transparent)]
    Register(#[from] StoreError),
    /// A recipient that is none; the text says which, and what to write.
    #[error("{0}")]
    Recipients(String),
    /// An identity file that has none; the text says what to bring. Never what is in it.
    #[error("{0}")]
    Identity(String),
    /// It is encrypted to others.
    #[error("the backup is not for this identity: it was encrypted to other recipients")]
    NotForUs,
    /// It is not what age writes, or was altered in its head.
    #[error("this is no backup, or it was altered: {0}")]
    Unreadable(String),
    /// Nothing is written over what is there.
    #[error("{0} is there already, and nothing is written over it")]
    Exists(String),
    /// Where it is to lie, or lies, cannot be used now.
    #[error("{place}: {why}")]
    Place {
        /// The file, folder or bucket.
        place: String,
        /// What went wrong.
        why: String,
    },
}

impl BackupError {
    pub(crate) fn at(place: impl std::fmt::Display, why: impl std::fmt::Display) -> BackupError {
        BackupError::Place { place: place.to_string(), why: why.to_string() }
    }
}
