//! PostgreSQL: roles and their passwords.
//!
//! The verifier is computed here (SCRAM-SHA-256, RFC 7677, as libpq's PQencryptPasswordConn does): the password itself is never sent, so
//! it stands neither in the server's log nor in pg_stat_statements. A role has one password; overlaps are made with two roles.
//!
//! A role is the whole cluster's: what is done to it is done in whichever database lets the administrator in, so that whoever owns one keeps
//! nobody's password and nobody's end from being made. What is a role's lies in one database each, and is taken from it there: for that, and
//! for nothing else, a database that is closed is opened (`door`).

mod answer;
mod door;

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

use self::answer::{not_done, words};
use self::door::{Door, is_left};

/// A PostgreSQL server, and the database in which one logs in.
#[derive(Clone, Debug)]
pub struct Postgres {
    host: Host,
    database: String,
    /// Where the administrator logs in where that one keeps him out, in this order.
    others: Vec<String>,
}

/// No session.
struct KeptOut {
    fault: Fault,
    by: Bar,
}

/// What keeps somebody out.
enum Bar {
    /// The server, or what he shows: no other database lets him in.
    Server,
    /// It may be this database alone: its limit, its grants, its name, a lock on it.
    Database,
    /// Its settings, or that it is closed: what its owner's rights set aside for a moment.
    Door,
}

impl Postgres {
    /// Of a server, and a database in which the administrator and the users may log in.
    pub fn new(host: Host, database: &str) -> Postgres {
        let others = EVERYWHERE.into_iter().filter(|other| *other != database).map(str::to_owned).collect();
        Postgres { host, database: database.to_owned(), others }
    }

    /// Another database of the server.
    fn there(&self, database: &str) -> Postgres {
        // Those that every server has come first: two who come to one door meet in one database.
        let others = self.others.iter().chain([&self.database]).filter(|other| other.as_str() != database);
        Postgres { host: self.host.clone(), database: database.to_owned(), others: others.cloned().collect() }
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

    /// A session of the administrator in whichever database lets him in, for what is the whole cluster's. Nothing is opened for it. Where
    /// none does, what this one said is told. Nor does anything wait for what a kill of ours left open: who is to be locked out might keep
    /// it from being closed.
    async fn at_large(&self, admin: Login<'_>) -> Result<Client, Fault> {
        match self.entered(admin).await {
            Ok(client) => Ok(client),
            Err(KeptOut { fault, by: Bar::Server }) => Err(fault),
            Err(KeptOut { fault, by: Bar::Database | Bar::Door }) => self.beside(admin).await.map_err(|_| fault),
        }
    }

    /// A session of the administrator in another database.
    async fn beside(&self, admin: Login<'_>) -> Result<Client, Fault> {
        let mut last = Fault::away("there is no other database");
        for other in &self.others {
            match self.there(other).entered(admin).await {
                Ok(client) => return Ok(client),
                Err(kept) => last = kept.fault,
            }
        }
        Err(last)
    }

    /// A session of the administrator in this database, whatever its owner set for those who come. What one of ours left behind who was
    /// killed is put back before anything else is done.
    async fn opened(&self, admin: Login<'_>) -> Result<Client, Fault> {
        let fault = match self.entered(admin).await {
            Ok(client) => {
                if !is_left(&client).await? {
                    return Ok(client);
                }
                Fault::away("was not put back as it was")
            }
            Err(KeptOut { fault, by: Bar::Door }) => fault,
            Err(KeptOut { fault, by: Bar::Database }) => return Err(self.shut(fault)),
            Err(KeptOut { fault, by: Bar::Server }) => return Err(fault),
        };
        // In a task of its own: it is seen to its end, whoever ceases to wait for it.
        let (place, user, secret) = (self.clone(), admin.user.to_owned(), Secret::new(admin.secret.expose().clone()));
        let work = tokio::spawn(async move { place.let_in(Login { user: &user, secret: &secret }, fault).await });
        work.await.unwrap_or_else(|_| Err(Fault::away("whoever was coming in was stopped")))
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

    /// Comes in by another database, which opens the door of this one for that moment. A session that began stays, so the door is at once
    /// as it was.
    async fn let_in(&self, admin: Login<'_>, fault: Fault) -> Result<Client, Fault> {
        let Ok(beside) = self.beside(admin).await else { return Err(self.shut(fault)) };
        let mut door = Door::of(&self.database, &beside).await.map_err(|fault| self.shut(fault))?;
        let entered = match door.open(&beside).await {
            Ok(()) => self.entered(admin).await.map_err(|kept| kept.fault),
            Err(_) => Err(fault),
        };
        let put_back = match door.put_back(&beside).await {
            // The line broke, or is slow: once more, by another.
            Err(Fault::Away(_)) => match self.beside(admin).await {
                Ok(again) => door.put_back(&again).await,
                Err(fault) => Err(fault),
            },
            done => done,
        };
        put_back.map_err(|fault| self.shut(fault))?;
        entered.map_err(|fault| self.shut(fault))
    }

    /// Of this database, into which no administrator comes, and what is to be undone.
    fn shut(&self, fault: Fault) -> Fault {
        let why = "lets no administrator in (a superuser undoes it: pg_db_role_setting, GRANT CONNECT, ALTER DATABASE ... \
                   ALLOW_CONNECTIONS or CONNECTION LIMIT)";
        fault.within(&format!("{} {why}", self.database))
    }

    /// One act upon a role.
    async fn act(&self, admin: Login<'_>, statement: &str) -> Result<(), Fault> {
        does(&self.at_large(admin).await?, statement).await
    }

    /// Empties the other databases of what is a role's, one after the other. What was emptied is not found again: where the time ends,
    /// the next try goes on from there.
    async fn emptied(&self, admin: Login<'_>, databases: Vec<String>, statement: &str) -> Result<(), Fault> {
        let walk = async {
            let mut first = None;
            for database in databases {
                let done = self.there(&database).emptied_here(admin, statement).await;
                // One that cannot be emptied keeps no other from it.
                first = first.or(done.err().map(|fault| fault.within(&format!("database {database}"))));
            }
            first.map_or(Ok(()), Err)
        };
        in_all(walk).await
    }

    async fn emptied_here(&self, admin: Login<'_>, statement: &str) -> Result<(), Fault> {
        does(&self.opened(admin).await?, statement).await
    }
}

impl Driver for Postgres {
    async fn set(&self, admin: Login<'_>, to: Login<'_>, others: Others) -> Result<(), Fault> {
        sane(to, ROLE_BYTES_MAX)?;
        one_password(others)?;
        let (role, verifier) = (escape_identifier(to.user), verifier(to.secret));
        self.act(admin, &format!("ALTER ROLE {role} PASSWORD {verifier}")).await
    }

    async fn test(&self, login: Login<'_>) -> Result<(), Fault> {
        in_time(self.session(login)).await.map(drop).map_err(|kept| kept.fault)
    }

    async fn retire(&self, admin: Login<'_>, gone: Login<'_>, others: Others) -> Result<(), Fault> {
        sane(gone, ROLE_BYTES_MAX)?;
        one_password(others)?;
        self.act(admin, &format!("ALTER ROLE {} PASSWORD NULL", escape_identifier(gone.user))).await
    }
}

impl Dynamic for Postgres {
    async fn create(&self, admin: Login<'_>, lease: Lease<'_>) -> Result<(), Fault> {
        sane(lease.login, ROLE_BYTES_MAX)?;
        let (role, verifier) = (escape_identifier(lease.login.user), verifier(lease.login.secret));
        let (like, until) = (escape_identifier(lease.like), until(lease));
        self.act(admin, &format!("CREATE ROLE {role} LOGIN PASSWORD {verifier} VALID UNTIL {until} IN ROLE {like}"))
            .await
    }

    async fn renew(&self, admin: Login<'_>, lease: Lease<'_>) -> Result<(), Fault> {
        named(lease.login.user, ROLE_BYTES_MAX)?;
        let role = escape_identifier(lease.login.user);
        self.act(admin, &format!("ALTER ROLE {role} VALID UNTIL {}", until(lease))).await
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
        let client = self.at_large(admin).await?;
        for (nth, step) in steps.iter().enumerate() {
            // Each is a transaction of its own: what was done before this one stays.
            let done = does(&client, step).await;
            done.map_err(|fault| if nth > 0 { fault.after_acting() } else { fault })?;
        }
        // He is locked out: now what a kill of ours left open is closed.
        let closed = match is_left(&client).await {
            Ok(true) => self.opened(admin).await.map(drop),
            known => known.map(drop),
        };
        let empty = if_there(format!("REASSIGN OWNED BY {role} TO {like}; DROP OWNED BY {role}"));
        // What he made is handed over whether or not he can be dropped.
        let elsewhere = match elsewhere(&client, lease.login.user).await {
            Ok(databases) => self.emptied(admin, databases, &empty).await,
            Err(fault) => Err(fault),
        };
        // In this one, and what is of no database: rights to connect, databases of his own.
        does(&client, &empty).await.map_err(Fault::after_acting)?;
        elsewhere.and(closed).map_err(Fault::after_acting)?;
        does(&client, &if_there(format!("DROP ROLE {role}"))).await.map_err(Fault::after_acting)
    }
}

/// One statement.
async fn does(client: &Client, statement: &str) -> Result<(), Fault> {
    asked(async { client.batch_execute(statement).await.map_err(not_done) }).await
}

/// The other databases of the cluster in which something is a role's, or something was granted to it (pg_shdepend).
async fn elsewhere(client: &Client, role: &str) -> Result<Vec<String>, Fault> {
    let question = format!("{ELSEWHERE} LIMIT {DATABASES_MAX}");
    let rows = asked(async { client.query(question.as_str(), &[&role]).await.map_err(not_done) }).await?;
    rows.iter().map(|row| row.try_get::<_, String>(0).map_err(not_done)).collect()
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

/// What is done before anything is asked, and may be kept out. Whoever renames a database and does not end that has others wait for it
/// alone.
async fn in_time<T>(work: impl Future<Output = Result<T, KeptOut>>) -> Result<T, KeptOut> {
    let done = before(async { Ok(work.await) }).await.map_err(|fault| KeptOut { fault, by: Bar::Database })?;
    done.map_err(|kept| KeptOut { fault: kept.fault.before_acting(), by: kept.by })
}

impl From<Fault> for KeptOut {
    fn from(fault: Fault) -> KeptOut {
        KeptOut { fault, by: Bar::Server }
    }
}

/// Of the first message of a session: one that ended without a word may have been idle for too long already.
fn not_ready(error: Error) -> KeptOut {
    let by = error.as_db_error().map_or(Bar::Door, bar);
    KeptOut { fault: not_done(error), by }
}

/// Whatever else a server says, another database of it may not.
fn bar(said: &DbError) -> Bar {
    match said.code().code() {
        code if KEPT_OUT.contains(&code) => Bar::Door,
        WRONG_PASSWORD => Bar::Server,
        _ => Bar::Database,
    }
}

/// Of a connection: class 28 alone is about who logs in (PostgreSQL, appendix A).
fn not_let_in(error: Error) -> KeptOut {
    let by = error.as_db_error().map_or(Bar::Server, bar);
    let fault = match error.as_db_error() {
        Some(said) if said.code().code().starts_with("28") => Fault::refused(said.message()),
        Some(said) => Fault::away(said.message()),
        None => Fault::away(words(&error)),
    };
    KeptOut { fault, by }
}

/// Databases that nobody may connect to among them: who owns one closes it.
const ELSEWHERE: &str = "SELECT DISTINCT d.datname::text FROM pg_shdepend s JOIN pg_database d ON d.oid = s.dbid \
                         JOIN pg_roles r ON r.oid = s.refobjid \
                         WHERE s.refclassid = 'pg_authid'::regclass AND r.rolname = $1 \
                         AND d.datname <> current_database() ORDER BY 1";
/// So many databases are emptied in one go; what is in others keeps the role, and the next try finds them.
const DATABASES_MAX: usize = 64;
/// A longer name is cut by the server without a word (NAMEDATALEN), and is then another role's.
const ROLE_BYTES_MAX: usize = 63;
/// Databases that every server has: an administrator comes in by one where another keeps him out.
const EVERYWHERE: [&str; 2] = ["postgres", "template1"];
/// Settings that end a session, or what it is at; a server knows those of its version.
const ENDING: &str = "'idle_session_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout'";
/// What a server says where a database's settings end a session at its beginning (query_canceled, idle_in_transaction_session_timeout,
/// transaction_timeout, idle_session_timeout), have it load what is not there (undefined_file), or where the database takes no connections.
const KEPT_OUT: [&str; 6] = ["57014", "25P03", "25P04", "57P05", "58P01", "55000"];
/// invalid_password, which is the whole cluster's. Of others of its class a database may be the reason (pg_hba.conf).
const WRONG_PASSWORD: &str = "28P01";
const LOCK_SECS: u64 = 5;
const STATEMENT_SECS: u64 = 20;
