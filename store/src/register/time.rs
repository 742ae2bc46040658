//! The time in force.

use std::sync::Arc;

use policy::Timestamp;

use super::base::Register;
use crate::clock::{self};
use crate::nouns::entry::ActorStamp;
use crate::nouns::error::StoreError;
use crate::nouns::held::{Held, Witness};
use crate::rows::{Op, RecordRow};
use crate::truth::record_key;
use crate::writer::Reply;

impl Register {
    /// The time, if it can be believed. Where the log is said to be ahead it is asked again: another node may have written an
    /// operator's word since.
    pub(crate) async fn time(&self) -> Result<Timestamp, StoreError> {
        if let Err(Held { by: Witness::Log, .. }) = self.clock.now() {
            self.follow().await?;
        }
        Ok(self.clock.now()?)
    }

    /// Writes an operator's word that this node's clock is right; answers it as (what was in force, what is now).
    pub(crate) async fn set_time(&self, actor: ActorStamp, reason: &str) -> Result<(Timestamp, Timestamp), StoreError> {
        self.follow().await?;
        if let Some(held) = self.clock.contradicted() {
            return Err(held.into());
        }
        let before = self.node.fold(|fold, _| fold.version(&record_key(clock::KIND, clock::ID)));
        let (from, to) = (self.clock.in_force(), self.clock.shows());
        let word = clock::word(from, to, reason, actor, before);
        let row = RecordRow::new(word, to)?;
        match self.writer.write(Op::Record(Arc::new(vec![row]))).await? {
            Reply::Versions(_) => Ok((from, to)),
            other => Err(StoreError::Corrupt(format!("the writer answered {other:?}"))),
        }
    }
}
