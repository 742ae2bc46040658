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
    /// Make a key for today, have it signed, and hand it to the ssh-agent where one runs
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
    /// The key file to make or renew
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
    if !key.exists() {
        files::private_folder(key.parent().unwrap_or(Path::new(".")))?;
        let file = key.display().to_string();
        tool("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-C", "chancery", "-f", &file])?;
    }
    let public = PathBuf::from(format!("{}.pub", key.display()));
    let sign = Sign {
        key: public,
        owner: args.owner,
        principals: args.principals,
        validity_secs: args.validity_secs,
        key_id: None,
        out: None,
    };
    let issued = request(&sign, "/api/v1/ssh/user", global).await?;
    let out = certificate_path(&sign.key);
    files::write(&out, format!("{}\n", field(&issued, "certificate").trim_end()).as_bytes(), PUBLIC)?;
    if std::env::var_os("SSH_AUTH_SOCK").is_some() {
        tool("ssh-add", &["-q", &key.display().to_string()])?;
    }
    report(&issued, &out, global.json);
    Ok(())
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
