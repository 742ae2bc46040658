//! The reverse of the ceremony: shares are taken one by one until there are enough, and give the private half.

use super::error::{JoinError, ShareError};
use super::key::RecoveryKey;
use super::shamir::{Point, through};
use super::share::Share;
use super::suite::Private;
use super::text;
use super::wrapping::RecoveryPrivate;

/// Shares of a register's recovery key that were brought together. They are wiped with it.
#[derive(Debug)]
pub struct Gathering {
    key: RecoveryKey,
    taken: Vec<Share>,
}

/// A share that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Its number.
    pub number: u8,
    /// How many more are needed.
    pub missing: u8,
}

impl Gathering {
    /// For the recovery key that stands in the register, of the generation that is to be opened.
    pub fn of(key: RecoveryKey) -> Gathering {
        Gathering { key, taken: Vec::new() }
    }

    /// Takes what a holder typed, if it is a good share of this key and was not taken before. More than are needed may be taken.
    ///
    /// # Errors
    /// [`ShareError`]; then everything is as it was.
    pub fn take(&mut self, typed: &str) -> Result<Taken, ShareError> {
        let share = text::read(typed)?;
        let number = share.number;
        self.key.check(&share)?;
        if self.numbers().any(|taken| taken == number) {
            return Err(ShareError::Twice { number });
        }
        self.taken.push(share);
        Ok(Taken { number, missing: self.missing() })
    }

    /// The numbers of the shares that were taken, in their order.
    pub fn numbers(&self) -> impl Iterator<Item = u8> {
        self.taken.iter().map(|share| share.number)
    }

    /// How many more are needed.
    pub fn missing(&self) -> u8 {
        missing(&self.key, &self.taken)
    }

    /// The private half.
    ///
    /// # Errors
    /// [`JoinError`]; the shares stay, so that others can be taken.
    pub fn join(&self) -> Result<RecoveryPrivate, JoinError> {
        join(&self.key, &self.taken)
    }
}

/// The key of which these are shares: enough of them, all of one secret, and that secret the private half of this key.
///
/// That each was made for its number and none is there twice has been checked.
pub(super) fn join(key: &RecoveryKey, shares: &[Share]) -> Result<RecoveryPrivate, JoinError> {
    let points: Vec<Point<'_>> = shares.iter().map(|share| (share.number, &**share.bytes)).collect();
    let (first, others) =
        points.split_at_checked(key.threshold().into()).ok_or(JoinError::TooFew { missing: missing(key, shares) })?;
    let inconsistent = others.iter().filter(|(x, bytes)| **bytes != **through(first, *x));
    match inconsistent.map(|(x, _)| *x).collect::<Vec<_>>() {
        none if none.is_empty() => {}
        numbers => return Err(JoinError::Inconsistent { numbers }),
    }
    let private = Private::of(&through(first, 0)).ok_or(JoinError::OtherKey)?;
    RecoveryPrivate::of(key.clone(), private).ok_or(JoinError::OtherKey)
}

fn missing(key: &RecoveryKey, shares: &[Share]) -> u8 {
    key.threshold().saturating_sub(u8::try_from(shares.len()).unwrap_or(u8::MAX))
}

#[cfg(test)]
#[path = "gathering_tests.rs"]
mod tests;
