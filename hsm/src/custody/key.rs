//! A public view of a key that lives in the token.

use std::fmt;
use std::sync::Arc;

use ring::digest::{SHA256, digest};

use super::forms::bare_key;
use super::kind::{Algorithm, KeyKind};

/// A key of the token: its public half, how to name it, and in which tokens it is at home. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    inner: Arc<Inner>,
    homes: Arc<[String]>,
}

#[derive(PartialEq, Eq)]
struct Inner {
    label: String,
    id: Vec<u8>,
    kind: KeyKind,
    spki_der: Vec<u8>,
    bare: Vec<u8>,
    fingerprint: [u8; 32],
    is_brought: bool,
}

impl Key {
    pub(crate) fn new(label: String, id: Vec<u8>, kind: KeyKind, spki_der: Vec<u8>) -> Result<Key, String> {
        Key::made(label, id, kind, spki_der, false)
    }

    /// One that was outside the token once.
    pub(crate) fn brought(self) -> Result<Key, String> {
        let Inner { label, id, kind, spki_der, .. } = &*self.inner;
        Key::made(label.clone(), id.clone(), *kind, spki_der.clone(), true)
    }

    fn made(label: String, id: Vec<u8>, kind: KeyKind, spki_der: Vec<u8>, is_brought: bool) -> Result<Key, String> {
        let bare = bare_key(kind.algorithm(), &spki_der)?.to_vec();
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(digest(&SHA256, &spki_der).as_ref());
        Ok(Key {
            inner: Arc::new(Inner { label, id, kind, spki_der, bare, fingerprint, is_brought }),
            homes: Arc::default(),
        })
    }

    /// The same RSA key as one that signs PSS and nothing else; for keys that the token binds to no padding. Itself where the
    /// token does, none where it is no RSA key.
    pub fn as_pss(&self) -> Option<Key> {
        let Inner { label, id, spki_der, .. } = &*self.inner;
        let pss = Key::made(label.clone(), id.clone(), self.kind().pss()?, spki_der.clone(), self.is_brought()).ok()?;
        Some(Key { homes: Arc::clone(&self.homes), ..pss })
    }

    /// Whether it was outside the token once, by an operator's word: a copy of it may be anywhere.
    pub fn is_brought(&self) -> bool {
        self.inner.is_brought
    }

    /// The same key, at home in these tokens, in the order in which they are asked to sign.
    pub fn at(&self, homes: &[String]) -> Key {
        Key { inner: Arc::clone(&self.inner), homes: homes.into() }
    }

    /// The names of the tokens that sign with it, in order; none is the first token.
    pub fn homes(&self) -> &[String] {
        &self.homes
    }

    /// `CKA_LABEL`.
    pub fn label(&self) -> &str {
        &self.inner.label
    }
    /// `CKA_ID`.
    pub fn id(&self) -> &[u8] {
        &self.inner.id
    }
    /// What the key is.
    pub fn kind(&self) -> KeyKind {
        self.inner.kind
    }
    /// How it signs.
    pub fn algorithm(&self) -> Algorithm {
        self.inner.kind.algorithm()
    }
    /// The public key as verifiers take it.
    pub(crate) fn bare(&self) -> &[u8] {
        &self.inner.bare
    }
    /// Its SubjectPublicKeyInfo, DER.
    pub fn spki_der(&self) -> &[u8] {
        &self.inner.spki_der
    }
    /// SHA-256 of the SubjectPublicKeyInfo.
    pub fn fingerprint(&self) -> [u8; 32] {
        self.inner.fingerprint
    }
    /// The fingerprint in lower-case hexadecimal.
    pub fn fingerprint_hex(&self) -> String {
        hex::encode(self.inner.fingerprint)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({} {} {})", self.label(), self.kind(), self.fingerprint_hex())
    }
}
