//! `chancery-load fleet`: one server program over a small register and over a large one, in one run, as a table of ratios.
//!
//! Both servers run at the same time and are asked in turns, so that what else the machine does falls on both alike: the ratio
//! is what can be compared. Nothing is asserted; a bound that is not kept is marked.

mod asker;
mod measure;
mod pages;
mod table;

use std::path::{Path, PathBuf};
use std::time::Duration;

use measure::Measured;
pub use table::Table;

use crate::error::CompareError;
use crate::house::{Filling, House};

/// Of a hundred certificates so many began some time ago: the small register, too, has a page of those that wait for somebody.
const AGED_PERCENT: u64 = 90;

/// What to compare.
#[derive(Clone, Debug)]
pub struct Wish {
    /// The server's program.
    pub server: PathBuf,
    /// This program, whose `seed` fills the registers.
    pub seeder: PathBuf,
    /// The folder that both registers are made in, and left in; without one they are made in a temporary one.
    pub dir: Option<PathBuf>,
    /// Certificates of the small register.
    pub small: u64,
    /// Certificates of the large one.
    pub large: u64,
    /// Of a hundred certificates so many are revoked.
    pub revoked_percent: u64,
    /// Owners of those of the large register.
    pub owners: u64,
    /// Finished ACME orders in the large register.
    pub orders: u64,
    /// Rounds of issuance for each server.
    pub rounds: u32,
    /// How long a round is.
    pub round: Duration,
}

/// Makes both registers, starts both servers, asks, and stops them.
pub async fn run(wish: &Wish) -> Result<Table, CompareError> {
    let temporary = tempfile::tempdir().map_err(|e| CompareError::Io("a temporary folder".into(), e))?;
    let dir: &Path = wish.dir.as_deref().unwrap_or(temporary.path());
    let mut measured = Measured::default();
    let filled = |certificates: u64, owners, orders| {
        let revoked = certificates * wish.revoked_percent / 100;
        let aged = certificates * AGED_PERCENT / 100;
        Filling { certificates, revoked, aged, owners, orders, ..Filling::default() }
    };
    let mut small = House::make(&wish.server, &wish.seeder, &dir.join("small"), &filled(wish.small, 1, 0))?;
    let mut large =
        House::make(&wish.server, &wish.seeder, &dir.join("large"), &filled(wish.large, wish.owners, wish.orders))?;
    measure::starts(&mut small, &mut large, &mut measured)?;
    measure::pages(&small, &large, &mut measured).await?;
    measure::issuance(wish, &small, &large, &mut measured).await?;
    measure::revocations(&small, &large, &mut measured).await?;
    measure::act(&large, &mut measured).await?;
    measure::ends(&mut small, &mut large, &mut measured)?;
    Ok(Table::new(wish, measured))
}
