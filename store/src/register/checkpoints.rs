//! Heads that are signed.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::base::{Register, blocking};
use super::terms::SignedHead;
use crate::log::{self, Checkpoint, LogKey};
use crate::nouns::error::StoreError;
use crate::queries;
use crate::reader::Lane;
use crate::rows::Op;
use crate::writer::Reply;

/// Operations of checkpoints have this bit and the log's size; those of the ledger are leaf indexes, far below it.
const CHECKPOINT_BIT: u64 = 1 << 63;

/// Checkpoints are signed one at a time; what was never concluded is dropped.
const CHECKPOINTS_UNDER_WAY: usize = 16;

/// What the token has to keep the last checkpoint in.
const LAST_NOTE_MAX: Duration = Duration::from_secs(1);

impl Register {
    /// The operation and the text of the next checkpoint; none where the head is signed.
    ///
    /// "A log MUST NOT sign any checkpoint which is inconsistent with any checkpoint it previously signed": what is signed is
    /// the tree in memory, which only grows.
    pub(crate) async fn intend_checkpoint(&self, key: &LogKey) -> Result<Option<(u64, String)>, StoreError> {
        self.node.not_held()?;
        self.follow().await?;
        let signed = self.signed().clone();
        if let (Some(note), Some(signed)) = (&self.token_note, &signed) {
            note.keep(signed.size, &signed.note, self.now()).await;
        }
        let head = self.node.head();
        let newest = signed.map_or(0, |signed| signed.size);
        if head.size == newest
            || head.size <= self.node.burned()?
            || self.another_signed(head.size, head.root, key).await?
        {
            return Ok(None);
        }
        let text = log::checkpoint_text(&self.node.origin, head.size, &head.root);
        let operation = CHECKPOINT_BIT | head.size;
        let mut under_way = self.checkpoints.lock().unwrap_or_else(PoisonError::into_inner);
        under_way.insert(operation, text.clone());
        if under_way.len() > CHECKPOINTS_UNDER_WAY {
            under_way.pop_first();
        }
        Ok(Some((operation, text)))
    }

    /// Another node may have signed this head: a row that is none of theirs is signed over.
    async fn another_signed(&self, size: u64, root: [u8; 32], key: &LogKey) -> Result<bool, StoreError> {
        let Some(note) = self.ask(Lane::Request, move |sql| queries::checkpoint_of(sql, size)).await? else {
            return Ok(false);
        };
        let there = Checkpoint::parse(&note).ok();
        let good = there.filter(|there| there.size == size && there.root == root && key.verify(there).is_ok());
        match good {
            Some(checkpoint) => {
                self.keep_signed(checkpoint, &note)?;
                Ok(true)
            }
            None => Ok(false),
        }
    }

    pub(crate) async fn conclude_checkpoint(
        &self,
        operation: u64,
        signatures: &[(LogKey, Vec<u8>)],
    ) -> Result<String, StoreError> {
        let text = self.checkpoints.lock().unwrap_or_else(PoisonError::into_inner).remove(&operation);
        let text = text.ok_or_else(|| StoreError::NotFound("no such checkpoint is under way".into()))?;
        let size = operation & !CHECKPOINT_BIT;
        let note = log::sign_note(&text, signatures);
        match self.writer.write(Op::Checkpoint(size, note.clone().into())).await? {
            Reply::Note(_) => {}
            other => return Err(StoreError::Corrupt(format!("the writer answered {other:?}"))),
        }
        self.keep_signed(Checkpoint::parse(&note).map_err(StoreError::Corrupt)?, &note)?;
        let node = Arc::clone(&self.node);
        blocking(move || node.write_image(false)).await?;
        Ok(note)
    }

    /// The newest one is kept in memory, for the public, and outside the database.
    fn keep_signed(&self, checkpoint: Checkpoint, note: &str) -> Result<(), StoreError> {
        let mut signed = self.signed.write().unwrap_or_else(PoisonError::into_inner);
        if signed.as_ref().is_none_or(|there| there.size < checkpoint.size) {
            *signed = Some(SignedHead { size: checkpoint.size, note: note.into(), since: self.now() });
            drop(signed);
            self.node.note_checkpoint(note)?;
        }
        Ok(())
    }

    /// Keeps the newest signed checkpoint in the token: the node ends. One that is held does not: its register may be the wrong one.
    pub(crate) async fn note_in_token(&self) {
        let signed = self.signed().clone();
        if let (Some(note), Some(signed), Ok(())) = (&self.token_note, signed, self.node.not_held()) {
            let kept = tokio::time::timeout(LAST_NOTE_MAX, note.keep_at_once(signed.size, &signed.note)).await;
            if kept.is_err() {
                tracing::warn!("the token did not keep the last checkpoint in time");
            }
        }
    }
}
