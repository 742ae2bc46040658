//! The register's side of recovery: its key, what is wrapped to it, and the way back without the token.
//!
//! Every key that the token seals is wrapped to the newest recovery key too: that of a version as it is written, what was there before by
//! a walk ([`Vault::wrap_all`]), the key of the register's heads among them. When the token is lost, the shares open that first
//! ([`LostRegister`]): with it the register opens over a new token (`store::Ledger::recover`), and [`Vault::restore_all`] brings back the rest.
//!
//! Wrapping shows nobody anything, and neither does sealing anew, so neither is an access; each leaves the leaf of a new version, with who
//! did it. Restoring opens each value once, to see that the key is its own, and lets go of it at once.
//!
//! Trusted for: that what is wrapped is what is sealed, to the newest key of this register. Whoever may manage the authority can put a key of
//! his own there: then his papers open, with a backup of any later day, what comes after and, by the walk, all that was before. A leaf says who
//! did it, and an alarm tells it for a week; where several administer, two have to bring a key that follows another ([`Vault::bring_recovery_key`]).

use std::sync::Arc;

use policy::{Action, Grant};
use store::{ActorStamp, Database, SealedKey, StoreError, as_it_stands, wrapped_heads_as_they_stand};

use super::base::Vault;
use super::body::version_of;
use super::recovery_keys::{RECOVERY_KEY, key_of, record_of};
use super::walking::{Step, Walked, Walker};
use crate::envelope::{self, Context, Dek, Envelope, Forged};
use crate::error::SecretError;
use crate::recovery::{RecoveryKey, RecoveryPrivate, WrapError, Wrapped, wrap};

impl Vault {
    /// The newest recovery key of this register; none before a ceremony.
    ///
    /// # Errors
    /// [`SecretError::Store`].
    pub async fn recovery_key(&self) -> Result<Option<Arc<RecoveryKey>>, SecretError> {
        let version = |generation: u16| self.ledger.record_version(RECOVERY_KEY, &generation.to_string());
        let mut newest = self.recovery.held(version);
        loop {
            let next = newest.as_ref().map_or(1, |key| key.generation().saturating_add(1));
            let there = version(next);
            if there == 0 {
                return Ok(newest);
            }
            let Some(key) = self.recovery_key_of(next).await? else { return Ok(newest) };
            let key = Arc::new(key);
            self.recovery.hold(&key, there);
            newest = Some(key);
        }
    }

    /// The recovery key of a generation.
    ///
    /// # Errors
    /// [`SecretError::Store`].
    pub async fn recovery_key_of(&self, generation: u16) -> Result<Option<RecoveryKey>, SecretError> {
        let there = self.ledger.record_get(RECOVERY_KEY, &generation.to_string()).await?;
        there.map(|there| key_of(&there.body, self.ledger.origin(), generation)).transpose()
    }

    /// Takes the public half that a ceremony released. From now on what is written is wrapped to it; what was there before by
    /// [`Vault::wrap_all`].
    ///
    /// # Errors
    /// [`SecretError::Invalid`]: it is another register's, or not of the next generation. [`SecretError::Conflict`]: another came first.
    pub async fn take_recovery_key(&self, grant: &Grant, key: &RecoveryKey) -> Result<(), SecretError> {
        manages(grant)?;
        self.is_next(key).await?;
        self.ledger.record(vec![record_of(key, grant.actor().into())]).await?;
        Ok(())
    }

    /// Whether a key is the next one of this register.
    pub(super) async fn is_next(&self, key: &RecoveryKey) -> Result<(), SecretError> {
        if key.origin() != self.ledger.origin() {
            return Err(WrapError::Elsewhere.into());
        }
        let next = self.recovery_key().await?.map_or(1, |newest| newest.generation().saturating_add(1));
        if key.generation() != next {
            let why = format!("it is of generation {}, and {next} is the next one", key.generation());
            return Err(SecretError::invalid("recovery key", why));
        }
        Ok(())
    }

    /// As a data key stands beside being sealed; none where there is no recovery key.
    pub(crate) async fn wrapped(&self, dek: &Dek, context: &Context<'_>) -> Result<Option<Vec<u8>>, SecretError> {
        let Some(key) = self.recovery_key().await? else { return Ok(None) };
        Ok(Some(wrap(dek, context, &key, &self.random)?.as_bytes().to_vec()))
    }

    /// Wraps to the newest recovery key whatever is sealed and not wrapped to it: what was written before the ceremony.
    ///
    /// # Errors
    /// [`SecretError::NotFound`]: there is no recovery key. [`SecretError::Store`]: the token is away, or the register does not show everything.
    pub async fn wrap_all(&self, grant: &Grant) -> Result<Walked, SecretError> {
        manages(grant)?;
        let none = || SecretError::NotFound("this register has no recovery key: a ceremony makes it".to_owned());
        let to = self.recovery_key().await?.ok_or_else(none)?;
        let actor = ActorStamp::from(grant.actor());
        let (walked, missing) = self.walk(&Wraps { vault: self, to: &to, actor: &actor }).await?;
        if missing > 0 {
            return Err(SecretError::Store(StoreError::Altered(not_shown(missing))));
        }
        self.note_wrapped(to.generation(), &walked, actor).await?;
        Ok(walked)
    }

    /// Opens with the shares' key what is not sealed under the generation in force, and seals it under that. What cannot be opened, what
    /// somebody altered and what the register does not show is left as it is, and named; the rest comes back.
    ///
    /// # Errors
    /// [`SecretError::Store`]: the token or the register is away.
    pub async fn restore_all(&self, grant: &Grant, private: &RecoveryPrivate) -> Result<Walked, SecretError> {
        manages(grant)?;
        let none = || SecretError::invalid("sealing key", "none is in force to seal under");
        let active = self.ledger.seal_in_force().ok_or_else(none)?;
        let actor = ActorStamp::from(grant.actor());
        // Before anything is opened: from here on the key is one that was in a machine.
        self.note_joined(private.key().generation(), actor.clone()).await?;
        let (mut walked, missing) = self.walk(&Restores { vault: self, private, active, actor: &actor }).await?;
        if missing > 0 {
            walked.leaves(NOT_SHOWN.to_owned(), not_shown(missing), missing);
        }
        Ok(walked)
    }

    /// A key that was wrapped, and that opens what it is the key of; else what is to be said of it.
    async fn unwrapped(&self, key: &SealedKey, private: &RecoveryPrivate) -> Result<Result<Dek, Step>, SecretError> {
        let left = |why: &str| Ok(Err(Step::Left(why.to_owned())));
        let Some(context) = context_of(self.ledger.origin(), key) else { return left(NO_KEY) };
        let Some(wrapped) = wrapped_in(key) else { return left("it was never wrapped to a recovery key") };
        if wrapped.generation() != private.key().generation() {
            let generation = wrapped.generation();
            return left(&format!("it is wrapped to generation {generation}: its shares open it, and no others"));
        }
        let Ok(dek) = private.unwrap(&wrapped, &context) else {
            return left("what is wrapped is not its key: somebody exchanged it");
        };
        if key.is_of_value() {
            let Some(value) = self.ledger.value(key.id()).await? else { return Ok(Err(Step::Moved)) };
            if envelope::open(Envelope(value.into_inner().envelope), &context, &dek).is_err() {
                return left("what is wrapped opens another value: somebody exchanged it");
            }
        }
        Ok(Ok(dek))
    }
}

/// Who wraps.
struct Wraps<'a> {
    vault: &'a Vault,
    to: &'a RecoveryKey,
    actor: &'a ActorStamp,
}

impl Walker for Wraps<'_> {
    async fn step(&self, key: &SealedKey) -> Result<Step, SecretError> {
        let Wraps { vault: Vault { ledger, random, .. }, to, actor } = self;
        if wrapped_in(key).is_some_and(|wrapped| wrapped.generation() == to.generation()) {
            return Ok(Step::Before);
        }
        let left = |why: &str| Ok(Step::Left(why.to_owned()));
        let Some(context) = context_of(ledger.origin(), key) else { return left(NO_KEY) };
        if ledger.is_seal_lost(key.generation()) {
            return left("the key that it is sealed under is lost, and nobody opens it");
        }
        let wrapping = |plain: &[u8]| {
            let dek = Dek::unsealed(plain).ok_or(Forged)?;
            Ok::<_, SecretError>(wrap(&dek, &context, to, random)?.as_bytes().to_vec())
        };
        match ledger.wrap_key(key, wrapping, actor).await {
            Ok(()) => Ok(Step::Done),
            Err(SecretError::Conflict(_)) => Ok(Step::Moved),
            Err(other) => Err(other),
        }
    }
}

/// Who brings back.
struct Restores<'a> {
    vault: &'a Vault,
    private: &'a RecoveryPrivate,
    /// The generation that is sealed under.
    active: u32,
    actor: &'a ActorStamp,
}

impl Walker for Restores<'_> {
    async fn step(&self, key: &SealedKey) -> Result<Step, SecretError> {
        if key.generation() == self.active {
            return Ok(Step::Before);
        }
        let dek = match self.vault.unwrapped(key, self.private).await? {
            Ok(dek) => dek,
            Err(step) => return Ok(step),
        };
        match self.vault.ledger.seal_again(key, dek.to_seal(), self.actor).await {
            Ok(()) => Ok(Step::Done),
            Err(StoreError::Conflict(_)) => Ok(Step::Moved),
            Err(other) => Err(other.into()),
        }
    }
}

/// A register that no token opens: what the shares open of it first.
///
/// Nothing of it is attested. The shares say whether the key is theirs, the head's own seal whether what it opens is the key of the heads;
/// once the register is open, its log says so of both.
#[derive(Debug)]
pub struct LostRegister {
    key: RecoveryKey,
    heads: Wrapped,
}

impl LostRegister {
    /// As it stands in a database that nobody opens.
    ///
    /// # Errors
    /// [`SecretError::NotFound`]: the key of its heads is wrapped to no recovery key. [`SecretError::Store`].
    pub async fn of(database: Database, origin: &str) -> Result<LostRegister, SecretError> {
        let none =
            || SecretError::NotFound("the key of this register's heads is wrapped to no recovery key".to_owned());
        let heads = wrapped_heads_as_they_stand(database.clone()).await?.ok_or_else(none)?;
        let heads = Wrapped::from_bytes(heads)?;
        let generation = heads.generation();
        let none = || SecretError::NotFound(format!("this register has no recovery key of generation {generation}"));
        let body = as_it_stands(database, RECOVERY_KEY, generation.to_string()).await?.ok_or_else(none)?;
        Ok(LostRegister { key: key_of(&body, origin, generation)?, heads })
    }

    /// The recovery key whose shares open it.
    pub fn key(&self) -> &RecoveryKey {
        &self.key
    }

    /// The key of the heads, for `store::Ledger::recover`.
    ///
    /// # Errors
    /// [`Forged`].
    pub fn open(&self, private: &RecoveryPrivate) -> Result<Dek, Forged> {
        private.unwrap(&self.heads, &of_heads(self.key.origin()))
    }
}

pub(super) fn manages(grant: &Grant) -> Result<(), SecretError> {
    match grant.action() {
        Action::ManageAuthority => Ok(()),
        _ => Err(SecretError::Conflict("this was granted for something else than managing the authority".to_owned())),
    }
}

/// What a sealed key is wrapped as; none where it is the key of nothing that is known here.
fn context_of<'a>(origin: &'a str, key: &'a SealedKey) -> Option<Context<'a>> {
    if key.is_of_heads() {
        return Some(of_heads(origin));
    }
    let (path, life, version) = version_of(key.id())?;
    key.is_of_value().then_some(Context { origin, path, life, version, owner: key.owner().unwrap_or_default() })
}

/// No version of a secret is of life 0.
fn of_heads(origin: &str) -> Context<'_> {
    Context { origin, path: "head-key", life: 0, version: 0, owner: "" }
}

fn wrapped_in(key: &SealedKey) -> Option<Wrapped> {
    key.wrapped().and_then(|bytes| Wrapped::from_bytes(bytes.to_vec()).ok())
}

fn not_shown(missing: u64) -> String {
    format!("the register does not show {missing} of the keys that are sealed in it")
}

/// What stands where a name would.
const NOT_SHOWN: &str = "(not shown)";
const NO_KEY: &str = "it is the key of no version of a secret, and of no transit key";
