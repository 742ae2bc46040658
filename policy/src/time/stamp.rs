//! A point in time: whole seconds, UTC, inside the years that RFC 3339 and X.509 can write (0000 to 9999).
//!
//! Never reads a clock: that is [`crate::time::world::World`]'s. Leap seconds do not exist here, as in POSIX time.

use std::fmt;
use std::str::FromStr;

use crate::text::{Malformed, serde_as_text};

/// Seconds since 1970-01-01T00:00:00Z, clamped to the years 0000..=9999. Its text form is RFC 3339 with a `Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// 0000-01-01T00:00:00Z, the first second RFC 3339 can write.
    pub const MIN: Timestamp = Timestamp(-62_167_219_200);
    /// 9999-12-31T23:59:59Z, the last second GeneralizedTime can write (RFC 5280 section 4.1.2.5).
    pub const MAX: Timestamp = Timestamp(253_402_300_799);
    /// Clocks that are kept (by NTP) differ by less, in seconds; a clock that somebody set differs by more.
    pub const SLIP_SECS: i64 = 300;

    /// Seconds since the epoch; what lies outside the writable years becomes the nearest writable second.
    pub const fn from_unix(secs: i64) -> Timestamp {
        if secs < Timestamp::MIN.0 {
            Timestamp::MIN
        } else if secs > Timestamp::MAX.0 {
            Timestamp::MAX
        } else {
            Timestamp(secs)
        }
    }

    /// Seconds since the epoch.
    pub const fn unix(self) -> i64 {
        self.0
    }

    /// `secs` later (earlier if negative), clamped.
    #[must_use]
    pub const fn plus_secs(self, secs: i64) -> Timestamp {
        Timestamp::from_unix(self.0.saturating_add(secs))
    }

    /// Seconds from `earlier` to `self`; negative if it is the other way round.
    pub const fn since(self, earlier: Timestamp) -> i64 {
        self.0 - earlier.0
    }

    /// Seconds that have gone by at this time since `at`, which a clock wrote down; 0 where `at` is later by no more than kept clocks
    /// differ ([`Self::SLIP_SECS`]).
    ///
    /// None where it is later by more: the clock that wrote it was ahead, and an operator's word put the time right since. Nothing is
    /// counted from such a time: what waited for it would wait for as long as that clock was ahead.
    pub const fn elapsed_since(self, at: Timestamp) -> Option<i64> {
        match self.since(at) {
            secs if secs >= 0 => Some(secs),
            secs if secs >= -Timestamp::SLIP_SECS => Some(0),
            _ => None,
        }
    }

    /// Whether what was done at `last`, and is done every `every_secs`, is due at this time. A `last` that a clock wrote which was ahead
    /// ([`Self::elapsed_since`]) holds nothing up.
    pub const fn is_due(self, last: Timestamp, every_secs: i64) -> bool {
        match self.elapsed_since(last) {
            Some(secs) => secs >= every_secs,
            None => true,
        }
    }

    /// Whether what was taken until `until`, and for `secs_max` at most, is held at this time yet. What would be held for longer than that
    /// was taken by a clock that was ahead, and is over.
    pub const fn is_held(self, until: Timestamp, secs_max: i64) -> bool {
        let left = until.since(self);
        left > 0 && left <= secs_max.saturating_add(Timestamp::SLIP_SECS)
    }

    /// `2026-08-21T09:05:00Z`.
    pub fn rfc3339(self) -> String {
        self.to_string()
    }

    /// Exactly `YYYY-MM-DDTHH:MM:SSZ`: no offset, no fraction, no leap second. One moment has one spelling.
    pub fn parse_rfc3339(text: &str) -> Result<Timestamp, Malformed> {
        let refuse = |why: &str| Malformed::new("time", text, why);
        let bytes: &[u8; 20] = text.as_bytes().try_into().map_err(|_| refuse("write it as 2026-08-21T09:05:00Z"))?;
        let punctuation = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':'), (19, b'Z')];
        if punctuation.iter().any(|&(at, mark)| bytes.get(at) != Some(&mark)) {
            return Err(refuse("write it as 2026-08-21T09:05:00Z"));
        }
        let number = |from: usize, to: usize| -> Result<i64, Malformed> {
            let digits = bytes.get(from..to).filter(|d| d.iter().all(u8::is_ascii_digit));
            let digits = digits.ok_or_else(|| refuse("write it as 2026-08-21T09:05:00Z"))?;
            Ok(digits.iter().fold(0, |n, d| n * 10 + i64::from(d - b'0')))
        };
        let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
        let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
        if !(1..=12).contains(&month) || day < 1 || day > days_in_month(year, month) {
            return Err(refuse("there is no such day"));
        }
        if hour > 23 || minute > 59 || second > 59 {
            return Err(refuse("there is no such time of day"));
        }
        Ok(Timestamp(days_from_civil(year, month, day) * DAY_SECS + hour * 3600 + minute * 60 + second))
    }

    /// Every way in which RFC 3339 section 5.6 writes a moment: with an offset, a fraction, small letters, a leap second. What
    /// comes from others is read with this; what is ours has one spelling ([`Self::parse_rfc3339`]).
    ///
    /// A fraction is cut off and a leap second is the second before it: never later than what was written.
    pub fn read_rfc3339(text: &str) -> Result<Timestamp, Malformed> {
        let refuse = |why: &str| Malformed::new("time", text, why);
        let shape = || refuse("write it as 2026-08-21T09:05:00Z or 2026-08-21T11:05:00+02:00");
        let (date, rest) = text.split_at_checked(10).ok_or_else(shape)?;
        let (clock, rest) =
            rest.strip_prefix(['T', 't', ' ']).and_then(|rest| rest.split_at_checked(8)).ok_or_else(shape)?;
        let zone = match rest.strip_prefix('.') {
            None => rest,
            Some(fraction) => {
                let zone = fraction.trim_start_matches(|digit: char| digit.is_ascii_digit());
                if zone.len() == fraction.len() { Err(shape())? } else { zone }
            }
        };
        let offset = offset_secs(zone).ok_or_else(shape)?;
        let (to_the_minute, is_leap) = match clock.strip_suffix(":60") {
            Some(to_the_minute) => (format!("{to_the_minute}:59"), true),
            None => (clock.to_owned(), false),
        };
        let local = Timestamp::parse_rfc3339(&format!("{date}T{to_the_minute}Z")).map_err(|why| refuse(why.why()))?;
        let secs = local.0 - offset;
        if is_leap && secs.rem_euclid(DAY_SECS) != DAY_SECS - 1 {
            return Err(refuse("a leap second is the last of a day in UTC"));
        }
        match (Timestamp::MIN.0..=Timestamp::MAX.0).contains(&secs) {
            true => Ok(Timestamp(secs)),
            false => Err(refuse("it is outside the years 0000 to 9999 in UTC")),
        }
    }
}

/// Seconds east of UTC: `Z`, `+02:00`, `-08:30`.
fn offset_secs(zone: &str) -> Option<i64> {
    if matches!(zone, "Z" | "z") {
        return Some(0);
    }
    let (sign, clock) = match zone.split_at_checked(1)? {
        ("+", clock) => (1, clock),
        ("-", clock) => (-1, clock),
        _ => return None,
    };
    let (hours, minutes) = clock.split_once(':')?;
    let number = |digits: &str, most: i64| {
        let is_number = digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_digit());
        digits.parse::<i64>().ok().filter(|number| is_number && *number <= most)
    };
    Some(sign * (number(hours, 23)? * 3600 + number(minutes, 59)? * 60))
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, secs) = (self.0.div_euclid(DAY_SECS), self.0.rem_euclid(DAY_SECS));
        let (year, month, day) = civil_from_days(days);
        let (hour, minute, second) = (secs / 3600, secs / 60 % 60, secs % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

impl FromStr for Timestamp {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Timestamp, Malformed> {
        Timestamp::parse_rfc3339(text)
    }
}

serde_as_text!(Timestamp);

/// Days since the epoch of a proleptic Gregorian date. The year is taken to begin in March, so that the leap day is its
/// last: then the days before a month are a straight line.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * ERA_DAYS + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - EPOCH_DAYS
}

/// The inverse of [`days_from_civil`].
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + EPOCH_DAYS;
    let (era, day_of_era) = (days.div_euclid(ERA_DAYS), days.rem_euclid(ERA_DAYS));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

const DAY_SECS: i64 = 86_400;
/// Days of 400 Gregorian years.
const ERA_DAYS: i64 = 146_097;
/// Days from 0000-03-01 to 1970-01-01.
const EPOCH_DAYS: i64 = 719_468;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_moments_read_and_write_as_the_world_does() {
        // Figures from `date -u -d @N +%FT%TZ`.
        for (secs, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_164_800, "2024-02-29T00:00:00Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (2_147_483_648, "2038-01-19T03:14:08Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (Timestamp::MIN.0, "0000-01-01T00:00:00Z"),
            (Timestamp::MAX.0, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(Timestamp::from_unix(secs).rfc3339(), text);
            assert_eq!(Timestamp::parse_rfc3339(text).map(Timestamp::unix), Ok(secs), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_moment_is_refused() {
        for text in [
            "",
            "2026-08-21",
            "2026-08-21T09:05:00",
            "2026-08-21T09:05:00z",
            "2026-08-21 09:05:00Z",
            "2026-08-21T09:05:00+02:00",
            "2026-08-21T09:05:00.5Z",
            "2026-02-29T00:00:00Z",
            "2100-02-29T00:00:00Z",
            "2026-04-31T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-01-00T00:00:00Z",
            "2026-08-21T24:00:00Z",
            "2016-12-31T23:59:60Z",
            "+026-08-21T09:05:00Z",
            "２026-08-21T09:05Z",
        ] {
            assert!(Timestamp::parse_rfc3339(text).is_err(), "{text}");
        }
    }

    #[test]
    fn every_form_of_rfc_3339_is_read_as_the_moment_it_is() {
        for (written, moment) in [
            ("2026-08-21T09:05:00Z", "2026-08-21T09:05:00Z"),
            ("2026-08-21t09:05:00z", "2026-08-21T09:05:00Z"),
            ("2026-08-21 09:05:00Z", "2026-08-21T09:05:00Z"),
            ("2026-08-21T09:05:00.999999999Z", "2026-08-21T09:05:00Z"),
            ("2026-08-21T11:05:00+02:00", "2026-08-21T09:05:00Z"),
            ("2026-08-21T00:35:00.5-08:30", "2026-08-21T09:05:00Z"),
            ("2026-08-21T09:05:00-00:00", "2026-08-21T09:05:00Z"),
            ("2026-01-01T00:30:00+01:00", "2025-12-31T23:30:00Z"),
            ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59Z"),
            ("1990-12-31T15:59:60-08:00", "1990-12-31T23:59:59Z"),
        ] {
            assert_eq!(Timestamp::read_rfc3339(written).map(Timestamp::rfc3339), Ok(moment.to_owned()), "{written}");
        }
        for text in [
            "",
            "2026-08-21",
            "2026-08-21T09:05:00",
            "2026-08-21T09:05Z",
            "2026-08-21T09:05:00.Z",
            "2026-08-21T09:05:00,5Z",
            "2026-08-21T09:05:00+0200",
            "2026-08-21T09:05:00+24:00",
            "2026-08-21T09:05:00+02:60",
            "2026-08-21T09:05:00+2:00",
            "2026-08-21T09:05:00+02:00Z",
            "2026-08-21T09:05:60Z",
            "2016-12-31T23:59:61Z",
            "2026-02-29T00:00:00+01:00",
            "0000-01-01T00:00:00+01:00",
            "9999-12-31T23:59:59-01:00",
            "2026-08-21T09:05:00+-1:00",
            "2026-08-2é09:05:00Z",
        ] {
            assert!(Timestamp::read_rfc3339(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_moment_outside_the_writable_years_becomes_the_nearest_writable_one() {
        assert_eq!(Timestamp::from_unix(i64::MAX), Timestamp::MAX);
        assert_eq!(Timestamp::from_unix(i64::MIN), Timestamp::MIN);
        assert_eq!(Timestamp::MAX.plus_secs(1), Timestamp::MAX);
        assert_eq!(Timestamp::from_unix(0).plus_secs(i64::MIN), Timestamp::MIN);
    }

    #[test]
    fn what_a_clock_wrote_that_was_ahead_holds_nothing_up() {
        let now = Timestamp::from_unix(1_800_000_000);
        let (slip, year) = (Timestamp::SLIP_SECS, 365 * DAY_SECS);
        for (at, elapsed, is_due) in [
            (-60, Some(60), true),
            (-59, Some(59), false),
            (0, Some(0), false),
            // Another node's clock may be a little ahead of this one.
            (slip, Some(0), false),
            (slip + 1, None, true),
            (year, None, true),
        ] {
            let at = now.plus_secs(at);
            assert_eq!((now.elapsed_since(at), now.is_due(at, 60)), (elapsed, is_due), "{at}");
        }
        for (until, is_held) in
            [(0, false), (1, true), (60, true), (60 + slip, true), (61 + slip, false), (year, false)]
        {
            assert_eq!(now.is_held(now.plus_secs(until), 60), is_held, "{until}");
        }
        assert!(Timestamp::MIN.is_due(Timestamp::MAX, i64::MAX) && Timestamp::MIN.is_held(Timestamp::MAX, i64::MAX));
    }

    proptest! {
        #[test]
        fn every_moment_survives_its_text_form(secs in Timestamp::MIN.0..=Timestamp::MAX.0) {
            let moment = Timestamp::from_unix(secs);
            prop_assert_eq!(Timestamp::parse_rfc3339(&moment.rfc3339()), Ok(moment));
            prop_assert_eq!(serde_json::from_str::<Timestamp>(&serde_json::to_string(&moment).unwrap()).unwrap(), moment);
        }

        #[test]
        fn text_order_is_time_order(a in Timestamp::MIN.0..=Timestamp::MAX.0, b in Timestamp::MIN.0..=Timestamp::MAX.0) {
            let (a, b) = (Timestamp::from_unix(a), Timestamp::from_unix(b));
            prop_assert_eq!(a.cmp(&b), a.rfc3339().cmp(&b.rfc3339()));
        }

        #[test]
        fn no_text_panics_the_parser(text in "\\PC{0,24}") {
            let _ = Timestamp::parse_rfc3339(&text);
            let _ = Timestamp::read_rfc3339(&text);
        }
    }
}
