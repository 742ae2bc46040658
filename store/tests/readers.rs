//! Readers: each lane waits for itself alone, none reads longer than it may, and none keeps the write-ahead log.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use hsm::Message;
use store::{Entry, Filter, Kind, StoreError};
use support::*;

/// Enough to keep both threads of the reports busy, and more.
const STUCK: usize = 4;

#[test]
fn a_report_that_does_not_end_is_ended_and_nobody_else_waits_for_it() {
    on_both(|database| async move {
        let house = Arc::new(House::open(&database).await);
        let issued = house.issue(1).await;
        let ended = Arc::new(AtomicU64::new(0));
        let mut stuck = tokio::task::JoinSet::new();
        for _ in 0..STUCK {
            let (house, ended) = (Arc::clone(&house), Arc::clone(&ended));
            stuck.spawn(async move {
                let outcome = house.ledger.read_without_end().await;
                ended.fetch_add(1, Ordering::SeqCst);
                outcome
            });
        }
        // Requests and authentication are answered before the first of them is.
        house.ledger.credential(&issued.serial_hex()).await.unwrap().unwrap();
        house.ledger.for_authentication().record_get("key", &house.log.fingerprint_hex()).await.unwrap().unwrap();
        assert_eq!(ended.load(Ordering::SeqCst), 0);
        while let Some(outcome) = stuck.join_next().await {
            let error = outcome.unwrap().unwrap_err();
            assert!(matches!(error, StoreError::Late { .. }), "{error:?}");
            assert!(error.to_string().contains("took longer than 5 s"), "{error}");
        }
        house.ledger.list(Filter::default()).await.unwrap();
    });
}

/// PostgreSQL holds no NUL in a text. Whoever asks with one is told so, and no promise is broken.
#[test]
fn a_text_that_the_engine_cannot_hold_is_the_askers_mistake() {
    let postgres = store::testing::TestPostgres::start();
    run(async {
        let house = House::open(&postgres.database()).await;
        let asked = house.ledger.list(Filter { name: Some("dns:\0".into()), ..Filter::default() }).await;
        assert!(matches!(asked, Err(StoreError::Invalid(_))), "{asked:?}");
        let asked = house.ledger.record_get("thing", "\0").await;
        assert!(matches!(asked, Err(StoreError::Invalid(_))), "{asked:?}");
        house.ledger.list(Filter::default()).await.unwrap();
    });
}

#[test]
fn a_shutdown_does_not_wait_for_what_is_asked_behind_a_report_that_does_not_end() {
    on_sqlite(|database| async move {
        let house = House::open(&database).await;
        let ledger = house.ledger.clone();
        let waiting: Vec<_> = (0..20)
            .map(|_| {
                let ledger = ledger.clone();
                tokio::spawn(async move { ledger.read_without_end().await })
            })
            .collect();
        while ledger.waiting_reports() < 18 {
            tokio::task::yield_now().await;
        }
        house.ledger.close().await;
        let mut closed = 0;
        for one in waiting {
            closed += usize::from(matches!(one.await.unwrap(), Err(StoreError::Closed)));
        }
        assert!(closed >= 18, "two at most were at work: {closed}");
    });
}

/// What the log may hold beside the register.
const LOG_BYTES: u64 = 256 << 20;
/// CRLs of a megabyte: more than the log may hold.
const CRLS: u64 = 300;

#[test]
fn the_write_ahead_log_stays_bounded_under_readers_that_do_not_end() {
    on_sqlite(|database| async move {
        let house = Arc::new(House::open(&database).await);
        let done = Arc::new(AtomicBool::new(false));
        let mut readers = tokio::task::JoinSet::new();
        for _ in 0..STUCK {
            let (house, done) = (Arc::clone(&house), Arc::clone(&done));
            readers.spawn(async move {
                while !done.load(Ordering::SeqCst) {
                    let _ = house.ledger.read_without_end().await;
                }
            });
        }
        let log = format!("{}-wal", path_of(&database).display());
        let mut longest = 0;
        for n in 1..=CRLS {
            let message = Message::from(vec![n as u8; 1 << 20]);
            let crl = Entry { kind: Kind::Crl, message, names: Vec::new(), ..house.entry(n) };
            let intent = house.ledger.intend(crl).await.unwrap();
            house.ledger.conclude_unsigned(intent, vec![1]).await.unwrap();
            longest = longest.max(std::fs::metadata(&log).unwrap().len());
        }
        done.store(true, Ordering::SeqCst);
        readers.join_all().await;
        assert!(longest < LOG_BYTES, "{} MiB", longest >> 20);
    });
}

/// A shell, a backup: nobody here can end it.
#[test]
fn another_programs_reader_is_told_of_while_it_keeps_the_write_ahead_log_and_no_longer() {
    on_sqlite(|database| async move {
        let house = House::open(&database).await;
        let foreign = rusqlite::Connection::open(path_of(&database)).unwrap();
        foreign.execute_batch("BEGIN; SELECT size FROM head;").unwrap();
        for n in 1..=CRLS {
            let message = Message::from(vec![n as u8; 1 << 20]);
            let crl = Entry { kind: Kind::Crl, message, names: Vec::new(), ..house.entry(n) };
            let intent = house.ledger.intend(crl).await.unwrap();
            house.ledger.conclude_unsigned(intent, vec![1]).await.unwrap();
        }
        let held = house.ledger.condition().held_log_bytes.expect("it is told of");
        assert!(held > CRLS << 20, "{} MiB", held >> 20);
        foreign.execute_batch("COMMIT").unwrap();
        // Nobody writes, and yet it is tried.
        while house.ledger.condition().held_log_bytes.is_some() {
            tokio::task::yield_now().await;
        }
        house.issue(CRLS + 1).await;
        let log = format!("{}-wal", path_of(&database).display());
        assert!(std::fs::metadata(log).unwrap().len() <= 64 << 20);
    });
}

#[test]
fn an_auditor_keeps_no_snapshot_while_it_walks() {
    on_sqlite(|database| async move {
        let house = House::open(&database).await;
        house.issue(1).await;
        let log = format!("{}-wal", path_of(&database).display());
        let (asks, mut asked) = tokio::sync::mpsc::channel(1);
        let (goes_on, waits) = std::sync::mpsc::channel();
        let source = database.clone();
        let auditor = std::thread::spawn(move || {
            let mut first = true;
            store::verify_pinned(source, &store::Pins::default(), &mut |_| {
                if std::mem::take(&mut first) {
                    asks.blocking_send(()).unwrap();
                    waits.recv().unwrap();
                }
            })
        });
        // In the middle of its walk the register grows by more than its write-ahead log may.
        asked.recv().await.unwrap();
        let mut longest = 0;
        for n in 2..=CRLS {
            let large = Entry { message: Message::from(vec![n as u8; 1 << 20]), ..house.entry(n) };
            let intent = house.ledger.intend(large).await.unwrap();
            house.ledger.conclude_unsigned(intent, vec![1]).await.unwrap();
            longest = longest.max(std::fs::metadata(&log).unwrap().len());
        }
        goes_on.send(()).unwrap();
        let report = auditor.join().unwrap().unwrap();
        assert_eq!(report.leaves, house.ledger.head().size, "what came meanwhile was walked too");
        assert!(longest < LOG_BYTES, "{} MiB", longest >> 20);
    });
}
