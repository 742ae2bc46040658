//! Using a key: what is computed is in the log before it is.

use std::collections::BTreeSet;
use std::sync::Arc;

use policy::Grant;
use store::Used;

use super::base::TransitKeys;
use super::held::Open;
use super::record::TransitKey;
use crate::error::SecretError;
use crate::transit::{Act, Key, KeyName, TransitError, VERSIONS_MAX};

/// What a key is asked for: one batch.
#[derive(Clone, Debug)]
pub struct Request {
    /// What is done.
    pub act: Act,
    /// With how many items.
    pub items: usize,
    /// The versions that it names; none: the newest.
    pub versions: BTreeSet<u32>,
}

/// A key in use for one batch, which the log says. Nothing but [`TransitKeys::begin`] makes one.
pub struct InUse {
    open: Open,
    leaf: u64,
}

impl InUse {
    /// What there is to say of it.
    pub fn about(&self) -> &Arc<TransitKey> {
        &self.open.key
    }

    /// The leaf that says so.
    pub fn leaf(&self) -> u64 {
        self.leaf
    }

    /// The key on the terms that stood when it was written down.
    ///
    /// # Errors
    /// [`TransitError::Invalid`]: its record is not of its versions.
    pub fn key(&self) -> Result<Key<'_>, TransitError> {
        self.open.keys.on(self.open.key.terms())
    }
}

impl TransitKeys {
    /// Takes a key into use for one batch, which is one entry of the log: durable before this returns. The terms are those in force at
    /// that entry.
    ///
    /// # Errors
    /// [`SecretError::NotFound`]; [`SecretError::Transit`]: the batch cannot come to anything, and nothing was written down;
    /// [`SecretError::Conflict`]: the key is another, or changes all the time; [`SecretError::Store`].
    pub async fn begin(&self, grant: &Grant, name: &KeyName, request: &Request) -> Result<InUse, SecretError> {
        for _ in 0..LOOKS_MAX {
            let found = match self.find(name).await {
                Err(SecretError::Conflict(_)) => continue,
                other => other?,
            };
            let key = Arc::clone(found.key());
            TransitKeys::is_for(grant, request.act.action(), name, key.owner())?;
            request.act.fits(key.kind(), request.items)?;
            let recorded = match self.record(grant, &found, request.used(&key)).await {
                // It was rotated, or its value was sealed anew.
                Err(SecretError::Conflict(_)) => continue,
                other => other?,
            };
            let open = self.open(found, &recorded).await?;
            // Other terms may have come before that entry, from another node too.
            if self.is_present(&key) {
                return Ok(InUse { open, leaf: recorded.leaf() });
            }
        }
        Err(SecretError::Conflict(format!("the key {name} changes all the time: try again")))
    }
}

impl Request {
    /// As the log has it: the versions that the key has, of those that were named.
    fn used(&self, key: &TransitKey) -> Used {
        let there = key.oldest()..=key.newest();
        let named = self.versions.iter().copied().filter(|version| there.contains(version));
        let mut versions: Vec<u32> = named.take(VERSIONS_MAX).collect();
        if self.versions.is_empty() || self.act == Act::Rewrap {
            versions.push(key.newest());
            versions.dedup();
        }
        versions.truncate(VERSIONS_MAX);
        Used { act: self.act.as_str(), items: self.items as u64, versions }
    }
}

/// Looks at what others change all the time; then the caller is told to come back.
const LOOKS_MAX: usize = 8;
