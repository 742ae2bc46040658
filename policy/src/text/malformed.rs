//! What every parser of this crate answers when text is not the noun it should be.
//!
//! It names the noun, quotes the text (bounded, control characters escaped: the sentence goes into logs and problems) and
//! says the reason in words a caller can act on.

use std::fmt;

use crate::text::shown;

/// Text that is not the noun it was taken for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Malformed {
    what: &'static str,
    input: String,
    why: String,
}

impl Malformed {
    /// `what` is the noun ("DNS name"), `input` the refused text, `why` the reason as a clause.
    pub fn new(what: &'static str, input: &str, why: impl Into<String>) -> Malformed {
        Malformed { what, input: quotable(input), why: why.into() }
    }

    /// The noun that was expected.
    pub fn what(&self) -> &'static str {
        self.what
    }

    /// The reason.
    pub fn why(&self) -> &str {
        &self.why
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\" is not a {}: {}", self.input, self.what, self.why)
    }
}

/// What nobody sees escaped, then cut: refused text must neither forge a log line nor fill one.
fn quotable(input: &str) -> String {
    let cut: String = input.chars().take(QUOTED_CHARS_MAX).collect();
    let mut out = shown(&cut).replace('"', "\\\"");
    if input.chars().nth(QUOTED_CHARS_MAX).is_some() {
        out.push('…');
    }
    out
}

/// Long enough for the longest label and its neighbours, short enough for one log line.
const QUOTED_CHARS_MAX: usize = 80;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_text_cannot_forge_a_log_line() {
        let said = Malformed::new("DNS name", "a\nlevel=info \u{7}", "it has a line break").to_string();
        assert!(!said.chars().any(char::is_control), "{said}");
    }

    #[test]
    fn refused_text_is_quoted_only_to_a_bound() {
        let said = Malformed::new("DNS name", &"a".repeat(100_000), "it is too long").to_string();
        assert!(said.len() < 200, "{}", said.len());
    }
}
