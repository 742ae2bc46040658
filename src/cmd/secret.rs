//! `chancery secret`: passwords, keys and whatever else only few may know, each version sealed, each reading in the log.

use clap::{Parser, Subcommand};
use policy::{Timestamp, World};
use serde_json::{Value, json};

mod edit;
mod get;
mod hosts;
mod lease;
mod put;
mod refreshing;
mod rotating;
pub(super) mod typed;
mod watch;

use self::edit::{EDIT, Edit, edit};
use self::get::{Get, get};
use self::hosts::{HOSTS, Hosts, hosts};
use self::lease::{LEASE, Lease, lease};
use self::put::{Describe, Put, describe, put};
use self::refreshing::{REFRESH, Refresh, refresh};
use self::rotating::{Rotate, Rotation, rotate, rotation};
use self::watch::{WATCH, Watching, watch};
use crate::Global;
use crate::client::Client;
use crate::failure::{Failure, OrFail};
use crate::output::{self, Listing, Paint, field, spare, whole, words};
use crate::parts::moment::Moment;
use crate::parts::pages::{Pages, some};
use crate::parts::span::{Span, days, span};

#[derive(Parser)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Write a version: the fields that are given, beside those that are there; the first makes the secret
    #[command(after_help = PUT)]
    Put(Box<Put>),
    /// Read a version: an entry of the log says so before it is shown
    #[command(after_help = GET)]
    Get(Get),
    /// Change a version in your editor, in memory: what is saved is the next version
    #[command(after_help = EDIT)]
    Edit(Edit),
    /// Show the present code of a one-time password, without its seed: an entry of the log says so
    Code {
        /// Where the seed stands
        path: String,
    },
    /// List secrets, without their values: those that you may know of
    #[command(
        after_help = LIST
    )]
    List(List),
    /// Show a secret and its versions, without their values
    #[command(visible_alias = "show")]
    Versions {
        /// Where it stands, e.g. prod/billing/db
        path: String,
    },
    /// Print what happens to secrets, as it happens
    #[command(after_help = WATCH)]
    Watch(Watching),
    /// Say something else of a secret: what it is for, its tags, how many versions are kept
    Describe(Describe),
    /// Go back: an older version is current again, and what was current is previous
    Rollback {
        /// Where it stands
        path: String,
        /// To this version, a label or a number; the previous one where nobody says
        #[arg(value_name = "VERSION")]
        to: Option<String>,
    },
    /// Exchange a credential at the place where it is used, now
    #[command(after_help = ROTATE)]
    Rotate(Rotate),
    /// How a credential is exchanged by itself: show it, set it up, end it; or list all
    #[command(after_help = ROTATE)]
    Rotation(Box<Rotation>),
    /// Which of its SSH keys the hosts say that they have; or forget a host that is gone
    #[command(after_help = HOSTS)]
    Hosts(Hosts),
    /// How an OAuth token is got anew before it ends: show it, set it up, do it now, end it
    #[command(after_help = REFRESH)]
    Refresh(Box<Refresh>),
    /// Users that live for a while: get one, renew it, give it back
    #[command(subcommand, after_help = LEASE)]
    Lease(Lease),
    /// Move a label of your own to a version, or take it away; `pending --remove` gives a version up that was never in use
    Label {
        /// Where it stands
        path: String,
        /// Which label: small letters, digits and -
        label: String,
        /// To this version, a label or a number
        #[arg(value_name = "VERSION", required_unless_present = "remove")]
        to: Option<String>,
        /// Take it away
        #[arg(long, conflicts_with = "to")]
        remove: bool,
    },
    /// Take a version out of use
    Disable {
        /// Where it stands
        path: String,
        /// Which version, a label or a number
        #[arg(value_name = "VERSION")]
        which: String,
    },
    /// Take a version back into use
    Enable {
        /// Where it stands
        path: String,
        /// Which version, a label or a number
        #[arg(value_name = "VERSION")]
        which: String,
    },
    /// Take a secret out of use: it can be restored for a time, and be destroyed after that
    Delete {
        /// Where it stands
        path: String,
        /// For so long it can be restored, in whole days, such as 30d
        #[arg(long, value_name = "SPAN", default_value = "30d", value_parser = days)]
        retention: u32,
    },
    /// Take a deleted secret back into use
    Restore {
        /// Where it stands
        path: String,
    },
    /// Do away with versions for good, or, with --all, with a deleted secret whose time is over
    Destroy {
        /// Where it stands
        path: String,
        /// Which versions
        #[arg(required_unless_present = "all")]
        versions: Vec<String>,
        /// All of a deleted secret: its path is free then
        #[arg(long, conflicts_with = "versions")]
        all: bool,
    },
}

const PUT: &str = "\
Examples:
  chancery secret put prod/api/key              # asks for it, unseen
  some-program | chancery secret put prod/api/key
  chancery secret put prod/db --kind database-password --draw \\
    --plain username=shop --description 'the shop'\\''s database'
  chancery secret put prod/tls --from key=server.key --from chain=chain.pem

No value is taken from the command line but by --plain, which is for fields that are no secret: others on this host see command lines, and a shell keeps them.";

const LIST: &str = "\
Examples:
  chancery secret list prod
  chancery secret list --search billing --tag team=shop
  chancery secret list --expiring 30d
  chancery secret list --unread 90d --json
  chancery secret list --overdue

Who read one last is known to the hour; the log has every reading.";

const GET: &str = "\
Examples:
  chancery secret get prod/db
  chancery secret get prod/db --field password | pbcopy
  chancery secret get prod/tls --field key --out server.key
  chancery secret get prod/db --at previous";

const ROTATE: &str = "\
Examples:
  chancery secret rotation prod/db --plan pair --user shop_a --user shop_b \\
    --driver postgresql --host 127.0.0.1 --admin infra/postgres-admin \\
    --every 30d --window 'Sat,Sun 02:00-06:00'
  chancery secret rotation prod/db --overlap 2h       # the rest stays
  chancery secret rotate prod/db --dry-run
  chancery secret rotate prod/db
  chancery secret rotate prod/db --back
  chancery secret rotate prod/db --leaked --reason 'it stood in a commit'

  chancery secret put prod/hosts/deploy --kind ssh-key --draw \\
    --plain username=deploy
  chancery secret rotation prod/hosts/deploy --driver ssh --plan keys \\
    --user deploy --host 'web1.example.internal web2.example.internal:2222'

The secret's `username` is one of the users: the one whose password it has. A new password is set, tried with a real login, and only then current; the one before goes on for the overlap, and then ends.";

#[derive(clap::Args)]
struct List {
    /// At this path or below it
    within: Option<String>,
    /// Of this owner
    #[arg(long)]
    owner: Option<String>,
    /// With words in their path or description that begin so: 'bill db'
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// With this tag, NAME or NAME=VALUE
    #[arg(long)]
    tag: Option<String>,
    /// Those that are deleted too
    #[arg(long)]
    deleted: bool,
    /// Whose current version expires within this time, or has: 30d
    #[arg(long, value_name = "SPAN", value_parser = span)]
    expiring: Option<Span>,
    /// Which nobody read for this time: 90d
    #[arg(long, value_name = "SPAN", value_parser = span)]
    unread: Option<Span>,
    /// Whose credential is older than their rotation allows
    #[arg(long, conflicts_with_all = ["expiring", "unread", "stuck"])]
    overdue: bool,
    /// Of which a version waits as pending for longer than a day
    #[arg(long)]
    stuck: bool,
    /// Whose owner the configuration does not have any more
    #[arg(long)]
    unowned: bool,
    /// At most this many; without it all of them
    #[arg(long, value_parser = some())]
    limit: Option<usize>,
}

/// Runs `chancery secret`.
pub async fn run(args: Args, global: &Global) -> Result<(), Failure> {
    let client = global.client()?;
    match args.what {
        What::Put(args) => put(*args, &client, global).await,
        What::Get(args) => get(args, &client, global).await,
        What::Edit(args) => edit(args, global).await,
        What::Code { path } => code(&path, &client, global).await,
        What::List(args) => list(args, &client, global).await,
        What::Versions { path } => {
            let secret = client.get(&place(&path)?).await?;
            versions(&secret, global.json);
            Ok(())
        }
        What::Watch(args) => watch(args, &client, global).await,
        What::Describe(args) => describe(args, &client, global).await,
        What::Rollback { path, to } => act("roll-back", json!({"path": path, "version": to}), &client, global).await,
        What::Rotate(args) => rotate(args, &client, global).await,
        What::Rotation(args) => rotation(*args, &client, global).await,
        What::Hosts(args) => hosts(args, &client, global).await,
        What::Refresh(args) => refresh(*args, &client, global).await,
        What::Lease(what) => lease(what, &client, global).await,
        What::Label { path, label, to, remove: _ } => {
            act("label", json!({"path": path, "label": label, "version": to}), &client, global).await
        }
        What::Disable { path, which } => act("disable", json!({"path": path, "version": which}), &client, global).await,
        What::Enable { path, which } => act("enable", json!({"path": path, "version": which}), &client, global).await,
        What::Delete { path, retention } => {
            act("delete", json!({"path": path, "retention_days": retention}), &client, global).await
        }
        What::Restore { path } => act("restore", json!({ "path": path }), &client, global).await,
        What::Destroy { path, versions, all: false } => {
            act("destroy", json!({"path": path, "versions": versions}), &client, global).await
        }
        What::Destroy { path, all: true, .. } => {
            let done = client.post("/api/v1/secret-acts/purge", &json!({ "path": path })).await?;
            match global.json {
                true => output::json(&done),
                false => output::line(format!("{path} is destroyed")),
            }
            Ok(())
        }
    }
}

/// The digits alone where somebody pipes them on; with what is left of them where somebody looks.
async fn code(path: &str, client: &Client, global: &Global) -> Result<(), Failure> {
    let path = path_of(path)?;
    let code = client.get(&format!("/api/v1/secret-codes/{path}")).await?;
    match global.json {
        true => output::json(&code),
        false => output::line(field(&code, "code")),
    }
    Ok(())
}

/// A path, as it is written on the command line.
fn path_of(text: &str) -> Result<secrets::SecretPath, Failure> {
    text.parse().or_usage("this is no path of a secret")
}

/// Where a secret is asked for; a path needs no encoding, and what is none is refused here.
fn place(path: &str) -> Result<String, Failure> {
    let path = path_of(path)?;
    Ok(format!("/api/v1/secrets/{path}"))
}

async fn act(word: &str, body: Value, client: &Client, global: &Global) -> Result<(), Failure> {
    let secret = client.post(&format!("/api/v1/secret-acts/{word}"), &body).await?;
    match global.json {
        true => output::json(&secret),
        false => output::facts(&[facts(&secret), vec![("done", done(word, &body, &secret))]].concat()),
    }
    Ok(())
}

/// What an act did, in words.
fn done(word: &str, body: &Value, secret: &Value) -> String {
    let [version, label] = ["version", "label"].map(|name| field(body, name));
    match word {
        "roll-back" => format!("version {} is current", at_label(secret, "current")),
        "label" if version.is_empty() => format!("{label} is taken away"),
        "label" => format!("{label} stands at version {}", at_label(secret, &label)),
        "disable" => format!("version {version} is out of use; `chancery secret enable` takes it back"),
        "enable" => format!("version {version} is in use again"),
        "delete" => "out of use; `chancery secret restore` takes it back until then".to_owned(),
        "restore" => "in use again".to_owned(),
        "destroy" => format!("destroyed for good: version {}", field(body, "versions")),
        other => other.to_owned(),
    }
}

/// At which version a label stands.
fn at_label(secret: &Value, label: &str) -> String {
    secret.get("labels").map_or_else(String::new, |labels| field(labels, label))
}

/// What came of a change, in a line or two.
fn told(secret: &Value, as_json: bool) {
    match as_json {
        true => output::json(secret),
        false => output::facts(&facts(secret)),
    }
}

/// What is said of a secret, and of those of its versions that are not in use.
fn facts(secret: &Value) -> Vec<(&'static str, String)> {
    let mut facts = output::shown(secret, &["path", "owner", "kind", "description"]);
    facts.push(("labels", labels(secret)));
    let tags = secret.get("tags").and_then(Value::as_object).into_iter().flatten();
    let tags: Vec<_> = tags.map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default())).collect();
    let unused: Vec<_> = versions_of(secret)
        .iter()
        .filter(|version| field(version, "state") != "enabled")
        .take(UNUSED_SHOWN)
        .map(|version| format!("{} {}", field(version, "number"), field(version, "state")))
        .collect();
    let is_locked = secret.get("purge_lock").and_then(Value::as_bool).unwrap_or_default();
    let cached = secret.get("cache_secs").and_then(Value::as_u64);
    let more = [
        ("tags", tags.join(", ")),
        ("not in use", unused.join(", ")),
        ("kept", format!("{} versions without a label", field(secret, "keep"))),
        ("locked", if is_locked { "nothing of it may be destroyed".to_owned() } else { String::new() }),
        ("in caches", cached.map_or_else(String::new, |secs| format!("{secs} s at most"))),
        ("deleted", field(secret, "deleted")),
        ("destroyed after", field(secret, "destroyed_after")),
        ("refreshed", refreshed(secret)),
        ("its entries", format!("chancery audit list --of {}", field(secret, "path"))),
    ];
    facts.extend(more.into_iter().filter(|(_, says)| !says.is_empty()));
    facts
}

/// When a token was got anew, and when next.
fn refreshed(secret: &Value) -> String {
    let Some(refresh) = secret.get("refresh").filter(|there| there.is_object()) else { return String::new() };
    let (last, next, halted) = (field(refresh, "last"), field(refresh, "next"), field(refresh, "halted"));
    let last = if last.is_empty() { "not yet".to_owned() } else { last };
    match halted.is_empty() {
        true => format!("{last}; next {next}"),
        false => format!("{last}; halted, {halted}: chancery secret refresh {}", field(secret, "path")),
    }
}

fn versions_of(secret: &Value) -> &[Value] {
    secret.get("versions").and_then(Value::as_array).map_or(&[][..], Vec::as_slice)
}

/// So many versions that are not in use are named.
const UNUSED_SHOWN: usize = 16;

fn is_deleted(secret: &Value) -> bool {
    secret.get("deleted").is_some_and(|at| !at.is_null())
}

/// `current 3, previous 2`.
fn labels(secret: &Value) -> String {
    let labels = secret.get("labels").and_then(Value::as_object);
    let each = labels.into_iter().flatten().map(|(label, at)| format!("{label} {at}"));
    each.collect::<Vec<_>>().join(", ")
}

async fn list(args: List, client: &Client, global: &Global) -> Result<(), Failure> {
    let given = [("within", args.within), ("owner", args.owner), ("search", args.search), ("tag", args.tag)];
    let mut query: Vec<(&str, String)> = given.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    let spans = [("expiring_secs", args.expiring), ("unread_secs", args.unread)];
    query.extend(spans.into_iter().filter_map(|(name, span)| Some((name, span?.secs().to_string()))));
    let flags =
        [("deleted", args.deleted), ("overdue", args.overdue), ("stuck", args.stuck), ("unowned", args.unowned)];
    query.extend(flags.into_iter().filter(|(_, is_said)| *is_said).map(|(name, _)| (name, "true".to_owned())));
    let none = match query.is_empty() {
        true => "no secret that you may know of: `chancery secret put PATH` makes one",
        false => "no secret that you may know of is one of those",
    };
    let mut pages = Pages::new(client, "/api/v1/secrets", &query, args.limit.unwrap_or(usize::MAX));
    let mut columns = vec![whole("PATH"), whole("OWNER")];
    columns.extend(args.deleted.then(|| whole("STATE")));
    columns.extend([
        spare(whole("KIND")),
        whole("VERSION"),
        whole("EXPIRES"),
        whole("LAST READ"),
        spare(words("DESCRIPTION")),
    ]);
    let mut listing = Listing::new(&columns, global.json);
    while let Some(page) = pages.next().await? {
        let rows = page.items.iter().map(|secret| {
            let paint = if is_deleted(secret) { Paint::Faint } else { Paint::Plain };
            let (ends, expires) = Moment::of(secret, "expires").left(page.now, None, true);
            let paint = if is_deleted(secret) { paint } else { ends };
            let [path, owner, kind, newest, description] =
                ["path", "owner", "kind", "newest", "description"].map(|name| field(secret, name));
            let current = Some(at_label(secret, "current")).filter(|at| !at.is_empty()).unwrap_or(newest);
            let state = args.deleted.then(|| String::from(if is_deleted(secret) { "deleted" } else { "in use" }));
            let row = [path, owner].into_iter().chain(state);
            (paint, row.chain([kind, current, expires, last_read_day(secret), description]).collect())
        });
        listing.add(&page.items, rows.collect());
    }
    listing.end(none);
    pages.tell_more(global.json);
    pages.end(global.json);
    Ok(())
}

/// `2026-11-28 by token:shop`, or that nobody did.
fn last_read(secret: &Value) -> String {
    let by = secret.get("last_read").filter(|read| !read.is_null()).map(|read| format!(" by {}", field(read, "by")));
    last_read_day(secret) + &by.unwrap_or_default()
}

/// `2026-11-28`, or that nobody did.
fn last_read_day(secret: &Value) -> String {
    let read = secret.get("last_read").filter(|read| !read.is_null());
    read.map_or_else(|| "never".to_owned(), |read| Moment::of(read, "at").day())
}

fn versions(secret: &Value, as_json: bool) {
    if as_json {
        return output::json(secret);
    }
    told(secret, false);
    output::facts(&[("last read", last_read(secret))]);
    output::line("");
    let now = World::real().now();
    let items = versions_of(secret);
    let rows = items.iter().map(|version| (paint(version), row(version, now)));
    let columns = [
        whole("VERSION"),
        whole("STATE"),
        words("LABELS"),
        whole("WRITTEN"),
        spare(words("BY")),
        words("FIELDS"),
        whole("EXPIRES"),
    ];
    let mut listing = Listing::new(&columns, false);
    listing.add(items, rows.collect());
    listing.end("it has no version");
}

fn paint(version: &Value) -> Paint {
    if field(version, "state") == "enabled" { Paint::Plain } else { Paint::Faint }
}

fn row(version: &Value, now: Timestamp) -> Vec<String> {
    let joined = |name: &str| {
        let texts = version.get(name).and_then(Value::as_array).into_iter().flatten();
        texts.filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
    };
    let references = version.get("references").and_then(Value::as_object).into_iter().flatten();
    let references = references.map(|(name, to)| format!("{name} ({})", to.as_str().unwrap_or_default()));
    let fields = Some(joined("fields")).filter(|fields| !fields.is_empty()).into_iter().chain(references);
    let (_, expires) = Moment::of(version, "expires").left(now, None, true);
    let at = Moment::of(version, "at").day();
    vec![
        field(version, "number"),
        field(version, "state"),
        joined("labels"),
        at,
        field(version, "by"),
        fields.collect::<Vec<_>>().join(", "),
        expires,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Exit;

    #[test]
    fn what_is_no_path_is_wrong_usage() {
        assert_eq!(path_of("prod/db").expect("a path").as_str(), "prod/db");
        for wrong in ["/prod/db", "a//b", ""] {
            assert_eq!(path_of(wrong).expect_err(wrong).exit(), Exit::Usage, "{wrong}");
        }
    }

    #[test]
    fn what_changed_is_said_and_references_stand_beside_fields() {
        let version = json!({"number": 2, "state": "disabled", "labels": ["current"], "fields": ["host"],
            "references": {"password": "chy://prod/db#password@current"}});
        let secret = json!({"path": "prod/url", "labels": {"current": 2}, "tags": {"team": "shop"}, "keep": 10, "purge_lock": true,
            "versions": [version]});
        let said: Vec<String> = facts(&secret).into_iter().map(|(name, says)| format!("{name}: {says}")).collect();
        for wanted in ["tags: team=shop", "not in use: 2 disabled", "locked: nothing of it may be destroyed"] {
            assert!(said.iter().any(|says| says == wanted), "{said:?}");
        }
        assert!(said.iter().all(|says| !says.starts_with("deleted")), "{said:?}");
        let fields = row(&version, World::real().now()).get(5).cloned().unwrap_or_default();
        assert_eq!(fields, "host, password (chy://prod/db#password@current)");
        let destroyed = done("destroy", &json!({"versions": ["1", "previous"]}), &secret);
        assert_eq!(destroyed, "destroyed for good: version 1, previous");
        assert_eq!(done("roll-back", &json!({"version": null}), &secret), "version 2 is current");
        assert_eq!(done("label", &json!({"label": "blue", "version": null}), &secret), "blue is taken away");
    }
}
