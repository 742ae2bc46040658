//! What a command prints: a table for eyes, JSON for scripts, never both.

use comfy_table::{ContentArrangement, LineStyle, Table, TableStyle};
use serde_json::Value;

/// A line under the header, and nothing else: what remains can be read, copied and cut into columns.
const LINES: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// Prints `value` as indented JSON on standard output.
pub fn json(value: &Value) {
    // A closed pipe (`| head`) is the reader's choice, not our failure.
    use std::io::Write;
    let _ = writeln!(std::io::stdout(), "{value:#}");
}

/// Prints one line on standard output; a closed pipe is no failure.
pub fn line(text: impl AsRef<str>) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout(), "{}", text.as_ref());
}

/// Says something beside what is printed, on standard error.
pub fn notice(text: &str, as_json: bool) {
    use std::io::Write;
    let text = printable(text);
    let line = if as_json { serde_json::json!({ "notice": text }).to_string() } else { format!("chancery: {text}") };
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Prints a table with a header and rows; says `empty` where there are none.
pub fn table(header: &[&str], rows: Vec<Vec<String>>, empty: &str) {
    if rows.is_empty() {
        return line(empty);
    }
    let mut table = Table::new();
    table.load_style(LINES).set_content_arrangement(ContentArrangement::Dynamic).set_header(header.to_vec());
    for row in rows {
        table.add_row(row.iter().map(|cell| printable(cell)).collect::<Vec<_>>());
    }
    line(table.to_string());
}

/// Prints `name: value` lines with the names aligned.
pub fn facts(facts: &[(&str, String)]) {
    let width = facts.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, value) in facts {
        line(format!("{name:>width$}  {}", printable(value)));
    }
}

/// Prints an answer of the server: as JSON, or some of its fields and where the result was written.
pub fn answer(answer: &Value, shown: &[&str], written_to: &std::path::Path, as_json: bool) {
    if as_json {
        return json(answer);
    }
    let place = ("written to", written_to.display().to_string());
    let lines: Vec<(&str, String)> = shown.iter().map(|name| (*name, field(answer, name))).chain([place]).collect();
    facts(&lines);
}

/// Text from outside with what nobody sees escaped: a subject cannot move the cursor, colour the terminal or turn the line around.
pub fn printable(text: &str) -> String {
    text.split('\n').map(policy::shown).collect::<Vec<_>>().join("\n")
}

/// A field of a JSON object as text for a table cell; an absent one is empty.
pub fn field(object: &Value, name: &str) -> String {
    match object.get(name) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(items)) => {
            items.iter().map(|i| i.as_str().map_or_else(|| i.to_string(), str::to_owned)).collect::<Vec<_>>().join(", ")
        }
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_do_not_reach_the_terminal() {
        assert_eq!(printable("a\u{1b}[31mb\nexe\u{202e}gpj"), "a\\u{1b}[31mb\nexe\\u{202e}gpj");
    }

    #[test]
    fn lists_are_joined_and_absent_fields_are_empty() {
        let object = serde_json::json!({"names": ["dns:a", "dns:b"], "n": 3});
        assert_eq!(field(&object, "names"), "dns:a, dns:b");
        assert_eq!(field(&object, "n"), "3");
        assert_eq!(field(&object, "none"), "");
    }
}
