//! The sealed form of a cache.
//!
//! `chancery cache 1\n`, an id (16 bytes), then AES-256-GCM over what is kept. Its key is HKDF-SHA256 of the key in memory and the digest of
//! the caller's credential, with the server's URL and the id as info. Each key in memory seals once, so the nonce may be the same for all of
//! them; magic, id and URL are authenticated with what is kept.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, Salt};
use zeroize::Zeroizing;

/// How long a key is.
pub const KEY_BYTES: usize = 32;
/// How long an id is.
pub const ID_BYTES: usize = 16;
/// The largest file: what is kept, what is said of it, and room.
pub const FILE_BYTES_MAX: usize = super::shelf::VALUES_BYTES_MAX + (1 << 20);
const MAGIC: &[u8] = b"chancery cache 1\n";

/// Whose cache it is.
pub struct Whose {
    /// The server's URL.
    pub origin: String,
    /// The digest of the caller's credential.
    pub identity: Zeroizing<[u8; KEY_BYTES]>,
}

/// The id that a file says it has; none of what is no cache.
pub fn id_of(file: &[u8]) -> Option<[u8; ID_BYTES]> {
    file.strip_prefix(MAGIC)?.get(..ID_BYTES)?.try_into().ok()
}

/// Seals under a key that seals nothing else.
pub fn sealed(plain: &[u8], id: &[u8; ID_BYTES], key: &[u8], whose: &Whose) -> Option<Vec<u8>> {
    // Room for all of it: a buffer that grows leaves what was in it behind.
    let mut body = Vec::with_capacity(plain.len() + AES_256_GCM.tag_len());
    body.extend_from_slice(plain);
    cipher(id, key, whose)?.seal_in_place_append_tag(nonce(), Aad::from(bound_to(id, whose)), &mut body).ok()?;
    Some([MAGIC, id, &body].concat())
}

/// Opens; none where it is another's, was altered, or has another key.
pub fn opened(file: &[u8], key: &[u8], whose: &Whose) -> Option<Zeroizing<Vec<u8>>> {
    let id = id_of(file)?;
    let mut body = Zeroizing::new(file.get(MAGIC.len() + ID_BYTES..)?.to_vec());
    let cipher = cipher(&id, key, whose)?;
    let length = cipher.open_in_place(nonce(), Aad::from(bound_to(&id, whose)), &mut body).ok()?.len();
    body.truncate(length);
    Some(body)
}

fn cipher(id: &[u8; ID_BYTES], key: &[u8], whose: &Whose) -> Option<LessSafeKey> {
    let both = Zeroizing::new([key, whose.identity.as_slice()].concat());
    let made = Salt::new(HKDF_SHA256, MAGIC).extract(&both);
    let bound = bound_to(id, whose);
    let info = [bound.as_slice()];
    made.expand(&info, &AES_256_GCM).ok().map(|okm| LessSafeKey::new(UnboundKey::from(okm)))
}

fn bound_to(id: &[u8; ID_BYTES], whose: &Whose) -> Vec<u8> {
    [MAGIC, id, whose.origin.as_bytes()].concat()
}

fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whose(origin: &str, identity: u8) -> Whose {
        Whose { origin: origin.to_owned(), identity: Zeroizing::new([identity; KEY_BYTES]) }
    }

    #[test]
    fn what_is_sealed_is_opened_by_its_key_and_its_owner_alone() {
        let (here, key) = (whose("https://ca.test", 1), [7; KEY_BYTES]);
        let file = sealed(b"hunter2", &[9; ID_BYTES], &key, &here).unwrap();
        assert_eq!(id_of(&file), Some([9; ID_BYTES]));
        assert_eq!(opened(&file, &key, &here).unwrap().as_slice(), b"hunter2");
        assert!(opened(&file, &[8; KEY_BYTES], &here).is_none(), "another key");
        assert!(opened(&file, &key, &whose("https://ca.test", 2)).is_none(), "another caller");
        assert!(opened(&file, &key, &whose("https://ca.tes", 1)).is_none(), "another server");
        for at in 0..file.len() * 8 {
            let mut flipped = file.clone();
            flipped[at / 8] ^= 1 << (at % 8);
            assert!(opened(&flipped, &key, &here).is_none(), "bit {at}");
        }
        for length in 0..file.len() {
            assert!(opened(&file[..length], &key, &here).is_none(), "{length} bytes");
        }
    }
}
