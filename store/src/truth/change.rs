//! What one leaf changes. Read from the leaf's own bytes alone, so that every node folds the same.

use policy::Timestamp;

use super::fold::{Covers, RecordKey, Revoked, record_key};
use crate::entry::Kind;
use crate::leaf::{Event, Leaf};
use crate::log::Hash;

/// The change that a leaf speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Something will be signed; a CRL says what it covers.
    Intended { at: Timestamp, crl: Option<(String, Covers)> },
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
            Event::Intend => Change::Intended { at: time(&leaf.time)?, crl: covers(leaf)? },
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
    };
    Ok(Change::Revoked { issuer: need("issuer", leaf.issuer.as_deref())?.to_owned(), revoked: Box::new(revoked) })
}

fn covers(leaf: &Leaf) -> Result<Option<(String, Covers)>, String> {
    let Some(covers) = &leaf.covers else { return Ok(None) };
    let digest = hash("covers", Some(&covers.digest))?;
    let issuer = need("issuer", leaf.issuer.as_deref())?.to_owned();
    Ok(Some((issuer, Covers::new(covers.leaves, covers.revocations, digest))))
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
