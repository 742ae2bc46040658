//! `chancery audit prove-ocsp`: that an OCSP response in hand is one that this log's authority made.
//!
//! The server is asked for the proof, or the register or an exported folder is; the proof is followed here, from the response's bytes
//! to a head under the log's key, and nobody is believed on the way.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ca::{BroughtResponse, OCSP_REQUEST_BYTES_MAX, OCSP_RESPONSE_BYTES_MAX, is_ocsp_request};
use clap::Parser;
use policy::World;
use serde_json::{Value, json};
use store::{Sought, Source};

use super::proof::{Proof, Proved};
use super::read_text;
use crate::client::percent;
use crate::failure::{Exit, Failure, OrFail};
use crate::output::{self, field};
use crate::{Global, files, reading};

/// What `--help` says after the flags.
pub const HELP: &str = "\
Examples:
  openssl ocsp -issuer tls.pem -cert web.pem -respout told.der \\
    -url http://pki.example.com/ocsp
  chancery audit prove-ocsp told.der --key kept/log.vkey
  chancery audit prove-ocsp told.der --dir ./export --key kept/log.vkey
  chancery --config my-ca/chancery.toml audit prove-ocsp told.der --register

A FILE that is a request is answered by the server's responder first, and what that said is proved. With --json the answer has all \
that another program needs: the response, the path to its batch's root, both leaves, their paths, the signed heads.

What leads a response to its batch is kept for 400 days. Keep the proof where it has to last longer, and hand it to --proof then:
  chancery audit prove-ocsp told.der --json > told.proof
  chancery audit prove-ocsp told.der --proof told.proof --key kept/log.vkey

Exit code 1 means that the log does not have it, 2 that the file is no OCSP response at all, 5 that the response or the proof is not \
what was signed (a response that nobody here would sign is one of those), 6 that all holds and no key said whose log it is.";

#[derive(Parser)]
pub struct Args {
    /// An OCSP response, or a request for the server's responder; DER
    file: PathBuf,
    /// Ask an exported folder, and no server
    #[arg(long, conflicts_with = "register")]
    dir: Option<PathBuf>,
    /// Ask the register that --config names, and no server
    #[arg(long)]
    register: bool,
    /// Follow a proof that was kept, what --json printed, and ask nobody
    #[arg(long, conflicts_with_all = ["register", "dir"])]
    proof: Option<PathBuf>,
    /// The log's verifier key (a file such as DIR/log.vkey); by default log.vkey beside the configuration
    #[arg(long)]
    key: Option<PathBuf>,
}

/// Runs `chancery audit prove-ocsp`.
pub async fn run(args: Args, global: &Global) -> Result<(), Failure> {
    let bytes = files::read(&args.file, OCSP_RESPONSE_BYTES_MAX as u64)?;
    let source = match &args.dir {
        Some(dir) => Some(Source::Folder(dir.clone())),
        None if args.register => Some(Source::Database(global.config()?.database)),
        None => None,
    };
    let kept = args.proof.as_deref().map(read_proof).transpose()?;
    let is_alone = source.is_some() || kept.is_some();
    let (der, response) = match (BroughtResponse::read(&bytes), is_ocsp_request(&bytes)) {
        (Ok(response), _) => (bytes, response),
        (Err(_), true) if !is_alone => asked(&bytes, global).await?,
        (Err(_), true) => {
            return Err(Failure::new(Exit::Usage, format!("{} is a request", files::shown(&args.file)))
                .help("a running server answers it; without one, bring a response"));
        }
        (Err(why), false) => {
            // What nobody would call a response is the wrong file; what is one, and not as anybody here signs it, was altered.
            let exit = if reading::begins_as_ocsp_response(&bytes) { Exit::Findings } else { Exit::Usage };
            return Err(Failure::new(exit, format!("{} is not to be proved: {why}", files::shown(&args.file))));
        }
    };
    if !response.is_signed() {
        return Err(Failure::new(Exit::Findings, "its signature is not that of the responder in it")
            .help("it was altered, or nobody ever signed it: no log has it"));
    }
    let (key, pinned) = key(&args, source.as_ref(), kept.as_ref(), global).await?;
    let proof = match (source, kept) {
        (Some(source), _) => offline(source, &response).await?,
        (None, Some(kept)) if kept.get("response").is_some_and(|of| *of != STANDARD.encode(&der)) => {
            return Err(Failure::new(Exit::Findings, "the proof does not hold: it is that of another response"));
        }
        (None, Some(kept)) => Proof::answered(kept),
        (None, None) => {
            let wish = json!({"response": STANDARD.encode(&der)});
            Proof::answered(global.client()?.post("/api/v1/audit/ocsp-proof", &wish).await?)
        }
    };
    let proved = proof.follow(&response, &key)?;
    print(&der, &proof, &proved, (&key, pinned.as_deref()), global.json)?;
    match pinned {
        Some(_) => Ok(()),
        None => Err(Failure::new(Exit::Unidentified, "proved, and no key from elsewhere said whose log it is")
            .help("bring the log's key from where you trust it: --key log.vkey")),
    }
}

fn read_proof(path: &Path) -> Result<Value, Failure> {
    let text = files::text(path, PROOF_BYTES_MAX)?;
    serde_json::from_str(&text).map_err(|error| {
        Failure::new(Exit::Failed, format!("{} is no proof", files::shown(path))).since(error.to_string())
    })
}

/// Three paths of a few hashes, two leaves, two heads, the response.
const PROOF_BYTES_MAX: u64 = 1 << 20;

/// What the responder answers now.
async fn asked(request: &[u8], global: &Global) -> Result<(Vec<u8>, BroughtResponse), Failure> {
    if request.len() > OCSP_REQUEST_BYTES_MAX {
        return Err(Failure::new(Exit::Failed, "longer than a request may be"));
    }
    let path = format!("/ocsp/{}", percent(&STANDARD.encode(request)));
    let der = global.client()?.get_bytes(&path).await?;
    let read = BroughtResponse::read(&der);
    let response = read.map_err(|why| Failure::new(Exit::Refused, format!("the responder answered {why}")))?;
    Ok((der, response))
}

async fn offline(source: Source, response: &BroughtResponse) -> Result<Proof, Failure> {
    let sought = Sought { message: response.data.clone(), begins: response.begins, key_hash: response.key_hash() };
    let traced = tokio::task::spawn_blocking(move || store::trace(source, &sought)).await;
    let traced = traced.or_fail("the search broke off")?.map_err(|error| match error {
        store::StoreError::Altered(why) => {
            Failure::new(Exit::Findings, format!("the register is not what was signed: {why}"))
                .help("whether it has this response cannot be said; `chancery audit verify` says what else is wrong")
        }
        store::StoreError::NotFound(why) => Failure::new(Exit::Failed, why),
        other => Failure::new(Exit::Failed, "cannot read the register").since(other.to_string()),
    })?;
    traced
        .map(|traced| Proof::traced(&traced))
        .ok_or_else(|| Failure::new(Exit::Failed, "no batch of this log has this response"))
}

/// The key that heads are held to, and where it was pinned.
async fn key(
    args: &Args,
    source: Option<&Source>,
    kept: Option<&Value>,
    global: &Global,
) -> Result<(String, Option<String>), Failure> {
    let beside = global.config.as_deref().map(|config| config.parent().unwrap_or(Path::new(".")).join("log.vkey"));
    // Another register's folder is not what the configuration is of.
    let beside = beside.filter(|path| path.exists() && args.dir.is_none());
    if let Some(path) = args.key.clone().or(beside) {
        return Ok((read_text(&path)?.trim().to_owned(), Some(files::shown(&path))));
    }
    if let Some(kept) = kept {
        return Ok((field(kept, "key"), None));
    }
    match source {
        Some(Source::Folder(dir)) => Ok((read_text(&dir.join("key"))?.trim().to_owned(), None)),
        Some(Source::Database(_)) => {
            Err(Failure::new(Exit::Usage, "no key says which log this is")
                .help("--key log.vkey, from where you trust it"))
        }
        None => Ok((global.client()?.get_text("/log/key").await?.trim().to_owned(), None)),
    }
}

fn print(der: &[u8], proof: &Proof, proved: &Proved, key: (&str, Option<&str>), as_json: bool) -> Result<(), Failure> {
    let (key, pinned) = key;
    if as_json {
        let mut all = proof.json().clone();
        if let Some(all) = all.as_object_mut() {
            all.insert("response".to_owned(), json!(STANDARD.encode(der)));
            all.insert("key".to_owned(), json!(key));
            all.insert("key_from".to_owned(), json!(pinned));
        }
        output::json(&all);
        return Ok(());
    }
    let shown = reading::ocsp_response(der, World::real().now()).or_fail("the response")?;
    let says = |name: &str| {
        let fact = shown.facts.iter().find(|fact| fact.name == name).map(|fact| fact.value.clone());
        match fact.unwrap_or_default() {
            Value::Array(several) => several.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("; "),
            other => other.as_str().unwrap_or_default().to_owned(),
        }
    };
    let of = |leaf: &Value, name: &str| leaf.get(name).map(|value| field(value, "name")).unwrap_or_default();
    let inner =
        shown.inner.first().and_then(|certificate| certificate.facts.iter().find(|fact| fact.name == "subject"));
    let subject = inner.and_then(|fact| fact.value.as_str()).unwrap_or_default();
    let place = proof.json().get("position").and_then(Value::as_u64).unwrap_or_default() + 1;
    let whose = pinned.map_or("as the log itself says: identity not checked".to_owned(), |path| format!("from {path}"));
    output::facts(&[
        ("says", says("responses")),
        ("signed by", format!("{subject}, with {}", field(&proved.batch, "algorithm"))),
        (
            "responder",
            format!(
                "its certificate is leaf {}, issued by {}",
                field(&proved.responder, "i"),
                of(&proved.responder, "key")
            ),
        ),
        (
            "batch",
            format!(
                "message {place} of {} of leaf {}, {}, by {}",
                field(&proved.batch, "messages"),
                field(&proved.batch, "i"),
                field(&proved.batch, "time"),
                proved.batch.get("actor").map(|actor| field(actor, "id")).unwrap_or_default()
            ),
        ),
        ("log", format!("both leaves are under its signed head of {} entries", proved.head.size)),
        ("key", format!("{key} ({whose})")),
    ]);
    Ok(())
}
