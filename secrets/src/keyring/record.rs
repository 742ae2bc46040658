//! A transit key as it is shown: everything but its bytes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pem_rfc7468::LineEnding;
use policy::{Owner, Timestamp};
use serde::{Deserialize, Serialize};
use store::{ActorStamp, Record, StoreError, StoredRecord};

use crate::envelope::Context;
use crate::error::SecretError;
use crate::transit::{KeyKind, KeyName, Keyset, Mode, Terms};
use crate::vault::value_id;

/// The kind of a transit key's record; its id is the name.
pub(super) const TRANSIT_KEY: &str = "transit-key";
/// The second key of those that are rotated by themselves.
pub(super) const ROTATES: &str = "rotates";

/// What there is to say of a key, attested by the log.
#[derive(Clone, Debug, PartialEq)]
pub struct TransitKey {
    pub(super) name: KeyName,
    pub(super) owner: Owner,
    /// The version of its record.
    pub(super) record: u64,
    pub(super) body: Body,
    changed: (Timestamp, String),
}

/// A version of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyVersion {
    /// Its number, which never comes again.
    pub number: u32,
    /// When it was made.
    pub at: Timestamp,
    /// Its public half as PEM (SubjectPublicKeyInfo); none of a kind that has none.
    pub public: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Body {
    /// Which life of its name: a new one begins where the one before was destroyed.
    pub life: u64,
    /// Which of the values that its versions lay in is the present one.
    pub generation: u64,
    pub kind: String,
    pub mode: String,
    pub min_decrypt: u32,
    pub min_encrypt: u32,
    /// Its versions, the oldest first, without a gap.
    pub versions: Vec<VersionBody>,
    /// Somebody said that it may be destroyed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deletable: bool,
    /// It gets a new version by itself after so many days; 0: never.
    #[serde(default, skip_serializing_if = "is_none")]
    pub rotate_days: u32,
    /// It was destroyed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gone: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct VersionBody {
    pub number: u32,
    pub at: Timestamp,
    /// Base64 of the public half's SubjectPublicKeyInfo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public: Option<String>,
}

// serde hands it over so.
fn is_none(days: &u32) -> bool {
    *days == 0
}

impl TransitKey {
    pub(super) fn of(record: StoredRecord) -> Result<TransitKey, SecretError> {
        let corrupt =
            |why: String| SecretError::Store(StoreError::Corrupt(format!("transit key {}: {why}", record.id)));
        let body: Body = serde_json::from_value(record.body).map_err(|e| corrupt(e.to_string()))?;
        let name: KeyName = record.id.parse().map_err(|e| corrupt(format!("{e}")))?;
        let owner = record.owner.as_deref().ok_or("no owner".to_owned());
        let owner = owner.and_then(|owner| Owner::parse(owner).map_err(|e| e.to_string())).map_err(corrupt)?;
        let key = TransitKey { name, owner, record: record.version, body, changed: (record.at, record.actor.id) };
        key.checked()
    }

    /// What a record of ours says: numbers without a gap, and words that are known.
    fn checked(self) -> Result<TransitKey, SecretError> {
        let says = |why: &str| {
            let why = format!("transit key {}: {why}", self.name);
            SecretError::Store(StoreError::Corrupt(why))
        };
        let is_known = self.body.kind.parse::<KeyKind>().is_ok() && self.body.mode.parse::<Mode>().is_ok();
        let numbers = self.body.versions.windows(2);
        let has_gap = numbers.into_iter().any(|two| match two {
            [one, next] => one.number.checked_add(1) != Some(next.number),
            _ => false,
        });
        match (is_known, has_gap) {
            (true, false) => Ok(self),
            (false, _) => Err(says("its kind or mode is unknown")),
            (true, true) => Err(says("its versions have a gap")),
        }
    }

    /// Its name.
    pub fn name(&self) -> &KeyName {
        &self.name
    }

    /// Whose it is.
    pub fn owner(&self) -> &Owner {
        &self.owner
    }

    /// What it does.
    pub fn kind(&self) -> KeyKind {
        // Looked at when it was read.
        self.body.kind.parse().unwrap_or(KeyKind::Aes256Gcm)
    }

    /// How it is used.
    pub fn mode(&self) -> Mode {
        self.body.mode.parse().unwrap_or(Mode::Plain)
    }

    /// Which versions are used for what.
    pub fn terms(&self) -> Terms {
        Terms { min_decrypt: self.body.min_decrypt, min_encrypt: self.body.min_encrypt }
    }

    /// The number of the oldest version that is kept.
    pub fn oldest(&self) -> u32 {
        self.body.versions.first().map_or(0, |version| version.number)
    }

    /// The newest version's number.
    pub fn newest(&self) -> u32 {
        self.body.versions.last().map_or(0, |version| version.number)
    }

    /// When the newest version was made.
    pub fn rotated(&self) -> Timestamp {
        self.body.versions.last().map_or(self.changed.0, |version| version.at)
    }

    /// Its versions, the newest first.
    pub fn versions(&self) -> Vec<KeyVersion> {
        let public = |text: &String| {
            let der = STANDARD.decode(text).ok()?;
            pem_rfc7468::encode_string("PUBLIC KEY", LineEnding::LF, &der).ok()
        };
        let of = |version: &VersionBody| KeyVersion {
            number: version.number,
            at: version.at,
            public: version.public.as_ref().and_then(public),
        };
        self.body.versions.iter().rev().map(of).collect()
    }

    /// Whether somebody said that it may be destroyed.
    pub fn is_deletable(&self) -> bool {
        self.body.deletable
    }

    /// It gets a new version by itself after so many days; none: never.
    pub fn rotate_days(&self) -> Option<u32> {
        Some(self.body.rotate_days).filter(|days| *days > 0)
    }

    /// When it gets its next version by itself.
    pub fn due(&self) -> Option<Timestamp> {
        self.rotate_days().map(|days| self.rotated().plus_secs(i64::from(days) * DAY_SECS))
    }

    /// Whether its period has passed at `now`. A newest version that a clock made which was ahead holds the next up for as long as that
    /// clock was: it is due at once.
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.rotate_days().is_some_and(|days| now.is_due(self.rotated(), i64::from(days) * DAY_SECS))
    }

    /// When anything of it was changed last, and by whom.
    pub fn changed(&self) -> (Timestamp, &str) {
        (self.changed.0, &self.changed.1)
    }

    /// Whether it was destroyed: its name is free.
    pub(super) fn is_gone(&self) -> bool {
        self.body.gone
    }

    /// The name of the value that its versions lie in.
    pub(super) fn value(&self) -> String {
        value_id(&place(&self.name), self.body.life, self.body.generation)
    }
}

/// What a key's value is bound to. No path of a secret has a colon.
pub(super) fn place(name: &KeyName) -> String {
    format!("transit:{name}")
}

impl Body {
    /// What its value is bound to; `place` is the key's.
    pub fn context<'a>(&self, origin: &'a str, place: &'a str, owner: &'a Owner) -> Context<'a> {
        Context { origin, path: place, life: self.life, version: self.generation, owner: owner.as_str() }
    }

    /// Takes down which versions a keyset has; those that were there keep their time.
    ///
    /// # Errors
    /// [`SecretError::Invalid`]: the record would be longer than the register takes.
    pub fn note(&mut self, keys: &Keyset, now: Timestamp) -> Result<(), SecretError> {
        let before = std::mem::take(&mut self.versions);
        for number in keys.oldest()..=keys.newest() {
            let there = before.iter().find(|version| version.number == number);
            let version = match there {
                Some(there) => there.clone(),
                None => VersionBody { number, at: now, public: keys.public_key(number)?.map(|pem| joined(&pem)) },
            };
            self.versions.push(version);
        }
        let is_too_long = serde_json::to_string(self).map_or(true, |text| text.len() > BODY_BYTES_MAX);
        match is_too_long {
            false => Ok(()),
            true => {
                let why = "they are too many for one record: raise the least version and trim it, then rotate";
                Err(SecretError::invalid("versions", why))
            }
        }
    }

    /// As it is written.
    pub fn record(&self, name: &KeyName, owner: &Owner, actor: ActorStamp, expect: u64) -> Result<Record, SecretError> {
        let body = serde_json::to_value(self).map_err(|e| SecretError::invalid("transit key", e.to_string()))?;
        Ok(Record {
            kind: TRANSIT_KEY,
            id: name.as_str().to_owned(),
            owner: Some(owner.as_str().to_owned()),
            lookup: (self.rotate_days > 0 && !self.gone).then(|| ROTATES.to_owned()),
            expires: None,
            body,
            actor,
            expect: Some(expect),
        })
    }
}

/// The base64 of a PEM, without its lines.
fn joined(pem: &str) -> String {
    pem.lines().filter(|line| !line.starts_with("-----")).collect()
}

const DAY_SECS: i64 = 86_400;
/// A record has 64 KiB; 256 public halves of P-256 are 50.
const BODY_BYTES_MAX: usize = 60 * 1024;
