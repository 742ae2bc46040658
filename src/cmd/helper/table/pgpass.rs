//! `.pgpass`: a line for each login, five fields with `:` between them; `:` and `\` of a field have a `\` before them (libpq, "The Password
//! File"). A field that is `*` alone stands for all, and is written so only where an entry says nothing.

use super::super::map::Pgpass;
use super::super::opened::Opened;
use super::sheet::Sheet;
use crate::failure::Failure;

/// Adds an entry.
pub fn line(entry: &Pgpass, opened: &Opened, sheet: &mut Sheet) -> Result<(), Failure> {
    field(&entry.host, sheet)?;
    sheet.add(&format!(":{}:", entry.port))?;
    match &entry.database {
        Some(database) => field(opened.line(database)?, sheet)?,
        None => sheet.add("*")?,
    }
    sheet.add(":")?;
    field(opened.line(&entry.username)?, sheet)?;
    sheet.add(":")?;
    escaped(opened.secret_line(&entry.password)?, sheet)?;
    sheet.add("\n")
}

/// What is compared: a name of one star is no star.
fn field(text: &str, sheet: &mut Sheet) -> Result<(), Failure> {
    if text == "*" { sheet.add("\\*") } else { escaped(text, sheet) }
}

fn escaped(text: &str, sheet: &mut Sheet) -> Result<(), Failure> {
    sheet.add_escaped(text, |c| match c {
        ':' => Some("\\:"),
        '\\' => Some("\\\\"),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_end_a_field_is_written_so_that_it_does_not() {
        for (text, written) in [("a:b\\c", "a\\:b\\\\c"), ("*", "\\*"), ("a*", "a*"), ("#x", "#x")] {
            let mut sheet = Sheet::new();
            field(text, &mut sheet).unwrap();
            assert_eq!(sheet.bytes(), written.as_bytes(), "{text}");
        }
    }
}
