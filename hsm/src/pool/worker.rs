//! A session thread: takes jobs one by one, from the queue to the token and back.
//!
//! Each job is claimed before the first call that matters; a caller whose deadline passes claims it too, and whoever is
//! first decides: a job claimed by its caller is never begun, one claimed here may have signed.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crossbeam_channel::Receiver;
use tokio::sync::oneshot;

use crate::custody::{Intent, Key, Message, NotSigned, SignError, Signature, verify_bare};
use crate::error::HsmError;
use crate::heal::{RETRY_AFTER_HEALING_SECS, Shared};
use crate::keys::objects::signing_handle;
use crate::module::slots::Mark;
use crate::module::{self, Fault, Inside, Sought, Turn};
use crate::session::{Desk, Era, x509_form};

/// What a session thread is asked to do.
pub(crate) enum Job {
    /// Sign once.
    Sign(SignJob),
    /// Anything else.
    Task(Task),
    /// Go home.
    Stop,
}

/// Work for a session thread; it brings its own way to answer.
pub(crate) type Task = Box<dyn FnOnce(&Shared, &mut Seat) + Send>;

/// One signature.
pub(crate) struct SignJob {
    pub(crate) intent: Arc<Intent>,
    /// The intent's key as this token has it.
    pub(crate) own: Key,
    /// To look for the key, where the thread's desk has not seen it yet.
    pub(crate) turn: Option<Turn>,
    pub(crate) claim: Arc<Claim>,
    pub(crate) reply: oneshot::Sender<Answer>,
}

/// What became of a [`SignJob`].
#[derive(Debug)]
pub(crate) enum Answer {
    /// It is over.
    Over(Result<Signature, SignError>),
    /// It was not begun: come again with a turn.
    NeedsTurn,
}

/// Who decides about a job; taken once.
#[derive(Default)]
pub(crate) struct Claim {
    taken: AtomicBool,
    left: AtomicBool,
}

impl Claim {
    /// Whether the claim is now yours.
    pub(crate) fn take(&self) -> bool {
        !self.taken.swap(true, Ordering::AcqRel)
    }

    /// Whoever waited for the answer has left.
    pub(super) fn leave(&self) {
        self.left.store(true, Ordering::Release);
    }

    /// Whether that is so; said once.
    pub(super) fn was_left(&self) -> bool {
        self.left.swap(false, Ordering::AcqRel)
    }
}

/// A thread's desk, if it has one at the moment.
pub(crate) struct Seat {
    desk: Option<Desk>,
}

impl Seat {
    pub(crate) fn at(desk: Desk) -> Seat {
        Seat { desk: Some(desk) }
    }

    /// One whose desk is opened with its first job.
    pub(crate) fn empty() -> Seat {
        Seat { desk: None }
    }

    /// What is written on the token it is at.
    pub(crate) fn mark(&self) -> Option<Mark> {
        self.desk.as_ref().map(|desk| desk.place.mark())
    }

    /// Gives the seat up before it was ever used.
    pub(crate) fn abandon(mut self, inside: &Inside<'_>) {
        self.leave(inside);
    }

    /// A desk of this era: the one it has, or a new one.
    fn desk(&mut self, shared: &Shared, inside: &Inside<'_>) -> Result<&mut Desk, Fault> {
        let era = Era { generation: inside.generation, epoch: shared.standing.epoch() };
        if self.desk.as_ref().is_some_and(|d| d.era != era) {
            self.leave(inside);
        }
        match &mut self.desk {
            Some(desk) => Ok(desk),
            empty => {
                let opened = shared.open_desk(inside).map_err(|fault| match fault {
                    // A PIN that cannot be read now is no answer to whoever wanted a signature: the token is away.
                    Fault::Answer(error) => Fault::Lost(error.to_string()),
                    other => other,
                });
                Ok(empty.insert(opened?))
            }
        }
    }

    /// Gives the desk up. A session of an earlier generation died with it; its number may be another's now.
    fn leave(&mut self, inside: &Inside<'_>) {
        if let Some(desk) = self.desk.take()
            && desk.era.generation == inside.generation
        {
            desk.close();
        }
    }
}

/// Runs until told to stop, or until the last caller is gone.
pub(crate) fn run(shared: &Shared, jobs: &Receiver<Job>, mut seat: Seat) {
    while let Ok(job) = jobs.recv() {
        let _at_work = AtWork::begin(shared);
        match job {
            Job::Sign(job) => sign(shared, &mut seat, job),
            Job::Task(task) => task(shared, &mut seat),
            Job::Stop => break,
        }
    }
    if let Ok(inside) = shared.module.enter() {
        seat.leave(&inside);
    }
}

/// Counts a thread among those that have a job, until it has done it.
struct AtWork<'a>(&'a Shared);

impl<'a> AtWork<'a> {
    fn begin(shared: &'a Shared) -> AtWork<'a> {
        shared.at_work.fetch_add(1, Ordering::AcqRel);
        AtWork(shared)
    }
}

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        self.0.at_work.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Does `act` at a desk. Before anything lasting has happened, trouble with a session is met with a new one, once; after
/// that it is trouble with the token, and the healer's business.
pub(crate) fn attend<T>(
    shared: &Shared,
    seat: &mut Seat,
    repeatable: bool,
    mut act: impl FnMut(&Inside<'_>, &mut Desk) -> Result<T, Fault>,
) -> Result<T, HsmError> {
    let Ok(inside) = shared.module.enter() else {
        shared.standing.trouble("the module is not initialised");
        return Err(shared.standing.unavailable());
    };
    if !shared.standing.is_ready() {
        return Err(shared.standing.unavailable());
    }
    match at_desk(shared, seat, &inside, repeatable, &mut act) {
        Ok(done) => Ok(done),
        Err(Fault::Answer(error)) => Err(error),
        Err(Fault::Refused(why)) => Err(HsmError::Failed(format!("the token refused: {why}"))),
        Err(Fault::Locked(why)) => {
            shared.standing.lock(&why);
            Err(HsmError::Locked(why))
        }
        Err(Fault::Lost(why)) => {
            shared.standing.trouble(&why);
            Err(HsmError::Unavailable { retry_after_secs: RETRY_AFTER_HEALING_SECS, why })
        }
    }
}

fn at_desk<T>(
    shared: &Shared,
    seat: &mut Seat,
    inside: &Inside<'_>,
    repeatable: bool,
    act: &mut impl FnMut(&Inside<'_>, &mut Desk) -> Result<T, Fault>,
) -> Result<T, Fault> {
    let mut repeats = REPEATS_MAX;
    loop {
        let outcome = match seat.desk(shared, inside) {
            Ok(desk) => {
                repeats = if repeatable { repeats } else { 0 };
                act(inside, desk)
            }
            Err(fault) => Err(fault),
        };
        if let Err(Fault::Lost(_) | Fault::Refused(_)) = outcome {
            // An error may leave an operation open in the session: the next job gets a clean one.
            seat.leave(inside);
        }
        match outcome {
            Err(Fault::Lost(why)) if repeats > 0 => {
                tracing::warn!(why, "a session was lost; trying a new one");
                repeats -= 1;
            }
            other => return other,
        }
    }
}

pub(super) fn sign(shared: &Shared, seat: &mut Seat, job: SignJob) {
    let SignJob { intent, own, turn, claim, reply } = job;
    let order = Order { intent: &intent, own: &own };
    // Nobody waits any more: the operation stays an intent without a conclusion, and nothing is signed.
    if reply.is_closed() {
        return;
    }
    let operation = intent.operation();
    let outcome = match shared.module.enter() {
        Ok(inside) if shared.standing.is_ready() => {
            let first = intent.messages().first().map_or_else(
                || Begun::Not(SignError::Refused(NotSigned::testify(operation, "there is no message".into()))),
                |message| begin(shared, seat, &inside, turn.as_ref(), (order, message), Claimed::By(&claim)),
            );
            // The key was found: a signature that takes its time keeps nobody from making another.
            drop(turn);
            match first {
                Begun::TakenBack => return,
                Begun::NeedsTurn => {
                    // An error means that nobody waits any more. Nothing was begun.
                    let _ = reply.send(Answer::NeedsTurn);
                    return;
                }
                Begun::Not(error) => Err(error),
                Begun::UnderWay(input, begun) => {
                    let message = intent.messages().first().unwrap_or(intent.message());
                    let made = finish(shared, seat, &inside, (order, message), (&begun, &input));
                    made.and_then(|first| further(shared, seat, &inside, order, first))
                }
            }
        }
        _ if !claim.take() => return,
        Ok(_) => Err(away(shared, operation)),
        Err(why) => {
            shared.standing.trouble(&why);
            Err(away(shared, operation))
        }
    };
    let outcome = outcome.map(|made| Signature::released(&intent, made));
    let signed = outcome.is_ok();
    if reply.send(Answer::Over(outcome)).is_err() {
        if claim.was_left() {
            shared.standing.spoke();
        }
        tracing::error!(operation, signed, "an answer of the token came too late; its outcome stays unknown");
    }
}

/// The signatures after the first, of a batch: message after message, each once, in order. Where the token breaks off and surely
/// signed no further one, those that were made are what is released; where that is not sure, the outcome of all is not known.
fn further(
    shared: &Shared,
    seat: &mut Seat,
    inside: &Inside<'_>,
    order: Order<'_>,
    first: Vec<u8>,
) -> Result<Vec<Vec<u8>>, SignError> {
    let intent = order.intent;
    let until = Instant::now() + shared.config.deadline / BATCH_SHARE;
    let mut made = Vec::with_capacity(intent.messages().len());
    made.push(first);
    for message in intent.messages().iter().skip(1) {
        // Whoever waits is answered in time, with what there is.
        if Instant::now() > until {
            tracing::warn!(operation = intent.operation(), made = made.len(), "a batch took too long; it ends here");
            break;
        }
        let (input, begun) = match begin(shared, seat, inside, None, (order, message), Claimed::Already) {
            Begun::UnderWay(input, begun) => (input, begun),
            Begun::Not(_) | Begun::NeedsTurn | Begun::TakenBack => break,
        };
        match finish(shared, seat, inside, (order, message), (&begun, &input)) {
            Ok(signature) => made.push(signature),
            Err(SignError::Refused(_) | SignError::Unavailable { .. }) => break,
            Err(unknown @ SignError::Unknown { .. }) => return Err(unknown),
        }
    }
    Ok(made)
}

/// New sessions that are tried after one was lost: a token that closes all of them may close the next one too.
const REPEATS_MAX: u32 = 2;

/// A batch may take this part of the deadline after its first signature.
const BATCH_SHARE: u32 = 4;

/// What is to be signed, and with what of this token.
#[derive(Clone, Copy)]
struct Order<'a> {
    intent: &'a Intent,
    own: &'a Key,
}

/// Who has the claim on a job.
#[derive(Clone, Copy)]
enum Claimed<'a> {
    /// Whoever takes it.
    By(&'a Claim),
    /// This thread, since the first message of the batch.
    Already,
}

impl Claimed<'_> {
    fn is_ours(self) -> bool {
        match self {
            Claimed::By(claim) => claim.take(),
            Claimed::Already => true,
        }
    }
}

fn away(shared: &Shared, operation: u64) -> SignError {
    let (why, retry_after_secs) = shared.standing.absence();
    SignError::Unavailable { not_signed: NotSigned::testify(operation, why), retry_after_secs }
}

/// How far a signature came before the token was shown its message.
enum Begun<'a> {
    /// To `C_SignInit`, and the claim is ours.
    UnderWay(Cow<'a, [u8]>, module::Begun),
    /// Not at all, and the claim is ours.
    Not(SignError),
    /// Not at all: the desk does not know the key yet.
    NeedsTurn,
    /// Not at all: the claim is the caller's.
    TakenBack,
}

/// Session, handle, mechanism, claim, `C_SignInit`. The message has not been shown to the token: an error is `NotSigned`, and
/// one repetition with a new session is no second signature. Claimed after what may take its time, the restart of the module
/// for instance: waiting is not "under way".
fn begin<'a>(
    shared: &Shared,
    seat: &mut Seat,
    inside: &Inside<'_>,
    turn: Option<&Turn>,
    (order, message): (Order<'_>, &'a Message),
    claim: Claimed<'_>,
) -> Begun<'a> {
    let (operation, key) = (order.intent.operation(), order.intent.key());
    let (mut ours, mut needs_turn) = (false, false);
    let begun = at_desk(shared, seat, inside, true, &mut |inside: &Inside<'_>, desk: &mut Desk| {
        let recipe = desk
            .mechanisms
            .recipe(key.algorithm())
            .ok_or_else(|| Fault::Refused(format!("it has no mechanism for {}", key.algorithm())))?;
        let input = recipe.input(key.algorithm(), message).map_err(Fault::Refused)?;
        let sought = signing_handle(desk, turn, order.own);
        if let Err(Fault::Refused(why)) = &sought {
            shared.is_unfit(order.own, why);
        }
        let handle = match sought? {
            Sought::Found(handle) => {
                // With a turn it was looked at now.
                if turn.is_some() {
                    shared.is_fit(&order.own.fingerprint());
                }
                handle
            }
            Sought::Absent => return Err(Fault::Lost("the token does not show the key".into())),
            Sought::Another => {
                tracing::error!(
                    token = shared.name,
                    key = key.label(),
                    "the token has another key of that name; it does not sign"
                );
                shared.forget(order.own);
                return Err(Fault::Refused(format!("what it has as `{}` is another key", key.label())));
            }
            Sought::Unseen => {
                needs_turn = true;
                return Ok(None);
            }
        };
        ours = ours || claim.is_ours();
        if !ours {
            return Ok(None);
        }
        let begun = inside.raw.begin(&desk.session, recipe.mechanism(), handle);
        Ok(Some((input, begun.map_err(|rv| Fault::from_rv(rv, "C_SignInit"))?)))
    });
    let refused = |why: String| Begun::Not(SignError::Refused(NotSigned::testify(operation, why)));
    match begun {
        Ok(None) if needs_turn => Begun::NeedsTurn,
        _ if !ours && !claim.is_ours() => Begun::TakenBack,
        Ok(Some((input, begun))) => Begun::UnderWay(input, begun),
        // The claim is the caller's: it was there before.
        Ok(None) => Begun::TakenBack,
        Err(Fault::Refused(why)) => refused(why),
        Err(Fault::Answer(error)) => refused(error.to_string()),
        Err(Fault::Locked(why)) => {
            shared.standing.lock(&why);
            Begun::Not(away(shared, operation))
        }
        Err(Fault::Lost(why)) => {
            shared.standing.trouble(&why);
            Begun::Not(away(shared, operation))
        }
    }
}

/// `C_Sign` and the verification. From here on a signature may exist. No return value is trusted to say otherwise, not even
/// "operation not initialised": a module in front of a network HSM can lose the answer and say anything.
fn finish(
    shared: &Shared,
    seat: &mut Seat,
    inside: &Inside<'_>,
    (order, message): (Order<'_>, &Message),
    (begun, input): (&module::Begun, &[u8]),
) -> Result<Vec<u8>, SignError> {
    let (operation, key) = (order.intent.operation(), order.intent.key());
    let unknown = |why: String| SignError::Unknown { operation, why };
    let Some(desk) = &seat.desk else {
        return Err(SignError::Refused(NotSigned::testify(operation, "its session was given up".into())));
    };
    let raw = match inside.raw.sign(&desk.session, begun, input) {
        Ok(raw) => raw,
        Err(met) => {
            seat.leave(inside);
            let fault = Fault::from_rv(met.rv, met.function());
            if let Fault::Lost(why) = &fault {
                shared.standing.trouble(why);
            }
            let why = match fault {
                Fault::Lost(_) if met.is_unsigned => return Err(away(shared, operation)),
                Fault::Lost(why) | Fault::Refused(why) | Fault::Locked(why) => why,
                Fault::Answer(error) => error.to_string(),
            };
            return Err(match met.is_unsigned {
                true => SignError::Refused(NotSigned::testify(operation, why)),
                false => unknown(why),
            });
        }
    };
    // Verified before anyone sees it. A wrong one was made all the same, by a fault in the token or by another key than the
    // one named: it is not released, and not called "not signed".
    let verified = x509_form(key.kind(), raw).and_then(|bytes| {
        verify_bare(key.algorithm(), key.bare(), message, &bytes).map(|()| bytes).map_err(|e| e.to_string())
    });
    verified.map_err(|why| {
        tracing::error!(
            token = shared.name,
            operation,
            key = key.label(),
            why,
            "the token made a wrong signature; it is not released"
        );
        seat.leave(inside);
        // Who else has the key signs from now on.
        if key.homes().len() > 1 {
            shared.bar(key, format!("it made a wrong signature: {why}"));
        }
        unknown(format!("the token made a wrong signature: {why}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::module::Module;
    use crate::testing::TestToken;

    #[test]
    fn a_desk_does_not_outlive_a_restart_or_the_tokens_return() {
        let config = TestToken::new("desk").config().check().unwrap();
        let module = Module::shared(&config.module).unwrap();
        module.revive().unwrap();
        let shared = Shared::new("main".into(), config, module.clone());
        let desk = shared.open_desk(&module.enter().unwrap()).unwrap();
        let mut seat = Seat::at(desk);
        for round in 0..3 {
            match round {
                0 => module.restart(module.generation()).unwrap(),
                1 => {
                    shared.standing.trouble("as told by the test");
                    shared.standing.recovered();
                }
                _ => {}
            }
            // The number of a session of before may be that of another thread's session now.
            let inside = module.enter().unwrap();
            let era = seat.desk(&shared, &inside).unwrap().era;
            assert_eq!(era, Era { generation: inside.generation, epoch: shared.standing.epoch() });
        }
    }
}
