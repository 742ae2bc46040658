//! The threads that read: a few, each with its own connection, behind a bounded queue.

use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use tokio::sync::oneshot;

use crate::database::Database;
use crate::error::StoreError;
use crate::sql::{Sql, Use, connect};

/// Reads overlap on the network and the disk; more threads than this only fight for two cores.
const THREADS: usize = 3;
/// Readers beyond this are told to come back.
const QUEUE: usize = 1_024;
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

/// The callers' end of the queue.
#[derive(Debug)]
pub(crate) struct ReaderHandle {
    queue: Sender<Message>,
}

impl ReaderHandle {
    pub fn start(database: &Database) -> Result<(ReaderHandle, Vec<JoinHandle<()>>), StoreError> {
        let (queue, questions) = bounded(QUEUE);
        let mut threads = Vec::with_capacity(THREADS);
        for n in 0..THREADS {
            let (database, questions) = (database.clone(), questions.clone());
            let thread = std::thread::Builder::new().name(format!("store-reader-{n}"));
            let thread = thread.spawn(move || run(&database, &questions));
            threads.push(thread.map_err(|e| StoreError::Unavailable(format!("no thread: {e}")))?);
        }
        Ok((ReaderHandle { queue }, threads))
    }

    /// Asks, and waits for the answer. A question may be asked twice, so it must be a `Fn`.
    pub async fn ask<T, F>(&self, question: F) -> Result<T, StoreError>
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
        match self.queue.try_send(Message::Ask(question)) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => return Err(StoreError::Busy { retry_after_secs: RETRY_AFTER_SECS }),
            Err(TrySendError::Disconnected(_)) => return Err(StoreError::Closed),
        }
        answered.await.map_err(|_| StoreError::Closed)?
    }

    /// Lets the threads end after what is queued. Blocks while the queue is full.
    pub fn stop(&self) {
        for _ in 0..THREADS {
            let _ = self.queue.send(Message::Stop);
        }
    }
}

fn run(database: &Database, questions: &Receiver<Message>) {
    let mut held: Option<Box<dyn Sql + Send>> = None;
    while let Ok(Message::Ask(mut question)) = questions.recv() {
        for chance in [Chance::First, Chance::Last] {
            let outcome = match sql(&mut held, database) {
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

fn sql<'a>(held: &'a mut Option<Box<dyn Sql + Send>>, database: &Database) -> Result<&'a mut dyn Sql, StoreError> {
    if held.is_none() {
        *held = Some(connect(database, Use::Read)?);
    }
    match held {
        Some(sql) => Ok(sql.as_mut()),
        None => Err(StoreError::Unavailable("no connection".into())),
    }
}
