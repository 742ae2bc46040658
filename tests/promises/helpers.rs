//! Programs that ask in a way of their own are given what `helpers.toml` names for them, and nothing else: git, skopeo, ssh, psql, mariadb,
//! curl, and who connects as systemd does.

mod askpass;
mod credentials;
mod files;
mod git;
mod registry;
mod web;

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::house::{House, text};

const BINARY: &str = env!("CARGO_BIN_EXE_chancery");
/// What is shown to nobody who is not named.
const CANARY: &str = "canary-5e0c7d41";
/// What the servers below let in, and what no reader may take apart.
const HARD: &str = r#"pa:s\s"wo'rd #1 ;=$x"#;

/// A house with a secret for each program, a token that reads them, and the file that says which is for whom.
struct Scene {
    house: House,
}

impl Scene {
    fn new(helpers: &str) -> Scene {
        let house = House::started();
        for (path, password) in [("prod/git", CANARY), ("prod/db", HARD), ("prod/other", "another-secret")] {
            put(&house, path, &json!({"username": "deploy", "password": password}));
        }
        for (name, role) in [("reader", "secret-reader"), ("writer", "secret-writer")] {
            let token = house.path(&format!("{name}.token"));
            house.run(&["token", "create", name, "--role", role, "--owner", "default", "--out", text(&token)]);
        }
        let scene = Scene { house };
        scene.name(helpers);
        scene
    }

    /// Says anew what is for whom.
    fn name(&self, helpers: &str) {
        fs::write(self.helpers(), helpers).expect("helpers.toml");
    }

    fn helpers(&self) -> PathBuf {
        self.house.path("helpers.toml")
    }

    /// Another program, in whose environment ours finds what it needs, under its own name and those of helpers.
    fn with(&self, program: &str, arguments: &[&str]) -> Command {
        let bin = self.house.path("bin");
        if !bin.exists() {
            fs::create_dir(&bin).expect("a folder");
            for name in ["chancery", "docker-credential-chancery", "git-credential-chancery", "chancery-askpass"] {
                std::os::unix::fs::symlink(BINARY, bin.join(name)).expect("a link");
            }
        }
        let mut command = crate::house::command(program, arguments);
        let ours = self.house.command(&[]);
        command.envs(ours.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.env("CHANCERY_TOKEN_FILE", self.house.path("reader.token")).env("CHANCERY_HELPERS", self.helpers());
        command.env("PATH", format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default()));
        command.current_dir(self.house.path(""));
        command
    }

    /// Ours, with something on its standard input.
    fn asked(&self, arguments: &[&str], input: &str) -> (Option<i32>, String, String) {
        said(self.with("chancery", arguments), input)
    }

    /// How many entries of the log say that the reader was shown something.
    fn accesses(&self) -> usize {
        let leaves = self.house.json(&["audit", "list", "--limit", "1000"]);
        let is_ours = |leaf: &&Value| leaf["event"] == "access" && leaf["actor"]["id"] == "token:reader";
        leaves.as_array().expect("leaves").iter().filter(is_ours).count()
    }

    fn value(&self, path: &str, field: &str) -> String {
        self.house.run(&["secret", "get", path, "--field", field])
    }
}

fn put(house: &House, path: &str, fields: &Value) {
    let body = json!({"owner": "default", "fields": fields}).to_string();
    let url = house.https(&format!("/api/v1/secrets/{path}"));
    let answer = house.curl_admin(&["-X", "PUT", "-H", "Content-Type: application/json", "--data-binary", &body, &url]);
    assert_eq!(answer.status, 201, "{}", answer.text());
}

/// Runs it with this on its standard input: its code, and what it said on both.
fn said(mut command: Command, input: &str) -> (Option<i32>, String, String) {
    let started = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = started.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    // Who reads nothing of it has what it needs.
    let _ = child.stdin.take().expect("its input").write_all(input.as_bytes());
    let output = child.wait_with_output().expect("an end");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn mode(path: &std::path::Path) -> u32 {
    fs::metadata(path).expect("a file").permissions().mode() & 0o7777
}

#[test]
fn what_everybody_may_write_says_nothing_of_who_is_given_what() {
    let scene = Scene::new(
        "[[git]]\nurl = \"https://git.example\"\nusername = \"x\"\npassword = \"chy://prod/git#password\"\n",
    );
    let get = || scene.asked(&["helper", "git", "get"], "protocol=https\nhost=git.example\n");
    let (code, out, told) = get();
    assert_eq!((code, out.as_str()), (Some(0), &*format!("username=x\npassword={CANARY}\n")), "{told}");
    fs::set_permissions(scene.helpers(), fs::Permissions::from_mode(0o666)).expect("its mode");
    let (code, out, told) = get();
    assert!(code == Some(1) && out.is_empty() && told.contains("written by everybody"), "{code:?} {out} {told}");
    // Nor does a file in the folder where somebody's program happens to stand.
    fs::rename(scene.helpers(), scene.house.path(".chancery.toml")).expect("it moves");
    let mut nowhere = scene.with("chancery", &["helper", "git", "get"]);
    nowhere.env_remove("CHANCERY_HELPERS");
    let (code, out, told) = said(nowhere, "protocol=https\nhost=git.example\n");
    assert!(code == Some(1) && out.is_empty() && told.contains("helpers.toml"), "{code:?} {out} {told}");
    let mistaken = "[[git]]\nurl = \"https://git.example\"\nusername = \"x\"\npassword = \"canary-in-clear\"\n";
    scene.name(mistaken);
    let (code, out, told) = get();
    assert!(code == Some(1) && out.is_empty() && told.contains("number 1") && !told.contains("canary"), "{told}");
}
