//! What the agent knows of a file that it put in its place, for its next start: no value, but from when its values are, and until when they
//! may be used. `kept.json` in the file's folder of the state folder.

use delivery::cache::Moment;
use serde::{Deserialize, Serialize};

use super::journal::Desk;
use crate::error::AgentError;

/// What is known of the file that stands there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Note {
    /// When its values were asked for.
    pub at: Moment,
    /// For so many seconds from then they may be used while nobody answers; none: the server lets nothing be kept.
    pub lease_secs: Option<u64>,
    /// When the server last said that all is as it was.
    pub seen: Moment,
    /// Which version each reference stands for, for people.
    pub versions: Vec<(String, u64)>,
    /// Whether the service has still to be told of it.
    pub owes: bool,
}

impl Note {
    /// For how many milliseconds more the file may be used while nobody answers; none where that is over, or the host was started anew. The
    /// plan's own `max_age_secs` makes it shorter, never longer, and may be another than when this was written.
    pub fn left_ms(&self, now: &Moment, max_age_secs: u64) -> Option<u64> {
        let (from, secs) = match self.lease_secs {
            Some(secs) => (&self.at, secs),
            None => (&self.seen, UNLEASED_SECS),
        };
        let left = secs.min(max_age_secs).saturating_mul(1_000).checked_sub(now.ms_since(from)?)?;
        (left > 0).then_some(left)
    }

    /// After how many milliseconds its values are to be asked for again, so that they are at hand for as long as the server allows, counted
    /// from when it went away; none where it lets nothing be kept.
    pub fn refresh_ms(&self, now: &Moment, max_age_secs: u64) -> Option<u64> {
        let half = self.lease_secs?.min(max_age_secs).saturating_mul(500);
        Some(half.saturating_sub(now.ms_since(&self.at).unwrap_or(half)))
    }
}

impl Desk<'_> {
    /// The note; one that cannot be read is none, and the server is asked.
    pub fn note(&self) -> Option<Note> {
        self.read(NOTE).ok().flatten()
    }

    /// Writes it down.
    pub fn write_note(&self, note: &Note) -> Result<(), AgentError> {
        self.write(NOTE, note)
    }
}

/// What the server lets nobody keep stays in its file for so long after the last answer: a restart of the server takes no service down.
const UNLEASED_SECS: u64 = 300;
const NOTE: &str = "kept.json";

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(boot: &str, secs: u64) -> Moment {
        Moment { boot: boot.to_owned(), boot_ms: secs * 1_000, unix_secs: 1_000_000 + secs }
    }

    fn note(lease_secs: Option<u64>) -> Note {
        Note { at: moment("one", 100), lease_secs, seen: moment("one", 160), versions: Vec::new(), owes: false }
    }

    #[test]
    fn a_file_ends_when_the_server_said_and_no_clock_makes_it_last() {
        for (lease, now, left) in [
            (Some(100), moment("one", 100), Some(100_000)),
            (Some(100), moment("one", 199), Some(1_000)),
            (Some(100), moment("one", 200), None),
            // A new start of the host; a clock that was turned back.
            (Some(100), moment("two", 110), None),
            (Some(100), Moment { unix_secs: 0, ..moment("one", 200) }, None),
            (Some(100), Moment { unix_secs: 0, ..moment("one", 150) }, Some(50_000)),
            // Nothing may be kept: from the last answer.
            (None, moment("one", 200), Some(260_000)),
            (None, moment("one", 460), None),
        ] {
            assert_eq!(note(lease).left_ms(&now, 3_600), left, "{lease:?} {now:?}");
        }
        // The plan wants nothing that is older.
        assert_eq!(note(Some(100)).left_ms(&moment("one", 110), 30), Some(20_000));
        assert_eq!(note(Some(100)).left_ms(&moment("one", 130), 30), None);
    }

    #[test]
    fn values_are_asked_for_again_after_half_of_what_they_may_be_kept() {
        for (lease, now, due) in [
            (Some(100), moment("one", 100), Some(50_000)),
            (Some(100), moment("one", 149), Some(1_000)),
            (Some(100), moment("one", 180), Some(0)),
            (Some(100), moment("two", 110), Some(0)),
            (None, moment("one", 500), None),
        ] {
            assert_eq!(note(lease).refresh_ms(&now, 3_600), due, "{lease:?} {now:?}");
        }
        assert_eq!(note(Some(100)).refresh_ms(&moment("one", 110), 60), Some(20_000));
    }
}
