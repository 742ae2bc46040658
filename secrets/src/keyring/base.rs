//! Which keys there are, and how one comes out of its value.

use std::sync::Arc;
use std::time::Duration;

use policy::{Action, Grant, Owner};
use store::{
    AccessEntry, Accessed, Attested, Judged, ListedRecord, RecordFilter, RecordPlace, Recorded, SEALED, SealedValue,
    Showing, Used,
};

use super::held::{Held, Open};
use super::record::{ROTATES, TRANSIT_KEY, TransitKey, place};
use crate::envelope::{self, Dek, Envelope, Forged};
use crate::error::SecretError;
use crate::page::{Page, all_taken, taken};
use crate::transit::{KeyName, Keyset};
use crate::vault::Vault;

/// Transit keys of the register. Cheap to clone.
#[derive(Clone)]
pub struct TransitKeys {
    pub(super) vault: Vault,
    held: Arc<Held>,
}

/// A key that may be used: in memory already, or as it lies there.
pub(super) enum Found {
    Held(Open),
    Sealed(Arc<TransitKey>, Box<SealedValue>),
}

impl Found {
    pub fn key(&self) -> &Arc<TransitKey> {
        match self {
            Found::Held(open) => &open.key,
            Found::Sealed(key, _) => key,
        }
    }
}

impl TransitKeys {
    /// Beside the secrets of this vault. `lease`: so long a key is kept once the token unsealed it; zero: the token is asked each time.
    pub fn new(vault: Vault, lease: Duration) -> TransitKeys {
        TransitKeys { vault, held: Arc::new(Held::new(lease)) }
    }

    /// What there is of a key; none where there is none.
    ///
    /// # Errors
    /// [`SecretError::Store`].
    pub async fn look(&self, name: &KeyName) -> Result<Option<Arc<TransitKey>>, SecretError> {
        if let Some(open) = self.in_memory(name) {
            return Ok(Some(open.key));
        }
        Ok(self.last(name).await?.filter(|key| !key.is_gone()).map(Arc::new))
    }

    /// A page of keys by name, and where the next begins. `may` says of each whether the caller may know of it.
    ///
    /// # Errors
    /// [`SecretError::Store`].
    pub async fn list(
        &self,
        owner: Option<&Owner>,
        after: Option<String>,
        limit: usize,
        may: impl Fn(&Owner, &KeyName) -> bool,
    ) -> Result<Page<TransitKey>, SecretError> {
        let limit = limit.clamp(1, PAGE_MAX);
        let (mut found, mut after, mut looked) = (Page::new(), after, 0);
        while looked < LOOKED_MAX {
            let owner = owner.map(ToString::to_string);
            let filter = RecordFilter { owner, after: after.clone(), limit: PAGE_MAX, ..RecordFilter::default() };
            let page = self.vault.ledger().record_page(TRANSIT_KEY, filter).await?;
            let is_last = page.len() < PAGE_MAX;
            looked += page.len();
            for ListedRecord { id, record, .. } in page {
                if found.items.len() == limit {
                    return Ok(found.until(after));
                }
                after = Some(id);
                let key = found.believed(taken(record, TransitKey::of));
                found.items.extend(key.filter(|key| !key.is_gone() && may(key.owner(), key.name())));
            }
            if is_last {
                return Ok(found);
            }
        }
        Ok(found.until(after))
    }

    /// Those that get a new version by themselves, by name.
    ///
    /// # Errors
    /// [`SecretError::Store`].
    pub async fn rotating(&self) -> Result<Vec<TransitKey>, SecretError> {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let lookup = Some(ROTATES.to_owned());
            let filter = RecordFilter { lookup, after: after.take(), limit: PAGE_MAX, ..RecordFilter::default() };
            let page = self.vault.ledger().record_page(TRANSIT_KEY, filter).await?;
            after = page.last().filter(|_| page.len() == PAGE_MAX).map(|last| last.id.clone());
            // One that somebody altered holds no other key's new version up.
            all.extend(all_taken(page, TransitKey::of));
            if after.is_none() {
                return Ok(all);
            }
        }
    }

    /// Whether a grant is for this act on this key: another's may stand under that name since it was asked.
    pub(super) fn is_for(grant: &Grant, action: Action, name: &KeyName, owner: &Owner) -> Result<(), SecretError> {
        let on = grant.resource();
        let is_for =
            grant.action() == action && on.path.as_deref() == Some(name.as_str()) && on.owner.as_ref() == Some(owner);
        match is_for {
            true => Ok(()),
            false => Err(SecretError::Conflict(format!(
                "another key has the name {name} than the one that was asked for: ask again"
            ))),
        }
    }

    /// The newest record of a name, gone or not.
    pub(super) async fn last(&self, name: &KeyName) -> Result<Option<TransitKey>, SecretError> {
        let record = self.vault.ledger().record_get(TRANSIT_KEY, name.as_str()).await?;
        record.map(Attested::into_inner).map(TransitKey::of).transpose()
    }

    pub(super) async fn there(&self, name: &KeyName) -> Result<TransitKey, SecretError> {
        let none = || SecretError::NotFound(format!("there is no transit key {name}"));
        self.last(name).await?.filter(|key| !key.is_gone()).ok_or_else(none)
    }

    /// A key, in memory or as it lies there.
    pub(super) async fn find(&self, name: &KeyName) -> Result<Found, SecretError> {
        if let Some(open) = self.in_memory(name) {
            return Ok(Found::Held(open));
        }
        let key = self.there(name).await?;
        let moved = || SecretError::Conflict(format!("the key {name} changes just now: try again"));
        let value = self.vault.ledger().value(&key.value()).await?.ok_or_else(moved)?;
        Ok(Found::Sealed(Arc::new(key), Box::new(value.into_inner())))
    }

    /// Writes down what a key is used for, durably; nothing, where the token would not open it. [`SecretError::Conflict`]: it moved.
    pub(super) async fn record(&self, grant: &Grant, found: &Found, used: Used) -> Result<Recorded, SecretError> {
        let (showing, version) = match found {
            Found::Held(open) => (Showing::Leased, open.value),
            Found::Sealed(_, value) => {
                self.vault.ledger().may_unseal(value)?;
                (Showing::Opened, value.version())
            }
        };
        let entry = AccessEntry {
            actor: grant.actor().into(),
            grant: grant.into(),
            showing,
            opened: vec![Accessed { id: found.key().value(), version }],
            since: None,
            until: None,
            // Its terms count as they are at the leaf, whichever node wrote them.
            judged: vec![Judged {
                place: RecordPlace::of(TRANSIT_KEY, found.key().name.as_str()),
                version: found.key().record,
            }],
            used: Some(used),
        };
        Ok(self.vault.ledger().access(entry).await?)
    }

    /// Its bytes, once that is written down.
    pub(super) async fn open(&self, found: Found, recorded: &Recorded) -> Result<Open, SecretError> {
        let (key, value) = match found {
            Found::Held(open) => return Ok(open),
            Found::Sealed(key, value) => (key, value),
        };
        let ledger = self.vault.ledger();
        let bytes = ledger.unseal(&value, recorded).await?;
        let dek = Dek::unsealed(&bytes).ok_or(Forged)?;
        let place = place(&key.name);
        let context = key.body.context(ledger.origin(), &place, &key.owner);
        let plain = envelope::open(Envelope(value.envelope.clone()), &context, &dek)?;
        let keys = Keyset::decode(&plain).filter(|keys| is_of(keys, &key)).ok_or(Forged)?;
        let open = Open { key, keys: Arc::new(keys), value: value.version() };
        self.held.keep(&open);
        Ok(open)
    }

    /// Whether the record of a key is still the one that was read.
    pub(super) fn is_present(&self, key: &TransitKey) -> bool {
        self.vault.ledger().record_version(TRANSIT_KEY, key.name.as_str()) == key.record
    }

    fn in_memory(&self, name: &KeyName) -> Option<Open> {
        let open = self.held.get(name)?;
        let is_same = self.vault.ledger().record_version(SEALED, &open.key.value()) == open.value;
        match is_same && self.is_present(&open.key) {
            true => Some(open),
            false => {
                self.held.forget(name);
                None
            }
        }
    }
}

/// Whether a keyset is what its record says.
fn is_of(keys: &Keyset, key: &TransitKey) -> bool {
    *keys.name() == key.name
        && (keys.kind(), keys.mode()) == (key.kind(), key.mode())
        && (keys.oldest(), keys.newest()) == (key.oldest(), key.newest())
}

const PAGE_MAX: usize = 1_000;
/// So many are looked at for one page.
const LOOKED_MAX: usize = 4_000;
