//! Inside the quotes of a string: JSON as libraries write it, the literals of languages, queries and tables that double a quote.

use zeroize::Zeroizing;

use super::written::{plain, replaced, spelled, written};

/// All of them; of what is no text those that bytes have.
pub fn strings(value: &[u8]) -> Vec<Vec<u8>> {
    let mut forms: Vec<_> = DOUBLED.iter().map(|row| replaced(value, row)).collect();
    for quotes in QUOTES {
        forms.push(bytes(value, quotes));
        if let Ok(text) = std::str::from_utf8(value) {
            forms.extend(LITERALS.map(|literal| literal.write(text, quotes)));
        }
    }
    if let Ok(text) = std::str::from_utf8(value) {
        forms.extend(JSON.iter().map(|row| row.write(text)));
        // A line of JSON as a field of another: what collects logs writes it.
        let once = Zeroizing::new(JSON[0].write(text));
        forms.extend(std::str::from_utf8(&once).map(|once| JSON[0].write(once)));
    }
    forms
}

/// How a library writes JSON (RFC 8259 section 7).
struct Json {
    /// What is written `\u....` though it need not.
    also: &'static str,
    /// Whether all beyond ASCII is, too.
    is_ascii: bool,
    /// Whether `/` is written `\/`.
    is_slashed: bool,
    is_upper: bool,
}

const JSON: [Json; 8] = [
    // JSON.stringify, serde, Jackson, jq; of what has no control characters also %q of Go, {:?} of Rust, inspect of Ruby.
    Json { also: "", is_ascii: false, is_slashed: false, is_upper: false },
    // json of Python.
    Json { also: "", is_ascii: true, is_slashed: false, is_upper: false },
    // PHP, with and without JSON_UNESCAPED_UNICODE.
    Json { also: "", is_ascii: true, is_slashed: true, is_upper: false },
    Json { also: "", is_ascii: false, is_slashed: true, is_upper: false },
    // Go, ActiveSupport.
    Json { also: "<>&\u{2028}\u{2029}", is_ascii: false, is_slashed: false, is_upper: false },
    // Gson.
    Json { also: "<>&='\u{2028}\u{2029}", is_ascii: false, is_slashed: false, is_upper: false },
    // Gson, where what it wrote is made ASCII.
    Json { also: "<>&='", is_ascii: true, is_slashed: false, is_upper: false },
    // System.Text.Json of .NET.
    Json { also: "\"<>&'+`", is_ascii: true, is_slashed: false, is_upper: true },
];

impl Json {
    fn write(&self, text: &str) -> Vec<u8> {
        spelled(text, |letter, made| match letter {
            _ if self.also.contains(letter) => self.units(letter, made),
            '"' => made.extend_from_slice(b"\\\""),
            '\\' => made.extend_from_slice(b"\\\\"),
            '\n' => made.extend_from_slice(b"\\n"),
            '\r' => made.extend_from_slice(b"\\r"),
            '\t' => made.extend_from_slice(b"\\t"),
            '\u{8}' => made.extend_from_slice(b"\\b"),
            '\u{c}' => made.extend_from_slice(b"\\f"),
            '/' if self.is_slashed => made.extend_from_slice(b"\\/"),
            '\0'..='\u{1f}' => self.units(letter, made),
            ' '..='~' => plain(letter, made),
            _ if self.is_ascii => self.units(letter, made),
            _ => plain(letter, made),
        })
    }

    fn units(&self, letter: char, made: &mut Vec<u8>) {
        for unit in letter.encode_utf16(&mut [0; 2]) {
            let text = if self.is_upper { format!("\\u{unit:04X}") } else { format!("\\u{unit:04x}") };
            made.extend_from_slice(text.as_bytes());
        }
    }
}

/// How a language writes a string for people.
#[derive(Clone, Copy)]
enum Literal {
    /// repr of Python.
    Repr,
    /// ascii of Python.
    Ascii,
    /// What Node shows.
    Node,
}

const LITERALS: [Literal; 3] = [Literal::Repr, Literal::Ascii, Literal::Node];

impl Literal {
    fn write(self, text: &str, quotes: &str) -> Vec<u8> {
        spelled(text, |letter, made| match letter {
            '\\' => made.extend_from_slice(b"\\\\"),
            '\n' => made.extend_from_slice(b"\\n"),
            '\r' => made.extend_from_slice(b"\\r"),
            '\t' => made.extend_from_slice(b"\\t"),
            _ if quotes.contains(letter) => {
                made.push(b'\\');
                plain(letter, made);
            }
            ' '..='~' => plain(letter, made),
            _ => made.extend_from_slice(self.unusual(letter).as_bytes()),
        })
    }

    /// A control character, or one beyond ASCII.
    fn unusual(self, letter: char) -> String {
        let number = u32::from(letter);
        match self {
            Literal::Node if letter == '\u{8}' => "\\b".to_owned(),
            Literal::Node if letter == '\u{c}' => "\\f".to_owned(),
            Literal::Node if letter.is_control() => format!("\\x{number:02X}"),
            Literal::Repr if letter.is_control() => format!("\\x{number:02x}"),
            Literal::Node | Literal::Repr => letter.to_string(),
            Literal::Ascii => match number {
                0..=0xff => format!("\\x{number:02x}"),
                0x100..=0xffff => format!("\\u{number:04x}"),
                _ => format!("\\U{number:08x}"),
            },
        }
    }
}

/// repr of Python's bytes, and of what else writes each byte beyond ASCII by itself.
fn bytes(value: &[u8], quotes: &str) -> Vec<u8> {
    written(value, |_, byte, made| match byte {
        b'\\' => made.extend_from_slice(b"\\\\"),
        b'\n' => made.extend_from_slice(b"\\n"),
        b'\r' => made.extend_from_slice(b"\\r"),
        b'\t' => made.extend_from_slice(b"\\t"),
        _ if quotes.as_bytes().contains(&byte) => made.extend_from_slice(&[b'\\', byte]),
        b' '..=b'~' => made.push(byte),
        _ => made.extend_from_slice(format!("\\x{byte:02x}").as_bytes()),
    })
}

/// Which quotes have a backslash: Python and Node take those that the text has not, so often neither; PHP and MySQL both.
const QUOTES: [&str; 4] = ["", "'", "\"", "'\""];

/// SQL, YAML and PowerShell double a single quote, CSV a double one, Compose and make a `$`.
const DOUBLED: [&[(u8, &str)]; 3] = [&[(b'\'', "''")], &[(b'"', "\"\"")], &[(b'$', "$$")]];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn json_is_what_serde_writes_and_every_row_is_read_as_the_same_text(text in ".{0,40}") {
            let serde = serde_json::to_string(&text).unwrap();
            prop_assert_eq!(&serde[1..serde.len() - 1], String::from_utf8(JSON[0].write(&text)).unwrap());
            for row in &JSON {
                let written = format!("\"{}\"", String::from_utf8(row.write(&text)).unwrap());
                prop_assert_eq!(serde_json::from_str::<String>(&written).unwrap(), text.clone());
            }
        }
    }
}
