//! Times in words: how much is left, how long ago it ended.

use policy::Timestamp;
use x509_parser::time::ASN1Time;

use super::described::Described;

/// From when to when, with what is left.
pub fn span(into: &mut Described, now: Timestamp, from: Timestamp, until: Timestamp) {
    let begins = if now < from { format!("begins in {}", words(from.since(now))) } else { String::new() };
    into.noted("not_before", written(from), begins);
    let left = until.since(now);
    let ends = match left {
        left if left < 0 => format!("EXPIRED {} ago", words(-left)),
        left => format!("{} left", words(left)),
    };
    into.noted("not_after", written(until), ends);
}

/// A time of X.509's.
pub fn moment(time: &ASN1Time) -> Timestamp {
    Timestamp::from_unix(time.timestamp())
}

/// A time as text; one beyond the years of four digits as seconds.
pub fn written(at: Timestamp) -> String {
    match at.unix() {
        YEAR_0..=YEAR_9999 => at.rfc3339(),
        secs => format!("{secs} seconds since 1970"),
    }
}

/// Seconds in the unit that people would use.
pub fn words(secs: i64) -> String {
    let (number, unit) = match secs {
        secs if secs < 2 * MINUTE => (secs, "second"),
        secs if secs < 2 * HOUR => (secs / MINUTE, "minute"),
        secs if secs < 2 * DAY => (secs / HOUR, "hour"),
        secs if secs < 2 * YEAR => (secs / DAY, "day"),
        secs => (secs / YEAR, "year"),
    };
    format!("{number} {unit}{}", if number == 1 { "" } else { "s" })
}

const MINUTE: i64 = 60;
const HOUR: i64 = 3_600;
const DAY: i64 = 86_400;
const YEAR: i64 = 31_557_600;
/// 0000-01-01 and the end of 9999.
const YEAR_0: i64 = -62_167_219_200;
const YEAR_9999: i64 = 253_402_300_799;
