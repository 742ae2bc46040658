//! Leases of SSH, by the built binary at a real sshd: a certificate opens the door for as long as its lease, and not after its end, whoever
//! brings that about.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};

use crate::house::{House, PATIENCE, command, succeed, text, until};
use crate::sshd::{Sshd, keygen};

const ROLE: &str = "prod/hosts/deploy";

fn set_up(house: &House, sshd: &Sshd, usual: &str) {
    let role = ["secret", "lease", "role", ROLE, "--driver", "ssh", "--like", &sshd.user, "--owner", "default"];
    house.run(&[&role[..], &["--for", usual, "--longest", "2h"]].concat());
}

/// A key that is drawn, with its certificate beside it, and its lease.
fn leased(house: &House, name: &str, more: &[&str]) -> (PathBuf, Value) {
    let key = house.path(name);
    let lease = house.json(&[&["secret", "lease", "get", ROLE, "--out", text(&key)], more].concat());
    assert!(lease.get("private_key").is_none(), "it is in its file: {lease}");
    (key, lease)
}

fn id(lease: &Value) -> &str {
    lease["id"].as_str().expect("an id")
}

fn state(house: &House, lease: &Value) -> Value {
    house.curl_admin(&[&house.https(&format!("/api/v1/secret-leases/{}", id(lease)))]).json()["state"].clone()
}

fn ends(house: &House, lease: &Value) {
    assert!(until(PATIENCE, || state(house, lease) == "ended"), "{}", state(house, lease));
}

/// The serials on the list that a host has, as ssh-keygen reads them.
fn revoked(sshd: &Sshd) -> Vec<String> {
    let list = succeed(command("ssh-keygen", &["-Q", "-l", "-f", text(&sshd.folder.join("revoked_keys"))]));
    list.lines().filter_map(|line| line.trim().strip_prefix("serial: ")).map(str::to_owned).collect()
}

fn is_clean(house: &mut House) {
    house.stop();
    let report = house.json(&["audit", "verify"]);
    assert_eq!(report["findings_total"], 0, "{report}");
}

#[test]
fn a_leased_certificate_lets_in_until_it_is_given_back() {
    let mut house = House::started();
    let sshd = Sshd::start(&house);
    set_up(&house, &sshd, "10m");
    let (key, lease) = leased(&house, "leased", &[]);
    assert!(sshd.lets_in(&key), "{}", sshd.log());
    // sshd's log says by which lease, and whose.
    assert!(sshd.log().contains(&format!("lease {} (system:lease)", id(&lease))), "{}", sshd.log());
    // To whom it was shown is in the log of the house, by the entry that the answer names; and the key is nowhere else.
    let leaf = house.json(&["audit", "show", &lease["leaf"].to_string()]);
    assert!(leaf.to_string().contains(id(&lease)), "{leaf}");
    let private = std::fs::read_to_string(&key).expect("a key");
    let canary = private.lines().nth(2).expect("a line of it");
    assert!(
        !house.server_log().contains(canary) && !house.json(&["secret", "lease", "list"]).to_string().contains(canary)
    );

    // A renewal is another certificate for the same key, which ends later.
    let before = std::fs::read(house.path("leased-cert.pub")).expect("a certificate");
    let again = house.path("leased-cert.pub");
    house.run(&["secret", "lease", "renew", id(&lease), "--for", "1h", "--out", text(&again)]);
    let renewed = std::fs::read(&again).expect("a certificate");
    assert_ne!(before, renewed);
    assert!(sshd.lets_in(&key), "{}", sshd.log());
    sshd.fetch_revoked(&house);
    assert_eq!(revoked(&sshd), [""; 0], "nothing is revoked by a renewal");

    // Given back, neither lets in, as soon as the host has the list.
    house.run(&["secret", "lease", "revoke", id(&lease)]);
    ends(&house, &lease);
    sshd.fetch_revoked(&house);
    assert_eq!(revoked(&sshd).len(), 2);
    assert!(!sshd.lets_in(&key), "{}", sshd.log());
    // A list that is older than the one that a host has takes its place by force alone.
    let file = sshd.folder.join("revoked_keys");
    let list = std::fs::read(&file).expect("a list");
    let newer = [&list[..12], &u64::MAX.to_be_bytes()[..], &list[20..]].concat();
    std::fs::write(&file, &newer).expect("a newer list");
    let refused = house.command(&["ssh", "krl", "--out", text(&file)]).output().expect("it runs");
    let says = String::from_utf8_lossy(&refused.stderr);
    assert!(refused.status.code() == Some(3) && says.contains("is older than the one in"), "{says}");
    assert_eq!(std::fs::read(&file).expect("a list"), newer, "it stays");
    house.run(&["ssh", "krl", "--out", text(&file), "--force"]);
    assert_eq!(revoked(&sshd).len(), 2);
    std::fs::write(&again, before).expect("the certificate before");
    assert!(!sshd.lets_in(&key), "{}", sshd.log());
    assert!(sshd.log().contains("revoked"), "sshd says why:\n{}", sshd.log());
    is_clean(&mut house);
}

#[test]
fn a_lease_that_ends_by_itself_revokes_nothing_and_lets_nobody_in() {
    let mut house = House::started();
    let sshd = Sshd::start(&house);
    set_up(&house, &sshd, "1m");
    let (drawn, _) = leased(&house, "drawn", &[]);
    let own = house.path("own");
    keygen(&own);
    let lease = house.json(&["secret", "lease", "get", ROLE, "--key", text(&house.path("own.pub"))]);
    assert!(sshd.lets_in(&own), "{}", sshd.log());
    let closed = until(Duration::from_secs(90), || !sshd.lets_in(&own));
    assert!(closed, "its end is the lease's: {}", sshd.log());
    ends(&house, &lease);
    sshd.fetch_revoked(&house);
    assert_eq!(revoked(&sshd), [""; 0], "it ended by itself");
    // A leased key that is over makes room, where somebody says so; one's own stays, whatever its certificate says.
    for (key, force, says) in [(&drawn, None, "--force"), (&own, Some("--force"), "never replaced")] {
        let before = std::fs::read(key).expect("a key");
        let refused =
            house.output(&[&["secret", "lease", "get", ROLE, "--out", text(key)][..], force.as_slice()].concat());
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && said.contains(says), "{said}");
        assert_eq!(std::fs::read(key).expect("a key"), before);
    }
    let (again, _) = leased(&house, "drawn", &["--force"]);
    assert!(sshd.lets_in(&again), "{}", sshd.log());
    is_clean(&mut house);
}

#[test]
fn whoever_leases_needs_no_right_to_sign_and_whoever_sets_a_role_up_does() {
    let house = House::started();
    let sshd = Sshd::start(&house);
    set_up(&house, &sshd, "10m");
    let token = |name: &str, role: &str| {
        let file = house.path(name);
        house.run(&["token", "create", name, "--role", role, "--owner", "default", "--out", text(&file)]);
        let text = std::fs::read_to_string(file).expect("a token");
        text.lines().last().unwrap_or_default().trim().to_owned()
    };
    let as_token = |token: &str, arguments: &[&str]| {
        let mut command = house.command(arguments);
        command.env("CHANCERY_TOKEN", token).output().expect("it runs")
    };
    let (leaser, writer) = (token("leaser", "secret-leaser"), token("writer", "secret-writer"));
    let key = house.path("of-leaser");
    let got = as_token(&leaser, &["secret", "lease", "get", ROLE, "--out", text(&key)]);
    assert!(got.status.success(), "{}", String::from_utf8_lossy(&got.stderr));
    assert!(sshd.lets_in(&key), "{}", sshd.log());
    let public = format!("{}.pub", text(&house.path("bare")));
    keygen(&house.path("bare"));
    let signed = as_token(&leaser, &["ssh", "sign-user", &public, "--principal", &sshd.user]);
    assert!(!signed.status.success(), "whoever leases signs nothing");
    // He writes roles of databases, and gives nobody accounts by them that he may not sign for.
    let role = json!({"driver": "ssh", "like": "root", "owner": "default"}).to_string();
    let (url, bearer) =
        (house.https("/api/v1/secret-lease-roles/prod/hosts/other"), format!("Authorization: Bearer {writer}"));
    let put = ["-X", "PUT", "-H", &bearer, "-H", "Content-Type: application/json", "-d", &role, &url];
    let refused = house.curl(&put);
    assert!(refused.status == 403 && refused.text().contains("sign-ssh-user"), "{}", refused.text());
    // Longer than certificates of the profile are, or shorter: said when it is set up.
    let short = ["secret", "lease", "role", ROLE, "--for", "30s"];
    let said = String::from_utf8_lossy(&house.output(&short).stderr).into_owned();
    assert!(said.contains("ssh-user"), "{said}");
    // A place for a key is taken first; of a role of passwords there is none.
    assert!(!house.output(&["secret", "lease", "get", ROLE, "--out", "/nowhere/key"]).status.success());
    // Beside a stream there is no place for the certificate.
    for stream in ["-", "/dev/stdout", "/dev/null"] {
        let refused = house.output(&["secret", "lease", "get", ROLE, "--out", stream]);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(refused.status.code() == Some(2) && said.contains("is no file"), "{said}");
        assert!(refused.stdout.is_empty() && !Path::new(&format!("{stream}-cert.pub")).exists(), "{stream}");
    }
    let list = house.json(&["secret", "lease", "list", "--role", ROLE]);
    assert_eq!(list.as_array().map(Vec::len), Some(1), "nobody was asked for who could not be kept: {list}");
}

/// A process may end between the signature and the name that takes it back: no certificate outlives its lease by that.
#[test]
fn a_server_killed_while_it_leases_leaves_no_certificate_of_a_lease_that_is_over() {
    let mut house = House::started();
    let sshd = Sshd::start(&house);
    set_up(&house, &sshd, "10m");
    for millis in [0, 10, 20, 30, 40, 60, 80, 120] {
        let mut asks = house.command(&["secret", "lease", "get", ROLE, "--json"]);
        let mut asking = asks.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs");
        // The moments differ; what holds after each is the same.
        std::thread::sleep(Duration::from_millis(millis));
        house.kill();
        let _ = asking.wait();
        house.start();
        // Who was being made is ended; who is there has been written down as being there.
        let standing = || house.json(&["secret", "lease", "list"]);
        let is_settled = || standing().as_array().is_some_and(|all| all.iter().all(|lease| lease["state"] == "live"));
        assert!(until(PATIENCE, is_settled), "{millis}: {}", standing());
        let live = standing();
        let live: Vec<&str> = live.as_array().expect("leases").iter().map(id).collect();
        let all = house.json(&["certs", "list", "--kind", "ssh-user"]);
        let counts = |one: &&Value| one["state"] == "issued" || one["state"] == "intended";
        for certificate in all.as_array().expect("certificates").iter().filter(counts) {
            let subject = certificate["subject"].as_str().expect("a key id");
            assert!(live.iter().any(|lease| subject.contains(lease)), "{millis}: {subject} is of none of {live:?}");
        }
    }
    is_clean(&mut house);
}
