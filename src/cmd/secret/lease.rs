//! Users that live for a while: asked for, renewed, given back, and the roles of which they are.

mod keyed;
mod over;

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::{Map, Value, json};

use super::super::files;
use crate::Global;
use crate::client::Client;
use crate::failure::{Exit, Failure, OrFail};
use crate::output::{self, Listing, Paint, field, whole};
use crate::parts::pages::Pages;
use crate::parts::span::{Span, span};

pub(super) const LEASE: &str = "\
Examples:
  chancery secret lease role prod/db/readers --driver postgresql \\
    --host 127.0.0.1 --admin infra/postgres-admin --like readers
  chancery secret lease get prod/db/readers --for 1h
  chancery secret lease renew 0123456789abcdef0123456789abcdef
  chancery secret lease revoke 0123456789abcdef0123456789abcdef
  chancery secret lease list
  chancery secret lease role prod/db/readers --longest 8h

  chancery secret lease role prod/hosts/deploy --driver ssh --like deploy
  chancery secret lease get prod/hosts/deploy --for 1h --out id_deploy
  ssh -i id_deploy deploy@web1.example.internal

A user is made at the target, his password is shown once, and both end with \
the lease. Of SSH nobody is made on any host: what is leased is a key with a \
certificate for accounts that are there, at every host that trusts the SSH \
user CA (`chancery ssh ca`) and fetches what is revoked (`chancery ssh krl`).";

#[derive(Subcommand)]
pub(super) enum Lease {
    /// Get a user of a role: his password is shown now, and never again
    Get {
        /// Where the role stands
        role: String,
        /// For how long; as the role says where nobody does
        #[arg(long = "for", value_name = "SPAN", value_parser = span)]
        span: Option<Span>,
        #[command(flatten)]
        keyed: keyed::Keyed,
    },
    /// Let a user live longer, from now on
    Renew {
        /// The lease
        id: String,
        /// For how long; as long as it was where nobody says
        #[arg(long = "for", value_name = "SPAN", value_parser = span)]
        span: Option<Span>,
        /// Of SSH: where the new certificate is written
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Replace a file that is no earlier certificate of this key
        #[arg(long, requires = "out")]
        force: bool,
    },
    /// Give a user back: he is ended as soon as the target answers
    Revoke {
        /// The lease
        id: String,
    },
    /// Take a user off who cannot be ended: somebody looked at the target, or it is gone for good
    Forget {
        /// The lease
        id: String,
        /// Who looked, and what was there: it stands in the log
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// List the leases that did not end
    List {
        /// Of this role
        #[arg(long)]
        role: Option<String>,
    },
    /// Show a role, set it up, or end it
    Role(Box<Role>),
}

#[derive(clap::Args)]
pub(super) struct Role {
    /// Where the role stands
    path: String,
    /// What is there: postgresql, mariadb, redis, ssh. Of a role that is there, what is not said stays as it is
    #[arg(long, value_name = "DRIVER", requires = "like")]
    driver: Option<String>,
    /// Its host; of ssh none: a certificate counts wherever the user CA is trusted
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// Its port; the usual one where nobody says
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
    /// The database in which one logs in
    #[arg(long, value_name = "NAME")]
    database: Option<String>,
    /// The secret of the administrator at the target, who makes the users; of ssh none
    #[arg(long, value_name = "PATH")]
    admin: Option<String>,
    /// Whose rights they get: a role of PostgreSQL or MariaDB, a user of Redis; of ssh the accounts, with a space between two
    #[arg(long, value_name = "NAME")]
    like: Option<String>,
    /// How long a lease is where nobody says; an hour
    #[arg(long = "for", value_name = "SPAN", value_parser = span)]
    span: Option<Span>,
    /// How long at most, with all renewals; a day
    #[arg(long, value_name = "SPAN", value_parser = span)]
    longest: Option<Span>,
    /// Whose the role is
    #[arg(long)]
    owner: Option<String>,
    /// The roots of the target's certificate
    #[arg(long, value_name = "FILE")]
    roots: Option<PathBuf>,
    /// Without TLS, to a target elsewhere
    #[arg(long, conflicts_with = "roots")]
    plain: bool,
    /// Nobody is made by it any more
    #[arg(long, conflicts_with_all = [
        "driver", "host", "port", "database", "admin", "like", "span", "longest", "owner", "roots", "plain",
    ])]
    end: bool,
}

impl Role {
    /// Whether anything is said of how it is.
    fn is_change(&self) -> bool {
        let Role { path: _, driver, host, port, database, admin, like, span, longest, owner, roots, plain, end: _ } =
            self;
        [driver, host, database, admin, like, owner].into_iter().any(Option::is_some)
            || [span, longest].into_iter().any(Option::is_some)
            || port.is_some()
            || roots.is_some()
            || *plain
    }
}

/// Runs `chancery secret lease`.
pub(super) async fn lease(what: Lease, client: &Client, global: &Global) -> Result<(), Failure> {
    match what {
        Lease::Get { role, span, keyed } => keyed.get(&role, span, client, global).await?,
        Lease::Renew { id, span, out, force } => {
            keyed::renew(&place(&id)?, span, (out.as_deref(), force), client, global).await?;
        }
        Lease::Revoke { id } => {
            client.delete(&place(&id)?).await?;
            match global.json {
                true => output::json(&json!({"id": id, "state": "ending"})),
                false => output::line(format!("{id} is being ended")),
            }
        }
        Lease::Forget { id, reason } => {
            let lease = client.post(&format!("{}/forget", place(&id)?), &json!({ "reason": reason })).await?;
            shown(&lease, &["id", "user", "state", "forgotten"], global);
        }
        Lease::List { role } => list(role, client, global).await?,
        Lease::Role(args) => role_of(*args, client, global).await?,
    }
    Ok(())
}

async fn list(role: Option<String>, client: &Client, global: &Global) -> Result<(), Failure> {
    let query: Vec<(&str, String)> = role.into_iter().map(|role| ("role", role)).collect();
    let mut pages = Pages::new(client, LEASES, &query, usize::MAX);
    let columns = [whole("LEASE"), whole("ROLE"), whole("USER"), whole("STATE"), whole("UNTIL"), whole("BY")];
    let mut listing = Listing::new(&columns, global.json);
    while let Some(page) = pages.next().await? {
        let rows = page.items.iter().map(|lease| {
            let paint = if lease.get("tries").is_some() { Paint::Red } else { Paint::Plain };
            (paint, ["id", "role", "user", "state", "until", "by"].map(|name| field(lease, name)).to_vec())
        });
        listing.add(&page.items, rows.collect());
    }
    listing.end("no lease of a role that you may know of");
    pages.end(global.json);
    Ok(())
}

async fn role_of(args: Role, client: &Client, global: &Global) -> Result<(), Failure> {
    let path = role_path(&args.path)?;
    let url = format!("/api/v1/secret-lease-roles/{path}");
    if args.end {
        client.delete(&url).await?;
        match global.json {
            true => output::json(&json!({"path": path.as_str(), "ended": true})),
            false => {
                output::line(format!("nobody is made by {path} any more; who is there lives to the end of his lease"))
            }
        }
        return Ok(());
    }
    let role = match args.is_change() {
        true => {
            let there = present(client, &url, args.driver.is_some()).await?;
            client.put(&url, &Value::Object(wish(args, there)?)).await?
        }
        false => client.get(&url).await?,
    };
    shown(&role, &["path", "owner", "driver", "host", "port", "admin", "like", "secs", "secs_max"], global);
    Ok(())
}

/// What is set up, so that what is not said stays as it is; nothing where it is set up now.
async fn present(client: &Client, url: &str, is_new: bool) -> Result<Map<String, Value>, Failure> {
    let missing = "no role is set up there that could be changed: say --driver, --like, and unless it is ssh --host and --admin too";
    match client.get(url).await {
        Ok(Value::Object(there)) => Ok(there),
        Ok(_) => Ok(Map::new()),
        // Who may set one up need not be who may look at it.
        Err(failure) if is_new && (failure.is_missing() || failure.is_refused()) => Ok(Map::new()),
        Err(failure) => Err(failure.help_if_missing(missing)),
    }
}

/// What stays of what is there.
fn kept(args: &Role, there: &Map<String, Value>) -> Map<String, Value> {
    let is_gone = |name: &str| match name {
        // Each product has its usual one, and SSH none of them.
        "port" | "host" | "admin" | "database" if args.driver.is_some() => true,
        "roots" => args.plain || args.driver.is_some(),
        _ => false,
    };
    let mut body: Map<String, Value> = SETTINGS
        .into_iter()
        .filter(|name| !is_gone(name))
        .filter_map(|name| Some((name.to_owned(), there.get(name)?.clone())))
        .collect();
    if there.get("line").and_then(Value::as_str) == Some("plain") && args.roots.is_none() {
        body.insert("plain".to_owned(), Value::from(true));
    }
    // Nobody said that one: it is no longer than the longest.
    if let (Some(longest), None, Some(secs)) = (args.longest, args.span, there.get("secs").and_then(Value::as_u64)) {
        body.insert("secs".to_owned(), Value::from(secs.min(longest.secs())));
    }
    body
}

/// What is there, with what is said.
fn wish(args: Role, there: Map<String, Value>) -> Result<Map<String, Value>, Failure> {
    let mut body = kept(&args, &there);
    let Role { path: _, driver, host, port, database, admin, like, span, longest, owner, roots, plain, end: _ } = args;
    let roots = roots.map(|roots| files::text(&roots, ROOTS_BYTES_MAX)).transpose()?;
    let all = [
        ("driver", json!(driver)),
        ("host", json!(host)),
        ("port", json!(port)),
        ("database", json!(database)),
        ("admin", json!(admin)),
        ("like", json!(like)),
        ("secs", json!(span.map(Span::secs))),
        ("secs_max", json!(longest.map(Span::secs))),
        ("owner", json!(owner)),
        ("roots", json!(roots)),
        ("plain", json!(plain.then_some(true))),
    ];
    body.extend(all.into_iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| (name.to_owned(), value)));
    Ok(body)
}

fn shown(answer: &Value, names: &[&'static str], global: &Global) {
    match global.json {
        true => output::json(answer),
        false => output::facts(&said(answer, names)),
    }
}

/// Those of these that an answer has something of.
fn said(answer: &Value, names: &[&'static str]) -> Vec<(&'static str, String)> {
    output::shown(answer, names).into_iter().filter(|(_, value)| !value.is_empty()).collect()
}

/// A role's path, as it is written on the command line.
fn role_path(text: &str) -> Result<secrets::SecretPath, Failure> {
    text.parse().or_usage("this is no path of a role")
}

/// A name is hexadecimal: it needs no encoding, and what is none is refused here.
fn place(id: &str) -> Result<String, Failure> {
    match !id.is_empty() && id.chars().all(|c| c.is_ascii_hexdigit()) {
        true => Ok(format!("{LEASES}/{id}")),
        false => Err(Failure::new(
            Exit::Usage,
            "a lease's name is hexadecimal digits: `chancery secret lease list` shows them",
        )),
    }
}

const LEASES: &str = "/api/v1/secret-leases";
/// What of a role that is shown is what somebody said.
const SETTINGS: [&str; 10] =
    ["driver", "host", "port", "database", "admin", "like", "secs", "secs_max", "owner", "roots"];
/// What the server takes of them.
const ROOTS_BYTES_MAX: u64 = secrets::ROOTS_BYTES_MAX as u64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_an_answer_does_not_have_no_line_is_empty() {
        let role = json!({"driver": "ssh", "secs": 3_600, "host": null});
        let wanted = [("driver", "ssh".to_owned()), ("secs", "3600".to_owned())];
        assert_eq!(said(&role, &["driver", "host", "port", "secs"]), wanted);
    }
}
