//! `chancery agent`: keeps certificates fresh on this host, from a small TOML plan.

use std::path::{Path, PathBuf};

use clap::Parser;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::failure::{Exit, Failure, OrFail};
use crate::house;
use crate::output::{self, field, whole, words};
use crate::parts::moment::Moment;

#[derive(Parser)]
#[command(after_help = "\
Examples:
  # until stopped; one pass (enrol, renew what is due); how it goes
  chancery agent --plan /etc/chancery/agent.toml
  chancery agent --plan /etc/chancery/agent.toml --once
  chancery agent --plan /etc/chancery/agent.toml --status

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
    let ended = keep(plan, &args.plan, mode).await?;
    let failed: Vec<&agent::Status> = ended.iter().filter(|s| s.state != agent::State::Ok).collect();
    if !args.once || failed.is_empty() {
        return Ok(());
    }
    let said: Vec<String> =
        failed.iter().map(|s| format!("{}: {}", s.name, s.last_error.as_deref().unwrap_or("not done"))).collect();
    Err(Failure::new(Exit::Failed, format!("not every certificate is fresh: {}", said.join("; ")))
        .help("chancery agent --plan FILE --status"))
}

/// Keeps the plan's certificates; at SIGHUP the plan is read again, and its keeping begins anew. A mistake in it keeps the plan before.
async fn keep(mut plan: agent::Plan, file: &Path, mode: agent::RunMode) -> Result<Vec<agent::Status>, Failure> {
    let mut hangups = signal(SignalKind::hangup()).or_fail("the signal to read the plan again cannot be heard")?;
    let stop = house::stop_signal();
    tokio::pin!(stop);
    loop {
        let mut next = None;
        let over = async {
            tokio::select! {
                () = &mut stop => {}
                fresh = another(&mut hangups, file) => next = Some(fresh),
            }
        };
        let ended = agent::run(plan, policy::World::real(), mode, over).await.or_fail("the agent ended")?;
        match next {
            Some(fresh) => plan = fresh,
            None => return Ok(ended),
        }
    }
}

/// The next plan that is a good one.
async fn another(hangups: &mut Signal, file: &Path) -> agent::Plan {
    loop {
        if hangups.recv().await.is_none() {
            return std::future::pending().await;
        }
        match agent::Plan::load(file) {
            Ok(plan) => {
                tracing::info!(plan = %file.display(), "the plan was read again");
                return plan;
            }
            Err(error) => tracing::error!(%error, "the plan is refused, and the plan before it stays"),
        }
    }
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
