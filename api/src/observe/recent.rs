//! Answers that cost much and are asked for again and again, kept for a moment.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What was answered lately, by question.
pub(super) struct Recent<Q, A> {
    age_max: Duration,
    most: usize,
    kept: Mutex<Vec<(Q, Instant, A)>>,
}

impl<Q: PartialEq, A: Clone> Recent<Q, A> {
    /// So many answers at most, each for so long.
    pub(super) fn new(most: usize, age_max: Duration) -> Self {
        Self { age_max, most, kept: Mutex::default() }
    }

    /// The answer that is kept, where there is one.
    pub(super) fn of(&self, question: &Q, now: Instant) -> Option<A> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(_, at, _)| now.saturating_duration_since(*at) < self.age_max);
        kept.iter().find(|(asked, _, _)| asked == question).map(|(_, _, answer)| answer.clone())
    }

    /// Keeps one; the oldest makes room.
    pub(super) fn keep(&self, question: Q, now: Instant, answer: A) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(asked, _, _)| *asked != question);
        if kept.len() >= self.most && !kept.is_empty() {
            kept.remove(0);
        }
        kept.push((question, now, answer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_kept_for_a_moment_and_the_oldest_makes_room() {
        let (recent, now) = (Recent::new(2, Duration::from_secs(5)), Instant::now());
        let at = |secs| now + Duration::from_secs(secs);
        for (n, question) in ["a", "b", "a", "c"].into_iter().enumerate() {
            recent.keep(question, at(n as u64), n);
        }
        assert_eq!(["a", "b", "c"].map(|question| recent.of(&question, at(6))), [Some(2), None, Some(3)]);
        assert_eq!(["a", "c"].map(|question| recent.of(&question, at(7))), [None, Some(3)]);
    }
}
