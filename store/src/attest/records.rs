//! Records, of which the fold knows the present version.

use super::attested::Attested;
use super::look::{RETRY_AFTER_SECS, Taken, altered, refused, settled};
use crate::clock::word::Word;
use crate::forms::leaf::Event;
use crate::forms::row::row_digest;
use crate::forms::schema::RECORD;
use crate::nouns::error::StoreError;
use crate::nouns::record::{RecordFilter, SETTING, StoredRecord};
use crate::queries;
use crate::sql::{Cell, Row, Sql};
use crate::truth::{Node, Version, proved_leaf, record_key};

/// The present version of a record.
pub(crate) fn record(
    node: &Node,
    sql: &mut dyn Sql,
    kind: &str,
    id: &str,
) -> Result<Option<Attested<StoredRecord>>, StoreError> {
    let key = record_key(kind, id);
    settled(node, sql, |node, sql| {
        let (size, known) = node.record(&key);
        let place = || format!("record kind={kind} id={id}");
        let row = queries::record_get(sql, kind, id)?;
        Ok(match (known, row) {
            (None, None) => Taken::So(None),
            (Some(_), None) => altered(place(), "the row was deleted"),
            (known, Some(row)) => match judge_record(size, known, row)? {
                Taken::So(record) => Taken::So(Some(record)),
                Taken::Newer(leaf) => Taken::Newer(leaf),
                Taken::Altered { says, .. } => altered(place(), says),
            },
        })
    })
}

/// Present versions of a kind that match by what they are themselves. One that the list leaves out is not noticed: nothing may be
/// decided by what it lacks.
pub(crate) fn records(
    node: &Node,
    sql: &mut dyn Sql,
    kind: &str,
    filter: &RecordFilter,
) -> Result<Vec<Attested<StoredRecord>>, StoreError> {
    settled(node, sql, |node, sql| {
        let size = node.head().size;
        let rows = queries::record_list(sql, kind, filter)?;
        let mut list = Vec::with_capacity(rows.len());
        for row in rows {
            // Column 2 is the id; what is none has no place in the fold either.
            let id = match row.get(2) {
                Some(Cell::Text(id)) => id.clone(),
                _ => String::new(),
            };
            let place = format!("record kind={kind} id={id}");
            let known = node.record(&record_key(kind, &id)).1;
            match judge_record(size, known, row)? {
                Taken::So(record) if filter.matches(&record) => list.push(record),
                Taken::So(_) => return Ok(altered(place, "it stands on a list under a key that is not its own")),
                Taken::Newer(leaf) => return Ok(Taken::Newer(leaf)),
                Taken::Altered { says, .. } => {
                    // A version that was replaced between the two looks is not an alteration.
                    if node.head().size != size {
                        return Ok(Taken::Newer(size));
                    }
                    return Ok(altered(place, says));
                }
            }
        }
        Ok(Taken::So(list))
    })
}

/// The same of a kind of which there are few, each for itself: one that is not what the log says keeps no other back. After `after`, by id.
pub(crate) fn records_each(node: &Node, sql: &mut dyn Sql, kind: &str, after: &str) -> Result<EachRecord, StoreError> {
    let filter = RecordFilter { after: Some(after.to_owned()), limit: usize::MAX, ..RecordFilter::default() };
    // A row beside its replacement is no alteration: it is looked at again first.
    for look in (0..EACH_LOOKS).rev() {
        let size = node.head().size;
        let (mut each, mut troubled) = (Vec::new(), false);
        for row in queries::record_list(sql, kind, &filter)? {
            let id = match row.get(2) {
                Some(Cell::Text(id)) => id.clone(),
                _ => String::new(),
            };
            let known = node.record(&record_key(kind, &id)).1;
            let place = || format!("record kind={kind} id={id}");
            let taken = match judge_record(size, known, row)? {
                Taken::So(record) => Ok(record),
                Taken::Newer(_) | Taken::Altered { .. } if look > 0 => {
                    troubled = true;
                    break;
                }
                Taken::Newer(_) => Err(refused(node, &place(), "its leaf is beyond the end of the log")),
                Taken::Altered { says, .. } => Err(refused(node, &place(), &says)),
            };
            each.push((id, taken));
        }
        if !troubled {
            return Ok(each);
        }
        node.follow(sql, false)?;
    }
    Err(StoreError::Busy { retry_after_secs: RETRY_AFTER_SECS })
}

/// Records by id, each attested or refused.
pub type EachRecord = Vec<(String, Result<Attested<StoredRecord>, StoreError>)>;

/// Looks at what changes meanwhile, before what is there is believed to be altered.
const EACH_LOOKS: u8 = 4;

/// The operator's word that a leaf stands for, of whatever age; none where it is another leaf.
pub(crate) fn word(node: &Node, sql: &mut dyn Sql, index: u64) -> Result<Option<Word>, StoreError> {
    Ok(version(node, sql, index, Word::is)?.and_then(|(record, _)| Word::of(record)))
}

/// What an operator put into force, as a leaf stands for it, of whatever age; none where it is another leaf.
pub(crate) fn setting(node: &Node, sql: &mut dyn Sql, index: u64) -> Result<Option<StoredRecord>, StoreError> {
    Ok(version(node, sql, index, |kind| kind == SETTING)?.map(|(record, _)| record))
}

/// The record that a leaf stands for, of whatever age, and the version that it replaced; none where it is another leaf.
pub(super) fn version(
    node: &Node,
    sql: &mut dyn Sql,
    index: u64,
    is_one: impl Fn(&str) -> bool,
) -> Result<Option<(StoredRecord, u64)>, StoreError> {
    let place = || format!("record leaf={index}");
    let leaf = match proved_leaf(node, sql, index)? {
        Ok(leaf) if leaf.event == Event::Record && is_one(&leaf.kind) => leaf,
        Ok(_) => return Ok(None),
        Err(why) => return Err(refused(node, &place(), &why)),
    };
    let Some(row) = queries::record_at(sql, index)? else {
        return Err(refused(node, &place(), "the row was deleted"));
    };
    if leaf.row != Some(hex::encode(record_digest(&row))) {
        return Err(refused(node, &place(), "the row is not the one its leaf stands for"));
    }
    Ok(Some((queries::record_of(Row::new(row))?, leaf.replaces.unwrap_or(0))))
}

pub(super) fn judge_record(
    size: u64,
    known: Option<Version>,
    row: Vec<Cell>,
) -> Result<Taken<Attested<StoredRecord>>, StoreError> {
    let leaf = match row.first() {
        Some(Cell::Int(leaf)) => u64::try_from(*leaf).unwrap_or(u64::MAX),
        _ => u64::MAX,
    };
    Ok(match known {
        _ if leaf >= size => Taken::Newer(leaf),
        Some(version) if version.leaf == leaf && version.digest == record_digest(&row) => {
            Taken::So(Attested(queries::record_of(Row::new(row))?))
        }
        Some(version) if version.leaf == leaf => altered("", "the row is not the one its leaf stands for"),
        Some(version) if leaf < version.leaf => altered("", "an older version was put back"),
        Some(_) | None => altered("", "the row has no leaf"),
    })
}

/// The digest of a record's row as it was read: every column after the leaf's own number.
fn record_digest(row: &[Cell]) -> [u8; 32] {
    row_digest(&RECORD, row.iter().skip(1).map(Cell::as_value))
}
