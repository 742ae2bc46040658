//! Ends: out of use, and back; and gone for good.

use policy::{Action, Grant, Owner, Timestamp};
use store::{ActorStamp, Record};

use super::base::Vault;
use super::body::{Deleted, value_id};
use super::secret::Secret;
use super::writing::{give_up, record_of};
use crate::error::SecretError;
use crate::nouns::{Label, SecretPath, Which};

impl Vault {
    /// Takes a version out of use, or back into it.
    ///
    /// # Errors
    /// [`SecretError::NotFound`], [`SecretError::OutOfUse`]: it was destroyed.
    pub async fn enable(
        &self,
        grant: Grant,
        path: &SecretPath,
        which: &Which,
        is_enabled: bool,
    ) -> Result<Secret, SecretError> {
        self.amend(&grant, path, |secret, body| {
            let number = secret.find(which)?.number;
            match body.version_mut(number) {
                Some(version) if version.destroyed => {
                    Err(SecretError::OutOfUse(format!("version {number} of {path} was destroyed")))
                }
                Some(version) => {
                    if !is_enabled {
                        secret.free()?;
                    }
                    version.disabled = !is_enabled;
                    Ok(())
                }
                None => Err(SecretError::NotFound(format!("the secret {path} has no version {number}"))),
            }
        })
        .await
    }

    /// Takes a secret out of use. It can be restored until somebody destroys it, which nobody can before `retention_days` are over.
    ///
    /// # Errors
    /// [`SecretError::Invalid`]: fewer days than [`RETENTION_DAYS_MIN`]. [`SecretError::OutOfUse`]: it is deleted already.
    pub async fn delete(&self, grant: Grant, path: &SecretPath, retention_days: u32) -> Result<Secret, SecretError> {
        if !(RETENTION_DAYS_MIN..=RETENTION_DAYS_MAX).contains(&retention_days) {
            let why = format!("{RETENTION_DAYS_MIN} to {RETENTION_DAYS_MAX} days");
            return Err(SecretError::invalid("retention", why));
        }
        let at = self.now().await?;
        let until = at.plus_secs(i64::from(retention_days) * DAY_SECS);
        self.amend(&grant, path, |secret, body| {
            secret.free()?;
            body.deleted = Some(Deleted { at, until });
            Ok(())
        })
        .await
    }

    /// Takes a deleted secret back into use.
    ///
    /// # Errors
    /// [`SecretError::Conflict`]: it is not deleted, or it moved meanwhile.
    pub async fn restore(&self, grant: Grant, path: &SecretPath) -> Result<Secret, SecretError> {
        let secret = self.there(path).await?;
        Vault::is_for(&grant, Action::WriteSecret, path, secret.owner())?;
        if secret.body.deleted.is_none() {
            return Err(SecretError::Conflict(format!("the secret {path} is not deleted")));
        }
        let mut body = secret.body.clone();
        body.deleted = None;
        let record = record_of(path, secret.owner(), &body, grant.actor().into(), secret.record)?;
        self.ledger.record(vec![record]).await?;
        self.there(path).await
    }

    /// Does away with versions for good; with all of them, of a deleted secret whose time is over.
    ///
    /// # Errors
    /// [`SecretError::Conflict`]: it is locked, a label stands at one of them, or its time is not over.
    pub async fn destroy_versions(
        &self,
        grant: Grant,
        path: &SecretPath,
        which: &[Which],
    ) -> Result<Secret, SecretError> {
        let secret = self.there(path).await?;
        Vault::is_for(&grant, Action::DestroySecret, path, secret.owner())?;
        unlocked(&secret)?;
        let mut body = secret.body.clone();
        let mut numbers = Vec::with_capacity(which.len());
        for which in which {
            let number = secret.find(which)?.number;
            if let Some(label) = secret.body.labels_of(number).next() {
                let first = match label {
                    Label::PENDING => format!("give it up first (`{}`)", give_up(path)),
                    _ => "move it first".to_owned(),
                };
                let why =
                    format!("the label {label} stands at version {number} of {path}: {first}, or delete the secret");
                return Err(SecretError::Conflict(why));
            }
            if let Some(version) = body.version_mut(number) {
                version.destroyed = true;
                numbers.push(number);
            }
        }
        let actor = ActorStamp::from(grant.actor());
        let record = record_of(path, secret.owner(), &body, actor.clone(), secret.record)?;
        self.destroy((path, secret.owner(), body.life), &numbers, vec![record], &actor).await?;
        self.there(path).await
    }

    /// Does away with a deleted secret for good. Its path is free then.
    ///
    /// # Errors
    /// [`SecretError::Conflict`]: it is locked, is not deleted, or its time is not over.
    pub async fn purge(&self, grant: Grant, path: &SecretPath) -> Result<Secret, SecretError> {
        let (secret, now) = (self.there(path).await?, self.now().await?);
        Vault::is_for(&grant, Action::DestroySecret, path, secret.owner())?;
        unlocked(&secret)?;
        over(&secret, now)?;
        let mut body = secret.body.clone();
        let numbers: Vec<u64> = body.versions.iter().filter(|v| !v.destroyed).map(|v| v.number).collect();
        body.gone = true;
        body.labels.clear();
        body.versions.clear();
        let actor = ActorStamp::from(grant.actor());
        let record = record_of(path, secret.owner(), &body, actor.clone(), secret.record)?;
        self.destroy((path, secret.owner(), body.life), &numbers, vec![record], &actor).await?;
        let none = || SecretError::NotFound(format!("there is no secret at {path}"));
        self.look(path).await?.ok_or_else(none)
    }

    /// Values that go, with records that say so.
    pub(super) async fn destroy(
        &self,
        (path, owner, life): (&SecretPath, &Owner, u64),
        numbers: &[u64],
        records: Vec<Record>,
        actor: &ActorStamp,
    ) -> Result<(), SecretError> {
        let ids: Vec<String> = numbers.iter().map(|number| value_id(path.as_str(), life, *number)).collect();
        ids.iter().for_each(|id| self.forget(id));
        let values: Vec<_> = ids.into_iter().map(|id| (id, Some(owner.as_str().to_owned()))).collect();
        if values.is_empty() && records.is_empty() {
            return Ok(());
        }
        Ok(self.ledger.destroy_values(values, records, actor).await?)
    }
}

fn unlocked(secret: &Secret) -> Result<(), SecretError> {
    match secret.is_purge_locked() {
        false => Ok(()),
        true => Err(SecretError::Conflict(format!(
            "the secret {} is locked against destruction: take the lock away first, which the log says",
            secret.path()
        ))),
    }
}

fn over(secret: &Secret, now: Timestamp) -> Result<(), SecretError> {
    match secret.deleted() {
        Some((_, until)) if until <= now => Ok(()),
        Some((_, until)) => Err(SecretError::Conflict(format!(
            "the secret {} can be restored until {until}, and not destroyed before",
            secret.path()
        ))),
        None => Err(SecretError::Conflict(format!("the secret {} is in use: delete it first", secret.path()))),
    }
}

/// The clouds' least: a mistake is noticed within a week.
pub const RETENTION_DAYS_MIN: u32 = 7;
/// Ten years.
pub const RETENTION_DAYS_MAX: u32 = 3_650;
const DAY_SECS: i64 = 86_400;
