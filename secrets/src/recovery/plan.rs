//! What a ceremony is to make: for which register, which generation, how many shares, and how many of them are needed.

use super::error::PlanError;

/// The numbers of a set of shares. There is none that cannot be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub(super) origin: String,
    pub(super) generation: u16,
    pub(super) threshold: u8,
    pub(super) shares: u8,
}

impl Plan {
    /// The first recovery key of a register: `threshold` of `shares`. The origin is the log's name.
    ///
    /// # Errors
    /// [`PlanError`].
    pub fn first(origin: &str, threshold: u8, shares: u8) -> Result<Plan, PlanError> {
        Plan::of(origin, 1, threshold, shares)
    }

    /// The log's name.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Which of the register's recovery keys, from 1.
    pub fn generation(&self) -> u16 {
        self.generation
    }

    /// How many shares open.
    pub fn threshold(&self) -> u8 {
        self.threshold
    }

    /// How many shares there are.
    pub fn shares(&self) -> u8 {
        self.shares
    }

    /// A plan of these numbers, from anywhere.
    pub(super) fn of(origin: &str, generation: u16, threshold: u8, shares: u8) -> Result<Plan, PlanError> {
        if !is_shared(threshold, shares) {
            return Err(PlanError::Numbers { threshold, shares });
        }
        if origin.is_empty() || origin.len() > ORIGIN_BYTES_MAX {
            return Err(PlanError::Origin);
        }
        if !(1..=GENERATION_MAX).contains(&generation) {
            return Err(PlanError::Generations);
        }
        Ok(Plan { origin: origin.to_owned(), generation, threshold, shares })
    }
}

/// Whether so many of so many can be shared.
pub(super) fn is_shared(threshold: u8, shares: u8) -> bool {
    (THRESHOLD_MIN..=shares).contains(&threshold) && shares <= SHARES_MAX
}

/// The fewest people who open everything together: one alone would be a key under a doormat.
pub const THRESHOLD_MIN: u8 = 2;
/// The most shares of a set. People are few, and a share's number is one character of its text.
pub const SHARES_MAX: u8 = 16;
/// The last generation: what three characters of a share's text can say. A new one each week would last 630 years.
pub const GENERATION_MAX: u16 = (1 << 15) - 1;
/// The longest log name: its length is one byte of a recovery key.
pub const ORIGIN_BYTES_MAX: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_of_two_to_sixteen_shares_and_never_of_one() {
        let made = (0..=255).flat_map(|m| (0..=255).map(move |n| (m, n)));
        let made = made.filter(|(m, n)| Plan::first("log", *m, *n).is_ok());
        // 2 of 2, 2 and 3 of 3, ... 2 to 16 of 16.
        assert_eq!(made.count(), (1..=15).sum::<usize>());
        assert_eq!(Plan::first("log", 1, 5), Err(PlanError::Numbers { threshold: 1, shares: 5 }));
        assert_eq!(Plan::first("log", 6, 5), Err(PlanError::Numbers { threshold: 6, shares: 5 }));
        assert_eq!(Plan::first("log", 2, 17), Err(PlanError::Numbers { threshold: 2, shares: 17 }));
    }

    #[test]
    fn a_log_has_a_name_and_a_generation_has_an_end() {
        assert_eq!(Plan::first("", 2, 3), Err(PlanError::Origin));
        assert!(Plan::first(&"l".repeat(ORIGIN_BYTES_MAX), 2, 3).is_ok());
        assert_eq!(Plan::first(&"l".repeat(ORIGIN_BYTES_MAX + 1), 2, 3), Err(PlanError::Origin));
        assert!(Plan::of("log", GENERATION_MAX, 2, 3).is_ok());
        for generation in [0, GENERATION_MAX + 1] {
            assert_eq!(Plan::of("log", generation, 2, 3), Err(PlanError::Generations));
        }
    }
}
