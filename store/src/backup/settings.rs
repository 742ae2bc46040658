//! What the register of a stream says was in force: of each part (policies, profiles, settings) the newest record, as its leaf has it.
//!
//! The files beside a register are proved by nothing but this. Who makes a whole stream makes it too: so it counts as far as a head reaches that
//! the log's key signed (`contents`).

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::forms::leaf::{Event, Leaf};
use crate::forms::row::row_digest;
use crate::forms::schema::RECORD;
use crate::nouns::record::SETTING;
use crate::sql::Cell;

/// What was found until now.
#[derive(Default)]
pub(super) struct Settings {
    /// Of each id the newest leaf that speaks of it, and the digest of its row.
    newest: BTreeMap<String, (i64, String)>,
    /// What those rows say; null, where a row is not there or is another.
    said: BTreeMap<String, Json>,
}

impl Settings {
    /// The next row of `leaf`. Leaves come before the records.
    pub fn leaf(&mut self, row: &[Cell]) {
        let [Cell::Int(index), _, Cell::Blob(bytes)] = row else { return };
        if !bytes.windows(WORD.len()).any(|word| word == WORD) {
            return;
        }
        if let Ok(Leaf { event: Event::Record, kind, id: Some(id), row: Some(digest), .. }) = Leaf::parse(bytes)
            && kind == SETTING
        {
            self.said.insert(id.clone(), Json::Null);
            self.newest.insert(id, (*index, digest));
        }
    }

    /// The next row of `record`.
    pub fn record(&mut self, row: &[Cell]) {
        let column = |name: &str| RECORD.position(name).and_then(|at| row.get(at));
        let (Some(Cell::Int(leaf)), Some(Cell::Text(id)), Some(Cell::Text(body))) =
            (column("leaf"), column("id"), column("body"))
        else {
            return;
        };
        let Some((newest, digest)) = self.newest.get(id) else { return };
        let is_so = newest == leaf
            && *digest == hex::encode(row_digest(&RECORD, row.iter().skip(RECORD.stated).map(Cell::as_value)));
        if let (true, Ok(body)) = (is_so, serde_json::from_str(body)) {
            self.said.insert(id.clone(), body);
        }
    }

    /// What each says, and which leaf has it.
    pub fn told(self) -> (BTreeMap<String, Json>, BTreeMap<String, u64>) {
        // A number that is none of a leaf's is covered by no head.
        let leaf = |leaf: i64| u64::try_from(leaf).unwrap_or(u64::MAX);
        let leaves = self.newest.into_iter().map(|(id, (index, _))| (id, leaf(index))).collect();
        (self.said, leaves)
    }
}

/// What every leaf of a setting has in it.
const WORD: &[u8] = b"\"setting\"";
