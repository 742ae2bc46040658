//! `chancery sign`: a detached signature over a file, by a key that lives in the HSM.
//!
//! The file stays here: only its SHA-256 digest travels. It is read in pieces, so its size does not matter.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use base64::Engine;
use clap::{Parser, ValueEnum};
use ring::digest::{Context, SHA256};
use serde_json::{Value, json};

use super::certs::percent;
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
  openssl dgst -sha256 -verify release.pub -signature app.tar.gz.sig app.tar.gz

  chancery sign app.tar.gz --list")]
pub struct Args {
    /// The file to sign
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
    let name = args.file.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let Some(format) = args.format else { return list(&args.file, &name, global).await };
    let digest = sha256(&args.file)?;
    let body = json!({
        "key": args.key,
        "format": format.name(),
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
    let out = args.out.unwrap_or_else(|| PathBuf::from(format!("{}.{}", args.file.display(), format.extension())));
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

/// What was signed of a file: of exactly this content, and under its name. A file that is not here any more is asked for by name.
async fn list(file: &Path, name: &str, global: &Global) -> Result<(), Failure> {
    let client = global.client()?;
    let mut asked = vec![format!("file:{}", policy::shown(name))];
    if file.exists() {
        asked.insert(0, format!("sha256:{}", hex::encode(sha256(file)?)));
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
        let digest: String = part("sha256:").chars().take(16).collect();
        vec![
            field(item, "operation"),
            field(item, "signed_at"),
            same.to_owned(),
            part("file:"),
            digest,
            field(item, "actor"),
        ]
    });
    let header = ["operation", "signed", "content", "file", "sha-256", "by"];
    output::table(&header, rows.collect(), "nothing of this content or name was signed");
    Ok(())
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
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
