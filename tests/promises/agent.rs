//! Promise 4: a real HTTPS service stays on a fresh certificate while clients poll it, and a failing reload brings
//! the old files back.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;

use load::free_port;

use crate::house::{House, PATIENCE, command, status, succeed, text, until};

/// nginx in a folder of its own, serving the agent's files.
struct Nginx {
    child: Child,
    port: u16,
    config: std::path::PathBuf,
}

impl Nginx {
    fn start(house: &House) -> Self {
        let port = free_port();
        let dir = house.path("nginx");
        std::fs::create_dir_all(&dir).expect("a folder");
        let config = dir.join("nginx.conf");
        let (d, web) = (dir.display(), house.path("web"));
        std::fs::write(
            &config,
            format!(
                "pid {d}/pid; error_log {d}/error.log; worker_processes 1;\nevents {{}}\nhttp {{ access_log off;\n\
                 client_body_temp_path {d}/b; proxy_temp_path {d}/p; fastcgi_temp_path {d}/f; uwsgi_temp_path {d}/u; scgi_temp_path {d}/s;\n\
                 server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {w}/fullchain.pem; ssl_certificate_key {w}/key.pem;\n\
                 location / {{ return 200 \"served\\n\"; }} }} }}\n",
                w = web.display()
            ),
        )
        .expect("nginx.conf");
        let child = Command::new("/usr/sbin/nginx")
            .args(["-c", text(&config), "-g", "daemon off;"])
            .stdin(Stdio::null())
            .spawn()
            .expect("nginx starts");
        assert!(until(PATIENCE, || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()), "nginx listens");
        Self { child, port, config }
    }

    fn reload(&self) -> String {
        format!("[\"/usr/sbin/nginx\", \"-c\", \"{}\", \"-s\", \"reload\"]", self.config.display())
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // SIGTERM: the master ends its workers, which SIGKILL would orphan.
        status(Command::new("kill").arg(self.child.id().to_string()));
        let _ = self.child.wait();
    }
}

/// Writes a plan for `web`; `more` is appended to the certificate's table.
fn plan(house: &House, validity_secs: u64, renew_at: f64, more: &str) -> std::path::PathBuf {
    let path = house.path("plan.toml");
    let (web, state) = (house.path("web"), house.path("agent"));
    std::fs::create_dir_all(&web).expect("a folder");
    std::fs::write(
        &path,
        format!(
            "state_dir = \"{state}\"\n[[certificate]]\nname = \"web\"\nnames = [\"localhost\"]\nrenew_at = {renew_at}\n{more}\n\
             files = {{ cert = \"{w}/cert.pem\", key = \"{w}/key.pem\", fullchain = \"{w}/fullchain.pem\" }}\n\
             [certificate.source]\nkind = \"chancery\"\nurl = \"{url}\"\nca_file = \"{roots}\"\ntoken_file = \"{token}\"\n\
             owner = \"default\"\nprofile = \"tls-server\"\nvalidity_secs = {validity_secs}\n",
            state = state.display(),
            w = web.display(),
            url = house.https(""),
            roots = house.ca("roots.pem").display(),
            token = house.ca("admin.token").display(),
        ),
    )
    .expect("a plan");
    path
}

/// What `--status` says of the certificate `web`.
fn agent_status(house: &House) -> Value {
    let status = house.json(&["agent", "--plan", text(&house.path("plan.toml")), "--status"]);
    status.as_array().into_iter().flatten().find(|s| s["name"] == "web").cloned().unwrap_or(Value::Null)
}

/// Stops the agent when the test ends, however it ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_service_is_renewed_three_times_under_a_polling_client() {
    let house = House::started();
    // The first certificate, then the service, then the agent for good.
    let first = plan(&house, 120, 0.1, "");
    house.run(&["agent", "--plan", text(&first), "--once"]);
    let nginx = Nginx::start(&house);
    let check = format!(
        "reload = {}\ncheck = {{ connect = \"127.0.0.1:{}\", server_name = \"localhost\", timeout_secs = 20 }}",
        nginx.reload(),
        nginx.port
    );
    let plan = plan(&house, 120, 0.1, &check);
    let log = std::fs::File::create(house.path("agent.log")).expect("a log");
    let agent = Running(
        house
            .command(&["agent", "--plan", text(&plan)])
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the agent starts"),
    );

    let stop = Arc::new(AtomicBool::new(false));
    let (ends, roots, url) = (stop.clone(), house.ca("roots.pem"), format!("https://localhost:{}/", nginx.port));
    let poller = std::thread::spawn(move || {
        let (mut good, mut failed) = (0u32, Vec::new());
        while !ends.load(Ordering::Relaxed) {
            let output = Command::new("curl")
                .args(["-sS", "--max-time", "5", "--cacert", text(&roots), &url])
                .output()
                .expect("curl runs");
            if output.stdout == b"served\n" {
                good += 1
            } else {
                failed.push(String::from_utf8_lossy(&output.stderr).into_owned())
            }
        }
        (good, failed)
    });
    let mut serials = std::collections::BTreeSet::new();
    let served = |serials: &mut std::collections::BTreeSet<String>| {
        let pem = succeed(command(
            "sh",
            &[
                "-c",
                &format!(
                    "openssl s_client -connect 127.0.0.1:{} -servername localhost </dev/null 2>/dev/null | openssl x509 -noout -serial",
                    nginx.port
                ),
            ],
        ));
        serials.insert(pem.trim().to_owned());
        serials.len()
    };
    let renewed = until(Duration::from_secs(150), || served(&mut serials) >= 4);
    // The service has the certificate a moment before the agent has looked at it and written so; the client polls on.
    let mut status = Value::Null;
    let written = until(PATIENCE, || {
        status = agent_status(&house);
        status["renewals"].as_u64() >= Some(3)
    });
    stop.store(true, Ordering::Relaxed);
    let (good, failed) = poller.join().expect("the poller");
    let log = std::fs::read_to_string(house.path("agent.log")).unwrap_or_default();
    assert!(renewed, "three renewals were served: {serials:?}\n{log}");
    assert!(failed.is_empty(), "no request failed; {good} were good, these not: {failed:?}\n{log}");
    assert!(good > 50, "the client polled: {good}");
    assert!(written, "the status says so: {status}");
    assert_eq!(status["state"], "ok", "{status}");
    drop(agent);
}

#[test]
fn a_failing_reload_brings_the_old_files_back() {
    let house = House::started();
    let good = plan(&house, 60, 0.66, "");
    house.run(&["agent", "--plan", text(&good), "--once"]);
    let files = ["cert.pem", "key.pem", "fullchain.pem"];
    let read = || files.map(|f| std::fs::read(house.path("web").join(f)).expect("an installed file"));
    let before = read();
    // Due in seconds, with a reload that fails.
    let failing = plan(&house, 60, 0.1, "reload = [\"/bin/false\"]");
    let due = until(PATIENCE, || {
        house.output(&["agent", "--plan", text(&failing), "--once"]);
        agent_status(&house)["state"] == "rolled-back"
    });
    let status = agent_status(&house);
    assert!(due, "the status says so: {status}");
    assert!(status["last_error"].as_str().is_some_and(|e| e.contains("reload")), "{status}");
    assert_eq!(read(), before, "byte for byte the old files");
}

#[test]
fn the_agent_renews_over_mutual_tls_when_its_token_is_gone() {
    renews_over_mutual_tls(&House::started());
}

/// ring, over which everybody here speaks TLS, verifies no P-521.
#[test]
fn an_issuing_ca_of_p521_is_no_stranger_to_command_agent_and_client_certificates() {
    let mut house = House::started();
    house.run(&["ca", "rotate", "tls", "--key", "p521"]);
    house.stop();
    house.start();
    let address = house.https("").trim_start_matches("https://").trim_end_matches('/').to_owned();
    let mut shown = command("openssl", &["s_client", "-connect", &address, "-servername", "localhost"]);
    shown.stdin(std::process::Stdio::null());
    let pem = house.path("served.pem");
    std::fs::write(&pem, succeed(shown)).expect("what is served");
    let served = succeed(command("openssl", &["x509", "-in", text(&pem), "-noout", "-text"]));
    assert!(served.contains("Signature Algorithm: ecdsa-with-SHA512"), "{served}");
    renews_over_mutual_tls(&house);
}

fn renews_over_mutual_tls(house: &House) {
    let token = house.path("enrol.token");
    house.run(&[
        "token",
        "create",
        "enrol",
        "--role",
        "agent",
        "--owner",
        "default",
        "--expires",
        "1h",
        "--out",
        text(&token),
    ]);
    let (path, web) = (house.path("plan.toml"), house.path("web"));
    std::fs::create_dir_all(&web).expect("a folder");
    let plan = |renew_at: f64| {
        format!(
            "state_dir = \"{state}\"\n[identity]\nurl = \"{url}\"\nca_file = \"{roots}\"\ntoken_file = \"{token}\"\n\
             owner = \"default\"\nnames = [\"agent.example.internal\"]\n\
             [[certificate]]\nname = \"web\"\nnames = [\"localhost\"]\nrenew_at = {renew_at}\nsource = {{ kind = \"chancery\", validity_secs = 60 }}\n\
             files = {{ cert = \"{w}/cert.pem\", key = \"{w}/key.pem\" }}\n",
            state = house.path("agent").display(),
            url = house.https(""),
            roots = house.ca("roots.pem").display(),
            token = token.display(),
            w = web.display(),
        )
    };
    std::fs::write(&path, plan(0.66)).expect("the plan");
    house.run(&["agent", "--plan", text(&path), "--once"]);
    // The token is revoked and its file removed: the next renewal has the client certificate alone.
    let id = std::fs::read_to_string(&token).expect("the token").split('_').nth(1).expect("an id").to_owned();
    house.run(&["token", "revoke", &id]);
    std::fs::remove_file(&token).expect("the token's file");
    std::fs::write(&path, plan(0.1)).expect("the plan");
    let renewed = until(PATIENCE, || {
        house.output(&["agent", "--plan", text(&path), "--once"]);
        agent_status(house)["renewals"].as_u64() >= Some(1)
    });
    assert!(renewed, "{}", agent_status(house));
    let listed = house.json(&["certs", "list", "--name", "localhost", "--owner", "default", "--profile", "tls-server"]);
    let actors: Vec<&str> = listed.as_array().into_iter().flatten().filter_map(|c| c["actor"].as_str()).collect();
    assert!(
        actors.iter().any(|a| a.starts_with("cert:")),
        "a certificate asked for by a client certificate: {actors:?}"
    );
}

#[test]
fn the_agent_renews_what_its_plan_does_not_ask_for_any_more_and_what_was_revoked() {
    let house = House::started();
    let path = plan(&house, 3600, 0.66, "");
    let pass = || {
        house.run(&["agent", "--plan", text(&path), "--once"]);
        let status = agent_status(&house);
        assert_eq!(status["state"], "ok", "{status}");
        status["serial"].as_str().expect("a serial").to_owned()
    };
    let edit = |from: &str, to: &str| {
        let before = std::fs::read_to_string(&path).expect("the plan");
        assert!(before.contains(from), "{before}");
        std::fs::write(&path, before.replace(from, to)).expect("the plan");
    };
    let shown = |what: &str| {
        let file = house.path("web/cert.pem");
        succeed(command("openssl", &["x509", "-noout", "-in", text(&file), "-text", "-certopt", what]))
    };
    let mut last = pass();
    assert_eq!(pass(), last, "nothing is due");
    for (from, to) in [
        ("names = [\"localhost\"]", "names = [\"localhost\", \"www.localhost\"]"),
        ("names = [\"localhost\", \"www.localhost\"]", "names = [\"localhost\"]"),
        ("renew_at = 0.66", "renew_at = 0.66\nkey = \"p384\""),
        ("validity_secs = 3600", "validity_secs = 7200"),
        ("https://localhost", "https://127.0.0.1"),
    ] {
        edit(from, to);
        let next = pass();
        assert_ne!(next, last, "{to}");
        assert_eq!(pass(), next, "once for {to}");
        let before = house.json(&["certs", "show", &last]);
        assert_eq!(
            (&before["replaced"], &before["successor"]),
            (&true.into(), &next.as_str().into()),
            "{to}: {before}"
        );
        last = next;
    }
    assert!(!shown("no_header").contains("www.localhost") && shown("no_header").contains("384 bit"));

    house.run(&["certs", "revoke", &last, "--reason", "superseded"]);
    let next = pass();
    assert_ne!(next, last, "what was revoked is replaced");
    assert_eq!(pass(), next);

    // A key that leaked is not kept, although the plan wants to keep its key.
    edit("key = \"p384\"", "key = \"p384\"\nreuse_key = true");
    let key = || std::fs::read(house.path("web/key.pem")).expect("the key");
    let before = key();
    house.run(&["certs", "revoke", &next, "--reason", "key-compromise"]);
    assert_ne!(pass(), next);
    assert_ne!(key(), before);
}
