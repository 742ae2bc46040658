//! The bytes beside sealed records: each present record has those that its body has the digest of, and no others are there.

use std::ops::Range;

use super::report::Report;
use crate::nouns::beside::Digest;
use crate::nouns::error::StoreError;
use crate::nouns::sealed::SEALED;
use crate::queries;
use crate::sql::Sql;
use crate::truth::{Node, record_key};

/// `beside leaf=17`.
fn place(leaf: impl std::fmt::Display) -> String {
    format!("beside leaf={leaf}")
}

/// What is wrong with what lies beside a record's present version; what cannot be read is found by its row.
fn says(sql: &mut dyn Sql, leaf: u64, body: &str) -> Result<Option<&'static str>, StoreError> {
    let digest = serde_json::from_str(body).ok().and_then(|body| Digest::of_body(&body).ok());
    let Some(digest) = digest else { return Ok(None) };
    let there = queries::beside(sql, leaf)?;
    Ok(match (digest, there) {
        (Some(digest), there) => digest.says(there.as_deref()),
        (None, Some(_)) => Some("its record says of no bytes beside it"),
        (None, None) => None,
    })
}

/// All of them, where rows and projections were judged.
pub(super) fn check(sql: &mut dyn Sql, report: &mut Report) -> Result<(), StoreError> {
    let mut after = String::new();
    loop {
        let page = queries::sealed_present(sql, &after)?;
        let Some((_, last, _)) = page.last() else { break };
        after.clone_from(last);
        for (leaf, _, body) in &page {
            if let Some(says) = says(sql, *leaf, body)? {
                report.find("beside", place(leaf), says);
            }
        }
    }
    let mut after = i64::MIN;
    loop {
        let page = queries::beside_owners(sql, after)?;
        let Some((last, _)) = page.last() else { return Ok(()) };
        after = *last;
        for (leaf, _) in page.iter().filter(|(leaf, present)| *present != Some(*leaf)) {
            report.find("beside", place(leaf), "no present version of a sealed record");
        }
    }
}

/// Those of a range of leaves, by what a running node knows. What goes meanwhile is looked at again.
pub(super) fn look(node: &Node, sql: &mut dyn Sql, range: Range<u64>, report: &mut Report) -> Result<(), StoreError> {
    let is_present =
        |leaf: u64, id: &str| node.record(&record_key(SEALED, id)).1.is_some_and(|there| there.leaf == leaf);
    let sealed = queries::sealed_in(sql, range.start, range.end)?;
    for (leaf, id, body) in sealed.iter().filter(|(leaf, id, _)| is_present(*leaf, id)) {
        if let Some(says) = says(sql, *leaf, body)? {
            node.follow(sql, false)?;
            if is_present(*leaf, id) {
                report.find("beside", place(leaf), says);
            }
        }
    }
    for leaf in queries::beside_in(sql, range.start, range.end)? {
        let owner = sealed.iter().find(|(of, ..)| *of == leaf);
        if owner.is_some_and(|(_, id, _)| is_present(leaf, id)) {
            continue;
        }
        node.follow(sql, false)?;
        if queries::beside(sql, leaf)?.is_some() {
            report.find("beside", place(leaf), "no present version of a sealed record");
        }
    }
    Ok(())
}
