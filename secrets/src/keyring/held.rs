//! Keys that the token unsealed a moment ago, so that it is not asked for each request.
//!
//! Each is good for as long as its record and its value have the versions that they had, which the log says without a question to the
//! database. Whoever reads this process's memory reads them; nothing is computed with them that is not written down all the same.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::record::TransitKey;
use crate::transit::{KeyName, Keyset};

/// A key, with its bytes.
#[derive(Clone)]
pub(super) struct Open {
    pub key: Arc<TransitKey>,
    pub keys: Arc<Keyset>,
    /// The version of the value that they lie in.
    pub value: u64,
}

/// Those that are held, by name.
pub(super) struct Held {
    held: Mutex<HashMap<KeyName, (Instant, Open)>>,
    lease: Duration,
}

impl Held {
    /// That keeps each for so long; zero: none.
    pub fn new(lease: Duration) -> Held {
        Held { held: Mutex::default(), lease }
    }

    pub fn get(&self, name: &KeyName) -> Option<Open> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.get(name).filter(|(since, _)| since.elapsed() < self.lease).map(|(_, open)| open.clone())
    }

    pub fn keep(&self, open: &Open) {
        if self.lease.is_zero() {
            return;
        }
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        // What nobody may use any more is not kept until its name comes again.
        let lease = self.lease;
        held.retain(|_, (since, _)| since.elapsed() < lease);
        if held.len() >= HELD_MAX {
            held.clear();
        }
        held.insert(open.key.name().clone(), (Instant::now(), open.clone()));
    }

    pub fn forget(&self, name: &KeyName) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }
}

/// So many at most, 8 KiB each where all have 256 versions. When it is full, all are forgotten, and the token is asked again.
const HELD_MAX: usize = 1_024;

#[cfg(test)]
mod tests {
    use policy::{Owner, Timestamp};
    use ring::rand::SystemRandom;
    use serde_json::json;
    use store::{ActorStamp, StoredRecord};

    use super::*;
    use crate::transit::{KeyKind, Mode};

    fn open(name: &str) -> Open {
        let owner = Owner::parse("web").unwrap();
        let body = json!({ "life": 1, "generation": 1, "kind": "ed25519", "mode": "plain", "min_decrypt": 1, "min_encrypt": 1,
            "versions": [{ "number": 1, "at": "2026-01-01T00:00:00Z" }] });
        let record = StoredRecord {
            kind: "transit-key".into(),
            id: name.into(),
            version: 7,
            owner: Some(owner.as_str().into()),
            lookup: None,
            expires: None,
            body,
            actor: ActorStamp { id: "x".into(), proof: "system".into(), proof_id: String::new() },
            at: Timestamp::from_unix(1),
        };
        let key = Arc::new(TransitKey::of(record).unwrap());
        let mut random = SystemRandom::new();
        let keys = Keyset::draw(key.name().clone(), KeyKind::Ed25519, Mode::Plain, &mut random).unwrap();
        Open { key, keys: Arc::new(keys), value: 8 }
    }

    #[test]
    fn keys_are_kept_for_a_lease_and_are_bounded() {
        let held = Held::new(Duration::from_secs(3_600));
        let one = open("one");
        held.keep(&one);
        assert_eq!(held.get(one.key.name()).unwrap().value, 8);
        held.forget(one.key.name());
        assert!(held.get(one.key.name()).is_none());
        for n in 0..HELD_MAX + 5 {
            held.keep(&open(&format!("k{n}")));
        }
        assert!(held.held.lock().unwrap().len() <= HELD_MAX);
        let none = Held::new(Duration::ZERO);
        none.keep(&one);
        assert!(none.get(one.key.name()).is_none() && none.held.lock().unwrap().is_empty());
    }
}
