//! The ceremony: a key is made and shared, each holder writes his share down and types it back, and only then is the public half released.
//!
//! Interrupted at any point nothing is released, so nothing was ever wrapped to the key: the papers are worthless, and one begins again.

use ring::rand::SecureRandom;

use super::error::{ShareError, SplitError};
use super::gathering::join;
use super::key::RecoveryKey;
use super::plan::Plan;
use super::shamir::{Bytes, split};
use super::share::{SetId, Share};
use super::suite::Private;
use super::text::{self, ShareText};

/// A key that was made and shared, until each holder has confirmed his share.
///
/// The private half is gone when this is there; each share is gone when it was confirmed.
#[derive(Debug)]
pub struct Split {
    key: RecoveryKey,
    /// Each share until its holder has confirmed it, the first one's first.
    unconfirmed: Vec<Option<Share>>,
}

impl Split {
    /// Makes a key and its shares, and joins them once to see that they are right.
    ///
    /// # Errors
    /// [`SplitError`].
    pub fn make(plan: Plan, random: &dyn SecureRandom) -> Result<Split, SplitError> {
        let mut seed = Bytes::default();
        random.fill(seed.as_mut_slice()).map_err(|_| SplitError::NoRandom)?;
        let private = Private::of(&seed).ok_or(SplitError::Unsound)?;
        let made = split(&seed, plan.threshold, plan.shares, random).map_err(|_| SplitError::NoRandom)?;
        Split::of(RecoveryKey::unshared(plan, private.public()), made)
    }

    fn of(key: RecoveryKey, made: Vec<Bytes>) -> Result<Split, SplitError> {
        let Plan { generation, threshold, shares, .. } = key.plan;
        let set = key.set;
        let numbered = (1..).zip(made);
        let made: Vec<Share> =
            numbered.map(|(number, bytes)| Share { generation, threshold, shares, number, set, bytes }).collect();
        let key = key.shared(&made);
        join(&key, &made).map_err(|_| SplitError::Unsound)?;
        Ok(Split { key, unconfirmed: made.into_iter().map(Some).collect() })
    }

    /// How many shares there are.
    pub fn shares(&self) -> u8 {
        self.key.shares()
    }

    /// The set that was made: what stands on each paper above the share, with its number and the generation.
    pub fn set(&self) -> SetId {
        self.key.set()
    }

    /// What it is to make.
    pub fn plan(&self) -> &Plan {
        &self.key.plan
    }

    /// A share, for its holder to write down.
    ///
    /// # Errors
    /// [`ShareError::NoSuch`], and [`ShareError::Gone`] once it was confirmed.
    pub fn show(&self, number: u8) -> Result<ShareText, ShareError> {
        self.at(number)?.as_ref().map(ShareText::of).ok_or(ShareError::Gone { number })
    }

    /// What a holder typed from his paper: where it is his share it is forgotten here. Answers how many are still unconfirmed. One that was
    /// confirmed may be typed again.
    ///
    /// # Errors
    /// [`ShareError`]; then everything is as it was.
    pub fn confirm(&mut self, number: u8, typed: &str) -> Result<usize, ShareError> {
        self.at(number)?;
        let share = text::read(typed)?;
        if share.number != number {
            return Err(ShareError::OtherNumber { found: share.number, wanted: number });
        }
        self.key.check(&share)?;
        if let Some(place) = self.unconfirmed.get_mut(usize::from(number).wrapping_sub(1)) {
            *place = None;
        }
        Ok(self.waiting().len())
    }

    /// The numbers of the shares that nobody has confirmed.
    pub fn waiting(&self) -> Vec<u8> {
        (1..).zip(&self.unconfirmed).filter(|(_, share)| share.is_some()).map(|(number, _)| number).collect()
    }

    /// The public half, for the register: only when each share was confirmed.
    ///
    /// # Errors
    /// The ceremony as it was, while shares wait for their holders.
    pub fn release(self) -> Result<RecoveryKey, Box<Split>> {
        match self.waiting().is_empty() {
            true => Ok(self.key),
            false => Err(Box::new(self)),
        }
    }

    fn at(&self, number: u8) -> Result<&Option<Share>, ShareError> {
        let place = self.unconfirmed.get(usize::from(number).wrapping_sub(1));
        place.ok_or(ShareError::NoSuch { number, shares: self.key.shares() })
    }
}

#[cfg(test)]
#[path = "ceremony_tests.rs"]
mod tests;
