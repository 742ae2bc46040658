//! PostgreSQL: a database that is closed, which is opened for a moment where something in it is taken from somebody, and for nothing else.

use std::sync::Arc;

use drivers::{Driver, Dynamic, Fault, Host, Lease, Login, Postgres};
use policy::{Secret, Timestamp};
use secrets::rotation::Others;

use crate::postgres::{admin, ask, ask_in, start};
use crate::register::{ADMIN, ADMIN_SECRET, secret};
use crate::relay::{Fate, Hold, relay};
use crate::servers::Server;

/// A closed database, in which a user has something who is to end.
async fn start_closed() -> Server {
    let server = start();
    for sql in ["CREATE ROLE app", "CREATE ROLE \"v-app-1\" LOGIN IN ROLE app", "CREATE DATABASE his"] {
        ask(server.port, sql).await;
    }
    ask_in(server.port, "his", "CREATE TABLE made (x int); ALTER TABLE made OWNER TO \"v-app-1\"").await;
    ask(server.port, "ALTER DATABASE his ALLOW_CONNECTIONS false").await;
    server
}

fn driver(port: u16, database: &str) -> Postgres {
    Postgres::new(Host::here("127.0.0.1", port).expect("it is here"), database)
}

fn lease<'a>(user: &'a str, password: &'a Secret<String>) -> Lease<'a> {
    let until = Timestamp::parse_rfc3339("2090-01-01T00:00:00Z").expect("a time");
    Lease { login: Login { user, secret: password }, like: "app", until }
}

/// Goes into the closed database, as the administrator: what is the user's there is taken from him.
async fn goes_in(port: u16) -> Result<(), Fault> {
    let (ours, password) = (secret(ADMIN_SECRET), secret("lived"));
    driver(port, "his").revoke(admin(&ours), lease("v-app-1", &password)).await
}

/// The same, and whoever went in was killed while it was open.
async fn left_open() -> Server {
    let server = start_closed().await;
    let hold = Arc::new(Hold::default());
    let slow = relay(server.port, "ALLOW_CONNECTIONS true", Fate::Held(Arc::clone(&hold))).await;
    let process = tokio::runtime::Runtime::new().expect("a runtime of its own");
    process.spawn(goes_in(slow));
    hold.is_there.notified().await;
    tokio::task::spawn_blocking(move || drop(process)).await.expect("all its tasks are gone");
    hold.goes_on.notify_one();
    assert!(stands(server.port).await.starts_with("t "), "a kill leaves it open");
    server
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
    assert!(matches!(done, Err(Fault::Unknown(_))), "he is locked out, and has something still: {done:?}");
    assert_eq!(stands(server.port).await, "f ");
}

#[tokio::test]
async fn a_database_that_a_kill_left_open_is_closed_by_the_next_who_comes() {
    let server = left_open().await;
    goes_in(server.port).await.expect("he is let in");
    assert_eq!(stands(server.port).await, "f ");
}

/// Nor is a note of ours a word about what an administrator decided since.
#[tokio::test]
async fn a_database_that_somebody_opened_since_stays_open_and_the_note_goes() {
    let server = left_open().await;
    ask(server.port, "ALTER DATABASE his ALLOW_CONNECTIONS true").await;
    goes_in(server.port).await.expect("he is let in");
    assert_eq!(stands(server.port).await, "t ", "it is open, and nothing of ours is set in it");
}

/// Whoever owns it keeps it from being closed: that is no reason to let him in.
#[tokio::test]
async fn who_keeps_a_database_from_being_closed_is_locked_out_all_the_same() {
    let server = left_open().await;
    ask(server.port, "CREATE ROLE \"v-app-2\" LOGIN IN ROLE app").await;
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(server.port).user(ADMIN).password(ADMIN_SECRET).dbname("postgres");
    let (owner, connection) = config.connect(tokio_postgres::NoTls).await.expect("a session");
    tokio::spawn(connection);
    owner.batch_execute("BEGIN").await.expect("a transaction");
    owner.batch_execute("ALTER DATABASE his CONNECTION LIMIT -1").await.expect("its row is held");
    let (ours, password) = (secret(ADMIN_SECRET), secret("lived"));
    let done = driver(server.port, "his").revoke(admin(&ours), lease("v-app-2", &password)).await;
    let kept = ask(server.port, "SELECT count(*)::text FROM pg_roles WHERE rolname = 'v-app-2' AND rolcanlogin").await;
    assert_eq!(kept.as_deref(), Some("0"), "he is locked out: {done:?}");
}

/// Whoever closed it has a reason, and pools that wait for it come in.
#[tokio::test]
async fn a_closed_database_is_opened_for_no_password_and_for_nobody_who_has_nothing_there() {
    let server = start_closed().await;
    let (closed, elsewhere) = (driver(server.port, "his"), driver(server.port, "postgres"));
    let (ours, password) = (secret(ADMIN_SECRET), secret("lived"));
    ask(server.port, "CREATE ROLE web LOGIN").await;
    let web = Login { user: "web", secret: &password };
    closed.set(admin(&ours), web, Others::Replaced).await.expect("it is set");
    elsewhere.test(web).await.expect("it is his");
    closed.retire(admin(&ours), web, Others::Replaced).await.expect("it is taken away");
    assert!(matches!(elsewhere.test(web).await, Err(Fault::Refused(_))));
    let other = lease("v-app-2", &password);
    closed.create(admin(&ours), other).await.expect("he is made");
    elsewhere.test(other.login).await.expect("he logs in");
    closed.renew(admin(&ours), other).await.expect("he is renewed");
    closed.revoke(admin(&ours), other).await.expect("he is ended");
    assert!(matches!(elsewhere.test(other.login).await, Err(Fault::Refused(_))));
    assert_eq!(stands(server.port).await, "f ");
    assert!(!server.log().contains("ALLOW_CONNECTIONS true"), "{}", server.log());
    // What is somebody's there is reached by this door alone.
    goes_in(server.port).await.expect("he is let in");
    assert!(server.log().contains("ALLOW_CONNECTIONS true"), "the log says so");
}

#[tokio::test]
async fn a_user_who_keeps_the_administrator_out_of_his_database_is_locked_out_all_the_same() {
    let server = start();
    let (ours, password) = (secret("made"), secret("lived"));
    ask(server.port, "CREATE ROLE maker LOGIN CREATEROLE PASSWORD 'made'; CREATE ROLE app").await;
    ask(server.port, "GRANT app TO maker WITH ADMIN OPTION").await;
    ask(server.port, "CREATE DATABASE main OWNER app").await;
    let (driver, maker) = (driver(server.port, "main"), Login { user: "maker", secret: &ours });
    let lease = lease("v-app-1", &password);
    for (nth, (trap, undone)) in [
        ("ALTER DATABASE main CONNECTION LIMIT 0", "ALTER DATABASE main CONNECTION LIMIT -1"),
        ("REVOKE CONNECT ON DATABASE main FROM PUBLIC, app", "GRANT CONNECT ON DATABASE main TO PUBLIC, app"),
    ]
    .into_iter()
    .enumerate()
    {
        driver.create(maker, lease).await.unwrap_or_else(|fault| panic!("{trap}: {fault}"));
        let mut sessions = Vec::new();
        for database in ["main", "postgres"] {
            let mut config = tokio_postgres::Config::new();
            config.host("127.0.0.1").port(server.port).user(lease.login.user).password("lived").dbname(database);
            let (client, connection) = config.connect(tokio_postgres::NoTls).await.expect("a session");
            sessions.push((client, tokio::spawn(connection)));
        }
        let shuts = format!("CREATE TABLE made{nth} (x int); {trap}");
        sessions[0].0.batch_execute(&shuts).await.expect(trap);
        let done = driver.revoke(maker, lease).await;
        let Err(Fault::Unknown(said)) = &done else { panic!("{trap}: {done:?}") };
        assert!(said.contains("database main") && said.contains("CONNECTION LIMIT"), "{trap}: {said}");
        let may_log_in = ask(server.port, "SELECT rolcanlogin FROM pg_roles WHERE rolname = 'v-app-1'").await;
        assert_eq!(may_log_in.as_deref(), Some("f"), "{trap}");
        for (_client, ended) in sessions {
            assert!(ended.await.expect("the task ends").is_err(), "{trap}: a session of his goes on");
        }
        // What he has is handed over once somebody undid it.
        ask(server.port, undone).await;
        driver.revoke(maker, lease).await.unwrap_or_else(|fault| panic!("{trap}: {fault}"));
        let owner = format!("SELECT tableowner FROM pg_tables WHERE tablename = 'made{nth}'");
        assert_eq!(ask_in(server.port, "main", &owner).await.as_deref(), Some("app"), "{trap}");
    }
}
