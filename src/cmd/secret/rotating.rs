//! How a credential is exchanged at the place where it is used: set up, done now, turned back.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use serde_json::{Map, Value, json};

use super::super::files;
use super::path_of;
use crate::Global;
use crate::client::Client;
use crate::failure::Failure;
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
    /// What is in use leaked: no distance, window or overlap is waited for, and the credential before ends as soon as the new one is in
    /// use
    #[arg(long, requires = "reason")]
    leaked: bool,
    /// What leaked, and how it is known: it stands in the log
    #[arg(long, value_name = "TEXT", requires = "leaked")]
    reason: Option<String>,
    /// Turn back to the credential before
    #[arg(long, conflicts_with_all = ["dry_run", "leaked"])]
    back: bool,
    /// Go on where it was halted, once its reason is gone; or try at once what waits for a target that was away
    #[arg(long, conflicts_with_all = ["dry_run", "back", "leaked"])]
    resume: bool,
}

#[derive(clap::Args)]
pub(super) struct Rotation {
    /// Where the secret stands; without it, all are listed that you may know of
    path: Option<String>,
    /// Set it up, or change it and leave what is not said as it is: `pair` alternates between two users, `single` changes one user's
    /// password, `keys` has two of one user (of ssh alone, two keys of one account)
    #[arg(long, value_parser = PossibleValuesParser::new(["pair", "single", "keys"]), requires = "users", requires = "path")]
    plan: Option<String>,
    /// The users at the target; two for `pair`
    #[arg(long = "user", value_name = "NAME", requires = "path")]
    users: Vec<String>,
    /// What is there: postgresql, mariadb, redis, ldap, ldaps, ssh, exec, http; as the secret's field `engine` says where nobody does
    #[arg(long, value_name = "DRIVER", requires = "path")]
    driver: Option<String>,
    /// Its host; of ssh all of them, with a space between two and :PORT where sshd listens elsewhere; or the name of a program or hook in
    /// the server's configuration; as the secret's field says where nobody does
    #[arg(long, value_name = "HOST", requires = "path")]
    host: Option<String>,
    /// Its port; as the secret's field says, or the usual one
    #[arg(long, value_name = "PORT", requires = "path")]
    port: Option<u16>,
    /// The secret of the administrator at the target, who sets the passwords; a program or a hook may have its own
    #[arg(long, value_name = "PATH", requires = "path")]
    admin: Option<String>,
    /// So often it is exchanged by itself, e.g. 30d
    #[arg(long, value_name = "SPAN", value_parser = span, requires = "path")]
    every: Option<Span>,
    /// Only then, in UTC, e.g. 'Mon-Fri 22:00-04:00'
    #[arg(long = "window", value_name = "WINDOW", requires = "path")]
    windows: Vec<String>,
    /// So long the credential before goes on; an hour where nobody says, and none of `single`
    #[arg(long, value_name = "SPAN", value_parser = span, requires = "path")]
    overlap: Option<Span>,
    /// The roots of the target's certificate; of ssh lines of known_hosts, where hosts have no certificates of this house
    #[arg(long, value_name = "FILE", requires = "path")]
    roots: Option<PathBuf>,
    /// Without TLS, to a target elsewhere
    #[arg(long, requires = "path", conflicts_with = "roots")]
    plain: bool,
    /// Of mariadb: the host of the accounts, as `localhost` of app@localhost; `%` where nobody says, if a name has no other account
    #[arg(long, value_name = "HOST", requires = "path")]
    account_host: Option<String>,
    /// Do not try first whether what is current logs in: the target is away, or the first rotation sets the password there
    #[arg(long, requires = "path")]
    unchecked: bool,
    /// Try and show it, and set up nothing
    #[arg(long, requires = "path")]
    dry_run: bool,
    /// It is exchanged no more
    #[arg(long, requires = "path", conflicts_with_all = [
        "plan", "users", "driver", "host", "port", "admin", "every", "windows", "overlap", "roots", "plain", "account_host", "unchecked",
        "dry_run",
    ])]
    end: bool,
}

impl Rotation {
    /// Whether anything is said of how it is done.
    fn is_change(&self) -> bool {
        let Rotation { path: _, plan, users, driver, host, port, admin, end: _, .. } = self;
        let Rotation { every, windows, overlap, roots, plain, account_host, unchecked, dry_run, .. } = self;
        plan.is_some()
            || !users.is_empty()
            || [driver, host, admin, account_host].into_iter().any(Option::is_some)
            || port.is_some()
            || [every, overlap].into_iter().any(Option::is_some)
            || !windows.is_empty()
            || roots.is_some()
            || [plain, unchecked, dry_run].into_iter().any(|said| *said)
    }
}

/// `chancery secret rotate`.
pub(super) async fn rotate(args: Rotate, client: &Client, global: &Global) -> Result<(), Failure> {
    let word = match (args.back, args.resume, args.leaked) {
        (true, _, _) => "rotate-back",
        (_, true, _) => "rotate-resume",
        (false, false, true) => "rotate-leaked",
        (false, false, false) => "rotate",
    };
    let mut body = json!({ "path": args.path });
    if let Some(reason) = &args.reason {
        body["reason"] = Value::from(reason.as_str());
    }
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
    let path = path_of(path)?;
    let url = format!("/api/v1/secret-rotations/{path}");
    if args.end {
        let left = client.delete_told(&url).await?.map(|told| field(&told, "left"));
        match (global.json, left) {
            (true, left) => output::json(&json!({"path": path.as_str(), "ended": true, "left": left})),
            (false, None) => output::line(format!("{path} is exchanged no more")),
            (false, Some(left)) => output::line(format!("{path} is exchanged no more\n{left}")),
        }
        return Ok(());
    }
    let (path, is_dry) = (path.to_string(), args.dry_run);
    let answer = match args.is_change() {
        true => {
            let there = present(client, &url, args.plan.is_some()).await?;
            client.put(&url, &Value::Object(wish(args, there)?)).await?
        }
        false => client.get(&url).await?,
    };
    match (global.json, is_dry) {
        (true, _) => output::json(&answer),
        (false, true) => {
            steps(&answer);
            output::notice(&tried(&path, &answer), false);
        }
        (false, false) => shown(&answer),
    }
    Ok(())
}

/// What of a dry run was done, and what was not.
fn tried(path: &str, answer: &Value) -> String {
    match answer.get("logs_in").filter(|there| there.is_object()) {
        Some(there) => format!(
            "version {} of {path} logs in as {}; nothing was set up",
            field(there, "version"),
            field(there, "user")
        ),
        None => format!("whether {path} logs in was not tried; nothing was set up"),
    }
}

/// What is set up, so that what is not said stays as it is; nothing where it is set up now.
async fn present(client: &Client, url: &str, is_new: bool) -> Result<Map<String, Value>, Failure> {
    let missing = "nothing is set up there that could be changed: say --plan and --user too";
    match client.get(url).await {
        Ok(Value::Object(there)) => Ok(there),
        Ok(_) => Ok(Map::new()),
        Err(failure) if is_new && failure.is_missing() => Ok(Map::new()),
        Err(failure) => Err(failure.help_if_missing(missing)),
    }
}

async fn list(client: &Client, global: &Global) -> Result<(), Failure> {
    let mut pages = Pages::new(client, "/api/v1/secret-rotations", &[], usize::MAX);
    let columns = [whole("PATH"), whole("DRIVER"), whole("PLAN"), whole("STATE"), whole("NEXT STEP")];
    let (mut listing, mut troubles) = (Listing::new(&columns, global.json), Vec::new());
    while let Some(page) = pages.next().await? {
        let rows = page.items.iter().map(|rotation| {
            let trouble = rotation.get("trouble").filter(|trouble| trouble.is_object());
            let paint = if trouble.is_some() { Paint::Red } else { Paint::Plain };
            troubles.extend(trouble.map(|trouble| trouble_of(rotation, trouble)));
            (paint, ["path", "driver", "plan", "state", "next"].map(|name| field(rotation, name)).to_vec())
        });
        listing.add(&page.items, rows.collect());
    }
    listing.end("no rotation that you may know of: `chancery secret rotation PATH --plan pair ...` sets one up");
    // A column of it would be a strip that breaks the command that is to be copied.
    if !global.json && !troubles.is_empty() {
        output::line("");
        for trouble in troubles {
            output::line(trouble);
        }
    }
    pages.end(global.json);
    Ok(())
}

/// Which is in trouble, and why.
fn trouble_of(rotation: &Value, trouble: &Value) -> String {
    output::printable(&format!("{}: {}", field(rotation, "path"), field(trouble, "why")))
}

/// What is there, with what is said.
fn wish(args: Rotation, there: Map<String, Value>) -> Result<Map<String, Value>, Failure> {
    let mut body = kept(&args, &there);
    let mut say = |name: &str, value: Value| body.insert(name.to_owned(), value);
    if let Some(plan) = args.plan {
        say("plan", json!(plan));
    }
    if !args.users.is_empty() {
        say("users", json!(args.users));
    }
    let texts =
        [("admin", args.admin), ("driver", args.driver), ("host", args.host), ("account_host", args.account_host)];
    for (name, value) in texts {
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
    for (name, is_said) in [("plain", args.plain), ("unchecked", args.unchecked), ("dry_run", args.dry_run)] {
        if is_said {
            say(name, json!(true));
        }
    }
    Ok(body)
}

/// What stays of what is there.
fn kept(args: &Rotation, there: &Map<String, Value>) -> Map<String, Value> {
    let is_plain = there.get("line").and_then(Value::as_str) == Some("plain");
    let is_same = |a: &str, b: &str| there.get(a) == there.get(b);
    let is_other_plan =
        args.plan.as_deref().is_some_and(|plan| there.get("plan").and_then(Value::as_str) != Some(plan));
    // The distance is the overlap where nobody said another; each plan has its own.
    let follows = is_other_plan || args.overlap.is_some() && is_same("distance_secs", "overlap_secs");
    let is_gone = |name: &str| match name {
        "overlap_secs" => is_other_plan,
        "distance_secs" => follows,
        // Each product has its usual one.
        "port" | "account_host" => args.driver.is_some(),
        "roots" => args.plain,
        _ => false,
    };
    let mut body: Map<String, Value> = SETTINGS
        .into_iter()
        .filter(|name| !is_gone(name))
        .filter_map(|name| Some((name.to_owned(), there.get(name)?.clone())))
        .collect();
    if is_plain && args.roots.is_none() {
        body.insert("plain".to_owned(), Value::from(true));
    }
    body
}

fn shown(rotation: &Value) {
    let mut facts = output::shown(rotation, &["path", "plan", "driver", "host", "state", "halted", "since", "next"]);
    if let Some(leaked) = rotation.get("leaked").filter(|there| there.is_object()) {
        facts.push((
            "leaked",
            format!("{}, said by {} at {}", field(leaked, "reason"), field(leaked, "by"), field(leaked, "at")),
        ));
    }
    for credential in ["current", "pending", "previous"] {
        if let Some(there) = rotation.get(credential).filter(|there| there.is_object()) {
            facts.push((credential, format!("{}, version {}", field(there, "user"), field(there, "version"))));
        }
    }
    if let Some(lacks) = rotation.get("lacks").and_then(Value::as_array) {
        let hosts: Vec<&str> = lacks.iter().filter_map(Value::as_str).collect();
        facts.push(("waits for", hosts.join(", ")));
    }
    if let Some(silent) = rotation.get("silent").and_then(Value::as_array) {
        let each = silent.iter().map(|one| format!("{} since {}", field(one, "host"), field(one, "heard")));
        facts.push(("silent", each.collect::<Vec<_>>().join(", ")));
    }
    if let Some(tries) = rotation.get("last_try").and_then(Value::as_array) {
        let each = tries.iter().map(|one| match field(one, "host") {
            host if host.is_empty() => field(one, "said"),
            host => format!("{host}: {}", field(one, "said")),
        });
        facts.push(("last try", each.collect::<Vec<_>>().join("; ")));
    }
    if let Some(trouble) = rotation.get("trouble").filter(|trouble| trouble.is_object()) {
        let words = [field(trouble, "why"), field(trouble, "said")];
        facts.push(("trouble", words.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(". Said: ")));
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

/// What of a rotation that is shown is what somebody said.
const SETTINGS: [&str; 16] = [
    "plan",
    "users",
    "admin",
    "driver",
    "host",
    "port",
    "database",
    "account_host",
    "roots",
    "overlap_secs",
    "distance_secs",
    "period_secs",
    "jitter_secs",
    "windows",
    "tries",
    "tries_away",
];
/// What the server takes of them.
const ROOTS_BYTES_MAX: u64 = secrets::ROOTS_BYTES_MAX as u64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trouble_is_a_line_of_its_own_with_its_path_whole() {
        let rotation = json!({"path": "prod/hosts/deploy"});
        let why = "it halted: `chancery secret rotate prod/hosts/deploy --resume`";
        assert_eq!(trouble_of(&rotation, &json!({ "why": why })), format!("prod/hosts/deploy: {why}"));
    }
}
