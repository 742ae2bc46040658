//! Fills a register honestly: rows, leaves, names, tiles and the sealed head by the writer's own code, thousands of operations
//! in a transaction, under a signing key that is in no token.
//!
//! What it writes is what a service would have written, but for the key: `verify` checks each signature under the recorded
//! public half. It is a node like any other, and asks the token for the head key alone.

use std::sync::Arc;

use hsm::{Key, Pool};
use policy::{Timestamp, World};

use crate::attest::{self, Attested};
use crate::clock::Clock;
use crate::forms::keys;
use crate::log::Head;
use crate::nouns::credential::{Credential, Filter};
use crate::nouns::database::Database;
use crate::nouns::entry::{ActorStamp, Entry, GrantStamp, Kind, Revocation};
use crate::nouns::error::StoreError;
use crate::nouns::record::{Record, RecordFilter, StoredRecord};
use crate::queries;
use crate::register::LogConfig;
use crate::rows::{ConclusionRow, IntentRow, Op, Outcome, RecordRow, RevocationRow};
use crate::sql::{Sql, Use, connect};
use crate::truth::{self, Anchor, Node};
use crate::writer::{self, Reply};

/// The purpose of the keys that signed what was seeded, by which a register is known as a bench's.
const PURPOSE: &str = "seed";

/// A certificate made ready off the writing thread.
#[derive(Debug)]
pub struct Seed {
    row: Arc<IntentRow>,
    signature: Vec<u8>,
    /// The CRLReason and the grant under which it ends.
    revoked: Option<(u8, GrantStamp)>,
}

impl Seed {
    /// `signature` is of the entry's message under its key; `revoked` ends it at once, by the same actor.
    pub fn new(
        entry: Entry,
        signature: Vec<u8>,
        revoked: Option<(u8, GrantStamp)>,
        at: Timestamp,
    ) -> Result<Seed, StoreError> {
        Ok(Seed { row: Arc::new(IntentRow::new(entry, at)?), signature, revoked })
    }
}

/// How much was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Made {
    /// Leaves.
    pub leaves: u64,
    /// Rows of the tables that have leaves, and of names.
    pub rows: u64,
}

impl std::ops::AddAssign for Made {
    fn add_assign(&mut self, other: Made) {
        self.leaves += other.leaves;
        self.rows += other.rows;
    }
}

/// A node that only seeds. Its calls block; PostgreSQL's driver must not be called from an async thread.
#[allow(missing_debug_implementations)]
pub struct Seeder {
    sql: Box<dyn Sql + Send>,
    node: Node,
    clock: Clock,
}

impl Seeder {
    /// Opens a register that `chancery init` made. No service may run on it meanwhile with the same state folder.
    pub async fn open(database: Database, pool: &Pool, log: LogConfig, world: World) -> Result<Seeder, StoreError> {
        let away = |e: tokio::task::JoinError| StoreError::Unavailable(e.to_string());
        let kept = tokio::task::spawn_blocking({
            let database = database.clone();
            move || truth::read_kept(connect(&database, Use::Write)?.as_mut())
        });
        let truth::Kept::Sealed(sealed) = kept.await.map_err(away)?? else {
            return Err(StoreError::Invalid("no node has opened this register yet".into()));
        };
        let (key, _) = truth::open_key(pool, &log.origin, sealed).await?;
        let seeder = tokio::task::spawn_blocking(move || {
            let mut sql = connect(&database, Use::Write)?;
            let anchor = log.state.as_deref().map(Anchor::open).transpose()?;
            let node = Node::load(sql.as_mut(), &log.origin, key, (anchor, None), world.clone())?;
            let clock = Clock::new(world);
            clock.begin(&node);
            Ok(Seeder { sql, node, clock })
        });
        seeder.await.map_err(away)?
    }

    /// Whether it holds nothing but what `chancery init` wrote, or was seeded before.
    pub fn is_a_bench(&mut self) -> Result<bool, StoreError> {
        let marks = self.records(keys::KIND)?.into_iter().filter_map(|key| keys::read(&key.body.to_string()).ok());
        if marks.into_iter().any(|key| key.purpose == PURPOSE) {
            return Ok(true);
        }
        let any = Filter { kind: Some(Kind::Certificate), limit: 1, ..Filter::default() };
        Ok(queries::list(self.sql.as_mut(), &any)?.items.is_empty())
    }

    /// The certificates of the CAs.
    pub fn authorities(&mut self) -> Result<Vec<Credential>, StoreError> {
        let filter = Filter { kind: Some(Kind::CaCertificate), limit: 1_000, ..Filter::default() };
        Ok(queries::list(self.sql.as_mut(), &filter)?.items)
    }

    /// The first records of a kind.
    pub fn records(&mut self, kind: &str) -> Result<Vec<StoredRecord>, StoreError> {
        let filter = RecordFilter { limit: 1_000, ..RecordFilter::default() };
        let found = attest::records(&self.node, self.sql.as_mut(), kind, &filter)?;
        Ok(found.into_iter().map(Attested::into_inner).collect())
    }

    /// Records the key that signs the seeds.
    pub fn record_key(&mut self, key: &Key, actor: ActorStamp) -> Result<Made, StoreError> {
        let record = keys::record(key.label(), key.algorithm(), key.spki_der(), PURPOSE, actor);
        self.write_records(vec![vec![record]])
    }

    /// Writes certificates in two transactions: what is intended, then what came of it.
    pub fn write_certificates(&mut self, seeds: Vec<Seed>) -> Result<Made, StoreError> {
        let intents = self.write(seeds.iter().map(|seed| Op::Intend(Arc::clone(&seed.row))).collect())?;
        let now = self.clock.shows();
        let (mut made, mut ends, mut revocations) = (Made::default(), Vec::with_capacity(seeds.len()), Vec::new());
        for (seed, reply) in seeds.into_iter().zip(intents) {
            let Reply::Leaf(op, at) = reply else {
                return Err(StoreError::Corrupt(format!("an intent got {reply:?}")));
            };
            made += Made { leaves: 2, rows: 2 + seed.row.entry.names.len() as u64 };
            if let Some((reason, grant)) = seed.revoked {
                let actor = seed.row.entry.actor.clone();
                let revocation =
                    Revocation { operation: op, reason, at: now, invalid: None, shard: None, actor, grant };
                let row = RevocationRow::new(revocation, &queries::intended(op, at, &seed.row), now)?;
                revocations.push(Op::Revoke(Arc::new(row)));
                made += Made { leaves: 1, rows: 1 };
            }
            let (kind, serial) = (seed.row.entry.kind.as_str(), &seed.row.entry.serial);
            let row = ConclusionRow::new((op, kind, serial), Outcome::Issued(seed.signature), None, now);
            ends.push(Op::Conclude(Arc::new(row)));
        }
        ends.append(&mut revocations);
        self.write(ends)?;
        Ok(made)
    }

    /// Writes records; those of one inner list are what one call of a service would have written.
    pub fn write_records(&mut self, calls: Vec<Vec<Record>>) -> Result<Made, StoreError> {
        let (now, mut count) = (self.clock.shows(), 0);
        let mut ops = Vec::with_capacity(calls.len());
        for records in calls {
            let rows = records.into_iter().map(|record| RecordRow::new(record, now)).collect::<Result<Vec<_>, _>>()?;
            count += rows.len() as u64;
            ops.push(Op::Record(Arc::new(rows)));
        }
        self.write(ops)?;
        Ok(Made { leaves: count, rows: count })
    }

    /// The head, once the fold is written down for the next start.
    pub fn close(self) -> Result<Head, StoreError> {
        self.node.write_image(true)?;
        Ok(self.node.head())
    }

    fn write(&mut self, ops: Vec<Op>) -> Result<Vec<Reply>, StoreError> {
        writer::write_at_once(self.sql.as_mut(), &self.node, &self.clock, ops)
    }
}
