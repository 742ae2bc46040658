//! The values of options that stand before a key in a file of sshd, read as it reads them: by one that it does not take, or takes for something
//! else than was meant, nobody gets in, or somebody else does. Each is refused with what fits.

use std::net::IpAddr;

use policy::Timestamp;

/// Why a value does not fit, and what does.
type Unfit = &'static str;

/// `from`: patterns of hosts, addresses and networks, of which one at least lets somebody in.
pub(super) fn sources(text: &str) -> Result<(), Unfit> {
    text.split(',').try_for_each(|one| source(one.strip_prefix('!').unwrap_or(one)))?;
    match text.split(',').all(|one| one.starts_with('!')) {
        true => Err("denials alone let nobody in: name whom it lets in too, as in *,!10.1.0.0/16"),
        false => Ok(()),
    }
}

fn source(text: &str) -> Result<(), Unfit> {
    if text.is_empty() || text.contains(' ') {
        return Err("between two patterns stands a comma, and nothing else");
    }
    match text.split_once('/') {
        Some((address, bits)) if is_network(address, bits) => Ok(()),
        Some(_) => Err(
            "a network is an address in full, the length of its mask, and no bit beyond that, as in 10.0.0.0/8 or 2001:db8::/32",
        ),
        None if is_abridged(text) => Err("an address is written in full and without leading zeros, as in 10.0.0.1"),
        None => Ok(()),
    }
}

/// An address that has no bit beyond the mask of this length; sshd refuses everybody by a line with another one.
fn is_network(address: &str, bits: &str) -> bool {
    let length = bits.parse::<u32>().ok().filter(|_| is_digits(bits));
    match (address.parse::<IpAddr>(), length) {
        (Ok(IpAddr::V4(address)), Some(bits)) => bits <= 32 && address.to_bits().checked_shl(bits).unwrap_or(0) == 0,
        (Ok(IpAddr::V6(address)), Some(bits)) => bits <= 128 && address.to_bits().checked_shl(bits).unwrap_or(0) == 0,
        (Ok(_) | Err(_), _) => false,
    }
}

/// Whether sshd reads it as an address where it is none in full: as inet_aton(3) does, 010.0.0.5 is 8.0.0.5, and 10.1 is 10.0.0.1. No name of a
/// host ends in a number.
fn is_abridged(text: &str) -> bool {
    let last = text.rsplit('.').next().unwrap_or_default();
    let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_number = is_digits(last) || last.strip_prefix("0x").or_else(|| last.strip_prefix("0X")).is_some_and(is_hex);
    is_number && !text.contains(['*', '?']) && text.parse::<IpAddr>().is_err()
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `environment`: a variable and its value.
pub(super) fn variable(text: &str) -> Result<(), Unfit> {
    let is_name =
        |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    match text.split_once('=').is_some_and(|(name, _)| is_name(name)) {
        true => Ok(()),
        false => Err("it is NAME=value, and a name has letters, digits and _"),
    }
}

/// `expiry-time`: a moment that sshd knows as one, wherever its host is.
pub(super) fn expiry(text: &str) -> Result<(), Unfit> {
    match moment(text).is_some_and(|(at, _)| at >= FIRST) {
        true => Ok(()),
        false => Err(
            "it is YYYYMMDD of a day there is, from 19700102 on, with HHMM or HHMMSS behind it, and Z behind that where it is of UTC",
        ),
    }
}

/// When an `expiry-time` is past, wherever its host is: one that says no zone is of the host's, and the last of them is 12 hours behind UTC.
pub(super) fn ends(text: &str) -> Option<Timestamp> {
    moment(text).map(|(at, is_utc)| if is_utc { at } else { at.plus_secs(ZONE_SECS_MAX) })
}

/// The moment, as if of UTC, and whether it says that it is.
fn moment(text: &str) -> Option<(Timestamp, bool)> {
    let text = text.to_ascii_uppercase();
    let utc = text.strip_suffix("UTC").or_else(|| text.strip_suffix('Z'));
    let digits = utc.unwrap_or(&text);
    if ![8, 12, 14].contains(&digits.len()) || !is_digits(digits) {
        return None;
    }
    let padded = format!("{digits:0<14}");
    let part = |from: usize, to: usize| padded.get(from..to).unwrap_or_default();
    // A leap second, which sshd takes.
    let seconds = if part(12, 14) == "60" { "59" } else { part(12, 14) };
    let (date, time) = ([part(0, 4), part(4, 6), part(6, 8)].join("-"), [part(8, 10), part(10, 12), seconds].join(":"));
    let at = Timestamp::parse_rfc3339(&format!("{date}T{time}Z")).ok()?;
    Some((at, utc.is_some()))
}

/// `permitopen`: `host:port`; an address of IPv6 stands in brackets.
pub(super) fn place(text: &str) -> Result<(), Unfit> {
    let split = match text.strip_prefix('[') {
        Some(rest) => rest.split_once("]:"),
        None => text.split_once([':', '/']),
    };
    split.map_or(Err("it is host:port, with an address of IPv6 in brackets"), |(_, number)| port(number))
}

/// `permitlisten`: the same, or a port alone.
pub(super) fn listener(text: &str) -> Result<(), Unfit> {
    if text.contains(':') { place(text) } else { port(text) }
}

/// A number, or `*`. sshd takes the name of a service too, where its own host knows it: what is known here says nothing of that.
fn port(text: &str) -> Result<(), Unfit> {
    match text == "*" || text.parse::<u16>().is_ok_and(|port| port != 0) {
        true => Ok(()),
        false => Err("a port is a number from 1 to 65535, or *"),
    }
}

/// `tunnel`: the number of a device, or any.
pub(super) fn tunnel(text: &str) -> Result<(), Unfit> {
    match text.eq_ignore_ascii_case("any") || text.parse::<u32>().is_ok_and(|number| number <= TUNNEL_MAX) {
        true => Ok(()),
        false => Err("it is the number of a device, or any"),
    }
}

/// 1970-01-02: sshd takes no moment before 1970, and of 1970-01-01 none in a zone before UTC.
const FIRST: Timestamp = Timestamp::from_unix(24 * 60 * 60);
/// UTC-12 is the last zone in which a day ends.
const ZONE_SECS_MAX: i64 = 12 * 60 * 60;
/// The last two numbers of 31 bits mean something else (SSH_TUNID_MAX of OpenSSH).
const TUNNEL_MAX: u32 = 0x7fff_fffd;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whom_sshd_would_not_know_as_was_meant_is_refused() {
        for good in [
            "10.0.0.0/8",
            "*,!10.1.0.0/16",
            "10.0.0.1",
            "10.0.*",
            "10.0.?.5",
            "web1",
            "::1/128",
            "fe80::1%lo",
            "0.0.0.0/0",
        ] {
            assert_eq!(sources(good), Ok(()), "{good}");
        }
        for (bad, why) in [
            ("127.0.0.1,10/8", "a network is"),
            ("127.0.0.1,10.1/16", "a network is"),
            ("127.0.0.0/8,010.0.0.5/8", "a network is"),
            ("0x0a.1.2.3/8", "a network is"),
            ("2130706433/8", "a network is"),
            ("fe80::1%lo/64", "a network is"),
            ("10.0.0.0/+8", "a network is"),
            ("10.0.0.0/33", "a network is"),
            ("10.0.0.0/8x", "a network is"),
            ("*.example/8", "a network is"),
            ("010.0.0.5", "written in full"),
            ("10.1", "written in full"),
            ("10.1.2.0x3", "written in full"),
            ("2130706433", "written in full"),
            ("!10.0.0.0/8", "denials alone"),
            ("!a,!b", "denials alone"),
            ("a,,b", "a comma"),
        ] {
            let said = sources(bad).expect_err(bad);
            assert!(said.contains(why), "{bad}: {said}");
        }
    }

    #[test]
    fn an_expiry_is_a_moment_that_sshd_takes_in_every_zone() {
        for good in ["19700102", "19700102Z", "20240229", "20271231235960", "202712312359utc"] {
            assert_eq!(expiry(good), Ok(()), "{good}");
        }
        for bad in [
            "19600101",
            "19700101",
            "19700101Z",
            "00000101",
            "20270229",
            "20271301",
            "20271232",
            "2027123124",
            "202712312400",
            "2027-1-1",
            "",
        ] {
            assert!(expiry(bad).is_err(), "{bad}");
        }
        let at = |text: &str| Timestamp::parse_rfc3339(text).ok();
        assert_eq!(ends("20200101Z"), at("2020-01-01T00:00:00Z"));
        assert_eq!(ends("202001011530"), at("2020-01-02T03:30:00Z"), "in UTC-12 it is not past before");
    }

    #[test]
    fn a_port_is_a_number_wherever_the_plan_is_read() {
        for good in ["localhost:80", "[::1]:*", "localhost/80", "*:65535"] {
            assert_eq!(place(good), Ok(()), "{good}");
        }
        for bad in ["localhost", "localhost:nosuchservice", "localhost:ssh", "localhost:0", "[::1]", "a:b:80"] {
            assert!(place(bad).is_err(), "{bad}");
        }
        for good in ["8080", "*", "localhost:22"] {
            assert_eq!(listener(good), Ok(()), "{good}");
        }
        for bad in ["nosuch", "/80", "localhost/80", ":", ""] {
            assert!(listener(bad).is_err(), "{bad}");
        }
    }
}
