//! The newest signed checkpoint as a data object in the token, under the log's name: whoever deletes the folder of a node and
//! puts the database back is still met by what only those who can log in to the token write.
//!
//! The nodes that share a token meet there too, outside the database: what the token has is part of each node's own tree, or they were
//! led onto two registers (a split view), and stop: whoever notices leaves the head it has under a second label, for those that
//! are further and find only their own checkpoints under the first.
//!
//! It is written with the first checkpoint that a node signs, then every few seconds while they move, and when the node ends. Of
//! the nodes that share a token the one that is further has the last word. A token that keeps no notes is mentioned once, and
//! the folder stands alone.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hsm::{HsmError, Pool};
use policy::Timestamp;

use crate::log::{Checkpoint, Head, checkpoint_text, parse_text};
use crate::nouns::error::StoreError;

/// After the log's name, which has no space in it: the heads of nodes that stopped.
const APART: &str = " apart";
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
    apart: Apart,
}

/// Whether a head in the token was of another register.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Apart {
    /// None was.
    #[default]
    No,
    /// One was, and the others are not told yet.
    Noticed,
    /// The token has the head of this node.
    Told,
}

impl TokenNote {
    pub fn new(pool: &Pool, origin: &str) -> TokenNote {
        TokenNote { pool: pool.clone(), origin: origin.to_owned(), state: Mutex::default() }
    }

    /// The newest head that a node with this token signed, or stopped at.
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

    /// Whether this node met another register.
    pub fn apart(&self) -> Apart {
        self.state().apart
    }

    /// This node met another register.
    pub fn noticed(&self) {
        self.state().apart = Apart::Noticed;
    }

    /// The heads that nodes stopped at when they met another register.
    pub async fn heads_apart(&self) -> Result<Vec<Head>, StoreError> {
        Ok(self.notes(&self.label_apart()).await?.iter().filter_map(|note| head_apart(&self.origin, note)).collect())
    }

    /// Tells the others where this node stopped. `ours` are heads of this node's own history: they are written over first, so that
    /// of two histories there is always one head each, whoever stops when.
    pub async fn tell(&self, head: &Head, ours: Vec<Head>) {
        let value = checkpoint_text(&self.origin, head.size, &head.root).into_bytes();
        let (origin, written) = (self.origin.clone(), value.clone());
        let rank = move |note: &[u8]| match head_apart(&origin, note) {
            Some(_) if note == written => 2,
            Some(head) if ours.contains(&head) => 0,
            Some(_) | None => 1,
        };
        match self.pool.keep_note(&self.label_apart(), value, rank).await {
            Ok(_) => self.state().apart = Apart::Told,
            Err(error) => tracing::warn!(%error, "the token does not tell other nodes where this one stopped"),
        }
    }

    async fn heads(&self) -> Result<Vec<Head>, StoreError> {
        let signed = self.notes(&self.origin).await?;
        let signed = signed.iter().filter_map(|note| head(&self.origin, note));
        Ok(signed.chain(self.heads_apart().await?).collect())
    }

    async fn notes(&self, label: &str) -> Result<Vec<Vec<u8>>, StoreError> {
        match self.pool.notes(label).await {
            Ok(notes) => Ok(notes),
            Err(error @ (HsmError::Unsupported(_) | HsmError::Failed(_))) => {
                self.mention(&error);
                Ok(Vec::new())
            }
            Err(error) => Err(StoreError::Token(format!("it does not show its note: {error}"))),
        }
    }

    fn label_apart(&self) -> String {
        format!("{}{APART}", self.origin)
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

    /// Takes it away, and what nodes stopped at: an operator gave up the history they speak of.
    pub async fn forget(&self) -> Result<(), StoreError> {
        let unavailable = |e: HsmError| StoreError::Token(format!("it does not let go of its note: {e}"));
        self.pool.forget_notes(&self.origin).await.map_err(unavailable)?;
        self.pool.forget_notes(&self.label_apart()).await.map_err(unavailable)
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

/// The head of the note of a node that stopped. It may have signed none of what the others lack, and signs no more: who can log in to
/// the token is believed without.
fn head_apart(origin: &str, note: &[u8]) -> Option<Head> {
    let (of, head) = parse_text(std::str::from_utf8(note).ok()?).ok()?;
    (of == origin).then_some(head)
}
