//! A seed as the fields of a secret, and back.

use super::code::Totp;
use super::seed::Seed;
use super::words::TotpError;
use crate::kinds::fields::{Fields, Patch};

impl Totp {
    /// Of the fields of a seed. What they do not say is what nearly everybody has.
    ///
    /// # Errors
    /// [`TotpError`].
    pub fn of_fields(fields: &Fields) -> Result<Totp, TotpError> {
        let seed: Seed = fields.text("secret").ok_or(TotpError::Seed)?.parse()?;
        let text = |name| fields.text(name).unwrap_or_default();
        let hash = fields.text("algorithm").map_or(Ok(Default::default()), str::parse)?;
        let digits = fields.text("digits").map_or(Ok(Self::DIGITS), |text| text.parse().or(Err(TotpError::Digits)))?;
        let period = fields.text("period").map_or(Ok(Self::PERIOD), |text| text.parse().or(Err(TotpError::Period)))?;
        let totp = Totp::new(seed).with_hash(hash).with_digits(digits)?.with_period(period)?;
        totp.with_names(text("issuer"), text("account"))
    }

    /// The fields, to merge into a secret: names that it has not are removed.
    pub fn patch(&self) -> Patch {
        let (hash, digits, period) = (self.hash().to_string(), self.digits().to_string(), self.period().to_string());
        let seed = self.seed().base32();
        let named = |text: &'static str| text.parse().unwrap_or_default();
        let said = [
            ("secret", seed.as_str()),
            ("algorithm", &hash),
            ("digits", &digits),
            ("period", &period),
            ("issuer", self.issuer()),
            ("account", self.account()),
        ];
        said.into_iter().fold(Patch::new(), |patch, (name, text)| match text.is_empty() {
            true => patch.remove(named(name)),
            false => patch.set(named(name), text.as_bytes().to_vec()),
        })
    }
}
