//! The vault's door: what there is, and whether a grant is for it.

use std::sync::Arc;
use std::time::Duration;

use policy::{Action, Grant, Owner, Timestamp};
use ring::rand::SystemRandom;
use store::{Attested, Ledger, SealedValue};

use super::body::SECRET;
use super::memory::{DEKS, Memory, SECRETS, VALUES};
use super::progress::Progress;
use super::recovery_keys::RecoveryKeys;
use super::secret::Secret;
use crate::envelope::Dek;
use crate::error::SecretError;
use crate::nouns::SecretPath;

/// Secrets in the register. Cheap to clone.
#[derive(Clone)]
pub struct Vault {
    pub(super) ledger: Ledger,
    pub(super) deks: Arc<Memory<Dek>>,
    pub(super) secrets: Arc<Memory<Secret>>,
    pub(super) values: Arc<Memory<SealedValue>>,
    pub(super) recovery: Arc<RecoveryKeys>,
    pub(super) progress: Arc<Progress>,
    pub(super) random: SystemRandom,
}

impl Vault {
    /// Over a register. `lease`: so long the key of a version is kept once the token unsealed it, and what was read while it is still
    /// so; zero: the token and the database are asked each time.
    pub fn new(ledger: Ledger, lease: Duration) -> Vault {
        Vault {
            ledger,
            deks: Arc::new(Memory::new(lease, DEKS)),
            secrets: Arc::new(Memory::new(lease, SECRETS)),
            values: Arc::new(Memory::new(lease, VALUES)),
            recovery: Arc::default(),
            progress: Arc::default(),
            random: SystemRandom::new(),
        }
    }

    /// What there is at a path; none where there never was anything. What is gone is said to be.
    ///
    /// # Errors
    /// [`SecretError::Store`].
    pub async fn look(&self, path: &SecretPath) -> Result<Option<Secret>, SecretError> {
        let record = self.ledger.record_get(SECRET, path.as_str()).await?;
        record.map(Attested::into_inner).map(Secret::of).transpose()
    }

    /// The same where it may be as it was a moment ago on another node: what was read before and has no other version that this node
    /// knows of is not read again.
    ///
    /// # Errors
    /// [`SecretError::Store`].
    pub async fn known(&self, path: &SecretPath) -> Result<Option<Arc<Secret>>, SecretError> {
        let path_text = path.as_str();
        if let Some(there) = self.secrets.get(path_text)
            && there.record == self.ledger.version_at(there.place)
        {
            return Ok(Some(there));
        }
        let there = Box::pin(self.look(path)).await?.map(Arc::new);
        if let Some(there) = &there {
            self.secrets.keep(path_text, there, there.bytes());
        }
        Ok(there)
    }

    /// What was a version's is in no memory any more.
    pub(super) fn forget(&self, value: &str) {
        self.deks.forget(value);
        self.values.forget(value);
    }

    /// Whether a grant is for this act on this secret. What was granted for another owner's is granted for nothing here: it was
    /// asked before somebody else made one at that path.
    pub(crate) fn is_for(grant: &Grant, action: Action, path: &SecretPath, owner: &Owner) -> Result<(), SecretError> {
        let on = grant.resource();
        let is_for =
            grant.action() == action && on.path.as_deref() == Some(path.as_str()) && on.owner.as_ref() == Some(owner);
        match is_for {
            true => Ok(()),
            false => Err(SecretError::Conflict(format!(
                "another secret stands at {path} than the one that was asked for: ask again"
            ))),
        }
    }

    /// The time, if it can be believed.
    pub(crate) async fn now(&self) -> Result<Timestamp, SecretError> {
        Ok(self.ledger.time().await?)
    }

    /// Where its keys are drawn from.
    pub(crate) fn random(&self) -> &SystemRandom {
        &self.random
    }

    pub(crate) async fn there(&self, path: &SecretPath) -> Result<Secret, SecretError> {
        let found = self.look(path).await?.filter(|secret| !secret.is_gone());
        found.ok_or_else(|| none_at(path))
    }
}

pub(super) fn none_at(path: &SecretPath) -> SecretError {
    SecretError::NotFound(format!("there is no secret at {path}"))
}
