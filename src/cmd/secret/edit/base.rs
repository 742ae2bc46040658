//! The version that is worked on.

use std::collections::{BTreeMap, HashSet};

use secrets::{Reference, SecretPath};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::cmd::deliver::source::Source;
use crate::failure::{Exit, Failure, OrFail};
use crate::output::field;

/// Fields that are text, by their names.
pub(super) type Shown = BTreeMap<String, Zeroizing<String>>;

/// What was there when it was opened.
pub(super) struct Base {
    /// The newest version's number: what is written is written upon this.
    pub newest: u64,
    /// The number of the version that is shown, the current one.
    pub version: u64,
    /// Who wrote the newest.
    pub by: String,
    /// Its fields, as far as they are text and its own.
    pub shown: Shown,
    /// Those that are not shown, and why.
    pub hidden: BTreeMap<String, &'static str>,
}

impl Base {
    /// Reads the current version by its number, without what is another secret's: an entry of the log.
    pub(super) async fn read(source: &Source, path: &SecretPath) -> Result<Base, Failure> {
        let none = || Failure::new(Exit::Failed, "the answer is none about secrets");
        let about = source.client().get(&format!("/api/v1/secrets/{path}")).await;
        let about = about.map_err(|failure| failure.help_if_missing("`chancery secret put` makes a secret"))?;
        let newest = about.get("newest").and_then(Value::as_u64).ok_or_else(none)?;
        let current = about.get("labels").and_then(|labels| labels.get("current")).and_then(Value::as_u64);
        let current = current.ok_or_else(|| Failure::new(Exit::Failed, "it has no current version"))?;
        let versions = about.get("versions").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let find = |number: u64| versions.iter().find(|one| one.get("number").and_then(Value::as_u64) == Some(number));
        let version = find(current).ok_or_else(none)?;
        let references = version.get("references").and_then(Value::as_object);
        let linked: Vec<&String> = references.into_iter().flat_map(|references| references.keys()).collect();
        let names = version.get("fields").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        let own = names.filter(|name| !linked.iter().any(|linked| linked == name));
        let wanted = own.map(|name| format!("chy://{path}#{name}@{current}").parse::<Reference>());
        let wanted: HashSet<Reference> =
            wanted.collect::<Result<_, _>>().or_fail("the answer is none about secrets")?;
        let values = source.live(&wanted, &HashSet::new()).await?.values;
        let linked = linked.into_iter().map(|name| (name.clone(), "a reference to another secret"));
        let (mut shown, mut hidden) = (Shown::new(), linked.collect::<BTreeMap<_, _>>());
        for (reference, value) in values.iter() {
            let name = reference.field.as_str().to_owned();
            match std::str::from_utf8(value.expose()).ok().filter(|text| is_text(text)) {
                Some(text) => drop(shown.insert(name, Zeroizing::new(text.to_owned()))),
                None => drop(hidden.insert(name, "no text")),
            }
        }
        let by = find(newest).map_or_else(String::new, |version| field(version, "by"));
        Ok(Base { newest, version: current, by, shown, hidden })
    }
}

/// What an editor shows as lines.
pub(super) fn is_text(text: &str) -> bool {
    text.chars().all(|c| !c.is_control() || matches!(c, '\n' | '\t' | '\r'))
}
