//! PostgreSQL: a database that is closed, which is opened for a moment and stands as it was.

use std::sync::Arc;

use drivers::{Driver, Fault, Host, Login, Postgres};
use secrets::rotation::Others;

use crate::postgres::{admin, ask, start};
use crate::register::{ADMIN, ADMIN_SECRET, secret};
use crate::relay::{Fate, Hold, relay};
use crate::servers::Server;

/// A closed database, and a role whose password is set from within it.
async fn start_closed() -> Server {
    let server = start();
    for sql in ["CREATE ROLE app LOGIN", "CREATE DATABASE his", "ALTER DATABASE his ALLOW_CONNECTIONS false"] {
        ask(server.port, sql).await;
    }
    server
}

/// Goes into the closed database, as the administrator.
async fn goes_in(port: u16) -> Result<(), Fault> {
    let driver = Postgres::new(Host::here("127.0.0.1", port).expect("it is here"), "his");
    let (ours, password) = (secret(ADMIN_SECRET), secret("p"));
    driver.set(admin(&ours), Login { user: "app", secret: &password }, Others::Replaced).await
}

/// Whether it is open, and what is set in it.
async fn stands(port: u16) -> String {
    let question = "SELECT concat(datallowconn, ' ', (SELECT string_agg(one, ';' ORDER BY one) \
                    FROM pg_db_role_setting s, unnest(s.setconfig) one WHERE s.setdatabase = d.oid)) \
                    FROM pg_database d WHERE datname = 'his'";
    ask(port, question).await.expect("it is there")
}

#[tokio::test]
async fn what_an_administrator_had_set_in_a_closed_database_stands_once_he_was_in_it() {
    let server = start_closed().await;
    for own in [
        "statement_timeout = '15min'",
        "local_preload_libraries = 'a', 'b c'",
        "application_name = 'it''s mine'",
        "work_mem = '5MB'",
    ] {
        ask(server.port, &format!("ALTER ROLE \"{ADMIN}\" IN DATABASE his SET {own}")).await;
    }
    let before = stands(server.port).await;
    assert!(before.starts_with("f ") && before.contains("15min"), "{before}");
    goes_in(server.port).await.expect("he is let in");
    assert_eq!(stands(server.port).await, before);
}

#[tokio::test]
async fn a_database_that_was_opened_is_closed_though_nobody_waits_for_it_or_the_line_breaks() {
    let server = start_closed().await;
    let hold = Arc::new(Hold::default());
    let slow = relay(server.port, "ALLOW_CONNECTIONS true", Fate::Held(Arc::clone(&hold))).await;
    let work = tokio::spawn(goes_in(slow));
    hold.is_there.notified().await;
    assert!(stands(server.port).await.starts_with("t "), "it is open");
    // What a deadline around it does.
    work.abort();
    assert!(work.await.is_err_and(|error| error.is_cancelled()));
    hold.goes_on.notify_one();
    let mut last = stands(server.port).await;
    for _ in 0..500 {
        if last == "f " {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        last = stands(server.port).await;
    }
    assert_eq!(last, "f ");
    let broken = relay(server.port, "ALLOW_CONNECTIONS true", Fate::Arrives).await;
    let done = goes_in(broken).await;
    assert!(matches!(done, Err(Fault::Away(_))), "{done:?}");
    assert_eq!(stands(server.port).await, "f ");
}

#[tokio::test]
async fn a_database_that_a_kill_left_open_is_closed_by_the_next_who_comes() {
    let server = start_closed().await;
    let hold = Arc::new(Hold::default());
    let slow = relay(server.port, "ALLOW_CONNECTIONS true", Fate::Held(Arc::clone(&hold))).await;
    let process = tokio::runtime::Runtime::new().expect("a runtime of its own");
    process.spawn(goes_in(slow));
    hold.is_there.notified().await;
    tokio::task::spawn_blocking(move || drop(process)).await.expect("all its tasks are gone");
    hold.goes_on.notify_one();
    assert!(stands(server.port).await.starts_with("t "), "a kill leaves it open");
    goes_in(server.port).await.expect("he is let in");
    assert_eq!(stands(server.port).await, "f ");
}
