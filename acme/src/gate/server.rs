//! What the handlers share: the authority, the desk, nonces, counters, the validator, and the tasks under way.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use ca::Authority;
use policy::{Actor, Proof, Role, Timestamp, World};
use tokio_util::task::TaskTracker;

use super::known::Renewals;
use super::quotas::Quotas;
use super::urls::Urls;
use crate::config::AcmeConfig;
use crate::objects::{Account, Desk};
use crate::proof::{Checks, Validator, ValidatorError};
use crate::wire::{Jwk, Nonces};

/// The ACME server's state. Cheap to clone.
#[derive(Clone)]
pub struct AcmeState(Arc<Inner>);

struct Inner {
    authority: Authority,
    desk: Desk,
    config: AcmeConfig,
    urls: Urls,
    nonces: Nonces,
    quotas: Quotas,
    validator: Validator,
    checks: Checks,
    renewals: Renewals,
    tasks: TaskTracker,
}

/// The server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The profile ACME certificates should have does not exist.
    #[error("[acme] profile: there is no profile {0:?} among the authority's")]
    NoSuchProfile(String),
    /// Names could not be checked.
    #[error(transparent)]
    Validator(#[from] ValidatorError),
}

impl AcmeState {
    /// A server over this authority's register.
    pub fn new(authority: Authority, config: AcmeConfig) -> Result<Self, StartError> {
        if authority.profiles().get(&config.profile).is_none() {
            return Err(StartError::NoSuchProfile(config.profile));
        }
        Ok(Self(Arc::new(Inner {
            desk: Desk::new(authority.ledger().clone(), &config.owner),
            urls: Urls::new(&config.external_url),
            nonces: Nonces::new(authority.world()),
            quotas: Quotas::new(config.limits.clone()),
            validator: Validator::new(&config)?,
            checks: Checks::default(),
            renewals: Renewals::default(),
            tasks: TaskTracker::new(),
            authority,
            config,
        })))
    }

    /// Waits until every validation and issuance under way is written down, at most this long. What is cut off is picked up after
    /// the next start: a check is made again, an issuance is looked up in the register.
    pub async fn drain(&self, at_most: Duration) {
        self.0.tasks.close();
        if tokio::time::timeout(at_most, self.0.tasks.wait()).await.is_err() {
            tracing::warn!(tasks = self.0.tasks.len(), "ACME work was still under way when the server stopped");
        }
    }

    pub(crate) fn authority(&self) -> &Authority {
        &self.0.authority
    }
    pub(crate) fn desk(&self) -> &Desk {
        &self.0.desk
    }
    pub(crate) fn config(&self) -> &AcmeConfig {
        &self.0.config
    }
    pub(crate) fn urls(&self) -> &Urls {
        &self.0.urls
    }
    pub(crate) fn nonces(&self) -> &Nonces {
        &self.0.nonces
    }
    pub(crate) fn quotas(&self) -> &Quotas {
        &self.0.quotas
    }
    pub(crate) fn validator(&self) -> &Validator {
        &self.0.validator
    }
    pub(crate) fn checks(&self) -> &Checks {
        &self.0.checks
    }
    pub(crate) fn renewals(&self) -> &Renewals {
        &self.0.renewals
    }
    pub(crate) fn tasks(&self) -> &TaskTracker {
        &self.0.tasks
    }
    pub(crate) fn world(&self) -> &World {
        self.0.authority.world()
    }
    /// By this time orders and authorizations end: no clock that is not believed ends one early, or opens one again.
    pub(crate) fn now(&self) -> Timestamp {
        self.0.authority.ledger().believed_time()
    }

    /// The account as an actor: it may what the role acme-client may, for the owner ACME certificates belong to.
    pub(crate) fn actor(&self, account: &Account) -> Actor {
        self.acme_actor(actor_id(&account.id), &account.key)
    }

    /// Whoever signed with a certificate's own key, to revoke it.
    pub(crate) fn key_holder(&self, serial: &str, key: &Jwk) -> Actor {
        self.acme_actor(format!("acme-certificate-key:{serial}"), key)
    }

    fn acme_actor(&self, id: String, key: &Jwk) -> Actor {
        Actor {
            id,
            roles: BTreeSet::from([Role::AcmeClient]),
            owners: BTreeSet::from([self.0.config.owner.clone()]),
            scopes: None,
            proof: Proof::AcmeKey { thumbprint: key.thumbprint() },
            second_factor: None,
        }
    }
}

/// The name the log knows an account by.
pub(crate) fn actor_id(account: &str) -> String {
    format!("acme:{account}")
}

/// For the log: who writes when the server itself moves an object.
pub(crate) fn server_actor() -> Actor {
    Actor::system("acme")
}
