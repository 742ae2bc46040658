//! What people ask of leases: users asked for, shown once, given back, forgotten; and whether there is room for one more.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use policy::{Action, Grant, Secret};
use ring::rand::SecureRandom;
use store::{AccessEntry, ActorStamp, RecordFilter, Showing, StoreError};

use super::drawn::{Credential, credential, keep};
use super::place::{Document, Hired, Hirer, Tenancy};
use super::records::{LEASE, LEASE_SECS_MIN, Lease, LeaseBody, LeaseRole, Stage};
use crate::due;
use crate::error::SecretError;
use crate::nouns::{SecretPath, Which};
use crate::page::{Page, all_taken, taken};
use crate::rotation::Outcome;
use crate::turning::{At, Login, Warrants, is_reason, login_of};
use crate::vault::{Vault, value_id};

/// Leases of the register. Cheap to clone.
#[derive(Clone)]
pub struct Leases {
    pub(super) vault: Vault,
    pub(super) node: u16,
    /// Those that are being made by this process, and of which role.
    underway: Arc<Mutex<HashMap<String, SecretPath>>>,
    /// Roles whose target did not answer, and until when nobody is written down for them.
    away: Arc<Mutex<HashMap<SecretPath, u64>>>,
}

/// That one is being made; it is known as long as this stands.
pub(super) struct Underway<'a>(pub &'a Leases, pub String);

impl Drop for Underway<'_> {
    fn drop(&mut self) {
        self.0.underway().remove(&self.1);
    }
}

/// Which user is asked for.
#[derive(Clone, Debug, Default)]
pub struct LeaseWish {
    /// For how long, in seconds; none: as the role says.
    pub secs: Option<u64>,
    /// Of SSH: his own key, as a line of OpenSSH; none: one is drawn.
    pub public_key: Option<String>,
}

/// A user, shown once.
#[derive(Debug)]
pub struct Leased {
    /// The lease.
    pub lease: Lease,
    /// With what he logs in: his password, or the private key that was drawn; empty where the key is his own.
    pub password: Secret<String>,
    /// What he shows beside it.
    pub document: Option<Document>,
    /// The entry of the log that says to whom it was shown.
    pub leaf: u64,
}

impl Leases {
    /// Of this vault's register, as this node of it makes them.
    pub fn new(vault: Vault, node: u16) -> Leases {
        Leases { vault, node, underway: Arc::default(), away: Arc::default() }
    }

    /// A lease by its name.
    ///
    /// # Errors
    /// [`SecretError::NotFound`], [`SecretError::Store`].
    pub async fn look(&self, id: &str) -> Result<Lease, SecretError> {
        let none = || SecretError::NotFound("there is no such lease".to_owned());
        let record = self.vault.ledger().record_get(LEASE, id).await?.ok_or_else(none)?;
        Lease::of(record.into_inner())
    }

    /// A page of those that did not end, the first due first, and where the next begins. For eyes.
    ///
    /// # Errors
    /// [`SecretError::Store`].
    pub async fn list(&self, after: Option<String>, limit: usize) -> Result<Page<Lease>, SecretError> {
        let limit = limit.clamp(1, PAGE_MAX);
        let page = self.vault.ledger().record_page(LEASE, due::all(after, limit)).await?;
        let last = page.last().filter(|_| page.len() == limit).and_then(|last| last.lookup.clone());
        let mut found = Page::new();
        for listed in page {
            let lease = found.believed(taken(listed.record, Lease::of));
            found.items.extend(lease);
        }
        Ok(found.until(last))
    }

    /// Makes a user and shows his password, once. What a crash leaves at each step:
    /// 1. he is written down, his password sealed: nobody is there, and he is revoked by his name after a while; somebody may end him
    ///    already, and who does looks once more when this has surely come to its end;
    /// 2. he is made at the target: the same;
    /// 3. he is written down as being there: he lives to the end of his lease, and nobody knows his password;
    /// 4. that it is shown is in the log: then it is.
    ///
    /// # Errors
    /// [`SecretError::Conflict`]: the target refused, or too many of the role did not end yet; [`SecretError::Away`]: it does not answer.
    /// Whoever may have been made is revoked; who surely was not has ended.
    pub async fn lease(
        &self,
        grant: Grant,
        path: &SecretPath,
        wish: LeaseWish,
        warrants: &impl Warrants,
        targets: &impl Tenancy,
    ) -> Result<Leased, SecretError> {
        let role = self.role_there(path).await?;
        Vault::is_for(&grant, Action::LeaseSecret, path, &role.owner)?;
        let secs = wish.secs.unwrap_or(role.body.secs);
        if !(LEASE_SECS_MIN..=role.body.secs_max).contains(&secs) {
            let why = format!("{LEASE_SECS_MIN} s at least, and {} s at most of this role", role.body.secs_max);
            return Err(SecretError::invalid("lease", why));
        }
        let now = self.seconds().await?;
        self.is_answering(path, now)?;
        let (id, user) = self.names(path)?;
        // From here on it is counted by whoever comes next.
        self.underway().insert(id.clone(), path.clone());
        let _underway = Underway(self, id.clone());
        self.has_room(&role).await?;
        let admin = self.admin(&role.body.at, warrants).await?;
        let Credential { login, public_key } = credential(role.body.at.product, user.clone(), wish.public_key)?;
        let body = LeaseBody {
            role: path.as_str().to_owned(),
            at: role.body.at,
            like: role.body.like,
            user: user.clone(),
            node: self.node,
            stage: Stage::Making,
            by: grant.actor().id.clone(),
            since: now,
            until: now.saturating_add(secs),
            until_max: now.saturating_add(role.body.secs_max),
            is_doubtful: public_key.is_some(),
            public_key,
            documents: Vec::new(),
            asked: now,
            tries: 0,
            not_before: 0,
            said: String::new(),
            forgotten: None,
        };
        let lease = Lease { id, role: path.clone(), owner: role.owner, version: 0, body };
        let value = keep(&self.vault, &lease, &login, ActorStamp::from(grant.actor())).await?;

        let mut lease = self.look(&lease.id).await?;
        if lease.body.stage != Stage::Making {
            let why = format!("the lease {} was given back before its user was made: ask for another", lease.id);
            return Err(SecretError::Conflict(why));
        }
        let hirer = Hirer { login: &login, like: &lease.body.like, until: lease.body.until, lease: &lease };
        let Hired { outcome, document } = targets.create(&lease.body.at, &admin, hirer).await;
        let actor = ActorStamp::from(grant.actor());
        let why = |said: &str| format!("no user was made for {path}: {said}");
        match outcome {
            Outcome::Done | Outcome::Made(_) => {}
            // He surely is not there: nobody has to end him, and nobody is told of him.
            Outcome::Away(said) => {
                let until = self.certain().saturating_add(AWAY_PAUSE_SECS);
                self.away().insert(path.clone(), until);
                self.gone(lease, &actor).await?;
                return Err(SecretError::Away(why(&format!("the target is away: {said}"))));
            }
            Outcome::Refused(said) => {
                self.gone(lease, &actor).await?;
                return Err(SecretError::Conflict(why(&format!("the target refused: {said}"))));
            }
            // Whatever is there is ended by whoever is at it.
            Outcome::Unknown(said) => {
                lease.ends_from(self.certain());
                self.vault.ledger().withdraw(vec![lease.record(actor)?]).await?;
                return Err(SecretError::Conflict(why(&format!("the target's answer did not come: {said}"))));
            }
        }
        lease.body.stage = Stage::Live;
        lease.takes_down(document.as_ref().map(|document| document.id.clone()));
        let live = lease.record(actor.clone())?;
        if let Err(error) = self.vault.ledger().record(vec![live]).await {
            // Nobody was shown him, and somebody may have ended him before he was there.
            lease.ends_from(self.certain());
            self.take_back(&lease, &admin, &actor, targets).await;
            return Err(error.into());
        }
        let entry = AccessEntry {
            actor: grant.actor().into(),
            grant: (&grant).into(),
            showing: Showing::Opened,
            opened: vec![value],
            since: None,
            until: None,
            judged: vec![],
            used: None,
        };
        let recorded = self.vault.ledger().access(entry).await;
        let mut lease = self.look(&lease.id).await?;
        match recorded {
            Ok(recorded) => Ok(Leased { lease, password: login.secret, document, leaf: recorded.leaf() }),
            // Nobody was shown him: nobody needs him.
            Err(error) => {
                lease.ends_from(now);
                self.vault.ledger().withdraw(vec![lease.record(ActorStamp::from(grant.actor()))?]).await?;
                Err(error.into())
            }
        }
    }

    /// Gives a user back: he is ended as soon as the target answers. One who is being ended is tried again now.
    ///
    /// # Errors
    /// [`SecretError::NotFound`], [`SecretError::Conflict`].
    pub async fn give_back(&self, grant: Grant, id: &str) -> Result<Lease, SecretError> {
        for look in (0..GIVEN_BACK_TRIES).rev() {
            let mut lease = self.look(id).await?;
            let is_for = |action| Vault::is_for(&grant, action, &lease.role, &lease.owner);
            is_for(Action::LeaseSecret).or_else(|_| is_for(Action::WriteSecret))?;
            match lease.body.stage {
                // Its turn has come, and nobody asked for more.
                Stage::Ending if lease.body.tries == 0 => return Ok(lease),
                Stage::Ended => return Ok(lease),
                Stage::Making | Stage::Live | Stage::Ending => {}
            }
            lease.ends_from(self.certain());
            // It is told of as before, and has all its tries again.
            lease.body.tries = lease.body.tries.min(1);
            match self.vault.ledger().withdraw(vec![lease.record(ActorStamp::from(grant.actor()))?]).await {
                // Whoever makes, renews or ends him wrote it meanwhile: what he wrote is read first.
                Err(StoreError::Conflict(_)) if look > 0 => {}
                written => {
                    written?;
                    return self.look(id).await;
                }
            }
        }
        self.look(id).await
    }

    /// Takes a user off who cannot be ended: somebody looked at the target, or it is gone for good. Nothing is asked of it any more.
    ///
    /// # Errors
    /// [`SecretError::Conflict`]: he is there, and no end of his failed; [`SecretError::Invalid`]: no reason.
    pub async fn forget(&self, grant: Grant, id: &str, reason: &str) -> Result<Lease, SecretError> {
        let mut lease = self.look(id).await?;
        Vault::is_for(&grant, Action::DestroySecret, &lease.role, &lease.owner)?;
        if !is_reason(reason) {
            return Err(SecretError::invalid("reason", REASON));
        }
        match lease.body.stage {
            Stage::Ending if lease.body.tries > 0 => {
                lease.body.forgotten = Some(reason.to_owned());
                self.gone(lease, &ActorStamp::from(grant.actor())).await?;
                self.look(id).await
            }
            Stage::Ended => Ok(lease),
            Stage::Making | Stage::Live | Stage::Ending => Err(SecretError::Conflict(format!(
                "no end of {id} failed: give it back with `chancery secret lease revoke {id}`, and forget it where that fails"
            ))),
        }
    }

    /// Whether one more may be made: what did not end is bounded, of a role and of an owner, so that nobody's ends are waited for by
    /// those of others.
    async fn has_room(&self, role: &LeaseRole) -> Result<(), SecretError> {
        let owner = Some(role.owner.as_str().to_owned());
        let filter = RecordFilter { owner, ..due::all(None, LEASES_OF_OWNER_MAX) };
        let page = self.vault.ledger().record_page(LEASE, filter).await?;
        let is_full = page.len() >= LEASES_OF_OWNER_MAX;
        let listed = page.len();
        let standing = all_taken(page, Lease::of);
        // Of whichever role one is that somebody altered: its user may stand there.
        let altered = listed.saturating_sub(standing.len());
        let of_role = standing.iter().filter(|lease| lease.role == role.path).count().saturating_add(altered);
        let underway = self.underway();
        let is_new = |id: &String| !standing.iter().any(|lease| lease.id == *id);
        let begun = underway.iter().filter(|(id, path)| **path == role.path && is_new(id)).count();
        drop(underway);
        let why = match () {
            () if of_role.saturating_add(begun) > LEASES_OF_ROLE_MAX => {
                format!("{} has {LEASES_OF_ROLE_MAX} users that did not end yet", role.path)
            }
            () if is_full => {
                format!("the roles of {} have {LEASES_OF_OWNER_MAX} users that did not end yet", role.owner)
            }
            () => return Ok(()),
        };
        Err(SecretError::Conflict(format!(
            "{why}: give some back (`chancery secret lease list`, `chancery secret lease revoke ID`), or ask when some have ended"
        )))
    }

    /// Whether the target of a role answered, or was not asked lately: whoever asks again and again writes nothing down.
    fn is_answering(&self, path: &SecretPath, now: u64) -> Result<(), SecretError> {
        let mut away = self.away();
        away.retain(|_, until| *until > now && *until <= now.saturating_add(AWAY_PAUSE_SECS));
        match away.contains_key(path) {
            true => Err(SecretError::Away(format!(
                "the target of {path} did not answer a moment ago, and nobody was made: ask again in {AWAY_PAUSE_SECS} s"
            ))),
            false => Ok(()),
        }
    }

    pub(super) fn away(&self) -> MutexGuard<'_, HashMap<SecretPath, u64>> {
        self.away.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nobody is there: so it is written, and his password goes.
    pub(super) async fn gone(&self, mut lease: Lease, actor: &ActorStamp) -> Result<(), SecretError> {
        lease.body.stage = Stage::Ended;
        lease.body.tries = 0;
        let value = (value_id(&Lease::value_path(&lease.id), 1, 1), Some(lease.owner.as_str().to_owned()));
        let records = vec![lease.record(actor.clone())?];
        self.vault.ledger().destroy_values(vec![value], records, actor).await?;
        Ok(())
    }

    /// A lease's name, and its user's: his role's last level, so that people recognise him, and what was drawn.
    fn names(&self, path: &SecretPath) -> Result<(String, String), SecretError> {
        let mut bytes = [0; 16];
        self.vault.random().fill(&mut bytes)?;
        let id: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let last = path.as_str().rsplit('/').next().unwrap_or_default();
        let word: String = last.chars().filter(char::is_ascii_alphanumeric).take(WORD_CHARS_MAX).collect();
        Ok((id.clone(), format!("chy_{}_{}", word.to_ascii_lowercase(), id.get(..20).unwrap_or(&id))))
    }

    /// Who makes and ends users there.
    pub(super) async fn admin(&self, at: &At, warrants: &impl Warrants) -> Result<Login, SecretError> {
        if !at.product.has_administrator() {
            return Ok(nobody(""));
        }
        let none = || SecretError::invalid("admin", "the role has no administrator: set it up again");
        let path: SecretPath = at.admin.as_ref().ok_or_else(none)?.parse()?;
        let there = self.vault.there(&path).await?;
        at.is_of(&there)?;
        let grant = warrants.warrant(Action::LeaseSecret, &path, there.owner()).await?;
        let opened = self.vault.used(&grant, &path, &Which::default()).await?;
        // Another life may have begun since.
        at.is_of(&opened.secret)?;
        login_of(&opened)
    }

    pub(super) fn underway(&self) -> MutexGuard<'_, HashMap<String, SecretPath>> {
        self.underway.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time, in seconds since 1970, if it can be believed: for what begins.
    pub(super) async fn seconds(&self) -> Result<u64, SecretError> {
        Ok(u64::try_from(self.vault.now().await?.unix()).unwrap_or_default())
    }

    /// The time that has surely come, which nothing waits for: who is ended does not come back.
    pub(super) fn certain(&self) -> u64 {
        u64::try_from(self.vault.ledger().certain_time().unix()).unwrap_or_default()
    }
}

/// Who is renewed or revoked needs no password.
pub(super) fn nobody(user: &str) -> Login {
    Login { user: user.to_owned(), secret: Secret::new(String::new()) }
}

/// Why it is not done; none where it is.
pub(super) fn said(outcome: Outcome) -> Option<String> {
    match outcome {
        Outcome::Done | Outcome::Made(_) => None,
        Outcome::Refused(said) => Some(format!("the target refused: {said}")),
        Outcome::Away(said) => Some(format!("the target is away: {said}")),
        Outcome::Unknown(said) => Some(format!("the target's answer did not come: {said}")),
    }
}

const PAGE_MAX: usize = 1_000;
/// Others who may write a lease at the moment at which it is given back: a few.
const GIVEN_BACK_TRIES: usize = 8;
/// After a target did not answer, nobody is made by that role for so long.
const AWAY_PAUSE_SECS: u64 = 5;
/// So many users of one role stand at once: each has to be ended, and is looked at until then.
pub const LEASES_OF_ROLE_MAX: usize = 200;
/// So many of all roles of one owner: fewer than are looked at at once.
pub const LEASES_OF_OWNER_MAX: usize = 1_000;
const REASON: &str = "say in a line why: who looked at the target, and what was there";
/// So much of a role's name stands in its users': with what is drawn they fit every target.
const WORD_CHARS_MAX: usize = 16;
