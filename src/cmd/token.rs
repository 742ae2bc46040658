//! `chancery token`: API tokens, shown once, stored hashed, expiring, scoped, revocable.

use std::path::{Path, PathBuf};

use clap::builder::PossibleValuesParser;
use clap::{Parser, Subcommand};
use policy::{Action, Role, World};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::files::{Outputs, SECRET, Standing};
use crate::client::Client;
use crate::client::percent;
use crate::failure::{Failure, OrFail};
use crate::output::{self, Listing, field, whole, words};
use crate::parts::moment::Moment;
use crate::parts::pages::Pages;
use crate::parts::span::{Span, span};
use crate::parts::word::reason;
use crate::{Global, house};

#[derive(Parser)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Create a token; its secret is written to a file (mode 0600) or, with --show, printed once
    #[command(
        after_help = "Example:\n  chancery token create ci --role code-signer --owner default \\\n    --expires 90d --out ci.token"
    )]
    Create(Create),
    /// List tokens: never their secrets
    List,
    /// Revoke a token, at once
    Revoke {
        /// The token's id
        id: String,
        /// It is the last one that may make others, and nobody shall administer this authority any more
        #[arg(long)]
        yes_lock_me_out: bool,
    },
    /// The way back for an administrator who lost every token: on the host, with the configuration and the HSM's PIN
    #[command(after_help = RESCUE)]
    Rescue {
        /// What happened: becomes an entry of the log, and an alarm tells of it for a week
        #[arg(long, value_parser = reason)]
        reason: String,
        /// Write the token to this file, mode 0600
        #[arg(long)]
        out: PathBuf,
        /// Replace a file that is there
        #[arg(long)]
        force: bool,
    },
}

const RESCUE: &str = "\
Example:
  chancery --config my-ca/chancery.toml token rescue \\
    --reason \"the last administrator left\" --out rescue.token
  chancery --config my-ca/chancery.toml --token-file rescue.token \\
    token create admin --role admin --out admin.token

The token administers everything for a day: make another with it, and revoke it. Beside a running service or without one.";

#[derive(clap::Args)]
struct Create {
    /// What it is for, in a word
    name: String,
    /// What it may do; may be given several times
    #[arg(long = "role", required = true, value_name = "ROLE", value_parser = roles())]
    roles: Vec<String>,
    /// Whose certificates it may deal with; may be given several times
    #[arg(long = "owner")]
    owners: Vec<String>,
    /// Only these actions of its roles; may be given several times
    #[arg(long = "scope", value_name = "ACTION", value_parser = actions())]
    scopes: Vec<String>,
    /// How long it is good for, e.g. 12h or 90d
    #[arg(long, alias = "validity", default_value = "90d", value_parser = span)]
    expires: Span,
    /// Write the token to this file, mode 0600
    #[arg(long, required_unless_present = "show")]
    out: Option<PathBuf>,
    /// Print the token
    #[arg(long, conflicts_with = "out")]
    show: bool,
    /// Replace a file that is there
    #[arg(long)]
    force: bool,
}

/// The roles that a token may have; the service keeps the others for itself.
fn roles() -> PossibleValuesParser {
    let given = Role::ALL.iter().filter(|role| !matches!(role, Role::System | Role::AcmeClient));
    PossibleValuesParser::new(given.map(|role| role.as_str()).collect::<Vec<_>>())
}

fn actions() -> PossibleValuesParser {
    PossibleValuesParser::new(Action::ALL.iter().map(|action| action.as_str()).collect::<Vec<_>>())
}

/// Runs `chancery token`.
pub async fn run(args: Args, global: &Global) -> Result<(), Failure> {
    match args.what {
        What::Create(create) => create_token(create, global).await,
        What::List => list(global).await,
        What::Revoke { id, yes_lock_me_out } => {
            let word = if yes_lock_me_out { "?lock_out=true" } else { "" };
            let revoked = global.client()?.delete(&format!("/api/v1/tokens/{}{word}", percent(&id))).await;
            revoked.map_err(|failure| match failure.field() {
                Some("lock_out") => failure.help(
                    "make another administrator's token first; add --yes-lock-me-out where nobody shall have one",
                ),
                Some(_) | None => failure,
            })?;
            match global.json {
                true => output::json(&json!({"id": id, "state": "revoked"})),
                false => output::line(format!("revoked {id}")),
            }
            Ok(())
        }
        What::Rescue { reason, out, force } => rescue(&reason, &out, force, global).await,
    }
}

async fn create_token(args: Create, global: &Global) -> Result<(), Failure> {
    let mut body = json!({
        "name": args.name,
        "roles": args.roles,
        "owners": args.owners,
        "expires_secs": args.expires.secs(),
    });
    if !args.scopes.is_empty() {
        body["scopes"] = json!(args.scopes);
    }
    let client = global.client()?;
    let mut outputs = Outputs::new(args.force);
    let place = args.out.as_deref().map(|path| outputs.place(path, SECRET, Standing::Forced)).transpose()?;
    let mut token = client.post("/api/v1/tokens", &body).await?;
    let id = field(&token, "id");
    let mut facts = output::shown(&token, &["id", "roles", "expires"]);
    let kept = match place {
        Some(place) => {
            facts.push(output::written_to(&place));
            let text = Zeroizing::new(format!("{}\n", field(&token, "token")));
            token.as_object_mut().and_then(|object| object.remove("token"));
            place.fill(text.as_bytes())
        }
        None => {
            facts.push(("token", field(&token, "token")));
            Ok(())
        }
    };
    if kept.is_ok() {
        output::report(&outputs, &facts, &token, global.json);
    }
    match kept.and_then(|()| if args.show { output::received() } else { Ok(()) }) {
        Ok(()) => Ok(()),
        Err(failure) => Err(taken_back(&client, &id, failure).await),
    }
}

/// A token that nobody received is nobody's: it is revoked.
async fn taken_back(client: &Client, id: &str, failure: Failure) -> Failure {
    match client.delete(&format!("/api/v1/tokens/{id}")).await {
        Ok(()) => failure.help(format!("the token {id} was revoked, since nobody has it: make another")),
        Err(_) => failure.help(format!("nobody has the token {id}: `chancery token revoke {id}`")),
    }
}

async fn rescue(reason: &str, out: &Path, force: bool, global: &Global) -> Result<(), Failure> {
    let config = global.config()?;
    let mut outputs = Outputs::new(force);
    let place = outputs.place(out, SECRET, Standing::Forced)?;
    let (authority, _closing) = house::authority(&config, house::Way::Beside).await?;
    let shown = api::tokens::rescue(&authority, reason).await.or_fail("no token was made")?;
    let (id, expires) = (&shown.info.id, shown.info.expires);
    let facts = [("id", id.clone()), ("expires", expires.to_string()), output::written_to(&place)];
    let text = Zeroizing::new(format!("{}\n", shown.token.expose()));
    if let Err(failure) = place.fill(text.as_bytes()) {
        let taken_back = api::tokens::take_back(&authority, &shown).await.is_ok();
        authority.ledger().clone().close().await;
        return Err(failure.help(match taken_back {
            true => format!("the token {id} was revoked, since nobody has it: make another"),
            false => format!("nobody has the token {id}; it ends at {expires}"),
        }));
    }
    output::notice(
        "an entry of the log says that you were here and why, and an alarm tells of it for a week",
        global.json,
    );
    output::report(&outputs, &facts, &json!({"id": id, "expires": expires}), global.json);
    authority.ledger().clone().close().await;
    Ok(())
}

async fn list(global: &Global) -> Result<(), Failure> {
    let client = global.client()?;
    let now = World::real().now();
    let columns =
        [whole("LEFT"), whole("EXPIRES"), whole("STATE"), whole("ID"), words("NAME"), words("ROLES"), words("OWNERS")];
    let mut listing = Listing::new(&columns, global.json);
    let row = |token: &Value| {
        let [id, name, roles, owners, state] = ["id", "name", "roles", "owners", "state"].map(|f| field(token, f));
        let expires = Moment::of(token, "expires");
        let (paint, left) = expires.left(now, None, state == "active");
        (paint, vec![left, expires.day(), state, id, name, roles, owners])
    };
    let mut pages = Pages::new(&client, "/api/v1/tokens", &[], usize::MAX);
    while let Some(page) = pages.next().await? {
        listing.add(&page.items, page.items.iter().map(row).collect());
    }
    pages.end(global.json);
    listing.end("no token");
    Ok(())
}
