//! Signatures and HMACs.

use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::super::super::files;
use super::input::{Source, batches, each};
use crate::Global;
use crate::client::Client;
use crate::failure::{Exit, Failure, OrFail};
use crate::output;

#[derive(clap::Args)]
pub(super) struct Signed {
    /// With which key
    key: String,
    #[command(flatten)]
    source: Source,
    /// For which context, of a derived key
    #[arg(long, value_name = "TEXT")]
    context: Option<String>,
    /// Under this version; the newest where nobody says
    #[arg(long, value_name = "VERSION")]
    under: Option<u32>,
}

#[derive(clap::Args)]
pub(super) struct Checked {
    /// Of which key
    key: String,
    #[command(flatten)]
    source: Source,
    /// For which context, of a derived key
    #[arg(long, value_name = "TEXT")]
    context: Option<String>,
    /// What was made of it: chy:v1:...
    #[arg(long, value_name = "TEXT", required_unless_present = "signature_file")]
    signature: Option<String>,
    /// A file with what was made of it
    #[arg(long, value_name = "FILE", conflicts_with = "signature")]
    signature_file: Option<PathBuf>,
}

pub(super) async fn sign(args: Signed, client: &Client, global: &Global) -> Result<(), Failure> {
    let items = vec![item(&args.source.whole(LONG_MESSAGE)?, args.context.as_deref())];
    let answers = batches(client, &args.key, "sign", (items, args.under)).await?;
    if global.json {
        output::json(&Value::from(answers.clone()));
    }
    each(&answers, "signature", |_, made| {
        if let Some(text) = made.and_then(Value::as_str).filter(|_| !global.json) {
            output::line(text);
        }
        Ok(())
    })
}

pub(super) async fn verify(args: Checked, client: &Client, global: &Global) -> Result<(), Failure> {
    let text = match (args.signature, &args.signature_file) {
        (Some(text), _) => text,
        (None, Some(file)) => {
            let bytes = files::read(file, SIGNATURE_BYTES_MAX)?;
            String::from_utf8(bytes).or_fail("the file has none of the texts that were answered (chy:v1:...)")?
        }
        (None, None) => String::new(),
    };
    let mut item = item(&args.source.whole(LONG_MESSAGE)?, args.context.as_deref());
    item["signature"] = text.trim().into();
    let answers = batches(client, &args.key, "verify", (vec![item], None)).await?;
    each(&answers, "valid", |_, _| Ok(()))?;
    let is_valid = answers.iter().all(|answer| answer.get("valid").and_then(Value::as_bool) == Some(true));
    match (global.json, is_valid) {
        (true, _) => output::json(&json!({"key": args.key, "valid": is_valid})),
        (false, true) => output::line(format!("made by {} of this", args.key)),
        (false, false) => {}
    }
    match is_valid {
        true => Ok(()),
        false => Err(Failure::new(Exit::Failed, format!("it was not made by {} of this", args.key))),
    }
}

fn item(message: &[u8], context: Option<&str>) -> Value {
    let mut item = json!({ "message": STANDARD.encode(message) });
    if let Some(context) = context {
        item["context"] = STANDARD.encode(context).into();
    }
    item
}

/// What is too long to be signed in one.
const LONG_MESSAGE: &str = "take its digest instead (`sha256sum FILE > SHA256SUMS`, and that); code that others run is signed by \
                            `chancery sign`";
/// A signature is a hundred characters.
const SIGNATURE_BYTES_MAX: u64 = 4_096;
