//! Readings of secrets beside a static body of the same server over the same TLS, and a register of many secrets beside one of few.
//!
//! *Readings*: the same keep-alive clients ask in turns for the issuer's certificate, which lies in memory as it is, and for secrets, each
//! in its turn, whose answers are as long. Each answer with a value has its leaf in the log before it is made: how many leaves there are
//! more afterwards is counted against the answers.
//!
//! *Many*: two registers are filled over REST, and asked in turns for every list and search; then started again.

mod filling;
mod pages;
mod reading;
mod table;

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::CompareError;
use crate::house::{Filling, House};
pub use table::Table;

/// What to measure.
#[derive(Clone, Debug)]
pub struct Wish {
    /// The server's program.
    pub server: PathBuf,
    /// This program.
    pub seeder: PathBuf,
    /// Secrets of the large register; none: readings alone.
    pub secrets: u64,
    /// Secrets of the small one, which are those that are read.
    pub small: u64,
    /// Keep-alive clients.
    pub clients: usize,
    /// Rounds of each.
    pub rounds: u32,
    /// How long one takes.
    pub round: Duration,
    /// Where both registers are kept.
    pub dir: Option<PathBuf>,
}

/// Measures.
pub async fn run(wish: &Wish) -> Result<Table, CompareError> {
    let temporary = tempfile::tempdir().map_err(|e| CompareError::Io("a folder".into(), e))?;
    let dir: &Path = wish.dir.as_deref().unwrap_or(temporary.path());
    let mut small = filled(wish, &dir.join("small"), wish.small).await?;
    let read = reading::measure(wish, &small).await?;
    let many = match wish.secrets {
        0 => None,
        count => {
            let mut large = filled(wish, &dir.join("large"), count).await?;
            Some(pages::measure(&mut small, &mut large).await?)
        }
    };
    small.stop()?;
    Ok(Table::new(wish, read, many))
}

/// A server that runs, over a register with so many secrets.
async fn filled(wish: &Wish, dir: &Path, count: u64) -> Result<House, CompareError> {
    let mut house = House::make(&wish.server, &wish.seeder, dir, &Filling::default())?;
    house.start()?;
    filling::fill(&house, count).await?;
    Ok(house)
}
