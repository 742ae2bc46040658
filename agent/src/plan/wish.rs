//! What a plan asks a server for, as it is kept beside the certificate that came: so that a plan that changed is noticed, also in
//! what the certificate itself does not say (from whom, under which profile, for how long).

use std::collections::BTreeSet;

use policy::Name;
use serde::{Deserialize, Serialize};

use super::certificate::Certificate;
use super::origin::Source;
use crate::credential::{KeyKind, Leaf};

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Wish {
    names: BTreeSet<Name>,
    key: KeyKind,
    /// The server's URL: of its API, or of its ACME directory.
    from: String,
    profile: Option<String>,
    owner: Option<String>,
    validity_secs: Option<u64>,
}

impl Certificate {
    /// What this plan asks for.
    pub fn wish(&self) -> Wish {
        let (from, profile, owner, validity_secs) = match &self.source {
            Source::Chancery(s) => (&s.server.url, Some(s.profile.clone()), Some(s.owner.clone()), s.validity_secs),
            Source::Acme(s) => (&s.directory, s.profile.clone(), None, None),
        };
        let names = self.names.iter().cloned().collect();
        Wish { names, key: self.key, from: from.clone(), profile, owner, validity_secs }
    }
}

impl Wish {
    /// What of this wish the certificate does not fulfil; `asked` is what it was asked for with, where that is known.
    pub fn unfulfilled(&self, leaf: &Leaf, asked: Option<&Wish>) -> Option<&'static str> {
        let visible = |name: &&Name| matches!(name, Name::Dns(_) | Name::Ip(_));
        if self.names.iter().filter(visible).any(|name| !leaf.names.contains(name)) {
            return Some("the plan has names that it lacks");
        }
        let Some(asked) = asked else {
            // It was put there by somebody else: what can be seen in it counts.
            if !leaf.names.iter().eq(self.names.iter().filter(visible)) {
                return Some("the plan has other names");
            }
            return (leaf.key_kind() != Some(self.key)).then_some("the plan wants another kind of key");
        };
        [
            (asked.names != self.names, "the plan has other names"),
            (asked.key != self.key, "the plan wants another kind of key"),
            (asked.from != self.from, "the plan names another server"),
            (asked.profile != self.profile, "the plan names another profile"),
            (asked.owner != self.owner, "the plan names another owner"),
            (asked.validity_secs != self.validity_secs, "the plan wants another lifetime"),
        ]
        .into_iter()
        .find_map(|(differs, why)| differs.then_some(why))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::bundle;

    fn wish(names: &[&str], key: KeyKind) -> Wish {
        let names = names.iter().map(|name| Name::parse(name).unwrap()).collect();
        let (from, profile) = ("https://ca.example:8443".to_owned(), Some("tls-server".to_owned()));
        Wish { names, key, from, profile, owner: Some("web".to_owned()), validity_secs: None }
    }

    #[test]
    fn what_a_changed_plan_asks_for_is_seen() {
        let leaf = bundle("www.example.internal").leaf().unwrap();
        let asked = wish(&["www.example.internal"], KeyKind::P256);
        assert_eq!(asked.unfulfilled(&leaf, Some(&asked)), None);
        // A CA may add names of its own: what was asked for counts.
        let fewer = wish(&[], KeyKind::P256);
        assert_eq!(fewer.unfulfilled(&leaf, Some(&fewer)), None);
        for (now, why) in [
            (wish(&["www.example.internal", "a.example.internal"], KeyKind::P256), "names"),
            (wish(&[], KeyKind::P256), "other names"),
            (wish(&["www.example.internal"], KeyKind::Ed25519), "kind of key"),
            (Wish { from: "https://other.example".to_owned(), ..asked.clone() }, "server"),
            (Wish { profile: Some("tls-other".to_owned()), ..asked.clone() }, "profile"),
            (Wish { owner: Some("ops".to_owned()), ..asked.clone() }, "owner"),
            (Wish { validity_secs: Some(3600), ..asked.clone() }, "lifetime"),
        ] {
            assert!(now.unfulfilled(&leaf, Some(&asked)).is_some_and(|says| says.contains(why)), "{why}");
        }
    }

    #[test]
    fn of_what_somebody_else_put_there_the_certificate_speaks() {
        let leaf = bundle("www.example.internal").leaf().unwrap();
        for (now, why) in [
            (wish(&["www.example.internal"], KeyKind::P256), None),
            (wish(&["www.example.internal", "email:a@example.com"], KeyKind::P256), None),
            (wish(&["a.example.internal", "www.example.internal"], KeyKind::P256), Some("names")),
            (wish(&[], KeyKind::P256), Some("names")),
            (wish(&["www.example.internal"], KeyKind::P384), Some("kind of key")),
        ] {
            match (now.unfulfilled(&leaf, None), why) {
                (None, None) => {}
                (Some(says), Some(why)) => assert!(says.contains(why), "{says}"),
                other => panic!("{other:?}"),
            }
        }
    }
}
