//! How a file's name is written where people read it. A name is any bytes: what is no printable text is escaped.

use std::ffi::OsStr;
use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A path for a sentence.
pub fn shown(path: &Path) -> String {
    note(path.as_os_str())
}

/// Any bytes as printable text: what is none becomes `\xNN` or `\u{NNNN}`, and a backslash two of them.
pub fn note(name: &OsStr) -> String {
    let mut text = String::new();
    for chunk in name.as_bytes().utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' => text.push_str("\\\\"),
                c if misleads(c) => text.extend(c.escape_unicode()),
                c => text.push(c),
            }
        }
        for byte in chunk.invalid() {
            // A String takes all that is written.
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

fn misleads(c: char) -> bool {
    policy::hidden(c.encode_utf8(&mut [0; 4])).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_any_bytes_is_shown_as_printable_text() {
        for (name, text) in [
            (&b"app.tar.gz"[..], "app.tar.gz"),
            ("über \u{1f600}".as_bytes(), "über \u{1f600}"),
            (b"a\x1b[31m\nb", "a\\u{1b}[31m\\u{a}b"),
            (b"a\xff\xfeb", "a\\xff\\xfeb"),
            ("cod\u{202e}exe.gpj".as_bytes(), "cod\\u{202e}exe.gpj"),
            (b"a\\xff", "a\\\\xff"),
        ] {
            assert_eq!(note(OsStr::from_bytes(name)), text);
        }
    }
}
