//! `chancery ssh`: certificates for people and hosts, and the public keys that sshd and ssh have to trust.

mod earlier;
mod krl;
mod login;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use clap::{Parser, Subcommand};
use serde_json::{Value, json};

pub(super) use self::earlier::{Earlier, Kind};
use super::files::{self, Input, Outputs, PUBLIC, Standing};
use crate::Global;
use crate::client::Client;
use crate::failure::{Exit, Failure, OrFail};
use crate::output::{self, field};
use crate::parts::span::{Span, span};

const PUBLIC_KEY_BYTES_MAX: u64 = 16 << 10;

#[derive(Parser)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Sign a person's public key; writes KEY-cert.pub beside it
    #[command(after_help = "Example:\n  chancery ssh sign-user ~/.ssh/id_ed25519.pub --principal alice")]
    SignUser(Sign),
    /// Sign a host's public key; writes KEY-cert.pub beside it
    #[command(
        after_help = "Example:\n  chancery ssh sign-host ssh_host_ed25519_key.pub \\\n    --principal db1.example.internal"
    )]
    SignHost(Sign),
    /// Make a key for today, have it signed, and hand it to the ssh-agent where one runs, in place of the one before
    #[command(after_help = login::EXAMPLES)]
    Login(login::Login),
    /// Print what to trust: user CA for sshd (TrustedUserCAKeys), host CA for known_hosts
    Ca(Ca),
    /// Write the list of revoked SSH certificates, for RevokedKeys of sshd
    #[command(
        after_help = "Example, each minute on each host (cron, or a timer of systemd):\n  chancery ssh krl --quiet --out /etc/ssh/revoked_keys \\\n    --url https://ca.example.internal:8443 --cacert /etc/chancery/roots.pem\n\nand once in sshd_config:\n  RevokedKeys /etc/ssh/revoked_keys\n\nsshd refuses every key while that file is missing: write it first. The list is fetched over TLS, and replaced by one rename, so sshd sees the old or the new one. An SSH CA that was revoked stands there by its key, and with it ends whatever it signed. A list that is older than the one that stands there is refused (exit code 3), and takes its place with --force alone. `ssh-keygen -Q -l -f revoked_keys` shows it. It takes no token: --url and --cacert are enough."
    )]
    Krl(krl::Krl),
}

/// What is asked for.
#[derive(clap::Args)]
struct Wish {
    /// Whose it is; its rules decide which principals are allowed
    #[arg(long, default_value = "default")]
    owner: String,
    /// Login name (user) or host name (host); may be given several times
    #[arg(long = "principal", required = true)]
    principals: Vec<String>,
    /// Lifetime, such as 16h or 30d, within the profile's bounds
    #[arg(long, value_parser = span)]
    validity: Option<Span>,
}

#[derive(clap::Args)]
struct Sign {
    /// The public key file (OpenSSH format); - is standard input
    key: PathBuf,
    #[command(flatten)]
    wish: Wish,
    /// What sshd writes in its log; by default who asked
    #[arg(long)]
    key_id: Option<String>,
    /// Where to write the certificate, by default KEY-cert.pub; - is standard output
    #[arg(long)]
    out: Option<PathBuf>,
    /// Replace a file that is no earlier certificate of this key, for the same use and by a CA that is trusted now
    #[arg(long)]
    force: bool,
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
        What::SignUser(sign) => sign_key(sign, Kind::User, global).await,
        What::SignHost(sign) => sign_key(sign, Kind::Host, global).await,
        What::Login(args) => login::run(args, global).await,
        What::Ca(ca) => print_ca(ca, global).await,
        What::Krl(krl) => krl::run(krl, global).await,
    }
}

async fn sign_key(args: Sign, kind: Kind, global: &Global) -> Result<(), Failure> {
    let input = Input::open(&args.key)?;
    let out = match &args.out {
        Some(out) => out.clone(),
        None => certificate_path(&args.key)?,
    };
    let mut outputs = Outputs::new(args.force).reading(&input);
    let key = public_key(input)?;
    // The place first: nothing is signed that could not be kept. An earlier certificate of the same key makes room.
    let client = global.client()?;
    let earlier = Earlier::of(kind, &client).await?;
    let place = outputs.place(&out, PUBLIC, Standing::Predecessor(&|there| earlier.is_of(&key, there)))?;
    let issued = request(&args.wish, args.key_id.as_deref(), &key, kind, &client).await?;
    let mut facts = output::shown(&issued, &["serial", "principals", "not_after", "operation"]);
    facts.push(output::written_to(&place));
    place.fill(format!("{}\n", field(&issued, "certificate").trim_end()).as_bytes()).map_err(|failure| {
        let serial = field(&issued, "serial");
        failure.help(format!("nobody has it: ask again; `chancery certs revoke {serial}` ends this one"))
    })?;
    output::report(&outputs, &facts, &issued, global.json);
    Ok(())
}

/// The text of a public key file; a private key stays where it is.
pub(super) fn public_key(input: Input) -> Result<String, Failure> {
    let path = input.path().to_owned();
    let said = format!("{} is not an OpenSSH public key", files::shown(&path));
    let text = String::from_utf8(input.bytes(PUBLIC_KEY_BYTES_MAX)?).or_fail(said.clone())?;
    if text.contains("PRIVATE KEY") {
        let says = format!("{} is a private key; it stays where it is", files::shown(&path));
        return Err(Failure::new(Exit::Failed, says).help(format!("name its public half: {}.pub", files::shown(&path))));
    }
    if is_certificate(text.as_bytes()) {
        let says = format!("{} is a certificate, not a key", files::shown(&path));
        return Err(Failure::new(Exit::Failed, says).help("name the public key that it is of"));
    }
    // RFC 4253 section 6.6: the kind, and the key in base64.
    let mut parts = text.split_whitespace();
    let kind = parts.next().unwrap_or_default();
    let is_kind = ["ssh-", "ecdsa-", "sk-"].iter().any(|kinds| kind.starts_with(kinds));
    match is_kind && parts.next().is_some() {
        true => Ok(text.trim().to_owned()),
        false => Err(Failure::new(Exit::Failed, said).help("it is one line, such as ~/.ssh/id_ed25519.pub has it")),
    }
}

/// Whether a file holds an OpenSSH certificate.
fn is_certificate(there: &[u8]) -> bool {
    std::str::from_utf8(there).is_ok_and(|text| text.contains("-cert-v01@openssh.com "))
}

async fn request(wish: &Wish, key_id: Option<&str>, key: &str, kind: Kind, client: &Client) -> Result<Value, Failure> {
    let mut body = json!({"public_key": key, "principals": wish.principals, "owner": wish.owner});
    if let Some(validity) = wish.validity {
        body["validity_secs"] = json!(validity.secs());
    }
    if let Some(key_id) = key_id {
        body["key_id"] = json!(key_id);
    }
    client.post(&format!("/api/v1/ssh/{}", kind.as_str()), &body).await
}

async fn print_ca(args: Ca, global: &Global) -> Result<(), Failure> {
    let host = args.host || args.known_hosts.is_some();
    let kind = if host { Kind::Host } else { Kind::User };
    let (keys, whose) = (global.client()?.get_text(kind.authorities()).await?, kind.as_str());
    let keys: Vec<&str> = keys.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if keys.is_empty() {
        // In a file for sshd nothing would be no error: it would let nobody in by a certificate.
        let says = format!("no SSH {whose} CA issues now: there is no key to trust, and nothing was printed");
        let help = format!(
            "`chancery ca list` says why; where it was revoked, `chancery ca rotate ssh-{whose}` makes its successor"
        );
        return Err(Failure::new(Exit::Failed, says).help(help));
    }
    let shown = |key: &str| match &args.known_hosts {
        Some(pattern) => format!("@cert-authority {pattern} {key}"),
        None => key.to_owned(),
    };
    output::line(keys.into_iter().map(shown).collect::<Vec<_>>().join("\n"));
    Ok(())
}

/// `id_ed25519.pub` -> `id_ed25519-cert.pub`, where ssh looks for it; what was no file has no name to stand beside.
pub(super) fn certificate_path(key: &Path) -> Result<PathBuf, Failure> {
    let (Some(name), false) = (key.file_name(), files::is_stream(key)) else {
        let says = match key == Path::new("-") {
            true => "standard input has no name".to_owned(),
            false => format!("{} is no file that a certificate could stand beside", files::shown(key)),
        };
        return Err(Failure::new(Exit::Usage, says).help("say where it goes with --out"));
    };
    let stem = name.as_bytes().strip_suffix(b".pub").unwrap_or(name.as_bytes());
    Ok(key.with_file_name(OsStr::from_bytes(&[stem, b"-cert.pub"].concat())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_certificate_lies_where_ssh_looks_for_it() {
        assert_eq!(certificate_path(Path::new("/h/id.pub")).unwrap(), Path::new("/h/id-cert.pub"));
        assert_eq!(certificate_path(Path::new("id")).unwrap(), Path::new("id-cert.pub"));
        for stream in ["-", "/dev/stdin", "/dev/fd/7", "/dev/null"] {
            assert!(certificate_path(Path::new(stream)).is_err(), "{stream}");
        }
    }
}
