//! What of a secret's record its row in `ward` follows from.

use std::collections::BTreeMap;

use policy::Timestamp;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

/// The kind of the records of secrets; their ids are paths.
pub(crate) const SECRET: &str = "secret";

/// The columns of a row that a record gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WardOf {
    pub id: String,
    pub owner: String,
    pub ends: Option<i64>,
    pub made: i64,
    pub pending: Option<i64>,
}

/// What a present record of a secret means for its row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// There is one.
    There(WardOf),
    /// There is none: it is out of use, or gone.
    Away(String),
}

#[derive(Deserialize)]
struct Said {
    life: u64,
    made: Option<Timestamp>,
    #[serde(default)]
    labels: BTreeMap<String, u64>,
    #[serde(default)]
    versions: Vec<Version>,
    #[serde(default)]
    rotated: bool,
    deleted: Option<IgnoredAny>,
    #[serde(default)]
    gone: bool,
}

#[derive(Deserialize)]
struct Version {
    number: u64,
    at: Timestamp,
    expires: Option<Timestamp>,
}

/// Of a record of kind [`SECRET`], written at `at`; none of one that does not say what secrets say.
pub(crate) fn ward_of(path: &str, owner: Option<&str>, at: i64, body: &Value) -> Option<Standing> {
    let said = Said::deserialize(body).ok()?;
    let id = format!("{path}@{}", said.life);
    if said.gone || said.deleted.is_some() {
        return Some(Standing::Away(id));
    }
    let labelled = |label: &str| {
        let number = said.labels.get(label)?;
        said.versions.iter().find(|version| version.number == *number)
    };
    let ends = labelled("current").and_then(|version| version.expires).map(Timestamp::unix);
    let pending = labelled("pending").filter(|_| !said.rotated).map(|version| version.at.unix());
    let made = said.made.map_or(at, Timestamp::unix);
    Some(Standing::There(WardOf { id, owner: owner.unwrap_or_default().to_owned(), ends, made, pending }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_row_follows_from_what_the_record_says_of_its_labels() {
        let at = |secs| Timestamp::from_unix(secs).to_string();
        let mut body = json!({ "life": 2, "made": at(5), "labels": { "current": 1, "pending": 2 }, "versions": [
            { "number": 1, "at": at(5), "expires": at(90) }, { "number": 2, "at": at(7) }] });
        let there = |body: &Value| match ward_of("a/b", Some("web"), 8, body) {
            Some(Standing::There(ward)) => ward,
            other => panic!("{other:?}"),
        };
        let ward = WardOf { id: "a/b@2".into(), owner: "web".into(), ends: Some(90), made: 5, pending: Some(7) };
        assert_eq!(there(&body), ward);
        body["rotated"] = json!(true);
        assert_eq!(there(&body).pending, None, "a rotation has alarms of its own");
        body["made"] = json!(null);
        assert_eq!(there(&body).made, 8, "of a record from before there was a word for it");
        body["deleted"] = json!({ "at": at(9) });
        assert_eq!(ward_of("a/b", None, 8, &body), Some(Standing::Away("a/b@2".into())));
        assert_eq!(ward_of("a/b", None, 8, &json!({ "gone": true })), None);
    }
}
