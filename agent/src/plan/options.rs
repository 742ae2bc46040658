//! The options that stand before a key in a file of sshd, read as it reads them (sshd(8), AUTHORIZED_KEYS FILE FORMAT). sshd skips a line whose
//! options it cannot read, and says so in its own log alone: what it would skip is refused here, before any line is written.

use std::iter::Peekable;
use std::net::IpAddr;
use std::str::Chars;

use crate::error::bounded;

/// Refuses what sshd would skip, and says why it would.
pub(super) fn check(text: &str) -> Result<(), String> {
    let options = read(text)?;
    for (name, value) in &options {
        fits(name, value.as_deref())?;
    }
    let stands = |wanted: &str| options.iter().filter(|(name, _)| name.eq_ignore_ascii_case(wanted)).count();
    if let Some(twice) = ONCE.into_iter().find(|name| stands(name) > 1) {
        return Err(format!("{twice} stands there twice, and sshd takes it once"));
    }
    if stands("principals") > 0 && stands("cert-authority") == 0 {
        return Err("principals are for a key behind cert-authority; sshd lets nobody in with another".to_owned());
    }
    Ok(())
}

/// The same without the blanks between options, where sshd has none.
pub(super) fn closed_up(text: &str) -> String {
    let mut is_quoted = false;
    let mut last = ' ';
    let mut kept = String::new();
    for c in text.chars() {
        if c == '"' && !(is_quoted && last == '\\') {
            is_quoted = !is_quoted;
        }
        if is_quoted || c != ' ' {
            kept.push(c);
        }
        last = c;
    }
    kept
}

/// Each option by its name, with its value where it has one.
fn read(text: &str) -> Result<Vec<(String, Option<String>)>, String> {
    let mut found = Vec::new();
    let mut chars = text.chars().peekable();
    loop {
        let (mut name, mut value): (String, Option<String>) = (String::new(), None);
        let is_last = loop {
            match chars.next() {
                None => break true,
                Some(',') => break false,
                Some(' ') => {
                    return Err("a blank stands outside double quotes, where sshd(8) has none: it would skip the \
                                whole line, and let nobody in with its key"
                        .to_owned());
                }
                Some(_) if value.is_some() => {
                    return Err(format!("a comma has to stand behind the value of {}", shown(&name)));
                }
                Some('=') => value = Some(quoted(&mut chars, &name)?),
                Some(c) => name.push(c),
            }
        };
        if name.is_empty() {
            return Err("a comma stands between two options, and nowhere else".to_owned());
        }
        found.push((name, value));
        if is_last {
            return Ok(found);
        }
    }
}

/// What stands in double quotes, of which one within has a backslash before it.
fn quoted(chars: &mut Peekable<Chars<'_>>, name: &str) -> Result<String, String> {
    if chars.next_if_eq(&'"').is_none() {
        return Err(format!("the value of {} has to stand in double quotes", shown(name)));
    }
    let mut value = String::new();
    while let Some(c) = chars.next() {
        match c {
            '\\' if chars.next_if_eq(&'"').is_some() => value.push('"'),
            '"' => return Ok(value),
            c => value.push(c),
        }
    }
    Err(format!("the double quote before the value of {} is not closed", shown(name)))
}

/// Whether sshd knows the option, and takes its value.
fn fits(name: &str, value: Option<&str>) -> Result<(), String> {
    let known = name.to_ascii_lowercase();
    let bare = known.strip_prefix("no-").unwrap_or(&known);
    let is_flag = FLAGS.contains(&known.as_str()) || SWITCHES.contains(&bare);
    let is_fit = match (known.as_str(), value) {
        (_, None) if is_flag => true,
        (_, Some(_)) if is_flag => return Err(format!("{} has no value", shown(name))),
        (known, None) if VALUED.contains(&known) => {
            return Err(format!("{} has a value: {known}=\"...\"", shown(name)));
        }
        ("command" | "principals", Some(_)) => true,
        ("from", Some(value)) => value.split(',').all(is_pattern),
        ("environment", Some(value)) => value.split_once('=').is_some_and(|(name, _)| is_variable(name)),
        ("expiry-time", Some(value)) => is_time(value),
        ("permitopen", Some(value)) => is_place(value),
        ("permitlisten", Some(value)) => is_place(value) || is_port(value),
        ("tunnel", Some(value)) => {
            value.eq_ignore_ascii_case("any") || value.parse::<u32>().is_ok_and(|number| number <= TUNNEL_MAX)
        }
        (_, _) => {
            return Err(format!(
                "{} is no option that sshd(8) knows: it would skip the whole line, and let nobody in with its key",
                shown(name)
            ));
        }
    };
    match is_fit {
        true => Ok(()),
        false => Err(format!("sshd takes no such value of {}: it would skip the whole line", shown(name))),
    }
}

fn shown(name: &str) -> String {
    format!("{:?}", bounded(name, NAME_CHARS_SHOWN))
}

/// A pattern of hosts, or a network whose address has no bit beyond its mask; sshd refuses everybody by a line with another one.
fn is_pattern(text: &str) -> bool {
    let text = text.strip_prefix('!').unwrap_or(text);
    if text.is_empty() || text.contains(' ') {
        return false;
    }
    let network = text.split_once('/').and_then(|(address, bits)| {
        let address: IpAddr = address.parse().ok()?;
        let bits: u32 = bits.parse().ok()?;
        Some((address, bits))
    });
    match network {
        None => true,
        Some((IpAddr::V4(address), bits)) => bits <= 32 && address.to_bits().checked_shl(bits).unwrap_or(0) == 0,
        Some((IpAddr::V6(address), bits)) => bits <= 128 && address.to_bits().checked_shl(bits).unwrap_or(0) == 0,
    }
}

fn is_variable(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// `YYYYMMDD`, with `HHMM` or `HHMMSS` behind it, and `Z` behind that where it is of UTC.
fn is_time(text: &str) -> bool {
    let text = text.to_ascii_uppercase();
    let digits = text.strip_suffix("UTC").or_else(|| text.strip_suffix('Z')).unwrap_or(&text);
    let within = |at: usize, least: u8, most: u8| {
        let two = digits.get(at..at + 2).map(str::parse::<u8>);
        two.is_none_or(|number| number.is_ok_and(|number| (least..=most).contains(&number)))
    };
    let is_long = [8, 12, 14].contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_long && within(4, 1, 12) && within(6, 1, 31) && within(8, 0, 23) && within(10, 0, 59) && within(12, 0, 60)
}

/// `host:port`; an address of IPv6 stands in brackets.
fn is_place(text: &str) -> bool {
    let split = match text.strip_prefix('[') {
        Some(rest) => rest.split_once("]:"),
        None => text.split_once([':', '/']),
    };
    split.is_some_and(|(_, port)| is_port(port))
}

/// A number, the name of a service, or `*`.
fn is_port(text: &str) -> bool {
    let is_name = || {
        text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && text.bytes().any(|byte| byte.is_ascii_alphabetic())
    };
    text == "*" || text.parse::<u16>().map_or_else(|_| is_name(), |port| port != 0)
}

/// Without a value, and without an opposite.
const FLAGS: [&str; 2] = ["restrict", "cert-authority"];
/// Without a value; with `no-` before it the opposite.
const SWITCHES: [&str; 7] =
    ["port-forwarding", "agent-forwarding", "x11-forwarding", "touch-required", "verify-required", "pty", "user-rc"];
/// With a value in double quotes.
const VALUED: [&str; 8] =
    ["command", "principals", "from", "environment", "expiry-time", "permitopen", "permitlisten", "tunnel"];
/// At most once.
const ONCE: [&str; 3] = ["command", "principals", "from"];
/// The last two numbers of 31 bits mean something else (SSH_TUNID_MAX of OpenSSH).
const TUNNEL_MAX: u32 = 0x7fff_fffd;
/// Longer than the name of any option.
const NAME_CHARS_SHOWN: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_sshd_takes_is_taken() {
        for good in [
            "no-agent-forwarding,no-port-forwarding",
            "restrict,pty,NO-X11-Forwarding,user-rc,no-touch-required,verify-required",
            "restrict,command=\"dump /home\"",
            "command=\"echo \\\"a, b\\\" | cat\",no-pty",
            "from=\"10.0.0.0/8,!10.1.0.0/16,*.example.internal,2001:db8::/32,10.0.0.1\"",
            "from=\"10.0.0.5/32,0.0.0.0/0,::/0,::1/128\"",
            "permitopen=\"192.0.2.1:80\",permitopen=\"[2001:db8::1]:*\",permitlisten=\"8080\",permitlisten=\"localhost:ssh\"",
            "tunnel=\"0\",environment=\"LC_ROLE=deploy now\",environment=\"A=\"",
            "expiry-time=\"20271231\",expiry-time=\"202712312359Z\",expiry-time=\"20271231235959\"",
            "cert-authority,principals=\"user_a\"",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
    }

    #[test]
    fn what_sshd_would_skip_is_refused_with_its_reason() {
        for (bad, why) in [
            ("no-agent-forwarding, no-port-forwarding", "a blank stands outside"),
            ("no-pty ", "a blank stands outside"),
            ("no-agent-forwardin", "\"no-agent-forwardin\" is no option"),
            ("no-restrict", "is no option"),
            ("no-pty,command=ls", "in double quotes"),
            ("no-command=\"ls\"", "is no option"),
            ("command=\"ls", "is not closed"),
            ("command=\"ls\\\"", "is not closed"),
            ("command=\"ls\"no-pty", "a comma has to stand"),
            ("command=\"ls\" no-pty", "a blank stands outside"),
            ("command", "has a value"),
            ("no-pty=\"yes\"", "has no value"),
            ("no-pty,", "a comma stands between"),
            (",no-pty", "a comma stands between"),
            ("command=\"a\",Command=\"b\"", "command stands there twice"),
            ("principals=\"a\"", "cert-authority"),
            ("from=\"10.0.0.5/8\"", "no such value of \"from\""),
            ("from=\"2001:db8::1/64\"", "no such value"),
            ("from=\"10.0.0.1, 10.0.0.2\"", "no such value"),
            ("from=\"\"", "no such value"),
            ("environment=\"A-B=c\"", "no such value"),
            ("expiry-time=\"2027-12-31\"", "no such value"),
            ("expiry-time=\"20271331\"", "no such value"),
            ("permitopen=\"localhost\"", "no such value"),
            ("permitopen=\"localhost:70000\"", "no such value"),
            ("tunnel=\"x\"", "no such value"),
        ] {
            let said = check(bad).expect_err(bad);
            assert!(said.contains(why), "{bad}: {said}");
        }
    }

    #[test]
    fn blanks_go_where_sshd_has_none_and_stay_in_quotes() {
        assert_eq!(
            closed_up("no-pty, command=\"echo \\\"a b\\\" c\" , pty"),
            "no-pty,command=\"echo \\\"a b\\\" c\",pty"
        );
    }
}
