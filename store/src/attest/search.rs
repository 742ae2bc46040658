//! Credentials found by what they say. What is found answers the question, or it is an alarm.

use std::collections::BTreeSet;

use policy::SerialText;

use super::attested::Attested;
use super::credentials::credential;
use super::look::{RETRY_AFTER_SECS, refused};
use super::lost;
use crate::nouns::credential::{Credential, Filter, Page};
use crate::nouns::entry::Kind;
use crate::nouns::error::StoreError;
use crate::queries;
use crate::sql::Sql;
use crate::truth::Node;

/// The newest operation with this serial, should two keys ever have used one.
pub(crate) fn by_serial(
    node: &Node,
    sql: &mut dyn Sql,
    serial: &[u8],
) -> Result<Option<Attested<Credential>>, StoreError> {
    let named = match queries::operation_of_serial(sql, serial)? {
        Some(operation) => Some(operation),
        None => lost::operation_of_serial(node, sql, serial)?,
    };
    let Some(operation) = named else { return Ok(None) };
    let found = there(node, sql, operation)?;
    match found.serial == serial {
        true => Ok(Some(found)),
        false => {
            let says = format!("it was found by the serial {}, which is not its own", hex::encode(serial));
            Err(refused(node, &place(operation), &says))
        }
    }
}

/// Every operation with this serial, the newest first.
pub(crate) fn all_by_serial(
    node: &Node,
    sql: &mut dyn Sql,
    serial: &[u8],
) -> Result<Vec<Attested<Credential>>, StoreError> {
    let operations = queries::operations_of_serial(sql, serial)?;
    if operations.len() < 2 {
        return Ok(by_serial(node, sql, serial)?.into_iter().collect());
    }
    let mut all = Vec::with_capacity(operations.len());
    for operation in operations {
        let found = there(node, sql, operation)?;
        if found.serial != serial {
            let says = format!("it was found by the serial {}, which is not its own", hex::encode(serial));
            return Err(refused(node, &place(operation), &says));
        }
        all.push(found);
    }
    Ok(all)
}

/// What a text may mean, up to `most`: each is what it says itself. One that the indexes leave out is not noticed, so that a
/// beginning is for people, who are told the whole serial.
pub(crate) fn by_text(
    node: &Node,
    sql: &mut dyn Sql,
    text: &SerialText,
    most: usize,
) -> Result<Vec<Attested<Credential>>, StoreError> {
    let mut operations = BTreeSet::new();
    for beginning in text.beginnings() {
        operations.extend(queries::operations_of_beginning(sql, beginning, most)?);
    }
    if let Some(number) = text.ssh() {
        operations.extend(queries::operations_of_ssh(sql, number, most)?);
    }
    let mut meant = Vec::new();
    for operation in operations.into_iter().take(most) {
        let found = there(node, sql, operation)?;
        let is_ssh = matches!(found.kind, Kind::SshUser | Kind::SshHost);
        if !text.means(&found.serial, is_ssh) {
            return Err(refused(node, &place(operation), "it was found by a serial that is not its own"));
        }
        meant.push(found);
    }
    Ok(meant)
}

/// A page of credentials that match by what they are themselves, in the order of the list. One that the list leaves out is not noticed:
/// nothing may be decided by what it lacks.
pub(crate) fn matching(
    node: &Node,
    sql: &mut dyn Sql,
    filter: &Filter,
) -> Result<Page<Attested<Credential>>, StoreError> {
    let mut doubted = None;
    for _ in 0..LOOKS_MAX {
        let (mut found, mut other) = (Vec::new(), None);
        let page = queries::list(sql, filter)?;
        for listed in page.items {
            let credential = there(node, sql, listed.operation)?;
            match queries::matches(filter, &credential) {
                true => found.push(credential),
                false => {
                    other = Some(credential);
                    break;
                }
            }
        }
        // It may have been concluded or revoked since the list was read; a list that is read after we know that says so too.
        match other {
            None => return Ok(Page { items: found, next: page.next }),
            Some(other) if doubted == Some(other.operation) => {
                let says = format!("a list has it among what it is not: it is {}", other.state);
                return Err(refused(node, &place(other.operation), &says));
            }
            Some(other) => {
                doubted = Some(other.operation);
                node.follow(sql, false)?;
            }
        }
    }
    Err(StoreError::Busy { retry_after_secs: RETRY_AFTER_SECS })
}

/// An operation that an index names.
fn there(node: &Node, sql: &mut dyn Sql, operation: u64) -> Result<Attested<Credential>, StoreError> {
    credential(node, sql, operation)?.ok_or_else(|| refused(node, &place(operation), "the row was deleted"))
}

fn place(operation: u64) -> String {
    format!("intent op={operation}")
}

/// Lists read again because something on them moved.
const LOOKS_MAX: usize = 16;
