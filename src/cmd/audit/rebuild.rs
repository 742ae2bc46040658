//! `chancery audit rebuild`: derives the register's projections anew where somebody altered them.
//!
//! The service must not run meanwhile. Nothing but derived tables is written, and no entry of the log.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;
use store::{Ledger, StoreError};

use crate::Global;
use crate::failure::{Exit, Failure};
use crate::{house, output};

/// What `--help` says after the flags.
pub const HELP: &str = "\
Example, after `audit verify` or an alarm named rows of card, open, renewal, place, expiring or present:
  systemctl stop chancery
  chancery --config my-ca/chancery.toml audit verify
  chancery --config my-ca/chancery.toml audit rebuild
  chancery --config my-ca/chancery.toml audit verify
  systemctl start chancery

These tables answer lists, searches, counts and what is due. They are derived from the other rows, and are derived again \
from them as they stand: what `verify` finds in other tables stays as it is, and what follows from such a row is wrong too. So \
verify before and after. Only rows that are wrong are written, in one transaction; nothing becomes an entry of the log. Other \
nodes wait for it.";

/// What takes less is not told of.
const SILENT: Duration = Duration::from_secs(1);

/// Runs `chancery audit rebuild`.
pub async fn run(global: &Global) -> Result<(), Failure> {
    let config = global.config()?;
    let database = config.database.clone();
    let log = config.log();
    let (pool, _mint, _closing) = house::open_token(&config)?;
    let (line, begun) = (progress(), Instant::now());
    let pages = {
        let line = line.clone();
        move |pages| {
            if begun.elapsed() >= SILENT {
                line.set_position(pages);
            }
        }
    };
    let rebuilt = Ledger::rebuild(database, &pool, log, policy::World::real(), pages).await;
    line.finish_and_clear();
    let rebuilt = rebuilt.map_err(|error| {
        let (exit, help) = match &error {
            StoreError::Conflict(_) => (Exit::Failed, "stop the service, give the same command again, and start it"),
            StoreError::Held(_) => {
                (Exit::Unavailable, "look with `chancery audit verify`; `chancery audit resume` is the way on")
            }
            _ => (Exit::Unavailable, "nothing was changed; `chancery doctor` says what answers"),
        };
        Failure::new(exit, "nothing is derived anew").because(&error).help(help)
    })?;
    let wrong: u64 = rebuilt.wrong.values().sum();
    if global.json {
        output::json(&json!({"size": rebuilt.leaves, "wrong": wrong, "tables": rebuilt.wrong}));
        return Ok(());
    }
    output::line(format!("derived from {} entries: {wrong} rows were wrong", rebuilt.leaves));
    for (table, rows) in &rebuilt.wrong {
        output::line(format!("{table}: {rows}"));
    }
    Ok(())
}

/// A line on standard error, where someone looks at one.
fn progress() -> ProgressBar {
    let line = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("{pos} thousand rows looked at, {elapsed}") {
        line.set_style(style);
    }
    line
}
