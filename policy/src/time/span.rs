//! A span of time as people write it: `90s`, `30m`, `1h30m`, `2d12h`, `2w`. Never a calendar: a day is 86,400 seconds, and there are no
//! months.

/// So many seconds: numbers with `s`, `m`, `h`, `d` or `w`, added up, the longer unit first and each once (Go's durations and systemd.time(7)
/// take them in any order, where `30m1h` is more often a slip than a wish). None for anything else, and for more than a `u64` holds.
pub fn span_secs(text: &str) -> Option<u64> {
    let (mut rest, mut secs, mut unit_before) = (text, 0_u64, None);
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at(digits);
        let mut after = after.chars();
        let unit = unit_secs(after.next()?)?;
        if unit_before.is_some_and(|before| unit >= before) {
            return None;
        }
        secs = secs.checked_add(number.parse::<u64>().ok()?.checked_mul(unit)?)?;
        (rest, unit_before) = (after.as_str(), Some(unit));
    }
    unit_before.map(|_| secs)
}

fn unit_secs(unit: char) -> Option<u64> {
    match unit {
        's' => Some(1),
        'm' => Some(60),
        'h' => Some(3_600),
        'd' => Some(86_400),
        'w' => Some(604_800),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_units_add_up_and_do_not_overflow() {
        for (text, secs) in [
            ("90s", 90),
            ("90m", 5_400),
            ("1h30m", 5_400),
            ("16h", 57_600),
            ("30d", 2_592_000),
            ("2d12h", 216_000),
            ("2w", 1_209_600),
            ("1w1d1h1m1s", 694_861),
            ("1d0h", 86_400),
            ("0s", 0),
        ] {
            assert_eq!(span_secs(text), Some(secs), "{text}");
        }
        for bad in [
            "",
            "d",
            "30",
            "1h30",
            "30y",
            "1h30y",
            "-1d",
            "+1d",
            "1h-30m",
            "1h 30m",
            " 3d",
            "3é",
            "1.5h",
            "h1",
            "1hm",
            // The longer first, and each once.
            "30m1h",
            "1h1h",
            "99999999999999999999w",
            "30500568904943w6d",
            "18446744073709551615s1s",
        ] {
            assert_eq!(span_secs(bad), None, "{bad}");
        }
        assert_eq!(span_secs("18446744073709551615s"), Some(u64::MAX));
    }
}
