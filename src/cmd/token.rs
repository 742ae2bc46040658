//! `chancery token`: API tokens, shown once, stored hashed, expiring, scoped, revocable.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use serde_json::{Value, json};

use super::certs::{pages, seconds};
use super::files::{Place, SECRET};
use crate::Global;
use crate::failure::Failure;
use crate::output::{self, field};

#[derive(Parser)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Create a token; its secret is written to a file (mode 0600) or, with --show, printed once
    #[command(
        after_help = "Example:\n  chancery token create ci --role code-signer --owner release --expires 90d --out ci.token"
    )]
    Create(Create),
    /// List tokens: never their secrets
    List,
    /// Revoke a token, at once
    Revoke {
        /// The token's id
        id: String,
    },
}

#[derive(clap::Args)]
struct Create {
    /// What it is for, in a word
    name: String,
    /// admin, operator, issuer, ssh-user, code-signer, approver, auditor or agent; may be given several times
    #[arg(long = "role", required = true)]
    roles: Vec<String>,
    /// Whose certificates it may deal with; may be given several times
    #[arg(long = "owner")]
    owners: Vec<String>,
    /// Only these actions, e.g. issue-certificate; may be given several times
    #[arg(long = "scope")]
    scopes: Vec<String>,
    /// How long it is good for, e.g. 90d
    #[arg(long, default_value = "90d")]
    expires: String,
    /// Write the token to this file
    #[arg(long, required_unless_present = "show")]
    out: Option<PathBuf>,
    /// Print the token
    #[arg(long, conflicts_with = "out")]
    show: bool,
}

/// Runs `chancery token`.
pub async fn run(args: Args, global: &Global) -> Result<(), Failure> {
    match args.what {
        What::Create(create) => create_token(create, global).await,
        What::List => list(global).await,
        What::Revoke { id } => {
            global.client()?.delete(&format!("/api/v1/tokens/{id}")).await?;
            output::line(format!("revoked {id}"));
            Ok(())
        }
    }
}

async fn create_token(args: Create, global: &Global) -> Result<(), Failure> {
    let mut body = json!({
        "name": args.name,
        "roles": args.roles,
        "owners": args.owners,
        "expires_secs": seconds(&args.expires)?,
    });
    if !args.scopes.is_empty() {
        body["scopes"] = json!(args.scopes);
    }
    let client = global.client()?;
    let place = args.out.as_deref().map(|path| Place::take(path, SECRET)).transpose()?;
    let mut token = client.post("/api/v1/tokens", &body).await?;
    if let Some(place) = place {
        place.fill(format!("{}\n", field(&token, "token")).as_bytes())?;
        if let Some(object) = token.as_object_mut() {
            object.remove("token");
        }
    }
    if global.json {
        output::json(&token);
        return Ok(());
    }
    let mut facts =
        vec![("id", field(&token, "id")), ("roles", args.roles.join(", ")), ("expires", field(&token, "expires"))];
    facts.push(match &args.out {
        Some(path) => ("written to", path.display().to_string()),
        None => ("token", field(&token, "token")),
    });
    output::facts(&facts);
    Ok(())
}

async fn list(global: &Global) -> Result<(), Failure> {
    let items = pages(&global.client()?, "/api/v1/tokens", &[], usize::MAX, global.json).await?.items;
    if global.json {
        output::json(&Value::Array(items));
        return Ok(());
    }
    let rows = items.iter().map(|t| ["id", "name", "roles", "owners", "expires", "state"].map(|f| field(t, f)).into());
    output::table(&["ID", "NAME", "ROLES", "OWNERS", "EXPIRES", "STATE"], rows.collect(), "no token");
    Ok(())
}
