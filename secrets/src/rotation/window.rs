//! Maintenance windows: on which days of the week, and between which times of day, UTC.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// When work may be begun: `Sat,Sun 01:00-05:00`, `Mon-Fri 22:00-04:00`, `daily 00:00-24:00`. A window that ends before it begins goes
/// over midnight, and its day is the one on which it begins. UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Window {
    /// Bit 0 is Monday.
    days: u8,
    /// Minutes of the day.
    from: u64,
    /// How many minutes it is open: 1 to 1,440.
    length: u64,
}

/// A window that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a window is days and times in UTC: Sat,Sun 01:00-05:00, Mon-Fri 22:00-04:00, or daily 00:00-24:00")]
pub struct WindowError;

impl Window {
    /// Whether it is open.
    pub fn is_open(&self, now: u64) -> bool {
        self.opens(now) == now
    }

    /// When it is open next: `now` where it is open already.
    pub fn opens(&self, now: u64) -> u64 {
        let today = now / DAY_SECS;
        // The one that began yesterday may still be open; within seven days each has its turn.
        let days = today.saturating_sub(1)..=today.saturating_add(7);
        let of_day = |day: u64| {
            let from = day.checked_mul(DAY_SECS)?.checked_add(self.from * 60)?;
            (self.is_on(day) && now < from.checked_add(self.length * 60)?).then_some(from.max(now))
        };
        days.filter_map(of_day).next().unwrap_or(now)
    }

    fn is_on(&self, day: u64) -> bool {
        // 1970-01-01 was a Thursday.
        self.days & (1 << ((day + 3) % 7)) != 0
    }
}

impl FromStr for Window {
    type Err = WindowError;

    fn from_str(text: &str) -> Result<Self, WindowError> {
        let (days, times) = text.split_once(' ').ok_or(WindowError)?;
        let (from, to) = times.split_once('-').ok_or(WindowError)?;
        let (days, from, to) = (days_of(days)?, minute_of(from)?, minute_of(to)?);
        let is_whole = from == to || from == DAY_MINUTES || to == 0;
        let length = if to > from { to - from } else { to + DAY_MINUTES - from };
        (!is_whole).then_some(Window { days, from, length }).ok_or(WindowError)
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> =
            (0..7).zip(DAYS).filter(|(day, _)| self.days & (1 << day) != 0).map(|(_, n)| n).collect();
        let days = if names.len() == DAYS.len() { "daily".to_owned() } else { names.join(",") };
        let end = self.from + self.length;
        let to = if end > DAY_MINUTES { end - DAY_MINUTES } else { end };
        write!(f, "{days} {:02}:{:02}-{:02}:{:02}", self.from / 60, self.from % 60, to / 60, to % 60)
    }
}

impl TryFrom<String> for Window {
    type Error = WindowError;

    fn try_from(text: String) -> Result<Self, WindowError> {
        text.parse()
    }
}

impl From<Window> for String {
    fn from(window: Window) -> String {
        window.to_string()
    }
}

fn days_of(text: &str) -> Result<u8, WindowError> {
    if text == "daily" {
        return Ok(0x7f);
    }
    text.split(',').try_fold(0, |days, part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (day_of(first)?, day_of(last)?);
        // Fri-Mon goes over Sunday.
        let many = (last + 7 - first) % 7;
        Ok((0..=many).fold(days, |days, more| days | 1 << ((first + more) % 7)))
    })
}

fn day_of(text: &str) -> Result<usize, WindowError> {
    DAYS.iter().position(|day| *day == text).ok_or(WindowError)
}

fn minute_of(text: &str) -> Result<u64, WindowError> {
    let (hour, minute) = text.split_once(':').ok_or(WindowError)?;
    let number = |part: &str| match part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit()) {
        true => part.parse::<u64>().map_err(|_| WindowError),
        false => Err(WindowError),
    };
    let (hour, minute) = (number(hour)?, number(minute)?);
    let is_time = minute < 60 && hour * 60 + minute <= DAY_MINUTES;
    is_time.then_some(hour * 60 + minute).ok_or(WindowError)
}

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const DAY_SECS: u64 = 86_400;
const DAY_MINUTES: u64 = 1_440;

#[cfg(test)]
mod tests {
    use super::*;

    /// Monday, 2024-01-01 00:00:00 UTC.
    const MONDAY: u64 = 1_704_067_200;
    const HOUR: u64 = 3_600;

    #[test]
    fn a_window_opens_on_its_days_and_goes_over_midnight() {
        let nights: Window = "Mon-Fri 22:00-04:00".parse().unwrap();
        let cases = [
            // Sunday's night is none, so Monday's small hours are closed.
            (MONDAY, MONDAY + 22 * HOUR),
            (MONDAY + 22 * HOUR - 1, MONDAY + 22 * HOUR),
            (MONDAY + 23 * HOUR, MONDAY + 23 * HOUR),
            (MONDAY + 28 * HOUR - 1, MONDAY + 28 * HOUR - 1),
            (MONDAY + 28 * HOUR, MONDAY + 46 * HOUR),
            // Friday's night is open on Saturday, then nothing until Monday.
            (MONDAY + 5 * 24 * HOUR + HOUR, MONDAY + 5 * 24 * HOUR + HOUR),
            (MONDAY + 5 * 24 * HOUR + 4 * HOUR, MONDAY + 7 * 24 * HOUR + 22 * HOUR),
        ];
        for (now, opens) in cases {
            assert_eq!(nights.opens(now), opens, "{now}");
            assert_eq!(nights.is_open(now), opens == now, "{now}");
        }
        let always: Window = "daily 00:00-24:00".parse().unwrap();
        assert!((0..200).all(|hour| always.is_open(MONDAY + hour * HOUR)));
        assert_eq!(always.opens(u64::MAX), u64::MAX);
    }

    #[test]
    fn a_window_has_one_text() {
        for (text, written) in [
            ("Sat,Sun 01:00-05:00", "Sat,Sun 01:00-05:00"),
            ("Mon-Sun 00:00-24:00", "daily 00:00-24:00"),
            ("Fri-Mon 22:30-00:30", "Mon,Fri,Sat,Sun 22:30-00:30"),
        ] {
            assert_eq!(text.parse::<Window>().unwrap().to_string(), written);
            assert_eq!(written.parse::<Window>().unwrap().to_string(), written);
        }
        for bad in
            ["", "daily", "daily 1:00-2:00", "Mon 01:00-01:00", "Mon 24:00-01:00", "Mon 10:00-00:00", "mon 01:00-02:00"]
        {
            assert!(bad.parse::<Window>().is_err(), "{bad:?}");
        }
        for bad in
            ["Mon 01:60-02:00", "Mon 25:00-26:00", "Mon- 01:00-02:00", "Mon +1:00-02:00", "Mon 01:00-02:00-03:00"]
        {
            assert!(bad.parse::<Window>().is_err(), "{bad:?}");
        }
    }
}
