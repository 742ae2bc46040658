//! `chancery sign`: a detached signature over a file, by a key that lives in the HSM.
//!
//! The file stays here: only its SHA-256 digest travels. It is read once, in pieces, so that neither its size matters nor
//! whether it is a file: a FIFO and standard input are signed too.

use std::path::{Path, PathBuf};

use base64::Engine;
use clap::{Parser, ValueEnum};
use ring::digest::{Context, SHA256};
use serde_json::json;

use super::files::{self, Input, Outputs, PUBLIC, Standing};
use crate::Global;
use crate::failure::{Exit, Failure, OrFail};
use crate::output::{self, field};

/// What the register keeps of a name (see docs/LIMITS.md).
const NOTE_BYTES_MAX: usize = 255;

#[derive(Parser)]
#[command(after_help = "\
Examples:
  chancery sign app.tar.gz --key release --format cms
  openssl cms -verify -binary -inform DER -in app.tar.gz.p7s -content app.tar.gz -CAfile roots.pem -purpose any -out /dev/null

  chancery sign app.tar.gz --key release --format raw
  openssl x509 -in release/cert.pem -noout -pubkey > release.pub
  openssl dgst -sha256 -verify release.pub -signature app.tar.gz.sig app.tar.gz")]
pub struct Args {
    /// The file to sign; - is standard input
    file: PathBuf,
    /// The label of the key in the HSM (see `chancery issue code`)
    #[arg(long)]
    key: String,
    /// raw: the bare signature; cms: a detached CMS SignedData with the certificate chain
    #[arg(long, value_enum)]
    format: Format,
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
    let input = Input::open(&args.file)?;
    let out = match args.out {
        Some(path) => path,
        None => beside(&args.file, args.format)?,
    };
    // The places first: nothing is signed that could not be kept.
    let mut outputs = Outputs::new(args.force).reading(&input);
    let signature_place = outputs.place(&out, PUBLIC, Standing::Forced)?;
    let chain_place =
        args.chain_out.as_deref().map(|path| outputs.place(path, PUBLIC, Standing::Forced)).transpose()?;
    let name = input.path().file_name().map(files::note).unwrap_or_default();
    let digest = sha256(input)?;
    let mut body = json!({"key": args.key, "format": args.format.name(), "sha256": hex::encode(digest)});
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

/// FILE.sig or FILE.p7s, whatever bytes FILE has; what was no file has no name to stand beside.
fn beside(file: &Path, format: Format) -> Result<PathBuf, Failure> {
    if !file.is_file() {
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
