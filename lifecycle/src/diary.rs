//! The renewals to come, by the second they fall due.
//!
//! Kept in memory and made again from the register at start: nothing in it is news. Only what the server renews is in it, some
//! hundred bytes each.

use std::collections::{BTreeMap, HashMap};

use policy::Timestamp;

use crate::Summary;

/// One renewal to come.
#[derive(Debug, Clone)]
pub(crate) struct Task {
    pub(crate) operation: u64,
    pub(crate) serial_hex: String,
    pub(crate) subject: String,
    pub(crate) not_after: Timestamp,
    pub(crate) overdue_at: Timestamp,
    /// Tries that failed.
    pub(crate) failures: u32,
    /// Why the last one did.
    pub(crate) why: String,
}

impl Task {
    fn of(summary: &Summary) -> Task {
        Task {
            operation: summary.operation,
            serial_hex: summary.serial_hex(),
            subject: summary.subject.clone(),
            not_after: summary.validity.not_after(),
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
    by_time: BTreeMap<(Timestamp, u64), Task>,
    due_of: HashMap<u64, Timestamp>,
    /// What will not be tried again, until it expires or the program starts anew.
    given_up: BTreeMap<u64, Task>,
}

impl Diary {
    /// Enters a certificate that the server renews; one that is in it already stays where it is.
    pub(crate) fn enter(&mut self, summary: &Summary) {
        let known = self.due_of.contains_key(&summary.operation) || self.given_up.contains_key(&summary.operation);
        if summary.renew && !known {
            self.put(summary.renew_at(), Task::of(summary));
        }
    }

    /// Takes out at most `limit` tasks that are due, the longest due first.
    pub(crate) fn take_due(&mut self, now: Timestamp, limit: usize) -> Vec<Task> {
        let keys: Vec<(Timestamp, u64)> =
            self.by_time.keys().take_while(|(due, _)| *due <= now).take(limit).copied().collect();
        let taken: Vec<Task> = keys.iter().filter_map(|key| self.by_time.remove(key)).collect();
        for task in &taken {
            self.due_of.remove(&task.operation);
        }
        taken
    }

    /// Back in, for `due`.
    pub(crate) fn put(&mut self, due: Timestamp, task: Task) {
        self.due_of.insert(task.operation, due);
        self.by_time.insert((due, task.operation), task);
    }

    /// Never again.
    pub(crate) fn give_up(&mut self, task: Task) {
        self.given_up.insert(task.operation, task);
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

    /// When the next one falls due.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.by_time.keys().next().map(|(due, _)| *due)
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.by_time.len()
    }
}

/// What expired in the last week is still renewed: the service may have been away over a weekend.
pub(crate) const LATE_SECS_MAX: i64 = 7 * 86_400;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary::tests::{LIFE_SECS, certificate};

    const START: Timestamp = Timestamp::from_unix(1_800_000_000);

    #[test]
    fn what_is_due_comes_out_once_and_in_order() {
        let mut diary = Diary::default();
        for operation in [3, 1, 2] {
            let certificate = certificate(operation, START.plus_secs(i64::try_from(operation).unwrap() * LIFE_SECS));
            diary.enter(&certificate);
            diary.enter(&certificate);
        }
        assert_eq!(diary.len(), 3);
        assert!(diary.take_due(START, 10).is_empty());
        let end = START.plus_secs(5 * LIFE_SECS);
        let operations = |tasks: Vec<Task>| tasks.iter().map(|task| task.operation).collect::<Vec<_>>();
        assert_eq!(operations(diary.take_due(end, 2)), [1, 2]);
        assert_eq!(operations(diary.take_due(end, 2)), [3]);
        assert_eq!((diary.len(), diary.next_due()), (0, None));
    }

    #[test]
    fn what_the_server_does_not_renew_is_not_in_it() {
        let mut diary = Diary::default();
        diary.enter(&Summary { renew: false, ..certificate(1, START) });
        assert_eq!(diary.len(), 0);
    }

    #[test]
    fn what_waits_for_another_try_is_in_it_once() {
        let mut diary = Diary::default();
        let certificate = certificate(1, START);
        diary.enter(&certificate);
        let task = diary.take_due(certificate.renew_at(), 1).remove(0);
        let later = certificate.renew_at().plus_secs(30);
        diary.put(later, task);
        diary.enter(&certificate);
        assert_eq!((diary.len(), diary.next_due()), (1, Some(later)));
    }

    #[test]
    fn what_was_given_up_is_overdue_and_does_not_come_back() {
        let mut diary = Diary::default();
        let certificate = certificate(1, START);
        diary.enter(&certificate);
        let due = certificate.renew_at();
        let task = diary.take_due(due, 1).remove(0);
        diary.give_up(task);
        diary.enter(&certificate);
        assert_eq!(diary.len(), 0);
        assert_eq!(diary.overdue(due).len(), 1);
        assert_eq!(diary.overdue(START.plus_secs(LIFE_SECS + LATE_SECS_MAX)).len(), 0);
    }
}
