//! Times as these programs write them.

use policy::Timestamp;

/// `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ`, as openssl's index has it (RFC 5280 section 4.1.2.5.1: below 50 is this century).
pub(super) fn asn1(text: &str) -> Option<Timestamp> {
    let digits = text.strip_suffix('Z')?;
    if !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let (century, rest) = match digits.len() {
        12 if *digits < *"50" => ("20", digits),
        12 => ("19", digits),
        14 => digits.split_at_checked(2)?,
        _ => return None,
    };
    let part = |from: usize| rest.get(from..from + 2);
    let (year, month, day) = (part(0)?, part(2)?, part(4)?);
    let (hour, minute, second) = (part(6)?, part(8)?, part(10)?);
    Timestamp::parse_rfc3339(&format!("{century}{year}-{month}-{day}T{hour}:{minute}:{second}Z")).ok()
}

/// RFC 3339 as Go writes it: with parts of seconds, which are dropped, and in the zone of the host that wrote it.
pub(super) fn rfc3339(text: &str) -> Option<Timestamp> {
    let (local, rest) = text.split_at_checked("2006-01-02T15:04:05".len())?;
    let zone = match rest.strip_prefix('.') {
        Some(rest) => rest.trim_start_matches(|c: char| c.is_ascii_digit()),
        None => rest,
    };
    let local = Timestamp::parse_rfc3339(&format!("{local}Z")).ok()?;
    Some(local.plus_secs(-offset_secs(zone)?))
}

/// How far a zone's clocks are ahead of UTC: `Z`, `+02:00`.
fn offset_secs(zone: &str) -> Option<i64> {
    let (sign, clock) = match zone.split_at_checked(1)? {
        ("Z", "") => return Some(0),
        ("+", clock) => (1, clock),
        ("-", clock) => (-1, clock),
        _ => return None,
    };
    let (hours, minutes) = clock.split_once(':').filter(|_| clock.len() == 5)?;
    let part = |text: &str, most: i64| {
        let digits = text.len() == 2 && text.bytes().all(|digit| digit.is_ascii_digit());
        text.parse::<i64>().ok().filter(|number| digits && *number <= most)
    };
    Some(sign * (part(hours, 23)? * 3_600 + part(minutes, 59)? * 60))
}

/// Milliseconds since 1970.
pub(super) fn millis(number: i64) -> Timestamp {
    Timestamp::from_unix(number.div_euclid(1_000))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_are_read_as_each_program_writes_them() {
        let at = |text: &str| Timestamp::parse_rfc3339(text).ok();
        assert_eq!(asn1("260102030405Z"), at("2026-01-02T03:04:05Z"));
        assert_eq!(asn1("991231235959Z"), at("1999-12-31T23:59:59Z"));
        assert_eq!(asn1("20510102030405Z"), at("2051-01-02T03:04:05Z"));
        assert_eq!(rfc3339("2024-12-16T08:43:37.01260581Z"), at("2024-12-16T08:43:37Z"));
        assert_eq!(rfc3339("2024-12-16T10:43:37.5+02:00"), at("2024-12-16T08:43:37Z"));
        assert_eq!(rfc3339("2024-12-16T00:13:37-08:30"), at("2024-12-16T08:43:37Z"));
        for odd in [
            "",
            "2024-12-16T08:43:37",
            "2024-12-16T08:43:37+2:00",
            "2024-12-16T08:43:37+24:00",
            "2024-12-16T08:43:37.5",
            "2024-12-16 08:43:37Z+",
        ] {
            assert_eq!(rfc3339(odd), None, "{odd}");
        }
        assert_eq!(millis(1_700_000_000_999), Timestamp::from_unix(1_700_000_000));
        for odd in ["", "Z", "260102030405", "2601020304Z", "261302030405Z", "26010203040aZ"] {
            assert_eq!(asn1(odd), None, "{odd}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,40}") {
            let _ = (asn1(&text), rfc3339(&text));
        }
    }
}
