//! Words for people: times, counts, how long until (in two units at most), and how urgent that is.

use policy::Timestamp;
use store::{Credential, Kind};

use crate::observe::inventory::Standing;

const MINUTE: i64 = 60;
const HOUR: i64 = 3_600;
const DAY: i64 = 86_400;
const YEAR: i64 = 365 * DAY;

/// How urgent the end of a credential is, as the class that colours it: by its life and the point of its renewal, not by days.
/// Colour never stands alone: the words say the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    /// Past, and nothing took its place.
    Gone,
    /// Past the point of its renewal, and nobody renewed it.
    Act,
    /// In time.
    Calm,
    /// Over, and nobody's any more: replaced, revoked, failed.
    Quiet,
}

impl Tone {
    /// Of a credential, with whether something took its place.
    pub(super) fn of(credential: &Credential, replaced: bool, now: Timestamp) -> Self {
        let looks = credential.look_at().is_some_and(|at| at <= now);
        match Standing::of(credential, now) {
            Standing::Failed | Standing::Revoked | Standing::Held => Self::Quiet,
            Standing::Expired | Standing::Issued if replaced => Self::Quiet,
            Standing::Expired => Self::Gone,
            Standing::Issued | Standing::Intended if looks => Self::Act,
            Standing::Issued | Standing::Intended => Self::Calm,
        }
    }

    /// The class in the stylesheet, without its `t-`.
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::Act => "act",
            Self::Calm => "calm",
            Self::Quiet => "quiet",
        }
    }
}

/// A credential's kind, for people.
pub(super) fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::CaCertificate => "CA certificate",
        Kind::Certificate => "certificate",
        Kind::SshUser => "SSH user",
        Kind::SshHost => "SSH host",
        Kind::CodeSignature => "code signature",
        Kind::Crl => "CRL",
        Kind::OcspBatch => "OCSP responses",
        Kind::CaRequest => "CA request",
    }
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Year, month, day, and the time: from the one text of a moment.
fn parts(at: Timestamp) -> (String, &'static str, String, String) {
    let text = at.rfc3339();
    let part = |from: usize, to: usize| text.get(from..to).unwrap_or_default();
    let month = part(5, 7).parse::<usize>().ok().and_then(|month| MONTHS.get(month.wrapping_sub(1)));
    let day = part(8, 10).trim_start_matches('0').to_owned();
    (part(0, 4).to_owned(), month.copied().unwrap_or_default(), day, part(11, 16).to_owned())
}

/// `3 Dec 2026`.
pub(super) fn day(at: Timestamp) -> String {
    let (year, month, day, _) = parts(at);
    format!("{day} {month} {year}")
}

/// `3 Dec 2026, 14:05`: in UTC, as everything here.
pub(super) fn moment(at: Timestamp) -> String {
    let (year, month, day, time) = parts(at);
    format!("{day} {month} {year}, {time}")
}

/// `3 Dec 2026, 14:05:09 UTC`: where seconds count.
pub(super) fn instant(at: Timestamp) -> String {
    let text = at.rfc3339();
    format!("{}:{} UTC", moment(at), text.get(17..19).unwrap_or_default())
}

/// A place on an axis of so many seconds: `14:00`, `3 Dec`, `Dec 2026`.
pub(super) fn tick(at: Timestamp, secs: i64) -> String {
    let (year, month, day, time) = parts(at);
    match secs {
        ..=172_800 => time,
        172_801..=31_622_400 => format!("{day} {month}"),
        31_622_401.. => format!("{month} {year}"),
    }
}

/// `1 certificate`, `2 certificates`.
pub(super) fn many(count: u64, one: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{} {one}s", grouped(count)) }
}

/// `12 345`: with narrow spaces that do not break.
pub(super) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() * 2);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// `in 3 d 4 h`, `12 min ago`.
pub(super) fn left(until: Timestamp, now: Timestamp) -> String {
    let secs = until.since(now);
    let span = span(secs.saturating_abs());
    if secs < 0 { format!("{span} ago") } else { format!("in {span}") }
}

/// `this hour`, `3 h ago`, `2 d ago`: of readings the register knows the hour, and of each hour the first.
pub(super) fn hours_ago(at: Timestamp, now: Timestamp) -> String {
    match now.unix().div_euclid(HOUR) - at.unix().div_euclid(HOUR) {
        ..=0 => "this hour".to_owned(),
        hours if hours < 2 * DAY / HOUR => format!("{hours} h ago"),
        hours => format!("{} d ago", hours / (DAY / HOUR)),
    }
}

/// `3 Dec 2026, 14:00 to 15:00`: the hour of a moment.
pub(super) fn hour(at: Timestamp) -> String {
    let begin = at.plus_secs(-at.unix().rem_euclid(HOUR));
    let (_, _, _, end) = parts(begin.plus_secs(HOUR));
    format!("{} to {end}", moment(begin))
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
    fn of_a_reading_the_hour_is_told_and_no_minute() {
        let time = |text: &str| Timestamp::parse_rfc3339(text).expect("a time");
        let now = time("2026-11-29T12:35:00Z");
        let cases = [
            ("2026-11-29T12:30:09Z", "this hour"),
            ("2026-11-29T13:00:00Z", "this hour"),
            ("2026-11-29T11:59:59Z", "1 h ago"),
            ("2026-11-27T13:00:00Z", "47 h ago"),
            ("2026-11-27T12:00:00Z", "2 d ago"),
        ];
        for (at, told) in cases {
            assert_eq!(hours_ago(time(at), now), told, "{at}");
        }
        assert_eq!(hour(time("2026-11-29T12:30:09Z")), "29 Nov 2026, 12:00 to 13:00");
    }

    #[test]
    fn a_moment_is_told_as_people_write_it() {
        let at = Timestamp::parse_rfc3339("2026-12-03T04:05:06Z").expect("a time");
        assert_eq!((day(at).as_str(), moment(at).as_str()), ("3 Dec 2026", "3 Dec 2026, 04:05"));
        assert_eq!(instant(at), "3 Dec 2026, 04:05:06 UTC");
        let ticks = [DAY, 90 * DAY, 3 * YEAR].map(|secs| tick(at, secs));
        assert_eq!(ticks, ["04:05", "3 Dec", "Dec 2026"]);
    }

    #[test]
    fn counts_are_read_at_a_glance() {
        assert_eq!(many(1, "certificate"), "1 certificate");
        assert_eq!(many(1_234_567, "certificate"), "1\u{202f}234\u{202f}567 certificates");
        assert_eq!(grouped(999), "999");
    }
}
