//! `.netrc`: words with spaces between them. Readers differ on quotes, `\` and `#`, so a value that has one of them is refused: what curl reads
//! as itself, another reads as something else.

use super::super::map::Netrc;
use super::super::opened::Opened;
use super::sheet::Sheet;
use crate::failure::{Exit, Failure};

/// Adds an entry.
pub fn line(entry: &Netrc, opened: &Opened, sheet: &mut Sheet) -> Result<(), Failure> {
    sheet.add(&format!("machine {} login ", entry.machine))?;
    sheet.add(token("username", opened.line(&entry.username)?, &entry.machine)?)?;
    sheet.add(" password ")?;
    sheet.add(token("password", opened.secret_line(&entry.password)?, &entry.machine)?)?;
    sheet.add("\n")
}

/// A word that every reader takes as it is.
fn token<'a>(name: &str, text: &'a str, machine: &str) -> Result<&'a str, Failure> {
    let is_plain = |c: char| !c.is_whitespace() && !c.is_control() && !matches!(c, '"' | '\'' | '\\' | '#');
    match text.len() <= TOKEN_BYTES_MAX && text.chars().all(is_plain) {
        true => Ok(text),
        false => {
            let says = format!("the {name} for {machine} cannot be written into a netrc");
            let why = format!("it has a space, a quote, a backslash or #, or more than {TOKEN_BYTES_MAX} bytes");
            let help = "draw another, or give it in another way: `curl --config <(chancery inject -i curl.tpl)`";
            Err(Failure::new(Exit::Failed, says).since(why).help(help))
        }
    }
}

/// curl reads lines of 4,095 bytes, older ones words of 255.
const TOKEN_BYTES_MAX: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_readers_do_not_agree_on_is_refused() {
        assert_eq!(token("password", "p:a$s!s%=w&rd", "host").ok(), Some("p:a$s!s%=w&rd"));
        for bad in ["x z", "a\"b", "\"a\"", "it's", "a\\b", "#a", "a#b", "a\tb", &"x".repeat(256)] {
            let said = token("password", bad, "host").unwrap_err().to_string();
            assert!(!said.contains(bad), "{said}");
        }
    }
}
