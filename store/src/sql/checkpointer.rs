//! Copies SQLite's write-ahead log into its file while the writer goes on.
//!
//! Left to the writer alone, each copy makes everyone who waits for a commit wait for two flushes of the whole file as
//! well. A passive checkpoint on a connection of its own does the bulk beside it; what is left for the writer's own one
//! (`wal_autocheckpoint`, which also lets the log begin again) is what was written since. It changes no content and
//! decides nothing: without it the register is slower, not less safe.

use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

/// How often it looks: a few batches gather between two looks.
const PAUSE: Duration = Duration::from_millis(100);
/// Fewer new pages than this (2 MiB) are not worth two flushes.
const PAGES_MIN: i64 = 512;

/// The thread, for as long as the writing connection lives.
pub(super) struct Checkpointer {
    alive: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Checkpointer {
    /// Begins beside a register whose log exists already.
    pub fn start(path: &Path) -> Result<Checkpointer, rusqlite::Error> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        let (alive, ended) = channel();
        let thread = std::thread::Builder::new().name("store-checkpoint".into());
        // Without a thread, the writer checkpoints alone, as SQLite does by itself.
        let thread = thread.spawn(move || run(&connection, &ended)).ok();
        Ok(Checkpointer { alive: Some(alive), thread })
    }
}

impl Drop for Checkpointer {
    /// Before the writing connection closes, so that its closing is the last and leaves no log behind.
    fn drop(&mut self) {
        drop(self.alive.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(connection: &Connection, ended: &Receiver<()>) {
    while ended.recv_timeout(PAUSE) == Err(RecvTimeoutError::Timeout) {
        // A full or sick disk: the writer meets it too, and says so.
        if waiting(connection).is_ok_and(|pages| pages >= PAGES_MIN) {
            let _ = checkpoint(connection, "PRAGMA wal_checkpoint(PASSIVE)");
        }
    }
}

/// How many pages of the log are not in the file yet.
fn waiting(connection: &Connection) -> Result<i64, rusqlite::Error> {
    checkpoint(connection, "PRAGMA wal_checkpoint(NOOP)").map(|(log, copied)| log - copied)
}

fn checkpoint(connection: &Connection, pragma: &str) -> Result<(i64, i64), rusqlite::Error> {
    connection.prepare_cached(pragma)?.query_row([], |row| Ok((row.get(1)?, row.get(2)?)))
}
