//! The shelf: the newest CRL of each issuer, in memory, once for everyone who reads it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use policy::Timestamp;
use store::Crl;

use crate::encode::sha256;
use crate::issuers::BroughtCrl;

/// A CRL as it is published. A copy shares its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedCrl {
    /// DER.
    pub der: Bytes,
    /// What no other CRL has: a SHA-256 over what determines its bytes.
    pub identity: [u8; 32],
    /// The operation that made it; 0 where a CA elsewhere did.
    pub operation: u64,
    /// Its CRLNumber.
    pub number: u64,
    /// thisUpdate.
    pub this_update: Timestamp,
    /// nextUpdate.
    pub next_update: Timestamp,
    /// No earlier CRL of the issuer has this thisUpdate, surely: its number is its own second, and one of the same second before it
    /// would have left it a greater one. A date then tells it from those before.
    pub is_dated: bool,
    /// How many revocations it was made of.
    pub(crate) told: Option<u64>,
    /// How many entries it has.
    pub listed: u64,
    /// Of a delta CRL: the number of what it rests on, and when that began.
    pub(crate) base: Option<(u64, Timestamp)>,
    /// How long it took from the first look at what is revoked until it was durable; none where another made it.
    pub(crate) took: Option<Duration>,
    issuer: String,
}

impl PublishedCrl {
    /// Assembles it: work for a thread that may take its time. Its bytes were hashed when they were signed, and are not again: the
    /// digest that its intent has and the signature tell it from every other. `None` for a CRL without dates.
    pub(crate) fn of(crl: &Crl) -> Option<PublishedCrl> {
        let (der, validity) = (Bytes::from(crl.x509_der()), crl.validity?);
        let detail = |name: &str| crl.details.get(name).and_then(serde_json::Value::as_u64);
        let number = crl.serial.last_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
        Some(PublishedCrl {
            identity: sha256(&[crl.signed_digest(), crl.signature()].concat()),
            der,
            operation: crl.operation,
            number,
            this_update: validity.not_before(),
            next_update: validity.not_after(),
            is_dated: i64::try_from(number) == Ok(validity.not_before().unix()),
            told: detail("revocations"),
            listed: detail("listed").unwrap_or(0),
            base: crl.details.get("base").and_then(base),
            took: None,
            issuer: crl.issuer.clone(),
        })
    }
}

impl PublishedCrl {
    /// One that a CA elsewhere signed.
    pub(crate) fn brought(crl: &BroughtCrl, issuer: &str) -> PublishedCrl {
        PublishedCrl {
            der: crl.der.clone(),
            identity: crl.sha256,
            operation: 0,
            number: crl.number,
            this_update: crl.this_update,
            next_update: crl.next_update,
            is_dated: i64::try_from(crl.number) == Ok(crl.this_update.unix()),
            told: None,
            listed: crl.revoked.len() as u64,
            base: None,
            took: None,
            issuer: issuer.to_owned(),
        }
    }

    /// How many revocations it was made of; none where it does not say.
    pub fn told(&self) -> Option<u64> {
        self.told
    }

    /// How many entries it has.
    pub fn listed(&self) -> u64 {
        self.listed
    }

    /// How long this process took to make it, signature and disk included; none where it did not.
    pub fn took(&self) -> Option<Duration> {
        self.took
    }
}

fn base(of: &serde_json::Value) -> Option<(u64, Timestamp)> {
    Some((of.get("number")?.as_u64()?, Timestamp::from_unix(of.get("from")?.as_i64()?)))
}

impl Deref for PublishedCrl {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.der
    }
}

impl AsRef<[u8]> for PublishedCrl {
    fn as_ref(&self) -> &[u8] {
        &self.der
    }
}

/// The newest CRLs by issuer. Never goes back to an older one.
#[derive(Default)]
pub(crate) struct Shelf {
    crls: RwLock<BTreeMap<String, PublishedCrl>>,
    asking: Mutex<BTreeSet<String>>,
}

impl Shelf {
    /// What lies there.
    pub(crate) fn get(&self, issuer: &str) -> Option<PublishedCrl> {
        self.crls.read().unwrap_or_else(PoisonError::into_inner).get(issuer).cloned()
    }

    /// Puts a CRL there, unless a newer one is; answers which it is now.
    pub(crate) fn put(&self, new: PublishedCrl) -> PublishedCrl {
        let mut crls = self.crls.write().unwrap_or_else(PoisonError::into_inner);
        let there = crls.get(&new.issuer);
        if let Some(there) = there.filter(|there| there.operation >= new.operation) {
            return there.clone();
        }
        crls.insert(new.issuer.clone(), new.clone());
        new
    }

    /// The turn to ask the database for an issuer's CRL; `None` while another has it.
    pub(crate) fn turn(self: &Arc<Self>, issuer: &str) -> Option<Turn> {
        let is_free = self.asking.lock().unwrap_or_else(PoisonError::into_inner).insert(issuer.to_owned());
        is_free.then(|| Turn { shelf: Arc::clone(self), issuer: issuer.to_owned() })
    }
}

/// The turn to ask, given back when dropped.
pub(crate) struct Turn {
    shelf: Arc<Shelf>,
    issuer: String,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.shelf.asking.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.issuer);
    }
}
