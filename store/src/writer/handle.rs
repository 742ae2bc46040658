//! The callers' end of the queue.

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, TrySendError, bounded};
use tokio::sync::oneshot;

use super::item::{Message, QUEUE, Reply};
use super::thread::{THREAD, Writer};
use crate::clock::Clock;
use crate::nouns::condition::Conditions;
use crate::nouns::database::Database;
use crate::nouns::error::StoreError;
use crate::rows::Op;
use crate::sql::Sql;
use crate::truth::Node;
use crate::writer::pending::Pending;

/// A full queue is drained in well under this.
const RETRY_AFTER_SECS: u32 = 1;
/// How often a conclusion tries for a place in a full queue.
const QUEUE_PAUSE: Duration = Duration::from_millis(5);

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
        conditions: Arc<Conditions>,
        instance: Option<u16>,
    ) -> Result<(WriterHandle, JoinHandle<()>), StoreError> {
        let (queue, jobs) = bounded(QUEUE);
        let writer = Writer {
            database,
            pending,
            clock,
            sql: Some(sql),
            node,
            parked: VecDeque::new(),
            forgone: Vec::new(),
            conditions,
            is_away: false,
            log_is_held: false,
            instance,
            is_claimed: true,
        };
        let thread = std::thread::Builder::new().name(THREAD.into()).spawn(move || writer.run(&jobs));
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

    /// Whether a write would come through now: one that changes nothing, in its turn.
    pub async fn probe(&self) -> Result<(), StoreError> {
        let (answer, answered) = oneshot::channel();
        match self.queue.try_send(Message::Probe(answer)) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => return Err(StoreError::Busy { retry_after_secs: RETRY_AFTER_SECS }),
            Err(TrySendError::Disconnected(_)) => return Err(StoreError::Closed),
        }
        answered.await.map_err(|_| StoreError::Closed)?
    }

    /// [`WriterHandle::write`] for what must not be turned away: a signature exists, and nobody can make it again. Waits for a place in
    /// the queue; there are never more of these than the token has under way.
    pub async fn write_surely(&self, op: Op) -> Result<Reply, StoreError> {
        loop {
            match self.write(op.clone()).await {
                Err(StoreError::Busy { .. }) => tokio::time::sleep(QUEUE_PAUSE).await,
                outcome => return outcome,
            }
        }
    }

    /// Lets the thread end after what is queued. Blocks while the queue is full, not past `until`.
    pub fn stop(&self, until: Instant) {
        let _ = self.queue.send_deadline(Message::Stop, until);
    }
}
