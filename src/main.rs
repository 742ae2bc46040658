//! The one binary: parses, dispatches, and turns a failure into a sentence and an exit code.

#![forbid(unsafe_code)]

mod client;
mod cmd;
mod config;
mod failure;
mod files;
mod hardening;
mod house;
mod logging;
mod misuse;
mod output;
mod parts;
mod reading;
mod second;
mod terminal;
mod trust;
mod written;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use failure::{Exit, Failure, OrFail};
use logging::Log;

/// What a request allocates on one thread, the writer of the register frees on another. What is freed is wiped: libraries of TLS, HTTP and
/// JSON hold what they answer, and leave no copy of it to whoever sees this memory later.
#[global_allocator]
static ALLOCATOR: zeroizing_alloc::ZeroAlloc<mimalloc::MiMalloc> = zeroizing_alloc::ZeroAlloc(mimalloc::MiMalloc);

const ABOUT: &str = "A certificate authority whose keys live in an HSM and whose every signature can be proved";

const AFTER: &str = "\
First steps, beside whatever has the ports 8443 and 8080:
  (umask 077; openssl rand -hex 8 > pin; openssl rand -hex 8 > so-pin)
  chancery init ./my-ca --module /usr/lib/softhsm/libsofthsm2.so \\
    --token-label first-ca --create-token so-pin --pin-file pin \\
    --https 127.0.0.1:9443 --http 127.0.0.1:9080
  chancery --config ./my-ca/chancery.toml serve
  # and in another terminal:
  export CHANCERY_CONFIG=./my-ca/chancery.toml
  chancery issue tls localhost --out ./first
  chancery certs list --expiring 60d
  chancery audit verify

Exit codes:
  0 done   1 failed   2 wrong usage   3 refused
  4 unavailable now: it says what to wait for or to do
  5 audit verify, lint, status, check or restore found something
  6 audit verify found nothing, and no key said whose log it is

With --json a failure is one JSON object on standard error: \"error\" says what failed, \"exit\" is the exit code; \
\"because\" (the causes) and \"try\" (what to do) stand in it where there is more to say.";

#[derive(Parser)]
#[command(name = "chancery", version, about = ABOUT, after_help = AFTER, propagate_version = true)]
struct Cli {
    /// The server's configuration (or CHANCERY_CONFIG); client commands look for client.toml beside it
    #[arg(long, value_name = "FILE", hide_env = true, env = "CHANCERY_CONFIG", global = true)]
    config: Option<PathBuf>,
    /// Print JSON instead of tables; errors too, on standard error
    #[arg(long, global = true)]
    json: bool,
    #[command(flatten)]
    connection: client::Connection,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Create the keys in the HSM, the CAs, the register and the first administrator
    Init(cmd::init::Args),
    /// Run the server: HTTPS (REST, ACME, dashboard) and plain HTTP (CRL, AIA)
    Serve,
    /// Issue a TLS server, TLS client or code-signing certificate
    Issue(cmd::issue::Args),
    /// Requests that others approve before they are signed: list, approve, refuse, collect
    Request(cmd::request::Args),
    /// SSH user and host certificates
    Ssh(cmd::ssh::Args),
    /// Sign a file with a code-signing key that lives in the HSM
    Sign(cmd::sign::Args),
    /// Issuers: their generations, successors, ends
    Ca(cmd::ca::Args),
    /// An offline root: its key, what it signs, its CRLs, by a script for a roomful of people
    Ceremony(cmd::ceremony::Args),
    /// Have a part of what was issued replaced before its time, and see how far that is
    Drill(cmd::drill::Args),
    /// What was issued, to whom, and when it expires
    Certs(cmd::certs::Args),
    /// The log of every signing operation: read it, prove it, verify it
    Audit(cmd::audit::Args),
    /// Show any certificate, request, CRL, key, or what a host serves
    Inspect(cmd::inspect::Args),
    /// What a certificate, a CRL or an OCSP response breaks, whoever made it
    Lint(cmd::lint::Args),
    /// API tokens: create, list, revoke
    Token(cmd::token::Args),
    /// The second factor of administrators: enrol a device, prove it, replace it
    Mfa(cmd::mfa::Args),
    /// Profiles: list, check, show, try a request out, replay the past under a change
    Profile(cmd::profile::Args),
    /// Owners: which names are whose, and by which rule
    Owner(cmd::owner::Args),
    /// The time: what is held against this host's clock, and the way back
    Clock(cmd::clock::Args),
    /// Whether all is well: the server, its tokens and issuers, alarms with what to do, what ends next
    Status(cmd::status::Args),
    /// Keep certificates and secrets fresh on this host
    Agent(cmd::agent::Args),
    /// Back up register, log and sealed data as one file that named recipients can read
    Backup(cmd::backup::Args),
    /// Put a backup into an empty database, or try one out (--drill)
    Restore(cmd::restore::Args),
    /// Examine the HSM: module, token, mechanisms, keys, a test signature
    Doctor,
    /// Secrets: write, read, list, go back, take out of use
    Secret(cmd::secret::Args),
    /// An access review of the secrets: who may read, who did, what is old, unowned, unused
    Report(cmd::report::Args),
    /// Encrypt, sign and authenticate with keys that nobody is shown
    Transit(cmd::transit::Args),
    /// Run a program with secrets: in memory, masked in what it prints, gone with it
    Run(cmd::deliver::run::Args),
    /// Print one secret
    Read(cmd::deliver::read::Args),
    /// Whether what this folder's application needs is there and can be read, without reading it
    Check(cmd::check::Args),
    /// Put secrets into a text that refers to them
    Inject(cmd::deliver::inject::Args),
    /// Secrets for git, docker, ssh, psql, mariadb, curl and systemd, as each of them asks
    Helper(cmd::helper::Args),
    /// The secrets without the token: a key that a few people hold in shares, and the way back by it
    Recovery(cmd::recovery::Args),
    /// Roots: their fingerprints, and how hosts come to trust them
    Trust(cmd::trust::Args),
    /// Remember a server and a token for this user
    Login(cmd::login::Args),
    /// Print what makes a shell complete these commands
    #[command(after_help = cmd::paper::COMPLETION)]
    Completion(cmd::paper::Completion),
    /// Write the manual's pages, one for each command
    #[command(after_help = cmd::paper::MAN)]
    Man(cmd::paper::Man),
}

/// What every command gets beside its own arguments.
#[derive(Clone)]
pub struct Global {
    /// `--config`
    pub config: Option<PathBuf>,
    /// `--json`
    pub json: bool,
    /// How to reach a server.
    pub connection: client::Connection,
    /// What is logged.
    pub log: Log,
}

impl Global {
    /// A client of the server these flags name.
    pub fn client(&self) -> Result<client::Client, Failure> {
        client::Client::connect(&self.connection, self.config.as_deref())
    }

    /// The server's configuration, for the commands that open the house themselves.
    pub fn config(&self) -> Result<config::Config, Failure> {
        let file = self.config.as_deref().ok_or_else(|| {
            Failure::new(Exit::Usage, "no configuration is named")
                .help("pass --config DIR/chancery.toml or set CHANCERY_CONFIG")
        })?;
        config::Config::load(file)
    }
}

fn main() -> ExitCode {
    // `run` has helpers of its own, which are this program.
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    if let Some(code) = delivery::step(&words) {
        return ExitCode::from(code);
    }
    hardening::close_memory();
    // A link to this program is a helper by its name.
    let words = cmd::helper::called(std::env::args_os().collect());
    let parsed = command().try_get_matches_from(words).and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(misuse) => return misuse::told(misuse),
    };
    let as_json = cli.json;
    // What could not be printed did not arrive, whatever was done.
    match run(cli).and_then(|()| output::written()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.is_told() {
                output::say(&if as_json { failure.json().to_string() } else { failure.to_string() });
            }
            ExitCode::from(failure.exit() as u8)
        }
    }
}

/// The command line. An environment variable that is empty counts as unset.
fn command() -> clap::Command {
    Cli::command().mut_args(|argument| {
        let empty = argument.get_env().is_some_and(|name| client::variable(&name.to_string_lossy()).is_none());
        if empty { argument.env(None::<&str>) } else { argument }
    })
}

fn run(cli: Cli) -> Result<(), Failure> {
    let server = matches!(cli.command, Command::Serve | Command::Agent(_));
    let log = Log::begin(server, cli.json);
    if matches!(
        cli.command,
        Command::Init(_)
            | Command::Serve
            | Command::Audit(_)
            | Command::Ceremony(_)
            | Command::Backup(_)
            | Command::Restore(_)
            | Command::Recovery(_)
    ) {
        hardening::own_files();
    }
    // One crypto provider in the whole process; it cannot be installed twice, and nothing ran before.
    if tls::provider().install_default().is_err() {
        return Err(Failure::new(Exit::Failed, "another TLS provider was installed first"));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().or_fail("cannot start threads")?;
    let result = runtime.block_on(dispatch(cli, log.clone()));
    runtime.shutdown_background();
    log.finish();
    result
}

async fn dispatch(cli: Cli, log: Log) -> Result<(), Failure> {
    let global = Global { config: cli.config, json: cli.json, connection: cli.connection, log };
    match cli.command {
        Command::Init(args) => cmd::init::run(args, &global).await,
        Command::Serve => cmd::serve::run(global).await,
        Command::Issue(args) => cmd::issue::run(args, &global).await,
        Command::Request(args) => cmd::request::run(args, &global).await,
        Command::Ssh(args) => cmd::ssh::run(args, &global).await,
        Command::Sign(args) => cmd::sign::run(args, &global).await,
        Command::Ca(args) => cmd::ca::run(args, &global).await,
        Command::Ceremony(args) => cmd::ceremony::run(args, &global).await,
        Command::Drill(args) => cmd::drill::run(args, &global).await,
        Command::Certs(args) => cmd::certs::run(args, &global).await,
        Command::Audit(args) => cmd::audit::run(args, &global).await,
        Command::Inspect(args) => cmd::inspect::run(args, &global).await,
        Command::Lint(args) => cmd::lint::run(&args, &global),
        Command::Token(args) => cmd::token::run(args, &global).await,
        Command::Mfa(args) => cmd::mfa::run(args, &global).await,
        Command::Profile(args) => cmd::profile::run(args, &global).await,
        Command::Owner(args) => cmd::owner::run(args, &global).await,
        Command::Clock(args) => cmd::clock::run(args, &global).await,
        Command::Status(_) => cmd::status::run(&global).await,
        Command::Agent(args) => cmd::agent::run(args).await,
        Command::Backup(args) => cmd::backup::run(args, &global).await,
        Command::Restore(args) => cmd::restore::run(args, &global).await,
        Command::Doctor => cmd::doctor::run(&global).await,
        Command::Secret(args) => cmd::secret::run(args, &global).await,
        Command::Report(args) => cmd::report::run(args, &global).await,
        Command::Transit(args) => cmd::transit::run(args, &global).await,
        Command::Run(args) => cmd::deliver::run::run(args, &global).await,
        Command::Read(args) => cmd::deliver::read::run(args, &global).await,
        Command::Check(args) => cmd::check::run(args, &global).await,
        Command::Inject(args) => cmd::deliver::inject::run(args, &global).await,
        Command::Helper(args) => cmd::helper::run(args, &global).await,
        Command::Recovery(args) => cmd::recovery::run(args, &global).await,
        Command::Trust(args) => cmd::trust::run(args, &global).await,
        Command::Login(args) => cmd::login::run(args, &global).await,
        Command::Completion(args) => cmd::paper::complete(&args, command()),
        Command::Man(args) => cmd::paper::manual(&args, command()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every command, with those below it.
    fn all(command: &clap::Command) -> Vec<&clap::Command> {
        let below = command.get_subcommands().flat_map(all);
        std::iter::once(command).chain(below).collect()
    }

    /// What is typed stands on lines that no terminal of 80 columns breaks; what is read is broken by the terminal alone.
    #[test]
    fn an_example_can_be_copied_from_a_terminal_of_eighty_columns() {
        let command = command();
        for one in all(&command) {
            let Some(text) = one.get_after_help().map(ToString::to_string) else { continue };
            let lines: Vec<_> = text.lines().collect();
            for line in lines.iter().filter(|line| line.starts_with(' ')) {
                assert!(line.len() <= 78, "{}: {line}", one.get_name());
            }
            for two in lines.windows(2) {
                let read = two.iter().filter(|line| !line.is_empty() && !line.starts_with(' ')).count();
                assert!(read < 2, "{}: a paragraph is one line: {two:?}", one.get_name());
            }
        }
    }

    /// What the pages for operators have them type is what the program takes.
    #[test]
    fn every_command_of_the_pages_for_operators_is_one() {
        let pages = [
            include_str!("../docs/ISSUERS.md"),
            include_str!("../docs/TRUST.md"),
            include_str!("../docs/CEREMONY.md"),
            include_str!("../docs/RECOVERY.md"),
            include_str!("../docs/BACKUP.md"),
            include_str!("../docs/HELPERS.md"),
            include_str!("../deploy/systemd/chancery-credentials.service"),
            include_str!("../README.md"),
        ];
        let mut typed = 0;
        for text in pages {
            let whole = text.replace("\\\n", " ");
            for line in whole
                .lines()
                .map(|line| line.trim().trim_start_matches("ExecStart=/usr/bin/"))
                .filter(|line| line.starts_with("chancery ") && !line.contains("..."))
            {
                let line = line.split(" #").next().unwrap_or(line);
                let line =
                    line.split(['>', ';']).next().unwrap_or(line).replace(" SHA256", &format!(" {}", "ab".repeat(32)));
                command().try_get_matches_from(words(&line)).unwrap_or_else(|e| panic!("{line}: {e}"));
                typed += 1;
            }
        }
        assert!(typed > 40, "{typed} commands");
    }

    /// What `init --offline-root` has the operators type is what the program takes, and all that is needed.
    #[test]
    fn every_command_that_init_prints_below_an_offline_root_is_one() {
        let requests = ["ca/tls-1.csr", "ca/code-1.csr"].map(PathBuf::from);
        let [there, here] = cmd::init::below("ca/chancery.toml", &requests);
        for line in there.iter().chain(&here) {
            let line = line.replace("SHA256", &"ab".repeat(32));
            command().try_get_matches_from(words(&line)).unwrap_or_else(|e| panic!("{line}: {e}"));
        }
        assert_eq!((there.len(), here.len()), (2, 5));
        let here = here.join("\n");
        for word in ["import-crl", "adopt tls/1", "adopt code/1", "--transcript 003-intermediate.json", "serve"] {
            assert!(here.contains(word), "{word}: {here}");
        }
    }

    /// As a shell takes a line apart, with its quotes alone.
    fn words(line: &str) -> Vec<String> {
        let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
        for c in line.chars() {
            match (quote, c) {
                (Some(open), c) if c == open => quote = None,
                (None, '\'' | '"') => quote = Some(c),
                (None, ' ') => words.extend((!word.is_empty()).then(|| std::mem::take(&mut word))),
                (_, c) => word.push(c),
            }
        }
        words.extend((!word.is_empty()).then_some(word));
        words
    }
}
