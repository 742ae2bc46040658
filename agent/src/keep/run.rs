//! Runs a plan: one lock, the agent's own certificate first, then one task per certificate and per file of secrets.

use std::fs::File;
use std::future::Future;
use std::io::ErrorKind;
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use policy::World;
use rustix::fs::{Mode, OFlags, openat};
use tokio::sync::{Mutex, Semaphore, watch};
use tokio::task::JoinSet;

use super::keeper::Keeper;
use super::keys::KeysKeeper;
use super::secret::SecretKeeper;
use super::wait::Wait;
use super::wake::Waker;
use crate::disk::{Disk, Folder, Lock, Owner, RealDisk, parent};
use crate::error::AgentError;
use crate::look::{SecretStatus, Status};
use crate::plan::{IDENTITY, Plan};
use crate::source::{Answers, Reach, Strongroom, Windows};

/// How long to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunMode {
    /// One pass over every certificate.
    Once,
    /// Until `shutdown` completes.
    Forever,
}

/// How all stood at the end of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Each certificate, in the order of the plan.
    pub certificates: Vec<Status>,
    /// Each file of secrets, likewise, and then each of public keys.
    pub secrets: Vec<SecretStatus>,
}

/// Keeps every certificate and every file of secrets of the plan, and returns how each stands at the end.
///
/// One that fails does not end the run: its failure is in its status. When `shutdown` completes, what is being fetched is dropped, and
/// what is being installed is finished.
pub async fn run(
    plan: Plan,
    world: World,
    mode: RunMode,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<Report, AgentError> {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let _lock = take(&*disk, &plan.state_dir)?;
    for name in plan.expired(world.now()) {
        tracing::warn!(keys = name, "the expiry-time in its options is past: sshd lets nobody in by its lines");
    }
    let reach = Arc::new(Reach {
        world,
        disk,
        state_dir: plan.state_dir.as_path().into(),
        answers: Answers::default(),
        windows: Windows::default(),
        accounts: Mutex::new(()),
    });
    let permits = Arc::new(Semaphore::new(ASKING_MAX));
    let (stop, stopped) = watch::channel(false);
    let keepers = plan.certificates.into_iter().map(|plan| Keeper {
        plan,
        reach: Arc::clone(&reach),
        permits: Arc::clone(&permits),
        stop: stopped.clone(),
    });
    let (waker, sleeper) = Waker::new();
    let secrets = plan.secrets.into_iter().map(Arc::new).map(|plan| SecretKeeper {
        room: Strongroom { world: reach.world.clone(), plan: Arc::clone(&plan) },
        plan,
        reach: Arc::clone(&reach),
        permits: Arc::clone(&permits),
        stop: stopped.clone(),
        sleeper: sleeper.clone(),
        known: None,
    });
    let keys = plan.keys.into_iter().map(Arc::new).map(|plan| KeysKeeper {
        plan,
        reach: Arc::clone(&reach),
        permits: Arc::clone(&permits),
        stop: stopped.clone(),
        sleeper: sleeper.clone(),
        told: None,
    });
    let work = keep_all(keepers.collect(), secrets.collect(), keys.collect(), mode);
    // Who is asked to end wakes nobody any more.
    let ending = async {
        tokio::select! {
            () = shutdown => {}
            () = waker.listen() => {}
        }
    };
    tokio::pin!(work);
    tokio::select! {
        report = &mut work => Ok(report),
        () = ending => {
            stop.send_replace(true);
            Ok(work.await)
        }
    }
}

async fn keep_all(keepers: Vec<Keeper>, secrets: Vec<SecretKeeper>, keys: Vec<KeysKeeper>, mode: RunMode) -> Report {
    let (mut tasks, mut others) = (JoinSet::new(), JoinSet::new());
    for (index, keeper) in keepers.into_iter().enumerate() {
        // The others show it to the server, so it comes first.
        let known = match keeper.plan.name == IDENTITY {
            true => Some(keeper.pass().await),
            false => None,
        };
        tasks.spawn(async move { (index, keep_one(keeper, known, mode).await) });
    }
    let files = secrets.len();
    for (index, keeper) in keys.into_iter().enumerate() {
        others.spawn(async move { (files + index, keep_keys(keeper, mode).await) });
    }
    for (index, keeper) in secrets.into_iter().enumerate() {
        others.spawn(async move { (index, keep_secret(keeper, mode).await) });
    }
    Report { certificates: all(tasks).await, secrets: all(others).await }
}

/// What all of them came to, in their order.
async fn all<T: 'static>(mut tasks: JoinSet<(usize, T)>) -> Vec<T> {
    let mut statuses = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        match ended {
            Ok(status) => statuses.push(status),
            Err(e) if e.is_panic() => resume_unwind(e.into_panic()),
            Err(_) => {}
        }
    }
    statuses.sort_by_key(|(index, _)| *index);
    statuses.into_iter().map(|(_, status)| status).collect()
}

async fn keep_secret(mut keeper: SecretKeeper, mode: RunMode) -> SecretStatus {
    let (mut status, mut pause) = keeper.pass().await;
    if mode == RunMode::Forever {
        while keeper.wait(pause).await {
            (status, pause) = keeper.pass().await;
        }
    }
    status
}

async fn keep_keys(mut keeper: KeysKeeper, mode: RunMode) -> SecretStatus {
    let (mut status, mut pause) = keeper.pass().await;
    if mode == RunMode::Forever {
        while keeper.wait(pause).await {
            (status, pause) = keeper.pass().await;
        }
    }
    status
}

async fn keep_one(keeper: Keeper, known: Option<Status>, mode: RunMode) -> Status {
    let mut status = match known {
        Some(status) => status,
        None => keeper.pass().await,
    };
    match mode {
        RunMode::Once => status,
        RunMode::Forever => {
            while wait(&keeper.reach.world, keeper.stop.clone(), &status).await {
                status = keeper.pass().await;
            }
            status
        }
    }
}

/// Waits until the certificate needs a pass; false if the agent is to end.
///
/// The World's clock is asked again and again, so that a host that slept, or whose clock was set, is not late by more
/// than a moment; [`Wait`] says when it is over.
async fn wait(world: &World, mut stop: watch::Receiver<bool>, status: &Status) -> bool {
    let (began, mut wait) = (Instant::now(), Wait::after(status, world.now()));
    loop {
        if *stop.borrow() {
            return false;
        }
        let Some(nap) = wait.nap(world.now(), began.elapsed()) else {
            return true;
        };
        // Either way the loop looks again.
        let _ = tokio::time::timeout(nap, stop.wait_for(|stop| *stop)).await;
    }
}

/// The state folder, the agent's own and closed to others, and its lock.
fn take(disk: &dyn Disk, state_dir: &Path) -> Result<Lock, AgentError> {
    let failed = |e| AgentError::disk(state_dir, "the state folder cannot be used", e);
    let state = match Folder::open(state_dir, Owner::Agent) {
        Err(e) if e.kind() == ErrorKind::NotFound => {
            let above = Folder::open(parent(state_dir), Owner::Named(None)).map_err(failed)?;
            disk.make_dir(&above, state_dir.file_name().unwrap_or_default(), 0o700, Owner::Agent)?
        }
        opened => opened.map_err(failed)?,
    };
    let mode = state.stat().map_err(failed)?.st_mode & 0o7777;
    if mode & 0o077 != 0 {
        return Err(AgentError::Exposed { path: state_dir.to_owned(), mode, want: "700" });
    }
    let path = state_dir.join("lock");
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let lock = openat(&state, "lock", flags, Mode::from_raw_mode(0o600))
        .map_err(|e| AgentError::disk(&path, "the lock cannot be opened", e.into()))?;
    match Lock::take(File::from(lock)) {
        Ok(Some(lock)) => Ok(lock),
        Ok(None) => Err(AgentError::Locked { path }),
        Err(e) => Err(AgentError::disk(&path, "the lock cannot be taken", e)),
    }
}

/// How many certificates may be asked for at the same time: a host with hundreds does not open hundreds of orders.
const ASKING_MAX: usize = 8;

#[cfg(test)]
mod tests;
