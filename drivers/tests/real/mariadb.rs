//! MariaDB.

use std::process::Command;

use drivers::{Driver, Dynamic, Fault, Host, Lease, Login, MariaDb};
use mysql_async::prelude::Queryable;
use policy::{Secret, Timestamp};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use secrets::rotation::{Others, Plan};

use crate::authority::Authority;
use crate::register::{ADMIN, ADMIN_SECRET, rotates_whenever_it_is_killed, secret};
use crate::relay::{Fate, relay};
use crate::servers::Server;

/// With an administrator, the statements that are given, and every statement logged.
fn start(statements: &str) -> Server {
    start_with(Server::home(), statements, &[])
}

fn start_with(mut server: Server, statements: &str, more: &[String]) -> Server {
    server.signal = "-TERM";
    let (data, socket) = (server.path("data"), server.path("socket"));
    server.run(
        Command::new("/usr/bin/mariadb-install-db")
            .args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"])
            .arg(format!("--datadir={}", data.display())),
    );
    let once = digest(&SHA1_FOR_LEGACY_USE_ONLY, ADMIN_SECRET.as_bytes());
    let twice = hex::encode_upper(digest(&SHA1_FOR_LEGACY_USE_ONLY, once.as_ref()));
    // The server reads one statement a line.
    let statements = statements.replace("; ", ";\n");
    let init = format!(
        "CREATE USER '{ADMIN}'@'%' IDENTIFIED BY PASSWORD '*{twice}';\nGRANT ALL ON *.* TO '{ADMIN}'@'%' WITH GRANT OPTION;\n{statements}\n"
    );
    let init = server.write("init.sql", &init);
    let log = server.path("general.log");
    let mut command = Command::new("/usr/sbin/mariadbd");
    command
        .args(["--no-defaults", "--bind-address=127.0.0.1", "--skip-name-resolve", "--general-log=1"])
        .arg(format!("--port={}", server.port))
        .arg(format!("--datadir={}", data.display()))
        .arg(format!("--socket={}", socket.display()))
        .arg(format!("--init-file={}", init.display()))
        .arg(format!("--general-log-file={}", log.display()))
        .args(more);
    server.start(&mut command);
    server
}

fn driver(port: u16) -> MariaDb {
    MariaDb::new(Host::here("127.0.0.1", port).expect("it is here"), "%")
}

fn options(port: u16, user: &str, password: &str) -> mysql_async::Opts {
    let here = mysql_async::OptsBuilder::default().ip_or_hostname("127.0.0.1").tcp_port(port).prefer_socket(false);
    here.user(Some(user)).pass(Some(password)).into()
}

fn admin(secret: &Secret<String>) -> Login<'_> {
    Login { user: ADMIN, secret }
}

#[tokio::test]
async fn a_password_is_set_under_any_name_and_stands_in_no_file_of_the_server() {
    let hostile = "we'ird\\' OR \"1\" `x` -- ";
    let server = start("");
    let (driver, ours) = (driver(server.port), secret(ADMIN_SECRET));
    let mut session = mysql_async::Conn::new(options(server.port, ADMIN, ADMIN_SECRET)).await.expect("a session");
    session.query_drop("SET SESSION sql_mode = 'NO_BACKSLASH_ESCAPES'").await.expect("its mode");
    for user in ["app", "Größe", hostile] {
        let (password, other) = (secret("canary '\\' é"), secret("other"));
        let login = Login { user, secret: &password };
        let made = format!("CREATE USER '{}'@'%'", user.replace('\'', "''"));
        session.query_drop(made).await.expect("an account");
        driver.set(admin(&ours), login, Others::Replaced).await.unwrap_or_else(|fault| panic!("{user}: {fault}"));
        driver.test(login).await.unwrap_or_else(|fault| panic!("{user}: {fault}"));
        let wrong = driver.test(Login { secret: &other, ..login }).await;
        assert!(matches!(wrong, Err(Fault::Refused(_))), "{user}: {wrong:?}");
        driver.retire(admin(&ours), login, Others::Replaced).await.unwrap_or_else(|fault| panic!("{user}: {fault}"));
        let gone = driver.test(login).await;
        assert!(matches!(gone, Err(Fault::Refused(_))), "{user}: {gone:?}");
    }
    assert!(!server.files_with(b"mysql_native_password USING").is_empty(), "the statements are logged");
    assert!(server.files_with(b"canary").is_empty(), "{:?}", server.files_with(b"canary"));
}

#[tokio::test]
async fn what_is_refused_is_told_from_what_is_away_and_what_may_have_happened() {
    let mut server = start("CREATE USER 'app'@'%';");
    let (straight, ours) = (driver(server.port), secret(ADMIN_SECRET));
    let (one, two, none) = (secret("one"), secret("two"), secret(""));
    let login = |secret| Login { user: "app", secret };
    straight.set(admin(&ours), login(&one), Others::Replaced).await.expect("it is set");
    for refused in [
        straight.set(admin(&one), login(&two), Others::Replaced).await,
        straight.set(login(&one), Login { user: ADMIN, secret: &two }, Others::Replaced).await,
        straight.set(admin(&ours), Login { user: "nobody", secret: &two }, Others::Replaced).await,
        straight.set(admin(&ours), login(&two), Others::Kept).await,
        straight.set(admin(&ours), login(&none), Others::Replaced).await,
    ] {
        assert!(matches!(refused, Err(Fault::Refused(_))), "{refused:?}");
    }
    let lost = driver(relay(server.port, "ALTER USER", Fate::Lost).await);
    let done = lost.set(admin(&ours), login(&two), Others::Replaced).await;
    assert!(matches!(done, Err(Fault::Unknown(_))), "{done:?}");
    straight.test(login(&one)).await.expect("it did not happen");
    let arrives = driver(relay(server.port, "ALTER USER", Fate::Arrives).await);
    let done = arrives.set(admin(&ours), login(&two), Others::Replaced).await;
    assert!(matches!(done, Err(Fault::Unknown(_))), "{done:?}");
    straight.test(login(&two)).await.expect("it happened");
    server.stop();
    for done in [straight.test(login(&two)).await, straight.set(admin(&ours), login(&one), Others::Replaced).await] {
        assert!(matches!(done, Err(Fault::Away(_))), "{done:?}");
    }
}

/// `app@%` and `app@localhost` are two accounts: a rotation sets the one that was named, and none where nobody said which.
#[tokio::test]
async fn of_two_accounts_of_one_name_the_one_that_was_named_is_set() {
    let server = start(
        "CREATE USER 'two'@'%'; CREATE USER 'two'@'localhost'; CREATE USER 'shop'@'127.0.0.1'; CREATE USER 'alone'@'%'; \
         CREATE USER 'blind'@'%'; GRANT CREATE USER ON *.* TO 'blind'@'%';",
    );
    let (ours, first, other) = (secret(ADMIN_SECRET), secret("first"), secret("other"));
    let here = || Host::here("127.0.0.1", server.port).expect("it is here");
    let whichever = MariaDb::of_one_account(here());
    let login = |user| Login { user, secret: &first };
    for (user, says) in [("two", "two@%, two@localhost"), ("shop", "shop@127.0.0.1"), ("nobody", "no account nobody")] {
        let refused = whichever.set(admin(&ours), login(user), Others::Replaced).await;
        assert!(matches!(&refused, Err(Fault::Refused(why)) if why.contains(says)), "{user}: {refused:?}");
    }
    whichever.set(admin(&ours), login("alone"), Others::Replaced).await.expect("there is one of that name");
    whichever.test(login("alone")).await.expect("it logs in");
    // Names are not resolved at this server, so that a session over TCP is no `localhost`.
    MariaDb::new(here(), "%").set(admin(&ours), login("two"), Others::Replaced).await.expect("it is named");
    whichever.test(login("two")).await.expect("the one that was named");
    let elsewhere = Login { user: "two", secret: &other };
    MariaDb::new(here(), "localhost").set(admin(&ours), elsewhere, Others::Replaced).await.expect("it is named");
    whichever.test(login("two")).await.expect("its namesake has its own");
    MariaDb::new(here(), "127.0.0.1").set(admin(&ours), login("shop"), Others::Replaced).await.expect("it is named");
    whichever.test(login("shop")).await.expect("it logs in from there");
    MariaDb::new(here(), "127.0.0.1")
        .retire(admin(&ours), login("shop"), Others::Replaced)
        .await
        .expect("it is retired");
    assert!(matches!(whichever.test(login("shop")).await, Err(Fault::Refused(_))));
    // Who may not see the others sets the one from anywhere, as before.
    MariaDb::new(here(), "%").set(admin(&ours), login("blind"), Others::Replaced).await.expect("it is set");
    whichever.set(login("blind"), elsewhere, Others::Replaced).await.expect("it may set passwords, and see nobody");
    whichever.test(elsewhere).await.expect("the one from anywhere");
}

#[tokio::test]
async fn a_rotation_killed_at_any_step_ends_in_a_credential_that_logs_in() {
    let server = start("CREATE USER 'app'@'%'; CREATE USER 'app-a'@'%'; CREATE USER 'app-b'@'%';");
    let (driver, ours, first) = (driver(server.port), secret(ADMIN_SECRET), secret("first"));
    for user in ["app", "app-a"] {
        driver.set(admin(&ours), Login { user, secret: &first }, Others::Replaced).await.expect("it is set");
    }
    rotates_whenever_it_is_killed(&driver, Plan::Single { user: "app".to_owned() }, "app", "first").await;
    let pair = Plan::Pair { users: ["app-a".to_owned(), "app-b".to_owned()] };
    rotates_whenever_it_is_killed(&driver, pair, "app-a", "first").await;
}

#[tokio::test]
async fn an_account_of_a_lease_may_what_its_role_may_and_ends_with_its_connections() {
    let server = start(
        "CREATE DATABASE shop; CREATE ROLE readers WITH ADMIN 'chancery-admin'@'%'; GRANT SELECT ON shop.* TO readers;",
    );
    let (driver, ours, password) = (driver(server.port), secret(ADMIN_SECRET), secret("lived"));
    let login = Login { user: "v-app-'1'", secret: &password };
    let until = Timestamp::parse_rfc3339("2090-01-01T00:00:00Z").expect("a time");
    let lease = Lease { login, like: "readers", until };
    assert!(matches!(driver.renew(admin(&ours), lease).await, Err(Fault::Refused(_))));
    driver.create(admin(&ours), lease).await.expect("it is made");
    driver.renew(admin(&ours), lease).await.expect("it is there");
    let mut session = mysql_async::Conn::new(options(server.port, login.user, "lived")).await.expect("it logs in");
    session.query_drop("USE shop").await.expect("its role's database");
    session.query_drop("CREATE TABLE t (x INT)").await.expect_err("more than its role may");
    driver.revoke(admin(&ours), lease).await.expect("it is revoked");
    session.query_drop("SELECT 1").await.expect_err("its connection goes on");
    assert!(matches!(driver.test(login).await, Err(Fault::Refused(_))));
    driver.revoke(admin(&ours), lease).await.expect("revoked twice is revoked once");
}

#[tokio::test]
async fn tls_leads_to_the_certificate_that_was_meant_or_nowhere() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let server = Server::home();
    let certificate = server.write("server.crt", &authority.certificate);
    let key = server.write("server.key", &authority.key);
    let tls = [format!("--ssl-cert={}", certificate.display()), format!("--ssl-key={}", key.display())];
    let server = start_with(server, "", &[&tls[..], &["--require-secure-transport=1".to_owned()]].concat());
    let ours = secret(ADMIN_SECRET);
    let over = |roots: &str| MariaDb::new(Host::tls("localhost", server.port, roots).expect("roots"), "%");
    assert_eq!(over(&authority.root).test(admin(&ours)).await, Ok(()));
    let strange = over(&stranger.root).test(admin(&ours)).await;
    assert!(matches!(strange, Err(Fault::Away(_))), "{strange:?}");
    let plain = driver(server.port).test(admin(&ours)).await;
    // The server says of a plain line what it says of a wrong password.
    assert!(plain.is_err(), "{plain:?}");
    let wrong = over(&authority.root).test(admin(&secret("wrong"))).await;
    assert!(matches!(wrong, Err(Fault::Refused(_))), "{wrong:?}");
}
