//! A secret and the record of what exchanges it, written together or not at all.

use std::collections::BTreeMap;
use std::sync::Arc;

use policy::{Action, Grant, Owner, Timestamp};
use store::{Ledger, Record};

use super::base::Vault;
use super::body::Body;
use super::secret::Secret;
use super::wishes::{Change, Put};
use super::writing::{TRIES_MAX, record_of};
use crate::error::SecretError;
use crate::kinds::{Fields, Kind, Patch};
use crate::nouns::{Label, SecretPath, Which};

/// At which versions the labels stand that move by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Labels {
    pub current: u64,
    pub pending: Option<u64>,
    pub previous: Option<u64>,
    /// One that may be in use outside, although it was never `current`: it was set at a target.
    pub set: Option<u64>,
}

/// What is written of a secret beside another record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Beside<'a> {
    /// That it may be.
    pub grant: &'a Grant,
    pub path: &'a SecretPath,
    /// Whether a rotation exchanges it from now on.
    pub is_rotated: bool,
}

/// What is current.
pub(crate) struct Current {
    pub kind: Kind,
    pub owner: Owner,
    pub number: u64,
    pub at: Timestamp,
    pub expires: Option<Timestamp>,
    pub fields: Fields,
}

/// What was opened to be used.
pub(crate) struct Used {
    pub secret: Arc<Secret>,
    pub number: u64,
    pub fields: Fields,
}

impl Labels {
    fn set(self, labels: &mut BTreeMap<String, u64>) {
        let all =
            [(Label::CURRENT, Some(self.current)), (Label::PENDING, self.pending), (Label::PREVIOUS, self.previous)];
        for (label, at) in all {
            match at {
                Some(number) => labels.insert(label.to_owned(), number),
                None => labels.remove(label),
            };
        }
    }
}

impl Vault {
    /// What is current, opened for whoever may write it, which the log says: its number, since when it is there, until when it is
    /// used, and its fields.
    pub(crate) async fn current(&self, grant: &Grant, path: &SecretPath) -> Result<Current, SecretError> {
        let secret = self.there(path).await?;
        Vault::is_for(grant, Action::WriteSecret, path, secret.owner())?;
        let now = self.now().await?;
        let (sealed, fields, _) = self.open_one(grant, (path, secret.owner()), &Which::default(), now).await?;
        let none = || SecretError::NotFound(format!("the secret {path} has no current version"));
        let version = sealed.secret.body.version(sealed.number).ok_or_else(none)?;
        let (number, at, expires) = (version.number, version.at, version.expires);
        Ok(Current { kind: secret.kind(), owner: secret.owner().clone(), number, at, expires, fields })
    }

    /// A version opened for what the service does with it by itself: an entry of the log, and no reading that the inventory counts. For
    /// whoever may write it, or lease by it.
    pub(crate) async fn used(&self, grant: &Grant, path: &SecretPath, which: &Which) -> Result<Used, SecretError> {
        let secret = self.there(path).await?;
        let is_for = |action| Vault::is_for(grant, action, path, secret.owner());
        is_for(Action::WriteSecret).or_else(|_| is_for(Action::LeaseSecret))?;
        let now = self.ledger.believed_time();
        let (sealed, fields, _) = self.open_one(grant, (path, secret.owner()), which, now).await?;
        Ok(Used { secret: sealed.secret, number: sealed.number, fields })
    }

    /// The register below.
    pub(crate) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Sets the labels, and writes another record, in one transaction; the other alone where nothing of the secret changes.
    pub(crate) async fn relabel(&self, beside: Beside<'_>, labels: Labels, other: Record) -> Result<(), SecretError> {
        let Beside { grant, path, is_rotated } = beside;
        for _ in 0..TRIES_MAX {
            let secret = self.there(path).await?;
            Vault::is_for(grant, Action::WriteSecret, path, secret.owner())?;
            secret.present()?;
            let body = relabelled(&secret, labels, is_rotated)?;
            let mut records = vec![other.clone()];
            if body != secret.body {
                records.push(record_of(path, secret.owner(), &body, grant.actor().into(), secret.record)?);
            }
            match self.ledger.record(records).await.map_err(SecretError::from) {
                Ok(_) => return Ok(()),
                // The other one moved: it is its writer's to look again.
                Err(SecretError::Conflict(why))
                    if other.expect != Some(self.ledger.record_version(other.kind, &other.id)) =>
                {
                    return Err(SecretError::Conflict(why));
                }
                Err(SecretError::Conflict(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Err(SecretError::Conflict(format!("the secret {path} changes all the time: try again")))
    }

    /// Makes a version that is `pending`: with these fields, a password that is drawn, and whatever else is current. Another record,
    /// which may say the version's number, is written in the same transaction.
    pub(crate) async fn make(
        &self,
        beside: Beside<'_>,
        owner: &Owner,
        patch: Patch,
        other: impl FnOnce(u64) -> Result<Record, SecretError>,
    ) -> Result<(), SecretError> {
        let Beside { grant, path, is_rotated } = beside;
        Vault::is_for(grant, Action::WriteSecret, path, owner)?;
        let put = Put { change: Change::Patch(patch), draw: true, pending: true, ..Put::default() };
        let now = self.now().await?;
        let mut draft = self.draft(grant, (path, owner), &put, now).await?;
        draft.body.rotated = is_rotated;
        let other = other(draft.body.newest)?;
        self.keep(grant, (path, owner), draft, &put, vec![other]).await.map(drop)
    }
}

impl Vault {
    /// Writes a version, which is current from now on, and another record in the same transaction. Once: who may try again says so.
    pub(crate) async fn put_beside(
        &self,
        grant: &Grant,
        (path, owner): (&SecretPath, &Owner),
        put: &Put,
        other: Record,
    ) -> Result<(), SecretError> {
        Vault::is_for(grant, Action::WriteSecret, path, owner)?;
        let now = self.now().await?;
        let draft = self.draft(grant, (path, owner), put, now).await?;
        self.keep(grant, (path, owner), draft, put, vec![other]).await.map(drop)
    }
}

fn relabelled(secret: &Secret, labels: Labels, is_rotated: bool) -> Result<Body, SecretError> {
    let mut body = secret.body.clone();
    body.rotated = is_rotated;
    labels.set(&mut body.labels);
    for number in std::iter::once(labels.current).chain(labels.set) {
        body.came_into_use(number);
    }
    for number in [Some(labels.current), labels.pending, labels.previous].into_iter().flatten() {
        if body.version(number).is_none_or(|version| version.destroyed) {
            let why = format!("{} has no version {number}, where a label is to stand", secret.path());
            return Err(SecretError::Conflict(why));
        }
    }
    Ok(body)
}
