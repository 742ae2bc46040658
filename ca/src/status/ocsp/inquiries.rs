//! Where OCSP requests are answered: from the shelf at the cost of a look, else by the issuer's clerk.
//!
//! What is on the shelf touches neither the register nor the token. Trusted for: that an answer is of the issuer that was asked,
//! and that a certificate that is known to be revoked is never called good.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use hsm::Pool;
use policy::{Instance, Timestamp, World};
use tokio::sync::{Mutex, mpsc, oneshot};

use crate::checks::told_by;
use crate::craft::Office;
use crate::craft::ocsp::{Asked, Named, issuer_ids};
use crate::encode::ocsp::{IssuerId, Refusal, refusal};
use crate::error::CaError;
use crate::issuers::Issuing;
use crate::status::ocsp::allowance::{Allowance, Cost};
use crate::status::ocsp::clerk::{Clerk, Errand, Question, Reply, Side, second};
use crate::status::ocsp::counts::{Counts, OcspState};
use crate::status::ocsp::keeper::Keeper;
use crate::status::ocsp::leaver::Leaver;
use crate::status::ocsp::shelf::{Given, Key};

/// An answer to an OCSP request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OcspAnswer {
    /// The OCSPResponse, DER.
    pub der: Bytes,
    /// Of an answer that others may be given too: from when to when it holds.
    pub shared: Option<(Timestamp, Timestamp)>,
}

impl OcspAnswer {
    fn refusal(why: Refusal) -> OcspAnswer {
        OcspAnswer { der: Bytes::copy_from_slice(&refusal(why)), shared: None }
    }

    fn given(given: Given, is_shared: bool) -> OcspAnswer {
        let times = (given.times.this_update, given.times.next_update);
        OcspAnswer { der: given.der, shared: is_shared.then_some(times) }
    }
}

/// The windows of all issuers.
pub(crate) struct Inquiries {
    office: Office,
    pool: Pool,
    world: World,
    instance: Instance,
    allowance: Arc<Allowance>,
    counts: Arc<Counts>,
    windows: ArcSwap<Windows>,
    opening: Mutex<()>,
    leaver: Leaver,
}

/// One window for each generation that signs X.509, as the issuers were when they were read.
#[derive(Default)]
struct Windows {
    version: u64,
    all: Vec<Arc<Window>>,
}

/// Where one generation's certificates are asked for.
struct Window {
    /// `tls/1`.
    label: String,
    ids: [IssuerId; 2],
    side: Arc<Side>,
    clerk: mpsc::Sender<Errand>,
}

impl Window {
    fn is(&self, named: &Named<'_>) -> bool {
        named.hash.is_some_and(|hash| {
            let mut ids = self.ids.iter();
            ids.any(|id| id.hash == hash && id.name == named.issuer_name && id.key == named.issuer_key)
        })
    }
}

impl Inquiries {
    /// With a window for each issuer, once somebody asks. Their clerks end with the last handle on this.
    pub(crate) fn open(office: &Office, pool: &Pool, world: &World, instance: Instance) -> Inquiries {
        Inquiries {
            office: office.clone(),
            pool: pool.clone(),
            world: world.clone(),
            instance,
            allowance: Arc::new(Allowance::new(world.clone())),
            counts: Arc::default(),
            windows: ArcSwap::default(),
            opening: Mutex::default(),
            leaver: Leaver::new(office, pool, world, instance),
        }
    }

    /// The windows of the issuers in force. A question of memory where none changed; those that stay keep what they have. With the
    /// database away, those of before.
    async fn windows(&self) -> Result<Arc<Windows>, CaError> {
        let issuers = match self.office.issuers.fresh().await {
            Ok(issuers) => issuers,
            Err(_) => self.office.issuers.read(),
        };
        let is_of = |windows: &Windows| windows.version == issuers.version && !windows.all.is_empty();
        let there = self.windows.load_full();
        if is_of(&there) {
            return Ok(there);
        }
        // One opens them: two clerks of one issuer would make two responders.
        let _opening = self.opening.lock().await;
        let there = self.windows.load_full();
        if is_of(&there) {
            return Ok(there);
        }
        let window = |issuer: &Arc<Issuing>| {
            let ids = issuer_ids(issuer)?;
            let stays = there.all.iter().find(|window| window.label == issuer.label && window.ids == ids);
            Ok(stays.cloned().unwrap_or_else(|| Arc::new(self.window(issuer, ids))))
        };
        let all = issuers.issuing_all().map(window).collect::<Result<_, CaError>>()?;
        let fresh = Arc::new(Windows { version: issuers.version, all });
        self.windows.store(fresh.clone());
        Ok(fresh)
    }

    fn window(&self, issuer: &Arc<Issuing>, ids: [IssuerId; 2]) -> Window {
        let (clerk, inbox) = mpsc::channel(QUEUE);
        let side = Arc::new(Side::default());
        let behind = Clerk {
            label: issuer.label.clone(),
            side: side.clone(),
            keeper: Keeper::new(self.office.clone(), self.pool.clone(), self.instance),
            world: self.world.clone(),
            allowance: self.allowance.clone(),
            counts: self.counts.clone(),
            rests_until: Duration::ZERO,
            inbox,
        };
        tokio::spawn(behind.serve());
        Window { label: issuer.label.clone(), ids, side, clerk }
    }

    /// Whether there is such a generation (`tls/1`).
    pub(crate) async fn knows(&self, issuer: &str) -> bool {
        self.windows().await.is_ok_and(|windows| windows.all.iter().any(|window| window.label == issuer))
    }

    /// Answers a request, whatever it is; `under` is the issuer that the address names, if it names one.
    pub(crate) async fn answer(&self, under: Option<&str>, request: &[u8], from: Option<IpAddr>) -> OcspAnswer {
        let refused = |why| {
            self.counts.refused();
            OcspAnswer::refusal(why)
        };
        let asked = match Asked::read(request) {
            Ok(asked) => asked,
            Err(why) => {
                tracing::debug!(why = why.0, "an OCSP request is none");
                return refused(Refusal::Malformed);
            }
        };
        // One responder answers for one issuer: a request of two is for nobody.
        let of_all = |window: &&Window| asked.certificates.iter().all(|named| window.is(named));
        let here = |window: &&Window| under.is_none_or(|label| window.label == label);
        let Ok(windows) = self.windows().await else {
            self.counts.later();
            return OcspAnswer::refusal(Refusal::Later);
        };
        // Two generations of one key and name are one to whoever asks: the newest answers for both.
        let Some(window) = windows.all.iter().map(Arc::as_ref).filter(here).rfind(of_all) else {
            return refused(Refusal::Unauthorized);
        };
        let keys = asked.certificates.iter().filter_map(|named| Key::new(named.hash?, named.serial)).collect();
        self.at(window, keys, asked.nonce, from).await
    }

    async fn at(&self, window: &Window, keys: Vec<Key>, nonce: Option<&[u8]>, from: Option<IpAddr>) -> OcspAnswer {
        let limited = || {
            self.counts.limited();
            OcspAnswer::refusal(Refusal::Later)
        };
        let single = match keys.as_slice() {
            [one] => Some(*one),
            _ => None,
        };
        let is_alone = single.is_none() || nonce.is_some();
        if is_alone && self.allowance.take(from, Cost::Alone) {
            let made = self.ask(window, keys.clone(), nonce.map(<[u8]>::to_vec), from).await;
            // With the token away, what is in memory is better than nothing, for whoever takes it without his nonce.
            match (made, single) {
                (Reply::Later, Some(_)) => {}
                (made, _) => return self.told(made),
            }
        } else if is_alone {
            self.counts.limited();
        }
        // RFC 5019 section 4: who has had his share of nonces is answered without.
        let Some(key) = single else { return OcspAnswer::refusal(Refusal::Later) };
        let now = self.office.ledger.cautious_time();
        let revoked = |operation: u64| {
            let (at, reason) = self.office.ledger.revocation(operation)?;
            Some((told_by(at, now), reason))
        };
        match window.side.shelf.get(&key, (now, second(&self.world)), revoked) {
            Some(given) => {
                if given.is_aged {
                    // A full queue means that others are made first; the next one who asks after the end asks again.
                    let question = Question { keys, nonce: None, from: None, answer: None };
                    let _ = window.clerk.try_send(Errand::Answer(question));
                }
                self.counts.answered();
                OcspAnswer::given(given, true)
            }
            None if !self.allowance.take(from, Cost::First) => limited(),
            None => {
                let made = self.ask(window, keys, None, from).await;
                self.told(made)
            }
        }
    }

    /// Has it made, and waits for it.
    async fn ask(&self, window: &Window, keys: Vec<Key>, nonce: Option<Vec<u8>>, from: Option<IpAddr>) -> Reply {
        let (answer, answered) = oneshot::channel();
        let question = Question { keys, nonce, from, answer: Some(answer) };
        let reply = match window.clerk.try_send(Errand::Answer(question)) {
            Ok(()) => tokio::time::timeout(WAIT_MAX, answered).await.ok().and_then(Result::ok),
            Err(_) => None,
        };
        reply.unwrap_or(Reply::Later)
    }

    fn told(&self, reply: Reply) -> OcspAnswer {
        match reply {
            Reply::Shared(given) => OcspAnswer::given(given, true),
            Reply::Alone(given) => OcspAnswer::given(given, false),
            Reply::Later => {
                self.counts.later();
                OcspAnswer::refusal(Refusal::Later)
            }
            Reply::Limited => {
                self.counts.limited();
                OcspAnswer::refusal(Refusal::Later)
            }
        }
    }

    /// New responders where it is time; what nobody asks for any more goes, and so do keys that are done with. Call it every minute.
    pub(crate) async fn tend(&self) -> Result<(), CaError> {
        let closed = || CaError::unavailable(CLOSED_RETRY_SECS, "the OCSP clerk is gone");
        let mut first_failure = Ok(());
        for window in &self.windows().await?.all {
            if window.side.responder.load().is_none() {
                continue;
            }
            let (answer, answered) = oneshot::channel();
            window.clerk.send(Errand::Tend(answer)).await.map_err(|_| closed())?;
            // One issuer's trouble keeps no other's responder back.
            first_failure = first_failure.and(answered.await.map_err(|_| closed())?);
        }
        first_failure.and(self.leaver.tend().await)
    }

    /// How the responders are.
    pub(crate) fn state(&self) -> OcspState {
        let windows = self.windows.load();
        let responders = windows.all.iter().filter_map(|window| {
            let responder = window.side.responder.load_full()?;
            Some((window.label.clone(), responder.validity.not_after()))
        });
        let kept = windows.all.iter().map(|window| window.side.shelf.len() as u64).sum();
        self.counts.state(responders.collect(), kept)
    }
}

/// Questions that may wait for a clerk: some batches.
const QUEUE: usize = 1_024;
/// So long a question waits: clients give up sooner than a token does.
const WAIT_MAX: Duration = Duration::from_secs(5);
const CLOSED_RETRY_SECS: u32 = 5;
