//! The threads that read: a few in each lane, each with its own connection, behind the lane's bounded queue.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};
use tokio::sync::oneshot;

use crate::nouns::condition::Conditions;
use crate::nouns::database::Database;
use crate::nouns::error::StoreError;
use crate::sql::{Sql, Use, connect_with};

/// Who waits for whom: questions of one lane wait for each other alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// Who a caller is: a few rows by their keys. Waits for nobody else.
    Authentication,
    /// What a request needs: rows by their keys, a page of records, a tile.
    Request,
    /// Lists, counts, exports: what people look at, and what takes longer.
    Report,
}

/// What bounds a lane.
struct Bounds {
    name: &'static str,
    /// Reads overlap on the network and the disk; more threads than a few only fight for two cores.
    threads: usize,
    /// Questions beyond this are told to come back.
    queue: usize,
    /// A statement that takes longer is ended in the engine.
    statement: Duration,
}

impl Lane {
    const ALL: [Lane; 3] = [Lane::Authentication, Lane::Request, Lane::Report];

    fn bounds(self) -> Bounds {
        let secs = Duration::from_secs;
        match self {
            Lane::Authentication => Bounds { name: "identity", threads: 1, queue: 1_024, statement: secs(2) },
            Lane::Request => Bounds { name: "request", threads: 3, queue: 1_024, statement: secs(3) },
            // Far below what a shutdown may take, and what the writer waits for readers (sql/sqlite/log.rs).
            Lane::Report => Bounds { name: "report", threads: 2, queue: 64, statement: secs(5) },
        }
    }
}

const RETRY_AFTER_SECS: u32 = 1;
/// How often a thread without a connection tries for one while nobody asks.
const RETRY: Duration = Duration::from_secs(1);

/// A question: asked with a connection, or told why there is none. Where the register was away it is asked once more, if there is
/// another chance.
type Question = Box<dyn FnMut(Result<&mut dyn Sql, StoreError>, Chance) -> Outcome + Send>;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Chance {
    First,
    Last,
}

enum Outcome {
    Asked,
    /// The register was away: the connection is to be replaced.
    Away(String),
}

/// The callers' ends of the queues.
#[derive(Debug)]
pub(crate) struct ReaderHandle {
    /// Empty once the ledger is closed: threads end when their queue is empty and nobody can add to it.
    queues: RwLock<Vec<(Lane, Sender<Question>)>>,
    stopping: Arc<AtomicBool>,
}

impl ReaderHandle {
    pub fn start(
        database: &Database,
        conditions: &Arc<Conditions>,
    ) -> Result<(ReaderHandle, Vec<JoinHandle<()>>), StoreError> {
        let (mut queues, mut threads) = (Vec::new(), Vec::new());
        let stopping = Arc::new(AtomicBool::new(false));
        for lane in Lane::ALL {
            let bounds = lane.bounds();
            let (queue, questions) = bounded(bounds.queue);
            queues.push((lane, queue));
            for n in 0..bounds.threads {
                let name = format!("store-{}-{n}", bounds.name);
                let reader = Reader {
                    name: name.clone(),
                    conditions: Arc::clone(conditions),
                    database: database.clone(),
                    statement: bounds.statement,
                    questions: questions.clone(),
                    stopping: Arc::clone(&stopping),
                };
                let thread = std::thread::Builder::new().name(name).spawn(move || reader.run());
                threads.push(thread.map_err(|e| StoreError::Unavailable(format!("no thread: {e}")))?);
            }
        }
        Ok((ReaderHandle { queues: RwLock::new(queues), stopping }, threads))
    }

    /// Asks, and waits for the answer. A question may be asked twice, so it must be a `Fn`.
    pub async fn ask<T, F>(&self, lane: Lane, question: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&mut dyn Sql) -> Result<T, StoreError> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let mut answer = Some(answer);
        let question: Question = Box::new(move |sql, chance| {
            let found = sql.and_then(&question);
            let outcome = match &found {
                Err(StoreError::Unavailable(why) | StoreError::Full(why)) => Outcome::Away(why.clone()),
                Ok(_) | Err(_) => Outcome::Asked,
            };
            if chance == Chance::First && matches!(outcome, Outcome::Away(_)) {
                return outcome;
            }
            if let Some(answer) = answer.take() {
                let _ = answer.send(found);
            }
            outcome
        });
        match self.queue(lane)?.try_send(question) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => return Err(StoreError::Busy { retry_after_secs: RETRY_AFTER_SECS }),
            Err(TrySendError::Disconnected(_)) => return Err(StoreError::Closed),
        }
        answered.await.map_err(|_| StoreError::Closed)?
    }

    fn queue(&self, lane: Lane) -> Result<Sender<Question>, StoreError> {
        let queues = self.queues.read().unwrap_or_else(PoisonError::into_inner);
        queues.iter().find(|(of, _)| *of == lane).map(|(_, queue)| queue.clone()).ok_or(StoreError::Closed)
    }

    #[cfg(feature = "testing")]
    pub fn waiting(&self, lane: Lane) -> usize {
        self.queue(lane).map_or(0, |queue| queue.len())
    }

    /// Lets the threads end after the question they are at; what waits behind it is told that the ledger is closed.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        self.queues.write().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// A thread's own.
struct Reader {
    name: String,
    conditions: Arc<Conditions>,
    database: Database,
    statement: Duration,
    questions: Receiver<Question>,
    stopping: Arc<AtomicBool>,
}

impl Reader {
    fn run(self) {
        // At once: a node that has too few connections is not to find out when somebody asks.
        let mut held = self.connect();
        loop {
            let question = match held {
                Some(_) => self.questions.recv().map_err(|_| RecvTimeoutError::Disconnected),
                None => self.questions.recv_timeout(RETRY),
            };
            match question {
                Ok(mut question) if self.stopping.load(Ordering::SeqCst) => {
                    question(Err(StoreError::Closed), Chance::Last);
                }
                Ok(question) => held = self.ask(held, question),
                Err(RecvTimeoutError::Timeout) => held = self.connect(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Asks over the connection there is, and over a new one where that was lost. Answers the one to go on with.
    fn ask(&self, held: Held, mut question: Question) -> Held {
        if let Some(mut sql) = held {
            match question(Ok(sql.as_mut()), Chance::First) {
                Outcome::Asked => return Some(sql),
                Outcome::Away(_) => {}
            }
        }
        let outcome = match connect_with(&self.database, Use::Read, self.statement) {
            Ok(mut sql) => match question(Ok(sql.as_mut()), Chance::Last) {
                Outcome::Asked => Ok(sql),
                Outcome::Away(why) => Err(why),
            },
            Err(error) => {
                let why = error.to_string();
                question(Err(error.into()), Chance::Last);
                Err(why)
            }
        };
        self.say(outcome)
    }

    fn connect(&self) -> Held {
        self.say(connect_with(&self.database, Use::Read, self.statement).map_err(|error| error.to_string()))
    }

    fn say(&self, connected: Result<Box<dyn Sql + Send>, String>) -> Held {
        self.conditions.says(&self.name, connected.as_ref().err().map(String::as_str));
        connected.ok()
    }
}

/// A thread's connection, while it has one.
type Held = Option<Box<dyn Sql + Send>>;
