//! Values: bytes that their writer sealed under a key of their own, and that key, sealed by the token.
//!
//! The key lies in a sealed record, and is sealed anew like every other; the bytes lie beside it and are never touched by that. What is
//! opened was written down before: [`Ledger::unseal`] asks for the [`Recorded`] that [`Ledger::access`] alone makes, once its leaf is
//! durable. What is destroyed is gone from the register: its record says so, and nothing lies beside it.
//!
//! Trusted for: that no key of a value is opened of which the log does not say to whom.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::base::Ledger;
use super::sealing::sealed_record;
use crate::attest::{self, Attested};
use crate::nouns::access::{AccessEntry, Recorded};
use crate::nouns::beside::{Beside, Digest, NewValue, SealedValue};
use crate::nouns::entry::ActorStamp;
use crate::nouns::error::StoreError;
use crate::nouns::record::Record;
use crate::nouns::sealed::{SEALED, gone};
use crate::nouns::wrapped::write_wrapped;

impl Ledger {
    /// Seals the key of a new value and keeps both, in one transaction with other records; answers their versions, the value's last.
    /// `Conflict`: there is a value of that name, or one of the others is not what was expected.
    pub async fn keep_value(
        &self,
        value: NewValue<'_>,
        mut others: Vec<Record>,
        actor: ActorStamp,
    ) -> Result<Vec<u64>, StoreError> {
        let NewValue { id, owner, key, wrapped, envelope, instead_of } = value;
        let sealed = self.sealed(&id, key).await?;
        let goes = instead_of.into_iter().map(|id| destroyed(id, owner.clone(), actor.clone()));
        others.extend(goes);
        let mut record = sealed_record(&id, owner, &sealed, actor, Some(0));
        Digest::of(&envelope).write(&mut record.body);
        if let Some(wrapped) = wrapped {
            write_wrapped(&wrapped, &mut record.body)?;
        }
        let mut records: Vec<(Record, Beside)> = others.drain(..).map(|other| (other, Beside::Nothing)).collect();
        records.push((record, Beside::Put(envelope)));
        self.register().record_beside(records, false).await
    }

    /// A value as it lies there, sealed and attested; none where there is none or it was destroyed.
    pub async fn value(&self, id: &str) -> Result<Option<Attested<SealedValue>>, StoreError> {
        let (node, id) = (Arc::clone(&self.register().node), id.to_owned());
        self.register().ask(self.lane, move |sql| attest::sealed_value(&node, sql, &id)).await
    }

    /// Whether a value that was read is still so, as far as this node knows, without a question to the database.
    pub fn is_present(&self, value: &SealedValue) -> bool {
        value.version() == self.version_at(value.place)
    }

    /// Writes down what is about to be shown. Durable on return. `Conflict`: one of them, or of what it was judged by, has another version
    /// now; read it again. `Unshown`: it may be in the log, and nothing is opened for it.
    pub async fn access(&self, entry: AccessEntry) -> Result<Recorded, StoreError> {
        match self.register().access(&entry).await {
            Ok(leaf) => Ok(Recorded::new(leaf, entry.opened)),
            Err(StoreError::Unknown(why)) => Err(StoreError::Unshown(why)),
            Err(other) => Err(other),
        }
    }

    /// The key of a value, from the token. `Invalid`: the access that was recorded is of another.
    pub async fn unseal(&self, value: &SealedValue, recorded: &Recorded) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        match recorded.is_of(value.id(), value.version()) {
            true => self.opened(&value.record).await,
            false => Err(StoreError::Invalid(format!("no access to `{}` was recorded", value.id()))),
        }
    }

    /// Whether the key of a value would be given back now. Ask before an access is recorded: an outage must not fill the log with what
    /// nobody was shown. `Token`: the key of its generation is not there, or no token that has it answers.
    pub fn may_unseal(&self, value: &SealedValue) -> Result<(), StoreError> {
        self.may_open(&value.record)
    }

    /// Does away with values, in one transaction with other records: what was sealed is in the register no more.
    pub async fn destroy_values(
        &self,
        values: Vec<(String, Option<String>)>,
        others: Vec<Record>,
        actor: &ActorStamp,
    ) -> Result<(), StoreError> {
        let goes = values.into_iter().map(|(id, owner)| destroyed(id, owner, actor.clone()));
        let records = others.into_iter().chain(goes);
        self.register().record(records.collect(), true).await.map(drop)
    }
}

fn destroyed(id: String, owner: Option<String>, actor: ActorStamp) -> Record {
    Record { kind: SEALED, id, owner, lookup: None, expires: None, body: gone(), actor, expect: None }
}
