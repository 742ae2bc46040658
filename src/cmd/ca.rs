//! `chancery ca`: issuers and their generations: what there is, and how it is succeeded, brought in, revoked and ended.

mod brought;
mod estate;
mod source;
mod told;

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Parser, Subcommand};
use policy::{Timestamp, World};
use serde_json::{Value, json};

use super::files::{Outputs, PUBLIC, Standing};
use crate::Global;
use crate::client::percent;
use crate::failure::{Exit, Failure, OrFail};
use crate::house;
use crate::output::{self, Paint, field, whole, words};
use crate::parts::moment::Moment;
use crate::parts::span::{Span, span};

#[derive(Parser)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// List the issuers: their generations, who issues, until when
    List,
    /// Show an issuer with all its generations, or one of them
    #[command(after_help = "Examples:\n  chancery ca show tls\n  chancery ca show tls/1")]
    Show {
        /// Its name, such as tls; or a generation, such as tls/1
        issuer: String,
    },
    /// Make a new issuer: a CA below another, a root, or an SSH CA
    #[command(after_help = CREATE)]
    Create(Box<Create>),
    /// Make the successor of an issuer's generation, with a key of its own; --dry-run says first what that touches
    #[command(after_help = ROTATE)]
    Rotate(Rotate),
    /// Have a generation issue from now on, or from a moment on: a successor that waits, or the way back
    #[command(
        after_help = "Example:\n  chancery ca activate tls/2 --at 2027-03-01T06:00:00Z\n  chancery ca activate tls/1"
    )]
    Activate {
        /// The generation, such as tls/2
        generation: String,
        /// From when, in UTC; at once where none is named
        #[arg(long, value_name = "TIME", value_parser = moment)]
        at: Option<Timestamp>,
    },
    /// Sign a new certificate for a generation's key: another term, the same key
    Renew {
        /// The generation, such as tls/1; of an issuer's name the one that issues
        generation: String,
    },
    /// Have another generation sign for a generation's key too: another way up, for whoever trusts that one
    #[command(
        after_help = "Example, for those who know the old root alone:\n  chancery ca cross-sign root/2 --by root/1"
    )]
    CrossSign {
        /// The generation that is signed for
        generation: String,
        /// The generation that signs
        #[arg(long)]
        by: String,
    },
    /// Write a request (PKCS#10) for a generation whose issuer is elsewhere
    #[command(after_help = REQUEST)]
    Request {
        /// The generation, such as edge/1
        generation: String,
        /// Write it to this file
        #[arg(long)]
        out: PathBuf,
        /// Replace a file that is there
        #[arg(long)]
        force: bool,
    },
    /// Take the certificate that was signed elsewhere for a generation, with those above it
    #[command(after_help = brought::ADOPT)]
    Adopt(brought::Adopt),
    /// Take in a CA that exists: its key is in the token, or its certificate and CRLs alone are served here
    #[command(after_help = brought::IMPORT)]
    Import(brought::Import),
    /// Take in the next CRL of a CA whose key is elsewhere; what of ours it lists is revoked
    #[command(after_help = "Example:\n  chancery ca import-crl root-1.crl")]
    ImportCrl(brought::ImportCrl),
    /// Write the certificates of a generation and those above it; the key stays in the token
    Export {
        /// The generation, such as tls/1; of an issuer's name the one that issues
        generation: String,
        /// Write them to this file
        #[arg(long)]
        out: PathBuf,
        /// Replace a file that is there
        #[arg(long)]
        force: bool,
    },
    /// Show in which tokens a generation's key is, and change it: add one, remove one, have one asked first
    #[command(after_help = TOKENS)]
    Tokens(Tokens),
    /// End a generation that another has followed
    Retire {
        /// The generation, such as tls/1
        generation: String,
        /// Although it is the one that issues, or certificates of it hold yet
        #[arg(long)]
        yes_nothing_needs_it: bool,
    },
    /// Revoke a generation, for good: it signs nothing any more, its certificates end
    #[command(after_help = REVOKE)]
    Revoke {
        /// The generation, such as tls/1
        generation: String,
        /// Why: key-compromise, ca-compromise, superseded, cessation-of-operation ...
        #[arg(long)]
        reason: String,
        /// Everything that it issued ends with it
        #[arg(long)]
        yes: bool,
    },
}

const CREATE: &str = "\
Examples:
  chancery ca create vpn --above root --purpose client-auth \\
    --subject '/O=Example/CN=Example VPN CA' --permit dns:vpn.example.internal
  chancery ca create edge --above elsewhere \\
    --subject '/O=Example/CN=Example Edge CA' --purpose server-auth
  chancery ca create ssh-admins --role ssh-user --key ed25519

A profile names the issuer it issues under: issuer = \"vpn\". The same command again, after its answer was lost, answers what was made, as long as nothing else changed it. Below `elsewhere` it waits for a certificate: `chancery ca request`.";

const ROTATE: &str = "\
Examples:
  chancery ca rotate tls --dry-run         # what it touches, and the way back
  chancery ca rotate tls                   # a new key and certificate, in use
  chancery ca rotate root --later --cross  # both roots are handed out for now
  chancery ca activate root/2 --at 2027-06-01T06:00:00Z

Where the TLS CA itself was revoked and the server was started again since, it has no certificate to be reached by: --on-host.

The old generation goes on telling of revocations until the last certificate that it issued has ended. While both are there, `chancery ca activate` of the old one is the way back.";

const TOKENS: &str = "\
Examples:
  chancery ca tokens tls/1
  chancery ca tokens tls/1 --add spare     # has the key, and signs once
  chancery ca tokens tls/1 --first spare
  chancery ca tokens tls/1 --remove main

A token is named by [hsm.tokens.NAME]. How the same key comes into two tokens: docs/TOKENS.md.";

const REQUEST: &str = "\
Example:
  chancery ca request edge/1 --out edge.csr
  # signed by whoever is above, and brought back with the chain up to the root
  chancery ca adopt edge/1 --chain edge-chain.pem";

const REVOKE: &str = "\
Example:
  chancery ca revoke tls/1 --reason key-compromise --yes
  chancery ca rotate tls

The rest of the authority goes on. Its successor has another key; holders are renewed under it. The key of an SSH CA stands in the list of `chancery ssh krl` from then on: hosts that fetch it refuse whatever that key signed.";

#[derive(clap::Args)]
struct Create {
    /// Its name, such as vpn; profiles name it so
    name: String,
    /// What it signs
    #[arg(long, default_value = "x509", value_parser = PossibleValuesParser::new(["x509", "ssh-user", "ssh-host"]))]
    role: String,
    /// The kind of its key: p256, p384, p521, rsa2048 to rsa4096 (with -pss: bound to PSS), ed25519, mldsa44 to mldsa87 [default: p256]
    #[arg(long, value_name = "KIND")]
    key: Option<String>,
    /// What a CA stands below: an issuer's name, itself (a root), or elsewhere
    #[arg(long)]
    above: Option<String>,
    /// A CA's subject, the most general part first
    #[arg(long, value_name = "DN")]
    subject: Option<String>,
    /// How long its certificate holds [default: 1825d]
    #[arg(long, value_parser = span)]
    validity: Option<Span>,
    /// How many CAs may follow below [default: 0]
    #[arg(long)]
    path_len: Option<u8>,
    /// What its leaves are for: server-auth, client-auth, code-signing, email-protection, time-stamping, or an OID; several times
    #[arg(long = "purpose")]
    purposes: Vec<String>,
    /// Names that what is below may have: dns:example.internal, ip:10.0.0.0/8, email:, uri:, dn:; several times
    #[arg(long = "permit", value_name = "NAME")]
    permitted: Vec<String>,
    /// Names that it may not have; several times
    #[arg(long = "exclude", value_name = "NAME")]
    excluded: Vec<String>,
    /// A certificate policy, as OID; several times
    #[arg(long = "policy", value_name = "OID")]
    policies: Vec<String>,
    /// It signs CAs alone
    #[arg(long)]
    cas_only: bool,
    /// Into how many CRLs its revocations are parted, for ever: certificates point to them [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    shards: Option<u16>,
    /// It has delta CRLs too, for ever: certificates point to them
    #[arg(long)]
    delta_crls: bool,
    /// The token in which its key is made [default: the first]
    #[arg(long, value_name = "NAME")]
    token: Option<String>,
}

#[derive(clap::Args)]
struct Tokens {
    /// The generation, such as tls/1; of an issuer's name the one that issues
    generation: String,
    /// This token has the key too: it shows the same key and signs once with it
    #[arg(long, value_name = "NAME", group = "change")]
    add: Option<String>,
    /// This token is asked no more
    #[arg(long, value_name = "NAME", group = "change")]
    remove: Option<String>,
    /// This token is asked first
    #[arg(long, value_name = "NAME", group = "change")]
    first: Option<String>,
    /// The key was outside a token once, and a copy of it may be anywhere
    #[arg(long, requires = "add")]
    key_was_outside: bool,
}

#[derive(clap::Args)]
struct Rotate {
    /// The issuer, such as tls
    issuer: String,
    /// The kind of the new key [default: that of the one before]
    #[arg(long, value_name = "KIND")]
    key: Option<String>,
    /// It issues from this moment on, in UTC
    #[arg(long, value_name = "TIME", value_parser = moment)]
    at: Option<Timestamp>,
    /// It waits for `chancery ca activate`
    #[arg(long, conflicts_with = "at")]
    later: bool,
    /// The generation that issues now signs for the new one too: for a root, whoever trusts the old one believes the new
    #[arg(long)]
    cross: bool,
    /// Into how many CRLs its revocations are parted, for ever [default: as those of the one before]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    shards: Option<u16>,
    /// Whether it has delta CRLs, for ever [default: as the one before]
    #[arg(long, value_name = "YES", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    delta_crls: Option<bool>,
    /// The token in which the new key is made [default: that of the one before]
    #[arg(long, value_name = "NAME")]
    token: Option<String>,
    /// Say what it would touch, and make nothing
    #[arg(long)]
    dry_run: bool,
    /// Without asking the server, whose own certificate may have ended with the issuer: on its host, with its token; it may run
    #[arg(long, conflicts_with = "dry_run")]
    on_host: bool,
}

/// A moment as the command line has it; a day is its first second.
fn moment(text: &str) -> Result<Timestamp, String> {
    let day = format!("{text}T00:00:00Z");
    let known = [day.as_str(), text].into_iter().find_map(|text| Timestamp::parse_rfc3339(text).ok());
    known.ok_or_else(|| "write it in UTC, as 2027-03-01T12:00:00Z, or a day as 2027-03-01".to_owned())
}

/// Runs `chancery ca`.
pub async fn run(args: Args, global: &Global) -> Result<(), Failure> {
    match args.what {
        What::List => list(global).await,
        What::Show { issuer } => show(&issuer, global).await,
        What::Create(create) => self::create(&create, global).await,
        What::Rotate(rotate) => self::rotate(&rotate, global).await,
        What::Activate { generation, at } => {
            let at = at.map(|at| at.to_string());
            act(&generation, "activate", &at.map_or(json!({}), |at| json!({ "at": at })), told::stands, global).await
        }
        What::Renew { generation } => {
            let generation = present(&generation, global).await?;
            let says = |_: &Value, of: &Value| {
                format!("{} has a new certificate, until {}.", field(of, "name"), field(of, "not_after"))
            };
            act(&generation, "renew", &json!({}), says, global).await
        }
        What::CrossSign { generation, by } => {
            let says = |_: &Value, of: &Value| {
                format!("{by} has signed for {}: chains to a root, {}.", field(of, "name"), field(of, "chains"))
            };
            act(&generation, "cross-sign", &json!({ "by": by }), says, global).await
        }
        What::Request { generation, out, force } => {
            let mut outputs = Outputs::new(force);
            let place = outputs.place(&out, PUBLIC, Standing::Forced)?;
            let made = global.client()?.post(&format!("{}/request", path(&generation)?), &json!({})).await?;
            let facts = [
                ("generation", field(&made, "name")),
                ("its SHA-256", field(&made, "aloud")),
                output::written_to(&place),
            ];
            place.fill(field(&made, "csr").as_bytes())?;
            output::report(&outputs, &facts, &made, global.json);
            Ok(())
        }
        What::Adopt(adopt) => brought::adopt(&adopt, global).await,
        What::Import(import) => brought::import(&import, global).await,
        What::ImportCrl(import) => brought::import_crl(&import, global).await,
        What::Export { generation, out, force } => {
            let mut outputs = Outputs::new(force);
            let place = outputs.place(&out, PUBLIC, Standing::Forced)?;
            let generation = present(&generation, global).await?;
            let exported = global.client()?.get(&format!("{}/export", path(&generation)?)).await?;
            let facts = [("generation", field(&exported, "name")), output::written_to(&place)];
            place.fill(field(&exported, "chain").as_bytes())?;
            output::report(&outputs, &facts, &exported, global.json);
            Ok(())
        }
        What::Tokens(args) => tokens(&args, global).await,
        What::Retire { generation, yes_nothing_needs_it } => {
            let body = json!({ "force": yes_nothing_needs_it });
            let says = |_: &Value, of: &Value| format!("{} is retired, for good.", field(of, "name"));
            act(&generation, "retire", &body, says, global).await.map_err(|failure| {
                match yes_nothing_needs_it || generation.starts_with("seal") {
                    // It was said, or no word changes it.
                    true => failure,
                    false => failure.help("add --yes-nothing-needs-it where that is meant"),
                }
            })
        }
        What::Revoke { generation, reason, yes } => {
            if !yes {
                return Err(Failure::new(Exit::Failed, ends(&generation, global).await?)
                    .help("add --yes where that is meant; it cannot be taken back"));
            }
            let says = |issuer: &Value, of: &Value| {
                let (name, issuer) = (field(of, "name"), field(issuer, "name"));
                format!(
                    "{name} is revoked: it signs nothing any more, and what it issued is due at once. `chancery ca rotate {issuer}` makes its successor; \
                     `chancery certs list --issuer {name} --state issued --replaced false` has whose certificates have to go."
                )
            };
            act(&generation, "revoke", &json!({ "reason": reason }), says, global).await
        }
    }
}

async fn list(global: &Global) -> Result<(), Failure> {
    let all = global.client()?.get("/api/v1/issuers").await?;
    if global.json {
        output::json(&all["items"]);
        return Ok(());
    }
    let now = World::real().now();
    let columns = [whole("GENERATION"), whole("STATE"), whole("LEFT"), whole("ENDS"), whole("KEY"), words("SUBJECT")];
    let mut rows = Vec::new();
    for issuer in all["items"].as_array().into_iter().flatten() {
        for generation in issuer["generations"].as_array().into_iter().flatten() {
            let ends = Moment::of(generation, "not_after");
            let (paint, left) = ends.left(now, None, field(generation, "state") == "active");
            let subject = match field(generation, "subject") {
                none if none.is_empty() => field(issuer, "role"),
                subject => subject,
            };
            let activates = Moment::of(generation, "activates");
            let waits = field(generation, "state") == "pending" && !field(generation, "activates").is_empty();
            let subject = if waits { format!("{subject} (issues from {} on)", activates.day()) } else { subject };
            let key = if generation["elsewhere"] == true { "elsewhere".to_owned() } else { field(generation, "key") };
            let row = vec![field(generation, "name"), field(generation, "state"), left, ends.day(), key, subject];
            rows.push((if is_wrong(generation) { Paint::Red } else { paint }, row));
        }
    }
    output::painted(&columns, rows, "no issuer");
    Ok(())
}

/// An issuer, or one generation of it.
async fn show(named: &str, global: &Global) -> Result<(), Failure> {
    let issuer = named.split_once('/').map_or(named, |(issuer, _)| issuer);
    let shown = global.client()?.get(&format!("/api/v1/issuers/{}", percent(issuer))).await;
    let shown = shown.map_err(|failure| failure.help_if_missing("`chancery ca list` has those that there are"))?;
    match (issuer == named, told::named(&shown, named)) {
        (true, _) => told::issuer(&shown, global),
        (false, Some(_)) => told::generation(&shown, named, global),
        (false, None) => {
            let says = format!("there is no generation {}", output::printable(named));
            let help = format!("`chancery ca show {}` has those that there are", output::printable(issuer));
            return Err(Failure::new(Exit::Failed, says).help(help));
        }
    }
    Ok(())
}

async fn create(create: &Create, global: &Global) -> Result<(), Failure> {
    if create.role == "x509" {
        let missing = [
            ("--above root", create.above.is_none()),
            ("--subject '/O=Example/CN=Example CA'", create.subject.is_none()),
        ];
        let missing: Vec<&str> = missing.into_iter().filter(|(_, is)| *is).map(|(flag, _)| flag).collect();
        if !missing.is_empty() {
            return Err(Failure::new(Exit::Usage, "a CA stands below something, and has a name")
                .help(format!("add {}; `chancery ca create --help` has examples", missing.join(" "))));
        }
    }
    let made = global.client()?.post("/api/v1/issuers", &wish(create)).await?;
    let first = told::newest(&made).unwrap_or(&Value::Null);
    let next = match field(first, "state").as_str() {
        "active" if create.role == "x509" && !create.cas_only => {
            format!(" Nothing is issued under it before a profile names it: issuer = \"{}\".", create.name)
        }
        _ => String::new(),
    };
    told::done(&made, &field(first, "name"), &format!("{}{next}", told::stands(&made, first)), global);
    Ok(())
}

/// What would end with a generation: how many certificates, of whom, and which CAs stand below.
async fn ends(generation: &str, global: &Global) -> Result<String, Failure> {
    path(generation)?;
    let client = global.client()?;
    let shown = output::printable(generation).to_owned();
    let counted = json!({ "issuer": generation, "reason": "how many end", "dry_run": true });
    let counted = client.post("/api/v1/drills", &counted).await?;
    let left = |share: &Value| share["left"].as_u64().unwrap_or(0);
    let mut owners: Vec<(&String, u64)> =
        counted["owners"].as_object().into_iter().flatten().map(|(owner, share)| (owner, left(share))).collect();
    owners.sort_by_key(|(_, left)| std::cmp::Reverse(*left));
    let named: Vec<String> = owners.iter().take(OWNERS_NAMED).map(|(owner, left)| format!("{owner} {left}")).collect();
    let more =
        if owners.len() > OWNERS_NAMED { format!(", and {} more", owners.len() - OWNERS_NAMED) } else { String::new() };
    let whose = if named.is_empty() { String::new() } else { format!(" ({}{more})", named.join(", ")) };
    let all = client.get("/api/v1/issuers").await?;
    let issuer = generation.split_once('/').map_or(generation, |(issuer, _)| issuer);
    let below: Vec<String> = all["items"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|one| field(one, "above") == issuer)
        .map(|one| field(one, "name"))
        .collect();
    let below = if below.is_empty() { String::new() } else { format!("; and all below it: {}", below.join(", ")) };
    Ok(format!(
        "with {shown} end {} certificates that hold and that nothing took the place of{}{}",
        left(&counted["all"]),
        output::printable(&whose),
        output::printable(&below)
    ))
}

/// Owners that are named where somebody is about to end what they have.
const OWNERS_NAMED: usize = 5;

fn wish(create: &Create) -> Value {
    let mut body = json!({ "name": create.name, "role": create.role });
    let mut say = |name: &str, value: Value| {
        if !value.is_null() && value != json!([]) {
            body[name] = value;
        }
    };
    say("key", json!(create.key));
    say("above", json!(create.above));
    say("subject", json!(create.subject));
    say("validity_secs", json!(create.validity.map(Span::secs)));
    say("path_len", json!(create.path_len));
    say("purposes", json!(create.purposes));
    say("permitted", json!(create.permitted));
    say("excluded", json!(create.excluded));
    say("policies", json!(create.policies));
    say("shards", json!(create.shards));
    say("delta_crls", json!(create.delta_crls.then_some(true)));
    say("token", json!(create.token));
    if create.cas_only {
        say("cas_only", json!(true));
    }
    body
}

async fn rotate(args: &Rotate, global: &Global) -> Result<(), Failure> {
    if args.on_host {
        return rotate_on_host(args, global).await;
    }
    let mut body = json!({ "later": args.later, "cross": args.cross, "dry_run": args.dry_run });
    if let Some(key) = &args.key {
        body["key"] = json!(key);
    }
    if let Some(shards) = args.shards {
        body["shards"] = json!(shards);
    }
    if let Some(deltas) = args.delta_crls {
        body["delta_crls"] = json!(deltas);
    }
    if let Some(token) = &args.token {
        body["token"] = json!(token);
    }
    if let Some(at) = &args.at {
        body["at"] = json!(at.to_string());
    }
    let answer = global.client()?.post(&format!("/api/v1/issuers/{}/rotate", percent(&args.issuer)), &body).await?;
    match args.dry_run {
        true => rehearsal(&answer, global),
        false => {
            let new = told::newest(&answer).unwrap_or(&Value::Null);
            let says = format!("{}{}", told::stands(&answer, new), told::uncrossed(&answer, new));
            told::done(&answer, &field(new, "name"), &says, global);
        }
    }
    Ok(())
}

/// The same by whoever has the host and the token's PIN.
async fn rotate_on_host(args: &Rotate, global: &Global) -> Result<(), Failure> {
    let config = global.config()?;
    let key = args.key.as_deref().map(str::parse::<ca::KeyKind>).transpose();
    let key = key.map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
    let activates = match (args.at, args.later) {
        (Some(at), _) => ca::Activation::At(at),
        (None, true) => ca::Activation::Later,
        (None, false) => ca::Activation::Now,
    };
    let (authority, _closing) = house::authority(&config, house::Way::Beside).await?;
    let (issuer, token) = (args.issuer.clone(), args.token.clone());
    let (cross, shards, deltas) = (args.cross, args.shards, args.delta_crls);
    let wish = ca::Rotate { issuer, key, activates, cross, shards, deltas, token };
    let rotated = authority.rotate_issuer(&policy::Actor::system("rescue"), wish).await;
    let name = rotated.or_fail(format!("no successor of {} was made", output::printable(&args.issuer)))?;
    let made = json!({ "generation": name.to_string() });
    match global.json {
        true => output::json(&made),
        false => output::facts(&[("generation", name.to_string())]),
    }
    Ok(())
}

/// Where a generation's key is; after a change, what it is now.
async fn tokens(args: &Tokens, global: &Global) -> Result<(), Failure> {
    let generation = present(&args.generation, global).await?;
    let change = [("add-token", &args.add), ("remove-token", &args.remove), ("first-token", &args.first)];
    let change = change.into_iter().find_map(|(act, token)| Some((act, token.as_ref()?)));
    let issuer = match change {
        Some((act, token)) => {
            let mut body = json!({ "token": token });
            if args.key_was_outside {
                body["key_was_outside"] = json!(true);
            }
            global.client()?.post(&format!("{}/{act}", path(&generation)?), &body).await?
        }
        None => {
            let name = generation.split('/').next().unwrap_or_default();
            global.client()?.get(&format!("/api/v1/issuers/{}", percent(name))).await?
        }
    };
    let mut generations = issuer["generations"].as_array().into_iter().flatten();
    let there = generations.find(|there| field(there, "name") == generation).ok_or_else(|| {
        Failure::new(Exit::Failed, format!("there is no generation {}", output::printable(&generation)))
    })?;
    if global.json {
        output::json(&json!({ "name": there["name"], "key_label": there["key_label"], "tokens": there["tokens"] }));
        return Ok(());
    }
    let row = |token: &Value| vec![field(token, "name"), field(token, "state"), field(token, "why")];
    let rows = there["tokens"].as_array().into_iter().flatten().map(row).collect();
    output::line(format!(
        "key {} of {}, in the order in which its tokens are asked:",
        field(there, "key_label"),
        field(there, "name")
    ));
    output::table(&[whole("TOKEN"), whole("STATE"), words("WHY")], rows, "its key is in no token here");
    Ok(())
}

fn rehearsal(answer: &Value, global: &Global) {
    if global.json {
        return output::json(answer);
    }
    output::line("Nothing is made. It would go so:");
    for (number, phase) in answer["phases"].as_array().into_iter().flatten().enumerate() {
        let from = match field(phase, "from") {
            none if none.is_empty() => "when somebody says".to_owned(),
            at => at,
        };
        output::line(format!("\n{}. {from}: {}", number + 1, field(phase, "what")));
        for touched in phase["touches"].as_array().into_iter().flatten() {
            output::line(format!("   - {}", output::printable(touched.as_str().unwrap_or_default())));
        }
    }
    output::line(format!("\nThe way back: {}", field(answer, "way_back")));
}

/// Where a generation's acts are asked for.
fn path(generation: &str) -> Result<String, Failure> {
    match generation.split_once('/') {
        Some((issuer, number)) => Ok(format!("/api/v1/issuers/{}/{}", percent(issuer), percent(number))),
        None => {
            let says = format!("{} names no generation", output::printable(generation));
            Err(Failure::new(Exit::Usage, says).help("write it as tls/1; `chancery ca list` has them"))
        }
    }
}

/// The generation that is meant: of an issuer's name the one that issues.
async fn present(named: &str, global: &Global) -> Result<String, Failure> {
    if named.contains('/') {
        return Ok(named.to_owned());
    }
    let issuer = global.client()?.get(&format!("/api/v1/issuers/{}", percent(named))).await?;
    let mut generations = issuer["generations"].as_array().into_iter().flatten();
    let active = generations.find(|generation| matches!(field(generation, "state").as_str(), "active"));
    active.map(|generation| field(generation, "name")).ok_or_else(|| {
        let says = format!("no generation of {} issues now", output::printable(named));
        Failure::new(Exit::Failed, says).help(format!("name one of `chancery ca show {}`", output::printable(named)))
    })
}

/// Acts, and tells what it came to.
async fn act(
    generation: &str,
    act: &str,
    body: &Value,
    says: impl FnOnce(&Value, &Value) -> String,
    global: &Global,
) -> Result<(), Failure> {
    let issuer = global.client()?.post(&format!("{}/{act}", path(generation)?), body).await?;
    let says = told::named(&issuer, generation).map(|of| says(&issuer, of)).unwrap_or_default();
    told::done(&issuer, generation, &says, global);
    Ok(())
}

/// Whether something keeps a generation from what it is for. A key that is elsewhere signs nothing here, and that is as it should be.
fn is_wrong(generation: &Value) -> bool {
    let stands = matches!(field(generation, "state").as_str(), "active" | "retiring");
    let is_away = stands && generation["elsewhere"] == true;
    !is_away && !field(generation, "why").is_empty()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_key_that_is_elsewhere_is_nothing_wrong_while_its_ca_stands() {
        let why = "its key is elsewhere, and signs at a ceremony";
        let generation =
            |state: &str, elsewhere: bool, why: &str| json!({"state": state, "elsewhere": elsewhere, "why": why});
        for (state, elsewhere, why, wrong) in [
            ("active", true, why, false),
            ("retiring", true, why, false),
            ("ended", true, why, true),
            ("revoked", true, why, true),
            ("active", false, "the token lost its key", true),
            ("active", false, "", false),
        ] {
            assert_eq!(is_wrong(&generation(state, elsewhere, why)), wrong, "{state} {elsewhere}");
        }
    }
}
