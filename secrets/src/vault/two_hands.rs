//! A recovery key that follows another, where several administer: one brings it, another brings it too, and only then is it the register's.
//!
//! Its papers open all that is sealed, so that nobody exchanges it alone. What waits is a record with the key's fingerprint, and who brought
//! it; the other hand brings the key itself, from the file of the ceremony, and not a word about it.
//!
//! Trusted for: that two actors of that right brought one key. Whoever makes tokens of administrators can be two actors: each is a leaf.

use policy::{Grant, Holder, Timestamp};
use serde_json::{Value, json};
use store::Record;

use super::base::Vault;
use super::recovering::manages;
use crate::error::SecretError;
use crate::recovery::RecoveryKey;

/// What became of a recovery key that somebody brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Brought {
    /// It is the register's.
    Taken,
    /// It waits for another to bring it too.
    Waits,
}

/// A recovery key that one brought, and that waits for another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyWaits {
    /// Of which generation.
    pub generation: u16,
    /// SHA-256 of it, hexadecimal, as it stands on the papers.
    pub fingerprint: String,
    /// Who brought it.
    pub by: String,
    /// Whose hands these are ([`Holder::hands`]): others bring it too.
    pub hands: String,
    /// Until then.
    pub until: Timestamp,
}

impl Vault {
    /// Takes the first recovery key; one that follows it once another actor brought the same within a day.
    ///
    /// # Errors
    /// As [`Vault::take_recovery_key`].
    pub async fn bring_recovery_key(&self, grant: &Grant, key: &RecoveryKey) -> Result<Brought, SecretError> {
        manages(grant)?;
        self.is_next(key).await?;
        if key.generation() == 1 {
            self.take_recovery_key(grant, key).await?;
            return Ok(Brought::Taken);
        }
        let (now, fingerprint) = (self.now().await?, data_encoding::HEXLOWER.encode(&key.fingerprint()));
        let (there, version) = self.waiting(key.generation()).await?;
        let hands = Holder::hands(grant.actor());
        let is_anothers =
            |there: KeyWaits| there.until > now && there.hands != hands && there.fingerprint == fingerprint;
        if there.is_some_and(is_anothers) {
            self.take_recovery_key(grant, key).await?;
            return Ok(Brought::Taken);
        }
        let record = Record {
            kind: WAITS,
            id: key.generation().to_string(),
            owner: None,
            lookup: None,
            expires: None,
            body: json!({ "fingerprint": fingerprint, "hands": hands, "until": now.plus_secs(WAITS_SECS) }),
            actor: grant.actor().into(),
            expect: Some(version),
        };
        self.ledger.record(vec![record]).await?;
        Ok(Brought::Waits)
    }

    /// The next recovery key, where one brought it and it waits for another.
    ///
    /// # Errors
    /// [`SecretError::Store`].
    pub async fn recovery_key_waits(&self) -> Result<Option<KeyWaits>, SecretError> {
        let Some(newest) = self.recovery_key().await? else { return Ok(None) };
        let (there, _) = self.waiting(newest.generation().saturating_add(1)).await?;
        let now = self.ledger.believed_time();
        Ok(there.filter(|there| there.until > now))
    }

    /// What waits of a generation, whether its time is over or not; and the version of its record.
    async fn waiting(&self, generation: u16) -> Result<(Option<KeyWaits>, u64), SecretError> {
        let Some(there) = self.ledger.record_get(WAITS, &generation.to_string()).await? else { return Ok((None, 0)) };
        let text = |name: &str| there.body.get(name).and_then(Value::as_str);
        let until = text("until").and_then(|until| Timestamp::parse_rfc3339(until).ok());
        let said = until.zip(text("fingerprint")).zip(text("hands"));
        let waits = said.map(|((until, fingerprint), hands)| KeyWaits {
            generation,
            fingerprint: fingerprint.to_owned(),
            by: there.actor.id.clone(),
            hands: hands.to_owned(),
            until,
        });
        Ok((waits, there.version))
    }
}

/// The kind of the record; its id is the generation.
const WAITS: &str = "recovery-key-waits";
/// A day: the other is at work tomorrow.
const WAITS_SECS: i64 = 86_400;
