//! What comes from elsewhere: certificates of our CAs, CAs that exist, CRLs of an offline root.
//!
//! Over the server; or with `--here` beside it, on the host itself: before its TLS CA has a certificate no server can begin.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ca::{Authority, Brought, GenerationName};
use policy::{Actor, World};
use serde_json::json;

use super::{act, told};
use crate::Global;
use crate::cmd::files::{self, PUBLIC};
use crate::failure::{Exit, Failure, OrFail};
use crate::trust::{self, Fingerprint};
use crate::{house, output, reading};

/// Certificates of a chain, and a few roots.
const CHAIN_BYTES_MAX: u64 = 256 << 10;
/// The CRL of a CA above CAs.
const CRL_BYTES_MAX: u64 = 64 << 10;
/// Who acts on the host itself, with the token's PIN.
const ACTOR: &str = "init";

pub const ADOPT: &str = "\
Examples:
  chancery ca adopt edge/1 --chain edge-chain.pem --fingerprint 3F:0B:...
  chancery ca adopt tls/1 --here --chain tls-1.pem \\
    --transcript 002-intermediate.json";

pub const IMPORT: &str = "\
Examples:
  chancery ca import legacy --key-label old-ca-key --chain old-ca.pem
  chancery ca import legacy --key-label old-ca-key --key-was-outside \\
    --from openssl /etc/ssl/ca --dry-run
  chancery ca import legacy --key-label old-ca-key --key-was-outside \\
    --from ejbca certificates.csv --from ejbca crls.csv --chain old-ca.pem
  chancery ca import root --certificate-only --chain root-1.pem \\
    --fingerprint 3F:0B:...

A root that is new here is handed out to everybody. Its fingerprint comes from the paper of its ceremony, or from whoever runs it: what stands in the file proves nothing.";

#[derive(clap::Args)]
pub struct Adopt {
    /// The generation, such as edge/1
    generation: String,
    /// The certificate and those above it up to the root: PEM, PKCS#7 or DER
    #[arg(long)]
    chain: PathBuf,
    /// The SHA-256 of its root, where that is not known here: from the paper, not from the file
    #[arg(long, value_name = "SHA256", value_parser = trust::fingerprint)]
    fingerprint: Option<Fingerprint>,
    /// The transcript of the ceremony that signed it: its hash becomes an entry of the log
    #[arg(long, value_name = "FILE")]
    transcript: Option<PathBuf>,
    /// On this host, by the configuration and the token, whether or not a server runs
    #[arg(long)]
    here: bool,
}

#[derive(clap::Args)]
pub struct Import {
    /// What it will be called here
    pub(super) name: String,
    /// The label of its key in the token
    #[arg(long, required_unless_present = "certificate_only")]
    pub(super) key_label: Option<String>,
    /// The token that has it [default: the first]
    #[arg(long, value_name = "NAME", conflicts_with = "certificate_only")]
    pub(super) token: Option<String>,
    /// Its key was outside the token before it was put there: a copy of it may be anywhere
    #[arg(long)]
    pub(super) key_was_outside: bool,
    /// With what it signed: openssl, vault, openbao, ejbca or step-ca, and the folder or file that has it
    #[arg(long, num_args = 2, value_names = ["KIND", "PATH"], action = clap::ArgAction::Append, conflicts_with_all = ["here", "certificate_only"])]
    pub(super) from: Vec<String>,
    /// A CRL of it, of which the number and the entries count too
    #[arg(long, value_name = "FILE", requires = "from")]
    pub(super) crl: Vec<PathBuf>,
    /// Whose its certificates are that no owner's rules name
    #[arg(long, requires = "from")]
    pub(super) owner: Option<String>,
    /// Say what would come, and write nothing
    #[arg(long, requires = "from")]
    pub(super) dry_run: bool,
    /// Although things of it cannot be taken
    #[arg(long, requires = "from")]
    pub(super) leave_out: bool,
    /// Its key is elsewhere: its certificate and its CRLs alone are served here
    #[arg(long, conflicts_with_all = ["key_label", "cas_only", "key_was_outside"])]
    certificate_only: bool,
    /// Its certificate and those above it up to the root: PEM, PKCS#7 or DER
    #[arg(long, required_unless_present = "from")]
    pub(super) chain: Option<PathBuf>,
    /// The SHA-256 of its root, where that is not known here: from the paper, not from the file
    #[arg(long, value_name = "SHA256", value_parser = trust::fingerprint)]
    pub(super) fingerprint: Option<Fingerprint>,
    /// The transcript of the ceremony that made it: its hash becomes an entry of the log
    #[arg(long, value_name = "FILE", requires = "certificate_only")]
    transcript: Option<PathBuf>,
    /// It signs CAs alone
    #[arg(long)]
    pub(super) cas_only: bool,
    /// Into how many CRLs its revocations are parted, for ever [default: 1]
    #[arg(long, value_name = "N", conflicts_with_all = ["certificate_only", "from"], value_parser = clap::value_parser!(u16).range(1..=256))]
    shards: Option<u16>,
    /// It has delta CRLs from here on, for ever
    #[arg(long, conflicts_with_all = ["certificate_only", "from"])]
    delta_crls: bool,
    /// On this host, by the configuration and the token, whether or not a server runs
    #[arg(long)]
    here: bool,
}

#[derive(clap::Args)]
pub struct ImportCrl {
    /// The CRL, DER or PEM
    file: PathBuf,
    /// On this host, by the configuration and the token, whether or not a server runs
    #[arg(long)]
    here: bool,
}

/// Takes a certificate that was signed elsewhere.
pub async fn adopt(args: &Adopt, global: &Global) -> Result<(), Failure> {
    let chain = chain(&args.chain)?;
    let transcript = args.transcript.as_deref().map(|path| files::text(path, ca::Transcript::BYTES_MAX as u64));
    let transcript = transcript.transpose()?;
    if !args.here {
        let mut body = json!({ "chain": chain });
        if let Some(transcript) = transcript {
            body["transcript"] = json!(transcript);
        }
        if let Some(root) = args.fingerprint {
            body["fingerprint"] = json!(root.hex());
        }
        let says = |issuer: &serde_json::Value, of: &serde_json::Value| {
            format!("{} has its certificate. {}", output::field(of, "name"), told::stands(issuer, of))
        };
        return act(&args.generation, "adopt", &body, says, global).await;
    }
    let name: GenerationName = args.generation.parse().or_fail("this names no generation")?;
    let here = Here::open(global).await?;
    let with = (args.fingerprint.map(|root| root.0), transcript.as_deref().map(str::as_bytes));
    let adopted = here.authority.adopt_issuer(&here.actor, &name, chain.as_bytes(), with).await;
    adopted.or_exit(Exit::Refused, "the certificate is not taken")?;
    here.close(&format!("{name} has its certificate")).await
}

/// Takes in a CA that exists.
pub async fn import(args: &Import, global: &Global) -> Result<(), Failure> {
    if !args.from.is_empty() {
        return super::estate::import(args, global).await;
    }
    let chain = args.chain.as_deref().map(chain).transpose()?.unwrap_or_default();
    let transcript = args.transcript.as_deref().map(|path| files::text(path, ca::Transcript::BYTES_MAX as u64));
    let transcript = transcript.transpose()?;
    if !args.here {
        let mut body = json!({
            "name": args.name, "chain": chain, "cas_only": args.cas_only, "key_was_outside": args.key_was_outside,
        });
        if let Some(label) = &args.key_label {
            body["key_label"] = json!(label);
            body["token"] = json!(args.token);
        }
        if let Some(root) = args.fingerprint {
            body["fingerprint"] = json!(root.hex());
        }
        if let Some(transcript) = transcript {
            body["transcript"] = json!(transcript);
        }
        if let Some(shards) = args.shards {
            body["shards"] = json!(shards);
        }
        if args.delta_crls {
            body["delta_crls"] = json!(true);
        }
        told::issuer(&global.client()?.post("/api/v1/issuers/import", &body).await?, global);
        return Ok(());
    }
    let here = Here::open(global).await?;
    let root = args.fingerprint.map(|root| root.0);
    let name = match &args.key_label {
        Some(label) => {
            let (name, label, chain_pem) = (args.name.clone(), label.clone(), chain.into_bytes());
            let (token, was_outside, leaves) = (args.token.clone(), args.key_was_outside, !args.cas_only);
            let (shards, deltas) = (args.shards, Some(args.delta_crls));
            let brought = Brought { name, label, token, was_outside, chain_pem, root, leaves, shards, deltas };
            here.authority.bring_issuer(&here.actor, brought).await
        }
        None => {
            let with = (root, transcript.as_deref().map(str::as_bytes));
            here.authority.bring_certificate(&here.actor, &args.name, chain.as_bytes(), with).await
        }
    };
    let name = name.or_exit(Exit::Refused, "the CA is not taken in")?;
    here.close(&format!("it is {name} here")).await
}

/// Takes in the next CRL of a CA elsewhere.
pub async fn import_crl(args: &ImportCrl, global: &Global) -> Result<(), Failure> {
    let crl = files::read(&args.file, CRL_BYTES_MAX)?;
    let pem = match crl.first() {
        Some(0x30) => encoded("X509 CRL", &crl),
        _ => String::from_utf8(crl).or_fail(format!("{} is no CRL", files::shown(&args.file)))?,
    };
    if !args.here {
        let client = global.client()?;
        let before = revoked(&client.get("/api/v1/issuers").await?);
        let taken = client.post("/api/v1/issuers/import-crl", &json!({ "crl": pem })).await?;
        let after = revoked(&client.get("/api/v1/issuers").await?);
        let now: Vec<&str> = after.iter().filter(|name| !before.contains(name)).map(String::as_str).collect();
        let ended = match now.as_slice() {
            [] => "it revokes nothing of ours that was not revoked before".to_owned(),
            some => format!(
                "REVOKED by it: {}. Nothing is issued under that any more: `chancery ca rotate`",
                some.join(", ")
            ),
        };
        if !global.json {
            output::line(output::printable(&format!(
                "The CRL of {} is served; {ended}.",
                output::field(&taken, "name")
            )));
            output::line("");
        }
        told::issuer(&taken, global);
        return Ok(());
    }
    let here = Here::open(global).await?;
    let taken = here.authority.bring_crl(&here.actor, pem.as_bytes()).await;
    let (name, number) = taken.or_exit(Exit::Refused, "the CRL is not taken")?;
    here.close(&format!("the CRL of {name} is number {number} now")).await
}

/// Generations that are revoked.
fn revoked(all: &serde_json::Value) -> Vec<String> {
    let issuers = all["items"].as_array().into_iter().flatten();
    let generations = issuers.flat_map(|issuer| issuer["generations"].as_array().into_iter().flatten());
    generations.filter(|one| output::field(one, "state") == "revoked").map(|one| output::field(one, "name")).collect()
}

/// The certificates of a file, as PEM: authorities hand out PKCS#7 and DER too.
fn chain(path: &Path) -> Result<String, Failure> {
    let bytes = files::read(path, CHAIN_BYTES_MAX)?;
    let says = format!("{} holds no certificates", files::shown(path));
    let read = reading::read(&bytes, World::real().now())
        .map_err(|why| Failure::new(Exit::Refused, says.clone()).since(why.to_string()))?;
    let inside = read.iter().flat_map(|one| one.inner.iter().chain([one]));
    let found: Vec<_> = inside.filter(|one| matches!(one.kind, "certificate" | "ca-certificate")).collect();
    if found.is_empty() {
        return Err(Failure::new(Exit::Refused, says));
    }
    Ok(found.iter().map(|one| encoded("CERTIFICATE", &one.der)).collect())
}

fn encoded(label: &str, der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let lines: Vec<_> = body.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// The house, opened beside the server.
struct Here {
    authority: Authority,
    actor: Actor,
    roots: PathBuf,
    as_json: bool,
    _closing: house::Closing,
}

impl Here {
    async fn open(global: &Global) -> Result<Here, Failure> {
        let config = global.config()?;
        let (authority, closing) = house::authority(&config, house::Way::Beside).await?;
        let roots = config.file.parent().unwrap_or(Path::new(".")).join("roots.pem");
        Ok(Here { authority, actor: Actor::system(ACTOR), roots, as_json: global.json, _closing: closing })
    }

    /// Signs the log's head, and writes the roots that clients of this folder go by.
    async fn close(self, says: &str) -> Result<(), Failure> {
        self.authority.checkpoint().await.or_fail("the log's head is not signed")?;
        files::write(&self.roots, self.authority.roots_pem().as_bytes(), PUBLIC)?;
        self.authority.ledger().clone().close().await;
        match self.as_json {
            true => output::json(&json!({ "done": says })),
            false => output::line(says),
        }
        Ok(())
    }
}
