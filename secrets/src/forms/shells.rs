//! As shells write a word so that a shell reads it.

use super::written::{backslashed, plain, replaced, spelled, written};

/// All of them, without the outer quotes.
pub fn shells(value: &[u8]) -> Vec<Vec<u8>> {
    // Inside single quotes: bash, and dash and shlex of Python.
    let mut forms = vec![replaced(value, &[(b'\'', "'\\''")]), replaced(value, &[(b'\'', "'\"'\"'")])];
    // Inside double quotes: declare -p of bash, files of variables.
    forms.push(backslashed(value, b"\"$`\\"));
    // Without quotes: zsh, and bash where the word begins with the value, and where it does not.
    forms.push(backslashed(value, b" \t\n!\"#$&'()*;<>?[\\]^`{|}~,"));
    forms.extend([true, false].map(|begins| word(value, begins)));
    forms.push(ansi_bytes(value));
    if let Ok(text) = std::str::from_utf8(value) {
        forms.push(spelled(text, |letter, made| match u8::try_from(letter) {
            Ok(byte) if letter.is_ascii() => ansi(byte, made),
            Ok(_) | Err(_) => plain(letter, made),
        }));
    }
    forms
}

/// %q of bash: `~` and `#` mean something at the beginning of a word, and `~` after `:` and `=`.
fn word(value: &[u8], begins: bool) -> Vec<u8> {
    written(value, |at, byte, made| {
        let is_first = begins && at == 0;
        let before = at.checked_sub(1).and_then(|at| value.get(at));
        let is_special = match byte {
            b'~' => is_first || matches!(before, Some(b':' | b'=')),
            b'#' => is_first,
            _ => b" \t\n!\"$&'()*,;<>?[\\]^`{|}".contains(&byte),
        };
        if is_special {
            made.push(b'\\');
        }
        made.push(byte);
    })
}

/// `$'...'` of bash in a locale of bytes.
fn ansi_bytes(value: &[u8]) -> Vec<u8> {
    written(value, |_, byte, made| ansi(byte, made))
}

/// One byte inside `$'...'`.
fn ansi(byte: u8, made: &mut Vec<u8>) {
    match byte {
        b'\'' | b'\\' => made.extend_from_slice(&[b'\\', byte]),
        0x07 => made.extend_from_slice(b"\\a"),
        0x08 => made.extend_from_slice(b"\\b"),
        b'\t' => made.extend_from_slice(b"\\t"),
        b'\n' => made.extend_from_slice(b"\\n"),
        0x0b => made.extend_from_slice(b"\\v"),
        0x0c => made.extend_from_slice(b"\\f"),
        b'\r' => made.extend_from_slice(b"\\r"),
        0x1b => made.extend_from_slice(b"\\E"),
        b' '..=b'~' => made.push(byte),
        _ => made.extend_from_slice(format!("\\{byte:03o}").as_bytes()),
    }
}
