//! A row before its leaf: the digest over its columns, and every column that the leaf states by itself.

use std::collections::BTreeMap;

use policy::Timestamp;

use super::report::Report;
use crate::forms::leaf::{Event, Leaf};
use crate::forms::object::has_digest_of_its_own;
use crate::forms::row::row_digest;
use crate::forms::schema::{CONCLUSION, INTENT, RECORD, REVOCATION, Table, sha256};
use crate::nouns::sealed::{SEALED, Under, seal_name};
use crate::rows::{FORM_IMPORTED, FORM_OBJECT, FORM_WHOLE, NAME_SLOTS};
use crate::sql::Cell;

/// The table whose row a leaf stands for; refusals and accesses have none.
pub(super) fn table_of(event: Event) -> Option<&'static Table> {
    match event {
        Event::Intend | Event::Import => Some(&INTENT),
        Event::Conclude | Event::Fail => Some(&CONCLUSION),
        Event::Revoke => Some(&REVOCATION),
        Event::Record => Some(&RECORD),
        Event::Refuse | Event::Access => None,
    }
}

/// Judges a row by its leaf; answers whether it is the one that the leaf stands for.
pub(super) fn check(table: &'static Table, row: &[Cell], leaf: &Leaf, report: &mut Report) -> bool {
    let place = place(table, row);
    let stated = stated_by(leaf);
    let mut named = false;
    for (column, expected) in &stated {
        if cell(table, row, column).is_some_and(|is| is != expected) {
            report.find(table.name, format!("{place} column {column}"), "is not what its leaf says");
            named = true;
        }
    }
    let said = || leaf.digest.as_ref().and_then(|d| hex::decode(d).ok());
    if matches!(leaf.event, Event::Intend | Event::Import) && !is_another_digest(row) && message_hash(row) != said() {
        report.find(table.name, format!("{place} column message"), "is not what its leaf has the digest of");
        named = true;
    }
    let columns = row.get(table.stated..).unwrap_or_default();
    let digest = hex::encode(row_digest(table, columns.iter().map(Cell::as_value)));
    let digested = leaf.row.as_deref() == Some(digest.as_str());
    if !digested && !named {
        let others: Vec<&str> = table
            .columns
            .iter()
            .skip(table.stated)
            .map(|(name, _)| *name)
            .filter(|name| *name != "message" && !stated.iter().any(|(stated, _)| stated == name))
            .collect();
        let says = format!("is not the row its leaf has the digest of; one of its columns {}", others.join(", "));
        report.find(table.name, place, says);
    }
    digested && !named
}

/// The name index says what the intents say, no less and no more.
pub(super) fn names(names: Vec<(i64, Cell)>, intents: Option<&BTreeMap<u64, Vec<Cell>>>, report: &mut Report) {
    let mut indexed: BTreeMap<i64, Cell> = names.into_iter().collect();
    for (op, row) in intents.into_iter().flatten() {
        let Some(Cell::Text(listed)) = cell(&INTENT, row, "names") else { continue };
        // A list that cannot be read is found by the row's digest.
        let listed: Vec<String> = serde_json::from_str(listed).unwrap_or_default();
        for (at, name) in listed.into_iter().enumerate() {
            let slot = i64::try_from(op * NAME_SLOTS + at as u64).unwrap_or(i64::MAX);
            match indexed.remove(&slot) {
                Some(Cell::Text(there)) if there == name => {}
                Some(_) => {
                    let place = format!("name slot={slot} column name");
                    report.find("name", place, format!("is not `{name}`, as its intent op={op} says"));
                }
                None => {
                    let says = format!("the row for `{name}` of intent op={op} is missing");
                    report.find("name", format!("name slot={slot}"), says);
                }
            }
        }
    }
    for slot in indexed.into_keys() {
        report.find("name", format!("name slot={slot} column slot"), "no intent has this name");
    }
}

/// `intent op=17`.
pub(super) fn place(table: &Table, row: &[Cell]) -> String {
    let key = match row.first() {
        Some(Cell::Int(n)) => n.to_string(),
        _ => "?".into(),
    };
    format!("{} {}={key}", table.name, table.key())
}

/// A column by name.
pub(super) fn cell<'a>(table: &Table, row: &'a [Cell], column: &str) -> Option<&'a Cell> {
    row.get(table.position(column)?)
}

fn message_hash(row: &[Cell]) -> Option<Vec<u8>> {
    let Some(Cell::Blob(message)) = cell(&INTENT, row, "message") else { return None };
    match cell(&INTENT, row, "form") {
        Some(Cell::Text(form)) if form == FORM_WHOLE || form == FORM_IMPORTED => Some(sha256(message).to_vec()),
        _ => Some(message.clone()),
    }
}

/// The digest of an object may be another than the leaf's SHA-256; then the row's own digest alone covers it.
fn is_another_digest(row: &[Cell]) -> bool {
    let text = |column| match cell(&INTENT, row, column) {
        Some(Cell::Text(text)) => text.as_str(),
        _ => "",
    };
    text("form") == FORM_OBJECT && text("algorithm").parse().is_ok_and(has_digest_of_its_own)
}

/// The columns that a leaf states in its own fields.
fn stated_by(leaf: &Leaf) -> Vec<(&'static str, Cell)> {
    let mut stated = Vec::with_capacity(16);
    let mut say = |column: &'static str, cell: Option<Cell>| {
        if let Some(cell) = cell {
            stated.push((column, cell));
        }
    };
    let number = |n: u64| i64::try_from(n).ok().map(Cell::Int);
    say("at", Timestamp::parse_rfc3339(&leaf.time).ok().map(|at| Cell::Int(at.unix())));
    if let Some(actor) = &leaf.actor {
        say("actor", Some(Cell::Text(actor.id.clone())));
        say("proof", Some(Cell::Text(actor.proof.clone())));
        say("proof_id", Some(Cell::Text(actor.with.clone())));
    }
    if let Some(grant) = &leaf.grant {
        say("action", Some(Cell::Text(grant.action.clone())));
        say("rule", Some(Cell::Text(grant.rule.clone())));
        say("policy_hash", bytes(&grant.policy));
    }
    match leaf.event {
        Event::Intend => {
            say("op", number(leaf.i));
            say("kind", Some(Cell::Text(leaf.kind.clone())));
            if let Some(profile) = &leaf.profile {
                say("profile", Some(Cell::Text(profile.name.clone())));
                say("profile_hash", bytes(&profile.hash));
            }
            if let Some(key) = &leaf.key {
                say("key_label", Some(Cell::Text(key.name.clone())));
                say("key_hash", bytes(&key.hash));
            }
            say("algorithm", leaf.algorithm.clone().map(Cell::Text));
            say("issuer", leaf.issuer.clone().map(Cell::Text));
            say("serial", leaf.serial.as_deref().and_then(|s| if s.is_empty() { Some(Cell::Null) } else { bytes(s) }));
        }
        Event::Conclude | Event::Fail => {
            say("op", number(leaf.op));
            say("outcome", leaf.outcome.clone().map(Cell::Text));
        }
        Event::Revoke => {
            say("op", number(leaf.op));
            say("reason", leaf.reason.and_then(number));
            say(
                "revoked_at",
                leaf.since.as_deref().and_then(|at| Timestamp::parse_rfc3339(at).ok()).map(|at| Cell::Int(at.unix())),
            );
            let invalid = leaf.invalid.as_deref().and_then(|at| Timestamp::parse_rfc3339(at).ok());
            say("invalid_at", Some(invalid.map_or(Cell::Null, |at| Cell::Int(at.unix()))));
        }
        Event::Record => {
            say("kind", Some(Cell::Text(leaf.kind.clone())));
            say("id", leaf.id.clone().map(Cell::Text));
            say("replaces", leaf.replaces.and_then(number));
            match Under::of_leaf(&leaf.kind, leaf.seal) {
                Ok(Some(Under::Stands(number))) => say("lookup", Some(Cell::Text(seal_name(number)))),
                Ok(None) if leaf.kind == SEALED => say("lookup", Some(Cell::Null)),
                Ok(Some(Under::Ends(_)) | None) | Err(_) => {}
            }
        }
        Event::Import => {
            say("op", number(leaf.i));
            say("kind", Some(Cell::Text(leaf.kind.clone())));
            say("form", Some(Cell::Text(FORM_IMPORTED.to_owned())));
            if let Some(key) = &leaf.key {
                say("key_label", Some(Cell::Text(key.name.clone())));
                say("key_hash", bytes(&key.hash));
            }
            say("issuer", leaf.issuer.clone().map(Cell::Text));
            say("serial", leaf.serial.as_deref().and_then(bytes));
            say("subject_key_hash", leaf.subject.as_deref().and_then(bytes));
            let until = leaf.until.as_deref().and_then(|at| Timestamp::parse_rfc3339(at).ok());
            say("not_after", until.map(|at| Cell::Int(at.unix())));
        }
        Event::Refuse | Event::Access => {}
    }
    stated
}

fn bytes(hexadecimal: &str) -> Option<Cell> {
    hex::decode(hexadecimal).ok().map(Cell::Blob)
}
