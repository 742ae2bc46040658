//! Which public keys a host is to have, from a Chancery server, and what it is told that stands here.

use policy::World;
use serde::Deserialize;
use serde_json::json;

use super::secrets::{none, success};
use super::server::ask;
use crate::credential::{KeyLine, is_key};
use crate::error::AgentError;
use crate::plan::AuthorizedKeys;

#[derive(Deserialize)]
struct Shown {
    keys: Vec<ShownKey>,
}

#[derive(Deserialize)]
struct ShownKey {
    version: u64,
    line: String,
}

/// The keys that are in force.
pub(crate) async fn in_force(world: &World, plan: &AuthorizedKeys) -> Result<Vec<KeyLine>, AgentError> {
    let server = &plan.server;
    let get = |client: &reqwest::Client| client.get(format!("{}/api/v1/ssh-host-keys/{}", server.url, plan.secret));
    let answer = ask(world, server, ANSWER_BYTES_MAX, get).await?;
    success(world, server, &answer)?;
    let shown: Shown = serde_json::from_slice(&answer.body).map_err(|_| none(server, delivery::exchange::NoAnswer))?;
    let is_fit = shown.keys.len() <= KEYS_MAX && shown.keys.iter().all(|key| is_key(&key.line));
    match is_fit {
        true => Ok(shown.keys.into_iter().map(|key| KeyLine { version: key.version, line: key.line }).collect()),
        // Nothing of it is written: a line could be more than a key.
        false => Err(none(server, delivery::exchange::NoAnswer)),
    }
}

/// Says which of them stand here.
pub(crate) async fn report(world: &World, plan: &AuthorizedKeys, fingerprints: &[String]) -> Result<(), AgentError> {
    let server = &plan.server;
    let mut body = json!({ "fingerprints": fingerprints });
    if let Some(host) = &plan.host {
        body["host"] = json!(host);
    }
    let url = format!("{}/api/v1/ssh-host-reports/{}", server.url, plan.secret);
    let put = |client: &reqwest::Client| client.put(&url).json(&body);
    let answer = ask(world, server, ANSWER_BYTES_MAX, put).await?;
    success(world, server, &answer)
}

const ANSWER_BYTES_MAX: usize = 64 << 10;
/// As the server has it, two are in force at once.
const KEYS_MAX: usize = 16;
