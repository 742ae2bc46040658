//! Every statement's plan, on both engines, over a seeded and analysed register: no walk over what is not bounded, no sorting
//! aside, each index by its name. The golden file is what a reviewer sees change; a statement that walks turns the test red.
//!
//! `UPDATE_GOLDEN=1 cargo test -p chancery-store --test plans` writes it anew.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};

use hsm::KeyKind;
use policy::{Owner, Timestamp, Validity};
use postgres::NoTls;
use store::testing::{TestPostgres, take_statements};
use store::{ActorStamp, Database, DueFilter, Entry, Filter, Kind, Order, Pins, RecordFilter, Sought, State};
use support::*;

const GOLDEN: &str = "tests/plans.golden";
/// Some of everything; what PostgreSQL is told of how many there are is another figure.
const CERTIFICATES: u64 = 3_000;
const DAY: i64 = 86_400;

#[test]
fn every_statement_is_answered_by_an_index() {
    let mut text = String::new();
    let dir = tempfile::tempdir().unwrap();
    let sqlite = Database::Sqlite(dir.path().join("register.db"));
    take_statements();
    let statements = representatives(run(exercise(&sqlite)));
    let mut faults = Vec::new();
    explain_on_sqlite(&sqlite, &statements, &mut text, &mut faults);
    // Nobody analyses a register in service: the same without statistics.
    let connection = rusqlite::Connection::open(path_of(&sqlite)).unwrap();
    connection.execute_batch("DELETE FROM sqlite_stat1").unwrap();
    drop(connection);
    explain_on_sqlite(&sqlite, &statements, &mut String::new(), &mut faults);

    let postgres = TestPostgres::start();
    let database = postgres.database();
    let statements = representatives(run(exercise(&database)));
    explain_on_postgres(&database, &statements, &mut text, &mut faults);

    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(GOLDEN, &text).unwrap();
    }
    let golden = std::fs::read_to_string(GOLDEN).unwrap_or_default();
    let differs = golden.lines().zip(text.lines()).find(|(golden, now)| golden != now);
    assert!(golden == text, "a plan is not the one in {GOLDEN} (UPDATE_GOLDEN=1 writes it anew): {differs:?}");
}

#[test]
fn the_whole_of_the_ledger_is_exercised() {
    let rooms = std::fs::read_dir("src/ledger").unwrap();
    let ledger: String = rooms.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap()).collect();
    let this =
        std::fs::read_to_string("tests/plans.rs").unwrap() + &std::fs::read_to_string("tests/support/mod.rs").unwrap();
    let for_tests = "#[cfg(feature = \"testing\")]\n    pub async fn ";
    let ledger = ledger.replace(for_tests, "");
    let names = ledger.split("    pub async fn ").skip(1).map(|rest| rest.split(['(', '<']).next().unwrap());
    let missing: Vec<&str> = names
        .filter(|name| !["open", "found", "refused_start", "recover"].contains(name))
        .filter(|name| !this.contains(&format!(".{name}(")) && !this.contains(&format!("Ledger::{name}(")))
        .collect();
    assert!(missing.is_empty(), "{missing:?} are not asked here, so nobody knows the plans of their statements");
}

/// Fills a register with a little of everything, and asks everything that can be asked; answers by which statements.
async fn exercise(database: &Database) -> BTreeSet<String> {
    let house = House::open_with(database, KeyKind::Ed25519).await;
    fill(&house).await;
    fill_secrets(&house).await;
    // As many have read them.
    write_beside(database, "INSERT INTO reading (id, reader, leaf, at) SELECT id, 'token:somebody', 1, 1 FROM ward");
    analyse(database);
    let ledger = &house.ledger;
    ask_for_lists(&house).await;
    let some = ledger.list(Filter { limit: 1, ..Filter::default() }).await.unwrap().items.remove(0);
    ledger.credential(&some.serial_hex()).await.unwrap().unwrap();
    let text = policy::SerialText::parse(&some.serial_hex()[..20]).unwrap();
    assert!(!ledger.credentials_meant(text, 10).await.unwrap().is_empty());
    ledger.credentials_meant(policy::SerialText::parse("1234567890").unwrap(), 10).await.unwrap();
    // Of no row: looked for in the leaves of its time.
    assert_eq!(ledger.credential(&hex::encode(serial(9_999_999))).await.unwrap(), None);
    ledger.credential_by_operation(some.operation).await.unwrap().unwrap();
    let crls =
        Filter { kind: Some(Kind::Crl), issuer: Some("tls".into()), state: Some(State::Issued), ..Filter::default() };
    ledger.newest(crls.clone()).await.unwrap().unwrap();
    ledger.matching(crls.clone()).await.unwrap();
    ledger.matching_page(crls).await.unwrap();
    ledger.newest_crl("tls").await.unwrap();
    ledger.counts().await.unwrap();
    ledger.count(Filter::default()).await.unwrap();
    for class in [store::Class::Certificates, store::Class::Ssh, store::Class::Authorities] {
        ledger.outlook(None, class, house.world.now().plus_secs(300 * DAY)).await.unwrap();
    }
    let of_tls = Filter { kind: Some(Kind::Certificate), issuer: Some("tls".into()), ..Filter::default() };
    ledger.holding(of_tls, some.operation + 1, [house.world.now(); 2]).await.unwrap();
    ledger.kin(vec![some.operation]).await.unwrap();
    assert_eq!(ledger.history(some.operation).await.unwrap()[0], some.operation);
    ledger.unconcluded(Timestamp::from_unix(i64::MAX / 4), 100).await.unwrap();
    let later = house.world.now().plus_secs(1_000 * DAY);
    let due = DueFilter { until: later, ends_after: house.world.now(), after: None, limit: 10 };
    assert!(!ledger.due(due).await.unwrap().is_empty());
    for (owner, lookup) in
        [(None, None), (Some("web"), None), (None, Some("lookup-a")), (Some("web"), Some("lookup-a"))]
    {
        let (owner, lookup) = (owner.map(str::to_owned), lookup.map(str::to_owned));
        let filter = RecordFilter { owner, lookup, limit: 10, ..RecordFilter::default() };
        ledger.record_list("thing", filter.clone()).await.unwrap();
        ledger.record_page("thing", filter).await.unwrap();
    }
    for owner in [None, Some("web".to_owned())] {
        let between = Some(("lookup-".to_owned(), "lookup-b".to_owned()));
        ledger.record_list("thing", RecordFilter { owner, between, ..RecordFilter::default() }).await.unwrap();
    }
    ledger.record_get("thing", "a").await.unwrap();
    assert!(!ledger.record_all("thing").await.unwrap().is_empty());
    assert!(!ledger.record_each("thing").await.unwrap().is_empty());
    let changes = ledger.record_changes("thing", 0, 10).await.unwrap();
    assert!(changes.items.first().is_some_and(|change| change.before.is_none()) && changes.through > 0);
    assert!(ledger.mark(1).await.unwrap().is_some());
    tokio::select! {
        biased;
        () = ledger.secret_beyond(u64::MAX) => panic!("no log is so long"),
        () = std::future::ready(()) => {}
    }
    ledger.record_text(store::TextKind::Profile, "a profile", &actor()).await.unwrap();
    ledger.text(store::TextKind::Profile, &text_hash("a profile")).await.unwrap().unwrap();
    ledger.refuse(refusal()).await.unwrap();
    for _ in 0..3 {
        ledger.audit_step().await.unwrap();
    }
    ledger.follow().await.unwrap();
    ledger.meet().await.unwrap();
    ledger.time().await.unwrap();
    ledger.database_time().await.unwrap();
    ledger.withdraw(vec![record("r4", None)]).await.unwrap();
    ledger.set_time(actor(), "a clock was ahead").await.unwrap();
    ledger.would_write().await.unwrap();
    assert!(ledger.setting(0).await.unwrap().is_none());
    let word = ledger.word(ledger.size_there().await.unwrap() - 1).await.unwrap().unwrap();
    assert_eq!((word.kind.as_str(), word.reason.as_str()), ("clock", "a clock was ahead"));
    let passing = house.pool.generate("passing", hsm::KeyKind::P256).await.unwrap();
    ledger.record_key(&passing, "ocsp", actor()).await.unwrap();
    drop(ledger.dismiss_key(&passing, actor()).await.unwrap());
    let mut keys = std::collections::BTreeMap::new();
    for number in 1..3 {
        let label = format!("seal-{number}");
        if number > 1 {
            house.pool.generate_sealing(None, &label).await.unwrap();
        }
        let touchstone = house.pool.touchstone(None, &label).await.unwrap();
        keys.insert(number, hsm::SealingKey::known(label, &[], touchstone));
        ledger.take_seals(store::Seals { active: Some(number), keys: keys.clone(), ..store::Seals::default() });
        ledger.record_head_key(actor()).await.unwrap();
        ledger.seal("a", None, b"plain", (actor(), None)).await.unwrap();
        for id in ["kept", "gone"] {
            let envelope = b"sealed".to_vec();
            let value = store::NewValue {
                id: format!("{id}@{number}"),
                owner: None,
                key: &[7; 32],
                envelope,
                instead_of: vec![],
                wrapped: None,
            };
            ledger.keep_value(value, vec![], actor()).await.unwrap();
        }
        ledger.destroy_values(vec![(format!("gone@{number}"), None)], vec![], &actor()).await.unwrap();
    }
    assert_eq!(ledger.rewrap(&actor()).await.unwrap().left, 0);
    assert_eq!(ledger.open_sealed("a").await.unwrap().unwrap().as_slice(), b"plain");
    let value = ledger.value("kept@1").await.unwrap().unwrap().into_inner();
    let opened = vec![store::Accessed { id: value.id().to_owned(), version: value.version() }];
    assert!(ledger.is_present(&value));
    let (showing, judged) = (store::Showing::Opened, Vec::new());
    let entry = store::AccessEntry {
        actor: actor(),
        grant: grant(),
        showing,
        since: None,
        until: None,
        opened,
        judged,
        used: None,
    };
    let recorded = ledger.access(entry).await.unwrap();
    ask_for_secrets(&house).await;
    store::Ledger::opens_under(database.clone(), &house.pool, ORIGIN).await.unwrap().unwrap();
    let (sealed, _) = ledger.sealed_keys(None).await.unwrap();
    let (_, of_value) = sealed.iter().find(|(id, _)| id == "kept@1").unwrap();
    let of_value = of_value.as_ref().unwrap();
    ledger.wrap_key(of_value, |_| Ok::<_, store::StoreError>(vec![1; 8]), &actor()).await.unwrap();
    let (sealed, _) = ledger.sealed_keys(None).await.unwrap();
    let (_, of_value) = sealed.iter().find(|(id, _)| id == "kept@1").unwrap();
    let of_value = of_value.as_ref().unwrap();
    ledger.seal_again(of_value, &[7; 32], &actor()).await.unwrap();
    assert_eq!(ledger.unseal(&value, &recorded).await.unwrap().as_slice(), [7; 32]);
    drop(ledger.end_seal(1, &keys[&1], actor()).await.unwrap());
    let mut heads = Vec::new();
    for intent in ledger.intend_checkpoint_by(std::slice::from_ref(&house.log)).await.unwrap().unwrap() {
        heads.push(house.pool.sign(intent).await.unwrap());
    }
    ledger.conclude_checkpoint_by(heads).await.unwrap();
    house.checkpoint().await;
    for level in 0..2 {
        ledger.tile(level, 0, 256).await.unwrap();
        ledger.tile(level, 0, 3).await.unwrap();
    }
    ledger.entries(0, 256).await.unwrap();
    ledger.leaves(0..10).await.unwrap();
    let in_batches = Sought {
        message: vec![50; 3],
        begins: house.entry(9).validity.unwrap().not_before(),
        key_hash: house.issuing.fingerprint(),
    };
    assert!(matches!(ledger.batch_with(in_batches.clone()).await.unwrap(), store::Found::In(_)));
    ledger.inclusion_proof(5, ledger.head().size).await.unwrap();
    ledger.checkpoint().await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    ledger.export(dir.path()).await.unwrap();
    // Another node's leaves are followed; a start reads the head.
    let other = house.beside(database).await;
    other.issue(1_000_000).await;
    other.ledger.close().await;
    house.issue(1_000_001).await;
    house.ledger.revoke_lost(lost(1_000_002)).await.unwrap();
    let end = store::ImportedEnd { reason: 1, at: house.world.now(), invalid: None, shard: None };
    let (one, two) = (house.foreign(1, None).await, house.foreign(2, Some(end)).await);
    house.ledger.import(vec![one, two]).await.unwrap();
    assert_eq!(house.ledger.credentials_of("a001").await.unwrap().len(), 1);
    house.ledger.credential_of_key("a002", house.issuing.label()).await.unwrap().unwrap();
    // The oldest batches' hashes go.
    house.world.advance(402 * DAY);
    house.ledger.intend(batch(&house, 99)).await.unwrap();
    let house = house.reopened(database).await;
    let state = tempfile::tempdir().unwrap();
    let (house, _) = house.closed().await.resume(database, state.path(), "to see how").await.unwrap();
    let closed = house.closed().await;
    // So that each is mended.
    write_beside(
        database,
        "UPDATE card SET not_after = 1 WHERE op = 2; UPDATE open SET due = 1; UPDATE renewal SET due = 1; \
         UPDATE place SET failed = 9; UPDATE expiring SET live = 9; UPDATE present SET owner = 'bank' WHERE id = 'a'; \
         UPDATE ward SET ends = 1 WHERE id = 'app1/key@1'; DELETE FROM reading; \
         UPDATE keyword SET word = 'forged' WHERE path = 'app1/key' AND word = 'app1'",
    );
    closed.rebuild(database, state.path()).await.unwrap();
    let database = database.clone();
    let verified = std::thread::spawn(move || {
        let mut all = take_statements();
        assert!(store::trace(database.clone(), &in_batches).unwrap().is_some());
        let asked = take_statements();
        let counts = COUNTING.iter().find(|counting| asked.contains(**counting));
        assert_eq!(counts, None, "whoever asks for the proof of one thing walks nothing");
        all.extend(asked);
        store::verify_pinned(database, &Pins::default(), &mut |_| {}).unwrap();
        all.extend(take_statements());
        all
    });
    verified.join().unwrap()
}

/// Secrets, each of which was described anew.
async fn fill_secrets(house: &House) {
    let now = house.world.now();
    for n in 0..200 {
        let path = format!("app{n}/key");
        for description in ["the first", "the second"] {
            let body = serde_json::json!({ "life": 1, "made": now, "labels": { "current": 1, "pending": 1 },
                "description": description, "tags": { "team": format!("team{}", n % 7) },
                "versions": [{ "number": 1, "at": now, "expires": now.plus_secs(n) }] });
            let owner = Some(if n % 3 == 0 { format!("owner{n}") } else { "web".to_owned() });
            let record = store::Record { kind: "secret", id: path.clone(), owner, body, ..record(&path, None) };
            house.ledger.record(vec![record]).await.unwrap();
        }
    }
}

/// Secrets, who reads them, and what is asked of both.
async fn ask_for_secrets(house: &House) {
    let now = house.world.now();
    let value = store::NewValue {
        id: "app1/key@1.1".into(),
        owner: None,
        key: &[7; 32],
        envelope: b"sealed".to_vec(),
        instead_of: vec![],
        wrapped: None,
    };
    house.ledger.keep_value(value, vec![], actor()).await.unwrap();
    let value = house.ledger.value("app1/key@1.1").await.unwrap().unwrap().into_inner();
    let opened = vec![store::Accessed { id: value.id().to_owned(), version: value.version() }];
    let grant = store::GrantStamp { action: "read-secret".into(), ..grant() };
    let entry = store::AccessEntry {
        actor: actor(),
        grant,
        showing: store::Showing::Opened,
        since: None,
        until: None,
        opened,
        judged: vec![],
        used: None,
    };
    house.ledger.access(entry).await.unwrap();
    for owner in [None, Some("web".to_owned())] {
        for by in [store::WardBy::Ends, store::WardBy::Seen, store::WardBy::Pending] {
            let (before, from) = (now.plus_secs(DAY), Some(now));
            let filter = store::WardFilter { owner: owner.clone(), by, from, before, after: None, limit: 10 };
            assert!(!house.ledger.wards(filter.clone()).await.unwrap().is_empty());
            assert!(house.ledger.count_wards(filter).await.unwrap() > 100);
        }
    }
    assert_eq!(house.ledger.wards_of(vec!["app1/key@1".into()]).await.unwrap().len(), 1);
    let below = house.ledger.wards_between(("app1/".into(), "app10".into()), 10).await.unwrap();
    assert!(!below.is_empty() && below.iter().all(|ward| ward.path().starts_with("app1/")), "{below:?}");
    for owner in [None, Some("web".to_owned())] {
        assert_eq!(house.ledger.ward_ends(owner, (now, now.plus_secs(DAY)), 100).await.unwrap().len(), 100);
    }
    assert_eq!(house.ledger.readers("app1/key@1", 10).await.unwrap().len(), 2);
    assert_eq!(house.ledger.readings((String::new(), String::new()), 10).await.unwrap().len(), 10);
    for owner in [None, Some("web".to_owned())] {
        let range = store::KeywordRange::of_tag("team", None);
        assert_eq!(house.ledger.count_keywords(range.clone(), 1_000).await.unwrap(), 200);
        let filter = store::KeywordFilter { range, owner, after: None, limit: 10 };
        let (page, next) = house.ledger.keywords(filter.clone()).await.unwrap();
        assert_eq!(page.len(), 10);
        house.ledger.keywords(store::KeywordFilter { after: next, ..filter }).await.unwrap();
    }
    assert_eq!(house.ledger.count_records("secret", ("app1".into(), "app2".into()), 1_000).await.unwrap(), 111);
    assert_eq!(house.ledger.records_of("secret", vec!["app1/key".into(), "none".into()]).await.unwrap().len(), 1);
}

/// Certificates in many places, records, revocations, CRLs, failures, what is open.
async fn fill(house: &House) {
    let next = AtomicU64::new(1);
    let fillers = (0..32).map(|_| async {
        loop {
            let n = next.fetch_add(1, Ordering::Relaxed);
            if n > CERTIFICATES {
                return;
            }
            let entry = filling(house, n);
            let renews = (n.is_multiple_of(50)).then(|| hex::encode(serial(n - 40)));
            let older = match &renews {
                Some(serial) => house.ledger.credential(serial).await.unwrap(),
                None => None,
            };
            let renews = older.as_ref().map(|older| older.serial_hex());
            let details = serde_json::json!({ "renew": n.is_multiple_of(3), "renews": renews });
            let renews = older.and_then(|older| older.renewal());
            let intent = house.ledger.intend(Entry { details, renews, ..entry }).await.unwrap();
            let operation = intent.operation();
            if !n.is_multiple_of(500) {
                house.ledger.conclude_unsigned(intent, vec![7; 72]).await.unwrap();
            }
            if n.is_multiple_of(10) {
                house.ledger.revoke(revocation(operation)).await.unwrap();
            }
            if n.is_multiple_of(4) {
                house.ledger.record(vec![record(&format!("r{n}"), None)]).await.unwrap();
                house.ledger.record(vec![record(&format!("r{n}"), None)]).await.unwrap();
            }
        }
    });
    futures_all(fillers).await;
    house.ledger.record(vec![record("a", None)]).await.unwrap();
    let moved = store::Record { lookup: Some("elsewhere".into()), ..record("a", None) };
    house.ledger.record(vec![moved]).await.unwrap();
    house.ledger.record_key(&house.issuing, "tls", actor()).await.unwrap();
    // One takes the place of another, and is revoked.
    for serials in [2_100_000, 2_100_001] {
        let entry = Entry { names: vec!["dns:family.example".into()], ..house.entry(serials) };
        let intent = house.ledger.intend(entry).await.unwrap();
        let operation = intent.operation();
        house.ledger.conclude_unsigned(intent, vec![7; 72]).await.unwrap();
        if serials == 2_100_001 {
            house.ledger.revoke(revocation(operation)).await.unwrap();
        }
    }
    let late = house.ledger.intend(house.entry(2_000_000)).await.unwrap();
    house.ledger.revoke(revocation(late.operation())).await.unwrap();
    house.ledger.conclude_unsigned(late, vec![7; 72]).await.unwrap();
    // The second takes the place of the first.
    for n in [2_000_001, 2_000_003] {
        let signature = house.signature(house.crl(n, "tls", None)).await;
        house.ledger.conclude(signature).await.unwrap();
    }
    // CRLs of other issuers: a table of two rows is walked by anyone who knows that there are two.
    for n in 0..100 {
        let intent = house.ledger.intend(house.crl(2_000_010 + n, &format!("issuer{n}"), None)).await.unwrap();
        house.ledger.conclude_unsigned(intent, vec![7; 72]).await.unwrap();
    }
    for n in 0..100 {
        let signature = house.signature(batch(house, n)).await;
        house.ledger.conclude(signature).await.unwrap();
    }
    // Ed25519 signs no SHA-256: a failure.
    let failing = Entry { key: house.log.clone(), message: hsm::Message::Sha256([4; 32]), ..house.entry(2_000_002) };
    let intent = house.ledger.intend(failing).await.unwrap();
    match house.pool.sign(intent).await {
        Err(hsm::SignError::Refused(not_signed)) => house.ledger.fail(not_signed).await.unwrap(),
        other => panic!("{other:?}"),
    }
    for _ in 0..200 {
        house.ledger.refuse(refusal()).await.unwrap();
        house.checkpoint().await;
    }
}

fn batch(house: &House, n: u8) -> Entry {
    let message = hsm::Message::Batch(hsm::Batch::new(vec![vec![n; 3]]).unwrap());
    let entry = house.entry(2_000_200 + u64::from(n));
    Entry { kind: Kind::OcspBatch, message, serial: Vec::new(), names: Vec::new(), owner: None, ..entry }
}

async fn futures_all(all: impl Iterator<Item = impl Future<Output = ()>>) {
    let mut all: Vec<_> = all.map(Box::pin).collect();
    std::future::poll_fn(|context| {
        all.retain_mut(|one| one.as_mut().poll(context).is_pending());
        if all.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
}

fn filling(house: &House, n: u64) -> Entry {
    let mut key_hash = [0; 32];
    key_hash[..8].copy_from_slice(&(n / 3).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    let person = ActorStamp { id: format!("token:person{}", n % 40), ..house.entry(n).actor };
    Entry {
        actor: person,
        owner: Some(Owner::parse(&format!("owner{}", n % 40)).unwrap()),
        profile: format!("profile{}", n % 2),
        validity: Some(Validity::starting(house.world.now(), DAY * (1 + (n as i64 * 37) % 400))),
        key_hash,
        ..house.entry(n)
    }
}

/// Every filter alone and together, both orders, first page and next.
async fn ask_for_lists(house: &House) {
    let now = house.world.now();
    let places = [
        Filter::default(),
        Filter { owner: Some("owner3".into()), certificates: true, ..Filter::default() },
        Filter { name: Some("dns:host7.example".into()), ..Filter::default() },
        Filter { key_hash: Some(filling(house, 9).key_hash), ..Filter::default() },
        Filter { actor: Some(filling(house, 9).actor.id), certificates: true, ..Filter::default() },
    ];
    for sought in [
        Filter { text: Some("host7".into()), limit: 5, ..Filter::default() },
        Filter { serial: Some("0102".into()), limit: 5, ..Filter::default() },
    ] {
        house.ledger.list(sought).await.unwrap();
    }
    for filter in places {
        for state in State::ALL.map(Some).into_iter().chain([None]) {
            let newest = filter.name.is_some()
                || filter.key_hash.is_some()
                || filter.actor.is_some()
                || state == Some(State::Intended);
            let orders = [Order::Newest, Order::Expiry, Order::Latest];
            for order in orders.into_iter().filter(|order| !newest || *order == Order::Newest) {
                let ends = match order {
                    Order::Expiry => Some(now),
                    // Most have ended by then, so that the rest is asked for by its ends.
                    Order::Newest => Some(now.plus_secs(395 * DAY)),
                    Order::Latest => None,
                };
                let whenever = Filter { state, order, limit: 5, ..filter.clone() };
                house.ledger.list(whenever).await.unwrap();
                let mut filter = Filter { state, order, not_after_after: ends, limit: 5, ..filter.clone() };
                let page = house.ledger.list(filter.clone()).await.unwrap();
                filter.after_cursor = page.next;
                house.ledger.list(filter).await.unwrap();
            }
        }
    }
}

fn analyse(database: &Database) {
    match database {
        Database::Sqlite(path) => rusqlite::Connection::open(path).unwrap().execute_batch("ANALYZE").unwrap(),
        Database::Postgres(url) => {
            let url = url.clone();
            let analysed = std::thread::spawn(move || -> Result<(), postgres::Error> {
                let large = format!(
                    "UPDATE pg_class SET reltuples = reltuples * 1000 WHERE relname IN ('{}')",
                    LARGE.join("', '")
                );
                let mut client = postgres::Client::connect(&url, NoTls)?;
                client.batch_execute("ANALYZE")?;
                // The planner is told of a register a thousand times as large: it decides as it would there.
                client.batch_execute(&large)
            });
            analysed.join().unwrap().unwrap();
        }
    }
}

/// One statement of each shape: those that differ only in how many parameters stand in a list are one.
fn representatives(statements: BTreeSet<String>) -> BTreeMap<String, String> {
    let mut shapes: BTreeMap<String, String> = BTreeMap::new();
    let asks = ["SELECT", "WITH", "UPDATE", "DELETE"];
    for statement in statements.into_iter().filter(|text| asks.iter().any(|verb| text.starts_with(verb))) {
        let kept = shapes.entry(shape(&statement)).or_insert_with(|| statement.clone());
        if statement.len() > kept.len() {
            *kept = statement;
        }
    }
    shapes
}

fn shape(statement: &str) -> String {
    let mut text = String::new();
    for (at, part) in statement.split('$').enumerate() {
        match at {
            0 => text.push_str(part),
            _ => {
                text.push('$');
                text.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
            }
        }
    }
    while text.contains("$, $") {
        text = text.replace("$, $", "$");
    }
    while text.contains("($), ($)") {
        text = text.replace("($), ($)", "($)");
    }
    // The arms of a merge differ in their number alone.
    match text.split_once(") AS a0") {
        Some((arm, _)) => format!("{arm}) ... for each arm"),
        None => text,
    }
}

/// Tables that a question may walk: `place` has as many rows as the configuration has owners, profiles and issuers in use;
/// `head` has one, `migration` one a schema step. `p` is `place` under its usual name.
const BOUNDED: [&str; 4] = ["place", "p", "head", "migration"];
/// The auditor counts what it has read.
const COUNTING: [&str; 3] = ["SELECT COUNT(*) FROM leaf", "SELECT COUNT(*) FROM tile", "SELECT COUNT(*) FROM keyword"];

fn explain_on_sqlite(
    database: &Database,
    statements: &BTreeMap<String, String>,
    text: &mut String,
    faults: &mut Vec<String>,
) {
    let connection = rusqlite::Connection::open(path_of(database)).unwrap();
    for (shape, statement) in statements {
        let mut explained = connection.prepare(&format!("EXPLAIN QUERY PLAN {statement}")).unwrap();
        let lines: BTreeSet<String> = explained
            .raw_query()
            .mapped(|row| row.get::<_, String>(3))
            .collect::<Result<Vec<_>, _>>()
            .unwrap()
            .into_iter()
            .map(|line| without_arms(&line))
            .collect();
        for line in &lines {
            let walks = line.strip_prefix("SCAN ").is_some_and(|of| {
                let table = of.split(' ').next().unwrap_or_default();
                !BOUNDED.contains(&table) && table != "CONSTANT" && table != "aN" && !table.ends_with("-ROW")
            });
            if (walks || line.contains("TEMP B-TREE")) && !COUNTING.contains(&shape.as_str()) {
                faults.push(format!("sqlite: {line}\n{shape}"));
            }
        }
        section(text, "sqlite", shape, lines.iter().map(String::as_str));
    }
}

/// `a0`, `a1` and so on are one arm, and so are what PostgreSQL calls the tables in them; a batch has as many rows as came together.
fn without_arms(line: &str) -> String {
    let is_number = |n: &str| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit());
    let arm = |word: &str| match word {
        word if word.strip_prefix('a').is_some_and(is_number) => "aN".to_owned(),
        word if word.strip_prefix("c_").is_some_and(is_number) => "c".to_owned(),
        word if word.strip_suffix("-ROW").is_some_and(is_number) => "N-ROW".to_owned(),
        word => word.to_owned(),
    };
    line.split(' ').map(arm).collect::<Vec<_>>().join(" ")
}

fn section<'a>(text: &mut String, engine: &str, shape: &str, lines: impl Iterator<Item = &'a str>) {
    let lines: Vec<&str> = lines.collect();
    if lines.is_empty() {
        return;
    }
    writeln!(text, "{engine}: {shape}").unwrap();
    for line in lines {
        writeln!(text, "    {line}").unwrap();
    }
    text.push('\n');
}

fn explain_on_postgres(
    database: &Database,
    statements: &BTreeMap<String, String>,
    text: &mut String,
    faults: &mut Vec<String>,
) {
    let Database::Postgres(url) = database else { panic!("not a server") };
    let mut client = postgres::Client::connect(url, NoTls).unwrap();
    for (shape, statement) in statements {
        // As the planner would have it, of the seeded register.
        let free = plan(
            &mut client,
            statement,
            "RESET enable_seqscan; RESET enable_bitmapscan; RESET enable_hashjoin; RESET enable_mergejoin",
        );
        for line in &free {
            let walks = line.strip_prefix("Seq Scan on ").is_some_and(|of| {
                let table = of.split(' ').next().unwrap_or_default();
                LARGE.contains(&table)
            });
            if walks && !COUNTING.contains(&shape.as_str()) {
                faults.push(format!("postgresql, left to itself: {line}\n{shape}"));
            }
        }
        // What the indexes allow, whatever the statistics say.
        let forced = plan(
            &mut client,
            statement,
            "SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off",
        );
        for line in &forced {
            let walks = line.strip_prefix("Seq Scan on ").is_some_and(|of| {
                let table = of.split(' ').next().unwrap_or_default();
                !BOUNDED.contains(&table)
            });
            let sorts = line.starts_with("Sort");
            if (walks || sorts) && !COUNTING.contains(&shape.as_str()) {
                faults.push(format!("postgresql: {line}\n{shape}"));
            }
        }
        section(text, "postgresql", shape, forced.iter().map(String::as_str));
    }
}

/// Tables that grow with the register, and have grown here.
const LARGE: [&str; 11] =
    ["intent", "conclusion", "leaf", "name", "card", "record", "present", "tile", "ward", "reading", "keyword"];

/// The nodes of a plan, without their costs and conditions.
fn plan(client: &mut postgres::Client, statement: &str, settings: &str) -> BTreeSet<String> {
    client.batch_execute(settings).unwrap();
    // Prepared as the program prepares it: the planner does not see the values.
    client.batch_execute("SET plan_cache_mode = force_generic_plan").unwrap();
    client.batch_execute(&format!("PREPARE asked AS {statement}")).unwrap();
    let parameters = (1..).take_while(|n| statement.contains(&format!("${n}"))).count();
    let nulls = vec!["NULL"; parameters].join(", ");
    let ask = if parameters == 0 {
        "EXPLAIN (COSTS OFF) EXECUTE asked".to_owned()
    } else {
        format!("EXPLAIN (COSTS OFF) EXECUTE asked({nulls})")
    };
    let rows = client.simple_query(&ask).unwrap();
    client.batch_execute("DEALLOCATE asked").unwrap();
    let mut nodes = BTreeSet::new();
    for message in rows {
        let postgres::SimpleQueryMessage::Row(row) = message else { continue };
        let line = row.get(0).unwrap().trim().trim_start_matches("-> ").trim().to_owned();
        if ["Scan", "Sort", "Join", "Hash", "Aggregate", "Materialize", "Memoize"]
            .iter()
            .any(|word| line.contains(word))
            && !line.contains("Cond:")
            && !line.contains("Filter:")
            && !line.contains("Sort Key:")
        {
            nodes.insert(without_arms(&line));
        }
    }
    nodes
}
