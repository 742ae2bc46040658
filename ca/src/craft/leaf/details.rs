//! What the register keeps of a certificate beside its bytes.

use std::collections::BTreeSet;

use policy::{Action, Actor, Role};
use serde_json::{Value, json};
use store::{Attested, Credential};

use crate::profiles::Profile;

/// The profile whose certificates log in to the API.
pub const LOGIN_PROFILE: &str = "tls-client";

/// What is known of a certificate beside its bytes. A login keeps to the scopes of the token it was asked for with: a token
/// that may do one thing must not make itself a login that may do more. A host's agent comes again before it ends.
/// What its CSR asked for and did not get stands there too.
pub(crate) fn details(actor: &Actor, profile: &Profile, renew: bool, left_out: &[String]) -> Value {
    let mut details = json!({ "renew": renew });
    if let (true, Some(map)) = (actor.roles.contains(&Role::Agent), details.as_object_mut()) {
        map.insert(AGENT.to_owned(), Value::Bool(true));
    }
    if let (false, Some(map)) = (left_out.is_empty(), details.as_object_mut()) {
        map.insert(LEFT_OUT.to_owned(), json!(left_out));
    }
    if let (Some(scopes), true, Some(map)) = (&actor.scopes, profile.name() == LOGIN_PROFILE, details.as_object_mut()) {
        map.insert(SCOPES.to_owned(), json!(scopes));
    }
    details
}

/// Says in the details of a certificate which request it comes of, and who approved that.
pub(crate) fn approved_by(details: &mut Value, request: &str, by: Vec<String>) -> Vec<String> {
    if let Some(map) = details.as_object_mut() {
        map.insert("request".to_owned(), json!(request));
        map.insert("approved".to_owned(), json!(by));
    }
    by
}

/// The actions that a login is limited to; `Ok(None)`: no limit. An error: the register says something that is no action.
pub fn login_scopes(credential: &Credential) -> Result<Option<BTreeSet<Action>>, serde_json::Error> {
    credential.details.get(SCOPES).map(|scopes| serde_json::from_value(scopes.clone())).transpose()
}

/// What the CSR of a certificate asked for and did not get: extensions that programs send by habit, by name.
pub fn left_out(credential: &Credential) -> Vec<String> {
    let listed = credential.details.get(LEFT_OUT).and_then(Value::as_array);
    listed.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Says in the details of a certificate that it takes the place of another one, whatever its names.
pub(crate) fn in_place_of(details: &mut Value, old: &Attested<Credential>) {
    let Some(map) = details.as_object_mut() else { return };
    map.insert(RENEWS.to_owned(), json!(old.serial_hex()));
    if let Some(family) = old.family() {
        map.insert(FAMILY.to_owned(), json!(family));
    }
}

/// Whether its details, and not its names, say of which family it is.
pub(crate) fn told_family(credential: &Credential) -> bool {
    credential.details.get(FAMILY).is_some()
}

pub(crate) fn successor_details(old: &Credential) -> Value {
    let mut details =
        json!({ "renew": old.details.get("renew").cloned().unwrap_or(Value::Bool(false)), RENEWS: old.serial_hex() });
    for kept in ["key", SCOPES, AGENT, FAMILY] {
        if let (Some(value), Some(map)) = (old.details.get(kept), details.as_object_mut()) {
            map.insert(kept.to_owned(), value.clone());
        }
    }
    details
}

/// Of a certificate that an agent asked for, as the register reads it (`store::Renewer`).
const AGENT: &str = "agent";
/// Of a successor, as the register reads them: the serial of the one it renews, and the family where its names do not say it.
const RENEWS: &str = "renews";
const FAMILY: &str = "family";
/// Of a login's details: the actions it is limited to.
const SCOPES: &str = "scopes";
/// Of any certificate: what its CSR asked for and did not get.
const LEFT_OUT: &str = "left_out";
