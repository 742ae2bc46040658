//! How far the write-ahead log of an SQLite register may grow while a backup reads one moment of it.

use std::path::PathBuf;

use crate::nouns::database::Database;

/// Nothing of the log is begun anew while somebody reads a moment that is gone by: at most so much of it is kept for a backup.
const HELD_LOG_BYTES_MAX: u64 = 1 << 30;
/// ... and at most this part of what the disk has left.
const HELD_LOG_OF_DISK: u64 = 2;

/// The log, as it was when the reading began. PostgreSQL keeps no log for whoever reads.
#[derive(Clone, Debug)]
pub struct HeldLog {
    path: Option<PathBuf>,
    first: u64,
    most: u64,
}

impl HeldLog {
    /// Of a register whose reading begins.
    #[must_use]
    pub fn of(database: &Database) -> HeldLog {
        let Database::Sqlite(file) = database else { return HeldLog { path: None, first: 0, most: 0 } };
        let left = rustix::fs::statvfs(file).map(|found| found.f_bavail.saturating_mul(found.f_frsize));
        let most = left.map_or(HELD_LOG_BYTES_MAX, |left| (left / HELD_LOG_OF_DISK).min(HELD_LOG_BYTES_MAX));
        let mut path = file.as_os_str().to_owned();
        path.push("-wal");
        let mut log = HeldLog { path: Some(PathBuf::from(path)), first: 0, most };
        log.first = log.bytes();
        log
    }

    /// Whether the reading may go on.
    ///
    /// # Errors
    /// By how much the log grew, where that is too much.
    pub fn check(&self) -> Result<(), String> {
        let grown = self.bytes().saturating_sub(self.first);
        match self.path.is_some() && grown > self.most {
            true => Err(format!("the write-ahead log of the register grew by {} MiB meanwhile", grown >> 20)),
            false => Ok(()),
        }
    }

    fn bytes(&self) -> u64 {
        self.path.as_ref().and_then(|path| std::fs::metadata(path).ok()).map_or(0, |log| log.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_grew_beyond_its_bound_ends_the_reading() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("register.db");
        std::fs::write(&file, b"").unwrap();
        let log = std::fs::File::create(dir.path().join("register.db-wal")).unwrap();
        log.set_len(7 << 20).unwrap();
        let held = HeldLog::of(&Database::Sqlite(file));
        assert_eq!((held.first, held.check()), (7 << 20, Ok(())));
        assert!(held.most <= HELD_LOG_BYTES_MAX);
        // What was there before is not the backup's doing.
        log.set_len((7 << 20) + held.most).unwrap();
        assert_eq!(held.check(), Ok(()));
        log.set_len((8 << 20) + held.most).unwrap();
        assert!(held.check().unwrap_err().contains("write-ahead log"));
        let elsewhere = HeldLog::of(&Database::Postgres("postgres://a@b/c".to_owned()));
        assert_eq!(elsewhere.check(), Ok(()));
    }
}
