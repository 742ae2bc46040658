//! The public half of a recovery key: as a file that goes from one machine to another, and as people read it.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrets::recovery::{RecoveryKey, ShareText, Split};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::cmd::files;
use crate::failure::{Exit, Failure, OrFail};

/// As it is written, and sent. The key says everything; the rest is for eyes.
pub fn written(key: &RecoveryKey) -> Value {
    json!({
        "key": STANDARD.encode(key.to_bytes()),
        "log": key.origin(),
        "generation": key.generation(),
        "set": key.set().to_string(),
        "needed": key.threshold(),
        "shares": key.shares(),
        "fingerprint": hex::encode(key.fingerprint()),
    })
}

/// Of what was written, or answered.
pub fn read(text: &Value) -> Result<RecoveryKey, Failure> {
    let bytes = text.get("key").and_then(Value::as_str).and_then(|text| STANDARD.decode(text).ok());
    let none = || {
        Failure::new(Exit::Failed, "there is no recovery key in it")
            .help("name the file that `chancery recovery ceremony` wrote")
    };
    RecoveryKey::from_bytes(&bytes.ok_or_else(none)?).or_fail("it is no recovery key")
}

/// Of a file.
pub fn of_file(path: &Path) -> Result<RecoveryKey, Failure> {
    let text: Value = serde_json::from_str(&files::text(path, FILE_BYTES_MAX)?)
        .or_fail(format!("{} is no JSON", files::shown(path)))?;
    read(&text).map_err(|failure| failure.since(files::shown(path)))
}

/// A key in a line.
pub fn line(key: &RecoveryKey) -> String {
    let (generation, m, n) = (key.generation(), key.threshold(), key.shares());
    format!("generation {generation}, {m} of {n} shares, set {}, of the log {}", key.set(), key.origin())
}

/// What is read aloud and written on each paper.
pub fn aloud(key: &RecoveryKey) -> String {
    ca::groups(&hex::encode(key.fingerprint()))
}

/// The same before it is released.
pub fn planned(split: &Split) -> String {
    let key = split.plan();
    format!(
        "Generation {}: {} shares, any {} of which open the register of the log {}. Set {}.",
        key.generation(),
        key.shares(),
        key.threshold(),
        key.origin(),
        split.set()
    )
}

/// The line above a share, as it goes on the paper.
pub fn heading(split: &Split, number: u8) -> String {
    let key = split.plan();
    format!(
        "Share {number} of {}, any {} open. Generation {}, set {}. Register {}.",
        key.shares(),
        key.threshold(),
        key.generation(),
        split.set(),
        key.origin()
    )
}

/// A share in lines that a paper has room for.
pub fn groups(share: &ShareText) -> Vec<Zeroizing<String>> {
    let all: Vec<&str> = share.expose().split(' ').collect();
    let (first, rest) = all.split_at_checked(FIRST_LINE).unwrap_or((&all, &[]));
    std::iter::once(first).chain(rest.chunks(GROUPS_IN_LINE)).map(|line| Zeroizing::new(line.join(" "))).collect()
}

/// `CHY1` and five groups, then five in a line and six.
const FIRST_LINE: usize = 6;
const GROUPS_IN_LINE: usize = 6;
/// The longest key has two kilobytes.
const FILE_BYTES_MAX: u64 = 64 << 10;
