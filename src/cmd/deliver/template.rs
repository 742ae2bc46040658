//! Texts with `{{ chy://PATH#FIELD@LABEL }}` in them. Nothing else in double braces is touched: it may be another program's.

use delivery::Values;
use secrets::Reference;
use zeroize::Zeroizing;

use super::needs::{PLACEHOLDER, placed};
use crate::failure::{Exit, Failure};

/// What stands between two places.
pub enum Piece<'a> {
    Text(&'a [u8]),
    Value(Reference),
}

/// Whether an environment is named anywhere in it.
pub fn has_placeholder(template: &[u8]) -> bool {
    find(template, PLACEHOLDER.as_bytes(), 0).is_some()
}

/// Takes a template apart. `environment`: what `{env}` stands for in its references.
pub fn pieces<'a>(template: &'a [u8], environment: Option<&str>) -> Result<Vec<Piece<'a>>, Failure> {
    let (mut pieces, mut begin, mut at) = (Vec::new(), 0, 0);
    while let Some(open) = find(template, OPEN, at) {
        let inside = open + OPEN.len();
        let rest = template.get(inside..).unwrap_or_default().trim_ascii_start();
        at = inside;
        if !rest.starts_with(Reference::SCHEME.as_bytes()) {
            continue;
        }
        let line = template.iter().take(open).filter(|byte| **byte == b'\n').count() + 1;
        let wrong =
            |says: String| Failure::new(Exit::Failed, format!("line {line} of the template: {says}")).help(WAYS);
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

/// Puts the values in. The room is taken at once: a text that grows would leave copies of what it held.
pub fn filled(pieces: &[Piece<'_>], values: &Values, most: usize) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let parts: Vec<&[u8]> = pieces.iter().map(|piece| part(piece, values)).collect::<Result<_, _>>()?;
    let size = parts.iter().map(|part| part.len()).fold(0, usize::saturating_add);
    if size > most {
        let says = format!("the text with its values has {size} bytes, more than {most}");
        return Err(Failure::new(Exit::Failed, says).help("name large values once, or read them with `chancery read`"));
    }
    let mut text = Zeroizing::new(Vec::with_capacity(size));
    parts.iter().for_each(|part| text.extend_from_slice(part));
    Ok(text)
}

fn part<'a>(piece: &'a Piece<'_>, values: &'a Values) -> Result<&'a [u8], Failure> {
    match piece {
        Piece::Text(text) => Ok(text),
        Piece::Value(reference) => values
            .get(reference)
            .map(delivery::Value::expose)
            .ok_or_else(|| Failure::new(Exit::Failed, format!("{reference} was not fetched"))),
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
const WAYS: &str = "write {{ chy://PATH#FIELD@LABEL }}, without #FIELD and @LABEL where it is #value@current";

#[cfg(test)]
mod tests {
    use super::*;

    fn render(template: &str, most: usize) -> Result<String, String> {
        let values = Values::default()
            .with("chy://a".parse().unwrap(), b"{{ chy://b }}".to_vec())
            .with("chy://dev/b".parse().unwrap(), b"of dev".to_vec())
            .with("chy://b#user@previous".parse().unwrap(), b"bob".to_vec());
        let pieces = pieces(template.as_bytes(), Some("dev")).map_err(|failure| failure.to_string())?;
        let text = filled(&pieces, &values, most).map_err(|failure| failure.to_string())?;
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
            ("{{ .Values.name }} {{{{ chy://b#user@previous }}}} {{", "{{ .Values.name }} {{bob}} {{"),
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
