//! What a visitor asks a list for: the query of the filter form, and the links that have one.

use axum::extract::Query;
use http::Uri;
use policy::{Actor, Owner, Role, Timestamp};
use serde::Deserialize;

use super::frame::percent;
use crate::app::App;
use crate::observe::inventory::{Sought, is_narrow};
use crate::problem::Problem;

/// Rows of a page.
const ROWS: usize = 50;
/// The profile of SSH users' certificates, the only ones that somebody with no other role sees.
const SSH_USER: &str = "ssh-user";
/// Fewer hexadecimal digits than these are looked for in names alone.
const SERIAL_DIGITS_MIN: usize = 4;

/// The query. Empty fields mean nothing, as browsers send them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    pub(super) q: String,
    pub(super) owner: String,
    pub(super) state: String,
    pub(super) kind: String,
    pub(super) profile: String,
    pub(super) issuer: String,
    pub(super) renewer: String,
    pub(super) replaced: String,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) cursor: String,
    /// Of the overview alone.
    pub(super) span: String,
}

/// What a form offers, with its words.
pub(super) type Choices = &'static [(&'static str, &'static str)];

/// The states that the form offers.
pub(super) const STATES: Choices = &[
    ("", "every state"),
    ("act", "renewal overdue"),
    ("expired", "expired"),
    ("issued", "valid"),
    ("intime", "in time"),
    ("intended", "outcome unknown"),
    ("revoked", "revoked"),
    ("held", "on hold"),
    ("failed", "never signed"),
];
pub(super) const KINDS: Choices = &[
    ("", "every certificate"),
    ("certificate", "TLS and code"),
    ("ssh", "SSH"),
    ("ssh-user", "SSH user"),
    ("ssh-host", "SSH host"),
    ("ca-certificate", "CA"),
    ("crl", "CRL"),
    ("ocsp-batch", "OCSP responses"),
    ("code-signature", "code signature"),
];
pub(super) const RENEWERS: Choices = &[
    ("", "anyone or none"),
    ("nobody", "nobody: by hand"),
    ("somebody", "anyone"),
    ("server", "the server"),
    ("agent", "an agent"),
    ("acme", "an ACME client"),
];
pub(super) const REPLACED: Choices = &[("", "either way"), ("no", "not replaced"), ("yes", "replaced")];

impl Asked {
    /// What a query asks for; one that is none of ours asks for nothing.
    pub(super) fn of(uri: &Uri) -> Self {
        Query::<Self>::try_from_uri(uri).map(|Query(asked)| asked).unwrap_or_default()
    }

    /// The owner that is looked at: the one asked for; of whoever sees no more than what its owners have, the first of those.
    pub(super) fn owner(&self, actor: &Actor) -> Result<Option<Owner>, Problem> {
        match self.owner.trim() {
            "" if is_narrow(actor) => Ok(actor.owners.first().cloned()),
            "" => Ok(None),
            text => Owner::parse(text).map(Some).map_err(|error| Problem::field("owner", error.to_string())),
        }
    }

    /// The same for a visitor who sees SSH certificates alone.
    pub(super) fn seen_by(mut self, actor: &Actor) -> Self {
        if sees_ssh_alone(actor) {
            self.profile = SSH_USER.to_owned();
        }
        self
    }

    /// What is sought in names, or by the beginning of a serial.
    pub(super) fn sought(&self, owner: Option<Owner>) -> Result<Sought, Problem> {
        let text = |value: &str| Some(value.trim().to_owned()).filter(|value| !value.is_empty());
        let act = match self.state.as_str() {
            "act" => Some(true),
            "intime" => Some(false),
            _ => None,
        };
        let renewed = (self.renewer == "somebody").then_some(true);
        Ok(Sought {
            owner,
            standing: word("state", if act.is_some() { "" } else { &self.state })?,
            kinds: word("kind", &self.kind)?,
            renewer: word("renewer", if renewed.is_some() { "" } else { &self.renewer })?,
            renewed,
            act,
            profile: text(&self.profile),
            issuer: text(&self.issuer),
            replaced: match self.replaced.as_str() {
                "yes" => Some(true),
                "no" => Some(false),
                _ => None,
            },
            from: time("from", &self.from, 0)?,
            // A day that is named is meant to its end.
            to: time("to", &self.to, DAY_SECS)?,
            text: text(&self.q),
            cursor: text(&self.cursor),
            by_expiry: self.state == "issued",
            limit: ROWS,
            ..Sought::default()
        })
    }

    /// The digits of a serial, however it is written, where what is sought may be the beginning of one.
    pub(super) fn serial(&self) -> Option<String> {
        let text = self.q.trim().to_ascii_lowercase();
        let digits: String =
            text.strip_prefix("0x").unwrap_or(&text).chars().filter(|c| !matches!(c, ':' | ' ')).collect();
        let fits = digits.len() >= SERIAL_DIGITS_MIN && digits.len() <= 40;
        (fits && digits.bytes().all(|digit| digit.is_ascii_hexdigit())).then_some(digits)
    }

    /// What narrows a list beside the text that is searched for, as the form words it.
    pub(super) fn in_words(&self) -> String {
        let word = |choices: Choices, value: &str| {
            let known = choices.iter().find(|(choice, _)| !value.is_empty() && *choice == value);
            known.map(|(_, words)| (*words).to_owned())
        };
        let some = |what: &str, value: &str| (!value.is_empty()).then(|| format!("{what} {value}"));
        let words = [
            some("owner", &self.owner),
            word(STATES, &self.state),
            word(KINDS, &self.kind),
            some("profile", &self.profile),
            some("issuer", &self.issuer),
            word(RENEWERS, &self.renewer).map(|who| format!("renewed by {who}")),
            word(REPLACED, &self.replaced),
            some("ends from", &self.from),
            some("ends up to", &self.to),
        ];
        words.into_iter().flatten().collect::<Vec<_>>().join(" · ")
    }

    /// The address of a list that is asked for so. Each value is percent-encoded.
    pub(super) fn link(&self, path: &str) -> String {
        let Asked { q, owner, state, kind, profile, issuer, renewer, replaced, from, to, cursor, span } = self;
        let pairs = [
            ("q", q),
            ("owner", owner),
            ("state", state),
            ("kind", kind),
            ("profile", profile),
            ("issuer", issuer),
            ("renewer", renewer),
            ("replaced", replaced),
            ("from", from),
            ("to", to),
            ("cursor", cursor),
            ("span", span),
        ];
        let query: Vec<_> = pairs
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| format!("{name}={}", percent(value)))
            .collect();
        if query.is_empty() { path.to_owned() } else { format!("{path}?{}", query.join("&")) }
    }
}

/// The owners worth choosing: the actor's own, or all of the configuration for who sees all.
pub(super) fn owners(app: &App, actor: &Actor) -> Vec<String> {
    if is_narrow(actor) {
        return actor.owners.iter().map(|owner| owner.as_str().to_owned()).collect();
    }
    app.authority().policies().owners().iter().map(|rules| rules.name.as_str().to_owned()).collect()
}

/// Whether a visitor has no other role than that of an SSH user.
pub(super) fn sees_ssh_alone(actor: &Actor) -> bool {
    !actor.roles.is_empty() && actor.roles.iter().all(|role| *role == Role::SshUser)
}

fn word<T: std::str::FromStr<Err: std::fmt::Display>>(field: &'static str, text: &str) -> Result<Option<T>, Problem> {
    match text.trim() {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|error: T::Err| Problem::field(field, error.to_string())),
    }
}

/// A day, as a form's field has it, or a moment.
fn time(field: &'static str, text: &str, after_secs: i64) -> Result<Option<Timestamp>, Problem> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let midnight = Timestamp::parse_rfc3339(&format!("{text}T00:00:00Z")).map(|at| at.plus_secs(after_secs));
    let at = midnight.or_else(|_| Timestamp::parse_rfc3339(text));
    at.map(Some).map_err(|_| Problem::field(field, format!("{text}: write a day as 2026-08-21.")))
}

const DAY_SECS: i64 = 86_400;

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(query: &str) -> Asked {
        Asked::of(&format!("/?{query}").parse().expect("a URI"))
    }

    #[test]
    fn a_link_keeps_what_was_asked_and_escapes_it() {
        let asked = Asked { q: "a&b=\"<é".into(), state: "expired".into(), cursor: "12.7".into(), ..Asked::default() };
        let link = asked.link("/certificates");
        assert_eq!(link, "/certificates?q=a%26b%3D%22%3C%C3%A9&state=expired&cursor=12.7");
        assert_eq!(super::Asked::of(&link.parse().expect("a URI")), asked);
        assert_eq!(Asked::default().link("/"), "/");
    }

    #[test]
    fn what_narrows_a_list_is_said_in_the_words_of_the_form() {
        let asked = asked("q=web&state=issued&kind=certificate&replaced=no&renewer=agent&owner=shop&to=2026-09-30");
        let words = "owner shop · valid · TLS and code · renewed by an agent · not replaced · ends up to 2026-09-30";
        assert_eq!(asked.in_words(), words);
        assert_eq!(Asked::default().in_words(), "");
    }

    #[test]
    fn a_day_is_meant_from_its_first_second_to_its_last() {
        let sought = asked("from=2026-08-21&to=2026-08-21").sought(None).expect("sought");
        let at = |text: &str| Some(Timestamp::parse_rfc3339(text).expect("a time"));
        assert_eq!((sought.from, sought.to), (at("2026-08-21T00:00:00Z"), at("2026-08-22T00:00:00Z")));
        assert_eq!(asked("to=2026-08-21T05:00:00Z").sought(None).expect("sought").to, at("2026-08-21T05:00:00Z"));
        for wrong in ["from=yesterday", "state=dead", "kind=x", "renewer=me"] {
            assert!(asked(wrong).sought(None).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_serial_is_known_however_it_is_written() {
        for (text, serial) in [
            ("0x0A1B2c", Some("0a1b2c")),
            ("0a:1b:2c", Some("0a1b2c")),
            ("0a1", None),
            ("www.example", None),
            ("face", Some("face")),
        ] {
            assert_eq!(Asked { q: text.into(), ..Asked::default() }.serial().as_deref(), serial, "{text}");
        }
    }

    #[test]
    fn every_choice_of_the_form_is_understood() {
        for (field, choices) in [("state", STATES), ("kind", KINDS), ("renewer", RENEWERS), ("replaced", REPLACED)] {
            for (value, _) in choices {
                assert!(asked(&format!("{field}={value}")).sought(None).is_ok(), "{field}={value}");
            }
        }
    }
}
