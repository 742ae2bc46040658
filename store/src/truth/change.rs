//! What one leaf changes. Read from the leaf's own bytes alone, so that every node folds the same.

use policy::Timestamp;
use ring::digest::{Context, SHA256};

use crate::forms::leaf::{Event, Leaf};
use crate::log::Hash;
use crate::nouns::entry::{Covers, Kind, Renews};

/// A record's place in the fold: the first half of a SHA-256 over its kind and id.
pub(crate) type RecordKey = [u8; 16];

/// The key of a record.
pub(crate) fn record_key(kind: &str, id: &str) -> RecordKey {
    let mut context = Context::new(&SHA256);
    context.update(kind.as_bytes());
    context.update(&[0]);
    context.update(id.as_bytes());
    let mut key = [0; 16];
    key.copy_from_slice(context.finish().as_ref().split_at(16).0);
    key
}

/// A revocation, as its leaf says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Revoked {
    pub operation: u64,
    pub leaf: u64,
    pub kind: Kind,
    pub serial: Vec<u8>,
    pub revoked_at: Timestamp,
    pub reason: u8,
    pub not_after: Option<Timestamp>,
    pub key_hash: Hash,
    /// The digest of its row.
    pub row: Hash,
    /// The leaf that raised its reason to key compromise.
    pub raised: Option<u64>,
    /// It raises the reason of this operation's revocation, and revokes nothing itself.
    pub raises: Option<u64>,
}

/// The reason "key compromise" of RFC 5280 section 5.3.1.
pub(super) const KEY_COMPROMISE: u8 = 1;

impl Revoked {
    /// What ended is not in the register, or ended before: the revocation is an operation of its own.
    pub fn is_of_lost(&self) -> bool {
        self.operation == self.leaf
    }

    /// The reason that is in force.
    pub fn reason(&self) -> u8 {
        if self.raised.is_some() { KEY_COMPROMISE } else { self.reason }
    }

    /// The reason as of the log's first so many leaves.
    pub fn reason_at(&self, leaves: u64) -> u8 {
        if self.raised.is_some_and(|leaf| leaf < leaves) { KEY_COMPROMISE } else { self.reason }
    }

    /// Whether its reason may be raised to this one: to key compromise, once. Nothing else that was published changes.
    pub fn may_be_raised_to(&self, reason: u8) -> bool {
        reason == KEY_COMPROMISE && self.reason() != KEY_COMPROMISE && self.raises.is_none()
    }

    /// Whether a revocation of the same serial is this one with its reason raised, and nothing else.
    pub fn is_raised_by(&self, other: &Revoked) -> bool {
        self.may_be_raised_to(other.reason)
            && (self.kind, &self.serial, self.key_hash) == (other.kind, &other.serial, other.key_hash)
            && (self.revoked_at, self.not_after) == (other.revoked_at, other.not_after)
    }
}

/// The change that a leaf speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Something will be signed; a CRL says what it covers, a successor what it renews.
    Intended { at: Timestamp, crl: Option<(String, Covers)>, renews: Option<Renews> },
    /// An operation was concluded.
    Settled { op: u64, issued: bool },
    /// A credential ended.
    Revoked { issuer: String, revoked: Box<Revoked> },
    /// A record has a new version.
    Recorded { key: RecordKey, replaces: u64, digest: Hash },
    /// A refusal.
    Nothing,
}

impl Change {
    /// The change of a leaf that another node wrote, or that is read again.
    pub fn of(leaf: &Leaf) -> Result<Change, String> {
        Ok(match leaf.event {
            Event::Intend => Change::Intended { at: time(&leaf.time)?, crl: covers(leaf)?, renews: renews(leaf)? },
            Event::Conclude => Change::Settled { op: leaf.op, issued: true },
            Event::Fail => Change::Settled { op: leaf.op, issued: false },
            Event::Refuse => Change::Nothing,
            Event::Revoke => revoked(leaf)?,
            Event::Record => Change::Recorded {
                key: record_key(&leaf.kind, need("id", leaf.id.as_deref())?),
                replaces: leaf.replaces.ok_or("no `replaces`")?,
                digest: hash("row", leaf.row.as_deref())?,
            },
        })
    }
}

fn revoked(leaf: &Leaf) -> Result<Change, String> {
    let reason = leaf.reason.and_then(|reason| u8::try_from(reason).ok()).ok_or("no `reason`")?;
    let revoked = Revoked {
        operation: leaf.op,
        leaf: leaf.i,
        kind: leaf.kind.parse::<Kind>().map_err(|e| e.to_string())?,
        serial: hex::decode(need("serial", leaf.serial.as_deref())?).map_err(|e| e.to_string())?,
        revoked_at: time(need("since", leaf.since.as_deref())?)?,
        reason,
        not_after: leaf.until.as_deref().map(time).transpose()?,
        key_hash: hash("subject", leaf.subject.as_deref())?,
        row: hash("row", leaf.row.as_deref())?,
        raised: None,
        raises: None,
    };
    Ok(Change::Revoked { issuer: need("issuer", leaf.issuer.as_deref())?.to_owned(), revoked: Box::new(revoked) })
}

fn covers(leaf: &Leaf) -> Result<Option<(String, Covers)>, String> {
    let Some(covers) = &leaf.covers else { return Ok(None) };
    let digest = hash("covers", Some(&covers.digest))?;
    let issuer = need("issuer", leaf.issuer.as_deref())?.to_owned();
    Ok(Some((issuer, Covers::new(covers.leaves, covers.revocations, digest))))
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
