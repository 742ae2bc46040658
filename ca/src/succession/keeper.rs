//! Who changes issuers, for those who may.
//!
//! Trusted for: that what an issuer becomes is what an operator asked for. Whoever controls it can make issuers and end them, each time
//! with a leaf; it signs nothing that the page does not.

use std::sync::Arc;

use hsm::KeyKind;
use policy::{Action, Actor, Grant, Resource, ResourceKind, Timestamp};
use store::{ActorStamp, GrantStamp, Record, Revocation, State};
use tokio::sync::Mutex;

use crate::craft::Office;
use crate::error::CaError;
use crate::intake::{RevocationReason, is_compromise, is_raised};
use crate::issuers::name::{LOG, check_name};
use crate::issuers::plan::{CaPlan, Constraints, purpose};
use crate::issuers::record::{
    Above, BEGINNING, CERTIFICATES_MAX, GenerationRecord, IssuerRecord, IssuerRole, KIND, Place, Revoked,
};
use crate::issuers::{CrlForm, GenerationName, compromised};
use crate::status::Desks;
use crate::succession::founding::check_ssh;
use crate::succession::maker::{Maker, missing, stamp};
use crate::succession::rehearsal::{Rehearsal, held_by, rehearse};
use crate::succession::seals;
use crate::succession::wish::{Activation, CaWish, CreateIssuer, NO_CRLS, Rotate};

/// Who changes issuers.
pub(crate) struct Keeper {
    pub(crate) office: Office,
    pub(crate) maker: Maker,
    pub(crate) desks: Arc<Desks>,
    /// One change at a time: they are few, and each builds on the one before.
    pub(crate) changing: Mutex<()>,
}

impl Keeper {
    pub(crate) fn new(office: Office, maker: Maker, desks: Arc<Desks>) -> Keeper {
        Keeper { office, maker, desks, changing: Mutex::default() }
    }

    /// A new issuer with its first generation; asked again after a crash, it continues. The same actor's same request, once it was
    /// carried out, is answered as it was then, and makes nothing. Below a CA from elsewhere it waits for its
    /// certificate.
    pub(crate) async fn create(&self, actor: &Actor, wish: CreateIssuer) -> Result<GenerationName, CaError> {
        let grant = self.may(actor).await?;
        let _changing = self.changing.lock().await;
        let record = planned(&wish)?;
        let name = GenerationName::new(&wish.name, 1);
        let mut first =
            GenerationRecord::begun(&name, Some(BEGINNING), CrlForm::wanted(wish.shards, wish.deltas, None)?);
        first.tokens = self.homes(wish.token.as_deref())?;
        self.maker.rehearse(&name, &record, grant).await?;
        match self.maker.there(&wish.name).await? {
            None => self.maker.begin(&name, (record, 0), first, &stamp(actor)).await?,
            // The same wish again: what was begun is carried on.
            Some((there, _)) if is_begun(&there, &record) => {}
            // Its key could not be made, so that there is nothing of it but the name.
            Some((there, version)) if is_bare(&there) => {
                self.maker.begin(&name, (record, version), first, &stamp(actor)).await?;
            }
            // It was done, and whoever asked did not hear of it.
            Some((there, _)) if is_done(&there, &record, &first) && self.wrote_last(actor, &wish.name).await? => {
                return Ok(name);
            }
            Some(_) => {
                return Err(CaError::Conflict(format!(
                    "there is an issuer `{0}` already, and this request is not the one that made it: `chancery ca show {0}` has what it is",
                    wish.name
                )));
            }
        }
        self.carry_on(actor, &name).await?;
        Ok(name)
    }

    /// A successor with a key of its own.
    pub(crate) async fn rotate(&self, actor: &Actor, wish: Rotate) -> Result<GenerationName, CaError> {
        let grant = self.may(actor).await?;
        let _changing = self.changing.lock().await;
        let (mut record, expect) = self.maker.record(&wish.issuer).await?;
        let activates = self.fits(&wish, &mut record)?;
        // One that was begun is carried on.
        let begun = record.unfinished().map(|last| last.number);
        let name = GenerationName::new(&wish.issuer, begun.unwrap_or_else(|| record.next_number()));
        let old = record.active(self.office.ledger.cautious_time()).map(|generation| generation.number);
        // Its certificate comes from elsewhere: it waits for that, and then for an operator's word.
        let waits = record.above == Some(Above::Elsewhere);
        if begun.is_none() {
            let generation = self.next_of(&name, &wish, &record)?;
            self.maker.rehearse(&name, &record, grant).await?;
            self.maker.begin(&name, (record, expect), generation, &stamp(actor)).await?;
        }
        self.carry_on(actor, &name).await?;
        if wish.cross
            && let Some(old) = old
        {
            self.cross_with(actor, &name, &GenerationName::new(&wish.issuer, old)).await?;
        }
        if let Some(at) = activates.filter(|_| !waits) {
            self.set_activation(actor, &name, at).await?;
        }
        self.settle().await;
        Ok(name)
    }

    /// What a rotation would touch, and when. Nothing is made; what would be refused is, in the same words.
    pub(crate) async fn rehearse(&self, actor: &Actor, wish: &Rotate) -> Result<Rehearsal, CaError> {
        let grant = self.may(actor).await?;
        let (mut record, _) = self.maker.record(&wish.issuer).await?;
        let activates = self.fits(wish, &mut record)?;
        if record.unfinished().is_none() {
            let name = GenerationName::new(&wish.issuer, record.next_number());
            self.next_of(&name, wish, &record)?;
            self.maker.rehearse(&name, &record, grant).await?;
        }
        rehearse(&self.office, wish, activates).await
    }

    /// Whether this issuer can have such a successor, as far as that shows before anything is made; and from when that one issues. The record
    /// gets the kind of its key.
    fn fits(&self, wish: &Rotate, record: &mut IssuerRecord) -> Result<Option<Timestamp>, CaError> {
        let activates = self.moment(wish.activates)?;
        wish.check(record.role)?;
        if let Some(kind) = wish.key {
            if record.role == IssuerRole::SshUser || record.role == IssuerRole::SshHost {
                check_ssh(kind)?;
            }
            if record.role == IssuerRole::Log && !matches!(kind, KeyKind::P256 | KeyKind::Ed25519) {
                return Err(CaError::bad("key", "a log key is Ed25519 or P-256: no other kind signs the log's heads"));
            }
            record.keys = vec![kind.to_string()];
        }
        if wish.cross {
            self.may_cross(&wish.issuer, record)?;
        }
        match record.generations.iter().find(|generation| generation.elsewhere) {
            Some(elsewhere) => Err(away(&GenerationName::new(&wish.issuer, elsewhere.number))),
            None => Ok(activates),
        }
    }

    /// Whether the generation that issues now can sign for a successor's key too, as far as that shows before anything is made.
    fn may_cross(&self, issuer: &str, record: &IssuerRecord) -> Result<(), CaError> {
        if record.role != IssuerRole::X509 {
            return Err(CaError::bad("cross", format!("`{issuer}` is no CA: nobody signs certificates for its keys")));
        }
        let Some(active) = record.active(self.office.ledger.cautious_time()) else { return Ok(()) };
        let by = GenerationName::new(issuer, active.number);
        let hierarchy = self.office.issuers.read();
        let above = hierarchy.issuing_of(&by.to_string()).ok_or_else(|| missing(&by))?;
        match above.path_len {
            Some(0) => Err(no_room(&by)),
            Some(_) | None => Ok(()),
        }
    }

    /// A successor before it has a key. It issues once it can: until it has its certificate the one before does.
    fn next_of(
        &self,
        name: &GenerationName,
        wish: &Rotate,
        record: &IssuerRecord,
    ) -> Result<GenerationRecord, CaError> {
        let mut generation = GenerationRecord::begun(name, None, wish.crls_after(record)?);
        generation.tokens = match wish.token.as_deref() {
            Some(token) => self.homes(Some(token))?,
            None => self.next_home(record.generations.last()),
        };
        Ok(generation)
    }

    /// Makes a generation the one that issues, from a moment on: a successor that waits, or the way back.
    pub(crate) async fn activate(&self, actor: &Actor, name: &GenerationName, at: Activation) -> Result<(), CaError> {
        self.may(actor).await?;
        let _changing = self.changing.lock().await;
        let at = self.moment(at)?.ok_or_else(|| CaError::bad("at", "name a moment, or none for now"))?;
        self.set_activation(actor, name, at).await?;
        self.settle().await;
        Ok(())
    }

    /// A new certificate for the key of a generation: for another term, under whatever is above it now.
    pub(crate) async fn renew(&self, actor: &Actor, name: &GenerationName) -> Result<u64, CaError> {
        self.may(actor).await?;
        let _changing = self.changing.lock().await;
        let (record, _) = self.maker.record(name.issuer()).await?;
        let generation = certified(&record, name)?;
        if generation.certificates.len() >= CERTIFICATES_MAX {
            return Err(CaError::Conflict(format!("{name} has {CERTIFICATES_MAX} certificates: make a successor")));
        }
        if self.office.checks.is_compromised(&self.key_hash(generation)?) {
            return Err(CaError::Conflict(format!(
                "the key of {name} is compromised: no certificate makes it good again; `chancery ca rotate {}`",
                name.issuer()
            )));
        }
        let above = match &record.above {
            Some(Above::Itself) => None,
            Some(Above::Issuer(above)) => Some(self.office.issuers.issuing(above).await?),
            Some(Above::Elsewhere) => {
                return Err(CaError::bad(
                    "name",
                    format!(
                        "the CA above {name} is elsewhere: `chancery ca request {name}`, and bring what it signs with `chancery ca adopt {name}`"
                    ),
                ));
            }
            None => return Err(CaError::bad("name", format!("{name} stands below nothing that could sign for it"))),
        };
        let key = self.maker.found(generation).await?;
        let operation = self.maker.certify(name, &record, &key, above, self.may(actor).await?).await?;
        self.maker.add_certificate(name, Place::Operation(operation), &stamp(actor)).await?;
        self.settle().await;
        Ok(operation)
    }

    /// Another way up: a CA of ours signs for a generation that stands below another, or below itself.
    pub(crate) async fn cross_sign(
        &self,
        actor: &Actor,
        name: &GenerationName,
        by: &GenerationName,
    ) -> Result<u64, CaError> {
        self.may(actor).await?;
        let _changing = self.changing.lock().await;
        let operation = self.cross_with(actor, name, by).await?;
        self.settle().await;
        Ok(operation)
    }

    /// The end of a generation that another has followed: it issues nothing any more, and no chain goes through it first. Its CRLs go
    /// on until its certificate ends.
    pub(crate) async fn retire(&self, actor: &Actor, name: &GenerationName, force: bool) -> Result<(), CaError> {
        self.may(actor).await?;
        let _changing = self.changing.lock().await;
        let (mut record, expect) = self.maker.record(name.issuer()).await?;
        let now = self.office.ledger.cautious_time();
        let active = record.active(now).map(|generation| generation.number);
        unended(&record, name)?;
        if record.role == IssuerRole::Seal {
            // No word makes it right to destroy what somebody still needs.
            self.maker.retire_seal(name, (record, expect), &stamp(actor)).await?;
            self.settle().await;
            return Ok(());
        }
        if active == Some(name.number()) && !force {
            return Err(CaError::Conflict(format!(
                "{name} is the one that issues: make its successor first, or say that nothing shall be issued"
            )));
        }
        let (live, last) = held_by(&self.office, name).await?;
        if let Some(last) = last.filter(|_| live > 0 && !force) {
            return Err(CaError::Conflict(format!(
                "certificates of {name} hold yet ({live}, the last until {last}): wait for their end, or say that it does not matter"
            )));
        }
        if let Some(generation) = record.generation_mut(name.number()) {
            generation.retired = Some(now);
        }
        self.maker.write(name.issuer(), (&record, expect), Vec::new(), &stamp(actor)).await?;
        self.settle().await;
        Ok(())
    }

    /// The end of a generation before its time: it signs nothing from now on, whoever asks; its certificates are revoked, and the CRL of
    /// who is above it says so. What else there is goes on.
    pub(crate) async fn revoke(
        &self,
        actor: &Actor,
        name: &GenerationName,
        reason: RevocationReason,
    ) -> Result<(), CaError> {
        let grant = self.may(actor).await?;
        let _changing = self.changing.lock().await;
        let (mut record, expect) = self.maker.record(name.issuer()).await?;
        if name.issuer() == LOG {
            return Err(CaError::bad(
                "name",
                "the log's key is succeeded and not revoked: `chancery ca rotate log`; what it signed stays provable",
            ));
        }
        if record.role == IssuerRole::Seal {
            return Err(CaError::bad(
                "name",
                "a key that seals is succeeded and not revoked: `chancery ca rotate seal`, and `chancery ca retire` ends the old one once nothing stands under it",
            ));
        }
        if !reason.is_a_cas() {
            return Err(CaError::bad("reason", "a CA is not put on hold: what it issued would count now and then"));
        }
        let generation = record.generation_mut(name.number()).ok_or_else(|| missing(name))?;
        let places: Vec<Place> = generation.certificates.iter().chain(&generation.cross).cloned().collect();
        // First that nothing is signed with it, then what is published of it.
        if generation.is_news(reason.code())? {
            let with = self.ended(name, generation, reason.code(), &stamp(actor));
            self.maker.write(name.issuer(), (&record, expect), with, &stamp(actor)).await?;
            tracing::error!(generation = %name, reason = reason.code(), "a CA is revoked: nothing is issued under it any more");
        }
        self.revoke_certificates(actor, &grant, &places, reason).await?;
        self.settle().await;
        Ok(())
    }

    /// Ends a generation for good, or raises why it ended. What has to be written with it: that its key is in other hands, if that is why.
    pub(super) fn ended(
        &self,
        name: &GenerationName,
        generation: &mut GenerationRecord,
        reason: u8,
        actor: &ActorStamp,
    ) -> Vec<Record> {
        let at = generation.revoked.as_ref().map_or_else(|| self.office.checks.clock.of_revocation(), |there| there.at);
        generation.revoked = Some(Revoked { at, reason });
        if generation.ssh_key.is_none() {
            // Of an SSH CA from before its record had it.
            let there = self.office.issuers.read();
            generation.ssh_key = there.generation(name).and_then(|there| there.ssh_key()).map(hex::encode);
        }
        let lost = generation.key_hash.as_deref().filter(|_| is_compromise(reason));
        let said = lost.and_then(|hash| compromised::said(&self.office.ledger, hash, &name.to_string(), actor));
        said.into_iter().collect()
    }

    async fn revoke_certificates(
        &self,
        actor: &Actor,
        grant: &Grant,
        places: &[Place],
        reason: RevocationReason,
    ) -> Result<(), CaError> {
        for place in places {
            let Place::Operation(operation) = place else { continue };
            let Some(credential) = self.office.ledger.credential_by_operation(*operation).await? else { continue };
            // What ended before has its reason raised to the key's compromise, and to nothing else.
            if credential.state == State::Revoked && !is_raised(credential.reason, reason.code()) {
                continue;
            }
            let shard = self.office.issuers.read().shard(&credential.issuer, &credential.serial);
            let revocation = Revocation {
                operation: *operation,
                reason: reason.code(),
                at: self.office.checks.clock.of_revocation(),
                invalid: None,
                shard,
                actor: stamp(actor),
                grant: GrantStamp::from(grant),
            };
            self.office.ledger.revoke(revocation).await?;
            self.desks.after_revocation(&credential.issuer, shard).await;
        }
        Ok(())
    }

    /// What the running service does for the sealing key; answers what is left to seal anew.
    pub(crate) async fn tend_seals(&self) -> Result<u64, CaError> {
        seals::tend(&self.maker, &self.office.issuers).await
    }

    /// Whether an actor wrote the newest version of an issuer's record: nobody changed it since.
    async fn wrote_last(&self, actor: &Actor, issuer: &str) -> Result<bool, CaError> {
        let stored = self.office.ledger.record_get(KIND, issuer).await?;
        Ok(stored.is_some_and(|stored| stored.actor.id == actor.id))
    }

    /// Whether this actor may change issuers; a refusal is a leaf.
    pub(crate) async fn may(&self, actor: &Actor) -> Result<Grant, CaError> {
        self.office.gate.authorize(actor, Action::ManageAuthority, Resource::plain(ResourceKind::Authority)).await
    }

    /// Key, certificate, first CRL.
    async fn carry_on(&self, actor: &Actor, name: &GenerationName) -> Result<(), CaError> {
        let stamp = stamp(actor);
        if self.maker.record(name.issuer()).await?.0.role == IssuerRole::Seal {
            self.maker.sealing(name, &stamp).await?;
            self.settle().await;
            return Ok(());
        }
        let key = self.maker.key(name, &stamp).await?;
        self.maker.certify_first(name, &key, async || self.may(actor).await, &stamp).await?;
        self.settle().await;
        Ok(())
    }

    /// What was changed is in force, and its first CRL out. A CRL that cannot be made now is made by the task that does it daily.
    pub(crate) async fn settle(&self) {
        // What is sealed from now on is sealed under what is in force now.
        if let Err(error) = self.office.issuers.fresh().await {
            tracing::warn!(%error, "the issuers are read again in a moment");
        }
        self.office.issuers.put_seals_in_force();
        if let Err(error) = self.desks.refresh().await {
            tracing::warn!(%error, "a CRL waits after a change of issuers");
        }
    }

    pub(super) async fn set_activation(
        &self,
        actor: &Actor,
        name: &GenerationName,
        at: Timestamp,
    ) -> Result<(), CaError> {
        let (mut record, expect) = self.maker.record(name.issuer()).await?;
        let generation = unended(&record, name)?;
        if !generation.is_made() || (record.role == IssuerRole::X509 && generation.certificates.is_empty()) {
            return Err(CaError::Conflict(format!("{name} has no certificate yet; it cannot issue")));
        }
        if generation.arriving {
            return Err(arriving(name));
        }
        if generation.lost {
            return Err(lost(name));
        }
        if record.role == IssuerRole::Seal && self.office.ledger.is_seal_ended(name.number()) {
            return Err(CaError::Conflict(format!(
                "{name} has ended, by an entry of the log: nothing is sealed under it"
            )));
        }
        // Of two of one moment the one with the higher number issues: the way back takes the next.
        let now = self.office.ledger.cautious_time();
        let before = record.active(now).and_then(|active| Some((active.activates?, active.number)));
        let at = match before {
            Some((before, number)) if number > name.number() => at.max(before.plus_secs(1)),
            Some((before, _)) => at.max(before),
            None => at,
        };
        if let Some(generation) = record.generation_mut(name.number()) {
            generation.activates = Some(at);
        }
        self.maker.write(name.issuer(), (&record, expect), Vec::new(), &stamp(actor)).await
    }

    pub(super) async fn cross_with(
        &self,
        actor: &Actor,
        name: &GenerationName,
        by: &GenerationName,
    ) -> Result<u64, CaError> {
        let (mut record, expect) = self.maker.record(name.issuer()).await?;
        let generation = certified(&record, name)?;
        if generation.cross.len() >= CERTIFICATES_MAX {
            return Err(CaError::Conflict(format!("{name} has {CERTIFICATES_MAX} cross-signatures, the most")));
        }
        if self.maker.record(by.issuer()).await?.0.role != IssuerRole::X509 {
            return Err(CaError::bad("by", format!("{by} is no CA: it signs no certificates of others")));
        }
        let hierarchy = self.office.issuers.fresh().await?;
        let above = hierarchy.issuing_of(&by.to_string()).cloned().ok_or_else(|| missing(by))?;
        let key = self.maker.found(generation).await?;
        if above.key.fingerprint() == key.fingerprint() {
            return Err(CaError::bad("by", format!("{by} has the same key: nothing is won by its signature")));
        }
        // RFC 5280 section 4.2.1.9: what it says of the path below is bound by who signs.
        let mut signed = record.clone();
        if let (Some(plan), Some(most)) = (&mut signed.plan, above.path_len) {
            let below = most.checked_sub(1).ok_or_else(|| no_room(by))?;
            plan.path_len = plan.path_len.min(u8::try_from(below).unwrap_or(u8::MAX));
        }
        let operation = self.maker.certify(name, &signed, &key, Some(above), self.may(actor).await?).await?;
        if let Some(generation) = record.generation_mut(name.number()) {
            generation.cross.push(Place::Operation(operation));
        }
        self.maker.write(name.issuer(), (&record, expect), Vec::new(), &stamp(actor)).await?;
        Ok(operation)
    }

    fn moment(&self, activates: Activation) -> Result<Option<Timestamp>, CaError> {
        let now = self.office.ledger.cautious_time();
        match activates {
            Activation::Now => Ok(Some(now)),
            Activation::At(at) if at < now => Err(CaError::bad("at", format!("{at} has passed; leave it out for now"))),
            Activation::At(at) => Ok(Some(at)),
            Activation::Later => Ok(None),
        }
    }

    fn key_hash(&self, generation: &GenerationRecord) -> Result<[u8; 32], CaError> {
        let bytes = generation.key_hash.as_deref().and_then(|hash| hex::decode(hash).ok());
        let hash = bytes.and_then(|bytes| bytes.try_into().ok());
        hash.ok_or_else(|| CaError::Conflict("its key is not made yet".to_owned()))
    }
}

/// A generation that an operator has not ended, and whose key is here.
pub(super) fn usable<'a>(record: &'a IssuerRecord, name: &GenerationName) -> Result<&'a GenerationRecord, CaError> {
    match unended(record, name)? {
        GenerationRecord { elsewhere: true, .. } => Err(away(name)),
        GenerationRecord { arriving: true, .. } => Err(arriving(name)),
        GenerationRecord { lost: true, .. } => Err(lost(name)),
        here => Ok(here),
    }
}

/// The same of one that has certificates. SSH CAs, the log and what seals have a key alone.
pub(super) fn certified<'a>(record: &'a IssuerRecord, name: &GenerationName) -> Result<&'a GenerationRecord, CaError> {
    let generation = usable(record, name)?;
    match record.role {
        IssuerRole::X509 => Ok(generation),
        IssuerRole::SshUser | IssuerRole::SshHost | IssuerRole::Log | IssuerRole::Seal => {
            Err(CaError::bad("name", format!("{name} is no CA with a certificate: it has a key alone")))
        }
    }
}

fn arriving(name: &GenerationName) -> CaError {
    CaError::Conflict(format!(
        "what {name} signed elsewhere is being taken in: finish that first, or give it up with `chancery ca retire {name}`"
    ))
}

fn lost(name: &GenerationName) -> CaError {
    CaError::Conflict(format!("the key of {name} is lost with its token: `chancery ca rotate {}`", name.issuer()))
}

fn away(name: &GenerationName) -> CaError {
    CaError::Conflict(format!("the key of {name} is elsewhere: what it signs is signed there, and brought"))
}

/// A generation that an operator has not ended.
fn unended<'a>(record: &'a IssuerRecord, name: &GenerationName) -> Result<&'a GenerationRecord, CaError> {
    let generation = record.generation(name.number()).ok_or_else(|| missing(name))?;
    let rotate = format!("`chancery ca rotate {}` makes its successor", name.issuer());
    match generation {
        GenerationRecord { revoked: Some(_), .. } => {
            Err(CaError::Conflict(format!("{name} is revoked, for good; {rotate}")))
        }
        GenerationRecord { retired: Some(_), .. } => Err(CaError::Conflict(format!("{name} is retired; {rotate}"))),
        other => Ok(other),
    }
}

fn no_room(by: &GenerationName) -> CaError {
    CaError::Conflict(format!("below {by} there is no room for a CA: its path length is 0"))
}

/// The record of an issuer that does not exist yet.
fn planned(wish: &CreateIssuer) -> Result<IssuerRecord, CaError> {
    check_name(&wish.name).map_err(|why| CaError::bad("name", why))?;
    if RESERVED.contains(&wish.name.as_str()) {
        return Err(CaError::bad("name", format!("`{}` is a word of its own here", wish.name)));
    }
    let (above, plan, leaves) = match (wish.role, &wish.ca) {
        (IssuerRole::X509, Some(ca)) => (Some(above(ca)?), Some(plan(ca)?), ca.leaves),
        (IssuerRole::X509, None) => return Err(CaError::bad("above", "a CA has a subject, and something above it")),
        (IssuerRole::SshUser | IssuerRole::SshHost, None) if wish.shards.is_some() || wish.deltas == Some(true) => {
            return Err(CaError::bad("name", NO_CRLS));
        }
        (IssuerRole::SshUser | IssuerRole::SshHost, None) => {
            check_ssh(wish.key)?;
            (None, None, true)
        }
        (IssuerRole::SshUser | IssuerRole::SshHost, Some(_)) => {
            return Err(CaError::bad("above", "an SSH CA has a key alone, and no certificate"));
        }
        (IssuerRole::Seal, _) => {
            return Err(CaError::bad("role", "there is one sealing key; `chancery ca rotate seal` succeeds it"));
        }
        (IssuerRole::Log, _) => {
            return Err(CaError::bad("role", "there is one log; `chancery ca rotate log` succeeds its key"));
        }
    };
    Ok(IssuerRecord {
        role: wish.role,
        keys: vec![wish.key.to_string()],
        above,
        plan,
        leaves,
        crl_secs: None,
        generations: Vec::new(),
    })
}

fn above(wish: &CaWish) -> Result<Above, CaError> {
    Ok(match wish.above.as_str() {
        "itself" => Above::Itself,
        "elsewhere" => Above::Elsewhere,
        issuer => {
            check_name(issuer).map_err(|why| CaError::bad("above", why))?;
            Above::Issuer(issuer.to_owned())
        }
    })
}

fn plan(wish: &CaWish) -> Result<CaPlan, CaError> {
    let oid = |word: &String| {
        let known = purpose(word).map(|oid| oid.to_string());
        known.ok_or_else(|| {
            CaError::bad("purposes", format!("`{}` is neither a purpose nor an OID", policy::shown(word)))
        })
    };
    let plan = CaPlan {
        subject: hex::encode(wish.subject.as_der()),
        validity_secs: wish.validity_secs,
        path_len: wish.path_len,
        purposes: wish.purposes.iter().map(oid).collect::<Result<_, _>>()?,
        constraints: Constraints { permitted: wish.permitted.clone(), excluded: wish.excluded.clone() },
        policies: wish.policies.clone(),
    };
    plan.check()?;
    Ok(plan)
}

/// Whether this is what an interrupted act began.
fn is_begun(there: &IssuerRecord, wished: &IssuerRecord) -> bool {
    let unfinished = there.generations.len() == 1
        && there
            .generations
            .iter()
            .all(|g| g.certificates.is_empty() && (there.role == IssuerRole::X509 || g.key_hash.is_none()));
    unfinished && IssuerRecord { generations: Vec::new(), ..there.clone() } == *wished
}

/// Whether this is what the same wish came to: the same plan, and one generation that was made as it says and not ended.
fn is_done(there: &IssuerRecord, wished: &IssuerRecord, first: &GenerationRecord) -> bool {
    let [made] = &there.generations[..] else { return false };
    let is_whole = made.key_hash.is_some() && (there.role != IssuerRole::X509 || !made.certificates.is_empty());
    let is_as_wished = made.shards == first.shards && made.tokens == first.tokens && !made.brought && !made.elsewhere;
    let is_open = made.retired.is_none() && made.revoked.is_none();
    is_whole && is_as_wished && is_open && IssuerRecord { generations: Vec::new(), ..there.clone() } == *wished
}

/// Whether nothing was made of it: no key, and so nothing that was signed.
fn is_bare(there: &IssuerRecord) -> bool {
    let bare = |g: &GenerationRecord| {
        g.key_hash.is_none() && g.certificates.is_empty() && g.retired.is_none() && g.revoked.is_none() && !g.elsewhere
    };
    there.generations.len() == 1 && there.generations.iter().all(bare)
}

/// Words that stand where a name could, here or in a URL.
const RESERVED: [&str; 5] = ["itself", "elsewhere", "register", "import", "import-crl"];
