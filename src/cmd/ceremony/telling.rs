//! Where what a ceremony shows goes: people read it, and a script what it came to.

use crate::output;

/// Where what is shown goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Telling {
    /// To standard output.
    #[default]
    Text,
    /// To standard error, and at the end a JSON object to standard output.
    Json,
    /// To standard error: what comes before the ceremony that is meant.
    Aside,
}

impl Telling {
    /// Says a line.
    pub fn line(self, text: &str) {
        match self {
            Telling::Text => output::line(text),
            Telling::Json | Telling::Aside => output::say(text),
        }
    }
}
