//! What people say of a rotation that is set up: its word, its end.

use policy::Grant;
use store::{ListedRecord, RecordFilter};

use super::record::{Body, Leaked, ROTATION, Turning};
use crate::due;
use crate::error::SecretError;
use crate::nouns::SecretPath;
use crate::page::{Page, all_taken, taken};
use crate::rotation::{NotNow, Rotation, SettingsError};
use crate::vault::{Beside, Vault};

/// Rotations of the register. Cheap to clone.
#[derive(Clone)]
pub struct Rotations {
    pub(super) vault: Vault,
    pub(super) node: u16,
}

/// What is due.
#[derive(Debug)]
pub struct Due {
    /// Those of which something is.
    pub found: Vec<Turning>,
    /// When the next of the others is.
    pub next: Option<u64>,
}

impl Rotations {
    /// Of the secrets of this vault, as this node of the register does them.
    pub fn new(vault: Vault, node: u16) -> Rotations {
        Rotations { vault, node }
    }

    /// The rotation of a secret; none where there is none, or it ended.
    ///
    /// # Errors
    /// [`SecretError::Store`].
    pub async fn look(&self, path: &SecretPath) -> Result<Option<Turning>, SecretError> {
        Ok(self.last(path).await?.filter(|turning| !turning.body.ended))
    }

    /// Those of which something is due, as the register has it, the first due first: a page of at most so many, beginning after the
    /// last of the page before. What is found may have to wait all the same: [`Rotations::due`] says until when.
    ///
    /// # Errors
    /// [`SecretError::Store`].
    pub async fn due_by(&self, now: u64, limit: usize) -> Result<Due, SecretError> {
        let (mut found, mut next) = (Vec::new(), None);
        for is_troubled in [false, true] {
            let mut after = None;
            while found.len() < limit {
                let page = self.found(due::by(is_troubled, now, after.take(), PAGE_MAX.min(limit))).await?;
                let is_full = page.len() == PAGE_MAX.min(limit);
                after = page.last().filter(|_| is_full).and_then(|last| last.lookup.clone());
                found.extend(all_taken(page, Turning::of));
                if after.is_none() {
                    break;
                }
            }
            let first = self.found(due::next(is_troubled, now)).await?.pop();
            let at = first.and_then(|first| due::time_of(&first.lookup.unwrap_or_default()));
            next = [next, at].into_iter().flatten().min();
        }
        Ok(Due { found, next })
    }

    /// Those that somebody should look at, at most so many.
    ///
    /// # Errors
    /// [`SecretError::Store`].
    pub async fn troubled(&self, limit: usize) -> Result<Vec<Turning>, SecretError> {
        Ok(all_taken(self.found(due::troubled(limit)).await?, Turning::of))
    }

    /// A page of all that were set up and did not end, by path, and where the next begins. For eyes.
    ///
    /// # Errors
    /// [`SecretError::Store`].
    pub async fn list(&self, after: Option<String>, limit: usize) -> Result<Page<Turning>, SecretError> {
        let limit = limit.clamp(1, PAGE_MAX);
        let page = self.found(RecordFilter { after, limit, ..RecordFilter::default() }).await?;
        let last = page.last().filter(|_| page.len() == limit).map(|last| last.id.clone());
        let mut found = Page::new();
        for listed in page {
            let turning = found.believed(taken(listed.record, Turning::of));
            found.items.extend(turning.filter(|turning| !turning.body.ended));
        }
        Ok(found.until(last))
    }

    /// Each for itself: one that somebody altered holds no other rotation up.
    async fn found(&self, filter: RecordFilter) -> Result<Vec<ListedRecord>, SecretError> {
        Ok(self.vault.ledger().record_page(ROTATION, filter).await?)
    }

    /// Ends a rotation that rests or halted, or whose new version was set nowhere: nothing is pending any more, the secret is written by
    /// hand again, and nothing is asked of the target. Answers what may be let in there beside the current version, and what to do about
    /// it; none where nothing may.
    ///
    /// # Errors
    /// [`SecretError::Conflict`]: it is under way.
    pub async fn end(&self, grant: Grant, path: &SecretPath) -> Result<Option<String>, SecretError> {
        let mut turning = self.there(path).await?;
        let left = turning.body.rotation.end().map_err(|error| not_now(path, error))?;
        let now = self.seconds().await?;
        turning.body.ended = true;
        turning.body.claim = None;
        // Hosts have what is pending where no rotation says otherwise: the labels are those of what ended, in the same transaction.
        let beside = Beside { grant: &grant, path, is_rotated: false };
        self.vault.relabel(beside, turning.labels(), turning.record(&grant, now)?).await?;
        Ok(left.map(|left| turning.left_words(&left)))
    }

    /// Asks for a rotation now.
    ///
    /// # Errors
    /// [`SecretError::Conflict`]: one is under way, halted, or the one before is too near.
    pub async fn ask(&self, grant: Grant, path: &SecretPath) -> Result<Turning, SecretError> {
        let now = self.seconds().await?;
        self.say(&grant, path, |rotation| rotation.ask(now)).await
    }

    /// Asks for a rotation now, since what is in use leaked: neither distance, window nor overlap is waited for, and the reason stands in
    /// the record that says so.
    ///
    /// # Errors
    /// [`SecretError::Conflict`]: it halted; [`SecretError::Invalid`]: no reason.
    pub async fn ask_leaked(&self, grant: Grant, path: &SecretPath, reason: &str) -> Result<Turning, SecretError> {
        if !is_reason(reason) {
            let why = format!("say in a line of 1 to {REASON_CHARS_MAX} characters what leaked, and how it is known");
            return Err(SecretError::invalid("reason", why));
        }
        let leaked = Leaked { by: grant.actor().id.clone(), at: self.seconds().await?, reason: reason.to_owned() };
        let word = |body: &mut Body| {
            body.leaked = Some(leaked.clone());
            body.rotation.ask_leaked()
        };
        self.say_of(&grant, path, word).await
    }

    /// Asks for the credential before, while it is there.
    ///
    /// # Errors
    /// [`SecretError::Conflict`]: there is none, or something is under way.
    pub async fn ask_back(&self, grant: Grant, path: &SecretPath) -> Result<Turning, SecretError> {
        self.say(&grant, path, Rotation::ask_back).await
    }

    /// Goes on where it halted: somebody did what the trouble says. What waits for a target that was away is tried at once.
    ///
    /// # Errors
    /// [`SecretError::Conflict`]: it did not halt.
    pub async fn resume(&self, grant: Grant, path: &SecretPath) -> Result<Turning, SecretError> {
        self.say(&grant, path, Rotation::resume).await
    }

    async fn say(
        &self,
        grant: &Grant,
        path: &SecretPath,
        word: impl Fn(&mut Rotation) -> Result<(), NotNow>,
    ) -> Result<Turning, SecretError> {
        self.say_of(grant, path, |body| word(&mut body.rotation)).await
    }

    async fn say_of(
        &self,
        grant: &Grant,
        path: &SecretPath,
        word: impl Fn(&mut Body) -> Result<(), NotNow>,
    ) -> Result<Turning, SecretError> {
        let mut last = None;
        for _ in 0..TRIES_MAX {
            let mut turning = self.there(path).await?;
            word(&mut turning.body).map_err(|error| not_now(path, error))?;
            turning.body.claim = None;
            match self.write(grant, &turning).await {
                Ok(()) => return self.there(path).await,
                Err(SecretError::Conflict(why)) => last = Some(why),
                Err(other) => return Err(other),
            }
        }
        Err(SecretError::Conflict(
            last.unwrap_or_else(|| format!("the rotation of {path} changes all the time: try again")),
        ))
    }

    /// Writes the record, and the labels that follow from it.
    pub(super) async fn write(&self, grant: &Grant, turning: &Turning) -> Result<(), SecretError> {
        let beside = Beside { grant, path: &turning.path, is_rotated: true };
        let record = turning.record(grant, self.seconds().await?)?;
        self.vault.relabel(beside, turning.labels(), record).await
    }

    pub(super) async fn there(&self, path: &SecretPath) -> Result<Turning, SecretError> {
        let none = || SecretError::NotFound(format!("no rotation of {path} is set up"));
        self.look(path).await?.ok_or_else(none)
    }

    /// The time, in seconds since 1970, if it can be believed.
    pub(super) async fn seconds(&self) -> Result<u64, SecretError> {
        Ok(u64::try_from(self.vault.now().await?.unix()).unwrap_or_default())
    }

    pub(super) async fn last(&self, path: &SecretPath) -> Result<Option<Turning>, SecretError> {
        let record = self.vault.ledger().record_get(ROTATION, path.as_str()).await?;
        record.map(|record| Turning::of(record.into_inner())).transpose()
    }
}

/// With the whole command that helps.
pub(super) fn not_now(path: &SecretPath, error: NotNow) -> SecretError {
    match error {
        NotNow::Settings(error) => unfit(error),
        NotNow::UnderWay => SecretError::Conflict(format!(
            "{error}; `chancery secret rotation {path}` says what it waits for. It is ended or set up anew at once as long as nothing was \
             set anywhere"
        )),
        NotNow::Halted => SecretError::Conflict(format!(
            "the rotation halted: do what its trouble says (`chancery secret rotation {path}`), then `chancery secret rotate {path} --resume`"
        )),
        other => SecretError::Conflict(other.to_string()),
    }
}

pub(super) fn unfit(error: SettingsError) -> SecretError {
    SecretError::invalid("settings", error.to_string())
}

/// Whether a text says why something is done: a line, of people.
pub fn is_reason(text: &str) -> bool {
    let chars = text.chars().count();
    (1..=REASON_CHARS_MAX).contains(&chars) && !text.trim().is_empty() && !text.contains(char::is_control)
}

/// The longest reason that somebody gives.
pub const REASON_CHARS_MAX: usize = 200;
/// Tries upon what others change all the time; then the caller is told to come back.
const TRIES_MAX: usize = 8;
const PAGE_MAX: usize = 1_000;
