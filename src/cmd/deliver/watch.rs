//! Looks from time to time whether a label stands at another version, and brings the new values.
//!
//! A look opens nothing and so leaves nothing in the log: it asks where the labels stand. Only where one moved, all are asked for, as
//! one consistent set, in one entry.

use std::collections::{HashMap, HashSet};
use std::sync::mpsc::Sender;
use std::time::Duration;

use delivery::Values;
use secrets::{Reference, SecretPath, Which};
use serde_json::Value;

use super::fetch::{Fetched, fetch};
use crate::client::Client;
use crate::failure::{Exit, Failure};
use crate::output;

/// After failures the pause doubles up to this, or stays what was asked for where that is longer.
const PAUSE_MAX: Duration = Duration::from_secs(600);

/// What is watched.
pub struct Watch {
    /// Whom to ask.
    pub client: Client,
    /// For what.
    pub references: HashSet<Reference>,
    /// What the program has.
    pub versions: HashMap<Reference, u64>,
    /// Between two looks.
    pub every: Duration,
    /// Whether what is said is JSON.
    pub as_json: bool,
}

impl Watch {
    /// Goes on until nobody takes new values any more.
    pub async fn keep(mut self, tell: Sender<Values>) {
        let (mut pause, mut said) = (self.every, String::new());
        loop {
            tokio::time::sleep(pause).await;
            match self.look().await {
                Ok(found) => {
                    (pause, said) = (self.every, String::new());
                    if let Some(Fetched { values, versions, .. }) = found {
                        self.versions = versions;
                        if tell.send(values).is_err() {
                            return;
                        }
                    }
                }
                Err(failure) => {
                    pause = pause.saturating_mul(2).min(PAUSE_MAX.max(self.every));
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

    async fn look(&self) -> Result<Option<Fetched>, Failure> {
        let mut moving: HashMap<&SecretPath, Vec<&Reference>> = HashMap::new();
        for reference in &self.references {
            match &reference.which {
                Which::Label(_) => moving.entry(&reference.path).or_default().push(reference),
                Which::Version(_) => {}
            }
        }
        for (path, references) in moving {
            let secret = self.client.get(&format!("/api/v1/secrets/{path}")).await?;
            for reference in references {
                if stands_at(&secret, reference)? != self.versions.get(reference).copied() {
                    return fetch(&self.client, &self.references).await.map(Some);
                }
            }
        }
        Ok(None)
    }
}

/// At which version the label of a reference stands now.
fn stands_at(secret: &Value, reference: &Reference) -> Result<Option<u64>, Failure> {
    let labels = secret.get("labels");
    let at = labels.and_then(|labels| labels.get(reference.which.to_string())).and_then(Value::as_u64);
    let none = || Failure::new(Exit::Failed, format!("{reference} leads to no version any more"));
    at.map(Some).ok_or_else(none)
}
