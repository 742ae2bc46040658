//! Whether something changed, as the server tells it.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use secrets::{Reference, SecretPath, Which};
use serde_json::Value;

use super::source::jittered;
use crate::client::Client;
use crate::failure::{Exit, Failure};
use crate::parts::changes::{Changes, Heard, common};

/// Between two questions to a server that is away, doubled up to the longest.
const AGAIN_MIN: Duration = Duration::from_secs(1);
const AGAIN_MAX: Duration = Duration::from_secs(30);

/// Who listens for changes of some secrets.
pub struct Ear {
    paths: HashSet<SecretPath>,
    changes: Changes,
    /// The server tells nobody, or not this caller: it is not asked again.
    is_deaf: bool,
    /// Why, until it is said.
    because: Option<Failure>,
}

impl Ear {
    /// For what moves of these.
    pub fn new(references: &HashSet<Reference>) -> Self {
        let moving = references.iter().filter(|one| matches!(one.which, Which::Label(_)));
        let paths: HashSet<SecretPath> = moving.map(|one| one.path.clone()).collect();
        Self { changes: Changes::new(common(&paths), None), is_deaf: paths.is_empty(), because: None, paths }
    }

    /// Rests until something changed, or until something else is due; where nobody tells, for a pause. Then it is worth a look.
    pub async fn rest(&mut self, client: &Client, pause: Duration, due: Duration) {
        let end = Instant::now() + due;
        let (mut heard_at, mut again) = (Instant::now(), AGAIN_MIN);
        while !self.is_deaf {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            // What was written before there was a place to stand is seen by a look.
            let is_first = self.changes.cursor().is_none();
            match self.changes.next(client, left).await {
                Ok(heard) if is_first || self.is_ours(&heard) => return,
                Ok(_) => (heard_at, again) = (Instant::now(), AGAIN_MIN),
                // It is away, or has no place for one more: it is asked again, and after the pause it is worth a look all the same.
                Err(failure) if failure.exit() == Exit::Unavailable => {
                    let rest = pause.saturating_sub(heard_at.elapsed()).min(left);
                    if rest.is_zero() {
                        return;
                    }
                    tokio::time::sleep(jittered(again).min(rest)).await;
                    again = again.saturating_mul(2).min(AGAIN_MAX);
                }
                // It is said, and looked, at once; from then on after each pause.
                Err(failure) => {
                    (self.is_deaf, self.because) = (true, Some(failure));
                    return;
                }
            }
        }
        tokio::time::sleep(pause.min(end.saturating_duration_since(Instant::now()))).await;
    }

    /// Why nobody tells, in words, once; not of a caller whom the server does not know: whatever else he asks for says that.
    pub fn why_deaf(&mut self) -> Option<String> {
        let failure = self.because.take().filter(|failure| !failure.is_of_nobody())?;
        Some(match failure.is_missing() {
            true => "the server is older than this program, and tells nobody of changes".to_owned(),
            false => format!("the server does not tell of changes here: {}", failure.message()),
        })
    }

    fn is_ours(&self, heard: &Heard) -> bool {
        let path = |item: &Value| item.get("path").and_then(Value::as_str)?.parse::<SecretPath>().ok();
        heard.reset.is_some() || heard.items.iter().filter_map(path).any(|path| self.paths.contains(&path))
    }
}
