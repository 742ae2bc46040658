//! The newest signed checkpoint as a data object in the token, under the log's name: whoever deletes the folder of a node and
//! puts the database back is still met by what only those who can log in to the token write.
//!
//! The nodes that share a token meet there too, outside the database: what the token has is part of each node's own tree, or one of
//! them was led onto another register (a split view), and stops.
//!
//! It is written with the first checkpoint that a node signs, then every few seconds while they move, and when the node ends. Of
//! the nodes that share a token the one that is further has the last word. A token that keeps no notes is mentioned once, and
//! the folder stands alone.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hsm::{HsmError, Pool};
use policy::Timestamp;

use crate::error::StoreError;
use crate::log::{Checkpoint, Head};

/// A token's memory wears, and a read-write session is dear: so seldom is it written at most.
const EVERY_SECS: i64 = 5;
/// A head in the token was durable before it was signed, so a register that answers and does not reach it is another one. So long
/// this is looked at again before the node stops.
const BEHIND_MAX: Duration = Duration::from_secs(5);

/// Where it is kept.
#[derive(Debug)]
pub(crate) struct TokenNote {
    pool: Pool,
    origin: String,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The size that the token has, as far as this node knows.
    kept: u64,
    tried: Option<Timestamp>,
    refused: bool,
    /// Since when the register that this node sees does not reach the token's head, by the clock that nobody sets.
    behind: Option<Duration>,
    /// What was compared already, and agreed.
    agreed: Vec<Head>,
}

impl TokenNote {
    pub fn new(pool: &Pool, origin: &str) -> TokenNote {
        TokenNote { pool: pool.clone(), origin: origin.to_owned(), state: Mutex::default() }
    }

    /// The newest head that a node with this token signed.
    pub async fn newest(&self) -> Result<Option<Head>, StoreError> {
        Ok(self.heads().await?.into_iter().max_by_key(|head| head.size))
    }

    /// The heads in the token that this node has not compared yet.
    pub async fn unmet(&self) -> Result<Vec<Head>, StoreError> {
        let mut heads = self.heads().await?;
        let mut state = self.state();
        state.agreed.retain(|agreed| heads.contains(agreed));
        heads.retain(|head| !state.agreed.contains(head));
        Ok(heads)
    }

    /// A head in the token is part of this node's tree.
    pub fn agreed(&self, head: Head) {
        self.state().agreed.push(head);
    }

    /// Whether the register reached the token's heads at this look; answers whether it did not for too long.
    pub fn reached(&self, all: bool, now: Duration) -> bool {
        let mut state = self.state();
        if all {
            state.behind = None;
            return false;
        }
        now.saturating_sub(*state.behind.get_or_insert(now)) >= BEHIND_MAX
    }

    async fn heads(&self) -> Result<Vec<Head>, StoreError> {
        let notes = self.pool.notes(&self.origin).await;
        let notes = match notes {
            Ok(notes) => notes,
            Err(error @ (HsmError::Unsupported(_) | HsmError::Failed(_))) => {
                self.mention(&error);
                return Ok(Vec::new());
            }
            Err(error) => return Err(StoreError::Unavailable(format!("the token does not show its note: {error}"))),
        };
        Ok(notes.iter().filter_map(|note| head(&self.origin, note)).collect())
    }

    /// Keeps a checkpoint, unless one was kept a moment ago.
    pub async fn keep(&self, size: u64, note: &str, now: Timestamp) {
        if size <= self.state().kept {
            return;
        }
        let lately = self.state().tried.is_some_and(|tried| (0..EVERY_SECS).contains(&now.since(tried)));
        if !lately {
            self.state().tried = Some(now);
            self.keep_at_once(size, note).await;
        }
    }

    /// Keeps a checkpoint, unless the token has it.
    pub async fn keep_at_once(&self, size: u64, note: &str) {
        if size <= self.state().kept {
            return;
        }
        let origin = self.origin.clone();
        let rank = move |note: &[u8]| head(&origin, note).map_or(0, |head| head.size);
        match self.pool.keep_note(&self.origin, note.as_bytes().to_vec(), rank).await {
            Ok(_) => {
                let mut state = self.state();
                (state.kept, state.refused) = (state.kept.max(size), false);
            }
            Err(error) => self.mention(&error),
        }
    }

    /// Takes it away: an operator gave up the history it speaks of.
    pub async fn forget(&self) -> Result<(), StoreError> {
        let unavailable = |e: HsmError| StoreError::Unavailable(format!("the token does not let go of its note: {e}"));
        self.pool.forget_notes(&self.origin).await.map_err(unavailable)
    }

    fn mention(&self, error: &HsmError) {
        let mut state = self.state();
        if !std::mem::replace(&mut state.refused, true) {
            tracing::warn!(%error, "the newest checkpoint is not kept in the token; the folder [log] state stands alone");
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The head of a note of this log; none of anything else.
fn head(origin: &str, note: &[u8]) -> Option<Head> {
    let checkpoint = Checkpoint::parse(std::str::from_utf8(note).ok()?).ok()?;
    (checkpoint.origin == origin).then_some(Head { size: checkpoint.size, root: checkpoint.root })
}
