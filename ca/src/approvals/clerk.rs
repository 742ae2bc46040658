//! Who keeps the requests that wait, and takes each word on them.
//!
//! 1. `ask`: the request is judged as an issuance would judge it, and written down. Nothing is signed.
//! 2. `approve`, `refuse`: somebody else who may, once. A refusal ends it.
//! 3. `collect`: who asked, with enough approvals, under the profile that was approved. *It is taken first, then signed*: a crash in
//!    between costs a new request and never a second certificate.

use std::sync::Arc;

use policy::{Action, Actor, Holder, Resource, Timestamp};
use store::{ActorStamp, Issued, Record, RecordFilter, StoreError};
use tokio::sync::Mutex;

use crate::approvals::waiting::{Said, Waiting, WaitingState};
use crate::craft::leaf::{Certifier, CertifyRequest, Lifetime};
use crate::encode::{pem, sha256};
use crate::error::CaError;
use crate::intake::Csr;
use crate::listed::{Listed, told};
use crate::waits;

/// Who keeps them.
#[derive(Clone)]
pub(crate) struct Approvals {
    certifier: Certifier,
    /// Held by whoever asks, from counting to writing: two at once would both find the last place.
    asking: Arc<Mutex<()>>,
}

impl Approvals {
    /// Of requests for what this one certifies.
    pub(crate) fn new(certifier: Certifier) -> Approvals {
        Approvals { certifier, asking: Arc::default() }
    }

    /// Writes a request down that others are to approve; what could not be issued is refused now.
    pub(crate) async fn ask(&self, actor: &Actor, request: CertifyRequest) -> Result<(String, Waiting), CaError> {
        let office = &self.certifier.office;
        let profile = office.profile(&request.profile)?;
        let names = self.certifier.authorized_names(actor, &request).await?;
        if request.renew {
            return Err(CaError::bad(
                "renew",
                "what others approve is approved each time: nothing renews it by itself",
            ));
        }
        let validity_secs = match request.lifetime {
            Lifetime::ByProfile => None,
            Lifetime::Secs(secs) => Some(secs),
            Lifetime::Until(_) => return Err(CaError::bad("validity", "say how long, and not until when")),
        };
        let trial = self.certifier.try_out(actor, request.clone()).await?;
        if let Some(against) = trial.against.first() {
            return Err(CaError::BadRequest { what: "request", detail: format!("{}: {}", against.what, against.why) });
        }
        let holder = Holder::of(actor).to_string();
        let _asking = self.asking.lock().await;
        self.check_room(&holder).await?;
        let waiting = Waiting {
            profile: profile.name().to_owned(),
            profile_hash: hex::encode(profile.hash()),
            owner: request.owner,
            names,
            csr: pem::encode("CERTIFICATE REQUEST", request.csr.der()),
            validity_secs,
            replaces: request.replaces,
            by: actor.id.clone(),
            holder,
            hands: Holder::hands(actor),
            expires: office.ledger.cautious_time().plus_secs(WAITS_SECS),
            needs: profile.approvals(),
            approved: Vec::new(),
            refused: None,
            collected: false,
            serial: None,
        };
        // A number that nothing else has.
        let id = hex::encode(sha256(office.serials.next().as_bytes()).split_at(ID_BYTES).0);
        self.record(actor, &id, &waiting, 0).await?;
        Ok((id, waiting))
    }

    /// One of them, for who asked and for who may approve it.
    pub(crate) async fn show(&self, actor: &Actor, id: &str) -> Result<Waiting, CaError> {
        match self.read(id).await {
            Ok((waiting, _)) if waiting.holder == Holder::of(actor).to_string() => Ok(waiting),
            found => Ok(self.seen(actor, found).await?.0),
        }
    }

    /// A page of those that the actor asked for or may approve; `open`: of those alone that wait for others. One that somebody altered
    /// counts as none.
    pub(crate) async fn list(
        &self,
        actor: &Actor,
        open: bool,
        after: Option<String>,
    ) -> Result<Listed<(String, Waiting)>, CaError> {
        let office = &self.certifier.office;
        let now = self.now();
        let lookups = if open { waits::from(now, WAITS_SECS) } else { vec![None] };
        let page = waits::page(&office.ledger, KIND, (lookups, after), PAGE).await?;
        let (policies, me) = (office.gate.rules().policies(), Holder::of(actor).to_string());
        let mut shown = Vec::new();
        for stored in page.items {
            let waiting = body(&stored.id, &stored.body)?;
            let may = || policies.decide(actor, Action::ApproveCertificate, &resource(&waiting)).is_ok();
            let is_meant = !open || waiting.state(now) == WaitingState::Waiting;
            if is_meant && (waiting.holder == me || may()) {
                shown.push((stored.id.clone(), waiting));
            }
        }
        Ok(Listed { items: shown, next: page.next, altered: told(page.altered, &policies, actor) })
    }

    /// Somebody else says yes.
    pub(crate) async fn approve(&self, actor: &Actor, id: &str) -> Result<Waiting, CaError> {
        let (mut waiting, version, said) = self.judged_by(actor, id, None).await?;
        self.is_the_profile(&waiting)?;
        if waiting.approved.iter().any(|there| there.hands == said.hands) {
            return Err(CaError::Conflict("you approved it already: the others are for others".to_owned()));
        }
        waiting.approved.push(said);
        self.record(actor, id, &waiting, version).await?;
        Ok(waiting)
    }

    /// Somebody else says no, and that is the end of it.
    pub(crate) async fn refuse(&self, actor: &Actor, id: &str, why: Option<String>) -> Result<Waiting, CaError> {
        if why.as_ref().is_some_and(|why| why.len() > WHY_BYTES_MAX) {
            return Err(CaError::bad("reason", format!("at most {WHY_BYTES_MAX} bytes")));
        }
        let (mut waiting, version, said) = self.judged_by(actor, id, why).await?;
        waiting.refused = Some(said);
        self.record(actor, id, &waiting, version).await?;
        Ok(waiting)
    }

    /// Whoever asked takes what others approved: it is signed now, by what the asker may now.
    pub(crate) async fn collect(&self, actor: &Actor, id: &str) -> Result<Issued, CaError> {
        let (waiting, version) = self.read(id).await?;
        if waiting.holder != Holder::of(actor).to_string() {
            // Whose it is not learns of nothing.
            return Err(missing(id));
        }
        let conflict = |why: String| Err(CaError::Conflict(why));
        match waiting.state(self.now()) {
            WaitingState::Approved => {}
            WaitingState::Waiting => {
                let (there, needs) = (waiting.approved.len(), waiting.needs);
                return conflict(format!("it waits for others: {there} of {needs} have approved it"));
            }
            WaitingState::Refused => return conflict("it was refused".to_owned()),
            WaitingState::Expired => return conflict("it has expired: ask again".to_owned()),
            WaitingState::Collected => {
                return conflict(match &waiting.serial {
                    Some(serial) => format!("it was collected: certificate {serial}"),
                    None => "it was collected, and nothing came of it: ask again".to_owned(),
                });
            }
        }
        self.is_the_profile(&waiting)?;
        let csr = Csr::receive(waiting.csr.clone().into_bytes()).await;
        let request = CertifyRequest {
            profile: waiting.profile.clone(),
            owner: waiting.owner.clone(),
            csr: csr.map_err(|e| CaError::Internal(format!("the request {id}: {e}")))?,
            names: Some(waiting.names.clone()),
            proven: Default::default(),
            lifetime: Lifetime::from(waiting.validity_secs),
            renew: false,
            replaces: waiting.replaces.clone(),
        };
        let taken = Waiting { collected: true, ..waiting.clone() };
        let version = self.record(actor, id, &taken, version).await?;
        let by = waiting.approved.iter().map(|said| said.by.clone()).collect();
        match self.certifier.certify_approved(actor, request, (id, by)).await {
            Ok(issued) => {
                let done = Waiting { serial: Some(issued.serial_hex()), ..taken };
                // The certificate says in its details of which request it is; this is for who looks here.
                if let Err(error) = self.record(actor, id, &done, version).await {
                    tracing::warn!(request = id, %error, "its certificate is not noted with it");
                }
                Ok(issued)
            }
            Err(error @ CaError::Unknown { .. }) => Err(error),
            // Nothing was signed: it may be collected again.
            Err(error) => {
                self.record(actor, id, &waiting, version).await?;
                Err(error)
            }
        }
    }

    /// A request on which another than its asker may say a word now.
    async fn judged_by(&self, actor: &Actor, id: &str, why: Option<String>) -> Result<(Waiting, u64, Said), CaError> {
        let found = self.read(id).await;
        let (waiting, version) = self.seen(actor, found).await?;
        let (conflict, hands) = (|why: &str| Err(CaError::Conflict(why.to_owned())), Holder::hands(actor));
        if waiting.hands == hands {
            return conflict("whoever asks does not approve: that is for another person");
        }
        match waiting.state(self.now()) {
            WaitingState::Waiting | WaitingState::Approved => {}
            WaitingState::Refused => return conflict("it was refused already"),
            WaitingState::Expired => return conflict("it has expired"),
            WaitingState::Collected => return conflict("it was collected already"),
        }
        Ok((waiting, version, Said { by: ActorStamp::from(actor).id, hands, at: self.now(), why }))
    }

    /// What was found, for who may approve it. Who may approve nothing learns of no request.
    async fn seen(&self, actor: &Actor, found: Result<(Waiting, u64), CaError>) -> Result<(Waiting, u64), CaError> {
        let on =
            found.as_ref().map_or_else(|_| Resource::certificate(None, "", Vec::new()), |(there, _)| resource(there));
        self.certifier.office.gate.authorize(actor, Action::ApproveCertificate, on).await?;
        found
    }

    /// What was asked for is judged by the profile as it was then: under another one it is another request.
    fn is_the_profile(&self, waiting: &Waiting) -> Result<(), CaError> {
        let profile = self.certifier.office.profile(&waiting.profile)?;
        match hex::encode(profile.hash()) == waiting.profile_hash {
            true => Ok(()),
            false => Err(CaError::Conflict(format!("profile {} has changed since: ask again", waiting.profile))),
        }
    }

    /// Whether one more of this holder may wait.
    async fn check_room(&self, holder: &str) -> Result<(), CaError> {
        let (mut waiting, now) = (0, self.now());
        for lookup in waits::from(now, WAITS_SECS) {
            // Of one holder a few times the bound, with what expired in this span: no more is taken on.
            let owner = Some(holder.to_owned());
            let filter = RecordFilter { owner, lookup, limit: LOOKED_AT, ..RecordFilter::default() };
            for listed in self.certifier.office.ledger.record_page(KIND, filter).await? {
                // Nobody collects one that somebody altered: it takes no place.
                let Ok(stored) = listed.record else { continue };
                let state = body(&stored.id, &stored.body)?.state(now);
                waiting += usize::from(matches!(state, WaitingState::Waiting | WaitingState::Approved));
            }
        }
        match waiting < WAITING_MAX {
            true => Ok(()),
            false => {
                Err(CaError::Conflict(format!("{WAITING_MAX} requests of yours wait already: collect them first")))
            }
        }
    }

    async fn read(&self, id: &str) -> Result<(Waiting, u64), CaError> {
        let stored = self.certifier.office.ledger.record_get(KIND, id).await?.ok_or_else(|| missing(id))?;
        Ok((body(id, &stored.body)?, stored.version))
    }

    async fn record(&self, actor: &Actor, id: &str, waiting: &Waiting, expect: u64) -> Result<u64, CaError> {
        let body = serde_json::to_value(waiting).map_err(|e| CaError::Internal(format!("a request: {e}")))?;
        let record = Record {
            kind: KIND,
            id: id.to_owned(),
            // Whose request it is: of one holder so many wait, whichever of his certificates he asked with.
            owner: Some(waiting.holder.clone()),
            // Only what waits is counted: what is done makes room.
            lookup: waiting.is_open().then(|| waits::until(waiting.expires, WAITS_SECS)),
            expires: Some(waiting.expires),
            body,
            actor: ActorStamp::from(actor),
            expect: Some(expect),
        };
        match self.certifier.office.ledger.record(vec![record]).await {
            Ok(versions) => Ok(versions.first().copied().unwrap_or(expect + 1)),
            Err(StoreError::Conflict(_)) => {
                Err(CaError::Conflict("another said a word meanwhile: look again".to_owned()))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn now(&self) -> Timestamp {
        self.certifier.office.ledger.cautious_time()
    }
}

impl Waiting {
    /// Whether anything may become of it yet, as far as it says itself.
    fn is_open(&self) -> bool {
        !self.collected && self.refused.is_none()
    }
}

fn resource(waiting: &Waiting) -> Resource {
    Resource::certificate(Some(waiting.owner.clone()), &waiting.profile, waiting.names.clone())
}

fn body(id: &str, body: &serde_json::Value) -> Result<Waiting, CaError> {
    serde_json::from_value(body.clone()).map_err(|e| CaError::Internal(format!("the request {id}: {e}")))
}

fn missing(id: &str) -> CaError {
    CaError::NotFound(format!("request `{}`", policy::shown(id)))
}

/// The kind of a request's record.
const KIND: &str = "issuance-request";
/// A week: somebody may be away for some days.
const WAITS_SECS: i64 = 7 * 86_400;
/// Of one holder: more is a queue that nobody reads.
const WAITING_MAX: usize = 20;
/// Those of one holder that are looked at: what expired stays behind.
const LOOKED_AT: usize = 1_000;
const PAGE: usize = 100;
const WHY_BYTES_MAX: usize = 1_000;
const ID_BYTES: usize = 8;
