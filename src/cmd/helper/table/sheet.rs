//! The text of a file while it is written. It never grows beyond the room that it took at once: a text that moves leaves copies of itself.

use zeroize::Zeroizing;

use crate::failure::{Exit, Failure};

/// Some lines of some hundred bytes.
const SHEET_BYTES_MAX: usize = 1 << 20;

/// A text that is wiped when it goes.
pub struct Sheet(Zeroizing<Vec<u8>>);

impl Sheet {
    /// Nothing yet.
    pub fn new() -> Sheet {
        Sheet(Zeroizing::new(Vec::with_capacity(SHEET_BYTES_MAX)))
    }

    /// More of it.
    pub fn add(&mut self, text: &str) -> Result<(), Failure> {
        if self.0.len() + text.len() > SHEET_BYTES_MAX {
            return Err(Failure::new(Exit::Failed, format!("the file would have more than {SHEET_BYTES_MAX} bytes")));
        }
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }

    /// More of it, each of these characters with what stands for it.
    pub fn add_escaped(&mut self, text: &str, escape: impl Fn(char) -> Option<&'static str>) -> Result<(), Failure> {
        let mut buffer = [0; 4];
        text.chars().try_for_each(|c| match escape(c) {
            Some(escaped) => self.add(escaped),
            None => self.add(c.encode_utf8(&mut buffer)),
        })
    }

    /// All of it.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}
