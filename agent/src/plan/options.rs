//! The options that stand before a key in a file of sshd, read as it reads them (sshd(8), AUTHORIZED_KEYS FILE FORMAT). sshd skips a line whose
//! options it cannot read, and says so in its own log alone: what it would skip is refused here, before any line is written.

use std::iter::Peekable;
use std::str::Chars;

use policy::Timestamp;

use super::values;
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
    if stands("cert-authority") > 0 {
        return Err("cert-authority makes of a key one that signs certificates: sshd lets nobody in with it any more, and whoever reads the \
                    secret could sign for others"
            .to_owned());
    }
    if stands("principals") > 0 {
        return Err("principals are for a key behind cert-authority; sshd lets nobody in with another".to_owned());
    }
    Ok(())
}

/// When sshd lets nobody in by them any more, wherever it runs; never, where they do not say.
pub(super) fn ends(text: &str) -> Option<Timestamp> {
    let options = read(text).ok()?;
    let expiries = options.iter().filter(|(name, _)| name.eq_ignore_ascii_case("expiry-time"));
    // The earliest of several counts.
    expiries.filter_map(|(_, value)| values::ends(value.as_deref()?)).min()
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
    let fit = match (known.as_str(), value) {
        (_, None) if is_flag => Ok(()),
        (_, Some(_)) if is_flag => return Err(format!("{} has no value", shown(name))),
        (known, None) if VALUED.contains(&known) => {
            return Err(format!("{} has a value: {known}=\"...\"", shown(name)));
        }
        ("command" | "principals", Some(_)) => Ok(()),
        ("from", Some(value)) => values::sources(value),
        ("environment", Some(value)) => values::variable(value),
        ("expiry-time", Some(value)) => values::expiry(value),
        ("permitopen", Some(value)) => values::place(value),
        ("permitlisten", Some(value)) => values::listener(value),
        ("tunnel", Some(value)) => values::tunnel(value),
        (_, _) => {
            return Err(format!(
                "{} is no option that sshd(8) knows: it would skip the whole line, and let nobody in with its key",
                shown(name)
            ));
        }
    };
    fit.map_err(|why| {
        format!("sshd takes no such value of {}, and would let nobody in by the line: {why}", shown(name))
    })
}

fn shown(name: &str) -> String {
    format!("{:?}", bounded(name, NAME_CHARS_SHOWN))
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
            "permitopen=\"192.0.2.1:80\",permitopen=\"[2001:db8::1]:*\",permitlisten=\"8080\",permitlisten=\"localhost:22\"",
            "tunnel=\"0\",environment=\"LC_ROLE=deploy now\",environment=\"A=\"",
            "expiry-time=\"20271231\",expiry-time=\"202712312359Z\",expiry-time=\"20271231235959\"",
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
            ("principals=\"a\"", "are for a key behind cert-authority"),
            ("cert-authority,principals=\"a\"", "one that signs certificates"),
            ("no-pty,Cert-Authority", "one that signs certificates"),
            ("from=\"127.0.0.1,10/8\"", "no such value of \"from\", and would let nobody in by the line: a network is"),
            ("from=\"!10.0.0.0/8\"", "denials alone"),
            ("expiry-time=\"19700101Z\"", "from 19700102 on"),
            ("permitopen=\"localhost:nosuchservice\"", "a port is a number"),
            ("permitlisten=\"/80\"", "a port is a number"),
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
    fn the_earliest_expiry_of_several_counts() {
        let at = |text: &str| Timestamp::parse_rfc3339(text).ok();
        let both = "no-pty,expiry-time=\"20310101Z\",Expiry-Time=\"20300101Z\"";
        assert_eq!(ends(both), at("2030-01-01T00:00:00Z"));
        assert_eq!(ends("no-pty,command=\"expiry-time=20200101\""), None);
    }

    #[test]
    fn blanks_go_where_sshd_has_none_and_stay_in_quotes() {
        assert_eq!(
            closed_up("no-pty, command=\"echo \\\"a b\\\" c\" , pty"),
            "no-pty,command=\"echo \\\"a b\\\" c\",pty"
        );
    }
}
