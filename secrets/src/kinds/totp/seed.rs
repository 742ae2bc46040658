//! A seed: bytes that are written in base32.

use std::str::FromStr;

use data_encoding::{BASE32_NOPAD, Encoding, Specification};
use zeroize::Zeroizing;

use super::words::{SEED_BYTES_MAX, SEED_BYTES_MIN, TotpError, TotpHash};
use crate::kinds::random::{NoRandom, Random};

/// The bytes that codes are made of.
pub struct Seed(Zeroizing<Vec<u8>>);

impl Seed {
    /// The shortest. RFC 4226 section 4 demands 16 bytes; much of what is in use has 10, and has to be kept as it is.
    pub const BYTES_MIN: usize = SEED_BYTES_MIN;
    /// The longest: a block of SHA-512, beyond which HMAC would take its hash instead.
    pub const BYTES_MAX: usize = SEED_BYTES_MAX;

    /// Draws one: as long as the hash is where codes are of SHA-1, as RFC 4226 section 4 recommends.
    ///
    /// # Errors
    /// [`NoRandom`].
    pub fn draw(bytes: SeedBytes, random: &mut dyn Random) -> Result<Seed, NoRandom> {
        let mut seed = Zeroizing::new(vec![0; bytes.0]);
        random.fill(&mut seed)?;
        Ok(Seed(seed))
    }

    /// The bytes themselves.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// In base32 without padding, as a URI has it and a person types it.
    pub fn base32(&self) -> Zeroizing<String> {
        // Room for all from the start: a buffer that grows leaves what was in it behind.
        let mut text = Zeroizing::new(String::with_capacity(BASE32_NOPAD.encode_len(self.0.len())));
        BASE32_NOPAD.encode_append(&self.0, &mut text);
        text
    }
}

/// How long a drawn seed is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeedBytes(usize);

impl SeedBytes {
    /// As long as what the hash gives (RFC 6238 section 5.1).
    pub fn of(hash: TotpHash) -> SeedBytes {
        SeedBytes(match hash {
            TotpHash::Sha1 => 20,
            TotpHash::Sha256 => 32,
            TotpHash::Sha512 => 64,
        })
    }
}

impl TryFrom<&[u8]> for Seed {
    type Error = TotpError;

    fn try_from(bytes: &[u8]) -> Result<Seed, TotpError> {
        let is_one = (Self::BYTES_MIN..=Self::BYTES_MAX).contains(&bytes.len());
        is_one.then(|| Seed(Zeroizing::new(bytes.to_vec()))).ok_or(TotpError::Seed)
    }
}

/// As pages show it and people copy it: small letters too, with spaces, hyphens and padding or without. Bits that are left over at the
/// end say nothing, as apps read it.
impl FromStr for Seed {
    type Err = TotpError;

    fn from_str(text: &str) -> Result<Seed, TotpError> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(TotpError::Seed);
        }
        let mut plain = Zeroizing::new(Vec::with_capacity(text.len()));
        plain.extend(text.trim_end_matches('=').bytes().filter(|byte| !b" -\n\t".contains(byte)));
        plain.make_ascii_uppercase();
        let base32 = lenient().ok_or(TotpError::Seed)?;
        let bytes = Zeroizing::new(base32.decode(&plain).map_err(|_| TotpError::Seed)?);
        Seed::try_from(bytes.as_slice())
    }
}

/// Base32 (RFC 4648 section 6) that passes over the bits left over.
fn lenient() -> Option<Encoding> {
    let mut specification = Specification::new();
    specification.symbols.push_str("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567");
    specification.check_trailing_bits = false;
    specification.encoding().ok()
}

/// The longest text that is looked at: the longest seed with a space after each letter.
const TEXT_BYTES_MAX: usize = 512;
