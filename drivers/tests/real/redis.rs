//! Redis.

use std::process::Command;

use drivers::{Allowed, Driver, Dynamic, Fault, Host, Lease, Login, Places, Redis, Saved};
use policy::{Owner, Secret, Timestamp};
use ring::digest::{SHA256, digest};
use secrets::rotation::{Credential, Others, Outcome, Plan, Step};
use secrets::{At, Errand, Line, Product, SecretPath, Targets};

use crate::authority::Authority;
use crate::register::{ADMIN, ADMIN_SECRET, Register, rotates_whenever_it_is_killed, secret};
use crate::relay::{Fate, relay};
use crate::servers::Server;

/// Users from a file, and those that are given besides.
fn start(users: &str) -> Server {
    let mut server = Server::home();
    let ours = hex::encode(digest(&SHA256, ADMIN_SECRET.as_bytes()));
    server.write("users", &format!("user default off\nuser {ADMIN} on #{ours} ~* &* +@all\n{users}"));
    resume(&mut server, &[]);
    server
}

fn resume(server: &mut Server, more: &[&str]) {
    let (home, users, port) = (server.path(""), server.path("users"), server.port.to_string());
    let mut command = Command::new("/usr/bin/redis-server");
    command.args(["--bind", "127.0.0.1", "--port", &port, "--save", "", "--appendonly", "no"]);
    server.start(command.arg("--dir").arg(home).arg("--aclfile").arg(users).args(more));
}

fn driver(port: u16) -> Redis {
    Redis::new(Host::here("127.0.0.1", port).expect("it is here"), Saved::AclFile)
}

fn admin(secret: &Secret<String>) -> Login<'_> {
    Login { user: ADMIN, secret }
}

#[tokio::test]
async fn a_new_password_stands_beside_the_old_one_and_after_a_start_too() {
    let mut server = start("user app on ~app:* +get\nuser we\"ird' on ~* +get\n");
    let (driver, ours) = (driver(server.port), secret(ADMIN_SECRET));
    let (one, other) = (secret("canary one +OK \\r"), secret("canary other \"é"));
    for user in ["app", "we\"ird'"] {
        let login = |secret| Login { user, secret };
        assert!(matches!(driver.test(login(&one)).await, Err(Fault::Refused(_))));
        driver.set(admin(&ours), login(&one), Others::Replaced).await.expect("it is set");
        driver.set(admin(&ours), login(&other), Others::Kept).await.expect("it is added");
        server.stop();
        resume(&mut server, &[]);
        driver.test(login(&one)).await.expect("the old one");
        driver.test(login(&other)).await.expect("the new one");
        driver.set(admin(&ours), login(&other), Others::Kept).await.expect("added twice is added once");
        driver.retire(admin(&ours), login(&one), Others::Kept).await.expect("it is taken away");
        driver.retire(admin(&ours), login(&one), Others::Kept).await.expect("taken away twice is taken away once");
        assert!(matches!(driver.test(login(&one)).await, Err(Fault::Refused(_))));
        driver.test(login(&other)).await.expect("the new one stays");
        driver.set(admin(&ours), login(&one), Others::Replaced).await.expect("it is set");
        assert!(matches!(driver.test(login(&other)).await, Err(Fault::Refused(_))));
        driver.retire(admin(&ours), login(&one), Others::Replaced).await.expect("it is taken away");
        assert!(matches!(driver.test(login(&one)).await, Err(Fault::Refused(_))));
    }
    assert!(server.files_with(b"canary").is_empty());
}

#[tokio::test]
async fn what_is_refused_is_told_from_what_is_away_and_what_may_have_happened() {
    let mut server = start("user app on ~app:* +get\n");
    let (straight, ours, one) = (driver(server.port), secret(ADMIN_SECRET), secret("one"));
    let login = Login { user: "app", secret: &one };
    // SETUSER would make him.
    let nobody = straight.set(admin(&ours), Login { user: "ap", secret: &one }, Others::Kept).await;
    assert_eq!(nobody, Err(Fault::Refused("there is no user ap".to_owned())));
    assert!(matches!(straight.set(admin(&one), login, Others::Kept).await, Err(Fault::Refused(_))));
    // Somebody who logs in and may nothing else.
    straight.set(admin(&ours), login, Others::Replaced).await.expect("it is set");
    assert!(matches!(straight.set(login, login, Others::Kept).await, Err(Fault::Refused(_))));
    // A server that does not write down is found out before it is changed.
    let elsewhere = Redis::new(Host::here("127.0.0.1", server.port).expect("here"), Saved::Configuration);
    let (two, three) = (secret("two"), secret("three"));
    let unwritten = elsewhere.set(admin(&ours), Login { user: "app", secret: &two }, Others::Kept).await;
    assert!(matches!(unwritten, Err(Fault::Refused(_))), "{unwritten:?}");
    assert!(matches!(straight.test(Login { user: "app", secret: &two }).await, Err(Fault::Refused(_))));
    let lost = driver(relay(server.port, "SETUSER", Fate::Lost).await);
    let done = lost.set(admin(&ours), Login { user: "app", secret: &two }, Others::Kept).await;
    assert!(matches!(done, Err(Fault::Unknown(_))), "{done:?}");
    assert!(matches!(straight.test(Login { user: "app", secret: &two }).await, Err(Fault::Refused(_))));
    let arrives = driver(relay(server.port, "SETUSER", Fate::Arrives).await);
    let done = arrives.set(admin(&ours), Login { user: "app", secret: &three }, Others::Kept).await;
    assert!(matches!(done, Err(Fault::Unknown(_))), "{done:?}");
    straight.test(Login { user: "app", secret: &three }).await.expect("it happened");
    server.stop();
    for done in [straight.test(login).await, straight.set(admin(&ours), login, Others::Kept).await] {
        assert!(matches!(done, Err(Fault::Away(_))), "{done:?}");
    }
}

/// What is set at a server that writes it nowhere is lost at its next start: it is not set, and the words say what is missing.
#[tokio::test]
async fn a_server_without_an_acl_file_is_refused_by_the_name_of_what_it_lacks() {
    let mut server = Server::home();
    let (home, port) = (server.path(""), server.port.to_string());
    let ours = hex::encode(digest(&SHA256, ADMIN_SECRET.as_bytes()));
    let mut command = Command::new("/usr/bin/redis-server");
    command.args(["--bind", "127.0.0.1", "--port", &port, "--save", "", "--appendonly", "no"]);
    command.args(["--user", "default", "off", "--user", "app", "on", "~*", "+get"]);
    command.args(["--user", ADMIN, "on", &format!("#{ours}"), "~*", "&*", "+@all"]);
    server.start(command.arg("--dir").arg(home));
    let (driver, ours, one) = (driver(server.port), secret(ADMIN_SECRET), secret("one"));
    let login = Login { user: "app", secret: &one };
    let lease = Lease { login: Login { user: "v-app", ..login }, like: "app", until: Timestamp::from_unix(0) };
    for refused in [
        driver.set(admin(&ours), login, Others::Replaced).await,
        driver.retire(admin(&ours), login, Others::Replaced).await,
        driver.create(admin(&ours), lease).await,
        driver.revoke(admin(&ours), lease).await,
    ] {
        let says =
            matches!(&refused, Err(Fault::Refused(why)) if why.contains("aclfile") && why.contains("next start"));
        assert!(says, "{refused:?}");
    }
    assert!(matches!(driver.test(login).await, Err(Fault::Refused(_))), "nothing was set");
}

/// A server that does not know AUTH repeats it with all that stands behind it, up to 128 bytes: of a long password so much.
#[tokio::test]
async fn a_server_that_knows_no_auth_repeats_no_password_to_anybody() {
    let mut server = start("user app on ~* +get\n");
    server.stop();
    resume(&mut server, &["--rename-command", "AUTH", ""]);
    let places = Places::default().within(Allowed::those(&["127.0.0.1".to_owned()]).expect("an address"));
    let (product, host, line) = (Product::Redis, "127.0.0.1".to_owned(), Line::Here);
    let at =
        At { product, host, port: server.port, database: None, account_host: None, admin: None, pinned: None, line };
    let path: SecretPath = "prod/redis-app".parse().expect("a path");
    let owner = Owner::parse("default").expect("an owner");
    let errand = Errand { at: &at, path: &path, owner: &owner, operation: "prod/redis-app:1".to_owned() };
    let credential = Credential { version: 2, user: "app".to_owned() };
    for ours in ["ADMIN-CANARY-77".to_owned(), "long-CANARY-".repeat(20)] {
        let admin = secrets::Login { user: ADMIN.to_owned(), secret: secret(&ours) };
        let login = secrets::Login { user: "app".to_owned(), secret: secret(&format!("NEW-{ours}")) };
        let set = Step::Set { credential: credential.clone(), others: Others::Replaced };
        for step in [set, Step::Test { credential: credential.clone() }] {
            let outcome = places.act(&errand, &step, Some(&admin), &login).await;
            let Outcome::Away(said) = &outcome else { panic!("{outcome:?}") };
            assert!(said.contains("AUTH with ERR") && !said.contains("CANARY"), "{said}");
        }
        // Not even to whoever has the driver's own word.
        let leased = Login { user: "v-app", secret: &login.secret };
        let lease = Lease { login: leased, like: "app", until: Timestamp::from_unix(0) };
        let fault = driver(server.port).create(Login { user: ADMIN, secret: &admin.secret }, lease).await;
        let Err(Fault::Away(said)) = &fault else { panic!("{fault:?}") };
        assert!(!said.contains("CANARY"), "{said}");
    }
}

#[tokio::test]
async fn a_rotation_killed_at_any_step_ends_in_a_credential_that_logs_in() {
    let server = start("user app on ~* +get\nuser keyed on ~* +get\n");
    let (driver, ours, first) = (driver(server.port), secret(ADMIN_SECRET), secret("first"));
    for user in ["app", "keyed"] {
        driver.set(admin(&ours), Login { user, secret: &first }, Others::Replaced).await.expect("it is set");
    }
    rotates_whenever_it_is_killed(&driver, Plan::Single { user: "app".to_owned() }, "app", "first").await;
    rotates_whenever_it_is_killed(&driver, Plan::Keys { user: "keyed".to_owned() }, "keyed", "first").await;
}

#[tokio::test]
async fn one_user_with_two_passwords_fails_no_login_of_an_application() {
    let server = start("user app on ~* +get\n");
    let (driver, ours, first) = (driver(server.port), secret(ADMIN_SECRET), secret("first"));
    driver.set(admin(&ours), Login { user: "app", secret: &first }, Others::Replaced).await.expect("it is set");
    let mut register = Register::new(Plan::Keys { user: "app".to_owned() }, "app", "first");
    for turn in 0..20 {
        register.ask();
        loop {
            let (user, password) = register.current();
            let login = driver.test(Login { user: &user, secret: &password }).await;
            assert_eq!(login, Ok(()), "rotation {turn}: {:?}", register.read());
            if !register.step(&driver, None).await {
                break;
            }
        }
    }
    assert_eq!(register.read().current().version, 21);
}

#[tokio::test]
async fn a_user_of_a_lease_may_what_his_example_may_and_ends_with_his_connections() {
    let server = start("user readers off ~app:* resetchannels -@all +get +ping\n");
    let (driver, ours, password) = (driver(server.port), secret(ADMIN_SECRET), secret("lived"));
    let login = Login { user: "v-app-1", secret: &password };
    let until = Timestamp::parse_rfc3339("2090-01-01T00:00:00Z").expect("a time");
    let lease = Lease { login, like: "readers", until };
    assert!(matches!(driver.renew(admin(&ours), lease).await, Err(Fault::Refused(_))));
    let nobody = driver.create(admin(&ours), Lease { like: "writers", ..lease }).await;
    assert!(matches!(nobody, Err(Fault::Refused(_))), "{nobody:?}");
    driver.create(admin(&ours), lease).await.expect("it is made");
    assert!(matches!(driver.create(admin(&ours), lease).await, Err(Fault::Refused(_))));
    driver.renew(admin(&ours), lease).await.expect("it is there");
    let client = redis::Client::open(format!("redis://v-app-1:lived@127.0.0.1:{}", server.port)).expect("an address");
    let mut session = client.get_multiplexed_async_connection().await.expect("it logs in");
    let mut ask = async |words: &[&str]| redis::Cmd::new().arg(words).query_async::<redis::Value>(&mut session).await;
    assert_eq!(ask(&["GET", "app:x"]).await, Ok(redis::Value::Nil));
    assert!(ask(&["SET", "app:x", "1"]).await.is_err_and(|error| error.code() == Some("NOPERM")));
    assert!(ask(&["GET", "other"]).await.is_err_and(|error| error.code() == Some("NOPERM")));
    driver.revoke(admin(&ours), lease).await.expect("it is revoked");
    assert!(ask(&["GET", "app:x"]).await.is_err_and(|error| error.code().is_none()), "his connection goes on");
    assert!(matches!(driver.test(login).await, Err(Fault::Refused(_))));
    driver.revoke(admin(&ours), lease).await.expect("revoked twice is revoked once");
}

#[tokio::test]
async fn tls_leads_to_the_certificate_that_was_meant_or_nowhere() {
    let mut server = start("");
    let (authority, stranger) = (Authority::new(), Authority::new());
    server.stop();
    let certificate = server.write("server.crt", &authority.certificate).display().to_string();
    let key = server.write("server.key", &authority.key).display().to_string();
    let root = server.write("root.crt", &authority.root).display().to_string();
    let port = server.port.to_string();
    let tls = ["--port", "0", "--tls-port", &port, "--tls-cert-file", &certificate, "--tls-key-file", &key];
    resume(&mut server, &[&tls[..], &["--tls-ca-cert-file", &root, "--tls-auth-clients", "no"]].concat());
    let ours = secret(ADMIN_SECRET);
    let over = |roots: &str| Redis::new(Host::tls("localhost", server.port, roots).expect("roots"), Saved::AclFile);
    assert_eq!(over(&authority.root).test(admin(&ours)).await, Ok(()));
    let strange = over(&stranger.root).test(admin(&ours)).await;
    assert!(matches!(strange, Err(Fault::Away(_))), "{strange:?}");
    let plain = driver(server.port).test(admin(&ours)).await;
    assert!(matches!(plain, Err(Fault::Away(_))), "{plain:?}");
    let wrong = over(&authority.root).test(admin(&secret("wrong"))).await;
    assert!(matches!(wrong, Err(Fault::Refused(_))), "{wrong:?}");
}
