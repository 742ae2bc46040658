//! What of a secret's record its rows in `keyword` follow from.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::nouns::keyword::Keywords;

#[derive(Deserialize)]
struct Said {
    #[serde(default)]
    description: String,
    #[serde(default)]
    tags: BTreeMap<String, String>,
    #[serde(default)]
    gone: bool,
}

/// Of a record of kind [`SECRET`](super::ward::SECRET): what is deleted can still be found by whoever looks for that, what is gone
/// cannot. None of a body that does not say what secrets say.
pub(crate) fn keywords_of(path: &str, body: &Value) -> Keywords {
    match Said::deserialize(body) {
        Ok(Said { description, tags, gone: false }) => Keywords::of(path, &description, &tags),
        Ok(Said { gone: true, .. }) | Err(_) => Keywords::default(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_record_has_the_words_of_its_path_its_description_and_its_tags_until_it_is_gone() {
        let words = |body: Value| keywords_of("a/b", &body).iter().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(words(json!({ "description": "To B", "tags": { "x": "y" } })), ["#x=y", "a", "b", "to"]);
        assert_eq!(words(json!({ "deleted": { "at": 1 } })), ["a", "b"]);
        assert_eq!(words(json!({ "gone": true })), [""; 0]);
        assert_eq!(words(json!({ "tags": 7 })), [""; 0]);
    }
}
