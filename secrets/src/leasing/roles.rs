//! Roles: where users are made, with whose rights, for how long; set up, changed, ended.

use policy::{Action, Grant, Owner};

use super::base::Leases;
use super::place::{Tenancy, Terms};
use super::records::{LEASE_SECS_MAX, LEASE_SECS_MIN, LeaseRole, ROLE, RoleBody};
use crate::error::SecretError;
use crate::nouns::SecretPath;
use crate::rotation::USER_BYTES_MAX;
use crate::turning::{Line, Pinned, Place, Product};
use crate::vault::Vault;

/// What is said of a role when it is set up, or changed.
#[derive(Clone, Debug)]
pub struct RoleWish {
    /// Where its users are made.
    pub place: Place,
    /// The secret of who makes them; none of SSH, where the service itself makes out certificates.
    pub admin: Option<SecretPath>,
    /// How it is spoken to.
    pub line: Line,
    /// Whose rights they get: a role of the target's, or (Redis) a user.
    pub like: String,
    /// How long a lease is where nobody says, in seconds.
    pub secs: u64,
    /// How long at most, with all renewals.
    pub secs_max: u64,
}

impl Leases {
    /// The role at a path; none where there is none, or it ended.
    ///
    /// # Errors
    /// [`SecretError::Store`].
    pub async fn role(&self, path: &SecretPath) -> Result<Option<LeaseRole>, SecretError> {
        Ok(self.last_role(path).await?.filter(|role| !role.body.ended))
    }

    /// Sets up a role, or changes one: what is leased already stays as it is.
    ///
    /// # Errors
    /// [`SecretError::Invalid`], which says what to change; [`SecretError::Conflict`].
    pub async fn set_role(
        &self,
        grant: Grant,
        path: &SecretPath,
        owner: &Owner,
        wish: RoleWish,
        targets: &impl Tenancy,
    ) -> Result<LeaseRole, SecretError> {
        Vault::is_for(&grant, Action::WriteSecret, path, owner)?;
        let there = self.last_role(path).await?;
        if there.as_ref().is_some_and(|role| !role.body.ended && role.owner != *owner) {
            return Err(SecretError::Conflict(format!("the role {path} is one of another owner")));
        }
        let RoleWish { place, admin, line, like, secs, secs_max } = wish;
        let place = match place.product {
            Some(Product::Ssh) if place.host.is_some() || place.port.is_some() => {
                let why = "a certificate counts at every host that trusts the SSH user CA: say none";
                return Err(SecretError::invalid("host", why));
            }
            Some(Product::Ssh) => Place { host: Some(EVERY_HOST.to_owned()), port: Some(0), ..place },
            Some(_) | None => place,
        };
        let mut at = place.at(admin.as_ref(), line)?;
        if let Some(admin) = &admin {
            at.pinned = Some(Pinned::of(&self.vault.there(admin).await?));
        }
        if !(1..=USER_BYTES_MAX).contains(&like.len()) || like.contains(char::is_control) {
            return Err(SecretError::invalid("like", format!("a name of 1 to {USER_BYTES_MAX} bytes")));
        }
        if !(LEASE_SECS_MIN..=secs_max).contains(&secs) || secs_max > LEASE_SECS_MAX {
            let why = format!(
                "{LEASE_SECS_MIN} s at least, and no longer than the longest, which is {LEASE_SECS_MAX} s at most"
            );
            return Err(SecretError::invalid("lease", why));
        }
        let terms = Terms { at: &at, like: &like, secs: (secs, secs_max) };
        targets.has(terms).map_err(|why| SecretError::invalid("target", why))?;
        let version = there.map_or(0, |role| role.version);
        let body = RoleBody { at, like, secs, secs_max, ended: false };
        let role = LeaseRole { path: path.clone(), owner: owner.clone(), version, body };
        self.vault.ledger().record(vec![role.record(&grant)?]).await?;
        self.away().remove(path);
        self.role_there(path).await
    }

    /// Ends a role: nobody is made by it any more; who is there lives to the end of his lease.
    ///
    /// # Errors
    /// [`SecretError::NotFound`], [`SecretError::Conflict`].
    pub async fn end_role(&self, grant: Grant, path: &SecretPath) -> Result<(), SecretError> {
        let mut role = self.role_there(path).await?;
        Vault::is_for(&grant, Action::WriteSecret, path, &role.owner)?;
        role.body.ended = true;
        self.vault.ledger().record(vec![role.record(&grant)?]).await?;
        Ok(())
    }

    pub(super) async fn role_there(&self, path: &SecretPath) -> Result<LeaseRole, SecretError> {
        let none = || SecretError::NotFound(format!("there is no role at {path}"));
        self.role(path).await?.ok_or_else(none)
    }

    async fn last_role(&self, path: &SecretPath) -> Result<Option<LeaseRole>, SecretError> {
        let record = self.vault.ledger().record_get(ROLE, path.as_str()).await?;
        record.map(|record| LeaseRole::of(record.into_inner())).transpose()
    }
}

/// Where a certificate counts.
const EVERY_HOST: &str = "*";
