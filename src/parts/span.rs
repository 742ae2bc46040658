//! A span of time as people write it: `90s`, `30m`, `1h30m`, `30d`, `2w`.

use std::ops::RangeInclusive;

use policy::{Timestamp, span_secs};

/// So many seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span(u64);

impl Span {
    /// In seconds.
    pub fn secs(self) -> u64 {
        self.0
    }

    /// The moment that lies so far before another; what is longer than there are times is the longest.
    pub fn before(self, now: Timestamp) -> Timestamp {
        now.plus_secs(-i64::try_from(self.0).unwrap_or(i64::MAX).min(i64::MAX / 4))
    }
}

/// Reads one, for the command line.
pub fn span(text: &str) -> Result<Span, String> {
    let refuse = || "write numbers with w, d, h, m or s, the longer unit first, such as 30d, 16h or 1h30m".to_owned();
    span_secs(text).map(Span).ok_or_else(refuse)
}

/// Reads one between two bounds, in seconds; a number alone is seconds too.
pub fn span_within(text: &str, bounds: RangeInclusive<u64>) -> Result<Span, String> {
    let is_bare = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let Span(secs) = if is_bare { span(&format!("{text}s"))? } else { span(text)? };
    match bounds.contains(&secs) {
        true => Ok(Span(secs)),
        false => Err(format!("between {} and {} seconds fit", bounds.start(), bounds.end())),
    }
}

/// Reads one of whole days, for the command line; answers how many they are.
pub fn days(text: &str) -> Result<u32, String> {
    let refuse = || "write whole days, such as 30d or 4w".to_owned();
    let Span(secs) = span(text).map_err(|_| refuse())?;
    match secs % DAY_SECS {
        0 => u32::try_from(secs / DAY_SECS).map_err(|_| refuse()),
        _ => Err(refuse()),
    }
}

const DAY_SECS: u64 = 86_400;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_as_the_profiles_have_it_and_a_refusal_says_how() {
        assert_eq!(span("1h30m").unwrap(), span("90m").unwrap());
        assert_eq!(span("2d12h").unwrap().secs(), 216_000);
        assert!(span("16").unwrap_err().contains("1h30m"));
    }

    #[test]
    fn whole_days_have_a_unit_too_and_nothing_is_rounded() {
        for (text, wanted) in [("30d", 30), ("4w", 28), ("48h", 2), ("1w2d", 9), ("0d", 0)] {
            assert_eq!(days(text), Ok(wanted), "{text}");
        }
        for bad in ["30", "36h", "", "-1d", "1.5d", "99999999999999d"] {
            assert_eq!(days(bad), Err("write whole days, such as 30d or 4w".to_owned()), "{bad}");
        }
    }

    #[test]
    fn a_moment_lies_a_span_before_another() {
        let now = Timestamp::from_unix(1_800_000_000);
        assert_eq!(span("1h").unwrap().before(now), now.plus_secs(-3_600));
        assert!(Span(u64::MAX).before(now) < now);
    }

    #[test]
    fn within_bounds_a_number_alone_is_seconds() {
        let read = |text: &str| span_within(text, 1..=86_400).map(Span::secs);
        for (text, secs) in [("1", 1), ("60", 60), ("60s", 60), ("1m", 60), ("24h", 86_400), ("1h30m", 5_400)] {
            assert_eq!(read(text), Ok(secs), "{text}");
        }
        for bad in ["", "0", "0s", "2d", "86401", "m", "-1", "1.5m", "1m30", "99999999999999999999"] {
            let said = read(bad).expect_err(bad);
            assert!(!said.contains("invalid digit"), "{bad}: {said}");
        }
        assert_eq!(read("2d"), Err("between 1 and 86400 seconds fit".to_owned()));
    }
}
