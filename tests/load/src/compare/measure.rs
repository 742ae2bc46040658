//! The measurements, each of both servers in turns.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use http::StatusCode;
use serde_json::Value;

use super::Wish;
use super::asker::{ANSWER_MAX, Asker, entries};
use super::pages::{self, Page};
use crate::client;
use crate::error::CompareError;
use crate::house::House;
use crate::memory::resident_kib;
use crate::rest::Rest;

/// Times each page is asked for of each server ...
const ASKS: usize = 40;
/// ... but no longer than this, and at least three times.
const ASKS_MAX: Duration = Duration::from_secs(6);
const ASKS_MIN: usize = 3;
/// Revocations of each register by one caller, in turns; each is durable when it is answered.
const REVOCATIONS: usize = 100;
/// And by callers side by side, so many by each.
const REVOKERS: usize = 16;
const REVOCATIONS_EACH: usize = 56;
/// The act on many, with its CRL.
const ACT_MAX: Duration = Duration::from_secs(600);
const WATCH: Duration = Duration::from_millis(50);

/// What was seen of both, in milliseconds unless said otherwise.
#[derive(Clone, Debug, Default)]
pub(super) struct Pair {
    pub(super) small: Vec<f64>,
    pub(super) large: Vec<f64>,
}

/// All of it.
#[derive(Default)]
pub(super) struct Measured {
    pub(super) pages: Vec<(Page, Pair)>,
    /// Pages that a server does not give, and what it says instead.
    pub(super) refused: Vec<String>,
    pub(super) first_start: Pair,
    pub(super) start: Pair,
    pub(super) stop_idle: Pair,
    pub(super) stop: Pair,
    /// Certificates per second.
    pub(super) issuance: Pair,
    pub(super) issuance_p99: Pair,
    pub(super) errors: u64,
    /// By one caller.
    pub(super) revocation: Pair,
    /// By many: each, and how many a second.
    pub(super) revocation_many: Pair,
    pub(super) revocation_rate: Pair,
    /// From the last answer until the public's CRL has it.
    pub(super) revocation_public: Pair,
    /// One act on many of the large register: how many, milliseconds until it is done, and until the public's CRL has them all.
    pub(super) act: Option<(usize, f64, f64)>,
    /// MiB when it had started, when it had answered the pages, after the issuance, after the revocations.
    pub(super) resident: Pair,
    /// MiB at the end, and the most that was seen of the write-ahead log.
    pub(super) database: Pair,
    pub(super) log: Pair,
}

/// The first start, an end without work, and a start like any other.
pub(super) fn starts(small: &mut House, large: &mut House, measured: &mut Measured) -> Result<(), CompareError> {
    both(&mut measured.first_start, small, large, |house| Ok(millis(house.start()?)))?;
    both(&mut measured.stop_idle, small, large, |house| Ok(millis(house.stop()?)))?;
    both(&mut measured.start, small, large, |house| Ok(millis(house.start()?)))?;
    measured.see(small, large);
    Ok(())
}

/// The ends, after all that was asked.
pub(super) fn ends(small: &mut House, large: &mut House, measured: &mut Measured) -> Result<(), CompareError> {
    measured.see(small, large);
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    both(&mut measured.database, small, large, |house| Ok(mib(house.database_bytes())))?;
    both(&mut measured.stop, small, large, |house| Ok(millis(house.stop()?)))
}

fn both(
    pair: &mut Pair,
    small: &mut House,
    large: &mut House,
    mut look: impl FnMut(&mut House) -> Result<f64, CompareError>,
) -> Result<(), CompareError> {
    pair.small.push(look(small)?);
    pair.large.push(look(large)?);
    Ok(())
}

/// Every page, in turns.
pub(super) async fn pages(small: &House, large: &House, measured: &mut Measured) -> Result<(), CompareError> {
    let (mut few, mut many) = (Asker::new(small).await?, Asker::new(large).await?);
    let mut all: Vec<(Page, Page)> = pages::fixed().into_iter().map(|page| (page.clone(), page)).collect();
    let list = "/api/v1/certificates?limit=200";
    let found = (pages::found(&few.rest.json(list).await?)?, pages::found(&many.rest.json(list).await?)?);
    all.extend(found.0.into_iter().zip(found.1));
    for (mut of_few, mut of_many) in all {
        eprintln!("{}", of_few.what);
        // Pages of one length: what a page costs goes by its rows, and the small register may have fewer.
        if let (Some(some), Some(more)) = (few.rows(&of_few).await?, many.rows(&of_many).await?)
            && some != more
        {
            of_few = of_few.of_rows(some.min(more).max(1));
            of_many = of_many.of_rows(some.min(more).max(1));
        }
        match in_turns((&mut few, &of_few), (&mut many, &of_many)).await? {
            Ok(pair) => measured.pages.push((of_few, pair)),
            Err(status) => measured.refused.push(format!("{} ({})", of_few.what, status.as_u16())),
        }
    }
    measured.see(small, large);
    Ok(())
}

/// Or the status with which a server gives another answer than the page.
async fn in_turns(
    (few, of_few): (&mut Asker, &Page),
    (many, of_many): (&mut Asker, &Page),
) -> Result<Result<Pair, StatusCode>, CompareError> {
    let mut pair = Pair::default();
    let began = Instant::now();
    for ask in 0..ASKS {
        let given_up = pair.large.iter().chain(&pair.small).any(|took| *took >= millis(ANSWER_MAX));
        if given_up || ask >= ASKS_MIN && began.elapsed() > ASKS_MAX {
            break;
        }
        for (asker, page, seen) in [(&mut *few, of_few, &mut pair.small), (&mut *many, of_many, &mut pair.large)] {
            match asker.get(page).await? {
                (StatusCode::OK, took) if ask > 0 || took >= ANSWER_MAX => seen.push(millis(took)),
                // The first answer is of a cold cache and a cold connection.
                (StatusCode::OK, _) => {}
                (other, _) => return Ok(Err(other)),
            }
        }
    }
    Ok(Ok(pair))
}

/// Rounds of issuance by 64 callers, in turns.
pub(super) async fn issuance(
    wish: &Wish,
    small: &House,
    large: &House,
    measured: &mut Measured,
) -> Result<(), CompareError> {
    for round in 1..=wish.rounds {
        eprintln!("issuance, round {round} of {}", wish.rounds);
        for (house, is_large) in [(small, false), (large, true)] {
            let watch = LogWatch::of(house);
            let report = client::run(&house.load(wish.round)?).await?;
            measured.errors += report.errors.values().sum::<u64>();
            measured.issuance.of(is_large).push(report.rate());
            measured.issuance_p99.of(is_large).push(report.percentile_ms(99.0));
            measured.log.of(is_large).push(watch.most().await);
        }
    }
    measured.see(small, large);
    Ok(())
}

/// Revocations by one caller, then by many: each answered once it is durable, with its CRL where that is small.
pub(super) async fn revocations(small: &House, large: &House, measured: &mut Measured) -> Result<(), CompareError> {
    eprintln!("revocations");
    let (mut few, mut many) = (Asker::new(small).await?, Asker::new(large).await?);
    let wanted = REVOCATIONS + REVOKERS * REVOCATIONS_EACH;
    let list = format!("/api/v1/certificates?kind=certificate&owner=default&state=issued&limit={wanted}");
    let (mut of_few, mut of_many) = (serials(&few.rest.json(&list).await?), serials(&many.rest.json(&list).await?));
    let later = (of_few.split_off(REVOCATIONS.min(of_few.len())), of_many.split_off(REVOCATIONS.min(of_many.len())));
    for (one, other) in of_few.iter().zip(&of_many) {
        measured.revocation.small.push(millis(few.revoke(one).await?));
        measured.revocation.large.push(millis(many.revoke(other).await?));
    }
    for (house, serials, is_large) in [(small, later.0, false), (large, later.1, true)] {
        let watch = LogWatch::of(house);
        let began = Instant::now();
        let mut callers = Vec::new();
        for mine in serials.chunks(REVOCATIONS_EACH) {
            let (mut asker, mine) = (Asker::new(house).await?, mine.to_vec());
            callers.push(tokio::spawn(async move {
                let mut took = Vec::with_capacity(mine.len());
                for serial in mine {
                    took.push(millis(asker.revoke(&serial).await?));
                }
                Ok::<_, CompareError>(took)
            }));
        }
        for caller in callers {
            let took = caller.await.map_err(|e| CompareError::Failed(e.to_string()))??;
            measured.revocation_many.of(is_large).extend(took);
        }
        measured.revocation_rate.of(is_large).push(serials.len() as f64 / began.elapsed().as_secs_f64());
        let asker = if is_large { &mut many } else { &mut few };
        measured.revocation_public.of(is_large).push(millis(asker.listed(&serials).await?));
        measured.log.of(is_large).push(watch.most().await);
    }
    Ok(())
}

/// One act of two persons on all that an owner has in the large register.
pub(super) async fn act(large: &House, measured: &mut Measured) -> Result<(), CompareError> {
    eprintln!("one act on many");
    let mut one = Rest::new(large)?;
    let mut other = Rest::new(large)?;
    let name = serde_json::json!({"name": "second-person", "roles": ["admin"], "expires_secs": 3_600});
    let (made, _) = one.post("/api/v1/tokens", &name).await?;
    let token = made.get("token").and_then(Value::as_str);
    other.token = token.ok_or_else(|| CompareError::Failed(format!("no token: {made}")))?.to_owned();
    let before = entries(&mut one).await?;
    let of = serde_json::json!({"owner": "default", "reason": "cessation-of-operation"});
    let began = Instant::now();
    let (proposed, _) = one.post("/api/v1/revocations", &of).await?;
    let id = proposed.get("id").and_then(Value::as_str).unwrap_or_default();
    let confirmed = other.post(&format!("/api/v1/revocations/{id}/confirm"), &serde_json::json!({})).await;
    let (done, _) = match confirmed {
        // It goes on, and nobody is told when it is done: what was measured before it is worth its table.
        Err(CompareError::Failed(why)) if why.contains("urn:chancery:problem:timed-out") => {
            eprintln!("the act outlasts its request: more --owners make it smaller");
            return Ok(());
        }
        confirmed => confirmed?,
    };
    let took = millis(began.elapsed());
    let count = done.get("count").and_then(Value::as_u64).unwrap_or(0);
    let count = usize::try_from(count).unwrap_or(0);
    while entries(&mut one).await? < before + count {
        if began.elapsed() > ACT_MAX {
            return Err(CompareError::Failed("the act's revocations are not published".into()));
        }
        tokio::time::sleep(WATCH).await;
    }
    measured.act = Some((count, took, millis(began.elapsed())));
    Ok(())
}

fn serials(list: &Value) -> Vec<String> {
    let items = list.get("items").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    items.iter().filter_map(|item| item.get("serial")?.as_str().map(str::to_owned)).collect()
}

impl Measured {
    fn see(&mut self, small: &House, large: &House) {
        for (house, is_large) in [(small, false), (large, true)] {
            let kib = house.pid().and_then(resident_kib).unwrap_or(0);
            self.resident.of(is_large).push(kib as f64 / 1_024.0);
        }
    }
}

impl Pair {
    fn of(&mut self, is_large: bool) -> &mut Vec<f64> {
        if is_large { &mut self.large } else { &mut self.small }
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

/// The most that a write-ahead log grew to.
struct LogWatch {
    end: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<u64>,
}

impl LogWatch {
    fn of(house: &House) -> LogWatch {
        let end = Arc::new(AtomicBool::new(false));
        let (ended, look) = (end.clone(), house.looker());
        let task = tokio::spawn(async move {
            let mut most = 0;
            while !ended.load(Ordering::Relaxed) {
                most = most.max(look());
                tokio::time::sleep(WATCH).await;
            }
            most
        });
        LogWatch { end, task }
    }

    /// In MiB.
    async fn most(self) -> f64 {
        self.end.store(true, Ordering::Relaxed);
        self.task.await.unwrap_or(0) as f64 / f64::from(1 << 20)
    }
}
