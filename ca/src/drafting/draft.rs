//! A draft: a granted request as the exact bytes that would be signed, with what the lint needs to doubt them.
//!
//! A draft is made from a [`Grant`] and consumes it: one decision, one draft. The bytes are built once; the lint reads
//! them back and hands on the same buffer, so what was linted is what is signed (invariant 3).

use hsm::{Key, Message};
use policy::{Grant, Owner, Validity};
use serde_json::Value;
use store::{ActorStamp, Covers, Entry, GrantStamp, Kind, Renews};

use crate::encode::sha256;
use crate::profiles::Profile;

/// Bytes to be signed, everything known about them, and the craft that will doubt them.
pub(crate) struct Draft<C> {
    pub(crate) grant: Grant,
    pub(crate) entry: Entry,
    pub(crate) craft: C,
}

/// Which profile shaped a draft.
pub(crate) struct ProfileStamp {
    pub(crate) name: String,
    pub(crate) hash: [u8; 32],
}

impl ProfileStamp {
    /// A profile that is no file: what such a credential is stands in the program, and in these words.
    pub(crate) fn built_in(name: impl Into<String>, text: &str) -> ProfileStamp {
        ProfileStamp { name: name.into(), hash: sha256(text.as_bytes()) }
    }
}

impl From<&Profile> for ProfileStamp {
    fn from(profile: &Profile) -> ProfileStamp {
        ProfileStamp { name: profile.name.clone(), hash: profile.hash }
    }
}

/// The facts of a draft that differ from kind to kind.
pub(crate) struct Facts {
    pub(crate) kind: Kind,
    pub(crate) profile: ProfileStamp,
    pub(crate) key: Key,
    pub(crate) message: Message,
    pub(crate) serial: Vec<u8>,
    pub(crate) issuer: String,
    pub(crate) owner: Option<Owner>,
    pub(crate) subject: String,
    pub(crate) names: Vec<String>,
    pub(crate) key_hash: [u8; 32],
    pub(crate) validity: Option<Validity>,
    /// Of a CRL.
    pub(crate) covers: Option<Covers>,
    /// Of a successor.
    pub(crate) renews: Option<Renews>,
    pub(crate) details: Value,
}

impl<C> Draft<C> {
    pub(crate) fn new(grant: Grant, facts: Facts, craft: C) -> Draft<C> {
        let entry = Entry {
            kind: facts.kind,
            actor: ActorStamp::from(grant.actor()),
            grant: GrantStamp::from(&grant),
            profile: facts.profile.name,
            profile_hash: facts.profile.hash,
            key: facts.key,
            message: facts.message,
            serial: facts.serial,
            issuer: facts.issuer,
            owner: facts.owner,
            subject: facts.subject,
            names: facts.names,
            key_hash: facts.key_hash,
            validity: facts.validity,
            covers: facts.covers,
            renews: facts.renews,
            details: facts.details,
        };
        Draft { grant, entry, craft }
    }
}
