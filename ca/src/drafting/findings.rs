//! What a lint has to say, in words.

use std::fmt::Display;

use hsm::Message;

/// Findings, in the order they were made.
#[derive(Default)]
pub(crate) struct Findings(pub(crate) Vec<String>);

impl Findings {
    pub(crate) fn add(&mut self, finding: impl Into<String>) {
        self.0.push(finding.into());
    }

    /// Adds a finding unless something holds.
    pub(crate) fn hold(&mut self, holds: bool, otherwise: &str) {
        if !holds {
            self.add(otherwise);
        }
    }

    /// What was read, or a finding that it could not be.
    pub(crate) fn read<T, E: Display>(&mut self, what: &str, read: Result<T, E>) -> Option<T> {
        match read {
            Ok(value) => Some(value),
            Err(e) => {
                self.add(format!("{what}: {e}"));
                None
            }
        }
    }

    /// The bytes of a message that is signed whole.
    pub(crate) fn whole<'a>(&mut self, message: &'a Message) -> Option<&'a [u8]> {
        match message {
            Message::Whole(bytes) => Some(bytes),
            Message::Sha256(_) => {
                self.add("only code is signed by its digest");
                None
            }
            Message::Batch(_) => {
                self.add("only OCSP responses are signed as a batch");
                None
            }
        }
    }
}
