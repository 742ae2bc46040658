//! `my.cnf`: groups of `name="value"`. In quotes `#` begins no comment; `\` and quotes have a `\` before them (MariaDB and MySQL read the same).

use super::super::map::Mycnf;
use super::super::opened::Opened;
use super::sheet::Sheet;
use crate::failure::{Exit, Failure};

/// Adds an entry.
pub fn group(entry: &Mycnf, opened: &Opened, sheet: &mut Sheet) -> Result<(), Failure> {
    sheet.add(&format!("[{}]\n", entry.group))?;
    if let Some(host) = &entry.host {
        option("host", opened.line(host)?, sheet)?;
    }
    if let Some(port) = entry.port {
        sheet.add(&format!("port={port}\n"))?;
    }
    option("user", opened.line(&entry.username)?, sheet)?;
    option("password", opened.secret_line(&entry.password)?, sheet)
}

fn option(name: &str, text: &str, sheet: &mut Sheet) -> Result<(), Failure> {
    if 2 * text.len() > LINE_BYTES_MAX {
        let says = format!("a {name} of {} bytes is longer than a line of my.cnf", text.len());
        return Err(Failure::new(Exit::Failed, says).help("`chancery run` brings it to a program in another way"));
    }
    sheet.add(name)?;
    sheet.add("=\"")?;
    sheet.add_escaped(text, |c| match c {
        '\\' => Some("\\\\"),
        '"' => Some("\\\""),
        '\'' => Some("\\'"),
        '\t' => Some("\\t"),
        _ => None,
    })?;
    sheet.add("\"\n")
}

/// The readers take a line of 4,095 bytes.
const LINE_BYTES_MAX: usize = 4_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_stands_in_quotes_that_it_cannot_leave() {
        let mut sheet = Sheet::new();
        option("password", "a\"b'c#d\\e;\t f ", &mut sheet).unwrap();
        assert_eq!(sheet.bytes(), b"password=\"a\\\"b\\'c#d\\\\e;\\t f \"\n");
        assert!(option("password", &"x".repeat(2001), &mut sheet).is_err());
    }
}
