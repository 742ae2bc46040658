//! A session: what every statement of ours goes through.

use std::collections::HashMap;
use std::time::Duration;

use tokio_postgres::Statement;

use super::dial::dial;
use super::line::Line;
use super::value::{bind, read};
use crate::sql::engine::{Sql, Use};
use crate::sql::error::SqlError;
use crate::sql::text::{insert_text, noted};
use crate::sql::value::{Row, Value};

/// Parsed questions kept per connection.
const STATEMENTS_MAX: usize = 256;
/// Rows per INSERT, each number with a statement of its own: a usual batch then takes one round trip a table, which measured
/// 12 % faster than chunks of a few fixed sizes.
const ROWS_MAX: usize = 64;
/// What a node's number is locked by: registers of several schemas may share a database.
const HOLDER: &str = "SELECT 'PostgreSQL''s session ' || l.pid || COALESCE(' from ' || host(a.client_addr), '') || \
    '; if that server is gone, end it with SELECT pg_terminate_backend(' || l.pid || ')' \
    FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid WHERE l.locktype = 'advisory' AND l.granted \
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
    AND (l.classid::BIGINT, l.objid::BIGINT, l.objsubid) = \
    (hashtext('chancery ' || current_schema())::BIGINT & 4294967295, $1::BIGINT, 2)";
const CLAIM: &str = "hashtext('chancery ' || current_schema()), $1::BIGINT::INT";

pub(in crate::sql) struct Postgres {
    line: Line,
    usage: Use,
    statements: HashMap<String, Statement>,
    inserts: HashMap<(&'static str, usize), Statement>,
}

impl Postgres {
    pub(in crate::sql) fn open(url: &str, usage: Use, limit: Duration) -> Result<Postgres, SqlError> {
        let (mut line, names_schema) = dial(url, usage, limit)?;
        // A commit that returned must survive: refuse a server or role that was set to answer early. A node that stands still in
        // the middle of a batch has the head's lock, which the others need: its server ends it. Who reads holds up nobody.
        let (limit_ms, idle_ms) = (limit.as_millis(), if usage == Use::Write { limit.as_millis() } else { 0 });
        let mut setup = format!(
            "SET synchronous_commit = on; SET statement_timeout = {limit_ms}; \
             SET idle_in_transaction_session_timeout = {idle_ms}; SET client_min_messages = warning"
        );
        if !names_schema {
            // Not what the role or the database says now: whoever may alter those would lead later connections elsewhere.
            setup.push_str("; SET search_path = public, pg_temp");
        }
        if usage != Use::Write {
            setup.push_str("; SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY");
        }
        line.ask(async |client| client.batch_execute(&setup).await)?;
        Ok(Postgres { line, usage, statements: HashMap::new(), inserts: HashMap::new() })
    }

    fn batch(&mut self, sql: &str) -> Result<(), SqlError> {
        self.line.ask(async |client| client.batch_execute(sql).await)
    }

    fn statement(&mut self, sql: &str) -> Result<Statement, SqlError> {
        if let Some(statement) = self.statements.get(sql) {
            return Ok(statement.clone());
        }
        if self.statements.len() >= STATEMENTS_MAX {
            // Filters combine freely; the server's memory does not grow with them.
            self.statements.clear();
        }
        noted(sql);
        let statement = self.line.ask(async |client| client.prepare(sql).await)?;
        self.statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    fn insert_statement(&mut self, into: &'static str, rows: usize, columns: usize) -> Result<Statement, SqlError> {
        if let Some(statement) = self.inserts.get(&(into, rows)) {
            return Ok(statement.clone());
        }
        let sql = insert_text(into, rows, columns);
        noted(&sql);
        let statement = self.line.ask(async |client| client.prepare(&sql).await)?;
        self.inserts.insert((into, rows), statement.clone());
        Ok(statement)
    }
}

impl Sql for Postgres {
    fn execute(&mut self, sql: &str, params: &[Value<'_>]) -> Result<u64, SqlError> {
        let statement = self.statement(sql)?;
        self.line.ask(async |client| client.execute(&statement, &bind(params)).await)
    }

    fn query(&mut self, sql: &str, params: &[Value<'_>]) -> Result<Vec<Row>, SqlError> {
        let statement = self.statement(sql)?;
        let rows = self.line.ask(async |client| client.query(&statement, &bind(params)).await)?;
        rows.iter().map(read).collect()
    }

    fn query_and_lock(&mut self, sql: &str, params: &[Value<'_>]) -> Result<Vec<Row>, SqlError> {
        self.query(&format!("{sql} FOR UPDATE"), params)
    }

    fn insert(&mut self, into: &'static str, columns: usize, values: &[Value<'_>]) -> Result<(), SqlError> {
        let mut rest = values;
        while !rest.is_empty() {
            let rows = (rest.len() / columns).min(ROWS_MAX);
            let (now, later) = rest.split_at(rows * columns);
            let statement = self.insert_statement(into, rows, columns)?;
            self.line.ask(async |client| client.execute(&statement, &bind(now)).await)?;
            rest = later;
        }
        Ok(())
    }

    fn server_time(&mut self) -> Result<Option<i64>, SqlError> {
        let rows = self.query("SELECT EXTRACT(EPOCH FROM clock_timestamp())::BIGINT", &[])?;
        Ok(rows.into_iter().next().and_then(|mut row| row.int().ok()))
    }

    fn script(&mut self, sql: &str) -> Result<(), SqlError> {
        self.batch(sql)
    }

    fn begin(&mut self) -> Result<(), SqlError> {
        let sql = match self.usage {
            // Read committed: after the head row is locked, each statement sees what other nodes committed before.
            Use::Write => "BEGIN ISOLATION LEVEL READ COMMITTED",
            Use::Read | Use::Audit | Use::Backup => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        };
        self.batch(sql)
    }

    fn commit(&mut self) -> Result<(), SqlError> {
        self.batch("COMMIT")
    }

    /// What the server took, it has.
    fn is_there(&mut self) -> Result<(), SqlError> {
        Ok(())
    }

    /// A lock of the session, within the schema: the server gives it back with the session.
    fn claim(&mut self, node: u16) -> Result<Option<String>, SqlError> {
        let node = [Value::Int(node.into())];
        let mut rows = self.query(&format!("SELECT (pg_try_advisory_lock({CLAIM}))::INT::BIGINT"), &node)?.into_iter();
        if rows.next().is_some_and(|mut row| row.int().is_ok_and(|taken| taken == 1)) {
            return Ok(None);
        }
        let found = self.query(HOLDER, &node)?.into_iter().next().and_then(|mut row| row.text().ok());
        Ok(Some(found.unwrap_or_else(|| "another session of the server".to_owned())))
    }

    fn tend(&mut self) -> Option<u64> {
        None
    }

    fn rollback(&mut self) {
        // A lost connection rolls back by itself.
        let _ = self.batch("ROLLBACK");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nouns::database::Database;
    use crate::sql::connect::AUDIT_MAX;
    use crate::testing::TestPostgres;

    fn session(database: &Database, limit: Duration) -> Postgres {
        let Database::Postgres(url) = database else { panic!() };
        Postgres::open(url, Use::Write, limit).unwrap()
    }

    #[test]
    fn what_ends_a_session_is_told_apart_from_what_it_outlives() {
        let server = TestPostgres::start();
        let database = server.database();
        let mut sql = session(&database, AUDIT_MAX);
        for (code, word) in [
            ("25006", "Lost"),
            ("57P01", "Lost"),
            ("57P03", "Lost"),
            ("08006", "Lost"),
            ("58030", "Lost"),
            ("26000", "Lost"),
            ("0A000", "Lost"),
            ("53100", "Full"),
            ("55P03", "Away"),
            ("40001", "Away"),
            ("23505", "Taken"),
            ("22021", "Unfit"),
            ("57014", "Late"),
            ("XX001", "Corrupt"),
            ("42501", "Wrong"),
        ] {
            let raise = format!("DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '{code}'; END $$");
            let met = sql.script(&raise).unwrap_err();
            assert!(format!("{met:?}").starts_with(word), "{code}: {met:?}");
        }
        // The server hangs up, with whatever code.
        let met = sql.script("SELECT pg_terminate_backend(pg_backend_pid())").unwrap_err();
        assert!(matches!(met, SqlError::Lost(_)), "{met:?}");
        assert!(matches!(sql.query("SELECT 1", &[]), Err(SqlError::Lost(_))));
    }

    #[test]
    fn a_statement_that_no_longer_fits_its_table_needs_a_new_session() {
        let server = TestPostgres::start();
        let database = server.database();
        let mut sql = session(&database, AUDIT_MAX);
        sql.script("CREATE TABLE t (a BIGINT)").unwrap();
        sql.query("SELECT a FROM t", &[]).unwrap();
        session(&database, AUDIT_MAX).script("ALTER TABLE t ALTER a TYPE TEXT").unwrap();
        let met = sql.query("SELECT a FROM t", &[]).unwrap_err();
        assert!(matches!(met, SqlError::Lost(_)), "{met:?}");
        session(&database, AUDIT_MAX).query("SELECT a FROM t", &[]).unwrap();
    }

    #[test]
    fn a_node_that_stands_still_in_a_batch_does_not_keep_the_others_waiting() {
        let server = TestPostgres::start();
        let database = server.database();
        let mut still = session(&database, Duration::from_secs(1));
        still.script("CREATE TABLE t (a BIGINT); INSERT INTO t VALUES (1)").unwrap();
        still.begin().unwrap();
        still.query_and_lock("SELECT a FROM t", &[]).unwrap();
        let mut other = session(&database, AUDIT_MAX);
        other.begin().unwrap();
        assert_eq!(other.query_and_lock("SELECT a FROM t", &[]).unwrap().len(), 1);
        assert!(matches!(still.commit(), Err(SqlError::Lost(_))));
    }
}
