//! `chancery ceremony`: an offline root, by a script that a roomful of people can follow.
//!
//! Trusted for: that nothing is signed before a quorum confirmed what is shown, and that the transcript says what was done. Whoever
//! controls this machine and has the PIN signs without it: that is what the room, the bag and the witnesses are for.

pub(super) mod answers;
mod crl;
mod intermediate;
pub(super) mod machine;
mod rehearsal;
mod root;
mod rotate;
pub(super) mod script;
pub(super) mod telling;

use std::path::{Path, PathBuf};

use ca::{Authority, Transcript};
use clap::{Parser, Subcommand};

use crate::Global;
use crate::config::Config;
use crate::failure::{Exit, Failure};
use crate::house::{self, Closing};
use script::People;
use telling::Telling;

#[derive(Parser)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Make the offline root: its key, its certificate, its first CRL
    #[command(after_help = ROOT)]
    Root(Box<root::Args>),
    /// Have the root sign the request of a CA that is online
    #[command(after_help = INTERMEDIATE)]
    Intermediate(Box<intermediate::Args>),
    /// Make the root's next generation, and the certificates that lead from one to the other
    #[command(after_help = ROTATE)]
    Rotate(Box<rotate::Args>),
    /// Have the root sign its next CRL, and revoke CAs by it
    #[command(after_help = CRL)]
    Crl(Box<crl::Args>),
}

const ROOT: &str = "\
Example:
  chancery ceremony root ./root --module /usr/lib/softhsm/libsofthsm2.so \\
    --token-label root --create-token so-pin --pin-file pin \\
    --organization Example --http-base http://ca.example.internal:8080 \\
    --operator 'Ada L.' --operator 'Grace H.' --operator 'Alan T.' --quorum 2

Interrupted anywhere, the same command goes on. docs/CEREMONY.md is the script to print. With --rehearse all of it is done on a throw-away token, and nothing is kept.";

const INTERMEDIATE: &str = "\
Example, with a request that `chancery init --offline-root` wrote:
  chancery ceremony intermediate ./root --csr tls-1.csr --out tls-1.pem
  # and on the online server:
  chancery ca adopt tls/1 --chain tls-1.pem \\
    --transcript 002-intermediate.json";

const ROTATE: &str = "\
Example:
  chancery ceremony rotate ./root
  # and on the online server:
  chancery ca import root --certificate-only --chain root-2-all.pem \\
    --fingerprint SHA256 --transcript 003-rotate.json
  chancery ca import-crl root-2.crl";

const CRL: &str = "\
Example:
  chancery ceremony crl ./root --out root-1.crl
  # and on the online server:
  chancery ca import-crl root-1.crl";

/// Who is there, and how they answer.
#[derive(clap::Args)]
pub struct PeopleArgs {
    /// An operator, by the name that is typed to confirm; several times [default: those of the root's ceremony]
    #[arg(long = "operator", value_name = "NAME")]
    operators: Vec<String>,
    /// How many operators have to confirm [default: as many as at the root's ceremony; 2 there]
    #[arg(long)]
    quorum: Option<usize>,
    /// Take the answers from this file, a line `step: answer` each: for rehearsals and tests
    #[arg(long, value_name = "FILE")]
    answers: Option<PathBuf>,
    /// Do all of it on a throw-away token, and keep nothing
    #[arg(long)]
    rehearse: bool,
    /// What `--json` says, which is the whole program's.
    #[arg(skip)]
    telling: Telling,
}

impl PeopleArgs {
    fn people(&self, quorum: usize) -> Result<People, Failure> {
        match self.operators.is_empty() {
            true => Err(Failure::new(Exit::Usage, "no operator is named").help("add --operator NAME for each")),
            false => Ok(People { operators: self.operators.clone(), quorum: self.quorum.unwrap_or(quorum) }),
        }
    }

    /// Those of the root's ceremony, or others where people have changed; never fewer to confirm.
    fn people_of(&self, founders: People) -> Result<People, Failure> {
        let least = founders.quorum;
        let operators = if self.operators.is_empty() { founders.operators } else { self.operators.clone() };
        let people = People { operators, quorum: self.quorum.unwrap_or(least) };
        people.check(least)?;
        Ok(people)
    }
}

/// Runs `chancery ceremony`.
pub async fn run(mut args: Args, global: &Global) -> Result<(), Failure> {
    let (people, module) = match &mut args.what {
        What::Root(args) => (&mut args.people, Some(&args.module)),
        What::Intermediate(args) => (&mut args.people, None),
        What::Rotate(args) => (&mut args.people, None),
        What::Crl(args) => (&mut args.people, None),
    };
    people.telling = if global.json { Telling::Json } else { Telling::Text };
    if people.rehearse && !rehearsed() {
        return rehearsal::run(module.map(PathBuf::as_path), people.telling);
    }
    match args.what {
        What::Root(args) => root::run(&rehearsal::root(*args)).await,
        What::Intermediate(mut args) => {
            if let Some(place) = rehearsal::place() {
                rehearsal::found(&place, &args.dir, args.people.telling).await?;
                (args.dir, args.out) = (place.join("root"), place.join("out.pem"));
            }
            intermediate::run(&args).await
        }
        What::Rotate(mut args) => {
            if let Some(place) = rehearsal::place() {
                rehearsal::found(&place, &args.dir, args.people.telling).await?;
                args.dir = place.join("root");
            }
            rotate::run(&args).await
        }
        What::Crl(mut args) => {
            if let Some(place) = rehearsal::place() {
                rehearsal::found(&place, &args.dir, args.people.telling).await?;
                (args.dir, args.out) = (place.join("root"), place.join("out.crl"));
            }
            crl::run(&args).await
        }
    }
}

/// Whether this process rehearses.
fn rehearsed() -> bool {
    rehearsal::place().is_some()
}

/// The first ceremony of a kind that was ended in a folder.
fn done_before(dir: &Path, kind: &str) -> Result<Option<Transcript>, Failure> {
    Ok(script::finished(&script::folder(dir))?.into_iter().find(|done| done.kind == kind))
}

/// An offline root that was made, opened for a ceremony.
struct Standing {
    authority: Authority,
    module: PathBuf,
    people: People,
    _closing: Closing,
}

impl Standing {
    async fn open(dir: &Path, people: &PeopleArgs) -> Result<Standing, Failure> {
        let founding = root::founding(dir)?;
        let config = Config::load(&dir.join(root::CONFIG))?;
        let (authority, closing) = house::authority(&config, house::Way::Beside).await?;
        // Whoever could change it there would say how many have to confirm.
        if !rehearsed() && !authority.has_transcript(&founding) {
            let says = format!("the transcript {} is not the one that the register has", founding.ceremony);
            return Err(
                Failure::new(Exit::Refused, says).help("put it back as it was written: its SHA-256 is on paper")
            );
        }
        let people = people.people_of(People { operators: founding.operators, quorum: founding.quorum })?;
        Ok(Standing { authority, module: config.hsm.module, people, _closing: closing })
    }

    async fn close(self) {
        self.authority.ledger().clone().close().await;
    }
}
