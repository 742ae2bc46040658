//! MariaDB: accounts and their passwords.
//!
//! What is sent is the digest that the server would keep (`mysql_native_password`, the one that each of its clients speaks), so the
//! password itself stands in no log of it. An account has one password; overlaps are made with two accounts. MySQL takes digests of
//! another kind and is refused by its name.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, Opts, OptsBuilder, SslOpts};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use ring::rand::{SecureRandom, SystemRandom};
use secrets::rotation::Others;

use crate::deadline::{asked, before};
use crate::driver::{Driver, Dynamic, Fault, Lease, Login, named, sane};
use crate::host::Host;

/// A MariaDB server, and from where its accounts log in.
///
/// An account is a name and a host: `'app'@'%'` and `'app'@'localhost'` are two, with a password each, and the server takes the one whose
/// host is narrower. What is set, taken away or made here is one account and never another of the same name.
#[derive(Clone, Debug)]
pub struct MariaDb {
    host: Host,
    from: String,
    /// Nobody named the account: it is set only where its name has no other.
    is_alone: bool,
}

impl MariaDb {
    /// Of a server; `from` is the second part of the accounts that are set: `%`, `localhost`, or an address.
    pub fn new(host: Host, from: &str) -> MariaDb {
        MariaDb { host, from: from.to_owned(), is_alone: false }
    }

    /// Of a server, whose accounts log in from anywhere. A password of one that does not, or has a namesake that does from elsewhere, is
    /// not set, as far as the administrator may see that: which of them is meant has to be said.
    pub fn of_one_account(host: Host) -> MariaDb {
        MariaDb { host, from: ANYWHERE.to_owned(), is_alone: true }
    }

    async fn session(&self, login: Login<'_>) -> Result<Conn, Fault> {
        sane(login, NAME_BYTES_MAX)?;
        let tls = self.host.config().map(|_| {
            let roots = self.host.roots_pem().as_bytes().to_vec().into();
            SslOpts::default().with_root_certs(vec![roots]).with_disable_built_in_roots(true)
        });
        // By TLS its name is in its certificate; plainly it is dialled where it was looked at.
        let mut places: Vec<String> = self.host.addresses().await?.iter().map(|at| at.ip().to_string()).collect();
        if tls.is_some() {
            places = vec![self.host.name().to_owned()];
        }
        let mut away = Fault::away("it is at no address");
        for place in places {
            let options = OptsBuilder::default()
                .ip_or_hostname(place)
                .tcp_port(self.host.port())
                .prefer_socket(false)
                .user(Some(login.user))
                .pass(Some(login.secret.expose().as_str()))
                .ssl_opts(tls.clone());
            match Conn::new(Opts::from(options)).await {
                Err(error @ Error::Io(_)) => away = not_let_in(error),
                done => return done.map_err(not_let_in),
            }
        }
        Err(away)
    }

    async fn act(&self, admin: Login<'_>, statements: &[String]) -> Result<(), Fault> {
        let mut session = self.opened(admin).await?;
        does(&mut session, statements).await
    }

    /// A session of the administrator, in which a text is what it looks like.
    async fn opened(&self, admin: Login<'_>) -> Result<Conn, Fault> {
        let mut session = before(self.session(admin)).await?;
        before(async {
            let version: Option<String> = session.query_first("SELECT VERSION()").await.map_err(not_done)?;
            if !version.is_some_and(|version| version.contains("MariaDB")) {
                return Err(Fault::refused("this is no MariaDB: other servers keep other digests"));
            }
            // A text ends at its quote, whatever the server was configured to take a backslash for.
            let bounds = format!("SET SESSION sql_mode = 'NO_BACKSLASH_ESCAPES', lock_wait_timeout = {LOCK_SECS}");
            session.query_drop(bounds).await.map_err(not_done)
        })
        .await?;
        Ok(session)
    }

    /// Whether the account is the one that is meant by its name alone.
    async fn is_meant(&self, session: &mut Conn, user: &str) -> Result<(), Fault> {
        if !self.is_alone {
            return Ok(());
        }
        let question =
            format!("SELECT Host FROM mysql.user WHERE User = {} AND is_role = 'N' ORDER BY Host", literal(user));
        let hosts: Vec<String> = match before(async { Ok(session.query(question).await) }).await? {
            Ok(hosts) => hosts,
            // Who may not look there is told by the server what is not there.
            Err(Error::Server(_)) => return Ok(()),
            Err(error) => return Err(Fault::away(error)),
        };
        match hosts.as_slice() {
            [host] if *host == self.from => Ok(()),
            [] => Err(Fault::refused(format!("there is no account {user}"))),
            others => {
                let named: Vec<String> = others.iter().map(|host| format!("{user}@{host}")).collect();
                Err(Fault::refused(format!(
                    "say which account is meant (--account-host): there is {}",
                    named.join(", ")
                )))
            }
        }
    }

    fn account(&self, user: &str) -> String {
        format!("{}@{}", literal(user), literal(&self.from))
    }
}

impl Driver for MariaDb {
    async fn set(&self, admin: Login<'_>, to: Login<'_>, others: Others) -> Result<(), Fault> {
        sane(to, NAME_BYTES_MAX)?;
        one_password(others)?;
        let identified = identified(to.secret.expose().as_bytes());
        let mut session = self.opened(admin).await?;
        self.is_meant(&mut session, to.user).await?;
        does(&mut session, &[format!("ALTER USER {} {identified}", self.account(to.user))]).await
    }

    async fn test(&self, login: Login<'_>) -> Result<(), Fault> {
        before(self.session(login)).await.map(drop)
    }

    async fn retire(&self, admin: Login<'_>, gone: Login<'_>, others: Others) -> Result<(), Fault> {
        sane(gone, NAME_BYTES_MAX)?;
        one_password(others)?;
        // An account has a password always: this one nobody knows.
        let mut nobodys = zeroize::Zeroizing::new([0; 32]);
        SystemRandom::new().fill(nobodys.as_mut_slice()).map_err(|_| Fault::away("no random bytes"))?;
        let identified = identified(nobodys.as_slice());
        self.act(admin, &[format!("ALTER USER {} {identified}", self.account(gone.user))]).await
    }
}

impl Dynamic for MariaDb {
    async fn create(&self, admin: Login<'_>, lease: Lease<'_>) -> Result<(), Fault> {
        sane(lease.login, NAME_BYTES_MAX)?;
        let (account, role) = (self.account(lease.login.user), literal(lease.like));
        let identified = identified(lease.login.secret.expose().as_bytes());
        let steps = [
            format!("CREATE USER {account} {identified}"),
            format!("GRANT {role} TO {account}"),
            format!("SET DEFAULT ROLE {role} FOR {account}"),
        ];
        self.act(admin, &steps).await
    }

    /// A server ends nobody by itself: whoever holds the lease revokes at its end. So there is nothing to change.
    async fn renew(&self, admin: Login<'_>, lease: Lease<'_>) -> Result<(), Fault> {
        named(lease.login.user, NAME_BYTES_MAX)?;
        self.act(admin, &[format!("SHOW CREATE USER {}", self.account(lease.login.user))]).await
    }

    async fn revoke(&self, admin: Login<'_>, lease: Lease<'_>) -> Result<(), Fault> {
        named(lease.login.user, NAME_BYTES_MAX)?;
        let account = self.account(lease.login.user);
        // Nobody comes in any more, whoever is in goes, and then he is gone.
        let steps = [
            format!("ALTER USER IF EXISTS {account} ACCOUNT LOCK"),
            format!("KILL USER {account}"),
            format!("DROP USER IF EXISTS {account}"),
        ];
        self.act(admin, &steps).await
    }
}

/// One after the other.
async fn does(session: &mut Conn, statements: &[String]) -> Result<(), Fault> {
    for (nth, statement) in statements.iter().enumerate() {
        let done = asked(async { session.query_drop(statement).await.map_err(not_done) }).await;
        // Each is a transaction of its own: what was done before this one stays.
        done.map_err(|fault| if nth > 0 { fault.after_acting() } else { fault })?;
    }
    Ok(())
}

/// With NO_BACKSLASH_ESCAPES a quote is the one character that means something.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn identified(password: &[u8]) -> String {
    let once = digest(&SHA1_FOR_LEGACY_USE_ONLY, password);
    let twice = hex::encode_upper(digest(&SHA1_FOR_LEGACY_USE_ONLY, once.as_ref()));
    format!("IDENTIFIED VIA mysql_native_password USING '*{twice}'")
}

fn one_password(others: Others) -> Result<(), Fault> {
    match others {
        Others::Replaced => Ok(()),
        Others::Kept => Err(Fault::refused("an account of MariaDB has one password: take a pair of accounts")),
    }
}

/// SQLSTATE 28000, and an account that is locked, are about who logs in.
fn not_let_in(error: Error) -> Fault {
    match &error {
        Error::Server(said) if said.state == "28000" || said.code == ACCOUNT_LOCKED => Fault::refused(&said.message),
        Error::Server(said) => Fault::away(&said.message),
        Error::Driver(_) | Error::Io(_) | Error::Other(_) | Error::Url(_) => Fault::away(error),
    }
}

/// What the server answered did not happen.
fn not_done(error: Error) -> Fault {
    match &error {
        Error::Server(said) if LATER.contains(&said.code) => Fault::away(&said.message),
        Error::Server(said) => Fault::refused(&said.message),
        Error::Driver(_) | Error::Io(_) | Error::Other(_) | Error::Url(_) => Fault::unknown(error),
    }
}

/// The host of accounts that log in from anywhere.
const ANYWHERE: &str = "%";
/// A longer name is refused by the server; one of this length has at most so many bytes.
const NAME_BYTES_MAX: usize = 128;
const LOCK_SECS: u64 = 5;
/// ER_ACCOUNT_HAS_BEEN_LOCKED.
const ACCOUNT_LOCKED: u16 = 4_151;
/// Shutdown, lock, deadlock, read-only (twice), a statement's time.
const LATER: [u16; 6] = [1_053, 1_205, 1_213, 1_290, 1_836, 1_969];
