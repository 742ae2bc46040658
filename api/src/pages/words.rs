//! Time for people: how long until, in two units at most, and how urgent that is.

use policy::Timestamp;

const MINUTE: i64 = 60;
const HOUR: i64 = 3_600;
const DAY: i64 = 86_400;
const YEAR: i64 = 365 * DAY;

/// The urgency of an expiry, as the class that colours it. Colour never stands alone: the words say the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    /// Past.
    Gone,
    /// Within a day.
    Due,
    /// Within a week.
    Soon,
    /// Within a month.
    Month,
    /// Within three months.
    Calm,
    /// Later.
    Far,
}

impl Tone {
    /// The tone of something that ends in so many seconds.
    pub(super) fn of(secs: i64) -> Self {
        match secs {
            i64::MIN..0 => Self::Gone,
            0..DAY => Self::Due,
            DAY..604_800 => Self::Soon,
            604_800..2_592_000 => Self::Month,
            2_592_000..7_776_000 => Self::Calm,
            7_776_000.. => Self::Far,
        }
    }

    /// The class in the stylesheet, without its `t-`.
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::Due => "due",
            Self::Soon => "soon",
            Self::Month => "month",
            Self::Calm => "calm",
            Self::Far => "far",
        }
    }
}

/// `in 3 d 4 h`, `12 min ago`.
pub(super) fn left(until: Timestamp, now: Timestamp) -> String {
    let secs = until.since(now);
    let span = span(secs.saturating_abs());
    if secs < 0 { format!("{span} ago") } else { format!("in {span}") }
}

/// A length of time in its two largest units.
fn span(secs: i64) -> String {
    let parts: [(i64, &str); 2] = match secs {
        YEAR.. => [(secs / YEAR, "y"), (secs % YEAR / DAY, "d")],
        DAY.. => [(secs / DAY, "d"), (secs % DAY / HOUR, "h")],
        HOUR.. => [(secs / HOUR, "h"), (secs % HOUR / MINUTE, "min")],
        MINUTE.. => [(secs / MINUTE, "min"), (secs % MINUTE, "s")],
        _ => [(secs, "s"), (0, "")],
    };
    let shown = |&(count, unit): &(i64, &str)| format!("{count} {unit}");
    match parts {
        [first, (0, _)] => shown(&first),
        [first, second] => format!("{} {}", shown(&first), shown(&second)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_told_in_two_units() {
        let cases = [
            (0, "in 0 s"),
            (59, "in 59 s"),
            (60, "in 1 min"),
            (3_599, "in 59 min 59 s"),
            (DAY + 5 * HOUR, "in 1 d 5 h"),
            (YEAR + 10 * DAY, "in 1 y 10 d"),
            (-2 * DAY, "2 d ago"),
            (-1, "1 s ago"),
        ];
        let now = Timestamp::from_unix(1_000_000_000);
        for (secs, told) in cases {
            assert_eq!(left(now.plus_secs(secs), now), told);
        }
    }

    #[test]
    fn urgency_has_the_edges_that_the_page_names() {
        let cases = [
            (-1, Tone::Gone),
            (0, Tone::Due),
            (DAY, Tone::Soon),
            (7 * DAY, Tone::Month),
            (30 * DAY, Tone::Calm),
            (90 * DAY, Tone::Far),
        ];
        for (secs, tone) in cases {
            assert_eq!(Tone::of(secs), tone);
        }
    }
}
