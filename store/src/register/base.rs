//! What the register is made of, how it is asked and how it ends.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use policy::Timestamp;

use super::terms::SignedHead;
use crate::attest::{self, Attested};
use crate::clock::Clock;
use crate::nouns::condition::{Condition, Conditions};
use crate::nouns::credential::Credential;
use crate::nouns::error::StoreError;
use crate::nouns::sealed::Sealed;
use crate::reader::{Follower, Lane, ReaderHandle};
use crate::rows::Op;
use crate::sql::Sql;
use crate::truth::{Divergence, Integrity, Node, TokenNote};
use crate::verify::Patrol;
use crate::writer::pending::Pending;
use crate::writer::{Reply, WriterHandle};

/// What the threads have to end in: a database that is frozen holds them for as long as it likes, and what was not answered by then
/// was not promised.
const STOP_MAX: Duration = Duration::from_secs(2);

const STOP_POLL: Duration = Duration::from_millis(5);

/// The ledger without the right to make intents: everything but the custody line's first step.
#[derive(Debug)]
pub(crate) struct Register {
    pub(super) writer: WriterHandle,
    pub(super) readers: ReaderHandle,
    pub(super) threads: Mutex<Vec<JoinHandle<()>>>,
    pub(super) pending: Arc<Pending>,
    pub(super) checkpoints: Mutex<BTreeMap<u64, String>>,
    /// The newest checkpoint that this node signed, or saw signed by the log key.
    pub(super) signed: RwLock<Option<SignedHead>>,
    /// None where the node keeps nothing outside the database.
    pub(super) token_note: Option<TokenNote>,
    pub node: Arc<Node>,
    /// The key of the heads, as it was sealed when this node opened the register.
    pub(super) head_key: Sealed,
    pub(super) patrol: Patrol,
    pub(super) follower: Follower,
    pub(super) clock: Arc<Clock>,
    pub(super) conditions: Arc<Conditions>,
    /// When somebody wrote last before this node opened the register, and when that was.
    pub(super) away: (Timestamp, Timestamp),
}

impl Register {
    /// What this node's clock shows. Whether that becomes a row's time the writer says.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.shows()
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(crate) fn head_key(&self) -> &Sealed {
        &self.head_key
    }

    pub(crate) fn away(&self) -> (Timestamp, Timestamp) {
        self.away
    }

    /// Where nodes meet; none where nothing is kept outside the database.
    pub(crate) fn token_note(&self) -> Option<&TokenNote> {
        self.token_note.as_ref()
    }

    pub(crate) fn signed(&self) -> std::sync::RwLockReadGuard<'_, Option<SignedHead>> {
        self.signed.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why nothing is written any more.
    pub(crate) fn held(&self) -> Option<String> {
        match self.node.not_held() {
            Err(Divergence::Held(why)) => Some(why),
            Ok(()) | Err(Divergence::Sql(_)) => None,
        }
    }

    /// How the register is.
    pub(crate) fn integrity(&self) -> Integrity {
        self.node.integrity()
    }

    /// Whether a write would come through now.
    pub(crate) async fn probe(&self) -> Result<(), StoreError> {
        self.writer.probe().await
    }

    /// What keeps it from its work.
    pub(crate) fn condition(&self) -> Condition {
        self.conditions.now()
    }

    #[cfg(feature = "testing")]
    pub(crate) fn waiting(&self, lane: Lane) -> usize {
        self.readers.waiting(lane)
    }

    pub(crate) async fn ask<T, F>(&self, lane: Lane, question: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&mut dyn Sql) -> Result<T, StoreError> + Send + 'static,
    {
        match self.readers.ask(lane, question).await {
            Err(StoreError::Altered(says)) => Err(self.cause(says).await),
            answer => answer,
        }
    }

    /// A row that is not what the log says may be one of many, of a register that was put back or cut: then that is the cause.
    async fn cause(&self, says: String) -> StoreError {
        let node = Arc::clone(&self.node);
        match self.readers.ask(Lane::Request, move |sql| Ok(node.follow(sql, false)?)).await {
            Err(held @ StoreError::Held(_)) => held,
            Ok(()) | Err(_) => StoreError::Altered(says),
        }
    }

    pub(super) async fn write_for_index(&self, op: Op) -> Result<u64, StoreError> {
        match self.writer.write(op).await? {
            Reply::Leaf(index, _) => Ok(index),
            other => Err(StoreError::Corrupt(format!("the writer answered {other:?}"))),
        }
    }

    /// An operation, attested.
    pub(crate) async fn credential(&self, operation: u64) -> Result<Option<Attested<Credential>>, StoreError> {
        let node = Arc::clone(&self.node);
        self.ask(Lane::Request, move |sql| attest::credential(&node, sql, operation)).await
    }

    pub(crate) fn stop(&self) {
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        if threads.is_empty() {
            return;
        }
        let until = Instant::now() + STOP_MAX;
        self.readers.stop();
        self.writer.stop(until);
        for thread in threads {
            while !thread.is_finished() && Instant::now() < until {
                std::thread::sleep(STOP_POLL);
            }
            match thread.is_finished() {
                // A panic of a thread was its own.
                true => drop(thread.join()),
                false => {
                    tracing::warn!(thread = thread.thread().name(), "the database holds a thread, which is left behind")
                }
            }
        }
        if let Err(error) = self.node.write_image(true) {
            tracing::warn!(%error, "the fold was not written down: the next start reads more of the log");
        }
    }
}

/// Work that waits for the disk, off the async threads.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work).await.map_err(|e| StoreError::Unavailable(e.to_string()))?
}
