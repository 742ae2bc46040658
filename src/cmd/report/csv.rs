//! The report as comma-separated values (RFC 4180): each part with a head of its own, its name in the first column.

use super::Head;
use super::shape::{Paper, Section, listed};
use crate::output;

/// Prints as it comes.
pub struct Csv;

impl Paper for Csv {
    fn begin(&mut self, head: &Head) {
        line(&["report", "server", "at", "since", "log", "entries", "root"]);
        let (now, since, size) = (head.now.rfc3339(), head.since.rfc3339(), head.size.to_string());
        line(&["report", &head.server, &now, &since, &head.origin, &size, &head.root]);
    }

    fn section(&mut self, section: Section) {
        let columns: Vec<&str> = std::iter::once("section").chain(section.columns().iter().copied()).collect();
        line(&columns);
    }

    fn row(&mut self, section: Section, row: &[String]) {
        let row: Vec<String> = row.iter().map(|cell| listed(cell)).collect();
        let cells: Vec<&str> = std::iter::once(section.word()).chain(row.iter().map(String::as_str)).collect();
        line(&cells);
    }

    fn end(&mut self) {}
}

fn line(cells: &[&str]) {
    let cells: Vec<String> = cells.iter().map(|cell| quoted(cell)).collect();
    output::line(cells.join(","));
}

/// What a spreadsheet would take for a formula is text: names and paths are others' words.
fn quoted(cell: &str) -> String {
    let is_formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let guard = if is_formula { "'" } else { "" };
    match is_formula || cell.contains([',', '"', '\n', '\r']) {
        true => format!("\"{guard}{}\"", cell.replace('"', "\"\"")),
        false => cell.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_one_cell_and_no_formula() {
        for (cell, told) in [
            ("prod/db", "prod/db"),
            ("a,b", "\"a,b\""),
            ("say \"x\"", "\"say \"\"x\"\"\""),
            ("=1+1", "\"'=1+1\""),
            ("@sum", "\"'@sum\""),
            ("", ""),
        ] {
            assert_eq!(quoted(cell), told);
        }
    }
}
