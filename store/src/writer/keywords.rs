//! By which words a batch makes secrets found, and by which no more. projection.rs has the rules.
//!
//! What the version before said is read again: most versions say the same, and then no row is touched.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use policy::Timestamp;

use super::projections;
use crate::forms::keyword::keywords_of;
use crate::forms::ward::SECRET;
use crate::nouns::error::StoreError;
use crate::rows::RecordRow;
use crate::sql::{Row, Sql, SqlError, Value};

/// A word and the owner.
type Words = BTreeSet<(String, String)>;

/// The last version of each secret in a batch has its words, and those of the version before the batch go.
pub(super) fn records(sql: &mut dyn Sql, rows: &[(u64, u64, Timestamp, &RecordRow)]) -> Result<(), SqlError> {
    let mut changes: BTreeMap<&str, (u64, &RecordRow)> = BTreeMap::new();
    for (_, replaces, _, row) in rows.iter().filter(|(.., row)| row.record.kind == SECRET) {
        changes.entry(&row.record.id).and_modify(|(_, last)| *last = row).or_insert((*replaces, row));
    }
    let replaced: Vec<u64> = changes.values().filter_map(|(replaces, _)| replaces.checked_sub(1)).collect();
    let before = before(sql, &replaced)?;
    let (none, mut more) = (Words::new(), Vec::new());
    for (path, (_, row)) in changes {
        let record = &row.record;
        let (before, now) = (before.get(path).unwrap_or(&none), words(path, record.owner.as_deref(), &record.body));
        for (word, owner) in before.difference(&now) {
            let text = "DELETE FROM keyword WHERE word = $1 AND owner = $2 AND path = $3";
            sql.execute(text, &[Value::Text(word), Value::Text(owner), Value::Text(path)])?;
        }
        more.extend(now.difference(before).map(|(word, owner)| (word.clone(), owner.clone(), path)));
    }
    let values = more.iter().flat_map(|(word, owner, path)| [Value::Text(word), Value::Text(owner), Value::Text(path)]);
    let values: Vec<Value<'_>> = values.collect();
    // A row that somebody else put there keeps nobody from writing.
    let into = "INSERT INTO keyword (word, owner, path) VALUES ? ON CONFLICT (word, owner, path) DO NOTHING";
    sql.insert(into, 3, &values)
}

fn words(path: &str, owner: Option<&str>, body: &serde_json::Value) -> Words {
    let owner = owner.unwrap_or_default();
    keywords_of(path, body).iter().map(|word| (word.to_owned(), owner.to_owned())).collect()
}

/// By path, what the versions of these leaves were found by.
fn before(sql: &mut dyn Sql, leaves: &[u64]) -> Result<HashMap<String, Words>, SqlError> {
    let said = |mut row: Row| -> Result<(String, Words), StoreError> {
        let (path, owner, body) = (row.text()?, row.opt_text()?, row.text()?);
        let words = words(&path, owner.as_deref(), &serde_json::from_str(&body).unwrap_or_default());
        Ok((path, words))
    };
    let rows = projections::ask(sql, "SELECT r.id, r.owner, r.body FROM record r WHERE r.leaf IN", leaves, "")?;
    rows.into_iter().map(said).collect::<Result<_, _>>().map_err(|error| SqlError::Corrupt(error.to_string()))
}
