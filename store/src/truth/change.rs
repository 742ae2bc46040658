//! What one leaf changes. Read from the leaf's own bytes alone, so that every node folds the same.

use policy::Timestamp;
use serde::{Deserialize, Serialize};

use super::crls::{CrlIntent, number};
use crate::forms::leaf::{Event, Leaf};
use crate::forms::ward::SECRET;
use crate::log::Hash;
use crate::nouns::access::Accessed;
use crate::nouns::entry::{HOLD, Kind, RELEASED, Renews};
use crate::nouns::error::StoreError;
use crate::nouns::place::RecordPlace;
use crate::nouns::sealed::{SEALED, Under};
use crate::nouns::shard::Shard;

/// A [`RecordPlace`] in the fold.
pub(crate) type RecordKey = [u8; 16];

/// The key of a record.
pub(crate) fn record_key(kind: &str, id: &str) -> RecordKey {
    RecordPlace::of(kind, id).0
}

/// What is shown, by its places in the fold, each with its version.
pub(crate) fn accessed(opened: &[Accessed]) -> Vec<(RecordKey, u64)> {
    opened.iter().map(|of| (record_key(SEALED, &of.id), of.version)).collect()
}

/// A revocation, as its leaf says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Revoked {
    pub operation: u64,
    pub kind: Kind,
    pub serial: Vec<u8>,
    pub not_after: Option<Timestamp>,
    pub key_hash: Hash,
    /// The part of its issuer's revocations that has it.
    pub shard: Option<Shard>,
    pub first: Word,
    /// What was said of it since, in the order of the log.
    pub later: Vec<Word>,
}

/// What one leaf says of a credential that is revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Word {
    pub leaf: u64,
    pub reason: u8,
    #[serde(with = "unix")]
    pub since: Timestamp,
    #[serde(with = "unix_or_none")]
    pub invalid: Option<Timestamp>,
}

impl Word {
    /// Whether the credential counts no longer.
    pub fn ends(&self) -> bool {
        self.reason != RELEASED
    }
}

/// Whether a reason of RFC 5280 section 5.3.1 says that the key is in other hands: keyCompromise; of a CA, cACompromise.
pub(super) fn is_compromise(reason: u8) -> bool {
    matches!(reason, 1 | 2)
}

impl Revoked {
    /// What ended is not in the register, or ended before: the revocation is an operation of its own.
    pub fn is_of_lost(&self) -> bool {
        self.operation == self.first.leaf
    }

    /// What is in force.
    pub fn word(&self) -> &Word {
        self.later.last().unwrap_or(&self.first)
    }

    /// Whether it counts no longer.
    pub fn is_ended(&self) -> bool {
        self.word().ends()
    }

    /// What is in force as of the log's first so many leaves.
    pub fn last_word(&self, leaves: u64) -> Option<&Word> {
        let words = std::iter::once(&self.first).chain(&self.later);
        words.take_while(|word| word.leaf < leaves).last()
    }

    /// The same where it ends the credential.
    pub fn word_at(&self, leaves: u64) -> Option<&Word> {
        self.last_word(leaves).filter(|word| word.ends())
    }

    /// Whether its key was ever said to be compromised.
    pub fn is_compromised(&self) -> bool {
        std::iter::once(&self.first).chain(&self.later).any(|word| is_compromise(word.reason))
    }

    /// Whether this may be said of it next. What is revoked for good has its reason raised to the key's compromise, once; what is on hold
    /// is released, or ends for good; what was released may end again.
    pub fn may_become(&self, reason: u8) -> bool {
        match (self.word().reason, reason) {
            (RELEASED, next) => next != RELEASED,
            (HOLD, next) => next != HOLD,
            (there, next) => is_compromise(next) && !is_compromise(there),
        }
    }

    /// From when it is revoked once this is said: a reason that changes leaves the date.
    pub fn since(&self, reason: u8, at: Timestamp) -> Timestamp {
        if self.is_ended() && reason != RELEASED { self.word().since } else { at }
    }

    /// Whether the first word of another speaks of this credential, and may be the next word here.
    pub fn is_changed_by(&self, other: &Revoked) -> bool {
        let Word { reason, since, .. } = other.first;
        self.may_become(reason)
            && since == self.since(reason, since)
            && (self.kind, &self.serial, self.key_hash) == (other.kind, &other.serial, other.key_hash)
            && (self.not_after, self.shard) == (other.not_after, other.shard)
    }
}

mod unix {
    use policy::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(at: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_i64(at.unix())
    }
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        i64::deserialize(from).map(Timestamp::from_unix)
    }
}

mod unix_or_none {
    use policy::Timestamp;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(at: &Option<Timestamp>, to: S) -> Result<S::Ok, S::Error> {
        at.map(Timestamp::unix).serialize(to)
    }
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
        Ok(Option::<i64>::deserialize(from)?.map(Timestamp::from_unix))
    }
}

/// The change that a leaf speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Something will be signed; a CRL says what it covers, a successor what it renews.
    Intended { at: Timestamp, crl: Option<CrlIntent>, renews: Option<Renews> },
    /// An operation was concluded.
    Settled { op: u64, issued: bool },
    /// A credential ended, or something else is said of one that did: then its first word is the next of that one.
    Revoked { issuer: String, revoked: Box<Revoked> },
    /// A record has a new version; `secret`: it is one of a secret, for which somebody may wait.
    Recorded { key: RecordKey, replaces: u64, digest: Hash, under: Option<Under>, secret: bool },
    /// Sealed records are shown, each in that version, which is the present one.
    Accessed { of: Vec<(RecordKey, u64)> },
    /// A refusal; a certificate that was taken in, which is proved by its leaf like any other.
    Nothing,
}

impl Change {
    /// The change of a leaf that another node wrote, or that is read again.
    pub fn of(leaf: &Leaf) -> Result<Change, String> {
        Ok(match leaf.event {
            Event::Intend => Change::Intended { at: time(&leaf.time)?, crl: crl(leaf)?, renews: renews(leaf)? },
            Event::Conclude => Change::Settled { op: leaf.op, issued: true },
            Event::Fail => Change::Settled { op: leaf.op, issued: false },
            Event::Refuse | Event::Import => Change::Nothing,
            Event::Access => {
                let of = leaf.opened().ok_or("no `opened`")?;
                Change::Accessed { of: accessed(&of) }
            }
            Event::Revoke => revoked(leaf)?,
            Event::Record => Change::Recorded {
                key: record_key(&leaf.kind, need("id", leaf.id.as_deref())?),
                replaces: leaf.replaces.ok_or("no `replaces`")?,
                digest: hash("row", leaf.row.as_deref())?,
                under: Under::of_leaf(&leaf.kind, leaf.seal)?,
                secret: leaf.kind == SECRET,
            },
        })
    }
}

fn revoked(leaf: &Leaf) -> Result<Change, String> {
    let reason = leaf.reason.and_then(|reason| u8::try_from(reason).ok()).ok_or("no `reason`")?;
    let revoked = Revoked {
        operation: leaf.op,
        kind: leaf.kind.parse::<Kind>().map_err(|e| e.to_string())?,
        serial: hex::decode(need("serial", leaf.serial.as_deref())?).map_err(|e| e.to_string())?,
        not_after: leaf.until.as_deref().map(time).transpose()?,
        key_hash: hash("subject", leaf.subject.as_deref())?,
        shard: leaf.shard.as_deref().map(str::parse).transpose().map_err(|e: StoreError| e.to_string())?,
        first: Word {
            leaf: leaf.i,
            reason,
            since: time(need("since", leaf.since.as_deref())?)?,
            invalid: leaf.invalid.as_deref().map(time).transpose()?,
        },
        later: Vec::new(),
    };
    Ok(Change::Revoked { issuer: need("issuer", leaf.issuer.as_deref())?.to_owned(), revoked: Box::new(revoked) })
}

fn crl(leaf: &Leaf) -> Result<Option<CrlIntent>, String> {
    let Some(covers) = &leaf.covers else { return Ok(None) };
    let covers = covers.covers().ok_or("`covers` has no digest of 32 bytes")?;
    let issuer = need("issuer", leaf.issuer.as_deref())?.to_owned();
    let serial = hex::decode(need("serial", leaf.serial.as_deref())?).map_err(|e| e.to_string())?;
    Ok(Some(CrlIntent { issuer, covers, number: number(&serial) }))
}

fn renews(leaf: &Leaf) -> Result<Option<Renews>, String> {
    let Some(renews) = &leaf.renews else { return Ok(None) };
    Ok(Some(Renews::new(renews.op, time(&renews.until)?)))
}

fn need<'a>(field: &str, value: Option<&'a str>) -> Result<&'a str, String> {
    value.ok_or_else(|| format!("no `{field}`"))
}

fn hash(field: &str, value: Option<&str>) -> Result<Hash, String> {
    let bytes = hex::decode(need(field, value)?).map_err(|e| format!("`{field}`: {e}"))?;
    bytes.try_into().map_err(|_| format!("`{field}` is not 32 bytes"))
}

fn time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse_rfc3339(text).map_err(|e| e.to_string())
}
