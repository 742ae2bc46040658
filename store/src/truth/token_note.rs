//! The newest signed checkpoint as a data object in the token, under the log's name: whoever deletes the folder of a node and
//! puts the database back is still met by what only those who can log in to the token write.
//!
//! It is written with the first checkpoint that a node signs, then every few seconds while they move, and when the node ends. Of
//! the nodes that share a token the one that is further has the last word. A token that keeps no notes is mentioned once, and
//! the folder stands alone.

use std::sync::{Mutex, MutexGuard, PoisonError};

use hsm::{HsmError, Pool};
use policy::Timestamp;

use crate::error::StoreError;
use crate::log::{Checkpoint, Head};

/// A token's memory wears, and a read-write session is dear: so seldom is it written at most.
const EVERY_SECS: i64 = 5;

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
}

impl TokenNote {
    pub fn new(pool: &Pool, origin: &str) -> TokenNote {
        TokenNote { pool: pool.clone(), origin: origin.to_owned(), state: Mutex::default() }
    }

    /// The newest head that a node with this token signed.
    pub async fn newest(&self) -> Result<Option<Head>, StoreError> {
        let notes = self.pool.notes(&self.origin).await;
        let notes = match notes {
            Ok(notes) => notes,
            Err(error @ (HsmError::Unsupported(_) | HsmError::Failed(_))) => {
                self.mention(&error);
                return Ok(None);
            }
            Err(error) => return Err(StoreError::Unavailable(format!("the token does not show its note: {error}"))),
        };
        let heads = notes.iter().filter_map(|note| head(&self.origin, note));
        Ok(heads.max_by_key(|head| head.size))
    }

    /// Keeps a checkpoint, unless one was kept a moment ago.
    pub async fn keep(&self, size: u64, note: &str, now: Timestamp) {
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
