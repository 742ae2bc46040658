//! Secrets by the words of their paths and descriptions and by their tags. Each question is a range of the table's own order.

use super::{PAGE_MAX, page_size};
use crate::nouns::error::StoreError;
use crate::nouns::keyword::{Keyword, KeywordFilter, KeywordPage, KeywordRange};
use crate::sql::{Row, Sql, Value};

/// A page, by word, owner and path; where an owner is meant, what is others' is stepped over.
pub(crate) fn keywords(sql: &mut dyn Sql, filter: &KeywordFilter) -> Result<KeywordPage, StoreError> {
    let limit = page_size(filter.limit);
    let begins = || Keyword { word: filter.range.from.clone(), owner: String::new(), path: String::new() };
    let (mut after, mut found) = (filter.after.clone().unwrap_or_else(begins), Vec::new());
    for step in 0..STEPS_MAX {
        let (from, size) = (stepped(&after, filter.owner.as_deref()), if step == 0 { limit } else { PAGE_MAX });
        let rows = rows(sql, &from, &filter.range.to, size)?;
        let is_last = rows.len() < size;
        for row in rows {
            after = row;
            if filter.owner.as_ref().is_none_or(|owner| *owner == after.owner) {
                found.push(after.clone());
            }
            if found.len() == limit {
                return Ok((found, Some(after)));
            }
        }
        if is_last {
            return Ok((found, None));
        }
    }
    Ok((found, Some(after)))
}

/// Where an owner's go on: later under the same word, or under the next one.
fn stepped(after: &Keyword, owner: Option<&str>) -> Keyword {
    let at = |owner: &str| Keyword { word: after.word.clone(), owner: owner.to_owned(), path: String::new() };
    match owner {
        Some(owner) if after.owner.as_str() < owner => at(owner),
        // No owner stands after this one.
        Some(owner) if after.owner.as_str() > owner => at("\u{10ffff}"),
        Some(_) | None => after.clone(),
    }
}

fn rows(sql: &mut dyn Sql, after: &Keyword, to: &str, limit: usize) -> Result<Vec<Keyword>, StoreError> {
    let text = "SELECT k.word, k.owner, k.path FROM keyword k WHERE (k.word, k.owner, k.path) > ($1, $2, $3) AND k.word <= $4 \
        ORDER BY k.word, k.owner, k.path LIMIT $5";
    let Keyword { word, owner, path } = after;
    let params =
        [Value::Text(word), Value::Text(owner), Value::Text(path), Value::Text(to), Value::index(limit as u64)];
    let keyword = |mut row: Row| Ok(Keyword { word: row.text()?, owner: row.text()?, path: row.text()? });
    sql.query(text, &params)?.into_iter().map(keyword).collect()
}

/// How many there are, whosever they are, up to a number.
pub(crate) fn count_keywords(sql: &mut dyn Sql, range: &KeywordRange, most: u64) -> Result<u64, StoreError> {
    let meant = "FROM keyword k WHERE k.word >= $1 AND k.word <= $2";
    let (from, to) = (Value::Text(&range.from), Value::Text(&range.to));
    // Whether there are so many first: then none of them is counted.
    let text = format!("SELECT k.word {meant} ORDER BY k.word LIMIT 1 OFFSET $3");
    if !sql.query(&text, &[from, to, Value::index(most.saturating_sub(1))])?.is_empty() {
        return Ok(most);
    }
    let text = format!("SELECT COUNT(*) {meant}");
    sql.query(&text, &[from, to])?.into_iter().next().map_or(Ok(0), |mut row| row.index())
}

/// Steps of one page: so many times a thousand rows of others are stepped over at most, and so many words.
const STEPS_MAX: usize = 16;
