//! The clerk of an issuer: makes the responses that are not on the shelf, those of a moment in one batch.
//!
//! A task that takes questions, looks into the register, and has them signed under one intent. Nothing that waits here is waited
//! for by what is on the shelf. A register or a token that is away is answered with "try later", and tried again by whoever asks
//! next.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use hsm::BATCH_MAX;
use policy::{Serial, Timestamp, World};
use store::{Attested, Credential, Kind, State};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use crate::checks::told_by;
use crate::craft::ocsp::{Responder, Said, Wanted, draft, times};
use crate::encode::ocsp::Status;
use crate::error::CaError;
use crate::issuers::Issuing;
use crate::status::ocsp::allowance::{Allowance, Cost};
use crate::status::ocsp::counts::Counts;
use crate::status::ocsp::keeper::{Keeper, grant};
use crate::status::ocsp::shelf::{Given, Key, Made, Shelf, assembled};

/// What a clerk is asked for.
pub(super) enum Errand {
    /// An answer.
    Answer(Question),
    /// A look at the responder: whether it is time for a new one.
    Tend(oneshot::Sender<Result<(), CaError>>),
}

/// A question that the shelf does not answer.
pub(super) struct Question {
    /// One certificate at least.
    pub(super) keys: Vec<Key>,
    pub(super) nonce: Option<Vec<u8>>,
    pub(super) from: Option<IpAddr>,
    /// None where it is made ahead of time, for whoever asks next.
    pub(super) answer: Option<oneshot::Sender<Reply>>,
}

/// What came of it.
#[derive(Clone, Debug)]
pub(super) enum Reply {
    /// Made, and others may be given it too.
    Shared(Given),
    /// Made for the one who asked.
    Alone(Given),
    /// Not now.
    Later,
    /// Whoever asks has had enough for now.
    Limited,
}

/// What a clerk and those who ask both see.
#[derive(Default)]
pub(super) struct Side {
    pub(super) shelf: Shelf,
    /// The responder at work, once there is one.
    pub(super) responder: ArcSwapOption<Responder>,
}

/// The one who makes an issuer's responses.
pub(super) struct Clerk {
    /// The generation that it answers for.
    pub(super) label: String,
    pub(super) side: Arc<Side>,
    pub(super) keeper: Keeper,
    pub(super) world: World,
    pub(super) allowance: Arc<Allowance>,
    pub(super) counts: Arc<Counts>,
    /// When a responder that could not be had is tried again, by the clock that nobody sets.
    pub(super) rests_until: Duration,
    pub(super) inbox: mpsc::Receiver<Errand>,
}

/// What the register says of a certificate.
#[derive(Clone, Copy)]
struct Standing {
    status: Status,
    operation: Option<u64>,
    ends: Option<Timestamp>,
}

impl Clerk {
    /// Serves until nobody can ask any more.
    pub(super) async fn serve(mut self) {
        while let Some(first) = self.inbox.recv().await {
            let mut questions = Vec::new();
            let mut tending = Vec::new();
            let until = Instant::now() + TOGETHER;
            let mut next = Some(first);
            while let Some(errand) = next.take() {
                match errand {
                    Errand::Answer(question) => questions.push(question),
                    Errand::Tend(answer) => tending.push(answer),
                }
                if questions.len() < BATCH_MAX {
                    next = timeout_at(until, self.inbox.recv()).await.ok().flatten();
                }
            }
            for answer in tending {
                let _ = answer.send(self.tend().await);
            }
            if !questions.is_empty() {
                self.answer(questions).await;
            }
        }
    }

    /// A new responder where it is time; one that nobody asked of is not made.
    async fn tend(&self) -> Result<(), CaError> {
        let now = self.now();
        self.side.shelf.sweep(now, second(&self.world));
        match self.side.responder.load_full() {
            Some(there) if self.keeper.is_due(&there, now) || !self.keeper.is_usable(&there, now) => {
                let fresh = self.keeper.make(&self.issuer().await?).await?;
                self.side.responder.store(Some(fresh));
                Ok(())
            }
            Some(_) | None => Ok(()),
        }
    }

    async fn answer(&mut self, questions: Vec<Question>) {
        let mut standings = HashMap::new();
        let (mut wanted, mut sorts) = (Vec::new(), Vec::new());
        let mut shared: HashMap<Key, usize> = HashMap::new();
        let mut waiting: Vec<(usize, Option<oneshot::Sender<Reply>>)> = Vec::new();
        for question in questions {
            let said = match self.said(&question, &mut standings).await {
                Ok(said) => said,
                Err(reply) => {
                    send(question.answer, reply);
                    continue;
                }
            };
            let sort = match (question.keys.as_slice(), &question.nonce) {
                ([key], None) => Some(*key),
                _ => None,
            };
            let at = match sort.and_then(|key| shared.get(&key).copied()) {
                Some(there) => there,
                None => {
                    wanted.push(Wanted { said, nonce: question.nonce });
                    sorts.push(sort);
                    wanted.len() - 1
                }
            };
            if let Some(key) = sort {
                shared.insert(key, at);
            }
            waiting.push((at, question.answer));
        }
        if wanted.is_empty() {
            return;
        }
        let made = match self.made(wanted.clone()).await {
            Ok(made) => made,
            Err(e) => {
                tracing::warn!(issuer = %self.label, error = %e, "no OCSP response was made");
                waiting.into_iter().for_each(|(_, answer)| send(answer, Reply::Later));
                return;
            }
        };
        let replies: Vec<Reply> = wanted
            .iter()
            .zip(&sorts)
            .enumerate()
            .map(|(at, (wanted, sort))| self.reply(&made, at, (wanted, *sort), &standings))
            .collect();
        for (at, answer) in waiting {
            send(answer, replies.get(at).cloned().unwrap_or(Reply::Later));
        }
    }

    fn reply(
        &self,
        (made, signatures): &(Arc<Made>, Vec<Vec<u8>>),
        at: usize,
        (wanted, sort): (&Wanted, Option<Key>),
        standings: &HashMap<Vec<u8>, Standing>,
    ) -> Reply {
        // The token broke off before this one.
        let Some(signature) = signatures.get(at) else { return Reply::Later };
        match sort {
            Some(key) => {
                let Some(standing) = standings.get(key.serial()) else { return Reply::Later };
                let Some(said) = wanted.said.first() else { return Reply::Later };
                let given = self.side.shelf.put((key, said, standing.operation), made, signature, second(&self.world));
                match standing.status {
                    Status::Unknown => given.map_or(Reply::Later, Reply::Alone),
                    Status::Good | Status::Revoked { .. } => given.map_or(Reply::Later, Reply::Shared),
                }
            }
            None => assembled(made, wanted, signature)
                .map_or(Reply::Later, |der| Reply::Alone(Given { der, times: made.times, is_aged: false })),
        }
    }

    /// What is to be said of the certificates of a question.
    async fn said(&self, question: &Question, standings: &mut HashMap<Vec<u8>, Standing>) -> Result<Vec<Said>, Reply> {
        let mut said = Vec::with_capacity(question.keys.len());
        for key in &question.keys {
            let standing = match standings.get(key.serial()) {
                Some(there) => *there,
                None => {
                    let looked = self.look(key.serial()).await.map_err(|e| {
                        tracing::warn!(issuer = %self.label, error = %e, "the register does not say how a certificate is");
                        Reply::Later
                    })?;
                    standings.insert(key.serial().to_vec(), looked);
                    if looked.status == Status::Unknown {
                        self.unknown(key.serial()).await;
                    }
                    looked
                }
            };
            if standing.status == Status::Unknown && !self.allowance.take(question.from, Cost::Unknown) {
                return Err(Reply::Limited);
            }
            let Standing { status, ends, .. } = standing;
            said.push(Said { hash: key.hash(), serial: key.serial().to_vec(), status, ends });
        }
        Ok(said)
    }

    /// What the register says, attested: a row that somebody altered says nothing. An intent without conclusion counts as issued.
    async fn look(&self, serial: &[u8]) -> Result<Standing, CaError> {
        let ledger = &self.keeper.office.ledger;
        let issuers = self.keeper.office.issuers.fresh().await?;
        let ours = issuers.issuing_of(&self.label);
        // Two CAs may have given one serial each, where one of them came from elsewhere.
        let found = ledger.credentials_of(&hex::encode(serial)).await?;
        let found = found.into_iter().find(|found| is_ours(found, ours.zip(issuers.issuing_of(&found.issuer))));
        let Some(found) = found else {
            // The register was put back to before it; that it was revoked since is known.
            let lost = ledger.revocation_of(&self.label, serial);
            return Ok(match lost {
                Some((operation, at, reason)) => {
                    let status = Status::Revoked { at: told_by(at, self.now()), reason };
                    Standing { status, operation: Some(operation), ends: None }
                }
                None => Standing { status: Status::Unknown, operation: None, ends: None },
            });
        };
        let (operation, ends) = (Some(found.operation), found.validity.map(|validity| validity.not_after()));
        Ok(match (ledger.revocation(found.operation), found.state) {
            (Some((at, reason)), _) => {
                Standing { status: Status::Revoked { at: told_by(at, self.now()), reason }, operation, ends }
            }
            (None, State::Issued | State::Intended | State::Revoked) => {
                Standing { status: Status::Good, operation, ends }
            }
            // Surely nothing was signed.
            (None, State::Failed) => Standing { status: Status::Unknown, operation: None, ends: None },
        })
    }

    /// Somebody asks of a certificate that the register does not hold. With a serial that this node might have made, since its CA
    /// began, it is an alarm: either it is made up, or somebody signs behind the register.
    async fn unknown(&self, serial: &[u8]) {
        let since = self.issuer().await.map(|issuer| issuer.validity.not_before());
        let ours = serial.try_into().ok().and_then(|bytes| Serial::from_bytes(bytes).ok()).filter(|serial| {
            serial.instance() == self.keeper.instance
                && since.as_ref().is_ok_and(|since| serial.made_at() >= *since)
                && serial.made_at() <= self.now()
        });
        match ours {
            Some(serial) => {
                if self.counts.alarm(serial, self.now()) {
                    tracing::error!(%serial, issuer = %self.label, "somebody asked of a certificate of ours that the register does not hold");
                }
            }
            None => self.counts.stranger(),
        }
    }

    /// Signs these under one intent. The signatures are those of the first, where the token broke off.
    async fn made(&mut self, wanted: Vec<Wanted>) -> Result<(Arc<Made>, Vec<Vec<u8>>), CaError> {
        let office = self.keeper.office.clone();
        let issuer = self.issuer().await?;
        let now = office.checks.clock.of_crl(&issuer)?;
        let responder = match self.side.responder.load_full() {
            Some(there) if self.keeper.is_usable(&there, now) => there,
            Some(_) | None => {
                if self.world.gone_by() < self.rests_until {
                    return Err(CaError::unavailable(REST_SECS, "there is no OCSP responder, and none could be made"));
                }
                let found = self.keeper.responder(&issuer, now).await.inspect_err(|_| {
                    self.rests_until = self.world.gone_by() + Duration::from_secs(REST_SECS.into());
                })?;
                self.side.responder.store(Some(found.clone()));
                found
            }
        };
        // Making one may have taken its time.
        let now = office.checks.clock.of_crl(&issuer)?;
        let times = times(&responder, now, &wanted)?;
        let count = wanted.len();
        let issued = office.issue(draft(grant(&office)?, &responder, wanted, times)?).await?;
        let signatures = issued.batch().to_vec();
        self.counts.signed(signatures.len());
        tracing::debug!(issuer = %self.label, count, made = signatures.len(), "OCSP responses");
        Ok((Arc::new(Made { responder, times }), signatures))
    }

    /// The issuer as it is now.
    async fn issuer(&self) -> Result<Arc<Issuing>, CaError> {
        let issuers = self.keeper.office.issuers.fresh().await?;
        let found = issuers.issuing_of(&self.label).cloned();
        found.ok_or_else(|| CaError::Conflict(format!("CA `{}` signs nothing now", self.label)))
    }

    fn now(&self) -> Timestamp {
        self.keeper.office.ledger.cautious_time()
    }
}

/// A certificate of this CA: of its own generation, or of another with the same key and name, which whoever asks cannot tell apart.
fn is_ours(found: &Attested<Credential>, pair: Option<(&Arc<Issuing>, &Arc<Issuing>)>) -> bool {
    let of_this_ca = |(ours, its): (&Arc<Issuing>, &Arc<Issuing>)| {
        ours.key.fingerprint() == its.key.fingerprint() && ours.subject.as_der() == its.subject.as_der()
    };
    match found.kind {
        Kind::Certificate | Kind::CaCertificate => pair.is_some_and(of_this_ca),
        Kind::SshUser | Kind::SshHost | Kind::CodeSignature | Kind::Crl | Kind::CaRequest | Kind::OcspBatch => false,
    }
}

fn send(answer: Option<oneshot::Sender<Reply>>, reply: Reply) {
    if let Some(answer) = answer {
        // Whoever asked may have left.
        let _ = answer.send(reply);
    }
}

/// Seconds of the service's life, by which it is known what is asked for.
pub(super) fn second(world: &World) -> u32 {
    u32::try_from(world.gone_by().as_secs()).unwrap_or(u32::MAX)
}

/// A responder that could not be had is tried again after this: whoever asks makes no more of it.
const REST_SECS: u32 = 5;
/// Those who ask within this share a batch.
const TOGETHER: Duration = Duration::from_millis(20);
