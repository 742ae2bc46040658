//! The threads that read: a few in each lane, each with its own connection, behind the lane's bounded queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use tokio::sync::oneshot;

use crate::database::Database;
use crate::error::StoreError;
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
            Lane::Request => Bounds { name: "request", threads: 3, queue: 1_024, statement: secs(5) },
            // Not longer than a shutdown may take.
            Lane::Report => Bounds { name: "report", threads: 2, queue: 64, statement: secs(8) },
        }
    }
}

const RETRY_AFTER_SECS: u32 = 1;

/// A question: asked with a connection, or told why there is none. Answers whether the connection is to be replaced and
/// the question asked once more.
type Question = Box<dyn FnMut(Result<&mut dyn Sql, StoreError>, Chance) -> Outcome + Send>;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Chance {
    First,
    Last,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Answered,
    AskAgain,
}

enum Message {
    Ask(Question),
    Stop,
}

/// The callers' ends of the queues.
#[derive(Debug)]
pub(crate) struct ReaderHandle {
    queues: Vec<(Lane, Sender<Message>)>,
    stopping: Arc<AtomicBool>,
}

impl ReaderHandle {
    pub fn start(database: &Database) -> Result<(ReaderHandle, Vec<JoinHandle<()>>), StoreError> {
        let (mut queues, mut threads) = (Vec::new(), Vec::new());
        let stopping = Arc::new(AtomicBool::new(false));
        for lane in Lane::ALL {
            let bounds = lane.bounds();
            let (queue, questions) = bounded(bounds.queue);
            queues.push((lane, queue));
            for n in 0..bounds.threads {
                let reader = Reader {
                    database: database.clone(),
                    statement: bounds.statement,
                    questions: questions.clone(),
                    stopping: Arc::clone(&stopping),
                };
                let thread = std::thread::Builder::new().name(format!("store-{}-{n}", bounds.name));
                let thread = thread.spawn(move || reader.run());
                threads.push(thread.map_err(|e| StoreError::Unavailable(format!("no thread: {e}")))?);
            }
        }
        Ok((ReaderHandle { queues, stopping }, threads))
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
            if chance == Chance::First && matches!(found, Err(StoreError::Unavailable(_))) {
                return Outcome::AskAgain;
            }
            if let Some(answer) = answer.take() {
                let _ = answer.send(found);
            }
            Outcome::Answered
        });
        let queue = self.queues.iter().find(|(of, _)| *of == lane).map(|(_, queue)| queue);
        match queue.ok_or(StoreError::Closed)?.try_send(Message::Ask(question)) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => return Err(StoreError::Busy { retry_after_secs: RETRY_AFTER_SECS }),
            Err(TrySendError::Disconnected(_)) => return Err(StoreError::Closed),
        }
        answered.await.map_err(|_| StoreError::Closed)?
    }

    /// Lets the threads end after the question they are at; what waits is told that the ledger is closed.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
        for (lane, queue) in &self.queues {
            for _ in 0..lane.bounds().threads {
                // Where the queue is full, the threads see that they are to end before the next question.
                let _ = queue.try_send(Message::Stop);
            }
        }
    }
}

/// A thread's own.
struct Reader {
    database: Database,
    statement: Duration,
    questions: Receiver<Message>,
    stopping: Arc<AtomicBool>,
}

impl Reader {
    fn run(self) {
        let mut held: Option<Box<dyn Sql + Send>> = None;
        while let Ok(Message::Ask(mut question)) = self.questions.recv() {
            if self.stopping.load(Ordering::Relaxed) {
                // Whoever waits behind it hears the same when the queue goes with its last thread.
                question(Err(StoreError::Closed), Chance::Last);
                return;
            }
            for chance in [Chance::First, Chance::Last] {
                let outcome = match self.sql(&mut held) {
                    Ok(sql) => question(Ok(sql), chance),
                    Err(error) => question(Err(error), chance),
                };
                if outcome == Outcome::Answered {
                    break;
                }
                held = None;
            }
        }
    }

    fn sql<'a>(&self, held: &'a mut Option<Box<dyn Sql + Send>>) -> Result<&'a mut dyn Sql, StoreError> {
        if held.is_none() {
            *held = Some(connect_with(&self.database, Use::Read, self.statement)?);
        }
        match held {
            Some(sql) => Ok(sql.as_mut()),
            None => Err(StoreError::Unavailable("no connection".into())),
        }
    }
}
