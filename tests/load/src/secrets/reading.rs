//! A static body and readings in turns, by the same clients over the same TLS.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use http::StatusCode;
use serde_json::json;

use super::Wish;
use super::filling::path_of;
use crate::cpu::cpu_time;
use crate::error::CompareError;
use crate::house::House;
use crate::rest::Rest;

/// One round of one kind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) rate: f64,
    /// The server's CPU time of one answer.
    pub(super) server_us: f64,
    pub(super) bytes: f64,
}

/// What was seen of readings.
#[derive(Clone, Debug)]
pub(super) struct Read {
    /// Of each round the static body's and the readings'.
    pub(super) rounds: Vec<[Seen; 2]>,
    pub(super) answers: u64,
    /// What the log has more.
    pub(super) leaves: u64,
}

/// Lies in memory as it is.
const FIXED: &str = "/aia/tls/1.cer";
/// What is read: as many as a busy server's applications have.
const READ_MAX: u64 = 1_000;

pub(super) async fn measure(wish: &Wish, house: &House) -> Result<Read, CompareError> {
    let mut rest = Rest::new(house)?;
    let fixed = rest.get(FIXED).await?.body.len();
    let read: Vec<String> =
        (0..wish.small.min(READ_MAX)).map(|number| format!("/api/v1/secret-values/{}", path_of(number))).collect();
    even(&mut rest, wish.small.min(READ_MAX), fixed).await?;
    let pid = house.pid().ok_or_else(|| CompareError::Failed("no server".into()))?;
    let (fixed, read) = (Arc::new(vec![FIXED.to_owned()]), Arc::new(read));
    // The keys of the versions are unsealed once.
    round(house, &read, wish, wish.round).await?;
    let (mut rounds, mut answers, before) = (Vec::new(), 0, leaves(&mut rest).await?);
    for _ in 0..wish.rounds {
        let (one, _) = seen(house, pid, &fixed, wish).await?;
        let (two, count) = seen(house, pid, &read, wish).await?;
        answers += count;
        rounds.push([one, two]);
    }
    Ok(Read { rounds, answers, leaves: leaves(&mut rest).await?.saturating_sub(before) })
}

async fn seen(house: &House, pid: u32, paths: &Arc<Vec<String>>, wish: &Wish) -> Result<(Seen, u64), CompareError> {
    let cpu = || cpu_time(pid).ok_or_else(|| CompareError::Failed("a process without CPU time".into()));
    let began = cpu()?;
    let Asked { answers, bytes, took } = round(house, paths, wish, wish.round).await?;
    let used = cpu()?.saturating_sub(began);
    let of = |all: f64| all / (answers as f64).max(1.0);
    let rate = answers as f64 / took.as_secs_f64();
    Ok((Seen { rate, server_us: of(used.as_secs_f64() * 1e6), bytes: of(bytes as f64) }, answers))
}

/// How many entries the log has of readings: nothing else is written meanwhile but heads, which are none.
async fn leaves(rest: &mut Rest) -> Result<u64, CompareError> {
    let status = rest.json("/api/v1/status").await?;
    status["log"]["size"].as_u64().ok_or_else(|| CompareError::Failed("a status without the log's size".into()))
}

/// Gives each a value by which its answer is as long as the static body.
async fn even(rest: &mut Rest, count: u64, bytes: usize) -> Result<(), CompareError> {
    let first = format!("/api/v1/secret-values/{}", path_of(0));
    let there = rest.get(&first).await?.body.len();
    let value = KEY_BYTES + bytes.saturating_sub(there).clamp(0, 4_096);
    for number in 0..count {
        let path = format!("/api/v1/secrets/{}", path_of(number));
        let wish = json!({ "fields": { "key": "k".repeat(value) } });
        let body = http_body_util::Full::new(wish.to_string().into());
        let request = rest.with_token(http::Method::PUT, &path).header("content-type", "application/json").body(body);
        let answer = rest.ask(request.map_err(|e| CompareError::Failed(e.to_string()))?).await?;
        if !answer.status.is_success() {
            return Err(CompareError::Failed(format!("{path}: {}", String::from_utf8_lossy(&answer.body))));
        }
    }
    Ok(())
}

/// The length of a key as it was filled.
const KEY_BYTES: usize = 32;

struct Asked {
    answers: u64,
    bytes: u64,
    took: Duration,
}

/// As many as are answered in a round.
async fn round(house: &House, paths: &Arc<Vec<String>>, wish: &Wish, length: Duration) -> Result<Asked, CompareError> {
    let (next, began) = (Arc::new(AtomicUsize::new(0)), Instant::now());
    let mut clients = Vec::new();
    for _ in 0..wish.clients {
        let (mut rest, next, paths) = (Rest::new(house)?, next.clone(), paths.clone());
        clients.push(tokio::spawn(async move {
            let (mut answers, mut bytes) = (0, 0);
            while began.elapsed() < length {
                let path = &paths[next.fetch_add(1, Ordering::Relaxed) % paths.len()];
                let answer = rest.get(path).await?;
                if answer.status != StatusCode::OK {
                    return Err(CompareError::Failed(format!("{path} was answered {}", answer.status)));
                }
                answers += 1;
                bytes += answer.body.len() as u64;
            }
            Ok::<_, CompareError>((answers, bytes))
        }));
    }
    let mut asked = Asked { answers: 0, bytes: 0, took: Duration::ZERO };
    for client in clients {
        let (answers, bytes) = client.await.map_err(|e| CompareError::Failed(e.to_string()))??;
        asked.answers += answers;
        asked.bytes += bytes;
    }
    asked.took = began.elapsed();
    Ok(asked)
}
