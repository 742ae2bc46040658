//! Derives every projection anew from the rows of the register, where an operator asks for it.
//!
//! In one transaction that holds the head's lock: no node writes meanwhile, and what breaks off leaves everything as it was. Only
//! rows that are wrong are touched. No leaf says so: nothing in a projection is news.

use std::collections::BTreeMap;

use crate::derived::{self, Wrong};
use crate::nouns::error::StoreError;
use crate::sql::{Cell, Sql, SqlError, Value};
use crate::truth::{Node, record_key};

/// What was mended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rebuilt {
    /// Leaves of the log that the rows stand for.
    pub leaves: u64,
    /// Rows that were altered, missing or too many, by their table.
    pub wrong: BTreeMap<&'static str, u64>,
}

/// `pages`: hears how many pages of a thousand rows were looked at.
pub(crate) fn rebuild(sql: &mut dyn Sql, node: &Node, pages: &mut dyn FnMut(u64)) -> Result<Rebuilt, StoreError> {
    sql.begin()?;
    match mended(sql, node, pages).and_then(|rebuilt| Ok(sql.commit().map(|()| rebuilt)?)) {
        Ok(rebuilt) => Ok(rebuilt),
        Err(error) => {
            sql.rollback();
            Err(error)
        }
    }
}

fn mended(sql: &mut dyn Sql, node: &Node, pages: &mut dyn FnMut(u64)) -> Result<Rebuilt, StoreError> {
    node.follow(sql, true)?;
    let (mut rebuilt, mut looked) = (Rebuilt { leaves: node.head().size, ..Rebuilt::default() }, 0);
    let mut sink = |sql: &mut dyn Sql, wrong: Vec<Wrong>| {
        for one in &wrong {
            *rebuilt.wrong.entry(one.of.name).or_default() += 1;
        }
        looked += 1;
        pages(looked);
        Ok(mend(sql, &wrong)?)
    };
    derived::operations(sql, &mut sink)?;
    let newest = |kind: &str, id: &str| node.record(&record_key(kind, id)).1.map(|version| version.leaf);
    derived::present(sql, &newest, &mut sink)?;
    derived::wards(sql, &mut sink)?;
    derived::keywords(sql, &mut sink)?;
    Ok(rebuilt)
}

fn mend(sql: &mut dyn Sql, wrong: &[Wrong]) -> Result<(), SqlError> {
    for one in wrong.iter().filter(|one| one.there.is_some()) {
        let key: Vec<Value<'_>> = one.key.iter().map(Cell::as_value).collect();
        sql.execute(&one.of.delete(), &key)?;
    }
    let mut rows: BTreeMap<&'static str, (usize, Vec<Value<'_>>)> = BTreeMap::new();
    for one in wrong {
        let Some(expected) = &one.expected else { continue };
        let (columns, values) = rows.entry(one.of.insert).or_default();
        *columns = one.key.len() + expected.len();
        values.extend(one.key.iter().chain(expected).map(Cell::as_value));
    }
    for (into, (columns, values)) in rows {
        sql.insert(into, columns, &values)?;
    }
    Ok(())
}
