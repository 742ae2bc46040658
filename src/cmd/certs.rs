//! `chancery certs`: what was issued, to whom, when it expires; revoke and renew.

use std::path::PathBuf;

use ca::RevocationReason;
use clap::builder::PossibleValuesParser;
use clap::{Parser, Subcommand};
use policy::{SerialText, Timestamp, World};
use serde_json::{Value, json};

mod revoking;

use self::revoking::{Revoke, confirm, proposals, release, revoke, revoke_one};
use super::files::{Folder, Input, Outputs, Standing};
use super::issue::CertificatePlaces;
use crate::Global;
use crate::client::percent;
use crate::failure::{Exit, Failure, OrFail};
use crate::output::{self, Listing, Paint, field, whole, words};
use crate::parts::csr;
use crate::parts::moment::Moment;
use crate::parts::pages::{Pages, some};
use crate::parts::span::{Span, span};

#[derive(Parser)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// List certificates, the newest on top; with --expiring those that expire first
    #[command(
        after_help = "Examples:\n  chancery certs list --expiring 30d\n  chancery certs list --owner web --state issued --json"
    )]
    List(Box<List>),
    /// Show one certificate
    Show {
        /// Its serial number, or its first digits; of an SSH certificate also the number that ssh-keygen prints
        serial: String,
        /// Print the chain (PEM) instead
        #[arg(long)]
        pem: bool,
    },
    /// Revoke a certificate, or all that are meant; says whether the CRL is published. No CRL covers SSH
    #[command(
        after_help = "Examples:\n  chancery certs revoke 10a1 --reason superseded\n  chancery certs revoke --owner web --reason key-compromise --preview\n  chancery certs revoke --host db1.example.internal \\\n    --reason cessation-of-operation --yes\n  chancery certs revoke --certificate web/cert.pem --key web/key.pem\n\nMore than 100 are proposed: another person carries it out with `chancery certs confirm`."
    )]
    Revoke(Box<Revoke>),
    /// Carry out what another person proposed to revoke, if it is still exactly that
    Confirm {
        /// The proposal
        id: String,
        /// Show it, and do nothing
        #[arg(long)]
        show: bool,
    },
    /// List what is proposed to be revoked and waits for another person, with the command that carries it out
    Proposals {
        /// Expired and confirmed ones too
        #[arg(long)]
        all: bool,
    },
    /// Put a certificate on hold: it does not count until it is released or revoked for good
    Hold {
        /// Its serial number, or its first digits
        serial: String,
    },
    /// Release a certificate from its hold: it counts again
    Release {
        /// Its serial number, or its first digits
        serial: String,
    },
    /// Issue the successor of a certificate: same names, same key unless a CSR is given
    Renew {
        /// Its serial number, or its first digits; of an SSH certificate also the number that ssh-keygen prints
        serial: String,
        /// A request (PEM or DER) with the new key
        #[arg(long)]
        csr: Option<PathBuf>,
        /// Folder for cert.pem, chain.pem and fullchain.pem
        #[arg(long)]
        out: PathBuf,
        /// Replace certificates that are there, whosever they are; a key never is
        #[arg(long)]
        force: bool,
    },
}

const STATES: [&str; 6] = ["issued", "expired", "revoked", "held", "intended", "failed"];
const RENEWERS: [&str; 4] = ["server", "agent", "acme", "nobody"];
const KINDS: [&str; 8] =
    ["certificate", "ca-certificate", "ssh", "ssh-user", "ssh-host", "code-signature", "crl", "ocsp-batch"];

#[derive(clap::Args)]
struct List {
    /// Only what expires within this time: 90s, 30m, 12h, 30d or 2w
    #[arg(long, value_parser = span)]
    expiring: Option<Span>,
    /// Only this owner's
    #[arg(long)]
    owner: Option<String>,
    /// Only those with this name, the newest on top: a DNS name or address; with --kind ssh-user or ssh-host a principal
    #[arg(long)]
    name: Option<String>,
    /// Only those in this state
    #[arg(long, value_parser = PossibleValuesParser::new(STATES))]
    state: Option<String>,
    /// Only those with this in a name: a part of it, whatever its case
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// Only those that this one renews
    #[arg(long, value_parser = PossibleValuesParser::new(RENEWERS))]
    renewer: Option<String>,
    /// Only those that somebody must act for: past the point of their renewal, and nothing took their place
    #[arg(long)]
    act: bool,
    /// true: only what a later one took the place of; false: only others
    #[arg(long, value_name = "BOOL")]
    replaced: Option<bool>,
    /// Only what ends at this time or later (2026-08-21 or 2026-08-21T09:05:00Z)
    #[arg(long, value_name = "TIME", value_parser = moment)]
    ends_from: Option<String>,
    /// Only what ends before this time
    #[arg(long, value_name = "TIME", value_parser = moment)]
    ends_before: Option<String>,
    /// Only this kind
    #[arg(long, value_parser = PossibleValuesParser::new(KINDS))]
    kind: Option<String>,
    /// Only this profile
    #[arg(long)]
    profile: Option<String>,
    /// Only what this issuer made (tls), or one generation of it (tls/1)
    #[arg(long)]
    issuer: Option<String>,
    /// At most this many; without it all of them
    #[arg(long, value_parser = some())]
    limit: Option<usize>,
}

/// Runs `chancery certs`.
pub async fn run(args: Args, global: &Global) -> Result<(), Failure> {
    match args.what {
        What::List(list) => list_certificates(*list, global).await,
        What::Show { serial, pem } => show(&serial, pem, global).await,
        What::Revoke(args) => revoke(*args, global).await,
        What::Confirm { id, show } => confirm(&id, show, global).await,
        What::Proposals { all } => proposals(all, global).await,
        What::Hold { serial } => {
            let body = json!({ "reason": RevocationReason::CertificateHold.as_str() });
            revoke_one(&serial, &body, "on hold", "", global).await
        }
        What::Release { serial } => release(&serial, global).await,
        What::Renew { serial, csr, out, force } => renew(&serial, csr, out, force, global).await,
    }
}

async fn list_certificates(args: List, global: &Global) -> Result<(), Failure> {
    let client = global.client()?;
    let mut query = vec![];
    if let Some(expiring) = args.expiring {
        query.push(("expiring_secs", expiring.secs().to_string()));
    }
    let name = args.name.as_deref().map(|name| registered(name, args.kind.as_deref())).transpose()?;
    let texts = [
        ("owner", &args.owner),
        ("name", &name),
        ("state", &args.state),
        ("kind", &args.kind),
        ("profile", &args.profile),
        ("issuer", &args.issuer),
        ("search", &args.search),
        ("renewer", &args.renewer),
        ("act", &args.act.then(|| "true".to_owned())),
        ("replaced", &args.replaced.map(|replaced| replaced.to_string())),
        ("expires_from", &args.ends_from),
        ("expires_to", &args.ends_before),
    ];
    query.extend(texts.into_iter().filter_map(|(name, value)| value.clone().map(|v| (name, v))));
    let limit = args.limit.unwrap_or(usize::MAX);
    let (now, wide) = (World::real().now(), output::is_wide());
    let mut columns = vec![whole("LEFT"), whole("EXPIRES"), whole("STATE"), whole("SERIAL")];
    columns.extend(wide.then(|| whole("PROFILE")));
    columns.extend([words("OWNER"), words("NAMES")]);
    let mut listing = Listing::new(&columns, global.json);
    let row = |item: &Value| {
        let [owner, profile, state, serial] = ["owner", "profile", "state", "serial"].map(|f| field(item, f));
        let expires = Moment::of(item, "not_after");
        let (paint, left) = expires.left(now, Some(Moment::of(item, "not_before")), state == "issued");
        let replaced = state == "issued" && item["replaced"] == true;
        let orphaned = state == "issued" && field(item, "replace") == "issuer-ended";
        let (paint, state) = match (replaced, orphaned) {
            (true, _) => (Paint::Faint, "replaced".to_owned()),
            (false, true) => (Paint::Red, "CA over".to_owned()),
            (false, false) => (paint, state),
        };
        let mut row = vec![left, expires.day(), state];
        row.push(if wide { serial } else { brief(&serial) });
        row.extend(wide.then_some(profile));
        row.extend([owner, called(item)]);
        (paint, row)
    };
    let mut pages = Pages::new(&client, "/api/v1/certificates", &query, limit);
    while let Some(page) = pages.next().await? {
        listing.add(&page.items, page.items.iter().map(row).collect());
    }
    pages.tell_more(global.json);
    pages.end(global.json);
    listing.end("no certificate matches");
    Ok(())
}

/// So much of a serial as is its own by all likelihood: node, time, and the first of its random digits. Every command takes it.
fn brief(serial: &str) -> String {
    const DIGITS: usize = 18;
    serial.get(..DIGITS).unwrap_or(serial).to_owned()
}

/// A time; a day is its first second.
fn moment(text: &str) -> Result<String, String> {
    let day = format!("{text}T00:00:00Z");
    let known = [day.as_str(), text].into_iter().find(|text| Timestamp::parse_rfc3339(text).is_ok());
    known.map(str::to_owned).ok_or_else(|| "write a day as 2026-08-21, or a time as 2026-08-21T09:05:00Z".to_owned())
}

/// What a row is called: by its names; what has none by its subject, what was signed by its file. SSH is told apart.
pub(super) fn called(item: &Value) -> String {
    let names = names(item);
    match field(item, "kind").as_str() {
        "ssh-user" | "ssh-host" => format!("{names} ({})", field(item, "kind")),
        "code-signature" => signed(item),
        _ if names.is_empty() => common_name(&field(item, "subject")),
        _ => names,
    }
}

/// The common name of a subject (RFC 4514), where it begins with one; else all of it.
fn common_name(subject: &str) -> String {
    let Some(rest) = subject.strip_prefix("CN=") else { return subject.to_owned() };
    let ends = rest.match_indices(',').find(|(at, _)| !rest.get(..*at).is_some_and(|name| name.ends_with('\\')));
    rest.get(..ends.map_or(rest.len(), |(at, _)| at)).unwrap_or(rest).replace("\\,", ",")
}

/// The file that was signed, and the beginning of its digest.
fn signed(item: &Value) -> String {
    const DIGITS: usize = 16;
    let names: Vec<&str> = item["names"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let part = |kind: &str| names.iter().find_map(|name| name.strip_prefix(kind));
    let digest = part("sha256:").map(|digest| format!("sha256:{}", digest.get(..DIGITS).unwrap_or(digest)));
    [part("file:").map(str::to_owned), digest].into_iter().flatten().collect::<Vec<_>>().join(" ")
}

/// The names in a cell: of a hundred, the first two and how many more.
fn names(item: &Value) -> String {
    const SHOWN: usize = 2;
    let mut item = item.clone();
    let more = match item.get_mut("names").and_then(Value::as_array_mut) {
        Some(names) if names.len() > SHOWN => format!(", +{}", names.split_off(SHOWN).len()),
        _ => String::new(),
    };
    field(&item, "names").replace("dns:", "").replace("ip:", "") + &more
}

/// A name as the register has it: `dns:www.example.internal`; principals stand there as they are.
fn registered(name: &str, kind: Option<&str>) -> Result<String, Failure> {
    if kind.is_some_and(|kind| kind.starts_with("ssh")) {
        return Ok(name.to_owned());
    }
    Ok(policy::Name::parse(name).or_usage(format!("{name:?} is no name"))?.to_string())
}

async fn show(serial: &str, pem: bool, global: &Global) -> Result<(), Failure> {
    // Who only looks is not given it: that would be put on record where the server renewed it.
    let looks = if pem || global.json { "" } else { "?pem=false" };
    let item = global.client()?.get(&format!("/api/v1/certificates/{}{looks}", asked(serial)?)).await?;
    if global.json {
        output::json(&item);
        return Ok(());
    }
    if pem {
        let chain = field(&item, "chain");
        if chain.is_empty() {
            let says = format!("{} is {}: there is no PEM of it", field(&item, "serial"), kind(&item));
            return Err(Failure::new(Exit::Failed, says).help(
                "who asked for it was given it; `chancery certs show` without --pem tells what the register has",
            ));
        }
        output::line(chain.trim_end());
        return Ok(());
    }
    let shown = [
        "serial",
        "kind",
        "state",
        "profile",
        "issuer",
        "owner",
        "subject",
        "names",
        "not_before",
        "not_after",
        "key_hash",
        "actor",
        "operation",
        "renewer",
        "act_at",
        "renew_at",
        "replace",
        "replaced",
        "predecessor",
        "successor",
        "revoked_at",
        "reason",
        "invalid_at",
    ];
    let mut facts: Vec<(&str, String)> =
        shown.into_iter().map(|f| (f, field(&item, f))).filter(|(_, v)| !v.is_empty()).collect();
    facts.extend(item.get("fetched").map(|fetched| ("fetched", handed(fetched))));
    output::facts(&facts);
    Ok(())
}

/// What it is, with an article.
fn kind(item: &Value) -> &'static str {
    match field(item, "kind").as_str() {
        "ssh-user" | "ssh-host" => "an SSH certificate",
        "code-signature" => "a signature",
        "crl" => "a CRL",
        "ocsp-batch" => "a batch of OCSP responses",
        "ca-certificate" => "the certificate of a CA",
        _ => "not signed",
    }
}

/// To whom a certificate went that the server renewed by itself.
fn handed(fetched: &Value) -> String {
    let [by, from, at] = ["by", "from", "at"].map(|name| field(fetched, name));
    format!("by {by} from {from} at {at}")
}

async fn renew(serial: &str, csr: Option<PathBuf>, out: PathBuf, force: bool, global: &Global) -> Result<(), Failure> {
    let client = global.client()?;
    let resource = format!("/api/v1/certificates/{}", asked(serial)?);
    let mut body = json!({});
    let mut outputs = Outputs::new(force);
    // Where the folder holds something: the certificate that is renewed, or one of the key that the new one is for.
    let holds = ["cert.pem", "key.pem"].iter().any(|name| out.join(name).symlink_metadata().is_ok());
    let old = if holds { client.get(&resource).await? } else { Value::Null };
    let mut keys = vec![field(&old, "key_hash")];
    match csr {
        Some(path) => {
            let input = Input::open(&path)?;
            outputs = outputs.reading(&input);
            let csr = csr::read(input)?;
            csr::fits(&csr, &out)?;
            keys.push(csr::key_hash(&csr)?);
            body["csr"] = json!(csr);
        }
        None if holds => csr::fits_hash(&field(&old, "key_hash"), &out)?,
        None => {}
    }
    let _folder = Folder::take(&out)?;
    let ours = !csr::is_other(&out.join("cert.pem"), &keys)?;
    let any = |_: &[u8]| true;
    let standing = || if ours { Standing::Predecessor(&any) } else { Standing::Forced };
    let places = CertificatePlaces::take(&mut outputs, &out, standing)?;
    let issued = match client.post(&format!("{resource}/renew"), &body).await {
        Ok(issued) => issued,
        Err(failure) => return Err(no_renewal(&client, &resource, failure).await),
    };
    places.fill(&issued)?;
    if global.json {
        output::json(&issued);
    } else {
        output::line(format!("renewed as {}, until {}", field(&issued, "serial"), field(&issued, "not_after")));
    }
    Ok(())
}

/// Why there is no successor: what is there, and is no certificate that is renewed, is said to be that.
async fn no_renewal(client: &crate::client::Client, resource: &str, failure: Failure) -> Failure {
    let there = client.get(&format!("{resource}?pem=false")).await.unwrap_or(Value::Null);
    match field(&there, "kind").as_str() {
        "ssh-user" | "ssh-host" => {
            let says = format!("{} is an SSH certificate, which is not renewed", field(&there, "serial"));
            Failure::new(Exit::Failed, says)
                .help("have its key signed again: `chancery ssh sign-user`, `sign-host` or `login`")
        }
        "ca-certificate" | "code-signature" | "crl" | "ocsp-batch" => {
            Failure::new(Exit::Failed, format!("{} is {}, which is not renewed", field(&there, "serial"), kind(&there)))
        }
        _ => failure,
    }
}

/// A serial as a part of a path; what is none is said before anybody is asked.
fn asked(text: &str) -> Result<String, Failure> {
    let help = "`chancery certs list` prints them; the first digits are enough where one alone has them";
    SerialText::parse(text).or_usage("this is no serial number").map_err(|failure| failure.help(help))?;
    Ok(percent(text.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serials_are_taken_as_openssl_prints_them() {
        assert_eq!(asked("0A:1B").unwrap(), "0A%3A1B");
        assert!(asked("../x").is_err());
    }

    #[test]
    fn names_are_asked_for_as_the_register_has_them() {
        assert_eq!(registered("WWW.example.internal", None).unwrap(), "dns:www.example.internal");
        assert_eq!(registered("10.0.0.7", Some("certificate")).unwrap(), "ip:10.0.0.7");
        assert_eq!(registered("alice", Some("ssh-user")).unwrap(), "alice");
    }

    #[test]
    fn a_day_is_a_time_too() {
        assert_eq!(moment("2026-08-21").as_deref(), Ok("2026-08-21T00:00:00Z"));
        assert_eq!(moment("2026-08-21T09:05:00Z").as_deref(), Ok("2026-08-21T09:05:00Z"));
        for wrong in ["2026-08", "30d", "soon", "2026-13-01"] {
            assert!(moment(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn many_names_are_counted_not_listed() {
        let of = |n: usize| names(&json!({"names": (0..n).map(|i| format!("dns:{i}")).collect::<Vec<_>>()}));
        assert_eq!(of(100), "0, 1, +98");
        assert_eq!(of(2), "0, 1");
        assert_eq!(names(&json!({})), "");
    }

    #[test]
    fn a_row_is_called_by_what_people_know_it_by() {
        let of = |kind: &str, names: Value| {
            called(&json!({"kind": kind, "names": names, "subject": "CN=Root\\, Inc CA,O=Root"}))
        };
        assert_eq!(of("certificate", json!(["dns:a", "ip:::1"])), "a, ::1");
        assert_eq!(of("ca-certificate", json!([])), "Root, Inc CA");
        assert_eq!(of("ssh-user", json!(["root"])), "root (ssh-user)");
        let digest = format!("sha256:{}", "ab".repeat(32));
        assert_eq!(of("code-signature", json!([digest, "file:a.gz"])), "a.gz sha256:abababababababab");
    }

    #[test]
    fn query_values_are_escaped() {
        assert_eq!(percent("a b&c"), "a%20b%26c");
    }
}
