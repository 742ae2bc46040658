//! What somebody looked at, as one word: who says it accepts that, and nothing that came in its place since.
//!
//! A backup may be another by the next command: a folder has a newer one, or somebody exchanged the file. So the word is a digest of all that
//! would be written and of each line that was shown, and no flag that holds for whatever is there.

use std::fmt;
use std::str::FromStr;

use ring::digest::{Context, SHA256};
use store::Companion;

/// SHA-256 of the files that would be written, by name, and of what was shown of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Looked(String);

impl Looked {
    /// At these files, of which these lines were shown.
    pub fn at(files: &[Companion], shown: &[String]) -> Looked {
        let mut by_name: Vec<&Companion> = files.iter().collect();
        by_name.sort_by(|one, other| one.name.cmp(&other.name));
        let mut context = Context::new(&SHA256);
        // Each with its length: no two lists are one text.
        let mut add = |part: &[u8]| {
            context.update(part.len().to_string().as_bytes());
            context.update(b":");
            context.update(part);
        };
        add(by_name.len().to_string().as_bytes());
        for Companion { name, bytes } in by_name {
            add(name.as_bytes());
            add(bytes);
        }
        shown.iter().for_each(|line| add(line.as_bytes()));
        Looked(hex::encode(context.finish()))
    }
}

impl fmt::Display for Looked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Looked {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Looked, &'static str> {
        match text.len() == DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            true => Ok(Looked(text.to_ascii_lowercase())),
            false => {
                Err("say the 64 digits that the refusal ends with: restore --files without it shows what it stands for")
            }
        }
    }
}

/// Of SHA-256 in hexadecimal.
const DIGITS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, bytes: &str) -> Companion {
        Companion { name: name.to_owned(), bytes: bytes.as_bytes().to_vec() }
    }

    #[test]
    fn one_word_stands_for_one_thing_that_was_looked_at() {
        let files = [file("chancery.toml", "x = 1\n"), file("roots.pem", "r")];
        let shown = ["x = 1".to_owned(), "roots.pem = CN=r".to_owned()];
        let looked = Looked::at(&files, &shown);
        assert_eq!(looked.to_string().parse::<Looked>(), Ok(looked.clone()));
        assert_eq!(looked.to_string().to_uppercase().parse::<Looked>(), Ok(looked.clone()));
        let [first, second] = files.clone();
        assert_eq!(Looked::at(&[second, first], &shown), looked, "whatever their order");
        for (other, lines) in [
            (vec![file("chancery.toml", "x = 2\n"), file("roots.pem", "r")], &shown[..]),
            (vec![file("chancery.toml", "x = 1\nroots"), file(".pem", "r")], &shown),
            (vec![file("chancery.toml", "x = 1\n")], &shown),
            (files.to_vec(), &shown[..1]),
            (files.to_vec(), &[]),
        ] {
            assert_ne!(Looked::at(&other, lines), looked, "{other:?} {lines:?}");
        }
    }

    #[test]
    fn what_is_no_digest_is_refused_with_where_it_is_found() {
        for bad in ["", "yes", "./my-ca", &"a".repeat(63), &"a".repeat(65), &"g".repeat(64)] {
            assert!(bad.parse::<Looked>().is_err_and(|why| why.contains("64 digits")), "{bad}");
        }
    }
}
