//! A walk over everything that is sealed: all of it, whatever the database leaves out of its lists.

use store::{SealedKey, StoreError};

use super::base::Vault;
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
    /// Does something with each key that is sealed. What moves meanwhile, or is not shown, is looked for again; the log says how many there are.
    pub(super) async fn walk(&self, walker: &impl Walker) -> Result<Walked, SecretError> {
        let mut done = 0;
        let mut missing = 0;
        for _ in 0..WALKS_MAX {
            let standing: u64 = self.ledger.standing().values().sum();
            let (mut walked, mut moved, mut after) = (Walked::default(), 0, None);
            let walking = self.progress.begin(standing);
            loop {
                let (page, next) = self.ledger.sealed_keys(after).await?;
                for key in &page {
                    walking.another();
                    match walker.step(key).await? {
                        Step::Done => walked.done += 1,
                        Step::Before => walked.before += 1,
                        Step::Moved => moved += 1,
                        Step::Left(why) => {
                            walked.left += 1;
                            if walked.which.len() < LEFT_SHOWN_MAX {
                                walked.which.push(Left { id: key.id().to_owned(), why });
                            }
                        }
                    }
                }
                match next {
                    Some(next) => after = Some(next),
                    None => break,
                }
            }
            missing = standing.saturating_sub(walked.done + walked.before + walked.left + moved);
            // What was done in the walk before is found done in this one.
            walked.before = walked.before.saturating_sub(done);
            walked.done += done;
            if moved == 0 && missing == 0 {
                return Ok(walked);
            }
            done = walked.done;
        }
        Err(match missing {
            0 => SecretError::Conflict("what is sealed changes all the time: do the same again".to_owned()),
            _ => {
                let says = format!("the register does not show {missing} of the keys that are sealed in it");
                SecretError::Store(StoreError::Altered(says))
            }
        })
    }
}

/// So many are named that something cannot be done with.
pub const LEFT_SHOWN_MAX: usize = 100;
/// Walks over all, where others write meanwhile.
const WALKS_MAX: usize = 4;
