//! `chancery helper`: secrets for programs that ask in a way of their own: git, docker, ssh, libpq, MariaDB's clients, curl, systemd.
//!
//! Which secret is for whom says one file (`map`), and nothing else does: whatever it does not name is not shown. References, the sealed cache
//! and environments are those of `run`, `inject` and `read`. docs/HELPERS.md has the line that configures each program.

mod askpass;
mod credentials;
mod docker;
mod git;
mod map;
mod opened;
mod store;
mod table;

use std::ffi::OsString;
use std::path::Path;

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
    /// A credential helper of git: get, store, erase
    #[command(after_help = git::HELP)]
    Git(git::Args),
    /// A credential helper of docker: get, list, store, erase
    #[command(after_help = docker::HELP)]
    Docker(docker::Args),
    /// Answer what ssh and ssh-add ask (SSH_ASKPASS)
    #[command(after_help = askpass::HELP)]
    Askpass(askpass::Args),
    /// Write a .pgpass, which psql and whatever uses libpq reads
    #[command(after_help = table::HELP)]
    Pgpass(table::Args),
    /// Write a my.cnf, which the clients of MariaDB and MySQL read
    #[command(after_help = table::HELP)]
    Mycnf(table::Args),
    /// Write a .netrc, which curl reads
    #[command(after_help = table::HELP)]
    Netrc(table::Args),
    /// Give units of systemd their credentials, from a socket that LoadCredential= names
    #[command(after_help = credentials::HELP)]
    Credentials(credentials::Args),
}

/// Runs `chancery helper`.
pub async fn run(args: Args, global: &Global) -> Result<(), Failure> {
    match args.what {
        What::Git(args) => git::run(args, global).await,
        What::Docker(args) => docker::run(args, global).await,
        What::Askpass(args) => askpass::run(args, global).await,
        What::Pgpass(args) => table::run(args, table::Kind::Pgpass, global).await,
        What::Mycnf(args) => table::run(args, table::Kind::Mycnf, global).await,
        What::Netrc(args) => table::run(args, table::Kind::Netrc, global).await,
        What::Credentials(args) => credentials::run(args, global).await,
    }
}

/// The command line, where this program is called by a name of a helper's: some programs name a file, and pass no words of ours.
pub fn called(mut words: Vec<OsString>) -> Vec<OsString> {
    let name = words.first().and_then(|first| Path::new(first).file_name()).and_then(|name| name.to_str());
    let helper = match name {
        Some("git-credential-chancery") => "git",
        Some("docker-credential-chancery") => "docker",
        Some("chancery-askpass") => "askpass",
        Some(_) | None => return words,
    };
    let rest = words.split_off(1);
    ["chancery", "helper", helper].into_iter().map(OsString::from).chain(rest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_a_helper_by_its_name() {
        let called = |words: &[&str]| super::called(words.iter().map(OsString::from).collect());
        assert_eq!(called(&["/usr/bin/docker-credential-chancery", "get"]), ["chancery", "helper", "docker", "get"]);
        assert_eq!(called(&["chancery-askpass", "Enter"]), ["chancery", "helper", "askpass", "Enter"]);
        assert_eq!(called(&["git-credential-chancery", "erase"]), ["chancery", "helper", "git", "erase"]);
        assert_eq!(called(&["/usr/bin/chancery", "get"]), ["/usr/bin/chancery", "get"]);
        assert!(called(&[]).is_empty());
    }
}
