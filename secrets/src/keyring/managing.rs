//! A key's life: made, rotated, its versions bounded, trimmed, destroyed.

use policy::{Action, Grant, Owner};
use ring::rand::SystemRandom;
use store::{ActorStamp, NewValue, Used};

use super::base::TransitKeys;
use super::record::{Body, TransitKey, place};
use crate::envelope::seal;
use crate::error::SecretError;
use crate::transit::{KeyKind, KeyName, Keyset, Mode, Terms};

/// A new key.
#[derive(Clone, Copy, Debug)]
pub struct KeyWish {
    /// What it does.
    pub kind: KeyKind,
    /// How it is used.
    pub mode: Mode,
    /// After so many days it gets a new version by itself; 0: never.
    pub rotate_days: u32,
}

/// What is said of a key; what is none stays as it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Settings {
    /// The oldest version under which something is opened and verified.
    pub min_decrypt: Option<u32>,
    /// The oldest under which something new is made.
    pub min_encrypt: Option<u32>,
    /// Whether it may be destroyed.
    pub deletable: Option<bool>,
    /// After so many days it gets a new version by itself; 0: never.
    pub rotate_days: Option<u32>,
}

impl TransitKeys {
    /// Makes a key, with its version 1, for `owner`.
    ///
    /// # Errors
    /// [`SecretError::Conflict`]: there is one. [`SecretError::Transit`]: no such key can be. [`SecretError::Invalid`].
    pub async fn create(
        &self,
        grant: Grant,
        name: &KeyName,
        owner: &Owner,
        wish: KeyWish,
    ) -> Result<TransitKey, SecretError> {
        TransitKeys::is_for(&grant, Action::ManageTransitKeys, name, owner)?;
        days(wish.rotate_days)?;
        let (life, record) = match self.last(name).await? {
            None => (1, 0),
            Some(gone) if gone.is_gone() => (gone.body.life + 1, gone.record),
            Some(_) => return Err(SecretError::Conflict(format!("there is a transit key {name}: rotate it"))),
        };
        let keys = Keyset::draw(name.clone(), wish.kind, wish.mode, &mut SystemRandom::new())?;
        let body = Body {
            life,
            generation: 0,
            kind: wish.kind.as_str().to_owned(),
            mode: wish.mode.as_str().to_owned(),
            min_decrypt: 1,
            min_encrypt: 1,
            versions: Vec::new(),
            deletable: false,
            rotate_days: wish.rotate_days,
            gone: false,
        };
        self.keep(&grant, (name, owner), (body, record), &keys, None).await
    }

    /// Gives a key a new version, which seals and signs from now on. What was made before is opened and verified as it was.
    ///
    /// # Errors
    /// [`SecretError::NotFound`]; [`SecretError::Transit`]: it has as many as it may have; [`SecretError::Conflict`].
    pub async fn rotate(&self, grant: Grant, name: &KeyName) -> Result<TransitKey, SecretError> {
        self.succeed(&grant, name, (Action::ManageTransitKeys, "rotate"), |_, keys| {
            Ok(keys.rotated(&mut SystemRandom::new())?)
        })
        .await
    }

    /// The same by the service itself, where it is due; none where it is not.
    ///
    /// # Errors
    /// As [`TransitKeys::rotate`].
    pub async fn rotate_due(&self, grant: Grant, name: &KeyName) -> Result<Option<TransitKey>, SecretError> {
        let now = self.vault.now().await?;
        match self.there(name).await?.is_due(now) {
            true => self.rotate(grant, name).await.map(Some),
            false => Ok(None),
        }
    }

    /// Does away with the versions below the least one that opens, for good. What they sealed is lost.
    ///
    /// # Errors
    /// [`SecretError::NotFound`]; [`SecretError::Invalid`]: there is nothing below it; [`SecretError::Conflict`].
    pub async fn trim(&self, grant: Grant, name: &KeyName) -> Result<TransitKey, SecretError> {
        let key = self.there(name).await?;
        if key.terms().min_decrypt <= key.oldest() {
            let why = format!("no version of {name} is below it ({}): raise it first", key.terms().min_decrypt);
            return Err(SecretError::invalid("min_decrypt", why));
        }
        self.succeed(&grant, name, (Action::DestroyTransitKey, "trim"), |key, keys| Ok(keys.trimmed(key.terms())?))
            .await
    }

    /// Says which versions are used, whether it may be destroyed, and how often it is rotated.
    ///
    /// # Errors
    /// [`SecretError::Transit`]: there is no such version. [`SecretError::Invalid`], [`SecretError::NotFound`].
    pub async fn configure(&self, grant: Grant, name: &KeyName, settings: Settings) -> Result<TransitKey, SecretError> {
        let Settings { min_decrypt, min_encrypt, deletable, rotate_days } = settings;
        days(rotate_days.unwrap_or(0))?;
        for _ in 0..TRIES_MAX {
            let key = self.there(name).await?;
            TransitKeys::is_for(&grant, Action::ManageTransitKeys, name, key.owner())?;
            let mut body = key.body.clone();
            body.min_decrypt = min_decrypt.unwrap_or(body.min_decrypt);
            // Where nobody says, nothing new is made under what is not opened any more.
            body.min_encrypt = min_encrypt.unwrap_or(body.min_encrypt.max(body.min_decrypt));
            body.deletable = deletable.unwrap_or(body.deletable);
            body.rotate_days = rotate_days.unwrap_or(body.rotate_days);
            let terms = Terms { min_decrypt: body.min_decrypt, min_encrypt: body.min_encrypt };
            terms.check_within(key.oldest(), key.newest())?;
            let record = body.record(name, key.owner(), grant.actor().into(), key.record)?;
            match self.vault.ledger().record(vec![record]).await.map_err(SecretError::from) {
                Ok(_) => return self.there(name).await,
                Err(SecretError::Conflict(_)) => {}
                Err(other) => return Err(other),
            }
        }
        Err(moving(name))
    }

    /// Does away with a key for good. All that it ever sealed is lost.
    ///
    /// # Errors
    /// [`SecretError::Conflict`]: nobody said that it may be. [`SecretError::NotFound`].
    pub async fn destroy(&self, grant: Grant, name: &KeyName) -> Result<(), SecretError> {
        let key = self.there(name).await?;
        TransitKeys::is_for(&grant, Action::DestroyTransitKey, name, key.owner())?;
        if !key.is_deletable() {
            let why = "is not to be destroyed: say that it may be (deletable), and then destroy it";
            return Err(SecretError::Conflict(format!("the key {name} {why}")));
        }
        let actor = ActorStamp::from(grant.actor());
        let body = Body { gone: true, versions: Vec::new(), ..key.body.clone() };
        let record = body.record(name, key.owner(), actor.clone(), key.record)?;
        let value = (key.value(), Some(key.owner().as_str().to_owned()));
        Ok(self.vault.ledger().destroy_values(vec![value], vec![record], &actor).await?)
    }

    /// Puts another keyset in the place of the one before, which is opened for that, as the log says.
    async fn succeed(
        &self,
        grant: &Grant,
        name: &KeyName,
        (action, act): (Action, &'static str),
        next: impl Fn(&TransitKey, &Keyset) -> Result<Keyset, SecretError>,
    ) -> Result<TransitKey, SecretError> {
        for _ in 0..TRIES_MAX {
            let found = match self.find(name).await {
                Err(SecretError::Conflict(_)) => continue,
                other => other?,
            };
            let key = found.key().clone();
            TransitKeys::is_for(grant, action, name, key.owner())?;
            let used = Used { act, items: 1, versions: vec![key.newest()] };
            let recorded = match self.record(grant, &found, used).await {
                Err(SecretError::Conflict(_)) => continue,
                other => other?,
            };
            let open = self.open(found, &recorded).await?;
            let keys = next(&key, &open.keys)?;
            let before = Some(key.value());
            let kept = (key.body.clone(), key.record);
            match self.keep(grant, (name, key.owner()), kept, &keys, before).await {
                // Somebody was faster.
                Err(SecretError::Conflict(_)) => {}
                other => return other,
            }
        }
        Err(moving(name))
    }

    /// Seals a keyset, and writes it and the record that says so in one transaction; the value before goes.
    async fn keep(
        &self,
        grant: &Grant,
        (name, owner): (&KeyName, &Owner),
        (mut body, record): (Body, u64),
        keys: &Keyset,
        before: Option<String>,
    ) -> Result<TransitKey, SecretError> {
        body.generation += 1;
        body.note(keys, self.vault.now().await?)?;
        let actor = ActorStamp::from(grant.actor());
        let meta = body.record(name, owner, actor.clone(), record)?;
        let ledger = self.vault.ledger();
        let place = place(name);
        let context = body.context(ledger.origin(), &place, owner);
        let (dek, envelope) = seal(&keys.encode(), &context, &SystemRandom::new())?;
        let value = NewValue {
            id: crate::vault::value_id(&place, body.life, body.generation),
            owner: Some(owner.as_str().to_owned()),
            key: dek.to_seal(),
            wrapped: self.vault.wrapped(&dek, &context).await?,
            envelope: envelope.0,
            instead_of: before.into_iter().collect(),
        };
        ledger.keep_value(value, vec![meta], actor).await?;
        self.there(name).await
    }
}

fn days(days: u32) -> Result<(), SecretError> {
    match days <= ROTATE_DAYS_MAX {
        true => Ok(()),
        false => Err(SecretError::invalid("rotate_days", format!("at most {ROTATE_DAYS_MAX}, and 0 for never"))),
    }
}

fn moving(name: &KeyName) -> SecretError {
    SecretError::Conflict(format!("the key {name} changes all the time: try again"))
}

/// Ten years.
pub const ROTATE_DAYS_MAX: u32 = 3_650;
/// Tries upon what others change all the time; then the caller is told to come back.
const TRIES_MAX: usize = 8;
