//! `chancery audit resume`: an operator lets a node go on that stopped because the register was not what it knew.
//!
//! The service must not run meanwhile. What the register holds has to be sealed by a node with this token; what it lost stays
//! lost, and the reason that is given becomes an entry of the log.

use clap::Parser;
use serde_json::json;
use store::{ActorStamp, Ledger, StoreError};

use crate::Global;
use crate::failure::{Exit, Failure, OrFail};
use crate::parts::word::reason;
use crate::{house, output};

/// What `--help` says after the flags.
pub const HELP: &str = "\
Example, after the register was restored from a backup:
  systemctl stop chancery
  chancery --config my-ca/chancery.toml audit verify
  chancery --config my-ca/chancery.toml audit resume \\
    --reason \"disk died, restored from Tuesday's backup\"
  systemctl start chancery

It leads on too where the folder of the node is gone and the token remembers a newer log than the register holds. Each node \
that stopped is told by itself. Revocations that the register lost and this node knew are written again, before anything \
else. Certificates that it lost are not forgotten by those who hold them: revoke what must not live on with \
`chancery certs revoke --certificate FILE`. Tokens and accounts that were ended since the backup are as they were then: the \
command names those of which this node knew another version.";

#[derive(Parser)]
pub struct Args {
    /// Why it is right to go on from what the register holds: becomes an entry of the log
    #[arg(long, value_parser = reason)]
    reason: String,
}

/// Records that are named to eyes.
const OLDER_SHOWN: usize = 20;

/// Runs `chancery audit resume`.
pub async fn run(args: Args, global: &Global) -> Result<(), Failure> {
    let config = global.config()?;
    let database = config.database.clone();
    let log = config.log();
    let (pool, mint, _closing) = house::open_token(&config)?;
    let world = policy::World::real();
    let refused = Ledger::refused_start(database.clone(), &pool, log.clone(), world.clone()).await;
    if refused.or_exit(Exit::Unavailable, "cannot open the register")?.is_none() {
        return Err(Failure::new(Exit::Refused, "nothing is held: the register is the one that this node knows")
            .help("`chancery serve` starts on it as it is; nothing was written"));
    }
    let operator = ActorStamp { id: "system:operator".to_owned(), proof: "system".to_owned(), proof_id: String::new() };
    let why = (operator, args.reason.as_str());
    let resumed = Ledger::resume(database, (&pool, mint), log, world, why).await;
    let (ledger, resumed) = resumed.map_err(|error| {
        let help = match &error {
            StoreError::Conflict(_) => {
                "stop the service, give the same command again, and start it: it goes on by that"
            }
            _ => "restore a register that a node of ours left, and look with `chancery audit verify`",
        };
        Failure::new(Exit::Failed, "this node does not go on").because(&error).help(help)
    })?;
    ledger.close().await;
    let (size, known) = (resumed.head.size, resumed.known.map(|known| known.size));
    let lost = known.map_or(0, |known| known.saturating_sub(size));
    if global.json {
        let older: Vec<_> = resumed.older.iter().map(|(kind, id)| json!({"kind": kind, "id": id})).collect();
        let again = resumed.revoked_again;
        output::json(&json!({"size": size, "known": known, "lost": lost, "revoked_again": again, "older": older}));
        return Ok(());
    }
    output::line(format!("this node goes on from entry {size}"));
    if lost > 0 {
        output::line(format!("{lost} entries that it knew are lost; no head of those sizes is signed again"));
    }
    if resumed.revoked_again > 0 {
        output::line(format!("{} revocations that the register lost were written again", resumed.revoked_again));
    }
    for (kind, id) in resumed.older.iter().take(OLDER_SHOWN) {
        output::line(format!("{kind} {id} is older than this node knew it: end it again if it was ended since"));
    }
    match resumed.older.len().saturating_sub(OLDER_SHOWN) {
        0 => {}
        more => output::line(format!("and {more} more: --json names up to {}", store::RESUMED_RECORDS_MAX)),
    }
    Ok(())
}
