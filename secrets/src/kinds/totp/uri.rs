//! The `otpauth` URI, by which seeds go from a page to an app: `otpauth://totp/ISSUER:ACCOUNT?secret=...&issuer=ISSUER`.
//!
//! No standard describes it; this is what Google Authenticator's own description of the format and the apps after it agree on.

use zeroize::Zeroizing;

use super::code::Totp;
use super::seed::Seed;
use super::words::TotpError;
use crate::kinds::percent;

impl Totp {
    /// The URI, seed and all: whoever reads it has the second factor.
    pub fn uri(&self) -> Zeroizing<String> {
        let secret = self.seed().base32();
        let (issuer, account) = (percent::encoded(self.issuer()), percent::encoded(self.account()));
        let colon = if issuer.is_empty() { "" } else { ":" };
        let mut uri = Zeroizing::new(String::with_capacity(ROOM + secret.len() + 2 * issuer.len() + account.len()));
        for part in ["otpauth://totp/", &issuer, colon, &account, "?secret=", &secret] {
            uri.push_str(part);
        }
        if !issuer.is_empty() {
            uri.push_str("&issuer=");
            uri.push_str(&issuer);
        }
        uri.push_str(&format!("&algorithm={}&digits={}&period={}", self.hash(), self.digits(), self.period()));
        uri
    }

    /// Reads such a URI. What it does not say is what nearly everybody has; what it says twice, differently or in words that are not
    /// known here is refused, but for names that say nothing of the codes (`image`).
    ///
    /// # Errors
    /// [`TotpError`], which has none of the seed in it.
    pub fn of_uri(uri: &str) -> Result<Totp, TotpError> {
        let rest = Some(uri).filter(|uri| uri.len() <= URI_BYTES_MAX).and_then(after_scheme).ok_or(TotpError::Uri)?;
        let (label, query) = rest.split_once('?').ok_or(TotpError::Uri)?;
        let said = Said::read(query)?;
        let label = percent::decoded(label).ok_or(TotpError::Uri)?;
        let (issuer, account) = match label.split_once(':') {
            Some((issuer, account)) => (issuer.trim(), account.trim()),
            None => (said.issuer.as_deref().map_or("", String::as_str).trim(), label.trim()),
        };
        // Two issuers are one attempt to show the one and mean the other.
        if said.issuer.as_deref().is_some_and(|said| said.trim() != issuer) {
            return Err(TotpError::Uri);
        }
        let totp = Totp::new(said.secret.ok_or(TotpError::Seed)?).with_names(issuer, account)?;
        let totp = match said.hash {
            Some(hash) => totp.with_hash(hash.parse()?),
            None => totp,
        };
        let digits = said.digits.map_or(Ok(Self::DIGITS), |text| number(&text).ok_or(TotpError::Digits))?;
        let period = said.period.map_or(Ok(Self::PERIOD), |text| number(&text).ok_or(TotpError::Period))?;
        totp.with_digits(digits)?.with_period(period)
    }
}

/// What the query says, each thing once.
#[derive(Default)]
struct Said {
    secret: Option<Seed>,
    issuer: Option<Zeroizing<String>>,
    hash: Option<Zeroizing<String>>,
    digits: Option<Zeroizing<String>>,
    period: Option<Zeroizing<String>>,
}

impl Said {
    fn read(query: &str) -> Result<Said, TotpError> {
        let mut said = Said::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').ok_or(TotpError::Uri)?;
            let value = percent::decoded(value).ok_or(TotpError::Uri)?;
            let place = match name {
                "secret" if said.secret.is_none() => {
                    said.secret = Some(value.parse()?);
                    continue;
                }
                "secret" => return Err(TotpError::Uri),
                "issuer" => &mut said.issuer,
                "algorithm" => &mut said.hash,
                "digits" => &mut said.digits,
                "period" => &mut said.period,
                _ => continue,
            };
            if place.replace(value).is_some() {
                return Err(TotpError::Uri);
            }
        }
        Ok(said)
    }
}

/// Schemes and hosts have no case (RFC 3986 section 6.2.2.1).
fn after_scheme(uri: &str) -> Option<&str> {
    const BEGINS: &str = "otpauth://totp/";
    let (begins, rest) = uri.split_at_checked(BEGINS.len())?;
    begins.eq_ignore_ascii_case(BEGINS).then_some(rest)
}

/// A number without sign.
fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.bytes().all(|digit| digit.is_ascii_digit()).then(|| text.parse().ok())?
}

/// What the URI is longer than its names and its seed by, at most.
const ROOM: usize = 96;
/// The longest that is read: a QR code carries no more.
const URI_BYTES_MAX: usize = 4096;
