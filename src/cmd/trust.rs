//! `chancery trust`: which roots there are, by their fingerprints, and how hosts come to trust them.

use clap::{Parser, Subcommand};

use super::files;
use crate::Global;
use crate::failure::Failure;

mod bootstrap;
mod fetch;
mod install;
mod show;

#[derive(Parser)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Show roots and their fingerprints
    #[command(after_help = show::AFTER)]
    Show(show::Args),
    /// Have this host, a Java keystore or an NSS database trust roots
    #[command(after_help = install::AFTER)]
    Install(install::Args),
    /// Take exactly those out again
    #[command(after_help = install::AFTER_UNINSTALL)]
    Uninstall(install::Args),
    /// Get the root of a server by its fingerprint, on a host that has nothing of it yet
    #[command(after_help = bootstrap::AFTER)]
    Bootstrap(bootstrap::Args),
}

/// Runs `chancery trust`.
pub async fn run(args: Args, global: &Global) -> Result<(), Failure> {
    match args.what {
        What::Show(args) => show::run(&args, global).await,
        What::Install(args) => install::run(&args, global, install::Act::Install),
        What::Uninstall(args) => install::run(&args, global, install::Act::Uninstall),
        What::Bootstrap(args) => bootstrap::run(args, global).await,
    }
}
