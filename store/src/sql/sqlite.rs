//! SQLite: the embedded default, one file beside its write-ahead log.
//!
//! A commit returns after the log is flushed (`synchronous=FULL`), and only then do readers see it.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, ToSql};

use super::engine::{Sql, Use};
use super::error::SqlError;
use super::text::{insert_text, noted};
use super::value::{Cell, Row, Value};

/// Writing connections keep the indexes' upper pages: 64 MiB, in KiB as SQLite wants it.
const WRITER_CACHE_KIB: i64 = 65_536;
/// Readers page through lists: 8 MiB each.
const READER_CACHE_KIB: i64 = 8_192;
/// Another process may hold the file for a batch or a migration; longer means it is stuck.
const BUSY_TIMEOUT_MS: i64 = 5_000;
/// Copy the log into the file each 16 MiB. Measured at full load: 8 MiB costs 10 % of the rate, 64 MiB gives 15 % and makes the
/// slowest commits half as long again (99th percentile 32, 41 and 58 ms). A thread of its own for the copies gained nothing:
/// both flushes meet on one disk.
const CHECKPOINT_PAGES: i64 = 4_096;
/// With less than this left the disk is full: some tens of certificates.
const ROOM_MIN: u64 = 1 << 20;
/// The log file shrinks back to this when it is begun anew.
const LOG_BYTES_KEPT: i64 = 64 << 20;
/// Readers that follow each other without a gap keep the log from being begun anew, however short each of them is. From this
/// size on the writer waits a moment, so that later readers read from the file; and the commit that reaches
/// [`LOG_BYTES_FULL`] waits until the longest question there may be has ended. Then it is 256 MiB with what one commit adds.
const LOG_BYTES_LONG: u64 = 96 << 20;
const LOG_BYTES_FULL: u64 = 192 << 20;
/// So much longer before the next wait for readers that did not end.
const LOG_BYTES_STEP: u64 = 16 << 20;
const READERS_PAUSE_MS: i64 = 100;
/// Longer than any statement of ours may take; whoever holds a log longer is another program, which nobody here can end.
const READERS_END_MS: i64 = 12_000;
/// So many waits in vain, 16 MiB apart, may be a slow machine; after one more it is another program's.
const VAIN_MAX: u8 = 2;
/// While the writer waits, questions of ours are cut after this.
const MAKES_WAY_MS: u64 = 1_000;
/// So those waits are in vain once, and not again for this long: the log is then tried without waiting, now and then, and is told
/// of while it is held.
const READERS_END_AGAIN: Duration = Duration::from_secs(3_600);
const HELD_LOG_RETRY: Duration = Duration::from_secs(1);
/// Every statement of this crate fits; each is parsed once per connection.
const STATEMENTS: usize = 256;

/// Steps of the engine's machine between two looks at the clock: well under a millisecond.
const WATCH_EVERY: i32 = 10_000;

/// How the log is after a try to begin it anew.
enum LogState {
    /// The next commit writes at its beginning.
    Anew,
    /// All of it is in the file; somebody still reads it, and who begins to read now does not.
    Read,
    /// Somebody reads a moment that is long gone, and what came since cannot be copied.
    Pinned,
}

/// Logs whose writer waits for the readers of this process to end: what they ask for longer than [`MAKES_WAY_MS`] is cut, and so
/// whoever still reads after [`READERS_END_MS`] is another program.
static WAITED_FOR: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

fn is_waited_for(log: &Path) -> bool {
    WAITED_FOR.lock().unwrap_or_else(PoisonError::into_inner).iter().any(|waited| waited == log)
}

/// While it lives, the readers of a log make way.
struct Way(PathBuf);

impl Way {
    fn wanted(log: &Path) -> Way {
        WAITED_FOR.lock().unwrap_or_else(PoisonError::into_inner).push(log.to_owned());
        Way(log.to_owned())
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        WAITED_FOR.lock().unwrap_or_else(PoisonError::into_inner).retain(|waited| *waited != self.0);
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Makes the file where it is missing. Names of hosts and people: for the service's user alone; the log and index files beside it
/// take over this mode.
pub(super) fn make(path: &Path) -> Result<(), SqlError> {
    let made = OpenOptions::new().create(true).append(true).mode(0o600).open(path);
    made.map(drop).map_err(|e| SqlError::Away(format!("{}: {e}", path.display())))
}

/// Which file it is, whatever it is called.
fn identity(path: &Path) -> std::io::Result<(u64, u64)> {
    std::fs::metadata(path).map(|file| (file.dev(), file.ino()))
}

pub(super) struct Sqlite {
    connection: Connection,
    /// Where the file is, and which file it was when it was opened: its name may come to stand for another one, or for none.
    path: PathBuf,
    file: (u64, u64),
    /// This node's number, as long as the file is open.
    claim: Option<File>,
    usage: Use,
    limit: Duration,
    /// When the statement under way must have ended: milliseconds since `start`.
    until: Arc<AtomicU64>,
    start: Instant,
    /// The write-ahead log, and at which size the writer next waits for its readers.
    log: PathBuf,
    log_bytes_max: u64,
    /// While another program keeps the log: when it was tried last.
    log_held: Option<Instant>,
    /// When the writer last waited in vain for the longest question there may be.
    waited_in_vain: Option<Instant>,
    /// Waits in vain before that, one after the other.
    vain: u8,
    /// Statements whose parameters were checked to stand in order.
    checked: HashSet<String>,
}

impl Sqlite {
    pub(super) fn open(path: &Path, usage: Use, limit: Duration) -> Result<Sqlite, SqlError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let missing = |e: std::io::Error| match e.kind() {
            std::io::ErrorKind::NotFound => SqlError::Missing(format!(
                "there is no register at {}: `chancery init` makes one, and where there was one before, put a backup back",
                path.display()
            )),
            _ => SqlError::Away(format!("{}: {e}", path.display())),
        };
        let file = identity(path).map_err(missing)?;
        // Reading needs write access to the shared index of the write-ahead log; `query_only` keeps it to that.
        let connection =
            Connection::open_with_flags(path, flags).map_err(|e| SqlError::Away(format!("{}: {e}", path.display())))?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        let (until, start) = (Arc::new(AtomicU64::new(u64::MAX)), Instant::now());
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        let (log, log_bytes_max) = (PathBuf::from(log), LOG_BYTES_LONG);
        let mut this = Sqlite {
            connection,
            path: path.to_owned(),
            file,
            claim: None,
            usage,
            limit,
            until,
            start,
            log,
            log_bytes_max,
            log_held: None,
            waited_in_vain: None,
            vain: 0,
            checked: HashSet::new(),
        };
        this.configure().map_err(|e| SqlError::Away(format!("{}: {e}", path.display())))?;
        if usage != Use::Write {
            let until = Arc::clone(&this.until);
            let (log, limit) = (this.log.clone(), millis(limit));
            let is_late = move || {
                let (now, until) = (millis(start.elapsed()), until.load(Ordering::Relaxed));
                let begun = until.saturating_sub(limit);
                now > until || now.saturating_sub(begun) > MAKES_WAY_MS && is_waited_for(&log)
            };
            let watched = this.connection.progress_handler(WATCH_EVERY, Some(is_late));
            watched.map_err(|e| SqlError::Wrong(e.to_string()))?;
        }
        Ok(this)
    }

    /// What is written to a file that has no name any more is lost with the process, and SQLite writes on without a word.
    fn is_the_file(&self) -> Result<(), SqlError> {
        let says = |what: &str| {
            SqlError::Away(format!(
                "the register's file {} was {what} under the service, which writes nothing more: put the same file back under its \
                 name, or stop the service, put a backup back, and start it (docs/BACKUP.md)",
                self.path.display()
            ))
        };
        match identity(&self.path) {
            Ok(there) if there == self.file => Ok(()),
            Ok(_) => Err(says("replaced")),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(says("deleted or moved")),
            Err(error) => Err(SqlError::Away(format!("{}: {error}", self.path.display()))),
        }
    }

    /// The smallest write may still find its page where what an issuance writes does not.
    fn has_room(&self) -> Result<(), SqlError> {
        let found =
            rustix::fs::statvfs(&self.path).map_err(|e| SqlError::Away(format!("{}: {e}", self.path.display())))?;
        let left = found.f_bavail.saturating_mul(found.f_frsize);
        if left >= ROOM_MIN {
            return Ok(());
        }
        Err(SqlError::Away(format!("the disk of {} is full: {} KiB are left", self.path.display(), left >> 10)))
    }

    /// The statement that begins now ends in time, or the engine ends it.
    fn watch(&self) {
        self.until.store(millis(self.start.elapsed() + self.limit), Ordering::Relaxed);
    }

    fn log_bytes(&self) -> u64 {
        std::fs::metadata(&self.log).map_or(0, |log| log.len())
    }

    /// Begins the write-ahead log anew where it has become long. What fails here has no bearing on the commit, which is durable.
    fn bound_the_log(&mut self, readers_end_ms: i64) {
        let bytes = self.log_bytes();
        if self.log_held.is_some() || bytes < self.log_bytes_max {
            return;
        }
        let waits = bytes >= LOG_BYTES_FULL && self.waited_in_vain.is_none_or(|at| at.elapsed() >= READERS_END_AGAIN);
        let tried = match waits {
            true => {
                let _way = Way::wanted(&self.log);
                self.begin_the_log_anew(readers_end_ms)
            }
            false => self.begin_the_log_anew(READERS_PAUSE_MS),
        };
        match tried {
            Ok(LogState::Anew) => (self.log_bytes_max, self.vain) = (LOG_BYTES_LONG, 0),
            Ok(LogState::Read | LogState::Pinned) if bytes < LOG_BYTES_FULL => {
                self.log_bytes_max = bytes + LOG_BYTES_STEP
            }
            // Once may be a slow machine.
            Ok(LogState::Read | LogState::Pinned) if waits && self.vain < VAIN_MAX => {
                self.vain += 1;
                self.log_bytes_max = bytes + LOG_BYTES_STEP;
            }
            Ok(LogState::Read | LogState::Pinned) => {
                let now = Instant::now();
                self.log_held = Some(now);
                if waits {
                    (self.waited_in_vain, self.vain) = (Some(now), 0);
                }
                tracing::error!(bytes, "another program reads the register and keeps its write-ahead log, which grows");
            }
            Err(error) => tracing::warn!(%error, "the write-ahead log could not be begun anew"),
        }
    }

    /// Tries a log that another program keeps; waits a moment only where all of it is in the file, and so later readers need it not.
    fn try_the_held_log(&mut self) {
        let tried = match self.begin_the_log_anew(0) {
            Ok(LogState::Read) => self.begin_the_log_anew(READERS_PAUSE_MS),
            other => other,
        };
        match tried {
            Ok(LogState::Anew) => {
                tracing::info!("nobody keeps the register's write-ahead log any more, and it was begun anew");
                (self.log_held, self.log_bytes_max) = (None, LOG_BYTES_LONG);
            }
            Ok(LogState::Read | LogState::Pinned) => self.log_held = Some(Instant::now()),
            Err(error) => {
                tracing::warn!(%error, "the write-ahead log could not be begun anew");
                self.log_held = Some(Instant::now());
            }
        }
    }

    /// Waits so long for readers of the log; says whether they ended.
    fn begin_the_log_anew(&self, patience_ms: i64) -> Result<LogState, rusqlite::Error> {
        let c = &self.connection;
        c.pragma_update(None, "busy_timeout", patience_ms)?;
        let found = c.query_row("PRAGMA wal_checkpoint(RESTART)", [], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))
        });
        c.pragma_update(None, "busy_timeout", BUSY_TIMEOUT_MS)?;
        Ok(match found? {
            (0, _, _) => LogState::Anew,
            (_, frames, copied) if frames == copied => LogState::Read,
            (_, _, _) => LogState::Pinned,
        })
    }

    fn fault(&self, error: rusqlite::Error) -> SqlError {
        match error.sqlite_error_code() {
            Some(ErrorCode::OperationInterrupted) => SqlError::Late(self.limit),
            Some(_) | None => fault(error),
        }
    }

    /// No mmap: an I/O error would then be a signal that ends the process, instead of an error that is answered.
    fn configure(&self) -> Result<(), rusqlite::Error> {
        let c = &self.connection;
        c.pragma_update(None, "busy_timeout", BUSY_TIMEOUT_MS)?;
        c.pragma_update(None, "foreign_keys", true)?;
        c.pragma_update(None, "temp_store", "MEMORY")?;
        // Plans follow from the text alone. Otherwise SQLite looks at what is bound, and plans a statement anew whenever that
        // changes: two fifths of what a reader of ACME's records did.
        c.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        match self.usage {
            Use::Write => {
                c.pragma_update(None, "journal_mode", "WAL")?;
                c.pragma_update(None, "synchronous", "FULL")?;
                c.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
                c.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
                c.pragma_update(None, "journal_size_limit", LOG_BYTES_KEPT)
            }
            Use::Read | Use::Audit => {
                c.pragma_update(None, "cache_size", -READER_CACHE_KIB)?;
                c.pragma_update(None, "query_only", true)
            }
        }
    }

    /// SQLite numbers `$1` by first appearance, PostgreSQL by its digits: the text must make both the same.
    fn check_order(&mut self, sql: &str) -> Result<(), SqlError> {
        if self.checked.contains(sql) {
            return Ok(());
        }
        noted(sql);
        let statement = self.connection.prepare_cached(sql).map_err(fault)?;
        for at in 1..=statement.parameter_count() {
            if statement.parameter_name(at) != Some(format!("${at}").as_str()) {
                return Err(SqlError::Wrong(format!("parameter {at} is out of order in: {sql}")));
            }
        }
        drop(statement);
        if self.checked.len() >= STATEMENTS {
            self.checked.clear();
        }
        self.checked.insert(sql.to_owned());
        Ok(())
    }
}

impl Sql for Sqlite {
    fn execute(&mut self, sql: &str, params: &[Value<'_>]) -> Result<u64, SqlError> {
        self.check_order(sql)?;
        self.watch();
        let mut statement = self.connection.prepare_cached(sql).map_err(fault)?;
        for (at, value) in params.iter().enumerate() {
            statement.raw_bind_parameter(at + 1, value).map_err(fault)?;
        }
        statement.raw_execute().map(|n| n as u64).map_err(|e| self.fault(e))
    }

    fn query(&mut self, sql: &str, params: &[Value<'_>]) -> Result<Vec<Row>, SqlError> {
        self.check_order(sql)?;
        self.watch();
        let mut statement = self.connection.prepare_cached(sql).map_err(fault)?;
        for (at, value) in params.iter().enumerate() {
            statement.raw_bind_parameter(at + 1, value).map_err(fault)?;
        }
        let columns = statement.column_count();
        let mut rows = statement.raw_query();
        let mut found = Vec::new();
        while let Some(row) = rows.next().map_err(|e| self.fault(e))? {
            let cells = (0..columns).map(|at| row.get_ref(at).map(cell)).collect::<Result<Vec<_>, _>>();
            found.push(Row::new(cells.map_err(fault)?));
        }
        Ok(found)
    }

    /// [`Sql::begin`] locked the whole file.
    fn query_and_lock(&mut self, sql: &str, params: &[Value<'_>]) -> Result<Vec<Row>, SqlError> {
        self.query(sql, params)
    }

    /// Row by row with one parsed statement: in-process there is no round trip to save.
    fn insert(&mut self, into: &'static str, columns: usize, values: &[Value<'_>]) -> Result<(), SqlError> {
        let sql = insert_text(into, 1, columns);
        self.check_order(&sql)?;
        let mut statement = self.connection.prepare_cached(&sql).map_err(fault)?;
        for row in values.chunks_exact(columns) {
            for (at, value) in row.iter().enumerate() {
                statement.raw_bind_parameter(at + 1, value).map_err(fault)?;
            }
            statement.raw_execute().map_err(fault)?;
        }
        Ok(())
    }

    fn server_time(&mut self) -> Result<Option<i64>, SqlError> {
        Ok(None)
    }

    fn script(&mut self, sql: &str) -> Result<(), SqlError> {
        let sql = sql.replace("BIGINT PRIMARY KEY", "INTEGER PRIMARY KEY");
        self.connection.execute_batch(&sql).map_err(fault)
    }

    fn begin(&mut self) -> Result<(), SqlError> {
        match self.usage {
            // The write lock at once: a transaction that reads first and then wants to write can fail half-way.
            Use::Write => {
                self.is_the_file()?;
                self.execute("BEGIN IMMEDIATE", &[]).map(drop)
            }
            Use::Read | Use::Audit => self.execute("BEGIN", &[]).map(drop),
        }
    }

    fn commit(&mut self) -> Result<(), SqlError> {
        self.execute("COMMIT", &[])?;
        if self.usage == Use::Write {
            // Before anybody is told that it is written.
            self.is_the_file()?;
            self.bound_the_log(READERS_END_MS);
        }
        Ok(())
    }

    fn is_there(&mut self) -> Result<(), SqlError> {
        self.is_the_file()?;
        self.has_room()
    }

    /// A lock beside the file: the kernel gives it back with the process, however that ends.
    fn claim(&mut self, node: u16) -> Result<Option<String>, SqlError> {
        let mut path = self.path.as_os_str().to_owned();
        path.push(format!("-node-{node}"));
        let path = PathBuf::from(path);
        let failed = |e: std::io::Error| SqlError::Away(format!("{}: {e}", path.display()));
        let lock = OpenOptions::new().create(true).append(true).mode(0o600).open(&path).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {
                self.claim = Some(lock);
                Ok(None)
            }
            Err(std::fs::TryLockError::WouldBlock) => Ok(Some(format!("whoever holds the lock on {}", path.display()))),
            Err(std::fs::TryLockError::Error(error)) => Err(failed(error)),
        }
    }

    fn tend(&mut self) -> Option<u64> {
        if self.log_held.is_some_and(|tried| tried.elapsed() >= HELD_LOG_RETRY) {
            self.try_the_held_log();
        }
        self.log_held.map(|_| self.log_bytes())
    }

    fn rollback(&mut self) {
        if !self.connection.is_autocommit() {
            // A failed COMMIT or a full disk may have ended it already.
            let _ = self.execute("ROLLBACK", &[]);
        }
    }
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Value::Null => ValueRef::Null,
            Value::Int(n) => ValueRef::Integer(*n),
            Value::Text(s) => ValueRef::Text(s.as_bytes()),
            Value::Blob(b) => ValueRef::Blob(b),
        }))
    }
}

/// A text that is not UTF-8, or a float, was never written by us: as bytes it fits no column and is found by its digest.
fn cell(value: ValueRef<'_>) -> Cell {
    match value {
        ValueRef::Null => Cell::Null,
        ValueRef::Integer(n) => Cell::Int(n),
        ValueRef::Real(x) => Cell::Blob(x.to_be_bytes().to_vec()),
        ValueRef::Text(t) => match std::str::from_utf8(t) {
            Ok(text) => Cell::Text(text.to_owned()),
            Err(_) => Cell::Blob(t.to_vec()),
        },
        ValueRef::Blob(b) => Cell::Blob(b.to_vec()),
    }
}

fn fault(error: rusqlite::Error) -> SqlError {
    let why = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::ConstraintViolation) => SqlError::Taken(why),
        Some(
            ErrorCode::DiskFull
            | ErrorCode::SystemIoFailure
            | ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::CannotOpen
            | ErrorCode::ReadOnly
            | ErrorCode::PermissionDenied
            | ErrorCode::FileLockingProtocolFailed
            | ErrorCode::OutOfMemory,
        ) => SqlError::Away(why),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => SqlError::Corrupt(why),
        _ => SqlError::Wrong(why),
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::StatementStatus;

    use super::*;
    use crate::sql::connect::AUDIT_MAX;

    fn made(path: &Path) -> Sqlite {
        make(path).unwrap();
        Sqlite::open(path, Use::Write, AUDIT_MAX).unwrap()
    }

    #[test]
    fn a_file_that_is_not_there_is_not_made_by_opening_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        for usage in [Use::Write, Use::Read, Use::Audit] {
            let refused = Sqlite::open(&path, usage, AUDIT_MAX).map(drop);
            assert!(matches!(&refused, Err(SqlError::Missing(why)) if why.contains("chancery init")), "{refused:?}");
        }
        assert!(!path.exists());
    }

    #[test]
    fn nothing_is_written_to_a_file_that_lost_its_name_and_the_same_file_is_taken_back() {
        let dir = tempfile::tempdir().unwrap();
        let (path, aside) = (dir.path().join("a.db"), dir.path().join("b.db"));
        let mut sql = made(&path);
        sql.script("CREATE TABLE t (a TEXT);").unwrap();
        let write = |sql: &mut Sqlite| {
            sql.begin()?;
            sql.insert("INSERT INTO t (a)", 1, &[Value::Text("x")])?;
            sql.commit()
        };
        write(&mut sql).unwrap();
        std::fs::rename(&path, &aside).unwrap();
        let says = |found: Result<(), SqlError>| match found {
            Err(SqlError::Away(why)) => why,
            other => panic!("{other:?}"),
        };
        assert!(says(write(&mut sql)).contains("deleted or moved"));
        std::fs::write(&path, b"").unwrap();
        assert!(says(write(&mut sql)).contains("replaced") && says(sql.is_there()).contains("replaced"));
        std::fs::rename(&aside, &path).unwrap();
        write(&mut sql).unwrap();
        // Between its beginning and its end, too: nobody is told that it is written.
        sql.begin().unwrap();
        sql.insert("INSERT INTO t (a)", 1, &[Value::Text("x")]).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(says(sql.commit()).contains("deleted"));
    }

    #[test]
    fn a_number_is_claimed_by_one_connection() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        let (mut one, mut two) = (made(&path), made(&path));
        assert_eq!(one.claim(1).unwrap(), None);
        assert!(two.claim(1).unwrap().is_some_and(|who| who.contains("a.db-node-1")));
        assert_eq!(two.claim(2).unwrap(), None);
        drop(one);
        assert_eq!(two.claim(1).unwrap(), None);
    }

    #[test]
    fn blobs_stay_blobs_and_keys_are_the_rows_address() {
        let dir = tempfile::tempdir().unwrap();
        let mut sql = made(&dir.path().join("a.db"));
        sql.script("CREATE TABLE t (id BIGINT PRIMARY KEY, b BYTEA NOT NULL, s TEXT);").unwrap();
        sql.insert(
            "INSERT INTO t (id, b, s)",
            3,
            &[Value::Int(7), Value::Blob(b"123"), Value::Text("45"), Value::Int(8), Value::Blob(b""), Value::Null],
        )
        .unwrap();
        let rows = sql.query("SELECT rowid, b, s FROM t ORDER BY id", &[]).unwrap();
        let rows: Vec<_> = rows.into_iter().map(Row::cells).collect();
        assert_eq!(rows[0], [Cell::Int(7), Cell::Blob(b"123".to_vec()), Cell::Text("45".into())]);
        assert_eq!(rows[1], [Cell::Int(8), Cell::Blob(vec![]), Cell::Null]);
    }

    #[test]
    fn a_statement_is_planned_once_whatever_is_bound() {
        let dir = tempfile::tempdir().unwrap();
        let mut sql = made(&dir.path().join("a.db"));
        crate::forms::schema::migrate(&mut sql).unwrap();
        let text = "SELECT v.body FROM present p JOIN record v ON v.leaf = p.leaf WHERE p.kind = $1 AND p.lookup = $2 \
            AND p.id > $3 ORDER BY p.id LIMIT $4";
        for limit in 1..5 {
            let words = ["one", "two", "three", "four", "five"];
            let bound = [words[limit], words[limit - 1], words[4 - limit]].map(Value::Text);
            sql.query(text, &[&bound[..], &[Value::Int(limit as i64)]].concat()).unwrap();
        }
        let statement = sql.connection.prepare_cached(text).unwrap();
        assert!(statement.get_status(StatementStatus::Run) > 1, "it was kept");
        assert_eq!(statement.get_status(StatementStatus::RePrepare), 0);
    }

    #[test]
    fn parameters_out_of_order_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let mut sql = made(&dir.path().join("a.db"));
        assert!(matches!(sql.query("SELECT $2, $1", &[Value::Int(1), Value::Int(2)]), Err(SqlError::Wrong(_))));
        assert!(sql.query("SELECT $1, $2, $1", &[Value::Int(1), Value::Int(2)]).is_ok());
    }

    #[test]
    fn a_reader_cannot_write() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        made(&path).script("CREATE TABLE t (a TEXT);").unwrap();
        let mut reader = Sqlite::open(&path, Use::Read, AUDIT_MAX).unwrap();
        assert!(reader.execute("INSERT INTO t (a) VALUES ($1)", &[Value::Text("x")]).is_err());
    }

    #[test]
    fn a_statement_that_takes_too_long_is_ended_in_the_engine_and_the_next_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        made(&path);
        let limit = Duration::from_millis(30);
        let mut reader = Sqlite::open(&path, Use::Read, limit).unwrap();
        let endless = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT MAX(i) FROM n";
        for _ in 0..2 {
            assert!(matches!(reader.query(endless, &[]), Err(SqlError::Late(after)) if after == limit));
            assert_eq!(reader.query("SELECT 1", &[]).unwrap().len(), 1);
        }
    }

    /// Writes until the log has so many bytes.
    fn write_to(sql: &mut Sqlite, bytes: u64, readers_end_ms: i64) {
        while sql.log_bytes() < bytes {
            sql.execute("BEGIN IMMEDIATE", &[]).unwrap();
            sql.insert("INSERT INTO t (b)", 1, &[Value::Blob(&vec![7; 1 << 20])]).unwrap();
            sql.execute("COMMIT", &[]).unwrap();
            sql.bound_the_log(readers_end_ms);
        }
    }

    #[test]
    fn another_programs_reader_is_waited_for_once_and_then_told_of_until_it_ends() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        let mut sql = made(&path);
        sql.script("CREATE TABLE t (b BYTEA NOT NULL);").unwrap();
        let foreign = Connection::open(&path).unwrap();
        foreign.execute_batch("BEGIN; SELECT COUNT(*) FROM t;").unwrap();
        write_to(&mut sql, LOG_BYTES_LONG + LOG_BYTES_STEP, 1);
        assert_eq!((sql.tend(), sql.waited_in_vain), (None, None), "not yet long");
        write_to(&mut sql, LOG_BYTES_FULL + 3 * LOG_BYTES_STEP, 1);
        let waited = sql.waited_in_vain;
        assert!(waited.is_some() && sql.tend() == Some(sql.log_bytes()));
        write_to(&mut sql, LOG_BYTES_FULL + 6 * LOG_BYTES_STEP, 1);
        assert_eq!(sql.waited_in_vain, waited, "nobody waits for it again");
        foreign.execute_batch("COMMIT").unwrap();
        while sql.tend().is_some() {
            std::thread::yield_now();
        }
        // The log is begun anew, and shrinks as it is written.
        sql.execute("DELETE FROM t WHERE rowid = $1", &[Value::Int(1)]).unwrap();
        assert!(sql.log_bytes() <= LOG_BYTES_KEPT.unsigned_abs(), "{} MiB", sql.log_bytes() >> 20);
        // The next one that comes within the hour is not waited for at all.
        foreign.execute_batch("BEGIN; SELECT COUNT(*) FROM t;").unwrap();
        write_to(&mut sql, LOG_BYTES_FULL + (1 << 20), 1);
        assert!(sql.tend().is_some());
        assert_eq!(sql.waited_in_vain, waited);
    }
}
