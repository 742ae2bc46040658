//! One process at a time: a lock that the kernel takes back however its holder ends.

use std::fs::{File, TryLockError};
use std::io;

/// A lock that is held (flock(2)), on a file that nobody else can open.
#[derive(Debug)]
pub(crate) struct Lock(File);

impl Lock {
    /// Takes the lock of what is open; none where somebody else holds it. Nobody is waited for.
    pub fn take(open: File) -> io::Result<Option<Lock>> {
        match open.try_lock() {
            Ok(()) => Ok(Some(Lock(open))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

impl Drop for Lock {
    /// Said aloud, as a child that is just being started holds a copy of the file, and the lock with it, until it runs.
    fn drop(&mut self) {
        if let Err(e) = self.0.unlock() {
            tracing::warn!(error = %e, "the lock stays until the process ends");
        }
    }
}
