//! What whoever makes or reads a backup can be told.

use std::io;

use rustix::io::Errno;
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
    /// It has no room where it is to lie. What was written of it is taken back.
    #[error("{place} has no room for it: {why}")]
    Full {
        /// The file, folder or stream.
        place: String,
        /// What the system said.
        why: String,
    },
    /// It was taken so slowly that reading the register for it was broken off. What was written of it is taken back.
    #[error(
        "{place}: {why}, and the backup was broken off, so that the register's log does not grow for it: see to it that whoever reads \
         there goes on, or make it in a folder of this host and send it from there"
    )]
    Slow {
        /// The file, folder, stream or bucket.
        place: String,
        /// What was too slow.
        why: String,
    },
    /// A store was busy or not heard, as often as it was asked.
    #[error("{place}: {why}")]
    Away {
        /// The bucket or object.
        place: String,
        /// What came of it the last time.
        why: String,
    },
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

    /// As a writer says it: without the place, which whoever hears it names again ([`BackupError::of`]).
    pub(crate) fn into_io(self) -> io::Error {
        match self {
            BackupError::Slow { why, .. } => io::Error::new(io::ErrorKind::TimedOut, why),
            BackupError::Away { why, .. } | BackupError::Place { why, .. } | BackupError::Full { why, .. } => {
                io::Error::other(why)
            }
            other @ (BackupError::Register(_)
            | BackupError::Recipients(_)
            | BackupError::Identity(_)
            | BackupError::NotForUs
            | BackupError::Unreadable(_)
            | BackupError::Exists(_)) => io::Error::other(other),
        }
    }

    /// Of what the system said of a file.
    pub(crate) fn of(place: impl std::fmt::Display, error: &io::Error) -> BackupError {
        match (is_full(error), error.kind()) {
            (true, _) => BackupError::Full { place: place.to_string(), why: error.to_string() },
            (false, io::ErrorKind::TimedOut) => BackupError::Slow { place: place.to_string(), why: error.to_string() },
            (false, _) => BackupError::at(place, error),
        }
    }
}

/// A full disk, a quota, or the largest file that is allowed.
fn is_full(error: &io::Error) -> bool {
    Errno::from_io_error(error).is_some_and(|errno| [Errno::NOSPC, Errno::DQUOT, Errno::FBIG].contains(&errno))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_named_once() {
        for said in
            [BackupError::at("s3://b/p", "no"), BackupError::Away { place: "s3://b/p".into(), why: "no".into() }]
        {
            assert_eq!(BackupError::of("s3://b/p", &said.into_io()).to_string(), "s3://b/p: no");
        }
    }
}
