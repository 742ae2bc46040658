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
    /// Its host.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The database in which one logs in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// The secret of who sets passwords there.
    pub admin: String,
    /// How it is spoken to.
    pub line: Line,
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
            _ => None,
        }
    }

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Product::PostgreSql => "postgresql",
            Product::MariaDb => "mariadb",
            Product::Redis => "redis",
        }
    }

    /// Its usual port.
    pub fn port(self) -> u16 {
        match self {
            Product::PostgreSql => 5432,
            Product::MariaDb => 3306,
            Product::Redis => 6379,
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

/// Who acts at targets. Each call ends within two minutes: another node waits no longer for its outcome.
pub trait Targets {
    /// Whether this can be done there at all; otherwise why not.
    ///
    /// # Errors
    /// In a sentence.
    fn check(&self, at: &At, settings: &Settings) -> Result<(), String>;

    /// Does there what a step says, and says what came of it. `admin` is there where the step changes something.
    fn act(&self, at: &At, step: &Step, admin: Option<&Login>, login: &Login) -> impl Future<Output = Outcome> + Send;
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

/// The roots of a private authority, with room for several.
pub const ROOTS_BYTES_MAX: usize = 16 * 1024;
