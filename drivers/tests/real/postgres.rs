//! PostgreSQL.

use std::path::{Path, PathBuf};
use std::process::Command;

use drivers::{Driver, Dynamic, Fault, Host, Lease, Login, Postgres};
use policy::{Secret, Timestamp};
use secrets::rotation::{Others, Plan};

use crate::authority::Authority;
use crate::register::{ADMIN, ADMIN_SECRET, Register, rotates_whenever_it_is_killed, secret};
use crate::relay::{Fate, relay};
use crate::servers::Server;

fn program(name: &str) -> PathBuf {
    let versions =
        std::fs::read_dir("/usr/lib/postgresql").expect("PostgreSQL is installed (apt-get install postgresql)");
    let newest = versions.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok()).max();
    let newest = newest.expect("PostgreSQL is installed (apt-get install postgresql)");
    Path::new("/usr/lib/postgresql").join(newest.to_string()).join("bin").join(name)
}

/// Passwords are asked for, and every statement is logged.
pub fn start() -> Server {
    let mut server = Server::home();
    let password = server.write("password", ADMIN_SECRET);
    let data = server.path("data");
    server.run(
        Command::new(program("initdb"))
            .args(["--username", ADMIN, "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "--no-sync"])
            .arg(format!("--pwfile={}", password.display()))
            .arg("--pgdata")
            .arg(&data),
    );
    resume(&mut server, &[]);
    server
}

fn resume(server: &mut Server, more: &[&str]) {
    let (data, home, port) = (server.path("data"), server.path(""), server.port.to_string());
    let mut command = Command::new(program("postgres"));
    command.arg("-D").arg(data).arg("-k").arg(home).args(["-h", "127.0.0.1", "-p", &port]);
    server.start(command.args(["-c", "log_statement=all", "-c", "fsync=off"]).args(more));
}

fn driver(port: u16) -> Postgres {
    Postgres::new(Host::here("127.0.0.1", port).expect("it is here"), "postgres")
}

/// The first cell of an answer, as the administrator gets it.
pub async fn ask(port: u16, sql: &str) -> Option<String> {
    ask_in(port, "postgres", sql).await
}

/// The same, in a database of this name.
pub async fn ask_in(port: u16, database: &str, sql: &str) -> Option<String> {
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(port).user(ADMIN).password(ADMIN_SECRET).dbname(database);
    let mut last = None;
    // A server that has its port may still be starting.
    for _ in 0..500 {
        match config.connect(tokio_postgres::NoTls).await {
            Ok((client, connection)) => {
                tokio::spawn(connection);
                let found = client.simple_query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
                return found.iter().find_map(|message| match message {
                    tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
                    _ => None,
                });
            }
            Err(error) => last = Some(error),
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("no session: {last:?}");
}

pub fn admin(secret: &Secret<String>) -> Login<'_> {
    Login { user: ADMIN, secret }
}

#[tokio::test]
async fn a_password_is_set_under_any_name_and_stands_in_no_file_of_the_server() {
    let server = start();
    let (driver, ours) = (driver(server.port), secret(ADMIN_SECRET));
    let longest = "n".repeat(63);
    let names = ["app", "we\"ird'; DROP ROLE app; --", "current_user", "Größe $$ \\", longest.as_str()];
    for name in names {
        ask(server.port, &format!("CREATE ROLE \"{}\" LOGIN", name.replace('"', "\"\""))).await;
        let password = secret(&format!("canary-of-{}", name.len()));
        let login = Login { user: name, secret: &password };
        assert!(matches!(driver.test(login).await, Err(Fault::Refused(_))), "{name}: before");
        driver.set(admin(&ours), login, Others::Replaced).await.unwrap_or_else(|fault| panic!("{name}: {fault}"));
        driver.test(login).await.unwrap_or_else(|fault| panic!("{name}: {fault}"));
        let other = secret("another");
        assert!(matches!(driver.test(Login { secret: &other, ..login }).await, Err(Fault::Refused(_))), "{name}");
        driver.retire(admin(&ours), login, Others::Replaced).await.unwrap_or_else(|fault| panic!("{name}: {fault}"));
        assert!(matches!(driver.test(login).await, Err(Fault::Refused(_))), "{name}: after");
    }
    assert!(server.log().contains("ALTER ROLE \"app\" PASSWORD 'SCRAM-SHA-256$"), "{}", server.log());
    assert_eq!(server.files_with(b"canary-of-"), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn what_the_server_would_take_for_another_is_refused_here() {
    let server = start();
    let (driver, ours, password) = (driver(server.port), secret(ADMIN_SECRET), secret("p"));
    let (cut, long) = ("n".repeat(63), "n".repeat(64));
    ask(server.port, &format!("CREATE ROLE {cut} LOGIN")).await;
    // PostgreSQL cuts the name, and the password would be another role's.
    for user in [long.as_str(), "", "a\0b"] {
        let done = driver.set(admin(&ours), Login { user, secret: &password }, Others::Replaced).await;
        assert!(matches!(done, Err(Fault::Refused(_))), "{user:?}: {done:?}");
    }
    for bad in ["", "a\0b", &"p".repeat(1_001)] {
        let bad = secret(bad);
        let done = driver.set(admin(&ours), Login { user: &cut, secret: &bad }, Others::Replaced).await;
        assert!(matches!(done, Err(Fault::Refused(_))), "{done:?}");
    }
    let kept = driver.set(admin(&ours), Login { user: &cut, secret: &password }, Others::Kept).await;
    assert!(matches!(kept, Err(Fault::Refused(_))), "{kept:?}");
    let nobody = driver.set(admin(&ours), Login { user: "nobody", secret: &password }, Others::Replaced).await;
    assert_eq!(nobody, Err(Fault::Refused("role \"nobody\" does not exist".to_owned())));
    let wrong = driver.set(admin(&password), Login { user: &cut, secret: &password }, Others::Replaced).await;
    assert!(matches!(wrong, Err(Fault::Refused(_))), "{wrong:?}");
}

#[tokio::test]
async fn what_is_away_is_told_from_what_may_have_happened() {
    let mut server = start();
    let (straight, ours) = (driver(server.port), secret(ADMIN_SECRET));
    ask(server.port, "CREATE ROLE app LOGIN").await;
    let (one, other) = (secret("one"), secret("other"));
    let login = |secret| Login { user: "app", secret };
    straight.set(admin(&ours), login(&one), Others::Replaced).await.expect("it is set");
    // Lost on the way there, and on the way back: the driver cannot know which.
    let lost = driver(relay(server.port, "ALTER ROLE", Fate::Lost).await);
    let done = lost.set(admin(&ours), login(&other), Others::Replaced).await;
    assert!(matches!(done, Err(Fault::Unknown(_))), "{done:?}");
    straight.test(login(&one)).await.expect("it did not happen");
    let arrives = driver(relay(server.port, "ALTER ROLE", Fate::Arrives).await);
    let done = arrives.set(admin(&ours), login(&other), Others::Replaced).await;
    assert!(matches!(done, Err(Fault::Unknown(_))), "{done:?}");
    straight.test(login(&other)).await.expect("it happened");
    // A server that may take nobody else in says nothing of the password.
    ask(server.port, "ALTER ROLE app CONNECTION LIMIT 0").await;
    let full = straight.test(login(&other)).await;
    assert!(matches!(full, Err(Fault::Away(_))), "{full:?}");
    server.stop();
    for done in [straight.test(login(&one)).await, straight.set(admin(&ours), login(&one), Others::Replaced).await] {
        assert!(matches!(done, Err(Fault::Away(_))), "{done:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_takes_connections_and_says_nothing_is_away() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let driver = driver(silent.local_addr().expect("an address").port());
    let (ours, password) = (secret(ADMIN_SECRET), secret("p"));
    let login = Login { user: "app", secret: &password };
    for done in [driver.test(login).await, driver.set(admin(&ours), login, Others::Replaced).await] {
        assert!(matches!(done, Err(Fault::Away(_))), "{done:?}");
    }
}

#[tokio::test]
async fn a_rotation_killed_at_any_step_ends_in_a_credential_that_logs_in() {
    let server = start();
    let (driver, ours, first) = (driver(server.port), secret(ADMIN_SECRET), secret("first"));
    for user in ["app", "app-a", "app-b"] {
        ask(server.port, &format!("CREATE ROLE \"{user}\" LOGIN")).await;
        driver.set(admin(&ours), Login { user, secret: &first }, Others::Replaced).await.expect("it is set");
    }
    let single = Plan::Single { user: "app".to_owned() };
    rotates_whenever_it_is_killed(&driver, single, "app", "first").await;
    let pair = Plan::Pair { users: ["app-a".to_owned(), "app-b".to_owned()] };
    rotates_whenever_it_is_killed(&driver, pair, "app-a", "first").await;
}

#[tokio::test]
async fn a_hundred_rotations_of_a_pair_fail_no_login_of_an_application() {
    let server = start();
    let (driver, ours, first) = (driver(server.port), secret(ADMIN_SECRET), secret("first"));
    for user in ["app-a", "app-b"] {
        ask(server.port, &format!("CREATE ROLE \"{user}\" LOGIN")).await;
    }
    driver.set(admin(&ours), Login { user: "app-a", secret: &first }, Others::Replaced).await.expect("it is set");
    let pair = Plan::Pair { users: ["app-a".to_owned(), "app-b".to_owned()] };
    let mut register = Register::new(pair, "app-a", "first");
    for turn in 0..100 {
        register.ask();
        // Between any two steps an application reads what is current and logs in with it.
        loop {
            let (user, password) = register.current();
            let login = driver.test(Login { user: &user, secret: &password }).await;
            assert_eq!(login, Ok(()), "rotation {turn}: {:?}", register.read());
            if !register.step(&driver, None).await {
                break;
            }
        }
    }
    assert_eq!(register.read().current().version, 101);
}

#[tokio::test]
async fn a_user_lives_as_long_as_his_lease_and_leaves_nothing_that_is_his() {
    let server = start();
    let (driver, ours, password) = (driver(server.port), secret(ADMIN_SECRET), secret("lived"));
    ask(server.port, "CREATE ROLE readers; GRANT CREATE ON SCHEMA public TO readers").await;
    let login = Login { user: "v-app-\"1\"", secret: &password };
    let until = |text: &str| Timestamp::parse_rfc3339(text).expect("a time");
    let lease = Lease { login, like: "readers", until: until("2090-01-01T00:00:00Z") };
    driver.create(admin(&ours), lease).await.expect("it is made");
    driver.test(login).await.expect("it logs in");
    let again = driver.create(admin(&ours), lease).await;
    assert!(matches!(again, Err(Fault::Refused(_))), "{again:?}");
    // The server itself ends who is not renewed.
    driver.renew(admin(&ours), Lease { until: until("2001-01-01T00:00:00Z"), ..lease }).await.expect("it is changed");
    assert!(matches!(driver.test(login).await, Err(Fault::Refused(_))));
    driver.renew(admin(&ours), lease).await.expect("it is renewed");
    driver.test(login).await.expect("it logs in again");
    // He made a table, and is connected.
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(server.port).user(login.user).password("lived").dbname("postgres");
    let (client, connection) = config.connect(tokio_postgres::NoTls).await.expect("a session");
    let ended = tokio::spawn(connection);
    client.batch_execute("CREATE TABLE his (x int)").await.expect("a table");
    // His own row is held by a transaction that he does not end.
    client.batch_execute("BEGIN; ALTER ROLE CURRENT_USER PASSWORD 'mine'").await.expect("he changes his own password");
    driver.revoke(admin(&ours), lease).await.expect("it is revoked");
    assert!(ended.await.expect("the task ends").is_err(), "his session goes on");
    assert!(matches!(driver.test(login).await, Err(Fault::Refused(_))));
    assert_eq!(
        ask(server.port, "SELECT tableowner FROM pg_tables WHERE tablename = 'his'").await.as_deref(),
        Some("readers")
    );
    assert_eq!(
        ask(server.port, "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'v-app%'").await.as_deref(),
        Some("0")
    );
    driver.revoke(admin(&ours), lease).await.expect("revoked twice is revoked once");
}

/// A role is the whole cluster's: what he made in another database, or was granted there, keeps him from being dropped.
#[tokio::test]
async fn a_user_who_has_something_in_other_databases_is_dropped_all_the_same() {
    let server = start();
    let (driver, ours, password) = (driver(server.port), secret(ADMIN_SECRET), secret("lived"));
    ask(server.port, "CREATE ROLE readers").await;
    for database in ["other", "we\"ird", "third"] {
        let quoted = database.replace('"', "\"\"");
        ask(server.port, &format!("CREATE DATABASE \"{quoted}\"")).await;
        ask_in(server.port, database, "GRANT CREATE ON SCHEMA public TO readers").await;
    }
    let login = Login { user: "v-app-\"1\"", secret: &password };
    let until = Timestamp::parse_rfc3339("2090-01-01T00:00:00Z").expect("a time");
    let lease = Lease { login, like: "readers", until };
    driver.create(admin(&ours), lease).await.expect("it is made");
    for database in ["other", "we\"ird"] {
        let mut config = tokio_postgres::Config::new();
        config.host("127.0.0.1").port(server.port).user(login.user).password("lived").dbname(database);
        let (client, connection) = config.connect(tokio_postgres::NoTls).await.expect("a session");
        tokio::spawn(connection);
        client.batch_execute("CREATE TABLE his (x int)").await.expect("a table");
        client.batch_execute("SELECT lo_create(0)").await.expect("a large object");
    }
    let granted = "CREATE TABLE given (x int); GRANT SELECT ON given TO \"v-app-\"\"1\"\"\"";
    ask_in(server.port, "third", granted).await;
    ask(server.port, "GRANT CONNECT ON DATABASE third TO \"v-app-\"\"1\"\"\"").await;
    // Where a database is searched by names of somebody's own, what he calls as the server's own is run by nobody else.
    for trap in [
        "CREATE SCHEMA evil; GRANT ALL ON SCHEMA evil TO PUBLIC; CREATE TABLE evil.caught (who text); GRANT ALL ON evil.caught TO PUBLIC",
        "CREATE FUNCTION evil.catch() RETURNS name LANGUAGE sql AS \
         'INSERT INTO evil.caught VALUES (current_user); SELECT ''v-app-\"1\"''::name'",
        "CREATE VIEW evil.pg_roles AS SELECT evil.catch() AS rolname",
        "ALTER DATABASE other SET search_path = evil, pg_catalog; ALTER DATABASE other SET default_transaction_read_only = on",
    ] {
        ask_in(server.port, "other", trap).await;
    }
    driver.revoke(admin(&ours), lease).await.expect("it is revoked");
    assert_eq!(ask_in(server.port, "other", "SELECT count(*) FROM evil.caught").await.as_deref(), Some("0"));
    let left = ask(server.port, "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'v-app%'").await;
    assert_eq!(left.as_deref(), Some("0"));
    for database in ["other", "we\"ird"] {
        let owner = ask_in(server.port, database, "SELECT tableowner FROM pg_tables WHERE tablename = 'his'").await;
        assert_eq!(owner.as_deref(), Some("readers"), "{database}");
        let object = "SELECT lomowner::regrole::text FROM pg_largeobject_metadata";
        assert_eq!(ask_in(server.port, database, object).await.as_deref(), Some("readers"), "{database}");
    }
    assert_eq!(ask_in(server.port, "third", "SELECT count(*) FROM given").await.as_deref(), Some("0"), "it stays");
    driver.revoke(admin(&ours), lease).await.expect("revoked twice is revoked once");
}

/// Whoever has the rights of a database's owner says how sessions begin there, and whether any does; the administrator has them too.
#[tokio::test]
async fn a_user_who_shuts_his_own_databases_ends_all_the_same() {
    let server = start();
    let (ours, password) = (secret("made"), secret("lived"));
    ask(server.port, "CREATE ROLE maker LOGIN CREATEROLE PASSWORD 'made'; CREATE ROLE app").await;
    ask(server.port, "GRANT app TO maker WITH ADMIN OPTION").await;
    for database in ["his", "main"] {
        ask(server.port, &format!("CREATE DATABASE {database} OWNER app")).await;
    }
    let driver = Postgres::new(Host::here("127.0.0.1", server.port).expect("it is here"), "main");
    let maker = Login { user: "maker", secret: &ours };
    let login = Login { user: "v-app-1", secret: &password };
    let until = Timestamp::parse_rfc3339("2090-01-01T00:00:00Z").expect("a time");
    let lease = Lease { login, like: "app", until };
    let closed = "ALLOW_CONNECTIONS false";
    for (nth, trap) in [
        "SET idle_session_timeout = '1ms'",
        "SET statement_timeout = '1ms'",
        "SET local_preload_libraries = 'nothing'",
        "SET default_transaction_read_only = on",
        "SET role = 'v-app-1'",
        closed,
    ]
    .into_iter()
    .enumerate()
    {
        driver.create(maker, lease).await.unwrap_or_else(|fault| panic!("{trap}: {fault}"));
        let mut sessions = Vec::new();
        for database in ["his", "main"] {
            let mut config = tokio_postgres::Config::new();
            config.host("127.0.0.1").port(server.port).user(login.user).password("lived").dbname(database);
            let (client, connection) = config.connect(tokio_postgres::NoTls).await.expect("a session");
            tokio::spawn(connection);
            client.batch_execute(&format!("CREATE TABLE made{nth} (x int)")).await.expect("a table");
            sessions.push(client);
        }
        // Nobody shuts the database that he is in.
        for (client, other) in sessions.iter().zip(["main", "his"]) {
            client.batch_execute(&format!("ALTER DATABASE {other} {trap}")).await.expect(trap);
        }
        driver.revoke(maker, lease).await.unwrap_or_else(|fault| panic!("{trap}: {fault}"));
        let left = ask(server.port, "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'v-app%'").await;
        assert_eq!(left.as_deref(), Some("0"), "{trap}");
        // What he set stands as he left it, and nothing of ours beside it.
        let set = ask(server.port, "SELECT count(*) FROM pg_db_role_setting WHERE setrole <> 0").await;
        assert_eq!(set.as_deref(), Some("0"), "{trap}");
        let shut = "SELECT count(*) FROM pg_database WHERE datname IN ('his', 'main') AND NOT datallowconn";
        let wanted = if trap == closed { "2" } else { "0" };
        assert_eq!(ask(server.port, shut).await.as_deref(), Some(wanted), "{trap}");
        for database in ["his", "main"] {
            ask(server.port, &format!("ALTER DATABASE {database} RESET ALL")).await;
            ask(server.port, &format!("ALTER DATABASE {database} ALLOW_CONNECTIONS true")).await;
            let owner = format!("SELECT tableowner FROM pg_tables WHERE tablename = 'made{nth}'");
            assert_eq!(ask_in(server.port, database, &owner).await.as_deref(), Some("app"), "{trap}");
        }
    }
}

#[tokio::test]
async fn a_database_that_the_administrator_may_not_open_keeps_a_role_that_is_locked_out() {
    let server = start();
    let (ours, password) = (secret("made"), secret("lived"));
    ask(server.port, "CREATE ROLE maker LOGIN CREATEROLE PASSWORD 'made'; CREATE ROLE app").await;
    ask(server.port, "GRANT app TO maker WITH ADMIN OPTION").await;
    for database in ["shut", "wide"] {
        ask(server.port, &format!("CREATE DATABASE {database}")).await;
        ask_in(server.port, database, "GRANT CREATE ON SCHEMA public TO app").await;
    }
    let maker = Login { user: "maker", secret: &ours };
    let login = Login { user: "v-app-1", secret: &password };
    let until = Timestamp::parse_rfc3339("2090-01-01T00:00:00Z").expect("a time");
    let lease = Lease { login, like: "app", until };
    driver(server.port).create(maker, lease).await.expect("it is made");
    for database in ["shut", "wide"] {
        let mut config = tokio_postgres::Config::new();
        config.host("127.0.0.1").port(server.port).user(login.user).password("lived").dbname(database);
        let (client, connection) = config.connect(tokio_postgres::NoTls).await.expect("a session");
        tokio::spawn(connection);
        client.batch_execute("CREATE TABLE his (x int)").await.expect("a table");
    }
    ask(server.port, "ALTER DATABASE shut ALLOW_CONNECTIONS false").await;
    let done = driver(server.port).revoke(maker, lease).await;
    let Err(Fault::Unknown(said)) = &done else { panic!("{done:?}") };
    assert!(said.contains("database shut") && said.contains("ALLOW_CONNECTIONS"), "{said}");
    let may_log_in = ask(server.port, "SELECT rolcanlogin FROM pg_roles WHERE rolname = 'v-app-1'").await;
    assert_eq!(may_log_in.as_deref(), Some("f"), "he is locked out all the same");
    // The one that is not shut is emptied, though it comes after it.
    let owner = ask_in(server.port, "wide", "SELECT tableowner FROM pg_tables WHERE tablename = 'his'").await;
    assert_eq!(owner.as_deref(), Some("app"));
    ask(server.port, "ALTER DATABASE shut ALLOW_CONNECTIONS true").await;
    driver(server.port).revoke(maker, lease).await.expect("the next try ends him");
}

#[tokio::test]
async fn tls_leads_to_the_certificate_that_was_meant_or_nowhere() {
    let mut server = start();
    let (authority, stranger) = (Authority::new(), Authority::new());
    server.stop();
    let certificate = server.write("server.crt", &authority.certificate);
    let key = server.write("server.key", &authority.key);
    std::fs::write(server.path("data/pg_hba.conf"), "hostssl all all 127.0.0.1/32 scram-sha-256\n").expect("its rules");
    let (certificate, key) =
        (format!("ssl_cert_file={}", certificate.display()), format!("ssl_key_file={}", key.display()));
    resume(&mut server, &["-c", "ssl=on", "-c", &certificate, "-c", &key]);
    let ours = secret(ADMIN_SECRET);
    let over = |roots: &str| Postgres::new(Host::tls("localhost", server.port, roots).expect("roots"), "postgres");
    let mut last = over(&authority.root).test(admin(&ours)).await;
    // A server that has its port may still be starting.
    for _ in 0..500 {
        if !matches!(last, Err(Fault::Away(_))) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        last = over(&authority.root).test(admin(&ours)).await;
    }
    assert_eq!(last, Ok(()));
    // Neither a stranger's certificate nor a plain line says anything of the password.
    let strange = over(&stranger.root).test(admin(&ours)).await;
    assert!(matches!(&strange, Err(Fault::Away(_))), "{strange:?}");
    let plain = driver(server.port).test(admin(&ours)).await;
    assert!(plain.is_err(), "{plain:?}");
    let wrong = over(&authority.root).test(admin(&secret("wrong"))).await;
    assert!(matches!(wrong, Err(Fault::Refused(_))), "{wrong:?}");
}
