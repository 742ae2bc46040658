//! A walk over everything that is sealed: all of it, whatever the database leaves out of its lists.

use store::{SEALED, SealedKey, StoreError};

use super::base::Vault;
use crate::at_once::at_once;
use crate::error::SecretError;

/// What a walk did.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Walked {
    /// With so many it did what it was to do.
    pub done: u64,
    /// With so many it was done before.
    pub before: u64,
    /// With so many it cannot be done.
    pub left: u64,
    /// The first [`LEFT_SHOWN_MAX`] of them.
    pub which: Vec<Left>,
}

/// Something with which it cannot be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// Its name in the register.
    pub id: String,
    /// Why.
    pub why: String,
}

/// What became of one.
pub(super) enum Step {
    Done,
    Before,
    /// It cannot be, and why.
    Left(String),
    /// It is another one by now: it is looked at again.
    Moved,
}

/// Who goes over all of it.
pub(super) trait Walker: Sync {
    /// What is done with a key.
    fn step(&self, key: &SealedKey) -> impl Future<Output = Result<Step, SecretError>> + Send;
}

impl Vault {
    /// Does something with each key that is sealed, and answers how many the register did not show: the log says how many there are. What
    /// moves meanwhile, or is not shown, is looked for again. One that somebody altered is left and named, and keeps no other back.
    pub(super) async fn walk<W: Walker>(&self, walker: &W) -> Result<(Walked, u64), SecretError> {
        let mut done = 0;
        for walk in 1..=WALKS_MAX {
            let standing: u64 = self.ledger.standing().values().sum();
            let (mut walked, mut moved, mut strange, mut after) = (Walked::default(), 0, 0, None);
            let walking = self.progress.begin(standing);
            loop {
                let (page, next) = self.ledger.sealed_keys(after).await?;
                // A row that somebody put there stands for none of those that the log knows.
                strange +=
                    page.iter().map(|(id, _)| u64::from(self.ledger.record_version(SEALED, id) == 0)).sum::<u64>();
                let told = |(id, step): (String, Result<Step, SecretError>)| {
                    walking.another();
                    match of_one(step)? {
                        Step::Done => walked.done += 1,
                        Step::Before => walked.before += 1,
                        Step::Moved => moved += 1,
                        Step::Left(why) => walked.leaves(id, why, 1),
                    }
                    Ok::<_, SecretError>(())
                };
                at_once(page, |(id, key)| stepped(walker, id, key), told).await?;
                match next {
                    Some(next) => after = Some(next),
                    None => break,
                }
            }
            let shown = walked.done + walked.before + walked.left + moved;
            let missing = standing.saturating_sub(shown.saturating_sub(strange));
            // What was done in the walk before is found done in this one.
            walked.before = walked.before.saturating_sub(done);
            walked.done += done;
            if moved == 0 && (missing == 0 || walk == WALKS_MAX) {
                return Ok((walked, missing));
            }
            done = walked.done;
        }
        Err(SecretError::Conflict("what is sealed changes all the time: do the same again".to_owned()))
    }
}

/// What comes of one, and which it is.
async fn stepped<W: Walker>(
    walker: &W,
    id: String,
    key: Result<SealedKey, StoreError>,
) -> (String, Result<Step, SecretError>) {
    let step = match key {
        Ok(key) => walker.step(&key).await,
        Err(why) => Err(why.into()),
    };
    (id, step)
}

impl Walked {
    /// With so many more of this name it cannot be done.
    pub(super) fn leaves(&mut self, id: String, why: String, count: u64) {
        self.left += count;
        if self.which.len() < LEFT_SHOWN_MAX {
            self.which.push(Left { id, why });
        }
    }
}

/// What is wrong with one alone is said of it, and ends no walk; a register or a token that is away does.
fn of_one(step: Result<Step, SecretError>) -> Result<Step, SecretError> {
    match step {
        Err(SecretError::Store(why @ (StoreError::Altered(_) | StoreError::Corrupt(_) | StoreError::Invalid(_)))) => {
            Ok(Step::Left(why.to_string()))
        }
        Err(SecretError::Forged(why)) => Ok(Step::Left(why.to_string())),
        other => other,
    }
}

/// So many are named that something cannot be done with.
pub const LEFT_SHOWN_MAX: usize = 100;
/// Walks over all, where others write meanwhile.
const WALKS_MAX: usize = 4;
