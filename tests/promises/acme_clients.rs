//! Promise 1: unmodified certbot and lego get certificates that strict verifiers accept, and a wrong proof is refused
//! with the right ACME problem.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use load::free_port;

use crate::dns::Dns;
use crate::house::{House, fail, succeed, text};
use crate::judges::strictly_valid;

/// A house whose ACME server asks our DNS server, and http-01 on a free port.
pub(crate) fn house() -> (House, Dns, u16) {
    let mut house = House::new();
    let dns = Dns::start(house.path("txt"));
    let port = free_port();
    house.configure("http01_port = 5002", &format!("http01_port = {port}"));
    house.configure("resolvers = []", &format!("resolvers = [\"{}\"]", dns.address()));
    house.start();
    (house, dns, port)
}

pub(crate) fn certbot(house: &House, port: u16, name: &str) -> Command {
    let mut certbot = Command::new("certbot");
    let port = port.to_string();
    let server = house.https("/acme/directory");
    certbot.env("REQUESTS_CA_BUNDLE", house.ca("roots.pem")).args([
        "certonly",
        "--standalone",
        "--non-interactive",
        "--agree-tos",
        "-m",
        "ops@example.test",
        "--server",
        &server,
        "--http-01-port",
        &port,
        "--http-01-address",
        "127.0.0.1",
        "-d",
        name,
    ]);
    for (flag, dir) in [("--config-dir", "certbot"), ("--work-dir", "certbot-work"), ("--logs-dir", "certbot-logs")] {
        certbot.arg(flag).arg(house.path(dir));
    }
    certbot
}

pub(crate) fn lego(house: &House, name: &str) -> Command {
    let mut lego = Command::new("lego");
    let server = house.https("/acme/directory");
    lego.env("LEGO_CA_CERTIFICATES", house.ca("roots.pem"));
    lego.args(["--accept-tos", "--email", "ops@example.test", "--server", &server, "--domains", name, "--path"]);
    lego.arg(house.path("lego"));
    lego
}

pub(crate) fn lego_certificate(house: &House, name: &str) -> (PathBuf, PathBuf) {
    let dir = house.path("lego").join("certificates");
    let file = name.replace('*', "_");
    (dir.join(format!("{file}.crt")), dir.join(format!("{file}.issuer.crt")))
}

#[test]
fn certbot_gets_and_renews_a_certificate_by_http_01() {
    let (house, _dns, port) = house();
    succeed(certbot(&house, port, "certbot.example.test"));
    let live = house.path("certbot/live/certbot.example.test");
    strictly_valid(&house, &live.join("cert.pem"), &live.join("chain.pem"), "certbot.example.test");
    let before = std::fs::read(live.join("cert.pem")).expect("cert.pem");
    let mut again = certbot(&house, port, "certbot.example.test");
    again.arg("--force-renewal");
    succeed(again);
    assert_ne!(std::fs::read(live.join("cert.pem")).expect("cert.pem"), before, "a renewal is another certificate");
    let mut revoke = Command::new("certbot");
    revoke.env("REQUESTS_CA_BUNDLE", house.ca("roots.pem"));
    revoke.args(["revoke", "--non-interactive", "--no-delete-after-revoke", "--reason", "superseded", "--server"]);
    revoke.arg(house.https("/acme/directory")).arg("--cert-path").arg(live.join("cert.pem"));
    for (flag, dir) in [("--config-dir", "certbot"), ("--work-dir", "certbot-work"), ("--logs-dir", "certbot-logs")] {
        revoke.arg(flag).arg(house.path(dir));
    }
    succeed(revoke);
    let listed = house.json(&["certs", "list", "--name", "certbot.example.test", "--state", "revoked"]);
    assert_eq!(listed.as_array().map(Vec::len), Some(1), "{listed}");
}

#[test]
fn lego_gets_a_certificate_by_http_01() {
    let (house, _dns, port) = house();
    let mut run = lego(&house, "lego.example.test");
    run.args(["--http", "--http.port", &format!("127.0.0.1:{port}"), "run"]);
    succeed(run);
    let (certificate, issuer) = lego_certificate(&house, "lego.example.test");
    strictly_valid(&house, &certificate, &issuer, "lego.example.test");
}

fn dns_01(house: &House, dns: &Dns, name: &str, value: &str) -> Command {
    let script = house.path("dns.sh");
    dns.script(&script, value);
    let mut run = lego(house, name);
    run.env("EXEC_PATH", text(&script)).env("EXEC_PROPAGATION_TIMEOUT", "5").env("EXEC_POLLING_INTERVAL", "1");
    run.args(["--dns", "exec", "--dns.resolvers", &dns.address(), "--dns.disable-cp", "run"]);
    run
}

#[test]
fn lego_gets_a_wildcard_certificate_by_dns_01() {
    let (house, dns, _) = house();
    succeed(dns_01(&house, &dns, "*.wild.example.test", "$3"));
    let (certificate, issuer) = lego_certificate(&house, "*.wild.example.test");
    strictly_valid(&house, &certificate, &issuer, "any.wild.example.test");
}

#[test]
fn a_wrong_dns_answer_is_refused() {
    let (house, dns, _) = house();
    let said = fail(dns_01(&house, &dns, "wrong.example.test", "not-the-digest"));
    assert!(said.contains("urn:ietf:params:acme:error:incorrectResponse"), "{said}");
    nothing_issued(&house, "wrong.example.test");
}

#[test]
fn a_wrong_http_token_is_refused() {
    let (house, _dns, port) = house();
    let server = Impostor::start(port);
    let mut run = lego(&house, "impostor.example.test");
    let webroot = house.path("webroot");
    std::fs::create_dir_all(&webroot).expect("a webroot");
    run.args(["--http", "--http.webroot", text(&webroot), "run"]);
    let said = fail(run);
    assert!(server.asked.load(Ordering::Relaxed), "the challenge was fetched");
    assert!(said.contains("urn:ietf:params:acme:error:incorrectResponse"), "{said}");
    nothing_issued(&house, "impostor.example.test");
}

#[test]
fn nobody_listening_is_a_connection_problem() {
    let (house, _dns, _) = house();
    let mut run = lego(&house, "silent.example.test");
    let webroot = house.path("webroot");
    std::fs::create_dir_all(&webroot).expect("a webroot");
    run.args(["--http", "--http.webroot", text(&webroot), "run"]);
    let said = fail(run);
    assert!(said.contains("urn:ietf:params:acme:error:connection"), "{said}");
    nothing_issued(&house, "silent.example.test");
}

fn nothing_issued(house: &House, name: &str) {
    let listed = house.json(&["certs", "list", "--name", name]);
    assert_eq!(listed.as_array().map(Vec::len), Some(0), "{listed}");
}

/// An HTTP server that answers every path with a key authorization that is not the right one.
struct Impostor {
    asked: Arc<AtomicBool>,
}

impl Impostor {
    fn start(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).expect("the challenge port");
        let asked = Arc::new(AtomicBool::new(false));
        let mark = asked.clone();
        // Ends with the process: it holds nothing but its port.
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let _ = stream.read(&mut [0; 2048]);
                let _ =
                    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\nConnection: close\r\n\r\ntoken.wrong");
                mark.store(true, Ordering::Relaxed);
            }
        });
        Self { asked }
    }
}
