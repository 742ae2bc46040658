//! OpenLDAP.

use std::process::Command;

use drivers::{Begins, Driver, Fault, Host, Ldap, Login};
use policy::Secret;
use secrets::rotation::{Others, Plan};

use crate::authority::Authority;
use crate::register::{ADMIN_SECRET, rotates_by_whenever_it_is_killed, secret};
use crate::relay::{Fate, relay};
use crate::servers::Server;

const ADMIN: &str = "cn=admin,dc=example,dc=org";

/// What means something in a name is escaped (RFC 4514 section 2.4).
fn dn(user: &str) -> String {
    format!("uid={},ou=people,dc=example,dc=org", user.replace('"', "\\\"").replace('+', "\\+"))
}

/// With an administrator who is an entry, and these users without a password. Passwords lie there as digests.
fn start(users: &[&str], more: &str, urls: &str) -> Server {
    start_with(Server::home(), users, more, urls)
}

fn start_with(mut server: Server, users: &[&str], more: &str, urls: &str) -> Server {
    server.signal = "-TERM";
    std::fs::create_dir(server.path("data")).expect("a folder");
    // An overlay is the database's, and stands behind it.
    let (overlay, policy) = if more.contains("ppolicy") { (OVERLAY, POLICY) } else { ("", "") };
    let (data, args) = (server.path("data"), server.path("args"));
    server.own(&data);
    let config = server.write(
        "slapd.conf",
        &format!(
            "include /etc/ldap/schema/core.schema\ninclude /etc/ldap/schema/cosine.schema\n\
             include /etc/ldap/schema/inetorgperson.schema\nmodulepath /usr/lib/ldap\nmoduleload back_mdb\n\
             argsfile {}\nloglevel stats stats2\npassword-hash {{SSHA}}\n{more}\n\
             database mdb\nsuffix dc=example,dc=org\ndirectory {}\n\
             access to attrs=userPassword by dn.exact={ADMIN} write by anonymous auth by * none\n\
             access to * by dn.exact={ADMIN} write by users read by * none\n{overlay}",
            args.display(),
            data.display()
        ),
    );
    let people: String = users
        .iter()
        .map(|user| format!("dn: {}\nobjectClass: inetOrgPerson\nuid: {user}\ncn: {user}\nsn: {user}\n\n", dn(user)))
        .collect();
    let admin = base64(ADMIN_SECRET.as_bytes());
    let entries = server.write(
        "entries.ldif",
        &format!(
            "dn: dc=example,dc=org\nobjectClass: dcObject\nobjectClass: organization\ndc: example\no: example\n\n\
             dn: ou=people,dc=example,dc=org\nobjectClass: organizationalUnit\nou: people\n\n\
             dn: {ADMIN}\nobjectClass: person\ncn: admin\nsn: admin\nuserPassword:: {admin}\n\n{policy}{people}"
        ),
    );
    server.run(Command::new("/usr/sbin/slapadd").arg("-f").arg(&config).arg("-l").arg(&entries));
    std::fs::remove_file(entries).expect("the entries are in it");
    let urls = urls.replace("PORT", &server.port.to_string());
    let mut command = Command::new("/usr/sbin/slapd");
    server.start(command.arg("-f").arg(&config).args(["-d", "stats", "-h", &urls]));
    server
}

fn base64(bytes: &[u8]) -> String {
    use std::io::Write;
    let mut child = Command::new("base64")
        .arg("-w0")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("base64");
    child.stdin.take().expect("its input").write_all(bytes).expect("it listens");
    String::from_utf8(child.wait_with_output().expect("its end").stdout).expect("text")
}

const OVERLAY: &str = "overlay ppolicy\nppolicy_default cn=policy,dc=example,dc=org\n";
const POLICY: &str = "dn: cn=policy,dc=example,dc=org\nobjectClass: device\nobjectClass: pwdPolicy\ncn: policy\n\
                      pwdAttribute: userPassword\npwdMustChange: TRUE\n\n";
const PLAIN: &str = "ldap://127.0.0.1:PORT";

fn driver(port: u16) -> Ldap {
    Ldap::new(Host::here("127.0.0.1", port).expect("it is here"), Begins::Asked)
}

fn admin(secret: &Secret<String>) -> Login<'_> {
    Login { user: ADMIN, secret }
}

#[tokio::test]
async fn a_password_of_an_entry_is_set_tried_and_taken_away() {
    let server = start(&["app", "we\"ird'+user"], "", PLAIN);
    let (driver, ours) = (driver(server.port), secret(ADMIN_SECRET));
    for name in [dn("app"), dn("we\"ird'+user")] {
        let password = secret(&format!("canary-of-{} é \"x\" \\", name.len()));
        let login = Login { user: &name, secret: &password };
        assert!(matches!(driver.test(login).await, Err(Fault::Refused(_))), "{name}: before");
        for _ in 0..2 {
            driver.set(admin(&ours), login, Others::Replaced).await.unwrap_or_else(|fault| panic!("{name}: {fault}"));
        }
        driver.test(login).await.unwrap_or_else(|fault| panic!("{name}: {fault}"));
        let other = secret("another");
        assert!(matches!(driver.test(Login { secret: &other, ..login }).await, Err(Fault::Refused(_))), "{name}");
        // The next one takes its place.
        let next = Login { secret: &other, ..login };
        driver.set(admin(&ours), next, Others::Replaced).await.expect("it is set");
        assert!(matches!(driver.test(login).await, Err(Fault::Refused(_))), "{name}: the one before");
        for _ in 0..2 {
            driver.retire(admin(&ours), next, Others::Replaced).await.unwrap_or_else(|fault| panic!("{name}: {fault}"));
        }
        assert!(matches!(driver.test(next).await, Err(Fault::Refused(_))), "{name}: after");
    }
    assert!(server.log().contains("PASSMOD"), "{}", server.log());
    assert_eq!(server.files_with(b"canary-of-"), Vec::<std::path::PathBuf>::new());
}

#[tokio::test]
async fn who_is_let_in_for_nothing_but_to_change_his_password_does_not_log_in() {
    let server = start(&["app"], "moduleload ppolicy\n", PLAIN);
    let (driver, ours, password) = (driver(server.port), secret(ADMIN_SECRET), secret("a password"));
    let app = dn("app");
    let login = Login { user: &app, secret: &password };
    driver.set(admin(&ours), login, Others::Replaced).await.expect("it is set");
    driver.test(login).await.expect("a password that we set is not one that is to be changed");
    let reset =
        server.write("reset.ldif", &format!("dn: {app}\nchangetype: modify\nreplace: pwdReset\npwdReset: TRUE\n"));
    let url = format!("ldap://127.0.0.1:{}", server.port);
    let mut modify = Command::new("ldapmodify");
    server.run(modify.args(["-x", "-H", &url, "-D", ADMIN, "-w", ADMIN_SECRET, "-f"]).arg(&reset));
    let refused = driver.test(login).await;
    assert!(matches!(&refused, Err(Fault::Refused(why)) if why.contains("pwdReset")), "{refused:?}");
}

#[tokio::test]
async fn what_a_directory_would_let_in_or_take_for_another_is_refused_here() {
    let server = start(&["app"], "", PLAIN);
    let (driver, ours, password) = (driver(server.port), secret(ADMIN_SECRET), secret("p"));
    let app = dn("app");
    // A bind without a password is let in, as nobody.
    for (user, bad) in [(app.as_str(), ""), ("", "p"), (&app, "a\0b"), ("a\0b", "p")] {
        let bad = secret(bad);
        let login = Login { user, secret: &bad };
        let done = [driver.set(admin(&ours), login, Others::Replaced).await, driver.test(login).await];
        assert!(done.iter().all(|done| matches!(done, Err(Fault::Refused(_)))), "{user:?}: {done:?}");
    }
    let login = Login { user: &app, secret: &password };
    let kept = driver.set(admin(&ours), login, Others::Kept).await;
    assert!(matches!(kept, Err(Fault::Refused(_))), "{kept:?}");
    for user in [dn("nobody"), "app".to_owned()] {
        let done = driver.set(admin(&ours), Login { user: &user, ..login }, Others::Replaced).await;
        assert!(matches!(done, Err(Fault::Refused(_))), "{user}: {done:?}");
    }
    let wrong = driver.set(admin(&password), login, Others::Replaced).await;
    assert!(matches!(wrong, Err(Fault::Refused(_))), "{wrong:?}");
    // A user is none who sets passwords.
    driver.set(admin(&ours), login, Others::Replaced).await.expect("it is set");
    let others = driver.set(login, Login { user: ADMIN, secret: &password }, Others::Replaced).await;
    assert!(matches!(others, Err(Fault::Refused(_))), "{others:?}");
    driver.test(admin(&ours)).await.expect("nothing changed");
}

#[tokio::test]
async fn what_is_away_is_told_from_what_may_have_happened() {
    let mut server = start(&["app"], "", PLAIN);
    let (straight, ours) = (driver(server.port), secret(ADMIN_SECRET));
    let (app, one, other) = (dn("app"), secret("one"), secret("other"));
    let login = |secret| Login { user: app.as_str(), secret };
    straight.set(admin(&ours), login(&one), Others::Replaced).await.expect("it is set");
    // The request's name stands in it as text (RFC 3062 section 2).
    let request = "1.3.6.1.4.1.4203.1.11.1";
    let lost = driver(relay(server.port, request, Fate::Lost).await);
    let done = lost.set(admin(&ours), login(&other), Others::Replaced).await;
    assert!(matches!(done, Err(Fault::Unknown(_))), "{done:?}");
    straight.test(login(&one)).await.expect("it did not happen");
    let arrives = driver(relay(server.port, request, Fate::Arrives).await);
    let done = arrives.set(admin(&ours), login(&other), Others::Replaced).await;
    assert!(matches!(done, Err(Fault::Unknown(_))), "{done:?}");
    straight.test(login(&other)).await.expect("it happened");
    server.stop();
    for done in [straight.test(login(&one)).await, straight.set(admin(&ours), login(&one), Others::Replaced).await] {
        assert!(matches!(done, Err(Fault::Away(_))), "{done:?}");
    }
}

#[tokio::test]
async fn a_rotation_killed_at_any_step_ends_in_a_credential_that_logs_in() {
    let server = start(&["app", "app-a", "app-b"], "", PLAIN);
    let (driver, ours, first) = (driver(server.port), secret(ADMIN_SECRET), secret("first"));
    for user in ["app", "app-a"] {
        let login = Login { user: &dn(user), secret: &first };
        driver.set(admin(&ours), login, Others::Replaced).await.expect("it is set");
    }
    rotates_by_whenever_it_is_killed(&driver, Plan::Single { user: dn("app") }, &dn("app"), "first", ADMIN).await;
    let pair = Plan::Pair { users: [dn("app-a"), dn("app-b")] };
    rotates_by_whenever_it_is_killed(&driver, pair, &dn("app-a"), "first", ADMIN).await;
}

#[tokio::test]
async fn tls_begins_at_once_or_when_asked_and_leads_to_the_certificate_that_was_meant() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    for (begins, urls) in [(Begins::AtOnce, "ldaps://127.0.0.1:PORT"), (Begins::Asked, PLAIN)] {
        let server = Server::home();
        let certificate = server.write("server.crt", &authority.certificate);
        let key = server.write("server.key", &authority.key);
        // Nothing is heard in the clear.
        let more = format!(
            "TLSCertificateFile {}\nTLSCertificateKeyFile {}\nsecurity ssf=128",
            certificate.display(),
            key.display()
        );
        let server = start_with(server, &["app"], &more, urls);
        let ours = secret(ADMIN_SECRET);
        let over = |roots: &str| Ldap::new(Host::tls("localhost", server.port, roots).expect("roots"), begins);
        assert_eq!(over(&authority.root).test(admin(&ours)).await, Ok(()), "{begins:?}: {}", server.log());
        let wrong = over(&authority.root).test(admin(&secret("wrong"))).await;
        assert!(matches!(wrong, Err(Fault::Refused(_))), "{begins:?}: {wrong:?}");
        // Neither a stranger's certificate nor a plain line says anything of the password.
        let strange = over(&stranger.root).test(admin(&ours)).await;
        assert!(matches!(strange, Err(Fault::Away(_))), "{begins:?}: {strange:?}");
        let plain = driver(server.port).test(admin(&ours)).await;
        assert!(matches!(plain, Err(Fault::Away(_))), "{begins:?}: {plain:?}");
    }
}

/// A server without TLS is not spoken to in the clear where TLS was meant.
#[tokio::test]
async fn a_server_that_has_no_tls_is_away() {
    let server = start(&["app"], "", PLAIN);
    let driver = Ldap::new(Host::tls("localhost", server.port, &Authority::new().root).expect("roots"), Begins::Asked);
    let done = driver.test(admin(&secret(ADMIN_SECRET))).await;
    assert!(matches!(done, Err(Fault::Away(_))), "{done:?}");
    assert!(!server.log().contains("BIND"), "{}", server.log());
}

#[tokio::test]
async fn an_answer_that_is_no_ldap_breaks_nothing() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    for answer in [
        &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
        &[0x30, 0x03, 0x02, 0x01, 0x01],
        &[0x30, 0x05, 0x02, 0x01, 0x01, 0x61, 0x00],
    ] {
        let stranger = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let driver = driver(stranger.local_addr().expect("an address").port());
        let speaks = tokio::spawn(async move {
            let (mut stream, _) = stranger.accept().await.expect("a caller");
            let mut heard = [0; 512];
            let _ = stream.read(&mut heard).await;
            let _ = stream.write_all(answer).await;
        });
        let done = driver.test(admin(&secret("p"))).await;
        assert!(matches!(done, Err(Fault::Away(_) | Fault::Unknown(_))), "{done:?}");
        speaks.await.expect("it spoke");
    }
}
