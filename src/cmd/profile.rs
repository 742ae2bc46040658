//! `chancery profile`: what a certificate of a kind may be. Checked on the spot; shown, tried out and replayed by the server whose
//! profiles are in force.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ca::{Profile, Profiles};
use clap::{Parser, Subcommand};
use indicatif::ProgressBar;
use serde_json::{Value, json};

use super::files::{self, Input};
use crate::Global;
use crate::client::{Client, percent};
use crate::failure::{Exit, Failure, OrFail};
use crate::output::{self, Listing, Paint, field, whole, words};
use crate::parts::csr;
use crate::parts::span::{Span, span};

#[derive(Parser)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// List the profiles in force at the server, or those that come ready with Chancery
    List {
        /// Those that come with Chancery, in force or not
        #[arg(long)]
        ready: bool,
    },
    /// Check profiles before they are in force: every mistake with its key and what to write
    #[command(after_help = "\
Example:
  chancery profile check my-ca/profiles

Where a server answers it is asked, too, whether an issuer is there that can sign what they say; else that is said not to be known.")]
    Check {
        /// Files NAME.toml, or folders of them
        #[arg(required = true)]
        paths: Vec<PathBuf>,
    },
    /// Show a profile in force with every key of it, or the file of one that comes ready
    #[command(after_help = "\
Examples:
  chancery profile show tls-server
  chancery profile show mtls-peer --ready > my-ca/profiles/mtls-peer.toml")]
    Show {
        /// Its name
        name: String,
        /// The file of one that comes with Chancery
        #[arg(long)]
        ready: bool,
    },
    /// Say what would be issued for a request, or everything that stands against it; nothing is signed or recorded
    #[command(after_help = "Example:\n  chancery profile test tls-server web.csr --owner web")]
    Test(Test),
    /// Say which requests of the past would come out otherwise under changed profiles
    #[command(after_help = "\
Example:
  chancery profile replay --since 90d changed/tls-server.toml

What was issued is held against the changed profile: refused now, another lifetime, subject or issuer, other extensions. What was \
refused then is not in the register, and not replayed. Exit code 0 whatever differs.")]
    Replay(Replay),
}

#[derive(clap::Args)]
struct Test {
    /// The profile in force
    name: String,
    /// A certificate request (PEM or DER)
    csr: PathBuf,
    /// Names, instead of those that the request asks for
    names: Vec<String>,
    /// Whose it would be
    #[arg(long, default_value = "default")]
    owner: String,
    /// Lifetime, such as 16h or 30d
    #[arg(long, value_parser = span)]
    validity: Option<Span>,
}

#[derive(clap::Args)]
struct Replay {
    /// Changed profiles: files NAME.toml, or folders of them
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// How far back: 12h, 90d or 52w
    #[arg(long, value_parser = span, default_value = "90d")]
    since: Span,
}

/// Why a profile whose file is there is not known.
const NOT_IN_FORCE: &str = "`chancery profile list` has those in force; a file in the profiles folder is in force after a start of the \
     server or a SIGHUP to it";

/// A profile longer than this is not one.
const FILE_BYTES_MAX: u64 = 256 << 10;

/// Runs `chancery profile`.
pub async fn run(args: Args, global: &Global) -> Result<(), Failure> {
    match args.what {
        What::List { ready: true } => {
            list_ready(global.json);
            Ok(())
        }
        What::List { ready: false } => list(&global.client()?, global.json).await,
        What::Check { paths } => check(&paths, global).await,
        What::Show { name, ready: true } => show_ready(&name),
        What::Show { name, ready: false } => show(&name, &global.client()?, global.json).await,
        What::Test(args) => test(args, global).await,
        What::Replay(args) => replay(args, global).await,
    }
}

async fn list(client: &Client, as_json: bool) -> Result<(), Failure> {
    let answer = client.get("/api/v1/profiles").await?;
    let items = answer.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
    let rows = items.iter().map(|profile| {
        let [name, kind, issuer] = ["name", "kind", "issuer"].map(|key| field(profile, key));
        let issuer = match field(profile, "fallback_issuer") {
            fallback if fallback.is_empty() => issuer,
            fallback => format!("{issuer} or {fallback}"),
        };
        let life = |key| profile.get(key).and_then(Value::as_u64).map_or(String::new(), in_words);
        let (paint, issues) = match field(profile, "unfit") {
            why if why.is_empty() => (Paint::Plain, "yes".to_owned()),
            why => (Paint::Red, format!("no: {why}")),
        };
        (paint, vec![name, kind, issuer, life("default_validity_secs"), life("max_validity_secs"), issues])
    });
    let columns =
        [whole("PROFILE"), whole("KIND"), words("ISSUER"), whole("DEFAULT"), whole("LONGEST"), words("ISSUES")];
    let mut listing = Listing::new(&columns, as_json);
    listing.add(&items, rows.collect());
    listing.end("there is no profile whose certificates you may read");
    Ok(())
}

/// In the largest unit that leaves no rest.
fn in_words(secs: u64) -> String {
    let units = [(86_400, "d"), (3_600, "h"), (60, "m")];
    let found = units.into_iter().find(|(unit, _)| secs > 0 && secs.is_multiple_of(*unit));
    found.map_or_else(|| format!("{secs}s"), |(unit, word)| format!("{}{word}", secs / unit))
}

fn list_ready(as_json: bool) {
    let items: Vec<Value> =
        Profiles::ready().iter().map(|(name, text)| json!({"name": name, "for": first_words(text)})).collect();
    let rows = items.iter().map(|p| (Paint::Plain, vec![field(p, "name"), field(p, "for")])).collect();
    let mut listing = Listing::new(&[whole("PROFILE"), words("FOR")], as_json);
    listing.add(&items, rows);
    listing.end("none comes ready");
}

/// What a file says of itself in its first line.
fn first_words(text: &str) -> String {
    text.lines().next().unwrap_or_default().trim_start_matches('#').trim().to_owned()
}

fn show_ready(name: &str) -> Result<(), Failure> {
    match Profiles::ready().iter().find(|(ready, _)| *ready == name) {
        Some((_, text)) => output::line(text.trim_end()),
        None => {
            let names: Vec<_> = Profiles::ready().iter().map(|(name, _)| *name).collect();
            return Err(Failure::new(Exit::Usage, format!("no profile {name:?} comes ready"))
                .help(format!("there are {}", names.join(", "))));
        }
    }
    Ok(())
}

async fn show(name: &str, client: &Client, as_json: bool) -> Result<(), Failure> {
    let profile = client.get(&format!("/api/v1/profiles/{}", percent(name))).await;
    let profile = profile.map_err(|failure| failure.help_if_missing(NOT_IN_FORCE))?;
    if as_json {
        output::json(&profile);
        return Ok(());
    }
    let says = profile.get("says").and_then(Value::as_object).cloned().unwrap_or_default();
    let mut facts = vec![("name", field(&profile, "name")), ("hash", field(&profile, "hash"))];
    for (key, value) in &says {
        let unsaid = match value {
            Value::Null | Value::Bool(false) => true,
            Value::Array(list) => list.is_empty(),
            _ => false,
        };
        if !unsaid {
            facts.push((key, field(&json!({ key: value }), key)));
        }
    }
    output::facts(&facts);
    Ok(())
}

/// Files as (name, text), those of folders sorted.
fn read(paths: &[PathBuf]) -> Result<Vec<(PathBuf, String, String)>, Failure> {
    let mut found = Vec::new();
    for path in paths {
        let mut files = if path.is_dir() { in_folder(path)? } else { vec![path.clone()] };
        files.sort();
        for file in files {
            let name = file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
            let text = files::text(&file, FILE_BYTES_MAX)?;
            found.push((file, name, text));
        }
    }
    match found.is_empty() {
        true => Err(Failure::new(Exit::Failed, "there is no profile: a folder of them has files NAME.toml")),
        false => Ok(found),
    }
}

fn in_folder(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    let cannot = || format!("cannot read the folder {}", files::shown(path));
    let entries = std::fs::read_dir(path).or_fail(cannot())?;
    let paths = entries.map(|entry| Ok(entry.or_fail(cannot())?.path())).collect::<Result<Vec<_>, Failure>>()?;
    Ok(paths.into_iter().filter(|path| path.extension().is_some_and(|e| e == "toml")).collect())
}

async fn check(paths: &[PathBuf], global: &Global) -> Result<(), Failure> {
    let read = read(paths)?;
    let mut right = BTreeMap::new();
    let mut items = Vec::new();
    for (file, name, text) in &read {
        items.push(match Profile::read(name, text) {
            Ok(profile) => {
                right.insert(name, text);
                json!({"file": file, "profile": name, "hash": hex::encode(profile.hash())})
            }
            Err(error) => json!({"file": file, "profile": name, "wrong": error.why}),
        });
    }
    let unfit = match right.is_empty() {
        true => Ok(Value::Null),
        false => unfit(&right, global).await,
    };
    match &unfit {
        Ok(answer) => {
            for one in answer["items"].as_array().into_iter().flatten() {
                let same = |item: &&mut Value| item["profile"] == one["profile"] && item.get("wrong").is_none();
                if let Some(item) = items.iter_mut().find(same) {
                    item["wrong"] = one["why"].clone();
                }
            }
        }
        Err(failure) => {
            let first = failure.to_string().lines().next().unwrap_or_default().to_owned();
            output::notice(&format!("no server was asked whether there are issuers for them: {first}"), global.json);
        }
    }
    let rows = items.iter().map(|item| {
        let says = field(item, "wrong");
        let paint = if says.is_empty() { Paint::Plain } else { Paint::Red };
        (paint, vec![field(item, "profile"), if says.is_empty() { "right".to_owned() } else { says }])
    });
    let mut listing = Listing::new(&[whole("PROFILE"), words("WHAT IT SAYS")], global.json);
    listing.add(&items, rows.collect());
    listing.end("there is no profile");
    match items.iter().filter(|item| item.get("wrong").is_some()).count() {
        0 => Ok(()),
        n => Err(Failure::new(Exit::Failed, format!("{n} of {} profiles are wrong", items.len()))),
    }
}

/// Those that no issuer of a server's fits, as it says.
async fn unfit(profiles: &BTreeMap<&String, &String>, global: &Global) -> Result<Value, Failure> {
    global.client()?.post("/api/v1/fit", &json!({ "profiles": profiles })).await
}

async fn test(args: Test, global: &Global) -> Result<(), Failure> {
    let client = global.client()?;
    let mut body = json!({"csr": csr::read(Input::open(&args.csr)?)?, "owner": args.owner});
    if !args.names.is_empty() {
        body["names"] = json!(args.names);
    }
    if let Some(validity) = args.validity {
        body["validity_secs"] = json!(validity.secs());
    }
    let outcome = client.post(&format!("/api/v1/profiles/{}/test", percent(&args.name)), &body).await;
    let outcome = outcome.map_err(|failure| failure.help_if_missing(NOT_IN_FORCE))?;
    let against = outcome.get("against").and_then(Value::as_array).cloned().unwrap_or_default();
    match (outcome.get("would"), global.json) {
        (_, true) => output::json(&outcome),
        (Some(would), false) => tell(would),
        (None, false) => {
            let rows =
                against.iter().map(|a| (Paint::Plain, vec![field(a, "what"), field(a, "why"), field(a, "rule")]));
            let mut listing = Listing::new(&[whole("AGAINST IT"), words("WHY"), words("RULE")], false);
            listing.add(&against, rows.collect());
            listing.end("nothing stands against it");
        }
    }
    match against.len() {
        0 => Ok(()),
        n => Err(Failure::new(Exit::Refused, format!("it would not be issued: {n} reason(s)"))),
    }
}

fn tell(would: &Value) {
    let mut facts = output::shown(would, &["issuer", "subject", "names", "not_before", "not_after", "key", "left_out"]);
    facts.retain(|(_, value)| !value.is_empty());
    let extensions = would.get("extensions").and_then(Value::as_array).cloned().unwrap_or_default();
    let told: Vec<(String, String)> = extensions
        .iter()
        .map(|e| {
            let critical = e.get("critical").and_then(Value::as_bool) == Some(true);
            (field(e, "name"), format!("{}{}", if critical { "critical, " } else { "" }, field(e, "says")))
        })
        .collect();
    facts.extend(told.iter().map(|(name, says)| (name.as_str(), says.clone())));
    output::facts(&facts);
}

async fn replay(args: Replay, global: &Global) -> Result<(), Failure> {
    let client = global.client()?;
    let profiles: BTreeMap<String, String> =
        read(&args.paths)?.into_iter().map(|(_, name, text)| (name, text)).collect();
    let columns = [whole("ASKED"), whole("SERIAL"), words("NAMES"), words("WOULD DIFFER")];
    let mut listing = Listing::new(&columns, global.json);
    let spinner = ProgressBar::new_spinner();
    spinner.enable_steady_tick(Duration::from_millis(120));
    let (mut looked_at, mut differing, mut refused) = (0_u64, 0_usize, 0_usize);
    let mut cursor = Value::Null;
    loop {
        let body = json!({"profiles": profiles, "since_secs": args.since.secs(), "cursor": cursor});
        let page = client.post("/api/v1/replay", &body).await?;
        let items = page.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
        looked_at += page.get("looked_at").and_then(Value::as_u64).unwrap_or_default();
        differing += items.len();
        refused += items.iter().filter(|item| differences(item).iter().any(|d| field(d, "what") == "refused")).count();
        spinner.set_message(format!("{looked_at} requests, {differing} would differ"));
        if !items.is_empty() {
            spinner.suspend(|| listing.add(&items, items.iter().map(row).collect()));
        }
        cursor = page.get("next").cloned().unwrap_or_default();
        if cursor.is_null() || output::is_refused() {
            break;
        }
    }
    spinner.finish_and_clear();
    let since = in_words(args.since.secs());
    let (empty, says) = match looked_at {
        0 => {
            let names: Vec<&str> = profiles.keys().map(String::as_str).collect();
            let says = format!("nothing was compared: no request of the last {since} was under {}", names.join(", "));
            ("nothing was compared", says)
        }
        1 => ("nothing would come out otherwise", format!("1 request: {differing} would differ, {refused} be refused")),
        n => {
            let says = format!("{n} requests: {differing} would differ, {refused} of them be refused");
            ("nothing would come out otherwise", says)
        }
    };
    listing.end(empty);
    output::notice(&says, global.json);
    Ok(())
}

fn differences(item: &Value) -> &[Value] {
    item.get("differs").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn row(item: &Value) -> (Paint, Vec<String>) {
    let told = differences(item).iter().map(|difference| {
        let [what, was, would] = ["what", "was", "would"].map(|key| field(difference, key));
        match (what.as_str(), was.as_str(), would.as_str()) {
            ("refused", _, why) => format!("refused: {why}"),
            (what, "", would) => format!("{what}: new, {would}"),
            (what, was, "") => format!("{what}: gone, was {was}"),
            (what, was, would) => format!("{what}: {was} -> {would}"),
        }
    });
    let asked = field(item, "at").get(..10).unwrap_or_default().to_owned();
    let serial = field(item, "serial").chars().take(SERIAL_DIGITS).collect();
    (Paint::Plain, vec![asked, serial, field(item, "names"), told.collect::<Vec<_>>().join("; ")])
}

/// So much of a serial as tells it apart.
const SERIAL_DIGITS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    /// What docs/CONFIG.md writes as a profile is one.
    #[test]
    fn the_documented_profile_is_one() {
        let docs = include_str!("../../docs/CONFIG.md");
        let (_, section) = docs.split_once("\n## Profiles\n").expect("the section");
        let (section, _) = section.split_once("\n## ").expect("its end");
        let examples: Vec<&str> =
            section.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
        assert_eq!(examples.len(), 1);
        for example in examples {
            Profile::read("documented", example).unwrap();
        }
        for (name, _) in Profiles::ready() {
            assert!(section.contains(&format!("`{name}`")), "{name} is not in docs/CONFIG.md");
        }
    }

    #[test]
    fn a_row_says_what_was_and_what_would_be() {
        let differs = json!([
            {"what": "refused", "was": "", "would": "names: 3 names; 2 is the most"},
            {"what": "lifetime", "was": "60 s", "would": "90 s"},
            {"what": "certificatePolicies", "was": "", "would": "1.2.3"},
            {"what": "keyUsage", "was": "digital-signature", "would": ""},
        ]);
        let (_, cells) = row(
            &json!({"at": "2027-01-01T00:00:00Z", "serial": "00".repeat(16), "names": ["dns:a"], "differs": differs}),
        );
        assert_eq!(cells[..3], ["2027-01-01", "0000000000000000", "dns:a"]);
        assert_eq!(
            cells[3],
            "refused: names: 3 names; 2 is the most; lifetime: 60 s -> 90 s; certificatePolicies: new, 1.2.3; \
             keyUsage: gone, was digital-signature"
        );
        assert_eq!((in_words(86_400), in_words(5_400), in_words(61)), ("1d".into(), "90m".into(), "61s".into()));
    }
}
