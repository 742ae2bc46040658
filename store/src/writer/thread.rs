//! The thread: one batch after the other, each whole or not at all.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};
use tokio::sync::oneshot;

use super::batch::Fault;
use super::item::{Item, Message, QUEUE, Reply};
use super::transaction::{self, Forgone};
use crate::clock::Clock;
use crate::nouns::condition::Conditions;
use crate::nouns::database::Database;
use crate::nouns::error::StoreError;
use crate::rows::{ConclusionRow, Op, Outcome};
use crate::sql::{Sql, SqlError, Use, connect};
use crate::truth::{Divergence, Node};
use crate::writer::pending::Pending;

/// One transaction holds at most this many operations: a few milliseconds of work, far above what 64 callers bring ...
const BATCH_OPS: usize = 512;
/// ... and at most about this many bytes, so that large CRLs do not make everyone wait.
const BATCH_BYTES: usize = 8 << 20;
/// How often there is a look while nobody writes: at conclusions that wait, a register that was away, a log that is held, and whether
/// the file still has its name.
const RETRY: Duration = Duration::from_secs(1);
/// Signatures that wait for the disk to come back: as many as can be under way.
const PARKED_MAX: usize = QUEUE;

/// What an intent of a caller who was given none ends with.
const FORGONE: &str = "the register did not answer when it was intended, and nothing was signed";

/// How long a COMMIT without an answer is asked after, and how often.
const RECONNECT_MAX: Duration = Duration::from_secs(10);
const RECONNECT_PAUSE: Duration = Duration::from_millis(100);

/// The thread's name.
pub(super) const THREAD: &str = "store-writer";

/// The thread's own state.
pub(super) struct Writer {
    pub database: Database,
    pub pending: Arc<Pending>,
    pub clock: Arc<Clock>,
    /// None after the connection was lost.
    pub sql: Option<Box<dyn Sql + Send>>,
    /// What this node believes; every transaction begins by holding the register against it.
    pub node: Arc<Node>,
    /// Conclusions whose signature exists but could not be written yet.
    pub parked: VecDeque<Arc<ConclusionRow>>,
    /// Intents that may be in the register though their callers were told that they have none: nothing was signed for them.
    pub forgone: Vec<Forgone>,
    /// Where it says how it is; and whether it has to try something again by itself.
    pub conditions: Arc<Conditions>,
    pub is_away: bool,
    pub log_is_held: bool,
    /// This node's number, and whether the present connection has it.
    pub instance: Option<u16>,
    pub is_claimed: bool,
}

/// Somebody who asks whether it would be written.
type Asker = oneshot::Sender<Result<(), StoreError>>;

impl Writer {
    pub fn run(mut self, jobs: &Receiver<Message>) {
        let mut stop = false;
        while !stop {
            let (mut items, mut askers): (Vec<Item>, Vec<Asker>) = (Vec::new(), Vec::new());
            match jobs.recv_timeout(RETRY) {
                Ok(message) => stop = gather(message, jobs, &mut items, &mut askers),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => stop = true,
            }
            let parked = self.parked.drain(..).map(|row| Item { op: Op::Conclude(row), answer: None });
            let mut batch: Vec<Item> = parked.collect();
            batch.append(&mut self.failed());
            batch.append(&mut items);
            match (batch.is_empty(), stop) {
                (false, _) => self.settle(batch),
                (true, false) if self.is_away => drop(self.try_to_write()),
                (true, false) => self.look(),
                (true, true) => {}
            }
            self.answer_askers(askers);
            self.tend();
        }
    }

    /// Where nobody comes, nobody would find out that the register is there again. With one reconnection, as a write has: an idle session
    /// that a restart of the server ended says nothing of the server.
    fn try_to_write(&mut self) -> Result<(), SqlError> {
        let had_session = self.sql.is_some();
        let mut outcome = self.touch();
        if had_session && self.sql.is_none() {
            outcome = self.touch();
        }
        self.say(outcome.as_ref().err().map(ToString::to_string).as_deref());
        outcome
    }

    fn touch(&mut self) -> Result<(), SqlError> {
        let outcome = self.sql().and_then(|sql| {
            sql.is_there()?;
            transaction::touch(sql)
        });
        if let Err(error) = &outcome {
            self.give_up_if_lost(error);
        }
        outcome
    }

    /// A register that lost its name is told of before somebody wants to write to it.
    fn look(&mut self) {
        let outcome = self.sql.as_mut().map_or(Ok(()), |sql| sql.is_there());
        if let Err(error) = outcome {
            self.say(Some(&error.to_string()));
        }
    }

    /// A disk may be full although nobody has met it yet: it is tried.
    fn answer_askers(&mut self, askers: Vec<Asker>) {
        if askers.is_empty() {
            return;
        }
        let outcome = self.try_to_write();
        for asker in askers {
            // Whoever gave up is answered next time.
            let _ = asker.send(outcome.as_ref().copied().map_err(|error| match error {
                SqlError::Full(why) => StoreError::Full(why.clone()),
                other => StoreError::Unavailable(other.to_string()),
            }));
        }
    }

    fn say(&mut self, away: Option<&str>) {
        self.is_away = away.is_some();
        self.conditions.says(THREAD, away);
    }

    fn tend(&mut self) {
        let held = self.sql.as_mut().and_then(|sql| sql.tend());
        if held.is_some() || self.log_is_held {
            self.log_is_held = held.is_some();
            self.conditions.log_is_held(held);
        }
        self.claim();
    }

    /// A new connection takes this node's number again. Its old session may have it for a while, at a server that does not know yet
    /// that the line is dead; nobody waits for that.
    fn claim(&mut self) {
        let (false, Some(number), Some(sql)) = (self.is_claimed, self.instance, &mut self.sql) else { return };
        match sql.claim(number) {
            Ok(None) => self.is_claimed = true,
            Ok(Some(who)) => tracing::warn!(instance = number, who, "this node's number is somebody else's"),
            Err(error) => self.give_up_if_lost(&error),
        }
    }

    fn sql(&mut self) -> Result<&mut dyn Sql, SqlError> {
        match &mut self.sql {
            Some(sql) => Ok(sql.as_mut()),
            none => {
                self.is_claimed = false;
                Ok(none.insert(connect(&self.database, Use::Write)?).as_mut())
            }
        }
    }

    /// Writes a batch, or finds the item that spoils it.
    fn settle(&mut self, mut items: Vec<Item>) {
        match self.attempt(&items) {
            Ok(replies) => {
                for (item, reply) in items.into_iter().zip(replies) {
                    self.answer(item, reply);
                }
            }
            // The register refuses a row of the batch, and nothing was written: halve it until the row is alone.
            Err(Fault::Row(_)) if items.len() > 1 => {
                let second = items.split_off(items.len() / 2);
                self.settle(items);
                self.settle(second);
            }
            Err(fault) => {
                for item in items {
                    let error = fault.as_error(&item.op);
                    self.park(&item, &error);
                    self.answer(item, Err(error));
                }
            }
        }
    }

    /// A caller that hung up gets no answer; what is written stays written.
    fn answer(&self, item: Item, reply: Result<Reply, StoreError>) {
        if let (Op::Intend(row), Ok(Reply::Leaf(op, at))) = (&item.op, &reply) {
            self.pending.insert(*op, *at, Arc::clone(row));
        }
        let Item { op, answer } = item;
        // Whoever waits for the answer has it too, and lets go of it where it was made: memory that one thread takes and another gives
        // back costs both.
        drop(op);
        if let Some(answer) = answer {
            let _ = answer.send(reply);
        }
    }

    /// A signature that exists must reach the register, also after its caller was told of the failure. It is said once; that the
    /// register is away is said too, and stands in its condition.
    fn park(&mut self, item: &Item, error: &StoreError) {
        let Op::Conclude(row) = &item.op else { return };
        if !matches!(error, StoreError::Unavailable(_) | StoreError::Full(_) | StoreError::Unknown(_)) {
            // One that was written after all, though nobody could say so then, is told no more.
            if item.answer.is_none() && !matches!(error, StoreError::Conflict(_)) {
                tracing::error!(operation = row.op, %error, "a signature could not be written down; its intent stays without it");
            }
            return;
        }
        if self.parked.len() < PARKED_MAX {
            if item.answer.is_some() {
                tracing::warn!(operation = row.op, %error, "a signature waits for the register");
            }
            self.parked.push_back(Arc::clone(row));
        } else {
            tracing::error!(operation = row.op, "too many conclusions wait; this intent stays without one");
        }
    }

    /// Conclusions of intents that nobody was given, as soon as it can be looked whether they are there.
    fn failed(&mut self) -> Vec<Item> {
        if self.is_away || self.forgone.is_empty() {
            return Vec::new();
        }
        let (node, forgone) = (Arc::clone(&self.node), std::mem::take(&mut self.forgone));
        let there = self.sql().map_err(transaction::Failure::Before).and_then(|sql| {
            let there = transaction::there(sql, &node, &forgone);
            if there.is_err() {
                sql.rollback();
            }
            there
        });
        match there {
            Ok(there) => {
                let there = forgone.into_iter().zip(there).filter_map(|(one, is_there)| is_there.then_some(one));
                there.map(|one| self.failure_of(&one)).collect()
            }
            Err(failure) => {
                if let transaction::Failure::Before(error) = &failure {
                    self.give_up_if_lost(error);
                }
                self.forgone = forgone;
                Vec::new()
            }
        }
    }

    fn failure_of(&self, forgone: &Forgone) -> Item {
        let entry = &forgone.row.entry;
        let outcome = Outcome::Failed(FORGONE.to_owned());
        let at = self.clock.cautious_now();
        let row = ConclusionRow::new((forgone.op, entry.kind.as_str(), &entry.serial), outcome, None, at);
        Item { op: Op::Conclude(Arc::new(row)), answer: None }
    }

    fn attempt(&mut self, items: &[Item]) -> Result<Vec<Result<Reply, StoreError>>, Fault> {
        let outcome = self.write(items);
        self.say(match &outcome {
            Ok(_) | Err(Fault::Row(_) | Fault::Held(_)) => None,
            Err(Fault::Away(why) | Fault::Full(why) | Fault::Unknown(why) | Fault::Corrupt(why)) => Some(why),
        });
        outcome
    }

    /// One transaction, with one reconnection.
    fn write(&mut self, items: &[Item]) -> Result<Vec<Result<Reply, StoreError>>, Fault> {
        let mut fault = Fault::Away("not tried".into());
        for _ in 0..2 {
            let (node, clock) = (Arc::clone(&self.node), Arc::clone(&self.clock));
            let sql = self.sql().map_err(|e| Fault::Away(e.to_string()))?;
            match transaction::run(sql, &node, &clock, items) {
                Ok(done) => return self.believe(done),
                Err(transaction::Failure::Before(error)) => {
                    sql.rollback();
                    fault = self.give_up_or_reconnect(error)?;
                }
                Err(transaction::Failure::Held(why)) => {
                    sql.rollback();
                    return Err(Fault::Held(why));
                }
                Err(transaction::Failure::AtCommit { error, done }) => match self.look_again(&error, &done) {
                    // The answer was lost, not the write.
                    Ok(true) => return self.believe(*done),
                    // Certain that nothing was written: as before the commit.
                    Ok(false) => fault = self.give_up_or_reconnect(error)?,
                    Err(why) => {
                        let left = PARKED_MAX - self.forgone.len().min(PARKED_MAX);
                        self.forgone.extend(done.forgone(items).take(left));
                        return Err(Fault::Unknown(format!("{error}; and then: {why}")));
                    }
                },
            }
        }
        Err(fault)
    }

    /// The batch is durable: it is part of what this node believes before anybody is answered.
    fn believe(&self, done: transaction::Done) -> Result<Vec<Result<Reply, StoreError>>, Fault> {
        let belief = done.belief;
        match self.node.publish(belief.first, belief.tree, belief.leaves, belief.time) {
            Ok(()) => {
                self.node.note_read(belief.read);
                self.clock.learn(&self.node);
                Ok(done.replies)
            }
            Err(Divergence::Held(why)) => Err(Fault::Held(why)),
            Err(Divergence::Sql(error)) => Err(Fault::Unknown(error.to_string())),
        }
    }

    /// A lost connection is worth a second try; anything else is the answer.
    fn give_up_or_reconnect(&mut self, error: SqlError) -> Result<Fault, Fault> {
        self.give_up_if_lost(&error);
        match error {
            SqlError::Lost(why) => Ok(Fault::Away(why)),
            other => Err(Fault::before(other)),
        }
    }

    fn give_up_if_lost(&mut self, error: &SqlError) {
        if matches!(error, SqlError::Lost(_)) {
            self.sql = None;
        }
    }

    /// After a COMMIT without an answer: is the batch there?
    fn look_again(&mut self, error: &SqlError, done: &transaction::Done) -> Result<bool, SqlError> {
        let sql = match (self.sql.take(), error) {
            (
                Some(mut sql),
                SqlError::Taken(_)
                | SqlError::Away(_)
                | SqlError::Full(_)
                | SqlError::Late(_)
                | SqlError::Corrupt(_)
                | SqlError::Unfit(_)
                | SqlError::Missing(_)
                | SqlError::Wrong(_),
            ) => {
                sql.rollback();
                sql
            }
            (_, _) => self.reconnect_patiently()?,
        };
        transaction::is_there(self.sql.insert(sql).as_mut(), done)
    }

    /// A database that restarts is back within seconds, and the truth is worth the wait: until it is known, callers hang
    /// and then the queue says `Busy`.
    fn reconnect_patiently(&self) -> Result<Box<dyn Sql + Send>, SqlError> {
        let give_up = Instant::now() + RECONNECT_MAX;
        loop {
            match connect(&self.database, Use::Write) {
                Err(_) if Instant::now() < give_up => std::thread::sleep(RECONNECT_PAUSE),
                outcome => return outcome,
            }
        }
    }
}

/// Takes what is queued, up to a batch. True: the ledger is closing.
fn gather(first: Message, jobs: &Receiver<Message>, items: &mut Vec<Item>, askers: &mut Vec<Asker>) -> bool {
    let (mut next, mut bytes) = (Some(first), 0);
    while let Some(message) = next {
        match message {
            Message::Stop => return true,
            Message::Probe(asker) => askers.push(asker),
            Message::Write(op, answer) => {
                bytes += op.weight();
                items.push(Item { op, answer: Some(answer) });
            }
        }
        next = if items.len() < BATCH_OPS && bytes < BATCH_BYTES { jobs.try_recv().ok() } else { None };
    }
    false
}
