//! One-time passwords by time (RFC 6238) and by counter (RFC 4226): codes are given, and the seed stays.

use std::fmt;
use std::str::FromStr;

use ring::hmac;
use zeroize::Zeroizing;

mod seed;
mod uri;

pub use seed::{Seed, SeedBytes};

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

    fn algorithm(self) -> hmac::Algorithm {
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
        Seed::BYTES_MIN,
        Seed::BYTES_MAX
    )]
    Seed,
    /// Another hash.
    #[error("the algorithm is SHA1, SHA256 or SHA512")]
    Hash,
    /// Too few or too many digits.
    #[error("a code has 6, 7 or 8 digits")]
    Digits,
    /// No period.
    #[error("the period is {} to {} seconds, and 30 nearly everywhere", Totp::PERIOD_MIN, Totp::PERIOD_MAX)]
    Period,
    /// Names that a URI cannot carry.
    #[error("issuer and account are one line each, without control characters; the issuer has no colon")]
    Names,
    /// No `otpauth` URI.
    #[error("it is no otpauth://totp/ISSUER:ACCOUNT?secret=... URI: read the QR code again, and take all of its text")]
    Uri,
}

/// A seed and how codes are made of it. Nothing prints the seed but [`Totp::uri`].
pub struct Totp {
    seed: Seed,
    hash: TotpHash,
    digits: u32,
    period: u64,
    issuer: String,
    account: String,
}

impl Totp {
    /// The shortest period, in seconds.
    pub const PERIOD_MIN: u64 = 10;
    /// The longest period, in seconds.
    pub const PERIOD_MAX: u64 = 3600;
    /// Digits of a code where nothing is said.
    pub const DIGITS: u32 = 6;
    /// Seconds of a period where nothing is said.
    pub const PERIOD: u64 = 30;
    /// How far a check may look to either side, in periods. RFC 6238 section 5.2 recommends one.
    pub const WINDOW_MAX: u64 = 10;
    /// How far a check of counters may look ahead (RFC 4226 section 7.4).
    pub const LOOK_AHEAD_MAX: u64 = 100;

    /// Of a seed, with what nearly everybody has: SHA-1, six digits, thirty seconds.
    pub fn new(seed: Seed) -> Totp {
        let (issuer, account) = (String::new(), String::new());
        Totp { seed, hash: TotpHash::Sha1, digits: Self::DIGITS, period: Self::PERIOD, issuer, account }
    }

    /// With another hash.
    #[must_use]
    pub fn with_hash(self, hash: TotpHash) -> Totp {
        Totp { hash, ..self }
    }

    /// With 6, 7 or 8 digits (RFC 4226 section 5.3).
    ///
    /// # Errors
    /// [`TotpError::Digits`].
    pub fn with_digits(self, digits: u32) -> Result<Totp, TotpError> {
        (6..=8).contains(&digits).then_some(Totp { digits, ..self }).ok_or(TotpError::Digits)
    }

    /// With another period, in seconds.
    ///
    /// # Errors
    /// [`TotpError::Period`].
    pub fn with_period(self, period: u64) -> Result<Totp, TotpError> {
        let is_one = (Self::PERIOD_MIN..=Self::PERIOD_MAX).contains(&period);
        is_one.then_some(Totp { period, ..self }).ok_or(TotpError::Period)
    }

    /// With the names that an app shows: who issued it (or nothing), and for which account.
    ///
    /// # Errors
    /// [`TotpError::Names`].
    pub fn with_names(self, issuer: &str, account: &str) -> Result<Totp, TotpError> {
        let is_line = |text: &str| !text.contains(char::is_control) && text.trim() == text;
        // What stands before the first colon of a label is the issuer: without one, the account's own colon would make it so.
        let is_clear = !issuer.contains(':') && (!issuer.is_empty() || !account.contains(':'));
        match is_line(issuer) && is_line(account) && is_clear {
            true => Ok(Totp { issuer: issuer.to_owned(), account: account.to_owned(), ..self }),
            false => Err(TotpError::Names),
        }
    }

    /// The seed, for what stores it.
    pub fn seed(&self) -> &Seed {
        &self.seed
    }

    /// The hash.
    pub fn hash(&self) -> TotpHash {
        self.hash
    }

    /// How many digits a code has.
    pub fn digits(&self) -> u32 {
        self.digits
    }

    /// How long a code is the present one, in seconds.
    pub fn period(&self) -> u64 {
        self.period
    }

    /// Who issued it; empty where nobody said.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// For which account.
    pub fn account(&self) -> &str {
        &self.account
    }

    /// The code at a time, in seconds since 1970 (RFC 6238 section 4.2).
    pub fn code(&self, now: u64) -> Zeroizing<String> {
        self.code_of(self.step(now))
    }

    /// How many seconds that code still is the present one: 1 to the period.
    pub fn seconds_left(&self, now: u64) -> u64 {
        self.period - now % self.period
    }

    /// Which period a time lies in: the counter of its code.
    pub fn step(&self, now: u64) -> u64 {
        now / self.period
    }

    /// The code of a counter (RFC 4226 section 5.3).
    pub fn code_of(&self, counter: u64) -> Zeroizing<String> {
        let digits = usize::try_from(self.digits).unwrap_or(usize::MAX);
        Zeroizing::new(format!("{:0digits$}", self.number(counter)))
    }

    /// Whether a code is that of now, or of up to `window` periods before or after: which period it was. One that was accepted already
    /// (`last`, and all before it) is never accepted again: "The verifier MUST NOT accept the second attempt of the OTP" (RFC 6238
    /// section 5.2). Keep what this returns as the next `last`.
    ///
    /// `window` is [`Totp::WINDOW_MAX`] at most; a larger one is that.
    pub fn check(&self, code: &str, now: u64, window: u64, last: Option<u64>) -> Option<u64> {
        let (here, window) = (self.step(now), window.min(Self::WINDOW_MAX));
        let from = here.saturating_sub(window).max(last.map_or(0, |last| last.saturating_add(1)));
        self.first(code, from, here.saturating_add(window))
    }

    /// Whether a code is that of the counter `from`, or of up to `look_ahead` after it: the counter to begin with next time (RFC 4226
    /// section 7.4). `look_ahead` is [`Totp::LOOK_AHEAD_MAX`] at most; a larger one is that.
    pub fn check_counter(&self, code: &str, from: u64, look_ahead: u64) -> Option<u64> {
        let to = from.saturating_add(look_ahead.min(Self::LOOK_AHEAD_MAX));
        self.first(code, from, to)?.checked_add(1)
    }

    /// The first counter of a range whose code it is. All are made and compared whole, so that the time tells neither which nor how far.
    fn first(&self, code: &str, from: u64, to: u64) -> Option<u64> {
        let is_code = u32::try_from(code.len()) == Ok(self.digits) && code.bytes().all(|digit| digit.is_ascii_digit());
        let given: u32 = code.parse().ok().filter(|_| is_code)?;
        let mut found = None;
        for counter in from..=to {
            let is_it = self.number(counter) ^ given == 0;
            found = if is_it && found.is_none() { Some(counter) } else { found };
        }
        found
    }

    /// RFC 4226 section 5.3: 31 bits from where the last half byte points to, and of these the low digits.
    fn number(&self, counter: u64) -> u32 {
        let tag = hmac::sign(&hmac::Key::new(self.hash.algorithm(), self.seed.bytes()), &counter.to_be_bytes());
        let offset = usize::from(tag.as_ref().last().copied().unwrap_or_default() & 0xf);
        let chosen = tag.as_ref().iter().skip(offset).take(4).fold(0u32, |number, &byte| number << 8 | u32::from(byte));
        (chosen & 0x7fff_ffff) % 10u32.pow(self.digits)
    }
}

#[cfg(test)]
mod tests;
