//! `chancery audit`: read the log, prove an entry, verify the whole register from its bytes, take it elsewhere.
//!
//! `list`, `show` and `prove` ask the server; `prove-ocsp` does too, and believes it nothing. `verify` and `export` trust no server: they read the register itself
//! (with --config) or an exported folder (with --dir), and need neither the HSM nor the network.

mod proof;
mod prove;
mod rebuild;
mod resume;

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use clap::{Parser, Subcommand};
use indicatif::ProgressBar;
use policy::Timestamp;
use serde_json::{Value, json};
use store::{Identity, Kept, Pins, Report, Source, Word};

use super::files;
use crate::Global;
use crate::client::Client;
use crate::config::Config;
use crate::failure::{Exit, Failure, OrFail};
use crate::output::{self, Column, Listing, Paint, field, whole, words};
use crate::parts::bar::Bar;
use crate::parts::pages::{Page, Pages, some};
use crate::parts::span::{Span, span};

/// A signed log head is a few hundred bytes.
const CHECKPOINT_BYTES_MAX: u64 = 64 << 10;
/// A token that does not answer keeps no auditor waiting.
const TOKEN_MAX: Duration = Duration::from_secs(15);
/// SHA-256 in hexadecimal.
const HASH_DIGITS: usize = 64;

#[derive(Parser)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// List the latest entries of the log, or those of something, by somebody
    #[command(after_help = LIST)]
    List(List),
    /// Show one entry, or the policies or the profile that entries name by a hash
    #[command(after_help = "\
Examples:
  chancery audit show 17
  chancery audit list --json | jq -r '.[].profile.hash // empty' |
    tail -n 1 | xargs chancery audit show")]
    Show {
        /// An entry's index, or a hash of 64 hexadecimal digits from one (`grant.policy`, `profile.hash`)
        what: Shown,
    },
    /// Print the proof that an entry is in the signed log
    Prove {
        /// Its index
        index: u64,
    },
    /// Prove that an OCSP response is of this log: checked here, from its bytes to a signed head
    #[command(after_help = prove::HELP)]
    ProveOcsp(prove::Args),
    /// Verify everything from bytes: tree, checkpoints, every row, every signature
    #[command(after_help = "\
Examples:
  chancery --config my-ca/chancery.toml audit verify
  chancery audit verify --dir ./export --key my-ca/log.vkey \\
    --checkpoint kept/checkpoint

Keep a checkpoint (GET /log/checkpoint) somewhere else: with it, entries that were cut off the end are found too. What this \
node keeps itself, in its folder ([log] state) and in the token, the register is held against where that can be read: a \
register that was put back to an older state is then a finding.

The log's key comes from --key, or from log.vkey beside the configuration. Without either the log is held against the \
key that it records itself, which whoever wrote it all anew would have done too.

Exit code 5 means that something was found; each finding names its row. Exit code 6 means that nothing was, and that no \
key said whose log it is: consistent with itself, identity not checked.")]
    Verify(Verify),
    /// Let this node go on after it stopped because the register was not what it knew (restored, cut, failed over)
    #[command(after_help = resume::HELP)]
    Resume(resume::Args),
    /// Derive anew what lists, searches and counts are answered from, after somebody altered it
    #[command(after_help = rebuild::HELP)]
    Rebuild,
    /// Write the log and the register's rows to a folder that verifies offline
    Export {
        /// The folder (made; must be empty)
        dir: PathBuf,
    },
}

const LIST: &str = "\
Examples:
  chancery audit list
  chancery audit list --of prod/db --event access
  chancery audit list --by token:shop --since 30d --json
  chancery audit list --event refuse --since 1d

With --of, --by or --event the log is walked from its first entry, or from --since or --after: all of it is looked at, and what there \
is beyond --limit is said.";

#[derive(clap::Args)]
struct List {
    /// Only of this: a secret's path, a record's id, a serial, a transit key (transit:NAME)
    #[arg(long, value_name = "PATH")]
    of: Option<String>,
    /// Only by this actor, e.g. token:shop
    #[arg(long, value_name = "ACTOR")]
    by: Option<String>,
    /// Only of this event or kind: access, record, refuse, intend, conclude, fail, revoke, import; certificate, secret ...
    #[arg(long, value_name = "KIND")]
    event: Option<String>,
    /// Only of this time: 30d
    #[arg(long, value_name = "SPAN", value_parser = span, conflicts_with = "after")]
    since: Option<Span>,
    /// Begin after this index instead
    #[arg(long)]
    after: Option<u64>,
    /// At most this many; 50 of the latest, 1000 of those that are sought
    #[arg(long, value_parser = some())]
    limit: Option<usize>,
}

impl List {
    /// What the server is asked to look for.
    fn sought(&self) -> Vec<(&'static str, String)> {
        let said = [("of", &self.of), ("by", &self.by), ("event", &self.event)];
        said.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))).collect()
    }

    /// After which entry it begins, in a log of so many, at the server's time.
    async fn begins_after(
        &self,
        client: &Client,
        (size, now): (u64, Timestamp),
        limit: usize,
    ) -> Result<Option<u64>, Failure> {
        if let Some(since) = self.since {
            let since = since.before(now).rfc3339();
            return Ok(super::report::first_since(client, &since, size).await?.checked_sub(1));
        }
        // "after" is exclusive and the first entry has index 0, so that none means from the beginning.
        let latest = self.sought().is_empty().then(|| size.checked_sub(limit as u64 + 1)).flatten();
        Ok(self.after.or(latest))
    }
}

#[derive(clap::Args)]
struct Verify {
    /// An exported folder, instead of the register that --config names
    #[arg(long)]
    dir: Option<PathBuf>,
    /// A checkpoint kept from earlier: the log must still contain everything it covers
    #[arg(long)]
    checkpoint: Option<PathBuf>,
    /// The log's verifier key (a file such as DIR/log.vkey); by default log.vkey beside the configuration
    #[arg(long)]
    key: Option<PathBuf>,
    /// Do not log in to the token to ask which checkpoint it keeps
    #[arg(long)]
    no_token: bool,
}

/// Runs `chancery audit`.
pub async fn run(args: Args, global: &Global) -> Result<(), Failure> {
    match args.what {
        What::List(args) => list(args, global).await,
        What::Show { what } => show(what, global).await,
        What::Prove { index } => {
            output::json(&global.client()?.get(&format!("/api/v1/audit/{index}")).await?);
            Ok(())
        }
        What::ProveOcsp(args) => prove::run(args, global).await,
        What::Verify(verify) => self::verify(verify, global).await,
        What::Resume(args) => resume::run(args, global).await,
        What::Rebuild => rebuild::run(global).await,
        What::Export { dir } => export(dir, global).await,
    }
}

/// What is shown.
#[derive(Clone)]
enum Shown {
    Entry(u64),
    /// Hexadecimal.
    Text(String),
}

impl FromStr for Shown {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Shown, &'static str> {
        let is_hash = text.len() == HASH_DIGITS && text.bytes().all(|b| b.is_ascii_hexdigit());
        match text.parse() {
            Ok(index) => Ok(Shown::Entry(index)),
            Err(_) if is_hash => Ok(Shown::Text(text.to_ascii_lowercase())),
            Err(_) => Err("write an entry's index, or a hash of 64 hexadecimal digits"),
        }
    }
}

async fn show(what: Shown, global: &Global) -> Result<(), Failure> {
    let client = global.client()?;
    match what {
        Shown::Entry(index) => {
            let answer = client.get(&format!("/api/v1/audit/{index}")).await?;
            output::json(&with_word(answer));
        }
        Shown::Text(hash) => {
            let answer = client.get(&format!("/api/v1/audit/texts/{hash}")).await?;
            match global.json {
                true => output::json(&answer),
                // As it was hashed: `chancery audit show HASH | head -c -1 | sha256sum` is the hash.
                false => output::line(field(&answer, "text")),
            }
        }
    }
    Ok(())
}

/// A leaf; where an operator speaks in it, with what he said.
fn with_word(mut answer: Value) -> Value {
    let mut taken = |name| (name, answer.get_mut(name).map(Value::take).filter(|value| !value.is_null()));
    let beside = [taken("word"), taken("change")];
    let mut leaf = answer.get_mut("leaf").map(Value::take).unwrap_or(answer);
    for (name, value) in beside {
        if let Some((leaf, value)) = leaf.as_object_mut().zip(value) {
            leaf.insert(name.to_owned(), value);
        }
    }
    leaf
}

async fn list(args: List, global: &Global) -> Result<(), Failure> {
    let client = global.client()?;
    let (size, now) = size(&client).await?;
    let mut query = args.sought();
    let is_sought = !query.is_empty();
    let limit = args.limit.unwrap_or(if is_sought || args.since.is_some() { SOUGHT } else { LATEST });
    let from = args.begins_after(&client, (size, now), limit).await?;
    query.extend(from.map(|index| ("after", index.to_string())));
    let (wide, now) = (output::is_wide(), now.rfc3339());
    let mut listing = if wide { Listing::new(&WIDE, global.json) } else { Listing::new(&NARROW, global.json) };
    let mut pages = Pages::new(&client, "/api/v1/audit", &query, limit);
    while let Some(Page { items, words, .. }) = pages.next().await? {
        let rows = items.iter().map(|leaf| row(leaf, &words));
        let rows = rows.map(|row| (Paint::Plain, if wide { row } else { narrow(row, &now) }));
        listing.add(&items, rows.collect());
    }
    if let Some(next) = pages.next_cursor().filter(|_| is_sought || args.since.is_some()) {
        let says = format!("there may be more than these {limit}: the same with --after {next}, without --since");
        output::notice(&says, global.json);
    }
    pages.end(global.json);
    listing.end(&match (args.after, size) {
        (_, 1..) if is_sought => "the log has no such entry".to_owned(),
        (Some(after), _) => format!("no entry after {after}; the log has {size}"),
        (None, 0) => "the log is empty".to_owned(),
        (None, _) => format!("of the log's {size} entries none can be read"),
    });
    Ok(())
}

/// So many of the latest, and so many of those that are sought, where nobody says.
const LATEST: usize = 50;
const SOUGHT: usize = 1_000;
const WIDE: [Column; 8] = [
    whole("INDEX"),
    whole("TIME"),
    words("EVENT"),
    words("KIND"),
    words("ACTOR"),
    words("PROFILE"),
    whole("OF"),
    words("OUTCOME"),
];
const NARROW: [Column; 6] = [whole("INDEX"), whole("TIME"), whole("EVENT"), words("WHAT"), words("ACTOR"), whole("OF")];
/// So much of a serial, a hash or an id as tells it apart; `audit show` has the whole.
const BRIEF: usize = 16;
/// A whole serial, half a hash.
const ABOUT: usize = 32;

/// A row where there is little room; what the event says already is left out.
fn narrow(row: Vec<String>, now: &str) -> Vec<String> {
    match <[String; 8]>::try_from(row) {
        Ok([index, time, event, kind, actor, profile, about, outcome]) => {
            let kind = if profile.is_empty() { kind } else { profile };
            let what = match outcome.as_str() {
                "" | "issued" | "revoked" => kind,
                said if kind == REFUSAL => said.to_owned(),
                said => format!("{kind}: {said}"),
            };
            vec![index, brief_time(&time, now), event, what, actor, about.chars().take(BRIEF).collect()]
        }
        Err(row) => row,
    }
}

/// What a refusal is called, which its event says.
const REFUSAL: &str = "refusal";

/// The minute of a time of this year, the day of another, as `ls -l` has it.
fn brief_time(time: &str, now: &str) -> String {
    match time.get(..4) == now.get(..4) {
        true => time.get(5..16).unwrap_or(time).replace('T', " "),
        false => time.get(..10).unwrap_or(time).to_owned(),
    }
}

/// An entry in words: who and under which profile, of what, and what was said in it; `show` has the proofs and hashes.
fn row(leaf: &Value, words: &[Value]) -> Vec<String> {
    let within = |object: &str, name: &str| leaf.get(object).map_or_else(String::new, |value| field(value, name));
    let [index, time, event, kind, serial, mut outcome, id] =
        ["i", "time", "event", "kind", "serial", "outcome", "id"].map(|f| field(leaf, f));
    // A refusal says what was missing; that it was refused is its event.
    let says = field(leaf, "says");
    if !says.is_empty() {
        outcome = says;
    }
    if let Some(word) = words.iter().find(|word| word.get("index") == leaf.get("i")) {
        outcome = said(word);
    }
    // What it is about: a serial, what a record is called by, or what was shown.
    let about = if serial.is_empty() { id } else { serial };
    let about = if about.is_empty() { opened(leaf) } else { about };
    let about = about.chars().take(ABOUT).collect();
    vec![index, time, event, kind, within("actor", "id"), within("profile", "name"), about, outcome]
}

/// What an access showed: the first of it, and how many more.
fn opened(leaf: &Value) -> String {
    let all = leaf.get("opened").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    match all {
        [] => String::new(),
        [one] => match leaf.get("used") {
            Some(used) => {
                let items = used.get("items").and_then(Value::as_u64).unwrap_or(0);
                format!("{} {}: {items}", field(one, "id"), field(used, "act"))
            }
            None => field(one, "id"),
        },
        [first, more @ ..] => format!("{} and {} more", field(first, "id"), more.len()),
    }
}

/// Entries in the log, and the server's time.
async fn size(client: &Client) -> Result<(u64, Timestamp), Failure> {
    let (page, now) = client.get_dated("/api/v1/audit?limit=1").await?;
    Ok((page.get("size").and_then(Value::as_u64).unwrap_or(0), now))
}

/// What an operator said, in a cell.
fn said(word: &Value) -> String {
    let [reason, from, to] = ["reason", "from", "to"].map(|f| field(word, f));
    match (from.as_str(), to.as_str()) {
        ("", _) | (_, "") => reason,
        _ => format!("{reason} ({from} -> {to})"),
    }
}

async fn verify(args: Verify, global: &Global) -> Result<(), Failure> {
    let (mut kept, mut unasked) = (Vec::new(), Vec::new());
    let (source, key) = match &args.dir {
        Some(dir) => (Source::Folder(dir.clone()), args.key.clone()),
        None => {
            let config = global.config()?;
            // Before the register is read: what a running node keeps meanwhile must not look like something that was taken away.
            (kept, unasked) = kept_by_the_node(&config, args.no_token).await;
            let database = config.database.clone();
            let beside = config.file.parent().unwrap_or(Path::new(".")).join("log.vkey");
            (Source::Database(database), args.key.clone().or(Some(beside).filter(|p| p.exists())))
        }
    };
    let pins = Pins {
        checkpoint: args.checkpoint.as_deref().map(read_text).transpose()?,
        verifier_key: key.as_deref().map(read_text).transpose()?.map(|t| t.trim().to_owned()),
        kept: kept.clone(),
    };
    let report = tokio::task::spawn_blocking(move || {
        let bar = Bar::new();
        let report = store::verify_pinned(source, &pins, &mut |p| bar.is_at(p));
        bar.ends();
        report
    })
    .await
    .or_fail("the verification broke off")?
    .or_exit(Exit::Failed, "cannot read the register")?;
    let from = key.as_deref().map(|path| path.display().to_string());
    print_report(&report, from.as_deref(), (&kept, &unasked), global.json);
    match report.findings_total {
        0 if report.leaves > 0 && report.unsigned == report.leaves => {
            Err(Failure::new(Exit::Findings, "no checkpoint covers any entry: nothing signed vouches for this log")
                .help("`init` signs the first one; somebody took them away. Treat the register as untrusted"))
        }
        0 if report.identity == Identity::Unchecked => {
            Err(Failure::new(Exit::Unidentified, "consistent with itself, identity not checked")
                .help("bring the log's key from where you trust it: --key log.vkey"))
        }
        0 => Ok(()),
        n if report.findings.iter().all(|finding| kept.iter().any(|kept| kept.by == finding.where_)) => {
            Err(Failure::new(Exit::Findings, format!("{n} finding(s): this register is not the newest that the node knew"))
                .help(
                    "nothing else is wrong with it; where you put it back yourself, say so: `chancery audit resume --reason TEXT` \
                     (docs/BACKUP.md)",
                ))
        }
        n => Err(Failure::new(Exit::Findings, format!("{n} finding(s): this register is not what was signed"))
            .help("keep it as it is, compare with a backup, and treat what the findings name as untrusted")),
    }
}

/// What the node keeps outside its database, in its folder and in the token, and what could not be read of it, in words.
async fn kept_by_the_node(config: &Config, no_token: bool) -> (Vec<Kept>, Vec<String>) {
    let (mut kept, mut unasked) = (Vec::new(), Vec::new());
    match Kept::in_folder(&config.log_state) {
        Ok(found) => kept.extend(found),
        Err(error) => unasked.push(error.to_string()),
    }
    if no_token {
        return (kept, unasked);
    }
    match in_token(config).await {
        Ok(found) => kept.extend(found),
        Err(why) => unasked.push(format!("the token was not asked: {why}")),
    }
    (kept, unasked)
}

/// An auditor on another host has no token, and verifies without.
async fn in_token(config: &Config) -> Result<Vec<Kept>, String> {
    let open = config.open_tokens();
    let opened = tokio::task::spawn_blocking(move || hsm::open_all(open).map_err(|error| error.to_string()));
    let opened = tokio::time::timeout(TOKEN_MAX, opened).await.map_err(|_| "it does not answer".to_owned())?;
    let (pool, _mint) = opened.map_err(|error| error.to_string())??;
    let kept = Kept::in_token(&pool, &config.log_origin).await;
    pool.shutdown();
    kept.map_err(|error| error.to_string())
}

/// `key_from`: the file that the pinned key was read from; `kept`: what the node kept, and what of it could not be read.
fn print_report(report: &Report, key_from: Option<&str>, kept: (&[Kept], &[String]), as_json: bool) {
    let (kept, unasked) = kept;
    if as_json {
        let findings: Vec<Value> =
            report.findings.iter().map(|f| json!({"what": f.what, "where": f.where_, "says": f.says})).collect();
        return output::json(&json!({
            "origin": report.origin,
            "key": report.key,
            "key_from": key_from,
            "identity": report.identity.as_str(),
            "leaves": report.leaves,
            "certificates": report.certificates,
            "imported": report.imported,
            "checkpoints": report.checkpoints,
            "unsigned": report.unsigned,
            "root": report.root,
            "times_set": report.times_set,
            "resumptions": report.resumptions,
            "words": report.words.iter().map(word).collect::<Vec<_>>(),
            "kept": kept.iter().map(|kept| json!({"by": kept.by, "size": kept.size})).collect::<Vec<_>>(),
            "unasked": unasked,
            "unconcluded": report.unconcluded,
            "unconcluded_total": report.unconcluded_total,
            "findings": findings,
            "findings_total": report.findings_total,
        }));
    }
    let whose = match key_from {
        Some(path) => format!("from {path}"),
        None => "from the log itself: identity not checked".to_owned(),
    };
    output::facts(&[
        ("log", report.origin.clone()),
        ("key", format!("{} ({whose})", report.key)),
        ("log entries", report.leaves.to_string()),
        ("signatures", report.certificates.to_string()),
        ("imported, not signed here", report.imported.to_string()),
        ("checkpoints", report.checkpoints.to_string()),
        ("not covered by one yet", report.unsigned.to_string()),
        ("root", report.root.clone()),
        ("kept by the node", kept_in_words(kept)),
        ("times set by an operator", report.times_set.to_string()),
        ("gone on by an operator's word", report.resumptions.to_string()),
        ("unconcluded", report.unconcluded_total.to_string()),
        ("findings", report.findings_total.to_string()),
    ]);
    unasked.iter().for_each(|why| output::line(format!("not held against what was kept: {why}")));
    for said_so in &report.words {
        let (index, at, kind, actor) = (said_so.index, said_so.at, &said_so.kind, &said_so.actor);
        output::line(output::printable(&format!("entry {index}, {at}, {kind} by {actor}: {}", said(&word(said_so)))));
    }
    if !report.unconcluded.is_empty() {
        let some: Vec<String> = report.unconcluded.iter().map(u64::to_string).collect();
        output::line(format!("intents without a conclusion (they count as issued): {}", some.join(", ")));
    }
    let rows = report.findings.iter().map(|f| vec![f.what.to_owned(), f.where_.clone(), f.says.clone()]).collect();
    output::table(
        &["FINDING", "WHERE", "WHAT IT SAYS"],
        rows,
        match report.identity {
            Identity::Pinned => "verified: every entry, checkpoint, row and signature holds",
            Identity::Unchecked => "consistent with itself: every entry, checkpoint, row and signature holds",
        },
    );
}

fn word(word: &Word) -> Value {
    let Word { index, kind, at, actor, reason, from, to } = word;
    json!({"index": index, "kind": kind, "at": at, "actor": actor, "reason": reason, "from": from, "to": to})
}

/// Which heads of its own the register was held against.
fn kept_in_words(kept: &[Kept]) -> String {
    match kept {
        [] => "nothing that was found".to_owned(),
        kept => kept.iter().map(|kept| format!("{} ({})", kept.by, kept.size)).collect::<Vec<_>>().join(", "),
    }
}

async fn export(dir: PathBuf, global: &Global) -> Result<(), Failure> {
    let config = global.config()?;
    let _folder = files::Folder::take_empty(&dir)?;
    let database = config.database.clone();
    let spinner = ProgressBar::new_spinner().with_message("exporting");
    spinner.enable_steady_tick(Duration::from_millis(120));
    let target = dir.clone();
    let store::Exported { entries, left_out } =
        tokio::task::spawn_blocking(move || store::export_database(&database, &target))
            .await
            .or_fail("the export broke off")?
            .or_fail("cannot export the register")?;
    spinner.finish_and_clear();
    if global.json {
        output::json(&json!({"dir": dir, "entries": entries, "left_out": left_out}));
        return Ok(());
    }
    output::line(format!("{}  verify it with: chancery audit verify --dir {}", dir.display(), dir.display()));
    output::line(format!("{entries} entries{}", remainder(left_out)));
    Ok(())
}

/// The export ends at the newest checkpoint, so that everything in it is signed for.
fn remainder(left_out: u64) -> String {
    match left_out {
        0 => String::new(),
        n => format!(
            "; {n} after the newest checkpoint were left out: a running server signs for them, then run it again into another folder"
        ),
    }
}

fn read_text(path: &Path) -> Result<String, Failure> {
    files::text(path, CHECKPOINT_BYTES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_a_row_of_words() {
        let leaf = json!({
            "i": 2, "event": "intend", "actor": {"id": "token:ops", "proof": "token", "with": "00"},
            "profile": {"name": "tls-server", "hash": "09"},
        });
        let word = json!({"index": 2, "reason": "restored", "from": "52", "to": "45"});
        assert_eq!(row(&leaf, &[]), ["2", "", "intend", "", "token:ops", "tls-server", "", ""]);
        assert_eq!(row(&leaf, &[word])[7], "restored (52 -> 45)");
        assert_eq!(row(&json!({"i": 3}), &[])[4..6], ["", ""]);
    }

    #[test]
    fn a_narrow_row_says_what_an_entry_is_of() {
        let leaf = json!({
            "i": 2, "event": "intend", "kind": "certificate", "time": "2026-11-27T19:08:16Z", "actor": {"id": "token:ops"},
            "profile": {"name": "tls-server"}, "serial": "01016b09d520b5f7f24c2222043d3860",
        });
        let refusal = json!({"i": 3, "event": "refuse", "kind": "refusal", "time": "2026-11-27T19:08:16Z", "outcome": "refused", "says": "no such owner"});
        let rows =
            [narrow(row(&leaf, &[]), "2026-12-01T00:00:00Z"), narrow(row(&refusal, &[]), "2027-01-01T00:00:00Z")];
        assert_eq!(rows[0], ["2", "11-27 19:08", "intend", "tls-server", "token:ops", "01016b09d520b5f7"]);
        assert_eq!(rows[1], ["3", "2026-11-27", "refuse", "no such owner", "", ""]);
        let access = json!({"i": 4, "event": "access", "kind": "secret", "outcome": "opened", "opened": [{"id": "prod/db@1.2"}, {"id": "b@1.1"}]});
        assert_eq!(row(&access, &[])[6], "prod/db@1.2 and 1 more");
    }

    #[test]
    fn an_export_says_what_it_left_out() {
        assert_eq!(remainder(0), "");
        assert!(remainder(3).contains("3 after the newest checkpoint"));
    }
}
