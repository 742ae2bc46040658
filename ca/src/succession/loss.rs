//! An authority whose token is lost: what its keys are succeeded by, in a token that never had to do with it.
//!
//! The register is open already, with the key of its heads under a new generation of the sealing key (`store::Ledger::recover`). Here the
//! records of the issuers come to say so, in two steps. First, before there can be an authority: which keys are lost, by a word that is for
//! good; that the new generation seals; and a log key, since nothing is proved without one. Then, by the authority that opens over that:
//! a successor of each issuer whose key is lost, the roots first. Each step looks whether it was done, so that whatever breaks off, the same
//! again goes on.
//!
//! Trusted for: that a key is called lost that no token here has, and none that a token has. Nothing that a lost key signed is taken back.

use policy::{Actor, Timestamp};
use store::{ActorStamp, Database};

use crate::error::CaError;
use crate::issuers::name::{LOG, SEAL};
use crate::issuers::record::{Above, GenerationRecord, IssuerRecord, IssuerRole, KIND};
use crate::issuers::{CrlForm, GenerationName};
use crate::parts::Parts;
use crate::succession::keeper::Keeper;
use crate::succession::maker::{Maker, missing};
use crate::succession::wish::Rotate;

/// The generations of the sealing key, as they stand in a register that nobody opens. Nothing of it is attested: it says where to look, and
/// what is found there proves itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealsAsTheyStand {
    /// The number of the next one.
    pub next: u32,
    /// The newest that there is; 0 before there was one.
    pub newest: u32,
    /// Whether an operator called one lost that has not ended: a restoring is under way.
    pub is_lost: bool,
}

impl SealsAsTheyStand {
    /// Of a database.
    pub async fn of(database: Database) -> Result<SealsAsTheyStand, CaError> {
        let body = store::as_it_stands(database, KIND, SEAL.to_owned()).await?;
        let body = body.ok_or_else(|| CaError::NotFound("a sealing key in this register: it".to_owned()))?;
        let record: IssuerRecord = serde_json::from_value(body)
            .map_err(|error| CaError::Internal(format!("the record of issuer `{SEAL}`: {error}")))?;
        Ok(SealsAsTheyStand {
            next: record.next_number(),
            newest: record.generations.iter().map(|generation| generation.number).max().unwrap_or(0),
            is_lost: record.generations.iter().any(|generation| generation.lost && generation.retired.is_none()),
        })
    }
}

/// What became of the issuers whose keys are lost.
#[derive(Clone, Debug, Default)]
pub struct Replaced {
    /// Successors that issue now.
    pub made: Vec<GenerationName>,
    /// Successors whose certificate comes from elsewhere, and is waited for.
    pub waits: Vec<GenerationName>,
    /// Issuers that have none, each with why.
    pub left: Vec<(String, String)>,
}

/// The first step: which keys are lost, what seals, what signs the log. `seal` is the generation that the register was opened under.
pub(crate) async fn begin(parts: &Parts, seal: u32, actor: &Actor) -> Result<(), CaError> {
    let maker = Maker::over(parts).await?;
    let stamp = ActorStamp::from(actor);
    maker.seal_from_now_on(&GenerationName::new(SEAL, seal), &stamp).await?;
    let names: Vec<String> = maker.issuers.fresh().await?.issuers().map(|(name, _)| name.clone()).collect();
    for name in names.iter().filter(|name| *name != SEAL) {
        let (mut record, expect) = maker.record(name).await?;
        let mut is_news = false;
        for generation in record.generations.iter_mut().filter(|generation| !generation.lost) {
            generation.lost = maker.is_lost(generation).await;
            is_news |= generation.lost;
        }
        if is_news {
            maker.write(name, (&record, expect), Vec::new(), &stamp).await?;
        }
    }
    maker.log_from_now_on(&stamp).await
}

impl Maker {
    /// Whether a key is in no token that is configured here. One that does not answer may have it.
    async fn is_lost(&self, generation: &GenerationRecord) -> bool {
        if generation.elsewhere {
            return false;
        }
        match generation.at_home(&self.pool).await {
            Some(there) => there.key.is_none() && there.away.is_empty(),
            None => false,
        }
    }

    /// The generation under which the register was opened is the one that seals, and those whose key no token has are lost.
    async fn seal_from_now_on(&self, name: &GenerationName, stamp: &ActorStamp) -> Result<(), CaError> {
        let (mut record, expect) = self.record(SEAL).await?;
        let before = record.clone();
        for generation in record.generations.iter_mut().filter(|there| there.number != name.number() && !there.lost) {
            let is_made = generation.touchstone.is_some() && generation.retired.is_none();
            generation.lost = is_made && !self.has_sealing_of(generation).await;
        }
        match record.generation(name.number()) {
            None => {
                let at = after(&record, self.ledger.cautious_time());
                let mut new = GenerationRecord::begun(name, Some(at), CrlForm::WHOLE);
                new.touchstone = Some(hex::encode(self.pool.touchstone(None, &name.label()).await?));
                record.generations.push(new);
            }
            // Somebody came before.
            Some(there) if self.has_sealing_of(there).await => {}
            Some(_) => {
                return Err(CaError::Conflict(format!(
                    "the key `{}` of the token is not the one of {name}",
                    name.label()
                )));
            }
        }
        match record == before {
            true => Ok(()),
            false => self.write(SEAL, (&record, expect), Vec::new(), stamp).await,
        }
    }

    /// Whether a token has the key of a generation that seals, or may have it.
    async fn has_sealing_of(&self, generation: &GenerationRecord) -> bool {
        match generation.sealing(&self.pool) {
            Some(key) => !self.pool.sealing_at_home(&key).await.good.is_empty(),
            None => false,
        }
    }

    /// A log key in the new token, where the one before is lost.
    async fn log_from_now_on(&self, stamp: &ActorStamp) -> Result<(), CaError> {
        let now = self.ledger.cautious_time();
        let (record, expect) = self.record(LOG).await?;
        let is_lost = |record: &IssuerRecord| record.active(now).is_none_or(|active| active.lost);
        if !is_lost(&record) {
            return Ok(());
        }
        let begun = record.generations.iter().find(|generation| is_next(generation)).map(|there| there.number);
        let name = GenerationName::new(LOG, begun.unwrap_or_else(|| record.next_number()));
        if begun.is_none() {
            let generation = GenerationRecord::begun(&name, None, CrlForm::WHOLE);
            self.begin(&name, (record, expect), generation, stamp).await?;
        }
        self.key(&name, stamp).await?;
        let (mut record, expect) = self.record(LOG).await?;
        let at = after(&record, now);
        record.generation_mut(name.number()).ok_or_else(|| missing(&name))?.activates = Some(at);
        self.write(LOG, (&record, expect), Vec::new(), stamp).await
    }
}

impl Keeper {
    /// The second step: a successor of each issuer whose key is lost.
    pub(crate) async fn replace_lost(&self, actor: &Actor) -> Result<Replaced, CaError> {
        let mut replaced = Replaced::default();
        for name in self.roots_first().await? {
            match self.replaced(actor, &name).await {
                Ok(Some((next, true))) => replaced.made.push(next),
                Ok(Some((next, false))) => replaced.waits.push(next),
                Ok(None) => {}
                // The others go on, and what is left is told.
                Err(error) => replaced.left.push((name, error.to_string())),
            }
        }
        Ok(replaced)
    }

    /// The successor of an issuer whose key is lost, and whether it issues; none where nothing is lost, or nobody was to issue.
    async fn replaced(&self, actor: &Actor, name: &str) -> Result<Option<(GenerationName, bool)>, CaError> {
        let now = self.office.ledger.cautious_time();
        let (record, _) = self.maker.record(name).await?;
        let is_over = |active: &GenerationRecord| active.retired.is_some() || active.revoked.is_some();
        let Some(active) = record.active(now).filter(|active| active.lost && !is_over(active)) else {
            return Ok(None);
        };
        // Made, and not yet the one that issues: it broke off in between.
        let whole = |there: &&GenerationRecord| {
            is_next(there) && there.is_made() && (record.role != IssuerRole::X509 || !there.certificates.is_empty())
        };
        if let Some(made) = record.generations.iter().find(whole) {
            let next = GenerationName::new(name, made.number);
            self.set_activation(actor, &next, now).await?;
            self.settle().await;
            return Ok(Some((next, true)));
        }
        // By its name, where the old one was by one that is configured no more.
        let token = (!active.tokens.is_empty()).then(|| self.maker.pool.first().name().to_owned());
        let next = self.rotate(actor, Rotate { token, ..Rotate::of(name) }).await?;
        Ok(Some((next, record.above != Some(Above::Elsewhere))))
    }

    /// The issuers that sign, each after the one above it.
    async fn roots_first(&self) -> Result<Vec<String>, CaError> {
        let hierarchy = self.office.issuers.fresh().await?;
        let mut all: Vec<(usize, String)> = Vec::new();
        for (name, issuer) in hierarchy.issuers() {
            if [LOG, SEAL].contains(&name.as_str()) {
                continue;
            }
            let (mut depth, mut above) = (0, issuer.record.above.clone());
            while let Some(Above::Issuer(next)) = above {
                depth += 1;
                above = hierarchy.issuer(&next).ok().and_then(|issuer| issuer.record.above.clone());
                if depth > DEPTH_MAX {
                    break;
                }
            }
            all.push((depth, name.clone()));
        }
        all.sort();
        Ok(all.into_iter().map(|(_, name)| name).collect())
    }
}

/// Whether a generation is one that follows what is lost, and does not issue yet.
fn is_next(generation: &GenerationRecord) -> bool {
    let is_open = generation.retired.is_none() && generation.revoked.is_none() && !generation.elsewhere;
    is_open && !generation.lost && !generation.arriving && generation.activates.is_none()
}

/// Now, or when the one before began to issue, if that is later.
fn after(record: &IssuerRecord, now: Timestamp) -> Timestamp {
    record.active(now).and_then(|active| active.activates).map_or(now, |before| now.max(before))
}

/// A path of CAs that is longer goes in a circle.
const DEPTH_MAX: usize = 16;
