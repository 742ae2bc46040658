//! The head key: a MAC that says "a node with the token wrote this".
//!
//! Leaves that another node appended, and the head after a restart, come from the database, which whoever can write it can
//! fill with leaves of their own. So each head carries a MAC under a key that lies in the database only sealed by the token
//! (AES-256-GCM, the log's name in its context): nodes that hold the token open it, a thief of the database cannot. It stands under a
//! generation of the sealing key, as everything that is sealed, and is sealed anew when another follows.
//!
//! Trusted for: telling nodes from strangers. Not a signature for outsiders: auditors rest on the checkpoints.

use hsm::{Pool, SealingKey};
use ring::hmac;
use zeroize::Zeroizing;

use crate::log::Hash;
use crate::nouns::error::StoreError;
use crate::nouns::sealed::{HEAD_KEY, SEALED, Sealed, seal_label, seal_name};
use crate::sql::{Sql, Value};

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

    /// A key for something else that all nodes of the register have, and nobody beside them.
    pub fn derived(&self, purpose: &str) -> Zeroizing<Hash> {
        Zeroizing::new(self.mac(format!("chancery derived 1\n{purpose}").as_bytes()))
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

/// What a register has of its head key.
#[derive(Debug)]
pub(crate) enum Kept {
    /// Nothing yet: nobody has opened it before.
    Nothing,
    /// It was begun: the token's key that is to seal it is this register's, if it is there.
    Begun,
    /// Where it is sealed, each place for itself: beside the head, and in its record. Whichever opens is it.
    Sealed(Vec<Sealed>),
}

/// Opens the head key of a register.
pub(crate) async fn open_key(pool: &Pool, origin: &str, sealed: Vec<Sealed>) -> Result<(HeadKey, Sealed), StoreError> {
    let mut trouble = None;
    for sealed in sealed {
        let key = SealingKey::named(seal_label(sealed.generation));
        let context = Sealed::context(origin, HEAD_KEY, sealed.generation);
        match pool.unseal(&key, &sealed.bytes, &context).await.map(Zeroizing::new) {
            Ok(bytes) => return Ok((HeadKey::new(&bytes), sealed)),
            Err(error) => {
                let why = format!("it does not open the head key under {}: {error}", seal_name(sealed.generation));
                trouble = trouble.or(Some(StoreError::Token(why)));
            }
        }
    }
    Err(trouble.unwrap_or_else(|| {
        StoreError::Held("the register's sealed head key is gone: look for who writes this database".into())
    }))
}

/// That nobody else uses the label under which the first generation of the sealing key is to be made: what they sealed would be lost
/// when it ends.
pub(crate) async fn refuse_taken(pool: &Pool) -> Result<(), StoreError> {
    match pool.has_sealing(None, &seal_label(FIRST)).await {
        Ok(false) => Ok(()),
        Ok(true) | Err(hsm::HsmError::Unfit { .. }) => Err(StoreError::Conflict(format!(
            "the token already holds a key `{}`, and this register did not make it; use a fresh token, or the register that did",
            seal_label(FIRST)
        ))),
        Err(other) => Err(unavailable(&other)),
    }
}

/// Makes the head key of a register that is empty, and the first generation of the key that seals it.
pub(crate) async fn make_key(pool: &Pool, origin: &str) -> Result<(HeadKey, Sealed), StoreError> {
    let label = seal_label(FIRST);
    if !pool.has_sealing(None, &label).await.map_err(|e| unavailable(&e))? {
        match pool.generate_sealing(None, &label).await {
            // Another node was faster.
            Ok(()) | Err(hsm::HsmError::Exists { .. }) => {}
            Err(other) => return Err(unavailable(&other)),
        }
    }
    let bytes = Zeroizing::new(pool.random(KEY_BYTES).await.map_err(|e| unavailable(&e))?);
    let context = Sealed::context(origin, HEAD_KEY, FIRST);
    let sealed = pool.seal(&SealingKey::named(label), &bytes, &context).await.map_err(|e| unavailable(&e))?;
    Ok((HeadKey::new(&bytes), Sealed { generation: FIRST, bytes: sealed }))
}

/// Takes a head key that came from elsewhere than the token, and seals it under a generation that the token is given for it. Where the
/// token opens the one that is there, that is taken: somebody came before.
pub(crate) async fn adopt_key(
    pool: &Pool,
    origin: &str,
    kept: Vec<Sealed>,
    (bytes, generation): (&[u8], u32),
) -> Result<(HeadKey, Sealed), StoreError> {
    if kept.iter().any(|sealed| sealed.generation == generation)
        && let Ok(opened) = open_key(pool, origin, kept).await
    {
        return Ok(opened);
    }
    let label = seal_label(generation);
    match pool.generate_sealing(None, &label).await {
        Ok(()) => {}
        Err(hsm::HsmError::Exists { .. }) => {
            return Err(StoreError::Conflict(format!(
                "the token already holds a key `{label}`: name another generation to seal under"
            )));
        }
        Err(other) => return Err(unavailable(&other)),
    }
    let context = Sealed::context(origin, HEAD_KEY, generation);
    let sealed = pool.seal(&SealingKey::named(label), bytes, &context).await.map_err(|e| unavailable(&e))?;
    Ok((HeadKey::new(bytes), Sealed { generation, bytes: sealed }))
}

fn unavailable(error: &hsm::HsmError) -> StoreError {
    StoreError::Token(format!("it does not seal the head key: {error}"))
}

/// What the register has of it. The record is not attested yet: it proves itself by opening.
pub(crate) fn read_kept(sql: &mut dyn Sql) -> Result<Kept, StoreError> {
    let rows = sql.query("SELECT sealed_key, size FROM head WHERE id = $1", &[Value::Int(1)])?;
    // What is no bytes opens nothing; the record may.
    let row = rows.into_iter().next().map_or(Ok((None, 0)), |mut row| {
        let beside = row.opt_blob().unwrap_or(None);
        Ok::<_, StoreError>((beside, row.index()?))
    });
    let (beside, size) = row?;
    match (&beside, size) {
        (None, 0) => return Ok(Kept::Nothing),
        (Some(bytes), 0) if bytes.is_empty() => return Ok(Kept::Begun),
        (Some(_) | None, _) => {}
    }
    let beside = beside.and_then(|bytes| String::from_utf8(bytes).ok()?.parse().ok());
    let second = recorded(sql)?.filter(|record| Some(record) != beside.as_ref());
    Ok(Kept::Sealed(beside.into_iter().chain(second).collect()))
}

/// The sealed key as its record has it; not attested.
pub(crate) fn recorded(sql: &mut dyn Sql) -> Result<Option<Sealed>, StoreError> {
    Ok(body_as_it_stands(sql, SEALED, HEAD_KEY)?.and_then(|body| Sealed::of(&body).ok()))
}

/// What a record's row says; not attested. None where there is none, or it says nothing.
pub(crate) fn body_as_it_stands(
    sql: &mut dyn Sql,
    kind: &str,
    id: &str,
) -> Result<Option<serde_json::Value>, StoreError> {
    let text = "SELECT v.body FROM present p JOIN record v ON v.leaf = p.leaf WHERE p.kind = $1 AND p.id = $2";
    let rows = sql.query(text, &[Value::Text(kind), Value::Text(id)])?;
    Ok(rows.into_iter().next().and_then(|mut row| serde_json::from_str(&row.text().ok()?).ok()))
}

/// The register's first generation of the sealing key.
const FIRST: u32 = 1;

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
