//! Reading: what is opened is in the log before it is.

use std::sync::Arc;

use policy::{Action, Grant, Owner, Timestamp};
use store::{AccessEntry, Accessed, Recorded, SealedValue, Showing, StoreError};

use super::base::{Vault, none_at};
use super::body::value_id;
use super::keeping::Lease;
use super::secret::Secret;
use crate::envelope::{self, Context, Dek, Envelope, Forged};
use crate::error::SecretError;
use crate::kinds::Fields;
use crate::nouns::{SecretPath, Which};

/// One of what is to be read.
#[derive(Debug)]
pub struct Wanted {
    /// That it may be: for its path and owner.
    pub grant: Grant,
    /// Where it stands.
    pub path: SecretPath,
    /// What was said of it when the grant was asked for, where that is at hand. It is not looked up again: the leaf is written only where it
    /// is still so.
    pub known: Option<Arc<Secret>>,
    /// Which version.
    pub which: Which,
    /// For so many seconds the reader would keep it, as far as the service lets him; the secret itself may say less. 0: he does not.
    pub keep_secs: u64,
}

/// What was opened.
#[derive(Debug)]
pub struct Opened {
    /// What is said of it.
    pub secret: Arc<Secret>,
    /// The version's number.
    pub number: u64,
    /// SHA-256 of its sealed bytes, in hexadecimal.
    pub sha256: String,
    /// Until when it is used.
    pub expires: Option<Timestamp>,
    /// Its fields.
    pub fields: Fields,
    /// The leaf that says so.
    pub leaf: u64,
    /// Until when its reader may keep it, which the leaf says too; none: he may not.
    pub lease: Option<Lease>,
}

impl Opened {
    /// Whether no field of it is a reference: what it holds is all there is of it.
    pub fn is_alone(&self) -> bool {
        self.secret.body.version(self.number).is_some_and(|version| version.references.is_empty())
    }
}

/// A version that is there to be opened.
pub(super) struct Sealed {
    pub secret: Arc<Secret>,
    pub number: u64,
    value: Arc<SealedValue>,
    /// Its key, where it was unsealed a moment ago.
    dek: Option<Arc<Dek>>,
}

/// One of what is read, which may be.
struct Place {
    at: usize,
    path: SecretPath,
    which: Which,
    known: Arc<Secret>,
    /// So long its reader would keep it.
    asked: u64,
}

/// What one leaf can say: one grant's actor, act and rule, until one time. And what it is said of.
struct Ground {
    grant: Grant,
    keep_secs: u64,
    places: Vec<Place>,
}

impl Ground {
    fn is_of(&self, grant: &Grant, keep_secs: u64) -> bool {
        self.keep_secs == keep_secs
            && self.grant.actor().id == grant.actor().id
            && self.grant.action() == grant.action()
            && self.grant.rule() == grant.rule()
            && self.grant.policy_hash() == grant.policy_hash()
    }
}

impl Vault {
    /// Reads one.
    ///
    /// # Errors
    /// As [`Vault::read_all`], for the one.
    pub async fn read(&self, wanted: Wanted) -> Result<Opened, SecretError> {
        let none = || SecretError::NotFound("nothing was read".to_owned());
        self.read_all(vec![wanted]).await?.pop().unwrap_or_else(|| Err(none()))
    }

    /// Reads all of these, each for itself, in their order. Those that the same rule allows share one leaf.
    ///
    /// # Errors
    /// Where nothing can be read at all: the register or its token is away. Of each:
    /// [`SecretError::NotFound`], [`SecretError::OutOfUse`], [`SecretError::Conflict`], [`SecretError::Forged`].
    pub async fn read_all(&self, wanted: Vec<Wanted>) -> Result<Vec<Result<Opened, SecretError>>, SecretError> {
        if wanted.len() > store::ACCESSED_MAX {
            let why = format!("at most {} secrets are read at once", store::ACCESSED_MAX);
            return Err(SecretError::invalid("secrets", why));
        }
        // No clock holds a reading back, and none that is not believed opens what has ended or refuses what has not.
        let now = self.ledger.believed_time();
        let mut answers: Vec<Option<Result<Opened, SecretError>>> = Vec::with_capacity(wanted.len());
        let mut grounds: Vec<Ground> = Vec::with_capacity(1);
        for (at, Wanted { grant, path, known, which, keep_secs }) in wanted.into_iter().enumerate() {
            answers.push(None);
            match self.is_granted(&grant, &path, known).await {
                Ok(known) => {
                    let (asked, keep_secs) = (keep_secs, known.keeps_for(keep_secs));
                    let place = Place { at, path, which, known, asked };
                    match grounds.iter_mut().find(|ground| ground.is_of(&grant, keep_secs)) {
                        Some(ground) => ground.places.push(place),
                        None => grounds.push(Ground { grant, keep_secs, places: vec![place] }),
                    }
                }
                Err(error) => fill(&mut answers, at, Err(error)),
            }
        }
        for Ground { grant, keep_secs, places } in grounds {
            self.read_some(&grant, places, (now, keep_secs), &mut answers).await?;
        }
        Ok(answers.into_iter().flatten().collect())
    }

    /// The secret that may be read.
    async fn is_granted(
        &self,
        grant: &Grant,
        path: &SecretPath,
        known: Option<Arc<Secret>>,
    ) -> Result<Arc<Secret>, SecretError> {
        let secret = match known.filter(|secret| secret.path() == path && !secret.is_gone()) {
            Some(known) => known,
            None => Box::pin(self.present(path)).await?,
        };
        Vault::is_for(grant, Action::ReadSecret, path, secret.owner())?;
        Ok(secret)
    }

    /// Those of one ground: read as they lie there, written down, opened. What moves meanwhile is read again.
    async fn read_some(
        &self,
        grant: &Grant,
        places: Vec<Place>,
        (now, keep_secs): (Timestamp, u64),
        answers: &mut [Option<Result<Opened, SecretError>>],
    ) -> Result<(), SecretError> {
        for look in 0..LOOKS_MAX {
            let mut sealed = Vec::with_capacity(places.len());
            for Place { at, path, which, known, asked } in &places {
                let there = match look {
                    0 => self.sealed_of(Arc::clone(known), which, now).await,
                    _ => Box::pin(self.sealed(path, which, now)).await,
                };
                match there {
                    // It is to be kept for less than it was a moment ago.
                    Ok(there) if there.secret.keeps_for(*asked) < keep_secs => fill(answers, *at, Err(moving())),
                    // Another life of the path, of another owner, may have begun since it was asked.
                    Ok(there) if there.secret.owner() != known.owner() => fill(answers, *at, Err(another(path))),
                    Ok(there) => sealed.push((*at, there)),
                    // A row that is not what the log says is that one's fault; a register that is away is everybody's.
                    Err(SecretError::Store(error)) if !is_of_one(&error) => return Err(SecretError::Store(error)),
                    Err(error) => fill(answers, *at, Err(error)),
                }
            }
            if sealed.is_empty() {
                return Ok(());
            }
            let until = Lease::of(keep_secs, now).map(|lease| lease.until);
            let recorded = match self.record_until(grant, sealed.iter().map(|(_, sealed)| sealed), until).await {
                Ok(recorded) => recorded,
                // Something of it was changed meanwhile, its key was sealed anew, or it was destroyed.
                Err(SecretError::Conflict(_)) => continue,
                Err(other) => return Err(other),
            };
            for (place, there) in sealed {
                let opened = match self.open(&there, &recorded).await {
                    Err(SecretError::Store(error)) if !is_of_one(&error) => return Err(SecretError::Store(error)),
                    opened => opened.map(|fields| shown(there, fields, recorded.leaf(), (now, keep_secs))),
                };
                fill(answers, place, opened);
            }
            return Ok(());
        }
        Err(moving())
    }

    /// One that is opened for what is done with it here, and its leaf: the same way, for whom its owner's grant is.
    pub(super) async fn open_one(
        &self,
        grant: &Grant,
        (path, owner): (&SecretPath, &Owner),
        which: &Which,
        now: Timestamp,
    ) -> Result<(Sealed, Fields, u64), SecretError> {
        for _ in 0..LOOKS_MAX {
            let sealed = self.sealed(path, which, now).await?;
            if sealed.secret.owner() != owner {
                return Err(another(path));
            }
            let recorded = match self.record(grant, std::iter::once(&sealed)).await {
                Err(SecretError::Conflict(_)) => continue,
                recorded => recorded?,
            };
            let fields = self.open(&sealed, &recorded).await?;
            return Ok((sealed, fields, recorded.leaf()));
        }
        Err(moving())
    }

    /// A version as it lies there.
    pub(super) async fn sealed(&self, path: &SecretPath, which: &Which, now: Timestamp) -> Result<Sealed, SecretError> {
        self.sealed_of(self.present(path).await?, which, now).await
    }

    /// A version of what is said of a secret.
    async fn sealed_of(&self, secret: Arc<Secret>, which: &Which, now: Timestamp) -> Result<Sealed, SecretError> {
        let (path, number) = (secret.path(), secret.usable(which, now)?.number);
        let id = value_id(path.as_str(), secret.body.life, number);
        let gone = || SecretError::OutOfUse(format!("version {number} of {path} was destroyed"));
        let value = self.value(&id).await?.ok_or_else(gone)?;
        Ok(Sealed { dek: self.deks.get(&id), value, secret, number })
    }

    async fn present(&self, path: &SecretPath) -> Result<Arc<Secret>, SecretError> {
        let found = self.known(path).await?.filter(|secret| !secret.is_gone());
        found.ok_or_else(|| none_at(path))
    }

    /// A value as it lies there; what was read before and has no other version is not read again.
    async fn value(&self, id: &str) -> Result<Option<Arc<SealedValue>>, SecretError> {
        if let Some(there) = self.values.get(id)
            && self.ledger.is_present(&there)
        {
            return Ok(Some(there));
        }
        let there = Box::pin(self.ledger.value(id)).await?.map(|value| Arc::new(value.into_inner()));
        if let Some(there) = &there {
            self.values.keep(id, there, there.envelope.len());
        }
        Ok(there)
    }

    /// Writes down what is about to be opened; nothing, where the token would not open it.
    pub(super) async fn record(
        &self,
        grant: &Grant,
        sealed: impl Iterator<Item = &Sealed>,
    ) -> Result<Recorded, SecretError> {
        self.record_until(grant, sealed, None).await
    }

    /// The same, with until when its reader may keep it.
    async fn record_until(
        &self,
        grant: &Grant,
        sealed: impl Iterator<Item = &Sealed>,
        until: Option<Timestamp>,
    ) -> Result<Recorded, SecretError> {
        let sealed: Vec<&Sealed> = sealed.collect();
        for there in sealed.iter().filter(|there| there.dek.is_none()) {
            self.ledger.may_unseal(&there.value)?;
        }
        let of = |there: &&Sealed| there.accessed();
        let entry = AccessEntry {
            actor: grant.actor().into(),
            grant: grant.into(),
            showing: Showing::Opened,
            since: None,
            until,
            opened: sealed.iter().map(of).collect(),
            judged: sealed.iter().map(|there| there.secret.judged()).collect(),
            used: None,
        };
        Ok(self.ledger.access(entry).await?)
    }

    /// Opens what was recorded: the one way to a plaintext.
    pub(super) async fn open(&self, sealed: &Sealed, recorded: &Recorded) -> Result<Fields, SecretError> {
        let Sealed { secret, number, value, dek } = sealed;
        if !recorded.is_of(value.id(), value.version()) {
            return Err(SecretError::Conflict(format!("no access to {} was recorded", value.id())));
        }
        let dek = match dek {
            Some(dek) => Arc::clone(dek),
            None => {
                let bytes = Box::pin(self.ledger.unseal(value, recorded)).await?;
                let dek = Arc::new(Dek::unsealed(&bytes).ok_or(Forged)?);
                self.deks.keep(value.id(), &dek, bytes.len());
                dek
            }
        };
        let context = Context {
            origin: self.ledger.origin(),
            path: secret.path().as_str(),
            life: secret.body.life,
            version: *number,
            owner: secret.owner().as_str(),
        };
        let plain = envelope::open(Envelope(value.envelope.clone()), &context, &dek)?;
        Ok(Fields::decode(&plain).map_err(|_| Forged)?)
    }
}

impl Sealed {
    /// As a leaf names it.
    pub(super) fn accessed(&self) -> Accessed {
        Accessed { id: self.value.id().to_owned(), version: self.value.version() }
    }
}

fn shown(sealed: Sealed, fields: Fields, leaf: u64, (now, keep_secs): (Timestamp, u64)) -> Opened {
    let version = sealed.secret.body.version(sealed.number);
    let (sha256, expires) = version.map(|version| (version.sha256.clone(), version.expires)).unwrap_or_default();
    // Its own end may come before that of the others in its leaf, which says the latest.
    let lease = Lease::of(keep_secs, now).and_then(|lease| lease.not_after(expires, now));
    Opened { secret: sealed.secret, number: sealed.number, sha256, expires, fields, leaf, lease }
}

fn is_of_one(error: &StoreError) -> bool {
    matches!(error, StoreError::Altered(_) | StoreError::Corrupt(_))
}

fn another(path: &SecretPath) -> SecretError {
    SecretError::Conflict(format!("another secret stands at {path} now: ask again"))
}

fn moving() -> SecretError {
    SecretError::Conflict("what was to be read changes all the time: try again".to_owned())
}

fn fill<T>(answers: &mut [Option<T>], place: usize, answer: T) {
    if let Some(there) = answers.get_mut(place) {
        *there = Some(answer);
    }
}

/// Looks at what others change all the time; then the caller is told to come back.
pub(super) const LOOKS_MAX: usize = 8;
