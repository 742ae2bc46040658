//! When something ends, and how much of its life is left, for a row of a table.

use policy::Timestamp;
use serde_json::Value;

use crate::output::{Paint, field};

const HOUR: i64 = 3_600;
const DAY: i64 = 86_400;

/// A time of an answer, where it has one.
#[derive(Clone, Copy)]
pub struct Moment(Option<Timestamp>);

impl Moment {
    /// The field `name`.
    pub fn of(item: &Value, name: &str) -> Self {
        Self(Timestamp::parse_rfc3339(&field(item, name)).ok())
    }

    /// Its day, `2026-11-27`; `-` where there is none.
    pub fn day(self) -> String {
        self.0.map_or_else(|| "-".to_owned(), |at| at.rfc3339().chars().take(10).collect())
    }

    /// Whether it has come.
    pub fn is_over(self, now: Timestamp) -> bool {
        self.0.is_some_and(|at| at < now)
    }

    /// What is left at `now` (`29d`, `15h`, `-3d`), and its colour where it is `alive`: by the share of a life that began at
    /// `from`, since a day is much of a login's and little of a CA's.
    pub fn left(self, now: Timestamp, from: Option<Moment>, alive: bool) -> (Paint, String) {
        let Some(end) = self.0 else { return (Paint::Plain, "-".to_owned()) };
        // The last second is still one of life.
        let left = end.since(now) + 1;
        let text = match left.abs() {
            secs if secs < HOUR => format!("{}m", left / 60),
            secs if secs < 2 * DAY => format!("{}h", left / HOUR),
            _ => format!("{}d", left / DAY),
        };
        if !alive || left <= 0 {
            return (Paint::Faint, text);
        }
        let life = from.and_then(|from| from.0).map_or(90 * DAY, |from| end.since(from) + 1).max(1);
        let paint = match left {
            left if left < life / 10 => Paint::Red,
            left if left < life / 3 => Paint::Yellow,
            _ => Paint::Plain,
        };
        (paint, text)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_left_is_said_in_days_or_less_and_painted_by_its_share() {
        let now = Timestamp::from_unix(1_000_000_000);
        let item =
            |from: i64, to: i64| json!({"from": now.plus_secs(from).rfc3339(), "to": now.plus_secs(to - 1).rfc3339()});
        for (from, to, alive, text, paint) in [
            (-60 * DAY, 30 * DAY, true, "30d", Paint::Plain),
            (-70 * DAY, 20 * DAY, true, "20d", Paint::Yellow),
            (-85 * DAY, 5 * DAY, true, "5d", Paint::Red),
            (-85 * DAY, 5 * DAY, false, "5d", Paint::Faint),
            (-HOUR, 15 * HOUR, true, "15h", Paint::Plain),
            (-HOUR, 600, true, "10m", Paint::Yellow),
            (-90 * DAY, -3 * DAY, true, "-3d", Paint::Faint),
        ] {
            let item = item(from, to);
            let left = Moment::of(&item, "to").left(now, Some(Moment::of(&item, "from")), alive);
            assert_eq!(left, (paint, text.to_owned()), "{from} {to}");
        }
        assert_eq!(Moment::of(&json!({}), "to").left(now, None, true).1, "-");
        assert_eq!(Moment::of(&item(0, 1), "to").day(), "2001-09-09");
    }
}
