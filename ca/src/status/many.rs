//! Many revocations in one act: of an owner, a profile, an issuer, a key, a name, a person or a host.
//!
//! What is meant is shown before it is done: how many, and a digest of exactly which. Above a bound one person proposes and another
//! carries out: the proposal is a record with that digest, and what is carried out is that set or nothing. Each revocation is what it
//! would be alone: policy is asked, the credential is attested, a leaf says so. The CRLs are made once, at the end.

use std::collections::{BTreeMap, BTreeSet};

use policy::{Action, Actor, Holder, Owner, Resource, ResourceKind, Timestamp};
use serde::{Deserialize, Serialize};
use store::{ActorStamp, Credential, Filter, HOLD, Kind, Record, Shard, State, StoreError};
use tokio::task::JoinSet;

use crate::encode::sha256;
use crate::error::CaError;
use crate::intake::{Ending, RevocationReason};
use crate::listed::{Listed, told};
use crate::status::desk::Published;
use crate::status::revoke::{Revoker, missing};
use crate::waits;

/// Which certificates: those that fit all that is said. CAs are never among them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Selection {
    /// Of this owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Of this profile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// Of this issuer (`tls`), or of one generation of it (`tls/1`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// For this key: SHA-256 of its SubjectPublicKeyInfo, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_hash: Option<String>,
    /// With exactly this name (`dns:www.example`, or a principal).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Asked for by this actor (`token:ann`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<String>,
    /// Of this host: its DNS name or address in a certificate, or its name as an SSH principal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
}

/// What an act would end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meant {
    /// How many certificates.
    pub count: u64,
    /// SHA-256 over which and why, in hexadecimal.
    pub digest: String,
    /// Some of them: serial and subject, or names where that is empty.
    pub sample: Vec<(String, String)>,
}

/// What became of an act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// So many were revoked, or were before; where the CRLs are.
    Done {
        /// How many.
        revoked: u64,
        /// Whether every CRL that has them is served.
        published: Published,
    },
    /// It was confirmed before, and nothing was left to do.
    Before {
        /// How many it was about.
        count: u64,
        /// When it was confirmed.
        at: Timestamp,
        /// Whether every CRL that has them is served.
        published: Published,
    },
    /// Another person has to confirm it.
    Proposed {
        /// By this name.
        id: String,
        /// What it is.
        meant: Meant,
        /// Until then.
        expires: Timestamp,
    },
}

/// A proposal that waits for another person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proposal {
    /// Which.
    pub of: Selection,
    /// Why: the stable name.
    pub reason: String,
    /// Since when the keys are not to be trusted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invalid: Option<Timestamp>,
    /// How many.
    pub count: u64,
    /// Exactly which, and why.
    pub digest: String,
    /// Of the log's first so many leaves: what is issued later is not meant.
    pub leaves: u64,
    /// Whoever proposed it; another confirms.
    pub by: String,
    /// Whose hands these are ([`policy::Holder::hands`]).
    pub hands: String,
    /// Until then.
    pub expires: Timestamp,
    /// Some of them, for whoever is to confirm it: serial and subject, or names where that is empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sample: Vec<(String, String)>,
    /// Who confirmed it; it is carried out once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed: Option<String>,
    /// It was carried out, whole.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub done: bool,
}

impl Proposal {
    /// Whether somebody is to act: another person may confirm it yet, or it was confirmed and broke off.
    pub fn waits(&self, now: Timestamp) -> bool {
        self.is_broken_off() || (self.confirmed.is_none() && now <= self.expires)
    }

    /// Two persons have decided it, and something of it may be left: whoever may confirm such a thing goes on, whenever that is.
    pub fn is_broken_off(&self) -> bool {
        self.confirmed.is_some() && !self.done
    }

    /// What it is about, as policy is asked.
    fn resource(&self) -> Resource {
        self.of.resource()
    }
}

/// As of when a set is meant: what ended since, by itself or by somebody's hand, was meant all the same.
#[derive(Clone, Copy)]
struct Moment {
    /// Of the log's first so many leaves.
    leaves: u64,
    at: Timestamp,
}

/// The set that a selection meant at a moment.
struct Set {
    operations: Vec<u64>,
    /// Of those, what is to be ended now: neither ended meanwhile, nor for good already.
    left: Vec<u64>,
    sample: Vec<(String, String)>,
}

impl Set {
    /// Over the reason, and each operation.
    fn digest(&self, ending: Ending) -> String {
        let mut bytes = b"chancery revocations 1\n".to_vec();
        bytes.push(ending.reason.code());
        bytes.extend(ending.invalid.map_or(i64::MIN, Timestamp::unix).to_be_bytes());
        bytes.extend(self.operations.iter().flat_map(|operation| operation.to_be_bytes()));
        hex::encode(sha256(&bytes))
    }

    fn meant(&self, ending: Ending) -> Meant {
        Meant { count: self.operations.len() as u64, digest: self.digest(ending), sample: self.sample.clone() }
    }
}

impl Revoker {
    /// What would end. Whoever asks may end each of them.
    pub(crate) async fn preview(&self, actor: &Actor, of: &Selection, ending: Ending) -> Result<Meant, CaError> {
        Ok(self.set(actor, of, ending, self.moment().await?).await?.meant(ending))
    }

    /// Ends all of them; of many, proposes to.
    pub(crate) async fn revoke_many(&self, actor: &Actor, of: Selection, ending: Ending) -> Result<Act, CaError> {
        may_be_many(ending)?;
        let moment = self.moment().await?;
        let set = self.set(actor, &of, ending, moment).await?;
        let meant = set.meant(ending);
        if meant.count <= ALONE_MAX {
            return self.carry_out(actor, set.left, ending).await;
        }
        let (expires, leaves) = (moment.at.plus_secs(PROPOSED_SECS), moment.leaves);
        let proposal = Proposal {
            of,
            reason: ending.reason.as_str().to_owned(),
            invalid: ending.invalid,
            count: meant.count,
            digest: meant.digest.clone(),
            leaves,
            sample: meant.sample.iter().map(|(serial, title)| (serial.clone(), brief(title))).collect(),
            by: ActorStamp::from(actor).id,
            hands: Holder::hands(actor),
            expires,
            confirmed: None,
            done: false,
        };
        // Of the set, and of when: the same proposal twice is two.
        let id = hex::encode(sha256(format!("{}{leaves}", meant.digest).as_bytes()).split_at(ID_BYTES).0);
        self.record(actor, &id, &proposal, 0).await?;
        Ok(Act::Proposed { id, meant, expires })
    }

    /// A proposal, for who may end what it is about, and for who reads the log. Others are told what those are who may nothing.
    pub(crate) async fn proposal(&self, actor: &Actor, id: &str) -> Result<Proposal, CaError> {
        let found = self.find(id).await;
        let may = |proposal: &Proposal| self.may_see(actor, proposal);
        match found {
            Ok((proposal, _)) if may(&proposal) => Ok(proposal),
            found => Ok(self.decided(actor, found).await?.0),
        }
    }

    /// A page of those that the actor may see; `open`: of those alone that another may confirm yet. One that somebody altered counts as none.
    pub(crate) async fn proposals(
        &self,
        actor: &Actor,
        open: bool,
        after: Option<String>,
    ) -> Result<Listed<(String, Proposal)>, CaError> {
        let ledger = &self.office.ledger;
        let now = ledger.cautious_time();
        // What waits is looked for by when it expires: what has expired is walked past by nobody.
        let begun = || waits::from(now, PROPOSED_SECS).into_iter().chain([Some(BROKEN_OFF.to_owned())]).collect();
        let lookups = if open { begun() } else { vec![None] };
        let page = waits::page(ledger, KIND, (lookups, after), PROPOSALS).await?;
        let read = page.items.iter().map(|stored| Ok((stored.id.clone(), body(&stored.id, &stored.body)?)));
        let mut all = read.collect::<Result<Vec<(String, Proposal)>, CaError>>()?;
        all.retain(|(_, proposal)| (!open || proposal.waits(now)) && self.may_see(actor, proposal));
        let altered = told(page.altered, &self.office.gate.rules().policies(), actor);
        Ok(Listed { items: all, next: page.next, altered })
    }

    fn may_see(&self, actor: &Actor, proposal: &Proposal) -> bool {
        let policies = self.office.gate.rules().policies();
        let reads = Resource::plain(ResourceKind::Audit);
        policies.decide(actor, Action::RevokeCertificate, &proposal.resource()).is_ok()
            || policies.decide(actor, Action::ReadAudit, &reads).is_ok()
    }

    /// What was found, for who may end what it is about: who may end nothing learns of no proposal.
    async fn decided(
        &self,
        actor: &Actor,
        found: Result<(Proposal, u64), CaError>,
    ) -> Result<(Proposal, u64), CaError> {
        let any = || Resource::certificate(None, "", Vec::new());
        let on = found.as_ref().map_or_else(|_| any(), |(proposal, _)| proposal.resource());
        self.office.gate.authorize(actor, Action::RevokeCertificate, on).await?;
        found
    }

    async fn find(&self, id: &str) -> Result<(Proposal, u64), CaError> {
        let missing = || CaError::NotFound(format!("proposal `{}`", policy::shown(id)));
        let stored = self.office.ledger.record_get(KIND, id).await?.ok_or_else(missing)?;
        Ok((body(id, &stored.body)?, stored.version))
    }

    /// Carries out what another proposed, if it is still exactly that. Asked again after a crash it goes on.
    pub(crate) async fn confirm(&self, actor: &Actor, id: &str) -> Result<Act, CaError> {
        let found = self.find(id).await;
        let (proposal, version) = self.decided(actor, found).await?;
        let (conflict, me) = (|why: &str| Err(CaError::Conflict(why.to_owned())), ActorStamp::from(actor).id);
        if proposal.hands == Holder::hands(actor) {
            return conflict("whoever proposed it does not confirm it: that is for another person");
        }
        let ending = Ending {
            reason: proposal
                .reason
                .parse()
                .map_err(|e: crate::intake::UnknownReason| CaError::Internal(e.to_string()))?,
            invalid: proposal.invalid,
        };
        let now = self.office.ledger.cautious_time();
        match &proposal.confirmed {
            Some(_) if proposal.is_broken_off() => {}
            // Whoever did not hear that it was carried out is told again, an hour longer at most. Nothing is done again: what was on hold may
            // have been released since.
            Some(by) if *by == me && now <= proposal.expires.plus_secs(PROPOSED_SECS) => {
                let (count, at) = (proposal.count, self.written(id).await?);
                return Ok(Act::Before { count, at, published: Published::Pending });
            }
            Some(by) => {
                let at = self.written(id).await?;
                return conflict(&format!("it was confirmed already, by {by} at {at}"));
            }
            None if now <= proposal.expires => {}
            None => return conflict("the proposal has expired: propose it again"),
        }
        let moment = Moment { leaves: proposal.leaves, at: proposal.expires.plus_secs(-PROPOSED_SECS) };
        let set = self.set(actor, &proposal.of, ending, moment).await?;
        if set.digest(ending) != proposal.digest {
            let now = set.operations.len();
            return conflict(&format!(
                "it is another set by now: {now} certificates and not the {} that were proposed, or others; propose it again",
                proposal.count
            ));
        }
        let (count, is_again) = (proposal.count, proposal.confirmed.is_some() && set.left.is_empty());
        let mut confirmed = proposal;
        if confirmed.confirmed.is_none() {
            confirmed.confirmed = Some(me);
            self.record(actor, id, &confirmed, version).await?;
        }
        let act = self.carry_out(actor, set.left, ending).await?;
        if confirmed.is_broken_off() {
            let version = self.find(id).await?.1;
            match self.record(actor, id, &Proposal { done: true, ..confirmed }, version).await {
                // Two went on at once, and the other one was faster.
                Ok(()) | Err(CaError::Conflict(_)) => {}
                Err(other) => return Err(other),
            }
        }
        match act {
            // Whether they are all on CRLs by now nobody looked: what is not follows.
            Act::Done { .. } if is_again => {
                Ok(Act::Before { count, at: self.written(id).await?, published: Published::Pending })
            }
            act => Ok(act),
        }
    }

    /// When the present version of a proposal was written: of one that is confirmed, when it was.
    async fn written(&self, id: &str) -> Result<Timestamp, CaError> {
        let missing = || CaError::NotFound(format!("proposal `{}`", policy::shown(id)));
        Ok(self.office.ledger.record_get(KIND, id).await?.ok_or_else(missing)?.at)
    }

    async fn record(&self, actor: &Actor, id: &str, proposal: &Proposal, expect: u64) -> Result<(), CaError> {
        let body = serde_json::to_value(proposal).map_err(|e| CaError::Internal(format!("a proposal: {e}")))?;
        let record = Record {
            kind: KIND,
            id: id.to_owned(),
            owner: None,
            // What was carried out is looked for by nobody who has to act.
            lookup: match (proposal.confirmed.is_some(), proposal.done) {
                (_, true) => None,
                (true, false) => Some(BROKEN_OFF.to_owned()),
                (false, false) => Some(waits::until(proposal.expires, PROPOSED_SECS)),
            },
            expires: Some(proposal.expires),
            body,
            actor: ActorStamp::from(actor),
            expect: Some(expect),
        };
        Ok(self.office.ledger.record(vec![record]).await.map(drop)?)
    }

    async fn moment(&self) -> Result<Moment, CaError> {
        let leaves = self.office.ledger.counts().await?.leaves;
        Ok(Moment { leaves, at: self.office.ledger.cautious_time() })
    }

    /// Which are meant, as of a moment: the same whenever it is asked. Policy is asked for each: who may not end one of them ends none.
    async fn set(&self, actor: &Actor, of: &Selection, ending: Ending, moment: Moment) -> Result<Set, CaError> {
        self.office.gate.authorize(actor, Action::RevokeCertificate, of.resource()).await?;
        if let Some(issuer) = &of.issuer {
            self.office.issuers.read().check_named(issuer)?;
        }
        let (mut operations, mut left, mut sample) = (BTreeSet::new(), Vec::new(), Vec::new());
        let ledger = &self.office.ledger;
        let now = ledger.cautious_time();
        // What is on hold may end for good; what ended for good was meant by nobody.
        let may_end = |ended: Option<(Timestamp, u8)>| match ended {
            None => true,
            Some((_, there)) => there == HOLD && ending.reason != RevocationReason::CertificateHold,
        };
        for filter in of.filters(moment.at, ending)? {
            let mut after_cursor = None;
            loop {
                let asked = Filter { after_cursor, limit: PAGE, ..filter.clone() };
                let page = ledger.list(asked).await?;
                let was_meant = |credential: &&Credential| {
                    credential.operation < moment.leaves
                        && of.has(credential)
                        && may_end(ledger.revocation_at(credential.operation, moment.leaves))
                };
                for credential in page.items.iter().filter(was_meant) {
                    self.may(actor, credential).await?;
                    if !operations.insert(credential.operation) {
                        continue;
                    }
                    let holds = credential.validity.is_none_or(|validity| validity.not_after() >= now);
                    if holds && may_end(ledger.revocation(credential.operation)) {
                        left.push(credential.operation);
                    }
                    if sample.len() < SAMPLE {
                        sample.push((credential.serial_hex(), title(credential)));
                    }
                }
                if operations.len() > SET_MAX {
                    let says = format!("more than {SET_MAX} certificates: say it more narrowly, and go step by step");
                    return Err(CaError::bad("selection", says));
                }
                after_cursor = page.next;
                if after_cursor.is_none() {
                    break;
                }
            }
        }
        if operations.is_empty() {
            self.check_names(of)?;
        }
        Ok(Set { operations: operations.into_iter().collect(), left, sample })
    }

    /// Nothing is meant: of a name that nobody knows that is no answer. One that had certificates may be out of the configuration by now.
    fn check_names(&self, of: &Selection) -> Result<(), CaError> {
        if let Some(owner) = &of.owner {
            let owner = Owner::parse(owner).map_err(|e| CaError::bad("owner", e.to_string()))?;
            self.office.gate.check_owner(&owner)?;
        }
        of.profile.as_deref().map_or(Ok(()), |profile| self.office.profile(profile).map(drop))
    }

    /// Ends each, many side by side: those that come together share a transaction. One that cannot be ended stops the rest; what is
    /// done is done, and the same act again goes on from there.
    async fn carry_out(&self, actor: &Actor, operations: Vec<u64>, ending: Ending) -> Result<Act, CaError> {
        let (mut under_way, mut touched, mut revoked) = (JoinSet::new(), BTreeMap::new(), 0);
        let mut failed = None;
        let mut left = operations.into_iter();
        loop {
            while failed.is_none() && under_way.len() < AT_ONCE {
                let Some(operation) = left.next() else { break };
                let (revoker, actor) = (self.clone(), actor.clone());
                under_way.spawn(async move { revoker.one_of_many(&actor, operation, ending).await });
            }
            match under_way.join_next().await {
                None => break,
                Some(Ok(Ok((issuer, shard)))) => {
                    revoked += 1;
                    touched.entry(issuer).or_insert_with(BTreeSet::new).insert(shard);
                }
                Some(Ok(Err(error))) => failed = Some(error),
                Some(Err(ended)) => failed = Some(CaError::Internal(format!("a revocation's task ended: {ended}"))),
            }
        }
        // What is revoked is published, whatever became of the rest.
        let mut published = Published::Now;
        for (issuer, shards) in touched {
            for shard in shards {
                if self.desks.after_revocation(&issuer, shard).await == Published::Pending {
                    published = Published::Pending;
                }
            }
        }
        match failed {
            Some(error) => Err(error),
            None => Ok(Act::Done { revoked, published }),
        }
    }

    async fn one_of_many(
        &self,
        actor: &Actor,
        operation: u64,
        ending: Ending,
    ) -> Result<(String, Option<Shard>), CaError> {
        for _ in 0..TRIES {
            let found = self.office.ledger.credential_by_operation(operation).await?;
            let credential = found.ok_or_else(|| missing(&format!("of operation {operation}")))?;
            let grant = self.may(actor, &credential).await?;
            let shard = self.office.issuers.read().shard(&credential.issuer, &credential.serial);
            match self.record_end(actor, &grant, &credential, ending).await {
                // The queue is full: others are writing too.
                Err(CaError::Unavailable { .. }) => tokio::task::yield_now().await,
                done => return done.map(|()| (credential.issuer.clone(), shard)),
            }
        }
        Err(StoreError::Busy { retry_after_secs: 1 }.into())
    }
}

impl Selection {
    /// What it is about, as policy is asked: all of this owner and profile, or of any.
    fn resource(&self) -> Resource {
        let owner = self.owner.as_deref().and_then(|owner| Owner::parse(owner).ok());
        Resource::certificate(owner, self.profile.as_deref().unwrap_or_default(), Vec::new())
    }

    /// The lists that have them.
    fn filters(&self, now: Timestamp, ending: Ending) -> Result<Vec<Filter>, CaError> {
        if *self == Selection::default() {
            return Err(CaError::bad(
                "selection",
                "say of which: an owner, a profile, an issuer, a key, a name ...".to_owned(),
            ));
        }
        let key_hash = self.key_hash.as_ref().map(|text| {
            let hash = hex::decode(text).ok().and_then(|bytes| bytes.try_into().ok());
            hash.ok_or_else(|| {
                CaError::bad("key_hash", "it is SHA-256 of a SubjectPublicKeyInfo, 64 hexadecimal digits".to_owned())
            })
        });
        let all = Filter {
            certificates: true,
            owner: self.owner.clone(),
            profile: self.profile.clone(),
            issuer: self.issuer.clone(),
            key_hash: key_hash.transpose()?,
            name: self.name.clone(),
            actor: self.person.clone(),
            not_after_after: Some(now),
            ..Filter::default()
        };
        // What has no conclusion counts as issued, and is not held. What is revoked by now may have counted then.
        let states: &[State] = match ending.reason {
            RevocationReason::CertificateHold => &[State::Issued, State::Revoked],
            RevocationReason::Unspecified
            | RevocationReason::KeyCompromise
            | RevocationReason::CaCompromise
            | RevocationReason::AffiliationChanged
            | RevocationReason::Superseded
            | RevocationReason::CessationOfOperation
            | RevocationReason::PrivilegeWithdrawn => &[State::Issued, State::Intended, State::Revoked],
        };
        let of_states =
            |filter: Filter| states.iter().map(move |state| Filter { state: Some(*state), ..filter.clone() });
        let Some(host) = &self.host else { return Ok(of_states(all).collect()) };
        if self.name.is_some() {
            return Err(CaError::bad("host", "a host is found by its name: say one of the two".to_owned()));
        }
        let names = host_names(host).into_iter().map(|name| Filter { name: Some(name), ..all.clone() });
        Ok(names.flat_map(of_states).collect())
    }

    /// Whether it has this one, by what it is itself.
    fn has(&self, credential: &Credential) -> bool {
        let fits = |wanted: &Option<String>, there: &str| wanted.as_ref().is_none_or(|wanted| wanted == there);
        let of_kind = match credential.kind {
            Kind::Certificate | Kind::SshUser | Kind::SshHost => true,
            Kind::CaCertificate | Kind::CodeSignature | Kind::Crl | Kind::CaRequest | Kind::OcspBatch => false,
        };
        of_kind && fits(&self.person, &credential.actor.id)
    }
}

/// As which names a host stands in certificates.
fn host_names(host: &str) -> Vec<String> {
    match host.parse::<std::net::IpAddr>() {
        Ok(address) => vec![format!("ip:{address}"), address.to_string()],
        Err(_) => {
            let host = host.to_ascii_lowercase();
            vec![format!("dns:{host}"), host]
        }
    }
}

/// What a person knows it by.
fn title(credential: &Credential) -> String {
    if credential.subject.is_empty() { credential.names.join(", ") } else { credential.subject.clone() }
}

/// As much of it as a person reads, so that a record has room for some.
fn brief(title: &str) -> String {
    title.chars().take(TITLE_CHARS).collect()
}

fn body(id: &str, body: &serde_json::Value) -> Result<Proposal, CaError> {
    serde_json::from_value(body.clone()).map_err(|e| CaError::Internal(format!("the proposal {id}: {e}")))
}

fn may_be_many(ending: Ending) -> Result<(), CaError> {
    match ending.reason {
        RevocationReason::CaCompromise => {
            Err(CaError::bad("reason", "ca-compromise is said of the certificate of a CA".to_owned()))
        }
        RevocationReason::Unspecified
        | RevocationReason::KeyCompromise
        | RevocationReason::AffiliationChanged
        | RevocationReason::Superseded
        | RevocationReason::CessationOfOperation
        | RevocationReason::CertificateHold
        | RevocationReason::PrivilegeWithdrawn => Ok(()),
    }
}

/// The second key of a proposal that was confirmed and is not carried out whole.
const BROKEN_OFF: &str = "broken-off";

/// The kind of a proposal's record.
const KIND: &str = "revocation-proposal";
/// So many certificates one person ends alone: the hosts of a team, not a company.
const ALONE_MAX: u64 = 100;
/// One act's bound: 8 MB of operations, and minutes.
const SET_MAX: usize = 1_000_000;
/// A proposal waits so long for another person.
const PROPOSED_SECS: i64 = 3_600;
/// Revocations side by side: they share transactions, and leave the queue to others.
const AT_ONCE: usize = 512;
const PAGE: usize = 1_000;
const SAMPLE: usize = 10;
const TITLE_CHARS: usize = 200;
/// Proposals of one page.
const PROPOSALS: usize = 100;
const TRIES: usize = 64;
const ID_BYTES: usize = 8;
