//! `chancery drill`: a part of the register is to be replaced before its time, in rehearsal or in earnest; and how far that is.

use clap::{Parser, Subcommand};
use policy::World;
use serde_json::{Value, json};

use crate::Global;
use crate::client::percent;
use crate::failure::Failure;
use crate::output::{self, Paint, field, whole, words};
use crate::parts::moment::Moment;
use crate::parts::pages;
use crate::parts::span::{Span, span};

#[derive(Parser)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Mark what an issuer made for replacement within a window: ACME clients, agents and the server's own renewals follow
    #[command(after_help = REPLACE)]
    Replace(Replace),
    /// List the drills, ended ones too
    List,
    /// Show how far a drill is: what held when it began, has a successor, and is left, by owner
    Show {
        /// Its id, from `chancery drill list`
        id: String,
    },
    /// End a drill: what it marks is renewed by its life again
    End {
        /// Its id
        id: String,
    },
}

const REPLACE: &str = "\
Examples:
  chancery drill replace --issuer tls/1 --dry-run
  chancery drill replace --issuer tls/1 --window 6h --reason 'yearly drill'
  chancery drill show drill-6a1b2c3d-2f
  chancery drill end drill-6a1b2c3d-2f

Nothing is revoked. Each certificate has its own moment in the window, so that a fleet does not come at once. What a revoked or compromised CA made is due at once without a drill.";

#[derive(clap::Args)]
struct Replace {
    /// A generation, such as tls/1, or all of an issuer, such as tls
    #[arg(long)]
    issuer: String,
    /// Of this profile alone
    #[arg(long)]
    profile: Option<String>,
    /// Of this owner alone
    #[arg(long)]
    owner: Option<String>,
    /// In how long all of it is to be replaced
    #[arg(long, value_parser = span, default_value = "6h")]
    window: Span,
    /// Why, for whoever reads the log
    #[arg(long, default_value = "a drill")]
    reason: String,
    /// Where people read about it: ACME clients are told
    #[arg(long)]
    url: Option<String>,
    /// Say what it would mark, and mark nothing
    #[arg(long)]
    dry_run: bool,
}

/// Runs `chancery drill`.
pub async fn run(args: Args, global: &Global) -> Result<(), Failure> {
    match args.what {
        What::Replace(replace) => {
            let mut body = json!({ "issuer": replace.issuer, "window_secs": replace.window.secs(),
                "reason": replace.reason, "dry_run": replace.dry_run });
            for (name, value) in [("profile", &replace.profile), ("owner", &replace.owner), ("url", &replace.url)] {
                if let Some(value) = value {
                    body[name] = json!(value);
                }
            }
            let begun = global.client()?.post("/api/v1/drills", &body).await?;
            if replace.dry_run && !global.json {
                output::line("Nothing is marked. It would be:");
            }
            show(&begun, global);
        }
        What::List => list(global).await?,
        What::Show { id } => {
            let shown = global.client()?.get(&format!("/api/v1/drills/{}", percent(&id))).await?;
            show(&shown, global);
        }
        What::End { id } => {
            let ended = global.client()?.post(&format!("/api/v1/drills/{}/end", percent(&id)), &json!({})).await?;
            show(&ended, global);
        }
    }
    Ok(())
}

async fn list(global: &Global) -> Result<(), Failure> {
    let client = global.client()?;
    let (mut all, mut cursor, mut altered) = (Vec::new(), None::<String>, 0_u64);
    loop {
        let query = cursor.map_or_else(String::new, |cursor| format!("?cursor={}", percent(&cursor)));
        let page = client.get(&format!("/api/v1/drills{query}")).await?;
        all.extend(page["items"].as_array().into_iter().flatten().cloned());
        altered = altered.saturating_add(pages::altered(&page));
        cursor = page["next"].as_str().map(str::to_owned);
        if cursor.is_none() {
            break;
        }
    }
    pages::left_out(altered, global.json);
    if global.json {
        output::json(&json!(all));
        return Ok(());
    }
    let columns = [whole("DRILL"), whole("STATE"), whole("BEGUN"), whole("MARKS"), words("REASON")];
    let rows = all.iter().map(|drill| {
        let state = if drill["ended"].is_null() { "open" } else { "ended" };
        let row = vec![
            field(drill, "id"),
            state.to_owned(),
            Moment::of(drill, "begun").day(),
            marks(drill),
            field(drill, "reason"),
        ];
        (Paint::Plain, row)
    });
    output::painted(&columns, rows.collect(), "no drill");
    Ok(())
}

/// What it marks, in a word.
fn marks(drill: &Value) -> String {
    let parts = ["issuer", "profile", "owner"].map(|name| field(drill, name));
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

/// A drill, and how far it is, by owner: who has most left first.
fn show(progress: &Value, global: &Global) {
    if global.json {
        return output::json(progress);
    }
    let drill = &progress["drill"];
    let known = ["id", "issuer", "profile", "owner", "reason", "url", "begun", "until", "ended"];
    let facts = output::shown(drill, &known);
    output::facts(&facts.into_iter().filter(|(_, value)| !value.is_empty()).collect::<Vec<_>>());
    output::line("");
    let over = Moment::of(drill, "until").is_over(World::real().now());
    let mut owners: Vec<(&String, &Value)> = progress["owners"].as_object().into_iter().flatten().collect();
    owners.sort_by_key(|(_, share)| std::cmp::Reverse(share["left"].as_u64()));
    let all = "all".to_owned();
    let row = |(owner, share): (&String, &Value)| {
        let [held, replaced, left] = ["held", "replaced", "left"].map(|name| share[name].as_u64().unwrap_or(0));
        let done = ((held - left.min(held)) * 100).checked_div(held).unwrap_or(100);
        let paint = if over && left > 0 { Paint::Red } else { Paint::Plain };
        (
            paint,
            vec![
                output::printable(owner),
                held.to_string(),
                replaced.to_string(),
                held.saturating_sub(replaced).saturating_sub(left).to_string(),
                left.to_string(),
                format!("{done} %"),
            ],
        )
    };
    let rows = std::iter::once((&all, &progress["all"])).chain(owners).map(row);
    let columns =
        [whole("OWNER"), whole("HELD"), whole("REPLACED"), whole("REVOKED/ENDED"), whole("LEFT"), whole("DONE")];
    output::painted(&columns, rows.collect(), "nothing");
    if progress["all"]["left"].as_u64().unwrap_or(0) > 0 {
        let flags = [("issuer", "--issuer"), ("profile", "--profile"), ("owner", "--owner")];
        let of =
            flags.map(|(name, flag)| (field(drill, name), flag)).into_iter().filter(|(value, _)| !value.is_empty());
        let of: Vec<String> = of.map(|(value, flag)| format!("{flag} {}", output::printable(&value))).collect();
        output::line(format!(
            "\nWhat is left:            chancery certs list {0} --state issued --replaced false\n\
             of that, by hand alone:  chancery certs list {0} --state issued --replaced false --renewer nobody",
            of.join(" ")
        ));
    }
}
