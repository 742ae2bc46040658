//! The steps by which a generation comes to be.

use std::sync::Arc;

use hsm::{HsmError, Key, KeyKind, Pool};
use policy::{Actor, Grant};
use serde_json::json;
use store::{ActorStamp, Filter, Kind, Ledger, Record, State};

use crate::checks::{Checked, Checks};
use crate::craft::Office;
use crate::craft::ca::{self, CaRequest, SignedBy};
use crate::drafting::{Linted, Serials};
use crate::error::CaError;
use crate::gate::Refusals;
use crate::intake::SubjectKey;
use crate::issuers::record::{
    Above, GENERATIONS_MAX, GenerationRecord, IssuerRecord, IssuerRole, KIND, Place, versions,
};
use crate::issuers::{GenerationName, Issuing, Registry, public_half};
use crate::parts::Parts;
use crate::registrar::Registrar;

/// With what generations are made. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Maker {
    pub(crate) ledger: Ledger,
    pub(crate) pool: Pool,
    pub(crate) checks: Arc<Checks>,
    pub(crate) registrar: Registrar,
    pub(crate) serials: Serials,
    pub(crate) issuers: Registry,
    pub(crate) refusals: Refusals,
}

impl Maker {
    /// With what an office has.
    pub(crate) fn of(office: &Office, pool: Pool) -> Maker {
        Maker {
            ledger: office.ledger.clone(),
            pool,
            checks: Arc::clone(&office.checks),
            registrar: office.registrar.clone(),
            serials: office.serials.clone(),
            issuers: office.issuers.clone(),
            refusals: office.gate.refusals(),
        }
    }

    /// With what an authority is made of, before there is one.
    pub(crate) async fn over(parts: &Parts) -> Result<Maker, CaError> {
        let (ledger, pool) = (parts.ledger.clone(), parts.pool.clone());
        Ok(Maker {
            checks: Checks::new(parts.world.clone(), &ledger).into(),
            registrar: Registrar::new(ledger.clone(), pool.clone()),
            serials: Serials::new(parts.world.clone(), parts.instance),
            issuers: Registry::open(pool.clone(), ledger.clone(), parts.urls.clone()).await?,
            refusals: Refusals::new(ledger.clone()),
            ledger,
            pool,
        })
    }

    /// The record of an issuer, with its version; none where there is none.
    pub(crate) async fn there(&self, name: &str) -> Result<Option<(IssuerRecord, u64)>, CaError> {
        let stored = self.ledger.record_get(KIND, name).await?;
        stored.map(|stored| Ok((IssuerRecord::of(&stored)?, stored.version))).transpose()
    }

    /// The same of one that must be there.
    pub(crate) async fn record(&self, name: &str) -> Result<(IssuerRecord, u64), CaError> {
        let missing = || CaError::NotFound(format!("issuer `{}`", policy::shown(name)));
        self.there(name).await?.ok_or_else(missing)
    }

    /// Writes an issuer's next version, and what goes with it, all or nothing.
    pub(crate) async fn write(
        &self,
        name: &str,
        (record, expect): (&IssuerRecord, u64),
        with: Vec<Record>,
        actor: &ActorStamp,
    ) -> Result<(), CaError> {
        for _ in 0..WRITES_MAX {
            let mut all = versions(&self.ledger, name, record, expect, actor).await?;
            all.extend(with.iter().cloned());
            match self.ledger.record(all).await {
                Ok(_) => return Ok(()),
                // Another issuer was changed at the same moment: the roster has another version, this one has not.
                Err(store::StoreError::Conflict(_)) if self.ledger.record_version(KIND, name) == expect => {}
                Err(other) => return Err(other.into()),
            }
        }
        Err(CaError::unavailable(WRITE_RETRY_SECS, "issuers are being changed at this moment"))
    }

    /// Begins a generation: from here on the key of that label in the token is known to be ours. One that is there already was made by
    /// somebody else, and two registers over one key would each be half the truth.
    pub(crate) async fn begin(
        &self,
        name: &GenerationName,
        (mut record, expect): (IssuerRecord, u64),
        generation: GenerationRecord,
        actor: &ActorStamp,
    ) -> Result<(), CaError> {
        if record.generations.len() >= GENERATIONS_MAX {
            return Err(CaError::Conflict(format!(
                "issuer `{}` has {GENERATIONS_MAX} generations, the most",
                name.issuer()
            )));
        }
        let there = match record.role {
            IssuerRole::Seal => {
                self.pool.has_sealing(generation.tokens.first().map(String::as_str), &generation.label).await
            }
            IssuerRole::X509 | IssuerRole::SshUser | IssuerRole::SshHost | IssuerRole::Log => {
                self.pool.find_in(&generation.tokens, &generation.label, (false, None)).await.map(|_| true)
            }
        };
        match there {
            Ok(false) | Err(HsmError::NotFound { .. }) => {}
            Ok(true) | Err(HsmError::Unfit { .. }) => return Err(taken(&generation.label)),
            Err(e) => return Err(e.into()),
        }
        record.generations.push(generation);
        self.write(name.issuer(), (&record, expect), Vec::new(), actor).await
    }

    /// The key of a generation, looked for in its tokens. Where it is known which one it is, another of that name is none.
    pub(crate) async fn found(&self, generation: &GenerationRecord) -> Result<Key, HsmError> {
        let found = self
            .pool
            .find_in(&generation.tokens, &generation.label, (generation.brought, generation.fingerprint()))
            .await;
        let Some(at_home) = generation.at_home(&self.pool).await else { return found };
        match (at_home.key, at_home.wrong.into_iter().next()) {
            (Some(key), _) => Ok(key),
            (None, Some((_, why))) if found.is_ok() => {
                Err(HsmError::Unfit { label: generation.label.clone(), wrong: vec![why] })
            }
            (None, _) => found,
        }
    }

    /// A key is made in one token: the first of its own.
    async fn made(&self, generation: &GenerationRecord, kind: KeyKind) -> Result<Key, HsmError> {
        match generation.tokens.first() {
            Some(token) => self.pool.generate_in(token, &generation.label, kind).await,
            None => self.pool.generate(&generation.label, kind).await,
        }
    }

    /// Its key, made if it is not there: of the first kind that the token can make.
    pub(crate) async fn key(&self, name: &GenerationName, actor: &ActorStamp) -> Result<Key, CaError> {
        let (mut record, expect) = self.record(name.issuer()).await?;
        let (role, kinds) = (record.role, record.keys.clone());
        let generation = record.generation_mut(name.number()).ok_or_else(|| missing(name))?;
        let mut found = self.found(generation).await;
        for kind in &kinds {
            let kind: KeyKind = kind.parse().map_err(|e: hsm::UnknownName| CaError::bad("key", e.to_string()))?;
            match found {
                // What was there and went is not made anew: certificates stand on it.
                Err(HsmError::NotFound { .. } | HsmError::Unsupported(_)) if generation.key_hash.is_none() => {
                    found = self.made(generation, kind).await;
                }
                Ok(_) | Err(_) => break,
            }
        }
        let key = found?;
        self.ledger.record_key(&key, role.as_str(), actor.clone()).await?;
        match &generation.key_hash {
            Some(known) if *known == key.fingerprint_hex() => {}
            Some(_) => {
                return Err(CaError::Conflict(format!(
                    "the key `{}` of the token is not the one of {name}",
                    generation.label
                )));
            }
            None => {
                generation.key_hash = Some(key.fingerprint_hex());
                generation.ssh_key = public_half(role, &key);
                self.write(name.issuer(), (&record, expect), Vec::new(), actor).await?;
            }
        }
        Ok(key)
    }

    /// Its first certificate, where it has none and one of ours signs it.
    pub(crate) async fn certify_first(
        &self,
        name: &GenerationName,
        key: &Key,
        grant: impl AsyncFnOnce() -> Result<Grant, CaError>,
        actor: &ActorStamp,
    ) -> Result<(), CaError> {
        let (record, _) = self.record(name.issuer()).await?;
        let generation = record.generation(name.number()).ok_or_else(|| missing(name))?;
        if record.role != IssuerRole::X509 || !generation.certificates.is_empty() {
            return Ok(());
        }
        let above = match &record.above {
            Some(Above::Itself) => None,
            Some(Above::Issuer(above)) => Some(self.issuers.issuing(above).await?),
            Some(Above::Elsewhere) | None => return Ok(()),
        };
        let operation = match self.signed_before(name, key).await? {
            Some(operation) => operation,
            None => self.certify(name, &record, key, above, grant().await?).await?,
        };
        self.add_certificate(name, Place::Operation(operation), actor).await
    }

    /// Signs a certificate for a CA's key; answers its operation.
    pub(crate) async fn certify(
        &self,
        name: &GenerationName,
        record: &IssuerRecord,
        key: &Key,
        above: Option<Arc<Issuing>>,
        grant: Grant,
    ) -> Result<u64, CaError> {
        let by = above.map_or(SignedBy::Itself(key, name), SignedBy::Ca);
        let linted = self.linted((name, record), SubjectKey::from_token(key), by, grant).await?;
        let checked = Checked::new(linted, &self.checks).await?;
        Ok(self.registrar.issue(checked).await?.operation)
    }

    /// Refuses what no lint would let be signed, before a key is made for it: a name that is taken and a key that nobody wants would
    /// be all that came of it. The key of the CA above stands in for the one that is not there.
    pub(crate) async fn rehearse(
        &self,
        name: &GenerationName,
        record: &IssuerRecord,
        grant: Grant,
    ) -> Result<(), CaError> {
        let Some(Above::Issuer(above)) = &record.above else { return Ok(()) };
        let above = self.issuers.issuing(above).await?;
        let key = SubjectKey::from_token(&above.key);
        self.linted((name, record), key, SignedBy::Ca(above), grant).await.map(drop)
    }

    async fn linted(
        &self,
        (name, record): (&GenerationName, &IssuerRecord),
        subject_key: SubjectKey,
        by: SignedBy<'_>,
        grant: Grant,
    ) -> Result<Linted, CaError> {
        let plan =
            record.plan.as_ref().ok_or_else(|| CaError::Internal(format!("issuer `{}` has no plan", name.issuer())))?;
        let now = self.checks.clock.now().await?;
        let details = json!({ "generation": name.to_string() });
        let named = self.named(name).await?;
        let request = CaRequest { plan, number: name.number(), subject_key, named, details };
        let draft = ca::draft(grant, request, by, self.serials.next(), now)?;
        match draft.lint() {
            Ok(linted) => Ok(linted),
            Err(failure) => Err(self.refusals.refuse(failure).await),
        }
    }

    /// What a generation's key is called in its certificates, which is what it is called in all that it signed; none before the first.
    pub(crate) async fn named(&self, name: &GenerationName) -> Result<Option<Vec<u8>>, CaError> {
        let hierarchy = self.issuers.fresh().await?;
        let newest = hierarchy.generation(name).and_then(|generation| generation.certificates.last());
        Ok(newest.map(|certificate| certificate.key_identifier.clone()))
    }

    /// Adds the newest certificate of a generation to its record.
    pub(crate) async fn add_certificate(
        &self,
        name: &GenerationName,
        place: Place,
        actor: &ActorStamp,
    ) -> Result<(), CaError> {
        let (mut record, expect) = self.record(name.issuer()).await?;
        let generation = record.generation_mut(name.number()).ok_or_else(|| missing(name))?;
        generation.certificates.push(place);
        self.write(name.issuer(), (&record, expect), Vec::new(), actor).await
    }

    /// A certificate that an interrupted making had signed for this generation.
    async fn signed_before(&self, name: &GenerationName, key: &Key) -> Result<Option<u64>, CaError> {
        let filter = Filter {
            kind: Some(Kind::CaCertificate),
            state: Some(State::Issued),
            key_hash: Some(key.fingerprint()),
            ..Filter::default()
        };
        let found = self.ledger.newest(filter).await?;
        let ours = found.filter(|c| c.details.get("generation").and_then(|g| g.as_str()) == Some(&name.to_string()));
        Ok(ours.map(|certificate| certificate.operation))
    }
}

/// The stamp of who acts.
pub(crate) fn stamp(actor: &Actor) -> ActorStamp {
    ActorStamp::from(actor)
}

pub(crate) fn missing(name: &GenerationName) -> CaError {
    CaError::NotFound(format!("generation {name}"))
}

pub(crate) fn taken(label: &str) -> CaError {
    CaError::Conflict(format!(
        "the token already holds a key `{label}`, and this register did not make it; use a fresh token, or the register that did"
    ))
}

/// Nodes that change issuers at once.
const WRITES_MAX: usize = 4;
const WRITE_RETRY_SECS: u32 = 1;
