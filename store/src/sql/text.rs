//! The text of a statement.

/// Tests hold every statement to its plan; this is how they come to know them.
pub(super) fn noted(sql: &str) {
    #[cfg(any(test, feature = "testing"))]
    crate::testing::note_statement(sql);
    let _ = sql;
}

/// The text that inserts so many rows.
pub(super) fn insert_text(into: &str, rows: usize, columns: usize) -> String {
    let (into, end) = into.split_once(" VALUES ?").unwrap_or((into, ""));
    format!("{into} VALUES {}{end}", values_list(rows, columns))
}

/// `($1, $2), ($3, $4)`: the VALUES of an insert.
fn values_list(rows: usize, columns: usize) -> String {
    let mut text = String::with_capacity(rows * columns * 6);
    for row in 0..rows {
        text.push_str(if row == 0 { "(" } else { ", (" });
        for column in 0..columns {
            text.push_str(if column == 0 { "$" } else { ", $" });
            text.push_str(&(row * columns + column + 1).to_string());
        }
        text.push(')');
    }
    text
}
