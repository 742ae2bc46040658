//! The table: the first orders of an empty register beside those of the other, medians of the rounds, and their ratio.

use std::fmt;

use store::testing::median;

use super::{Seen, Wish};

/// What the second may fall short of the first.
const RATE_MIN: f64 = 0.85;

/// A run's result, as markdown.
#[derive(Clone, Debug)]
pub struct Table {
    head: String,
    lines: Vec<(&'static str, f64, f64)>,
    ratio: f64,
}

impl Table {
    pub(super) fn new(wish: &Wish, first: &[Seen], after: &[Seen]) -> Table {
        let of = |seen: &[Seen], of: fn(&Seen) -> f64| median(seen.iter().map(of).collect());
        let line = |what, by: fn(&Seen) -> f64| (what, of(first, by), of(after, by));
        let lines = vec![
            line("whole orders a second", |seen| seen.rate),
            line("the server's CPU time of one order, microseconds", |seen| seen.server_us),
            line("the clients', microseconds", |seen| seen.client_us),
            line("requests of one order", |seen| seen.requests),
        ];
        // Each pair of rounds was made side by side.
        let ratios: Vec<f64> = first.iter().zip(after).map(|(first, after)| after.rate / first.rate).collect();
        let Wish { orders, callers, seeded, accounts, .. } = wish;
        let head = format!(
            "{orders} orders, {callers} callers, {accounts} accounts | an empty register | after {seeded} orders | ratio"
        );
        Table { head, lines, ratio: median(ratios) }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| {} |", self.head)?;
        writeln!(f, "|---|---|---|---|")?;
        for (what, first, after) in &self.lines {
            writeln!(f, "| {what} | {first:.1} | {after:.1} | {:.2} |", after / first)?;
        }
        let holds = if self.ratio >= RATE_MIN { "holds" } else { "**does not hold**" };
        write!(f, "\nOrders a second, median of the rounds' ratios: {:.2}; at least {RATE_MIN}: {holds}", self.ratio)
    }
}
