//! Who stands behind an actor: what stays the same when a credential is renewed.
//!
//! Whatever is counted or bounded "of one" is counted of his [`Holder`], and never of the credential: whoever may issue certificates for
//! himself has thousands of serials, and is one. Where he may have many names too (certificates for fewer of them, ACME accounts), a room
//! that is small gives his [`Kin`] a share of its places. Neither decides anything: what an actor may is asked of the policies alone.

use std::fmt;

use ring::digest::{Context, SHA256};

use crate::asking::actor::{Actor, Proof};
use crate::names::{Name, Owner};

/// Whoever holds a credential, and the ones after it: an API token or an ACME account by its name, a client certificate by its owner and
/// the names in it. Two holders are never equal: it is a SHA-256, which is small whatever a certificate names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Holder {
    id: [u8; 32],
    kin: Kin,
}

/// All who prove themselves in one way and belong to the same owners.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Kin([u8; 32]);

impl Holder {
    /// Of an actor.
    pub fn of(actor: &Actor) -> Holder {
        let owners: Vec<&str> = actor.owners.iter().map(Owner::as_str).collect();
        let kind = actor.proof.kind();
        let id = match &actor.proof {
            // Its serial, which is the actor's id, is another one with each renewal.
            Proof::ClientCertificate { names, .. } if !names.is_empty() => {
                let names: Vec<String> = names.iter().map(Name::to_string).collect();
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                digest([&[kind, "names"], &owners, &names])
            }
            Proof::Token { .. } | Proof::ClientCertificate { .. } | Proof::AcmeKey { .. } | Proof::System => {
                digest([&[kind, "id"], &[], &[actor.id.as_str()]])
            }
        };
        Holder { id, kin: Kin(digest([&[kind, "kin"], &owners, &[]])) }
    }

    /// Whose he is one of.
    pub fn kin(self) -> Kin {
        self.kin
    }

    /// By what two who have to say the same are known as two, in hex. Whoever may issue certificates for himself may have them for fewer of
    /// his names too, so all certificates of the same owners are one pair of hands; anybody else is one by his name.
    pub fn hands(actor: &Actor) -> String {
        let holder = Holder::of(actor);
        match actor.proof {
            Proof::ClientCertificate { .. } => hex::encode(holder.kin.0),
            Proof::Token { .. } | Proof::AcmeKey { .. } | Proof::System => holder.to_string(),
        }
    }
}

/// In hex, for a record that is found by it.
impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.id))
    }
}

/// Each list behind its length, and each word behind its own, so that no two have the same bytes.
fn digest(lists: [&[&str]; 3]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    for list in lists {
        context.update(&list.len().to_be_bytes());
        for word in list {
            context.update(&word.len().to_be_bytes());
            context.update(word.as_bytes());
        }
    }
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn owned(owner: &str, id: &str, proof: Proof) -> Actor {
        let owners = BTreeSet::from([Owner::parse(owner).unwrap()]);
        Actor { id: id.to_owned(), owners, proof, ..Actor::system("test") }
    }

    fn certificate(owner: &str, serial: &str, names: &[&str]) -> Actor {
        let names = names.iter().map(|name| Name::parse(name).unwrap()).collect();
        owned(owner, &format!("cert:{serial}"), Proof::ClientCertificate { serial: serial.to_owned(), names })
    }

    fn token(owner: &str, name: &str, id: &str) -> Actor {
        owned(owner, &format!("token:{name}"), Proof::Token { id: id.to_owned() })
    }

    #[test]
    fn a_renewed_certificate_is_of_the_same_holder_and_another_owner_or_name_is_another() {
        let first = Holder::of(&certificate("web", "01", &["a.example", "b.example"]));
        assert_eq!(first, Holder::of(&certificate("web", "02", &["b.example", "a.example"])));
        let others = [
            certificate("shop", "01", &["a.example", "b.example"]),
            certificate("web", "01", &["a.example"]),
            certificate("web", "01", &["a.example", "b.example", "c.example"]),
            // Nothing but its serial is known of it.
            certificate("web", "01", &[]),
            certificate("web", "02", &[]),
            token("web", "a.example", "01"),
        ];
        let mut all: Vec<String> = others.iter().map(|other| Holder::of(other).to_string()).collect();
        all.push(first.to_string());
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "{all:?}");
    }

    #[test]
    fn a_token_is_its_name_whichever_secret_it_has() {
        assert_eq!(Holder::of(&token("web", "shop", "01")), Holder::of(&token("web", "shop", "02")));
        assert_ne!(Holder::of(&token("web", "shop", "01")), Holder::of(&token("web", "till", "01")));
    }

    #[test]
    fn all_certificates_of_an_owner_are_one_pair_of_hands_and_each_token_is_one() {
        let first = Holder::hands(&certificate("web", "01", &["a.example", "b.example"]));
        assert_eq!(first, Holder::hands(&certificate("web", "02", &["a.example"])));
        assert_eq!(first, Holder::hands(&certificate("web", "03", &[])));
        assert_ne!(first, Holder::hands(&certificate("shop", "01", &["a.example", "b.example"])));
        let ann = Holder::hands(&token("web", "ann", "01"));
        assert_eq!(ann, Holder::hands(&token("web", "ann", "02")));
        assert!(ann != first && ann != Holder::hands(&token("web", "ben", "03")));
    }

    #[test]
    fn kin_are_those_of_one_owner_who_prove_themselves_alike() {
        let kin = |actor: Actor| Holder::of(&actor).kin();
        let one = kin(certificate("web", "01", &["a.example"]));
        assert_eq!(one, kin(certificate("web", "02", &["b.example"])));
        assert_ne!(one, kin(certificate("shop", "03", &["a.example"])));
        assert_ne!(one, kin(token("web", "a", "01")));
    }
}
