//! An SSH key exchanged on hosts through their agents, at real sshds: whoever has the current one logs in at every moment; the old one ends;
//! a host that is away is waited for, and named; agents and the server are killed in between.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use serde_json::Value;

use crate::agent::Running;
use crate::house::{House, PATIENCE, command, succeed, text, until};
use crate::sshd::{Sshd, keygen};

const SECRET: &str = "prod/hosts/deploy";
const PATH: &str = "/api/v1/secret-rotations/prod/hosts/deploy";

/// A host: its sshd, and its agent's plan with an identity of its own.
struct Host {
    name: &'static str,
    sshd: Sshd,
    plan: PathBuf,
    keys: PathBuf,
}

impl Host {
    fn new(house: &House, name: &'static str) -> Host {
        let keys = house.path(&format!("{name}.keys"));
        let sshd = Sshd::named(house, &format!("sshd-{name}"), text(&keys));
        let plan = house.path(&format!("{name}.toml"));
        let token = house.path(&format!("{name}.token"));
        house.run(&["token", "create", name, "--role", "agent", "--owner", "default", "--out", text(&token)]);
        let written = format!(
            "state_dir = \"{state}\"\n[identity]\nurl = \"{url}\"\nca_file = \"{roots}\"\ntoken_file = \"{token}\"\nowner = \"default\"\n\
             names = [\"{name}\"]\n[secrets]\npoll_secs = 1\n[[authorized_keys]]\nname = \"deploy\"\nsecret = \"{SECRET}\"\n\
             file = {{ path = \"{keys}\", owner = \"0\" }}\noptions = \"no-agent-forwarding\"\n",
            state = house.path(&format!("{name}.state")).display(),
            url = house.https(""),
            roots = house.ca("roots.pem").display(),
            token = token.display(),
            keys = keys.display(),
        );
        std::fs::write(&plan, written).expect("a plan");
        Host { name, sshd, plan, keys }
    }

    fn once(&self, house: &House) {
        succeed(house.command(&["agent", "--plan", text(&self.plan), "--once"]));
    }

    fn agent(&self, house: &House) -> Running {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(house.path(&format!("{}.log", self.name)));
        let mut agent = house.command(&["agent", "--plan", text(&self.plan)]);
        Running(agent.stdin(Stdio::null()).stderr(log.expect("a log")).spawn().expect("the agent starts"))
    }

    /// The versions whose keys stand in its file.
    fn versions(&self) -> Vec<u64> {
        let there = std::fs::read_to_string(&self.keys).unwrap_or_default();
        let ours = there.lines().filter_map(|line| line.rsplit_once(&format!("chancery:{SECRET}#")));
        let mut versions: Vec<u64> = ours.filter_map(|(_, version)| version.parse().ok()).collect();
        versions.sort_unstable();
        versions
    }
}

/// A key for root at these hosts, whose agents may know of it.
fn house() -> House {
    let mut house = House::new();
    house.configure("[rotation]\n", "[rotation]\ntargets = [\"localhost\", \"127.0.0.1\"]\n");
    // docs/AGENT.md has this policy.
    let docs = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/AGENT.md")).expect("the page");
    let policy = docs.split("```cedar\n").find(|part| part.contains("@id(\"agents-keep-keys\")")).expect("the policy");
    let policy = policy.split("```").next().expect("its end");
    std::fs::write(house.ca("policies/agents-keep-keys.cedar"), policy).expect("a policy");
    house.start();
    house.run(&[
        "secret",
        "put",
        SECRET,
        "--kind",
        "ssh-key",
        "--draw",
        "--plain",
        "username=root",
        "--owner",
        "default",
    ]);
    house
}

fn mode(file: &Path) -> u32 {
    std::fs::metadata(file).expect("a file").permissions().mode() & 0o777
}

fn set_up(house: &House, hosts: &str, overlap: &str) {
    let rotation = ["secret", "rotation", SECRET, "--driver", "ssh", "--plan", "keys", "--user", "root"];
    house.run(&[&rotation[..], &["--host", hosts, "--overlap", overlap]].concat());
}

fn rotation(house: &House) -> Value {
    house.curl_admin(&[&house.https(PATH)]).json()
}

/// What is current, as applications have it: written down as it is read.
fn current(house: &House, to: &Path) -> bool {
    let read = house.command(&["secret", "get", SECRET, "--field", "private_key"]).output().expect("it runs");
    let key = read.stdout;
    if !read.status.success() {
        return false;
    }
    let _ = std::fs::remove_file(to);
    std::fs::write(to, key).expect("a key");
    succeed(command("chmod", &["600", text(to)]));
    true
}

fn rests_with(house: &House, version: u64) -> bool {
    let now = rotation(house);
    now["state"] == "resting" && now["current"]["version"] == version
}

#[test]
fn a_key_is_exchanged_on_two_hosts_and_the_current_one_logs_in_at_every_moment() {
    let house = house();
    // Two hosts of one machine: by the names that it has.
    let (one, other) = (Host::new(&house, "localhost"), Host::new(&house, "127.0.0.1"));
    // What is another's was put there by him, under this name.
    std::fs::write(&one.keys, "a secret of another\n").expect("keys");
    succeed(command("chown", &["65534", text(&one.keys)]));
    let refused = house.output(&["agent", "--plan", text(&one.plan), "--once"]);
    let said = String::from_utf8_lossy(&[refused.stdout, refused.stderr].concat()).into_owned();
    assert!(!refused.status.success() && said.contains("belongs to user 65534"), "{said}");
    assert_eq!(std::fs::read_to_string(&one.keys).expect("keys"), "a secret of another\n");
    std::fs::remove_file(&one.keys).expect("it goes");
    // Somebody's own line stays as it is.
    std::fs::write(
        &one.keys,
        "# by hand\nssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti me\n",
    )
    .expect("keys");
    succeed(command("chmod", &["600", text(&one.keys)]));
    one.once(&house);
    other.once(&house);
    // What its owner closed stays closed; a new file is everybody's to read.
    assert_eq!((mode(&one.keys), mode(&other.keys)), (0o600, 0o644));
    assert_eq!((one.versions(), other.versions()), (vec![1], vec![1]));
    let old = house.path("old");
    assert!(current(&house, &old));
    assert!(one.sshd.lets_in(&old) && other.sshd.lets_in(&old), "{}", one.sshd.log());
    let hosts = format!("localhost:{} 127.0.0.1:{}", one.sshd.port, other.sshd.port);
    // The second has no certificate for its address: its key is pinned beside the first's.
    let known = house.path("known");
    let pins = |host: &Host| {
        let key = std::fs::read_to_string(host.sshd.folder.join("host_ed25519.pub")).expect("a host key");
        format!("[{}]:{} {}", host.name, host.sshd.port, key)
    };
    std::fs::write(&known, format!("{}{}", pins(&one), pins(&other))).expect("pins");
    let rotation_of = ["secret", "rotation", SECRET, "--driver", "ssh", "--plan", "keys", "--user", "root"];
    house.run(&[&rotation_of[..], &["--host", &hosts, "--roots", text(&known), "--overlap", "8s"]].concat());

    let (_first, second) = (one.agent(&house), other.agent(&house));
    let (over, logins, failures) = (AtomicBool::new(false), AtomicU32::new(0), AtomicU32::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let key = house.path("polled");
            while !over.load(Ordering::Acquire) {
                // As an application does: it reads what is current, and has it for a moment.
                let has_read = current(&house, &key);
                let is_in = has_read && one.sshd.lets_in(&key) && other.sshd.lets_in(&key);
                logins.fetch_add(1, Ordering::AcqRel);
                failures.fetch_add(u32::from(!is_in), Ordering::AcqRel);
            }
        });
        house.run(&["secret", "rotate", SECRET]);
        let is_over = until(PATIENCE * 2, || rests_with(&house, 2));
        over.store(true, Ordering::Release);
        assert!(is_over, "{}\n{}", rotation(&house), house.server_log());
    });
    assert!(logins.load(Ordering::Acquire) > 3, "somebody logged in meanwhile");
    assert_eq!(failures.load(Ordering::Acquire), 0, "of {logins:?} logins; {}", one.sshd.log());
    // The old one is refused, by both; the new one is let in.
    assert_eq!((one.versions(), other.versions()), (vec![2], vec![2]));
    assert!(!one.sshd.lets_in(&old) && !other.sshd.lets_in(&old));
    let new = house.path("new");
    assert!(current(&house, &new) && one.sshd.lets_in(&new) && other.sshd.lets_in(&new));
    let kept = std::fs::read_to_string(&one.keys).expect("keys");
    assert!(
        kept.starts_with("# by hand\nssh-ed25519 AAAA") && kept.contains("no-agent-forwarding ssh-ed25519"),
        "{kept}"
    );
    // No key was opened for the agents: each reading in the log is the administrator's.
    let leaves = house.json(&["audit", "list", "--event", "access", "--limit", "1000"]);
    let readers: Vec<&Value> = leaves.as_array().expect("leaves").iter().map(|leaf| &leaf["actor"]["id"]).collect();
    assert!(readers.iter().all(|id| !id.as_str().unwrap_or_default().starts_with("cert:")), "{readers:?}");

    // A host that is away is waited for, and named; the key in use stays in use, everywhere.
    drop(second);
    house.run(&["secret", "rotate", SECRET]);
    assert!(until(PATIENCE, || rotation(&house)["lacks"] == serde_json::json!(["127.0.0.1"])), "{}", rotation(&house));
    assert!(until(PATIENCE, || rotation(&house)["times_away"].as_u64() >= Some(1)), "{}", rotation(&house));
    let names_it = || {
        let last = rotation(&house)["last_try"].clone();
        last[0]["host"] == "127.0.0.1" && last[1].is_null()
    };
    assert!(until(PATIENCE, names_it), "{}", rotation(&house));
    assert_eq!((rotation(&house)["state"].clone(), one.versions()), ("made".into(), vec![2, 3]));
    assert!(one.sshd.lets_in(&new) && other.sshd.lets_in(&new), "{}", other.sshd.log());
    // It is back, is killed, and is back again.
    drop(other.agent(&house));
    let _second = other.agent(&house);
    assert!(until(PATIENCE * 3, || rests_with(&house, 3)), "{}", rotation(&house));
    assert_eq!((one.versions(), other.versions()), (vec![3], vec![3]));
    assert!(!one.sshd.lets_in(&new) && !other.sshd.lets_in(&new));
    // What each said stands there until somebody has it forgotten.
    let said = || {
        let hosts = house.json(&["secret", "hosts", SECRET]);
        let silent = |host: &Value| host["silent"] == true;
        assert!(!hosts.as_array().expect("hosts").iter().any(silent), "{hosts}");
        hosts.as_array().map(|all| all.iter().map(|host| host["host"].clone()).collect::<Vec<_>>())
    };
    assert_eq!(said(), Some(vec!["127.0.0.1".into(), "localhost".into()]));
    house.run(&["secret", "hosts", SECRET, "--forget", "localhost"]);
    assert_eq!(said(), Some(vec!["127.0.0.1".into()]));
}

#[test]
fn a_server_killed_while_it_exchanges_a_key_leaves_one_that_logs_in() {
    let mut house = house();
    let host = Host::new(&house, "localhost");
    host.once(&house);
    set_up(&house, &format!("localhost:{}", host.sshd.port), "5s");
    let _agent = host.agent(&house);
    let key = house.path("key");
    for (state, version) in [("made", 2), ("overlap", 3), ("resting", 4)] {
        let before = rotation(&house)["current"]["version"].clone();
        // The distance is the overlap: it is asked for as soon as it may be.
        assert!(
            until(PATIENCE, || house.output(&["secret", "rotate", SECRET]).status.success()),
            "{}",
            rotation(&house)
        );
        let reached = || rotation(&house)["state"] == state || rotation(&house)["current"]["version"] != before;
        assert!(until(PATIENCE, reached), "{}", rotation(&house));
        house.kill();
        house.start();
        assert!(current(&house, &key) && host.sshd.lets_in(&key), "{state}: {}", host.sshd.log());
        assert!(until(PATIENCE * 2, || rests_with(&house, version)), "{state}: {}", rotation(&house));
        assert_eq!(rotation(&house)["trouble"], Value::Null, "{state}");
        assert!(current(&house, &key) && host.sshd.lets_in(&key), "{state}: {}", host.sshd.log());
        assert!(until(PATIENCE, || host.versions() == [version]), "{:?}", host.versions());
    }
    house.stop();
    let report = house.json(&["audit", "verify"]);
    assert_eq!(report["findings_total"], 0, "{report}");
}

#[test]
fn a_key_that_a_host_does_not_take_is_given_up_and_the_one_in_use_stays() {
    let house = house();
    let mut host = Host::new(&house, "localhost");
    host.once(&house);
    set_up(&house, &format!("localhost:{}", host.sshd.port), "5s");
    let agent = host.agent(&house);
    let key = house.path("key");
    assert!(current(&house, &key) && host.sshd.lets_in(&key));
    // sshd reads another file than the agent writes: what is reported is there, and no login shows it.
    host.sshd.end();
    let frozen = house.path("frozen.keys");
    std::fs::copy(&host.keys, &frozen).expect("a copy");
    let config = host.sshd.folder.join("sshd_config");
    let text_of = std::fs::read_to_string(&config).expect("a configuration");
    std::fs::write(&config, text_of.replace(text(&host.keys), text(&frozen))).expect("written");
    host.sshd.run();
    house.run(&["secret", "rotate", SECRET]);
    let is_given_up = || rotation(&house)["halted"] == true && rotation(&house)["trouble"].is_object();
    assert!(until(PATIENCE * 2, is_given_up), "{}", rotation(&house));
    let now = rotation(&house);
    assert_eq!((now["current"]["version"].clone(), now["pending"].clone()), (1.into(), Value::Null), "{now}");
    assert!(now["trouble"]["said"].as_str().unwrap_or_default().contains("localhost"), "{now}");
    let why = now["trouble"]["why"].as_str().unwrap_or_default();
    assert!(why.contains(&format!("chancery secret rotate {SECRET} --resume")) && !why.contains("password"), "{why}");
    // The agent has taken the other out again, and the one in use logs in.
    assert!(until(PATIENCE, || host.versions() == [1]), "{:?}", host.versions());
    assert!(host.sshd.lets_in(&key), "{}", host.sshd.log());
    // Ended, nothing is pending, and no look of the agent brings the other back.
    house.run(&["secret", "rotation", SECRET, "--end"]);
    drop(agent);
    has_the_current_one_alone(&house, &host);
}

#[test]
fn a_rotation_that_ends_where_it_halted_on_its_way_back_brings_no_key_back() {
    let house = house();
    let mut host = Host::new(&house, "localhost");
    host.once(&house);
    set_up(&house, &format!("localhost:{}", host.sshd.port), "5s");
    let agent = host.agent(&house);
    // sshd reads another file than the agent writes, in which no key stands: neither the new one nor the one in use is let in.
    host.sshd.end();
    let empty = house.path("empty.keys");
    std::fs::write(&empty, "").expect("a file");
    let config = host.sshd.folder.join("sshd_config");
    let text_of = std::fs::read_to_string(&config).expect("a configuration");
    std::fs::write(&config, text_of.replace(text(&host.keys), text(&empty))).expect("written");
    host.sshd.run();
    house.run(&["secret", "rotate", SECRET]);
    let is_halted = || rotation(&house)["halted"] == true;
    assert!(until(PATIENCE * 3, is_halted), "{}", rotation(&house));
    assert_eq!(
        (rotation(&house)["state"].clone(), rotation(&house)["pending"]["version"].clone()),
        ("back".into(), 2.into())
    );
    assert!(until(PATIENCE, || host.versions() == [1]), "{:?}", host.versions());
    let ended = house.json(&["secret", "rotation", SECRET, "--end"]);
    let left = ended["left"].as_str().unwrap_or_default();
    assert!(left.contains(&format!("chancery secret hosts {SECRET}")), "{ended}");
    drop(agent);
    has_the_current_one_alone(&house, &host);
}

/// No version is pending, and so it is at the host after what its agent does next.
fn has_the_current_one_alone(house: &House, host: &Host) {
    let secret = house.json(&["secret", "versions", SECRET]);
    assert_eq!(secret["labels"], serde_json::json!({ "current": 1 }), "{secret}");
    host.once(house);
    assert_eq!(host.versions(), [1]);
}

/// Whoever has a host's key answers for it until its certificate is revoked: from then on he shows nothing of a key, old or new.
#[test]
fn a_host_whose_certificate_is_revoked_shows_no_key_until_it_has_another() {
    let house = house();
    let mut host = Host::new(&house, "localhost");
    host.once(&house);
    set_up(&house, &format!("localhost:{}", host.sshd.port), "5s");
    let _agent = host.agent(&house);
    let listed = house.json(&["certs", "list", "--kind", "ssh-host", "--limit", "1"]);
    house.run(&["certs", "revoke", listed[0]["serial"].as_str().expect("a serial"), "--reason", "key-compromise"]);
    house.run(&["secret", "rotate", SECRET]);
    let says_so = || {
        let last = rotation(&house)["last_try"].clone();
        last[0]["said"].as_str().is_some_and(|said| said.starts_with("its host certificate is revoked here"))
    };
    assert!(until(PATIENCE * 2, says_so), "{}\n{}", rotation(&house), host.sshd.log());
    let now = rotation(&house);
    assert_eq!(now["current"]["version"], 1, "nothing is promoted by it: {now}");
    // Another key, with a certificate of its own.
    host.sshd.end();
    for name in ["host_ed25519", "host_ed25519.pub", "host_ed25519-cert.pub"] {
        std::fs::remove_file(host.sshd.folder.join(name)).expect("it goes");
    }
    keygen(&host.sshd.folder.join("host_ed25519"));
    let public = host.sshd.folder.join("host_ed25519.pub");
    house.run(&["ssh", "sign-host", text(&public), "--principal", "localhost"]);
    host.sshd.run();
    // It may have been tried by itself meanwhile: then there is nothing to resume.
    let _ = house.output(&["secret", "rotate", SECRET, "--resume"]);
    assert!(until(PATIENCE * 2, || rests_with(&house, 2)), "{}\n{}", rotation(&house), host.sshd.log());
}

#[test]
fn the_login_that_shows_a_key_runs_no_command_of_its_line() {
    let house = house();
    let host = Host::new(&house, "localhost");
    // One that says that it ran, and ends long after a login may take.
    let ran = house.path("forced-ran");
    let plan = std::fs::read_to_string(&host.plan).expect("a plan");
    let options = format!("options = 'command=\"touch {}; sleep 60\",no-pty'", text(&ran));
    std::fs::write(&host.plan, plan.replace("options = \"no-agent-forwarding\"", &options)).expect("a plan");
    host.once(&house);
    let kept = std::fs::read_to_string(&host.keys).expect("keys");
    assert!(kept.contains("command=\"touch "), "{kept}");
    set_up(&house, &format!("localhost:{}", host.sshd.port), "5s");
    let _agent = host.agent(&house);
    house.run(&["secret", "rotate", SECRET]);
    assert!(until(PATIENCE * 2, || rests_with(&house, 2)), "{}\n{}", rotation(&house), host.sshd.log());
    assert!(!ran.exists(), "{}", host.sshd.log());
}
