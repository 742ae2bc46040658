//! Sessions that are of no use any more, servers that take no writes, and what stands between.

mod support;

use std::net::TcpListener;
use std::time::Duration;

use store::testing::TestPostgres;
use store::{Database, StoreError};
use support::*;

/// What a node takes: one that writes, one for authentication, three for requests, two for reports (docs/CONFIG.md).
const CONNECTIONS: u32 = 7;

fn url(database: &Database) -> &str {
    match database {
        Database::Postgres(url) => url,
        Database::Sqlite(_) => panic!("not a server"),
    }
}

/// The same database by other hosts, in this order.
fn at(database: &Database, hosts: &[(&str, u16)]) -> Database {
    let (user, rest) = url(database).split_once('@').unwrap();
    let (_, name) = rest.split_once('/').unwrap();
    let hosts: Vec<String> = hosts.iter().map(|(host, port)| format!("{host}:{port}")).collect();
    Database::Postgres(format!("{user}@{}/{name}", hosts.join(",")))
}

const PIDS: &str =
    "SELECT string_agg(pid::text, ' ' ORDER BY pid) FROM pg_stat_activity WHERE application_name = 'chancery'";

fn sessions(postgres: &TestPostgres) -> u32 {
    let ask = "SELECT COUNT(*) FROM pg_stat_activity WHERE application_name = 'chancery'";
    postgres.ask(ask).parse().unwrap()
}

/// Every session follows this within a moment, unless its role says otherwise.
fn read_only(postgres: &TestPostgres, says: &str) {
    postgres.run(&format!("ALTER SYSTEM SET default_transaction_read_only = {says}"));
    postgres.run("SELECT pg_reload_conf()");
}

/// Asks until it is so.
async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    let asking = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), asking).await.expect("it comes about within a minute");
}

#[test]
fn a_session_that_became_read_only_is_given_up_for_a_new_one() {
    let postgres = TestPostgres::start();
    let database = postgres.database();
    run(async {
        let house = House::open(&database).await;
        until(async || sessions(&postgres) == CONNECTIONS).await;
        let before = postgres.ask(PIDS);
        // New sessions write; those that there are never will again.
        postgres.run("ALTER ROLE chancery SET default_transaction_read_only = off");
        read_only(&postgres, "on");
        let mut n = 0;
        until(async || {
            n += 1;
            house.issue(n).await;
            postgres.ask(PIDS) != before
        })
        .await;
        assert_eq!(house.ledger.condition(), store::Condition::default());
        until(async || sessions(&postgres) == CONNECTIONS).await;
    });
}

/// Whoever probes a service that was idle over a restart of its database is not told of the session that ended with it.
#[test]
fn a_restart_of_the_server_while_nobody_asks_is_no_outage_for_who_asks_afterwards() {
    let mut postgres = TestPostgres::start();
    let database = postgres.database();
    run(async {
        let house = House::open(&database).await;
        until(async || sessions(&postgres) == CONNECTIONS).await;
        house.issue(1).await;
        postgres.stop();
        postgres.resume();
        house.ledger.would_write().await.unwrap();
        assert_eq!(house.ledger.condition(), store::Condition::default());
        house.issue(2).await;
    });
}

#[test]
fn a_server_that_takes_no_writes_is_told_of_and_tried_again_without_anybodys_asking() {
    let postgres = TestPostgres::start();
    let database = postgres.database();
    run(async {
        let house = House::open(&database).await;
        let issued = house.issue(1).await;
        read_only(&postgres, "on");
        let mut n = 1;
        until(async || {
            n += 1;
            house.ledger.intend(house.entry(n)).await.is_err()
        })
        .await;
        let refused = house.ledger.intend(house.entry(1_000)).await.unwrap_err();
        assert!(matches!(&refused, StoreError::Unavailable(why) if why.contains("takes no writes")), "{refused}");
        let away = house.ledger.condition().away.expect("it is told of");
        assert!(away.contains("takes no writes"), "{away}");
        // What is read goes on.
        house.ledger.credential(&issued.serial_hex()).await.unwrap().unwrap();
        read_only(&postgres, "off");
        until(async || house.ledger.condition().away.is_none()).await;
        house.issue(1_001).await;
        is_clean(&verified(database.clone(), None));
    });
}

#[test]
fn of_several_hosts_the_one_that_takes_writes_is_found_also_after_a_failover() {
    let mut primary = TestPostgres::start();
    let database = primary.database();
    let standby = primary.standby();
    let database = at(&database, &[("127.0.0.1", standby.port()), ("localhost", primary.port())]);
    run(async {
        let house = House::open(&database).await;
        let issued = house.issue(1).await;
        let lsn = primary.ask("SELECT pg_current_wal_flush_lsn()");
        until(async || standby.ask(&format!("SELECT pg_last_wal_replay_lsn() >= '{lsn}'")) == "t").await;
        // A standby is good enough for an auditor, and for nobody else.
        let copy = at(&database, &[("127.0.0.1", standby.port())]);
        assert_eq!(verified(copy.clone(), None).certificates, 1);
        let refused = house.open_beside(&copy).await.unwrap_err();
        assert!(matches!(&refused, StoreError::Unavailable(why) if why.contains("standby")), "{refused}");
        primary.kill();
        standby.run("SELECT pg_promote()");
        until(async || house.ledger.intend(house.entry(2)).await.is_ok()).await;
        house.issue(3).await;
        house.ledger.credential(&issued.serial_hex()).await.unwrap().unwrap();
        until(async || house.ledger.condition().away.is_none()).await;
    });
}

#[test]
fn a_server_that_takes_connections_and_says_nothing_is_away_and_the_next_is_asked() {
    let postgres = TestPostgres::start();
    let database = postgres.database();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = ("127.0.0.1", silent.local_addr().unwrap().port(), silent);
    run(async {
        drop(House::open(&database).await.closed().await);
        let alone = at(&database, &[(silent.0, silent.1)]);
        let outcome = tokio::task::spawn_blocking(|| store::verify(alone, None, &mut |_| {})).await.unwrap();
        assert!(
            matches!(&outcome, Err(StoreError::Unavailable(why)) if why.contains("no answer within")),
            "{outcome:?}"
        );
        is_clean(&verified(at(&database, &[(silent.0, silent.1), ("127.0.0.1", postgres.port())]), None));
    });
}

#[test]
fn a_database_that_does_not_hold_every_text_is_refused_before_anything_is_made_in_it() {
    let postgres = TestPostgres::start();
    let database = postgres.database();
    run(async {
        let house = House::open(&database).await;
        for encoding in ["LATIN1", "SQL_ASCII"] {
            let name = encoding.to_lowercase();
            postgres.run(&format!("CREATE DATABASE {name} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0"));
            let other = Database::Postgres(url(&database).replace("/t0", &format!("/{name}")));
            let refused = house.open_beside(&other).await.unwrap_err();
            let says = refused.to_string();
            assert!(matches!(refused, StoreError::Database(_)), "{says}");
            assert!(says.contains(encoding) && says.contains("ENCODING 'UTF8' TEMPLATE template0"), "{says}");
        }
    });
}

#[test]
fn a_pooler_is_refused_unless_it_gives_each_client_a_session_of_its_own() {
    let postgres = TestPostgres::start();
    let database = postgres.database();
    run(async {
        let house = House::open(&database).await;
        let pooler = postgres.pooler("transaction", CONNECTIONS + 1);
        let refused = house.open_beside(&at(&database, &[("127.0.0.1", pooler.port())])).await.unwrap_err();
        let says = refused.to_string();
        assert!(matches!(refused, StoreError::Database(_)), "{says}");
        assert!(says.contains("pool_mode = session"), "{says}");
        let copy = at(&database, &[("127.0.0.1", pooler.port())]);
        let refused = tokio::task::spawn_blocking(|| store::verify(copy, None, &mut |_| {})).await.unwrap();
        assert!(matches!(refused, Err(StoreError::Database(_))), "{refused:?}");
        drop(pooler);
        let pooler = postgres.pooler("session", CONNECTIONS);
        let beside = house.beside(&at(&database, &[("127.0.0.1", pooler.port())])).await;
        beside.issue(1).await;
        until(async || sessions(&postgres) == 2 * CONNECTIONS).await;
        assert_eq!(beside.ledger.condition(), store::Condition::default());
        beside.ledger.close().await;
    });
}

/// A node with fewer connections than it takes would answer some questions and not others.
#[test]
fn a_connection_that_is_missing_is_told_of_before_anybody_asks() {
    let postgres = TestPostgres::start();
    postgres.run("CREATE ROLE few LOGIN CONNECTION LIMIT 20");
    postgres.run("CREATE DATABASE few OWNER few");
    let Database::Postgres(url) = postgres.database() else { panic!() };
    let database = Database::Postgres(url.replace("chancery@", "few@").replace("/t0", "/few"));
    run(async {
        let closed = House::open(&database).await.closed().await;
        until(async || sessions(&postgres) == 0).await;
        postgres.run("ALTER ROLE few CONNECTION LIMIT 4");
        let ledger = closed.open(&database, None).await.unwrap();
        until(async || ledger.condition().away.is_some_and(|why| why.contains("too many connections"))).await;
        postgres.run("ALTER ROLE few CONNECTION LIMIT 20");
        until(async || ledger.condition().away.is_none()).await;
        assert_eq!(sessions(&postgres), CONNECTIONS);
        ledger.close().await;
    });
}
