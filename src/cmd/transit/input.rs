//! What is brought and what is taken: a file or standard input, whole or line by line; never the command line.

use std::io::{self, Read, Write};
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrets::transit::{BATCH_MAX, ITEM_BYTES_MAX, KeyName};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::super::super::files;
use crate::client::Client;
use crate::failure::{Exit, Failure, OrFail};
use crate::output::field;

/// A file or standard input.
#[derive(clap::Args)]
pub(super) struct Source {
    /// This file; standard input where nobody says
    file: Option<PathBuf>,
}

/// What it is bound to.
#[derive(clap::Args)]
pub(super) struct Binding {
    /// For which context, of a derived key
    #[arg(long, value_name = "TEXT")]
    context: Option<String>,
    /// What else it is bound to: it has to be said again
    #[arg(long, value_name = "TEXT")]
    bind: Option<String>,
}

impl Source {
    /// All of it, byte for byte.
    pub fn whole(&self) -> Result<Zeroizing<Vec<u8>>, Failure> {
        self.read(ITEM_BYTES_MAX as u64)
    }

    /// Its lines; an empty one is one too.
    pub fn lines(&self) -> Result<Vec<Zeroizing<Vec<u8>>>, Failure> {
        let bytes = self.read(LINES_BYTES_MAX)?;
        let text = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
        match text {
            [] => Ok(Vec::new()),
            _ => Ok(text.split(|byte| *byte == b'\n').map(|line| Zeroizing::new(line.to_vec())).collect()),
        }
    }

    /// Its lines as texts that were answered once.
    pub fn texts(&self) -> Result<Vec<String>, Failure> {
        let lines = self.lines()?;
        let texts = lines.iter().map(|line| std::str::from_utf8(line).map(|text| text.trim().to_owned()));
        let texts: Result<Vec<String>, _> = texts.collect();
        let texts = texts.or_fail("this is none of the texts that were answered (chy:v1:...)")?;
        match texts.is_empty() {
            false => Ok(texts),
            true => Err(Failure::new(Exit::Usage, "there is nothing in it")),
        }
    }

    fn read(&self, most: u64) -> Result<Zeroizing<Vec<u8>>, Failure> {
        if let Some(file) = &self.file {
            return files::read(file, most).map(Zeroizing::new);
        }
        let mut bytes = Zeroizing::new(Vec::new());
        io::stdin().lock().take(most + 1).read_to_end(&mut bytes).or_fail("standard input cannot be read")?;
        match bytes.len() as u64 > most {
            true => Err(Failure::new(Exit::Usage, format!("at most {most} bytes are taken at once"))),
            false => Ok(bytes),
        }
    }
}

impl Binding {
    /// An item, with what it is bound to.
    pub fn item(&self, name: &str, value: Value) -> Value {
        let mut item = json!({});
        item[name] = value;
        for (name, given) in [("context", &self.context), ("associated_data", &self.bind)] {
            if let Some(text) = given {
                item[name] = STANDARD.encode(text).into();
            }
        }
        item
    }
}

/// What came of each of these, in their order: in as many batches as it takes.
pub(super) async fn batches(
    client: &Client,
    key: &str,
    act: &str,
    (items, under): (Vec<Value>, Option<u32>),
) -> Result<Vec<Value>, Failure> {
    let place = place(key, act)?;
    let mut answers = Vec::with_capacity(items.len());
    let mut rest = items.into_iter().peekable();
    while rest.peek().is_some() {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while let Some(item) = rest.next_if(|item| batch.is_empty() || bytes + length(item) <= BATCH_BYTES_MAX) {
            bytes += length(&item);
            batch.push(item);
            if batch.len() == BATCH_MAX {
                break;
            }
        }
        let mut body = json!({ "items": batch });
        if let Some(version) = under {
            body["version"] = version.into();
        }
        let answer = client.post_hidden(&place, &body).await.map_err(Failure::of_a_reading)?;
        let mut answer: Value = serde_json::from_slice(&answer).or_fail("the server's answer is no JSON")?;
        match answer.get_mut("items").map(Value::take) {
            Some(Value::Array(items)) => answers.extend(items),
            _ => return Err(Failure::new(Exit::Failed, "the server's answer has no items")),
        }
    }
    Ok(answers)
}

/// The field of each that came to something; what did not is told with its line, once all others are printed.
pub(super) fn each(
    answers: &[Value],
    name: &str,
    print: impl Fn(&Value) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let (mut first, mut failed) = (None, 0);
    for (at, answer) in answers.iter().enumerate() {
        match answer.get(name) {
            Some(value) if !value.is_null() => print(value)?,
            _ => {
                failed += 1;
                first.get_or_insert_with(|| format!("item {}: {}", at + 1, field(answer, "error")));
            }
        }
    }
    match (first, failed) {
        (None, _) => Ok(()),
        (Some(why), 1) => Err(Failure::new(Exit::Failed, why)),
        (Some(why), more) => Err(Failure::new(Exit::Failed, format!("{more} came to nothing; {why}"))),
    }
}

/// Bytes to standard output, byte for byte.
pub(super) fn print(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).or_fail("it was not printed")
}

/// The bytes of an answer's base64.
pub(super) fn decoded(value: &Value) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let text = value.as_str().unwrap_or_default();
    STANDARD.decode(text).map(Zeroizing::new).or_fail("the server's answer is no base64")
}

/// Where a key is used; what is no name is refused here.
pub(super) fn place(key: &str, act: &str) -> Result<String, Failure> {
    let key: KeyName = key.parse().or_fail("no transit key is called that")?;
    Ok(format!("/api/v1/transit/{key}/{act}"))
}

fn length(item: &Value) -> usize {
    let texts = item.as_object().into_iter().flatten();
    texts.map(|(name, value)| name.len() + value.as_str().map_or(0, str::len) + ITEM_ROOM).sum()
}

/// What an item takes beside its texts.
const ITEM_ROOM: usize = 8;
/// A batch stays below what the server takes.
const BATCH_BYTES_MAX: usize = 1_900_000;
/// Lines that are taken at once.
const LINES_BYTES_MAX: u64 = 256 << 20;
