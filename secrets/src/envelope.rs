//! The envelope of one version: its bytes under a key of their own.
//!
//! Each version has a fresh key that seals once, here, and never again; so the nonce of AES-256-GCM may be the same for all of them
//! (NIST SP 800-38D section 8 asks for nonces that differ under one key). What the version is, is authenticated with its bytes: moved
//! under another name, version or owner, or into another register, it opens nowhere.

use std::fmt::Write;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::rand::SecureRandom;
use zeroize::Zeroizing;

/// What a version is: what its bytes are bound to.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The log's name.
    pub origin: &'a str,
    /// Where the secret stands.
    pub path: &'a str,
    /// Which life of that name: a name is used again after its secret was destroyed.
    pub life: u64,
    /// The version's number.
    pub version: u64,
    /// Whose it is.
    pub owner: &'a str,
}

impl Context<'_> {
    /// One text for each context: the numbers have no other form, and the texts say how long they are.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let Context { origin, path, life, version, owner } = self;
        let [o, p, w] = [origin.len(), path.len(), owner.len()];
        let mut text = String::with_capacity(CONTEXT_BYTES + o + p + w);
        // A string takes whatever is written to it.
        let _ = write!(text, "chancery secret 1\n{life}\n{version}\n{o}:{origin}\n{p}:{path}\n{w}:{owner}\n");
        text.into_bytes()
    }
}

/// The key of one version. It is wiped; it seals nothing: `seal` made it, and is done with it.
pub struct Dek(Zeroizing<[u8; DEK_BYTES]>);

impl Dek {
    /// Of the bytes that the sealing key gave back; none where they are no such key.
    pub fn unsealed(bytes: &[u8]) -> Option<Dek> {
        bytes.try_into().ok().map(|bytes| Dek(Zeroizing::new(bytes)))
    }

    /// What the sealing key seals.
    pub fn to_seal(&self) -> &[u8] {
        self.0.as_slice()
    }
}

/// A version's bytes, sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope(pub Vec<u8>);

/// What lies in the envelope is not what was sealed for that version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("these bytes were not sealed for this version of this secret: somebody altered, moved or exchanged them")]
pub struct Forged;

/// Seals a version under a key of its own.
///
/// # Errors
/// [`ring::error::Unspecified`] where the system has no random bytes, or the value is longer than [`VALUE_BYTES_MAX`].
pub fn seal(
    value: &[u8],
    context: &Context<'_>,
    random: &dyn SecureRandom,
) -> Result<(Dek, Envelope), ring::error::Unspecified> {
    if value.len() > VALUE_BYTES_MAX {
        return Err(ring::error::Unspecified);
    }
    let mut dek = Dek(Zeroizing::new([0; DEK_BYTES]));
    random.fill(dek.0.as_mut_slice())?;
    // Room for the tag from the start: a buffer that grows leaves what was in it behind.
    let mut sealed = Vec::with_capacity(value.len() + ENVELOPE_OVERHEAD);
    sealed.extend_from_slice(value);
    key(&dek)?.seal_in_place_append_tag(nonce(), Aad::from(context.bytes()), &mut sealed)?;
    Ok((dek, Envelope(sealed)))
}

/// What was sealed, in memory that is wiped.
///
/// # Errors
/// [`Forged`].
pub fn open(envelope: Envelope, context: &Context<'_>, dek: &Dek) -> Result<Zeroizing<Vec<u8>>, Forged> {
    let mut bytes = Zeroizing::new(envelope.0);
    let key = key(dek).map_err(|_| Forged)?;
    let length = key.open_in_place(nonce(), Aad::from(context.bytes()), &mut bytes).map_err(|_| Forged)?.len();
    bytes.truncate(length);
    Ok(bytes)
}

fn key(dek: &Dek) -> Result<LessSafeKey, ring::error::Unspecified> {
    UnboundKey::new(&AES_256_GCM, dek.to_seal()).map(LessSafeKey::new)
}

/// Each key seals once.
fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; ring::aead::NONCE_LEN])
}

/// A context without its texts, with numbers of usual length.
const CONTEXT_BYTES: usize = 64;
/// How long the key of a version is.
pub(crate) const DEK_BYTES: usize = 32;
/// The longest value of a version, all its fields together.
pub const VALUE_BYTES_MAX: usize = 1 << 20;
/// What an envelope is longer than its value by: the tag.
pub const ENVELOPE_OVERHEAD: usize = 16;

#[cfg(test)]
mod tests {
    use ring::rand::SystemRandom;

    use super::*;

    const HERE: Context<'_> = Context { origin: "log", path: "prod/db", life: 1, version: 3, owner: "web" };

    fn sealed(value: &[u8]) -> (Dek, Envelope) {
        seal(value, &HERE, &SystemRandom::new()).unwrap()
    }

    #[test]
    fn what_was_sealed_is_opened_under_its_own_name_alone() {
        let (dek, envelope) = sealed(b"hunter2");
        assert_eq!(open(envelope.clone(), &HERE, &dek).unwrap().as_slice(), b"hunter2");
        let elsewhere = [
            Context { origin: "other", ..HERE },
            Context { path: "prod/d", ..HERE },
            Context { life: 2, ..HERE },
            Context { version: 4, ..HERE },
            Context { owner: "dbweb", ..HERE },
            // A text that ends where the next one begins.
            Context { origin: "logprod", path: "/db", ..HERE },
            Context { life: 13, version: 3, ..HERE },
        ];
        for context in elsewhere {
            assert_eq!(open(envelope.clone(), &context, &dek).err(), Some(Forged), "{context:?}");
        }
        let (other, _) = sealed(b"hunter2");
        assert_eq!(open(envelope, &HERE, &other).err(), Some(Forged));
    }

    #[test]
    fn no_bit_of_an_envelope_is_another_and_none_is_missing() {
        let (dek, Envelope(bytes)) = sealed(b"hunter2");
        assert_eq!(bytes.len(), 7 + ENVELOPE_OVERHEAD);
        for at in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[at / 8] ^= 1 << (at % 8);
            assert_eq!(open(Envelope(flipped), &HERE, &dek).err(), Some(Forged), "bit {at}");
        }
        for length in 0..bytes.len() {
            assert_eq!(open(Envelope(bytes[..length].to_vec()), &HERE, &dek).err(), Some(Forged), "{length} bytes");
        }
    }

    #[test]
    fn each_version_has_a_key_of_its_own_and_the_longest_fits() {
        let ((one, a), (other, b)) = (sealed(b"same"), sealed(b"same"));
        assert!(one.to_seal() != other.to_seal() && a != b);
        let (dek, envelope) = sealed(&vec![7; VALUE_BYTES_MAX]);
        assert_eq!(open(envelope, &HERE, &dek).unwrap().len(), VALUE_BYTES_MAX);
        assert!(seal(&vec![7; VALUE_BYTES_MAX + 1], &HERE, &SystemRandom::new()).is_err());
        let again = Dek::unsealed(dek.to_seal()).unwrap();
        assert_eq!(again.to_seal(), dek.to_seal());
        assert!(Dek::unsealed(&[0; 31]).is_none() && Dek::unsealed(&[0; 33]).is_none());
    }
}
