//! Sealed records: what may lie in the database and be read by whoever holds the token alone.
//!
//! Each stands under one generation of the sealing key, and its leaf says under which; so the fold knows how many stand under each,
//! whatever the database shows. What stands under another generation than the one in force is sealed anew, a page at a time, each a
//! new version of its record: whoever stops in between goes on with what is left. A generation under which nothing stands can end: by
//! a leaf, after which nothing is sealed under it by any node, and its key may be destroyed.
//!
//! Trusted for: that what was opened is what was sealed under that name. Whoever controls the database can keep rows from being
//! opened, and with that a generation from ending; nothing else.

use std::collections::BTreeMap;
use std::sync::Arc;

use hsm::{Farewell, Health, SealingKey};
use tokio::task::JoinSet;
use zeroize::Zeroizing;

use super::base::Ledger;
use crate::attest::Attested;
use crate::nouns::beside::{Beside, Digest};
use crate::nouns::entry::ActorStamp;
use crate::nouns::error::StoreError;
use crate::nouns::record::{Record, RecordFilter, StoredRecord};
use crate::nouns::sealed::{
    HEAD_KEY, Rewrapped, SEAL_END, SEALED, SEALED_BYTES_MAX, Sealed, Seals, is_gone, seal_name,
};
use crate::nouns::wrapped::{wrapped_of, write_wrapped};

impl Ledger {
    /// Puts generations of the sealing key into force, on this node.
    pub fn take_seals(&self, seals: Seals) {
        self.inner.seals.store(Arc::new(seals));
    }

    /// The generation that new things are sealed under, on this node; none before one was put into force.
    pub fn seal_in_force(&self) -> Option<u32> {
        self.inner.seals.load().active
    }

    /// Seals bytes under the generation in force, and records them under a name; answers the version.
    pub async fn seal(
        &self,
        id: &str,
        owner: Option<String>,
        plain: &[u8],
        (actor, expect): (ActorStamp, Option<u64>),
    ) -> Result<u64, StoreError> {
        let sealed = self.sealed(id, plain).await?;
        let versions = self.record(vec![sealed_record(id, owner, &sealed, actor, expect)]).await?;
        versions.first().copied().ok_or(StoreError::Closed)
    }

    /// What was sealed under a name; none where there is no such record.
    pub async fn open_sealed(&self, id: &str) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        match self.record_get(SEALED, id).await? {
            Some(there) if Digest::of_body(&there.body)?.is_some() => Err(StoreError::Invalid(format!(
                "`{id}` is the key of a value, which is opened once its access is recorded"
            ))),
            Some(there) if is_gone(&there.body) => Ok(None),
            Some(there) => self.opened(&there).await.map(Some),
            None => Ok(None),
        }
    }

    /// How many sealed records stand under each generation: from the fold, not the database.
    pub fn standing(&self) -> BTreeMap<u32, u64> {
        self.register().node.fold(|fold, _| fold.standing().clone())
    }

    /// How many stand under generations whose key is lost, by an operator's word: nobody opens them.
    pub fn standing_lost(&self) -> u64 {
        let seals = self.inner.seals.load_full();
        self.standing().into_iter().filter(|(number, _)| seals.lost.contains(number)).map(|(_, count)| count).sum()
    }

    /// Whether the key of a generation is lost, by an operator's word.
    pub fn is_seal_lost(&self, number: u32) -> bool {
        self.inner.seals.load().lost.contains(&number)
    }

    /// Whether a generation has ended, by a leaf.
    pub fn is_seal_ended(&self, number: u32) -> bool {
        self.register().node.fold(|fold, _| fold.is_seal_ended(number))
    }

    /// Records the key of the heads as it is sealed in the register, once: from then on it is sealed anew like everything else.
    pub async fn record_head_key(&self, actor: ActorStamp) -> Result<(), StoreError> {
        if self.record_get(SEALED, HEAD_KEY).await?.is_some() {
            return Ok(());
        }
        let record = sealed_record(HEAD_KEY, None, self.register().head_key(), actor, Some(0));
        match self.record(vec![record]).await {
            // Another node was faster.
            Ok(_) | Err(StoreError::Conflict(_)) => Ok(()),
            Err(other) => Err(other),
        }
    }

    /// Seals a page anew of what stands under another generation than the one in force. Call it until nothing is left. One record that
    /// is not what the log says stops it, with an alarm that names it.
    pub async fn rewrap(&self, actor: &ActorStamp) -> Result<Rewrapped, StoreError> {
        let seals = self.inner.seals.load_full();
        let Some(active) = seals.active else { return Ok(Rewrapped::default()) };
        let old = |(number, _): &(u32, u64)| *number != active && !seals.lost.contains(number);
        let Some((number, _)) = self.standing().into_iter().find(old) else { return Ok(Rewrapped::default()) };
        let filter = RecordFilter { lookup: Some(seal_name(number)), limit: PAGE, ..RecordFilter::default() };
        let page = self.record_list(SEALED, filter).await?;
        if page.is_empty() {
            // Another node was faster: what it sealed anew this one may not have followed yet.
            self.follow().await?;
        }
        if page.is_empty() && self.standing().get(&number).is_some_and(|standing| *standing > 0) {
            let says = format!("the register does not show what stands under {}", seal_name(number));
            return Err(StoreError::Altered(says));
        }
        let done = self.sealed_anew_all(page, actor).await?;
        let left = self.standing().into_iter().filter(old).map(|(_, count)| count).sum();
        Ok(Rewrapped { done, left })
    }

    /// Seals all of these anew, some at once: the writer has their commits in one flush, and the token its sessions busy. What is under way
    /// when one fails is done to its end.
    async fn sealed_anew_all(&self, page: Vec<Attested<StoredRecord>>, actor: &ActorStamp) -> Result<u64, StoreError> {
        let (mut rest, mut under_way) = (page.into_iter(), JoinSet::new());
        let (mut done, mut failed) = (0, None);
        loop {
            while failed.is_none()
                && under_way.len() < ANEW_AT_ONCE
                && let Some(there) = rest.next()
            {
                let (ledger, actor) = (self.clone(), actor.clone());
                under_way.spawn(async move { ledger.one_anew(&there, actor).await });
            }
            match under_way.join_next().await {
                None => break,
                Some(Ok(Ok(is_done))) => done += u64::from(is_done),
                Some(Ok(Err(error))) => failed = failed.or(Some(error)),
                Some(Err(broken)) => failed = failed.or(Some(StoreError::Unavailable(broken.to_string()))),
            }
        }
        failed.map_or(Ok(done), Err)
    }

    /// Seals one anew; answers whether it was this node that did.
    async fn one_anew(&self, there: &StoredRecord, actor: ActorStamp) -> Result<bool, StoreError> {
        let plain = self.opened(there).await?;
        let sealed = self.sealed(&there.id, &plain).await?;
        let mut record = sealed_record(&there.id, there.owner.clone(), &sealed, actor, Some(there.version));
        let beside = keeps(there, &mut record)?;
        match self.register().record_beside(vec![(record, beside)], false).await {
            Ok(_) => Ok(true),
            // Its owner wrote it meanwhile, or another node was faster: under the generation in force, then.
            Err(StoreError::Conflict(_)) => Ok(false),
            Err(other) => Err(other),
        }
    }

    /// Ends a generation, by a leaf; answers the right to destroy its key. `Conflict`: something stands under it, or it is the one in
    /// force. Whoever comes again is given the right again.
    pub async fn end_seal(&self, number: u32, key: &SealingKey, actor: ActorStamp) -> Result<Farewell, StoreError> {
        let name = seal_name(number);
        if self.inner.seals.load().active == Some(number) {
            return Err(StoreError::Conflict(format!("{name} is the one that seals")));
        }
        if !self.is_seal_ended(number) {
            let record = Record {
                kind: SEAL_END,
                id: name,
                owner: None,
                lookup: None,
                expires: None,
                body: serde_json::json!({ "label": key.label(), "tokens": key.homes() }),
                actor,
                expect: Some(0),
            };
            match self.record(vec![record]).await {
                Ok(_) => {}
                // Another node was faster.
                Err(StoreError::Conflict(_)) if self.is_seal_ended(number) => {}
                Err(other) => return Err(other),
            }
        }
        Ok(self.inner.mint.farewell_to_seal(key))
    }

    pub(super) async fn sealed(&self, id: &str, plain: &[u8]) -> Result<Sealed, StoreError> {
        if plain.len() > SEALED_BYTES_MAX {
            return Err(StoreError::Invalid(format!(
                "more than {SEALED_BYTES_MAX} bytes are not sealed in one record"
            )));
        }
        let seals = self.inner.seals.load_full();
        let found = seals.active.and_then(|number| Some((number, seals.keys.get(&number)?)));
        let (generation, key) =
            found.ok_or_else(|| StoreError::Token("no generation of the sealing key is there to seal with".into()))?;
        let context = Sealed::context(self.origin(), id, generation);
        let bytes = self.inner.pool.seal(key, plain, &context).await.map_err(away)?;
        Ok(Sealed { generation, bytes })
    }

    pub(super) async fn opened(&self, there: &StoredRecord) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        let Sealed { generation, bytes } = Sealed::of(&there.body)?;
        let seals = self.inner.seals.load_full();
        let key = key_of(&seals, generation, &there.id)?;
        let context = Sealed::context(self.origin(), &there.id, generation);
        self.inner.pool.unseal(key, &bytes, &context).await.map(Zeroizing::new).map_err(away)
    }

    /// Whether it would be opened now, as far as is known without asking a token.
    pub(super) fn may_open(&self, there: &StoredRecord) -> Result<(), StoreError> {
        let seals = self.inner.seals.load_full();
        let key = key_of(&seals, Sealed::of(&there.body)?.generation, &there.id)?;
        match self.inner.pool.health_of_sealing(key) {
            Health::Ready => Ok(()),
            Health::Healing { why } | Health::Locked { why } => {
                Err(StoreError::Token(format!("it does not answer: {why}")))
            }
        }
    }
}

fn key_of<'a>(seals: &'a Seals, generation: u32, id: &str) -> Result<&'a SealingKey, StoreError> {
    let none = || StoreError::Token(format!("the key of {} is not there to open `{id}`", seal_name(generation)));
    seals.keys.get(&generation).ok_or_else(none)
}

fn away(error: hsm::HsmError) -> StoreError {
    match error {
        // The row is the log's, and its bytes belong elsewhere: somebody who may write leaves wrote them.
        hsm::HsmError::Sealed(_) => StoreError::Corrupt(error.to_string()),
        other => StoreError::Token(other.to_string()),
    }
}

pub(super) fn sealed_record(
    id: &str,
    owner: Option<String>,
    sealed: &Sealed,
    actor: ActorStamp,
    expect: Option<u64>,
) -> Record {
    Record {
        kind: SEALED,
        id: id.to_owned(),
        owner,
        lookup: Some(seal_name(sealed.generation)),
        expires: None,
        body: sealed.body(),
        actor,
        expect,
    }
}

/// What lies beside it stays what it is, and how it is wrapped.
pub(super) fn keeps(there: &StoredRecord, record: &mut Record) -> Result<Beside, StoreError> {
    if let Some(wrapped) = wrapped_of(&there.body)? {
        write_wrapped(&wrapped, &mut record.body)?;
    }
    let Some(digest) = Digest::of_body(&there.body)? else { return Ok(Beside::Nothing) };
    digest.write(&mut record.body);
    Ok(Beside::Kept)
}

/// Sealed anew before the next look.
const PAGE: usize = 64;
/// ... and so many of them at once.
const ANEW_AT_ONCE: usize = 16;
