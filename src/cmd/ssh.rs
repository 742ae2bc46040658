//! `chancery ssh`: certificates for people and hosts, and the public keys that sshd and ssh have to trust.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::{Parser, Subcommand};
use serde_json::{Value, json};

use super::files::{self, PUBLIC};
use crate::Global;
use crate::failure::{Exit, Failure, OrFail};
use crate::output::{self, field};

const PUBLIC_KEY_BYTES_MAX: u64 = 16 << 10;
/// The comment of keys that a login makes: by it they are known, on disk and in the agent.
const COMMENT: &str = "chancery";

#[derive(Parser)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Sign a person's public key; writes KEY-cert.pub beside it
    #[command(after_help = "Example:\n  chancery ssh sign-user ~/.ssh/id_ed25519.pub --owner ops --principal alice")]
    SignUser(Sign),
    /// Sign a host's public key; writes KEY-cert.pub beside it
    #[command(
        after_help = "Example:\n  chancery ssh sign-host /etc/ssh/ssh_host_ed25519_key.pub --owner ops --principal db1.example.internal"
    )]
    SignHost(Sign),
    /// Make a key for today, have it signed, and hand it to the ssh-agent where one runs, in place of the one before
    Login(Login),
    /// Print what to trust: user CA for sshd (TrustedUserCAKeys), host CA for known_hosts
    Ca(Ca),
}

#[derive(clap::Args)]
struct Sign {
    /// The public key file (OpenSSH format)
    key: PathBuf,
    /// Whose it is; its rules decide which principals are allowed
    #[arg(long, default_value = "default")]
    owner: String,
    /// Login name (user) or host name (host); may be given several times
    #[arg(long = "principal", required = true)]
    principals: Vec<String>,
    /// Lifetime in seconds, within the profile's bounds
    #[arg(long)]
    validity_secs: Option<u64>,
    /// What sshd writes in its log; by default who asked
    #[arg(long)]
    key_id: Option<String>,
    /// Where to write the certificate, by default KEY-cert.pub
    #[arg(long)]
    out: Option<PathBuf>,
}

#[derive(clap::Args)]
struct Login {
    /// Whose rules decide which principals are allowed
    #[arg(long, default_value = "default")]
    owner: String,
    /// Login name; may be given several times
    #[arg(long = "principal", required = true)]
    principals: Vec<String>,
    /// Lifetime in seconds, within the profile's bounds
    #[arg(long)]
    validity_secs: Option<u64>,
    /// The key file: made anew by each login, or a key of your own that is only signed
    #[arg(long)]
    key: Option<PathBuf>,
}

#[derive(clap::Args)]
struct Ca {
    /// Print a known_hosts line that trusts the host CA for these host patterns
    #[arg(long, value_name = "PATTERN")]
    known_hosts: Option<String>,
    /// Print the host CA instead of the user CA
    #[arg(long)]
    host: bool,
}

/// Runs `chancery ssh`.
pub async fn run(args: Args, global: &Global) -> Result<(), Failure> {
    match args.what {
        What::SignUser(sign) => sign_key(sign, "/api/v1/ssh/user", global).await,
        What::SignHost(sign) => sign_key(sign, "/api/v1/ssh/host", global).await,
        What::Login(login) => log_in(login, global).await,
        What::Ca(ca) => print_ca(ca, global).await,
    }
}

async fn sign_key(args: Sign, path: &str, global: &Global) -> Result<(), Failure> {
    let out = args.out.clone().unwrap_or_else(|| certificate_path(&args.key));
    let issued = request(&args, path, global).await?;
    files::write(&out, format!("{}\n", field(&issued, "certificate").trim_end()).as_bytes(), PUBLIC)?;
    report(&issued, &out, global.json);
    Ok(())
}

async fn request(args: &Sign, path: &str, global: &Global) -> Result<Value, Failure> {
    let bytes = files::read(&args.key, PUBLIC_KEY_BYTES_MAX)?;
    let text = String::from_utf8(bytes).or_fail(format!("{} is not an OpenSSH public key", args.key.display()))?;
    if text.contains("PRIVATE KEY") {
        return Err(Failure::new(
            Exit::Failed,
            format!("{} is a private key; it stays where it is", args.key.display()),
        )
        .help(format!("{}.pub", args.key.display())));
    }
    let mut body = json!({"public_key": text.trim(), "principals": args.principals, "owner": args.owner});
    if let Some(secs) = args.validity_secs {
        body["validity_secs"] = json!(secs);
    }
    if let Some(key_id) = &args.key_id {
        body["key_id"] = json!(key_id);
    }
    global.client()?.post(path, &body).await
}

async fn log_in(args: Login, global: &Global) -> Result<(), Failure> {
    let key = match args.key {
        Some(path) => path,
        None => {
            let home = std::env::var_os("HOME")
                .ok_or_else(|| Failure::new(Exit::Failed, "HOME is not set").help("name the key file with --key"))?;
            PathBuf::from(home).join(".ssh").join("chancery_ed25519")
        }
    };
    // A key of ours lives as long as its certificate; one that the user brought is left as it is.
    let fresh = if is_ours(&key)? { Some(FreshKey::make(&key)?) } else { None };
    let sign = Sign {
        key: with_suffix(fresh.as_ref().map_or(&key, |fresh| &fresh.path), ".pub"),
        owner: args.owner,
        principals: args.principals,
        validity_secs: args.validity_secs,
        key_id: None,
        out: None,
    };
    let issued = request(&sign, "/api/v1/ssh/user", global).await?;
    let agent = Agent::of_user();
    // Before the files are replaced, since they say what the agent holds.
    agent.iter().for_each(|agent| agent.forget(&key));
    if let Some(fresh) = fresh {
        fresh.put(&key)?;
    }
    let out = with_suffix(&key, "-cert.pub");
    files::write(&out, format!("{}\n", field(&issued, "certificate").trim_end()).as_bytes(), PUBLIC)?;
    if let Some(agent) = &agent {
        agent.add(&key, secs_left(&issued))?;
    }
    report(&issued, &out, global.json);
    if !global.json {
        let name = sign.principals.first().map_or("NAME", String::as_str);
        output::line(match agent {
            Some(_) => format!("the ssh-agent has it until it ends: ssh {name}@HOST"),
            None => format!("no ssh-agent runs here, so name the key: ssh -i {} {name}@HOST", key.display()),
        });
    }
    Ok(())
}

/// Whether the key file is one that an earlier login made, or none yet.
fn is_ours(key: &Path) -> Result<bool, Failure> {
    if !key.exists() {
        return Ok(true);
    }
    let line = files::read(&with_suffix(key, ".pub"), PUBLIC_KEY_BYTES_MAX)?;
    let line = String::from_utf8_lossy(&line).into_owned();
    Ok(line.split_whitespace().nth(2) == Some(COMMENT))
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
        tool("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-C", COMMENT, "-f", &file])?;
        Ok(fresh)
    }

    /// Takes the place of the key that was there.
    fn put(self, key: &Path) -> Result<(), Failure> {
        let said = || format!("cannot write {}", key.display());
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

/// The user's ssh-agent. It keeps each certificate beside those before, and sshd hangs up after six that it does not take: so the
/// old one leaves when a new one comes, and each leaves when it ends.
struct Agent;

impl Agent {
    fn of_user() -> Option<Agent> {
        std::env::var_os("SSH_AUTH_SOCK").filter(|socket| !socket.is_empty()).map(|_| Agent)
    }

    /// Takes out what earlier logins put in: this key with its certificate, and whatever bears our comment.
    fn forget(&self, key: &Path) {
        let certificate = with_suffix(key, "-cert.pub");
        if certificate.exists() {
            let _ = quiet("ssh-add", &["-q", "-d", &certificate.display().to_string()]);
        }
        let Ok(listed) = Command::new("ssh-add").arg("-L").stdin(Stdio::null()).stderr(Stdio::null()).output() else {
            return;
        };
        let held = with_suffix(key, &format!(".held.{}", std::process::id()));
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        for line in listed.lines().filter(|line| line.split_whitespace().nth(2) == Some(COMMENT)) {
            if files::write(&held, format!("{line}\n").as_bytes(), PUBLIC).is_ok() {
                let _ = quiet("ssh-add", &["-q", "-d", &held.display().to_string()]);
            }
            let _ = std::fs::remove_file(&held);
        }
    }

    fn add(&self, key: &Path, secs: u64) -> Result<(), Failure> {
        tool("ssh-add", &["-q", "-t", &secs.to_string(), &key.display().to_string()])
    }
}

/// How long a certificate still holds.
fn secs_left(issued: &Value) -> u64 {
    let end = policy::Timestamp::parse_rfc3339(&field(issued, "not_after"));
    let left = end.map_or(0, |end| end.since(policy::World::real().now()));
    u64::try_from(left).unwrap_or(0).max(1)
}

async fn print_ca(args: Ca, global: &Global) -> Result<(), Failure> {
    let host = args.host || args.known_hosts.is_some();
    let path = if host { "/ssh/host_ca.pub" } else { "/ssh/user_ca.pub" };
    let key = global.client()?.get_text(path).await?;
    match args.known_hosts {
        Some(pattern) => output::line(format!("@cert-authority {pattern} {}", key.trim())),
        None => output::line(key.trim()),
    }
    Ok(())
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut text = path.as_os_str().to_owned();
    text.push(suffix);
    PathBuf::from(text)
}

/// `id_ed25519.pub` -> `id_ed25519-cert.pub`, where ssh looks for it.
fn certificate_path(key: &Path) -> PathBuf {
    let text = key.display().to_string();
    PathBuf::from(format!("{}-cert.pub", text.strip_suffix(".pub").unwrap_or(&text)))
}

fn tool(program: &str, args: &[&str]) -> Result<(), Failure> {
    let status = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .status()
        .or_fail(format!("cannot run {program}; is openssh-client installed?"))?;
    if status.success() { Ok(()) } else { Err(Failure::new(Exit::Failed, format!("{program} ended with {status}"))) }
}

/// For what may fail, and says so in its own words to nobody.
fn quiet(program: &str, args: &[&str]) -> std::io::Result<()> {
    Command::new(program).args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().map(drop)
}

fn report(issued: &Value, out: &Path, as_json: bool) {
    output::answer(issued, &["serial", "principals", "not_after", "operation"], out, as_json);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_certificate_lies_where_ssh_looks_for_it() {
        assert_eq!(certificate_path(Path::new("/h/id.pub")), Path::new("/h/id-cert.pub"));
        assert_eq!(certificate_path(Path::new("id")), Path::new("id-cert.pub"));
    }
}
