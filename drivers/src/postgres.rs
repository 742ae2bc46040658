//! PostgreSQL: roles and their passwords.
//!
//! The verifier is computed here (SCRAM-SHA-256, RFC 7677, as libpq's PQencryptPasswordConn does): the password itself is never sent, so
//! it stands neither in the server's log nor in pg_stat_statements. A role has one password; overlaps are made with two roles.

use policy::Secret;
use postgres_protocol::escape::{escape_identifier, escape_literal};
use postgres_protocol::password::scram_sha_256;
use secrets::rotation::Others;
use tokio_postgres::config::SslMode;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Config, Error, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::deadline::{asked, before, in_all};
use crate::driver::{Driver, Dynamic, Fault, Lease, Login, named, sane};
use crate::host::Host;

/// A PostgreSQL server, and the database in which one logs in.
#[derive(Clone, Debug)]
pub struct Postgres {
    host: Host,
    database: String,
}

impl Postgres {
    /// Of a server, and a database in which the administrator and the users may log in.
    pub fn new(host: Host, database: &str) -> Postgres {
        Postgres { host, database: database.to_owned() }
    }

    /// A session of this login.
    async fn session(&self, login: Login<'_>) -> Result<Client, Fault> {
        sane(login, ROLE_BYTES_MAX)?;
        let mut config = Config::new();
        config.user(login.user).password(login.secret.expose()).dbname(&self.database).application_name("chancery");
        let stream = self.host.dial().await?;
        match self.host.config() {
            None => {
                let connected = config.ssl_mode(SslMode::Disable).connect_raw(stream, NoTls).await;
                let (client, connection) = connected.map_err(not_let_in)?;
                tokio::spawn(connection);
                Ok(client)
            }
            Some(tls) => {
                let mut tls = MakeRustlsConnect::new(tls.as_ref().clone());
                let tls = MakeTlsConnect::<tokio::net::TcpStream>::make_tls_connect(&mut tls, self.host.name());
                let connected = config.ssl_mode(SslMode::Require).connect_raw(stream, tls.map_err(Fault::away)?).await;
                let (client, connection) = connected.map_err(not_let_in)?;
                tokio::spawn(connection);
                Ok(client)
            }
        }
    }

    /// A session of the administrator: a lock that somebody holds is no reason to wait for it in the dark.
    async fn opened(&self, admin: Login<'_>) -> Result<Client, Fault> {
        let client = before(self.session(admin)).await?;
        // Whoever owns a database says by which names it is searched, and how a session there begins: his own would be found in the place of
        // the server's, and run as the administrator.
        let bounds = format!(
            "SET search_path = pg_catalog, pg_temp; SET ROLE NONE; SET default_transaction_read_only = off; \
             SET lock_timeout = '{LOCK_SECS}s'; SET statement_timeout = '{STATEMENT_SECS}s'"
        );
        before(async { client.batch_execute(&bounds).await.map_err(not_done) }).await?;
        Ok(client)
    }

    async fn act(&self, admin: Login<'_>, statements: &[String]) -> Result<(), Fault> {
        let client = self.opened(admin).await?;
        for (nth, statement) in statements.iter().enumerate() {
            let done = asked(async { client.batch_execute(statement).await.map_err(not_done) }).await;
            // Each is a transaction of its own: what was done before this one stays.
            done.map_err(|fault| if nth > 0 { fault.after_acting() } else { fault })?;
        }
        Ok(())
    }

    /// The other databases of the cluster in which something is a role's, or something was granted to it. A role is the whole cluster's,
    /// and what holds it is in one database each (pg_shdepend).
    async fn elsewhere(&self, admin: Login<'_>, role: &str) -> Result<Vec<String>, Fault> {
        let client = self.opened(admin).await?;
        let question = format!("{ELSEWHERE} LIMIT {DATABASES_MAX}");
        let rows = asked(async { client.query(question.as_str(), &[&role]).await.map_err(not_done) }).await?;
        rows.iter().map(|row| row.try_get::<_, String>(0).map_err(not_done)).collect()
    }

    /// Empties the other databases of what is a role's, one after the other. What was emptied is not found again: where the time ends,
    /// the next try goes on from there.
    async fn emptied(&self, admin: Login<'_>, role: &str, statement: &str) -> Result<(), Fault> {
        let databases = self.elsewhere(admin, role).await?;
        let walk = async {
            for database in databases {
                let there = Postgres { host: self.host.clone(), database };
                let done = there.act(admin, &[statement.to_owned()]).await;
                done.map_err(|fault| fault.within(&format!("database {}", there.database)))?;
            }
            Ok::<(), Fault>(())
        };
        in_all(walk).await
    }
}

impl Driver for Postgres {
    async fn set(&self, admin: Login<'_>, to: Login<'_>, others: Others) -> Result<(), Fault> {
        sane(to, ROLE_BYTES_MAX)?;
        one_password(others)?;
        let (role, verifier) = (escape_identifier(to.user), verifier(to.secret));
        self.act(admin, &[format!("ALTER ROLE {role} PASSWORD {verifier}")]).await
    }

    async fn test(&self, login: Login<'_>) -> Result<(), Fault> {
        before(self.session(login)).await.map(drop)
    }

    async fn retire(&self, admin: Login<'_>, gone: Login<'_>, others: Others) -> Result<(), Fault> {
        sane(gone, ROLE_BYTES_MAX)?;
        one_password(others)?;
        self.act(admin, &[format!("ALTER ROLE {} PASSWORD NULL", escape_identifier(gone.user))]).await
    }
}

impl Dynamic for Postgres {
    async fn create(&self, admin: Login<'_>, lease: Lease<'_>) -> Result<(), Fault> {
        sane(lease.login, ROLE_BYTES_MAX)?;
        let (role, verifier) = (escape_identifier(lease.login.user), verifier(lease.login.secret));
        let (like, until) = (escape_identifier(lease.like), until(lease));
        self.act(admin, &[format!("CREATE ROLE {role} LOGIN PASSWORD {verifier} VALID UNTIL {until} IN ROLE {like}")])
            .await
    }

    async fn renew(&self, admin: Login<'_>, lease: Lease<'_>) -> Result<(), Fault> {
        named(lease.login.user, ROLE_BYTES_MAX)?;
        let role = escape_identifier(lease.login.user);
        self.act(admin, &[format!("ALTER ROLE {role} VALID UNTIL {}", until(lease))]).await
    }

    async fn revoke(&self, admin: Login<'_>, lease: Lease<'_>) -> Result<(), Fault> {
        named(lease.login.user, ROLE_BYTES_MAX)?;
        let (role, like) = (escape_identifier(lease.login.user), escape_identifier(lease.like));
        let name = escape_literal(lease.login.user);
        // Nobody comes in any more, whoever is in goes; what he made is his role's, in whichever database, and then there is nothing that
        // is his. Each is done where the role is there: what broke off goes on.
        let if_there = |act: String| {
            let body = escape_literal(&format!(
                "BEGIN IF EXISTS (SELECT FROM pg_roles WHERE rolname = {name}) THEN {act}; END IF; END"
            ));
            format!("DO {body}")
        };
        let steps = [
            // Who only makes roles ends nobody's session, and takes over nothing, unless he is of that role himself.
            if_there(format!("GRANT {role} TO CURRENT_USER")),
            // A session of his that holds his own row would have the next one wait for it.
            format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = {name}"),
            if_there(format!("ALTER ROLE {role} NOLOGIN PASSWORD NULL")),
            format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = {name}"),
        ];
        self.act(admin, &steps).await?;
        let empty = format!("REASSIGN OWNED BY {role} TO {like}; DROP OWNED BY {role}");
        let elsewhere = self.emptied(admin, lease.login.user, &if_there(empty.clone())).await;
        elsewhere.map_err(Fault::after_acting)?;
        // What he made is handed over whether or not he can be dropped.
        let last = [if_there(empty), if_there(format!("DROP ROLE {role}"))];
        self.act(admin, &last).await.map_err(Fault::after_acting)
    }
}

/// As a literal; it has no characters that would be quoted.
fn verifier(secret: &Secret<String>) -> String {
    escape_literal(&scram_sha_256(secret.expose().as_bytes()))
}

fn until(lease: Lease<'_>) -> String {
    escape_literal(&lease.until.to_string())
}

fn one_password(others: Others) -> Result<(), Fault> {
    match others {
        Others::Replaced => Ok(()),
        Others::Kept => Err(Fault::refused("a role of PostgreSQL has one password: take a pair of roles")),
    }
}

/// Of a connection: class 28 alone is about who logs in (PostgreSQL, appendix A).
fn not_let_in(error: Error) -> Fault {
    match error.as_db_error() {
        Some(said) if said.code().code().starts_with("28") => Fault::refused(said.message()),
        Some(said) => Fault::away(said.message()),
        None => Fault::away(words(&error)),
    }
}

/// Of a statement. What the server answered was rolled back.
fn not_done(error: Error) -> Fault {
    const LATER: [&str; 4] = ["40", "53", "55", "57"];
    match error.as_db_error() {
        Some(said) if LATER.iter().any(|class| said.code().code().starts_with(class)) => Fault::away(said.message()),
        // What keeps it, the server says in its detail alone.
        Some(said) if said.code().code() == DEPENDED_ON => {
            Fault::refused(format!("{}: {}", said.message(), said.detail().unwrap_or_default()))
        }
        Some(said) => Fault::refused(said.message()),
        None => Fault::unknown(words(&error)),
    }
}

fn words(error: &Error) -> String {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
    format!("{error}{cause}")
}

/// A database that nobody may connect to holds nothing that could be emptied; a role that it holds stays, and the server says so.
const ELSEWHERE: &str = "SELECT DISTINCT d.datname::text FROM pg_shdepend s JOIN pg_database d ON d.oid = s.dbid \
                         JOIN pg_roles r ON r.oid = s.refobjid \
                         WHERE s.refclassid = 'pg_authid'::regclass AND r.rolname = $1 AND d.datallowconn \
                         AND d.datname <> current_database() ORDER BY 1";
/// So many databases are emptied in one go; what is in others keeps the role, and the next try finds them.
const DATABASES_MAX: usize = 64;
/// DEPENDENT_OBJECTS_STILL_EXIST.
const DEPENDED_ON: &str = "2BP01";
/// A longer name is cut by the server without a word (NAMEDATALEN), and is then another role's.
const ROLE_BYTES_MAX: usize = 63;
const LOCK_SECS: u64 = 5;
const STATEMENT_SECS: u64 = 20;
