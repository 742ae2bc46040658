//! `chancery request`: certificates that others approve before they are signed.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use serde_json::{Value, json};

use super::files::{self, Folder, Outputs, Standing};
use super::issue::CertificatePlaces;
use crate::Global;
use crate::client::percent;
use crate::failure::Failure;
use crate::output::{self, Listing, Paint, field, whole, words};
use crate::parts::pages;

#[derive(Parser)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// List the requests that you made or may approve
    List,
    /// Show a request
    Show {
        /// Its name, from `chancery request list`
        id: String,
    },
    /// Say yes to what another asked for: with enough of these, who asked collects it
    Approve {
        /// Its name
        id: String,
    },
    /// Say no to it, for good
    Refuse {
        /// Its name
        id: String,
        /// Why, for whoever asked
        #[arg(long)]
        reason: Option<String>,
    },
    /// Have your approved request signed, and keep the certificate
    #[command(after_help = "Example:\n  chancery request collect 6a1b2c3d4e5f6071 --out ./web")]
    Collect {
        /// Its name
        id: String,
        /// Folder for cert.pem, chain.pem and fullchain.pem; a key that was made for it lies there
        #[arg(long)]
        out: PathBuf,
        /// Replace certificates that are there
        #[arg(long)]
        force: bool,
    },
}

/// Runs `chancery request`.
pub async fn run(args: Args, global: &Global) -> Result<(), Failure> {
    match args.what {
        What::List => list(global).await,
        What::Show { id } => {
            show(&global.client()?.get(&path(&id, "")).await?, global);
            Ok(())
        }
        What::Approve { id } => {
            show(&global.client()?.post(&path(&id, "/approve"), &json!({})).await?, global);
            Ok(())
        }
        What::Refuse { id, reason } => {
            let body = reason.map_or_else(|| json!({}), |reason| json!({ "reason": reason }));
            show(&global.client()?.post(&path(&id, "/refuse"), &body).await?, global);
            Ok(())
        }
        What::Collect { id, out, force } => {
            let client = global.client()?;
            let _folder = Folder::take(&out)?;
            let places = CertificatePlaces::take(&mut Outputs::new(force), &out, || Standing::Forced)?;
            let issued = client.post(&path(&id, "/collect"), &json!({})).await?;
            places.fill(&issued)?;
            super::issue::report(&issued, &out, global.json);
            Ok(())
        }
    }
}

fn path(id: &str, act: &str) -> String {
    format!("/api/v1/requests/{}{act}", percent(id))
}

async fn list(global: &Global) -> Result<(), Failure> {
    let client = global.client()?;
    let columns = [whole("REQUEST"), whole("STATE"), whole("PROFILE"), words("NAMES"), words("BY"), whole("APPROVED")];
    let (mut listing, mut cursor, mut altered) = (Listing::new(&columns, global.json), None::<String>, 0_u64);
    loop {
        let query = cursor.map_or_else(String::new, |cursor| format!("?cursor={}", percent(&cursor)));
        let page = client.get(&format!("/api/v1/requests{query}")).await?;
        let items = page["items"].as_array().cloned().unwrap_or_default();
        let rows = items.iter().map(|one| {
            let [id, state, profile, names, by] = ["id", "state", "profile", "names", "by"].map(|key| field(one, key));
            (Paint::Plain, vec![id, state, profile, names, by, approvals(one)])
        });
        listing.add(&items, rows.collect());
        altered = altered.saturating_add(pages::altered(&page));
        cursor = page["next"].as_str().map(str::to_owned);
        if cursor.is_none() {
            break;
        }
    }
    listing.end("no request waits for you");
    pages::left_out(altered, global.json);
    Ok(())
}

fn approvals(request: &Value) -> String {
    format!("{} of {}", request["approved"].as_array().map_or(0, Vec::len), field(request, "needs"))
}

/// A request as it stands.
pub fn show(request: &Value, global: &Global) {
    if global.json {
        return output::json(request);
    }
    let mut facts = output::shown(request, &["id", "state", "profile", "owner", "names", "by", "expires", "serial"]);
    let who = request["approved"].as_array().into_iter().flatten().map(|word| field(word, "by"));
    let who = who.collect::<Vec<_>>().join(", ");
    let approved = approvals(request);
    facts.push(("approved", if who.is_empty() { approved } else { format!("{approved}: {who}") }));
    if let Some(refused) = request.get("refused") {
        let why = field(refused, "reason");
        let by = field(refused, "by");
        facts.push(("refused", if why.is_empty() { by } else { format!("{by}: {why}") }));
    }
    output::facts(&facts);
}

/// Of a request that waits, what to do next.
pub fn waits(request: &Value, out: &std::path::Path, global: &Global) {
    show(request, global);
    let (id, needs) = (field(request, "id"), field(request, "needs"));
    let says = format!(
        "nothing is signed yet: {needs} others approve it with `chancery request approve {id}`; then: chancery request collect {id} --out {}",
        files::shown(out)
    );
    output::notice(&says, global.json);
}
