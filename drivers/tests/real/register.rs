//! As much of a register as a rotation needs: its record as text, and the versions.

use std::collections::BTreeMap;

use drivers::{Driver, Login, carry_out};
use policy::Secret;
use secrets::rotation::{Bounds, Credential, Outcome, Plan, Rotation, Schedule, Settings, Step};

/// What the administrator of each server under test is called, and brings.
pub const ADMIN: &str = "chancery-admin";
pub const ADMIN_SECRET: &str = "the administrator's own, 'quoted' \"twice\" \\ and % too";

pub fn secret(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

/// When a process is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Killed {
    /// After the intention is written, before the act.
    Before,
    /// After the act, before its outcome is written.
    After,
}

pub struct Register {
    record: String,
    versions: BTreeMap<u64, String>,
    now: u64,
    /// How many steps were done outside.
    pub outside: usize,
    /// What the administrator is called there.
    pub admin: &'static str,
}

impl Register {
    /// Of a version 1 that is in use.
    pub fn new(plan: Plan, user: &str, password: &str) -> Register {
        let overlap_secs = if matches!(plan, Plan::Single { .. }) { 0 } else { 600 };
        let settings = Settings {
            plan,
            overlap_secs,
            distance_secs: overlap_secs,
            bounds: Bounds::default(),
            schedule: Schedule::default(),
        };
        let current = Credential { version: 1, user: user.to_owned() };
        let rotation = Rotation::new("prod/db", settings, current, 0).expect("good settings");
        let record = serde_json::to_string(&rotation).expect("a record");
        Register {
            record,
            versions: BTreeMap::from([(1, password.to_owned())]),
            now: 1_000_000,
            outside: 0,
            admin: ADMIN,
        }
    }

    pub fn read(&self) -> Rotation {
        serde_json::from_str(&self.record).expect("the record is one")
    }

    fn write(&mut self, rotation: &Rotation) {
        self.record = serde_json::to_string(rotation).expect("a record");
    }

    /// What an application reads.
    pub fn current(&self) -> (String, Secret<String>) {
        let current = self.read().current().clone();
        let password = self.versions.get(&current.version).expect("the version is there");
        (current.user, secret(password))
    }

    pub fn ask(&mut self) {
        let mut rotation = self.read();
        self.now += 10_000;
        rotation.ask(self.now).expect("it rests");
        self.write(&rotation);
    }

    /// One step; a process that is killed leaves what it has written. False where there is nothing to do.
    pub async fn step<D: Driver>(&mut self, driver: &D, killed: Option<Killed>) -> bool {
        let mut rotation = self.read();
        let step = rotation.next(self.now);
        let outcome = match &step {
            Step::Rest { until: Some(until) } => {
                self.now = *until;
                return true;
            }
            Step::Rest { until: None } | Step::Halt => return false,
            Step::Make { .. } => {
                let version = self.versions.keys().max().expect("a version") + 1;
                self.versions.insert(version, format!("new-{version} 'x' \"y\" \\ é {}", "z".repeat(20)));
                Outcome::Made(version)
            }
            Step::Promote { .. } | Step::Discard { .. } | Step::GiveUp => Outcome::Done,
            Step::Set { .. } | Step::Test { .. } | Step::Retire { .. } => {
                self.outside += 1;
                rotation.intend(&step);
                self.write(&rotation);
                if killed == Some(Killed::Before) {
                    return true;
                }
                let (admin, versions) = (secret(ADMIN_SECRET), &self.versions);
                let admin = Login { user: self.admin, secret: &admin };
                let of = |credential: &Credential| secret(versions.get(&credential.version).expect("a version"));
                let outcome = carry_out(driver, &step, admin, of).await.expect("a step outside");
                if killed == Some(Killed::After) {
                    return true;
                }
                outcome
            }
        };
        rotation.outcome(&step, outcome, self.now).expect("its own step");
        self.write(&rotation);
        true
    }

    /// All steps until it rests or halts.
    pub async fn run<D: Driver>(&mut self, driver: &D) {
        while self.step(driver, None).await {}
    }
}

/// Whatever the server: forth once, and killed at each step outside, before and after the act; it ends in a new credential that logs in,
/// and the one before does not.
pub async fn rotates_whenever_it_is_killed<D: Driver>(driver: &D, plan: Plan, user: &str, password: &str) {
    rotates_by_whenever_it_is_killed(driver, plan, user, password, ADMIN).await;
}

/// The same by an administrator of another name.
pub async fn rotates_by_whenever_it_is_killed<D: Driver>(
    driver: &D,
    plan: Plan,
    user: &str,
    password: &str,
    admin: &'static str,
) {
    let mut register = Register { admin, ..Register::new(plan, user, password) };
    register.ask();
    register.run(driver).await;
    let steps = register.outside;
    assert!(register.read().trouble().is_none(), "{:?}", register.read().trouble());
    for (at, killed) in (0..steps).flat_map(|at| [(at, Killed::Before), (at, Killed::After)]) {
        let (before, secret_before) = register.current();
        let version = register.read().current().version;
        register.ask();
        register.outside = 0;
        let mut is_alive = true;
        while is_alive {
            let kills = register.outside == at;
            let outside = register.outside;
            is_alive = register.step(driver, kills.then_some(killed)).await;
            assert!(register.outside <= outside + 1);
        }
        let rotation = register.read();
        assert!(!rotation.is_halted() && rotation.trouble().is_none(), "{killed:?} at {at}: {:?}", rotation.trouble());
        assert!(rotation.current().version > version, "{killed:?} at {at}");
        let (user, password) = register.current();
        driver.test(Login { user: &user, secret: &password }).await.expect("the current one logs in");
        let old = driver.test(Login { user: &before, secret: &secret_before }).await;
        assert!(matches!(old, Err(drivers::Fault::Refused(_))), "{killed:?} at {at}: the old one: {old:?}");
    }
}
