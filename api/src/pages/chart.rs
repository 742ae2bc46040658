//! What ends when, on a true axis of time: equal parts of the span stand for equal times. Drawn on the server as SVG; each bar is a
//! link to the list of what it counts, and its words stand beside it, so that nothing is in the drawing alone.
//!
//! A bar is split: what somebody must act for now, and what is in time. Only numbers, times and our own words go into it, never
//! anything a caller chose.

use std::fmt::Write;

use policy::Timestamp;
use store::Outlook;

use super::words::{day, moment, tick};

const HOUR: i64 = 3_600;

/// A span ahead, cut into bars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) word: &'static str,
    pub(super) label: &'static str,
    bar_hours: i64,
    bars: i64,
}

/// The spans there are, the shortest first. A bar is at most so narrow that a finger finds it on the narrowest telephone.
pub(super) const SPANS: [Span; 5] = [
    Span { word: "day", label: "24 hours", bar_hours: 1, bars: 24 },
    Span { word: "week", label: "7 days", bar_hours: 6, bars: 28 },
    Span { word: "month", label: "30 days", bar_hours: 24, bars: 30 },
    Span { word: "quarter", label: "90 days", bar_hours: 72, bars: 30 },
    Span { word: "years", label: "3 years", bar_hours: 24 * 37, bars: 30 },
];

impl Span {
    /// The span asked for; else the shortest that has nine tenths of what there is.
    pub(super) fn chosen(asked: &str, now: Timestamp, outlook: &Outlook) -> Span {
        let total: u64 = outlook.hours.iter().map(|hour| hour.live).sum();
        let has = |span: &Span| {
            let until = span.begin(now).plus_secs(span.secs());
            let within = outlook.hours.iter().filter(|hour| hour.begins < until);
            within.map(|hour| hour.live).sum::<u64>() * 10 >= total * 9
        };
        let [.., quarter, longest] = SPANS;
        let named = SPANS.into_iter().find(|span| span.word == asked);
        named.unwrap_or_else(|| if total == 0 { quarter } else { SPANS.into_iter().find(has).unwrap_or(longest) })
    }

    fn secs(self) -> i64 {
        self.bar_hours * self.bars * HOUR
    }

    /// From when to when it goes.
    pub(super) fn between(self, now: Timestamp) -> (Timestamp, Timestamp) {
        (self.begin(now), self.begin(now).plus_secs(self.secs()))
    }

    /// Where the first bar begins: on the hour, as the register counts.
    fn begin(self, now: Timestamp) -> Timestamp {
        Timestamp::from_unix(now.unix().div_euclid(HOUR) * HOUR)
    }
}

/// A part of the axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bar {
    from: Timestamp,
    to: Timestamp,
    all: u64,
    /// What somebody must act for.
    act: u64,
    /// Secrets that end then, beside all these.
    secrets: u64,
}

/// The drawing with what stands beside it.
pub(super) struct Chart {
    pub(super) svg: String,
    /// The words under the axis, at equal distances.
    pub(super) ticks: Vec<String>,
    /// The most that one bar has.
    pub(super) most: u64,
    /// How long a bar is.
    pub(super) bar: String,
    /// What ends beyond the axis, and from when.
    pub(super) beyond: u64,
    pub(super) end: Timestamp,
    pub(super) span: Span,
}

/// Draws an outlook, and when secrets end on top of it. `list`, `secrets_list`: the addresses of the lists of what ends from one time on
/// and before another.
pub(super) fn draw(
    (outlook, secrets): (&Outlook, &[Timestamp]),
    now: Timestamp,
    span: Span,
    list: impl Fn(Timestamp, Timestamp) -> String,
    secrets_list: impl Fn(Timestamp, Timestamp) -> String,
) -> Chart {
    let (begin, end) = span.between(now);
    let bars = bars(outlook, secrets, begin, span);
    let most = bars.iter().map(|bar| bar.all + bar.secrets).max().unwrap_or(0);
    let beyond = outlook.hours.iter().filter(|hour| hour.begins >= end).map(|hour| hour.live).sum();
    let mut svg = String::with_capacity(8_192);
    // Writing to a String does not fail.
    let _ = write!(
        svg,
        "<svg viewBox=\"0 0 {} 100\" preserveAspectRatio=\"none\" role=\"group\" aria-label=\"Certificates and secrets by the time of their end\">",
        span.bars * STEP
    );
    for (place, bar) in (0..).zip(&bars) {
        draw_bar(&mut svg, place, bar, most, span, &list(bar.from, bar.to));
        draw_secrets(&mut svg, place, bar, most, span, &secrets_list(bar.from, bar.to));
    }
    svg.push_str("</svg>");
    let quarter = span.secs() / TICKS;
    let ticks = (0..=TICKS).map(|part| tick(begin.plus_secs(part * quarter), span.secs())).collect();
    let bar = match span.bar_hours {
        1 => "an hour".to_owned(),
        24 => "a day".to_owned(),
        hours if hours % 24 == 0 => format!("{} days", hours / 24),
        hours => format!("{hours} hours"),
    };
    Chart { svg, ticks, most, bar, beyond, end, span }
}

/// Parts between the words under the axis.
const TICKS: i64 = 4;
/// Units of the drawing from one bar to the next, and of those the bar's own.
const STEP: i64 = 10;
const WIDTH: i64 = 8;
/// Something is never drawn as nothing.
const HEIGHT_MIN: u64 = 3;

fn bars(outlook: &Outlook, secrets: &[Timestamp], begin: Timestamp, span: Span) -> Vec<Bar> {
    let secs = span.bar_hours * HOUR;
    let mut bars: Vec<Bar> = (0..span.bars)
        .map(|n| Bar {
            from: begin.plus_secs(n * secs),
            to: begin.plus_secs((n + 1) * secs),
            all: 0,
            act: 0,
            secrets: 0,
        })
        .collect();
    let mut on = |at: Timestamp, count: fn(&mut Bar, u64), by: u64| {
        let place = usize::try_from(at.since(begin).div_euclid(secs)).ok();
        if let Some(bar) = place.and_then(|place| bars.get_mut(place)) {
            count(bar, by);
        }
    };
    for hour in &outlook.hours {
        on(hour.begins, |bar, by| bar.all += by, hour.live);
    }
    for (at, _) in &outlook.acts {
        on(*at, |bar, by| bar.act += by, 1);
    }
    for at in secrets {
        on(*at, |bar, by| bar.secrets += by, 1);
    }
    bars
}

fn draw_bar(svg: &mut String, place: i64, bar: &Bar, most: u64, span: Span, list: &str) {
    if bar.all == 0 {
        return;
    }
    let (act, calm) = bar.heights(most);
    let x = place * STEP + (STEP - WIDTH) / 2;
    let words = bar.in_words(span);
    let _ = write!(
        svg,
        "<a href=\"{}\" aria-label=\"{words}\"><title>{words}</title>\
         <rect class=\"reach\" x=\"{}\" y=\"0\" width=\"{STEP}\" height=\"100\"/>",
        list.replace('&', "&amp;"),
        place * STEP
    );
    let mut rect = |class: &str, top: u64, height: u64| {
        if height > 0 {
            let _ =
                write!(svg, "<rect class=\"{class}\" x=\"{x}\" y=\"{top}\" width=\"{WIDTH}\" height=\"{height}\"/>");
        }
    };
    rect("act", 100_u64.saturating_sub(act), act);
    rect("calm", 100_u64.saturating_sub(act + calm), calm);
    svg.push_str("</a>");
}

/// The secrets of a bar, on top of it, with a link of their own.
fn draw_secrets(svg: &mut String, place: i64, bar: &Bar, most: u64, span: Span, list: &str) {
    if bar.secrets == 0 {
        return;
    }
    let (act, calm) = bar.heights(most);
    let height = height(bar.secrets, most);
    let (x, y) = (place * STEP + (STEP - WIDTH) / 2, 100_u64.saturating_sub(act + calm + height));
    let end = if bar.secrets == 1 { "1 secret ends" } else { &format!("{} secrets end", bar.secrets) };
    let words = format!("{}: {end}", bar.when(span));
    let _ = write!(
        svg,
        "<a href=\"{}\" aria-label=\"{words}\"><title>{words}</title>\
         <rect class=\"secret\" x=\"{x}\" y=\"{y}\" width=\"{WIDTH}\" height=\"{height}\"/></a>",
        list.replace('&', "&amp;")
    );
}

impl Bar {
    /// How high what needs attention is drawn, and what is in time.
    fn heights(&self, most: u64) -> (u64, u64) {
        (height(self.act.min(self.all), most), height(self.all.saturating_sub(self.act), most))
    }

    fn when(&self, span: Span) -> String {
        match span.bar_hours {
            24 => day(self.from),
            hours if hours > 24 => format!("{} to {}", day(self.from), day(self.to.plus_secs(-1))),
            _ => format!("{} to {}", moment(self.from), moment(self.to)),
        }
    }

    fn in_words(&self, span: Span) -> String {
        let when = self.when(span);
        let act = if self.act > 0 { format!(", {} of them need attention", self.act) } else { String::new() };
        let end = if self.all == 1 { "1 ends" } else { &format!("{} end", self.all) };
        format!("{when}: {end}{act}")
    }
}

/// In hundredths of the drawing; three parts of a bar are at most the whole of it.
fn height(count: u64, most: u64) -> u64 {
    match count {
        0 => 0,
        _ => (count.saturating_mul(100 - 2 * HEIGHT_MIN) / most.max(1)).max(HEIGHT_MIN),
    }
}

#[cfg(test)]
mod tests {
    use store::{ExpiringHour, Renewer};

    use super::*;

    const DAY: i64 = 24 * HOUR;
    /// In the middle of an hour.
    const NOW: Timestamp = Timestamp::from_unix(1_800_001_800);

    fn outlook(ends: &[(i64, u64)], acts: &[i64]) -> Outlook {
        let hour = |at: i64| Timestamp::from_unix((NOW.unix() + at).div_euclid(HOUR) * HOUR);
        let hours = ends.iter().map(|(at, live)| ExpiringHour { begins: hour(*at), live: *live, renewed: 0 }).collect();
        let acts = acts.iter().map(|at| (NOW.plus_secs(*at), Renewer::Nobody)).collect();
        Outlook { hours, expired: 0, acting: 0, acts }
    }

    fn drawn(outlook: &Outlook, word: &str) -> Chart {
        drawn_with(outlook, &[], word)
    }

    fn drawn_with(outlook: &Outlook, secrets: &[Timestamp], word: &str) -> Chart {
        let list = |at: &'static str| {
            move |from: Timestamp, to: Timestamp| format!("{at}?from={}&to={}", from.unix(), to.unix())
        };
        draw((outlook, secrets), NOW, Span::chosen(word, NOW, outlook), list("/"), list("/secrets"))
    }

    #[test]
    fn secrets_stand_on_the_same_axis_and_lead_to_their_own_list() {
        let secrets = [NOW.plus_secs(DAY), NOW.plus_secs(DAY), NOW.plus_secs(8 * DAY), NOW.plus_secs(400 * DAY)];
        let chart = drawn_with(&outlook(&[(DAY, 3)], &[DAY]), &secrets, "month");
        assert_eq!(chart.most, 5, "both count for the height of a bar");
        assert!(chart.svg.contains(": 2 secrets end\"") && chart.svg.contains(": 1 secret ends\""), "{}", chart.svg);
        assert_eq!(chart.svg.matches("href=\"/secrets?").count(), 2, "{}", chart.svg);
        let tops = chart.svg.split("y=\"").skip(1).filter_map(|rest| rest.split('"').next()?.parse::<i64>().ok());
        assert!(tops.clone().all(|y| (0..=100).contains(&y)), "{}", chart.svg);
        assert_eq!(drawn_with(&outlook(&[], &[]), &secrets[..1], "month").most, 1, "secrets alone are drawn too");
    }

    #[test]
    fn equal_times_are_equal_lengths_and_every_end_is_in_one_bar_or_beyond() {
        let ends = outlook(&[(0, 1), (DAY, 2), (2 * DAY - HOUR, 4), (89 * DAY, 8), (200 * DAY, 16)], &[DAY]);
        for span in SPANS {
            let begin = span.begin(NOW);
            let bars = bars(&ends, &[], begin, span);
            assert_eq!(bars.len() as i64, span.bars);
            assert!(
                bars.windows(2)
                    .all(|two| two[0].to == two[1].from && two[0].to.since(two[0].from) == span.bar_hours * HOUR)
            );
            let chart = drawn(&ends, span.word);
            assert_eq!(bars.iter().map(|bar| bar.all).sum::<u64>() + chart.beyond, 31, "{}", span.word);
            assert_eq!(chart.ticks.len(), 5);
        }
        let month = drawn(&ends, "month");
        assert_eq!((month.beyond, month.most), (24, 6));
    }

    #[test]
    fn a_bar_leads_to_what_it_counts_and_says_it_in_words() {
        let chart = drawn(&outlook(&[(DAY, 1_000_000), (5 * DAY, 1)], &[5 * DAY]), "month");
        assert!(chart.svg.contains(&format!("height=\"{HEIGHT_MIN}\"")), "{}", chart.svg);
        assert!(chart.svg.contains(": 1 ends, 1 of them need attention"), "{}", chart.svg);
        assert!(chart.svg.contains(": 1000000 end\"") && chart.svg.matches("<a href=").count() == 2);
        assert!(!chart.svg.contains("&to") && chart.svg.contains("&amp;to="));
    }

    #[test]
    fn the_span_fits_what_there_is() {
        let chosen = |ends: &[(i64, u64)]| Span::chosen("", NOW, &outlook(ends, &[])).word;
        assert_eq!(chosen(&[]), "quarter");
        assert_eq!(chosen(&[(HOUR, 9), (400 * DAY, 1)]), "day");
        assert_eq!(chosen(&[(80 * DAY, 9)]), "quarter");
        assert_eq!(chosen(&[(9_000 * DAY, 9)]), "years");
    }
}
