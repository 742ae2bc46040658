//! `chancery ssh login`: a key for today with its certificate, in the place of those of the day before.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::super::files::{self, Input, Outputs, PUBLIC, Standing};
use super::earlier::{Earlier, Kind, certifies};
use super::{PUBLIC_KEY_BYTES_MAX, Wish, public_key, request};
use crate::Global;
use crate::client::variable;
use crate::failure::{Exit, Failure, OrFail};
use crate::output::{self, field};

/// With this begins the comment of keys that a login makes. The end of the key itself follows: by both they are known, as nobody chooses
/// such a comment for a key of his own.
const MADE: &str = "chancery-login:";
/// So many characters of it, in base64.
const MARK_CHARS: usize = 24;

pub(super) const EXAMPLES: &str = "\
Examples:
  chancery ssh login --principal alice
  chancery ssh login --principal alice --principal deploy --validity 8h
  chancery ssh login --principal alice --key ~/.ssh/id_ed25519";

#[derive(clap::Args)]
pub(super) struct Login {
    #[command(flatten)]
    wish: Wish,
    /// The key file: made anew by each login, or a key of your own that is only signed
    #[arg(long)]
    key: Option<PathBuf>,
}

/// Runs `chancery ssh login`.
pub(super) async fn run(args: Login, global: &Global) -> Result<(), Failure> {
    let is_named = args.key.is_some();
    let key = match args.key {
        Some(path) => path,
        None => {
            let home = variable("HOME")
                .ok_or_else(|| Failure::new(Exit::Failed, "HOME is not set").help("name the key file with --key"))?;
            PathBuf::from(home).join(".ssh").join("chancery_ed25519")
        }
    };
    // A key of ours lives as long as its certificate; one that the user brought is left as it is.
    let fresh = if is_ours(&key)? { Some(FreshKey::make(&key)?) } else { None };
    if fresh.is_none() && !is_named {
        let says = "was made by no login: it is signed, and stays; once it is moved away, each login makes a key anew";
        output::notice(&format!("{} {says}", files::shown(&key)), global.json);
    }
    let public = with_suffix(fresh.as_ref().map_or(&key, |fresh| &fresh.path), ".pub");
    let line = public_key(Input::open(&public)?)?;
    // The place first: no certificate is asked for that could not be kept. That of the day before makes room: of a key that goes away with
    // it whoever signed it, as its CA may have ended.
    let mut outputs = Outputs::new(false);
    let client = global.client()?;
    let earlier = Earlier::of(Kind::User, &client).await?;
    let of_login = fresh.as_ref().and_then(|_| files::text(&with_suffix(&key, ".pub"), PUBLIC_KEY_BYTES_MAX).ok());
    let before = |there: &[u8]| match (&fresh, &of_login) {
        (None, _) => earlier.is_of(&line, there),
        (Some(_), None) => earlier.is_ours(there),
        (Some(_), Some(made)) => earlier.is_ours(there) || certifies(Kind::User, made, there),
    };
    let place = outputs.place(&with_suffix(&key, "-cert.pub"), PUBLIC, Standing::PredecessorAlone(&before))?;
    let issued = request(&args.wish, None, &line, Kind::User, &client).await?;
    let agent = Agent::of_user();
    let ours = fresh.is_some();
    // Before the files are replaced, since they say what the agent holds.
    agent.iter().for_each(|agent| agent.forget(&key));
    if let Some(fresh) = fresh {
        fresh.put(&key)?;
    }
    let mut facts = output::shown(&issued, &["serial", "principals", "not_after", "operation"]);
    facts.push(output::written_to(&place));
    place.fill(format!("{}\n", field(&issued, "certificate").trim_end()).as_bytes())?;
    let held = agent.map(|agent| agent.add(&key, ours, secs_left(&issued)));
    output::report(&outputs, &facts, &issued, global.json);
    match &held {
        Some(Held::Not(why)) => output::notice(&format!("the ssh-agent did not take it: {why}"), global.json),
        Some(Held::Longer) => output::notice(
            "this ssh-agent knows no lifetimes: it keeps the certificate beyond its end, until the next login",
            global.json,
        ),
        Some(Held::UntilItEnds) | None => {}
    }
    if !global.json {
        let name = args.wish.principals.first().map_or("NAME", String::as_str);
        let named = format!("name the key: ssh -i {} {name}@HOST", files::shown(&key));
        output::line(match held {
            Some(Held::UntilItEnds) => format!("the ssh-agent has it until it ends: ssh {name}@HOST"),
            Some(Held::Longer) => format!("the ssh-agent has it: ssh {name}@HOST"),
            Some(Held::Not(_)) => named,
            None => format!("no ssh-agent runs here, so {named}"),
        });
    }
    Ok(())
}

/// Whether the key file is one that an earlier login made, or none yet. What cannot be read is the user's own.
fn is_ours(key: &Path) -> Result<bool, Failure> {
    let public = with_suffix(key, ".pub");
    match (key.symlink_metadata().is_ok(), public.symlink_metadata().is_ok()) {
        (false, false) => Ok(true),
        // A key that is kept elsewhere has its public half alone here.
        (false, true) => Ok(is_made(&files::text(&public, PUBLIC_KEY_BYTES_MAX)?)),
        // The key says whose it is, and not what lies beside it.
        (true, _) => {
            let file = key.display().to_string();
            let shown =
                Command::new("ssh-keygen").args(["-y", "-P", "", "-f", file.as_str()]).stdin(Stdio::null()).output();
            let shown = shown.ok().filter(|shown| shown.status.success());
            Ok(shown.is_some_and(|shown| is_made(&String::from_utf8_lossy(&shown.stdout))))
        }
    }
}

/// Whether a login made the key of this line.
fn is_made(line: &str) -> bool {
    let mut words = line.split_whitespace().skip(1);
    words.next().zip(words.next()).is_some_and(|(blob, comment)| comment == mark(blob))
}

/// The comment of a key that a login makes.
fn mark(blob: &str) -> String {
    let end = blob.get(blob.len().saturating_sub(MARK_CHARS)..).unwrap_or(blob);
    format!("{MADE}{end}")
}

/// A key under another name, until its certificate is there: a login that is refused leaves what was there before.
struct FreshKey {
    path: PathBuf,
}

impl FreshKey {
    fn make(beside: &Path) -> Result<FreshKey, Failure> {
        files::private_folder(beside.parent().unwrap_or(Path::new(".")))?;
        let fresh = FreshKey { path: with_suffix(beside, &format!(".{}", std::process::id())) };
        fresh.remove();
        let file = fresh.path.display().to_string();
        tool("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-C", MADE, "-f", &file])?;
        let line = files::text(&with_suffix(&fresh.path, ".pub"), PUBLIC_KEY_BYTES_MAX)?;
        let comment = mark(line.split_whitespace().nth(1).unwrap_or_default());
        tool("ssh-keygen", &["-q", "-c", "-P", "", "-C", &comment, "-f", &file])?;
        Ok(fresh)
    }

    /// Takes the place of the key that was there.
    fn put(self, key: &Path) -> Result<(), Failure> {
        let said = || format!("cannot write {}", files::shown(key));
        std::fs::rename(&self.path, key).or_fail(said())?;
        std::fs::rename(with_suffix(&self.path, ".pub"), with_suffix(key, ".pub")).or_fail(said())
    }

    fn remove(&self) {
        let _ = std::fs::remove_file(&self.path);
        let _ = std::fs::remove_file(with_suffix(&self.path, ".pub"));
    }
}

impl Drop for FreshKey {
    fn drop(&mut self) {
        self.remove();
    }
}

/// What the ssh-agent made of a key with its certificate.
enum Held {
    UntilItEnds,
    /// Some know no lifetimes: Windows' own, several that stand in front of others.
    Longer,
    /// Some take keys and no certificates, and ssh-add calls that a success; others are locked, or gone with a session of yesterday.
    Not(String),
}

/// The user's ssh-agent. It keeps each certificate beside those before, and sshd hangs up after six that it does not take: so the
/// old one leaves when a new one comes, and each leaves when it ends.
struct Agent;

impl Agent {
    fn of_user() -> Option<Agent> {
        variable("SSH_AUTH_SOCK").map(|_| Agent)
    }

    /// Takes out what earlier logins put in: this key with its certificate, and whatever bears a login's comment.
    fn forget(&self, key: &Path) {
        let certificate = with_suffix(key, "-cert.pub");
        if certificate.exists() {
            let _ = quiet("ssh-add", &["-q", "-d", &certificate.display().to_string()]);
        }
        let held = with_suffix(key, &format!(".held.{}", std::process::id()));
        let listed = self.listed();
        let is_of_a_login =
            |line: &&str| line.split_whitespace().nth(2).is_some_and(|comment| comment.starts_with(MADE));
        for line in listed.lines().filter(is_of_a_login) {
            if files::write(&held, format!("{line}\n").as_bytes(), PUBLIC).is_ok() {
                let _ = quiet("ssh-add", &["-q", "-d", &held.display().to_string()]);
            }
            let _ = std::fs::remove_file(&held);
        }
    }

    /// The files are there whatever it says, and the login is good with them: an agent that does not want them is told of, not failed
    /// on. What it has is what it lists.
    fn add(&self, key: &Path, ours: bool, secs: u64) -> Held {
        let file = key.display().to_string();
        let timed = said("ssh-add", &["-q", "-t", &secs.to_string(), &file]);
        if self.has(key) {
            return Held::UntilItEnds;
        }
        said("ssh-add", &["-q", &file]);
        if self.has(key) {
            return Held::Longer;
        }
        if ours {
            // A bare key opens nothing, and costs one of sshd's six tries.
            let _ = quiet("ssh-add", &["-q", "-d", &file]);
        }
        Held::Not(timed)
    }

    /// Whether it lists the key's certificate.
    fn has(&self, key: &Path) -> bool {
        let blob = |line: &str| line.split_whitespace().nth(1).map(str::to_owned);
        let certificate = files::text(&with_suffix(key, "-cert.pub"), PUBLIC_KEY_BYTES_MAX).ok();
        let certificate = certificate.as_deref().and_then(blob);
        certificate.is_some() && self.listed().lines().any(|line| blob(line) == certificate)
    }

    fn listed(&self) -> String {
        let listed = Command::new("ssh-add").arg("-L").stdin(Stdio::null()).stderr(Stdio::null()).output();
        listed.map_or_else(|_| String::new(), |listed| String::from_utf8_lossy(&listed.stdout).into_owned())
    }
}

/// How long a certificate still holds.
fn secs_left(issued: &Value) -> u64 {
    let end = policy::Timestamp::parse_rfc3339(&field(issued, "not_after"));
    let left = end.map_or(0, |end| end.since(policy::World::real().now()));
    u64::try_from(left).unwrap_or(0).max(1)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut text = path.as_os_str().to_owned();
    text.push(suffix);
    PathBuf::from(text)
}

fn tool(program: &str, args: &[&str]) -> Result<(), Failure> {
    let status = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .or_fail(format!("cannot run {program}; is openssh-client installed?"))?;
    if status.success() { Ok(()) } else { Err(Failure::new(Exit::Failed, format!("{program} ended with {status}"))) }
}

/// Runs what may fail, and gives its last word.
fn said(program: &str, args: &[&str]) -> String {
    match Command::new(program).args(args).stdin(Stdio::null()).output() {
        Ok(output) => {
            let words = String::from_utf8_lossy(&output.stderr).into_owned();
            let last = words.lines().rev().map(str::trim).find(|line| !line.is_empty());
            last.map_or_else(|| format!("{program} ended with {}", output.status), str::to_owned)
        }
        Err(error) => format!("{program} cannot be run: {error}"),
    }
}

/// For what may fail, and says so in its own words to nobody.
fn quiet(program: &str, args: &[&str]) -> std::io::Result<()> {
    Command::new(program).args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_a_login_is_known_by_a_comment_that_names_that_key() {
        let blob = "AAAAC3NzaC1lZDI1NTE5AAAAIE6wBcVHSGErOfLu1gODi9q8mP0c0eZTFW5NXAGLW2J1";
        assert!(is_made(&format!("ssh-ed25519 {blob} {}\n", mark(blob))));
        let other = blob.replace("W2J1", "W2J2");
        let others = mark(&other);
        for comment in ["chancery", MADE, others.as_str(), ""] {
            assert!(!is_made(&format!("ssh-ed25519 {blob} {comment}")), "{comment}");
        }
        assert!(!is_made("") && !is_made("ssh-ed25519") && !is_made(blob));
    }
}
