//! The one thread that writes: drains a bounded queue, commits many operations in one transaction, then answers all.
//!
//! While a batch is being flushed the next one gathers in the queue; no timer is needed. A batch that fails for one
//! item is split until only that item is told so. Nothing is answered before it is durable.

mod batch;
#[cfg(any(test, feature = "testing"))]
mod bulk;
mod projections;
mod transaction;

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use policy::Timestamp;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};
use tokio::sync::oneshot;

use crate::clock::Clock;
use crate::database::Database;
use crate::error::StoreError;
use crate::pending::Pending;
use crate::prepare::{ConclusionRow, Op};
use crate::sql::{Sql, SqlError, Use, connect};
use crate::truth::{Divergence, Node};
use batch::Fault;
#[cfg(any(test, feature = "testing"))]
pub(crate) use bulk::write_at_once;

/// Callers beyond this are told to come back: a queue never gets longer, only fuller.
const QUEUE: usize = 4_096;
/// One transaction holds at most this many operations: a few milliseconds of work, far above what 64 callers bring ...
const BATCH_OPS: usize = 512;
/// ... and at most about this many bytes, so that large CRLs do not make everyone wait.
const BATCH_BYTES: usize = 8 << 20;
/// A full queue is drained in well under this.
const RETRY_AFTER_SECS: u32 = 1;
/// How often a conclusion tries for a place in a full queue.
const QUEUE_PAUSE: Duration = Duration::from_millis(5);
/// How often conclusions that could not be written are tried again while nobody else writes.
const PARKED_RETRY: Duration = Duration::from_secs(1);
/// Signatures that wait for the disk to come back: as many as can be under way.
const PARKED_MAX: usize = QUEUE;

/// How long a COMMIT without an answer is asked after, and how often.
const RECONNECT_MAX: Duration = Duration::from_secs(10);
const RECONNECT_PAUSE: Duration = Duration::from_millis(100);

/// What a caller gets.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Reply {
    /// The index of the operation's leaf, and the time it was given.
    Leaf(u64, Timestamp),
    /// The new versions of records.
    Versions(Vec<u64>),
    /// The checkpoint that stands.
    Note(String),
}

type Answer = oneshot::Sender<Result<Reply, StoreError>>;

enum Message {
    Write(Op, Answer),
    Stop,
}

/// One operation of a batch.
struct Item {
    op: Op,
    /// None: a parked conclusion, whose caller was answered already.
    answer: Option<Answer>,
}

/// The callers' end of the queue.
#[derive(Debug)]
pub(crate) struct WriterHandle {
    queue: Sender<Message>,
}

impl WriterHandle {
    /// Starts the thread over a connection that writes.
    pub fn start(
        database: Database,
        sql: Box<dyn Sql + Send>,
        node: Arc<Node>,
        pending: Arc<Pending>,
        clock: Arc<Clock>,
    ) -> Result<(WriterHandle, JoinHandle<()>), StoreError> {
        let (queue, jobs) = bounded(QUEUE);
        let writer = Writer { database, pending, clock, sql: Some(sql), node, parked: VecDeque::new() };
        let thread = std::thread::Builder::new().name("store-writer".into()).spawn(move || writer.run(&jobs));
        let thread = thread.map_err(|e| StoreError::Unavailable(format!("no thread: {e}")))?;
        Ok((WriterHandle { queue }, thread))
    }

    /// Hands over an operation and waits until it is durable.
    pub async fn write(&self, op: Op) -> Result<Reply, StoreError> {
        let (answer, answered) = oneshot::channel();
        match self.queue.try_send(Message::Write(op, answer)) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => return Err(StoreError::Busy { retry_after_secs: RETRY_AFTER_SECS }),
            Err(TrySendError::Disconnected(_)) => return Err(StoreError::Closed),
        }
        answered.await.map_err(|_| StoreError::Closed)?
    }

    /// The same for what must not be turned away: a signature exists, and nobody can make it again. Waits for a place in
    /// the queue; there are never more of these than the token has under way.
    pub async fn write_surely(&self, op: Op) -> Result<Reply, StoreError> {
        loop {
            match self.write(op.clone()).await {
                Err(StoreError::Busy { .. }) => tokio::time::sleep(QUEUE_PAUSE).await,
                outcome => return outcome,
            }
        }
    }

    /// Lets the thread end after what is queued. Blocks while the queue is full.
    pub fn stop(&self) {
        let _ = self.queue.send(Message::Stop);
    }
}

/// The thread's own state.
struct Writer {
    database: Database,
    pending: Arc<Pending>,
    clock: Arc<Clock>,
    /// None after the connection was lost.
    sql: Option<Box<dyn Sql + Send>>,
    /// What this node believes; every transaction begins by holding the register against it.
    node: Arc<Node>,
    /// Conclusions whose signature exists but could not be written yet.
    parked: VecDeque<Arc<ConclusionRow>>,
}

impl Writer {
    fn run(mut self, jobs: &Receiver<Message>) {
        let mut stop = false;
        while !stop {
            let mut items: Vec<Item> = Vec::new();
            let first = if self.parked.is_empty() {
                jobs.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                jobs.recv_timeout(PARKED_RETRY)
            };
            match first {
                Ok(message) => stop = gather(message, jobs, &mut items),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => stop = true,
            }
            let parked = self.parked.drain(..).map(|row| Item { op: Op::Conclude(row), answer: None });
            let mut batch: Vec<Item> = parked.collect();
            batch.append(&mut items);
            if !batch.is_empty() {
                self.settle(batch);
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
                    self.park(&item.op, &error);
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
        match item.answer {
            Some(answer) => drop(answer.send(reply)),
            None => {
                if let Err(error) = reply {
                    tracing::warn!(%error, "a conclusion is still waiting for the register");
                }
            }
        }
    }

    /// A signature that exists must reach the register, also after its caller was told of the failure.
    fn park(&mut self, op: &Op, error: &StoreError) {
        let (Op::Conclude(row), StoreError::Unavailable(_) | StoreError::Unknown(_)) = (op, error) else { return };
        if self.parked.len() < PARKED_MAX {
            self.parked.push_back(Arc::clone(row));
        } else {
            tracing::error!(operation = row.op, "too many conclusions wait; this intent stays without one");
        }
    }

    /// One transaction, with one reconnection.
    fn attempt(&mut self, items: &[Item]) -> Result<Vec<Result<Reply, StoreError>>, Fault> {
        let mut fault = Fault::Away("not tried".into());
        for _ in 0..2 {
            let sql = match self.sql.as_mut() {
                Some(sql) => sql,
                None => self.sql.insert(connect(&self.database, Use::Write).map_err(|e| Fault::Away(e.to_string()))?),
            };
            match transaction::run(sql.as_mut(), &self.node, &self.clock, items) {
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
                    Err(why) => return Err(Fault::Unknown(format!("{error}; and then: {why}"))),
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
                self.clock.learn(&self.node);
                Ok(done.replies)
            }
            Err(Divergence::Held(why)) => Err(Fault::Held(why)),
            Err(Divergence::Sql(error)) => Err(Fault::Unknown(error.to_string())),
        }
    }

    /// A lost connection is worth a second try; anything else is the answer.
    fn give_up_or_reconnect(&mut self, error: SqlError) -> Result<Fault, Fault> {
        match error {
            SqlError::Lost(why) => {
                self.sql = None;
                Ok(Fault::Away(why))
            }
            other => Err(Fault::before(other)),
        }
    }

    /// After a COMMIT without an answer: is the batch there?
    fn look_again(&mut self, error: &SqlError, done: &transaction::Done) -> Result<bool, SqlError> {
        let sql = match (self.sql.take(), error) {
            (
                Some(mut sql),
                SqlError::Taken(_) | SqlError::Away(_) | SqlError::Late(_) | SqlError::Corrupt(_) | SqlError::Wrong(_),
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
fn gather(first: Message, jobs: &Receiver<Message>, items: &mut Vec<Item>) -> bool {
    let (mut next, mut bytes) = (Some(first), 0);
    while let Some(message) = next {
        match message {
            Message::Stop => return true,
            Message::Write(op, answer) => {
                bytes += op.weight();
                items.push(Item { op, answer: Some(answer) });
            }
        }
        next = if items.len() < BATCH_OPS && bytes < BATCH_BYTES { jobs.try_recv().ok() } else { None };
    }
    false
}
