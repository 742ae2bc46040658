//! The table of batches: the cipher alone, ours over REST, and the peer's where it has a transit.

use std::fmt;

use store::testing::median;

use super::super::round::Seen;
use super::super::transit::{Batches, ITEM_BYTES, ITEMS, Transit};
use super::{faults, held};

pub(super) fn shown(f: &mut fmt::Formatter<'_>, transit: &Transit, clients: usize, peer: Option<&str>) -> fmt::Result {
    let Transit { rounds, answers, leaves, peer_has_none } = transit;
    let each = ITEMS as f64;
    writeln!(
        f,
        "\n\n| batches of {ITEMS} x {ITEM_BYTES} bytes, AES-256-GCM | items a second | CPU time of an item, us | of ring's rate \
         by CPU time | p50 of a batch, ms |\n|---|---|---|---|---|"
    )?;
    let alone = median(rounds.iter().map(|round| round.alone_us).collect());
    writeln!(f, "| ring alone, one core of this process | {:.0} | {alone:.3} | 100 % | |", 1e6 / alone)?;
    let row = |f: &mut fmt::Formatter<'_>, what: &str, of: fn(&Batches) -> Option<&Seen>| {
        let by = |by: fn(&Seen) -> f64| median(rounds.iter().filter_map(of).map(by).collect());
        let shares = rounds.iter().filter_map(|round| Some(round.alone_us * each / of(round)?.server_us));
        let (rate, item_us) = (by(|seen| seen.rate) * each, by(|seen| seen.server_us) / each);
        let (share, p50) = (median(shares.collect()) * 100.0, by(|seen| seen.p50_ms));
        writeln!(f, "| {what} | {rate:.0} | {item_us:.3} | {share:.0} % | {p50:.1} |")
    };
    row(f, &format!("over REST: TLS, JSON, base64, a durable leaf a batch; {clients} clients"), |of| Some(&of.ours))?;
    match (peer, peer_has_none) {
        (Some(peer), Some(said)) => writeln!(f, "| {peer} | it has no transit: {said} | | | |")?,
        (Some(peer), None) => row(f, &format!("{peer}, over its REST, no entry"), |of| of.peer.as_ref())?,
        (None, _) => {}
    }
    if rounds.iter().any(|round| round.peer.is_some()) {
        writeln!(f, "\nThe peer's batches. {}", faults(rounds.iter().filter_map(|round| round.peer.as_ref())))?;
    }
    write!(f, "\nBatches: {answers}; leaves of the log more: {leaves}: {}", held(answers == leaves))
}
