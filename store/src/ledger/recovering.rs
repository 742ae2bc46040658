//! Keys that are wrapped to a key in no token: how they come to be, and how they come back when the token is lost.
//!
//! Whoever wraps is above this room, and is handed a key for that and nothing else: it is shown to nobody, so it is no access; each
//! leaves the leaf of its record's new version. Architecture: one file alone calls [`Ledger::wrap_key`].
//!
//! Without the token the key of the heads is gone too, without which no register opens. It is wrapped like every other, so whoever brings
//! it opens the register as a node does: the head's own seal says whether it is the right one, and then everything is attested as always.
//!
//! Trusted for: that a key is sealed anew as it was wrapped, and that nothing else of the register changes with it. Whoever brings the
//! key of the heads can write heads: m holders of shares together can, with a database that they can write.

use std::sync::Arc;

use hsm::{Mint, Pool, SealingKey};
use policy::World;

use super::base::Ledger;
use super::sealing::{keeps, sealed_record};
use crate::attest::{self, Attested};
use crate::nouns::beside::Beside;
use crate::nouns::database::Database;
use crate::nouns::entry::ActorStamp;
use crate::nouns::error::StoreError;
use crate::nouns::sealed::{HEAD_KEY, SEALED, Sealed, Seals, is_gone, seal_label, seal_name};
use crate::nouns::wrapped::{SealedKey, wrapped_of, write_wrapped};
use crate::register::{LogConfig, Opening, Register, blocking};
use crate::sql::{Sql, Use, connect};
use crate::truth::{self, Kept};

impl Ledger {
    /// A page of the sealed keys by their names, each for itself, and where the next begins: one that somebody altered is refused where it
    /// stands, with an alarm, and keeps no other back. One that the list leaves out is not noticed: whoever needs all of them counts what
    /// [`Ledger::standing`] says.
    pub async fn sealed_keys(&self, after: Option<String>) -> Result<(Vec<EachKey>, Option<String>), StoreError> {
        let (node, from) = (Arc::clone(&self.register().node), after.unwrap_or_default());
        let start = from.clone();
        let ask = move |sql: &mut dyn Sql| attest::records_each(&node, sql, SEALED, &from);
        let page = self.register().ask(self.lane, ask).await?;
        // Ids come in their order; whoever wrote others into the rows ends the list.
        let next = page.last().map(|(last, _)| last.clone()).filter(|last| *last > start);
        let each = page.into_iter().filter_map(|(id, record)| match record.map(Attested::into_inner) {
            Ok(record) if is_gone(&record.body) => None,
            Ok(record) => Some((id, SealedKey::of(record))),
            Err(why) => Some((id, Err(why))),
        });
        Ok((each.collect(), next))
    }

    /// Wraps a key that is sealed: `wrap` is given it, and answers what stands in its record from now on. `Conflict`: it has another version
    /// by now.
    pub async fn wrap_key<E: From<StoreError>>(
        &self,
        key: &SealedKey,
        wrap: impl FnOnce(&[u8]) -> Result<Vec<u8>, E>,
        actor: &ActorStamp,
    ) -> Result<(), E> {
        let plain = self.opened(&key.record).await?;
        let wrapped = wrap(&plain)?;
        Ok(self.sealed_anew(key, &plain, Some(&wrapped), actor).await?)
    }

    /// Seals a key under the generation in force, as it came back from how it was wrapped; everything else of it stays. `Conflict`: it has
    /// another version by now.
    pub async fn seal_again(&self, key: &SealedKey, plain: &[u8], actor: &ActorStamp) -> Result<(), StoreError> {
        self.sealed_anew(key, plain, None, actor).await
    }

    async fn sealed_anew(
        &self,
        key: &SealedKey,
        plain: &[u8],
        wrapped: Option<&[u8]>,
        actor: &ActorStamp,
    ) -> Result<(), StoreError> {
        let there = &key.record;
        let sealed = self.sealed(&there.id, plain).await?;
        let mut record = sealed_record(&there.id, there.owner.clone(), &sealed, actor.clone(), Some(there.version));
        let beside = keeps(there, &mut record)?;
        if let Some(wrapped) = wrapped {
            write_wrapped(wrapped, &mut record.body)?;
        }
        self.register().record_beside(vec![(record, beside)], false).await.map(drop)
    }

    /// Opens a register whose token is lost, over a token that never had to do with it, with the key of its heads as it came back from how
    /// it was wrapped; and seals that one under `generation`, whose key is made. What else is sealed stands under the lost ones still: it is
    /// sealed anew by [`Ledger::seal_again`], or not at all.
    ///
    /// `Held`: it is not the key of these heads. `Invalid`: something was sealed under that generation, or a later one, before.
    pub async fn recover(
        database: Database,
        (pool, mint): (&Pool, Mint),
        log: LogConfig,
        world: World,
        (head_key, generation, actor): (&[u8], u32, &ActorStamp),
    ) -> Result<Ledger, StoreError> {
        let brought = (Opening::Alone, Some((head_key, generation)));
        let (register, _) = Register::open_with(database, pool, log, world, brought).await?;
        let ledger = Ledger::of((pool, mint), register);
        match ledger.begin_under(generation, actor).await {
            Ok(()) => Ok(ledger),
            Err(error) => {
                ledger.close().await;
                Err(error)
            }
        }
    }

    /// The generation of the sealing key under which a token opens the key of a register's heads, and with that the register; none where it
    /// has no such key. Nothing is written.
    pub async fn opens_under(database: Database, pool: &Pool, origin: &str) -> Result<Option<u32>, StoreError> {
        let kept = blocking(move || truth::read_kept(connect(&database, Use::Read)?.as_mut())).await?;
        let Kept::Sealed(sealed) = kept else {
            return Err(StoreError::NotFound("there is no register: nothing was ever written into it".to_owned()));
        };
        // Whatever the reason is: another token than the one that sealed it gives the same.
        Ok(truth::open_key(pool, origin, sealed).await.ok().map(|(_, sealed)| sealed.generation))
    }

    /// From its leaf on the token opens the register by itself.
    async fn begin_under(&self, generation: u32, actor: &ActorStamp) -> Result<(), StoreError> {
        let there = self.record_get(SEALED, HEAD_KEY).await?;
        // Somebody came before, and this token opened what he wrote.
        let is_begun = match &there {
            Some(there) => Sealed::of(&there.body)? == *self.register().head_key(),
            None => false,
        };
        let newest = self.standing().keys().next_back().copied().unwrap_or(0);
        if !is_begun && (newest >= generation || self.is_seal_ended(generation)) {
            return Err(StoreError::Invalid(format!(
                "{} was used before: seal under {} or a later one",
                seal_name(generation),
                seal_name(newest.max(generation).saturating_add(1))
            )));
        }
        let away = |error: hsm::HsmError| StoreError::Token(error.to_string());
        let label = seal_label(generation);
        let touchstone = self.inner.pool.touchstone(None, &label).await.map_err(away)?;
        let keys = [(generation, SealingKey::known(label, &[], touchstone))].into();
        self.take_seals(Seals { active: Some(generation), keys, ..Seals::default() });
        if is_begun {
            return Ok(());
        }
        let expect = there.as_ref().map_or(0, |there| there.version);
        let mut record = sealed_record(HEAD_KEY, None, self.register().head_key(), actor.clone(), Some(expect));
        let beside = match &there {
            Some(there) => keeps(there, &mut record)?,
            None => Beside::Nothing,
        };
        self.register().record_beside(vec![(record, beside)], false).await.map(drop)
    }
}

/// What stands in a record's body in a register that nobody opens, and of which so nothing is known: it has to prove itself. None where
/// there is no such record.
pub async fn as_it_stands(
    database: Database,
    kind: &'static str,
    id: String,
) -> Result<Option<serde_json::Value>, StoreError> {
    blocking(move || truth::body_as_it_stands(connect(&database, Use::Read)?.as_mut(), kind, &id)).await
}

/// How the key of the heads is wrapped in a register that nobody opens, and of which so nothing is known.
pub async fn wrapped_heads_as_they_stand(database: Database) -> Result<Option<Vec<u8>>, StoreError> {
    let body = as_it_stands(database, SEALED, HEAD_KEY.to_owned()).await?;
    body.map_or(Ok(None), |body| wrapped_of(&body))
}

/// A sealed key by its name, or why it is refused.
pub type EachKey = (String, Result<SealedKey, StoreError>);
