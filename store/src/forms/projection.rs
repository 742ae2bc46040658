//! The rules of the projections: small tables that answer lists, searches and counts without walking the register.
//!
//! Nothing in them is news: each row follows from rows that have leaves, the writer keeps them in the same transaction, and
//! `verify` derives them again from here.
//!
//! | table | a row | from when | until |
//! |---|---|---|---|
//! | `place` | a kind, profile, issuer, owner and renewer in use, with how many are in each state | the first intent | for ever |
//! | `card` | an operation: its place, pile and family | its intent; a failure, a revocation, a hold or a successor moves it to that pile, a release back | for ever |
//! | `open` | an operation without conclusion | its intent | its conclusion or revocation |
//! | `renewal` | a certificate that the server renews, by when it is due | its conclusion, unless revoked before; its release, unless renewed before | its revocation, or a later conclusion of a certificate that says it renews this one |
//! | `expiring` | how many certificates of an owner, or of all, end in an hour, and from which hour on somebody should look at how many | an intent, a release | a failure, a revocation or a successor takes its own away; a row that counts nothing goes |
//! | `present` | the present version of a record | its first version | for ever |
//! | `ward` | a secret: when it ends, was read last, waits | its record | its record says that it is deleted or gone |
//! | `reading` | a secret and who read it: of the newest hour in which he did the first leaf | an access by an action that reads | for ever |
//! | `keyword` | a word or a tag, an owner, and a secret of his that has it | a record that says it | its record says another thing, or that it is gone |
//!
//! **Who succeeds whom.** Certificates of one kind, profile, owner and set of names are a family. Its newest signed and not revoked
//! one is live, and it has replaced all signed ones before it; where that one is revoked, the one before it is live again. A
//! successor with other names, or of another profile, is of the family that its details say: that of the one it replaces. For eyes
//! and counts alone: what the server renews and what a CRL lists, the fold of the log says.

use policy::{Timestamp, Validity};
use serde_json::Value;

use crate::forms::schema::sha256;
use crate::nouns::credential::Credential;
use crate::nouns::entry::{Entry, HOLD, Kind, RESPONDER};
use crate::nouns::renewer::{Class, Renewer};

/// Which pile of its place an operation lies on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Pile {
    /// Intended or issued. The few that are merely intended stand in `open` too.
    Live,
    Failed,
    Revoked,
    /// Issued, and a later one of its family took its place.
    Replaced,
    /// On hold: revoked until it is released. Its place counts it with the revoked.
    Held,
}

impl Pile {
    pub const ALL: [Pile; 5] = [Pile::Live, Pile::Failed, Pile::Revoked, Pile::Replaced, Pile::Held];

    /// Where one lies that ended with this reason.
    pub fn of_end(reason: u8) -> Pile {
        if reason == HOLD { Pile::Held } else { Pile::Revoked }
    }

    /// Whether what lies there is on a CRL.
    pub fn is_ended(self) -> bool {
        matches!(self, Pile::Revoked | Pile::Held)
    }

    pub fn number(self) -> i64 {
        match self {
            Pile::Live => 0,
            Pile::Failed => 1,
            Pile::Revoked => 2,
            Pile::Replaced => 3,
            Pile::Held => 4,
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
    pub renewer: Renewer,
}

impl Place<'_> {
    /// The place's number: the same on every node without asking anyone. 63 bits of a hash: among ten thousand places two meet
    /// with a chance of one in 10^11, and `verify` would say so.
    pub fn id(&self) -> i64 {
        let owner = self.owner.map_or_else(|| "-".to_owned(), |owner| format!("+{owner}"));
        let renewer = match self.renewer {
            Renewer::Nobody => "",
            Renewer::Server => "renew",
            Renewer::Agent => "agent",
            Renewer::Acme => "acme",
        };
        number("chancery place 1", &[self.kind, self.profile, self.issuer, &owner, renewer])
    }
}

/// 63 bits of a hash over some words.
fn number(of: &str, words: &[&str]) -> i64 {
    let mut text = format!("{of}\n");
    for word in words {
        text.push_str(&word.len().to_string());
        text.push(':');
        text.push_str(word);
    }
    let [a, b, c, d, e, f, g, h, ..] = sha256(text.as_bytes());
    i64::from_be_bytes([a & 0x7f, b, c, d, e, f, g, h])
}

/// Neither CRLs, OCSP responses nor code signatures, whose end nobody waits for.
pub(crate) fn is_certificate(kind: &str) -> bool {
    ![Kind::Crl, Kind::CodeSignature, Kind::CaRequest, Kind::OcspBatch].iter().any(|none| none.as_str() == kind)
}

/// What hours count apart: SSH certificates live for hours, those of CAs for decades.
pub(crate) fn class(kind: &str) -> i64 {
    match kind {
        ssh if is_ssh(ssh) => Class::Ssh.number(),
        ca if ca == Kind::CaCertificate.as_str() => Class::Authorities.number(),
        _ => Class::Certificates.number(),
    }
}

pub(crate) fn is_ssh(kind: &str) -> bool {
    kind == Kind::SshUser.as_str() || kind == Kind::SshHost.as_str()
}

/// Of an intent, what its projections follow from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts<'a> {
    pub labels: Labels<'a>,
    pub actor: &'a str,
    pub proof: &'a str,
    pub serial: &'a [u8],
    pub subject: &'a str,
    pub names: &'a [String],
    pub validity: Option<Validity>,
    pub details: &'a Value,
}

impl Facts<'_> {
    fn renewer(&self) -> Renewer {
        match self.labels.kind == Kind::Certificate.as_str() {
            true => Renewer::of(self.actor, self.proof, self.details),
            false => Renewer::Nobody,
        }
    }

    /// What credentials that succeed each other have in common; 63 bits of a hash: among a million two meet with a chance of
    /// one in ten million.
    fn family(&self) -> Option<i64> {
        let Labels { kind, profile, owner, .. } = self.labels;
        if kind != Kind::Certificate.as_str() && !is_ssh(kind) {
            return None;
        }
        if let Some(family) = self.details.get(FAMILY).and_then(Value::as_str) {
            return i64::from_str_radix(family, 16).ok();
        }
        let owner = owner.map_or_else(|| "-".to_owned(), |owner| format!("+{owner}"));
        let mut names: Vec<&str> = self.names.iter().map(String::as_str).collect();
        names.sort_unstable();
        names.dedup();
        let subject = if names.is_empty() { self.subject } else { "" };
        let words: Vec<&str> = [kind, profile, &owner, subject].into_iter().chain(names).collect();
        Some(number("chancery family 1", &words))
    }
}

/// Of a certificate's details: the family it is of whatever its names, as [`family`] writes it.
const FAMILY: &str = "family";

/// The family of a credential, 16 hexadecimal digits, for the details of one that replaces it under other names.
pub(crate) fn family(of: &Credential) -> Option<String> {
    facts_of(of).family().map(|family| format!("{family:016x}"))
}

fn facts_of(of: &Credential) -> Facts<'_> {
    Facts {
        labels: Labels {
            kind: of.kind.as_str(),
            profile: &of.profile,
            issuer: &of.issuer,
            owner: of.owner.as_ref().map(policy::Owner::as_str),
        },
        actor: &of.actor.id,
        proof: &of.actor.proof,
        serial: &of.serial,
        subject: &of.subject,
        names: &of.names,
        validity: of.validity,
        details: &of.details,
    }
}

/// What the projections need of an intent beyond its columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Card {
    pub place: i64,
    pub renewer: Renewer,
    pub not_after: Option<i64>,
    /// From when on somebody should act.
    pub look: Option<i64>,
    pub family: Option<i64>,
    /// When it is due for renewal by the server.
    pub due: Option<i64>,
    /// The serial of the certificate it succeeds.
    pub renews: Option<Vec<u8>>,
}

impl Card {
    pub fn of(entry: &Entry) -> Card {
        let (kind, owner) = (entry.kind.as_str(), entry.owner.as_ref().map(policy::Owner::as_str));
        Card::new(&Facts {
            labels: Labels { kind, profile: &entry.profile, issuer: &entry.issuer, owner },
            actor: &entry.actor.id,
            proof: &entry.actor.proof,
            serial: &entry.serial,
            subject: &entry.subject,
            names: &entry.names,
            validity: entry.validity,
            details: &entry.details,
        })
    }

    pub fn of_credential(of: &Credential) -> Card {
        Card::new(&facts_of(of))
    }

    pub fn new(facts: &Facts<'_>) -> Card {
        let Facts { labels, validity, .. } = *facts;
        let is_certificate = labels.kind == Kind::Certificate.as_str();
        let renewable = is_certificate && facts.details.get("renew").and_then(Value::as_bool) == Some(true);
        let renewer = facts.renewer();
        let is_looked_at = is_certificate && facts.actor != RESPONDER;
        let look = validity.filter(|_| is_looked_at).and_then(|v| v.look_at(renewer != Renewer::Nobody));
        Card {
            place: labels.place(renewer).id(),
            renewer,
            not_after: validity.map(|validity| validity.not_after().unix()),
            look: look.map(Timestamp::unix),
            family: facts.family(),
            due: validity.filter(|_| renewable).map(|validity| validity.renew_at(facts.serial).unix()),
            renews: renews(facts.details),
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
    pub fn place(self, renewer: Renewer) -> Place<'a> {
        let Labels { kind, profile, issuer, owner } = self;
        Place { kind, profile, issuer, owner, renewer }
    }
}

/// The serial of the certificate that one with these details was made to succeed.
pub(crate) fn renews(details: &Value) -> Option<Vec<u8>> {
    let serial = details.get("renews").and_then(Value::as_str)?;
    hex::decode(serial).ok().filter(|serial| !serial.is_empty())
}

/// What one that ends then adds to hours: to how many end, are renewed, are looked at before; and from when on somebody looks.
pub(crate) fn hours(not_after: i64, look: Option<i64>, renewed: bool) -> impl Iterator<Item = (i64, [i64; 4])> {
    let ends = (hour(not_after), [1, i64::from(renewed), i64::from(look.is_some()), 0]);
    std::iter::once(ends).chain(look.map(|look| (hour(look), [0, 0, 0, 1])))
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
pub(crate) const HOUR_SECS: i64 = 3_600;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_differ_in_every_part() {
        let place =
            Place { kind: "certificate", profile: "p", issuer: "tls", owner: Some("web"), renewer: Renewer::Nobody };
        let others = [
            Place { kind: "crl", ..place },
            Place { profile: "pt", issuer: "ls", ..place },
            Place { issuer: "tl", ..place },
            Place { owner: None, ..place },
            Place { owner: Some(""), ..place },
            Place { renewer: Renewer::Server, ..place },
            Place { renewer: Renewer::Agent, ..place },
            Place { renewer: Renewer::Acme, ..place },
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
    fn a_family_has_kind_profile_owner_and_names_in_common_and_no_more() {
        let names = ["dns:b.example".to_owned(), "dns:a.example".to_owned()];
        let labels = Labels { kind: "certificate", profile: "tls-server", issuer: "tls", owner: Some("web") };
        let details = serde_json::json!({ "renew": false });
        let (actor, proof, serial, subject) = ("token:ada", "token", &b"1"[..], "CN=a");
        let facts = Facts { labels, actor, proof, serial, subject, names: &names, validity: None, details: &details };
        let family = facts.family().unwrap();
        let reversed: Vec<String> = names.iter().rev().cloned().collect();
        for same in [
            Facts { names: &reversed, ..facts },
            Facts { subject: "CN=b", serial: b"2", actor: "acme:x", proof: "acme-key", ..facts },
            Facts { labels: Labels { issuer: "tls2", ..labels }, ..facts },
        ] {
            assert_eq!(same.family(), Some(family));
        }
        for other in [
            Facts { names: &names[..1], ..facts },
            Facts { labels: Labels { kind: "ssh-host", ..labels }, ..facts },
            Facts { labels: Labels { profile: "tls-client", ..labels }, ..facts },
            Facts { labels: Labels { owner: None, ..labels }, ..facts },
            Facts { names: &[], ..facts },
        ] {
            assert_ne!(other.family(), Some(family));
        }
        let told = serde_json::json!({ "family": format!("{family:016x}") });
        assert_eq!(Facts { names: &[], details: &told, ..facts }.family(), Some(family));
        let nameless = |subject| Facts { names: &[], subject, ..facts }.family();
        assert_ne!(nameless("CN=a"), nameless("CN=b"));
        assert_eq!(Facts { labels: Labels { kind: "crl", ..labels }, ..facts }.family(), None);
        // Stands in registers.
        assert_eq!(number("chancery family 1", &["a", "b"]), number("chancery family 1", &["a", "b"]));
        assert_ne!(number("chancery family 1", &["a", "b"]), number("chancery family 1", &["ab"]));
    }

    #[test]
    fn an_hour_before_1970_is_an_hour_too() {
        assert_eq!((hour(-1), hour(0), hour(3_599), hour(3_600)), (-1, 0, 0, 1));
    }
}
