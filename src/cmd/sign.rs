//! `chancery sign`: a detached signature over a file, by a key that lives in the HSM.
//!
//! The file stays here: only its SHA-256 digest travels. It is read in pieces, so its size does not matter.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use base64::Engine;
use clap::{Parser, ValueEnum};
use ring::digest::{Context, SHA256};
use serde_json::json;

use super::files::{self, PUBLIC};
use crate::Global;
use crate::failure::{Exit, Failure, OrFail};
use crate::output::{self, field};

#[derive(Parser)]
#[command(after_help = "\
Examples:
  chancery sign app.tar.gz --key release --format cms
  openssl cms -verify -binary -inform DER -in app.tar.gz.p7s -content app.tar.gz -CAfile roots.pem -purpose any -out /dev/null

  chancery sign app.tar.gz --key release --format raw
  openssl dgst -sha256 -verify release.pub -signature app.tar.gz.sig app.tar.gz")]
pub struct Args {
    /// The file to sign
    file: PathBuf,
    /// The label of the key in the HSM (see `chancery issue code`)
    #[arg(long)]
    key: String,
    /// raw: the bare signature; cms: a detached CMS SignedData with the certificate chain
    #[arg(long, value_enum)]
    format: Format,
    /// Where to write it, by default FILE.sig (raw) or FILE.p7s (cms)
    #[arg(long)]
    out: Option<PathBuf>,
    /// Also write the signer's certificate chain to this file
    #[arg(long)]
    chain_out: Option<PathBuf>,
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
    let digest = sha256(&args.file)?;
    let name = args.file.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let body = json!({
        "key": args.key,
        "format": args.format.name(),
        "sha256": hex::encode(digest),
        "file_name": name,
    });
    let answer = global.client()?.post("/api/v1/sign", &body).await?;
    let signature = base64::engine::general_purpose::STANDARD
        .decode(field(&answer, "signature"))
        .or_fail("the server's signature is not base64")?;
    if sha256(&args.file)? != digest {
        return Err(Failure::new(Exit::Failed, format!("{} changed while it was signed", args.file.display()))
            .help("sign it again when it is finished"));
    }
    let out = args.out.unwrap_or_else(|| PathBuf::from(format!("{}.{}", args.file.display(), args.format.extension())));
    files::write(&out, &signature, PUBLIC)?;
    if let Some(path) = &args.chain_out {
        files::write(path, field(&answer, "chain").as_bytes(), PUBLIC)?;
    }
    if global.json {
        output::json(&answer);
    } else {
        output::facts(&[
            ("sha-256", hex::encode(digest)),
            ("algorithm", field(&answer, "algorithm")),
            ("operation", field(&answer, "operation")),
            ("written to", out.display().to_string()),
        ]);
    }
    Ok(())
}

fn sha256(path: &Path) -> Result<[u8; 32], Failure> {
    let said = || format!("cannot read {}", path.display());
    let mut file = File::open(path).or_fail(said())?;
    let mut context = Context::new(&SHA256);
    let mut piece = vec![0; 1 << 16];
    loop {
        match file.read(&mut piece).or_fail(said())? {
            0 => break,
            n => context.update(&piece[..n]),
        }
    }
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    Ok(digest)
}
