//! Texts with `{{ chy://PATH#FIELD@LABEL }}` in them. Nothing else in double braces is touched: it may be another program's. Where it names
//! a reference it is refused, and not left in the text as it stands: whoever wrote it meant a value.
//!
//! A template holds no secret; a value that is put in is never read as a template.

use secrets::Reference;
use zeroize::Zeroizing;

use crate::nouns::{Value, Values};

/// What stands for the environment in a reference.
pub const PLACEHOLDER: &str = "{env}";

/// What stands between two places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// As it is.
    Text(&'a [u8]),
    /// The value of a reference.
    Value(Reference),
}

impl Piece<'_> {
    /// What is to be fetched for it.
    pub fn reference(&self) -> Option<&Reference> {
        match self {
            Piece::Value(reference) => Some(reference),
            Piece::Text(_) => None,
        }
    }
}

/// Why a text cannot be made of a template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// What begins as a reference is none.
    #[error("line {line} of the template: {says}")]
    Line {
        /// Where, counted from 1.
        line: usize,
        /// Why.
        says: String,
    },
    /// The text would be longer than anybody wants.
    #[error("the text with its values has {size} bytes, more than {most}")]
    TooLong {
        /// How long it would be.
        size: usize,
        /// How long it may be.
        most: usize,
    },
    /// A reference without a value.
    #[error("{0} was not fetched")]
    Missing(String),
}

impl TemplateError {
    /// What to do about it.
    pub fn help(&self) -> &'static str {
        match self {
            TemplateError::Line { .. } => WAYS,
            TemplateError::TooLong { .. } => "name large values once, or read them with `chancery read`",
            TemplateError::Missing(_) => "look what is there: `chancery secret list`",
        }
    }
}

/// A reference whose `{env}` is the environment.
///
/// # Errors
/// What is wrong with it, in words.
pub fn placed(text: &str, environment: Option<&str>) -> Result<Reference, String> {
    let text = match (text.contains(PLACEHOLDER), environment) {
        (false, _) => text.to_owned(),
        (true, Some(environment)) => text.replace(PLACEHOLDER, environment),
        (true, None) => return Err(format!("{PLACEHOLDER} stands for an environment: say --environment NAME")),
    };
    text.parse().map_err(|error: secrets::NameError| error.to_string())
}

/// Whether an environment is named anywhere in it.
pub fn has_placeholder(template: &[u8]) -> bool {
    find(template, PLACEHOLDER.as_bytes(), 0).is_some()
}

/// Takes a template apart. `environment`: what `{env}` stands for in its references.
///
/// # Errors
/// [`TemplateError::Line`].
pub fn pieces<'a>(template: &'a [u8], environment: Option<&str>) -> Result<Vec<Piece<'a>>, TemplateError> {
    let (mut pieces, mut begin, mut at) = (Vec::new(), 0, 0);
    while let Some(open) = find(template, OPEN, at) {
        let inside = open + OPEN.len();
        let rest = template.get(inside..).unwrap_or_default().trim_ascii_start();
        // Braces of another program may stand around ours.
        at = open + 1;
        let is_ours = rest.starts_with(Reference::SCHEME.as_bytes());
        if !is_ours && !is_almost(rest) && !between(template, open).is_some_and(names_one) {
            continue;
        }
        let line = template.iter().take(open).filter(|byte| **byte == b'\n').count() + 1;
        let wrong = |says: String| TemplateError::Line { line, says };
        if !is_ours {
            return Err(wrong(ALONE.to_owned()));
        }
        let close = find(template, CLOSE, inside).filter(|close| close - inside <= PLACE_BYTES_MAX);
        let close = close.ok_or_else(|| wrong("what begins with {{ is not closed".to_owned()))?;
        let text = template.get(inside..close).unwrap_or_default().trim_ascii();
        let reference = std::str::from_utf8(text).ok().map(|text| placed(text, environment));
        let reference = match reference {
            Some(Ok(reference)) => reference,
            Some(Err(why)) => return Err(wrong(why)),
            None => return Err(wrong("a reference is text".to_owned())),
        };
        pieces.push(Piece::Text(template.get(begin..open).unwrap_or_default()));
        pieces.push(Piece::Value(reference));
        at = close + CLOSE.len();
        begin = at;
    }
    pieces.push(Piece::Text(template.get(begin..).unwrap_or_default()));
    Ok(pieces)
}

/// Whether a reference comes after what other programs have behind their braces: it would be left in the text as it stands.
fn is_almost(rest: &[u8]) -> bool {
    let is_beside = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'-' | b'~' | b'&' | b'=');
    let from = rest.iter().take_while(|byte| is_beside(byte)).count();
    rest.get(from..).is_some_and(|rest| rest.starts_with(Reference::SCHEME.as_bytes()))
}

/// What stands from these braces to those that close them, on one line; none where others open first, which are looked at for themselves.
fn between(template: &[u8], open: usize) -> Option<&[u8]> {
    // From the second brace on: `{{{` opens anew there.
    let rest = template.get(open + 1..)?;
    let ends = |pair: &[u8]| pair == OPEN || pair == CLOSE || pair.starts_with(b"\n");
    let end = rest.windows(OPEN.len()).position(ends)?;
    rest.get(end..)?.starts_with(CLOSE).then(|| rest.get(..end))?
}

/// Whether a reference is named anywhere in it, in small letters or not.
fn names_one(text: &[u8]) -> bool {
    let scheme = Reference::SCHEME.as_bytes();
    text.windows(scheme.len()).any(|part| part.eq_ignore_ascii_case(scheme))
}

/// Puts the values in. The room is taken at once: a text that grows would leave copies of what it held.
///
/// # Errors
/// [`TemplateError::TooLong`], [`TemplateError::Missing`].
pub fn filled(pieces: &[Piece<'_>], values: &Values, most: usize) -> Result<Zeroizing<Vec<u8>>, TemplateError> {
    let parts: Vec<&[u8]> = pieces.iter().map(|piece| part(piece, values)).collect::<Result<_, _>>()?;
    let size = parts.iter().map(|part| part.len()).fold(0, usize::saturating_add);
    if size > most {
        return Err(TemplateError::TooLong { size, most });
    }
    let mut text = Zeroizing::new(Vec::with_capacity(size));
    parts.iter().for_each(|part| text.extend_from_slice(part));
    Ok(text)
}

fn part<'a>(piece: &'a Piece<'_>, values: &'a Values) -> Result<&'a [u8], TemplateError> {
    match piece {
        Piece::Text(text) => Ok(text),
        Piece::Value(reference) => {
            values.get(reference).map(Value::expose).ok_or_else(|| TemplateError::Missing(reference.to_string()))
        }
    }
}

fn find(text: &[u8], what: &[u8], from: usize) -> Option<usize> {
    let rest = text.get(from..)?;
    rest.windows(what.len()).position(|there| there == what).map(|at| at + from)
}

const OPEN: &[u8] = b"{{";
const CLOSE: &[u8] = b"}}";
/// Between the braces: more than any reference has.
const PLACE_BYTES_MAX: usize = 4096;
const ALONE: &str =
    "a reference, chy://PATH, stands between two braces, {{ and }}, and nothing beside it, no quote and no other word";
const WAYS: &str = "write {{ chy://PATH#FIELD@LABEL }}, without #FIELD and @LABEL where it is #value@current";

#[cfg(test)]
mod tests {
    use super::*;

    fn render(template: &str, most: usize) -> Result<String, String> {
        let values = Values::default()
            .with("chy://a".parse().unwrap(), b"{{ chy://b }}".to_vec())
            .with("chy://dev/b".parse().unwrap(), b"of dev".to_vec())
            .with("chy://b#user@previous".parse().unwrap(), b"bob".to_vec());
        let said = |error: TemplateError| format!("{error}; {}", error.help());
        let pieces = pieces(template.as_bytes(), Some("dev")).map_err(said)?;
        let text = filled(&pieces, &values, most).map_err(said)?;
        Ok(String::from_utf8(text.to_vec()).unwrap())
    }

    #[test]
    fn what_is_a_reference_is_replaced_and_nothing_else() {
        for (template, text) in [
            ("", ""),
            ("no braces }} here", "no braces }} here"),
            ("{{ chy://{env}/b }} {env}", "of dev {env}"),
            ("{{chy://b#user@previous}}", "bob"),
            ("u={{ chy://b#user@previous }}, {{\tchy://b#user@previous}}!\n", "u=bob, bob!\n"),
            // A value is never read as a template.
            ("x{{ chy://a }}y", "x{{ chy://b }}y"),
            ("{{{ chy://b#user@previous }}}", "{bob}"),
            ("{{ .Values.name }} {{{{ chy://b#user@previous }}}} {{", "{{ .Values.name }} {{bob}} {{"),
            ("{{ of {{ chy://b#user@previous }} }}", "{{ of bob }}"),
            ("{{ a }} 'chy://b' {{ c\nchy://b }} {{", "{{ a }} 'chy://b' {{ c\nchy://b }} {{"),
        ] {
            assert_eq!(render(template, 100).as_deref(), Ok(text), "{template}");
        }
    }

    #[test]
    fn what_is_almost_a_reference_is_refused_by_its_line() {
        let long = format!("{{{{ chy://{} }}}}", "a".repeat(PLACE_BYTES_MAX));
        for (template, word) in [
            ("a\nb {{ chy://a ", "line 2 of the template: what begins with {{ is not closed"),
            ("{{ chy:// }}", "line 1"),
            ("x\n{{- chy://a -}}", "line 2 of the template: a reference, chy://PATH, stands between two braces"),
            ("{{-\nchy://a }}", "line 1 of the template: a reference, chy://PATH"),
            ("\n{{ \"chy://a\" }}", "line 2 of the template: a reference, chy://PATH"),
            ("'{{'chy://a'}}'", "no quote"),
            ("{{ .x }} {{secret \"chy://a\"}}", "no other word"),
            ("{{{ \"chy://a\" }}}", "line 1 of the template: a reference, chy://PATH"),
            ("{{ CHY://a }}", "line 1 of the template: a reference, chy://PATH"),
            ("\n\n{{ chy://a@@ }}", "line 3"),
            (&long, "is not closed"),
        ] {
            let said = render(template, 100).unwrap_err();
            assert!(said.contains(word) && said.contains("PATH#FIELD@LABEL"), "{said}");
        }
    }

    #[test]
    fn a_text_has_an_end() {
        let twice = "{{ chy://b#user@previous }}{{ chy://b#user@previous }}";
        assert_eq!(render(twice, 6).as_deref(), Ok("bobbob"));
        assert!(render(twice, 5).unwrap_err().contains("6 bytes, more than 5"));
    }
}
