//! A row as a line of text: a JSON object with its columns in their order, in one spelling. Exports and backups are made of them.

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::forms::schema::{Table, Type};
use crate::sql::Cell;

/// One row: a JSON object in the order of the columns, bytes in base64.
pub(crate) fn write_line<'a>(
    file: &mut impl Write,
    columns: impl Iterator<Item = (&'static str, &'a Cell)>,
) -> std::io::Result<()> {
    for (at, (name, cell)) in columns.enumerate() {
        write!(file, "{}\"{name}\":", if at == 0 { "{" } else { "," })?;
        match cell {
            Cell::Null => file.write_all(b"null")?,
            Cell::Int(n) => write!(file, "{n}")?,
            Cell::Text(text) => serde_json::to_writer(&mut *file, text)?,
            Cell::Blob(bytes) => write!(file, "\"{}\"", STANDARD.encode(bytes))?,
        }
    }
    file.write_all(b"}\n")
}

/// A line as a row of its table.
pub(crate) fn row_of(table: &Table, line: &[u8]) -> Result<Vec<Cell>, String> {
    let line = line.strip_suffix(b"\n").ok_or("the line does not end")?;
    let value: Value = serde_json::from_slice(line).map_err(|e| e.to_string())?;
    let fields = value.as_object().ok_or("not an object")?;
    if fields.len() != table.columns.len() {
        return Err("not the columns of this table".into());
    }
    let column = |(name, ty): &(&'static str, Type)| {
        let value = fields.get(*name).ok_or(format!("no column {name}"))?;
        let unfit = || format!("column {name} is of another type");
        match (ty, value) {
            (_, Value::Null) => Ok(Cell::Null),
            (Type::Int, value) => value.as_i64().map(Cell::Int).ok_or_else(unfit),
            (Type::Text, value) => value.as_str().map(|s| Cell::Text(s.to_owned())).ok_or_else(unfit),
            (Type::Blob, value) => {
                let bytes = value.as_str().and_then(|s| STANDARD.decode(s).ok());
                bytes.map(Cell::Blob).ok_or_else(unfit)
            }
        }
    };
    let row: Vec<Cell> = table.columns.iter().map(column).collect::<Result<_, String>>()?;
    canonical(table.columns.iter().map(|(name, _)| *name), &row, line)?;
    Ok(row)
}

/// One row, one spelling: otherwise a changed byte could go unseen.
pub(crate) fn canonical(columns: impl Iterator<Item = &'static str>, row: &[Cell], line: &[u8]) -> Result<(), String> {
    let mut again = Vec::with_capacity(line.len() + 1);
    write_line(&mut again, columns.zip(row)).map_err(|e| e.to_string())?;
    if again.strip_suffix(b"\n") == Some(line) { Ok(()) } else { Err("not in canonical form".into()) }
}
