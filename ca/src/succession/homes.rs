//! In which tokens the key of a generation is at home.
//!
//! How the same key comes into two tokens is the vendors' art (a backup, a clone, an import of both); that it is the same is seen here.
//! A token is added once it has shown the very same public key under the label, and has signed with it: a request for the CA's own
//! certificate, for the log the next head, each a signature like any other, with its intent and its leaf. Then the record says so.

use hsm::{Health, HsmError, Key, Token};
use policy::Actor;

use crate::craft::request;
use crate::error::CaError;
use crate::issuers::record::{GenerationRecord, IssuerRecord, IssuerRole};
use crate::issuers::{GenerationName, Standing};
use crate::succession::keeper::{Keeper, usable};
use crate::succession::maker::{missing, stamp};
use crate::succession::wish::Homes;

impl Keeper {
    /// Changes the tokens of a generation's key.
    pub(crate) async fn set_homes(&self, actor: &Actor, name: &GenerationName, homes: Homes) -> Result<(), CaError> {
        self.may(actor).await?;
        let _changing = self.changing.lock().await;
        let (record, _) = self.maker.record(name.issuer()).await?;
        let generation = usable(&record, name)?;
        let mut tokens = generation.tokens.clone();
        if tokens.is_empty() {
            tokens.push(self.maker.pool.first().name().to_owned());
        }
        let mut brought = generation.brought;
        match homes {
            Homes::Add { token, was_outside } => {
                if record.role == IssuerRole::Seal && was_outside {
                    return Err(CaError::bad(
                        "was_outside",
                        "a key that seals and was outside a token is not taken: whoever has the copy opens all that it sealed. Clone it from token \
                         to token, or make a successor there: `chancery ca rotate seal --token TOKEN`",
                    ));
                }
                brought |= was_outside;
                self.check_apart(&token, &tokens).await?;
                self.prove(actor, name, &token, brought).await?;
                if !tokens.contains(&token) {
                    tokens.push(token);
                }
            }
            Homes::Remove(token) => {
                self.at_home(&tokens, name, &token)?;
                tokens.retain(|there| *there != token);
                if tokens.is_empty() {
                    return Err(CaError::Conflict(format!(
                        "`{token}` is the only token of {name}: add another one first"
                    )));
                }
                self.goes_on(generation, (name, &token), &tokens).await?;
            }
            Homes::First(token) => {
                self.at_home(&tokens, name, &token)?;
                tokens.retain(|there| *there != token);
                tokens.insert(0, token);
            }
        }
        // The proof may have made a version.
        let (mut record, expect) = self.maker.record(name.issuer()).await?;
        let generation = record.generation_mut(name.number()).ok_or_else(|| missing(name))?;
        (generation.tokens, generation.brought) = (tokens, brought);
        self.maker.write(name.issuer(), (&record, expect), Vec::new(), &stamp(actor)).await?;
        self.settle().await;
        Ok(())
    }

    /// The tokens of a new key, as an operator names one; none is the first, which has to be there.
    pub(super) fn homes(&self, token: Option<&str>) -> Result<Vec<String>, CaError> {
        if let Some(token) = token {
            return Ok(vec![self.token(token)?.name().to_owned()]);
        }
        let (first, is_well) = (self.maker.pool.first(), |token: &&Token| token.health() == Health::Ready);
        match self.maker.pool.tokens().iter().find(is_well) {
            Some(other) if !is_well(&first) => Err(CaError::unavailable(
                AWAY_RETRY_SECS,
                format!(
                    "token {}, in which new keys are made, does not answer; `--token {}` makes it there, and there alone",
                    first.name(),
                    other.name()
                ),
            )),
            Some(_) | None => Ok(Vec::new()),
        }
    }

    /// Where the key of a successor is made: in the first token of the one before that is well.
    pub(super) fn next_home(&self, before: Option<&GenerationRecord>) -> Vec<String> {
        let homes = before.map_or(&[][..], |before| &before.tokens);
        homes.iter().find(|home| self.is_well(home)).or(homes.first()).cloned().into_iter().collect()
    }

    fn token(&self, name: &str) -> Result<&Token, CaError> {
        self.maker.pool.named(name).map_err(|error| CaError::bad("token", error.to_string()))
    }

    fn at_home(&self, tokens: &[String], name: &GenerationName, token: &str) -> Result<(), CaError> {
        match tokens.iter().any(|there| there == token) {
            true => Ok(()),
            false => Err(CaError::bad("token", format!("the key of {name} is in {}", tokens.join(", ")))),
        }
    }

    /// A token by another name is no second home.
    async fn check_apart(&self, token: &str, homes: &[String]) -> Result<(), CaError> {
        let added = self.token(token)?;
        let others = homes.iter().filter(|home| *home != token && self.is_well(home));
        for home in others.filter_map(|home| self.maker.pool.token(home)) {
            if added.is_same(home).await? {
                let why = format!("`{token}` and `{}` are one token by two names", home.name());
                return Err(CaError::Conflict(why));
            }
        }
        Ok(())
    }

    /// Nobody takes away the last token that has the key, while those that are left are away.
    async fn goes_on(
        &self,
        generation: &GenerationRecord,
        (name, gone): (&GenerationName, &str),
        left: &[String],
    ) -> Result<(), CaError> {
        if !self.has(generation, &[gone.to_owned()]).await || self.has(generation, left).await {
            return Ok(());
        }
        Err(CaError::Conflict(format!(
            "without `{gone}` the key of {name} is nowhere now: {} does not show it; `chancery ca tokens {name}` says why",
            left.join(", ")
        )))
    }

    /// Whether one of these tokens is well and has the key.
    async fn has(&self, generation: &GenerationRecord, tokens: &[String]) -> bool {
        let pool = &self.maker.pool;
        let well: Vec<String> = tokens.iter().filter(|token| self.is_well(token)).cloned().collect();
        match (generation.sealing(pool), generation.fingerprint()) {
            _ if well.is_empty() => false,
            (Some(sealing), _) => {
                let found = pool.sealing_at_home(&sealing.at(&well)).await;
                found.good.len() > found.away.len()
            }
            (None, Some(wanted)) => {
                pool.at_home(&well, (&generation.label, generation.brought), &wanted).await.key.is_some()
            }
            (None, None) => false,
        }
    }

    fn is_well(&self, token: &str) -> bool {
        self.maker.pool.token(token).is_some_and(|token| token.health() == hsm::Health::Ready)
    }

    /// That a token has the key of a generation: the same public key, and a signature with it.
    async fn prove(&self, actor: &Actor, name: &GenerationName, token: &str, brought: bool) -> Result<(), CaError> {
        let token = self.token(token)?;
        let (record, version) = self.maker.record(name.issuer()).await?;
        let generation = usable(&record, name)?;
        if record.role == IssuerRole::Seal {
            return self.prove_by_touchstone(name, generation, token).await;
        }
        let wanted =
            generation.fingerprint().ok_or_else(|| CaError::Conflict(format!("the key of {name} is not made yet")))?;
        let (label, at) = (&generation.label, token.name());
        let key = token.sought(label, brought, (true, Some(wanted))).await.map_err(|error| match error {
            HsmError::NotFound { .. } => CaError::bad(
                "token",
                format!("token `{at}` has no key `{label}`: bring the key there first (docs/TOKENS.md)"),
            ),
            HsmError::Unfit { .. } => CaError::bad("token", format!("token `{at}`: {error}")),
            other => other.into(),
        })?;
        if key.fingerprint() != wanted {
            tracing::error!(generation = %name, token = at, "a token has another key under the label of this one; it is not added");
            return Err(CaError::Conflict(format!(
                "what token `{at}` has as `{label}` is another key than that of {name} (SHA-256 {} of its public key, and not {}): \
                 nothing is signed with it",
                key.fingerprint_hex(),
                hex::encode(wanted)
            )));
        }
        token.unbar(&wanted);
        let key = key.at(&[at.to_owned()]);
        match record.role {
            IssuerRole::Log => self.prove_by_head(actor, name, &key).await,
            IssuerRole::Seal => Err(CaError::Internal(format!("{name} signs nothing"))),
            IssuerRole::X509 | IssuerRole::SshUser | IssuerRole::SshHost => {
                self.prove_by_request(actor, (name, version), &record, &key).await
            }
        }
    }

    /// Of a key that seals: it opens what the key made that was known first.
    async fn prove_by_touchstone(
        &self,
        name: &GenerationName,
        generation: &GenerationRecord,
        token: &Token,
    ) -> Result<(), CaError> {
        let (at, label) = (token.name().to_owned(), &generation.label);
        let key = generation.sealing(&self.maker.pool);
        let key = key.ok_or_else(|| CaError::Conflict(format!("the key of {name} is not made yet")))?;
        let found = self.maker.pool.sealing_at_home(&key.at(std::slice::from_ref(&at))).await;
        match (found.away.into_iter().next(), found.wrong.into_iter().next()) {
            (None, None) => Ok(()),
            (Some((_, why)), _) => Err(CaError::away(AWAY_RETRY_SECS, &name.to_string(), why)),
            (None, Some((_, why))) => Err(CaError::bad(
                "token",
                format!("token `{at}`, key `{label}`: {why}; bring the key there first (docs/TOKENS.md)"),
            )),
        }
    }

    pub(super) async fn prove_by_request(
        &self,
        actor: &Actor,
        (name, version): (&GenerationName, u64),
        record: &IssuerRecord,
        key: &Key,
    ) -> Result<(), CaError> {
        let grant = self.may(actor).await?;
        let standing = Standing { name: name.clone(), version, ended: None };
        let now = self.maker.checks.clock.now().await?;
        let serial = self.maker.serials.next();
        let draft = match &record.plan {
            Some(plan) => {
                let named = self.maker.named(name).await?;
                request::draft(grant, standing, plan, (key, named.as_deref()), serial, now)?
            }
            None => request::proof(grant, standing, key, serial, now)?,
        };
        self.office.issue(draft).await.map(drop)
    }

    /// The log's key signs heads and nothing else. There is a new one with each leaf, and a version of the record is one.
    async fn prove_by_head(&self, actor: &Actor, name: &GenerationName, key: &Key) -> Result<(), CaError> {
        for _ in 0..HEADS_MAX {
            let (record, expect) = self.maker.record(name.issuer()).await?;
            self.maker.write(name.issuer(), (&record, expect), Vec::new(), &stamp(actor)).await?;
            if self.office.registrar.checkpoint(std::slice::from_ref(key)).await? {
                return Ok(());
            }
        }
        Err(CaError::unavailable(HEAD_RETRY_SECS, "the log's heads are being signed at this moment"))
    }
}

/// A token that is away is looked for every second.
const AWAY_RETRY_SECS: u32 = 5;
/// So often another task may be faster.
const HEADS_MAX: usize = 8;
const HEAD_RETRY_SECS: u32 = 1;
