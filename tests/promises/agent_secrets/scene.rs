//! A house with a secret, an agent's token and its plan.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::agent::Running;
use crate::house::{House, command, text};

/// What stands in the file alone.
pub const CANARY: &str = "canary-5e1f07b2ad";

/// A house with a secret, an agent's token, and a folder in memory.
pub struct Scene {
    pub house: House,
    pub memory: tempfile::TempDir,
}

impl Scene {
    /// With what `chancery.toml` says of caches.
    pub fn new(secrets: &str) -> Scene {
        let mut house = House::new();
        house.append(secrets);
        house.start();
        let scene = Scene { house, memory: tempfile::tempdir_in("/dev/shm").expect("a folder in memory") };
        scene.put("prod/db", CANARY);
        let out = scene.house.path("agent.token");
        let token = ["token", "create", "agent", "--role", "secret-reader", "--owner", "default", "--out", text(&out)];
        scene.house.run(&token);
        scene
    }

    pub fn put(&self, path: &str, value: &str) {
        self.put_fields(path, &json!({"user": "app", "password": value}));
    }

    /// A version with these fields, and no others.
    pub fn put_fields(&self, path: &str, fields: &Value) {
        let body = json!({"owner": "default", "fields": fields, "whole": true}).to_string();
        let url = self.house.https(&format!("/api/v1/secrets/{path}"));
        let arguments = ["-X", "PUT", "-H", "Content-Type: application/json", "--data-binary", &body, &url];
        let answer = self.house.curl_admin(&arguments);
        assert!(matches!(answer.status, 200 | 201), "{}", answer.text());
    }

    pub fn file(&self) -> PathBuf {
        self.memory.path().join("shop/db.env")
    }

    pub fn content(&self) -> String {
        fs::read_to_string(self.file()).unwrap_or_default()
    }

    /// A plan that keeps one file; `common` stands in `[secrets]`, `more` in `[[secret]]`.
    pub fn plan(&self, common: &str, file: &str, more: &str) -> PathBuf {
        let path = self.house.path("secrets.toml");
        let plan = format!(
            "state_dir = \"{state}\"\n[secrets]\nurl = \"{url}\"\nca_file = \"{roots}\"\ntoken_file = \"{token}\"\n\
             cache_keys = \"{memory}\"\n{common}\n[[secret]]\nname = \"shop\"\n\
             text = \"USER={{{{ chy://prod/db#user }}}}\\nPASSWORD={{{{ chy://prod/db#password }}}}\\n\"\n\
             file = {{ path = \"{file}\", mode = \"0440\", owner = \"0\", group = \"4711\"{more_of_file} }}\n{more}\n",
            state = self.house.path("state").display(),
            url = self.house.https(""),
            roots = self.house.ca("roots.pem").display(),
            token = self.house.path("agent.token").display(),
            memory = self.memory.path().display(),
            file = self.file().display(),
            more_of_file = file,
        );
        fs::write(&path, plan).expect("a plan");
        path
    }

    /// One pass.
    pub fn once(&self) -> (Option<i32>, String) {
        let plan = self.house.path("secrets.toml");
        output(self.house.command(&["agent", "--plan", text(&plan), "--once"]))
    }

    pub fn ready(&self) -> (Option<i32>, String) {
        let plan = self.house.path("secrets.toml");
        output(self.house.command(&["agent", "--plan", text(&plan), "--ready"]))
    }

    pub fn forever(&self) -> Running {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.house.path("agent.log")).expect("a log");
        let plan = self.house.path("secrets.toml");
        let mut agent = self.house.command(&["agent", "--plan", text(&plan)]);
        Running(agent.stdin(Stdio::null()).stderr(log).spawn().expect("the agent starts"))
    }

    pub fn status(&self) -> Value {
        let plan = self.house.path("secrets.toml");
        let all = self.house.json(&["agent", "--plan", text(&plan), "--status"]);
        all.as_array().into_iter().flatten().find(|one| one["kind"] == "secret").cloned().expect("a file of secrets")
    }

    pub fn is(&self, state: &str) -> bool {
        self.status()["state"] == state
    }

    /// The entries of the log that say what the agent was shown.
    pub fn accesses(&self) -> Vec<Value> {
        let leaves = self.house.json(&["audit", "list", "--limit", "1000"]);
        let is_ours = |leaf: &&Value| leaf["event"] == "access" && leaf["actor"]["id"] == "token:agent";
        leaves.as_array().expect("leaves").iter().filter(is_ours).cloned().collect()
    }

    /// A canary stands in no file of these folders but the one that it is for, and in none of the agent's words.
    pub fn assert_nowhere_else(&self, canary: &str) {
        let log = fs::read_to_string(self.house.path("agent.log")).unwrap_or_default();
        assert!(!log.contains(canary) && !self.status().to_string().contains(canary), "{log}");
        for folder in [self.house.path("state"), self.memory.path().to_owned()] {
            let found = output(command("grep", &["-rl", canary, text(&folder)])).1;
            let others: Vec<&str> = found.lines().filter(|line| Path::new(line) != self.file()).collect();
            assert!(others.is_empty(), "{others:?}");
        }
    }
}

/// The exit code, and all that was said.
pub fn output(mut command: Command) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = command.stdin(Stdio::null()).output().expect("it runs");
    (status.code(), format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr)))
}
