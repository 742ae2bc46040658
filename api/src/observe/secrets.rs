//! How the secrets are: how many end, were not read and wait, and which of them somebody should look at.
//!
//! Counted by index and kept for a few seconds, so that scrapes and pages that refresh by themselves do not ask again and again.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use policy::{Grant, Owner, Timestamp, World};
use secrets::{Label, PENDING_SECS, Rotations, Search, Secret, SecretError, SecretPath, Tally, Vault};

use super::recent::Recent;

/// How old what is told may be.
const AGE_MAX: Duration = Duration::from_secs(5);
/// Ends that are drawn are kept for as long where there are so many: few are asked for anew, and so are never old.
const ENDS_KEPT_FROM: usize = 1_000;
/// Drawings whose ends are kept, of owners and spans.
const DRAWINGS_MAX: usize = 16;
/// Secrets of each sort that are told one by one; the rest is a number.
const TOLD_MAX: usize = 5;
/// A version that ends within these days is an alarm: long enough to write another one on a working day.
const ENDING_DAYS: i64 = 7;
/// A credential may be older than its period by this before it is an alarm: a window may have been waited for.
const OVERDUE_SECS: u64 = 86_400;
/// Who writes the versions that rotations make.
const ROTATION: &str = "system:rotation";
const DAY_SECS: i64 = 86_400;

/// How they are at a moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct SecretSurvey {
    /// How many there are of each sort.
    pub(crate) tally: Tally,
    /// What somebody should look at.
    troubles: Vec<Trouble>,
    /// How many are older than their rotation allows, of those that are told.
    pub(crate) overdue: u64,
}

/// What is wrong with some of them in the same way: how many there are, and of the first ones which.
#[derive(Clone, Debug)]
struct Trouble {
    sort: Sort,
    total: u64,
    /// There may be more than were counted.
    is_least: bool,
    told: Vec<Told>,
}

/// One of them, in a sentence, and whose it is: that sentence is for whoever may know of it.
#[derive(Clone, Debug)]
struct Told {
    owner: Owner,
    path: SecretPath,
    says: String,
}

/// In which way.
#[derive(Clone, Copy, Debug)]
enum Sort {
    Ending,
    Waiting,
    Late,
}

impl Sort {
    /// How it is told of one, of several, and what lists them.
    fn words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Sort::Ending => {
                ("secret expires within 7 days or has", "secrets expire within 7 days or have", "--expiring 7d")
            }
            Sort::Waiting => (
                "secret has a version that waits as pending",
                "secrets have a version that waits as pending",
                "--stuck",
            ),
            Sort::Late => (
                "credential is older than its rotation allows",
                "credentials are older than their rotations allow",
                "--overdue",
            ),
        }
    }
}

impl Trouble {
    /// In sentences for one reader: which of them he may know of by name, and how many more there are.
    fn says(&self, may: &impl Fn(&Owner, &SecretPath) -> bool) -> Vec<String> {
        let known = self.told.iter().filter(|told| may(&told.owner, &told.path));
        let mut says: Vec<String> = known.map(|told| told.says.clone()).collect();
        let rest = self.total.saturating_sub(says.len() as u64);
        let (one, several, filter) = self.sort.words();
        let least = if self.is_least { "at least " } else { "" };
        let more = if says.is_empty() { "" } else { "more " };
        let what = if rest == 1 { one } else { several };
        says.extend((rest > 0).then(|| {
            let count = upper(&format!("{least}{rest} {more}{what}"));
            format!("{count}: `chancery secret list {filter}` names those that you may know of.")
        }));
        says
    }
}

/// With a capital letter.
fn upper(text: &str) -> String {
    let mut rest = text.chars();
    rest.next().map(|first| first.to_uppercase().chain(rest).collect()).unwrap_or_default()
}

impl SecretSurvey {
    /// What somebody should look at, in sentences. `may` says of each secret whether the reader may know of it: of the others he hears how
    /// many they are.
    pub(crate) fn alarms(&self, may: impl Fn(&Owner, &SecretPath) -> bool) -> Vec<String> {
        self.troubles.iter().flat_map(|trouble| trouble.says(&may)).collect()
    }
}

/// When they end, and whether these are all.
pub(crate) type SecretEnds = (Arc<[Timestamp]>, bool);
/// Whose ends, from when to when.
type Drawing = (Option<Owner>, (Timestamp, Timestamp));

/// Looks after the secrets of this vault.
pub(crate) struct Keepsakes {
    vault: Vault,
    rotations: Rotations,
    world: World,
    recent: Mutex<Option<(Instant, Arc<SecretSurvey>)>>,
    ends: Recent<Drawing, SecretEnds>,
}

impl Keepsakes {
    /// Over these rooms.
    pub(crate) fn new(vault: Vault, rotations: Rotations, world: World) -> Self {
        Self { vault, rotations, world, recent: Mutex::default(), ends: Recent::new(DRAWINGS_MAX, AGE_MAX) }
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
    ) -> Result<SecretEnds, SecretError> {
        let drawing = (owner.cloned(), between);
        if let Some(ends) = self.ends.of(&drawing, Instant::now()) {
            return Ok(ends);
        }
        let (ends, is_whole) = self.vault.ends(owner, between).await?;
        let ends: SecretEnds = (Arc::from(ends), is_whole);
        if ends.0.len() >= ENDS_KEPT_FROM {
            self.ends.keep(drawing, Instant::now(), ends.clone());
        }
        Ok(ends)
    }

    /// How all of them are. The grant is the reason why it may be told.
    pub(crate) async fn survey(&self, _grant: &Grant) -> Result<Arc<SecretSurvey>, SecretError> {
        let kept = self.recent.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((_, survey)) = kept.filter(|(at, _)| at.elapsed() < AGE_MAX) {
            return Ok(survey);
        }
        let now = self.world.now();
        let tally = self.vault.tally(None, now).await?;
        let late = self.rotations.overdue((None, now, OVERDUE_SECS), None, TOLD_MAX).await?;
        let (ending, waiting) = (self.ending(&tally, now).await?, self.waiting(&tally, now).await?);
        let overdue = late.items.len() as u64;
        let told = late.items.iter().map(|(turning, late)| Told {
            owner: turning.owner().clone(),
            path: turning.path().clone(),
            says: format!(
                "The credential of the secret {} is older than its rotation allows, by {} days: `chancery secret rotation {0}` says why.",
                turning.path(),
                late / OVERDUE_SECS
            ),
        });
        let (is_least, told) = (late.next.is_some(), told.collect());
        let total = overdue.saturating_add(u64::from(is_least));
        let late = Trouble { sort: Sort::Late, total, is_least, told };
        let survey = Arc::new(SecretSurvey { tally, troubles: vec![ending, waiting, late], overdue });
        *self.recent.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), Arc::clone(&survey)));
        Ok(survey)
    }

    /// What has ended, and what ends within days.
    async fn ending(&self, tally: &Tally, now: Timestamp) -> Result<Trouble, SecretError> {
        let [day, week, ..] = tally.ending;
        let total = tally.expired.saturating_add(day).saturating_add(week);
        let ends_before = Some(now.plus_secs(ENDING_DAYS * DAY_SECS));
        let search = Search { ends_before, limit: TOLD_MAX, ..Search::default() };
        let says = |secret: &Secret| {
            let ends = secret.ends()?;
            let (path, owner) = (secret.path(), secret.owner());
            let says = if ends < now { "has expired at" } else { "expires at" };
            Some(format!(
                "The secret {path} of {owner} {says} {ends}: `chancery secret put {path}` writes its next version."
            ))
        };
        self.trouble(Sort::Ending, total, &search, says).await
    }

    /// Versions that nobody promotes.
    async fn waiting(&self, tally: &Tally, now: Timestamp) -> Result<Trouble, SecretError> {
        let search =
            Search { pending_before: Some(now.plus_secs(-PENDING_SECS)), limit: TOLD_MAX, ..Search::default() };
        let says = |secret: &Secret| {
            let (path, owner) = (secret.path(), secret.owner());
            let number = *secret.labels().get(Label::PENDING)?;
            let by = secret.versions(now).into_iter().find(|version| version.number == number)?.by;
            let gives_up = format!("`chancery secret label {path} pending --remove` gives it up");
            // What a rotation made and nothing showed to be let in is nobody's to promote.
            Some(match by == ROTATION {
                true => format!(
                    "Version {number} of the secret {path} of {owner} waits as pending since a rotation that is no more: {gives_up}. Do not \
                     make it current: no login showed it."
                ),
                false => format!(
                    "Version {number} of the secret {path} of {owner}, of {by}, waits as pending for more than a day: `chancery secret \
                     rollback {path} pending` makes it current once what it holds works, {gives_up}."
                ),
            })
        };
        self.trouble(Sort::Waiting, tally.stuck, &search, says).await
    }

    /// The first of so many that are found by this; where there are none, nothing is sought.
    async fn trouble(
        &self,
        sort: Sort,
        total: u64,
        search: &Search,
        says: impl Fn(&Secret) -> Option<String>,
    ) -> Result<Trouble, SecretError> {
        let is_least = total >= store::WARDS_COUNTED_MAX;
        if total == 0 {
            return Ok(Trouble { sort, total, is_least, told: Vec::new() });
        }
        let found = self.vault.inventory(search, |_, _| true).await?;
        let told = found.items.iter().filter_map(|(secret, _)| {
            Some(Told { owner: secret.owner().clone(), path: secret.path().clone(), says: says(secret)? })
        });
        Ok(Trouble { sort, total, is_least, told: told.collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(owner: &str, path: &str) -> Told {
        let owner = Owner::parse(owner).expect("an owner");
        Told { owner, path: path.parse().expect("a path"), says: format!("The secret {path} expires.") }
    }

    #[test]
    fn who_may_not_know_of_a_secret_hears_how_many_there_are_and_no_name() {
        let all = vec![told("web", "shop/db"), told("db", "falcon/escrow")];
        let ending = Trouble { sort: Sort::Ending, total: 3, is_least: false, told: all };
        let none = Trouble { sort: Sort::Waiting, total: 0, is_least: false, told: Vec::new() };
        let survey = SecretSurvey { troubles: vec![ending, none], ..SecretSurvey::default() };
        let everybodys = survey.alarms(|_, _| true);
        assert_eq!(everybodys.len(), 3, "{everybodys:?}");
        assert!(everybodys[2].starts_with("1 more secret expires within 7 days or has:"), "{everybodys:?}");
        let of_web = survey.alarms(|owner, _| owner.as_str() == "web");
        assert!(of_web.len() == 2 && of_web[1].starts_with("2 more secrets expire"), "{of_web:?}");
        let nobodys = survey.alarms(|_, _| false);
        assert!(nobodys.len() == 1 && nobodys[0].starts_with("3 secrets expire within 7 days or have:"), "{nobodys:?}");
        for name in ["falcon", "shop", "web"] {
            assert!(!nobodys.concat().contains(name), "{nobodys:?}");
        }
    }

    #[test]
    fn what_was_not_counted_to_the_end_is_said_to_be_that() {
        let late = Trouble { sort: Sort::Late, total: 2, is_least: true, told: vec![told("web", "shop/db")] };
        assert!(late.says(&|_, _| false)[0].starts_with("At least 2 credentials are older"), "{late:?}");
    }
}
