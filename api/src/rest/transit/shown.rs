//! What is shown of a key.

use policy::Timestamp;
use secrets::keyring::{KeyVersion, TransitKey};
use serde::Serialize;
use utoipa::ToSchema;

/// A transit key. What it computes with is shown to nobody.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TransitKeyInfo {
    name: String,
    /// Whose it is.
    owner: String,
    /// What it does: `aes256-gcm`, `chacha20-poly1305`, `hmac-sha256`, `ed25519`, `ecdsa-p256`.
    kind: String,
    /// How it is used: `plain`, `derived`, `convergent`.
    mode: String,
    /// The oldest version that is kept.
    oldest: u32,
    /// The newest version, which seals and signs.
    newest: u32,
    /// The oldest version under which something is opened and verified.
    min_decrypt: u32,
    /// The oldest under which something new is made.
    min_encrypt: u32,
    /// Whether it may be destroyed.
    deletable: bool,
    /// After so many days it gets a new version by itself; 0: never.
    rotate_days: u32,
    /// When it gets its next version by itself.
    #[schema(value_type = Option<String>, format = DateTime)]
    next_rotation: Option<Timestamp>,
    /// When the newest version was made.
    #[schema(value_type = String, format = DateTime)]
    rotated: Timestamp,
    /// When anything of it was changed last.
    #[schema(value_type = String, format = DateTime)]
    changed: Timestamp,
    /// By whom.
    changed_by: String,
    /// Its versions, the newest first; absent in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    versions: Option<Vec<KeyVersionInfo>>,
}

/// A version of a key.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KeyVersionInfo {
    number: u32,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// Its public half as PEM, where it has one: who verifies with it needs nobody.
    #[serde(skip_serializing_if = "Option::is_none")]
    public_key: Option<String>,
}

impl TransitKeyInfo {
    pub(super) fn brief(key: &TransitKey) -> Self {
        let (terms, (changed, changed_by)) = (key.terms(), key.changed());
        Self {
            name: key.name().to_string(),
            owner: key.owner().to_string(),
            kind: key.kind().to_string(),
            mode: key.mode().to_string(),
            oldest: key.oldest(),
            newest: key.newest(),
            min_decrypt: terms.min_decrypt,
            min_encrypt: terms.min_encrypt,
            deletable: key.is_deletable(),
            rotate_days: key.rotate_days().unwrap_or(0),
            next_rotation: key.due(),
            rotated: key.rotated(),
            changed,
            changed_by: changed_by.to_owned(),
            versions: None,
        }
    }

    pub(super) fn whole(key: &TransitKey) -> Self {
        let of = |KeyVersion { number, at, public }| KeyVersionInfo { number, at, public_key: public };
        Self { versions: Some(key.versions().into_iter().map(of).collect()), ..Self::brief(key) }
    }
}
