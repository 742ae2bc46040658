//! `chancery clock`: what the log and the witnesses hold against this host's clock, and the way back when the log is wrong.
//!
//! It opens the house itself, beside a running service or without one: when the clock is not believed there may be no HTTPS.

use ca::Authority;
use clap::{Parser, Subcommand};
use policy::Actor;
use serde_json::{Value, json};

use crate::Global;
use crate::failure::{Exit, Failure, OrFail};
use crate::parts::word::{reason, service};
use crate::{house, output};

/// The service's own name for what an operator does on the host.
const ACTOR: &str = "clock";

#[derive(Parser)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Show this host's clock, the log's newest time, and whether anything is held back
    Show,
    /// Say that this host's clock is right and the log's newest time is not; every node goes on by it
    #[command(after_help = "\
Example:
  chancery --config my-ca/chancery.toml clock accept \\
    --reason \"node b came up two hours ahead, NTP was off\"

Set the clock right first, and look at it: `chancery clock show`. What you say becomes an entry of the log for ever, so it is \
refused where nobody doubts this host's clock: neither this command nor the service that runs here.")]
    Accept {
        /// What happened, for whoever reads the log
        #[arg(long, value_parser = reason)]
        reason: String,
        /// Say it although nobody here doubts this host's clock: for a node on another host that doubts its own
        #[arg(long)]
        force: bool,
    },
}

/// Runs `chancery clock`.
pub async fn run(args: Args, global: &Global) -> Result<(), Failure> {
    let config = global.config()?;
    let (authority, _closing) = house::authority(&config, house::Way::Beside).await?;
    // A service judges by the time that went by since it started too, which nobody else can.
    let service = service(config.server.http).await.and_then(|says| says.get("clock").and_then(Value::as_bool));
    match args.what {
        What::Show => show(&authority, service, global),
        What::Accept { reason, force } => {
            if authority.ledger().time_held().is_none() && service != Some(false) && !force {
                return Err(nobody_doubts(service));
            }
            accept(&authority, &reason, global).await?;
        }
    }
    Ok(())
}

fn nobody_doubts(service: Option<bool>) -> Failure {
    let service = match service {
        Some(_) => "nor the service that runs here",
        None => "and no service runs here",
    };
    let says = format!("nobody doubts this host's clock: not this command, {service}; nothing was written");
    Failure::new(Exit::Refused, says).help("where a node on another host doubts its own clock, say it with --force")
}

fn show(authority: &Authority, service: Option<bool>, global: &Global) {
    let (clock, log, held) =
        (authority.world().now(), authority.ledger().time_in_force(), authority.ledger().time_held());
    let held = held.map(|held| held.to_string());
    if global.json {
        output::json(&json!({"clock": clock, "log": log, "held": held, "service_believes_it": service}));
        return;
    }
    let service = match service {
        Some(true) => "believes it",
        Some(false) => "does not believe it; where it is right say so with `chancery clock accept --reason TEXT`",
        None => "does not run",
    };
    output::facts(&[
        ("this host's clock", clock.to_string()),
        ("the log's newest time", log.to_string()),
        ("held", held.unwrap_or_else(|| "no".to_owned())),
        ("the service here", service.to_owned()),
    ]);
}

async fn accept(authority: &Authority, reason: &str, global: &Global) -> Result<(), Failure> {
    let accepted = authority.set_time(&Actor::system(ACTOR), reason).await;
    let (from, to) = accepted.or_fail("the clock is not accepted")?;
    if global.json {
        output::json(&json!({"from": from, "to": to}));
    } else {
        output::line(format!("the time in force is {to} now, and was {from}; every node goes on by it"));
    }
    Ok(())
}
