//! The renewals under way: what failed and is to be tried again, and what needs none.
//!
//! Kept in memory and made again from the register's list of what is due: nothing in it is news, and nothing is in it that is
//! not due.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::summary::Summary;
use policy::Timestamp;

/// One renewal.
#[derive(Debug, Clone)]
pub(crate) struct Task {
    pub(crate) operation: u64,
    pub(crate) serial_hex: String,
    pub(crate) subject: String,
    pub(crate) not_after: Timestamp,
    /// Since when it stands on the list.
    pub(crate) due: Timestamp,
    pub(crate) overdue_at: Timestamp,
    /// Tries that failed.
    pub(crate) failures: u32,
    /// Why the last one did.
    pub(crate) why: String,
}

impl Task {
    pub(crate) fn of(due: Timestamp, summary: &Summary) -> Task {
        Task {
            operation: summary.operation,
            serial_hex: summary.serial_hex(),
            subject: summary.subject.clone(),
            not_after: summary.validity.not_after(),
            due,
            overdue_at: summary.overdue_at(),
            failures: 0,
            why: String::new(),
        }
    }

    /// Whether it expired so long ago that nobody waits for its successor any more.
    pub(crate) fn is_too_late(&self, now: Timestamp) -> bool {
        now > self.not_after.plus_secs(LATE_SECS_MAX)
    }
}

#[derive(Default)]
pub(crate) struct Diary {
    /// By when they are tried again.
    by_time: BTreeMap<(Timestamp, u64), Task>,
    waiting: HashSet<u64>,
    /// What is on the list but needs nothing, with the last round in which it was there.
    settled: HashMap<u64, u64>,
    /// What will not be tried again, until it expires or the program starts anew: what people are told of.
    given_up: BTreeMap<u64, Task>,
    round: u64,
}

impl Diary {
    /// Whether nothing is to be done for an operation that is on the list of what is due, or not now.
    pub(crate) fn knows(&mut self, operation: u64) -> bool {
        if let Some(round) = self.settled.get_mut(&operation) {
            *round = self.round;
            return true;
        }
        self.waiting.contains(&operation)
    }

    /// Whether so many wait for another try that no more are taken on.
    pub(crate) fn is_full(&self) -> bool {
        self.by_time.len() >= WAITING_MAX
    }

    /// The list was read to its end: what was not on it any more is forgotten.
    pub(crate) fn end_round(&mut self) {
        let round = self.round;
        self.settled.retain(|_, seen| *seen == round);
        self.round += 1;
    }

    /// Takes out at most `limit` tasks whose time has come, the longest waiting first.
    pub(crate) fn take_due(&mut self, now: Timestamp, limit: usize) -> Vec<Task> {
        let keys: Vec<(Timestamp, u64)> =
            self.by_time.keys().take_while(|(due, _)| *due <= now).take(limit).copied().collect();
        let taken: Vec<Task> = keys.iter().filter_map(|key| self.by_time.remove(key)).collect();
        for task in &taken {
            self.waiting.remove(&task.operation);
        }
        taken
    }

    /// The clock was put back: each that waits for a time which it showed is tried at `now`.
    pub(crate) fn put_back(&mut self, now: Timestamp) {
        let waiting = std::mem::take(&mut self.by_time);
        self.by_time = waiting.into_iter().map(|((due, operation), task)| ((due.min(now), operation), task)).collect();
    }

    /// In, for `due`.
    pub(crate) fn put(&mut self, due: Timestamp, task: Task) {
        self.waiting.insert(task.operation);
        self.by_time.insert((due, task.operation), task);
    }

    /// It needs nothing.
    pub(crate) fn settle(&mut self, operation: u64) {
        self.settled.insert(operation, self.round);
    }

    /// Never again.
    pub(crate) fn give_up(&mut self, task: Task) {
        self.settle(task.operation);
        if self.given_up.len() < GIVEN_UP_MAX {
            self.given_up.insert(task.operation, task);
        }
    }

    /// What failed at least once and is past its grace, or was given up; the first to expire first. What expired long ago is
    /// nobody's alarm any more.
    pub(crate) fn overdue(&mut self, now: Timestamp) -> Vec<Task> {
        self.given_up.retain(|_, task| !task.is_too_late(now));
        let failing = self.by_time.values().filter(|task| task.failures > 0 && now >= task.overdue_at);
        let mut overdue: Vec<Task> = failing.chain(self.given_up.values()).cloned().collect();
        overdue.sort_by_key(|task| (task.not_after, task.operation));
        overdue
    }

    /// Whether one of them is to be tried now.
    pub(crate) fn has_due(&self, now: Timestamp) -> bool {
        self.by_time.keys().next().is_some_and(|(due, _)| *due <= now)
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.by_time.len()
    }
}

/// What expired in the last week is still renewed: the service may have been away over a weekend.
pub(crate) const LATE_SECS_MAX: i64 = 7 * 86_400;
// The log knows for longer what was renewed.
const _: () = assert!(LATE_SECS_MAX < store::RENEWED_KNOWN_SECS);

/// What waits for another try, some hundred bytes each; with more of them something is wrong that no try mends.
const WAITING_MAX: usize = 4_096;
/// An alarm list is for people.
const GIVEN_UP_MAX: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary::tests::{LIFE_SECS, certificate};

    const START: Timestamp = Timestamp::from_unix(1_800_000_000);

    fn task(operation: u64) -> Task {
        Task::of(START, &certificate(operation, START))
    }

    #[test]
    fn what_waits_comes_out_once_and_in_order() {
        let mut diary = Diary::default();
        for operation in [3, 1, 2] {
            diary.put(START.plus_secs(i64::try_from(operation).unwrap()), task(operation));
            assert!(diary.knows(operation));
        }
        assert!(diary.take_due(START, 10).is_empty() && !diary.has_due(START));
        let end = START.plus_secs(5);
        let operations = |tasks: Vec<Task>| tasks.iter().map(|task| task.operation).collect::<Vec<_>>();
        assert_eq!(operations(diary.take_due(end, 2)), [1, 2]);
        assert!(diary.has_due(end) && !diary.knows(1));
        assert_eq!(operations(diary.take_due(end, 2)), [3]);
        assert_eq!(diary.len(), 0);
    }

    #[test]
    fn what_is_settled_is_known_for_as_long_as_it_is_on_the_list() {
        let mut diary = Diary::default();
        diary.settle(1);
        diary.settle(2);
        diary.end_round();
        assert!(diary.knows(1));
        diary.end_round();
        assert!(diary.knows(1) && !diary.knows(2));
    }

    #[test]
    fn what_was_given_up_is_overdue_and_does_not_come_back() {
        let mut diary = Diary::default();
        diary.give_up(task(1));
        assert!(diary.knows(1));
        assert_eq!(diary.overdue(certificate(1, START).renew_at()).len(), 1);
        assert_eq!(diary.overdue(START.plus_secs(LIFE_SECS + LATE_SECS_MAX)).len(), 0);
    }

    #[test]
    fn no_more_are_taken_on_than_there_is_room_for() {
        let mut diary = Diary::default();
        for operation in 0..WAITING_MAX as u64 {
            assert!(!diary.is_full());
            diary.put(START, task(operation));
        }
        assert!(diary.is_full());
    }
}
