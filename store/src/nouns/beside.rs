//! Bytes beside a sealed record: what is too large for it, and what has to be gone once it is to be gone.
//!
//! A record's rows stay for ever. The bytes beside one lie beside its present version alone, which has their digest; a version that
//! follows keeps them or does away with them, in its own transaction.

use std::fmt;

use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use crate::nouns::error::StoreError;
use crate::nouns::place::RecordPlace;
use crate::nouns::record::StoredRecord;
use crate::nouns::sealed::SEALED;

/// So many bytes lie beside one record, at most: a value of a mebibyte, and what sealing adds to it.
pub const BESIDE_BYTES_MAX: usize = (1 << 20) + 1_024;

/// What a record's body says of the bytes beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Digest {
    pub sha256: [u8; 32],
    pub bytes: u64,
}

const BESIDE: &str = "beside";

impl Digest {
    pub fn of(bytes: &[u8]) -> Digest {
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(digest(&SHA256, bytes).as_ref());
        Digest { sha256, bytes: bytes.len() as u64 }
    }

    /// What a body says; none where nothing lies beside it.
    pub fn of_body(body: &Value) -> Result<Option<Digest>, StoreError> {
        let Some(said) = body.get(BESIDE) else { return Ok(None) };
        let wrong = || StoreError::Invalid("what a record says of the bytes beside it is no digest and length".into());
        let sha256 = said.get("sha256").and_then(Value::as_str).and_then(|text| hex::decode(text).ok());
        let sha256 = sha256.and_then(|bytes| bytes.try_into().ok()).ok_or_else(wrong)?;
        let bytes = said.get("bytes").and_then(Value::as_u64).ok_or_else(wrong)?;
        Ok(Some(Digest { sha256, bytes }))
    }

    pub fn write(&self, body: &mut Value) {
        body[BESIDE] = json!({ "sha256": hex::encode(self.sha256), "bytes": self.bytes });
    }

    /// What is wrong with bytes that are to be these.
    pub fn says(&self, there: Option<&[u8]>) -> Option<&'static str> {
        match there {
            None => Some("the bytes beside it were deleted"),
            Some(bytes) if Digest::of(bytes) != *self => {
                Some("the bytes beside it are not those that its record has the digest of")
            }
            Some(_) => None,
        }
    }
}

/// What becomes of the bytes beside a record with a new version.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) enum Beside {
    /// There are none, or they go.
    #[default]
    Nothing,
    /// These, from now on.
    Put(Vec<u8>),
    /// Those that are there.
    Kept,
}

impl fmt::Debug for Beside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Beside::Nothing => f.write_str("Nothing"),
            Beside::Put(bytes) => write!(f, "Put({} bytes)", bytes.len()),
            Beside::Kept => f.write_str("Kept"),
        }
    }
}

/// A value to be kept: bytes that its writer sealed under a key of their own, and that key, which is sealed by the token.
pub struct NewValue<'a> {
    /// Its name, which is never used for another: a value is written once.
    pub id: String,
    /// Whose it is.
    pub owner: Option<String>,
    /// The key.
    pub key: &'a [u8],
    /// The same key, wrapped to one that is in no token, where there is such a one.
    pub wrapped: Option<Vec<u8>>,
    /// The sealed bytes.
    pub envelope: Vec<u8>,
    /// Values that go with its coming, by their names.
    pub instead_of: Vec<String>,
}

/// A value as it lies there: sealed.
#[derive(Clone, Debug, PartialEq)]
pub struct SealedValue {
    pub(crate) record: StoredRecord,
    pub(crate) place: RecordPlace,
    /// The bytes that its writer sealed.
    pub envelope: Vec<u8>,
}

impl SealedValue {
    pub(crate) fn new(record: StoredRecord, envelope: Vec<u8>) -> SealedValue {
        SealedValue { place: RecordPlace::of(SEALED, &record.id), record, envelope }
    }

    /// Its name.
    pub fn id(&self) -> &str {
        &self.record.id
    }

    /// Whose it is.
    pub fn owner(&self) -> Option<&str> {
        self.record.owner.as_deref()
    }

    /// SHA-256 of the bytes that its writer sealed.
    pub fn sha256(&self) -> [u8; 32] {
        Digest::of(&self.envelope).sha256
    }

    /// The version of its record: a new one each time its key is sealed anew.
    pub fn version(&self) -> u64 {
        self.record.version
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_says_what_lies_beside_it_or_that_nothing_does() {
        let digest = Digest::of(b"sealed");
        let mut body = json!({});
        assert_eq!(Digest::of_body(&body).unwrap(), None);
        digest.write(&mut body);
        assert_eq!(Digest::of_body(&body).unwrap(), Some(digest));
        for wrong in [json!({}), json!({"sha256": "00", "bytes": 6}), json!({"sha256": "00".repeat(32)}), json!(7)] {
            assert!(Digest::of_body(&json!({ "beside": wrong })).is_err());
        }
        assert_eq!(digest.says(Some(b"sealed")), None);
        assert!(digest.says(Some(b"sealee")).is_some() && digest.says(None).is_some());
    }
}
