//! How a data key is wrapped: HPKE (RFC 9180) in base mode with X-Wing (X25519 and ML-KEM-768 together), HKDF-SHA256 and AES-256-GCM.
//!
//! The one file that names the crate. The private key is 32 bytes, as X-Wing's is; all else of it is derived from them.

use std::convert::Infallible;

use hpke::aead::AesGcm256;
use hpke::kdf::HkdfSha256;
use hpke::kem::XWing;
use hpke::rand_core::{TryCryptoRng, TryRng};
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable, single_shot_open, single_shot_seal_with_rng};
use ring::error::Unspecified;
use ring::rand::SecureRandom;
use zeroize::Zeroizing;

use super::shamir::Bytes;

/// The public half.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Public(Box<<XWing as Kem>::PublicKey>);

/// The private half. It is wiped.
pub(super) struct Private(Box<<XWing as Kem>::PrivateKey>);

impl Public {
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Public> {
        Deserializable::from_bytes(bytes).ok().map(|key| Public(Box::new(key)))
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        self.0.to_bytes().to_vec()
    }

    /// What only the private half opens, and only with the same `info` and `aad`: the encapsulated key, the ciphertext, the tag.
    pub(super) fn seal(
        &self,
        plain: &[u8],
        info: &[u8],
        aad: &[u8],
        random: &dyn SecureRandom,
    ) -> Result<Vec<u8>, Unspecified> {
        let mut drawn = Drawn::of(random)?;
        let mode = OpModeS::Base;
        let sealed =
            single_shot_seal_with_rng::<AesGcm256, HkdfSha256, XWing>(&mode, &self.0, info, plain, aad, &mut drawn);
        let (encapsulated, ciphertext) = sealed.map_err(|_| Unspecified)?;
        match drawn.was_enough {
            true => Ok([encapsulated.to_bytes().as_slice(), &ciphertext].concat()),
            false => Err(Unspecified),
        }
    }
}

impl Private {
    /// The private half of which these are the bytes. Any 32 bytes are one.
    pub(super) fn of(seed: &Bytes) -> Option<Private> {
        Deserializable::from_bytes(seed.as_slice()).ok().map(|key| Private(Box::new(key)))
    }

    pub(super) fn public(&self) -> Public {
        Public(Box::new(XWing::sk_to_pk(&self.0)))
    }

    /// What was sealed; none where anything of it is another.
    pub(super) fn open(&self, sealed: &[u8], info: &[u8], aad: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (encapsulated, ciphertext) = sealed.split_at_checked(ENCAPSULATED_BYTES)?;
        let encapsulated = Deserializable::from_bytes(encapsulated).ok()?;
        let mode = OpModeR::Base;
        single_shot_open::<AesGcm256, HkdfSha256, XWing>(&mode, &self.0, &encapsulated, info, ciphertext, aad)
            .ok()
            .map(Zeroizing::new)
    }
}

/// Random bytes, drawn before they are asked for: who asks cannot be told that there are none, and must not get others instead.
struct Drawn {
    bytes: Box<Zeroizing<[u8; ENCAPSULATION_RANDOM_BYTES]>>,
    used: usize,
    /// Whether all that was asked for was drawn. Where not, what was made of it is thrown away.
    was_enough: bool,
}

impl Drawn {
    fn of(random: &dyn SecureRandom) -> Result<Drawn, Unspecified> {
        let mut bytes = Box::new(Zeroizing::new([0; ENCAPSULATION_RANDOM_BYTES]));
        random.fill(bytes.as_mut_slice())?;
        Ok(Drawn { bytes, used: 0, was_enough: true })
    }
}

impl TryRng for Drawn {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, wanted: &mut [u8]) -> Result<(), Infallible> {
        match self.bytes.get(self.used..self.used + wanted.len()) {
            Some(drawn) => wanted.copy_from_slice(drawn),
            None => self.was_enough = false,
        }
        self.used += wanted.len();
        Ok(())
    }
}

impl TryCryptoRng for Drawn {}

/// The number of this suite in what is written down: KEM 0x647a, KDF 0x0001, AEAD 0x0002 of IANA's registry for HPKE.
pub(super) const SUITE: u8 = 1;
pub(super) const PUBLIC_BYTES: usize = 1216;
/// How much longer what was sealed is: the encapsulated key and the tag.
pub(super) const SEAL_OVERHEAD: usize = ENCAPSULATED_BYTES + 16;
const ENCAPSULATED_BYTES: usize = 1120;
/// What one encapsulation draws: 32 bytes for ML-KEM, 32 for X25519.
const ENCAPSULATION_RANDOM_BYTES: usize = 64;

#[cfg(test)]
#[path = "suite_tests.rs"]
mod tests;
