//! `chancery-load`: the load client as a program, against a running server.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use load::{Load, run};

/// Issue certificates over HTTPS as fast as the server answers; prints rate, p50, p99, errors, the server's memory
#[derive(Parser)]
struct Args {
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

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        eprintln!("another TLS provider was installed first");
        return ExitCode::FAILURE;
    }
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
    match run(&load).await {
        Ok(report) => {
            println!("{report}");
            if report.errors.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
