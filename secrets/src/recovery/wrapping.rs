//! Data keys wrapped to the recovery key, and opened without the token.
//!
//! A wrapped key is bound to what the data key itself is bound to (the context of its version), to the register and to the generation of
//! the recovery key. Moved anywhere else it opens nowhere. It is not signed: whoever has the public half can wrap a data key of his own;
//! but the version's envelope opens under none but its own.

use ring::rand::SecureRandom;

use super::error::WrapError;
use super::key::RecoveryKey;
use super::suite::{Private, SEAL_OVERHEAD, SUITE};
use crate::envelope::{Context, DEK_BYTES, Dek, Forged};

/// A data key that only the shares' holders open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrapped(Vec<u8>);

impl Wrapped {
    /// Out of the register: [`WRAPPED_BYTES`] bytes.
    ///
    /// # Errors
    /// [`Forged`] where they are of no form that this program knows. Whether they are what was wrapped is seen when they are opened.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Wrapped, Forged> {
        let is_known = bytes.first() == Some(&SUITE) && bytes.len() == WRAPPED_BYTES;
        is_known.then_some(Wrapped(bytes)).ok_or(Forged)
    }

    /// What stands in the register: the suite's number, the generation (two bytes, the high one first), and what HPKE made.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// To which generation of the recovery key it says it is wrapped; so what is left to wrap anew can be found.
    pub fn generation(&self) -> u16 {
        self.parts().map_or(0, |(generation, _)| generation)
    }

    fn parts(&self) -> Option<(u16, &[u8])> {
        let (&[_, high, low], sealed) = self.0.split_first_chunk()?;
        Some((u16::from_be_bytes([high, low]), sealed))
    }
}

/// Wraps the data key of a version to the recovery key.
///
/// # Errors
/// [`WrapError::Elsewhere`] where the key is another register's, [`WrapError::NoRandom`].
pub fn wrap(
    dek: &Dek,
    context: &Context<'_>,
    key: &RecoveryKey,
    random: &dyn SecureRandom,
) -> Result<Wrapped, WrapError> {
    if context.origin != key.origin() {
        return Err(WrapError::Elsewhere);
    }
    let sealed =
        key.public.seal(dek.to_seal(), &info(key), &context.bytes(), random).map_err(|_| WrapError::NoRandom)?;
    Ok(Wrapped([&[SUITE][..], &key.generation().to_be_bytes(), &sealed].concat()))
}

/// Wraps to a later recovery key what an earlier one opens. Where the token is there it gives the data key too, and [`wrap`] is enough.
///
/// # Errors
/// [`WrapError`].
pub fn rewrap(
    wrapped: &Wrapped,
    context: &Context<'_>,
    from: &RecoveryPrivate,
    to: &RecoveryKey,
    random: &dyn SecureRandom,
) -> Result<Wrapped, WrapError> {
    let (from_generation, to_generation) = (from.key.generation(), to.generation());
    if to_generation <= from_generation {
        return Err(WrapError::NotNewer { from: from_generation, to: to_generation });
    }
    wrap(&from.unwrap(wrapped, context)?, context, to, random)
}

/// The private half, out of its shares. It is wiped; there is no way to print it or to write it down.
pub struct RecoveryPrivate {
    key: RecoveryKey,
    private: Private,
}

impl RecoveryPrivate {
    /// The two halves, where they are of one key.
    pub(super) fn of(key: RecoveryKey, private: Private) -> Option<RecoveryPrivate> {
        (private.public() == key.public).then_some(RecoveryPrivate { key, private })
    }

    /// The public half.
    pub fn key(&self) -> &RecoveryKey {
        &self.key
    }

    /// The data key that was wrapped.
    ///
    /// # Errors
    /// [`Forged`].
    pub fn unwrap(&self, wrapped: &Wrapped, context: &Context<'_>) -> Result<Dek, Forged> {
        let (generation, sealed) = wrapped.parts().ok_or(Forged)?;
        if generation != self.key.generation() {
            return Err(Forged);
        }
        let opened = self.private.open(sealed, &info(&self.key), &context.bytes()).ok_or(Forged)?;
        Dek::unsealed(&opened).ok_or(Forged)
    }
}

impl std::fmt::Debug for RecoveryPrivate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RecoveryPrivate of {:?}", self.key)
    }
}

/// What HPKE's key schedule is bound to: one text for each register, generation and suite.
fn info(key: &RecoveryKey) -> Vec<u8> {
    let (generation, origin) = (key.generation(), key.origin());
    format!("chancery recovery wrap {SUITE}\n{generation}\n{}:{origin}\n", origin.len()).into_bytes()
}

/// How long a wrapped key is, which a version costs in the register beside its value.
pub const WRAPPED_BYTES: usize = 1 + 2 + DEK_BYTES + SEAL_OVERHEAD;

#[cfg(test)]
#[path = "wrapping_tests.rs"]
mod tests;
