//! Lives on one axis of time: from when to when each generation's certificate holds, and what its state makes of it. Drawn on the
//! server as SVG, a lane a row; all lanes have the same axis, so that what overlaps is seen to overlap.
//!
//! Only numbers and our own words go into a drawing, and its words stand beside it in the row: nothing is in the drawing alone.

use std::fmt::Write;

use policy::Timestamp;

use super::words::tick;

/// Units of a lane's drawing from one end of the axis to the other.
const UNITS: i64 = 1_000;
/// Something is never drawn as nothing.
const WIDTH_MIN: i64 = 4;
/// Parts between the words of the axis.
const TICKS: i64 = 4;
/// An axis is at least so long: a CA of an hour would else be as long as one of ten years.
const SECS_MIN: i64 = 86_400;

/// One life. What has no end is drawn to the end of the axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Life {
    pub(super) since: Option<Timestamp>,
    pub(super) until: Option<Timestamp>,
    /// From when it issues, where that day is still to come.
    pub(super) issues_from: Option<Timestamp>,
}

/// The axis that all lanes have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Axis {
    begin: Timestamp,
    end: Timestamp,
    now: Timestamp,
}

impl Axis {
    /// From the first beginning to the last end; this moment is on it.
    pub(super) fn over(lives: &[Life], now: Timestamp) -> Self {
        let begin = lives.iter().filter_map(|life| life.since).min().unwrap_or(now).min(now);
        let end = lives.iter().filter_map(|life| life.until).max().unwrap_or(now).max(now);
        Self { begin, end: end.max(begin.plus_secs(SECS_MIN)), now }
    }

    /// The words under it, at equal distances.
    pub(super) fn ticks(&self) -> Vec<String> {
        let secs = self.end.since(self.begin);
        (0..=TICKS).map(|part| tick(self.begin.plus_secs(secs / TICKS * part), secs)).collect()
    }

    /// Where a moment is, in units.
    fn at(&self, moment: Timestamp) -> i64 {
        let secs = i128::from(moment.since(self.begin).clamp(0, self.end.since(self.begin)));
        i64::try_from(secs * i128::from(UNITS) / i128::from(self.end.since(self.begin).max(1))).unwrap_or(UNITS)
    }

    /// A lane: the life, this moment, and the day on which it takes over.
    pub(super) fn lane(&self, life: &Life) -> String {
        let mut svg = format!(
            "<svg class=\"lane\" viewBox=\"0 0 {UNITS} 16\" preserveAspectRatio=\"none\" aria-hidden=\"true\">"
        );
        let from = self.at(life.since.unwrap_or(self.begin));
        let to = self.at(life.until.unwrap_or(self.end)).max(from + WIDTH_MIN);
        let class = if life.until.is_some() { "held" } else { "held endless" };
        // Writing to a String does not fail.
        let _ = write!(svg, "<rect class=\"{class}\" x=\"{from}\" y=\"4\" width=\"{}\" height=\"8\"/>", to - from);
        if let Some(at) = life.issues_from {
            let _ =
                write!(svg, "<rect class=\"from\" x=\"{}\" y=\"1\" width=\"{WIDTH_MIN}\" height=\"14\"/>", self.at(at));
        }
        let _ =
            write!(svg, "<rect class=\"now\" x=\"{}\" y=\"0\" width=\"2\" height=\"16\"/></svg>", self.at(self.now));
        svg
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);
    const YEAR: i64 = 365 * 86_400;

    fn life(since: i64, until: i64) -> Life {
        Life { since: Some(NOW.plus_secs(since)), until: Some(NOW.plus_secs(until)), issues_from: None }
    }

    #[test]
    fn all_lanes_have_one_axis_and_equal_times_are_equal_lengths() {
        let lives = [life(-YEAR, YEAR), life(0, 3 * YEAR)];
        let axis = Axis::over(&lives, NOW);
        assert_eq!([axis.at(NOW.plus_secs(-YEAR)), axis.at(NOW), axis.at(NOW.plus_secs(YEAR))], [0, 250, 500]);
        assert!(axis.lane(&lives[0]).contains("x=\"0\" y=\"4\" width=\"500\""), "{}", axis.lane(&lives[0]));
        assert!(axis.lane(&lives[1]).contains("x=\"250\" y=\"4\" width=\"750\""), "{}", axis.lane(&lives[1]));
        assert!(axis.lane(&lives[1]).contains("class=\"now\" x=\"250\""));
        assert_eq!(axis.ticks().len(), 5);
    }

    #[test]
    fn what_has_no_end_no_beginning_or_no_length_is_drawn() {
        let endless = Life { since: None, until: None, issues_from: Some(NOW.plus_secs(YEAR)) };
        let axis = Axis::over(&[endless, life(0, 0)], NOW);
        assert!(axis.lane(&endless).contains("held endless") && axis.lane(&endless).contains("class=\"from\""));
        assert!(axis.lane(&life(0, 0)).contains(&format!("width=\"{WIDTH_MIN}\"")));
        assert_eq!(Axis::over(&[], NOW).ticks().len(), 5);
    }
}
