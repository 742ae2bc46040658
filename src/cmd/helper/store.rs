//! What a program has tried with success and wants kept: written where its entry says, and only where that is another than what is there.

use std::collections::{BTreeMap, HashSet};

use secrets::{Reference, Which};
use serde_json::{Value, json};

use super::map::Words;
use crate::Global;
use crate::cmd::deliver::source::{Source, Sourcing};
use crate::failure::{Exit, Failure};

/// Where a login stands.
pub struct Login<'a> {
    /// Who.
    pub username: &'a Words,
    /// His password.
    pub password: &'a Reference,
}

/// Writes it as a new version of what it refers to. A login of another user than the entry's is none of its.
pub async fn store(
    login: &Login<'_>,
    username: &str,
    password: &str,
    sourcing: Sourcing,
    global: &Global,
) -> Result<(), Failure> {
    if login.username.is_other(username) {
        return Ok(());
    }
    delivery::be_quiet();
    let told = login.username.reference().map(|reference| (reference, username));
    let told: Vec<(&Reference, &str)> = told.into_iter().chain([(login.password, password)]).collect();
    let wanted: HashSet<Reference> = told.iter().map(|(reference, _)| (*reference).clone()).collect();
    let source = Source::open(sourcing, global)?;
    // What is not there yet, or may be written and not read, is written.
    let there = source.live(&wanted, &wanted).await?.values;
    let is_there = |(reference, text): &(&Reference, &str)| {
        there.get(reference).is_some_and(|value| value.expose() == text.as_bytes())
    };
    let mut secrets: BTreeMap<String, serde_json::Map<String, Value>> = BTreeMap::new();
    for (reference, text) in told.into_iter().filter(|one| !is_there(one)) {
        if !matches!(&reference.which, Which::Label(label) if label.as_str() == CURRENT) {
            let says = format!("{reference} is a version of its own, and nothing is written over it");
            return Err(Failure::new(Exit::Failed, says).help("refer to the current one, without @"));
        }
        let fields = secrets.entry(reference.path.to_string()).or_default();
        fields.insert(reference.field.as_str().to_owned(), Value::from(text));
    }
    for (path, fields) in secrets {
        source.client().put(&format!("/api/v1/secrets/{path}"), &json!({ "fields": fields })).await?;
    }
    Ok(())
}

/// The label that a new version has.
const CURRENT: &str = "current";
