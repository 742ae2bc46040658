//! The tables: readings beside a static body and the peer's, batches beside the cipher alone, many secrets beside few.

mod batches;
mod figures;

use std::fmt;

use store::testing::median;

use super::pages::Many;
use super::peer::WORDS;
use super::reading::{Read, Round};
use super::round::Seen;
use super::transit::Transit;
use super::{Measured, Wish};

/// A reading takes at most so many times the CPU time of a static body as long.
const CPU_MAX: f64 = 2.0;
/// A page over many takes at most so many times what it takes over few.
const PAGE_MAX: f64 = 3.0;
/// A start over a million, in milliseconds.
const START_MAX: f64 = 2_000.0;

/// A run's result: as markdown by its `Display`, as JSON by [`Table::json`].
#[derive(Clone, Debug)]
pub struct Table {
    clients: usize,
    counts: [u64; 2],
    read: Read,
    many: Option<Many>,
    transit: Option<Transit>,
    /// What the peer calls itself.
    peer: Option<String>,
}

impl Table {
    pub(super) fn new(wish: &Wish, measured: Measured) -> Table {
        let Measured { read, many, transit, peer } = measured;
        Table { clients: wish.clients, counts: [wish.small, wish.secrets], read, many, transit, peer }
    }

    /// Of each pair of rounds, which were made side by side.
    fn cpu_ratio(&self) -> f64 {
        self.of_rounds(|Round { fixed, read, .. }| Some(read.server_us / fixed.server_us))
    }

    /// The same of those over a connection of its own each.
    fn cpu_ratio_anew(&self) -> f64 {
        self.of_rounds(|Round { anew: [fixed, read], .. }| Some(read.server_us / fixed.server_us))
    }

    /// Ours to the peer's.
    fn peer_ratio(&self) -> f64 {
        self.of_rounds(|Round { read, peer, .. }| Some(read.server_us / peer.as_ref()?.server_us))
    }

    fn of_rounds(&self, of: impl Fn(&Round) -> Option<f64>) -> f64 {
        median(self.read.rounds.iter().filter_map(of).collect())
    }

    fn readings(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (clients, read) = (self.clients, &self.read);
        write!(f, "| {clients} keep-alive clients, TLS | a static body | a reading, its leaf durable | ratio |")?;
        let Some(peer) = &self.peer else {
            writeln!(f, "\n|---|---|---|---|")?;
            return LINES.iter().try_for_each(|(what, by)| writeln!(f, "{}", self.line(what, *by)));
        };
        writeln!(f, " a reading of {peer} | ours to it |\n|---|---|---|---|---|---|")?;
        for (what, by) in LINES {
            let theirs = self.of_rounds(|round| round.peer.as_ref().map(by));
            let ours = self.of_rounds(|round| Some(by(&round.read)));
            writeln!(f, "{} {theirs:.1} | {:.2} |", self.line(what, by), ours / theirs)?;
        }
        let rounds = read.rounds.iter().filter_map(|round| round.peer.as_ref());
        let (ratio, faults) = (self.peer_ratio(), faults(rounds));
        writeln!(f, "\n{peer}: {WORDS}. CPU time, median of the rounds' ratios, ours to it: {ratio:.2}. {faults}")
    }

    fn line(&self, what: &str, by: fn(&Seen) -> f64) -> String {
        let fixed = self.of_rounds(|round| Some(by(&round.fixed)));
        let read = self.of_rounds(|round| Some(by(&round.read)));
        format!("| {what} | {fixed:.1} | {read:.1} | {:.2} |", read / fixed)
    }
}

/// What is told of a round.
/// A line's words and what it shows.
type Line = (&'static str, fn(&Seen) -> f64);

const LINES: [Line; 4] = [
    ("answers a second", |seen| seen.rate),
    ("the server's CPU time of one answer, microseconds", |seen| seen.server_us),
    ("p50 of one answer, ms", |seen| seen.p50_ms),
    ("bytes of its body", |seen| seen.bytes),
];

fn held(holds: bool) -> &'static str {
    if holds { "holds" } else { "**does not hold**" }
}

/// How many answers the peer gave, and how many it did not give.
fn faults<'a>(mut rounds: impl Iterator<Item = &'a Seen> + Clone) -> String {
    let (answers, errors) = rounds.clone().fold((0, 0), |(a, e), seen| (a + seen.answers, e + seen.errors));
    match rounds.find_map(|seen| seen.why.as_deref()) {
        Some(why) => format!("Answers: {answers}; **errors: {errors}**, the first: {why}"),
        None => format!("Answers: {answers}; errors: {errors}"),
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.readings(f)?;
        let (ratio, Read { answers, leaves, .. }) = (self.cpu_ratio(), &self.read);
        let ends = held(ratio <= CPU_MAX);
        writeln!(f, "\nCPU time, median of the rounds' ratios: {ratio:.2}; at most {CPU_MAX}: {ends}")?;
        let [fixed, read] =
            [0, 1].map(|which| self.of_rounds(|round| round.anew.get(which).map(|seen| seen.server_us)));
        let (anew, ends) = (self.cpu_ratio_anew(), held(self.cpu_ratio_anew() <= CPU_MAX));
        writeln!(f, "Over a connection of its own each: {fixed:.1} and {read:.1} microseconds, {anew:.2}: {ends}")?;
        write!(f, "Answers with a value: {answers}; leaves of the log more: {leaves}: {}", held(answers == leaves))?;
        if let Some(transit) = &self.transit {
            batches::shown(f, transit, self.clients, self.peer.as_deref())?;
        }
        self.many.as_ref().map_or(Ok(()), |many| pages(f, many, self.counts))
    }
}

fn pages(f: &mut fmt::Formatter<'_>, many: &Many, [few, count]: [u64; 2]) -> fmt::Result {
    writeln!(f, "\n\n| p95, ms | {few} secrets | {count} secrets | ratio, at most {PAGE_MAX} |")?;
    writeln!(f, "|---|---|---|---|")?;
    for (what, [small, large]) in &many.pages {
        let ratio = large / small;
        writeln!(f, "| {what} | {small:.2} | {large:.2} | {ratio:.2}: {} |", held(ratio <= PAGE_MAX))?;
    }
    let [small, large] = many.start;
    let ends = held(large < START_MAX);
    writeln!(f, "| a start, median | {small:.0} | {large:.0} | below {START_MAX:.0}: {ends} |")?;
    let [small, large] = many.resident_mib;
    writeln!(f, "| the server's memory, MiB | {small:.0} | {large:.0} | |")?;
    let [small, large] = many.database_mib;
    write!(f, "| the database, MiB | {small:.0} | {large:.0} | |")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::super::transit::Batches;
    use super::*;

    fn seen(rate: f64, server_us: f64) -> Seen {
        Seen { rate, server_us, p50_ms: 2.0, bytes: 700.0, answers: 10, errors: 0, why: None }
    }

    fn table(peer: Option<Seen>, leaves: u64) -> Table {
        let wish = Wish {
            server: "chancery".into(),
            seeder: "chancery-load".into(),
            secrets: 0,
            small: 1_000,
            clients: 64,
            rounds: 1,
            round: Duration::from_secs(1),
            dir: None,
            peer: None,
            transit: true,
        };
        let anew = [seen(4_000.0, 200.0), seen(3_500.0, 240.0)];
        let round = Round { fixed: seen(60_000.0, 16.0), read: seen(20_000.0, 48.0), anew, peer: peer.clone() };
        let batches = Batches { alone_us: 0.25, ours: seen(500.0, 250.0), peer: None };
        let measured = Measured {
            read: Read { rounds: vec![round], answers: 10, leaves },
            many: None,
            transit: Some(Transit {
                rounds: vec![batches],
                answers: 10,
                leaves: 10,
                peer_has_none: peer.as_ref().map(|_| "it was answered 404".to_owned()),
            }),
            peer: peer.map(|_| "rusty_vault 0.2.1".to_owned()),
        };
        Table::new(&wish, measured)
    }

    #[test]
    fn without_a_peer_there_is_a_static_body_a_reading_and_their_ratio() {
        let told = table(None, 10).to_string();
        assert!(told.contains("| a static body | a reading, its leaf durable | ratio |\n|---|"), "{told}");
        assert!(told.contains("CPU time of one answer, microseconds | 16.0 | 48.0 | 3.00 |\n"), "{told}");
        assert!(told.contains("ratios: 3.00; at most 2: **does not hold**"), "{told}");
        assert!(
            told.contains("Over a connection of its own each: 200.0 and 240.0 microseconds, 1.20: holds\n"),
            "{told}"
        );
        assert!(told.contains("Answers with a value: 10; leaves of the log more: 10: holds"), "{told}");
        assert!(!told.contains("rusty_vault"), "{told}");
        let missed = table(None, 9).to_string();
        assert!(missed.contains("leaves of the log more: 9: **does not hold**"), "{missed}");
    }

    #[test]
    fn the_peer_stands_beside_ours_with_what_it_does_not_do_and_its_errors() {
        let told = table(Some(seen(10_000.0, 96.0)), 10).to_string();
        assert!(told.contains("| a reading of rusty_vault 0.2.1 | ours to it |"), "{told}");
        assert!(told.contains("microseconds | 16.0 | 48.0 | 3.00 | 96.0 | 0.50 |"), "{told}");
        assert!(told.contains("it writes no entry") && told.contains("ours to it: 0.50. Answers: 10; errors: 0"));
        let broken = Seen { errors: 3, why: Some("status 500".into()), ..seen(10_000.0, 96.0) };
        let told = table(Some(broken), 10).to_string();
        assert!(told.contains("**errors: 3**, the first: status 500"), "{told}");
    }

    #[test]
    fn a_batch_is_told_by_its_items_and_beside_the_cipher_alone() {
        let told = table(None, 10).to_string();
        assert!(told.contains("| ring alone, one core of this process | 4000000 | 0.250 | 100 % | |"), "{told}");
        assert!(told.contains("64 clients | 50000 | 2.500 | 10 % | 2.0 |"), "{told}");
        let told = table(Some(seen(10_000.0, 96.0)), 10).to_string();
        assert!(told.contains("| rusty_vault 0.2.1 | it has no transit: it was answered 404 | | | |"), "{told}");
    }

    #[test]
    fn as_json_there_are_the_same_figures_and_whether_they_hold() {
        let told = table(Some(seen(10_000.0, 96.0)), 10).json();
        for (at, figure) in [
            ("/reading/cpu_ratio/value", json!(3.0)),
            ("/reading/cpu_ratio/holds", json!(false)),
            ("/reading/secret/server_us", json!(48.0)),
            ("/reading/anew/cpu_ratio/value", json!(1.2)),
            ("/reading/anew/static/server_us", json!(200.0)),
            ("/peer/program", json!("rusty_vault 0.2.1")),
            ("/peer/errors", json!(0)),
            ("/peer/cpu_ratio_ours_to_it", json!(0.5)),
            ("/transit/over_rest/server_us_of_an_item", json!(2.5)),
            ("/transit/of_ring", json!(0.1)),
        ] {
            assert_eq!(told.pointer(at), Some(&figure), "{at}");
        }
        assert!(table(None, 10).json().get("peer").is_none());
    }
}
