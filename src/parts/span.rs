//! A span of time as people write it: `90s`, `30m`, `16h`, `30d`, `2w`.

use std::ops::RangeInclusive;

/// So many seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span(u64);

impl Span {
    /// In seconds.
    pub fn secs(self) -> u64 {
        self.0
    }
}

/// Reads one, for the command line.
pub fn span(text: &str) -> Result<Span, String> {
    let refuse = || "write a number with s, m, h, d or w, such as 16h or 30d".to_owned();
    let (number, unit) = text.split_at(text.len() - text.chars().next_back().map_or(0, char::len_utf8));
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 604_800,
        _ => return Err(refuse()),
    };
    let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let number = digits.then(|| number.parse::<u64>().ok()).flatten();
    number.and_then(|n| n.checked_mul(unit)).map(Span).ok_or_else(refuse)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units_and_do_not_overflow() {
        for (text, secs) in [("90s", 90), ("16h", 57_600), ("30d", 2_592_000), ("2w", 1_209_600)] {
            assert_eq!(span(text).unwrap().secs(), secs);
        }
        for bad in ["", "d", "30", "30y", "-1d", "+1d", "99999999999999999999w", "3é", " 3d"] {
            assert!(span(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn within_bounds_a_number_alone_is_seconds() {
        let read = |text: &str| span_within(text, 1..=86_400).map(Span::secs);
        for (text, secs) in [("1", 1), ("60", 60), ("60s", 60), ("1m", 60), ("24h", 86_400), ("86400", 86_400)] {
            assert_eq!(read(text), Ok(secs), "{text}");
        }
        for bad in ["", "0", "0s", "2d", "86401", "m", "-1", "1.5m", "99999999999999999999"] {
            let said = read(bad).expect_err(bad);
            assert!(!said.contains("invalid digit"), "{bad}: {said}");
        }
        assert_eq!(read("2d"), Err("between 1 and 86400 seconds fit".to_owned()));
    }
}
