//! Stand-ins that speak real TLS on loopback: a CA with Chancery's REST API, an ACME server, a service that reloads.

#![allow(dead_code, reason = "each test file uses its own part")]

pub mod acme;
pub mod ca;
pub mod service;
pub mod web;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chancery_agent::{Plan, RunMode, State, Status, run};
use policy::{Timestamp, World};
use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;

/// The time at which these tests play.
pub fn world() -> World {
    World::fixed(Timestamp::from_unix(1_800_000_000), 7)
}

/// The World's clock for a TLS party.
pub fn clock(world: &World) -> Arc<dyn TimeProvider> {
    Arc::new(Clock(world.clone()))
}

#[derive(Debug)]
struct Clock(World);

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(self.0.now().unix().unsigned_abs())))
    }
}

/// A host: a folder with a plan, roots and a token.
pub struct Host {
    folder: tempfile::TempDir,
    pub world: World,
}

impl Host {
    pub fn new(world: &World, roots: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let host = Self { folder, world: world.clone() };
        fs::write(host.path("roots.pem"), roots).unwrap();
        fs::create_dir(host.path("tls")).unwrap();
        host.write_token("token", ca::TOKEN, 0o600);
        host
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    pub fn write_token(&self, name: &str, token: &str, mode: u32) {
        let path = self.path(name);
        fs::write(&path, format!("{token}\n")).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// The plan, with a state folder of its own.
    pub fn plan(&self, text: &str) -> Plan {
        let text = format!("state_dir = \"state\"\n{text}");
        Plan::parse(&text, &self.path("plan.toml")).unwrap_or_else(|e| panic!("{e}\n{text}"))
    }

    /// One run over the plan.
    pub async fn once(&self, plan: &str) -> Vec<Status> {
        run(self.plan(plan), self.world.clone(), RunMode::Once, std::future::pending()).await.unwrap().certificates
    }

    /// One run over a plan with one certificate.
    pub async fn once_one(&self, plan: &str) -> Status {
        let mut statuses = self.once(plan).await;
        assert_eq!(statuses.len(), 1);
        statuses.remove(0)
    }
}

/// Asserts that all went well, and says what did not.
#[track_caller]
pub fn assert_ok(status: &Status) {
    assert_eq!(status.state, State::Ok, "{}: {:?}", status.name, status.last_error);
}
