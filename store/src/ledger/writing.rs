//! The line of custody, and whatever else becomes a row and a leaf.

use std::sync::Arc;

use hsm::{Farewell, Intent, Key, Message, NotSigned, Signature, merkle_root};
use policy::Timestamp;

use super::base::Ledger;
use crate::forms::keys;
use crate::forms::texts::{self, TextKind};
use crate::log::LogKey;
use crate::nouns::credential::Issued;
use crate::nouns::entry::{ActorStamp, Entry, LostRevocation, RefusalEntry, Revocation};
use crate::nouns::error::StoreError;
use crate::nouns::record::Record;
use crate::rows::Outcome;
use crate::truth::{self};

impl Ledger {
    /// Writes the intent's row and leaf, and gives the right to one signature. Durable on return.
    pub async fn intend(&self, entry: Entry) -> Result<Intent, StoreError> {
        let row = self.register().prepare(entry).await?;
        // A crash before the answer: the intent is durable or it is not, and nothing is signed either way.
        let operation = self.register().intend(Arc::clone(&row)).await?;
        // A crash from here to `conclude`: an intent without a conclusion, which counts as issued and raises an alarm.
        Ok(self.inner.mint.intent(operation, &row.entry.key, row.entry.message.clone()))
    }

    /// Writes the signature; of a batch, the root over its signatures and how many they are. Durable on return. On `Unavailable`
    /// and `Unknown` the ledger keeps it and goes on trying.
    pub async fn conclude(&self, signature: Signature) -> Result<Issued, StoreError> {
        let (operation, signer) = (signature.operation(), signature.key().fingerprint());
        let batch = signature.of_batch().map(<[_]>::to_vec);
        let (bytes, signed) = match &batch {
            Some(made) => (merkle_root(made.iter().map(Vec::as_slice)).to_vec(), Some(made.len() as u64)),
            None => (signature.bytes().to_vec(), None),
        };
        let credential = self.register().conclude(operation, Some((signer, signed)), Outcome::Issued(bytes)).await?;
        let lost = |_| StoreError::Corrupt(format!("operation {operation} lost its signature"));
        Ok(credential.signed().map_err(lost)?.with_batch(batch.unwrap_or_default()))
    }

    /// Writes that certainly nothing was signed. Durable on return.
    pub async fn fail(&self, not_signed: NotSigned) -> Result<(), StoreError> {
        let outcome = Outcome::Failed(not_signed.reason().to_owned());
        self.register().conclude(not_signed.operation(), None, outcome).await.map(drop)
    }

    /// For benches: writes the conclusion of an intent with a made-up signature, as `conclude` would write a real one.
    #[cfg(feature = "testing")]
    pub async fn conclude_unsigned(&self, intent: Intent, signature: Vec<u8>) -> Result<Issued, StoreError> {
        let signer = Some((intent.key().fingerprint(), None));
        let credential = self.register().conclude(intent.operation(), signer, Outcome::Issued(signature)).await?;
        credential.signed().map_err(|_| StoreError::Closed)
    }

    /// Writes the leaf of a refused request; answers its index.
    pub async fn refuse(&self, refusal: RefusalEntry) -> Result<u64, StoreError> {
        self.register().refuse(&refusal).await
    }

    /// Writes new versions of records, all or none; answers them in order ([`StoredRecord::version`](crate::StoredRecord::version)).
    pub async fn record(&self, records: Vec<Record>) -> Result<Vec<u64>, StoreError> {
        self.register().record(records, false).await
    }

    /// The same for versions that take a right away (a token revoked, an account closed): no clock holds them back.
    pub async fn withdraw(&self, records: Vec<Record>) -> Result<Vec<u64>, StoreError> {
        self.register().record(records, true).await
    }

    /// Records a key of the token, once: kind `key`, id = its fingerprint, lookup = its label. Call it for every key that
    /// signs, the log key with purpose `log`: `verify` checks signatures against these records. Answers the version.
    pub async fn record_key(&self, key: &Key, purpose: &str, actor: ActorStamp) -> Result<u64, StoreError> {
        let id = key.fingerprint_hex();
        if let Some(there) = self.record_get(keys::KIND, &id).await? {
            if keys::is_passing(&there) && purpose != keys::PASSING_PURPOSE {
                let why =
                    format!("key `{}` is an OCSP responder's, which is destroyed in time: take another", key.label());
                return Err(StoreError::Conflict(why));
            }
            return Ok(there.version);
        }
        let record = keys::record(key.label(), key.algorithm(), key.spki_der(), purpose, actor);
        match self.record(vec![record]).await {
            Ok(versions) => versions.first().copied().ok_or(StoreError::Closed),
            // Another node was faster.
            Err(StoreError::Conflict(why)) => {
                self.record_get(keys::KIND, &id).await?.map(|r| r.version).ok_or(StoreError::Conflict(why))
            }
            Err(other) => Err(other),
        }
    }

    /// Says that a key of the token is done with, by a leaf; answers the right to destroy it. `Conflict`: it is no OCSP responder's, and
    /// no other key is ever destroyed. Whoever comes again is given the right again.
    pub async fn dismiss_key(&self, key: &Key, actor: ActorStamp) -> Result<Farewell, StoreError> {
        let there = self.record_get(keys::KIND, &key.fingerprint_hex()).await?;
        let there = there
            .filter(|there| keys::is_passing(there))
            .ok_or_else(|| StoreError::Conflict(format!("key `{}` is no OCSP responder's, and stays", key.label())))?;
        if !keys::is_dismissed(&there) {
            self.record(vec![keys::dismissed(&there, actor)]).await?;
        }
        Ok(self.inner.mint.farewell(key))
    }

    /// Records a text whose SHA-256 leaves name, once. Call it before the first leaf that names it: `verify` finds hashes that
    /// cannot be read.
    pub async fn record_text(&self, kind: TextKind, text: &str, actor: &ActorStamp) -> Result<(), StoreError> {
        let first = truth::record_key(kind.as_str(), &texts::id(&texts::hash(text), 0));
        if self.register().node.record(&first).1.is_some() {
            return Ok(());
        }
        match self.record(texts::records(kind, text, actor)?).await {
            // Another node was faster; the parts of a text are written together.
            Ok(_) | Err(StoreError::Conflict(_)) => Ok(()),
            Err(other) => Err(other),
        }
    }

    /// Revokes an operation's credential, whether its conclusion is known or not; answers the leaf's index.
    pub async fn revoke(&self, revocation: Revocation) -> Result<u64, StoreError> {
        self.register().revoke(revocation).await
    }

    /// Revokes what a CA of ours signed and the register does not hold; answers the leaf's index. `Conflict`: it is revoked already.
    pub async fn revoke_lost(&self, revocation: LostRevocation) -> Result<u64, StoreError> {
        self.register().revoke_lost(revocation).await
    }

    /// An operator's word that this node's clock is right, whatever the log says: a leaf, by which every node goes on. Answers
    /// the time that was in force and the one that is. Refused where a witness contradicts the clock.
    pub async fn set_time(&self, actor: ActorStamp, reason: &str) -> Result<(Timestamp, Timestamp), StoreError> {
        self.register().set_time(actor, reason).await
    }

    /// The right to sign the log's head, where it moved since the last checkpoint.
    pub async fn intend_checkpoint(&self, log_key: &Key) -> Result<Option<Intent>, StoreError> {
        let intents = self.intend_checkpoint_by(std::slice::from_ref(log_key)).await?;
        Ok(intents.and_then(|mut intents| intents.pop()))
    }

    /// The rights to sign it by several keys, one each: while one log key follows another, both sign, so that whoever knows either
    /// can verify. The first is the one that must.
    pub async fn intend_checkpoint_by(&self, log_keys: &[Key]) -> Result<Option<Vec<Intent>>, StoreError> {
        let Some(first) = log_keys.first() else { return Ok(None) };
        let key = LogKey::new(self.origin(), first.algorithm(), first.spki_der())?;
        let Some((operation, text)) = self.register().intend_checkpoint(&key).await? else { return Ok(None) };
        let intent = |key| self.inner.mint.intent(operation, key, Message::from(text.clone().into_bytes()));
        Ok(Some(log_keys.iter().map(intent).collect()))
    }

    /// Stores a signed checkpoint; answers the note.
    pub async fn conclude_checkpoint(&self, signature: Signature) -> Result<String, StoreError> {
        self.conclude_checkpoint_by(vec![signature]).await
    }

    /// The same with the signatures of several keys: a line of the note for each.
    pub async fn conclude_checkpoint_by(&self, signatures: Vec<Signature>) -> Result<String, StoreError> {
        let operation = signatures.first().map(Signature::operation);
        let operation = operation.ok_or_else(|| StoreError::Invalid("nothing was signed".into()))?;
        if signatures.iter().any(|signature| signature.operation() != operation) {
            return Err(StoreError::Invalid("signatures of several heads".into()));
        }
        let line = |signature: &Signature| {
            let key = signature.key();
            Ok((LogKey::new(self.origin(), key.algorithm(), key.spki_der())?, signature.bytes().to_vec()))
        };
        let lines: Vec<_> = signatures.iter().map(line).collect::<Result<_, StoreError>>()?;
        self.register().conclude_checkpoint(operation, &lines).await
    }
}
