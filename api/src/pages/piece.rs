//! A sentence of an alarm as a page shows it: what is typed stands as that, and a secret that is named leads to its page.

use policy::shown;
use secrets::SecretPath;

/// A part of a sentence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) text: String,
    /// It stood between two backticks: a command, a file.
    pub(super) typed: bool,
    /// The page of the secret that it is.
    pub(super) link: Option<String>,
}

/// The sentence in its parts.
pub(super) fn pieces(says: &str) -> Vec<Piece> {
    let says = shown(says);
    let mut pieces = Vec::new();
    for (at, part) in says.split('`').enumerate() {
        match at % 2 {
            0 => pieces.extend(of_text(part)),
            _ => pieces.push(Piece { typed: true, ..words(part) }),
        }
    }
    pieces
}

fn words(text: &str) -> Piece {
    Piece { text: text.to_owned(), ..Piece::default() }
}

/// Words, and the first secret among them.
fn of_text(text: &str) -> Vec<Piece> {
    let parts = match secret_in(text) {
        Some((before, path, after)) => {
            vec![words(before), Piece { link: Some(format!("/secrets/{path}")), ..words(path) }, words(after)]
        }
        None => vec![words(text)],
    };
    parts.into_iter().filter(|piece| !piece.text.is_empty()).collect()
}

/// What stands before a secret, its path, and what stands after it.
fn secret_in(text: &str) -> Option<(&str, &str, &str)> {
    NAMED_AFTER.iter().find_map(|before| {
        let (_, rest) = text.split_once(before)?;
        let word = rest.split_whitespace().next()?;
        let path = word.trim_end_matches(|c: char| ":,.".contains(c));
        path.parse::<SecretPath>().ok()?;
        let (start, after) = (text.strip_suffix(rest)?, rest.strip_prefix(path)?);
        Some((start, path, after))
    })
}

/// A secret's path follows these words in the sentences of alarms.
const NAMED_AFTER: [&str; 3] = ["The secret ", "the secret ", "he rotation of "];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_and_where_a_secret_stands_are_parts_of_a_sentence() {
        let secret = |path: &str| Piece { link: Some(format!("/secrets/{path}")), ..words(path) };
        let says = "The secret prod/db of web has expired at 7: `chancery secret put prod/db` writes its next version.";
        let told = [
            words("The secret "),
            secret("prod/db"),
            words(" of web has expired at 7: "),
            Piece { typed: true, ..words("chancery secret put prod/db") },
            words(" writes its next version."),
        ];
        assert_eq!(pieces(says), told);
        let rotation = pieces("The rotation of prod/db: it does not log in.");
        assert_eq!(rotation, [words("The rotation of "), secret("prod/db"), words(": it does not log in.")]);
        assert_eq!(pieces("Nothing is issued."), [words("Nothing is issued.")]);
        assert_eq!(pieces("a\u{202e}b"), [words("a\\u{202e}b")]);
    }
}
