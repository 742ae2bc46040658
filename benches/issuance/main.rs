//! What an issuance costs beside what it stands on, in one run on one machine: `cargo bench`.
//!
//! Four rates, each the median of several interleaved rounds, since a time alone proves nothing on a shared machine:
//! the token's raw P-256 signatures through the pool (each verified), the store's raw group-commit operations (an intent
//! and its conclusion, both durable, with a made-up signature), issuance as library calls, and issuance over HTTPS by the
//! built server with 64 keep-alive clients. 64 callers inside a process, the audit log on, SQLite with synchronous=FULL.
//! `cargo bench --bench issuance -- cpu` counts CPU time instead (cpu.rs).
//! The certificates are those of 4,096 hosts, each with a name and a key of its own; so are the store's rows.

use std::sync::Arc;
use std::time::Duration;

use store::testing::median;
use subjects::{Library, RawStore, RawToken, Server};

mod cpu;
mod subjects;

/// Callers inside one process where `--callers N` says nothing: as many as there are clients over HTTPS.
const CALLERS: usize = 64;
/// Keep-alive clients over HTTPS.
const CLIENTS: usize = 64;
const HOSTS: u32 = 4_096;
const DOMAIN: &str = "example.internal";
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(3);

fn main() {
    // `cargo test --benches` runs this too, to see that it builds.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    rustls::crypto::ring::default_provider().install_default().expect("the only provider");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let asked = |word: &str| std::env::args().any(|argument| argument == word);
    match (asked("cpu"), asked("library")) {
        (true, _) => runtime.block_on(cpu::measure(callers())),
        (_, true) => runtime.block_on(library(callers())),
        _ => runtime.block_on(measure(callers())),
    }
}

/// `cargo bench --bench issuance -- --callers 64`
fn callers() -> usize {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--callers");
    arguments.nth(1).map_or(CALLERS, |number| number.parse().expect("--callers takes a number"))
}

async fn measure(callers: usize) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    eprintln!("preparing: tokens, registers, a server");
    let token = Arc::new(RawToken::new().await);
    let store = Arc::new(RawStore::new(folder.path()).await);
    let library = Arc::new(Library::new(folder.path()).await);
    let mut server = Server::start(folder.path());

    let (mut tokens, mut stores, mut libraries, mut https) = (vec![], vec![], vec![], vec![]);
    let mut latencies = Vec::new();
    let mut errors = 0;
    for round in 1..=ROUNDS {
        eprintln!("round {round} of {ROUNDS}");
        tokens.push(rate(callers, &token, RawToken::sign).await);
        stores.push(rate(callers, &store, RawStore::operation).await);
        libraries.push(rate(callers, &library, Library::issue).await);
        let report = server.load().await;
        https.push(report.rate());
        errors += report.errors.values().sum::<u64>();
        latencies.extend(report.latencies_us);
    }
    server.stop();
    latencies.sort_unstable();
    let whole = load::Report { latencies_us: latencies, ..load::Report::default() };

    let (token, store, library, https) = (median(tokens), median(stores), median(libraries), median(https));
    let lesser = token.min(store);
    println!("| what | per second | of the lesser raw rate |");
    println!("|---|---|---|");
    println!("| the token: raw P-256 signatures through the pool, verified, {callers} callers | {token:.0} | |");
    println!(
        "| the store: raw operations (intent and conclusion, durable), SQLite, {callers} callers | {store:.0} | |"
    );
    println!(
        "| issuance, library calls, log on, {callers} callers | {library:.0} | {:.0} % |",
        100.0 * library / lesser
    );
    println!(
        "| issuance over HTTPS, log on, {CLIENTS} keep-alive clients | {https:.0} | {:.0} % |",
        100.0 * https / lesser
    );
    println!();
    println!(
        "HTTPS latency: p50 {:.1} ms, p99 {:.1} ms; errors: {errors}",
        whole.percentile_ms(50.0),
        whole.percentile_ms(99.0)
    );
}

/// The library alone, for a profiler: `perf record -- cargo bench --bench issuance -- library`.
async fn library(callers: usize) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let library = Arc::new(Library::new(folder.path()).await);
    for _ in 0..ROUNDS {
        println!("{:.0} a second", rate(callers, &library, Library::issue_from_bytes).await);
    }
}

/// How often per second the callers can do `act`, one after the other each.
async fn rate<T, F>(callers: usize, subject: &Arc<T>, act: fn(&T, u64) -> F) -> f64
where
    T: Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let subject = Arc::clone(subject);
    store::testing::rate(callers, ROUND, move |number| act(&subject, number)).await.expect("the callers come home")
}
