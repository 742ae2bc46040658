//! What is said where a cache gives nothing, or keeps nothing.

use std::io;
use std::path::PathBuf;

/// Why.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The system refuses something.
    #[error("{doing} is refused by the system")]
    System {
        /// What was to be done.
        doing: &'static str,
        /// What it says.
        source: io::Error,
    },
    /// The folder for keys is not one in memory.
    #[error(
        "{} does not lie in memory alone: the key of a cache never lies on a disk; name a folder on a tmpfs with --cache-keys", .0.display()
    )]
    KeysOnDisk(PathBuf),
    /// A folder or file that others could have put there.
    #[error("{} is somebody else's, or others may write to it: name another folder", .0.display())]
    Foreign(PathBuf),
    /// Some of what is wanted is not there, or not any more.
    #[error("{}", said(.0))]
    Missing(Vec<Absent>),
}

/// A reference that the cache has nothing for.
#[derive(Debug)]
pub struct Absent {
    /// Which.
    pub reference: String,
    /// Why.
    pub because: Because,
}

/// Why there is nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Because {
    /// It was not kept, or is older than the host's start: nobody can tell which.
    NotKept,
    /// So many seconds it was allowed, and it is older.
    Ended(u64),
    /// Older than `--max-age`, in seconds.
    TooOld(u64),
}

fn said(missing: &[Absent]) -> String {
    let each = missing.iter().map(|Absent { reference, because }| match because {
        Because::NotKept => format!("the cache does not have {reference}"),
        Because::Ended(secs) => {
            format!("{reference} was kept for the {secs} s that the server allowed, and these are over")
        }
        Because::TooOld(secs) => format!("{reference} is older in the cache than {secs} s"),
    });
    each.collect::<Vec<_>>().join("; ")
}

/// Says what was being done when the system refused.
pub(super) trait Doing<T> {
    /// `doing` reads as the beginning of "... is refused by the system".
    fn doing(self, doing: &'static str) -> Result<T, CacheError>;
}

impl<T, E: Into<io::Error>> Doing<T> for Result<T, E> {
    fn doing(self, doing: &'static str) -> Result<T, CacheError> {
        self.map_err(|error| CacheError::System { doing, source: error.into() })
    }
}
