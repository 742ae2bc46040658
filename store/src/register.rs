//! What the ledger does but for making intents: prepare, hand to the writer, ask the readers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use policy::{Timestamp, World};

use crate::alarms::{Alarms, UNCONCLUDED_MAX};
use crate::clock::{self, Clock, Held, Witness};
use crate::credential::Credential;
use crate::database::Database;
use crate::entry::{ActorStamp, RefusalEntry, Revocation};
use crate::error::StoreError;
use crate::ledger::LogConfig;
use crate::log::{self, Checkpoint, LogKey};
use crate::pending::Pending;
use crate::prepare::{ConclusionRow, IntentRow, Op, Outcome, RecordRow, RevocationRow, refusal_tail};
use crate::queries;
use crate::reader::ReaderHandle;
use crate::record::Record;
use crate::sql::Sql;
use crate::writer::{Reply, WriterHandle};

/// Operations of checkpoints have this bit and the log's size; those of the ledger are leaf indexes, far below it.
const CHECKPOINT_BIT: u64 = 1 << 63;
/// Checkpoints are signed one at a time; what was never concluded is dropped.
const CHECKPOINTS_UNDER_WAY: usize = 16;
/// Records of one call: one ACME order and all its authorizations.
const RECORDS_MAX: usize = 256;

/// The ledger without the right to make intents: everything but the custody line's first step.
#[derive(Debug)]
pub(crate) struct Register {
    writer: WriterHandle,
    readers: ReaderHandle,
    threads: Mutex<Vec<JoinHandle<()>>>,
    pending: Arc<Pending>,
    checkpoints: Mutex<BTreeMap<u64, String>>,
    alarms: Mutex<Alarms>,
    pub origin: String,
    clock: Arc<Clock>,
}

impl Register {
    pub(crate) async fn open(database: Database, log: LogConfig, world: World) -> Result<Register, StoreError> {
        log::check_origin(&log.origin)?;
        let pending = Arc::new(Pending::default());
        let clock = Arc::new(Clock::new(world));
        let (for_writer, writers_clock) = (Arc::clone(&pending), Arc::clone(&clock));
        let start = move || -> Result<_, StoreError> {
            let (writer, thread) = WriterHandle::start(database.clone(), for_writer, writers_clock)?;
            let (readers, mut threads) = ReaderHandle::start(&database)?;
            threads.push(thread);
            Ok((writer, readers, threads))
        };
        let started = tokio::task::spawn_blocking(start).await;
        let (writer, readers, threads) = started.map_err(|e| StoreError::Unavailable(e.to_string()))??;
        let named = readers.ask(|sql| queries::checkpoint(sql)).await?;
        if let Some(origin) = named.and_then(|(_, note)| Checkpoint::parse(&note).ok()).map(|newest| newest.origin)
            && origin != log.origin
        {
            // Heads signed under two names can be verified under neither, and a signed head cannot be taken back.
            let (ours, why) = (log.origin, "a log keeps its name for ever; put it back");
            return Err(StoreError::Invalid(format!(
                "this register's log is `{origin}`, the configuration says `{ours}`: {why}"
            )));
        }
        clock.begin(readers.ask(queries::in_force).await?);
        let (threads, checkpoints, alarms) = (Mutex::new(threads), Mutex::default(), Mutex::default());
        Ok(Register { writer, readers, threads, pending, checkpoints, alarms, origin: log.origin, clock })
    }

    pub(crate) fn stop(&self) {
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        if threads.is_empty() {
            return;
        }
        self.writer.stop();
        self.readers.stop();
        for thread in threads {
            let _ = thread.join();
        }
    }

    /// What this node's clock shows. Whether that becomes a row's time the writer says.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.shows()
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The time, if it can be believed. Where the log is said to be ahead it is asked again: another node may have written an
    /// operator's word since.
    pub(crate) async fn time(&self) -> Result<Timestamp, StoreError> {
        if let Err(Held { by: Witness::Log, .. }) = self.clock.now() {
            self.look_at_head().await?;
        }
        Ok(self.clock.now()?)
    }

    /// Learns what time other nodes brought into force.
    pub(crate) async fn look_at_head(&self) -> Result<(), StoreError> {
        self.clock.learn(self.ask(queries::in_force).await?);
        Ok(())
    }

    /// Writes an operator's word that this node's clock is right; answers it as (what was in force, what is now).
    pub(crate) async fn set_time(&self, actor: ActorStamp, reason: &str) -> Result<(Timestamp, Timestamp), StoreError> {
        self.look_at_head().await?;
        if let Some(held) = self.clock.contradicted() {
            return Err(held.into());
        }
        let before = self.ask(|sql| queries::record_get(sql, clock::KIND, clock::ID)).await?;
        let (from, to) = (self.clock.in_force(), self.clock.shows());
        let word = clock::word(from, to, reason, actor, before.map_or(0, |record| record.version));
        let row = RecordRow::new(word, to)?;
        match self.writer.write(Op::Record(Arc::new(vec![row]))).await? {
            Reply::Versions(_) => Ok((from, to)),
            other => Err(StoreError::Corrupt(format!("the writer answered {other:?}"))),
        }
    }

    pub(crate) async fn ask<T, F>(&self, question: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&mut dyn Sql) -> Result<T, StoreError> + Send + 'static,
    {
        self.readers.ask(question).await
    }

    async fn write_for_index(&self, op: Op) -> Result<u64, StoreError> {
        match self.writer.write(op).await? {
            Reply::Leaf(index, _) => Ok(index),
            other => Err(StoreError::Corrupt(format!("the writer answered {other:?}"))),
        }
    }

    pub(crate) async fn intend(&self, row: Arc<IntentRow>) -> Result<u64, StoreError> {
        self.write_for_index(Op::Intend(row)).await
    }

    /// `signer`: the fingerprint of the key that signed, which must be the one intended.
    pub(crate) async fn conclude(
        &self,
        operation: u64,
        signer: Option<[u8; 32]>,
        outcome: Outcome,
    ) -> Result<Credential, StoreError> {
        let intended = match self.pending.take(operation) {
            Some((at, row)) => queries::intended(operation, at, &row),
            None => self.read_intended(operation).await?,
        };
        if signer.is_some_and(|signer| signer != intended.signing_key_hash) {
            return Err(StoreError::Invalid(format!("operation {operation} was intended for another key")));
        }
        let row = ConclusionRow::new(operation, intended.kind.as_str(), &intended.serial, outcome, self.now());
        let row = Arc::new(row);
        match self.writer.write_surely(Op::Conclude(Arc::clone(&row))).await? {
            Reply::Leaf(_, at) => Ok(queries::concluded(intended, at, &row)),
            other => Err(StoreError::Corrupt(format!("the writer answered {other:?}"))),
        }
    }

    /// The intent of an operation that is no longer in memory.
    async fn read_intended(&self, operation: u64) -> Result<Credential, StoreError> {
        let there = self.ask(move |sql| queries::by_operation(sql, operation)).await?;
        let there = there.ok_or_else(|| StoreError::NotFound(format!("operation {operation}")))?;
        match there.concluded_at {
            Some(_) => Err(StoreError::Conflict(format!("operation {operation} is concluded already"))),
            None => Ok(there),
        }
    }

    /// Intents that nobody concluded or revoked.
    pub(crate) async fn unconcluded(&self, older_than: Timestamp) -> Result<Vec<Credential>, StoreError> {
        let known = self.alarms.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (found, known) = self.ask(move |sql| known.look(sql)).await?;
        // Of two who look at once either may come last: both know the truth of a moment, and the next look starts there.
        *self.alarms.lock().unwrap_or_else(PoisonError::into_inner) = known;
        Ok(found.into_iter().filter(|credential| credential.intended_at < older_than).take(UNCONCLUDED_MAX).collect())
    }

    pub(crate) async fn refuse(&self, refusal: &RefusalEntry) -> Result<u64, StoreError> {
        let now = self.now();
        self.write_for_index(Op::Refuse(now, Arc::new(refusal_tail(refusal, now)?))).await
    }

    /// `withdraws`: each takes a right away, and is written whatever the clock shows.
    pub(crate) async fn record(&self, records: Vec<Record>, withdraws: bool) -> Result<Vec<u64>, StoreError> {
        if records.is_empty() || records.len() > RECORDS_MAX {
            return Err(StoreError::Invalid(format!("1 to {RECORDS_MAX} records at once")));
        }
        if records.iter().any(|record| record.kind == clock::KIND) {
            return Err(StoreError::Invalid("the time is set by itself".into()));
        }
        let now = self.now();
        let rows = records.into_iter().map(|record| RecordRow::new(record, now).map(|row| row.withdrawing(withdraws)));
        let rows = rows.collect::<Result<Vec<_>, _>>()?;
        match self.writer.write(Op::Record(Arc::new(rows))).await? {
            Reply::Versions(versions) => Ok(versions),
            other => Err(StoreError::Corrupt(format!("the writer answered {other:?}"))),
        }
    }

    pub(crate) async fn revoke(&self, revocation: Revocation) -> Result<u64, StoreError> {
        let operation = revocation.operation;
        let there = self.ask(move |sql| queries::by_operation(sql, operation)).await?;
        let there = there.ok_or_else(|| StoreError::NotFound(format!("operation {operation}")))?;
        let row = RevocationRow::new(revocation, there.kind.as_str(), &there.serial, self.now())?;
        self.write_for_index(Op::Revoke(Arc::new(row))).await
    }

    /// The operation and the text of the next checkpoint.
    pub(crate) async fn intend_checkpoint(&self) -> Result<Option<(u64, String)>, StoreError> {
        let look = |sql: &mut dyn Sql| Ok((queries::head(sql)?, queries::checkpoint(sql)?, queries::in_force(sql)?));
        let (head, before, in_force) = self.ask(look).await?;
        // Asked every second: a node that writes nothing hears of an operator's word here.
        self.clock.learn(in_force);
        let signed = before.as_ref().map_or(0, |(size, _)| *size);
        if head.size == signed {
            return Ok(None);
        }
        if let Some((size, note)) = before {
            self.still_extends(head.size, size, &note).await?;
        }
        let text = log::checkpoint_text(&self.origin, head.size, &head.root);
        let operation = CHECKPOINT_BIT | head.size;
        let mut under_way = self.checkpoints.lock().unwrap_or_else(PoisonError::into_inner);
        under_way.insert(operation, text.clone());
        if under_way.len() > CHECKPOINTS_UNDER_WAY {
            under_way.pop_first();
        }
        Ok(Some((operation, text)))
    }

    /// "A log MUST not sign any checkpoint which is inconsistent with any checkpoint it previously signed."
    async fn still_extends(&self, head: u64, size: u64, note: &str) -> Result<(), StoreError> {
        let signed = log::Checkpoint::parse(note).map_err(StoreError::Corrupt)?;
        if size != signed.size || size > head {
            return Err(StoreError::Corrupt(format!(
                "the log has {head} leaves, its newest checkpoint {}",
                signed.size
            )));
        }
        if self.ask(move |sql| log::root_at(sql, size)).await? != signed.root {
            return Err(StoreError::Corrupt(format!("the log does not extend its checkpoint of {size} leaves")));
        }
        Ok(())
    }

    pub(crate) async fn conclude_checkpoint(
        &self,
        operation: u64,
        key: &LogKey,
        signature: &[u8],
    ) -> Result<String, StoreError> {
        let text = self.checkpoints.lock().unwrap_or_else(PoisonError::into_inner).remove(&operation);
        let text = text.ok_or_else(|| StoreError::NotFound("no such checkpoint is under way".into()))?;
        let size = operation & !CHECKPOINT_BIT;
        let note = log::sign_note(&text, key, signature);
        let reply = self.writer.write(Op::Checkpoint(size, note.into())).await?;
        let Reply::Note(ours) = reply else {
            return Err(StoreError::Corrupt(format!("the writer answered {reply:?}")));
        };
        // Another node's note for the same head may have come first, and stands.
        Ok(self.ask(move |sql| queries::checkpoint_of(sql, size)).await?.unwrap_or(ours))
    }
}

#[cfg(test)]
mod tests {
    use hsm::testing::TestToken;
    use hsm::{Key, KeyKind, Message};

    use super::*;
    use crate::entry::{ActorStamp, Entry, GrantStamp, Kind};

    fn entry(key: &Key) -> Entry {
        let actor = ActorStamp { id: "a".into(), proof: "system".into(), proof_id: String::new() };
        Entry {
            kind: Kind::Certificate,
            actor,
            grant: GrantStamp { action: "x".into(), rule: "y".into(), policy_hash: [0; 32] },
            profile: "p".into(),
            profile_hash: [0; 32],
            key: key.clone(),
            message: Message::from(b"message".to_vec()),
            serial: vec![1],
            issuer: "tls".into(),
            owner: None,
            subject: String::new(),
            names: Vec::new(),
            key_hash: [0; 32],
            validity: None,
            details: serde_json::Value::Null,
        }
    }

    #[test]
    fn an_operation_is_concluded_once_and_by_its_own_key() {
        let (dir, token) = (tempfile::tempdir().unwrap(), TestToken::new("ledger"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (pool, _mint) = hsm::open(token.config()).unwrap();
            let key = pool.generate("k", KeyKind::P256).await.unwrap();
            let database = Database::Sqlite(dir.path().join("r.db"));
            let world = World::fixed(Timestamp::from_unix(1), 1);
            let register = Register::open(database, LogConfig { origin: "o".into() }, world).await.unwrap();
            let row = Arc::new(IntentRow::new(entry(&key), register.now()).unwrap());
            let op = register.intend(row).await.unwrap();
            let signed = |byte| Outcome::Issued(vec![byte]);
            let foreign = register.conclude(op, Some([9; 32]), signed(1)).await;
            assert!(matches!(foreign, Err(StoreError::Invalid(_))), "{foreign:?}");
            // In memory the intent was taken; the register still has it.
            register.conclude(op, Some(key.fingerprint()), signed(1)).await.unwrap();
            let again = register.conclude(op, Some(key.fingerprint()), signed(2)).await;
            assert!(matches!(again, Err(StoreError::Conflict(_))), "{again:?}");
            // Past the reader's look, the register's own index refuses.
            let row = ConclusionRow::new(op, "certificate", &[1], signed(2), register.now());
            let forced = register.writer.write(Op::Conclude(Arc::new(row))).await;
            assert!(matches!(forced, Err(StoreError::Conflict(_))), "{forced:?}");
            let unknown = register.conclude(op + 1, None, Outcome::Failed("no".into())).await;
            assert!(matches!(unknown, Err(StoreError::NotFound(_))), "{unknown:?}");
            register.stop();
        });
    }
}
