//! The present versions of records, which who folded the log knows.

use super::wrong::{PRESENT, Wrong, text_of};
use super::{PAGE, Sink};
use crate::nouns::error::StoreError;
use crate::sql::{Cell, Sql, Value};

/// Versions after a leaf, each with the row of `present` of its record.
pub(crate) const VERSIONS: &str = "SELECT r.leaf, r.kind, r.id, r.owner, r.lookup, p.leaf, p.owner, p.lookup FROM record r \
    LEFT JOIN present p ON p.kind = r.kind AND p.id = r.id WHERE r.leaf > $1 ORDER BY r.leaf LIMIT $2";

/// Rows of `present` after one, each with the record that its leaf is a version of.
pub(crate) const PRESENT_ROWS: &str = "SELECT p.kind, p.id, r.kind, r.id FROM present p LEFT JOIN record r ON r.leaf = p.leaf \
    WHERE (p.kind, p.id) > ($1, $2) ORDER BY p.kind, p.id LIMIT $3";

/// Compares `present` with the newest version of each record. `newest`: its leaf, by kind and id.
pub(crate) fn present(
    sql: &mut dyn Sql,
    newest: &dyn Fn(&str, &str) -> Option<u64>,
    sink: &mut Sink<'_>,
) -> Result<(), StoreError> {
    let mut after = i64::MIN;
    loop {
        let rows = sql.query(VERSIONS, &[Value::Int(after), Value::Int(PAGE)])?;
        let (count, mut wrong) = (rows.len(), Vec::new());
        for row in rows {
            let cells = row.cells();
            let [Cell::Int(leaf), kind, id, owner, lookup, there @ ..] = &cells[..] else { continue };
            after = *leaf;
            if newest(text_of(kind), text_of(id)) == u64::try_from(*leaf).ok() {
                let there = (there.first() != Some(&Cell::Null)).then(|| there.to_vec());
                let expected = vec![Cell::Int(*leaf), owner.clone(), lookup.clone()];
                wrong.extend(Wrong::unless_same(&PRESENT, vec![kind.clone(), id.clone()], there, Some(expected)));
            }
        }
        sink(sql, wrong)?;
        if count < PAGE as usize {
            break;
        }
    }
    let (mut kind, mut id) = (String::new(), String::new());
    loop {
        let rows = sql.query(PRESENT_ROWS, &[Value::Text(&kind), Value::Text(&id), Value::Int(PAGE)])?;
        let (count, mut wrong) = (rows.len(), Vec::new());
        for row in rows {
            let cells = row.cells();
            let [there_kind, there_id, ..] = &cells[..] else { continue };
            (kind, id) = (text_of(there_kind).to_owned(), text_of(there_id).to_owned());
            let there = newest(&kind, &id).is_none().then(Vec::new);
            wrong.extend(Wrong::unless_same(&PRESENT, vec![there_kind.clone(), there_id.clone()], there, None));
        }
        sink(sql, wrong)?;
        if count < PAGE as usize {
            return Ok(());
        }
    }
}
