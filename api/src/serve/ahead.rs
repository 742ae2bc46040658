//! After an operator's word about the time: what a clock wrote that was ahead is put right, once, by each task that finds its work by what
//! is due. What cannot be put right is tried again at the next look and told as an alarm, and holds up nothing that is due.

use secrets::SecretError;
use store::Ledger;

use crate::problem::chain;

/// What a task has heard of the operators' words.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    /// The word after which all were put right last.
    word: u64,
    /// How often that failed since, and why it did last.
    failed: Option<(u64, String)>,
}

impl Ahead {
    /// The word after which all are to be put right now; none where it was heeded, or while this clock is not believed itself.
    pub(super) fn word(&self, ledger: &Ledger) -> Option<u64> {
        Some(ledger.time_word()).filter(|word| *word != self.word && ledger.time_held().is_none())
    }

    /// Takes down what came of that.
    pub(super) fn note(&mut self, word: u64, done: &Result<u64, SecretError>) {
        match done {
            Ok(_) => (self.word, self.failed) = (word, None),
            Err(error) => {
                let times = self.failed.take().map_or(0, |(times, _)| times);
                self.failed = Some((times.saturating_add(1), chain(error)));
            }
        }
    }

    /// Whether it failed: then the next look tries it again, whatever the log has.
    pub(super) fn is_left(&self) -> bool {
        self.failed.is_some()
    }

    /// What somebody should look at; `what` it is about, as in "rotations".
    pub(super) fn says(&self, what: &str) -> Option<String> {
        let (times, why) = self.failed.as_ref()?;
        Some(format!(
            "What a clock that was ahead wrote into {what} cannot be put right, which was tried {times} times and is tried again: {why}. \
             Until then some of them wait for the time of that clock."
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_put_right_is_told_with_its_tries_until_it_is() {
        let mut ahead = Ahead::default();
        assert!(!ahead.is_left() && ahead.says("rotations").is_none());
        for _ in 0..2 {
            ahead.note(3, &Err(SecretError::Away("no answer".to_owned())));
        }
        assert!(ahead.is_left() && ahead.word == 0, "it is tried again");
        let says = ahead.says("rotations").unwrap();
        assert!(says.contains("into rotations") && says.contains("tried 2 times"), "{says}");
        ahead.note(3, &Ok(7));
        assert_eq!((ahead.word, ahead.says("rotations")), (3, None));
    }
}
