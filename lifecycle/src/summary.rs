//! What this room needs to know of a credential, and who succeeds whom.

use policy::{Owner, Timestamp, Validity};
use store::{Credential, Kind, State};

/// A credential without its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// The operation that made it; later ones have higher numbers.
    pub operation: u64,
    /// What it is.
    pub kind: Kind,
    /// Where it stands.
    pub state: State,
    /// Its serial.
    pub serial: Vec<u8>,
    /// Whose it is.
    pub owner: Option<Owner>,
    /// The profile it was issued under.
    pub profile: String,
    /// Its subject, for display.
    pub subject: String,
    /// Its names, or principals.
    pub names: Vec<String>,
    /// From when to when it holds.
    pub validity: Validity,
    /// SHA-256 of its key.
    pub key_hash: [u8; 32],
    /// Whether the server renews it.
    pub renew: bool,
    /// The serial, in hex, of the certificate it was issued to succeed.
    pub renews: Option<String>,
}

impl Summary {
    /// `None` for what does not expire: signatures over code.
    pub fn of(credential: &Credential) -> Option<Summary> {
        let detail = |name: &str| credential.details.get(name);
        Some(Summary {
            operation: credential.operation,
            kind: credential.kind,
            state: credential.state,
            serial: credential.serial.clone(),
            owner: credential.owner.clone(),
            profile: credential.profile.clone(),
            subject: credential.subject.clone(),
            names: credential.names.clone(),
            validity: credential.validity?,
            key_hash: credential.key_hash,
            renew: detail("renew").is_some_and(|flag| flag.as_bool() == Some(true)),
            renews: detail("renews").and_then(|serial| serial.as_str()).map(str::to_owned),
        })
    }

    /// The serial in lower-case hex.
    pub fn serial_hex(&self) -> String {
        self.serial.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// When it is to be renewed.
    pub fn renew_at(&self) -> Timestamp {
        self.validity.renew_at(&self.serial)
    }

    /// When somebody should look if it is not.
    pub fn overdue_at(&self) -> Timestamp {
        self.validity.overdue_at(&self.serial)
    }

    /// Whether it counts as valid at `now`: an intent without a conclusion may have been signed, so it does (invariant 5).
    pub fn is_live(&self, now: Timestamp) -> bool {
        match self.state {
            State::Issued | State::Intended => self.validity.contains(now),
            State::Failed | State::Revoked => false,
        }
    }

    /// Whether `self` took the place of `older`: it says so, or it is a later certificate of the same profile for the same owner,
    /// names and key. Equal names alone prove nothing: several hosts may each have a key for one name.
    ///
    /// A revoked successor is one too: what was withdrawn must not come back through its predecessor. An intent without a
    /// conclusion is none: nobody can have it.
    pub fn succeeds(&self, older: &Summary) -> bool {
        let delivered = match self.state {
            State::Issued | State::Revoked => true,
            State::Intended | State::Failed => false,
        };
        let same = self.key_hash == older.key_hash
            && self.owner == older.owner
            && self.profile == older.profile
            && same_names(&self.names, &older.names);
        let says_so = self.renews.as_deref() == Some(older.serial_hex().as_str());
        self.kind == older.kind && self.operation > older.operation && delivered && (says_so || same)
    }
}

/// In any order.
fn same_names(a: &[String], b: &[String]) -> bool {
    let sorted = |names: &[String]| {
        let mut names = names.to_vec();
        names.sort();
        names
    };
    a.len() == b.len() && sorted(a) == sorted(b)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const LIFE_SECS: i64 = 9_000;

    /// A live tls-server certificate of owner web for www.example, renewed by the server.
    pub(crate) fn certificate(operation: u64, not_before: Timestamp) -> Summary {
        Summary {
            operation,
            kind: Kind::Certificate,
            state: State::Issued,
            serial: operation.to_be_bytes().to_vec(),
            owner: Some(Owner::parse("web").unwrap()),
            profile: "tls-server".to_owned(),
            subject: "www.example".to_owned(),
            names: vec!["dns:www.example".to_owned(), "dns:example".to_owned()],
            validity: Validity::starting(not_before, LIFE_SECS),
            key_hash: [7; 32],
            renew: true,
            renews: None,
        }
    }

    #[test]
    fn a_later_certificate_for_the_same_key_and_names_is_a_successor() {
        let older = certificate(1, Timestamp::from_unix(0));
        let newer = || certificate(2, Timestamp::from_unix(6_000));
        assert!(newer().succeeds(&older));
        assert!(!older.succeeds(&newer()) && !older.succeeds(&older));
        let reordered = Summary { names: newer().names.into_iter().rev().collect(), ..newer() };
        assert!(reordered.succeeds(&older));
        for (what, other) in [
            ("another key", Summary { key_hash: [8; 32], ..newer() }),
            ("other names", Summary { names: vec!["dns:www.example".to_owned()], ..newer() }),
            ("another owner", Summary { owner: None, ..newer() }),
            ("another profile", Summary { profile: "tls-client".to_owned(), ..newer() }),
            ("another kind", Summary { kind: Kind::SshHost, ..newer() }),
        ] {
            assert!(!other.succeeds(&older), "{what}");
        }
    }

    #[test]
    fn a_certificate_that_says_so_is_a_successor_with_a_new_key() {
        let older = certificate(1, Timestamp::from_unix(0));
        let newer =
            Summary { key_hash: [8; 32], renews: Some(older.serial_hex()), ..certificate(2, Timestamp::from_unix(0)) };
        assert!(newer.succeeds(&older));
        assert!(!newer.succeeds(&certificate(0, Timestamp::from_unix(0))));
    }

    #[test]
    fn only_what_somebody_can_have_is_a_successor() {
        let older = certificate(1, Timestamp::from_unix(0));
        for (state, succeeds) in
            [(State::Issued, true), (State::Revoked, true), (State::Intended, false), (State::Failed, false)]
        {
            let newer = Summary { state, ..certificate(2, Timestamp::from_unix(0)) };
            assert_eq!(newer.succeeds(&older), succeeds, "{state}");
        }
    }

    #[test]
    fn an_intent_without_a_conclusion_counts_as_live() {
        let now = Timestamp::from_unix(10);
        for (state, live) in
            [(State::Issued, true), (State::Intended, true), (State::Failed, false), (State::Revoked, false)]
        {
            assert_eq!(Summary { state, ..certificate(1, Timestamp::from_unix(0)) }.is_live(now), live, "{state}");
        }
        assert!(!certificate(1, Timestamp::from_unix(11)).is_live(now));
    }
}
