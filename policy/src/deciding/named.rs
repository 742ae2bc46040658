//! Whose ids the policies name. Of whoever they do not name they see what he is alone: his roles, his owners, his proof.
//!
//! Read from Cedar's JSON of a policy, and on the safe side: where an id is used in any other way than compared with a text, it may be
//! anybody's.

use std::collections::BTreeSet;

use serde_json::Value;

/// The ids that policies tell from others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    /// These.
    These(BTreeSet<String>),
    /// Nobody can say which: each is told from each.
    Anybody,
}

impl Named {
    /// Those that one policy names; none: it cannot be read.
    pub(crate) fn by(policy: Option<&Value>) -> Named {
        let mut ids = BTreeSet::new();
        let is_understood = policy.is_some_and(|policy| {
            let conditions = policy.get("conditions").and_then(Value::as_array);
            scope(policy.get("principal"), &mut ids)
                && conditions.is_some_and(|all| {
                    all.iter().all(|condition| condition.get("body").is_some_and(|body| expression(body, &mut ids)))
                })
        });
        if is_understood { Named::These(ids) } else { Named::Anybody }
    }

    /// Those that several name; none: of that one nothing is known.
    pub(crate) fn all<'a>(several: impl Iterator<Item = Option<&'a Named>>) -> Named {
        let mut all = BTreeSet::new();
        for named in several {
            match named {
                Some(Named::These(ids)) => all.extend(ids.iter().cloned()),
                Some(Named::Anybody) | None => return Named::Anybody,
            }
        }
        Named::These(all)
    }

    /// Whether this one may be named.
    pub(crate) fn has(&self, id: &str) -> bool {
        match self {
            Named::These(ids) => ids.contains(id),
            Named::Anybody => true,
        }
    }
}

/// Whom the head of a policy is for; false where that was not understood.
fn scope(principal: Option<&Value>, ids: &mut BTreeSet<String>) -> bool {
    let Some(principal) = principal else { return false };
    let named = match principal.get("op").and_then(Value::as_str) {
        Some("All") => return true,
        Some("is") => match principal.get("in") {
            None => return true,
            Some(group) => member(group),
        },
        Some("==" | "in") => member(principal),
        Some(_) | None => None,
    };
    take(named, ids)
}

/// The ids that an expression compares with; false where it may do something else with one.
fn expression(value: &Value, ids: &mut BTreeSet<String>) -> bool {
    match value {
        Value::Object(parts) => parts.iter().all(|(operator, of)| operation(operator, of, ids)),
        Value::Array(parts) => parts.iter().all(|part| expression(part, ids)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}

fn operation(operator: &str, of: &Value, ids: &mut BTreeSet<String>) -> bool {
    let (left, right) = (of.get("left"), of.get("right"));
    match operator {
        "Value" => true,
        "Var" => of.as_str() != Some(PRINCIPAL),
        // Its keys are the policy's own words, and no operators.
        "Record" => of.as_object().is_some_and(|fields| fields.values().all(|field| expression(field, ids))),
        "==" | "!=" if is_id(left) => take(right.and_then(text), ids),
        "==" | "!=" if is_id(right) => take(left.and_then(text), ids),
        "==" | "!=" if is_principal(left) => take(right.and_then(literal_entity), ids),
        "==" | "!=" if is_principal(right) => take(left.and_then(literal_entity), ids),
        "contains" if is_id(right) => match left.and_then(|set| set.get("Set")).and_then(Value::as_array) {
            Some(texts) => texts.iter().all(|one| take(text(one), ids)),
            None => false,
        },
        "." if is_principal(left) => of.get("attr").and_then(Value::as_str).is_some_and(|attr| PLAIN.contains(&attr)),
        "has" if is_principal(left) => true,
        "is" if is_principal(left) && of.get("in").is_none() => true,
        _ => expression(of, ids),
    }
}

fn take(id: Option<&str>, ids: &mut BTreeSet<String>) -> bool {
    ids.extend(id.map(str::to_owned));
    id.is_some()
}

fn is_principal(value: Option<&Value>) -> bool {
    value.and_then(|value| value.get("Var")).and_then(Value::as_str) == Some(PRINCIPAL)
}

fn is_id(value: Option<&Value>) -> bool {
    let attribute = value.and_then(|value| value.get("."));
    attribute.is_some_and(|of| is_principal(of.get("left")) && of.get("attr").and_then(Value::as_str) == Some("id"))
}

fn text(value: &Value) -> Option<&str> {
    value.get("Value")?.as_str()
}

fn literal_entity(value: &Value) -> Option<&str> {
    entity(value.get("Value")?)
}

fn member(value: &Value) -> Option<&str> {
    entity(value.get("entity")?)
}

/// `{"type", "id"}`, with or without `__entity` around it.
fn entity(value: &Value) -> Option<&str> {
    value.get("__entity").unwrap_or(value).get("id")?.as_str()
}

const PRINCIPAL: &str = "principal";
/// What of an actor many have alike.
const PLAIN: [&str; 4] = ["roles", "owners", "proof", "strength"];
