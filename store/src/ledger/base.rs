//! The ledger: the register, and the right to make intents.

use std::sync::Arc;

use arc_swap::ArcSwap;
use hsm::{Mint, Pool};
use policy::World;

use crate::derived::rebuild::Rebuilt;
use crate::nouns::database::Database;
use crate::nouns::error::StoreError;
use crate::nouns::sealed::Seals;
use crate::reader::Lane;
use crate::register::{LogConfig, Opening, Register};

/// A handle on the register. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Ledger {
    pub(super) inner: Arc<Inner>,
    /// In which lane rows are looked up by their keys.
    pub(super) lane: Lane,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) mint: Mint,
    register: Register,
    pub(super) pool: Pool,
    /// Generations of the sealing key, as whoever knows the issuers puts them into force.
    pub(super) seals: ArcSwap<Seals>,
}

impl Ledger {
    /// Makes a register where there is none, or opens the one there is: for `init`. The same as [`Ledger::open`] otherwise.
    pub async fn found(
        database: Database,
        (pool, mint): (&Pool, Mint),
        log: LogConfig,
        world: World,
    ) -> Result<Ledger, StoreError> {
        let (register, _) = Register::open(database, pool, log, world, Opening::Found).await?;
        Ok(Ledger::of((pool, mint), register))
    }

    /// Opens the register and starts the threads; makes nothing: a register that is missing is missing. Takes the token's mint: from here on
    /// nothing is signed that is not written down. The pool opens the head key, which the token alone can.
    pub async fn open(
        database: Database,
        (pool, mint): (&Pool, Mint),
        log: LogConfig,
        world: World,
    ) -> Result<Ledger, StoreError> {
        let (register, _) = Register::open(database, pool, log, world, Opening::Serve).await?;
        Ok(Ledger::of((pool, mint), register))
    }

    /// Why this node would not start on this register, which is what [`Ledger::resume`] is for; none where it would.
    pub async fn refused_start(
        database: Database,
        pool: &Pool,
        log: LogConfig,
        world: World,
    ) -> Result<Option<String>, StoreError> {
        match Register::open(database, pool, log, world, Opening::Serve).await {
            Ok((register, _)) => {
                // Joining blocks, and a panic of a thread was its own.
                let _ = tokio::task::spawn_blocking(move || register.stop()).await;
                Ok(None)
            }
            Err(StoreError::Held(why)) => Ok(Some(why)),
            Err(other) => Err(other),
        }
    }

    /// Derives every projection anew from the rows, beside no service of this node, and ends: what lists, searches and counts are
    /// answered from, and the renewal ask. No leaf says so. Refused where the register is held. `pages` hears how many pages of a
    /// thousand rows were looked at.
    pub async fn rebuild(
        database: Database,
        pool: &Pool,
        log: LogConfig,
        world: World,
        pages: impl FnMut(u64) + Send + 'static,
    ) -> Result<Rebuilt, StoreError> {
        let (register, _) = Register::open(database.clone(), pool, log, world, Opening::Alone).await?;
        let rebuilt = register.rebuild(database, pages).await;
        // Joining blocks, and a panic of a thread was its own.
        let _ = tokio::task::spawn_blocking(move || register.stop()).await;
        rebuilt
    }

    /// A handle for whoever finds out who a caller is: its look-ups by key (`record_get`, `credential`) wait neither for
    /// requests nor for reports.
    pub fn for_authentication(&self) -> Ledger {
        Ledger { inner: Arc::clone(&self.inner), lane: Lane::Authentication }
    }

    /// Keeps the newest checkpoint in the token, writes what is queued, ends the threads and writes the fold down, within about three
    /// seconds whatever the database does. Every other handle answers `Closed` afterwards.
    pub async fn close(self) {
        let inner = self.inner;
        inner.register.note_in_token().await;
        // Joining blocks, and a panic of a thread was its own.
        let _ = tokio::task::spawn_blocking(move || inner.register.stop()).await;
    }

    pub(super) fn of((pool, mint): (&Pool, Mint), register: Register) -> Ledger {
        let inner = Inner { mint, register, pool: pool.clone(), seals: ArcSwap::default() };
        Ledger { inner: Arc::new(inner), lane: Lane::Request }
    }

    pub(super) fn register(&self) -> &Register {
        &self.inner.register
    }

    /// The log's name.
    pub fn origin(&self) -> &str {
        &self.register().node.origin
    }

    /// For tests: a question that reads for as long as it is let, in the lane of reports.
    #[cfg(feature = "testing")]
    pub async fn read_without_end(&self) -> Result<(), StoreError> {
        let text = "WITH RECURSIVE n (i) AS (SELECT size FROM head UNION ALL SELECT i + 1 FROM n) SELECT MAX(i) FROM n";
        self.register().ask(Lane::Report, |sql| Ok(sql.query(text, &[]).map(drop)?)).await
    }

    /// For tests: how many reports wait for a thread.
    #[cfg(feature = "testing")]
    pub fn waiting_reports(&self) -> usize {
        self.register().waiting(Lane::Report)
    }
}

pub(super) fn joined(done: Option<Result<Result<(), StoreError>, tokio::task::JoinError>>) -> Result<(), StoreError> {
    match done {
        None => Ok(()),
        Some(Ok(done)) => done,
        Some(Err(error)) => Err(StoreError::Unavailable(format!("a revocation's task ended: {error}"))),
    }
}
