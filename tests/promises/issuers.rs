//! A CA's life as operators and their clients live it: each of its commands once, a TLS CA revoked as compromised, a rollover under
//! load, a drill that clients follow, and a CA that is old.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use crate::acme_clients;
use crate::agent::{Nginx, agent_status, plan};
use crate::house::{House, PATIENCE, SOFTHSM, command, fail, succeed, text, until};
use crate::judges::strictly_valid;
use crate::pages::sign_in;
use crate::time::ahead;

/// The states of an issuer's generations, the first first.
fn states(house: &House, issuer: &str) -> Vec<String> {
    let shown = house.json(&["ca", "show", issuer]);
    let generations = shown["generations"].as_array().into_iter().flatten();
    generations.map(|generation| generation["state"].as_str().unwrap_or_default().to_owned()).collect()
}

/// What the newest certbot is run as: it follows renewal information.
fn certbot(house: &House, arguments: &[&str]) -> Command {
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/target/clients/certbot/bin/certbot");
    assert!(Path::new(program).exists(), "{program}: tests/run.sh installs it");
    let mut certbot = command(program, arguments);
    certbot.env("REQUESTS_CA_BUNDLE", house.ca("roots.pem"));
    for (flag, dir) in [("--config-dir", "certbot"), ("--work-dir", "certbot-work"), ("--logs-dir", "certbot-logs")] {
        certbot.arg(flag).arg(house.path(dir));
    }
    certbot
}

fn certbot_obtains(house: &House, port: u16, name: &str) -> PathBuf {
    let (server, port) = (house.https("/acme/directory"), port.to_string());
    succeed(certbot(
        house,
        &[
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
        ],
    ));
    house.path("certbot/live").join(name)
}

/// Renews what is due, without a wish of ours: what the server says of the certificate decides. Who asked is not to ask again for hours
/// (`Retry-After`), and certbot keeps to that.
fn certbot_renews(house: &House, name: &str) -> String {
    succeed(certbot(house, &["renew", "--non-interactive", "--no-random-sleep-on-renew", "--cert-name", name]))
}

fn issuer_of(certificate: &Path) -> String {
    succeed(command("openssl", &["x509", "-noout", "-in", text(certificate), "-text", "-certopt", "ca_default"]))
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[test]
fn each_command_of_an_issuers_life_does_what_it_says() {
    let house = House::started();
    let listed = house.json(&["ca", "list"]);
    assert!(listed.as_array().is_some_and(|items| items.len() >= 5), "{listed}");
    let table = house.run(&["ca", "list"]);
    assert!(table.contains("GENERATION") && table.contains("tls/1") && table.contains("active"), "{table}");
    let shown = house.run(&["ca", "show", "tls"]);
    assert!(shown.contains("key_label") && shown.contains("tls-1"), "{shown}");

    // A CA below ours.
    house.run(&[
        "ca",
        "create",
        "vpn",
        "--above",
        "root",
        "--subject",
        "/O=Example/CN=Example VPN CA",
        "--purpose",
        "client-auth",
        "--permit",
        "dns:vpn.example.internal",
    ]);
    assert_eq!(states(&house, "vpn"), ["active"]);
    // What was set is shown, of the issuer and of one generation of it.
    for named in ["vpn", "vpn/1"] {
        let shown = house.run(&["ca", "show", named]);
        let said = ["client-auth", "dns:vpn.example.internal", "path_len", "/crl/vpn/1/0.crl"];
        assert!(said.iter().all(|said| shown.contains(said)), "{named}: {shown}");
    }
    assert!(fail(house.command(&["ca", "show", "vpn/9"])).contains("chancery ca show vpn"));
    let bare = fail(house.command(&["ca", "create", "bare"]));
    assert!(bare.contains("--above") && bare.contains("--subject"), "{bare}");
    let again = house.output(&["ca", "create", "tls", "--above", "root", "--subject", "/CN=x", "--json"]);
    let refused: Value = serde_json::from_slice(&again.stderr).expect("one JSON object");
    assert!(!again.status.success() && refused["error"].is_string(), "{refused}");

    // Its successor: rehearsed, made, and the way back.
    let rehearsed = house.json(&["ca", "rotate", "vpn", "--dry-run"]);
    assert!(rehearsed["phases"].as_array().is_some_and(|phases| !phases.is_empty()), "{rehearsed}");
    assert!(house.run(&["ca", "rotate", "vpn", "--dry-run"]).contains("The way back: "));
    assert_eq!(states(&house, "vpn"), ["active"], "a rehearsal makes nothing");
    let later = house.run(&["ca", "rotate", "vpn", "--later"]);
    assert!(later.starts_with("vpn/2 waits: `chancery ca activate vpn/2`"), "{later}");
    assert_eq!(states(&house, "vpn"), ["active", "pending"]);
    // A day that was said before is not forgotten by a rehearsal, nor by the list.
    house.run(&["ca", "activate", "vpn/2", "--at", "2049-03-01"]);
    assert!(house.run(&["ca", "list"]).contains("issues from 2049-03-01 on"), "{}", house.run(&["ca", "list"]));
    let rehearsed = house.run(&["ca", "rotate", "vpn", "--dry-run"]);
    assert!(
        rehearsed.contains("2049-03-01T00:00:00Z: vpn/2 issues") && rehearsed.contains("ca retire vpn/2"),
        "{rehearsed}"
    );
    house.run(&["ca", "activate", "vpn/2"]);
    assert_eq!(states(&house, "vpn"), ["retiring", "active"]);
    house.json(&["ca", "renew", "vpn"]);
    let renewed = house.json(&["ca", "show", "vpn"]);
    assert_eq!(renewed["generations"][1]["certificates"], 2, "{renewed}");

    // Two roots that know each other.
    house.run(&["ca", "rotate", "root", "--later"]);
    house.run(&["ca", "cross-sign", "root/2", "--by", "root/1"]);
    assert_eq!(states(&house, "root"), ["active", "pending"]);

    // Below a root of somebody else's: a request out, a certificate in.
    house.run(&["ca", "create", "edge", "--above", "elsewhere", "--subject", "/O=Example/CN=Example Edge CA"]);
    assert_eq!(states(&house, "edge"), ["pending"]);
    let csr = house.path("edge.csr");
    house.run(&["ca", "request", "edge/1", "--out", text(&csr)]);
    let chain = signed_elsewhere(&house, &csr);
    // As other authorities hand it out, too.
    let bundle = house.path("x-chain.p7b");
    let made = ["crl2pkcs7", "-nocrl", "-certfile", text(&chain), "-outform", "DER", "-out", text(&bundle)];
    succeed(command("openssl", &made));
    // Its root would be everybody's from then on: whoever brings it says its fingerprint.
    let adopt = ["ca", "adopt", "edge/1", "--chain", text(&bundle)];
    let refused = house.output(&adopt);
    assert!(!refused.status.success(), "{}", String::from_utf8_lossy(&refused.stderr));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("a root that is not known here"));
    let root = house.path("x-root.pem");
    let print = succeed(command("openssl", &["x509", "-in", text(&root), "-noout", "-fingerprint", "-sha256"]));
    house.run(&[&adopt[..], &["--fingerprint", print.trim()]].concat());
    let alone = house.path("x-edge.cer");
    succeed(command("openssl", &["x509", "-in", text(&chain), "-outform", "DER", "-out", text(&alone)]));
    let again = fail(house.command(&["ca", "adopt", "edge/1", "--chain", text(&alone)]));
    assert!(again.contains("has this certificate already"), "{again}");
    let none = fail(house.command(&["ca", "adopt", "edge/1", "--chain", text(&house.path("x-root.key"))]));
    assert!(none.contains("holds no certificates"), "{none}");
    assert_eq!(states(&house, "edge"), ["active"]);
    // Its successor waits for its certificate in the same way; asked for again it is the same.
    assert!(house.run(&["ca", "rotate", "edge", "--dry-run"]).contains("chancery ca adopt edge/2"));
    for _ in 0..2 {
        let waits = house.run(&["ca", "rotate", "edge"]);
        assert!(waits.contains("edge/2 waits for its certificate: `chancery ca request edge/2"), "{waits}");
        assert_eq!(states(&house, "edge"), ["active", "pending"]);
    }

    // A key that somebody has elsewhere too is none of a CA; nor is one that is not there.
    let copied = house.path("copied.key");
    succeed(command(
        "openssl",
        &["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", text(&copied)],
    ));
    let mut import = command("softhsm2-util", &["--import", text(&copied), "--token", "test", "--label", "copied-key"]);
    import
        .args(["--id", "0c0d", "--pin", "648219", "--module", SOFTHSM])
        .env("SOFTHSM2_CONF", house.path("softhsm2.conf"));
    succeed(import);
    let refused = house.output(&["ca", "import", "copied", "--key-label", "copied-key", "--chain", text(&chain)]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("CKA_NEVER_EXTRACTABLE"), "{refused:?}");

    // What one that is good does stands in ca/tests: a key that no tool of ours made signs alone, which Debian's tools cannot ask for.
    let missing = house.output(&["ca", "import", "legacy", "--key-label", "old-ca-key", "--chain", text(&chain)]);
    assert!(String::from_utf8_lossy(&missing.stderr).contains("old-ca-key"), "{missing:?}");
    let exported = house.path("tls.pem");
    house.run(&["ca", "export", "tls", "--out", text(&exported)]);
    let whole = String::from_utf8(read(&exported)).expect("PEM");
    assert!(whole.starts_with("-----BEGIN CERTIFICATE-----"), "{whole}");

    // The end of each.
    let active = house.output(&["ca", "retire", "vpn/2"]);
    assert!(String::from_utf8_lossy(&active.stderr).contains("--yes-nothing-needs-it"), "{active:?}");
    house.run(&["ca", "retire", "vpn/1"]);
    assert_eq!(states(&house, "vpn"), ["ended", "active"]);
    let unsaid = house.output(&["ca", "revoke", "vpn/2", "--reason", "superseded"]);
    let says = String::from_utf8_lossy(&unsaid.stderr);
    assert!(says.contains("--yes") && says.contains("with vpn/2 end 0 certificates"), "{says}");
    house.run(&["ca", "revoke", "vpn/2", "--reason", "superseded", "--yes"]);
    assert_eq!(states(&house, "vpn"), ["ended", "revoked"]);
    let nowhere = house.output(&["ca", "show", "nowhere"]);
    assert_eq!(nowhere.status.code(), Some(1), "{nowhere:?}");
    let report = house.json(&["audit", "verify"]);
    assert_eq!(report["findings_total"], 0, "{report}");
}

/// A root of openssl's, and the chain from the request's CA to it.
fn signed_elsewhere(house: &House, csr: &Path) -> PathBuf {
    let [root_key, root, signed, chain] =
        ["x-root.key", "x-root.pem", "x-edge.pem", "x-chain.pem"].map(|n| house.path(n));
    let extensions = house.path("x.cnf");
    std::fs::write(&extensions, "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n")
        .expect("extensions");
    succeed(command(
        "openssl",
        &[
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "3650",
            "-subj",
            "/CN=Elsewhere Root",
            "-keyout",
            text(&root_key),
            "-out",
            text(&root),
            "-addext",
            "keyUsage=critical,keyCertSign,cRLSign",
        ],
    ));
    succeed(command(
        "openssl",
        &[
            "x509",
            "-req",
            "-in",
            text(csr),
            "-CA",
            text(&root),
            "-CAkey",
            text(&root_key),
            "-CAcreateserial",
            "-days",
            "1000",
            "-extfile",
            text(&extensions),
            "-out",
            text(&signed),
        ],
    ));
    std::fs::write(&chain, [read(&signed), read(&root)].concat()).expect("a chain");
    chain
}

fn openssl_serial(certificate: &Path) -> String {
    let told = succeed(command("openssl", &["x509", "-noout", "-serial", "-in", text(certificate)]));
    told.trim().trim_start_matches("serial=").to_ascii_lowercase()
}

/// What a compromised CA issued is dead: nothing says that it is well until something took its place.
#[test]
fn what_a_ca_issued_that_is_over_is_counted_listed_and_alarmed_until_it_is_replaced() {
    let house = House::started();
    let out = house.path("www");
    house.run(&["issue", "tls", "www.example.internal", "--out", text(&out)]);
    let asked = fail(house.command(&["ca", "revoke", "tls/1", "--reason", "key-compromise"]));
    assert!(asked.contains("with tls/1 end 2 certificates") && asked.contains("default 1"), "{asked}");
    let done = house.run(&["ca", "revoke", "tls/1", "--reason", "key-compromise", "--yes"]);
    assert!(done.starts_with("tls/1 is revoked") && done.contains("chancery ca rotate tls"), "{done}");

    let rehearsed = house.run(&["ca", "rotate", "tls", "--dry-run"]);
    assert!(rehearsed.contains("The way back: there is none: tls/1 is over"), "{rehearsed}");
    assert!(!rehearsed.contains("ca activate tls/1") && !rehearsed.contains("ca retire tls/1"), "{rehearsed}");
    house.run(&["ca", "rotate", "tls"]);

    // A successor issues, and what has no successor of its own is not well.
    let left = ["certs", "list", "--issuer", "tls/1", "--state", "issued", "--replaced", "false"];
    assert!(house.run(&left).contains("www.example.internal"));
    let listed = house.run(&["certs", "list", "--name", "www.example.internal"]);
    assert!(listed.contains("CA over") && !listed.contains("issued"), "{listed}");
    let alarms = || house.curl_admin(&[&house.https("/api/v1/status")]).json()["alarms"].to_string();
    assert!(alarms().contains("of CA tls/1, which is over"), "{}", alarms());
    let session = sign_in(&house);
    let page = |path: &str| house.curl(&["-H", &session, &house.https(path)]).text();
    assert!(page("/").contains("of a CA that is over: nobody believes"), "{}", page("/"));
    assert!(page("/issuers").contains("Revoked: tls/1."), "{}", page("/issuers"));
    let serial = house.json(&left)[0]["serial"].as_str().expect("a serial").to_owned();
    assert!(page(&format!("/certificates/{serial}")).contains("it needs a successor now"));

    // Replaced, it is well again.
    let www = openssl_serial(&out.join("cert.pem"));
    house.run(&["certs", "renew", &www, "--out", text(&house.path("renewed"))]);
    assert!(until(PATIENCE, || house.json(&left) == serde_json::json!([])), "{}", house.run(&left));
    assert!(!alarms().contains("which is over"), "{}", alarms());
}

#[test]
fn a_tls_ca_revoked_as_compromised_stops_alone_and_acme_and_agents_follow_to_its_successor() {
    let (mut house, _dns, port) = acme_clients::house();
    let live = certbot_obtains(&house, port, "web.example.test");
    let (certificate, chain) = (live.join("cert.pem"), live.join("chain.pem"));
    let agents = plan(&house, 86_400, 0.66, "");
    house.run(&["agent", "--plan", text(&agents), "--once"]);
    let (before, agents_before) = (read(&certificate), agent_status(&house)["serial"].clone());

    house.run(&["ca", "revoke", "tls/1", "--reason", "key-compromise", "--yes"]);
    // The first look after it has the alarm.
    let status = house.curl_admin(&[&house.https("/api/v1/status")]).json();
    assert!(status.to_string().contains("chancery ca rotate tls"), "{status}");
    let refused = fail(house.command(&["issue", "tls", "localhost", "--out", text(&house.path("no"))]));
    assert!(refused.contains("chancery ca rotate tls"), "{refused}");
    // The rest goes on.
    let key = house.path("id");
    succeed(command("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", text(&key)]));
    house.run(&["ssh", "sign-user", text(&key.with_extension("pub")), "--principal", "demo"]);
    assert_eq!(house.curl(&[&house.http("/crl/root.crl")]).status, 200);
    assert_eq!(house.curl(&[&house.http("/crl/tls/1/0.crl")]).status, 200, "its last word too");

    // A restart: everything but HTTPS, whose certificate was that CA's.
    house.stop();
    house.launch(&[]);
    assert!(until(PATIENCE, || house.curl(&[&house.http("/crl/root.crl")]).status == 200), "{}", house.server_log());
    let says = until(PATIENCE, || house.server_log().contains("no server certificate yet"));
    assert!(says, "{}", house.server_log());

    // One command, on the host, beside the running server.
    assert_eq!(house.json(&["ca", "rotate", "tls", "--on-host"])["generation"], "tls/2");
    house.await_ready();
    assert_eq!(states(&house, "tls"), ["revoked", "active"]);
    let shown = house.json(&["ca", "show", "tls"]);
    assert_ne!(shown["generations"][0]["key_hash"], shown["generations"][1]["key_hash"]);
    house.run(&["issue", "tls", "localhost", "--out", text(&house.path("yes"))]);

    // Whoever has a certificate of it comes, without being told by anybody else.
    let said = certbot_renews(&house, "web.example.test");
    assert_ne!(read(&certificate), before, "{said}");
    assert!(issuer_of(&certificate).contains("/crl/tls/2/"), "{}", issuer_of(&certificate));
    strictly_valid(&house, &certificate, &chain, "web.example.test");
    house.run(&["agent", "--plan", text(&agents), "--once"]);
    let agent = agent_status(&house);
    assert!(agent["serial"] != agents_before && agent["state"] == "ok", "{agent}");
    assert!(issuer_of(&house.path("web/cert.pem")).contains("/crl/tls/2/"));
    house.stop();
    assert_eq!(house.json(&["audit", "verify"])["findings_total"], 0);
}

#[test]
fn a_drill_is_followed_by_certbot_and_agents_and_says_how_far_it_is() {
    let (house, _dns, port) = acme_clients::house();
    let live = certbot_obtains(&house, port, "web.example.test");
    let agents = plan(&house, 86_400, 0.66, "");
    house.run(&["agent", "--plan", text(&agents), "--once"]);
    let (before, agents_before) = (read(&live.join("cert.pem")), agent_status(&house)["serial"].clone());
    let dry = house.run(&["drill", "replace", "--issuer", "tls/1", "--window", "0s", "--dry-run"]);
    assert!(dry.contains("Nothing is marked"), "{dry}");
    assert_eq!(house.json(&["drill", "list"]).as_array().map(Vec::len), Some(0));
    certbot_obtains(&house, port, "early.example.test");
    assert!(certbot_renews(&house, "early.example.test").contains("not yet due"));

    let begun = house.json(&["drill", "replace", "--issuer", "tls/1", "--window", "0s", "--reason", "yearly"]);
    let id = begun["drill"]["id"].as_str().expect("an id").to_owned();
    // The server's own, certbot's two and the agent's.
    assert_eq!((&begun["all"]["held"], &begun["all"]["left"]), (&4.into(), &4.into()), "{begun}");
    let said = certbot_renews(&house, "web.example.test");
    assert_ne!(read(&live.join("cert.pem")), before, "{said}");
    house.run(&["agent", "--plan", text(&agents), "--once"]);
    assert_ne!(agent_status(&house)["serial"], agents_before);
    // The server's own follows within seconds.
    let mut shown = house.json(&["drill", "show", &id]);
    let all_but_one = until(PATIENCE, || {
        shown = house.json(&["drill", "show", &id]);
        shown["all"]["left"] == 1
    });
    assert!(all_but_one, "{shown}\n{}", house.server_log());
    assert_eq!(
        (&shown["owners"]["acme"]["replaced"], &shown["owners"]["acme"]["left"]),
        (&1.into(), &1.into()),
        "{shown}"
    );
    let table = house.run(&["drill", "show", &id]);
    assert!(table.contains("OWNER") && table.contains("acme") && table.contains("50 %"), "{table}");
    house.run(&["drill", "end", &id]);
    let listed = house.run(&["drill", "list"]);
    assert!(listed.contains("ended") && listed.contains("yearly"), "{listed}");
    let unknown = house.output(&["drill", "show", "drill-0-0"]);
    assert_eq!(unknown.status.code(), Some(1), "{unknown:?}");
    assert_eq!(house.json(&["audit", "verify"])["findings_total"], 0);
}

#[test]
fn a_rollover_under_load_has_no_chain_that_fails() {
    let (house, _dns, port) = acme_clients::house();
    let live = certbot_obtains(&house, port, "web.example.test");
    let agents = plan(&house, 86_400, 0.66, "");
    house.run(&["agent", "--plan", text(&agents), "--once"]);
    let nginx = Nginx::start(&house);
    let reload = format!("reload = {}", nginx.reload());
    let agents = plan(&house, 86_400, 0.66, &reload);

    // Who has the root believes whatever is served, at every moment.
    let stop = Arc::new(AtomicBool::new(false));
    let (ends, roots) = (stop.clone(), house.ca("roots.pem"));
    let urls = [format!("https://localhost:{}/", nginx.port), house.https("/healthz")];
    let poller = std::thread::spawn(move || {
        let (mut good, mut failed) = (0u32, Vec::new());
        while !ends.load(Ordering::Relaxed) {
            for url in &urls {
                let asked = ["-sS", "--max-time", "20", "-o", "/dev/null", "--cacert", text(&roots), url.as_str()];
                let output = Command::new("curl").args(asked).output().expect("curl runs");
                match output.status.success() {
                    true => good += 1,
                    false => failed.push(String::from_utf8_lossy(&output.stderr).into_owned()),
                }
            }
        }
        (good, failed)
    });
    house.run(&["ca", "rotate", "tls"]);
    let part = ["drill", "replace", "--issuer", "tls/1", "--window", "0s"];
    let id = house.json(&part)["drill"]["id"].as_str().expect("an id").to_owned();
    house.run(&["agent", "--plan", text(&agents), "--once"]);
    certbot_renews(&house, "web.example.test");
    let done = until(PATIENCE, || {
        let shown = house.json(&["drill", "show", &id]);
        shown["owners"]["acme"]["left"] == 0 && shown["owners"]["default"]["left"] == 0
    });
    stop.store(true, Ordering::Relaxed);
    let (good, failed) = poller.join().expect("the poller");
    assert!(done, "{}", house.json(&["drill", "show", &id]));
    assert!(failed.is_empty(), "{good} were good, these not: {failed:?}");
    assert!(good > 5, "the client polled: {good}");
    assert!(issuer_of(&live.join("cert.pem")).contains("/crl/tls/2/"));
    strictly_valid(&house, &live.join("cert.pem"), &live.join("chain.pem"), "web.example.test");
    // What was issued before is good still.
    assert_eq!(states(&house, "tls"), ["retiring", "active"]);
}

/// A house some days from now, with an administrator of that day.
struct Later {
    environment: [(&'static str, String); 3],
}

impl Later {
    fn start(house: &mut House, days: u32) -> Later {
        let later = Later { environment: ahead(&format!("+{days}d")) };
        house.launch(&later.environment.each_ref().map(|(name, value)| (*name, value.as_str())));
        house.await_ready();
        let token = house.ca("admin.token");
        later.run(house, &["token", "rescue", "--reason", "years went by", "--force", "--out", text(&token)]);
        later
    }

    fn run(&self, house: &House, arguments: &[&str]) -> String {
        let mut command = house.command(arguments);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        succeed(command)
    }

    /// What the status says somebody should look at.
    fn alarms(&self, house: &House) -> String {
        let bearer = format!("Authorization: Bearer {}", house.admin_token());
        let url = house.https("/api/v1/status");
        let mut curl = command("curl", &["-sS", "--cacert", text(&house.ca("roots.pem")), "-H", &bearer, &url]);
        curl.envs(self.environment.iter().map(|(name, value)| (name, value)));
        succeed(curl)
    }
}

#[test]
fn a_ca_five_years_on_was_announced_and_is_renewed_in_time_by_one_command() {
    let mut house = House::new();
    // Of 1,825 days.
    for (days, told) in [(1_400, None), (1_465, Some("successor this year")), (1_740, Some("successor soon"))] {
        let later = Later::start(&mut house, days);
        let alarms = later.alarms(&house);
        let of_tls = alarms.contains("CA `tls/1` ends at");
        assert_eq!(of_tls, told.is_some(), "{days}: {alarms}");
        assert!(told.is_none_or(|told| alarms.contains(told)), "{days}: {alarms}");
        later.run(&house, &["issue", "tls", "localhost", "--out", text(&house.path(&format!("leaf-{days}")))]);
        house.stop();
    }
    let later = Later::start(&mut house, 1_800);
    assert!(later.alarms(&house).contains("successor now"));
    later.run(&house, &["ca", "rotate", "tls"]);
    later.run(&house, &["ca", "renew", "code"]);
    let alarms = later.alarms(&house);
    assert!(!alarms.contains("CA `tls/") && !alarms.contains("CA `code/"), "{alarms}");
    house.stop();
    // The first one has ended; nobody waits for anything.
    let later = Later::start(&mut house, 1_900);
    assert_eq!(states_at(&house, &later, "tls"), ["ended", "active"]);
    later.run(&house, &["issue", "tls", "localhost", "--out", text(&house.path("leaf-1900"))]);
    house.stop();
}

fn states_at(house: &House, later: &Later, issuer: &str) -> Vec<String> {
    let shown: Value = serde_json::from_str(&later.run(house, &["--json", "ca", "show", issuer])).expect("JSON");
    let generations = shown["generations"].as_array().into_iter().flatten();
    generations.map(|generation| generation["state"].as_str().unwrap_or_default().to_owned()).collect()
}

/// Which register to seed for the timed drill, where there is one.
const SEEDS: &str = "CHANCERY_TEST_DRILL_SEEDS";
const FLEET: u64 = 300;

#[test]
fn the_register_of_a_drill_is_seeded() {
    let Some(config) = std::env::var_os(SEEDS) else { return };
    let wish = load::seed::Wish {
        config: config.into(),
        certificates: FLEET,
        revoked: 0,
        renewing: FLEET,
        aged: 0,
        owners: 1,
        orders: 0,
        accounts: 0,
        account_keys: None,
        into_existing: false,
    };
    load::seed::run(&wish).expect("a seeded register");
}

/// The short form of `chancery-load drill`.
#[test]
fn a_timed_drill_on_a_seeded_register_leaves_nothing() {
    let mut house = House::new();
    // A process of its own, in whose environment the token is this house's.
    let mut seeder = Command::new(std::env::current_exe().expect("this program"));
    seeder.args(["--exact", "issuers::the_register_of_a_drill_is_seeded"]);
    seeder.env(SEEDS, house.ca("chancery.toml")).env("SOFTHSM2_CONF", house.path("softhsm2.conf"));
    succeed(seeder);
    house.start();
    let marks = ["drill", "replace", "--issuer", "tls/1", "--owner", "default", "--window", "0s"];
    let begun = house.json(&marks);
    let held = begun["all"]["held"].as_u64().expect("a number");
    assert!(held >= FLEET, "{begun}");
    let id = begun["drill"]["id"].as_str().expect("an id");
    let mut shown = begun.clone();
    // The server's own certificate is of that owner too; it renews at its own time.
    let done = until(PATIENCE * 2, || {
        shown = house.json(&["drill", "show", id]);
        shown["all"]["replaced"].as_u64() >= Some(FLEET)
    });
    assert!(done, "{shown}\n{}", house.server_log());
    house.stop();
    assert_eq!(house.json(&["audit", "verify"])["findings_total"], 0);
}
