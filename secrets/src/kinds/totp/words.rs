//! What is said of a one-time password, and what is wrong with it.

use std::fmt;
use std::str::FromStr;

use ring::hmac;

/// Which hash a code is made with. Most apps know the first alone, whatever their URI says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TotpHash {
    /// HMAC-SHA-1, whose weakness in collisions is none here (RFC 4226 appendix B.2).
    #[default]
    Sha1,
    /// HMAC-SHA-256.
    Sha256,
    /// HMAC-SHA-512.
    Sha512,
}

impl TotpHash {
    /// All, as an `otpauth` URI writes them.
    pub const NAMES: &'static [&'static str] = &["SHA1", "SHA256", "SHA512"];

    pub(super) fn algorithm(self) -> hmac::Algorithm {
        match self {
            TotpHash::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            TotpHash::Sha256 => hmac::HMAC_SHA256,
            TotpHash::Sha512 => hmac::HMAC_SHA512,
        }
    }
}

impl fmt::Display for TotpHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TotpHash::Sha1 => "SHA1",
            TotpHash::Sha256 => "SHA256",
            TotpHash::Sha512 => "SHA512",
        })
    }
}

impl FromStr for TotpHash {
    type Err = TotpError;

    fn from_str(text: &str) -> Result<Self, TotpError> {
        match text.to_ascii_uppercase().as_str() {
            "SHA1" => Ok(TotpHash::Sha1),
            "SHA256" => Ok(TotpHash::Sha256),
            "SHA512" => Ok(TotpHash::Sha512),
            _ => Err(TotpError::Hash),
        }
    }
}

/// What is wrong with a seed, with what is said of it, or with its URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TotpError {
    /// The seed is none.
    #[error(
        "a seed is {} to {} bytes in base32 (A-Z and 2-7): copy it from the page that showed it, without the text around it",
        SEED_BYTES_MIN,
        SEED_BYTES_MAX
    )]
    Seed,
    /// Another hash.
    #[error("the algorithm is SHA1, SHA256 or SHA512")]
    Hash,
    /// Too few or too many digits.
    #[error("a code has 6, 7 or 8 digits")]
    Digits,
    /// No period.
    #[error("the period is {} to {} seconds, and 30 nearly everywhere", PERIOD_MIN, PERIOD_MAX)]
    Period,
    /// Names that a URI cannot carry.
    #[error("issuer and account are one line each, without control characters; the issuer has no colon")]
    Names,
    /// No `otpauth` URI.
    #[error("it is no otpauth://totp/ISSUER:ACCOUNT?secret=... URI: read the QR code again, and take all of its text")]
    Uri,
}

/// The shortest seed, in bytes.
pub(super) const SEED_BYTES_MIN: usize = 10;
/// The longest seed, in bytes.
pub(super) const SEED_BYTES_MAX: usize = 128;
/// The shortest period, in seconds.
pub(super) const PERIOD_MIN: u64 = 10;
/// The longest period, in seconds.
pub(super) const PERIOD_MAX: u64 = 3600;
