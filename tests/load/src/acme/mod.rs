//! `chancery-load acme`: whole ACME orders, newOrder to the certificate, over an empty register and over one with many orders.
//!
//! Each round makes a new empty register and asks its server for its first orders, and then the other server for as many: the
//! ratio is what can be compared. Every order is for a name of its own below `localhost`, proven by http-01 against a responder
//! here, and signed by one of the accounts that the register was seeded with; in the other one these have many orders each.

mod caller;
mod message;
mod responder;
mod table;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use caller::{Caller, Wanted};
use message::{Account, Accounts};
use responder::Responder;
pub use table::Table;

use crate::cpu::cpu_time;
use crate::error::CompareError;
use crate::house::{Filling, House};

/// What to do.
#[derive(Clone, Debug)]
pub struct Wish {
    /// The server's program.
    pub server: PathBuf,
    /// This program, whose `seed` fills the registers.
    pub seeder: PathBuf,
    /// The folder that the register with many orders is made in, and left in; without one it is a temporary one.
    pub dir: Option<PathBuf>,
    /// Orders of a round.
    pub orders: u64,
    /// Callers, each with one connection.
    pub callers: usize,
    /// Finished orders that the other register has.
    pub seeded: u64,
    /// Accounts of each register.
    pub accounts: u64,
    /// Rounds.
    pub rounds: u32,
}

/// What one round over one register gave.
#[derive(Clone, Copy, Debug)]
struct Seen {
    /// Orders a second.
    rate: f64,
    /// The server's CPU time of one order, and that of the callers and the responder.
    server_us: f64,
    client_us: f64,
    /// Requests of one order: a check that is not over yet is asked after again.
    requests: f64,
}

/// Makes the registers, starts both servers in turns, orders, and stops them.
pub async fn run(wish: &Wish) -> Result<Table, CompareError> {
    let temporary = tempfile::tempdir().map_err(|e| CompareError::Io("a temporary folder".into(), e))?;
    let dir: &Path = wish.dir.as_deref().unwrap_or(temporary.path());
    let responder = Responder::start().await?;
    let filling = |orders| Filling {
        orders,
        accounts: Some(wish.accounts),
        challenges: Some(responder.port()),
        ..Filling::default()
    };
    let make = |dir: &Path, orders| House::make(&wish.server, &wish.seeder, dir, &filling(orders));
    let mut many = make(&dir.join("many-orders"), wish.seeded)?;
    many.start()?;
    let (mut first, mut after) = (Vec::new(), Vec::new());
    for round in 1..=wish.rounds {
        eprintln!("round {round} of {}", wish.rounds);
        let mut empty = make(&temporary.path().join(format!("empty-{round}")), 0)?;
        empty.start()?;
        first.push(order(wish, &empty, &responder, &format!("e{round}")).await?);
        empty.stop()?;
        after.push(order(wish, &many, &responder, &fresh_word()).await?);
    }
    many.stop()?;
    Ok(Table::new(wish, &first, &after))
}

/// One round over one register.
async fn order(wish: &Wish, house: &House, responder: &Responder, word: &str) -> Result<Seen, CompareError> {
    let accounts = Accounts::load(&house.account_keys())?;
    let wanted: Vec<Wanted> =
        (0..wish.orders).map(|n| Wanted::new(&format!("{word}-{n}.localhost"))).collect::<Result<_, _>>()?;
    let (wanted, next) = (Arc::new(wanted), Arc::new(AtomicU64::new(0)));
    let base = format!("{}/acme", house.public_https()?);
    let mut callers = Vec::with_capacity(wish.callers);
    for number in 0..wish.callers {
        let account: Account = accounts.one(number);
        callers.push(Caller::open(house.door()?, base.clone(), account).await?);
    }
    let pid = house.pid().unwrap_or_default();
    let (server_before, own_before, began) = (used(pid)?, used(std::process::id())?, Instant::now());
    let tasks: Vec<_> = callers
        .into_iter()
        .map(|mut caller| {
            let (wanted, next, responder) = (Arc::clone(&wanted), Arc::clone(&next), responder.clone());
            tokio::spawn(async move {
                while let Some(wanted) = wanted.get(next.fetch_add(1, Ordering::Relaxed) as usize) {
                    caller.order(wanted, &responder).await?;
                }
                Ok::<u64, CompareError>(caller.requests())
            })
        })
        .collect();
    let mut requests = 0;
    for task in tasks {
        requests += task.await.map_err(|e| CompareError::Failed(e.to_string()))??;
    }
    let took = began.elapsed();
    let each = |used: Duration| used.as_secs_f64() * 1e6 / wish.orders as f64;
    Ok(Seen {
        rate: wish.orders as f64 / took.as_secs_f64(),
        server_us: each(used(pid)? - server_before),
        client_us: each(used(std::process::id())? - own_before),
        requests: requests as f64 / wish.orders as f64,
    })
}

fn used(pid: u32) -> Result<Duration, CompareError> {
    cpu_time(pid).ok_or_else(|| CompareError::Failed("a process without CPU time".into()))
}

/// The register with many orders outlives a run: its names must not come again.
fn fresh_word() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    format!("m{}", now.as_millis())
}
