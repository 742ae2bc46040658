//! Texts behind hashes: each policy and profile that leaves name by its hash, recorded once, so that it can be read for ever.
//!
//! A text is one record or a few: id = the hash, further parts `HASH.1`, `HASH.2`; body `{"part", "parts", "text"}`. All are
//! written in one transaction. The hash is SHA-256 of the whole text in UTF-8, so that a text proves itself.

use serde_json::{Value, json};

use crate::forms::schema::sha256;
use crate::nouns::entry::ActorStamp;
use crate::nouns::error::StoreError;
use crate::nouns::record::Record;

/// Characters of a part: with every one escaped it fits a record's body, 64 KiB.
const PART_CHARS: usize = 10_000;
/// A text of this many parts is none that a person wrote; and so many records go into one transaction.
const PARTS_MAX: usize = 100;

/// In the place of a policy's hash: an operator at the machine decided, and no policy was asked.
pub(crate) const NO_POLICY: [u8; 32] = [0; 32];

/// What kind of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TextKind {
    /// The policies in force, as `grant.policy` names them.
    Policy,
    /// A profile, as `profile.hash` names it.
    Profile,
}

impl TextKind {
    /// The kind of its records.
    pub fn as_str(self) -> &'static str {
        match self {
            TextKind::Policy => "policy-text",
            TextKind::Profile => "profile-text",
        }
    }

    /// The kind of text that records of a kind hold.
    pub(crate) fn of_record(kind: &str) -> Option<TextKind> {
        [TextKind::Policy, TextKind::Profile].into_iter().find(|text| text.as_str() == kind)
    }
}

/// The hash by which leaves name a text.
pub(crate) fn hash(text: &str) -> [u8; 32] {
    sha256(text.as_bytes())
}

/// The id of a part.
pub(crate) fn id(hash: &[u8; 32], part: u64) -> String {
    match part {
        0 => hex::encode(hash),
        part => format!("{}.{part}", hex::encode(hash)),
    }
}

/// The records of a text.
pub(crate) fn records(kind: TextKind, text: &str, actor: &ActorStamp) -> Result<Vec<Record>, StoreError> {
    let hash = hash(text);
    let chars: Vec<char> = text.chars().collect();
    let parts: Vec<String> = chars.chunks(PART_CHARS).map(|part| part.iter().collect()).collect();
    let parts = if parts.is_empty() { vec![String::new()] } else { parts };
    if parts.len() > PARTS_MAX {
        return Err(StoreError::Invalid(format!("a text of more than {} characters", PART_CHARS * PARTS_MAX)));
    }
    let all = parts.len();
    let record = |(part, text): (u64, String)| Record {
        kind: kind.as_str(),
        id: id(&hash, part),
        owner: None,
        lookup: None,
        expires: None,
        body: json!({ "part": part, "parts": all, "text": text }),
        actor: actor.clone(),
        expect: Some(0),
    };
    Ok((0..).zip(parts).map(record).collect())
}

/// A part: how many there are, and what it says.
pub(crate) fn part(body: &Value) -> Option<(u64, &str)> {
    Some((body.get("parts")?.as_u64()?, body.get("text")?.as_str()?))
}

/// Whose part it is, and which: the reverse of [`id`].
pub(crate) fn parse_id(id: &str) -> Option<(&str, u64)> {
    match id.split_once('.') {
        None => Some((id, 0)),
        Some((hash, part)) => Some((hash, part.parse().ok().filter(|part| *part > 0)?)),
    }
}
