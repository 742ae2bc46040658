//! OCSP from memory beside a static body of the same server, in turns: how many a second, and what a response in memory takes.
//!
//! A register is seeded, every certificate of it is asked for once (from several loopback addresses: an address may ask so many
//! for the first time in a second), and then the same keep-alive clients ask for the issuer's certificate, which lies in memory as
//! it is, and for responses, each of another certificate.

mod client;
mod request;
mod table;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::cpu::cpu_time;
use crate::error::CompareError;
use crate::house::{Filling, House};
use crate::memory::resident_kib;
use crate::rest::Rest;
use client::{Asked, Way};
pub use table::Table;

/// What to measure.
#[derive(Clone, Debug)]
pub struct Wish {
    /// The server's program.
    pub server: PathBuf,
    /// This program.
    pub seeder: PathBuf,
    /// Certificates, and so many responses in memory.
    pub certificates: u64,
    /// Keep-alive clients.
    pub clients: usize,
    /// Rounds of each.
    pub rounds: u32,
    /// How long one takes.
    pub round: Duration,
}

/// One round of one kind.
#[derive(Clone, Copy, Debug)]
struct Seen {
    rate: f64,
    /// The server's CPU time of one answer.
    server_us: f64,
    bytes: f64,
}

/// Pages of a list.
const PAGE: usize = 1_000;
/// A seeded certificate is asked for until it is answered, so often.
const TRIES_MAX: usize = 2_000;

/// Measures.
pub async fn run(wish: &Wish) -> Result<Table, CompareError> {
    let dir = tempfile::tempdir().map_err(|e| CompareError::Io("a folder".into(), e))?;
    let filling = Filling { certificates: wish.certificates, ..Filling::default() };
    let mut house = House::make(&wish.server, &wish.seeder, dir.path(), &filling)?;
    house.start()?;
    let serials = serials(&house, wish.certificates).await?;
    let issuer = Way::new(house.http(), None).get(ISSUER).await.map_err(CompareError::Failed)?;
    let requests = request::paths(&issuer.body, &serials).map_err(CompareError::Failed)?;
    let pid = house.pid().ok_or_else(|| CompareError::Failed("no server".into()))?;
    let before = resident_kib(pid).unwrap_or_default();
    let took = client::first(house.http(), &requests, TRIES_MAX).await.map_err(CompareError::Failed)?;
    let after = resident_kib(pid).unwrap_or_default();
    let mut rounds = Vec::new();
    let (fixed, requests) = (Arc::new(vec![ISSUER.to_owned()]), Arc::new(requests));
    for _ in 0..wish.rounds {
        let mut pair = Vec::new();
        for paths in [&fixed, &requests] {
            let began = cpu(pid)?;
            let Asked { answers, bytes, took } =
                client::round(house.http(), paths, wish).await.map_err(CompareError::Failed)?;
            let used = cpu(pid)?.saturating_sub(began);
            pair.push(Seen {
                rate: answers as f64 / took.as_secs_f64(),
                server_us: used.as_secs_f64() * 1e6 / (answers as f64).max(1.0),
                bytes: bytes as f64 / (answers as f64).max(1.0),
            });
        }
        rounds.push(pair);
    }
    house.stop()?;
    let kept = serials.len() as f64;
    let first = kept / took.as_secs_f64();
    Ok(Table::new(wish, &rounds, first, (after.saturating_sub(before)) as f64 * 1024.0 / kept.max(1.0)))
}

fn cpu(pid: u32) -> Result<Duration, CompareError> {
    cpu_time(pid).ok_or_else(|| CompareError::Failed("a process without CPU time".into()))
}

/// The serials of what was seeded, by the list.
async fn serials(house: &House, count: u64) -> Result<Vec<Vec<u8>>, CompareError> {
    let mut rest = Rest::new(house)?;
    let mut found = Vec::new();
    let mut after = String::new();
    while (found.len() as u64) < count {
        let path = format!("/api/v1/certificates?kind=certificate&limit={PAGE}{after}");
        let page = rest.json(&path).await?;
        let items = page["items"].as_array().cloned().unwrap_or_default();
        found.extend(
            items
                .iter()
                .filter(|item| item["issuer"] == "tls" || item["issuer"] == "tls/1")
                .filter_map(|item| hex::decode(item["serial"].as_str()?).ok()),
        );
        match page["next"].as_str() {
            Some(next) => after = format!("&cursor={next}"),
            None => break,
        }
    }
    match found.is_empty() {
        true => Err(CompareError::Failed("no certificate was listed".into())),
        false => Ok(found),
    }
}

/// What lies in memory as it is, and is about as long.
const ISSUER: &str = "/aia/tls/1.cer";
