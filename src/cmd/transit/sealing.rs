//! Encrypting, decrypting, sealing anew; data keys and random bytes.

use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::super::super::files::{Outputs, SECRET, Standing};
use super::input::{Binding, Source, batches, decoded, each, place, print};
use crate::Global;
use crate::client::Client;
use crate::failure::{Failure, OrFail};
use crate::output::{self, field};

#[derive(clap::Args)]
pub(super) struct Sealing {
    /// With which key
    key: String,
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    binding: Binding,
    /// Under this version; the newest where nobody says
    #[arg(long, value_name = "VERSION")]
    under: Option<u32>,
    /// Each line is one
    #[arg(long)]
    lines: bool,
}

#[derive(clap::Args)]
pub(super) struct Opening {
    /// With which key
    key: String,
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    binding: Binding,
    /// Each is printed on a line of its own; one alone is printed byte for byte
    #[arg(long)]
    lines: bool,
}

#[derive(clap::Args)]
pub(super) struct DataKey {
    /// With which key it is sealed
    key: String,
    #[command(flatten)]
    binding: Binding,
    /// How many bytes: 16, 32 or 64
    #[arg(long, default_value_t = 32)]
    bytes: usize,
    /// Write its bytes to this file, mode 0600; otherwise it is sealed alone
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Replace a file that is there
    #[arg(long)]
    force: bool,
}

#[derive(clap::Args)]
pub(super) struct Drawn {
    /// How many bytes: 1 to 65536
    #[arg(default_value_t = 32)]
    bytes: usize,
    /// Print the bytes themselves instead of base64
    #[arg(long)]
    raw: bool,
}

pub(super) async fn encrypt(args: Sealing, client: &Client, global: &Global) -> Result<(), Failure> {
    let plain = if args.lines { args.source.lines()? } else { vec![args.source.whole(LONG_PLAINTEXT)?] };
    let item = |plain: &[u8]| args.binding.item("plaintext", STANDARD.encode(plain).into());
    let items = plain.iter().map(|plain| item(plain)).collect();
    let answers = batches(client, &args.key, "encrypt", (items, args.under)).await?;
    texts(&answers, global.json, |_| args.lines.then(String::new))
}

pub(super) async fn rewrap(args: Opening, client: &Client, global: &Global) -> Result<(), Failure> {
    let old = args.source.texts()?;
    let answers = batches(client, &args.key, "rewrap", (args.sealed(&old), None)).await?;
    // What is not sealed anew stays as it is: a file that takes the other's place loses nothing.
    texts(&answers, global.json, |at| old.get(at).cloned())
}

pub(super) async fn decrypt(args: Opening, client: &Client, global: &Global) -> Result<(), Failure> {
    let sealed = args.sealed(&args.source.texts()?);
    let answers = batches(client, &args.key, "decrypt", (sealed, None)).await?;
    if global.json {
        output::json(&Value::from(answers.clone()));
        return each(&answers, "plaintext", |_, _| Ok(()));
    }
    let is_line = args.lines || answers.len() > 1;
    each(&answers, "plaintext", |_, made| {
        let mut plain = made.map(decoded).transpose()?.unwrap_or_default();
        if is_line {
            plain.push(b'\n');
        }
        print(&plain)
    })
}

pub(super) async fn data_key(args: DataKey, client: &Client, global: &Global) -> Result<(), Failure> {
    let mut outputs = Outputs::new(args.force);
    // Before it is asked for: what cannot be written is not drawn.
    let file = args.out.as_deref().map(|file| outputs.place(file, SECRET, Standing::Forced)).transpose()?;
    let mut wish = args.binding.item("bytes", args.bytes.into());
    wish["plaintext"] = file.is_some().into();
    let answer = client.post_hidden(&place(&args.key, "data-key")?, &wish).await?;
    let mut answer: Value = serde_json::from_slice(&answer).or_fail("the server's answer is no JSON")?;
    let plain = answer.as_object_mut().and_then(|answer| answer.remove("plaintext")).unwrap_or_default();
    if let Some(file) = file {
        file.fill(&decoded(&plain)?)?;
    }
    match global.json {
        true => output::json(&answer),
        false => output::line(field(&answer, "ciphertext")),
    }
    Ok(())
}

pub(super) async fn random(args: Drawn, client: &Client, global: &Global) -> Result<(), Failure> {
    let drawn = client.post("/api/v1/transit/random", &json!({ "bytes": args.bytes })).await?;
    match (global.json, args.raw) {
        (true, _) => output::json(&drawn),
        (false, true) => return print(&decoded(drawn.get("base64").unwrap_or(&Value::Null))?),
        (false, false) => output::line(field(&drawn, "base64")),
    }
    Ok(())
}

impl Opening {
    fn sealed(&self, texts: &[String]) -> Vec<Value> {
        texts.iter().map(|text| self.binding.item("ciphertext", text.as_str().into())).collect()
    }
}

/// What was sealed, a line each; of what came to nothing the line that stands in its place.
fn texts(answers: &[Value], as_json: bool, instead: impl Fn(usize) -> Option<String>) -> Result<(), Failure> {
    if as_json {
        output::json(&Value::from(answers.to_vec()));
        return each(answers, "ciphertext", |_, _| Ok(()));
    }
    each(answers, "ciphertext", |at, made| {
        let line = made.and_then(Value::as_str).map(str::to_owned).or_else(|| instead(at));
        if let Some(line) = line {
            output::line(line);
        }
        Ok(())
    })
}

/// What is too long to be sealed in one.
const LONG_PLAINTEXT: &str =
    "draw a key for it (chancery transit data-key), and encrypt it with that; or seal it line by line (--lines)";
