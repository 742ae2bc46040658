//! `chancery secret watch`: what happens to secrets, as it happens.

use std::time::Duration;

use clap::Parser;
use policy::{Timestamp, World};
use serde_json::{Value, json};

use super::path_of;
use crate::Global;
use crate::client::Client;
use crate::failure::{Exit, Failure};
use crate::output::{self, Listing, Paint, field, whole, words};
use crate::parts::changes::{Changes, Heard};

/// Between two questions while the server is away, doubled up to the longest.
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// As long as the server lets anybody wait.
const WAIT: Duration = Duration::from_secs(20);

pub const WATCH: &str = "\
Examples:
  chancery secret watch
  chancery secret watch prod/billing
  chancery secret watch prod/db --count 1 && systemctl reload app
  chancery secret watch prod --json | while read -r change; do ...; done
  chancery secret watch prod --since CURSOR --json

With --json each change is one line; the last line of an answer has `next`, from which --since goes on, on whatever node and after any \
restart. Where that place is too old, or of another log, a line says `reset`: list what there is, it goes on from now. No value is shown, \
and nothing is written to the log.";

/// What is watched.
#[derive(Parser)]
pub struct Watching {
    /// At this path or below it; everything that you may know of where nobody says
    path: Option<String>,
    /// From where another watch ended: `next` of its --json
    #[arg(long, value_name = "CURSOR")]
    since: Option<String>,
    /// End after so many changes
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
}

/// Prints changes until nobody reads them, or so many were printed.
pub async fn watch(args: Watching, client: &Client, global: &Global) -> Result<(), Failure> {
    let within = args.path.as_deref().map(path_of).transpose()?;
    let mut changes = Changes::new(within, args.since);
    let mut shown = Shown { listing: Listing::new(&COLUMNS, false), as_json: global.json, left: args.count };
    let mut pause = PAUSE_MIN;
    while !shown.is_over() {
        match changes.next(client, WAIT).await {
            Ok(heard) => {
                pause = PAUSE_MIN;
                shown.show(heard, changes.cursor());
            }
            Err(failure) if failure.exit() == Exit::Unavailable => {
                if pause == PAUSE_MIN {
                    let says = format!("{}; asked again until it is back", failure.message());
                    output::notice(&says, global.json);
                }
                tokio::time::sleep(pause).await;
                pause = pause.saturating_mul(2).min(PAUSE_MAX);
            }
            Err(failure) => {
                return Err(failure.help_if_missing("the server is older than this program, and tells nobody"));
            }
        }
    }
    Ok(())
}

struct Shown {
    listing: Listing,
    as_json: bool,
    left: Option<u64>,
}

impl Shown {
    fn is_over(&self) -> bool {
        self.left == Some(0) || output::is_refused()
    }

    fn show(&mut self, heard: Heard, cursor: Option<&str>) {
        if let Some(why) = &heard.reset {
            match self.as_json {
                true => output::line(json!({"reset": why, "next": cursor}).to_string()),
                false => output::notice(
                    "what happened since then is not known: list what there is; it goes on from now",
                    false,
                ),
            }
        }
        let most = self.left.map_or(usize::MAX, |left| usize::try_from(left).unwrap_or(usize::MAX));
        let is_whole = heard.items.len() <= most;
        let mut items = heard.items;
        items.truncate(most);
        self.left = self.left.map(|left| left.saturating_sub(items.len() as u64));
        match self.as_json {
            true => {
                if let Some(last) = items.last_mut().filter(|_| is_whole) {
                    last["next"] = json!(cursor);
                }
                items.iter().for_each(|item| output::line(item.to_string()));
            }
            false => self.listing.add(&items, items.iter().map(row).collect()),
        }
    }
}

const COLUMNS: [output::Column; 4] = [whole("WHEN"), whole("EVENT"), words("PATH"), whole("CURRENT")];

fn row(item: &Value) -> (Paint, Vec<String>) {
    let event = field(item, "event");
    let paint = if ["deleted", "destroyed"].contains(&event.as_str()) { Paint::Faint } else { Paint::Plain };
    let at = Timestamp::parse_rfc3339(&field(item, "at")).unwrap_or_else(|_| World::real().now());
    let current = item.get("current").and_then(Value::as_u64).map_or("-".to_owned(), |number| number.to_string());
    (paint, vec![at.rfc3339(), event, field(item, "path"), current])
}
