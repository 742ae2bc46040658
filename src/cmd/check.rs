//! `chancery check`: whether what an application needs is there, readable and of the right kind, without reading any of it.

use clap::Parser;
use policy::{Timestamp, World};
use serde_json::{Value, json};

use super::deliver::needs::{Environment, Need, required};
use crate::Global;
use crate::client::Client;
use crate::failure::{Exit, Failure};
use crate::output::{Listing, Paint, field, whole, words};
use crate::parts::moment::Moment;
use crate::parts::span::{Span, span};

#[derive(Parser)]
#[command(after_help = "\
Examples:
  chancery check
  chancery check --environment prod --expires-within 14d
  chancery check --environment prod --json || echo 'not yet'

.chancery.toml, in the application's folder, says what it needs; it has no value, and is committed:
  environments = [\"dev\", \"prod\"]
  default = \"dev\"
  [need.DB_PASSWORD_FILE]
  reference = \"chy://{env}/db#password\"
  kind = \"database-password\"
  [need.SENTRY_DSN]
  reference = \"chy://{env}/sentry#dsn\"
  place = \"env\"
  optional = true

`chancery run -- ./app` gives the application just these. A place is a file in memory (the default, its path in the variable), a fifo, a \
credential, or the environment (env).

Nothing is read: no entry of the log says that anybody was shown a secret. Exit code 5: something is missing, cannot be read by this \
caller, is of another kind, is out of use, or ends too soon.")]
pub struct Args {
    #[command(flatten)]
    environment: Environment,
    /// What ends sooner is a finding
    #[arg(long, value_name = "7d", value_parser = span, default_value = "7d")]
    expires_within: Span,
}

/// What is so of one need.
struct Finding {
    state: &'static str,
    /// What is wrong; empty where nothing is.
    says: String,
    version: Option<u64>,
    expires: Option<String>,
}

impl Finding {
    fn is_good(&self) -> bool {
        matches!(self.state, "ok" | "absent")
    }
}

/// Runs `chancery check`.
pub async fn run(args: Args, global: &Global) -> Result<(), Failure> {
    let needs = required(&args.environment)?;
    let (client, now) = (global.client()?, World::real().now());
    let within = i64::try_from(args.expires_within.secs()).unwrap_or(i64::MAX);
    let columns =
        [whole("NAME"), whole("STATE"), whole("VERSION"), whole("EXPIRES"), words("REFERENCE"), words("WHAT IS WRONG")];
    let mut listing = Listing::new(&columns, global.json);
    let mut wrong = 0;
    for need in &needs.all {
        let found = look(&client, need, now, now.plus_secs(within)).await?;
        wrong += usize::from(!found.is_good());
        let reference = need.reference.to_string();
        let item = json!({
            "name": need.name, "reference": reference, "optional": need.optional, "state": found.state, "says": found.says,
            "version": found.version, "expires": found.expires,
        });
        let expires = Moment::of(&item, "expires").left(now, None, true).1;
        let paint = if found.is_good() { Paint::Plain } else { Paint::Red };
        let version = found.version.map_or_else(|| "-".to_owned(), |version| version.to_string());
        let row = vec![need.name.clone(), found.state.to_owned(), version, expires, reference, found.says];
        listing.add(&[item], vec![(paint, row)]);
    }
    listing.end("it needs nothing");
    match wrong {
        0 => Ok(()),
        _ => {
            let of = needs.all.len();
            let environment = needs.environment.map_or_else(String::new, |name| format!(" in {name}"));
            Err(Failure::new(Exit::Findings, format!("{wrong} of {of} needs are not met{environment}"))
                .help("`chancery secret put` writes what is missing; an administrator gives the right to read"))
        }
    }
}

async fn look(client: &Client, need: &Need, now: Timestamp, soon: Timestamp) -> Result<Finding, Failure> {
    let bad = |state, says: String| Finding { state, says, version: None, expires: None };
    let secret = match client.get(&format!("/api/v1/secrets/{}", need.reference.path)).await {
        Ok(secret) => secret,
        // The caller himself: nothing is known of any need.
        Err(failure) if failure.is_of_nobody() => return Err(failure),
        // Who may not know of it is told the same of what is there and of what is not.
        Err(failure) if matches!(failure.exit(), Exit::Refused | Exit::Failed) => {
            return match need.optional {
                true => Ok(bad("absent", String::new())),
                false => Ok(bad("missing", failure.message().to_owned())),
            };
        }
        Err(other) => return Err(other),
    };
    if secret.get("deleted").is_some_and(|at| !at.is_null()) {
        return Ok(bad("out-of-use", format!("it was deleted at {}", field(&secret, "deleted"))));
    }
    let kind = field(&secret, "kind");
    if let Some(wanted) = need.kind.filter(|wanted| wanted.to_string() != kind) {
        return Ok(bad("other-kind", format!("it is of kind {kind}, and not {wanted}")));
    }
    let Some(version) = version_of(&secret, need) else {
        return Ok(bad("missing", format!("it has no version {}", need.reference.which)));
    };
    let of_version = |state, says: String| Finding {
        state,
        says,
        version: version.get("number").and_then(Value::as_u64),
        expires: version.get("expires").and_then(Value::as_str).map(str::to_owned),
    };
    let standing = field(version, "state");
    if standing != "enabled" {
        return Ok(of_version("out-of-use", format!("the version is {standing}")));
    }
    let wanted = need.reference.field.as_str();
    let has = version.get("fields").and_then(Value::as_array).is_some_and(|all| all.iter().any(|one| one == wanted));
    if !has {
        return Ok(of_version("missing", format!("it has no field {wanted}: it has {}", field(version, "fields"))));
    }
    if secret.get("readable").and_then(Value::as_bool) != Some(true) {
        return Ok(of_version("not-readable", "this caller may know of it, and not read it".to_owned()));
    }
    if Moment::of(version, "expires").is_over(soon) {
        let (_, left) = Moment::of(version, "expires").left(now, None, true);
        return Ok(of_version("ends-soon", format!("it ends in {left}")));
    }
    Ok(of_version("ok", String::new()))
}

/// The version that a need's label or number leads to.
fn version_of<'a>(secret: &'a Value, need: &Need) -> Option<&'a Value> {
    let number = match &need.reference.which {
        secrets::Which::Version(number) => Some(number.get()),
        secrets::Which::Label(label) => secret.get("labels")?.get(label.as_str())?.as_u64(),
    };
    let versions = secret.get("versions").and_then(Value::as_array)?;
    versions.iter().find(|version| version.get("number").and_then(Value::as_u64) == number)
}
