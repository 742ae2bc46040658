//! What stands in an entry: a text that is no secret, or a reference. A password is a reference always: the file holds no value.

use delivery::template::placed;
use secrets::Reference;

/// A text as it stands, or what a reference stands for.
#[derive(Debug)]
pub enum Words {
    /// As it stands.
    Plain(String),
    /// What this stands for.
    Of(Reference),
}

impl Words {
    /// Reads one; `environment` is what `{env}` stands for.
    pub fn read(text: &str, environment: Option<&str>) -> Result<Words, String> {
        if text.starts_with(Reference::SCHEME) {
            return placed(text, environment).map(Words::Of);
        }
        if text.is_empty() || text.len() > PLAIN_BYTES_MAX || text.chars().any(char::is_control) {
            return Err(format!("a text is 1 to {PLAIN_BYTES_MAX} bytes long and has no control characters"));
        }
        Ok(Words::Plain(text.to_owned()))
    }

    /// The reference, where it is one.
    pub fn reference(&self) -> Option<&Reference> {
        match self {
            Words::Of(reference) => Some(reference),
            Words::Plain(_) => None,
        }
    }

    /// Whether it is another text than this for certain, without asking anybody.
    pub fn is_other(&self, text: &str) -> bool {
        matches!(self, Words::Plain(plain) if plain != text)
    }
}

/// What must not stand in the file itself.
pub fn secret(text: &str, environment: Option<&str>) -> Result<Reference, String> {
    match text.starts_with(Reference::SCHEME) {
        true => placed(text, environment),
        // It is not said again: it may be a value in the wrong place.
        false => Err("a secret is a reference, chy://PATH#FIELD: this file holds no value".to_owned()),
    }
}

/// A user's name, a database's.
const PLAIN_BYTES_MAX: usize = 255;
