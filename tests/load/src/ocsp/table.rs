//! The table: a static body beside OCSP from memory, medians of the rounds, and their ratio.

use std::fmt;

use store::testing::median;

use super::{Seen, Wish};

/// What OCSP may fall short of a static body.
const RATE_MIN: f64 = 0.5;

/// A run's result, as markdown.
#[derive(Clone, Debug)]
pub struct Table {
    head: String,
    lines: Vec<(&'static str, f64, f64)>,
    ratio: f64,
    first: f64,
    kept_bytes: f64,
}

impl Table {
    pub(super) fn new(wish: &Wish, rounds: &[Vec<Seen>], first: f64, kept_bytes: f64) -> Table {
        let of =
            |at: usize, of: fn(&Seen) -> f64| median(rounds.iter().filter_map(|pair| pair.get(at).map(of)).collect());
        let line = |what, by: fn(&Seen) -> f64| (what, of(0, by), of(1, by));
        let lines = vec![
            line("answers a second", |seen| seen.rate),
            line("the server's CPU time of one answer, microseconds", |seen| seen.server_us),
            line("bytes of its body", |seen| seen.bytes),
        ];
        // Each pair of rounds was made side by side.
        let ratios = rounds.iter().filter_map(|pair| Some(pair.get(1)?.rate / pair.first()?.rate));
        let head = format!(
            "{} clients, {} responses in memory | a static body | OCSP, GET | ratio",
            wish.clients, wish.certificates
        );
        Table { head, lines, ratio: median(ratios.collect()), first, kept_bytes }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| {} |", self.head)?;
        writeln!(f, "|---|---|---|---|")?;
        for (what, fixed, ocsp) in &self.lines {
            writeln!(f, "| {what} | {fixed:.1} | {ocsp:.1} | {:.2} |", ocsp / fixed)?;
        }
        let holds = if self.ratio >= RATE_MIN { "holds" } else { "**does not hold**" };
        writeln!(
            f,
            "\nAnswers a second, median of the rounds' ratios: {:.2}; at least {RATE_MIN}: {holds}",
            self.ratio
        )?;
        writeln!(f, "Made for the first time: {:.0} a second", self.first)?;
        write!(f, "The server grew by {:.0} bytes a response", self.kept_bytes)
    }
}
