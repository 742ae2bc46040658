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
    /// Some of it is not what the log says, and was not read.
    lacks: bool,
}

/// The record that names those that are open.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Roster {
    pub(crate) open: Vec<String>,
}

impl Board {
    /// Reads them, as far as they are what the log says: no row that somebody altered keeps an authority from its work.
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
        let read = Arc::new(self.read_after(&there).await?);
        self.now.store(Arc::clone(&read));
        Ok(read)
    }

    /// Reads them again where some could not be read.
    pub(crate) async fn look_again(&self) -> Result<(), CaError> {
        let _reading = self.reading.lock().await;
        let there = self.now.load_full();
        if there.lacks {
            self.now.store(Arc::new(self.read_after(&there).await?));
        }
        Ok(())
    }

    /// What is open. Of what somebody altered it stays with what was read before, and where that is nothing it marks nothing.
    async fn read_after(&self, there: &Open) -> Result<Open, CaError> {
        let version = self.ledger.record_version(ROSTER, ROSTER);
        let (roster, version) = match self.roster().await {
            Ok(read) => read,
            Err(CaError::Altered(_)) => return Ok(Open { version, drills: there.drills.clone(), lacks: true }),
            Err(other) => return Err(other),
        };
        let (mut drills, mut lacks) = (Vec::with_capacity(roster.open.len()), false);
        for id in &roster.open {
            match self.drill(id).await {
                Ok((drill, _)) => drills.push(drill),
                Err(CaError::Altered(_)) => {
                    lacks = true;
                    drills.extend(there.drills.iter().find(|drill| drill.id == *id).cloned());
                }
                Err(other) => return Err(other),
            }
        }
        Ok(Open { version, drills, lacks })
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
