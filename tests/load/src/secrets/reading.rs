//! A static body, readings, and the peer's readings in turns: as many clients, the same rounds, TLS each.

use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};

use super::Wish;
use super::filling::path_of;
use super::peer::Peer;
use super::round::{Asking, Seen, seen};
use crate::error::CompareError;
use crate::house::House;
use crate::rest::Rest;

/// One round of each.
#[derive(Clone, Debug)]
pub(super) struct Round {
    pub(super) fixed: Seen,
    pub(super) read: Seen,
    /// Both once more, over a connection of its own each.
    pub(super) anew: [Seen; 2],
    pub(super) peer: Option<Seen>,
}

/// What was seen of readings.
#[derive(Clone, Debug)]
pub(super) struct Read {
    pub(super) rounds: Vec<Round>,
    pub(super) answers: u64,
    /// What the log has more.
    pub(super) leaves: u64,
}

/// Lies in memory as it is.
const FIXED: &str = "/aia/tls/1.cer";
/// What is read: as many as a busy server's applications have.
const READ_MAX: u64 = 1_000;
/// The longest value that is put, whatever the static body is.
const VALUE_MAX: usize = 4_096;

pub(super) async fn measure(wish: &Wish, house: &House, peer: Option<&Peer>) -> Result<Read, CompareError> {
    let mut rest = Rest::new(house)?;
    let (count, fixed) = (wish.small.min(READ_MAX), rest.get(FIXED).await?.body.len());
    let value = even(&mut rest, count, fixed).await?;
    let pid = pid_of(house)?;
    let read = Asking::read((0..count).map(|number| format!("/api/v1/secret-values/{}", path_of(number))).collect());
    let fixed = Asking::read(vec![FIXED.to_owned()]);
    let anew = [fixed.anew(), read.anew()];
    // The keys of the versions are unsealed once.
    seen(clients(house, wish)?, pid, &read, wish.round).await?.without_errors()?;
    let theirs = match peer {
        None => None,
        Some(peer) => Some((peer, filled(peer, count, value, wish).await?)),
    };
    let (mut rounds, mut answers, before) = (Vec::new(), 0, leaves(&mut rest).await?);
    for _ in 0..wish.rounds {
        let fixed = seen(clients(house, wish)?, pid, &fixed, wish.round).await?.without_errors()?;
        let read = seen(clients(house, wish)?, pid, &read, wish.round).await?.without_errors()?;
        let fixed_anew = seen(clients(house, wish)?, pid, &anew[0], wish.round).await?.without_errors()?;
        let read_anew = seen(clients(house, wish)?, pid, &anew[1], wish.round).await?.without_errors()?;
        answers += read.answers + read_anew.answers;
        let peer = match &theirs {
            None => None,
            Some((peer, asking)) => Some(seen(peer.clients(wish.clients)?, peer.pid(), asking, wish.round).await?),
        };
        rounds.push(Round { fixed, read, anew: [fixed_anew, read_anew], peer });
    }
    Ok(Read { rounds, answers, leaves: leaves(&mut rest).await?.saturating_sub(before) })
}

/// The same small number of secrets at the peer, at the same paths, each with a field of the same name and length; read for one round
/// before any counts, as ours are.
async fn filled(peer: &Peer, count: u64, bytes: usize, wish: &Wish) -> Result<Arc<Asking>, CompareError> {
    let paths: Vec<String> = (0..count).map(path_of).collect();
    let asking = Asking::read(peer.fill(&paths, "key", bytes).await?);
    let warm = seen(peer.clients(wish.clients)?, peer.pid(), &asking, wish.round).await?;
    match (warm.answers, warm.why) {
        (0, why) => Err(CompareError::Failed(format!("the peer answered nothing: {}", why.unwrap_or_default()))),
        _ => Ok(asking),
    }
}

pub(super) fn pid_of(house: &House) -> Result<u32, CompareError> {
    house.pid().ok_or_else(|| CompareError::Failed("no server".into()))
}

/// As many as are wished for, of our own server.
pub(super) fn clients(house: &House, wish: &Wish) -> Result<Vec<Rest>, CompareError> {
    (0..wish.clients).map(|_| Rest::new(house)).collect()
}

/// How many entries the log has of readings: nothing else is written meanwhile but heads, which are none.
pub(super) async fn leaves(rest: &mut Rest) -> Result<u64, CompareError> {
    let status = rest.json("/api/v1/status").await?;
    status["log"]["size"].as_u64().ok_or_else(|| CompareError::Failed("a status without the log's size".into()))
}

/// Gives each a value by which its answer is as long as the static body; answers how long the value is.
async fn even(rest: &mut Rest, count: u64, bytes: usize) -> Result<usize, CompareError> {
    let first = format!("/api/v1/secret-values/{}", path_of(0));
    let there = rest.get(&first).await?;
    let value = value_bytes(&there.body, bytes)
        .ok_or_else(|| CompareError::Failed(format!("{first} was answered {} without a key", there.status)))?;
    let body = json!({ "fields": { "key": "k".repeat(value) } }).to_string();
    for number in 0..count {
        let path = format!("/api/v1/secrets/{}", path_of(number));
        let answer = rest.tell(Method::PUT, &path, body.clone().into()).await?;
        if !answer.status.is_success() {
            return Err(CompareError::Failed(format!("{path}: {}", String::from_utf8_lossy(&answer.body))));
        }
    }
    Ok(value)
}

/// How long a value makes an answer so long: what stands there may be of an earlier run, which had it so already.
fn value_bytes(answer: &[u8], bytes: usize) -> Option<usize> {
    let json: Value = serde_json::from_slice(answer).ok()?;
    let there = json.pointer("/fields/key")?.as_str()?.len();
    Some((there + bytes).saturating_sub(answer.len()).clamp(1, VALUE_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_makes_an_answer_as_long_as_the_static_body_in_the_first_run_and_in_the_next() {
        let answer = |bytes: usize| json!({ "fields": { "key": "k".repeat(bytes) }, "leaf": 7 }).to_string();
        let first = value_bytes(answer(32).as_bytes(), 700).unwrap();
        assert_eq!(answer(first).len(), 700);
        assert_eq!(value_bytes(answer(first).as_bytes(), 700), Some(first));
        assert_eq!(value_bytes(answer(32).as_bytes(), 0), Some(1));
        assert_eq!(value_bytes(b"{}", 700), None);
    }
}
