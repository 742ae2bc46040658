//! Readings of secrets beside a static body of the same server over the same TLS, and a register of many secrets beside one of few.
//!
//! *Readings*: the same keep-alive clients ask in turns for the issuer's certificate, which lies in memory as it is, and for secrets, each
//! in its turn, whose answers are as long. Each answer with a value has its leaf in the log before it is made: how many leaves there are
//! more afterwards is counted against the answers. Both are measured once more with a connection of its own for each. A peer, where one is
//! named, is started in a folder of the run and asked by as many clients in the same rounds for as many secrets with values as long.
//!
//! *Transit*: batches are sealed over REST, beside the cipher alone in this process and the peer's transit where it has one.
//!
//! *Many*: two registers are filled over REST, and asked in turns for every list and search; then started again.

mod filling;
mod pages;
mod peer;
mod reading;
mod round;
mod table;
mod transit;

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
    /// RustyVault's program, to be measured in the same rounds.
    pub peer: Option<PathBuf>,
    /// Whether batches are sealed, too.
    pub transit: bool,
}

/// What was measured.
struct Measured {
    read: reading::Read,
    many: Option<pages::Many>,
    transit: Option<transit::Transit>,
    /// What the peer calls itself.
    peer: Option<String>,
}

/// Measures.
pub async fn run(wish: &Wish) -> Result<Table, CompareError> {
    let temporary = tempfile::tempdir().map_err(|e| CompareError::Io("a folder".into(), e))?;
    let dir: &Path = wish.dir.as_deref().unwrap_or(temporary.path());
    std::fs::create_dir_all(dir).map_err(|e| CompareError::Io(dir.display().to_string(), e))?;
    // First, so that a peer that cannot be started is told at once.
    let peer = match &wish.peer {
        None => None,
        Some(program) => Some(peer::Peer::start(program, dir).await?),
    };
    let mut small = filled(wish, &dir.join("small"), wish.small).await?;
    let read = reading::measure(wish, &small, peer.as_ref()).await?;
    let transit = match wish.transit {
        false => None,
        true => Some(transit::measure(wish, &small, peer.as_ref()).await?),
    };
    // It ends here: what is measured beside a large register is ours alone.
    let peer = peer.map(|peer| peer.name().to_owned());
    let many = match wish.secrets {
        0 => None,
        count => {
            let mut large = filled(wish, &dir.join("large"), count).await?;
            Some(pages::measure(&mut small, &mut large).await?)
        }
    };
    small.stop()?;
    Ok(Table::new(wish, Measured { read, many, transit, peer }))
}

/// A server that runs, over a register with so many secrets.
async fn filled(wish: &Wish, dir: &Path, count: u64) -> Result<House, CompareError> {
    let mut house = House::make(&wish.server, &wish.seeder, dir, &Filling::default())?;
    house.start()?;
    filling::fill(&house, count).await?;
    Ok(house)
}
