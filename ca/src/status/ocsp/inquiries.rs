//! Where OCSP requests are answered: from the shelf at the cost of a look, else by the issuer's clerk.
//!
//! What is on the shelf touches neither the register nor the token. Trusted for: that an answer is of the issuer that was asked,
//! and that a certificate that is known to be revoked is never called good.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hsm::Pool;
use policy::{Instance, Timestamp, World};
use tokio::sync::{mpsc, oneshot};

use crate::craft::Office;
use crate::craft::ocsp::{Asked, Named, issuer_ids};
use crate::encode::ocsp::{IssuerId, Refusal, refusal};
use crate::error::CaError;
use crate::issuers::Issuing;
use crate::status::ocsp::allowance::{Allowance, Cost};
use crate::status::ocsp::clerk::{Clerk, Errand, Question, Reply, Side, second};
use crate::status::ocsp::counts::{Counts, OcspState};
use crate::status::ocsp::keeper::Keeper;
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
    world: World,
    allowance: Arc<Allowance>,
    counts: Arc<Counts>,
    windows: Vec<Window>,
}

/// Where one issuer's certificates are asked for.
struct Window {
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
    /// Opens a window for each issuer. Their clerks end with the last handle on this.
    pub(crate) fn open(office: &Office, pool: &Pool, world: &World, instance: Instance) -> Result<Inquiries, CaError> {
        let (allowance, counts) = (Arc::new(Allowance::new(world.clone())), Arc::new(Counts::default()));
        let open = |issuer: &Arc<Issuing>| {
            let (clerk, inbox) = mpsc::channel(QUEUE);
            let side = Arc::new(Side::default());
            let behind = Clerk {
                issuer: issuer.clone(),
                side: side.clone(),
                keeper: Keeper::new(office.clone(), pool.clone(), instance),
                rests_until: Duration::ZERO,
                world: world.clone(),
                allowance: allowance.clone(),
                counts: counts.clone(),
                inbox,
            };
            tokio::spawn(behind.serve());
            Ok(Window { label: issuer.label.clone(), ids: issuer_ids(issuer)?, side, clerk })
        };
        let windows = office.hierarchy.issuers().map(open).collect::<Result<_, CaError>>()?;
        Ok(Inquiries { office: office.clone(), world: world.clone(), allowance, counts, windows })
    }

    /// Whether there is such an issuer.
    pub(crate) fn knows(&self, issuer: &str) -> bool {
        self.windows.iter().any(|window| window.label == issuer)
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
        let Some(window) = self.windows.iter().filter(here).find(of_all) else {
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
        let at = (self.office.ledger.cautious_time(), second(&self.world));
        match window.side.shelf.get(&key, at, |operation| self.office.ledger.revocation(operation)) {
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

    /// New responders where it is time, and what nobody asks for any more goes. Call it every minute.
    pub(crate) async fn tend(&self) -> Result<(), CaError> {
        let closed = || CaError::unavailable(CLOSED_RETRY_SECS, "the OCSP clerk is gone");
        let mut first_failure = Ok(());
        for window in &self.windows {
            if window.side.responder.load().is_none() {
                continue;
            }
            let (answer, answered) = oneshot::channel();
            window.clerk.send(Errand::Tend(answer)).await.map_err(|_| closed())?;
            // One issuer's trouble keeps no other's responder back.
            first_failure = first_failure.and(answered.await.map_err(|_| closed())?);
        }
        first_failure
    }

    /// How the responders are.
    pub(crate) fn state(&self) -> OcspState {
        let responders = self.windows.iter().filter_map(|window| {
            let responder = window.side.responder.load_full()?;
            Some((window.label.clone(), responder.validity.not_after()))
        });
        let kept = self.windows.iter().map(|window| window.side.shelf.len() as u64).sum();
        self.counts.state(responders.collect(), kept)
    }
}

/// Questions that may wait for a clerk: some batches.
const QUEUE: usize = 1_024;
/// So long a question waits: clients give up sooner than a token does.
const WAIT_MAX: Duration = Duration::from_secs(5);
const CLOSED_RETRY_SECS: u32 = 5;
