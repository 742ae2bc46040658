//! `chancery owner`: whose names are whose, by the rules in force at the server.

use clap::{Parser, Subcommand};
use serde_json::Value;

use crate::Global;
use crate::client::percent;
use crate::failure::{Exit, Failure};
use crate::output::{self, Listing, Paint, field, whole, words};

#[derive(Parser)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// List the owners whose certificates you may read
    List,
    /// Show which names an owner has
    Show {
        /// Who
        owner: String,
    },
    /// Say who has a name, and by which rule
    #[command(after_help = "\
Examples:
  chancery owner explain www.example.internal
  chancery owner explain spiffe://example.internal/web/api
  chancery owner explain upn:alice@example.internal")]
    Explain {
        /// A host, an address, a mailbox, a URI, `upn:NAME@DOMAIN`, or an SSH account
        name: String,
    },
}

/// The lists of an owner's rules, by their keys.
const LISTS: [&str; 6] = ["dns", "ip", "principals", "email", "uri", "upn"];

/// Runs `chancery owner`.
pub async fn run(args: Args, global: &Global) -> Result<(), Failure> {
    let client = global.client()?;
    match args.what {
        What::List => list(&client.get("/api/v1/owners").await?, global.json),
        What::Show { owner } => {
            let rules = client.get(&format!("/api/v1/owners/{}", percent(&owner))).await?;
            match global.json {
                true => output::json(&rules),
                false => output::facts(&output::shown(&rules, &[&["name"][..], &LISTS].concat())),
            }
        }
        What::Explain { name } => {
            let found = client.get(&format!("/api/v1/owners?having={}", percent(&name))).await?;
            explain(&name, &found, global.json)?;
        }
    }
    Ok(())
}

fn list(answer: &Value, as_json: bool) {
    let items = items(answer);
    let rows = items.iter().map(|rules| {
        let names = LISTS.iter().flat_map(|list| texts(rules, list)).collect::<Vec<_>>();
        (Paint::Plain, vec![field(rules, "name"), names.join(", ")])
    });
    let mut listing = Listing::new(&[whole("OWNER"), words("NAMES")], as_json);
    listing.add(items, rows.collect());
    listing.end("there is no owner whose certificates you may read: [[owner]] in chancery.toml makes one");
}

fn explain(name: &str, answer: &Value, as_json: bool) -> Result<(), Failure> {
    let items = items(answer);
    if items.is_empty() {
        let says = format!("no owner whose certificates you may read has {name}");
        return Err(Failure::new(Exit::Failed, says).help("a rule in [[owner]] of chancery.toml gives it"));
    }
    let rows = items.iter().map(|rules| {
        let by = rules.get("by").cloned().unwrap_or_default();
        (Paint::Plain, vec![field(rules, "name"), field(&by, "list"), field(&by, "rule")])
    });
    let mut listing = Listing::new(&[whole("OWNER"), whole("LIST"), words("RULE")], as_json);
    listing.add(items, rows.collect());
    listing.end("nobody");
    Ok(())
}

fn items(answer: &Value) -> &[Value] {
    answer.get("items").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn texts(rules: &Value, list: &str) -> Vec<String> {
    let texts = rules.get(list).and_then(Value::as_array).into_iter().flatten();
    texts.filter_map(Value::as_str).map(str::to_owned).collect()
}
