//! The drills that are open, from memory: read again when any node began or ended one.

use std::sync::Arc;

use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};
use store::Ledger;
use tokio::sync::Mutex;

use super::drill::Drill;
use crate::error::CaError;

/// Which are open.
pub(crate) struct Board {
    ledger: Ledger,
    now: ArcSwap<Open>,
    reading: Mutex<()>,
}

/// Those that are open, at a version of the roster.
#[derive(Default)]
pub(crate) struct Open {
    pub(crate) version: u64,
    pub(crate) drills: Vec<Drill>,
}

/// The record that names those that are open.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Roster {
    pub(crate) open: Vec<String>,
}

impl Board {
    /// Reads them.
    pub(crate) async fn open(ledger: Ledger) -> Result<Board, CaError> {
        let board = Board { ledger, now: ArcSwap::default(), reading: Mutex::default() };
        board.fresh().await?;
        Ok(board)
    }

    /// As they were read last.
    pub(crate) fn read(&self) -> Arc<Open> {
        self.now.load_full()
    }

    /// As they are. A question of memory where nothing changed.
    pub(crate) async fn fresh(&self) -> Result<Arc<Open>, CaError> {
        let there = self.now.load_full();
        if there.version == self.ledger.record_version(ROSTER, ROSTER) {
            return Ok(there);
        }
        let _reading = self.reading.lock().await;
        let there = self.now.load_full();
        if there.version == self.ledger.record_version(ROSTER, ROSTER) {
            return Ok(there);
        }
        let (roster, version) = self.roster().await?;
        let mut drills = Vec::with_capacity(roster.open.len());
        for id in &roster.open {
            let (drill, _) = self.drill(id).await?;
            drills.push(drill);
        }
        let read = Arc::new(Open { version, drills });
        self.now.store(Arc::clone(&read));
        Ok(read)
    }

    /// The roster with its version.
    pub(crate) async fn roster(&self) -> Result<(Roster, u64), CaError> {
        let Some(stored) = self.ledger.record_get(ROSTER, ROSTER).await? else { return Ok(Default::default()) };
        let roster = serde_json::from_value(stored.body.clone()).map_err(|e| broken(ROSTER, &e))?;
        Ok((roster, stored.version))
    }

    /// A drill with its version.
    pub(crate) async fn drill(&self, id: &str) -> Result<(Drill, u64), CaError> {
        let missing = || CaError::NotFound(format!("drill `{}`", policy::shown(id)));
        let stored = self.ledger.record_get(KIND, id).await?.ok_or_else(missing)?;
        let drill = serde_json::from_value(stored.body.clone()).map_err(|e| broken(id, &e))?;
        Ok((drill, stored.version))
    }
}

pub(crate) fn broken(id: &str, error: &serde_json::Error) -> CaError {
    CaError::Internal(format!("the record of drill {id} cannot be read: {error}"))
}

/// The kind of a drill's record.
pub(crate) const KIND: &str = "drill";
/// Kind and id of the record that names those that are open.
pub(crate) const ROSTER: &str = "drills";
