//! `scheme://user:password@host:port/database?options` (RFC 3986). All but the unreserved characters are encoded, a space as `%20`:
//! libpq, Redis, RabbitMQ and MongoDB decode each part, and none takes a `+` for anything else.

use zeroize::Zeroizing;

use super::parts::{Part, PartFault, Parts, fault};
use super::target::Target;
use crate::kinds::percent;

pub(super) fn write(parts: &Parts, target: Target, onto: &mut String) {
    onto.push_str(target.schemes().first().copied().unwrap_or_default());
    if let Some(name) = &parts.username {
        percent::encode(name, onto);
    }
    if let Some(password) = &parts.password {
        onto.push(':');
        percent::encode(password, onto);
    }
    if parts.username.is_some() || parts.password.is_some() {
        onto.push('@');
    }
    place(parts, onto);
    query(parts.options.iter().map(|(name, value)| (name.as_str(), value.as_str())), onto);
}

/// `host:port/database`.
pub(super) fn place(parts: &Parts, onto: &mut String) {
    match parts.host.contains(':') {
        true => onto.extend(["[", &parts.host, "]"]),
        false => percent::encode(&parts.host, onto),
    }
    if let Some(port) = parts.port {
        onto.extend([":", &port.to_string()]);
    }
    if let Some(database) = &parts.database {
        onto.push('/');
        percent::encode(database, onto);
    }
}

/// `?name=value&name=value`.
pub(super) fn query<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>, onto: &mut String) {
    for (at, (name, value)) in pairs.enumerate() {
        onto.push(if at == 0 { '?' } else { '&' });
        percent::encode(name, onto);
        onto.push('=');
        percent::encode(value, onto);
    }
}

pub(super) fn read(rest: &str, target: Target) -> Result<Parts, PartFault> {
    let (mut parts, user, query) = read_place(rest, target.has_virtual_host())?;
    if let Some(user) = user {
        let (name, password) = match user.split_once(':') {
            Some((name, password)) => (name, Some(decoded(password, Part::Password)?)),
            None => (user, None),
        };
        parts.username =
            (!name.is_empty()).then(|| decoded(name, Part::Username)).transpose()?.map(|name| name.to_string());
        parts.password = password;
    }
    for (name, value) in pairs(query)? {
        parts.options.push((name.to_string(), value.to_string()));
    }
    Ok(parts)
}

/// Host, port and database; what stands before the `@`; what stands behind the `?`.
pub(super) fn read_place(rest: &str, has_virtual_host: bool) -> Result<(Parts, Option<&str>, &str), PartFault> {
    if rest.contains('#') {
        return fault(Part::Whole, "it has a # that readers take for its end: write it as %23");
    }
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = match rest.split_once('/') {
        Some((authority, path)) => (authority, Some(path)),
        None => (rest, None),
    };
    let (user, place) = match authority.split_once('@') {
        Some((user, place)) => (Some(user), place),
        None => (None, authority),
    };
    if place.contains('@') || query.contains(['?', '@']) || path.is_some_and(|path| path.contains(['/', '@'])) {
        return fault(Part::Whole, "an @, / or ? of a part is not encoded: write them as %40, %2F and %3F");
    }
    let (host, port) = read_host(place)?;
    let database = path.filter(|path| has_virtual_host || !path.is_empty());
    let database = database.map(|path| decoded(path, Part::Database)).transpose()?.map(|path| path.to_string());
    Ok((Parts { host, port, database, ..Parts::default() }, user, query))
}

fn read_host(place: &str) -> Result<(String, Option<u16>), PartFault> {
    if place.contains(',') {
        return fault(Part::Host, "it is more than one: make a secret of each, or use mongodb+srv");
    }
    let (host, port) = match place.strip_prefix('[') {
        Some(rest) => {
            let Some((host, after)) = rest.split_once(']') else {
                return fault(Part::Host, "a bracket is open: write an IPv6 address as [::1]");
            };
            if host.parse::<std::net::Ipv6Addr>().is_err() {
                return fault(Part::Host, "only an IPv6 address stands in brackets");
            }
            (host.to_owned(), after)
        }
        None => {
            let at = place.find(':').unwrap_or(place.len());
            let (host, after) = place.split_at_checked(at).unwrap_or((place, ""));
            (decoded(host, Part::Host)?.to_string(), after)
        }
    };
    // Only what stood in brackets has colons of its own.
    if host.contains(':') && !place.starts_with('[') {
        return fault(Part::Host, "write an IPv6 address in brackets, [::1]");
    }
    let port = match port.strip_prefix(':') {
        Some(digits) => Some(read_port(digits)?),
        None if port.is_empty() => None,
        None => return fault(Part::Port, PORT_RULE),
    };
    Ok((host, port))
}

/// A port in digits.
pub(super) fn read_port(digits: &str) -> Result<u16, PartFault> {
    let is_plain = digits.bytes().all(|digit| digit.is_ascii_digit());
    match digits.parse() {
        Ok(port) if is_plain => Ok(port),
        Ok(_) | Err(_) => fault(Part::Port, PORT_RULE),
    }
}

type Pair = (Zeroizing<String>, Zeroizing<String>);

/// The pairs of a query.
pub(super) fn pairs(query: &str) -> Result<Vec<Pair>, PartFault> {
    query.split('&').filter(|pair| !pair.is_empty()).map(pair).collect()
}

fn pair(pair: &str) -> Result<Pair, PartFault> {
    let Some((name, value)) = pair.split_once('=') else {
        return fault(Part::Options, "an option has no value: write it as name=value");
    };
    Ok((decoded(name, Part::Options)?, decoded(value, Part::Options)?))
}

fn decoded(text: &str, part: Part) -> Result<Zeroizing<String>, PartFault> {
    const RULE: &str =
        "a % in it has no two hexadecimal digits after it, or what they say is no UTF-8: write a % as %25";
    percent::decoded(text).ok_or(PartFault { part, rule: RULE })
}

const PORT_RULE: &str = "it is a number from 1 to 65535 behind a colon; a colon of another part is written as %3A";
