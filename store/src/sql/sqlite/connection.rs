//! A connection to SQLite.
//!
//! A commit returns after the log is flushed (`synchronous=FULL`), and only then do readers see it.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, ToSql};

use super::gate::{Gate, Inside};
use super::log::{BUSY_TIMEOUT_MS, LOG_BYTES_KEPT, WriteAheadLog};
use crate::sql::engine::{Sql, Use};
use crate::sql::error::SqlError;
use crate::sql::text::{insert_text, noted};
use crate::sql::value::{Cell, Row, Value};

/// Writing connections keep the indexes' upper pages: 64 MiB, in KiB as SQLite wants it.
const WRITER_CACHE_KIB: i64 = 65_536;
/// Readers page through lists: 8 MiB each.
const READER_CACHE_KIB: i64 = 8_192;
/// Copy the log into the file each 16 MiB. Measured at full load: 8 MiB costs 10 % of the rate, 64 MiB gives 15 % and makes the
/// slowest commits half as long again (99th percentile 32, 41 and 58 ms). A thread of its own for the copies gained nothing:
/// both flushes meet on one disk.
const CHECKPOINT_PAGES: i64 = 4_096;
/// With less than this left the disk is full: some tens of certificates.
const ROOM_MIN: u64 = 1 << 20;
/// While the writer wants the readers out, questions of ours are cut after this.
const MAKES_WAY_MS: u64 = 1_000;
/// Every statement of this crate fits; each is parsed once per connection.
const STATEMENTS: usize = 256;

/// Steps of the engine's machine between two looks at the clock: well under a millisecond.
const WATCH_EVERY: i32 = 10_000;

/// Somebody waits until all readers of this process are out, and this one has read for long enough.
fn is_in_the_way(gate: &Gate, now: u64, begun: &AtomicU64) -> bool {
    gate.is_closed() && now.saturating_sub(begun.load(Ordering::Relaxed)) > MAKES_WAY_MS
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Makes the file where it is missing. Names of hosts and people: for the service's user alone; the log and index files beside it
/// take over this mode.
pub(in crate::sql) fn make(path: &Path) -> Result<(), SqlError> {
    let made = OpenOptions::new().create(true).append(true).mode(0o600).open(path);
    made.map(drop).map_err(|e| SqlError::Away(format!("{}: {e}", path.display())))
}

/// Which file it is, whatever it is called.
fn identity(path: &Path) -> std::io::Result<(u64, u64)> {
    std::fs::metadata(path).map(|file| (file.dev(), file.ino()))
}

pub(in crate::sql) struct Sqlite {
    connection: Connection,
    /// Where the file is, and which file it was when it was opened: its name may come to stand for another one, or for none.
    path: PathBuf,
    file: (u64, u64),
    /// This node's number, as long as the file is open.
    claim: Option<File>,
    usage: Use,
    limit: Duration,
    start: Instant,
    /// When the statement under way must have ended, and when the question it belongs to began: milliseconds since `start`.
    until: Arc<AtomicU64>,
    begun: Arc<AtomicU64>,
    gate: Arc<Gate>,
    /// While a transaction that reads is under way.
    inside: Option<Inside>,
    log: WriteAheadLog,
    /// Statements whose parameters were checked to stand in order.
    checked: HashSet<String>,
}

impl Sqlite {
    pub(in crate::sql) fn open(path: &Path, usage: Use, limit: Duration) -> Result<Sqlite, SqlError> {
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
        let (gate, start) = (Gate::of(file), Instant::now());
        let mut this = Sqlite {
            connection,
            path: path.to_owned(),
            file,
            claim: None,
            usage,
            limit,
            start,
            until: Arc::new(AtomicU64::new(u64::MAX)),
            begun: Arc::new(AtomicU64::new(0)),
            log: WriteAheadLog::of(path, Arc::clone(&gate)),
            gate,
            inside: None,
            checked: HashSet::new(),
        };
        this.configure().map_err(|e| SqlError::Away(format!("{}: {e}", path.display())))?;
        if matches!(usage, Use::Read | Use::Audit) {
            let (gate, until, begun) = (Arc::clone(&this.gate), Arc::clone(&this.until), Arc::clone(&this.begun));
            let is_late = move || {
                let now = millis(start.elapsed());
                now > until.load(Ordering::Relaxed) || is_in_the_way(&gate, now, &begun)
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
        Err(SqlError::Full(format!("the disk of {} is full: {} KiB are left", self.path.display(), left >> 10)))
    }

    /// The statement that begins now ends in time, or the engine ends it. What reads is inside until the answer is dropped.
    fn watch(&mut self) -> Result<Option<Inside>, SqlError> {
        let entered = match self.usage {
            Use::Write | Use::Backup => None,
            Use::Read | Use::Audit => self.enter()?,
        };
        self.until.store(millis(self.start.elapsed() + self.limit), Ordering::Relaxed);
        Ok(entered)
    }

    /// A transaction is inside already, and is ended here where it is in the way between two statements.
    fn enter(&mut self) -> Result<Option<Inside>, SqlError> {
        if self.inside.is_some() {
            return match is_in_the_way(&self.gate, millis(self.start.elapsed()), &self.begun) {
                true => Err(SqlError::Late(self.limit)),
                false => Ok(None),
            };
        }
        let inside = self.gate.enter(self.limit).ok_or(SqlError::Late(self.limit))?;
        self.begun.store(millis(self.start.elapsed()), Ordering::Relaxed);
        Ok(Some(inside))
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
            Use::Read | Use::Audit | Use::Backup => {
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
        let _inside = self.watch()?;
        self.check_order(sql)?;
        let mut statement = self.connection.prepare_cached(sql).map_err(fault)?;
        for (at, value) in params.iter().enumerate() {
            statement.raw_bind_parameter(at + 1, value).map_err(fault)?;
        }
        statement.raw_execute().map(|n| n as u64).map_err(|e| self.fault(e))
    }

    fn query(&mut self, sql: &str, params: &[Value<'_>]) -> Result<Vec<Row>, SqlError> {
        let _inside = self.watch()?;
        self.check_order(sql)?;
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
        let sql = sql.replace("/* WITHOUT ROWID */", "WITHOUT ROWID");
        self.connection.execute_batch(&sql).map_err(fault)
    }

    fn begin(&mut self) -> Result<(), SqlError> {
        match self.usage {
            // The write lock at once: a transaction that reads first and then wants to write can fail half-way.
            Use::Write => {
                self.is_the_file()?;
                self.execute("BEGIN IMMEDIATE", &[]).map(drop)
            }
            Use::Read | Use::Audit => {
                self.inside = self.enter()?;
                self.execute("BEGIN", &[]).map(drop).inspect_err(|_| self.inside = None)
            }
            Use::Backup => self.execute("BEGIN", &[]).map(drop),
        }
    }

    fn commit(&mut self) -> Result<(), SqlError> {
        self.execute("COMMIT", &[])?;
        self.inside = None;
        if self.usage == Use::Write {
            // Before anybody is told that it is written.
            self.is_the_file()?;
            self.log.bound(&self.connection);
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
        self.log.tend(&self.connection)
    }

    fn rollback(&mut self) {
        if !self.connection.is_autocommit() {
            // A failed COMMIT or a full disk may have ended it already.
            let _ = self.connection.execute_batch("ROLLBACK");
        }
        self.inside = None;
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
        Some(ErrorCode::DiskFull) => SqlError::Full(why),
        Some(
            ErrorCode::SystemIoFailure
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

    use std::sync::atomic::AtomicBool;

    use super::super::log::{LOG_BYTES_FULL, LOG_BYTES_LONG, LOG_BYTES_STEP};
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
    fn write_to(sql: &mut Sqlite, bytes: u64) {
        while sql.log.bytes() < bytes {
            sql.execute("BEGIN IMMEDIATE", &[]).unwrap();
            sql.insert("INSERT INTO t (b)", 1, &[Value::Blob(&vec![7; 1 << 20])]).unwrap();
            sql.commit().unwrap();
        }
    }

    const ROWS: &str = "SELECT COUNT(*) FROM t";

    #[test]
    fn another_programs_reader_is_not_waited_for_and_is_told_of_until_it_ends() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        let mut sql = made(&path);
        sql.script("CREATE TABLE t (b BYTEA NOT NULL);").unwrap();
        let foreign = Connection::open(&path).unwrap();
        foreign.execute_batch("BEGIN; SELECT COUNT(*) FROM t;").unwrap();
        write_to(&mut sql, LOG_BYTES_LONG + LOG_BYTES_STEP);
        assert_eq!(sql.tend(), None, "not yet full");
        write_to(&mut sql, LOG_BYTES_FULL + LOG_BYTES_STEP);
        assert_eq!(sql.tend(), Some(sql.log.bytes()));
        foreign.execute_batch("COMMIT").unwrap();
        while sql.tend().is_some() {
            std::thread::yield_now();
        }
        // The log is begun anew, and shrinks as it is written.
        sql.execute("DELETE FROM t WHERE rowid = $1", &[Value::Int(1)]).unwrap();
        assert!(sql.log.bytes() <= LOG_BYTES_KEPT.unsigned_abs(), "{} MiB", sql.log.bytes() >> 20);
    }

    /// Readers whose transactions overlap without end: none is over before the next one has begun.
    #[test]
    fn readers_that_follow_each_other_without_a_gap_are_out_when_the_log_is_full() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        let mut sql = made(&path);
        sql.script("CREATE TABLE t (b BYTEA NOT NULL);").unwrap();
        let gate = Arc::clone(&sql.gate);
        let (done, entered) = (AtomicBool::new(false), AtomicU64::new(0));
        std::thread::scope(|all| {
            for _ in 0..2 {
                all.spawn(|| {
                    let mut reader = Sqlite::open(&path, Use::Read, AUDIT_MAX).unwrap();
                    while !done.load(Ordering::SeqCst) {
                        reader.begin().unwrap();
                        reader.query(ROWS, &[]).unwrap();
                        // It reads on until it is in the way, and until whoever comes next has come, or waits outside.
                        let mine = entered.fetch_add(1, Ordering::SeqCst);
                        let is_followed = |outside| outside > 0 || entered.load(Ordering::SeqCst) > mine + 1;
                        gate.until(|_, outside| {
                            gate.is_closed() && is_followed(outside) || done.load(Ordering::SeqCst)
                        });
                        reader.rollback();
                    }
                });
            }
            gate.until(|inside, _| inside == 2);
            write_to(&mut sql, LOG_BYTES_FULL);
            let held = sql.tend();
            sql.execute("DELETE FROM t WHERE rowid = $1", &[Value::Int(1)]).unwrap();
            let bytes = sql.log.bytes();
            done.store(true, Ordering::SeqCst);
            assert_eq!(held, None, "nobody else reads it");
            assert!(bytes <= LOG_BYTES_KEPT.unsigned_abs(), "{} MiB", bytes >> 20);
        });
    }

    #[test]
    fn a_transaction_that_reads_on_makes_way_between_its_statements_and_the_next_one_is_answered() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        let mut sql = made(&path);
        sql.script("CREATE TABLE t (b BYTEA NOT NULL);").unwrap();
        let mut reader = Sqlite::open(&path, Use::Read, AUDIT_MAX).unwrap();
        reader.begin().unwrap();
        reader.query(ROWS, &[]).unwrap();
        // It began so long ago.
        reader.start -= Duration::from_millis(MAKES_WAY_MS + 1);
        let gate = Arc::clone(&sql.gate);
        let closed = gate.close(Duration::ZERO);
        assert!(!closed.all_out);
        assert!(matches!(reader.query(ROWS, &[]), Err(SqlError::Late(_))));
        reader.rollback();
        drop(closed);
        assert!(gate.close(Duration::ZERO).all_out, "it is out");
        assert_eq!(reader.query(ROWS, &[]).unwrap().len(), 1);
        assert!(gate.close(Duration::ZERO).all_out, "it is out again");
    }
}
