use std::collections::HashMap;
use std::io::{BufRead, Write};
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};
use std::sync::Mutex;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::*;

const TOKEN: &str = "token";
const KEY_AUTHORIZATION: &str = "token.thumbprint";

/// A web server that answers each path with fixed bytes and keeps the requests it got.
struct Web {
    port: u16,
    requests: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Drop for Web {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Web {
    async fn start(answer: impl Fn(&str) -> String + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&requests);
        let task = tokio::spawn(async move {
            loop {
                let Ok((mut stream, _)) = listener.accept().await else { return };
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    let Ok(byte) = stream.read_u8().await else { break };
                    head.push(byte);
                }
                let head = String::from_utf8_lossy(&head).into_owned();
                let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
                kept.lock().unwrap().push(head);
                let _ = stream.write_all(answer(&path).as_bytes()).await;
            }
        });
        Self { port, requests, task }
    }

    fn first(&self) -> String {
        self.requests.lock().unwrap().first().cloned().unwrap_or_default()
    }

    fn count(&self) -> usize {
        self.requests.lock().unwrap().len()
    }
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn redirect(to: &str) -> String {
    format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n")
}

fn this_host() -> Identifier {
    Identifier::Ip(Ipv4Addr::LOCALHOST.into())
}

fn client_with(port: u16, allow: &[&str], hosts: Option<&std::path::Path>) -> Http01 {
    let resolver = Resolver::new(&["127.0.0.1:9".parse().unwrap()], hosts.map(Into::into)).unwrap();
    let reach = Reach::new(allow.iter().map(|network| network.parse().unwrap()).collect());
    Http01::new(Arc::new(resolver), reach, port, 443).unwrap()
}

fn client(port: u16) -> Http01 {
    client_with(port, &["127.0.0.0/8"], None)
}

async fn check(web: &Web) -> Result<(), Problem> {
    client(web.port).check(&this_host(), TOKEN, KEY_AUTHORIZATION).await
}

#[tokio::test]
async fn the_key_authorization_is_fetched_from_the_well_known_path() {
    let web = Web::start(|_| ok(KEY_AUTHORIZATION)).await;
    assert_eq!(check(&web).await, Ok(()));
    let request = web.first();
    assert!(request.starts_with("GET /.well-known/acme-challenge/token HTTP/1.1\r\n"), "{request}");
    assert!(request.contains(&format!("host: 127.0.0.1:{}\r\n", web.port)), "{request}");
    assert!(request.contains("user-agent: chancery-acme"), "{request}");
    // A host that codes what it sends for everybody who does not say otherwise would answer something else.
    assert!(request.contains("accept-encoding: identity\r\n"), "{request}");
}

#[tokio::test]
async fn a_field_that_no_host_should_send_spoils_no_proof() {
    for field in ["X-Spaced : a", "X-Folded: a\r\n b", "X Two: words", "X-Bytes: M\u{fc}ller"] {
        let web = Web::start(move |_| ok(KEY_AUTHORIZATION).replacen("\r\n", &format!("\r\n{field}\r\n"), 1)).await;
        assert_eq!(check(&web).await, Ok(()), "{field}");
    }
}

#[tokio::test]
async fn a_redirect_to_a_name_in_its_bytes_is_followed() {
    for field in ["Location", "Location "] {
        let web = Web::start(move |path| match path {
            "/caf%C3%A9" => ok(KEY_AUTHORIZATION),
            _ => redirect("/caf\u{e9}").replace("Location", field),
        })
        .await;
        assert_eq!(check(&web).await, Ok(()), "{field}: {:?}", web.requests.lock().unwrap());
    }
}

#[test]
fn the_dot_of_the_root_is_no_part_of_a_redirects_host() {
    let from = Target { https: false, host: this_host(), port: 80, path: "/".to_owned() };
    let to = parse_location(&from, "http://www.example./x").unwrap();
    assert_eq!(to.to_string(), parse_location(&from, "http://www.example/x").unwrap().to_string());
    for none in ["http://./x", "http://www.example../x"] {
        assert!(parse_location(&from, none).is_err(), "{none}");
    }
}

#[tokio::test]
async fn trailing_white_space_is_forgiven_and_nothing_else_is() {
    for (body, good) in [
        (format!("{KEY_AUTHORIZATION}\r\n \t\n"), true),
        (format!(" {KEY_AUTHORIZATION}"), false),
        (format!("{KEY_AUTHORIZATION}x"), false),
        (KEY_AUTHORIZATION.to_uppercase(), false),
        ("token.other".to_owned(), false),
        ("token".to_owned(), false),
        (String::new(), false),
        (format!("{KEY_AUTHORIZATION}\n{KEY_AUTHORIZATION}"), false),
        (format!("{KEY_AUTHORIZATION}\0"), false),
    ] {
        let answer = body.clone();
        let web = Web::start(move |_| ok(&answer)).await;
        match check(&web).await {
            Ok(()) => assert!(good, "{body:?}"),
            Err(problem) => {
                assert!(!good, "{body:?}");
                assert_eq!(problem.kind, ErrorKind::IncorrectResponse);
            }
        }
    }
}

#[tokio::test]
async fn each_failure_has_its_type() {
    let long = "x".repeat(BODY_BYTES_MAX + 1);
    let header = "x".repeat(64 * 1024);
    for (what, answer, kind) in [
        ("not found", "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_owned(), ErrorKind::Unauthorized),
        ("an error of the host", "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n".to_owned(), ErrorKind::Unauthorized),
        (
            "created",
            format!("HTTP/1.1 201 Created\r\nContent-Length: 16\r\n\r\n{KEY_AUTHORIZATION}"),
            ErrorKind::Unauthorized,
        ),
        ("too much", ok(&long), ErrorKind::IncorrectResponse),
        ("no HTTP", "SSH-2.0-OpenSSH_9.2\r\n".to_owned(), ErrorKind::Connection),
        ("nothing", String::new(), ErrorKind::Connection),
        ("cut short", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\ntoken".to_owned(), ErrorKind::Connection),
        ("an endless header", format!("HTTP/1.1 200 OK\r\nX: {header}\r\n\r\n"), ErrorKind::Connection),
    ] {
        let web = Web::start(move |_| answer.clone()).await;
        assert_eq!(check(&web).await.unwrap_err().kind, kind, "{what}");
    }
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let problem = client(free).check(&this_host(), TOKEN, KEY_AUTHORIZATION).await.unwrap_err();
    assert_eq!(problem.kind, ErrorKind::Connection);
}

#[tokio::test]
async fn what_was_read_is_never_repeated_to_the_client() {
    let web = Web::start(|_| ok("the secret of an internal page")).await;
    let problem = check(&web).await.unwrap_err();
    assert!(!problem.detail.contains("secret"), "{}", problem.detail);
}

#[tokio::test]
async fn redirects_are_followed_ten_times() {
    for (hops, good) in [(1, true), (REDIRECTS_MAX, true), (REDIRECTS_MAX + 1, false)] {
        let web = Web::start(move |path| {
            let at: usize = path.trim_start_matches('/').parse().unwrap_or(0);
            if at == hops { ok(KEY_AUTHORIZATION) } else { redirect(&format!("/{}", at + 1)) }
        })
        .await;
        let outcome = check(&web).await;
        assert_eq!(outcome.is_ok(), good, "{hops}");
        assert!(good || outcome.unwrap_err().kind == ErrorKind::Connection);
        assert!(web.count() <= REDIRECTS_MAX + 1);
    }
}

#[tokio::test]
async fn a_redirect_leads_only_where_validation_may_go() {
    for (to, why) in [
        ("http://127.0.0.1:1/", "port"),
        ("http://127.0.0.1:8080/", "port"),
        ("https://127.0.0.1:80/", "port"),
        ("http://127.0.0.1:99999/", "port"),
        ("ftp://127.0.0.1/", "neither http nor https"),
        ("file:///etc/passwd", ""),
        ("gopher://127.0.0.1:80/", "neither"),
        ("//127.0.0.1:1/", "port"),
        ("http://127.0.0.1:/", ""),
        ("http://user:password@127.0.0.1/", "credentials"),
        ("http://a_b.example/", "host name"),
        ("http://169.254.169.254/latest/meta-data/", "metadata"),
        ("http://[::1]/", "loopback"),
        ("http://0.0.0.0/", "this host"),
    ] {
        let web = Web::start(move |_| redirect(to)).await;
        let problem = check(&web).await.unwrap_err();
        assert_eq!(problem.kind, ErrorKind::Connection, "{to}: {}", problem.detail);
        assert!(problem.detail.contains(why), "{to}: {}", problem.detail);
        assert_eq!(web.count(), 1, "{to}");
    }
    let web = Web::start(|_| "HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n".to_owned()).await;
    assert_eq!(check(&web).await.unwrap_err().kind, ErrorKind::Unauthorized, "no Location");
}

#[tokio::test]
async fn this_host_is_out_of_reach_unless_it_is_allowed() {
    let web = Web::start(|_| ok(KEY_AUTHORIZATION)).await;
    let closed = client_with(web.port, &[], None);
    let problem = closed.check(&this_host(), TOKEN, KEY_AUTHORIZATION).await.unwrap_err();
    assert_eq!(problem.kind, ErrorKind::Connection);
    assert!(problem.detail.contains("allow_networks"), "{}", problem.detail);
    assert_eq!(web.count(), 0, "nothing was sent");
}

#[tokio::test]
async fn a_name_is_tried_at_each_of_its_addresses_and_each_is_judged() {
    let mut hosts = tempfile::NamedTempFile::new().unwrap();
    // ::1 has no listener, 169.254.169.254 is forbidden, 127.0.0.1 answers.
    writeln!(hosts, "::1 web.example\n169.254.169.254 web.example\n127.0.0.1 web.example").unwrap();
    let web = Web::start(|_| ok(KEY_AUTHORIZATION)).await;
    let name = Identifier::Dns(DnsName::parse("web.example").unwrap());
    let open = client_with(web.port, &["127.0.0.0/8", "::1"], Some(hosts.path()));
    assert_eq!(open.check(&name, TOKEN, KEY_AUTHORIZATION).await, Ok(()));
    assert!(web.first().contains(&format!("host: web.example:{}\r\n", web.port)));
    let narrow = client_with(web.port, &["::1"], Some(hosts.path()));
    let problem = narrow.check(&name, TOKEN, KEY_AUTHORIZATION).await.unwrap_err();
    assert!(problem.detail.contains("metadata") && problem.detail.contains("loopback"), "{}", problem.detail);
    assert_eq!(web.count(), 1);
}

/// OpenSSL's own server, which serves the key authorization at /proof.
struct OpenSsl {
    server: std::process::Child,
    port: u16,
}

impl Drop for OpenSsl {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

impl OpenSsl {
    /// With a certificate made by `openssl req`; without a lifetime it is of version 1.
    fn certificate(home: &std::path::Path, make: &str) {
        let openssl = |arguments: &str| {
            let run = Command::new("openssl").args(arguments.split(' ')).current_dir(home).output().unwrap();
            assert!(run.status.success(), "{arguments}: {}", String::from_utf8_lossy(&run.stderr));
        };
        if make.contains("-days") {
            return openssl(&format!("req -x509 -nodes -keyout key.pem -out cert.pem {make}"));
        }
        openssl(&format!("req -new -nodes -keyout key.pem -out csr.pem {make}"));
        openssl("x509 -req -days 1 -in csr.pem -signkey key.pem -out cert.pem");
    }

    fn start(home: &std::path::Path, version: &str) -> Self {
        std::fs::write(home.join("proof"), ok(KEY_AUTHORIZATION)).unwrap();
        let arguments = "s_server -accept 127.0.0.1:0 -cert cert.pem -key key.pem -cipher DEFAULT:@SECLEVEL=0 -HTTP";
        let mut server = Command::new("openssl")
            .args(arguments.split(' '))
            .arg(version)
            .current_dir(home)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut said = std::io::BufReader::new(server.stdout.take().unwrap());
        let port = loop {
            let mut line = String::new();
            assert_ne!(said.read_line(&mut line).unwrap(), 0, "the server ended");
            if let Some(address) = line.trim().strip_prefix("ACCEPT ") {
                break address.rsplit(':').next().unwrap().parse().unwrap();
            }
        };
        Self { server, port }
    }
}

/// Certificates that no verifier takes: of version 1, of a weak key, with a critical extension that nobody knows, of another name
/// and time. Each by OpenSSL, whose server then serves it: rustls would not.
#[tokio::test]
async fn a_redirect_to_https_is_followed_without_judging_the_certificate() {
    for (what, make) in [
        ("of another name", "-newkey rsa:2048 -days 1 -subj /CN=old.example"),
        ("a weak key", "-newkey rsa:1024 -sha1 -days 1 -subj /CN=weak"),
        ("an unknown critical extension", "-newkey rsa:2048 -days 1 -subj /CN=odd -addext 1.2.3.4=critical,DER:0500"),
        ("version 1", "-newkey rsa:2048 -subj /CN=v1"),
        ("an Ed25519 key", "-newkey ed25519 -days 1 -subj /CN=ed25519"),
        ("a P-384 key", "-newkey ec -pkeyopt ec_paramgen_curve:P-384 -days 1 -subj /CN=p384"),
    ] {
        let home = tempfile::tempdir().unwrap();
        OpenSsl::certificate(home.path(), make);
        for version in ["-tls1_2", "-tls1_3"] {
            let server = OpenSsl::start(home.path(), version);
            let https = server.port;
            let web = Web::start(move |_| redirect(&format!("https://127.0.0.1:{https}/proof"))).await;
            let mut client = client(web.port);
            client.https_port = https;
            assert_eq!(client.check(&this_host(), TOKEN, KEY_AUTHORIZATION).await, Ok(()), "{what}, {version}");
        }
    }
}

#[tokio::test]
async fn a_redirect_to_https_where_none_is_spoken_is_a_tls_problem() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let https = listener.local_addr().unwrap().port();
    let plain = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        let _ = stream.read_to_end(&mut Vec::new()).await;
    });
    let web = Web::start(move |path| redirect(&format!("https://127.0.0.1:{https}{path}"))).await;
    let mut client = client(web.port);
    client.https_port = https;
    let problem = client.check(&this_host(), TOKEN, KEY_AUTHORIZATION).await.unwrap_err();
    assert_eq!(problem.kind, ErrorKind::Tls);
    plain.await.unwrap();
}

#[test]
fn a_location_is_read_like_a_browser_would_and_no_further() {
    let from = Target { https: false, host: this_host(), port: 5002, path: "/.well-known/a".into() };
    let read = |location: &str| parse_location(&from, location).map(|target| target.to_string());
    let good: HashMap<&str, &str> = HashMap::from([
        ("/b?c=d", "http://127.0.0.1:5002/b?c=d"),
        ("http://Web.Example/b", "http://web.example/b"),
        ("https://web.example/b", "https://web.example/b"),
        ("https://web.example:443", "https://web.example/"),
        ("http://web.example:81/", "http://web.example:81/"),
        ("http://[2001:db8::1]/b", "http://[2001:db8::1]/b"),
        ("c", "http://127.0.0.1:5002/.well-known/c"),
        ("../c", "http://127.0.0.1:5002/c"),
        ("../../../c", "http://127.0.0.1:5002/c"),
        ("./c/?d", "http://127.0.0.1:5002/.well-known/c/?d"),
        ("?c", "http://127.0.0.1:5002/.well-known/a?c"),
        ("//web.example/c", "http://web.example/c"),
        ("#c", "http://127.0.0.1:5002/.well-known/a"),
        ("http://web.example:/x", "http://web.example/x"),
        ("/c d", "http://127.0.0.1:5002/c%20d"),
    ]);
    for (location, target) in good {
        assert_eq!(read(location).as_deref(), Ok(target), "{location}");
    }
    for bad in [
        "",
        "http://",
        "http://a b/",
        "http://*.web.example/",
        "mailto:a@b",
        "http://web.example:0x50/",
        "http://user@web.example/",
        "http://:secret@web.example/",
    ] {
        assert!(read(bad).is_err(), "{bad}: {:?}", read(bad));
    }
}
