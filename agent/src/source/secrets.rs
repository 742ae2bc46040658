//! Secrets from a Chancery server: two questions. Where do the labels stand (nothing is opened, and nothing is in the log), and what are
//! the values, all of one moment (one entry of the log).

use std::collections::{BTreeMap, BTreeSet, HashSet};

use delivery::cache::KeptRead;
use delivery::exchange::{Absent, CACHE_READS, Fetched, NoAnswer, VALUES, asking, telling, told};
use policy::World;
use reqwest::StatusCode;
use secrets::{Reference, Which};
use serde::Deserialize;

use super::http::Answer;
use super::server::{ask, problem, problem_of};
use crate::error::AgentError;
use crate::plan::Server;

/// How everything that some references lead to stands: another one is seen when anything of it moves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sight(BTreeMap<String, String>);

/// What a server says of a secret without its values.
#[derive(Deserialize)]
struct Shown {
    labels: BTreeMap<String, u64>,
    deleted: Option<String>,
    #[serde(default = "yes")]
    readable: bool,
    #[serde(default)]
    versions: Vec<ShownVersion>,
}

#[derive(Deserialize)]
struct ShownVersion {
    number: u64,
    state: String,
    /// Fields that stand for fields of other secrets.
    #[serde(default)]
    references: BTreeMap<String, String>,
}

/// An older server says nothing of it, and is asked for the values.
fn yes() -> bool {
    true
}

/// How all of these stand now, and what they stand for in their turn.
pub(crate) async fn look(world: &World, server: &Server, references: &HashSet<Reference>) -> Result<Sight, AgentError> {
    let (mut sight, mut shown): (BTreeMap<String, String>, BTreeMap<String, Shown>) = Default::default();
    let mut next: BTreeSet<String> = references.iter().map(Reference::to_string).collect();
    for _ in 0..STEPS_MAX {
        let mut after = BTreeSet::new();
        for text in std::mem::take(&mut next) {
            // What a server names as a reference and is none is its own affair: the values are what counts.
            let Ok(reference) = text.parse::<Reference>() else { continue };
            let path = reference.path.to_string();
            if !shown.contains_key(&path) {
                shown.insert(path.clone(), show(world, server, &path).await?);
            }
            let Some(secret) = shown.get(&path) else { continue };
            let (stands, inner) = secret.stands(&reference);
            sight.insert(text, stands);
            after.extend(inner.filter(|inner| !sight.contains_key(inner)));
        }
        next = after;
    }
    Ok(Sight(sight))
}

impl Shown {
    /// At which version, whether that is in use, and what its field is a reference to.
    fn stands(&self, reference: &Reference) -> (String, Option<String>) {
        let number = match &reference.which {
            Which::Version(number) => Some(number.get()),
            Which::Label(label) => self.labels.get(&label.to_string()).copied(),
        };
        let version = self.versions.iter().find(|version| Some(version.number) == number);
        let state = version.map_or("", |version| version.state.as_str());
        let inner = version.and_then(|version| version.references.get(reference.field.as_str()));
        let says = format!("{number:?} {state} {} {}", self.deleted.is_some(), self.readable);
        (says, inner.cloned())
    }
}

async fn show(world: &World, server: &Server, path: &str) -> Result<Shown, AgentError> {
    let get = |client: &reqwest::Client| client.get(format!("{}/api/v1/secrets/{path}", server.url));
    let answer = ask(world, server, SHOWN_BYTES_MAX, get).await?;
    success(world, server, &answer)?;
    serde_json::from_slice(&answer.body).map_err(|_| none(server, NoAnswer))
}

/// What came of a question for values.
pub(crate) struct Came {
    pub fetched: Fetched,
    /// What did not come; nothing of a file is used then.
    pub absent: Vec<Absent>,
}

/// The values of all of these, of one moment.
pub(crate) async fn values(
    world: &World,
    server: &Server,
    references: &HashSet<Reference>,
    keep_secs: u64,
) -> Result<Came, AgentError> {
    let mut asked: Vec<&Reference> = references.iter().collect();
    // The same question each time, whatever order a set has.
    asked.sort_by_key(|reference| reference.to_string());
    let body = asking(&asked, keep_secs);
    let post = |client: &reqwest::Client| client.post(format!("{}{VALUES}", server.url)).json(&body);
    let answer = ask(world, server, VALUES_BYTES_MAX, post).await?;
    success(world, server, &answer)?;
    let mut fetched = Fetched::default();
    let absent = fetched.take(&asked, &answer.body).map_err(|error| none(server, error))?;
    Ok(Came { fetched, absent })
}

/// Tells what was read from the cache while the server was away; answers what need not be told again.
pub(crate) async fn tell(world: &World, server: &Server, reads: &[KeptRead]) -> Result<Vec<KeptRead>, AgentError> {
    let body = telling(reads);
    let post = |client: &reqwest::Client| client.post(format!("{}{CACHE_READS}", server.url)).json(&body);
    let answer = ask(world, server, SHOWN_BYTES_MAX, post).await?;
    success(world, server, &answer)?;
    let answer = serde_json::from_slice(&answer.body).map_err(|_| none(server, NoAnswer))?;
    Ok(told(reads, &answer))
}

/// Another program may answer 500 as it likes; a server that is away, or has something before it, says 502 to 504. An older one of ours
/// says 500 of a reading that it could not write down, and showed nothing.
pub(super) fn success(world: &World, server: &Server, answer: &Answer) -> Result<(), AgentError> {
    match answer.status {
        status if status.is_success() => Ok(()),
        StatusCode::INTERNAL_SERVER_ERROR if problem_of(answer).r#type == OUTCOME_UNKNOWN => {
            Err(problem(&server.url, answer, world.now()))
        }
        StatusCode::INTERNAL_SERVER_ERROR | StatusCode::NOT_IMPLEMENTED => {
            let why = format!("it answered {}", answer.status);
            Err(AgentError::Broken { who: server.url.clone(), why })
        }
        _ => Err(problem(&server.url, answer, world.now())),
    }
}

pub(super) fn none(server: &Server, error: NoAnswer) -> AgentError {
    AgentError::Broken { who: server.url.clone(), why: error.to_string() }
}

/// What a server calls it that does not know whether something was written.
const OUTCOME_UNKNOWN: &str = "urn:chancery:problem:outcome-unknown";
/// A reference leads through four others at most, as the server has it.
const STEPS_MAX: usize = 5;
/// A secret with all its versions is some dozens of KiB.
const SHOWN_BYTES_MAX: usize = 1 << 20;
/// The values of one file: its text has a mebibyte at most, and JSON may write a byte as six.
const VALUES_BYTES_MAX: usize = 8 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(json: &str) -> Shown {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_reading_that_an_older_server_does_not_know_the_outcome_of_counts_as_away() {
        let url = "https://ca.test".to_owned();
        let server = Server { url, ca_file: "roots.pem".into(), client: None, token_file: None };
        let of = |body: &str| {
            let body = zeroize::Zeroizing::new(body.as_bytes().to_vec());
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            success(&World::real(), &server, &Answer { status, headers: reqwest::header::HeaderMap::new(), body })
        };
        let unknown = of(r#"{"type": "urn:chancery:problem:outcome-unknown", "title": "The outcome is unknown"}"#);
        assert!(unknown.is_err_and(|error| error.is_away()));
        for other in [r#"{"type": "urn:chancery:problem:internal"}"#, "<html>"] {
            assert!(of(other).is_err_and(|error| !error.is_away()), "{other}");
        }
    }

    #[test]
    fn whatever_moves_is_seen() {
        let reference: Reference = "chy://prod/db#password".parse().unwrap();
        let as_it_is = r#"{"labels": {"current": 3}, "deleted": null, "readable": true,
            "versions": [{"number": 3, "state": "enabled", "references": {"url": "chy://other#x"}}]}"#;
        let stands = |json: &str| shown(json).stands(&reference).0;
        for (from, to) in [
            ("\"current\": 3", "\"current\": 4"),
            ("\"current\": 3", "\"other\": 3"),
            ("enabled", "disabled"),
            ("null", "\"2026-01-01T00:00:00Z\""),
            ("\"readable\": true", "\"readable\": false"),
        ] {
            assert!(as_it_is.contains(from));
            assert_ne!(stands(as_it_is), stands(&as_it_is.replace(from, to)), "{to}");
        }
        assert_eq!(stands(as_it_is), stands(&as_it_is.replace("\"readable\": true,", "")), "an older server");
        // What a field stands for is looked at too, and that of another field is not.
        assert_eq!(shown(as_it_is).stands(&reference).1, None);
        let url: Reference = "chy://prod/db#url@3".parse().unwrap();
        assert_eq!(shown(as_it_is).stands(&url).1.as_deref(), Some("chy://other#x"));
    }
}
