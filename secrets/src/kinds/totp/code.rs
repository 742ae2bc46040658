//! Codes: by time, by counter, and whether one is right.

use ring::hmac;
use zeroize::Zeroizing;

use super::seed::Seed;
use super::words::{self, TotpError, TotpHash};

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
    pub const PERIOD_MIN: u64 = words::PERIOD_MIN;
    /// The longest period, in seconds.
    pub const PERIOD_MAX: u64 = words::PERIOD_MAX;
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
