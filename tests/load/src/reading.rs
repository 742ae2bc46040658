//! `chancery-load secrets`, its command line.

use std::path::PathBuf;
use std::time::Duration;

use load::secrets;

const AFTER: &str = "\
Examples:
  chancery-load secrets
  chancery-load secrets --transit --rounds 8
  chancery-load secrets --peer ./rvault --transit
  chancery-load secrets --secrets 1000000 --dir ./registers

The peer is RustyVault, which `cargo install rusty_vault --root DIR` makes as
DIR/bin/rvault. It runs in a folder of the run, on a free port of 127.0.0.1,
with TLS 1.3 and a P-256 certificate, and ends with the run. It is given as
many secrets, with values as long, and read by as many clients in the same
rounds. What it does not do is said beside its figures, and its errors are
counted there.

--transit tells what a whole request costs. What the cryptography of a batch
costs beside the cipher, without TLS, JSON and a durable entry, is told by
cargo bench -p chancery-secrets --bench transit.

Figures of two runs cannot be compared: ratios of one can.";

/// Readings of secrets, each with its durable leaf, beside a static body as long over the same TLS, in turns; and, where they are asked for,
/// a peer's readings, batches of transit, and lists, searches and starts of a register with many secrets beside one with few
#[derive(clap::Args)]
#[command(after_help = AFTER)]
pub(super) struct SecretsArgs {
    /// The server's program
    #[arg(long, default_value = "target/release/chancery")]
    server: PathBuf,
    /// Read as many secrets of a peer in the same rounds: RustyVault's program
    #[arg(long, value_name = "PROGRAM")]
    peer: Option<PathBuf>,
    /// Also encrypt batches of 100 x 1 KiB over REST, beside ring's AES-256-GCM alone and the peer's transit where it has one
    #[arg(long)]
    transit: bool,
    /// Secrets of the large register; 0: none is made
    #[arg(long, default_value_t = 0)]
    secrets: u64,
    /// Secrets of the small one, of which up to 1,000 are read
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..))]
    small: u64,
    /// Keep-alive clients
    #[arg(long, default_value_t = 64)]
    clients: usize,
    /// Rounds of each
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Seconds of a round
    #[arg(long, default_value_t = 3)]
    round_secs: u64,
    /// Keep both registers in this folder; those that stand there are taken as they are
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Print the figures as one JSON object, in the place of tables
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: SecretsArgs) -> Result<String, String> {
    let SecretsArgs { server, peer, transit, secrets, small, clients, rounds, round_secs, dir, json } = args;
    let seeder = std::env::current_exe().map_err(|e| e.to_string())?;
    let round = Duration::from_secs(round_secs);
    let wish = secrets::Wish { server, seeder, secrets, small, clients, rounds, round, dir, peer, transit };
    let table = super::runtime()?.block_on(secrets::run(&wish)).map_err(|e| e.to_string())?;
    Ok(if json { format!("{:#}", table.json()) } else { table.to_string() })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Alone {
        #[command(flatten)]
        args: SecretsArgs,
    }

    #[test]
    fn a_peer_and_batches_are_measured_where_they_are_asked_for() {
        let of = |args: &[&str]| Alone::try_parse_from([&["secrets"][..], args].concat()).map(|alone| alone.args);
        let plain = of(&[]).unwrap();
        assert!(plain.peer.is_none() && !plain.transit && !plain.json);
        let all = of(&["--peer", "/x/rvault", "--transit", "--json"]).unwrap();
        assert_eq!(all.peer, Some(PathBuf::from("/x/rvault")));
        assert!(all.transit && all.json);
        assert!(of(&["--small", "0"]).is_err(), "nothing could be read");
    }

    #[test]
    fn the_help_fits_a_narrow_terminal() {
        for line in AFTER.lines() {
            assert!(line.len() <= 78, "{line}");
        }
    }
}
