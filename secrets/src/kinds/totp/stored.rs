//! A seed as the fields of a secret, and back.

use zeroize::Zeroizing;

use super::code::Totp;
use super::seed::Seed;
use super::words::{TotpError, TotpHash};
use crate::kinds::fields::{Fields, Patch};
use crate::nouns::FieldName;

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

    /// What fields become that hold a whole `otpauth` URI where the seed belongs, as a page shows it beside its QR code: the seed, and
    /// what the URI says of its codes and of whose they are. And a hash in small letters becomes the one that is meant.
    ///
    /// # Errors
    /// [`TotpError`], which has none of the seed in it.
    pub(crate) fn unfolded(fields: &Fields) -> Result<Patch, TotpError> {
        let uri = fields.text("secret").map(str::trim).filter(|text| is_uri(text));
        let said = match uri {
            Some(uri) => Totp::of_uri(uri)?.said(),
            None => Vec::new(),
        };
        let hash = fields.text("algorithm").filter(|_| said.is_empty()).and_then(|text| text.parse::<TotpHash>().ok());
        let hash = hash.map(|hash| ("algorithm", Zeroizing::new(hash.to_string())));
        let said = said.into_iter().chain(hash).filter(|(_, text)| !text.is_empty());
        Ok(said.fold(Patch::new(), |patch, (name, text)| patch.set(named(name), text.as_bytes().to_vec())))
    }

    /// The fields, to merge into a secret: names that it has not are removed.
    pub fn patch(&self) -> Patch {
        self.said().into_iter().fold(Patch::new(), |patch, (name, text)| match text.is_empty() {
            true => patch.remove(named(name)),
            false => patch.set(named(name), text.as_bytes().to_vec()),
        })
    }

    /// Each field, and what it holds; nothing where it is not there.
    fn said(&self) -> Vec<(&'static str, Zeroizing<String>)> {
        let text = |text: &dyn ToString| Zeroizing::new(text.to_string());
        vec![
            ("secret", self.seed().base32()),
            ("algorithm", text(&self.hash())),
            ("digits", text(&self.digits())),
            ("period", text(&self.period())),
            ("issuer", text(&self.issuer())),
            ("account", text(&self.account())),
        ]
    }
}

fn named(text: &'static str) -> FieldName {
    text.parse().unwrap_or_default()
}

/// Whether it is one, of whichever type: what it is not is said by who reads it.
fn is_uri(text: &str) -> bool {
    text.get(..SCHEME.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(SCHEME))
}

const SCHEME: &str = "otpauth://";
