//! How a credential is exchanged at the place where it is used: set up, done now, turned back.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use serde_json::{Map, Value, json};

use super::super::files;
use crate::Global;
use crate::client::Client;
use crate::failure::{Failure, OrFail};
use crate::output::{self, Listing, Paint, field, whole, words};
use crate::parts::pages::Pages;
use crate::parts::span::{Span, span};

#[derive(clap::Args)]
pub(super) struct Rotate {
    /// Where it stands
    path: String,
    /// Show what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Turn back to the credential before
    #[arg(long, conflicts_with = "dry_run")]
    back: bool,
    /// Go on where it was halted, once its reason is gone
    #[arg(long, conflicts_with_all = ["dry_run", "back"])]
    resume: bool,
}

#[derive(clap::Args)]
pub(super) struct Rotation {
    /// Where the secret stands; without it, all are listed that you may know of
    path: Option<String>,
    /// Set it up, or change it: `pair` alternates between two users, `single` changes one user's password, `keys` has two of one user
    #[arg(long, value_parser = PossibleValuesParser::new(["pair", "single", "keys"]), requires = "users", requires = "path")]
    plan: Option<String>,
    /// The users at the target; two for `pair`
    #[arg(long = "user", value_name = "NAME")]
    users: Vec<String>,
    /// What is there: postgresql, mariadb, redis, ldap, ldaps, exec, http; as the secret's field `engine` says where nobody does
    #[arg(long, value_name = "DRIVER")]
    driver: Option<String>,
    /// Its host, or the name of a program or hook in the server's configuration; as the secret's field says where nobody does
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// Its port; as the secret's field says, or the usual one
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
    /// The secret of the administrator at the target, who sets the passwords; a program or a hook may have its own
    #[arg(long, value_name = "PATH")]
    admin: Option<String>,
    /// So often it is exchanged by itself, e.g. 30d
    #[arg(long, value_name = "SPAN", value_parser = span)]
    every: Option<Span>,
    /// Only then, in UTC, e.g. 'Mon-Fri 22:00-04:00'
    #[arg(long = "window", value_name = "WINDOW")]
    windows: Vec<String>,
    /// So long the credential before goes on
    #[arg(long, value_name = "SPAN", value_parser = span)]
    overlap: Option<Span>,
    /// The roots of the target's certificate
    #[arg(long, value_name = "FILE")]
    roots: Option<PathBuf>,
    /// Without TLS, to a target elsewhere
    #[arg(long)]
    plain: bool,
    /// It is exchanged no more
    #[arg(long, requires = "path", conflicts_with_all = ["plan", "users", "admin"])]
    end: bool,
}

/// `chancery secret rotate`.
pub(super) async fn rotate(args: Rotate, client: &Client, global: &Global) -> Result<(), Failure> {
    let word = match (args.back, args.resume) {
        (true, _) => "rotate-back",
        (_, true) => "rotate-resume",
        (false, false) => "rotate",
    };
    let mut body = json!({ "path": args.path });
    if args.dry_run {
        body["dry_run"] = Value::from(true);
    }
    let answer = client.post(&format!("/api/v1/secret-acts/{word}"), &body).await?;
    match (global.json, args.dry_run) {
        (true, _) => output::json(&answer),
        (false, true) => steps(&answer),
        (false, false) => {
            shown(&answer);
            output::notice(
                &format!("it goes on by itself: `chancery secret rotation {}` shows how far", args.path),
                false,
            );
        }
    }
    Ok(())
}

/// `chancery secret rotation`.
pub(super) async fn rotation(args: Rotation, client: &Client, global: &Global) -> Result<(), Failure> {
    let Some(path) = &args.path else { return list(client, global).await };
    let path: secrets::SecretPath = path.parse().or_fail("no secret stands there")?;
    let url = format!("/api/v1/secret-rotations/{path}");
    if args.end {
        client.delete(&url).await?;
        match global.json {
            true => output::json(&json!({"path": path.as_str(), "ended": true})),
            false => output::line(format!("{path} is exchanged no more")),
        }
        return Ok(());
    }
    let answer = match args.plan {
        Some(_) => client.put(&url, &Value::Object(wish(args)?)).await?,
        None => client.get(&url).await?,
    };
    match global.json {
        true => output::json(&answer),
        false => shown(&answer),
    }
    Ok(())
}

async fn list(client: &Client, global: &Global) -> Result<(), Failure> {
    let mut pages = Pages::new(client, "/api/v1/secret-rotations", &[], usize::MAX);
    let columns = [whole("PATH"), whole("DRIVER"), whole("PLAN"), whole("STATE"), whole("NEXT"), words("TROUBLE")];
    let mut listing = Listing::new(&columns, global.json);
    while let Some(page) = pages.next().await? {
        let rows = page.items.iter().map(|rotation| {
            let trouble = rotation.get("trouble").filter(|trouble| trouble.is_object());
            let paint = if trouble.is_some() { Paint::Red } else { Paint::Plain };
            let texts = ["path", "driver", "plan", "state"].map(|name| field(rotation, name));
            let why = trouble.map(|trouble| field(trouble, "why")).unwrap_or_default();
            (paint, [&texts[..], &[field(rotation, "next"), why]].concat())
        });
        listing.add(&page.items, rows.collect());
    }
    listing.end("no rotation that you may know of: `chancery secret rotation PATH --plan pair ...` sets one up");
    pages.end(global.json);
    Ok(())
}

fn wish(args: Rotation) -> Result<Map<String, Value>, Failure> {
    let mut body = Map::new();
    let mut say = |name: &str, value: Value| body.insert(name.to_owned(), value);
    say("plan", json!(args.plan));
    say("users", json!(args.users));
    for (name, value) in [("admin", args.admin), ("driver", args.driver), ("host", args.host)] {
        if let Some(value) = value {
            say(name, json!(value));
        }
    }
    if let Some(port) = args.port {
        say("port", json!(port));
    }
    if let Some(every) = args.every {
        say("period_secs", json!(every.secs()));
    }
    if let Some(overlap) = args.overlap {
        say("overlap_secs", json!(overlap.secs()));
    }
    if !args.windows.is_empty() {
        say("windows", json!(args.windows));
    }
    if let Some(roots) = args.roots {
        say("roots", json!(files::text(&roots, ROOTS_BYTES_MAX)?));
    }
    if args.plain {
        say("plain", json!(true));
    }
    Ok(body)
}

fn shown(rotation: &Value) {
    let mut facts = output::shown(rotation, &["path", "plan", "state", "halted", "since", "next"]);
    for credential in ["current", "pending", "previous"] {
        if let Some(there) = rotation.get(credential).filter(|there| there.is_object()) {
            facts.push((credential, format!("{}, version {}", field(there, "user"), field(there, "version"))));
        }
    }
    if let Some(trouble) = rotation.get("trouble").filter(|trouble| trouble.is_object()) {
        facts.push(("trouble", format!("{} ({})", field(trouble, "why"), field(trouble, "said"))));
    }
    output::facts(&facts);
}

fn steps(answer: &Value) {
    let items = answer.get("steps").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let rows = items.iter().map(|step| {
        let texts = ["at", "does", "user", "version"].map(|name| field(step, name));
        (Paint::Plain, texts.to_vec())
    });
    let mut listing = Listing::new(&[whole("AT"), words("WHAT"), whole("USER"), whole("VERSION")], false);
    listing.add(items, rows.collect());
    listing.end("nothing would be done");
}

/// What the server takes of them.
const ROOTS_BYTES_MAX: u64 = secrets::ROOTS_BYTES_MAX as u64;
