//! The head key: a MAC that says "a node with the token wrote this".
//!
//! Leaves that another node appended, and the head after a restart, come from the database, which whoever can write it can
//! fill with leaves of their own. So each head carries a MAC under a key that lies in the database only sealed by the token
//! (AES-256-GCM, the log's name as its context): nodes that hold the token open it, a thief of the database cannot.
//!
//! Trusted for: telling nodes from strangers. Not a signature for outsiders: auditors rest on the checkpoints.

use hsm::Pool;
use ring::hmac;
use zeroize::Zeroizing;

use crate::log::Hash;
use crate::nouns::error::StoreError;
use crate::sql::{Sql, Value};

/// The token's AES key that seals the head key.
const SEALING_LABEL: &str = "register-seal";
/// HMAC-SHA-256: as long as its output (RFC 2104 section 3).
const KEY_BYTES: usize = 32;

/// The opened key. Never shown, never written.
pub(crate) struct HeadKey(hmac::Key);

impl std::fmt::Debug for HeadKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HeadKey")
    }
}

impl HeadKey {
    pub fn new(bytes: &[u8]) -> HeadKey {
        HeadKey(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// The seal of a head.
    pub fn seal_head(&self, origin: &str, size: u64, root: &Hash, time: i64) -> Hash {
        self.mac(&head_text(origin, size, root, time))
    }

    /// Whether a node with the token sealed this head. In constant time.
    pub fn sealed(&self, origin: &str, size: u64, root: &Hash, time: i64, seal: &[u8]) -> bool {
        hmac::verify(&self.0, &head_text(origin, size, root, time), seal).is_ok()
    }

    /// The MAC of an image of the fold.
    pub fn seal_image(&self, image: &[u8]) -> Hash {
        self.mac(&[b"chancery fold 1\n", image].concat())
    }

    /// Whether this node, or another with the token, wrote this image.
    pub fn image_sealed(&self, image: &[u8], seal: &[u8]) -> bool {
        hmac::verify(&self.0, &[b"chancery fold 1\n", image].concat(), seal).is_ok()
    }

    fn mac(&self, text: &[u8]) -> Hash {
        let mut seal = [0; 32];
        seal.copy_from_slice(hmac::sign(&self.0, text).as_ref());
        seal
    }
}

fn head_text(origin: &str, size: u64, root: &Hash, time: i64) -> Vec<u8> {
    let mut text = format!("chancery head 1\n{origin}\n{size}\n{time}\n").into_bytes();
    text.extend_from_slice(root);
    text
}

/// Opens the head key of a register, or makes it where the register is empty.
pub(crate) async fn open_key(
    pool: &Pool,
    origin: &str,
    sealed: Option<Vec<u8>>,
) -> Result<(HeadKey, Vec<u8>), StoreError> {
    let unavailable = |e: hsm::HsmError| StoreError::Unavailable(format!("the token does not open the head key: {e}"));
    let context = context(origin);
    match sealed {
        Some(sealed) => {
            let bytes = Zeroizing::new(pool.unseal(SEALING_LABEL, &sealed, &context).await.map_err(unavailable)?);
            Ok((HeadKey::new(&bytes), sealed))
        }
        None => {
            if !pool.has_sealing(SEALING_LABEL).await.map_err(unavailable)? {
                pool.generate_sealing(SEALING_LABEL).await.map_err(unavailable)?;
            }
            let bytes = Zeroizing::new(pool.random(KEY_BYTES).await.map_err(unavailable)?);
            let sealed = pool.seal(SEALING_LABEL, &bytes, &context).await.map_err(unavailable)?;
            Ok((HeadKey::new(&bytes), sealed))
        }
    }
}

fn context(origin: &str) -> Vec<u8> {
    format!("chancery head key 1\n{origin}").into_bytes()
}

/// The sealed key of the register.
pub(crate) fn read_sealed(sql: &mut dyn Sql) -> Result<Option<Vec<u8>>, StoreError> {
    let rows = sql.query("SELECT sealed_key FROM head WHERE id = $1", &[Value::Int(1)])?;
    rows.into_iter().next().map_or(Ok(None), |mut row| row.opt_blob())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_is_of_one_head_of_one_log_under_one_key() {
        let key = HeadKey::new(&[1; 32]);
        let seal = key.seal_head("a/log", 7, &[2; 32], 9);
        assert!(key.sealed("a/log", 7, &[2; 32], 9, &seal));
        for (origin, size, root, time) in
            [("b/log", 7, [2; 32], 9), ("a/log", 8, [2; 32], 9), ("a/log", 7, [3; 32], 9), ("a/log", 7, [2; 32], 8)]
        {
            assert!(!key.sealed(origin, size, &root, time, &seal));
        }
        assert!(!HeadKey::new(&[2; 32]).sealed("a/log", 7, &[2; 32], 9, &seal));
        assert!(!key.image_sealed(&head_text("a/log", 7, &[2; 32], 9), &seal));
        assert_eq!(format!("{key:?}"), "HeadKey");
    }
}
