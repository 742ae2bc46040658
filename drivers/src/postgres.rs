//! PostgreSQL: roles and their passwords.
//!
//! The verifier is computed here (SCRAM-SHA-256, RFC 7677, as libpq's PQencryptPasswordConn does): the password itself is never sent, so
//! it stands neither in the server's log nor in pg_stat_statements. A role has one password; overlaps are made with two roles.

use std::future::Future;

use policy::Secret;
use postgres_protocol::escape::{escape_identifier, escape_literal};
use postgres_protocol::password::scram_sha_256;
use secrets::rotation::Others;
use tokio_postgres::config::SslMode;
use tokio_postgres::error::DbError;
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
    /// Where one logs in to open that one, whose owner keeps everybody out.
    beside: String,
}

/// No session.
struct KeptOut {
    fault: Fault,
    /// Whether it may be the database's own settings, which its owner makes.
    by_database: bool,
}

impl Postgres {
    /// Of a server, and a database in which the administrator and the users may log in.
    pub fn new(host: Host, database: &str) -> Postgres {
        let beside = if database == EVERYWHERE[0] { EVERYWHERE[1] } else { EVERYWHERE[0] };
        Postgres { host, database: database.to_owned(), beside: beside.to_owned() }
    }

    /// Another database of the server.
    fn there(&self, database: &str) -> Postgres {
        Postgres { host: self.host.clone(), database: database.to_owned(), beside: self.database.clone() }
    }

    /// A session of this login.
    async fn session(&self, login: Login<'_>) -> Result<Client, KeptOut> {
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
                let tls = tls.map_err(Fault::away)?;
                let connected = config.ssl_mode(SslMode::Require).connect_raw(stream, tls).await;
                let (client, connection) = connected.map_err(not_let_in)?;
                tokio::spawn(connection);
                Ok(client)
            }
        }
    }

    /// A session of the administrator, whatever the database's owner set for those who come.
    async fn opened(&self, admin: Login<'_>) -> Result<Client, Fault> {
        match self.entered(admin).await {
            Err(KeptOut { fault, by_database: true }) => self.let_in(admin, fault).await,
            entered => entered.map_err(|kept| kept.fault),
        }
    }

    /// A session of the administrator: a lock that somebody holds is no reason to wait for it in the dark.
    async fn entered(&self, admin: Login<'_>) -> Result<Client, KeptOut> {
        let client = in_time(self.session(admin)).await?;
        // Whoever owns a database says by which names it is searched, and how a session there begins and ends: his own would be found in the
        // place of the server's, and run as the administrator. All of it is one message: between two of them a session may be ended.
        let bounds = format!(
            "SET statement_timeout = 0; SET search_path = pg_catalog, pg_temp; SET ROLE NONE; SET default_transaction_read_only = off; \
             SELECT set_config(name, '0', false) FROM pg_settings WHERE name IN ({ENDING}); \
             SET lock_timeout = '{LOCK_SECS}s'; SET statement_timeout = '{STATEMENT_SECS}s'"
        );
        in_time(async { client.batch_execute(&bounds).await.map_err(not_ready) }).await?;
        Ok(client)
    }

    /// Comes in by another database: what is set for one role in a database goes before what is set for all there, and one's own role
    /// everybody may set. Closed to all, it is opened for this moment, by who may (its owner's role, or a superuser). A session that began
    /// stays, so all of it is at once as it was.
    async fn let_in(&self, admin: Login<'_>, fault: Fault) -> Result<Client, Fault> {
        let shut = |fault: Fault| {
            let why = "lets no administrator in (a superuser undoes it: pg_db_role_setting, ALTER DATABASE ... ALLOW_CONNECTIONS)";
            fault.within(&format!("{} {why}", self.database))
        };
        let beside = Postgres { host: self.host.clone(), database: self.beside.clone(), beside: String::new() };
        let Ok(beside) = beside.entered(admin).await else { return Err(shut(fault)) };
        let question = "SELECT NOT datallowconn FROM pg_database WHERE datname = $1";
        let is_closed = before(async {
            let rows = beside.query(question, &[&self.database]).await.map_err(not_done)?;
            rows.first().map_or(Ok(false), |row| row.try_get::<_, bool>(0).map_err(not_done))
        });
        let is_closed = is_closed.await.map_err(shut)?;
        let all = |setting: &str| for_each_of_ours(&self.database, setting);
        let allow = |may: bool| format!("ALTER DATABASE {} ALLOW_CONNECTIONS {may}", escape_identifier(&self.database));
        said(&beside, &all("SET %I FROM CURRENT")).await.map_err(shut)?;
        let opened = if is_closed { said(&beside, &allow(true)).await } else { Ok(()) };
        let is_opened = is_closed && opened.is_ok();
        let entered = match opened {
            Ok(()) => self.entered(admin).await.map_err(|kept| kept.fault),
            Err(_) => Err(fault),
        };
        let closed = if is_opened { said(&beside, &allow(false)).await } else { Ok(()) };
        let reset = said(&beside, &all("RESET %I")).await;
        closed.and(reset).map_err(shut)?;
        entered.map_err(shut)
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
            let mut first = None;
            for database in databases {
                let done = self.there(&database).act(admin, &[statement.to_owned()]).await;
                // One that cannot be emptied keeps no other from it.
                first = first.or(done.err().map(|fault| fault.within(&format!("database {database}"))));
            }
            first.map_or(Ok(()), Err)
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
        in_time(self.session(login)).await.map(drop).map_err(|kept| kept.fault)
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
        // Whatever keeps the first two from being done, he is locked out; what is then not done says why.
        let or_not = |act: String| {
            let body = format!("BEGIN {act}; EXCEPTION WHEN OTHERS THEN NULL; END");
            format!("DO {}", escape_literal(&body))
        };
        let terminate = format!("pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = {name}");
        let steps = [
            // Who only makes roles ends nobody's session, and takes over nothing, unless he is of that role himself.
            or_not(format!("GRANT {role} TO CURRENT_USER")),
            // A session of his that holds his own row would have the next one wait for it.
            or_not(format!("PERFORM {terminate}")),
            if_there(format!("ALTER ROLE {role} NOLOGIN PASSWORD NULL")),
            format!("SELECT {terminate}"),
        ];
        self.act(admin, &steps).await?;
        let empty = if_there(format!("REASSIGN OWNED BY {role} TO {like}; DROP OWNED BY {role}"));
        // What he made is handed over whether or not he can be dropped.
        let elsewhere = self.emptied(admin, lease.login.user, &empty).await;
        self.act(admin, &[empty]).await.map_err(Fault::after_acting)?;
        elsewhere.map_err(Fault::after_acting)?;
        self.act(admin, &[if_there(format!("DROP ROLE {role}"))]).await.map_err(Fault::after_acting)
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

/// What is done before anything is asked, and may be kept out.
async fn in_time<T>(work: impl Future<Output = Result<T, KeptOut>>) -> Result<T, KeptOut> {
    let done = before(async { Ok(work.await) }).await?;
    done.map_err(|kept| KeptOut { fault: kept.fault.before_acting(), ..kept })
}

/// One statement, before anything that was asked for is done.
async fn said(client: &Client, statement: &str) -> Result<(), Fault> {
    before(async { client.batch_execute(statement).await.map_err(not_done) }).await
}

/// Each of the settings by which a database keeps people out, where the server has it: for our own role in that database.
fn for_each_of_ours(database: &str, setting: &str) -> String {
    let (of, each) = (escape_literal(database), format!("ALTER ROLE CURRENT_USER IN DATABASE %I {setting}"));
    let body = format!(
        "DECLARE setting text; BEGIN \
         FOR setting IN SELECT name FROM pg_settings WHERE name IN ({ENDING}, 'statement_timeout', 'local_preload_libraries') LOOP \
         PERFORM set_config(setting, CASE setting WHEN 'local_preload_libraries' THEN '' ELSE '0' END, true); \
         EXECUTE format({}, {of}, setting); END LOOP; END",
        escape_literal(&each)
    );
    format!("DO {}", escape_literal(&body))
}

impl From<Fault> for KeptOut {
    fn from(fault: Fault) -> KeptOut {
        KeptOut { fault, by_database: false }
    }
}

/// Of the first message of a session: one that ended without a word may have been idle for too long already.
fn not_ready(error: Error) -> KeptOut {
    KeptOut { by_database: error.as_db_error().is_none_or(is_of_database), fault: not_done(error) }
}

fn is_of_database(said: &DbError) -> bool {
    KEPT_OUT.contains(&said.code().code())
}

/// Of a connection: class 28 alone is about who logs in (PostgreSQL, appendix A).
fn not_let_in(error: Error) -> KeptOut {
    let fault = match error.as_db_error() {
        Some(said) if said.code().code().starts_with("28") => Fault::refused(said.message()),
        Some(said) => Fault::away(said.message()),
        None => Fault::away(words(&error)),
    };
    KeptOut { fault, by_database: error.as_db_error().is_some_and(is_of_database) }
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

/// Databases that nobody may connect to among them: who owns one closes it.
const ELSEWHERE: &str = "SELECT DISTINCT d.datname::text FROM pg_shdepend s JOIN pg_database d ON d.oid = s.dbid \
                         JOIN pg_roles r ON r.oid = s.refobjid \
                         WHERE s.refclassid = 'pg_authid'::regclass AND r.rolname = $1 \
                         AND d.datname <> current_database() ORDER BY 1";
/// So many databases are emptied in one go; what is in others keeps the role, and the next try finds them.
const DATABASES_MAX: usize = 64;
/// DEPENDENT_OBJECTS_STILL_EXIST.
const DEPENDED_ON: &str = "2BP01";
/// A longer name is cut by the server without a word (NAMEDATALEN), and is then another role's.
const ROLE_BYTES_MAX: usize = 63;
/// Databases that every server has: an administrator comes in by one where the other is what keeps him out.
const EVERYWHERE: [&str; 2] = ["postgres", "template1"];
/// Settings that end a session, or what it is at; a server knows those of its version.
const ENDING: &str = "'idle_session_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout'";
/// What a server says where a database's settings end a session at its beginning (query_canceled, idle_in_transaction_session_timeout,
/// transaction_timeout, idle_session_timeout), have it load what is not there (undefined_file), or where the database takes no connections.
const KEPT_OUT: [&str; 6] = ["57014", "25P03", "25P04", "57P05", "58P01", "55000"];
const LOCK_SECS: u64 = 5;
const STATEMENT_SECS: u64 = 20;
