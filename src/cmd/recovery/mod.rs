//! `chancery recovery`: the secrets without the token, by a key that a few people hold in shares.
//!
//! docs/RECOVERY.md is the page for those people; decision 015 says why it is so.

mod ceremony;
mod public;
mod restore;
mod shares;
mod standing;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::Global;
use crate::failure::Failure;

#[derive(Parser)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Make a recovery key and its shares, each for one holder's paper: never on the server's host
    #[command(after_help = ceremony::HELP)]
    Ceremony(ceremony::Args),
    /// Take the public half that a ceremony wrote, into the register
    #[command(after_help = "Example:\n  chancery recovery take recovery-1.json")]
    Take {
        /// The file that `chancery recovery ceremony --out` wrote
        file: PathBuf,
        /// On the host itself, where the server does not run
        #[arg(long)]
        here: bool,
    },
    /// Show the register's recovery key, and whether its shares open everything
    #[command(
        after_help = "Examples:\n  chancery recovery show\n  chancery recovery show --out recovery-1.json   # to a machine apart"
    )]
    Show {
        /// Write the public half to this file
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Replace a file that is there
        #[arg(long)]
        force: bool,
    },
    /// Prove a share alone: whether it is good, and which it is; nothing is opened
    #[command(
        after_help = "Examples:\n  chancery recovery verify-share\n  chancery recovery verify-share --key recovery-1.json --show"
    )]
    VerifyShare {
        /// Against the public half in this file, instead of the register's
        #[arg(long, value_name = "FILE")]
        key: Option<PathBuf>,
        /// Show what is typed
        #[arg(long)]
        show: bool,
    },
    /// Have everything looked at and wrapped to the recovery key, and wait for it; after a ceremony the service does it by itself
    Wrap,
    /// Bring a register whose token is lost back under another, by as many shares as it takes
    #[command(after_help = restore::HELP)]
    Restore(restore::Args),
}

/// Runs `chancery recovery`.
pub async fn run(args: Args, global: &Global) -> Result<(), Failure> {
    match args.what {
        What::Ceremony(args) => ceremony::run(args, global).await,
        What::Take { file, here } => standing::take(file, here, global).await,
        What::Show { out, force } => standing::show(out, force, global).await,
        What::VerifyShare { key, show } => standing::verify(key, show, global).await,
        What::Wrap => standing::wrap(global).await,
        What::Restore(args) => restore::run(args, global).await,
    }
}

/// Where the server has it.
const PLACE: &str = "/api/v1/recovery";
