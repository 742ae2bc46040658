//! The tables: readings beside a static body, many secrets beside few.

use std::fmt;

use store::testing::median;

use super::Wish;
use super::pages::Many;
use super::reading::{Read, Seen};

/// A reading takes at most so many times the CPU time of a static body as long.
const CPU_MAX: f64 = 2.0;
/// A page over many takes at most so many times what it takes over few.
const PAGE_MAX: f64 = 3.0;
/// A start over a million, in milliseconds.
const START_MAX: f64 = 2_000.0;

/// A run's result, as markdown.
#[derive(Clone, Debug)]
pub struct Table {
    clients: usize,
    counts: [u64; 2],
    read: Read,
    many: Option<Many>,
}

impl Table {
    pub(super) fn new(wish: &Wish, read: Read, many: Option<Many>) -> Table {
        Table { clients: wish.clients, counts: [wish.small, wish.secrets], read, many }
    }
}

fn held(holds: bool) -> &'static str {
    if holds { "holds" } else { "**does not hold**" }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Read { rounds, answers, leaves } = &self.read;
        let line = |f: &mut fmt::Formatter<'_>, what: &str, by: fn(&Seen) -> f64| {
            let of = |at: usize| median(rounds.iter().filter_map(|pair| pair.get(at).map(by)).collect());
            let (fixed, read) = (of(0), of(1));
            writeln!(f, "| {what} | {fixed:.1} | {read:.1} | {:.2} |", read / fixed)
        };
        let clients = self.clients;
        writeln!(f, "| {clients} keep-alive clients, TLS | a static body | a reading, its leaf durable | ratio |")?;
        writeln!(f, "|---|---|---|---|")?;
        line(f, "answers a second", |seen| seen.rate)?;
        line(f, "the server's CPU time of one answer, microseconds", |seen| seen.server_us)?;
        line(f, "bytes of its body", |seen| seen.bytes)?;
        // Each pair of rounds was made side by side.
        let ratio = median(rounds.iter().map(|[fixed, read]| read.server_us / fixed.server_us).collect());
        let ends = held(ratio <= CPU_MAX);
        writeln!(f, "\nCPU time, median of the rounds' ratios: {ratio:.2}; at most {CPU_MAX}: {ends}")?;
        write!(f, "Answers with a value: {answers}; leaves of the log more: {leaves}: {}", held(answers == leaves))?;
        let Some(many) = &self.many else { return Ok(()) };
        let [few, count] = self.counts;
        writeln!(f, "\n\n| p95, ms | {few} secrets | {count} secrets | ratio, at most {PAGE_MAX} |")?;
        writeln!(f, "|---|---|---|---|")?;
        for (what, [small, large]) in &many.pages {
            let ratio = large / small;
            writeln!(f, "| {what} | {small:.2} | {large:.2} | {ratio:.2}: {} |", held(ratio <= PAGE_MAX))?;
        }
        let [small, large] = many.start;
        writeln!(
            f,
            "| a start, median | {small:.0} | {large:.0} | below {START_MAX:.0}: {} |",
            held(large < START_MAX)
        )?;
        let [small, large] = many.resident_mib;
        writeln!(f, "| the server's memory, MiB | {small:.0} | {large:.0} | |")?;
        let [small, large] = many.database_mib;
        write!(f, "| the database, MiB | {small:.0} | {large:.0} | |")
    }
}
