//! A signature as its caller sees it: into the queue, and an outcome within the deadline.

use std::sync::Arc;

use crossbeam_channel::TrySendError;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::crew::Crew;
use super::worker::{Answer, Claim, Job, SignJob};
use crate::custody::{Intent, Message, NotSigned, SignError, Signature};
use crate::heal::RETRY_AFTER_BUSY_SECS;

impl Crew {
    /// Signs once, and verifies before it answers.
    ///
    /// The intent is consumed whatever comes of it; a retry is a new intent. `Unknown` means that a signature may exist.
    pub(super) async fn sign(&self, intent: Intent) -> Result<Signature, SignError> {
        let shared = &self.shared;
        let operation = intent.operation();
        if let Err(why) = self.admit(&intent) {
            return Err(SignError::Refused(NotSigned::testify(operation, why)));
        }
        let unavailable = |why: String, retry_after_secs| SignError::Unavailable {
            not_signed: NotSigned::testify(operation, why),
            retry_after_secs,
        };
        // Until then the job may be waiting, for a session or for a turn.
        let half = shared.config.deadline / 2;
        let begun_by = Instant::now() + half;
        let (mut intent, mut turn) = (intent, None);
        // Twice at most: the second time it has its turn. What comes back was not begun, whoever had the claim.
        loop {
            if !shared.standing.is_ready() {
                let (why, retry_after_secs) = shared.standing.absence();
                return Err(unavailable(why, retry_after_secs));
            }
            let (claim, (reply, mut answer)) = (Arc::new(Claim::default()), oneshot::channel());
            match self.jobs.try_send(Job::Sign(SignJob { intent, turn, claim: claim.clone(), reply })) {
                Ok(()) => {}
                Err(TrySendError::Full(_)) => {
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
                    return Err(unavailable("no session was free in time".into(), RETRY_AFTER_BUSY_SECS));
                }
                // A session has it. If it is still silent after as long again, nobody knows.
                Err(_) => match timeout_at(begun_by + half, &mut answer).await {
                    Ok(heard) => heard,
                    Err(_) => {
                        let why = format!("the token did not answer within {} ms", shared.config.deadline.as_millis());
                        shared.standing.trouble(&why);
                        return Err(SignError::Unknown { operation, why });
                    }
                },
            };
            match heard {
                Ok(Answer::Over(outcome)) => return outcome,
                Ok(Answer::NeedsTurn(again)) => match timeout_at(begun_by, shared.module.turns().search()).await {
                    Ok(given) => (intent, turn) = (again, Some(given)),
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
        let mut turn = Some(self.shared.module.turns().search().await);
        let (reply, answer) = oneshot::channel();
        let task = move |shared: &crate::heal::Shared, seat: &mut super::worker::Seat| {
            let signed = intents.into_iter().filter_map(|intent| {
                let (reply, mut answer) = oneshot::channel();
                let job = SignJob { intent, turn: turn.take(), claim: Arc::default(), reply };
                super::worker::sign(shared, seat, job);
                matches!(answer.try_recv(), Ok(Answer::Over(Ok(_)))).then_some(())
            });
            let _ = reply.send(signed.count());
        };
        let gone = |_| crate::error::HsmError::Failed("the pool was shut down".into());
        self.jobs.send(Job::Task(Box::new(task))).map_err(|_| gone(()))?;
        answer.await.map_err(|_| gone(()))
    }

    /// What can be said without the token.
    fn admit(&self, intent: &Intent) -> Result<(), String> {
        let shared = &self.shared;
        if intent.home() != shared.home {
            return Err("the intent was made for another pool".into());
        }
        if let Message::Batch(batch) = intent.message()
            && !batch.holds()
        {
            return Err("the root of its batch is not that of its messages".into());
        }
        match shared.knows(intent.key()) {
            true => Ok(()),
            false => Err(format!("this pool has no key `{}`", intent.key().label())),
        }
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
            let intent = mint.intent(2, &key, b"m".to_vec().into());
            pool.crew.jobs.send(Job::Sign(SignJob { intent, turn: None, claim, reply })).unwrap();
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
        let turn = pool.crew.shared.module.turns().make().await;
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
        let _turn = pool.crew.shared.module.turns().make().await;
        let refused = pool.sign(mint.intent(1, &key, b"m".to_vec().into())).await;
        assert!(matches!(refused, Err(SignError::Unavailable { .. })), "{refused:?}");
        assert_eq!(pool.health(), Health::Ready, "it is busy, not in trouble");
    }
}
