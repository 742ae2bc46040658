//! Which parts a target can carry, and who writes and reads its text.

use std::net::{Ipv4Addr, Ipv6Addr};

use zeroize::Zeroizing;

use super::parts::{Part, PartFault, Parts, fault};
use super::target::{Style, Target};
use super::{jdbc, semicolons, url};

impl Parts {
    /// The text for a reader.
    ///
    /// # Errors
    /// [`PartFault`]: the first part that he could not read as it is.
    pub fn build(&self, target: Target) -> Result<Zeroizing<String>, PartFault> {
        self.check(target)?;
        let mut text = Zeroizing::new(String::with_capacity(self.room()));
        match target.style() {
            Style::Url => url::write(self, target, &mut text),
            Style::Jdbc => jdbc::write(self, target, &mut text),
            Style::Semicolons => semicolons::write(self, target, &mut text),
        }
        Ok(text)
    }

    /// Reads a text as that reader does. What could be read in two ways is refused: an `@`, `/`, `?` or `#` of a password that was not
    /// encoded ends it in one reader and not in another.
    ///
    /// # Errors
    /// [`PartFault`], which has none of the text in it.
    pub fn parse(text: &str, target: Target) -> Result<Parts, PartFault> {
        if text.len() > TEXT_BYTES_MAX {
            return fault(Part::Whole, "it is longer than any that is read: take parts out of it");
        }
        let begins = |scheme: &&str| text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
        let rest = target.schemes().iter().find(|scheme| begins(scheme)).and_then(|scheme| text.get(scheme.len()..));
        let Some(rest) = rest else {
            return fault(
                Part::Whole,
                "it begins otherwise than those of this engine: look whether the engine is the right one",
            );
        };
        let parts = match target.style() {
            Style::Url => url::read(rest, target)?,
            Style::Jdbc => jdbc::read(rest)?,
            Style::Semicolons => semicolons::read(rest, target)?,
        };
        parts.check(target)?;
        Ok(parts)
    }

    /// Whether a target can carry them all.
    ///
    /// # Errors
    /// [`PartFault`].
    pub fn check(&self, target: Target) -> Result<(), PartFault> {
        host(&self.host, target)?;
        if self.port == Some(0) {
            return fault(Part::Port, "there is no port 0: leave it out where it is the usual one");
        }
        if self.port.is_some() && target == Target::MongodbSrv {
            return fault(Part::Port, "mongodb+srv asks DNS for the port: leave it out, or use mongodb");
        }
        for (part, text) in [
            (Part::Username, self.username.as_deref()),
            (Part::Password, self.password.as_ref().map(|password| password.as_str())),
            (Part::Database, self.database.as_deref()),
        ] {
            text.map_or(Ok(()), |text| carried(part, text, target))?;
        }
        if self.password.is_some() && self.username.is_none() && !target.has_password_alone() {
            return fault(Part::Username, "a password is there and no user: name the user");
        }
        self.database.as_deref().map_or(Ok(()), |name| database(name, target))?;
        options(&self.options, target)
    }
}

fn host(host: &str, target: Target) -> Result<(), PartFault> {
    if host.starts_with('/') {
        return match target {
            Target::Postgresql => carried(Part::Host, host, target),
            _ => fault(Part::Host, "only postgresql takes the folder of a socket: give a host's name"),
        };
    }
    if host.parse::<Ipv6Addr>().is_ok() {
        return match target.style() {
            Style::Url | Style::Jdbc => Ok(()),
            Style::Semicolons => fault(Part::Host, "SQL Server takes no IPv6 address here: give the host's name"),
        };
    }
    let is_level =
        |level: &str| !level.is_empty() && level.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
    let is_name = host.len() <= HOST_CHARS_MAX && host.strip_suffix('.').unwrap_or(host).split('.').all(is_level);
    match is_name || host.parse::<Ipv4Addr>().is_ok() {
        true => Ok(()),
        false => fault(
            Part::Host,
            "it is one host's name or address, without port, user or brackets: write international names as xn--",
        ),
    }
}

/// Whether a target can carry a text.
fn carried(part: Part, text: &str, target: Target) -> Result<(), PartFault> {
    if text.is_empty() && !(part == Part::Database && target.has_virtual_host()) {
        return fault(part, "it is empty: leave it out, or fill it");
    }
    if text.contains('\0') {
        return fault(part, "no reader takes a NUL in it: choose another");
    }
    if target.style() == Style::Semicolons && text.contains(char::is_control) {
        return fault(
            part,
            "SQL Server's readers take no control characters in it: choose another, or give it apart from the text",
        );
    }
    // The driver's documentation until version 8.4: "Escaped values ... cannot contain braces".
    if target == Target::JdbcSqlserver && text.contains(['{', '}']) {
        return fault(
            part,
            "JDBC for SQL Server takes no braces in it: choose another, or give user and password as properties",
        );
    }
    Ok(())
}

fn database(name: &str, target: Target) -> Result<(), PartFault> {
    let is_number = name.parse::<u16>().is_ok_and(|number| number.to_string() == name);
    match matches!(target, Target::Redis | Target::Rediss) && !is_number {
        true => fault(Part::Database, "a database of Redis is a number from 0 on"),
        false => Ok(()),
    }
}

fn options(options: &[(String, String)], target: Target) -> Result<(), PartFault> {
    if options.len() > Parts::OPTIONS_MAX {
        return fault(Part::Options, "they are more than 32: leave the others to the reader's own configuration");
    }
    let mut seen = std::collections::BTreeSet::new();
    for (name, value) in options {
        let is_sign = |c: char| "_.-".contains(c) || c == ' ' && target == Target::Mssql;
        let is_known = |c: char| c.is_ascii_alphanumeric() || is_sign(c);
        if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) || name.trim() != name || !name.chars().all(is_known)
        {
            return fault(Part::Options, "a name of theirs is none: letters, digits and _ . -");
        }
        let small = name.to_ascii_lowercase();
        if OURS.contains(&small.as_str()) {
            return fault(
                Part::Options,
                "one of them is a part of its own (host, port, user, password, database): set that instead",
            );
        }
        if !seen.insert(small) {
            return fault(Part::Options, "one of them is there twice: leave one");
        }
        // "sslcert=" says that there is none, and is not the same as to say nothing.
        if !value.is_empty() {
            carried(Part::Options, value, target)?;
        }
    }
    Ok(())
}

/// Names by which one reader or another takes a part out of the options: what is there twice is one thing in a listing and another in use.
const OURS: &[&str] = &[
    "user",
    "username",
    "user name",
    "uid",
    "password",
    "pwd",
    "host",
    "hostaddr",
    "server",
    "servername",
    "address",
    "addr",
    "network address",
    "port",
    "portnumber",
    "database",
    "databasename",
    "dbname",
    "service",
];
const HOST_CHARS_MAX: usize = 253;
/// The longest text that is read.
const TEXT_BYTES_MAX: usize = 64 << 10;
