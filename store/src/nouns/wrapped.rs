//! Keys that lie in the register twice: sealed by the token, and wrapped, by whoever knows how, to a key that is in no token.
//!
//! The wrapped bytes stand in the sealed record's body, so that its leaf has the digest of them like of everything else there; a version
//! that follows takes them along. This room does not know what is in them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::nouns::beside::Digest;
use crate::nouns::error::StoreError;
use crate::nouns::record::StoredRecord;
use crate::nouns::sealed::{HEAD_KEY, Sealed};

/// So long a wrapped key is, at most: a record has room for it beside what the token sealed.
pub const WRAPPED_BYTES_MAX: usize = 4 * 1024;

const RECOVERY: &str = "recovery";

/// What a body has of a wrapped key; none where it has none.
pub(crate) fn wrapped_of(body: &Value) -> Result<Option<Vec<u8>>, StoreError> {
    let Some(there) = body.get(RECOVERY) else { return Ok(None) };
    let wrong = || StoreError::Invalid(format!("what a record has as `{RECOVERY}` is no wrapped key"));
    let bytes = there.as_str().and_then(|text| STANDARD.decode(text).ok()).ok_or_else(wrong)?;
    Ok(Some(bytes))
}

/// Writes a wrapped key into a body.
pub(crate) fn write_wrapped(wrapped: &[u8], body: &mut Value) -> Result<(), StoreError> {
    if wrapped.is_empty() || wrapped.len() > WRAPPED_BYTES_MAX {
        return Err(StoreError::Invalid(format!("a wrapped key has 1 to {WRAPPED_BYTES_MAX} bytes")));
    }
    body[RECOVERY] = Value::String(STANDARD.encode(wrapped));
    Ok(())
}

/// A key as it lies there: sealed, and wrapped if it is.
#[derive(Clone, Debug, PartialEq)]
pub struct SealedKey {
    pub(crate) record: StoredRecord,
    pub(crate) generation: u32,
    wrapped: Option<Vec<u8>>,
}

impl SealedKey {
    pub(crate) fn of(record: StoredRecord) -> Result<SealedKey, StoreError> {
        let (generation, wrapped) = (Sealed::of(&record.body)?.generation, wrapped_of(&record.body)?);
        Ok(SealedKey { record, generation, wrapped })
    }

    /// Its name.
    pub fn id(&self) -> &str {
        &self.record.id
    }

    /// Whose it is.
    pub fn owner(&self) -> Option<&str> {
        self.record.owner.as_deref()
    }

    /// Under which generation of the sealing key it stands.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// As it is wrapped; none where it is not.
    pub fn wrapped(&self) -> Option<&[u8]> {
        self.wrapped.as_deref()
    }

    /// Whether it is the key of a value, which lies beside it.
    pub fn is_of_value(&self) -> bool {
        matches!(Digest::of_body(&self.record.body), Ok(Some(_)))
    }

    /// Whether it is the key of the register's heads.
    pub fn is_of_heads(&self) -> bool {
        self.record.id == HEAD_KEY
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_body_has_a_wrapped_key_or_none_and_nothing_else_is_taken_for_one() {
        let mut body = json!({});
        assert_eq!(wrapped_of(&body).unwrap(), None);
        write_wrapped(b"wrapped", &mut body).unwrap();
        assert_eq!(wrapped_of(&body).unwrap().as_deref(), Some(&b"wrapped"[..]));
        for wrong in [json!(7), json!("%"), json!(null)] {
            assert!(wrapped_of(&json!({ "recovery": wrong })).is_err());
        }
        assert!(write_wrapped(&[], &mut body).is_err());
        assert!(write_wrapped(&vec![0; WRAPPED_BYTES_MAX], &mut body).is_ok());
        assert!(write_wrapped(&vec![0; WRAPPED_BYTES_MAX + 1], &mut body).is_err());
    }
}
