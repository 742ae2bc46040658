//! `chancery-load seed`: fills a register that `chancery init` made, as a service would have, in minutes for a million.
//!
//! Real rows and leaves through the store's batches, real TBS bytes and subject keys, each signed by one P-256 key that is in
//! this process alone and recorded as `seed`: `chancery audit verify` finds nothing. Those certificates chain to no root, since
//! the issuer's key is in the token and signs 10,000 a second at most. The server must not run meanwhile.

mod certificates;
mod config;
mod orders;
mod tbs;

use std::path::PathBuf;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use policy::World;
use store::testing::{Made, Seed, Seeder};
use store::{ActorStamp, StoreError};

use certificates::Maker;
use config::Config;

/// Certificates of one pair of transactions: their rows are about as much as SQLite's log holds between two checkpoints.
const BATCH: u64 = 4_000;
/// Orders of one transaction: seven records each.
const ORDERS_BATCH: u64 = 500;
/// Batches that wait for the writer.
const AHEAD: usize = 2;
/// How often it says how far it is.
const SAY: Duration = Duration::from_secs(2);

/// What to make.
#[derive(Clone, Debug)]
pub struct Wish {
    /// `chancery.toml`, as `chancery init` wrote it.
    pub config: PathBuf,
    /// How many certificates.
    pub certificates: u64,
    /// How many of them are revoked, spread evenly.
    pub revoked: u64,
    /// How many of them the server is to renew.
    pub renewing: u64,
    /// How many of them begun up to four months ago, spread evenly; one in five of all has the name of the one before it.
    pub aged: u64,
    /// How many owners they are of, in turn.
    pub owners: u64,
    /// How many finished ACME orders.
    pub orders: u64,
    /// How many ACME accounts they are of.
    pub accounts: u64,
    /// Where the keys of those accounts are kept; without it, nobody keeps them.
    pub account_keys: Option<PathBuf>,
    /// Also into a register that has certificates of its own.
    pub into_existing: bool,
}

/// Why nothing, or not all, was seeded.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// The configuration does not say what is needed.
    #[error("{0}")]
    Config(String),
    /// The token does not open.
    #[error("the token: {0}")]
    Token(#[from] hsm::HsmError),
    /// The register refuses.
    #[error("the register: {0}")]
    Store(#[from] StoreError),
    /// It is not a bench's.
    #[error(
        "this register has certificates that were not seeded; only with --into-existing are others laid beside them, and they \
         can never be taken out again"
    )]
    NotABench,
    /// A key or certificate could not be made.
    #[error("a certificate could not be made: {0}")]
    Make(String),
}

/// What was made.
#[derive(Clone, Debug)]
pub struct Seeded {
    /// Certificates.
    pub certificates: u64,
    /// Revoked ones of them.
    pub revoked: u64,
    /// ACME orders.
    pub orders: u64,
    /// Leaves and rows.
    pub made: Made,
    /// Leaves of the log now.
    pub size: u64,
    /// The fingerprint of the key that signed, hex.
    pub key: String,
    /// How long it took.
    pub took: Duration,
}

impl std::fmt::Display for Seeded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let per_second = |n: u64| n as f64 / self.took.as_secs_f64().max(f64::EPSILON);
        writeln!(
            f,
            "{} certificates ({} of them revoked) and {} ACME orders in {:.1} s: {} rows and {} leaves, {:.0} and {:.0} a second",
            self.certificates,
            self.revoked,
            self.orders,
            self.took.as_secs_f64(),
            self.made.rows,
            self.made.leaves,
            per_second(self.made.rows),
            per_second(self.made.leaves),
        )?;
        write!(f, "the log has {} leaves; signed by the key {}", self.size, self.key)
    }
}

/// Seeds. Blocks until all is durable.
pub fn run(wish: &Wish) -> Result<Seeded, SeedError> {
    let began = Instant::now();
    let (config, world) = (Config::load(&wish.config)?, World::real());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.map_err(|e| SeedError::Config(e.to_string()))?;
    // The token is asked for the head key and for nothing else.
    let (pool, _mint) = hsm::open(config.token()?)?;
    let opened = runtime.block_on(Seeder::open(config.database()?, &pool, config.log(), world.clone()));
    pool.shutdown();
    let mut seeder = opened?;
    if !wish.into_existing && !seeder.is_a_bench()? {
        return Err(SeedError::NotABench);
    }
    let mut made = Made::default();
    let maker = Maker::new(&mut seeder, &config, wish.owners, world.clone(), &mut made)?;
    seed_certificates(wish, &maker, &mut seeder, &mut made)?;
    seed_orders(wish, maker.profile(), &world, &mut seeder, &mut made)?;
    Ok(Seeded {
        certificates: wish.certificates,
        revoked: wish.revoked.min(wish.certificates),
        orders: wish.orders,
        made,
        key: maker.key_fingerprint(),
        size: seeder.close()?.size,
        took: began.elapsed(),
    })
}

/// One thread makes and signs, this one writes.
fn seed_certificates(wish: &Wish, maker: &Maker, seeder: &mut Seeder, made: &mut Made) -> Result<(), SeedError> {
    let (batches, ready) = sync_channel::<Result<Vec<Seed>, SeedError>>(AHEAD);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for first in (0..wish.certificates).step_by(BATCH as usize) {
                let batch = maker.batch(first..wish.certificates.min(first + BATCH), wish);
                let failed = batch.is_err();
                if batches.send(batch).is_err() || failed {
                    return;
                }
            }
        });
        let mut progress = Progress::new("certificates", wish.certificates);
        for batch in ready {
            let batch = batch?;
            let count = batch.len() as u64;
            *made += seeder.write_certificates(batch)?;
            progress.more(count);
        }
        Ok(())
    })
}

fn seed_orders(
    wish: &Wish,
    profile: &str,
    world: &World,
    seeder: &mut Seeder,
    made: &mut Made,
) -> Result<(), SeedError> {
    if wish.orders == 0 && wish.account_keys.is_none() {
        return Ok(());
    }
    let most = if wish.account_keys.is_some() { u64::MAX } else { wish.orders };
    let accounts = orders::accounts(wish.accounts.clamp(1, most), world)?;
    if let Some(path) = &wish.account_keys {
        orders::keep_keys(&accounts, path)?;
    }
    *made += seeder.write_records(accounts.iter().map(orders::Account::opening).collect())?;
    let mut progress = Progress::new("orders", wish.orders);
    for first in (0..wish.orders).step_by(ORDERS_BATCH as usize) {
        let numbers = first..wish.orders.min(first + ORDERS_BATCH);
        let count = numbers.end - numbers.start;
        let calls = numbers.flat_map(|n| {
            let account = &accounts[(n % accounts.len() as u64) as usize];
            orders::finished(account, profile, n, world)
        });
        *made += seeder.write_records(calls.collect())?;
        progress.more(count);
    }
    Ok(())
}

fn stamp(id: &str, proof: &str, proof_id: &str) -> ActorStamp {
    ActorStamp { id: id.to_owned(), proof: proof.to_owned(), proof_id: proof_id.to_owned() }
}

/// Lines on stderr.
struct Progress {
    what: &'static str,
    of: u64,
    done: u64,
    began: Instant,
    said: Instant,
}

impl Progress {
    fn new(what: &'static str, of: u64) -> Progress {
        Progress { what, of, done: 0, began: Instant::now(), said: Instant::now() }
    }

    fn more(&mut self, count: u64) {
        self.done += count;
        if self.said.elapsed() >= SAY || self.done == self.of {
            self.said = Instant::now();
            let rate = self.done as f64 / self.began.elapsed().as_secs_f64().max(f64::EPSILON);
            eprintln!("{} of {} {}, {rate:.0} a second", self.done, self.of, self.what);
        }
    }
}
