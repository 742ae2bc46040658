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
    /// For how many seconds each may be kept, of those that may.
    pub leases: HashMap<Reference, u64>,
    /// What was optional, and is not to be had.
    pub gone: Vec<Reference>,
    /// What the server says of some of them beside their values.
    pub said: BTreeSet<String>,
}

/// Nothing was fetched.
pub struct Missed {
    /// Why.
    pub failure: Failure,
    /// What the server has refused, or has not any more.
    pub gone: Gone,
}

/// What is not to be had any more, whatever was kept of it.
pub enum Gone {
    /// Nobody said so of anything.
    Nothing,
    /// These.
    These(Vec<Reference>),
    /// The caller himself is refused.
    All,
}

impl From<Failure> for Missed {
    fn from(failure: Failure) -> Self {
        let gone = if failure.exit() == Exit::Refused { Gone::All } else { Gone::Nothing };
        Self { failure, gone }
    }
}

/// Asks for all of them. Those of one batch are of one moment, and those that one rule allows share one entry of the log.
///
/// Those that are optional are left out where they are not to be had. `keep_secs`: for so many seconds they would be kept; the log says until when.
pub async fn fetch(
    client: &Client,
    (references, optional): (&HashSet<Reference>, &HashSet<Reference>),
    keep_secs: u64,
) -> Result<Fetched, Missed> {
    if references.len() > REFERENCES_MAX {
        let says = format!("{} secrets are more than one command asks for: {REFERENCES_MAX}", references.len());
        return Err(Failure::new(Exit::Usage, says).help("name fewer at once").into());
    }
    let mut asked: Vec<(String, &Reference)> = references.iter().map(|one| (one.to_string(), one)).collect();
    // The same question each time, whatever order a set has.
    asked.sort_by(|one, other| one.0.cmp(&other.0));
    let (mut fetched, mut missing) = (Fetched::default(), Vec::new());
    let mut gone = Vec::new();
    for batch in asked.chunks(BATCH) {
        let texts: Vec<&str> = batch.iter().map(|(text, _)| text.as_str()).collect();
        let answer = client.post_hidden("/api/v1/secret-values", &asking(&texts, keep_secs)).await?;
        // What the reader would say of it could quote a value.
        let answers = serde_json::from_slice::<Answers>(&answer).map_err(|_| unknown())?;
        if answers.items.len() != batch.len() {
            return Err(unknown().into());
        }
        for ((text, reference), answer) in batch.iter().zip(answers.items) {
            if let Err(because) = fetched.take(reference, answer) {
                let is_final = because.is_final();
                if is_final {
                    gone.push((*reference).clone());
                }
                if is_final && optional.contains(reference) {
                    continue;
                }
                missing.push(because.of(text));
            }
        }
    }
    match missing.is_empty() {
        true => Ok(Fetched { gone, ..fetched }),
        false => Err(Missed { failure: told(&missing, asked.len()), gone: Gone::These(gone) }),
    }
}

/// A server that knows nothing of caches is not asked for one.
fn asking(texts: &[&str], keep_secs: u64) -> serde_json::Value {
    match keep_secs {
        0 => json!({ "references": texts }),
        secs => json!({"references": texts, "keep_secs": secs}),
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
        self.said.append(&mut held.said.drain(..).map(|said| format!("{}: {said}", reference.path)).collect());
        self.leases.extend(held.lease.map(|lease| (reference.clone(), lease.secs)));
        Ok(())
    }
}

/// Why there is no value.
struct Absent {
    status: u16,
    because: String,
}

impl Absent {
    /// Refused, not there, or out of use.
    fn is_final(&self) -> bool {
        matches!(self.status, 401 | 403 | 404 | 410)
    }

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
