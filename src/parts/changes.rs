//! What changes of secrets, heard of the server as it happens: one question at a time, which the server answers when there is something.

use std::time::{Duration, Instant};

use secrets::SecretPath;
use serde_json::Value;

use crate::client::{Client, percent};
use crate::failure::{Exit, Failure};
use crate::output::field;

/// What the server waits for at most.
const WAIT_MAX: Duration = Duration::from_secs(20);
/// An answer without anything that came before its time is not asked for again in less.
const PAUSE_MIN: Duration = Duration::from_secs(1);

/// A place in the stream.
pub struct Changes {
    within: Option<SecretPath>,
    cursor: Option<String>,
}

/// An answer.
pub struct Heard {
    /// What changed, in the order of the log.
    pub items: Vec<Value>,
    /// Why nothing can be told from where one stood, where that is so: `old` or `other-log`.
    pub reset: Option<String>,
}

impl Changes {
    /// At a path and below it, or everywhere; from a cursor on, or from now.
    pub fn new(within: Option<SecretPath>, since: Option<String>) -> Self {
        Self { within, cursor: since }
    }

    /// Where one stands; none before the first answer.
    pub fn cursor(&self) -> Option<&str> {
        self.cursor.as_deref()
    }

    /// The next answer: at once where there is something, else when there is, or when the time is over, then without anything.
    pub async fn next(&mut self, client: &Client, wait: Duration) -> Result<Heard, Failure> {
        // Without a place to stand there is nothing to wait for: the first answer gives one.
        let wait = if self.cursor.is_none() { Duration::ZERO } else { wait.min(WAIT_MAX) };
        let asked = Instant::now();
        let mut query = vec![format!("wait={}", wait.as_secs())];
        query.extend(self.within.iter().map(|within| format!("within={}", percent(within.as_str()))));
        query.extend(self.cursor.iter().map(|cursor| format!("since={}", percent(cursor))));
        let mut answer = client.get(&format!("/api/v1/secret-changes?{}", query.join("&"))).await?;
        let next = answer.get("next").and_then(Value::as_str).map(str::to_owned);
        let next = next.ok_or_else(|| {
            let none = Failure::new(Exit::Failed, "the answer is none about changes");
            none.help("is this program as new as the server?")
        })?;
        let items = match answer.get_mut("items").map(Value::take) {
            Some(Value::Array(items)) => items,
            Some(_) | None => Vec::new(),
        };
        let has_more = answer.get("more").and_then(Value::as_bool).unwrap_or(false);
        let reset = answer.get("reset").is_some_and(|why| !why.is_null()).then(|| field(&answer, "reset"));
        self.cursor = Some(next);
        if items.is_empty() && reset.is_none() && !has_more {
            let least = wait.min(PAUSE_MIN);
            tokio::time::sleep(least.saturating_sub(asked.elapsed())).await;
        }
        Ok(Heard { items, reset })
    }
}

/// The path below which all of these stand; none where that is everywhere.
pub fn common<'a>(paths: impl IntoIterator<Item = &'a SecretPath>) -> Option<SecretPath> {
    let mut paths = paths.into_iter();
    let mut levels: Vec<&str> = paths.next()?.levels().collect();
    for path in paths {
        let same = levels.iter().zip(path.levels()).take_while(|(one, other)| *one == other).count();
        levels.truncate(same);
    }
    levels.join("/").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_several_have_in_common_are_levels_and_not_letters() {
        let at = |texts: &[&str]| {
            let paths: Vec<SecretPath> = texts.iter().map(|text| text.parse().expect("a path")).collect();
            common(&paths).map(|path| path.to_string())
        };
        assert_eq!(at(&["prod/db"]).as_deref(), Some("prod/db"));
        assert_eq!(at(&["prod/db", "prod/dbx"]).as_deref(), Some("prod"));
        assert_eq!(at(&["prod/db/a", "prod/db"]).as_deref(), Some("prod/db"));
        assert_eq!(at(&["prod/db", "test/db"]), None);
        assert_eq!(at(&[]), None);
    }
}
