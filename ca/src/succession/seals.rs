//! The sealing key's generations: what is special to a key that signs nothing.
//!
//! It has no certificate and no public half; it is known again by its touchstone. Another generation follows it as any other issuer's
//! does; what stands under the old one is then sealed anew by the running service, and once nothing does, the old one is retired: by
//! a leaf, and its key is destroyed.

use std::time::{Duration, Instant};

use policy::Actor;
use store::ActorStamp;

use crate::error::CaError;
use crate::issuers::GenerationName;
use crate::issuers::Registry;
use crate::issuers::name::SEAL;
use crate::issuers::record::IssuerRecord;
use crate::succession::maker::{Maker, missing};

impl Maker {
    /// The key of a generation, made if it is not there, and known from now on.
    pub(crate) async fn sealing(&self, name: &GenerationName, actor: &ActorStamp) -> Result<(), CaError> {
        let (mut record, expect) = self.record(name.issuer()).await?;
        let generation = record.generation_mut(name.number()).ok_or_else(|| missing(name))?;
        if generation.touchstone.is_some() {
            return Ok(());
        }
        let (label, token) = (generation.label.clone(), generation.tokens.first().cloned());
        if !self.pool.has_sealing(token.as_deref(), &label).await? {
            self.pool.generate_sealing(token.as_deref(), &label).await?;
        }
        // A crash from here on: the key is there, its label is ours, and the next attempt takes it.
        generation.touchstone = Some(hex::encode(self.pool.touchstone(token.as_deref(), &label).await?));
        self.write(name.issuer(), (&record, expect), Vec::new(), actor).await
    }

    /// The end of a generation under which nothing stands: first the leaf, after which no node seals under it, then the record, then
    /// the key. Whatever breaks off, the same command or the running service goes on.
    pub(crate) async fn retire_seal(
        &self,
        name: &GenerationName,
        (mut record, expect): (IssuerRecord, u64),
        actor: &ActorStamp,
    ) -> Result<(), CaError> {
        let now = self.ledger.cautious_time();
        if record.active(now).is_some_and(|active| active.number == name.number()) {
            return Err(CaError::Conflict(format!(
                "{name} is the one that seals: `chancery ca rotate {SEAL}` makes its successor first"
            )));
        }
        let left = self.ledger.standing().get(&name.number()).copied().unwrap_or(0);
        let is_lost = record.generation(name.number()).is_some_and(|generation| generation.lost);
        if left > 0 && is_lost {
            return Err(CaError::Conflict(format!(
                "{left} stand under {name} yet, whose key is lost: those whose shares open them come back by `chancery recovery restore`; the \
                 others nobody opens again, and `chancery secret destroy` does away with them"
            )));
        }
        if left > 0 {
            return Err(CaError::Conflict(format!(
                "{left} stand under {name} yet, and nobody could open them without its key: the running service seals them anew; \
                 `chancery ca show {SEAL}` says how many are left"
            )));
        }
        let generation = record.generation_mut(name.number()).ok_or_else(|| missing(name))?;
        let is_lost = generation.lost;
        let farewell = match generation.sealing(&self.pool) {
            Some(key) => Some(self.ledger.end_seal(name.number(), &key, actor.clone()).await?),
            None => None,
        };
        generation.retired = Some(now);
        self.write(name.issuer(), (&record, expect), Vec::new(), actor).await?;
        match farewell.filter(|_| !is_lost) {
            Some(farewell) => Ok(self.pool.destroy(farewell).await?),
            None => Ok(()),
        }
    }
}

/// What the running service does for the sealing key: a page of what stands under an old generation is sealed anew, and keys of
/// generations that are retired are destroyed where a crash, or a token that was away, kept them. Answers how many are left.
pub(crate) async fn tend(maker: &Maker, issuers: &Registry) -> Result<u64, CaError> {
    // What another node put into force is known first: what stands under a newer one is never sealed back.
    issuers.fresh().await?;
    issuers.put_seals_in_force();
    let actor = ActorStamp::from(&Actor::system("seal"));
    let ledger = &maker.ledger;
    let (mut done, mut said) = (0, Instant::now());
    let left = loop {
        let page = ledger.rewrap(&actor).await?;
        done += page.done;
        // Nothing done of what is left: another node is at it.
        let is_over = page.left == 0 || page.done == 0;
        if done > 0 && (is_over || said.elapsed() >= SAID_EVERY) {
            tracing::info!(done, left = page.left, "what stood under an older sealing key is sealed anew");
            (done, said) = (0, Instant::now());
        }
        if is_over {
            break page.left;
        }
    };
    let hierarchy = issuers.fresh().await?;
    let all = hierarchy.issuer(SEAL).map(|issuer| issuer.generations.as_slice()).unwrap_or_default();
    for generation in all {
        let (record, number) = (&generation.record, generation.name.number());
        if record.retired.is_none() {
            // It broke off between its leaf and its record; or its key is lost, and the last that stood under it is gone.
            let is_over = record.lost && ledger.standing().get(&number).copied().unwrap_or(0) == 0;
            if is_over || ledger.is_seal_ended(number) {
                maker.retire_seal(&generation.name, maker.record(SEAL).await?, &actor).await?;
                issuers.fresh().await?;
            }
            continue;
        }
        let Some(key) = record.sealing(&maker.pool).filter(|_| ledger.is_seal_ended(number)) else { continue };
        if maker.pool.sealing_at_home(&key).await.good.is_empty() {
            continue;
        }
        let farewell = ledger.end_seal(number, &key, actor.clone()).await?;
        maker.pool.destroy(farewell).await?;
    }
    Ok(left)
}

/// While a page follows the other, what was done is said so often.
const SAID_EVERY: Duration = Duration::from_secs(10);
