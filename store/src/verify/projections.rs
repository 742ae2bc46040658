//! The projections, derived again from the rows that the walk has judged.

use super::report::Report;
use crate::derived::{self, PAGE, PRESENT, PRESENT_ROWS, VERSIONS, Wrong, text_of};
use crate::nouns::error::StoreError;
use crate::sql::{Cell, Sql, Value};

/// Compares every projection with what the rows derive.
pub(super) fn check(sql: &mut dyn Sql, report: &mut Report) -> Result<(), StoreError> {
    derived::operations(sql, &mut |_, wrong| {
        wrong.iter().for_each(|wrong| report.find_wrong(wrong));
        Ok(())
    })?;
    present_of_records(sql, report)?;
    records_of_present(sql, report)?;
    let mut sink = |_: &mut dyn Sql, wrong: Vec<Wrong>| {
        wrong.iter().for_each(|wrong| report.find_wrong(wrong));
        Ok(())
    };
    derived::wards(sql, &mut sink)?;
    derived::keywords(sql, &mut sink)
}

/// Every record has its last version in `present`.
fn present_of_records(sql: &mut dyn Sql, report: &mut Report) -> Result<(), StoreError> {
    let mut after = i64::MIN;
    loop {
        let rows = sql.query(VERSIONS, &[Value::Int(after), Value::Int(PAGE)])?;
        let count = rows.len();
        for row in rows {
            let cells = row.cells();
            let [Cell::Int(leaf), kind, id, owner, lookup, there @ ..] = &cells[..] else { continue };
            after = *leaf;
            let place = format!("present kind={} id={}", text_of(kind), text_of(id));
            match there {
                [Cell::Int(there), ..] if there > leaf => {}
                [Cell::Int(at), ..] if at == leaf => {
                    let (key, expected) =
                        (vec![kind.clone(), id.clone()], [Cell::Int(*leaf), owner.clone(), lookup.clone()]);
                    let wrong = Wrong::unless_same(&PRESENT, key, Some(there.to_vec()), Some(expected.to_vec()));
                    wrong.iter().for_each(|wrong| report.find_wrong(wrong));
                }
                [Cell::Null, ..] => report.find("present", place, "the row is missing"),
                _ => {
                    let says = format!("leaf {leaf} has a later version");
                    report.find("present", format!("{place} column leaf"), says);
                }
            }
        }
        if count < PAGE as usize {
            return Ok(());
        }
    }
}

/// Every row of `present` names a version of its own record.
fn records_of_present(sql: &mut dyn Sql, report: &mut Report) -> Result<(), StoreError> {
    let (mut kind, mut id) = (String::new(), String::new());
    loop {
        let rows = sql.query(PRESENT_ROWS, &[Value::Text(&kind), Value::Text(&id), Value::Int(PAGE)])?;
        let count = rows.len();
        for row in rows {
            let cells = row.cells();
            let [there_kind, there_id, record @ ..] = &cells[..] else { continue };
            (kind, id) = (text_of(there_kind).to_owned(), text_of(there_id).to_owned());
            if record != [there_kind.clone(), there_id.clone()] {
                let place = format!("present kind={kind} id={id}");
                report.find("present", format!("{place} column leaf"), "that leaf is no version of this record");
            }
        }
        if count < PAGE as usize {
            return Ok(());
        }
    }
}
