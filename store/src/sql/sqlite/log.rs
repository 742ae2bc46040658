//! The write-ahead log is bounded: it is begun anew before it grows long.
//!
//! SQLite copies what is in the log into the file by itself; it writes at the log's beginning again only when nobody reads the log.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::gate::Gate;

/// How long a connection waits for whoever holds the file otherwise: another process may do so for a batch or a migration; longer means
/// it is stuck.
pub(super) const BUSY_TIMEOUT_MS: i64 = 5_000;
/// The log file shrinks back to this when it is begun anew.
pub(super) const LOG_BYTES_KEPT: i64 = 64 << 20;
/// Readers that follow each other without a gap keep the log from being begun anew, however short each of them is. From this
/// size on the writer waits a moment, so that later readers read from the file; and the commit that reaches
/// [`LOG_BYTES_FULL`] has the readers of this process out. Then it is 256 MiB with what one commit adds.
pub(super) const LOG_BYTES_LONG: u64 = 96 << 20;
pub(super) const LOG_BYTES_FULL: u64 = 192 << 20;
/// So much longer before the next moment's wait for readers that did not end.
pub(super) const LOG_BYTES_STEP: u64 = 16 << 20;
const READERS_PAUSE_MS: i64 = 100;
/// Far longer than readers take to make way: whoever is still inside stands still, as on a disk that does not answer.
const READERS_OUT_MAX: Duration = Duration::from_secs(12);
/// A log that another program keeps is tried so often, and the readers of this process are asked out for it at each so-many-th try:
/// it may be they who keep it since the other one ended.
const HELD_LOG_RETRY: Duration = Duration::from_secs(1);
const HELD_LOG_TRIES_ALONE: u32 = 60;

/// How the log is after a try to begin it anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The next commit writes at its beginning.
    Anew,
    /// All of it is in the file; somebody still reads it, and who begins to read now does not.
    Read,
    /// Somebody reads a moment that is long gone, and what came since cannot be copied.
    Pinned,
}

/// Whose readers are left in the log that could not be begun anew.
enum Readers {
    Any,
    /// All of this process's were out.
    Foreign,
}

#[derive(Debug)]
pub(super) struct WriteAheadLog {
    path: PathBuf,
    gate: Arc<Gate>,
    /// At which size it is tried next.
    bytes_max: u64,
    /// While another program keeps it: when it was tried last, and how often.
    held: Option<(Instant, u32)>,
}

impl WriteAheadLog {
    pub(super) fn of(file: &Path, gate: Arc<Gate>) -> WriteAheadLog {
        let mut path = file.as_os_str().to_owned();
        path.push("-wal");
        WriteAheadLog { path: PathBuf::from(path), gate, bytes_max: LOG_BYTES_LONG, held: None }
    }

    pub(super) fn bytes(&self) -> u64 {
        std::fs::metadata(&self.path).map_or(0, |log| log.len())
    }

    /// Begins it anew where it has become long. What fails here has no bearing on the commit, which is durable.
    pub(super) fn bound(&mut self, connection: &Connection) {
        let bytes = self.bytes();
        if bytes < self.bytes_max {
            return;
        }
        let full = bytes >= LOG_BYTES_FULL;
        let tried = match full {
            true => self.alone(connection),
            false => begin_anew(connection, READERS_PAUSE_MS).map(|state| (state, Readers::Any)),
        };
        match tried {
            Ok((State::Anew, _)) => self.is_anew(),
            Ok((State::Read | State::Pinned, Readers::Foreign)) => {
                if self.held.is_none() {
                    tracing::error!(
                        name: "edge",
                        bytes,
                        "another program reads the register and keeps its write-ahead log, which grows"
                    );
                    self.held = Some((Instant::now(), 0));
                }
                self.bytes_max = bytes + LOG_BYTES_FULL;
            }
            Ok((State::Read | State::Pinned, Readers::Any)) => {
                self.bytes_max = bytes + LOG_BYTES_STEP;
                match full {
                    true => {
                        tracing::warn!(bytes, "a reader of the register stands still, and its write-ahead log grows")
                    }
                    false => self.bytes_max = self.bytes_max.min(LOG_BYTES_FULL),
                }
            }
            Err(error) => {
                tracing::warn!(%error, "the write-ahead log could not be begun anew");
                self.bytes_max = bytes + LOG_BYTES_STEP;
            }
        }
    }

    /// Tries a log that another program keeps, now and then. Answers its length while that lasts.
    pub(super) fn tend(&mut self, connection: &Connection) -> Option<u64> {
        let (tried, tries) = self.held?;
        if tried.elapsed() < HELD_LOG_RETRY {
            return Some(self.bytes());
        }
        let tries = tries.wrapping_add(1);
        match self.try_held(connection, tries) {
            Ok(State::Anew) => {
                tracing::info!("nobody keeps the register's write-ahead log any more, and it was begun anew");
                self.is_anew();
                return None;
            }
            Ok(State::Read | State::Pinned) => {}
            Err(error) => tracing::warn!(%error, "the write-ahead log could not be begun anew"),
        }
        self.held = Some((Instant::now(), tries));
        Some(self.bytes())
    }

    /// Waits a moment only where all of it is in the file, and so later readers need it not.
    fn try_held(&self, connection: &Connection, tries: u32) -> Result<State, rusqlite::Error> {
        if tries.is_multiple_of(HELD_LOG_TRIES_ALONE) {
            return self.alone(connection).map(|(state, _)| state);
        }
        match begin_anew(connection, 0)? {
            State::Read => begin_anew(connection, READERS_PAUSE_MS),
            state @ (State::Anew | State::Pinned) => Ok(state),
        }
    }

    /// With the readers of this process out of the way: who is left is another program's.
    fn alone(&self, connection: &Connection) -> Result<(State, Readers), rusqlite::Error> {
        let closed = self.gate.close(READERS_OUT_MAX);
        let readers = if closed.all_out { Readers::Foreign } else { Readers::Any };
        begin_anew(connection, READERS_PAUSE_MS).map(|state| (state, readers))
    }

    fn is_anew(&mut self) {
        (self.bytes_max, self.held) = (LOG_BYTES_LONG, None);
    }
}

/// Waits so long for readers of the log; says whether they ended.
fn begin_anew(connection: &Connection, patience_ms: i64) -> Result<State, rusqlite::Error> {
    connection.pragma_update(None, "busy_timeout", patience_ms)?;
    let found = connection.query_row("PRAGMA wal_checkpoint(RESTART)", [], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))
    });
    connection.pragma_update(None, "busy_timeout", BUSY_TIMEOUT_MS)?;
    Ok(match found? {
        (0, _, _) => State::Anew,
        (_, frames, copied) if frames == copied => State::Read,
        (_, _, _) => State::Pinned,
    })
}
