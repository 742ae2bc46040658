//! The end of leases: whoever is due is ended at the target, and tried again until he is.

use policy::Actor;
use store::{ActorStamp, StoreError};

use super::base::{Leases, nobody, said};
use super::place::{Hirer, Tenancy};
use super::records::{LEASE, Lease, MAKING_SECS_MAX, PAUSE_LAST_SECS, Stage};
use crate::due;
use crate::error::SecretError;
use crate::page::{all_taken, is_written};
use crate::rotation::SAID_CHARS_MAX;
use crate::turning::{Login, Warrants};

impl Leases {
    /// Those that are due by now, at most so many, and when the next of the others is.
    ///
    /// # Errors
    /// [`SecretError::Store`].
    pub async fn due_by(&self, now: u64, limit: usize) -> Result<(Vec<Lease>, Option<u64>), SecretError> {
        let (mut found, mut next) = (Vec::new(), None);
        for is_troubled in [false, true] {
            // One that somebody altered keeps nobody else's user there.
            let page = self.vault.ledger().record_page(LEASE, due::by(is_troubled, now, None, limit)).await?;
            found.extend(all_taken(page, Lease::of));
            let first = self.vault.ledger().record_page(LEASE, due::next(is_troubled, now)).await?.pop();
            let at = first.and_then(|first| due::time_of(first.lookup.as_deref().unwrap_or_default()));
            next = [next, at].into_iter().flatten().min();
        }
        Ok((found, next))
    }

    /// Puts right what a clock wrote that was ahead, in all that stand: once after each operator's word, since a user of then would stay for
    /// as long as that clock was ahead. How many there were.
    ///
    /// # Errors
    /// [`SecretError::Store`]: the register is away; what was put right stays so.
    pub async fn put_right(&self) -> Result<u64, SecretError> {
        let (now, mut count, mut after) = (self.seconds().await?, 0, None);
        let system = ActorStamp::from(&Actor::system("lease"));
        loop {
            let page = self.vault.ledger().record_page(LEASE, due::all(after.take(), PAGE_MAX)).await?;
            after = page.last().filter(|_| page.len() == PAGE_MAX).and_then(|last| last.lookup.clone());
            for mut lease in all_taken(page, Lease::of) {
                if self.underway().contains_key(lease.id()) || !lease.put_right(now) {
                    continue;
                }
                let record = lease.record(system.clone())?;
                let written = self.vault.ledger().withdraw(vec![record]).await.map(drop).map_err(SecretError::from);
                count += u64::from(is_written(written)?);
            }
            if after.is_none() {
                return Ok(count);
            }
        }
    }

    /// Those whose end was tried without success, at most so many.
    ///
    /// # Errors
    /// [`SecretError::Store`].
    pub async fn troubled(&self, limit: usize) -> Result<Vec<Lease>, SecretError> {
        Ok(all_taken(self.vault.ledger().record_page(LEASE, due::troubled(limit)).await?, Lease::of))
    }

    /// When something is to be done with it: who is being made is left to whoever makes him, as long as that may be.
    pub fn due(&self, lease: &Lease, now: u64) -> Option<u64> {
        match lease.body.stage {
            // What is being made out to him is known in a moment.
            Stage::Making | Stage::Ending if self.underway().contains_key(lease.id()) => Some(now.saturating_add(1)),
            Stage::Making if lease.body.node != self.node => Some(lease.body.since.saturating_add(MAKING_SECS_MAX)),
            Stage::Making | Stage::Live | Stage::Ending | Stage::Ended => lease.due(),
        }
    }

    /// Ends a user whose lease is due: at the target, and then in the register, with his password. What does not succeed is written down
    /// and due again after a while. A crash in between ends him twice, which is once. Who was ended while somebody may be at it is
    /// ended once more, after that has surely come to its end: only then is the lease over.
    ///
    /// # Errors
    /// [`SecretError`]: the register is away, or somebody else is at it.
    pub async fn end(&self, id: &str, warrants: &impl Warrants, targets: &impl Tenancy) -> Result<Lease, SecretError> {
        let mut lease = self.look(id).await?;
        // An end takes a right away: no clock holds it back, and none that is not believed brings it on.
        let now = self.certain();
        if self.due(&lease, now).is_none_or(|due| due > now) {
            return Ok(lease);
        }
        let system = ActorStamp::from(&Actor::system("lease"));
        if lease.body.stage != Stage::Ending {
            // From here on nobody renews him.
            lease.ends_from(now);
            self.vault.ledger().withdraw(vec![lease.record(system.clone())?]).await?;
            lease = self.look(id).await?;
        }
        let why = match self.admin(&lease.body.at, warrants).await {
            Ok(admin) => {
                let login = nobody(&lease.body.user);
                let hirer = Hirer { login: &login, like: &lease.body.like, until: lease.body.until, lease: &lease };
                said(targets.revoke(&lease.body.at, &admin, hirer).await)
            }
            Err(SecretError::Store(error)) => return Err(SecretError::Store(error)),
            Err(other) => Some(other.to_string()),
        };
        // Whoever asked for him may not have heard yet, and a server that makes users may be at it even if he never will: nothing is sure
        // before this. What this node itself signs is signed, or never will be.
        let may_come = lease.body.node != self.node || lease.body.public_key.is_none();
        let settled = lease.settled().filter(|settled| may_come && *settled > now);
        match (why, settled) {
            (None, None) => self.gone(lease, &system).await?,
            (None, Some(settled)) => {
                lease.body.tries = 0;
                lease.body.said = String::new();
                lease.body.not_before = settled;
                self.vault.ledger().withdraw(vec![lease.record(system)?]).await?;
            }
            (Some(said), _) => {
                lease.body.tries = lease.body.tries.saturating_add(1);
                lease.body.not_before = now.saturating_add(pause(lease.body.tries));
                lease.body.said = said.chars().take(SAID_CHARS_MAX).collect();
                self.vault.ledger().withdraw(vec![lease.record(system)?]).await?;
            }
        }
        self.look(id).await
    }

    /// Takes back who was made, or what was made out, and nobody was shown, as it could not be written down: somebody ended him meanwhile,
    /// or the register is away. `made` says what there is, and whether the lease is over by that. An end that came before found nothing:
    /// where this one fails the lease is to be ended once more, with what is known of it. What of that fails too is left to who ends it.
    pub(super) async fn take_back(&self, made: &Lease, admin: &Login, actor: &ActorStamp, targets: &impl Tenancy) {
        let login = nobody(&made.body.user);
        let hirer = Hirer { login: &login, like: &made.body.like, until: made.body.until, lease: made };
        let is_gone = said(targets.revoke(&made.body.at, admin, hirer).await).is_none();
        let is_over = made.body.stage == Stage::Ending;
        for _ in 0..TAKEN_BACK_TRIES {
            let Ok(mut there) = self.look(made.id()).await else { return };
            let has_ended = there.body.stage == Stage::Ended;
            if is_gone && (has_ended || !is_over) {
                return;
            }
            if has_ended || is_over {
                there.ends_from(self.certain());
            }
            there.knows(&made.body.documents);
            // Whoever takes it back is who asked, and has heard.
            there.body.asked = 0;
            let Ok(record) = there.record(actor.clone()) else { return };
            match self.vault.ledger().withdraw(vec![record]).await {
                // Somebody else wrote it meanwhile: what he wrote is read first.
                Err(StoreError::Conflict(_)) => {}
                Ok(_) | Err(_) => return,
            }
        }
    }
}

/// Doubled with each try, up to an hour.
fn pause(tries: u32) -> u64 {
    let doubled = 1u64.checked_shl(tries.saturating_sub(1)).unwrap_or(u64::MAX);
    PAUSE_FIRST_SECS.saturating_mul(doubled).min(PAUSE_LAST_SECS)
}

/// Others who may write the same lease while it is taken back: a few.
const TAKEN_BACK_TRIES: usize = 8;
const PAUSE_FIRST_SECS: u64 = 5;
const PAGE_MAX: usize = 1_000;
