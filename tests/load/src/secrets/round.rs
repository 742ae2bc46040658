//! One round: keep-alive clients who ask one after the other, each for the next in its turn; and what the server's process spent on it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, StatusCode};

use crate::cpu::cpu_time;
use crate::error::CompareError;
use crate::rest::{Answer, Rest};

/// A client that saw so many errors in one round asks no more in it: a server that is gone refuses faster than any answers.
const ERRORS_MAX: u64 = 100;

/// What is asked for.
#[derive(Debug)]
pub(super) struct Asking {
    /// In turns.
    paths: Vec<String>,
    /// What is sent with each, as JSON; where nothing is sent, they are read.
    body: Option<Bytes>,
    /// An answer that is shorter is an error, whatever its status says.
    least_bytes: usize,
    /// Whether each is asked for over a connection of its own.
    is_anew: bool,
}

/// What was seen of a round.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// Answers a second.
    pub(super) rate: f64,
    /// The server's CPU time of one answer.
    pub(super) server_us: f64,
    /// Half of them took no longer.
    pub(super) p50_ms: f64,
    /// Of an answer's body.
    pub(super) bytes: f64,
    pub(super) answers: u64,
    pub(super) errors: u64,
    /// The first of them.
    pub(super) why: Option<String>,
}

impl Asking {
    /// Reads each in its turn.
    pub(super) fn read(paths: Vec<String>) -> Arc<Asking> {
        Arc::new(Asking { paths, body: None, least_bytes: 0, is_anew: false })
    }

    /// The same, over a connection of its own each: as a job does that starts, reads and goes on.
    pub(super) fn anew(&self) -> Arc<Asking> {
        let Asking { paths, body, least_bytes, is_anew: _ } = self;
        Arc::new(Asking { paths: paths.clone(), body: body.clone(), least_bytes: *least_bytes, is_anew: true })
    }

    /// Sends the same to one path, again and again.
    pub(super) fn send(path: &str, body: Bytes, least_bytes: usize) -> Arc<Asking> {
        Arc::new(Asking { paths: vec![path.to_owned()], body: Some(body), least_bytes, is_anew: false })
    }

    /// One answer, as any client of a round gets it.
    pub(super) async fn once(&self, rest: &mut Rest, turn: usize) -> Result<Answer, CompareError> {
        if self.is_anew {
            rest.hang_up();
        }
        let path = turn.checked_rem(self.paths.len()).and_then(|at| self.paths.get(at));
        let path = path.ok_or_else(|| CompareError::Failed("there is nothing to ask for".into()))?;
        let answer = match &self.body {
            Some(body) => rest.tell(Method::POST, path, body.clone()).await?,
            None => rest.get(path).await?,
        };
        let status = answer.status;
        match status {
            StatusCode::OK if answer.body.len() >= self.least_bytes => Ok(answer),
            _ => Err(CompareError::Failed(format!("{path} was answered {status}, {} bytes", answer.body.len()))),
        }
    }
}

impl Seen {
    fn of(asked: Asked, took: Duration, used: Duration) -> Seen {
        let Asked { answers, bytes, mut took_us, errors, why } = asked;
        took_us.sort_unstable();
        let middle = took_us.get(took_us.len() / 2).copied().unwrap_or_default();
        let each = |all: f64| all / (answers as f64).max(1.0);
        Seen {
            rate: answers as f64 / took.as_secs_f64().max(f64::EPSILON),
            server_us: each(used.as_secs_f64() * 1e6),
            p50_ms: f64::from(middle) / 1_000.0,
            bytes: each(bytes as f64),
            answers,
            errors,
            why,
        }
    }

    /// Of our own server one error is the end of the run.
    pub(super) fn without_errors(self) -> Result<Seen, CompareError> {
        match self.why {
            Some(why) => Err(CompareError::Failed(why)),
            None => Ok(self),
        }
    }
}

/// As many as are answered in a round, by clients that connect anew: no server has to keep a connection over the others' rounds.
pub(super) async fn seen(
    clients: Vec<Rest>,
    pid: u32,
    what: &Arc<Asking>,
    length: Duration,
) -> Result<Seen, CompareError> {
    let cpu = || cpu_time(pid).ok_or_else(|| CompareError::Failed("a process without CPU time".into()));
    let (before, began, next) = (cpu()?, Instant::now(), Arc::new(AtomicUsize::new(0)));
    let asking = |rest| tokio::spawn(ask(rest, Arc::clone(what), Arc::clone(&next), began + length));
    let clients: Vec<_> = clients.into_iter().map(asking).collect();
    let mut asked = Asked::default();
    for client in clients {
        asked.add(client.await.map_err(|e| CompareError::Failed(e.to_string()))?);
    }
    let took = began.elapsed();
    Ok(Seen::of(asked, took, cpu()?.saturating_sub(before)))
}

async fn ask(mut rest: Rest, what: Arc<Asking>, next: Arc<AtomicUsize>, end: Instant) -> Asked {
    let mut asked = Asked::default();
    while Instant::now() < end && asked.errors < ERRORS_MAX {
        match what.once(&mut rest, next.fetch_add(1, Ordering::Relaxed)).await {
            Ok(answer) => {
                asked.answers += 1;
                asked.bytes += answer.body.len() as u64;
                asked.took_us.push(u32::try_from(answer.took.as_micros()).unwrap_or(u32::MAX));
            }
            Err(error) => {
                rest.hang_up();
                asked.errors += 1;
                asked.why = asked.why.or_else(|| Some(error.to_string()));
            }
        }
    }
    asked
}

/// What a client, or all of them, came to.
#[derive(Debug, Default)]
struct Asked {
    answers: u64,
    bytes: u64,
    took_us: Vec<u32>,
    errors: u64,
    why: Option<String>,
}

impl Asked {
    fn add(&mut self, other: Asked) {
        self.answers += other.answers;
        self.bytes += other.bytes;
        self.took_us.extend(other.took_us);
        self.errors += other.errors;
        self.why = self.why.take().or(other.why);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(took_us: &[u32], errors: u64) -> Asked {
        let why = (errors > 0).then(|| "refused".to_owned());
        Asked { answers: took_us.len() as u64, bytes: 700, took_us: took_us.to_vec(), errors, why }
    }

    #[test]
    fn all_clients_are_one_round_and_its_errors_are_no_answers() {
        let mut all = Asked::default();
        all.add(asked(&[9_000, 1_000, 2_000], 0));
        all.add(asked(&[3_000], 2));
        let seen = Seen::of(all, Duration::from_secs(2), Duration::from_micros(80));
        assert_eq!((seen.answers, seen.errors, seen.rate), (4, 2, 2.0));
        assert_eq!((seen.server_us, seen.bytes, seen.p50_ms), (20.0, 350.0, 3.0));
        assert!(seen.without_errors().is_err_and(|why| why.to_string() == "refused"));
    }

    #[test]
    fn a_round_without_an_answer_is_no_number_that_misleads() {
        let seen = Seen::of(asked(&[], 100), Duration::from_secs(1), Duration::from_secs(1));
        assert_eq!((seen.rate, seen.p50_ms, seen.answers), (0.0, 0.0, 0));
    }
}
