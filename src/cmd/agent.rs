//! `chancery agent`: keeps certificates fresh on this host, from a small TOML plan.

use std::path::PathBuf;

use clap::Parser;

use super::moment::Moment;
use crate::failure::{Exit, Failure, OrFail};
use crate::house;
use crate::output::{self, field, whole, words};

#[derive(Parser)]
#[command(after_help = "\
Examples:
  chancery agent --plan /etc/chancery/agent.toml            run until stopped
  chancery agent --plan /etc/chancery/agent.toml --once     one pass: enrol, renew what is due, exit
  chancery agent --plan /etc/chancery/agent.toml --status   what is kept fresh, and how it goes

A plan is described in docs/AGENT.md; agent/plan.example.toml shows every key.")]
pub struct Args {
    /// The plan
    #[arg(long)]
    plan: PathBuf,
    /// One pass, then exit
    #[arg(long, conflicts_with = "status")]
    once: bool,
    /// Print the state of each certificate and exit
    #[arg(long)]
    status: bool,
    /// Print JSON instead of a table (with --status)
    #[arg(from_global)]
    json: bool,
}

/// Runs `chancery agent`.
pub async fn run(args: Args) -> Result<(), Failure> {
    let plan = agent::Plan::load(&args.plan).or_fail("the plan is refused")?;
    if args.status {
        return status(&plan, args.json);
    }
    let mode = if args.once { agent::RunMode::Once } else { agent::RunMode::Forever };
    let ended = agent::run(plan, policy::World::real(), mode, house::stop_signal()).await.or_fail("the agent ended")?;
    let failed: Vec<&agent::Status> = ended.iter().filter(|s| s.state != agent::State::Ok).collect();
    if !args.once || failed.is_empty() {
        return Ok(());
    }
    let said: Vec<String> =
        failed.iter().map(|s| format!("{}: {}", s.name, s.last_error.as_deref().unwrap_or("not done"))).collect();
    Err(Failure::new(Exit::Failed, format!("not every certificate is fresh: {}", said.join("; ")))
        .help("chancery agent --plan FILE --status"))
}

fn status(plan: &agent::Plan, json: bool) -> Result<(), Failure> {
    let status = agent::status(plan).or_fail("cannot read the agent's state")?;
    let value = serde_json::to_value(&status).or_fail("cannot print the agent's state")?;
    if json {
        output::json(&value);
        return Ok(());
    }
    let items = value.as_array().cloned().unwrap_or_default();
    let now = policy::World::real().now();
    let rows = items.iter().map(|item| {
        let [name, state, renewals, error] = ["name", "state", "renewals", "last_error"].map(|f| field(item, f));
        let (expires, next) = (Moment::of(item, "not_after"), Moment::of(item, "next_renewal"));
        let (paint, left) = expires.left(now, Some(Moment::of(item, "not_before")), true);
        (paint, vec![left, expires.day(), next.day(), renewals, state, name, error])
    });
    let columns = [
        whole("LEFT"),
        whole("EXPIRES"),
        whole("RENEWAL"),
        whole("TIMES"),
        whole("STATE"),
        words("CERTIFICATE"),
        words("LAST ERROR"),
    ];
    output::painted(&columns, rows.collect(), "nothing kept yet");
    Ok(())
}
