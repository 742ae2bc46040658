//! The server is away: applications go on from the sealed cache, and stop at its end.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::house::{House, PATIENCE, text, until};
use crate::time::ahead;

/// What stands in no byte of a cache.
const CANARY: &str = "canary-1b7e90d2c4";

/// A house with a secret, an application's token, and a folder in memory for the cache's key.
struct Scene {
    house: House,
    keys: tempfile::TempDir,
}

impl Scene {
    /// With what `chancery.toml` says of caches.
    fn new(secrets: &str) -> Scene {
        let mut house = House::new();
        house.append(secrets);
        house.start();
        let scene = Scene { house, keys: tempfile::tempdir_in("/dev/shm").expect("a folder in memory") };
        scene.put("prod/db", CANARY);
        scene.token("app");
        scene
    }

    fn put(&self, path: &str, value: &str) {
        let body = json!({"owner": "default", "fields": {"user": "app", "password": value}}).to_string();
        let url = self.house.https(&format!("/api/v1/secrets/{path}"));
        let arguments = ["-X", "PUT", "-H", "Content-Type: application/json", "--data-binary", &body, &url];
        let answer = self.house.curl_admin(&arguments);
        assert_eq!(answer.status, 201, "{}", answer.text());
    }

    fn token(&self, name: &str) {
        let out = self.house.path(&format!("{name}.token"));
        self.house.run(&[
            "token",
            "create",
            name,
            "--role",
            "secret-reader",
            "--owner",
            "default",
            "--out",
            text(&out),
        ]);
    }

    fn dir(&self) -> PathBuf {
        self.house.path("cache")
    }

    /// The binary as an application has it, with a cache.
    fn app(&self, arguments: &[&str]) -> Command {
        self.as_caller("app", &self.dir(), arguments)
    }

    fn as_caller(&self, name: &str, dir: &Path, arguments: &[&str]) -> Command {
        let mut command = self.house.command(&[]);
        command.arg("--token-file").arg(self.house.path(&format!("{name}.token"))).args(arguments);
        command.env("CHANCERY_CACHE", dir).env("CHANCERY_CACHE_KEYS", self.keys.path());
        command
    }

    fn read(&self, more: &[&str]) -> (Option<i32>, String, String) {
        output(self.app(&[&["read", "chy://prod/db#password"], more].concat()))
    }

    /// The entries of the log that say what the application was shown.
    fn accesses(&self) -> Vec<Value> {
        let leaves = self.house.json(&["audit", "list", "--limit", "1000"]);
        let is_ours = |leaf: &&Value| leaf["event"] == "access" && leaf["actor"]["id"] == "token:app";
        leaves.as_array().expect("leaves").iter().filter(is_ours).cloned().collect()
    }
}

fn output(mut command: Command) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command.stdin(Stdio::null()).output().expect("the binary runs");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (status.code(), text(stdout), text(stderr))
}

fn files(dir: &Path) -> Vec<PathBuf> {
    fs::read_dir(dir).expect("a folder").map(|entry| entry.expect("an entry").path()).collect()
}

#[test]
fn the_server_is_away_and_applications_go_on_from_the_sealed_cache() {
    let mut scene = Scene::new("");
    let script = "printf %s \"$PASSWORD\" | sha256sum; echo $CHANCERY_SOURCE";
    let run = ["run", "--env", "PASSWORD=chy://prod/db#password", "--", "sh", "-c", script];
    let (code, live, said) = output(scene.app(&run));
    assert_eq!((code, said.as_str()), (Some(0), ""), "{live}");
    assert!(live.ends_with("live\n"), "{live}");
    // Who holds it until when stands in the log.
    let leaves = scene.accesses();
    assert!(leaves.len() == 1 && leaves[0]["until"].is_string(), "{leaves:?}");
    for file in files(&scene.dir()) {
        let bytes = fs::read(&file).expect("a file");
        assert!(!bytes.windows(8).any(|some| some == &CANARY.as_bytes()[..8]), "{}", file.display());
    }

    scene.house.kill();
    let (code, away, said) = output(scene.app(&run));
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(away, live.replace("live", "cache"), "the same value, and the program knows");
    assert!(
        said.contains("from the cache, as it was at") && said.contains("until") && said.contains("cannot reach"),
        "{said}"
    );
    let (code, out, _) = scene.read(&["--json"]);
    let read: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((code, &read["value"], &read["source"]["from"]), (Some(0), &json!(CANARY), &json!("cache")));
    assert_eq!(scene.read(&["--offline"]).1, CANARY, "and nobody is asked");
    // What was not asked for is not there; what is older than one takes neither.
    let (code, _, said) = output(scene.app(&["read", "chy://prod/db#user"]));
    assert!(code == Some(4) && said.contains("the cache does not have chy://prod/db#user"), "{said}");
    let (code, _, said) = scene.read(&["--max-age", "0s"]);
    assert!(code == Some(4) && said.contains("older in the cache than 0 s"), "{said}");
    // A copy on another disk, and another caller's, open nothing.
    let copy = scene.house.path("copy");
    fs::create_dir(&copy).expect("a folder");
    for file in files(&scene.dir()) {
        fs::copy(&file, copy.join(file.file_name().expect("a name"))).expect("a copy");
    }
    let elsewhere = tempfile::tempdir_in("/dev/shm").expect("a folder in memory");
    let mut other_host = scene.as_caller("app", &copy, &["read", "chy://prod/db#password"]);
    other_host.env("CHANCERY_CACHE_KEYS", elsewhere.path());
    assert_eq!(output(other_host).0, Some(4));

    scene.house.start();
    scene.token("other");
    scene.house.kill();
    let read = ["read", "chy://prod/db#password"];
    assert_eq!(output(scene.as_caller("other", &scene.dir(), &read)).0, Some(4));
    assert_eq!(scene.read(&[]).1, CANARY);

    // Back, it is told what was read meanwhile: an entry of its own kind.
    scene.house.start();
    assert_eq!(scene.read(&[]).2, "", "live, and nothing to say");
    let leased: Vec<Value> = scene.accesses().into_iter().filter(|leaf| leaf["outcome"] == "leased").collect();
    assert_eq!(leased.len(), 1, "{leased:?}");
    assert!(leased[0]["since"].is_string() && leased[0]["opened"][0]["id"] == "prod/db@1.1", "{leased:?}");
    scene.house.run(&["audit", "verify"]);
}

#[test]
fn what_is_kept_ends_when_the_server_said_and_no_clock_makes_it_last() {
    let mut scene = Scene::new("\n[secrets]\ncache_secs = 20\n");
    assert_eq!(scene.read(&[]).1, CANARY);
    scene.house.kill();
    // A clock that is turned forth ends it; one that is turned back does not prolong it.
    let at = |by: &str| {
        let mut command = scene.app(&["read", "chy://prod/db#password", "--max-age", "30d"]);
        command.envs(ahead(by));
        output(command)
    };
    let (code, _, said) = at("+1h");
    assert!(code == Some(4) && said.contains("20 s that the server allowed"), "{said}");
    let ends = || {
        let (code, out, said) = at("-1d");
        match code {
            Some(0) => assert_eq!(out, CANARY),
            _ => assert!(code == Some(4) && said.contains("20 s that the server allowed"), "{said}"),
        }
        code == Some(4)
    };
    assert!(until(PATIENCE, ends), "a clock of the day before keeps it alive");
    assert_eq!(scene.read(&["--offline"]).0, Some(4));
    let run = ["run", "--env", "PASSWORD=chy://prod/db#password", "--", "true"];
    assert_eq!(output(scene.app(&run)).0, Some(125), "and no program is started");
}

#[test]
fn a_refusal_never_leads_to_the_cache_and_empties_it() {
    let mut scene = Scene::new("");
    scene.put("prod/api", "other");
    let both = |scene: &Scene| {
        let one = scene.read(&[]);
        (one.0, output(scene.app(&["read", "chy://prod/api#password"])).0, one.2)
    };
    assert_eq!((both(&scene).0, both(&scene).1), (Some(0), Some(0)));
    // Disabled: refused at the next contact, and gone from the cache for when the server is away.
    scene.house.run(&["secret", "disable", "prod/db", "current"]);
    let (code, other, said) = both(&scene);
    assert!(code == Some(1) && other == Some(0) && said.contains("disabled"), "{said}");
    scene.house.kill();
    let (code, other, said) = both(&scene);
    assert!(code == Some(4) && other == Some(0) && said.contains("the cache does not have"), "{said}");
    // The caller himself is refused.
    scene.house.start();
    scene.house.run(&["secret", "enable", "prod/db", "1"]);
    assert_eq!(both(&scene).0, Some(0));
    let tokens = scene.house.json(&["token", "list"]);
    let of_app = |token: &&Value| token["name"] == "app";
    let id = tokens.as_array().expect("tokens").iter().find(of_app).expect("the app's")["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    scene.house.run(&["token", "revoke", &id]);
    let (code, other, said) = both(&scene);
    assert!(code == Some(3) && other == Some(3), "{said}");
    scene.house.kill();
    assert_eq!((both(&scene).0, both(&scene).1), (Some(4), Some(4)), "nothing is left of it");
}

#[test]
fn a_secret_of_its_own_is_not_kept_and_nor_is_anything_where_the_server_allows_none() {
    for (secrets, own) in [("\n[secrets]\ncache_secs = 0\n", None), ("", Some("0s"))] {
        let mut scene = Scene::new(secrets);
        if let Some(own) = own {
            scene.house.run(&["secret", "describe", "prod/db", "--cache", own]);
        }
        assert_eq!(scene.read(&[]).1, CANARY);
        assert_eq!(scene.accesses()[0]["until"], Value::Null);
        scene.house.kill();
        assert_eq!(scene.read(&[]).0, Some(4), "{secrets} {own:?}");
    }
}

#[test]
fn what_waits_for_the_server_comes_back_by_itself() {
    let mut scene = Scene::new("");
    scene.house.kill();
    let waiting = scene.app(&["read", "chy://prod/db#password", "--wait", "10m"]).stdout(Stdio::piped()).spawn();
    let waiting = waiting.expect("the binary runs");
    scene.house.start();
    let output = waiting.wait_with_output().expect("its end");
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stdout).as_ref()), (Some(0), CANARY));
}

/// What is kept for a program that runs is fetched again before it ends: it is at hand for as long as the server allows, counted from when
/// that went away and not from the program's start.
#[test]
fn what_a_running_program_has_is_kept_fresh() {
    let scene = Scene::new("\n[secrets]\ncache_secs = 2\n");
    let mut run = scene.app(&["run", "--env", "PASSWORD=chy://prod/db#password", "--", "sleep", "600"]);
    let mut running = run.stdin(Stdio::null()).spawn().expect("the binary runs");
    let is_fresh = until(PATIENCE, || scene.accesses().len() > 3);
    assert!(
        std::process::Command::new("kill").arg(running.id().to_string()).status().is_ok_and(|status| status.success())
    );
    running.wait().expect("its end");
    assert!(is_fresh, "{:?}", scene.accesses());
}

/// A program that began with what was kept goes on, and is told of the new version once the server is back.
#[test]
fn a_program_that_began_with_the_cache_comes_back_by_itself() {
    let mut scene = Scene::new("");
    let reference = "PASSWORD=chy://prod/db#password";
    assert_eq!(output(scene.app(&["run", "--env", reference, "--", "true"])).0, Some(0));
    scene.house.kill();
    let script = "printf '%s %s\\n' \"$CHANCERY_SOURCE\" \"$(printf %s \"$PASSWORD\" | sha256sum)\"; exec sleep 600";
    let on_change = ["--on-change", "restart", "--poll", "1"];
    let run = [&["run", "--env", reference], &on_change[..], &["--", "sh", "-c", script]].concat();
    let out = scene.house.path("out");
    let mut running = scene.app(&run);
    running.stdin(Stdio::null()).stdout(fs::File::create(&out).expect("a file"));
    let mut running = running.spawn().expect("the binary runs");
    let lines = || fs::read_to_string(&out).unwrap_or_default().lines().map(str::to_owned).collect::<Vec<_>>();
    let began = until(PATIENCE, || lines().len() == 1);
    scene.house.start();
    scene.put("prod/db", "another");
    let is_back = until(PATIENCE, || lines().len() == 2);
    let killed = Command::new("kill").arg(running.id().to_string()).status();
    assert!(killed.is_ok_and(|status| status.success()));
    running.wait().expect("its end");
    let lines = lines();
    assert!(began && is_back && lines[0] != lines[1] && lines[0].starts_with("cache "), "{lines:?}");
}
