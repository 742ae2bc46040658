//! `chancery inspect`: any certificate, request, CRL, key, container or OCSP response, or the chain that a host serves, as people read
//! it. Nothing is trusted, and of a private key nothing is shown but its kind.

use std::path::{Path, PathBuf};

use clap::Parser;
use policy::World;
use serde_json::Value;

use super::files;
use crate::Global;
use crate::failure::{Exit, Failure, OrFail};
use crate::output;
use crate::reading::{self, Described, Extension, Fact};

mod served;
mod starttls;

#[derive(Parser)]
#[command(after_help = "\
Examples:
  chancery inspect first/cert.pem
  chancery inspect www.example.com:443
  chancery inspect mail.example.com:25 --starttls smtp
  curl -s http://pki.example/crl/tls.crl | chancery inspect -

Of a private key nothing is shown but its kind, its size and whether a password protects it. A host's chain is shown whatever it \
is: whether it leads to this authority's roots (client.toml, --cacert) or to the system's is said, and nothing is trusted for it.")]
pub struct Args {
    /// A file (PEM, DER, OpenSSH, JKS; one object or many), `-`, or a host that serves TLS
    #[arg(value_name = "FILE|HOST:PORT")]
    what: PathBuf,
    /// The name to ask the host for, where it is not its own
    #[arg(long, value_name = "NAME")]
    servername: Option<String>,
    /// Speak this protocol first, and ask for TLS in it
    #[arg(long, value_enum)]
    starttls: Option<starttls::Protocol>,
}

/// Runs `chancery inspect`.
pub async fn run(args: Args, global: &Global) -> Result<(), Failure> {
    let now = World::real().now();
    let shown = match host(&args.what, args.starttls.is_some() || args.servername.is_some()) {
        Some((host, port)) => {
            let roots = crate::client::own_roots(&global.connection, global.config.as_deref())?;
            let wish = served::Wish { host, port, name: args.servername, starttls: args.starttls, roots };
            vec![served::look(wish, now).await?]
        }
        None => {
            let bytes = files::read(&args.what, FILE_BYTES_MAX)?;
            let bytes = zeroize::Zeroizing::new(bytes);
            reading::read(&bytes, now).or_fail(format!("{} cannot be shown", files::shown(&args.what))).map_err(
                |failure| {
                    failure.help(
                        "certificates, requests, CRLs, keys, PKCS#7, PKCS#12, OCSP responses, OpenSSH's, as PEM or DER; JKS",
                    )
                },
            )?
        }
    };
    match global.json {
        true => output::json(&shown.iter().map(with_lint).collect::<Value>()),
        false => show(&shown),
    }
    Ok(())
}

/// A host and its port: `host:443`, `[::1]:443`, `https://host/`. What is there as a file is one, unless a host is meant.
fn host(what: &Path, is_meant: bool) -> Option<(String, u16)> {
    let text = what.to_str()?;
    if !is_meant && (text == "-" || what.exists()) {
        return None;
    }
    if let Some(rest) = text.strip_prefix("https://") {
        let authority = rest.split('/').next()?;
        return parted(authority).or_else(|| Some((authority.to_owned(), 443)));
    }
    parted(text)
}

fn parted(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let port = port.parse().ok().filter(|port| *port != 0)?;
    let host = match host.strip_prefix('[') {
        Some(six) => six.strip_suffix(']')?,
        None => host,
    };
    let fits = !host.is_empty() && !host.contains(['/', ' ']);
    fits.then(|| (host.to_owned(), port))
}

fn show(all: &[Described]) {
    for (place, one) in (1..).zip(all) {
        if place > 1 {
            output::line("");
        }
        let count = if all.len() > 1 { format!("{place}. ") } else { String::new() };
        output::line(format!("{count}{}", one.kind.replace('-', " ")));
        let facts: Vec<(String, String)> = one.facts.iter().flat_map(rows).collect();
        print(&facts);
        if !one.extensions.is_empty() {
            output::line("extensions");
            print(&one.extensions.iter().map(extension).collect::<Vec<_>>());
        }
        if !one.der.is_empty() {
            linted(&one.der);
        }
        if !one.inner.is_empty() {
            output::line("");
            show(&one.inner);
        }
    }
}

/// For scripts, with the names of the lints that do not hold.
fn with_lint(one: &Described) -> Value {
    let mut value = one.json();
    if let Ok(judged) = ca::lint::judge(&one.der) {
        value["lint"] = judged.iter().flat_map(|one| &one.findings).map(|finding| finding.lint.name).collect();
    }
    if !one.inner.is_empty() {
        value["contains"] = one.inner.iter().map(with_lint).collect();
    }
    value
}

/// What the lints say at the end, each by its name; `chancery lint` has their clauses.
fn linted(der: &[u8]) {
    let Ok(judged) = ca::lint::judge(der) else { return };
    let findings: Vec<_> = judged.iter().flat_map(|one| &one.findings).collect();
    let shown = |finding: &&ca::lint::Finding| {
        let says = finding.detail.as_ref().map_or_else(String::new, |detail| format!(": {detail}"));
        (format!("  {}", finding.lint.name), format!("{}: {}{says}", finding.lint.severity, finding.lint.says))
    };
    output::line(if findings.is_empty() { "lint: clean" } else { "lint" });
    print(&findings.iter().map(shown).collect::<Vec<_>>());
}

fn print(facts: &[(String, String)]) {
    let facts: Vec<(&str, String)> = facts.iter().map(|(name, text)| (name.as_str(), text.clone())).collect();
    output::facts(&facts);
}

/// A fact as lines: entries of a CRL stand one below the other.
fn rows(fact: &Fact) -> Vec<(String, String)> {
    let Some(entries) = fact.value.as_array().filter(|_| fact.name == "entries") else { return vec![words(fact)] };
    let names = std::iter::once(format!("  {}", fact.name)).chain(std::iter::repeat(String::new()));
    let more = (!fact.note.is_empty()).then(|| format!("({})", fact.note));
    names.zip(entries.iter().map(plain).chain(more)).collect()
}

fn words(fact: &Fact) -> (String, String) {
    let text = match &fact.value {
        Value::Array(all) if all.is_empty() => "(none)".to_owned(),
        Value::Array(all) => all.iter().map(plain).collect::<Vec<_>>().join(", "),
        value => plain(value),
    };
    let noted = if fact.note.is_empty() { text } else { format!("{text} ({})", fact.note) };
    (format!("  {}", fact.name.replace('_', " ")), noted)
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        other => other.to_string(),
    }
}

fn extension(one: &Extension) -> (String, String) {
    let critical = if one.critical { "critical: " } else { "" };
    // What a stranger calls an extension is its number, in the worst case a long one.
    (format!("  {}", one.name), format!("{critical}{}", one.says))
}

/// Why a host was not looked at.
fn unreached(host: &str, port: u16) -> Failure {
    Failure::new(Exit::Unavailable, format!("cannot look at {host}:{port}"))
}

/// More than the largest CRL that is served here.
const FILE_BYTES_MAX: u64 = 256 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_told_from_a_file() {
        for (text, host_and_port) in [
            ("www.example.com:443", Some(("www.example.com", 443))),
            ("[::1]:8443", Some(("::1", 8443))),
            ("https://www.example.com/x", Some(("www.example.com", 443))),
            ("https://www.example.com:8443", Some(("www.example.com", 8443))),
            ("cert.pem", None),
            ("-", None),
            ("/etc/passwd", None),
            ("host:0", None),
            ("host:port", None),
            ("a/b:1", None),
            (":443", None),
        ] {
            let found = host(Path::new(text), false);
            assert_eq!(found.as_ref().map(|(host, port)| (host.as_str(), *port)), host_and_port, "{text}");
        }
    }
}
