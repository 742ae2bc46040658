//! How backups are: the last good one, the last drill, what goes on now, and whether somebody should look.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use backup::{Drilled, Last};
use policy::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

/// The last good one is late once it is older than so many of the spans between two.
const LATE_SPANS: i64 = 2;

/// The backups, as the service knows them.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub(crate) struct BackupStatus {
    /// So often the service makes one, seconds; null where it makes none by itself.
    pub(crate) every_secs: Option<u64>,
    /// The last good one; null where the log knows of none.
    pub(crate) last: Option<LastBackup>,
    /// The last drill; null where the log knows of none.
    pub(crate) last_drill: Option<LastDrill>,
    /// How far one is that is being made; null where none is.
    pub(crate) under_way: Option<UnderWay>,
    /// Why the last try failed; null where it did not.
    pub(crate) failed: Option<String>,
    /// Of those before, some could not be taken away.
    pub(crate) not_pruned: Option<String>,
}

/// The last good backup.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct LastBackup {
    /// When the log said so.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// Where it lies.
    place: String,
    /// Its length.
    bytes: u64,
    /// SHA-256 of the file, hexadecimal.
    sha256: String,
    /// Entries of the log in it.
    size: u64,
    /// The root over them, hexadecimal.
    root: String,
    /// Who can read it.
    recipients: Vec<String>,
}

/// The last drill.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct LastDrill {
    /// When the log said so.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// What was restored.
    place: String,
    /// Entries of the log in it.
    size: u64,
    /// What was found in it.
    findings: u64,
    /// Whether the token opened it.
    opened: bool,
}

/// A backup that is being made.
#[derive(Clone, Copy, Debug, Default, Serialize, ToSchema)]
pub(crate) struct UnderWay {
    /// Entries of the log that are written.
    pub(crate) done: u64,
    /// Of so many.
    pub(crate) total: u64,
}

/// What the task of the backups tells; copies share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct BackupWatch(Arc<Mutex<BackupStatus>>);

impl BackupWatch {
    fn state(&self) -> MutexGuard<'_, BackupStatus> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes down something.
    pub(crate) fn note(&self, change: impl FnOnce(&mut BackupStatus)) {
        change(&mut self.state());
    }

    /// Takes down what the log says.
    pub(crate) fn knows(&self, last: Option<(Timestamp, Last)>, drill: Option<(Timestamp, Drilled)>) {
        let mut state = self.state();
        state.last = last.map(|(at, last)| {
            let Last { place, bytes, sha256, size, root, recipients, taken: _ } = last;
            LastBackup { at, place, bytes, sha256, size, root, recipients }
        });
        state.last_drill = drill.map(|(at, drilled)| {
            let Drilled { place, size, findings, opened, root: _ } = drilled;
            LastDrill { at, place, size, findings, opened }
        });
    }

    /// As it is now.
    pub(crate) fn status(&self) -> BackupStatus {
        self.state().clone()
    }

    /// When the log said of the last good one, and its length.
    pub(crate) fn last(&self) -> Option<(Timestamp, u64)> {
        self.state().last.as_ref().map(|last| (last.at, last.bytes))
    }

    /// What somebody should look at, in sentences.
    pub(crate) fn alarms(&self, now: Timestamp) -> Vec<String> {
        let state = self.state();
        let every = state.every_secs.and_then(|secs| i64::try_from(secs).ok());
        let last = state.last.as_ref().map(|last| last.at);
        let late = every.zip(last).and_then(|(every, at)| match now.elapsed_since(at) {
            Some(secs) if secs > every.saturating_mul(LATE_SPANS) => Some(format!(
                "The last good backup is of {at}, which is too long ago: the log of the service says why, and `chancery backup` makes one."
            )),
            Some(_) => None,
            None => Some(format!(
                "The last good backup is of {at}, which is later than now: the clock that it was made by was ahead, or this one is behind. \
                 By a clock that is believed the service makes the next at once."
            )),
        });
        let failed = state.failed.as_ref().map(|why| format!("A backup could not be made and is tried again: {why}."));
        let kept = state.not_pruned.as_ref().map(|why| format!("Old backups could not be taken away: {why}."));
        let drill = state.last_drill.as_ref().filter(|drill| drill.findings > 0 || !drill.opened).map(|drill| {
            let opened = if drill.opened { "opens under the token" } else { "does not open under the token" };
            let findings = match drill.findings {
                1 => "one finding".to_owned(),
                more => format!("{more} findings"),
            };
            format!(
                "The drill of {} restored a backup with {findings}, which {opened}: look at older backups, and repeat it \
                 (`chancery restore --drill`).",
                drill.at
            )
        });
        late.into_iter().chain(failed).chain(kept).chain(drill).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

    fn last() -> Last {
        Last {
            place: "/b".into(),
            bytes: 9,
            sha256: String::new(),
            size: 7,
            root: String::new(),
            taken: String::new(),
            recipients: Vec::new(),
        }
    }

    fn drilled(findings: u64, opened: bool) -> Drilled {
        Drilled { place: "/b".into(), size: 7, root: String::new(), findings, opened }
    }

    #[test]
    fn a_backup_that_is_late_or_failed_and_a_drill_that_found_something_are_told_of() {
        let told = |at: Timestamp, drill: Option<Drilled>, failed: Option<&str>| {
            let watch = BackupWatch::default();
            watch.knows(Some((at, last())), drill.map(|drill| (NOW, drill)));
            watch.note(|state| (state.every_secs, state.failed) = (Some(3_600), failed.map(str::to_owned)));
            watch.alarms(NOW)
        };
        assert_eq!(told(NOW.plus_secs(-7_200), Some(drilled(0, true)), None), Vec::<String>::new());
        assert!(told(NOW.plus_secs(-7_201), None, None)[0].contains("too long ago"));
        assert_eq!(told(NOW.plus_secs(Timestamp::SLIP_SECS), None, None), Vec::<String>::new());
        assert!(told(NOW.plus_secs(3 * 86_400), None, None)[0].contains("later than now"));
        assert!(told(NOW, None, Some("the disk is full"))[0].contains("the disk is full"));
        assert!(told(NOW, Some(drilled(2, true)), None)[0].contains("2 findings"));
        assert!(told(NOW, Some(drilled(1, true)), None)[0].contains("with one finding, which"));
        assert!(told(NOW, Some(drilled(0, false)), None)[0].contains("does not open"));
    }
}
