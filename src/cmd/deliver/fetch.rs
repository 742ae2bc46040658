//! The values that references stand for, asked of the server many at a time: all of them, or a failure that names each that is missing.

use std::collections::{BTreeSet, HashMap, HashSet};

use delivery::Values;
use secrets::Reference;
use serde_json::json;

use super::hidden::{Answer, Answers};
use crate::client::Client;
use crate::failure::{Exit, Failure};

/// So many are asked for at once: what the server takes (`store::ACCESSED_MAX`).
const BATCH: usize = store::ACCESSED_MAX;
/// So many different ones one command asks for: 16 requests.
const REFERENCES_MAX: usize = 1024;

/// What was fetched.
#[derive(Default)]
pub struct Fetched {
    /// The values.
    pub values: Values,
    /// Which version each of them is of.
    pub versions: HashMap<Reference, u64>,
    /// The entries of the log that say so.
    pub leaves: BTreeSet<u64>,
}

/// Asks for all of them. Those of one batch are of one moment, and those that one rule allows share one entry of the log.
pub async fn fetch(client: &Client, references: &HashSet<Reference>) -> Result<Fetched, Failure> {
    if references.len() > REFERENCES_MAX {
        let says = format!("{} secrets are more than one command asks for: {REFERENCES_MAX}", references.len());
        return Err(Failure::new(Exit::Usage, says).help("name fewer at once"));
    }
    let mut asked: Vec<(String, &Reference)> = references.iter().map(|one| (one.to_string(), one)).collect();
    // The same question each time, whatever order a set has.
    asked.sort_by(|one, other| one.0.cmp(&other.0));
    let (mut fetched, mut missing) = (Fetched::default(), Vec::new());
    for batch in asked.chunks(BATCH) {
        let texts: Vec<&str> = batch.iter().map(|(text, _)| text.as_str()).collect();
        let answer = client.post_hidden("/api/v1/secret-values", &json!({ "references": texts })).await?;
        // What the reader would say of it could quote a value.
        let answers = serde_json::from_slice::<Answers>(&answer).map_err(|_| unknown())?;
        if answers.items.len() != batch.len() {
            return Err(unknown());
        }
        for ((text, reference), answer) in batch.iter().zip(answers.items) {
            if let Err(because) = fetched.take(reference, answer) {
                missing.push(because.of(text));
            }
        }
    }
    match missing.is_empty() {
        true => Ok(fetched),
        false => Err(told(&missing, asked.len())),
    }
}

impl Fetched {
    fn take(&mut self, reference: &Reference, answer: Answer) -> Result<(), Absent> {
        let Answer { secret, error, status } = answer;
        let absent = || Absent { status, because: error.unwrap_or_else(|| "the server does not say why".to_owned()) };
        let Some(mut held) = secret else { return Err(absent()) };
        let Some(field) = held.fields.remove(reference.field.as_str()) else { return Err(absent()) };
        let mut bytes = field.0;
        let values = std::mem::take(&mut self.values);
        self.values = values.with(reference.clone(), std::mem::take(&mut *bytes));
        self.versions.insert(reference.clone(), held.version);
        self.leaves.insert(held.leaf);
        Ok(())
    }
}

/// Why there is no value.
struct Absent {
    status: u16,
    because: String,
}

impl Absent {
    fn of(self, reference: &str) -> Self {
        Self { because: format!("{reference}: {}", self.because), ..self }
    }
}

/// Each that is missing, and why. That one may be had later counts only where all others can be had.
fn told(missing: &[Absent], of: usize) -> Failure {
    let all = |is: fn(u16) -> bool| missing.iter().all(|absent| is(absent.status));
    let later = |status| matches!(status, 429 | 502..=504);
    let refused = |status| matches!(status, 401 | 403);
    let exit = match (all(later), all(refused)) {
        (true, _) => Exit::Unavailable,
        (false, true) => Exit::Refused,
        (false, false) => Exit::Failed,
    };
    let says = format!("{} of {of} {} cannot be had", missing.len(), if of == 1 { "secret" } else { "secrets" });
    let failure = missing.iter().fold(Failure::new(exit, says), |failure, absent| failure.since(&absent.because));
    let is_any_refused = missing.iter().any(|absent| refused(absent.status));
    match (exit, is_any_refused) {
        (Exit::Unavailable, _) => failure.help("ask again in a moment"),
        (_, true) => {
            failure.help("an administrator gives the right: a token with the role secret-reader and their owner")
        }
        (_, false) => failure.help("look what is there: `chancery secret list`"),
    }
}

fn unknown() -> Failure {
    Failure::new(Exit::Failed, "the answer is none about secrets").help("is this program as new as the server?")
}
