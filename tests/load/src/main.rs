//! `chancery-load`: the load client as a program, against a running server; `seed` fills a register, `fleet` compares a server
//! over a small register and a large one; `acme` does so with whole ACME orders; `ocsp` and `secrets` compare OCSP and readings of secrets with a
//! static body, and the latter with a peer.

mod reading;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use load::{Load, acme, compare, crl, drill, ocsp, run, seed};

/// Issue certificates over HTTPS as fast as the server answers; prints rate, p50, p99, errors, the server's memory
#[derive(Parser)]
#[command(subcommand_negates_reqs = true, args_conflicts_with_subcommands = true)]
struct Args {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    client: Option<ClientArgs>,
}

#[derive(Subcommand)]
enum What {
    Seed(SeedArgs),
    Fleet(FleetArgs),
    Acme(AcmeArgs),
    Drill(DrillArgs),
    Crl(CrlArgs),
    Ocsp(OcspArgs),
    Secrets(reading::SecretsArgs),
}

/// Fill a register that `chancery init` made, as a service would have but for the key; its server must not run
#[derive(clap::Args)]
struct SeedArgs {
    /// DIR/chancery.toml
    #[arg(long)]
    config: PathBuf,
    /// How many certificates
    #[arg(long)]
    certificates: u64,
    /// How many of them are revoked
    #[arg(long, default_value_t = 0)]
    revoked: u64,
    /// How many of them the server is to renew
    #[arg(long, default_value_t = 0)]
    renewing: u64,
    /// How many of them begun up to four months ago: some have expired, some are due, some took another's place
    #[arg(long, default_value_t = 0)]
    aged: u64,
    /// How many owners they are of, in turn: `default`, and others that only the register knows
    #[arg(long, default_value_t = 1)]
    owners: u64,
    /// How many finished ACME orders
    #[arg(long, default_value_t = 0)]
    orders: u64,
    /// How many ACME accounts they are of
    #[arg(long, default_value_t = 50)]
    accounts: u64,
    /// Keep the keys of those accounts in this file, and make the accounts also where there are no orders
    #[arg(long)]
    account_keys: Option<PathBuf>,
    /// Also into a register with certificates that were not seeded
    #[arg(long)]
    into_existing: bool,
}

/// Compare a server over a small register and over a large one, in one run: pages, starts, ends, issuance, revocation, memory
#[derive(clap::Args)]
struct FleetArgs {
    /// The server's program
    #[arg(long, default_value = "target/release/chancery")]
    server: PathBuf,
    /// Certificates of the large register
    #[arg(long)]
    certificates: u64,
    /// Certificates of the small one
    #[arg(long, default_value_t = 1_000)]
    small: u64,
    /// Of a hundred certificates so many are revoked
    #[arg(long, default_value_t = 10)]
    revoked_percent: u64,
    /// Owners of the certificates of the large register
    #[arg(long, default_value_t = 1)]
    owners: u64,
    /// Finished ACME orders in the large register
    #[arg(long, default_value_t = 0)]
    orders: u64,
    /// Rounds of issuance for each
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Seconds of a round
    #[arg(long, default_value_t = 2)]
    round_secs: u64,
    /// Keep both registers in this folder; those that stand there are taken as they are
    #[arg(long)]
    dir: Option<PathBuf>,
}

/// Whole ACME orders, newOrder to the certificate, each proven by http-01: the first ones of an empty register, and as many of one
/// that has many finished orders, in turns
#[derive(clap::Args)]
struct AcmeArgs {
    /// The server's program
    #[arg(long, default_value = "target/release/chancery")]
    server: PathBuf,
    /// Orders of a round
    #[arg(long, default_value_t = 500)]
    orders: u64,
    /// Callers, each with one connection
    #[arg(long, default_value_t = 16)]
    callers: usize,
    /// Finished orders that the other register has
    #[arg(long, default_value_t = 100_000)]
    seeded: u64,
    /// ACME accounts of each register
    #[arg(long, default_value_t = 50)]
    accounts: u64,
    /// Rounds, each with a new empty register
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Keep the register with many orders in this folder; one that stands there is taken as it is
    #[arg(long)]
    dir: Option<PathBuf>,
}

/// A timed drill: seed certificates that the server renews, mark them all at once, and wait until each has a successor
#[derive(clap::Args)]
struct DrillArgs {
    /// The server's program
    #[arg(long, default_value = "target/release/chancery")]
    server: PathBuf,
    /// How many certificates
    #[arg(long, default_value_t = 100_000)]
    certificates: u64,
    /// And no longer than this many seconds
    #[arg(long, default_value_t = 3_600)]
    most_secs: u64,
    /// Keep the register in this folder
    #[arg(long)]
    dir: Option<PathBuf>,
}

/// OCSP responses from memory beside a static body of the same server, in turns; and what one in memory takes
#[derive(clap::Args)]
struct OcspArgs {
    /// The server's program
    #[arg(long, default_value = "target/release/chancery")]
    server: PathBuf,
    /// Certificates, each asked for
    #[arg(long, default_value_t = 10_000)]
    certificates: u64,
    /// Keep-alive clients
    #[arg(long, default_value_t = 64)]
    clients: usize,
    /// Rounds of each
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Seconds of a round
    #[arg(long, default_value_t = 3)]
    round_secs: u64,
}

/// CRLs of a large issuer beside the signature of a token and the disk alone; and which CRLs move when an issuer is made, and when one
/// certificate is revoked whose issuer's revocations are parted
#[derive(clap::Args)]
struct CrlArgs {
    /// The server's program
    #[arg(long, default_value = "target/release/chancery")]
    server: PathBuf,
    /// Certificates of the register
    #[arg(long, default_value_t = 1_000_000)]
    certificates: u64,
    /// So many of them are revoked
    #[arg(long, default_value_t = 100_000)]
    revoked: u64,
    /// Into how many CRLs the revocations of the issuer that is made are parted
    #[arg(long, default_value_t = 16)]
    shards: u16,
    /// Revocations, each with its CRL
    #[arg(long, default_value_t = 15)]
    rounds: u32,
    /// Keep the register in this folder; one that stands there is taken as it is
    #[arg(long)]
    dir: Option<PathBuf>,
}

#[derive(clap::Args)]
struct ClientArgs {
    /// HOST:PORT of the server's HTTPS
    #[arg(long, default_value = "127.0.0.1:8443")]
    address: String,
    /// The name in its certificate
    #[arg(long, default_value = "localhost")]
    server_name: String,
    /// Roots (PEM)
    #[arg(long)]
    cacert: PathBuf,
    /// File with an API token that may issue
    #[arg(long)]
    token_file: PathBuf,
    /// Owner of the certificates
    #[arg(long, default_value = "default")]
    owner: String,
    /// The domain below which the hosts are; the owner's rules must allow their names
    #[arg(long, default_value = "example.internal")]
    domain: String,
    /// Hosts, each with its own name and key, that ask one after the other and then again
    #[arg(long, default_value_t = 4096)]
    hosts: u32,
    /// Keep-alive clients
    #[arg(long, default_value_t = 64)]
    clients: usize,
    /// Certificates in all
    #[arg(long, default_value_t = 100_000)]
    count: u64,
    /// And no longer than this many seconds
    #[arg(long, default_value_t = 600)]
    most_secs: u64,
    /// The server's process id, to watch its memory
    #[arg(long)]
    pid: Option<u32>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        eprintln!("another TLS provider was installed first");
        return ExitCode::FAILURE;
    }
    match (args.what, args.client) {
        (Some(What::Seed(args)), _) => said(seed_register(args)),
        (Some(What::Fleet(args)), _) => said(compare_servers(args)),
        (Some(What::Acme(args)), _) => said(order(args)),
        (Some(What::Drill(args)), _) => said(replace(args)),
        (Some(What::Crl(args)), _) => said(publish(args)),
        (Some(What::Ocsp(args)), _) => said(ask(args)),
        (Some(What::Secrets(args)), _) => said(reading::run(args)),
        (None, Some(args)) => load_server(args),
        (None, None) => said::<&str>(Err("--cacert and --token-file are needed; see --help".into())),
    }
}

/// The result, or why there is none.
fn said<T: std::fmt::Display>(outcome: Result<T, String>) -> ExitCode {
    match outcome {
        Ok(result) => {
            println!("{result}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn seed_register(args: SeedArgs) -> Result<seed::Seeded, String> {
    let wish = seed::Wish {
        config: args.config,
        certificates: args.certificates,
        revoked: args.revoked,
        renewing: args.renewing,
        aged: args.aged,
        owners: args.owners,
        orders: args.orders,
        accounts: args.accounts,
        account_keys: args.account_keys,
        into_existing: args.into_existing,
    };
    seed::run(&wish).map_err(|e| e.to_string())
}

fn compare_servers(args: FleetArgs) -> Result<compare::Table, String> {
    let wish = compare::Wish {
        server: args.server,
        seeder: std::env::current_exe().map_err(|e| e.to_string())?,
        dir: args.dir,
        small: args.small,
        large: args.certificates,
        revoked_percent: args.revoked_percent,
        owners: args.owners,
        orders: args.orders,
        rounds: args.rounds,
        round: Duration::from_secs(args.round_secs),
    };
    runtime()?.block_on(compare::run(&wish)).map_err(|e| e.to_string())
}

fn order(args: AcmeArgs) -> Result<acme::Table, String> {
    let AcmeArgs { server, orders, callers, seeded, accounts, rounds, dir } = args;
    let seeder = std::env::current_exe().map_err(|e| e.to_string())?;
    let wish = acme::Wish { server, seeder, dir, orders, callers, seeded, accounts, rounds };
    runtime()?.block_on(acme::run(&wish)).map_err(|e| e.to_string())
}

fn replace(args: DrillArgs) -> Result<drill::Timed, String> {
    let DrillArgs { server, certificates, most_secs, dir } = args;
    let seeder = std::env::current_exe().map_err(|e| e.to_string())?;
    let wish = drill::Wish { server, seeder, certificates, most: Duration::from_secs(most_secs), dir };
    runtime()?.block_on(drill::run(&wish)).map_err(|e| e.to_string())
}

fn publish(args: CrlArgs) -> Result<crl::Table, String> {
    let CrlArgs { server, certificates, revoked, shards, rounds, dir } = args;
    let seeder = std::env::current_exe().map_err(|e| e.to_string())?;
    let wish = crl::Wish { server, seeder, certificates, revoked, shards, rounds, dir };
    runtime()?.block_on(crl::run(&wish)).map_err(|e| e.to_string())
}

fn ask(args: OcspArgs) -> Result<ocsp::Table, String> {
    let OcspArgs { server, certificates, clients, rounds, round_secs } = args;
    let seeder = std::env::current_exe().map_err(|e| e.to_string())?;
    let wish = ocsp::Wish { server, seeder, certificates, clients, rounds, round: Duration::from_secs(round_secs) };
    runtime()?.block_on(ocsp::run(&wish)).map_err(|e| e.to_string())
}

fn runtime() -> Result<tokio::runtime::Runtime, String> {
    tokio::runtime::Runtime::new().map_err(|e| e.to_string())
}

fn load_server(args: ClientArgs) -> ExitCode {
    let read = |path: &PathBuf| std::fs::read(path).map_err(|e| eprintln!("{}: {e}", path.display()));
    let (Ok(roots_pem), Ok(token)) = (read(&args.cacert), read(&args.token_file)) else {
        return ExitCode::FAILURE;
    };
    let load = Load {
        address: args.address,
        server_name: args.server_name,
        roots_pem,
        token: String::from_utf8_lossy(&token).trim().to_owned(),
        owner: args.owner,
        domain: args.domain,
        hosts: args.hosts,
        clients: args.clients,
        count: args.count,
        most: Duration::from_secs(args.most_secs),
        pid: args.pid,
    };
    let report = runtime().and_then(|runtime| runtime.block_on(run(&load)).map_err(|e| e.to_string()));
    let clean = report.as_ref().is_ok_and(|report| report.errors.is_empty());
    let code = said(report);
    if clean { code } else { ExitCode::FAILURE }
}
