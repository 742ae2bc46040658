//! Which public keys a host is to have, from a Chancery server, and what it is told that stands here.

use policy::World;
use reqwest::StatusCode;
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
    success(world, server, &answer).map_err(|error| of_agents(error, answer.status))?;
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
    success(world, server, &answer).map_err(|error| of_agents(error, answer.status))
}

/// The server names roles of people, and an agent has its own: what gives it the right is a policy.
fn of_agents(error: AgentError, status: StatusCode) -> AgentError {
    match error {
        AgentError::Refused { who, why } if status == StatusCode::FORBIDDEN => {
            let why = format!(
                "{why}; an agent has it by a policy of the server for its path: agents-keep-keys (docs/AGENT.md)"
            );
            AgentError::Refused { who, why }
        }
        other => other,
    }
}

const ANSWER_BYTES_MAX: usize = 64 << 10;
/// As the server has it, two are in force at once.
const KEYS_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_agent_may_not_know_names_the_policy_that_gives_it() {
        let refused = || AgentError::Refused { who: "https://ca".to_owned(), why: "403 Forbidden".to_owned() };
        let said = of_agents(refused(), StatusCode::FORBIDDEN).to_string();
        assert!(said.starts_with("https://ca refused: 403 Forbidden") && said.contains("agents-keep-keys"), "{said}");
        assert_eq!(of_agents(refused(), StatusCode::BAD_REQUEST).to_string(), "https://ca refused: 403 Forbidden");
    }
}
