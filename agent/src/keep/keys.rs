//! The page: how one file of public keys is kept. Straight down, and after each step what a crash there means.
//!
//! What stands there outlives a server that is away or refuses: who cannot ask locks nobody out. A secret that is out of use has no keys, and
//! then its lines go.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use secrets::ssh_fingerprint;
use tokio::sync::{Semaphore, watch};

use super::found::lack;
use super::nap::nap;
use super::pace::Pace;
use super::wake::Sleeper;
use crate::credential::{KeyLine, keys_in, with_keys};
use crate::deploy::{Alone, Desk, Placing, status_path};
use crate::disk::{Image, read_json};
use crate::error::AgentError;
use crate::look::{SecretState, SecretStatus};
use crate::plan::{AuthorizedKeys, is_fit};
use crate::source::{Reach, host_keys};

/// Keeps one file.
pub(crate) struct KeysKeeper {
    pub plan: Arc<AuthorizedKeys>,
    pub reach: Arc<Reach>,
    /// How many may ask a server at the same time.
    pub permits: Arc<Semaphore>,
    /// Turns true when the agent is to end.
    pub stop: watch::Receiver<bool>,
    pub sleeper: Sleeper,
    /// What this run told the server last, and when by the clock that nobody sets.
    pub told: Option<(Duration, Vec<String>)>,
}

/// So long it is taken for known: what another said in this host's name is put right by then. The same again writes nothing there.
const TOLD_FOR: Duration = Duration::from_secs(3_600);

/// What a pass came to.
struct Kept {
    versions: Vec<u64>,
    is_new: bool,
}

impl KeysKeeper {
    /// One pass, and how long to wait. Never fails: what went wrong is in the status.
    pub async fn pass(&mut self) -> (SecretStatus, Duration) {
        let plan = Arc::clone(&self.plan);
        let kept = self.keep().await;
        let path = status_path(&self.reach.state_dir, &plan.name);
        let before: Option<SecretStatus> = read_json(&path).ok().flatten();
        let before = before.unwrap_or_else(|| SecretStatus::pending(&plan.name, plan.file.path.clone()));
        let (status, pause) = self.settled(before, kept);
        let written = Desk::open(&*self.reach.disk, &self.reach.state_dir, &plan.name)
            .and_then(|desk| desk.write_status(&status));
        if let Err(error) = written {
            tracing::error!(keys = plan.name, error = error.chain(), "the status cannot be written");
        }
        (status, pause)
    }

    /// Until the next pass; false if the agent is to end.
    pub async fn wait(&mut self, pause: Duration) -> bool {
        nap(pause, self.stop.clone(), self.sleeper.clone()).await
    }

    async fn keep(&mut self) -> Result<Kept, AgentError> {
        let (plan, reach) = (Arc::clone(&self.plan), Arc::clone(&self.reach));
        // 1. The place first: nothing is asked for that could not be put anywhere. What a crash left beside it goes.
        let placing = Placing::open(&*reach.disk, &plan.file)?;
        placing.clear().await?;
        // 2. Which keys are in force. Crash before or after: the next pass asks.
        let keys = self.asking(host_keys::in_force(&reach.world, &plan)).await?;
        // 3. From reading to renaming nobody else is at work there: another agent's lines stay, and so do ours in what it writes.
        let (image, is_new) = put(&placing, &placing.alone().await?, &plan, &keys)?;
        if is_new {
            tracing::info!(keys = plan.name, file = %plan.file.path.display(), "other keys stand there");
        }
        // 4. What stands there is told, where the server does not know it from this run. Crash before: the next run tells it.
        let standing = keys_in(image.content(), &plan.secret);
        let fingerprints: Vec<String> = standing.iter().filter_map(|(_, line)| ssh_fingerprint(line)).collect();
        let now = reach.world.gone_by();
        let is_known =
            |(at, told): &(Duration, Vec<String>)| *told == fingerprints && now.saturating_sub(*at) < TOLD_FOR;
        if !self.told.as_ref().is_some_and(is_known) {
            self.asking(host_keys::report(&reach.world, &plan, &fingerprints)).await?;
            self.told = Some((now, fingerprints));
        }
        Ok(Kept { versions: standing.into_iter().map(|(version, _)| version).collect(), is_new })
    }

    async fn asking<T>(&self, question: impl Future<Output = Result<T, AgentError>>) -> Result<T, AgentError> {
        let mut stop = self.stop.clone();
        let _permit = self.permits.acquire().await.map_err(|_| AgentError::Stopped)?;
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => Err(AgentError::Stopped),
            answer = question => answer,
        }
    }

    fn settled(&self, before: SecretStatus, kept: Result<Kept, AgentError>) -> (SecretStatus, Duration) {
        let (plan, world) = (&self.plan, &self.reach.world);
        let file = plan.file.path.clone();
        let in_place = file.symlink_metadata().is_ok_and(|found| found.is_file());
        let mut status = SecretStatus { in_place, file, ..before };
        let mut asked_secs = 0;
        match kept {
            Ok(Kept { versions, is_new }) => {
                let each = versions.into_iter().map(|version| (format!("{}#{version}", plan.secret), version));
                status.versions = each.collect::<BTreeMap<_, _>>();
                status.changes += u64::from(is_new);
                status.last_answer = Some(world.now());
                (status.state, status.last_error, status.lack) = (SecretState::Ok, None, None);
                status.failures = 0;
            }
            Err(AgentError::Stopped) => return (status, Duration::ZERO),
            Err(error) => {
                if let AgentError::Busy { retry_after_secs, .. } = &error {
                    asked_secs = *retry_after_secs;
                }
                tracing::warn!(keys = plan.name, error = error.chain(), "the keys stay as they are");
                (status.state, status.last_error) = (SecretState::Failed, Some(error.chain()));
                status.lack = Some(lack(&error));
                status.failures = status.failures.saturating_add(1);
            }
        }
        let pause = Pace { poll: plan.poll, failures: status.failures, asked_secs, due: None }.pause(world);
        status.next_look = Some(world.now().plus_secs(i64::try_from(pause.as_secs()).unwrap_or(i64::MAX)));
        (status, pause)
    }
}

/// The file with these keys, where it is another than stands there; and whether it was. No wait within: the file is held.
fn put(
    placing: &Placing<'_>,
    alone: &Alone<'_>,
    plan: &AuthorizedKeys,
    keys: &[KeyLine],
) -> Result<(Image, bool), AgentError> {
    let refuse = |why: String| AgentError::disk(&plan.file.path, "read", io::Error::other(why));
    let seen = placing.seen();
    let there = placing.standing()?;
    // Whoever may write in that folder puts there what he likes, another's file by a second name among it: what is read of it would be his.
    if let (Some(owner), Some(found)) = (plan.file.uid, there.as_ref().and_then(|image| image.uid))
        && owner != found
    {
        return Err(refuse(format!(
            "it belongs to user {found}, and the plan says {owner}: give it to him (chown), or remove it"
        )));
    }
    let image = wanted(plan, there.as_ref(), keys)?;
    let is_new = there.as_ref() != Some(&image) && !(there.is_none() && keys.is_empty());
    if is_new {
        // Whole, beside the old one, and then by one rename. Crash before the rename: the old file; after: the new one.
        let written = alone.write(&image)?;
        if placing.seen() != seen {
            alone.discard()?;
            let why = "somebody else wrote to it at this moment: the next pass begins with what stands there then";
            return Err(refuse(why.to_owned()));
        }
        alone.place(&written)?;
    }
    Ok((image, is_new))
}

/// What is to stand there. Mode, owner and group are one thing: what the plan leaves open stays as it is found, so that whoever reads the
/// file (sshd does as the user who logs in) goes on to.
fn wanted(plan: &AuthorizedKeys, there: Option<&Image>, keys: &[KeyLine]) -> Result<Image, AgentError> {
    let text = with_keys(there.map_or(&[][..], Image::content), &plan.secret, keys, plan.options.as_deref());
    let (uid, gid) = (plan.file.uid, plan.file.gid);
    let Some(found) = there else { return Ok(Image::new(text, plan.file.mode).of(uid, gid)) };
    if !(plan.keeps_mode && is_fit(found.mode)) {
        return Ok(Image::new(text, plan.file.mode).of(uid.or(found.uid), gid.or(found.gid)));
    }
    // Without set-user-ID and set-group-ID: a file that the agent makes runs as nobody.
    let mode = found.mode & PERMISSIONS;
    if let (Some(said), Some(was)) = (gid, found.gid)
        && said != was
        && (mode & GROUP_READS == 0) != (mode & OTHERS_READ == 0)
    {
        let why = format!(
            "its mode {mode:04o} would stay while it goes from group {was} to group {said}, and not everybody who reads it now could then: \
             write mode into file too (mode = \"0644\"), or leave group out"
        );
        return Err(AgentError::Content { path: plan.file.path.clone(), why });
    }
    Ok(Image::new(text, mode).of(uid.or(found.uid), gid.or(found.gid)))
}

const PERMISSIONS: u32 = 0o777;
const GROUP_READS: u32 = 0o040;
const OTHERS_READ: u32 = 0o004;

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
    use std::path::Path;

    use rustix::process::geteuid;

    use super::*;
    use crate::disk::RealDisk;
    use crate::plan::Plan;
    use crate::testing::folder;

    /// A plan that says this of its file beside the path.
    fn plan(file: &str) -> AuthorizedKeys {
        let text = format!(
            "state_dir = \"state\"\n[secrets]\nurl = \"https://ca:8443\"\nca_file = \"roots.pem\"\ntoken_file = \"token\"\n\
             [[authorized_keys]]\nname = \"deploy\"\nsecret = \"prod/hosts/deploy\"\nfile = {{ path = \"deploy\"{file} }}\n"
        );
        Plan::parse(&text, Path::new("/etc/chancery/agent.toml")).unwrap().keys.remove(0)
    }

    fn keys() -> [KeyLine; 1] {
        [KeyLine { version: 1, line: "ssh-ed25519 one".to_owned() }]
    }

    fn standing(mode: u32, uid: u32, gid: u32) -> Image {
        Image::new(b"ssh-ed25519 two me\n".to_vec(), mode).of(Some(uid), Some(gid))
    }

    #[test]
    fn what_the_plan_leaves_open_stays_as_it_stands_there() {
        for (said, there, wants) in [
            // A user's own, in a folder of root's; one of root's that a group reads.
            ("", (0o600, 1_000, 1_000), (0o600, 1_000, 1_000)),
            (", owner = \"0\"", (0o640, 0, 1_000), (0o640, 0, 1_000)),
            (", mode = \"0644\"", (0o600, 1_000, 1_000), (0o644, 1_000, 1_000)),
            (", mode = \"0640\", group = \"7\"", (0o640, 0, 1_000), (0o640, 0, 7)),
            // Nobody or everybody else reads it: whose group it is makes no difference.
            (", group = \"7\"", (0o600, 0, 1_000), (0o600, 0, 7)),
            (", group = \"7\"", (0o644, 0, 1_000), (0o644, 0, 7)),
            // sshd refuses it as it is; and what runs as its group is no file of keys.
            ("", (0o664, 1_000, 1_000), (0o644, 1_000, 1_000)),
            ("", (0o6755, 1_000, 1_000), (0o755, 1_000, 1_000)),
        ] {
            let (mode, uid, gid) = there;
            let image = wanted(&plan(said), Some(&standing(mode, uid, gid)), &keys()).unwrap();
            assert_eq!((image.mode, image.uid, image.gid), (wants.0, Some(wants.1), Some(wants.2)), "{said} {there:?}");
        }
        let new = wanted(&plan(""), None, &keys()).unwrap();
        assert_eq!((new.mode, new.uid, new.gid), (0o644, None, None));
    }

    #[test]
    fn a_mode_that_stays_is_not_made_anothers() {
        for mode in [0o640, 0o604] {
            let refused = wanted(&plan(", group = \"7\""), Some(&standing(mode, 0, 1_000)), &keys()).unwrap_err();
            let said = refused.to_string();
            assert!(said.contains("group 1000") && said.contains("group 7") && said.contains("mode = "), "{said}");
        }
    }

    #[tokio::test]
    async fn a_users_file_in_a_folder_of_the_agents_stays_his() {
        let folder = folder();
        let path = folder.path().join("deploy");
        fs::write(&path, "ssh-ed25519 two me\n").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        // Root alone gives files away; whoever is not root has his own here.
        if geteuid().is_root() {
            chown(&path, Some(65_534), Some(65_534)).unwrap();
        }
        let before = fs::metadata(&path).unwrap();
        let mut plan = plan("");
        plan.file.path.clone_from(&path);
        let placing = Placing::open(&RealDisk, &plan.file).unwrap();
        assert!(put(&placing, &placing.alone().await.unwrap(), &plan, &keys()).unwrap().1);
        let after = fs::metadata(&path).unwrap();
        assert_eq!((after.uid(), after.gid(), after.mode() & 0o7777), (before.uid(), before.gid(), 0o600));
        assert!(fs::read_to_string(&path).unwrap().ends_with("ssh-ed25519 one chancery:prod/hosts/deploy#1\n"));
    }
}
