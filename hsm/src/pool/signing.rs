//! A signature of one token: into the queue, and an outcome within a time.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::TrySendError;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::crew::Crew;
use super::worker::{Answer, Claim, Job, SignJob};
use crate::custody::{Intent, Key, NotSigned, SignError, Signature};
use crate::error::HsmError;
use crate::heal::{RETRY_AFTER_BUSY_SECS, Shared};
use crate::keys::objects;

impl Crew {
    /// Signs once, and verifies before it answers, within a time. `Unknown` means that a signature may exist.
    pub(super) async fn sign(&self, intent: &Arc<Intent>, window: Duration) -> Result<Signature, SignError> {
        let shared = &self.shared;
        let operation = intent.operation();
        let unavailable = |why: String, retry_after_secs| SignError::Unavailable {
            not_signed: NotSigned::testify(operation, why),
            retry_after_secs,
        };
        // Until then the job may be waiting, for a session or for a turn.
        let half = window / 2;
        let begun_by = Instant::now() + half;
        let own = self.own(intent, begun_by).await?;
        let mut turn = None;
        // Twice at most: the second time it has its turn. What comes back was not begun, whoever had the claim.
        loop {
            if !shared.standing.is_ready() {
                let (why, retry_after_secs) = shared.standing.absence();
                return Err(unavailable(why, retry_after_secs));
            }
            let (claim, (reply, mut answer)) = (Arc::new(Claim::default()), oneshot::channel());
            match self.jobs.try_send(Job::Sign(SignJob {
                intent: Arc::clone(intent),
                own: own.clone(),
                turn,
                claim: claim.clone(),
                reply,
            })) {
                Ok(()) => {}
                Err(TrySendError::Full(_)) => {
                    shared.standing.pass_over();
                    return Err(unavailable("the queue for the token is full".into(), RETRY_AFTER_BUSY_SECS));
                }
                Err(TrySendError::Disconnected(_)) => {
                    return Err(unavailable("the pool was shut down".into(), RETRY_AFTER_BUSY_SECS));
                }
            }
            let heard = match timeout_at(begun_by, &mut answer).await {
                Ok(heard) => heard,
                // The claim is ours, and nothing was or will be signed.
                Err(_) if claim.take() => {
                    shared.standing.pass_over();
                    return Err(unavailable("no session was free in time".into(), RETRY_AFTER_BUSY_SECS));
                }
                // A session has it. If it is still silent after as long again, nobody knows.
                Err(_) => match timeout_at(begun_by + half, &mut answer).await {
                    Ok(heard) => heard,
                    Err(_) => {
                        if let Some(last) = leave(shared, &claim, &mut answer) {
                            return last;
                        }
                        let why = format!("the token did not answer within {} ms", window.as_millis());
                        shared.standing.trouble(&why);
                        return Err(SignError::Unknown { operation, why });
                    }
                },
            };
            match heard {
                Ok(Answer::Over(outcome)) => return outcome,
                Ok(Answer::NeedsTurn) => match timeout_at(begun_by, shared.turns.search()).await {
                    Ok(given) => turn = Some(given),
                    Err(_) => return Err(unavailable("the token is making a key".into(), RETRY_AFTER_BUSY_SECS)),
                },
                // The thread is gone and took the job with it: before it claimed it, or after.
                Err(_) if claim.take() => {
                    return Err(unavailable("the pool was shut down".into(), RETRY_AFTER_BUSY_SECS));
                }
                Err(_) => {
                    return Err(SignError::Unknown { operation, why: "the session thread ended under way".into() });
                }
            }
        }
    }

    /// For benches: signs one intent after the other on one session's thread, so that nothing but the token and the
    /// verification is measured. Answers how many were signed.
    #[cfg(feature = "testing")]
    pub(super) async fn sign_in_a_row(&self, intents: Vec<Intent>) -> Result<usize, crate::error::HsmError> {
        let mut turn = Some(self.shared.turns.search().await);
        let (reply, answer) = oneshot::channel();
        let task = move |shared: &crate::heal::Shared, seat: &mut super::worker::Seat| {
            let signed = intents.into_iter().filter_map(|intent| {
                let (reply, mut answer) = oneshot::channel();
                let own = shared.own(intent.key()).unwrap_or_else(|| intent.key().clone());
                let job = SignJob { intent: Arc::new(intent), own, turn: turn.take(), claim: Arc::default(), reply };
                super::worker::sign(shared, seat, job);
                matches!(answer.try_recv(), Ok(Answer::Over(Ok(_)))).then_some(())
            });
            let _ = reply.send(signed.count());
        };
        let gone = |_| crate::error::HsmError::Failed("the pool was shut down".into());
        self.jobs.send(Job::Task(Box::new(task))).map_err(|_| gone(()))?;
        answer.await.map_err(|_| gone(()))
    }

    /// The intent's key as this token has it: as it was found before, or looked for now. Another key under the same label is none.
    async fn own(&self, intent: &Intent, until: Instant) -> Result<Key, SignError> {
        let (shared, key, operation) = (&self.shared, intent.key(), intent.operation());
        let refused = |why: String| SignError::Refused(NotSigned::testify(operation, why));
        if let Some(why) = shared.barred(&key.fingerprint()) {
            return Err(refused(why));
        }
        if let Some(own) = shared.own(key) {
            return Ok(own);
        }
        let unavailable = |why: String, retry_after_secs| SignError::Unavailable {
            not_signed: NotSigned::testify(operation, why),
            retry_after_secs,
        };
        let label = key.label().to_owned();
        let (is_brought, wanted) = (key.is_brought(), Some(key.fingerprint()));
        let look = self.look(move |inside, turn, desk| match is_brought {
            true => objects::find_brought(inside, turn, desk, (&label, wanted)),
            false => objects::find(turn, &desk.session, &label),
        });
        match timeout_at(until, look).await {
            Ok(Ok(own)) if own.fingerprint() == key.fingerprint() => {
                shared.remember(&own);
                Ok(own)
            }
            Ok(Ok(_)) => {
                tracing::error!(
                    token = shared.name,
                    key = key.label(),
                    "the token has another key of that name; it does not sign"
                );
                Err(refused(format!("what it has as `{}` is another key", key.label())))
            }
            Ok(Err(HsmError::Unavailable { retry_after_secs, why })) => Err(unavailable(why, retry_after_secs)),
            Ok(Err(HsmError::Locked(_))) => {
                let (why, retry_after_secs) = shared.standing.absence();
                Err(unavailable(why, retry_after_secs))
            }
            Ok(Err(other)) => Err(refused(other.to_string())),
            Err(_) => Err(unavailable("it did not show the key in time".into(), RETRY_AFTER_BUSY_SECS)),
        }
    }
}

/// Gives an answer up that does not come: the token is passed over until it gives it. That it came at this very moment is not missed.
fn leave(
    shared: &Shared,
    claim: &Claim,
    answer: &mut oneshot::Receiver<Answer>,
) -> Option<Result<Signature, SignError>> {
    shared.standing.fell_silent();
    claim.leave();
    answer.close();
    let came = answer.try_recv().ok()?;
    if claim.was_left() {
        shared.standing.spoke();
    }
    match came {
        Answer::Over(outcome) => Some(outcome),
        Answer::NeedsTurn => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::custody::{Key, KeyKind};
    use crate::heal::Health;
    use crate::testing::alone;

    #[tokio::test]
    async fn a_job_its_caller_took_back_is_not_begun_though_somebody_listens() {
        let (pool, mint, _folder) = alone("claimed");
        let key = pool.generate("k", KeyKind::P256).await.unwrap();
        // The one session knows the key from here on.
        pool.sign(mint.intent(1, &key, b"m".to_vec().into())).await.unwrap();
        let job = |claim| {
            let (reply, answer) = oneshot::channel();
            let intent = Arc::new(mint.intent(2, &key, b"m".to_vec().into()));
            let own = key.clone();
            pool.first().crew.jobs.send(Job::Sign(SignJob { intent, own, turn: None, claim, reply })).unwrap();
            answer
        };
        let taken = Arc::new(Claim::default());
        assert!(taken.take() && !taken.take());
        assert!(job(taken).await.is_err(), "it was begun all the same");
        assert!(matches!(job(Arc::default()).await.unwrap(), Answer::Over(Ok(_))));
    }

    #[tokio::test]
    async fn while_a_key_is_being_made_known_keys_sign_and_others_wait_for_their_turn() {
        let (pool, mint, _folder) = alone("signing-meanwhile");
        let known = pool.generate("known", KeyKind::P256).await.unwrap();
        let unknown = pool.generate("unknown", KeyKind::P256).await.unwrap();
        let sign = |operation, key: &Key| pool.sign(mint.intent(operation, key, b"m".to_vec().into()));
        sign(0, &known).await.unwrap();
        let turn = pool.first().crew.shared.turns.make().await;
        // There is one session, and whoever waits does not have it.
        let (waited, signed) = tokio::join!(sign(1, &unknown), async {
            tokio::task::yield_now().await;
            let signed = sign(2, &known).await;
            drop(turn);
            signed
        });
        signed.unwrap();
        waited.unwrap();
    }

    #[tokio::test]
    async fn a_signature_that_gets_no_turn_in_time_is_answered_as_not_made() {
        let (pool, mint, _folder) = alone("patience");
        let key = pool.generate("k", KeyKind::P256).await.unwrap();
        let _turn = pool.first().crew.shared.turns.make().await;
        let refused = pool.sign(mint.intent(1, &key, b"m".to_vec().into())).await;
        assert!(matches!(refused, Err(SignError::Unavailable { .. })), "{refused:?}");
        assert_eq!(pool.health(), Health::Ready, "it is busy, not in trouble");
    }
}
