//! Checkpoints met on the way: each states a size and a root, which the tree must have when it is that large.

use std::cmp::Reverse;
use std::collections::VecDeque;

use super::evidence::{Evidence, StoredCheckpoint};
use super::kept::Kept;
use super::report::{Identity, Pins, Report};
use super::signatures::Keys;
use crate::log::{Checkpoint, LogKey};
use crate::nouns::error::StoreError;

/// The stream of stored checkpoints, and those that were kept elsewhere.
pub(super) struct Checkpoints {
    waiting: VecDeque<StoredCheckpoint>,
    after: Option<i64>,
    ended: bool,
    /// By size, the greatest first.
    saved: Vec<Kept>,
    pinned: Option<LogKey>,
    /// How many leaves the newest checkpoint that the pinned key signed covers: log keys recorded below it are its word.
    vouched: u64,
    /// Checkpoints that the pinned key did not sign, until one that it did covers them.
    unvouched: Vec<String>,
    /// How many leaves the newest good checkpoint covers.
    covered: u64,
}

/// By whose word a checkpoint is believed.
enum Signed {
    /// The pinned key's, or without one a recorded key's.
    By(String),
    /// A log key that the tree below a checkpoint of the pinned key names.
    Followed(String),
    /// A recorded log key: a later checkpoint of the pinned key may cover it.
    Not(String),
}

impl Checkpoints {
    /// The auditor's own pins must be sound: a mistake in them is an error, not a finding.
    pub fn new(pins: &Pins, report: &mut Report) -> Result<Checkpoints, StoreError> {
        let brought = pins.checkpoint.as_deref().map(|note| Kept::checkpoint("the saved checkpoint".to_owned(), note));
        let mut saved: Vec<Kept> = brought.transpose()?.into_iter().chain(pins.kept.iter().cloned()).collect();
        saved.sort_by_key(|kept| Reverse(kept.size));
        let pinned = pins.verifier_key.as_deref().map(str::trim).map(LogKey::parse).transpose()?;
        if let Some(key) = &pinned {
            (report.identity, report.origin, report.key) = (Identity::Pinned, key.name().to_owned(), key.to_string());
        }
        Ok(Checkpoints {
            waiting: VecDeque::new(),
            after: None,
            ended: false,
            saved,
            pinned,
            vouched: 0,
            unvouched: Vec::new(),
            covered: 0,
        })
    }

    /// Judges every checkpoint of a tree that just became this large.
    pub fn at(
        &mut self,
        evidence: &mut dyn Evidence,
        keys: &Keys,
        size: u64,
        root: impl Fn() -> [u8; 32],
        report: &mut Report,
    ) -> Result<(), StoreError> {
        while let Some(saved) = self.saved.pop_if(|saved| saved.size <= size) {
            self.judge_saved(&saved, keys, size, &root, report);
        }
        loop {
            self.fill(evidence)?;
            // Smaller than any size met (a negative one, or zero): judged now, and found not to fit.
            let due = self
                .waiting
                .front()
                .is_some_and(|next| u64::try_from(next.size).is_ok_and(|s| s <= size) || next.size < 0);
            let Some(next) = (if due { self.waiting.pop_front() } else { None }) else { return Ok(()) };
            self.judge(&next, keys, size, &root, report);
        }
    }

    /// What is left when the tree is complete speaks of leaves that are not there.
    pub fn end(&mut self, evidence: &mut dyn Evidence, size: u64, report: &mut Report) -> Result<(), StoreError> {
        report.unsigned = size.saturating_sub(self.covered);
        for unvouched in std::mem::take(&mut self.unvouched) {
            let (place, why) = unvouched.split_once('\n').unwrap_or_default();
            report.find("checkpoint", place.to_owned(), why.to_owned());
        }
        for saved in std::mem::take(&mut self.saved) {
            let says = format!(
                "speaks of {} leaves, the log has {size}: its tail was deleted, or it was put back to an older state",
                saved.size
            );
            report.find("checkpoint", saved.by, says);
        }
        loop {
            self.fill(evidence)?;
            let Some(next) = self.waiting.pop_front() else { return Ok(()) };
            let says = format!("speaks of leaves beyond the log's {size}");
            report.find("checkpoint", format!("checkpoint size={} column size", next.size), says);
        }
    }

    fn fill(&mut self, evidence: &mut dyn Evidence) -> Result<(), StoreError> {
        if self.waiting.is_empty() && !self.ended {
            self.waiting = evidence.checkpoints(self.after)?.into();
            self.ended = self.waiting.is_empty();
            self.after = self.waiting.back().map_or(self.after, |last| Some(last.size));
        }
        Ok(())
    }

    fn judge(
        &mut self,
        stored: &StoredCheckpoint,
        keys: &Keys,
        size: u64,
        root: &impl Fn() -> [u8; 32],
        report: &mut Report,
    ) {
        report.checkpoints += 1;
        let place = format!("checkpoint size={}", stored.size);
        let checkpoint = match Checkpoint::parse(&stored.note) {
            Ok(checkpoint) => checkpoint,
            Err(why) => return report.find("checkpoint", format!("{place} column note"), why),
        };
        if i64::try_from(checkpoint.size) != Ok(stored.size) {
            return report.find("checkpoint", format!("{place} column size"), "is not the size of its note");
        }
        let findings = report.findings_total;
        match self.signed(&checkpoint, keys) {
            Ok(Signed::By(key)) => {
                self.vouched = checkpoint.size;
                self.unvouched.clear();
                self.known_as(&checkpoint, key, &place, report);
            }
            Ok(Signed::Followed(key)) => self.known_as(&checkpoint, key, &place, report),
            Ok(Signed::Not(why)) => self.unvouched.push(format!("{place} column note\n{why}")),
            Err(why) => report.find("checkpoint", format!("{place} column note"), why),
        }
        if checkpoint.size != size || checkpoint.root != root() {
            report.find("checkpoint", format!("{place} column note"), "its root is not the one the leaves derive");
        }
        if report.findings_total == findings {
            self.covered = size;
        }
    }

    fn judge_saved(&self, saved: &Kept, keys: &Keys, size: u64, root: &impl Fn() -> [u8; 32], report: &mut Report) {
        let place = saved.by.as_str();
        match saved.checkpoint.as_ref().map(|checkpoint| self.signed(checkpoint, keys)) {
            Some(Err(why) | Ok(Signed::Not(why))) => report.find("checkpoint", place, why),
            Some(Ok(Signed::By(_) | Signed::Followed(_))) | None => {}
        }
        if saved.size != size || saved.root != root() {
            report.find(
                "checkpoint",
                place,
                format!("the log's first {} leaves are not those it speaks of", saved.size),
            );
        }
    }

    /// One log has one name; its key may change, and the newest is what the report names.
    fn known_as(&self, checkpoint: &Checkpoint, key: String, place: &str, report: &mut Report) {
        if report.origin.is_empty() {
            report.origin.clone_from(&checkpoint.origin);
        }
        if report.origin != checkpoint.origin {
            let says = format!("is of the log `{}`, the one before of `{}`", checkpoint.origin, report.origin);
            return report.find("checkpoint", format!("{place} column note"), says);
        }
        report.key = key;
    }

    /// Signed by the pinned key, or by a log key that it vouches for; without a pin, by a recorded log key. While one log key follows
    /// another, both sign: whoever pinned the old one finds the new one in the tree, and whoever pinned the new one sees that tree cover
    /// what the old one signed.
    fn signed(&self, checkpoint: &Checkpoint, keys: &Keys) -> Result<Signed, String> {
        let recorded = keys.log_keys(&checkpoint.origin);
        let by = recorded.iter().find(|(key, _)| key.verify(checkpoint).is_ok());
        let Some(pinned) = &self.pinned else {
            let none = || format!("its signature is of none of the {} recorded log keys", recorded.len());
            return by.map(|(key, _)| Signed::By(key.to_string())).ok_or_else(none);
        };
        let verdict = pinned.verify(checkpoint).map_err(|why| format!("under the pinned verifier key: {why}"));
        match (verdict, by) {
            (Ok(()), _) => Ok(Signed::By(pinned.to_string())),
            // One that names it and is not signed by it is forged.
            (Err(why), Some((key, leaf))) if !pinned.is_named_by(checkpoint) && checkpoint.origin == pinned.name() => {
                let is_vouched = *leaf < self.vouched;
                Ok(if is_vouched { Signed::Followed(key.to_string()) } else { Signed::Not(why) })
            }
            (Err(why), Some(_) | None) => Err(why),
        }
    }
}
