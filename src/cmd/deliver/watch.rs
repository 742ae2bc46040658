//! Hears from the server when a secret changes, looks whether a label stands at another version, and brings the new values. Where the
//! server tells nobody (it is older, it has no place for one more, or it is away) it looks from time to time instead.
//!
//! A look opens nothing and so leaves nothing in the log: it asks where the labels stand. Only where one moved, all are asked for, as
//! one consistent set, in one entry. What is kept in a cache is fetched again in time, so that it is at hand for as long as the server allows,
//! counted from the moment at which that went away and not from the program's start.

use std::collections::{HashMap, HashSet};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use delivery::Values;
use delivery::exchange::Fetched;
use secrets::{Reference, SecretPath, Which};
use serde_json::Value;

use super::ear::Ear;
use super::source::Source;
use crate::failure::{Exit, Failure};
use crate::output;

/// What failed is done again after this, or after the interval where that is shorter; doubled each time.
const RETRY_FIRST: Duration = Duration::from_secs(10);
/// Up to this.
const PAUSE_MAX: Duration = Duration::from_secs(600);

/// Nothing is done in less.
const PAUSE_MIN: Duration = Duration::from_secs(1);
/// Where nothing is due.
const A_LONG_TIME: Duration = Duration::from_secs(3600);

/// What is watched.
pub struct Watch {
    /// Whom to ask.
    pub source: Source,
    /// For what.
    pub references: HashSet<Reference>,
    /// What the program has.
    pub versions: HashMap<Reference, u64>,
    /// Between two looks, where nobody tells of changes.
    pub every: Duration,
    /// Whether what is said is JSON.
    pub as_json: bool,
    /// Whether nothing is said of what is no failure.
    pub quiet: bool,
    /// Whether the program is told of new versions; otherwise what is kept is kept fresh, and no more.
    pub is_told: bool,
    /// Whether the program began with what was kept: then the server is asked as soon as it is back.
    pub is_stale: bool,
}

impl Watch {
    /// Goes on until nobody takes new values any more. `leases`: for how many seconds what the program has is kept.
    pub async fn keep(mut self, tell: Sender<Values>, leases: HashMap<Reference, u64>) {
        let (mut pause, mut said) = (self.every, String::new());
        let mut ear = Ear::new(&self.references);
        let mut fresh_until =
            if self.is_stale { self.has_cache_at(Instant::now() + self.every) } else { self.half(&leases) };
        while self.is_told || fresh_until.is_some() {
            let due = fresh_until.map_or(A_LONG_TIME, |at| at.saturating_duration_since(Instant::now()));
            match (self.is_told, said.is_empty()) {
                (false, _) => tokio::time::sleep(due.max(PAUSE_MIN)).await,
                // What could not be brought is asked for again, whether or not more changes.
                (true, false) => tokio::time::sleep(pause.min(due).max(PAUSE_MIN)).await,
                (true, true) => ear.rest(self.source.client(), pause.max(PAUSE_MIN), due.max(PAUSE_MIN)).await,
            }
            if let Some(why) = ear.why_deaf().filter(|_| !self.quiet) {
                output::notice(&format!("{why}: asked every {} s instead", self.every.as_secs()), self.as_json);
            }
            let is_due = fresh_until.is_some_and(|at| at <= Instant::now());
            let looked = match is_due {
                true => self.source.live(&self.references, &HashSet::new()).await.map(Some),
                false => self.look().await,
            };
            match looked {
                Ok(found) => {
                    (pause, said) = (self.every, String::new());
                    let Some(Fetched { values, versions, leases, .. }) = found else { continue };
                    fresh_until = self.half(&leases);
                    let is_new = versions != self.versions;
                    self.versions = versions;
                    if is_new && self.is_told && tell.send(values).is_err() {
                        return;
                    }
                }
                // The token that was refused has another in its place: that one asks.
                Err(failure) if failure.exit() == Exit::Refused && self.source.renewed() => {
                    (pause, said, ear) = (PAUSE_MIN, failure.to_string(), Ear::new(&self.references));
                }
                Err(failure) => {
                    fresh_until = match (is_due, failure.exit()) {
                        (false, Exit::Unavailable) => fresh_until,
                        // What is refused goes from the cache, at once.
                        (false, _) => self.has_cache_at(Instant::now()),
                        (true, _) => self.has_cache_at(Instant::now() + pause),
                    };
                    pause = if said.is_empty() {
                        self.every.min(RETRY_FIRST)
                    } else {
                        pause.saturating_mul(2).min(PAUSE_MAX)
                    };
                    let failure = failure.help("the program goes on with the values that it has; asked again later");
                    let text = if self.as_json { failure.json().to_string() } else { failure.to_string() };
                    // The same trouble is said once.
                    if text != said {
                        output::say(&text);
                        said = text;
                    }
                }
            }
        }
    }

    /// When what is kept is fetched again: after half of what may be kept for the shortest time. Never, where the server lets nothing be kept.
    fn half(&self, leases: &HashMap<Reference, u64>) -> Option<Instant> {
        let shortest = Duration::from_secs(*leases.values().min()?) / 2;
        self.has_cache_at(Instant::now() + shortest.max(PAUSE_MIN))
    }

    fn has_cache_at(&self, at: Instant) -> Option<Instant> {
        self.source.has_cache().then_some(at)
    }

    async fn look(&self) -> Result<Option<Fetched>, Failure> {
        let mut moving: HashMap<&SecretPath, Vec<&Reference>> = HashMap::new();
        for reference in &self.references {
            match &reference.which {
                Which::Label(_) => moving.entry(&reference.path).or_default().push(reference),
                Which::Version(_) => {}
            }
        }
        for (path, references) in moving {
            let secret = self.source.client().get(&format!("/api/v1/secrets/{path}")).await?;
            for reference in references {
                if stands_at(&secret, reference)? != self.versions.get(reference).copied() {
                    return self.source.live(&self.references, &HashSet::new()).await.map(Some);
                }
            }
        }
        Ok(None)
    }
}

/// At which version the label of a reference stands now, which is one that is given out.
fn stands_at(secret: &Value, reference: &Reference) -> Result<Option<u64>, Failure> {
    if secret.get("deleted").is_some_and(|at| !at.is_null()) {
        return Err(Failure::new(Exit::Failed, format!("{reference} leads to a secret that is deleted")));
    }
    let labels = secret.get("labels");
    let at = labels.and_then(|labels| labels.get(reference.which.to_string())).and_then(Value::as_u64);
    let none = || Failure::new(Exit::Failed, format!("{reference} leads to no version any more"));
    let at = at.ok_or_else(none)?;
    let versions = secret.get("versions").and_then(Value::as_array).into_iter().flatten();
    let state = versions.filter(|one| one.get("number").and_then(Value::as_u64) == Some(at));
    match state.filter_map(|one| one.get("state")?.as_str()).find(|state| *state != IN_USE) {
        Some(state) => Err(Failure::new(Exit::Failed, format!("{reference} leads to version {at}, which is {state}"))),
        None => Ok(Some(at)),
    }
}

/// As the server calls a version that is given out.
const IN_USE: &str = "enabled";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_at_a_version_that_is_not_given_out_is_told() {
        let reference: Reference = "chy://prod/db#password".parse().unwrap();
        let secret = |state: &str| serde_json::json!({"labels": {"current": 3}, "versions": [{"number": 3, "state": state}, {"number": 2, "state": "destroyed"}]});
        assert_eq!(stands_at(&secret("enabled"), &reference).ok(), Some(Some(3)));
        for state in ["disabled", "expired", "early", "destroyed"] {
            let said = stands_at(&secret(state), &reference).err().map(|failure| failure.to_string());
            assert!(said.is_some_and(|said| said.contains(&format!("version 3, which is {state}"))), "{state}");
        }
        assert!(stands_at(&serde_json::json!({"labels": {}}), &reference).is_err());
        // Its label and its version are as they were.
        let mut deleted = secret("enabled");
        assert_eq!(deleted.as_object_mut().unwrap().insert("deleted".to_owned(), Value::Null), None);
        assert_eq!(stands_at(&deleted, &reference).ok(), Some(Some(3)));
        deleted["deleted"] = "2026-11-29T09:00:00Z".into();
        let said = stands_at(&deleted, &reference).err().map(|failure| failure.to_string());
        assert!(said.is_some_and(|said| said.contains("leads to a secret that is deleted")));
        assert_eq!(
            stands_at(&serde_json::json!({"labels": {"current": 3}}), &reference).ok(),
            Some(Some(3)),
            "an older server"
        );
    }
}
