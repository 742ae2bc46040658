//! What a backup has beside the register, and what of it a key of the log proves.
//!
//! Whoever knows a recipient makes a whole stream: a register, and files that agree with it. So the register's word counts as far as the newest
//! signed head in it reaches (C2SP tlog-checkpoint), under a key that whoever asks knows from elsewhere. A head that this key did not sign is no
//! fault of the stream: a restore takes it, and the start holds the register against what the token knows.

use std::collections::{BTreeMap, BTreeSet};

use super::manifest::{BackedUp, Companion};
use crate::log::{Checkpoint, Head, LogKey};

/// What a backup has beside the register.
#[derive(Clone, Debug)]
pub struct Contents {
    /// Of all of it.
    pub backed_up: BackedUp,
    /// The files.
    pub companions: Vec<Companion>,
    /// What its register says was in force, by the ids of the records ([`SETTING`](crate::SETTING)): the newest of each, as its leaf has it;
    /// null where the row is not what the leaf stands for.
    pub settings: BTreeMap<String, serde_json::Value>,
    /// The leaf of each of them.
    pub(super) leaves: BTreeMap<String, u64>,
    /// The tree of its leaves at the size that its checkpoint says; none where they are fewer, or it has none.
    pub(super) at_checkpoint: Option<Head>,
}

/// Why a key of a log does not prove a register.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unproved {
    /// The text is no verifier key (C2SP signed-note).
    #[error("it is no key of a log (NAME+ID+KEY, as a service has it at /log/key)")]
    NoKey,
    /// The backup's register has no checkpoint.
    #[error("the backup has no signed head of its log")]
    NoHead,
    /// The newest checkpoint is not this key's, or none; and why.
    #[error("it did not sign the newest head in the backup ({0})")]
    NotSigned(String),
    /// The key signed it, and the leaves in the backup are not those that it speaks of.
    #[error("the head that it signed is of other entries than the backup has")]
    OtherLeaves,
}

impl Contents {
    /// Whether the newest signed head in it is that of its leaves, signed by the key of this verifier key string (C2SP signed-note). Answers
    /// the ids of the [`settings`](Self::settings) that came after that head: of those the key proves nothing.
    ///
    /// # Errors
    /// Why it proves nothing at all.
    pub fn proved_by(&self, verifier_key: &str) -> Result<BTreeSet<&str>, Unproved> {
        let key = LogKey::parse(verifier_key.trim()).map_err(|_| Unproved::NoKey)?;
        let note = self.backed_up.manifest.checkpoint.as_deref().ok_or(Unproved::NoHead)?;
        let signed = Checkpoint::parse(note).map_err(Unproved::NotSigned)?;
        key.verify(&signed).map_err(Unproved::NotSigned)?;
        if self.at_checkpoint != Some(Head { size: signed.size, root: signed.root }) {
            return Err(Unproved::OtherLeaves);
        }
        let later = self.leaves.iter().filter(|(_, leaf)| **leaf >= signed.size);
        Ok(later.map(|(id, _)| id.as_str()).collect())
    }
}
