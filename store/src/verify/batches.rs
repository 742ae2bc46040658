//! Batches: one intent whose root covers many messages, and a conclusion that says how many of them were signed.
//!
//! The messages are not kept, nor are the signatures: what can be said from bytes alone is that a batch is written as one and
//! nothing else is. Whoever shows a message with its path to the root proves that it was intended, and whoever shows its
//! signature that it was made.

use hsm::BATCH_MAX;

use super::rows::cell;
use crate::forms::leaf::{Event, Leaf};
use crate::forms::schema::{CONCLUSION, INTENT};
use crate::nouns::entry::Kind;
use crate::rows::FORM_BATCH;
use crate::sql::Cell;

/// Whether a leaf is of a batch, by its own words.
pub(super) fn is_batch(leaf: &Leaf) -> bool {
    leaf.kind == Kind::OcspBatch.as_str()
}

/// What is wrong with an intent: a batch is of one kind, with a root and a number of messages, and nothing else has them.
pub(super) fn intended(leaf: &Leaf, row: Option<&[Cell]>) -> Result<(), &'static str> {
    let form = row.map(|row| cell(&INTENT, row, "form") == Some(&Cell::Text(FORM_BATCH.to_owned())));
    match (is_batch(leaf), leaf.messages) {
        (true, Some(messages)) if !(1..=BATCH_MAX as u64).contains(&messages) => {
            Err("a batch of more messages than there may be, or of none")
        }
        (true, None) => Err("a batch that does not say how many messages it has"),
        (true, Some(_)) if form == Some(false) => Err("a batch whose row has no root of messages"),
        (false, Some(_)) => Err("messages of a batch, and is none"),
        (false, None) if form == Some(true) => Err("its row has the root of a batch, and it is none"),
        (true, Some(_)) | (false, None) => Ok(()),
    }
}

/// What is wrong with a conclusion of a batch, or of something else that says how many were signed.
pub(super) fn concluded(leaf: &Leaf, row: Option<&[Cell]>, intended: Option<&Leaf>) -> Result<(), String> {
    let Some(signed) = leaf.signed.filter(|_| is_batch(leaf)) else {
        return Err("it does not say how many messages were signed, or is no batch".into());
    };
    let intended = intended.filter(|of| of.event == Event::Intend && is_batch(of));
    let messages = intended.and_then(|of| of.messages).ok_or("its operation is no batch")?;
    if !(1..=messages).contains(&signed) {
        return Err(format!("says {signed} signatures of a batch of {messages} messages"));
    }
    let signature = row.and_then(|row| cell(&CONCLUSION, row, "signature"));
    match signature {
        Some(Cell::Blob(root)) if root.len() == 32 => Ok(()),
        None => Ok(()),
        Some(_) => Err("its signature is not the root over the signatures that were made".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(event: &str, kind: &str, number: Option<(&str, u64)>) -> Leaf {
        let number = number.map_or(String::new(), |(name, number)| format!(",\"{name}\":{number}"));
        let text = format!(
            "{{\"v\":1,\"i\":3,\"op\":3,\"event\":\"{event}\",\"kind\":\"{kind}\",\"time\":\"1970-01-01T00:00:00Z\"{number}}}"
        );
        serde_json::from_str(&text).expect("a leaf")
    }

    #[test]
    fn a_batch_says_how_many_messages_it_has_and_nothing_else_does() {
        let most = BATCH_MAX as u64;
        for (kind, messages, is_right) in [
            ("ocsp-batch", Some(1), true),
            ("ocsp-batch", Some(most), true),
            ("ocsp-batch", Some(most + 1), false),
            ("ocsp-batch", Some(0), false),
            ("ocsp-batch", None, false),
            ("certificate", Some(1), false),
            ("certificate", None, true),
        ] {
            let leaf = leaf("intend", kind, messages.map(|messages| ("messages", messages)));
            assert_eq!(intended(&leaf, None).is_ok(), is_right, "{kind} {messages:?}");
        }
    }

    #[test]
    fn a_conclusion_says_how_many_were_signed_and_never_more_than_were_intended() {
        let batch = leaf("intend", "ocsp-batch", Some(("messages", 3)));
        let other = leaf("intend", "certificate", None);
        for (kind, signed, of, is_right) in [
            ("ocsp-batch", Some(1), Some(&batch), true),
            ("ocsp-batch", Some(3), Some(&batch), true),
            ("ocsp-batch", Some(4), Some(&batch), false),
            ("ocsp-batch", Some(0), Some(&batch), false),
            ("ocsp-batch", None, Some(&batch), false),
            ("ocsp-batch", Some(1), Some(&other), false),
            ("ocsp-batch", Some(1), None, false),
            ("certificate", Some(1), Some(&other), false),
        ] {
            let leaf = leaf("conclude", kind, signed.map(|signed| ("signed", signed)));
            assert_eq!(concluded(&leaf, None, of).is_ok(), is_right, "{kind} {signed:?}");
        }
    }
}
