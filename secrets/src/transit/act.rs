//! What is done with a key: one word for the policy, the log and who asks.

use policy::Action;

use super::BATCH_MAX;
use super::fault::{TransitError, at_most};
use super::kind::KeyKind;

/// What is done with a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Sealed.
    Encrypt,
    /// Opened.
    Decrypt,
    /// Opened and sealed anew, shown to nobody.
    Rewrap,
    /// Signed, or authenticated by HMAC.
    Sign,
    /// Held against its signature or HMAC.
    Verify,
    /// A key is drawn and sealed.
    DataKey,
}

impl Act {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Act::Encrypt => "encrypt",
            Act::Decrypt => "decrypt",
            Act::Rewrap => "rewrap",
            Act::Sign => "sign",
            Act::Verify => "verify",
            Act::DataKey => "data-key",
        }
    }

    /// What has to be granted for it. Whoever may encrypt draws a key and seals it; nothing more is had by having it done here.
    pub fn action(self) -> Action {
        match self {
            Act::Encrypt | Act::DataKey => Action::TransitEncrypt,
            Act::Decrypt => Action::TransitDecrypt,
            Act::Rewrap => Action::TransitRewrap,
            Act::Sign => Action::TransitSign,
            Act::Verify => Action::TransitVerify,
        }
    }

    /// Whether a batch of so many can come to anything with a key of this kind: what cannot is not written down.
    ///
    /// # Errors
    /// [`TransitError::NotForKind`], [`TransitError::TooLong`], [`TransitError::Invalid`].
    pub(crate) fn fits(self, kind: KeyKind, items: usize) -> Result<(), TransitError> {
        match self {
            Act::Encrypt | Act::Decrypt | Act::Rewrap | Act::DataKey => drop(kind.cipher(self.as_str())?),
            Act::Sign | Act::Verify => kind.signs(self.as_str())?,
        }
        match items {
            0 => Err(TransitError::invalid("items", "a batch has one item at least")),
            _ => at_most("a batch in items", items, BATCH_MAX),
        }
    }
}
