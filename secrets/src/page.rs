//! A page of what was found, each for itself: what somebody altered keeps no other back.

use store::{ListedRecord, StoreError, StoredRecord};

use crate::error::SecretError;

/// A page.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    /// What is meant, and may be known of.
    pub items: Vec<T>,
    /// Where the next page begins; none: this is the last.
    pub next: Option<String>,
    /// So many were met that are not what the log says, each with an alarm. Whose they are nobody can say: it is told to whoever may know
    /// of everything.
    pub altered: u64,
}

impl<T> Page<T> {
    /// A page on which nothing is yet.
    pub(crate) fn new() -> Page<T> {
        Page { items: Vec::new(), next: None, altered: 0 }
    }

    /// The page that ends here, and where the next begins.
    pub(crate) fn until(self, next: Option<String>) -> Page<T> {
        Page { next, ..self }
    }

    /// What is believed of one; what is not is counted.
    pub(crate) fn believed<U>(&mut self, one: Option<U>) -> Option<U> {
        self.altered = self.altered.saturating_add(u64::from(one.is_none()));
        one
    }
}

/// The turns of others on this thread while a page is looked for: of each secret a decision is asked for, and there may be thousands.
#[derive(Debug, Default)]
pub(crate) struct Turns(usize);

impl Turns {
    /// Said before each; after some of them the others are let go first.
    pub(crate) async fn next(&mut self) {
        self.0 = self.0.wrapping_add(1);
        if !self.0.is_multiple_of(AT_A_TIME) {
            return;
        }
        let mut was_away = false;
        let away = std::future::poll_fn(|context| {
            if std::mem::replace(&mut was_away, true) {
                return std::task::Poll::Ready(());
            }
            context.waker().wake_by_ref();
            std::task::Poll::Pending
        });
        away.await;
    }
}

/// So many are judged before others have their turn: a millisecond.
const AT_A_TIME: usize = 64;

/// What a record of a list says; none where it was altered, or says what nobody can read.
pub(crate) fn taken<T>(
    record: Result<store::Attested<StoredRecord>, StoreError>,
    of: impl FnOnce(StoredRecord) -> Result<T, SecretError>,
) -> Option<T> {
    record.ok().and_then(|record| of(record.into_inner()).ok())
}

/// What each of a page says; what was altered is left out, and with an alarm.
pub(crate) fn all_taken<T>(page: Vec<ListedRecord>, of: impl Fn(StoredRecord) -> Result<T, SecretError>) -> Vec<T> {
    page.into_iter().filter_map(|listed| taken(listed.record, &of)).collect()
}

/// What is known of one; none where that one was altered, which is its own fault. A register that is away is everybody's.
///
/// # Errors
/// [`SecretError::Store`], and whatever else is no single one's fault.
pub fn of_one<T>(answer: Result<T, SecretError>) -> Result<Option<T>, SecretError> {
    match answer {
        Ok(there) => Ok(Some(there)),
        Err(SecretError::Store(StoreError::Altered(_) | StoreError::Corrupt(_))) => Ok(None),
        Err(other) => Err(other),
    }
}

/// Whether one of many was written that are gone through: not where that is its own matter, which keeps no other from it. Somebody wrote it
/// meanwhile, it may not be written, or it was altered.
///
/// # Errors
/// [`SecretError::Store`]: the register is away, which is everybody's.
pub(crate) fn is_written(answer: Result<(), SecretError>) -> Result<bool, SecretError> {
    match of_one(answer) {
        Ok(written) => Ok(written.is_some()),
        Err(SecretError::Store(error)) => Err(SecretError::Store(error)),
        Err(_) => Ok(false),
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn others_have_their_turn_after_some_were_judged() {
        let mut turns = Turns::default();
        for asked in 1..=4 * AT_A_TIME {
            let went_on = turns.next().now_or_never().is_some();
            assert_eq!(went_on, asked % AT_A_TIME != 0, "{asked}");
        }
    }
}
