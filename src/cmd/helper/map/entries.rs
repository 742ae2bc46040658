//! The entries: to whom each secret is given.

use secrets::Reference;

use super::site::{Registry, Site};
use super::words::Words;

/// A git server's user.
#[derive(Debug)]
pub struct Git {
    /// Where.
    pub site: Site,
    /// Who.
    pub username: Words,
    /// His password or token.
    pub password: Reference,
    /// Whether what git has tried with success is written back.
    pub store: bool,
}

/// A registry's user.
#[derive(Debug)]
pub struct Docker {
    /// Where.
    pub registry: Registry,
    /// Who.
    pub username: Words,
    /// His password or token.
    pub password: Reference,
    /// Whether `docker login` writes it.
    pub store: bool,
}

/// What ssh asks for.
#[derive(Debug)]
pub struct Ssh {
    /// What it opens.
    pub unlocks: Unlocks,
    /// The passphrase, or the password.
    pub secret: Reference,
}

/// What a passphrase or a password opens.
#[derive(Debug)]
pub enum Unlocks {
    /// A key's file.
    Key(String),
    /// A login, `USER@HOST`.
    Login(String),
}

/// A line of `.pgpass`.
#[derive(Debug)]
pub struct Pgpass {
    /// A host, an address, or the folder of a socket.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The database; all of that server where none is said.
    pub database: Option<Words>,
    /// Who.
    pub username: Words,
    /// His password.
    pub password: Reference,
}

/// A group of `my.cnf`.
#[derive(Debug)]
pub struct Mycnf {
    /// Which programs read it.
    pub group: String,
    /// Where they connect to.
    pub host: Option<Words>,
    /// At which port.
    pub port: Option<u16>,
    /// Who.
    pub username: Words,
    /// His password.
    pub password: Reference,
}

/// A machine of `.netrc`.
#[derive(Debug)]
pub struct Netrc {
    /// Its name.
    pub machine: String,
    /// Who.
    pub username: Words,
    /// His password.
    pub password: Reference,
}

/// A credential of a unit.
#[derive(Debug)]
pub struct Credential {
    /// The unit's whole name.
    pub unit: String,
    /// The credential's.
    pub name: String,
    /// What it is.
    pub reference: Reference,
}
