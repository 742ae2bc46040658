//! PostgreSQL: when several nodes share one register.
//!
//! TLS with verified server certificate towards any other host; plain only on loopback and unix sockets.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use postgres::config::{Host, SslMode};
use postgres::error::SqlState;
use postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use postgres::{Client, Config, NoTls, Statement};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::engine::{Sql, Use};
use super::error::SqlError;
use super::text::{insert_text, noted};
use super::value::{Cell, Row, Value};

/// A server that does not answer by then is away.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Notice a dead peer within half a minute, not in two hours.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(10);
/// Parsed questions kept per connection.
const STATEMENTS_MAX: usize = 256;
/// Rows per INSERT, each number with a statement of its own: a usual batch then takes one round trip a table, which measured
/// 12 % faster than chunks of a few fixed sizes.
const ROWS_MAX: usize = 64;

pub(super) struct Postgres {
    client: Client,
    usage: Use,
    limit: Duration,
    statements: HashMap<String, Statement>,
    inserts: HashMap<(&'static str, usize), Statement>,
}

impl Postgres {
    pub(super) fn open(url: &str, usage: Use, limit: Duration) -> Result<Postgres, SqlError> {
        let (mut client, names_schema) = dial(url)?;
        // A commit that returned must survive: refuse a server or role that was set to answer early.
        let setup = format!(
            "SET synchronous_commit = on; SET statement_timeout = {}; \
             SET idle_in_transaction_session_timeout = 0; SET client_min_messages = warning",
            limit.as_millis()
        );
        client.batch_execute(&setup).map_err(fault)?;
        if !names_schema {
            // Not what the role or the database says now: whoever may alter those would lead later connections elsewhere.
            client.batch_execute("SET search_path = public, pg_temp").map_err(fault)?;
        }
        if usage == Use::Read {
            client.batch_execute("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY").map_err(fault)?;
        }
        Ok(Postgres { client, usage, limit, statements: HashMap::new(), inserts: HashMap::new() })
    }

    /// What went wrong with a statement, its deadline told apart from a server that ends.
    fn fault(&self, error: postgres::Error) -> SqlError {
        match error.code() {
            Some(code) if *code == SqlState::QUERY_CANCELED => SqlError::Late(self.limit),
            Some(_) | None => fault(error),
        }
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
        let statement = self.client.prepare(sql).map_err(fault)?;
        self.statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    fn insert_statement(&mut self, into: &'static str, rows: usize, columns: usize) -> Result<Statement, SqlError> {
        if let Some(statement) = self.inserts.get(&(into, rows)) {
            return Ok(statement.clone());
        }
        let sql = insert_text(into, rows, columns);
        noted(&sql);
        let statement = self.client.prepare(&sql).map_err(fault)?;
        self.inserts.insert((into, rows), statement.clone());
        Ok(statement)
    }
}

impl Sql for Postgres {
    fn execute(&mut self, sql: &str, params: &[Value<'_>]) -> Result<u64, SqlError> {
        let statement = self.statement(sql)?;
        self.client.execute(&statement, &bind(params)).map_err(|e| self.fault(e))
    }

    fn query(&mut self, sql: &str, params: &[Value<'_>]) -> Result<Vec<Row>, SqlError> {
        let statement = self.statement(sql)?;
        let rows = self.client.query(&statement, &bind(params)).map_err(|e| self.fault(e))?;
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
            self.client.execute(&statement, &bind(now)).map_err(|e| self.fault(e))?;
            rest = later;
        }
        Ok(())
    }

    fn server_time(&mut self) -> Result<Option<i64>, SqlError> {
        let rows = self.query("SELECT EXTRACT(EPOCH FROM clock_timestamp())::BIGINT", &[])?;
        Ok(rows.into_iter().next().and_then(|mut row| row.int().ok()))
    }

    fn script(&mut self, sql: &str) -> Result<(), SqlError> {
        self.client.batch_execute(sql).map_err(fault)
    }

    fn begin(&mut self) -> Result<(), SqlError> {
        let sql = match self.usage {
            // Read committed: after the head row is locked, each statement sees what other nodes committed before.
            Use::Write => "BEGIN ISOLATION LEVEL READ COMMITTED",
            Use::Read => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        };
        self.client.batch_execute(sql).map_err(fault)
    }

    fn commit(&mut self) -> Result<(), SqlError> {
        self.client.batch_execute("COMMIT").map_err(fault)
    }

    fn tend(&mut self) -> Option<u64> {
        None
    }

    fn rollback(&mut self) {
        // A lost connection rolls back by itself.
        let _ = self.client.batch_execute("ROLLBACK");
    }
}

fn bind<'a>(params: &'a [Value<'a>]) -> Vec<&'a (dyn ToSql + Sync)> {
    params.iter().map(|value| value as &(dyn ToSql + Sync)).collect()
}

impl ToSql for Value<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Value::Null => Ok(IsNull::Yes),
            Value::Int(n) if *ty == Type::INT8 => n.to_sql(ty, out),
            Value::Text(s) if *ty == Type::TEXT => s.to_sql(ty, out),
            Value::Blob(b) if *ty == Type::BYTEA => b.to_sql(ty, out),
            Value::Int(_) | Value::Text(_) | Value::Blob(_) => Err(format!("parameter does not fit {ty}").into()),
        }
    }
    fn accepts(ty: &Type) -> bool {
        [Type::INT8, Type::TEXT, Type::BYTEA].contains(ty)
    }
    to_sql_checked!();
}

fn read(row: &postgres::Row) -> Result<Row, SqlError> {
    let cells = row.columns().iter().enumerate().map(|(at, column)| {
        let ty = column.type_();
        let cell = if *ty == Type::INT8 {
            row.try_get::<_, Option<i64>>(at).map(|v| v.map_or(Cell::Null, Cell::Int))
        } else if *ty == Type::INT4 {
            row.try_get::<_, Option<i32>>(at).map(|v| v.map_or(Cell::Null, |n| Cell::Int(n.into())))
        } else if *ty == Type::TEXT {
            row.try_get::<_, Option<String>>(at).map(|v| v.map_or(Cell::Null, Cell::Text))
        } else {
            row.try_get::<_, Option<Vec<u8>>>(at).map(|v| v.map_or(Cell::Null, Cell::Blob))
        };
        cell.map_err(fault)
    });
    Ok(Row::new(cells.collect::<Result<_, _>>()?))
}

/// The connection, and whether the URL itself says in which schema the register lies.
fn dial(url: &str) -> Result<(Client, bool), SqlError> {
    let (url, roots) = take_root_file(url)?;
    let mut config: Config = url.parse().map_err(|e: postgres::Error| SqlError::Wrong(format!("database URL: {e}")))?;
    config.connect_timeout(CONNECT_TIMEOUT).keepalives_idle(KEEPALIVE_IDLE).application_name("chancery");
    let names_schema = config.get_options().is_some_and(|options| options.contains("search_path"));
    if config.get_ssl_mode() != SslMode::Require {
        if !config.get_hosts().iter().all(is_local) {
            let line = "a register on another host needs `sslmode=require&sslrootcert=FILE` in its URL";
            return Err(SqlError::Wrong(line.into()));
        }
        return config.connect(NoTls).map(|client| (client, names_schema)).map_err(dial_fault);
    }
    let roots = roots.ok_or_else(|| SqlError::Wrong("sslmode=require needs `sslrootcert=FILE` in the URL".into()))?;
    config.connect(tls(&roots)?).map(|client| (client, names_schema)).map_err(dial_fault)
}

/// `sslrootcert` is libpq's name for it; the driver leaves TLS to us and does not know it.
fn take_root_file(url: &str) -> Result<(String, Option<String>), SqlError> {
    let Some((base, query)) = url.split_once('?') else { return Ok((url.to_owned(), None)) };
    let mut roots = None;
    let mut kept = Vec::new();
    for pair in query.split('&') {
        match pair.split_once('=') {
            Some(("sslrootcert", file)) => roots = Some(file.replace("%2F", "/")),
            Some(("sslmode", "verify-full" | "verify-ca")) => kept.push("sslmode=require"),
            _ => kept.push(pair),
        }
    }
    let query = if kept.is_empty() { String::new() } else { format!("?{}", kept.join("&")) };
    Ok((format!("{base}{query}"), roots))
}

fn is_local(host: &Host) -> bool {
    match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => name == "localhost" || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback()),
    }
}

fn tls(root_file: &str) -> Result<MakeRustlsConnect, SqlError> {
    let wrong = |why: String| SqlError::Wrong(format!("sslrootcert {root_file}: {why}"));
    let mut roots = rustls::RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(root_file).map_err(|e| wrong(e.to_string()))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|e| wrong(e.to_string()))?;
        roots.add(certificate).map_err(|e| wrong(e.to_string()))?;
    }
    if roots.is_empty() {
        return Err(wrong("holds no certificate".into()));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| wrong(e.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

/// A refused password or a missing database will not mend itself; everything else about dialling may.
fn dial_fault(error: postgres::Error) -> SqlError {
    match fault(error) {
        wrong @ (SqlError::Wrong(_) | SqlError::Unfit(_)) => wrong,
        SqlError::Taken(why) | SqlError::Away(why) | SqlError::Lost(why) | SqlError::Corrupt(why) => {
            SqlError::Away(why)
        }
        late @ SqlError::Late(_) => late,
    }
}

fn fault(error: postgres::Error) -> SqlError {
    let why = match error.as_db_error() {
        Some(db) => format!("{} ({})", db.message(), db.code().code()),
        None => chain(&error),
    };
    let Some(code) = error.code() else { return without_code(why) };
    if *code == SqlState::UNIQUE_VIOLATION {
        return SqlError::Taken(why);
    }
    // A NUL: SQLite holds it, PostgreSQL does not.
    if *code == SqlState::CHARACTER_NOT_IN_REPERTOIRE {
        return SqlError::Unfit(why);
    }
    // PostgreSQL Appendix A, by class: 53 insufficient resources (disk full), 57 operator intervention (shutdown, timeout),
    // 58 system error, 55 not in the needed state (lock), 40 rollback (deadlock), 25 read-only after a failover.
    match code.code().get(..2) {
        Some("57" | "08") => SqlError::Lost(why),
        Some("53" | "58" | "55" | "40" | "25") => SqlError::Away(why),
        Some("XX") => SqlError::Corrupt(why),
        _ => SqlError::Wrong(why),
    }
}

/// No answer from the server: the line is gone, unless it is our own statement that does not fit its table.
fn without_code(why: String) -> SqlError {
    let ours = ["error serializing", "error deserializing", "expected"];
    if ours.iter().any(|start| why.starts_with(start)) { SqlError::Wrong(why) } else { SqlError::Lost(why) }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_register_on_another_host_needs_tls_with_known_roots() {
        for (url, word) in [
            ("postgres://a@db.example/x", "sslmode=require"),
            ("postgres://a@db.example/x?sslmode=prefer", "sslmode=require"),
            ("postgres://a@127.0.0.1,db.example/x", "sslmode=require"),
            ("postgres://a@127.0.0.1/x?sslmode=require", "sslrootcert"),
            ("postgres://a@db.example/x?sslmode=require&sslrootcert=/nowhere.pem", "nowhere"),
        ] {
            match dial(url) {
                Err(SqlError::Wrong(why)) => assert!(why.contains(word), "{url}: {why}"),
                other => panic!("{url}: {:?}", other.err()),
            }
        }
    }
}
