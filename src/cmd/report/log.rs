//! What the log says of a time: who acted, how each proved who he is, what was refused.

use std::collections::BTreeMap;

use policy::Timestamp;
use serde_json::Value;

use super::{ACTORS_MAX, Progress, entries};
use crate::client::Client;
use crate::failure::Failure;
use crate::output;

/// What an actor did by one proof.
#[derive(Default)]
struct Acted {
    entries: u64,
    as_administrator: u64,
    last: String,
}

/// What was refused of an actor.
#[derive(Default)]
struct Refused {
    count: u64,
    last: String,
}

/// What was read of the log.
#[derive(Default)]
pub struct Acts {
    pub entries: u64,
    pub readings: u64,
    pub refused: u64,
    /// Actors beyond those that are told apart.
    pub unnamed: u64,
    by_proof: BTreeMap<(String, String), Acted>,
    refusals: BTreeMap<(String, String), Refused>,
}

impl Acts {
    /// Reads the entries since a moment, of a log of so many.
    pub async fn read(client: &Client, since: Timestamp, size: u64, progress: &Progress) -> Result<Acts, Failure> {
        let first = first_since(client, &since.rfc3339(), size).await?;
        let after = first.checked_sub(1).map(|after| ("after", after.to_string()));
        let query: Vec<(&str, String)> = after.into_iter().collect();
        let mut acts = Acts::default();
        let mut pages = entries(client, &query);
        while let Some(page) = pages.next().await? {
            page.items.iter().for_each(|leaf| acts.add(leaf));
            progress.says(&format!("{} of {} entries of the log", acts.entries, size.saturating_sub(first)));
        }
        Ok(acts)
    }

    fn add(&mut self, leaf: &Value) {
        self.entries += 1;
        let actor = &leaf["actor"];
        let (Some(id), Some(proof)) = (actor["id"].as_str(), actor["proof"].as_str()) else { return };
        let (action, time) = (output::field(&leaf["grant"], "action"), output::field(leaf, "time"));
        let (event, rule) = (leaf["event"].as_str().unwrap_or_default(), output::field(&leaf["grant"], "rule"));
        if event == "access" && action.starts_with("read-") {
            self.readings += 1;
        }
        if event == "refuse" {
            let (count, by_several) = refusals_of(leaf);
            self.refused = self.refused.saturating_add(count);
            let whose = if by_several { SEVERAL } else { id };
            let key = (whose.to_owned(), action.clone());
            if self.refusals.len() < ACTORS_MAX || self.refusals.contains_key(&key) {
                let refused = self.refusals.entry(key).or_default();
                refused.count = refused.count.saturating_add(count);
                refused.last.clone_from(&time);
            }
        }
        let key = (id.to_owned(), proof.to_owned());
        if self.by_proof.len() >= ACTORS_MAX && !self.by_proof.contains_key(&key) {
            self.unnamed += 1;
            return;
        }
        let acted = self.by_proof.entry(key).or_default();
        acted.entries += 1;
        acted.as_administrator += u64::from(rule.starts_with("admin"));
        acted.last = time;
    }

    /// Each actor and proof.
    pub fn proofs(&self) -> Vec<Vec<String>> {
        let row = |((actor, proof), acted): (&(String, String), &Acted)| {
            let counts = [acted.entries, acted.as_administrator].map(|count| count.to_string());
            let [entries, as_administrator] = counts;
            vec![actor.clone(), proof.clone(), factors(proof).to_owned(), entries, as_administrator, acted.last.clone()]
        };
        self.by_proof.iter().map(row).collect()
    }

    /// Each actor and action that was refused.
    pub fn refusals(&self) -> Vec<Vec<String>> {
        let row = |((actor, action), refused): (&(String, String), &Refused)| {
            vec![actor.clone(), action.clone(), refused.count.to_string(), refused.last.clone()]
        };
        self.refusals.iter().map(row).collect()
    }
}

/// How many refusals an entry stands for: one, or as many as it says, where they were only counted; and whether they are those of several,
/// of whom the entry names the last.
fn refusals_of(leaf: &Value) -> (u64, bool) {
    let target = leaf["target"].as_str().unwrap_or_default();
    match target.strip_suffix(" of several actors").and_then(number) {
        Some(of_several) => (of_several, true),
        None => (number(target).unwrap_or(1), false),
    }
}

fn number(target: &str) -> Option<u64> {
    target.strip_suffix(" more refusals")?.parse().ok()
}

/// What a proof shows of who it is: what the log knows, and no more.
fn factors(proof: &str) -> &'static str {
    match proof {
        "token" => "one: whoever has the token",
        "token+totp" => "two: the token, and a one-time password of the device",
        "token+recovery-code" => "two: the token, and a recovery code from paper",
        "client-certificate" => "one: whoever has the key of the certificate",
        "acme-key" => "one: whoever has the account's key",
        "system" => "none: the service itself",
        _ => "as the proof's name says",
    }
}

/// The first entry that is not older: entries stand in the order of their times.
pub async fn first_since(client: &Client, since: &str, size: u64) -> Result<u64, Failure> {
    let (mut low, mut high) = (0, size);
    while low < high {
        let middle = low + (high - low) / 2;
        let after = middle.checked_sub(1).map(|after| format!("&after={after}")).unwrap_or_default();
        let page = client.get(&format!("/api/v1/audit?limit=1{after}")).await?;
        let time = page["items"][0]["time"].as_str().unwrap_or_default();
        if time < since { low = middle + 1 } else { high = middle }
    }
    Ok(low)
}

/// Who is said to have been refused what the log has as one number of several.
const SEVERAL: &str = "several actors";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn who_acted_and_how_he_proved_it_is_counted_and_refusals_beside_it() {
        let mut acts = Acts::default();
        let leaf = |event: &str, action: &str, rule: &str, time: &str| {
            json!({ "event": event, "time": time, "actor": { "id": "token:ada", "proof": "token", "with": "x" },
                "grant": { "action": action, "rule": rule } })
        };
        acts.add(&leaf("access", "read-secret", "secret-reader", "2026-01-01T00:00:00Z"));
        acts.add(&leaf("access", "write-secret", "admin", "2026-01-02T00:00:00Z"));
        acts.add(&leaf("refuse", "destroy-secret", "", "2026-01-03T00:00:00Z"));
        acts.add(&json!({ "event": "conclude", "time": "2026-01-04T00:00:00Z" }));
        assert_eq!((acts.entries, acts.readings, acts.refused), (4, 1, 1));
        let mut more = leaf("refuse", "read-secret", "", "2026-01-03T00:00:00Z");
        more["target"] = json!("41 more refusals");
        assert_eq!((refusals_of(&more), refusals_of(&leaf("refuse", "x", "", ""))), ((41, false), (1, false)));
        more["target"] = json!("7 more refusals of several actors");
        let mut others = Acts::default();
        others.add(&more);
        assert_eq!(others.refusals()[0][..3], [SEVERAL, "read-secret", "7"].map(str::to_owned));
        let row = ["token:ada", "token", "one: whoever has the token", "3", "1", "2026-01-03T00:00:00Z"];
        assert_eq!(acts.proofs(), [row.map(str::to_owned)]);
        let mut stepped_up = leaf("record", "", "admin", "2026-01-05T00:00:00Z");
        stepped_up["actor"]["proof"] = json!("token+totp");
        acts.add(&stepped_up);
        assert!(acts.proofs()[1][2].starts_with("two: "), "{:?}", acts.proofs());
        assert_eq!(acts.refusals()[0][..3], ["token:ada", "destroy-secret", "1"].map(str::to_owned));
    }
}
