//! Whose tokens may read which secrets, as an access review asks: every living token held against every secret of a page.
//!
//! Tokens of which the policies see the same are decided once, and what is left of the work is bounded and done beside the threads that
//! answer: one review at a time, and the others wait for it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use policy::{Action, Actor, Method, Policies, Resource, SecondFactor, Timestamp};
use store::{ListedRecord, RecordFilter};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::app::App;
use crate::auth::{KIND, Token};
use crate::problem::{Kind, Problem};

/// Those who may read that are named of a secret; the rest is a number.
pub(super) const NAMED_MAX: usize = 100;
/// Tokens that are held against each secret.
const TOKENS_MAX: usize = 1_000;
/// Decisions of one page: where tokens are of many sorts, it has fewer rows.
const DECISIONS_MAX: usize = 10_000;
/// So long a review waits for the one before it.
const WAIT_MAX: Duration = Duration::from_secs(10);
/// When to ask again, where that was not enough.
const RETRY_SECS: u32 = 5;

/// The right to make a review.
pub(super) type Turn = SemaphorePermit<'static>;

/// Waits for it: one review after the other, however many ask.
pub(super) async fn turn() -> Result<Turn, Problem> {
    static REVIEWS: Semaphore = Semaphore::const_new(1);
    match tokio::time::timeout(WAIT_MAX, REVIEWS.acquire()).await {
        Ok(Ok(turn)) => Ok(turn),
        // It is never closed.
        Ok(Err(_)) | Err(_) => {
            let says = "Other access reviews are being made: they are made one after the other.";
            Err(Problem::new(Kind::TooMany, says).retry_after(RETRY_SECS))
        }
    }
}

/// Whose tokens live, and of which sort each is.
pub(super) struct Readers {
    /// The name that each speaks for, and the number of its sort.
    tokens: Vec<(String, usize)>,
    /// One of each sort.
    sorts: Vec<Actor>,
    /// There are more, or some were altered.
    pub(super) left_out: bool,
}

/// Who may read a secret.
#[derive(Default)]
pub(super) struct MayRead {
    /// The first of them, by their names.
    pub(super) named: Vec<String>,
    /// How many there are.
    pub(super) total: u64,
}

impl Readers {
    /// All that live, as these policies see them.
    pub(super) async fn living(app: &App, policies: &Policies, now: Timestamp) -> Result<Readers, Problem> {
        let (mut tokens, mut sorts, mut known) = (Vec::new(), Vec::new(), HashMap::new());
        let (mut after, mut left_out) = (None, false);
        loop {
            let filter = RecordFilter { limit: TOKENS_MAX, after: after.take(), ..RecordFilter::default() };
            let page = app.ledger().record_page(KIND, filter).await?;
            after = page.last().filter(|_| page.len() == TOKENS_MAX).map(|last| last.id.clone());
            for listed in &page {
                let Some(token) = token_of(listed) else {
                    left_out = true;
                    continue;
                };
                if token.revoked_at.is_some() || token.expires <= now {
                    continue;
                }
                if tokens.len() == TOKENS_MAX {
                    return Ok(Readers { tokens, sorts, left_out: true });
                }
                // What it may once its second factor is proved: that is what it may.
                let proved = SecondFactor { method: Method::Totp, age_secs: 0 };
                let actor = Actor { second_factor: Some(proved), ..token.into_actor() };
                let sort = *known.entry(policies.alike(&actor, Action::ReadSecret)).or_insert(sorts.len());
                tokens.push((actor.id.clone(), sort));
                if sort == sorts.len() {
                    sorts.push(actor);
                }
            }
            if after.is_none() {
                return Ok(Readers { tokens, sorts, left_out });
            }
        }
    }

    /// How many rows a page has, of so many that are wanted: the more sorts there are the fewer.
    pub(super) fn rows(&self, wanted: usize) -> usize {
        wanted.min(DECISIONS_MAX / self.sorts.len().max(1)).max(1)
    }

    /// Who may read each of these, by the policies that said who is alike. Beside the threads that answer; whoever's turn it is has it until
    /// the work is done, though nobody waits for it any more.
    pub(super) async fn may_read(
        self,
        turn: Turn,
        policies: Arc<Policies>,
        on: Vec<Resource>,
    ) -> Result<Vec<MayRead>, Problem> {
        let work = move || {
            let _until_done = turn;
            on.iter().map(|on| self.of(on, &policies)).collect::<Vec<MayRead>>()
        };
        tokio::task::spawn_blocking(work).await.map_err(|error| Problem::internal(&error))
    }

    fn of(&self, on: &Resource, policies: &Policies) -> MayRead {
        let may: Vec<bool> = self.sorts.iter().map(|actor| policies.permits(actor, Action::ReadSecret, on)).collect();
        let mut found = MayRead::default();
        for (id, _) in self.tokens.iter().filter(|(_, sort)| may.get(*sort).copied().unwrap_or(false)) {
            found.total = found.total.saturating_add(1);
            if found.named.len() < NAMED_MAX {
                found.named.push(id.clone());
            }
        }
        found
    }
}

/// What a record of a list says of a token; none where it was altered.
pub(super) fn token_of(listed: &ListedRecord) -> Option<Token> {
    listed.record.as_ref().ok().and_then(|record| Token::from_record(record).ok())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::pin::pin;

    use futures_util::FutureExt;
    use policy::{Owner, Proof, Role};

    use super::*;

    fn reader(of: &str) -> Actor {
        Actor {
            id: "token:one-of-them".to_owned(),
            roles: BTreeSet::from([Role::SecretReader]),
            owners: BTreeSet::from([Owner::parse(of).unwrap()]),
            scopes: None,
            proof: Proof::Token { id: "1".to_owned() },
            second_factor: None,
        }
    }

    #[test]
    fn one_of_a_sort_is_asked_and_all_of_it_are_named_in_the_order_of_the_tokens() {
        let texts: Vec<_> = Policies::shipped().iter().map(|(n, t)| ((*n).to_owned(), (*t).to_owned())).collect();
        let policies = Policies::load(&texts, Vec::new()).unwrap();
        let tokens: Vec<(String, usize)> = (0..300).map(|n| (format!("token:{n:03}"), n % 3 / 2)).collect();
        let readers = Readers { tokens, sorts: vec![reader("web"), reader("db")], left_out: false };
        let on = |of: &str| Resource::secret(Some(Owner::parse(of).unwrap()), "prod/a");
        let of_web = readers.of(&on("web"), &policies);
        assert_eq!((of_web.total, of_web.named.len()), (200, NAMED_MAX));
        assert_eq!(of_web.named[..3], ["token:000", "token:001", "token:003"]);
        let of_db = readers.of(&on("db"), &policies);
        assert_eq!((of_db.total, of_db.named[1].as_str()), (100, "token:005"));
        assert_eq!(readers.of(&on("zoo"), &policies).total, 0);
    }

    #[test]
    fn a_page_has_fewer_rows_the_more_sorts_of_tokens_there_are() {
        let rows =
            |sorts: usize| Readers { tokens: Vec::new(), sorts: vec![reader("web"); sorts], left_out: false }.rows(100);
        assert_eq!([0, 1, 100, 200, 1_000, 2 * DECISIONS_MAX].map(rows), [100, 100, 100, 50, 10, 1]);
    }

    #[tokio::test]
    async fn one_review_is_made_after_the_other() {
        let first = turn().await.ok();
        assert!(first.is_some());
        let mut second = pin!(turn());
        assert!(second.as_mut().now_or_never().is_none(), "it waits");
        drop(first);
        assert!(second.await.is_ok());
    }
}
