//! The table: one line per measurement, both registers side by side, the ratio, and the bound with whether it holds.

use std::fmt;

use super::Wish;
use super::measure::{Measured, Pair};
use super::pages::Bound;

/// A run's result, as markdown.
#[derive(Clone, Debug)]
pub struct Table {
    small: u64,
    large: u64,
    lines: Vec<Line>,
    refused: Vec<String>,
    errors: u64,
}

#[derive(Clone, Debug)]
struct Line {
    what: String,
    small: String,
    large: String,
    ratio: String,
    bound: String,
    holds: Option<bool>,
}

impl Table {
    pub(super) fn new(wish: &Wish, measured: Measured) -> Table {
        let mut lines: Vec<Line> =
            measured.pages.iter().map(|(page, pair)| timed(&page.what, pair, page.bound)).collect();
        let least = |pair: &Pair, what: &str, most: f64, bound: &str| {
            let (small, large) = (worst(&pair.small), worst(&pair.large));
            let ratio = ratio(small, large);
            line(what, shown(small, " ms"), shown(large, " ms"), ratio, bound, Some(large <= most))
        };
        lines.push(least(&measured.first_start, "first start to ready", f64::INFINITY, ""));
        lines.push(least(&measured.start, "start to ready", 2_000.0, "2 s"));
        lines.push(least(&measured.stop_idle, "SIGTERM to the end, idle", 10_000.0, "10 s"));
        lines.push(least(&measured.stop, "SIGTERM to the end, after the load", 10_000.0, "10 s"));
        let (small, large) = (median(&measured.issuance.small), median(&measured.issuance.large));
        let holds = Some(large >= small * 0.85);
        lines.push(line(
            "issuance, 64 callers",
            shown(small, "/s"),
            shown(large, "/s"),
            ratio(small, large),
            "0.85",
            holds,
        ));
        let (small, large) = (median(&measured.issuance_p99.small), median(&measured.issuance_p99.large));
        lines.push(line("its p99", shown(small, " ms"), shown(large, " ms"), ratio(small, large), "", None));
        lines.push(timed("revocation, one caller", &measured.revocation, Bound::Times(2.0)));
        lines.push(timed("revocation, 16 callers", &measured.revocation_many, Bound::Times(2.0)));
        let (small, large) = (median(&measured.revocation_rate.small), median(&measured.revocation_rate.large));
        lines.push(line(
            "their rate",
            shown(small, "/s"),
            shown(large, "/s"),
            ratio(small, large),
            "0.5",
            Some(large >= small * 0.5),
        ));
        lines.push(least(&measured.revocation_public, "the last of them on the CRL", 15_000.0, "15 s"));
        if let Some((count, done, public)) = measured.act {
            let (what, none) = (format!("{count} revoked in one act; their CRL"), String::new);
            let large = format!("{}, {}", shown(done / 1_000.0, " s"), shown(public / 1_000.0, " s"));
            lines.push(line(&what, none(), large, none(), "60 s", Some(public <= 60_000.0)));
        }
        for (at, what) in
            ["started", "after the pages", "after the issuance", "after the revocations"].into_iter().enumerate()
        {
            let of = |seen: &[f64]| seen.get(at).copied().unwrap_or(0.0);
            let (small, large) = (of(&measured.resident.small), of(&measured.resident.large));
            let what = format!("resident memory, {what}");
            lines.push(line(&what, shown(small, " MiB"), shown(large, " MiB"), ratio(small, large), "", None));
        }
        let (small, large) = (worst(&measured.log.small), worst(&measured.log.large));
        let holds = Some(small.max(large) < 256.0);
        lines.push(line(
            "write-ahead log, most",
            shown(small, " MiB"),
            shown(large, " MiB"),
            ratio(small, large),
            "256 MiB",
            holds,
        ));
        let (small, large) = (worst(&measured.database.small), worst(&measured.database.large));
        lines.push(line("database", shown(small, " MiB"), shown(large, " MiB"), ratio(small, large), "", None));
        Table { small: wish.small, large: wish.large, lines, refused: measured.refused, errors: measured.errors }
    }

    /// How many bounds are not kept.
    pub fn broken(&self) -> usize {
        self.lines.iter().filter(|line| line.holds == Some(false)).count()
    }
}

/// Median and 95th percentile of both; bounds are of the latter.
fn timed(what: &str, pair: &Pair, bound: Bound) -> Line {
    let (small, large) = (percentile(&pair.small, 95.0), percentile(&pair.large, 95.0));
    let cell = |seen: &[f64], p95: f64| format!("{}, {}", number(median(seen)), shown(p95, " ms"));
    let (text, holds) = match bound {
        Bound::Times(most) => (format!("{most}"), Some(large <= small * most)),
        Bound::Millis(most) => (format!("{most} ms"), Some(large <= most)),
        Bound::None => (String::new(), None),
    };
    line(what, cell(&pair.small, small), cell(&pair.large, large), ratio(small, large), &text, holds)
}

fn line(what: &str, small: String, large: String, ratio: String, bound: &str, holds: Option<bool>) -> Line {
    let holds = holds.filter(|_| !bound.is_empty());
    Line { what: what.to_owned(), small, large, ratio, bound: bound.to_owned(), holds }
}

fn ratio(small: f64, large: f64) -> String {
    if small > 0.0 { number(large / small) } else { String::new() }
}

fn shown(value: f64, unit: &str) -> String {
    number(value) + unit
}

/// Three figures.
fn number(value: f64) -> String {
    match value {
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}

fn worst(values: &[f64]) -> f64 {
    values.iter().copied().fold(0.0, f64::max)
}

fn median(values: &[f64]) -> f64 {
    percentile(values, 50.0)
}

fn percentile(values: &[f64], percent: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (sorted.len() as f64 * percent / 100.0).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0.0)
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| p50, p95 | {} certificates | {} certificates | ratio | at most | |", self.small, self.large)?;
        writeln!(f, "|---|---|---|---|---|---|")?;
        for line in &self.lines {
            let mark = match line.holds {
                Some(true) => "holds",
                Some(false) => "**does not hold**",
                None => "",
            };
            let Line { what, small, large, ratio, bound, .. } = line;
            writeln!(f, "| {what} | {small} | {large} | {ratio} | {bound} | {mark} |")?;
        }
        writeln!(f)?;
        if !self.refused.is_empty() {
            writeln!(f, "Not given: {}", self.refused.join("; "))?;
        }
        write!(f, "Errors during the load: {}; bounds that do not hold: {}", self.errors, self.broken())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_of_the_95th_percentile() {
        let pair = Pair { small: vec![1.0; 20], large: [vec![1.0; 18], vec![4.0; 2]].concat() };
        let held = |bound| timed("x", &pair, bound).holds;
        assert_eq!(held(Bound::Times(3.0)), Some(false));
        assert_eq!(held(Bound::Times(4.0)), Some(true));
        assert_eq!(held(Bound::Millis(3.9)), Some(false));
        assert_eq!(held(Bound::None), None);
        assert_eq!(timed("x", &pair, Bound::None).large, "1.00, 4.00 ms");
    }
}
