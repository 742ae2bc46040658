//! The rules of the projections: small tables that answer lists, searches and counts without walking the register.
//!
//! Nothing in them is news: each row follows from rows that have leaves, the writer keeps them in the same transaction, and
//! `verify` derives them again from here.
//!
//! | table | a row | from when | until |
//! |---|---|---|---|
//! | `place` | a kind, profile, issuer, owner and renew flag in use, with how many are in each state | the first intent | for ever |
//! | `card` | an operation: its place and pile | its intent; a failure or a revocation moves it to that pile | for ever |
//! | `open` | an operation without conclusion | its intent | its conclusion or revocation |
//! | `renewal` | a certificate that the server renews, by when it is due | its conclusion, unless revoked before | its revocation, or a later conclusion of a certificate that says it renews this one |
//! | `expiring` | how many certificates of an owner, or of all, end in an hour | an intent | a failure or revocation takes its own away |
//! | `present` | the present version of a record | its first version | for ever |

use policy::{Timestamp, Validity};
use serde_json::Value;

use crate::entry::{Entry, Kind};
use crate::schema::sha256;

/// Which pile of its place an operation lies on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Pile {
    /// Intended or issued. The few that are merely intended stand in `open` too.
    Live,
    Failed,
    Revoked,
}

impl Pile {
    pub const ALL: [Pile; 3] = [Pile::Live, Pile::Failed, Pile::Revoked];

    pub fn number(self) -> i64 {
        match self {
            Pile::Live => 0,
            Pile::Failed => 1,
            Pile::Revoked => 2,
        }
    }

    pub fn of_number(number: i64) -> Option<Pile> {
        Pile::ALL.into_iter().find(|pile| pile.number() == number)
    }
}

/// What credentials of one place have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place<'a> {
    pub kind: &'a str,
    pub profile: &'a str,
    pub issuer: &'a str,
    pub owner: Option<&'a str>,
    pub renew: bool,
}

impl Place<'_> {
    /// The place's number: the same on every node without asking anyone. 63 bits of a hash: among ten thousand places two meet
    /// with a chance of one in 10^11, and `verify` would say so.
    pub fn id(&self) -> i64 {
        let owner = self.owner.map_or_else(|| "-".to_owned(), |owner| format!("+{owner}"));
        let parts = [self.kind, self.profile, self.issuer, &owner, if self.renew { "renew" } else { "" }];
        let mut text = String::from("chancery place 1\n");
        for part in parts {
            text.push_str(&part.len().to_string());
            text.push(':');
            text.push_str(part);
        }
        let [a, b, c, d, e, f, g, h, ..] = sha256(text.as_bytes());
        i64::from_be_bytes([a & 0x7f, b, c, d, e, f, g, h])
    }
}

/// Neither CRLs nor code signatures, whose end nobody waits for.
pub(crate) fn is_certificate(kind: &str) -> bool {
    kind != Kind::Crl.as_str() && kind != Kind::CodeSignature.as_str()
}

/// What the projections need of an intent beyond its columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Card {
    pub place: i64,
    pub renew: bool,
    pub not_after: Option<i64>,
    /// When it is due for renewal by the server.
    pub due: Option<i64>,
    /// The serial of the certificate it succeeds.
    pub renews: Option<Vec<u8>>,
}

impl Card {
    pub fn of(entry: &Entry) -> Card {
        let kind = entry.kind.as_str();
        let owner = entry.owner.as_ref().map(policy::Owner::as_str);
        Card::new(
            Labels { kind, profile: &entry.profile, issuer: &entry.issuer, owner },
            &entry.serial,
            entry.validity,
            &entry.details,
        )
    }

    pub fn new(labels: Labels<'_>, serial: &[u8], validity: Option<Validity>, details: &Value) -> Card {
        let renew = details.get("renew").and_then(Value::as_bool) == Some(true);
        let renewable = renew && labels.kind == Kind::Certificate.as_str();
        Card {
            place: labels.place(renew).id(),
            renew,
            not_after: validity.map(|validity| validity.not_after().unix()),
            due: validity.filter(|_| renewable).map(|validity| validity.renew_at(serial).unix()),
            renews: renews(details),
        }
    }
}

/// The columns of an intent that say where it stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Labels<'a> {
    pub kind: &'a str,
    pub profile: &'a str,
    pub issuer: &'a str,
    pub owner: Option<&'a str>,
}

impl<'a> Labels<'a> {
    pub fn place(self, renew: bool) -> Place<'a> {
        let Labels { kind, profile, issuer, owner } = self;
        Place { kind, profile, issuer, owner, renew }
    }
}

/// The serial of the certificate that one with these details was made to succeed.
pub(crate) fn renews(details: &Value) -> Option<Vec<u8>> {
    let serial = details.get("renews").and_then(Value::as_str)?;
    hex::decode(serial).ok().filter(|serial| !serial.is_empty())
}

/// The hour, since 1970, in which something ends.
pub(crate) fn hour(not_after: i64) -> i64 {
    not_after.div_euclid(HOUR_SECS)
}

/// When an hour begins.
pub(crate) fn begins(hour: i64) -> Timestamp {
    Timestamp::from_unix(hour.saturating_mul(HOUR_SECS))
}

/// Fine enough for what ends today; a register of ninety days then has two thousand rows an owner to add up.
const HOUR_SECS: i64 = 3_600;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_differ_in_every_part() {
        let place = Place { kind: "certificate", profile: "p", issuer: "tls", owner: Some("web"), renew: false };
        let others = [
            Place { kind: "crl", ..place },
            Place { profile: "pt", issuer: "ls", ..place },
            Place { issuer: "tl", ..place },
            Place { owner: None, ..place },
            Place { owner: Some(""), ..place },
            Place { renew: true, ..place },
        ];
        let mut ids: Vec<i64> = others.iter().chain([&place]).map(Place::id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), others.len() + 1);
        assert!(ids.iter().all(|id| *id >= 0));
        // Stands in registers: another build must find its places again.
        assert_eq!(place.id(), 704_412_077_891_770_960);
    }

    #[test]
    fn an_hour_before_1970_is_an_hour_too() {
        assert_eq!((hour(-1), hour(0), hour(3_599), hour(3_600)), (-1, 0, 0, 1));
    }
}
