//! What an API token is: its text, and the record that the register keeps of it.
//!
//! A token is a record of kind `api-token`, so that each of its versions has its leaf in the log. Of the secret the record
//! holds the SHA-256 alone.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use policy::{Action, Actor, Owner, Proof, Role, Secret, Timestamp, World};
use serde::{Deserialize, Serialize};
use store::{Attested, StoredRecord};
use zeroize::Zeroizing;

/// The record kind of tokens.
pub(crate) const KIND: &str = "api-token";
/// What every token begins with, so that secret scanners find a leaked one.
pub(crate) const PREFIX: &str = "chy_";
/// Hex digits of an id.
const ID_CHARS: usize = 16;
/// base64url of 32 random bytes.
const SECRET_CHARS: usize = 43;

/// The text of a token, taken apart.
pub(crate) struct TokenText<'a> {
    id: &'a str,
    secret: &'a str,
}

impl<'a> TokenText<'a> {
    /// Reads `chy_ID_SECRET`; the secret's alphabet holds `_` too, so the places are fixed.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        Self::parse_as(PREFIX, text)
    }

    /// The same with another beginning.
    pub(crate) fn parse_as(prefix: &str, text: &'a str) -> Option<Self> {
        let rest = text.strip_prefix(prefix)?;
        let (id, secret) = rest.split_at_checked(ID_CHARS)?;
        let secret = secret.strip_prefix('_')?;
        let id_fits = id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let secret_fits = secret.len() == SECRET_CHARS
            && secret.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        (id_fits && secret_fits).then_some(Self { id, secret })
    }

    /// The public half.
    pub(crate) fn id(&self) -> &str {
        self.id
    }

    /// The secret half.
    pub(crate) fn secret(&self) -> &str {
        self.secret
    }
}

/// An id and a secret of 256 random bits.
pub(crate) fn draw(world: &World) -> (String, Secret<String>) {
    let (mut id, mut secret) = ([0_u8; ID_CHARS / 2], Zeroizing::new([0_u8; 32]));
    world.fill(&mut id);
    world.fill(secret.as_mut());
    (hex::encode(id), Secret::new(URL_SAFE_NO_PAD.encode(secret.as_ref())))
}

/// A token with the hash of its secret, as the register keeps it.
pub(crate) struct Token {
    /// The public half.
    pub(crate) id: String,
    /// The rest of the record.
    pub(crate) body: TokenBody,
    /// SHA-256 of the secret.
    pub(crate) sha256: [u8; 32],
    /// When it lapses.
    pub(crate) expires: Timestamp,
    /// When it was revoked.
    pub(crate) revoked_at: Option<Timestamp>,
}

/// The record's body: one version of the format, closed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenBody {
    /// The name for people.
    pub(crate) name: String,
    /// What it may be.
    pub(crate) roles: BTreeSet<Role>,
    /// The owners it belongs to.
    pub(crate) owners: BTreeSet<Owner>,
    /// The only actions it may do; none: all that its roles may.
    pub(crate) scopes: Option<BTreeSet<Action>>,
    /// SHA-256 of the secret, hex.
    pub(crate) sha256: String,
    /// When it lapses.
    pub(crate) expires: Timestamp,
    /// Who made it.
    pub(crate) created_by: String,
    /// When it was revoked.
    pub(crate) revoked_at: Option<Timestamp>,
}

impl Token {
    /// Reads a record back.
    pub(crate) fn from_record(record: &Attested<StoredRecord>) -> Result<Self, String> {
        let body: TokenBody = serde_json::from_value(record.body.clone()).map_err(|error| error.to_string())?;
        let sha256 =
            hex::decode(&body.sha256).ok().and_then(|bytes| bytes.try_into().ok()).ok_or("its hash is not one")?;
        Ok(Self { id: record.id.clone(), sha256, expires: body.expires, revoked_at: body.revoked_at, body })
    }

    /// The actor that the token speaks for.
    pub(crate) fn into_actor(self) -> Actor {
        Actor {
            id: format!("token:{}", self.body.name),
            roles: self.body.roles,
            owners: self.body.owners,
            scopes: self.body.scopes,
            proof: Proof::Token { id: self.id },
            second_factor: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMN_-0";

    #[test]
    fn only_the_exact_shape_is_a_token() {
        let text = format!("chy_0123456789abcdef_{SECRET}");
        let token = TokenText::parse(&text).expect("a token");
        assert_eq!((token.id(), token.secret()), ("0123456789abcdef", SECRET));
        for wrong in [
            String::new(),
            "chy_".into(),
            format!("chy_0123456789ABCDEF_{SECRET}"),
            format!("chy_0123456789abcdef-{SECRET}"),
            format!("chy_0123456789abcdef_{SECRET}x"),
            format!("chy_0123456789abcdef_{}", &SECRET[1..]),
            format!("xyz_0123456789abcdef_{SECRET}"),
            format!("chy_01234567é9abcdef_{SECRET}"),
        ] {
            assert!(TokenText::parse(&wrong).is_none(), "{wrong}");
        }
    }
}
