//! Where a credential is used, and who acts there.

use std::fmt;
use std::future::Future;

use policy::{Action, Grant, Owner, Secret};
use serde::{Deserialize, Serialize};

use crate::error::SecretError;
use crate::nouns::SecretPath;
use crate::rotation::{Outcome, Settings, Step};

/// Where a credential is used, and with whose it is exchanged. It is written down when a rotation is set up, by one who may read the
/// administrator's credential: whoever changes the fields of the secret sends that nowhere else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct At {
    /// What it is.
    pub product: Product,
    /// Its host; of a program or a hook its name in the server's configuration.
    pub host: String,
    /// Its port; 0 of a program or a hook.
    pub port: u16,
    /// The database in which one logs in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// The second part of the accounts of MariaDB; none: the one account of a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_host: Option<String>,
    /// The secret of who sets passwords there; none where a program or a hook has its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin: Option<String>,
    /// Which secret stood there when this was said: another one at that path is not used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pinned: Option<Pinned>,
    /// How it is spoken to.
    pub line: Line,
}

/// One life of a path, and whose: whoever takes the path later, or makes another secret there, is another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pinned {
    /// `path@life`.
    pub life: String,
    /// Its owner.
    pub owner: String,
}

impl Pinned {
    /// Of a secret as it is there now.
    pub(crate) fn of(secret: &crate::vault::Secret) -> Pinned {
        Pinned { life: secret.life(), owner: secret.owner().as_str().to_owned() }
    }
}

impl At {
    /// Whether a secret is the one that was meant when this was said.
    ///
    /// # Errors
    /// [`SecretError::Conflict`].
    pub(crate) fn is_of(&self, admin: &crate::vault::Secret) -> Result<(), SecretError> {
        match &self.pinned {
            Some(pinned) if *pinned != Pinned::of(admin) => Err(SecretError::Conflict(format!(
                "{} is another secret than the one that was said to be the administrator's, or another owner's: set it up again by \
                 one who may read that",
                admin.path()
            ))),
            Some(_) | None => Ok(()),
        }
    }
}

/// What is at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Product {
    /// PostgreSQL.
    PostgreSql,
    /// MariaDB.
    MariaDb,
    /// Redis.
    Redis,
    /// OpenLDAP; its TLS begins when it is asked for (StartTLS).
    Ldap,
    /// OpenLDAP; its TLS begins with the first byte.
    Ldaps,
    /// Hosts that are logged in to by OpenSSH.
    Ssh,
    /// A program that the server's configuration names.
    Exec,
    /// A hook behind a URL that the server's configuration names.
    Http,
}

/// How a place is spoken to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Line {
    /// Plainly, within this host.
    Here,
    /// By TLS, to a certificate below these roots (PEM).
    Tls {
        /// The roots.
        roots: String,
    },
    /// By SSH, to hosts whose keys stand in these lines of known_hosts.
    Known {
        /// The lines.
        hosts: String,
    },
    /// Plainly, wherever it is: somebody said so.
    Plain,
}

impl Product {
    /// By its name, or by what connection strings call it.
    pub fn of(word: &str) -> Option<Product> {
        match word {
            "postgresql" | "postgres" => Some(Product::PostgreSql),
            "mariadb" => Some(Product::MariaDb),
            "redis" | "rediss" => Some(Product::Redis),
            "ldap" | "openldap" => Some(Product::Ldap),
            "ldaps" => Some(Product::Ldaps),
            "ssh" => Some(Product::Ssh),
            "exec" => Some(Product::Exec),
            "http" => Some(Product::Http),
            _ => None,
        }
    }

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Product::PostgreSql => "postgresql",
            Product::MariaDb => "mariadb",
            Product::Redis => "redis",
            Product::Ldap => "ldap",
            Product::Ldaps => "ldaps",
            Product::Ssh => "ssh",
            Product::Exec => "exec",
            Product::Http => "http",
        }
    }

    /// Its usual port.
    pub fn port(self) -> u16 {
        match self {
            Product::PostgreSql => 5432,
            Product::MariaDb => 3306,
            Product::Redis => 6379,
            Product::Ldap => 389,
            Product::Ldaps => 636,
            Product::Ssh => 22,
            Product::Exec | Product::Http => 0,
        }
    }

    /// Whether it is a name of the server's configuration, and no host.
    pub fn is_outside(self) -> bool {
        match self {
            Product::Exec | Product::Http => true,
            Product::PostgreSql | Product::MariaDb | Product::Redis | Product::Ldap | Product::Ldaps => false,
            Product::Ssh => false,
        }
    }

    /// Whether somebody's credential, sealed here, is what sets others there.
    pub fn has_administrator(self) -> bool {
        match self {
            Product::Ssh | Product::Exec | Product::Http => false,
            Product::PostgreSql | Product::MariaDb | Product::Redis | Product::Ldap | Product::Ldaps => true,
        }
    }
}

impl fmt::Display for Product {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who logs in, and with what.
#[derive(Debug)]
pub struct Login {
    /// His name at the target.
    pub user: String,
    /// With what.
    pub secret: Secret<String>,
}

/// One step, where it is done.
#[derive(Clone, Debug)]
pub struct Errand<'a> {
    /// Where.
    pub at: &'a At,
    /// Of which secret.
    pub path: &'a SecretPath,
    /// Whose that is.
    pub owner: &'a Owner,
    /// What was intended, by the name of its entry: what comes twice under one name is done once.
    pub operation: String,
}

/// Who acts at targets. Each call ends within two minutes: another node waits no longer for its outcome.
pub trait Targets {
    /// Whether this can be done there at all with a secret of this owner; otherwise why not.
    ///
    /// # Errors
    /// In a sentence.
    fn check(&self, at: &At, owner: &Owner, settings: &Settings) -> Result<(), String>;

    /// Does there what a step says, and says what came of it. `admin` is there where the step changes something.
    fn act(
        &self,
        errand: &Errand<'_>,
        step: &Step,
        admin: Option<&Login>,
        login: &Login,
    ) -> impl Future<Output = Outcome> + Send;
}

/// Who asks policy for what a rotation does, under the service's own name.
pub trait Warrants {
    /// A grant, if there is one.
    ///
    /// # Errors
    /// [`SecretError::Conflict`] where policy refuses, [`SecretError::Store`].
    fn warrant(
        &self,
        action: Action,
        path: &SecretPath,
        owner: &Owner,
    ) -> impl Future<Output = Result<Grant, SecretError>> + Send;
}

/// Where a target is, as somebody says it.
#[derive(Clone, Debug, Default)]
pub struct Place {
    /// What is there.
    pub product: Option<Product>,
    /// Its host; of a program or a hook its name in the server's configuration.
    pub host: Option<String>,
    /// Its port; none: the usual one.
    pub port: Option<u16>,
    /// The database in which one logs in.
    pub database: Option<String>,
    /// From where the accounts of MariaDB log in, as their second part has it.
    pub account_host: Option<String>,
}

impl Place {
    /// Where that is, with whose credential, and how it is spoken to.
    pub(crate) fn at(self, admin: Option<&SecretPath>, line: Line) -> Result<At, SecretError> {
        let Place { product, host, port, database, account_host } = self;
        let product = product.ok_or_else(|| SecretError::invalid("driver", DRIVERS))?;
        let missing = match product.is_outside() {
            true => "say the name of the program or the hook in the server's configuration",
            false => "the secret has no field `host`: say it, or write that",
        };
        let host = host.ok_or_else(|| SecretError::invalid("host", missing))?;
        let is_text = |text: &str, most: usize| (1..=most).contains(&text.len()) && !text.contains(char::is_control);
        let most = if product == Product::Ssh { HOSTS_BYTES_MAX } else { HOST_BYTES_MAX };
        if !is_text(&host, most) {
            return Err(SecretError::invalid("host", format!("1 to {most} bytes on one line")));
        }
        if database.as_ref().is_some_and(|database| !is_text(database, DATABASE_BYTES_MAX)) {
            return Err(SecretError::invalid("database", format!("1 to {DATABASE_BYTES_MAX} bytes on one line")));
        }
        match &account_host {
            Some(_) if product != Product::MariaDb => {
                return Err(SecretError::invalid("account_host", "accounts of mariadb alone have one"));
            }
            Some(from) if !is_text(from, ACCOUNT_HOST_BYTES_MAX) => {
                let why = format!("1 to {ACCOUNT_HOST_BYTES_MAX} bytes on one line, as `localhost`, `10.0.0.%` or `%`");
                return Err(SecretError::invalid("account_host", why));
            }
            Some(_) | None => {}
        }
        if admin.is_none() && product.has_administrator() {
            let why = "say the secret of who sets passwords there; a program or a hook alone has its own";
            return Err(SecretError::invalid("admin", why));
        }
        let is_of_ssh = matches!(line, Line::Here | Line::Known { .. });
        if product == Product::Ssh && (admin.is_some() || database.is_some() || !is_of_ssh) {
            let why = "hosts are spoken to by SSH: say neither an administrator nor a database, and no word of TLS";
            return Err(SecretError::invalid("admin", why));
        }
        match &line {
            Line::Tls { roots: text } | Line::Known { hosts: text } if text.len() > ROOTS_BYTES_MAX => {
                return Err(SecretError::invalid("roots", format!("at most {ROOTS_BYTES_MAX} bytes")));
            }
            Line::Known { .. } if product != Product::Ssh => {
                return Err(SecretError::invalid("roots", "host keys are known of ssh alone"));
            }
            Line::Tls { .. } | Line::Plain if product.is_outside() => {
                return Err(SecretError::invalid(
                    "roots",
                    "how a hook is spoken to stands in the server's configuration",
                ));
            }
            Line::Tls { .. } | Line::Known { .. } | Line::Here | Line::Plain => {}
        }
        let admin = admin.map(|admin| admin.as_str().to_owned());
        let port = port.unwrap_or(product.port());
        Ok(At { product, host, port, database, account_host, admin, pinned: None, line })
    }
}

/// What to say where no driver is.
pub(super) const DRIVERS: &str = "say which: postgresql, mariadb, redis, ldap, ldaps, ssh, exec or http";
const HOST_BYTES_MAX: usize = 253;
/// Several hosts, with their ports.
const HOSTS_BYTES_MAX: usize = 4_096;
const DATABASE_BYTES_MAX: usize = 255;
/// As MariaDB keeps it.
const ACCOUNT_HOST_BYTES_MAX: usize = 255;
/// The roots of a private authority, with room for several.
pub const ROOTS_BYTES_MAX: usize = 16 * 1024;
