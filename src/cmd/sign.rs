//! `chancery sign`: a detached signature over a file, by a key that lives in the HSM.
//!
//! The file stays here: only its SHA-256 digest travels. It is read once, in pieces, so that neither its size matters nor
//! whether it is a file: a FIFO and standard input are signed too.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base64::Engine;
use clap::{Parser, ValueEnum};
use ring::digest::{Context, SHA256};
use serde_json::{Value, json};

use super::files::{self, Input, Outputs, PUBLIC, Standing};
use crate::Global;
use crate::client::percent;
use crate::failure::{Exit, Failure, OrFail};
use crate::output::{self, field, whole, words};

/// What the register keeps of a name (see docs/LIMITS.md).
const NOTE_BYTES_MAX: usize = 255;

#[derive(Parser)]
#[command(after_help = "\
Examples:
  chancery sign app.tar.gz --key release --format cms
  openssl cms -verify -binary -inform DER -in app.tar.gz.p7s \\
    -content app.tar.gz -CAfile roots.pem -purpose any -out /dev/null

  chancery sign app.tar.gz --key release --format raw
  openssl x509 -in release/cert.pem -noout -pubkey > release.pub
  openssl dgst -sha256 -verify release.pub \\
    -signature app.tar.gz.sig app.tar.gz

  chancery sign app.tar.gz --list")]
pub struct Args {
    /// The file to sign; - is standard input
    file: PathBuf,
    /// Sign nothing; list what was signed of this file: by its content, and by its name
    #[arg(long, conflicts_with_all = ["key", "format", "out", "chain_out"])]
    list: bool,
    /// The label of the key in the HSM (see `chancery issue code`)
    #[arg(long, required_unless_present = "list", default_value = "", hide_default_value = true)]
    key: String,
    /// raw: the bare signature; cms: a detached CMS SignedData with the certificate chain
    #[arg(long, value_enum, required_unless_present = "list")]
    format: Option<Format>,
    /// Where to write it, by default FILE.sig (raw) or FILE.p7s (cms); - is standard output
    #[arg(long)]
    out: Option<PathBuf>,
    /// Also write the signer's certificate chain to this file
    #[arg(long)]
    chain_out: Option<PathBuf>,
    /// Replace files that are there
    #[arg(long)]
    force: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Raw,
    Cms,
}

impl Format {
    fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Cms => "cms",
        }
    }

    fn extension(self) -> &'static str {
        match self {
            Self::Raw => "sig",
            Self::Cms => "p7s",
        }
    }
}

/// Runs `chancery sign`.
pub async fn run(args: Args, global: &Global) -> Result<(), Failure> {
    let Some(format) = args.format else { return list(&args.file, global).await };
    let input = Input::open(&args.file)?;
    let out = match args.out {
        Some(path) => path,
        None => beside(&args.file, format)?,
    };
    // The places first: nothing is signed that could not be kept.
    let mut outputs = Outputs::new(args.force).reading(&input);
    let signature_place = outputs.place(&out, PUBLIC, Standing::Forced)?;
    let chain_place =
        args.chain_out.as_deref().map(|path| outputs.place(path, PUBLIC, Standing::Forced)).transpose()?;
    let name = input.path().file_name().map(files::note).unwrap_or_default();
    let digest = sha256(input)?;
    let mut body = json!({"key": args.key, "format": format.name(), "sha256": hex::encode(digest)});
    if !name.is_empty() && name != "-" {
        body["file_name"] = json!(bounded(&name));
    }
    let answer = global.client()?.post("/api/v1/sign", &body).await?;
    let signature = base64::engine::general_purpose::STANDARD
        .decode(field(&answer, "signature"))
        .or_fail("the server's signature is not base64")?;
    let mut facts = vec![("sha-256", hex::encode(digest))];
    facts.extend(output::shown(&answer, &["algorithm", "operation"]));
    facts.push(output::written_to(&signature_place));
    let lost =
        |f: Failure| f.help(format!("nobody has the signature of operation {}: sign again", answer["operation"]));
    if let Some(place) = chain_place {
        place.fill(field(&answer, "chain").as_bytes()).map_err(lost)?;
    }
    signature_place.fill(&signature).map_err(lost)?;
    output::report(&outputs, &facts, &answer, global.json);
    Ok(())
}

/// What was signed of a file: of exactly this content, and under its name. A file that is not here any more is asked for by name.
async fn list(file: &Path, global: &Global) -> Result<(), Failure> {
    let client = global.client()?;
    let name = file.file_name().map(files::note).unwrap_or_default();
    let mut asked = vec![format!("file:{}", policy::shown(bounded(&name)))];
    if file.exists() || file == Path::new("-") {
        asked.insert(0, format!("sha256:{}", hex::encode(sha256(Input::open(file)?)?)));
    }
    let mut found: BTreeMap<u64, Value> = BTreeMap::new();
    for name in &asked {
        let path = format!("/api/v1/certificates?kind=code-signature&limit=1000&name={}", percent(name));
        let page = client.get(&path).await?;
        for item in page.get("items").and_then(Value::as_array).into_iter().flatten() {
            found.insert(item.get("operation").and_then(Value::as_u64).unwrap_or_default(), item.clone());
        }
    }
    let newest_first: Vec<Value> = found.into_values().rev().collect();
    if global.json {
        output::json(&Value::Array(newest_first));
        return Ok(());
    }
    let rows = newest_first.iter().map(|item| {
        let names: Vec<String> = item["names"].as_array().into_iter().flatten().map(text).collect();
        let part = |kind: &str| names.iter().find_map(|name| name.strip_prefix(kind)).unwrap_or_default().to_owned();
        let same = if asked.contains(&format!("sha256:{}", part("sha256:"))) { "this" } else { "other" };
        let digest: String = part("sha256:").chars().take(12).collect();
        vec![
            field(item, "operation"),
            field(item, "signed_at").replace('T', " ").chars().take(16).collect(),
            same.to_owned(),
            part("file:"),
            digest,
            field(item, "actor"),
        ]
    });
    let header = [whole("ENTRY"), whole("SIGNED"), whole("CONTENT"), words("FILE"), whole("SHA-256"), words("BY")];
    output::table(&header, rows.collect(), "nothing of this content or name was signed");
    Ok(())
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// FILE.sig or FILE.p7s, whatever bytes FILE has; what was no file has no name to stand beside.
fn beside(file: &Path, format: Format) -> Result<PathBuf, Failure> {
    if files::is_stream(file) || !file.is_file() {
        return Err(Failure::new(Exit::Failed, format!("{} is no regular file", files::shown(file)))
            .help("say where the signature goes with --out"));
    }
    let mut name = file.as_os_str().to_owned();
    name.push(format!(".{}", format.extension()));
    Ok(name.into())
}

/// So much of a note as the register takes.
fn bounded(name: &str) -> &str {
    name.get(..name.floor_char_boundary(NOTE_BYTES_MAX)).unwrap_or(name)
}

fn sha256(input: Input) -> Result<[u8; 32], Failure> {
    let mut context = Context::new(&SHA256);
    input.pieces(|piece| context.update(piece))?;
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    Ok(digest)
}
