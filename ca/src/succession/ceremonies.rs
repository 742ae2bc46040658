//! The transcript of a ceremony: what people saw, answered and made, in one canonical form whose hash goes into the log.
//!
//! Trusted for: that two who have the same transcript have the same hash. It proves nothing by itself: people and their paper do.

use std::collections::BTreeMap;
use std::fmt::Write;

use policy::{Actor, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::Record;

use crate::encode::sha256;
use crate::error::CaError;
use crate::succession::keeper::Keeper;
use crate::succession::maker::stamp;

/// What was said and done at a ceremony.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transcript {
    /// [`Transcript::FORMAT`].
    pub format: String,
    /// Which one: `001-root`.
    pub ceremony: String,
    /// `root`, `intermediate`, `rotate` or `crl`.
    pub kind: String,
    /// Done on a throw-away token: nothing of it counts.
    pub rehearsal: bool,
    /// Some of its answers came from a file, and nobody typed them.
    pub automatic: bool,
    /// When its first step was shown.
    pub begun: Timestamp,
    /// When its last step was done.
    pub ended: Option<Timestamp>,
    /// Who may confirm.
    pub operators: Vec<String>,
    /// How many of them have to.
    pub quorum: usize,
    /// What was asked for, by name: file hashes, subjects, terms.
    pub asked: BTreeMap<String, String>,
    /// When it was gone on with after an interruption.
    pub continued: Vec<Timestamp>,
    /// In order.
    pub steps: Vec<Step>,
    /// What was made, by name: hashes of certificates and CRLs, serials, numbers.
    pub made: BTreeMap<String, String>,
}

/// One step: what was shown, what was typed, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// A word for it.
    pub id: String,
    /// What was shown.
    pub says: Vec<String>,
    /// What was typed.
    pub answer: String,
    /// When.
    pub at: Timestamp,
}

impl Transcript {
    /// The form that this program writes.
    pub const FORMAT: &'static str = "chancery-ceremony/1";
    /// Longer ones are none.
    pub const BYTES_MAX: usize = 256 << 10;

    /// One line of JSON, its names in the order of this type: the same bytes for the same transcript.
    pub fn canonical(&self) -> String {
        serde_json::to_string(self).unwrap_or_default() + "\n"
    }

    /// Reads a transcript in its canonical form.
    pub fn read(bytes: &[u8]) -> Result<Transcript, String> {
        if bytes.len() > Transcript::BYTES_MAX {
            return Err(format!("it is larger than {} bytes", Transcript::BYTES_MAX));
        }
        let read: Transcript = serde_json::from_slice(bytes).map_err(|e| format!("it is no transcript: {e}"))?;
        match read.canonical().as_bytes() == bytes && read.format == Transcript::FORMAT {
            true => Ok(read),
            false => {
                Err("it is no transcript in its canonical form: bring the .json file as it was written".to_owned())
            }
        }
    }

    /// SHA-256 of the canonical form, lower-case hexadecimal: what `sha256sum` says of the file.
    pub fn sha256(&self) -> String {
        hex::encode(sha256(self.canonical().as_bytes()))
    }

    /// For people: what is printed and signed by hand.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let _ = writeln!(text, "Ceremony {} ({})", self.ceremony, self.kind);
        if self.rehearsal {
            text.push_str("A REHEARSAL on a throw-away token. Nothing of it counts.\n");
        }
        if self.automatic {
            text.push_str("ANSWERS CAME FROM A FILE; nobody typed them.\n");
        }
        let ended = self.ended.map_or("not ended".to_owned(), |at| at.to_string());
        let _ = writeln!(text, "Begun {}, ended {ended}", self.begun);
        let _ = writeln!(text, "Operators: {}; {} have to confirm", self.operators.join(", "), self.quorum);
        for at in &self.continued {
            let _ = writeln!(text, "Interrupted, and gone on with at {at}");
        }
        listed(&mut text, "Asked for", &self.asked);
        for (number, step) in self.steps.iter().enumerate() {
            let _ = writeln!(text, "\n{}. {} at {}", number + 1, step.id, step.at);
            for line in &step.says {
                let _ = writeln!(text, "   {line}");
            }
            let _ = writeln!(text, "   > {}", step.answer);
        }
        listed(&mut text, "Made", &self.made);
        let _ = writeln!(text, "\nSHA-256 of the JSON: {}", groups(&self.sha256()));
        for name in &self.operators {
            let _ = writeln!(text, "\nSigned: ______________________ {name}");
        }
        text
    }
}

fn listed(text: &mut String, title: &str, facts: &BTreeMap<String, String>) {
    if !facts.is_empty() {
        let _ = writeln!(text, "\n{title}:");
    }
    for (name, value) in facts {
        let _ = writeln!(text, "   {name}: {value}");
    }
}

/// A hash as it is read aloud: groups of four.
pub fn groups(hash: &str) -> String {
    let mut text = String::new();
    for (at, c) in hash.chars().enumerate() {
        if at > 0 && at % 4 == 0 {
            text.push(' ');
        }
        text.push(c.to_ascii_uppercase());
    }
    text
}

impl Keeper {
    /// Makes the hash of a transcript a leaf of this register; a second time is none.
    pub(crate) async fn record_transcript(&self, actor: &Actor, transcript: &Transcript) -> Result<(), CaError> {
        self.may(actor).await?;
        match transcript_record(&self.maker.ledger, actor, transcript)? {
            Some(record) => self.maker.ledger.record(vec![record]).await.map(drop).map_err(CaError::from),
            None => Ok(()),
        }
    }
}

/// Whether the hash of a transcript is in this register.
pub(crate) fn is_recorded(ledger: &store::Ledger, transcript: &Transcript) -> bool {
    ledger.record_version(CEREMONY, &transcript.sha256()) > 0
}

/// The record of a transcript; none where it is there already.
pub(crate) fn transcript_record(
    ledger: &store::Ledger,
    actor: &Actor,
    transcript: &Transcript,
) -> Result<Option<Record>, CaError> {
    let refused = |why: &str| CaError::bad("transcript", why);
    let ended = transcript.ended.ok_or_else(|| refused("its ceremony has not ended"))?;
    if transcript.rehearsal {
        return Err(refused("it is that of a rehearsal"));
    }
    let id = transcript.sha256();
    if is_recorded(ledger, transcript) {
        return Ok(None);
    }
    let body = json!({
        "ceremony": transcript.ceremony,
        "kind": transcript.kind,
        "begun": transcript.begun,
        "ended": ended,
        "operators": transcript.operators,
        "quorum": transcript.quorum,
        "made": transcript.made,
    });
    Ok(Some(Record {
        kind: CEREMONY,
        id,
        owner: None,
        lookup: None,
        expires: None,
        body,
        actor: stamp(actor),
        expect: Some(0),
    }))
}

/// The kind of a transcript's record; its id is the hash of the transcript.
const CEREMONY: &str = "ceremony";

#[cfg(test)]
mod tests {
    use super::*;

    fn transcript() -> Transcript {
        Transcript {
            format: Transcript::FORMAT.to_owned(),
            ceremony: "001-root".to_owned(),
            kind: "root".to_owned(),
            rehearsal: false,
            automatic: false,
            begun: Timestamp::from_unix(1_800_000_000),
            ended: None,
            operators: vec!["Ada".to_owned(), "Grace".to_owned()],
            quorum: 2,
            asked: [("subject".to_owned(), "O=Example".to_owned())].into(),
            continued: Vec::new(),
            steps: vec![Step {
                id: "time".to_owned(),
                says: vec!["It is noon.".to_owned()],
                answer: "yes".to_owned(),
                at: Timestamp::from_unix(1_800_000_001),
            }],
            made: BTreeMap::new(),
        }
    }

    #[test]
    fn a_transcript_has_one_form_and_no_other_is_read() {
        let canonical = transcript().canonical();
        assert_eq!(Transcript::read(canonical.as_bytes()).unwrap(), transcript());
        for other in [canonical.trim_end(), &canonical.replace(':', ": "), &canonical.replace("/1", "/2"), "{}", ""] {
            assert!(Transcript::read(other.as_bytes()).is_err(), "{other}");
        }
        let changed = Transcript { quorum: 1, ..transcript() };
        assert_ne!(changed.sha256(), transcript().sha256());
    }

    #[test]
    fn the_text_says_who_what_and_the_hash_in_groups() {
        let text = transcript().text();
        for said in ["Ada, Grace; 2 have to", "1. time at", "> yes", &groups(&transcript().sha256()), "____ Grace"] {
            assert!(text.contains(said), "{said}: {text}");
        }
        assert_eq!(groups("0a1b2c"), "0A1B 2C");
    }
}
