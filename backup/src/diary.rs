//! What the log says of backups: one record, `backup last`, whose versions are the backups; one for drills; one that says which node is at
//! work.

use policy::Timestamp;
use serde::{Deserialize, Serialize};
use store::{ActorStamp, Ledger, Record, StoreError};

use crate::work::Made;

const KIND: &str = "backup";
const LAST: &str = "last";
/// The record of drills.
pub const LAST_DRILL: &str = "drill";
const RUN: &str = "run";
/// A node that is at it longer has ended.
pub const RUN_SECS_MAX: i64 = 6 * 3_600;

/// The last good backup, as the log has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Last {
    /// Where it lies.
    pub place: String,
    /// Bytes of the file.
    pub bytes: u64,
    /// SHA-256 of the file.
    pub sha256: String,
    /// How long the log in it is.
    pub size: u64,
    /// The root of that log.
    pub root: String,
    /// When it was taken, RFC 3339.
    pub taken: String,
    /// Who can read it.
    pub recipients: Vec<String>,
}

impl Last {
    /// Of one that was made.
    pub fn of(made: &Made, recipients: Vec<String>) -> Last {
        let manifest = &made.backed_up.manifest;
        Last {
            place: made.place.clone(),
            bytes: made.bytes,
            sha256: made.sha256.clone(),
            size: manifest.size,
            root: manifest.root.clone(),
            taken: manifest.taken.clone(),
            recipients,
        }
    }
}

/// A drill, as the log has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drilled {
    /// What was restored.
    pub place: String,
    /// How long the log in it was.
    pub size: u64,
    /// The root of that log.
    pub root: String,
    /// Findings.
    pub findings: u64,
    /// Whether the token opened it.
    pub opened: bool,
}

#[derive(Serialize, Deserialize)]
struct Run {
    node: u16,
    until: i64,
}

/// The log's pages about backups.
#[derive(Clone, Debug)]
pub struct Diary(Ledger);

impl Diary {
    /// Of this register.
    pub fn new(ledger: Ledger) -> Diary {
        Diary(ledger)
    }

    /// Writes down a backup; answers the entry's index.
    pub async fn note(&self, last: &Last, actor: ActorStamp) -> Result<u64, StoreError> {
        self.write(LAST, last, None, actor).await
    }

    /// Writes down a drill.
    pub async fn note_drill(&self, drilled: &Drilled, actor: ActorStamp) -> Result<u64, StoreError> {
        self.write(LAST_DRILL, drilled, None, actor).await
    }

    /// The last backup, and when it was written down.
    pub async fn last(&self) -> Result<Option<(Timestamp, Last)>, StoreError> {
        self.read(LAST).await.map(|found| found.map(|(_, at, last)| (at, last)))
    }

    /// The last drill.
    pub async fn last_drill(&self) -> Result<Option<(Timestamp, Drilled)>, StoreError> {
        self.read(LAST_DRILL).await.map(|found| found.map(|(_, at, drilled)| (at, drilled)))
    }

    /// Takes the turn; false: another node is at it, or was faster. A node that was killed at it takes it again; a turn of another whose
    /// clock was ahead is over once an operator's word put the time right.
    pub async fn take_turn(&self, node: u16, now: Timestamp, actor: ActorStamp) -> Result<bool, StoreError> {
        let there: Option<(u64, Timestamp, Run)> = self.read(RUN).await?;
        let is_at_it = |run: &Run| run.node != node && now.is_held(Timestamp::from_unix(run.until), RUN_SECS_MAX);
        if there.as_ref().is_some_and(|(_, _, run)| is_at_it(run)) {
            return Ok(false);
        }
        let expect = there.map_or(0, |(version, _, _)| version);
        let run = Run { node, until: now.unix().saturating_add(RUN_SECS_MAX) };
        match self.write(RUN, &run, Some(expect), actor).await {
            Ok(_) => Ok(true),
            Err(StoreError::Conflict(_)) => Ok(false),
            Err(other) => Err(other),
        }
    }

    async fn write(
        &self,
        id: &str,
        body: &impl Serialize,
        expect: Option<u64>,
        actor: ActorStamp,
    ) -> Result<u64, StoreError> {
        let body = serde_json::to_value(body).map_err(|e| StoreError::Invalid(e.to_string()))?;
        let record =
            Record { kind: KIND, id: id.to_owned(), owner: None, lookup: None, expires: None, body, actor, expect };
        let versions = self.0.record(vec![record]).await?;
        // A version is 1 + the index of its leaf.
        versions.first().map(|version| version.saturating_sub(1)).ok_or(StoreError::Closed)
    }

    async fn read<T: for<'de> Deserialize<'de>>(&self, id: &str) -> Result<Option<(u64, Timestamp, T)>, StoreError> {
        let Some(record) = self.0.record_get(KIND, id).await? else { return Ok(None) };
        let record = record.into_inner();
        let body = serde_json::from_value(record.body)
            .map_err(|e| StoreError::Corrupt(format!("the record {KIND} {id}: {e}")))?;
        Ok(Some((record.version, record.at, body)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use hsm::testing::TestToken;
    use policy::World;
    use store::{Database, LogConfig};

    use super::*;

    fn actor() -> ActorStamp {
        ActorStamp { id: "system:backup".into(), proof: "system".into(), proof_id: String::new() }
    }

    #[test]
    fn a_turn_that_a_clock_took_which_was_ahead_is_over() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let token = Arc::new(TestToken::new("diary"));
            let (pool, mint) = hsm::open(token.config()).unwrap();
            let log = LogConfig { origin: "ca.example/log".into(), state: None, instance: None };
            let world = World::fixed(Timestamp::from_unix(1_790_000_000), 7);
            let database = Database::Sqlite(dir.path().join("register.db"));
            let ledger = Ledger::found(database, (&pool, mint), log, world.clone()).await.unwrap();
            let diary = Diary::new(ledger.clone());
            world.advance(30 * 86_400);
            assert!(diary.take_turn(1, world.now(), actor()).await.unwrap());
            assert!(!diary.take_turn(2, world.now(), actor()).await.unwrap(), "another is at it");
            world.jump(-29 * 86_400);
            ledger.set_time(actor(), "the host came up a month ahead").await.unwrap();
            assert!(diary.take_turn(2, world.now(), actor()).await.unwrap());
            assert!(!diary.take_turn(1, world.now(), actor()).await.unwrap());
            ledger.close().await;
            pool.shutdown();
        });
    }
}
