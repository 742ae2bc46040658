//! Faults of the database, each with two faces: failed, and failed but done.

mod support;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use store::testing::TestPostgres;
use store::{AccessEntry, Accessed, Database, GrantStamp, Showing, State, StoreError};
use support::*;

/// Lines between the ledger and PostgreSQL, that fall at a COMMIT of choice.
struct Wire {
    port: u16,
    faults: Arc<Faults>,
}

#[derive(Default)]
struct Faults {
    /// Cut before the server sees the next COMMIT.
    lose_request: AtomicU32,
    /// Cut after the server answered the next COMMIT.
    lose_answer: AtomicU32,
    /// Take the next COMMIT to the server, and from then on nothing in either direction; nobody hangs up.
    swallow_answer: AtomicU32,
    /// Connections of before this one carry nothing in either direction, and nobody hangs up.
    dead_below: AtomicU64,
    connections: AtomicU64,
    /// Refuse new connections.
    refuse: AtomicU32,
    cuts: AtomicU64,
    open: Mutex<Vec<TcpStream>>,
}

impl Wire {
    fn new(server: u16) -> Wire {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (port, faults) = (listener.local_addr().unwrap().port(), Arc::new(Faults::default()));
        let shared = Arc::clone(&faults);
        thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                if shared.refuse.load(Ordering::SeqCst) > 0 {
                    continue;
                }
                let server = TcpStream::connect(("127.0.0.1", server)).unwrap();
                shared.open.lock().unwrap().extend([client.try_clone().unwrap(), server.try_clone().unwrap()]);
                let faults = Arc::clone(&shared);
                let number = faults.connections.fetch_add(1, Ordering::SeqCst);
                thread::spawn(move || carry(client, server, number, &faults));
            }
        });
        Wire { port, faults }
    }

    /// The same database through this wire.
    fn through(&self, database: &Database) -> Database {
        let Database::Postgres(url) = database else { panic!() };
        let (user, rest) = url.split_once('@').unwrap();
        Database::Postgres(format!("{user}@127.0.0.1:{}/{}", self.port, rest.split_once('/').unwrap().1))
    }

    /// Every connection that there is looks well and carries nothing any more.
    fn swallow_all(&self) {
        self.faults.dead_below.store(self.faults.connections.load(Ordering::SeqCst), Ordering::SeqCst);
    }

    fn cut_all(&self) {
        for stream in self.faults.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn carry(client: TcpStream, server: TcpStream, number: u64, faults: &Arc<Faults>) {
    let answers = (server.try_clone().unwrap(), client.try_clone().unwrap());
    let (lose_next_answer, swallow) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(false)));
    let (lose, counted) = (Arc::clone(&lose_next_answer), Arc::clone(faults));
    let swallows = Arc::clone(&swallow);
    thread::spawn(move || {
        let (mut from, mut to) = answers;
        let mut bytes = [0; 65_536];
        while let Ok(n @ 1..) = from.read(&mut bytes) {
            if lose.load(Ordering::SeqCst) > 0 {
                // The server has answered, so it has done it; nobody will hear of it.
                counted.cuts.fetch_add(1, Ordering::SeqCst);
                break;
            }
            if swallows.load(Ordering::SeqCst) || number < counted.dead_below.load(Ordering::SeqCst) {
                continue;
            }
            if to.write_all(&bytes[..n]).is_err() {
                break;
            }
        }
        let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
    });
    let (mut from, mut to) = (client, server);
    let mut bytes = [0; 65_536];
    while let Ok(n @ 1..) = from.read(&mut bytes) {
        let commit = bytes[..n].windows(7).any(|w| w == b"COMMIT\0");
        if commit && take(&faults.lose_request) {
            faults.cuts.fetch_add(1, Ordering::SeqCst);
            break;
        }
        if commit && take(&faults.lose_answer) {
            lose_next_answer.store(1, Ordering::SeqCst);
        }
        if swallow.load(Ordering::SeqCst) || number < faults.dead_below.load(Ordering::SeqCst) {
            continue;
        }
        if commit && take(&faults.swallow_answer) {
            faults.cuts.fetch_add(1, Ordering::SeqCst);
            swallow.store(true, Ordering::SeqCst);
        }
        if to.write_all(&bytes[..n]).is_err() {
            break;
        }
    }
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}

fn take(fault: &AtomicU32) -> bool {
    fault.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok()
}

#[test]
fn a_commit_without_an_answer_is_looked_for_before_anyone_is_told() {
    let postgres = TestPostgres::start();
    let database = postgres.database();
    let wire = Wire::new(postgres.port());
    run(async {
        let house = House::open(&wire.through(&database)).await;
        let faults = &wire.faults;
        let mut serials = 0..;
        // Each write point, both faces. Whatever the face, the caller is told the truth, and nothing is there twice.
        for (face, fault) in [("failed", &faults.lose_request), ("failed but done", &faults.lose_answer)] {
            let before = faults.cuts.load(Ordering::SeqCst);
            fault.store(1, Ordering::SeqCst);
            let intent = house.ledger.intend(house.entry(serials.next().unwrap())).await.unwrap();
            assert_eq!(faults.cuts.load(Ordering::SeqCst), before + 1, "{face}");
            let signature = house.pool.sign(intent).await.unwrap();
            fault.store(1, Ordering::SeqCst);
            let issued = house.ledger.conclude(signature).await.unwrap();
            fault.store(1, Ordering::SeqCst);
            house.ledger.revoke(revocation(issued.operation)).await.unwrap();
            fault.store(1, Ordering::SeqCst);
            house.ledger.refuse(refusal()).await.unwrap();
            fault.store(1, Ordering::SeqCst);
            house.ledger.record(vec![record(face, Some(0))]).await.unwrap();
            fault.store(1, Ordering::SeqCst);
            let note = house.checkpoint().await;
            assert_eq!(faults.cuts.load(Ordering::SeqCst), before + 6, "{face}");
            let report = verified(database.clone(), Some(&note));
            is_clean(&report);
            assert!(report.unconcluded.is_empty(), "{face}");
        }
        let report = verified(database.clone(), None);
        assert_eq!((report.certificates, report.checkpoints), (2, 2));
        // Two key records, then five leaves for each face.
        assert_eq!(report.leaves, 2 + 2 * 5);
    });
}

/// A proxy that lost its backend, a host that stands still: the peer's kernel takes everything, and nothing is answered.
#[test]
fn a_line_that_carries_nothing_any_more_is_given_up_for_a_new_one() {
    let postgres = TestPostgres::start();
    let database = postgres.database();
    let wire = Wire::new(postgres.port());
    run(async {
        let house = House::open(&wire.through(&database)).await;
        let issued = house.issue(1).await;
        wire.swallow_all();
        let serial = issued.serial_hex();
        let (read, written) = tokio::join!(house.ledger.credential(&serial), house.issue(2));
        assert_eq!(read.unwrap().unwrap(), issued.into_credential());
        // The server has done it, and says so to nobody.
        let cuts = wire.faults.cuts.load(Ordering::SeqCst);
        wire.faults.swallow_answer.store(1, Ordering::SeqCst);
        let intent = house.ledger.intend(house.entry(3)).await.unwrap();
        assert_eq!(wire.faults.cuts.load(Ordering::SeqCst), cuts + 1);
        house.ledger.conclude(house.pool.sign(intent).await.unwrap()).await.unwrap();
        house.ledger.credential(&written.serial_hex()).await.unwrap().unwrap();
        let report = verified(database.clone(), None);
        is_clean(&report);
        assert_eq!((report.certificates, report.unconcluded.len()), (3, 0));
    });
}

#[test]
fn many_callers_on_a_line_that_falls_are_all_told_the_truth() {
    let postgres = TestPostgres::start();
    let database = postgres.database();
    let wire = Wire::new(postgres.port());
    run(async {
        let house = Arc::new(House::open(&wire.through(&database)).await);
        let mut callers = tokio::task::JoinSet::new();
        for caller in 0..8_u64 {
            let house = Arc::clone(&house);
            callers.spawn(async move {
                let mut issued = Vec::new();
                for n in 0..30 {
                    let entry = house.entry(caller * 1_000 + n);
                    let Ok(intent) = house.ledger.intend(entry).await else { continue };
                    let signature = house.pool.sign(intent).await.unwrap();
                    if let Ok(credential) = house.ledger.conclude(signature).await {
                        issued.push(credential);
                    }
                }
                issued
            });
        }
        for n in 0..40 {
            let fault = if n % 2 == 0 { &wire.faults.lose_answer } else { &wire.faults.lose_request };
            fault.store(1, Ordering::SeqCst);
            while fault.load(Ordering::SeqCst) > 0 && !callers.is_empty() {
                tokio::select! {
                    done = callers.join_next() => check(&house, done).await,
                    () = tokio::time::sleep(Duration::from_millis(1)) => {}
                }
            }
        }
        while let Some(done) = callers.join_next().await {
            check(&house, Some(done)).await;
        }
        assert!(wire.faults.cuts.load(Ordering::SeqCst) > 10);
        let report = verified(database.clone(), None);
        is_clean(&report);
        assert!(report.unconcluded.is_empty(), "every signature that was made is there");
    });
}

async fn check(house: &House, done: Option<Result<Vec<store::Issued>, tokio::task::JoinError>>) {
    for issued in done.unwrap().unwrap() {
        let there = house.ledger.credential(&issued.serial_hex()).await.unwrap().unwrap();
        assert_eq!(there, issued.into_credential());
    }
}

#[test]
fn a_database_that_is_away_is_said_to_be_and_a_signature_made_meanwhile_is_kept() {
    let postgres = TestPostgres::start();
    let database = postgres.database();
    let wire = Wire::new(postgres.port());
    run(async {
        let house = House::open(&wire.through(&database)).await;
        let signature = house.signature(house.entry(1)).await;
        let operation = signature.operation();
        wire.faults.refuse.store(1, Ordering::SeqCst);
        wire.cut_all();
        let failed = house.ledger.conclude(signature).await;
        assert!(matches!(failed, Err(StoreError::Unavailable(_))), "{failed:?}");
        assert!(matches!(house.ledger.refuse(refusal()).await, Err(StoreError::Unavailable(_))));
        assert!(matches!(house.ledger.counts().await, Err(StoreError::Unavailable(_))));
        wire.faults.refuse.store(0, Ordering::SeqCst);
        // It resumes by itself, and the signature arrives without anybody's asking.
        let there = until(|| async {
            let read = house.ledger.credential_by_operation(operation).await.ok()??;
            (read.state == State::Issued).then_some(read)
        })
        .await;
        assert!(there.signature.is_some());
        is_clean(&verified(database.clone(), None));
    });
}

#[test]
fn an_access_that_nobody_knows_of_opens_nothing_and_is_told_as_that() {
    let postgres = TestPostgres::start();
    let database = postgres.database();
    let wire = Wire::new(postgres.port());
    run(async {
        let house = sealing_house(&wire.through(&database)).await;
        let version = house.ledger.seal("read", None, b"x", (actor(), None)).await.unwrap();
        let access = AccessEntry {
            actor: actor(),
            grant: GrantStamp { action: "read-secret".into(), rule: "role:reader".into(), policy_hash: [3; 32] },
            showing: Showing::Opened,
            since: None,
            until: None,
            opened: vec![Accessed { id: "read".into(), version }],
            judged: Vec::new(),
            used: None,
        };
        wire.faults.refuse.store(1, Ordering::SeqCst);
        wire.faults.lose_answer.store(1, Ordering::SeqCst);
        let unshown = house.ledger.access(access).await;
        assert!(matches!(unshown, Err(StoreError::Unshown(_))), "{unshown:?}");
        wire.faults.refuse.store(0, Ordering::SeqCst);
    });
}

#[test]
fn an_intent_that_nobody_was_given_is_concluded_when_it_is_found() {
    let postgres = TestPostgres::start();
    let database = postgres.database();
    let wire = Wire::new(postgres.port());
    run(async {
        let house = House::open(&wire.through(&database)).await;
        // The server does it, nobody hears of it, and nobody can ask.
        wire.faults.refuse.store(1, Ordering::SeqCst);
        wire.faults.lose_answer.store(1, Ordering::SeqCst);
        let refused = house.ledger.intend(house.entry(1)).await;
        assert!(matches!(refused, Err(StoreError::Unknown(_))), "{refused:?}");
        assert_eq!(verified(database.clone(), None).unconcluded.len(), 1, "it is there");
        wire.faults.refuse.store(0, Ordering::SeqCst);
        let serial = hex::encode(serial(1));
        let failure = until(|| async {
            let there = house.ledger.credential(&serial).await.ok()??;
            (there.state == State::Failed).then(|| there.failure.clone())
        })
        .await;
        assert!(failure.is_some_and(|why| why.contains("nothing was signed")));
        house.issue(3).await;
        let report = verified(database.clone(), None);
        is_clean(&report);
        assert_eq!((report.certificates, report.unconcluded.len()), (1, 0));
    });
}

#[test]
fn a_database_that_restarts_under_load_loses_nothing() {
    let mut postgres = TestPostgres::start();
    let database = postgres.database();
    run(async {
        let house = Arc::new(House::open(&database).await);
        for (n, crash) in [(0, false), (1, true)] {
            let worker = Arc::clone(&house);
            let (started, mut first) = tokio::sync::mpsc::channel(1_000);
            let load = tokio::spawn(async move {
                let mut issued = Vec::new();
                for at in 0..200 {
                    let Ok(intent) = worker.ledger.intend(worker.entry(n * 1_000 + at)).await else {
                        continue;
                    };
                    let signature = worker.pool.sign(intent).await.unwrap();
                    if let Ok(credential) = worker.ledger.conclude(signature).await {
                        issued.push(credential);
                    }
                    let _ = started.send(()).await;
                }
                issued
            });
            for _ in 0..20 {
                first.recv().await.unwrap();
            }
            let at_work = |mut postgres: TestPostgres| async move {
                tokio::task::spawn_blocking(move || {
                    if crash {
                        postgres.kill()
                    } else {
                        postgres.stop()
                    }
                    postgres.resume();
                    postgres
                })
                .await
                .unwrap()
            };
            postgres = at_work(postgres).await;
            drop(first);
            let issued = load.await.unwrap();
            check(&house, Some(Ok(issued))).await;
            // What nobody was given a right to sign is concluded too.
            until(|| async { verified(database.clone(), None).unconcluded.is_empty().then_some(()) }).await;
            is_clean(&verified(database.clone(), None));
        }
    });
}

/// Asks until there is an answer.
async fn until<T, F: Future<Output = Option<T>>>(mut question: impl FnMut() -> F) -> T {
    let asking = async {
        loop {
            if let Some(answer) = question().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), asking).await.expect("it comes about within a minute")
}
