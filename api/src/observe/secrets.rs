//! How the secrets are: how many end, were not read and wait, and which of them somebody should look at.
//!
//! Counted by index and kept for a few seconds, so that scrapes and pages that refresh by themselves do not ask again and again.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use policy::{Grant, Owner, Timestamp, World};
use secrets::{PENDING_SECS, Rotations, Search, SecretError, Tally, Vault};

/// How old what is told may be.
const AGE_MAX: Duration = Duration::from_secs(5);
/// Secrets of each sort that are told one by one; the rest is a number.
const TOLD_MAX: usize = 5;
/// A version that ends within these days is an alarm: long enough to write another one on a working day.
const ENDING_DAYS: i64 = 7;
/// A credential may be older than its period by this before it is an alarm: a window may have been waited for.
const OVERDUE_SECS: u64 = 86_400;
const DAY_SECS: i64 = 86_400;

/// How they are at a moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct SecretSurvey {
    /// How many there are of each sort.
    pub(crate) tally: Tally,
    /// What somebody should look at, in sentences.
    pub(crate) alarms: Vec<String>,
    /// How many are older than their rotation allows, of those that are told.
    pub(crate) overdue: u64,
}

/// Looks after the secrets of this vault.
pub(crate) struct Keepsakes {
    vault: Vault,
    rotations: Rotations,
    world: World,
    recent: Mutex<Option<(Instant, Arc<SecretSurvey>)>>,
}

impl Keepsakes {
    /// Over these rooms.
    pub(crate) fn new(vault: Vault, rotations: Rotations, world: World) -> Self {
        Self { vault, rotations, world, recent: Mutex::default() }
    }

    /// How many there are, of an owner or of all. The grant is the reason why they may be counted.
    pub(crate) async fn tally(&self, _grant: &Grant, owner: Option<&Owner>) -> Result<Tally, SecretError> {
        self.vault.tally(owner, self.world.now()).await
    }

    /// When they end, of an owner or of all, between two moments; and whether these are all. The grant is the reason why it may be told.
    pub(crate) async fn ends(
        &self,
        _grant: &Grant,
        owner: Option<&Owner>,
        between: (Timestamp, Timestamp),
    ) -> Result<(Vec<Timestamp>, bool), SecretError> {
        self.vault.ends(owner, between).await
    }

    /// How all of them are. The grant is the reason why it may be told.
    pub(crate) async fn survey(&self, _grant: &Grant) -> Result<Arc<SecretSurvey>, SecretError> {
        let kept = self.recent.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((_, survey)) = kept.filter(|(at, _)| at.elapsed() < AGE_MAX) {
            return Ok(survey);
        }
        let now = self.world.now();
        let tally = self.vault.tally(None, now).await?;
        let (late, more) = self.rotations.overdue((None, now, OVERDUE_SECS), None, TOLD_MAX).await?;
        let mut alarms = self.ending(&tally, now).await?;
        alarms.extend(self.waiting(&tally, now).await?);
        alarms.extend(late.iter().map(|(turning, late)| {
            format!(
                "The credential of the secret {} is older than its rotation allows, by {} days: `chancery secret rotation {0}` says why.",
                turning.path(),
                late / OVERDUE_SECS
            )
        }));
        alarms.extend(more.is_some().then(|| {
            "There are more credentials that are older than their rotations allow: `chancery secret list --overdue`.".to_owned()
        }));
        let survey = Arc::new(SecretSurvey { tally, alarms, overdue: late.len() as u64 });
        *self.recent.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), Arc::clone(&survey)));
        Ok(survey)
    }

    /// What has ended, and what ends within days.
    async fn ending(&self, tally: &Tally, now: Timestamp) -> Result<Vec<String>, SecretError> {
        let [day, week, ..] = tally.ending;
        let total = tally.expired.saturating_add(day).saturating_add(week);
        if total == 0 {
            return Ok(Vec::new());
        }
        let ends_before = Some(now.plus_secs(ENDING_DAYS * DAY_SECS));
        let search = Search { ends_before, limit: TOLD_MAX, ..Search::default() };
        let (found, _) = self.vault.inventory(&search, |_, _| true).await?;
        let told = found.iter().filter_map(|(secret, _)| {
            let ends = secret.ends()?;
            let (path, owner) = (secret.path(), secret.owner());
            let says = if ends < now { "has expired at" } else { "expires at" };
            Some(format!(
                "The secret {path} of {owner} {says} {ends}: `chancery secret put {path}` writes its next version."
            ))
        });
        Ok(told.chain(more(total, found.len(), "expire within a week or have", "--expiring 7d")).collect())
    }

    /// Versions that nobody promotes.
    async fn waiting(&self, tally: &Tally, now: Timestamp) -> Result<Vec<String>, SecretError> {
        if tally.stuck == 0 {
            return Ok(Vec::new());
        }
        let search =
            Search { pending_before: Some(now.plus_secs(-PENDING_SECS)), limit: TOLD_MAX, ..Search::default() };
        let (found, _) = self.vault.inventory(&search, |_, _| true).await?;
        let told = found.iter().map(|(secret, _)| {
            let path = secret.path();
            format!(
                "A version of the secret {path} of {} waits as pending for more than a day: `chancery secret rollback {path} pending` \
                 makes it current.",
                secret.owner()
            )
        });
        Ok(told.chain(more(tally.stuck, found.len(), "have a version that waits", "--stuck")).collect())
    }
}

/// That there are more than were told.
fn more(total: u64, told: usize, what: &str, filter: &str) -> Option<String> {
    let rest = total.saturating_sub(told as u64);
    (rest > 0).then(|| format!("{rest} more secrets {what}: `chancery secret list {filter}`."))
}
