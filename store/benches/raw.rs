//! Raw group-commit operations per second: one operation is one intend and its conclude, durable each, with everything the real
//! path writes (rows, indexes, leaves, tiles) but a constant in place of the token's signature.
//!
//! `cargo bench -p chancery-store --bench raw [-- --seconds 10 --callers 64]`

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hsm::testing::TestToken;
use hsm::{Key, KeyKind, Message};
use policy::{Owner, Timestamp, Validity, World};
use store::testing::TestPostgres;
use store::{ActorStamp, Database, Entry, GrantStamp, Kind, Ledger, LogConfig};

/// A P-256 TLS certificate's TBS, roughly.
const TBS_BYTES: usize = 700;
/// A DER P-256 signature, at most.
const SIGNATURE: [u8; 72] = [0x30; 72];

struct Plan {
    duration: Duration,
    callers: u64,
}

fn main() {
    let plan = Plan { duration: Duration::from_secs(argument("--seconds", 10)), callers: argument("--callers", 64) };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let dir = tempfile::tempdir_in(std::env::current_dir().expect("a directory")).expect("a directory on this disk");
    let sqlite = Database::Sqlite(dir.path().join("register.db"));
    runtime.block_on(measure("sqlite", &sqlite, &plan));
    let postgres = TestPostgres::start();
    runtime.block_on(measure("postgresql", &postgres.database(), &plan));
}

fn argument(name: &str, otherwise: u64) -> u64 {
    let mut arguments = std::env::args().skip_while(|argument| argument != name).skip(1);
    arguments.next().map_or(otherwise, |value| value.parse().expect("a number"))
}

async fn measure(engine: &str, database: &Database, plan: &Plan) {
    let token = TestToken::new("bench");
    let (pool, mint) = hsm::open(token.config()).expect("a token");
    let key = pool.generate("bench", KeyKind::P256).await.expect("a key");
    let log = LogConfig { origin: "bench.example/log".into(), state: None, instance: None };
    let ledger = Ledger::found(database.clone(), (&pool, mint), log, World::real()).await.expect("a register");
    let (number, end) = (Arc::new(AtomicU64::new(0)), Instant::now() + plan.duration);
    let mut callers = tokio::task::JoinSet::new();
    let start = Instant::now();
    for _ in 0..plan.callers {
        let (ledger, key, number) = (ledger.clone(), key.clone(), Arc::clone(&number));
        callers.spawn(async move {
            let mut latencies = Vec::new();
            while Instant::now() < end {
                let begun = Instant::now();
                let entry = entry(&key, number.fetch_add(1, Ordering::Relaxed));
                let intent = ledger.intend(entry).await.expect("durable");
                ledger.conclude_unsigned(intent, SIGNATURE.to_vec()).await.expect("durable");
                latencies.push(begun.elapsed());
            }
            latencies
        });
    }
    let mut latencies = callers.join_all().await.concat();
    let elapsed = start.elapsed();
    latencies.sort_unstable();
    let at = |percent: usize| latencies[(latencies.len() - 1) * percent / 100].as_secs_f64() * 1_000.0;
    println!(
        "store raw {engine}: {:.0} operations/s ({} callers, {:.1} s, p50 {:.2} ms, p99 {:.2} ms)",
        latencies.len() as f64 / elapsed.as_secs_f64(),
        plan.callers,
        elapsed.as_secs_f64(),
        at(50),
        at(99),
    );
    ledger.close().await;
    pool.shutdown();
}

fn entry(key: &Key, n: u64) -> Entry {
    // Serials and key hashes of real life are random, and so are the index pages they touch.
    let spread = |salt: u64| n.wrapping_add(salt).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
    let mut tbs = vec![0x30; TBS_BYTES];
    tbs[..8].copy_from_slice(&n.to_be_bytes());
    Entry {
        kind: Kind::Certificate,
        actor: ActorStamp { id: "token:bench".into(), proof: "token".into(), proof_id: "0123456789abcdef".into() },
        grant: GrantStamp { action: "issue-certificate".into(), rule: "issuer".into(), policy_hash: [7; 32] },
        profile: "tls-server".into(),
        profile_hash: [9; 32],
        key: key.clone(),
        message: Message::from(tbs),
        serial: [&[1, 1][..], &spread(1), &n.to_be_bytes()[2..]].concat(),
        issuer: "tls".into(),
        owner: Owner::parse("web").ok(),
        subject: format!("CN=host{n}.example"),
        names: vec![format!("dns:host{n}.example")],
        key_hash: [spread(2), spread(3), spread(4), spread(5)].concat().try_into().expect("32 bytes"),
        validity: Some(Validity::starting(Timestamp::from_unix(1_790_000_000 + n as i64 / 1_000), 7_776_000)),
        covers: None,
        renews: None,
        details: serde_json::json!({ "renew": false }),
    }
}
