//! Ceremonies for the tests of this room.

use ring::rand::SystemRandom;

use super::ceremony::Split;
use super::key::RecoveryKey;
use super::plan::Plan;

/// A key and the papers of its holders, the first one's first.
pub(super) fn held(plan: Plan) -> (RecoveryKey, Vec<String>) {
    let mut split = Split::make(plan, &SystemRandom::new()).unwrap();
    let papers: Vec<String> =
        (1..=split.shares()).map(|number| split.show(number).unwrap().expose().to_owned()).collect();
    for (number, paper) in (1..).zip(&papers) {
        split.confirm(number, paper).unwrap();
    }
    (split.release().unwrap(), papers)
}

/// Three of five, of the register `log`.
pub(super) fn three_of_five() -> (RecoveryKey, Vec<String>) {
    held(Plan::first("log", 3, 5).unwrap())
}
