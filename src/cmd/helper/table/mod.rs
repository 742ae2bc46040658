//! Files that other programs read their passwords from: `.pgpass`, `my.cnf`, `.netrc`.
//!
//! What would not be read back as it is, is refused: a password that another program takes for half of itself and a word of its own is a
//! login that fails for no reason, or one line more than was meant.

mod mycnf;
mod netrc;
mod pgpass;
mod sheet;

use std::path::PathBuf;

use secrets::Reference;
use serde_json::json;

use self::sheet::Sheet;
use super::map::{Common, Map, Words};
use super::opened::Opened;
use crate::Global;
use crate::failure::{Exit, Failure};
use crate::files::{Outputs, SECRET, Standing};
use crate::output;

pub const HELP: &str = "\
Examples:
  chancery helper pgpass --out ~/.pgpass
  chancery helper pgpass --out /run/shop/pgpass --force
  PGPASSFILE=/run/shop/pgpass psql -h db.example.internal -U shop
  chancery helper mycnf --out /dev/shm/shop.cnf --environment prod
  mariadb --defaults-extra-file=/dev/shm/shop.cnf
  chancery helper netrc --out /run/user/1000/netrc
  curl --netrc-file /run/user/1000/netrc https://files.example.internal/

Entries [[pgpass]], [[mycnf]] and [[netrc]] of helpers.toml say what stands in the file, in their order. All secrets are asked for at once; where one is missing, or cannot be written there so that it is read back, nothing is written.

The file is for its owner alone, and is written whole or not at all. On a disk it stays: /run and /dev/shm are memory.";

/// Where the file goes.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    common: Common,
    /// Where it is written; - is standard output
    #[arg(short, long, value_name = "FILE")]
    out: PathBuf,
    /// Replace a file that is there
    #[arg(long)]
    force: bool,
}

/// Which file.
#[derive(Clone, Copy)]
pub enum Kind {
    /// libpq's.
    Pgpass,
    /// MariaDB's and MySQL's.
    Mycnf,
    /// curl's, and others'.
    Netrc,
}

/// Runs `chancery helper pgpass`, `mycnf` and `netrc`.
pub async fn run(args: Args, kind: Kind, global: &Global) -> Result<(), Failure> {
    let Args { common, out, force } = args;
    let map = Map::load(common.helpers.as_deref(), common.environment.as_deref())?;
    let wanted = wanted(&map, kind);
    if wanted.is_empty() {
        let says = format!("helpers.toml has no [[{}]], and the file would be empty", kind.word());
        return Err(Failure::new(Exit::Failed, says));
    }
    // The place first: nothing is opened that could not be kept.
    let mut outputs = Outputs::new(force);
    let place = outputs.place(&out, SECRET, Standing::Forced)?;
    let opened = Opened::fetch(wanted, common.sourcing, global).await?;
    let mut sheet = Sheet::new();
    match kind {
        Kind::Pgpass => map.pgpass.iter().try_for_each(|entry| pgpass::line(entry, &opened, &mut sheet))?,
        Kind::Mycnf => map.mycnf.iter().try_for_each(|entry| mycnf::group(entry, &opened, &mut sheet))?,
        Kind::Netrc => map.netrc.iter().try_for_each(|entry| netrc::line(entry, &opened, &mut sheet))?,
    }
    let facts = [output::written_to(&place)];
    let answer = json!({"written_to": place.shown(), "bytes": sheet.bytes().len()});
    let is_stream = outputs.use_stdout();
    place.fill(sheet.bytes())?;
    // Nobody needs to be told what he reads.
    if !is_stream {
        output::report(&outputs, &facts, &answer, global.json);
    }
    Ok(())
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Kind::Pgpass => "pgpass",
            Kind::Mycnf => "mycnf",
            Kind::Netrc => "netrc",
        }
    }
}

fn wanted(map: &Map, kind: Kind) -> Vec<&Reference> {
    match kind {
        Kind::Pgpass => {
            map.pgpass.iter().flat_map(|e| refs([Some(&e.username), e.database.as_ref()], &e.password)).collect()
        }
        Kind::Mycnf => map.mycnf.iter().flat_map(|e| refs([Some(&e.username), e.host.as_ref()], &e.password)).collect(),
        Kind::Netrc => map.netrc.iter().flat_map(|e| refs([Some(&e.username), None], &e.password)).collect(),
    }
}

fn refs<'a>(words: [Option<&'a Words>; 2], password: &'a Reference) -> impl Iterator<Item = &'a Reference> {
    words.into_iter().flatten().filter_map(Words::reference).chain([password])
}
