//! SQL Server's texts: ODBC's `Driver={...};Server=tcp:host,port;UID=...;PWD={...}` ([MS-ODBCSTR] section 2.1) and JDBC's
//! `jdbc:sqlserver://host:port;user=...;password={...}`. What is not letters and digits stands in braces, where a `}` is doubled.

use zeroize::Zeroizing;

use super::parts::{Part, PartFault, Parts, fault};
use super::target::Target;
use super::url;

pub(super) fn write(parts: &Parts, target: Target, onto: &mut String) {
    onto.push_str(target.schemes().first().copied().unwrap_or_default());
    let words = words(target);
    if target == Target::Mssql {
        let driver = parts.options.iter().find(|(name, _)| name.eq_ignore_ascii_case(DRIVER));
        pair(DRIVER, driver.map_or(DRIVER_USUAL, |(_, value)| value), onto);
        onto.push_str(";Server=tcp:");
    }
    onto.push_str(&parts.host);
    if let Some(port) = parts.port {
        onto.push(words.before_port);
        onto.push_str(&port.to_string());
    }
    let named = [
        (words.database, parts.database.as_deref()),
        (words.user, parts.username.as_deref()),
        (words.password, parts.password.as_ref().map(|password| password.as_str())),
    ];
    let named = named.into_iter().filter_map(|(name, value)| Some((name, value?)));
    let is_written = |name: &str| target == Target::Mssql && name.eq_ignore_ascii_case(DRIVER);
    let options = parts.options.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    for (name, value) in named.chain(options.filter(|(name, _)| !is_written(name))) {
        onto.push(';');
        pair(name, value, onto);
    }
}

fn pair(name: &str, value: &str, onto: &mut String) {
    onto.extend([name, "="]);
    if value.chars().all(|c| c.is_ascii_alphanumeric()) {
        return onto.push_str(value);
    }
    onto.push('{');
    for c in value.chars() {
        onto.push(c);
        if c == '}' {
            onto.push(c);
        }
    }
    onto.push('}');
}

pub(super) fn read(rest: &str, target: Target) -> Result<Parts, PartFault> {
    let words = words(target);
    let mut parts = Parts::default();
    let rest = match target {
        Target::JdbcSqlserver => {
            let (place, rest) = rest.split_once(';').unwrap_or((rest, ""));
            server(place, words.before_port, &mut parts)?;
            rest
        }
        _ => rest,
    };
    for (name, value) in split(rest)? {
        let small = name.to_ascii_lowercase();
        let again = match small.as_str() {
            "server" | "address" | "addr" if target == Target::Mssql => {
                let again = !parts.host.is_empty();
                server(value.strip_prefix("tcp:").unwrap_or(&value), words.before_port, &mut parts)?;
                again
            }
            "driver" if target == Target::Mssql && value.as_str() == DRIVER_USUAL => false,
            name if name == words.user.to_ascii_lowercase() => parts.username.replace(value.to_string()).is_some(),
            name if name == words.password.to_ascii_lowercase() => parts.password.replace(value).is_some(),
            name if name == words.database.to_ascii_lowercase() => parts.database.replace(value.to_string()).is_some(),
            _ => {
                parts.options.push((name.to_owned(), value.to_string()));
                false
            }
        };
        if again {
            return fault(Part::Whole, "server, user, password or database is there twice: leave one");
        }
    }
    Ok(parts)
}

fn server(place: &str, before_port: char, parts: &mut Parts) -> Result<(), PartFault> {
    if place.contains('\\') {
        return fault(Part::Host, "a named instance is asked for over UDP, unprotected: give host and port instead");
    }
    let (host, port) = match place.split_once(before_port) {
        Some((host, port)) => (host, Some(url::read_port(port.trim())?)),
        None => (place, None),
    };
    (parts.host, parts.port) = (host.trim().to_owned(), port);
    Ok(())
}

type Pair<'a> = (&'a str, Zeroizing<String>);

/// The pairs of a text. Blanks around names and bare values say nothing; in braces all is said.
fn split(mut rest: &str) -> Result<Vec<Pair<'_>>, PartFault> {
    let mut pairs = Vec::new();
    loop {
        rest = rest.trim_start_matches([';', ' ']);
        if rest.is_empty() {
            return Ok(pairs);
        }
        let Some((name, after)) = rest.split_once('=') else {
            return fault(Part::Whole, "it has a word without a value: write name=value with a ; between");
        };
        let (value, after) = match after.trim_start().strip_prefix('{') {
            Some(inside) => braced(inside)?,
            None => {
                let (value, after) = after.split_once(';').unwrap_or((after, ""));
                (Zeroizing::new(value.trim().to_owned()), after)
            }
        };
        pairs.push((name.trim(), value));
        rest = after;
    }
}

/// What stands in braces, and what stands behind the `;` after them.
fn braced(inside: &str) -> Result<(Zeroizing<String>, &str), PartFault> {
    let mut value = Zeroizing::new(String::with_capacity(inside.len()));
    let mut chars = inside.chars();
    loop {
        match chars.next() {
            Some('}') if chars.as_str().starts_with('}') => {
                chars.next();
                value.push('}');
            }
            Some('}') => break,
            Some(c) => value.push(c),
            None => return fault(Part::Whole, "a brace is open: close it, and write a } inside as }}"),
        }
    }
    let after = chars.as_str().trim_start();
    match after.strip_prefix(';') {
        Some(after) => Ok((value, after)),
        None if after.is_empty() => Ok((value, after)),
        None => fault(Part::Whole, "something stands between a } and the next ;: write a } of a value as }}"),
    }
}

/// How a target calls the parts.
struct Words {
    before_port: char,
    database: &'static str,
    user: &'static str,
    password: &'static str,
}

fn words(target: Target) -> Words {
    match target {
        Target::Mssql => Words { before_port: ',', database: "Database", user: "UID", password: "PWD" },
        _ => Words { before_port: ':', database: "databaseName", user: "user", password: "password" },
    }
}

const DRIVER: &str = "Driver";
/// What is written where no option names another.
const DRIVER_USUAL: &str = "ODBC Driver 18 for SQL Server";
