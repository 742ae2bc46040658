//! Writing: a new version is sealed and there, with its labels, or it is not.

use std::collections::BTreeMap;

use policy::{Action, Grant, Owner, Timestamp};
use ring::rand::SystemRandom;
use store::{ActorStamp, NewValue, Record};
use zeroize::Zeroizing;

use super::base::Vault;
use super::body::{Body, SECRET, VersionBody, value_id};
use super::linking::{self, Links};
use super::secret::Secret;
use super::wishes::{Change, KEEP, Naming, Put};
use crate::envelope::{Context, seal};
use crate::error::SecretError;
use crate::kinds::{Fields, FieldsError, Jwk, Kind, Patch, Totp, bare_ssh_line, tidy};
use crate::nouns::{Label, SecretPath, Which};

/// What a new version is, before it is sealed.
pub(super) struct Draft {
    pub fields: Fields,
    /// The record as it is to be, with the version in it but for what sealing tells.
    pub body: Body,
    /// Its fields that are references.
    pub links: Links,
    /// The version of the record that it replaces.
    pub record: u64,
}

impl Vault {
    /// Writes a version; the first makes the secret, for `owner`. What it holds is `current` from now on, and what was is `previous`.
    ///
    /// # Errors
    /// [`SecretError::Conflict`]: the newest version is not the expected one. [`SecretError::Invalid`], [`SecretError::OutOfUse`].
    pub async fn put(&self, grant: Grant, path: &SecretPath, owner: &Owner, put: Put) -> Result<Secret, SecretError> {
        self.put_along(&grant, (path, owner), &put, || std::future::ready(Ok(None))).await
    }

    /// The same, with another record in the transaction where there is one: it is asked for anew with each try.
    pub(crate) async fn put_along<F>(
        &self,
        grant: &Grant,
        (path, owner): (&SecretPath, &Owner),
        put: &Put,
        along: impl Fn() -> F + Send + Sync,
    ) -> Result<Secret, SecretError>
    where
        F: Future<Output = Result<Option<Record>, SecretError>> + Send,
    {
        Vault::is_for(grant, Action::WriteSecret, path, owner)?;
        put.naming.check()?;
        let now = self.now().await?;
        if let (Some(begins), Some(ends)) = (put.not_before, put.expires)
            && begins >= ends
        {
            return Err(SecretError::invalid("expires", "it is not after the beginning"));
        }
        if put.expires.is_some_and(|ends| ends <= now) {
            return Err(SecretError::invalid("expires", "it has passed already"));
        }
        let mut moved = None;
        for _ in 0..TRIES_MAX {
            if let Some(secret) = self.look(path).await? {
                secret.free()?;
            }
            let draft = self.draft(grant, (path, owner), put, now).await?;
            // A rotation may have come over it meanwhile.
            if draft.body.rotated {
                continue;
            }
            let beside: Vec<Record> = along().await?.into_iter().collect();
            match self.keep(grant, (path, owner), draft, put, beside).await {
                // Something of it moved: the next draft says whether it was the expected version.
                Err(SecretError::Conflict(why)) => moved = Some(why),
                other => return other,
            }
        }
        Err(SecretError::Conflict(
            moved.unwrap_or_else(|| format!("the secret {path} changes all the time: try again")),
        ))
    }

    pub(super) async fn draft(
        &self,
        grant: &Grant,
        (path, owner): (&SecretPath, &Owner),
        put: &Put,
        now: Timestamp,
    ) -> Result<Draft, SecretError> {
        let there = self.look(path).await?;
        // What is out of use is neither read nor written upon, whatever its newest version is.
        if let Some(secret) = there.as_ref().filter(|secret| !secret.is_gone()) {
            secret.present()?;
        }
        let newest = there.as_ref().map_or(0, live_newest);
        if put.expect.is_some_and(|expected| expected != newest) {
            return Err(unexpected(path, newest));
        }
        let (mut body, record) = match &there {
            Some(secret) if !secret.is_gone() => {
                if secret.owner() != owner {
                    return Err(SecretError::Conflict(format!("another secret stands at {path} now: ask again")));
                }
                (secret.body.clone(), secret.record)
            }
            Some(gone) => (new_body(gone.body.life + 1, &put.naming, now), gone.record),
            None => (new_body(1, &put.naming, now), 0),
        };
        describe(&mut body, &put.naming)?;
        let mut fields = self.fields(grant, there.as_ref(), &put.change, now).await?;
        linking::clear(&mut fields, &put.change, &put.references)?;
        if put.draw {
            draw(body.kind, &mut fields)?;
        }
        // A generic secret, a note, a file hold what they were given, byte for byte.
        if !matches!(body.kind, Kind::Generic | Kind::Note | Kind::File) {
            tidy(&mut fields).map_err(too_much)?;
        }
        if body.kind == Kind::TotpSeed {
            let unfolded = Totp::unfolded(&fields);
            let unfolded = unfolded.map_err(|error| SecretError::invalid("secret", error.to_string()))?;
            fields.merge(unfolded).map_err(too_much)?;
        }
        let current = body.labels.get(Label::CURRENT).and_then(|number| body.version(*number));
        let before = current.map(|version| version.references.clone()).unwrap_or_default();
        let links = linking::links(before, &put.change, &put.references, &fields)?;
        check(body.kind, &fields, &links)?;
        body.newest += 1;
        Ok(Draft { fields, body, links, record })
    }

    /// The fields that a version is to hold. What siblings of a changed field hold is opened for that, which the log says.
    async fn fields(
        &self,
        grant: &Grant,
        there: Option<&Secret>,
        change: &Change,
        now: Timestamp,
    ) -> Result<Fields, SecretError> {
        let patch = match change {
            Change::Whole(fields) => return copied(fields),
            Change::Patch(patch) => patch,
        };
        let mut fields = match there {
            Some(secret) if !secret.is_gone() && secret.labels().contains_key(Label::CURRENT) => {
                let whose = (secret.path(), secret.owner());
                self.open_one(grant, whose, &Which::default(), now).await?.1
            }
            Some(_) | None => Fields::new(),
        };
        fields.merge(patch_copied(patch)).map_err(too_much)?;
        Ok(fields)
    }

    /// Seals it, and writes version, record and what belongs to them in one transaction.
    pub(super) async fn keep(
        &self,
        grant: &Grant,
        (path, owner): (&SecretPath, &Owner),
        draft: Draft,
        put: &Put,
        beside: Vec<Record>,
    ) -> Result<Secret, SecretError> {
        let Draft { fields, mut body, links, record } = draft;
        let number = body.newest;
        let context = Context {
            origin: self.ledger.origin(),
            path: path.as_str(),
            life: body.life,
            version: number,
            owner: owner.as_str(),
        };
        let plain: Zeroizing<Vec<u8>> = fields.encode();
        let (dek, envelope) = seal(&plain, &context, &self.random)?;
        let actor = ActorStamp::from(grant.actor());
        body.versions.push(VersionBody {
            number,
            at: self.now().await?,
            by: actor.id.clone(),
            sha256: hex(ring::digest::digest(&ring::digest::SHA256, &envelope.0).as_ref()),
            bytes: plain.len() as u64,
            fields: fields.names().map(|name| name.as_str().to_owned()).collect(),
            disabled: false,
            not_before: put.not_before,
            expires: put.expires,
            destroyed: false,
            unused: put.pending,
            references: links,
            jwk: public_half(body.kind, &fields),
            public_line: public_line(body.kind, &fields),
        });
        match put.pending {
            true => drop(body.labels.insert(Label::PENDING.to_owned(), number)),
            false => body.promote(number),
        }
        let pruned = body.prune();
        if body.is_too_long() {
            let why = match body.purge_lock {
                true => {
                    "its versions are too many, and nothing of it may be destroyed: take the lock away, or begin another secret"
                }
                false => "the names of its fields and labels are too many for one secret: divide it",
            };
            return Err(SecretError::invalid("fields", why));
        }
        let life = body.life;
        let meta = record_of(path, owner, &body, actor.clone(), record)?;
        let value = NewValue {
            id: value_id(path.as_str(), life, number),
            owner: Some(owner.as_str().to_owned()),
            key: dek.to_seal(),
            wrapped: self.wrapped(&dek, &context).await?,
            envelope: envelope.0,
            instead_of: pruned.iter().map(|number| value_id(path.as_str(), life, *number)).collect(),
        };
        value.instead_of.iter().for_each(|id| self.forget(id));
        let records = std::iter::once(meta).chain(beside).collect();
        self.ledger.keep_value(value, records, actor).await?;
        self.there(path).await
    }

    /// Moves a label of one's own, or takes it away; or takes `pending` away, by which a version that was never in use is given up. It stays
    /// under its number.
    ///
    /// # Errors
    /// [`SecretError::Invalid`]: it is `current`, `pending` or `previous`, which move by themselves. [`SecretError::Conflict`]: what is
    /// pending is a rotation's.
    pub async fn label(
        &self,
        grant: Grant,
        path: &SecretPath,
        label: &Label,
        to: Option<&Which>,
    ) -> Result<Secret, SecretError> {
        let is_given_up = label.as_str() == Label::PENDING && to.is_none();
        if label.is_ours() && !is_given_up {
            let otherwise = match label.as_str() {
                Label::PENDING => format!("; `{}` gives its version up", give_up(path)),
                _ => String::new(),
            };
            let why = format!("the label {label} moves with a new version, a rotation or a rollback{otherwise}");
            return Err(SecretError::invalid("label", why));
        }
        self.amend(&grant, path, |secret, body| {
            if is_given_up {
                secret.free()?;
            }
            match to {
                Some(which) => {
                    let number = kept(secret, which)?;
                    body.labels.insert(label.as_str().to_owned(), number);
                }
                None if body.labels.remove(label.as_str()).is_none() => {
                    return Err(SecretError::NotFound(format!("the secret {path} has no label {label}")));
                }
                None => {}
            }
            match body.labels.len() > LABELS_MAX {
                true => Err(SecretError::invalid("label", format!("a secret has at most {LABELS_MAX} labels"))),
                false => Ok(()),
            }
        })
        .await
    }

    /// Makes an older version `current` again; what was is `previous`. Without a word, the previous one: done twice, it is as before.
    ///
    /// # Errors
    /// [`SecretError::NotFound`]: there is no such version. [`SecretError::OutOfUse`]: it is not to be used.
    pub async fn roll_back(&self, grant: Grant, path: &SecretPath, to: Option<&Which>) -> Result<Secret, SecretError> {
        let now = self.now().await?;
        self.amend(&grant, path, |secret, body| {
            secret.free()?;
            let number = match to {
                Some(which) => secret.usable(which, now)?.number,
                None => {
                    let previous = body.labels.get(Label::PREVIOUS).copied();
                    let none =
                        || SecretError::NotFound(format!("the secret {path} has no previous version to go back to"));
                    let number = previous.ok_or_else(none)?;
                    secret.usable(&version(number)?, now)?.number
                }
            };
            if body.labels.get(Label::CURRENT) == Some(&number) {
                return Err(SecretError::Conflict(format!("version {number} of {path} is the current one already")));
            }
            body.promote(number);
            Ok(())
        })
        .await
    }

    /// Says something else of a secret.
    ///
    /// # Errors
    /// [`SecretError::Invalid`].
    pub async fn describe(&self, grant: Grant, path: &SecretPath, naming: &Naming) -> Result<Secret, SecretError> {
        naming.check()?;
        self.amend(&grant, path, |_, body| describe(body, naming)).await
    }

    /// A new record of a secret, of which nothing else changed meanwhile.
    pub(super) async fn amend(
        &self,
        grant: &Grant,
        path: &SecretPath,
        change: impl Fn(&Secret, &mut Body) -> Result<(), SecretError>,
    ) -> Result<Secret, SecretError> {
        for _ in 0..TRIES_MAX {
            let secret = self.there(path).await?;
            Vault::is_for(grant, Action::WriteSecret, path, secret.owner())?;
            secret.present()?;
            let mut body = secret.body.clone();
            change(&secret, &mut body)?;
            let record = record_of(path, secret.owner(), &body, grant.actor().into(), secret.record)?;
            match self.ledger.record(vec![record]).await.map_err(SecretError::from) {
                Ok(_) => return self.there(path).await,
                Err(SecretError::Conflict(_)) => {}
                Err(other) => return Err(other),
            }
        }
        Err(SecretError::Conflict(format!("the secret {path} changes all the time: try again")))
    }
}

/// Draws what a kind draws, as it does where nobody wishes otherwise.
fn draw(kind: Kind, fields: &mut Fields) -> Result<(), SecretError> {
    let nothing = || SecretError::invalid("draw", format!("nothing is drawn of the kind {kind}: others issue it"));
    let wish = kind.wish().ok_or_else(nothing)?;
    let drawn = kind.generate(&wish, &mut SystemRandom::new());
    fields.merge(drawn.map_err(|error| SecretError::invalid("draw", error.to_string()))?).map_err(too_much)
}

/// Whether the fields are a secret of that kind.
fn check(kind: Kind, fields: &Fields, links: &Links) -> Result<(), SecretError> {
    if fields.is_empty() {
        return Err(SecretError::invalid("fields", "a version holds at least one field of its own"));
    }
    kind.validate(&linking::with_stand_ins(fields, links)?).map_err(|faults| {
        let faults: Vec<String> = faults.iter().take(FAULTS_SHOWN_MAX).map(ToString::to_string).collect();
        SecretError::invalid("fields", faults.join("; "))
    })
}

/// Of a signing key what others verify its tokens with.
fn public_half(kind: Kind, fields: &Fields) -> Option<String> {
    (kind == Kind::JwtSigningKey).then(|| Jwk::of_fields(fields).ok().map(|key| key.json())).flatten()
}

/// Of an SSH key what hosts are given.
fn public_line(kind: Kind, fields: &Fields) -> Option<String> {
    let line = fields.text("public_key").filter(|_| kind == Kind::SshKey)?;
    bare_ssh_line(line)
}

/// A record as it is written.
pub(super) fn record_of(
    path: &SecretPath,
    owner: &Owner,
    body: &Body,
    actor: ActorStamp,
    expect: u64,
) -> Result<Record, SecretError> {
    let body = serde_json::to_value(body).map_err(|e| SecretError::invalid("secret", e.to_string()))?;
    Ok(Record {
        kind: SECRET,
        id: path.as_str().to_owned(),
        owner: Some(owner.as_str().to_owned()),
        lookup: None,
        expires: None,
        body,
        actor,
        expect: Some(expect),
    })
}

fn new_body(life: u64, naming: &Naming, now: Timestamp) -> Body {
    Body {
        life,
        made: Some(now),
        newest: 0,
        kind: naming.kind.unwrap_or(Kind::Generic),
        description: String::new(),
        tags: BTreeMap::new(),
        labels: BTreeMap::new(),
        versions: Vec::new(),
        keep: KEEP,
        purge_lock: false,
        cache_secs: None,
        rotated: false,
        deleted: None,
        gone: false,
    }
}

fn describe(body: &mut Body, naming: &Naming) -> Result<(), SecretError> {
    if naming.kind.is_some_and(|kind| kind != body.kind) {
        return Err(SecretError::invalid("kind", format!("it is of kind {} and stays so", body.kind)));
    }
    let Naming { kind: _, description, tags, keep, purge_lock, cache_secs } = naming;
    if let Some(description) = description {
        body.description.clone_from(description);
    }
    if let Some(tags) = tags {
        body.tags.clone_from(tags);
    }
    body.keep = keep.unwrap_or(body.keep);
    body.purge_lock = purge_lock.unwrap_or(body.purge_lock);
    body.cache_secs = cache_secs.or(body.cache_secs);
    Ok(())
}

/// The newest version's number as a caller knows it: what was destroyed is not there.
fn live_newest(secret: &Secret) -> u64 {
    if secret.is_gone() { 0 } else { secret.newest() }
}

fn unexpected(path: &SecretPath, newest: u64) -> SecretError {
    SecretError::Conflict(match newest {
        0 => format!("there is no secret at {path} yet"),
        _ => format!("the newest version of {path} is {newest}: read it, and write upon that"),
    })
}

/// By which command a pending version is given up.
pub(super) fn give_up(path: &SecretPath) -> String {
    format!("chancery secret label {path} {} --remove", Label::PENDING)
}

/// A version that is there, usable or not.
fn kept(secret: &Secret, which: &Which) -> Result<u64, SecretError> {
    let version = secret.find(which)?;
    match version.destroyed {
        true => Err(SecretError::OutOfUse(format!("version {} was destroyed", version.number))),
        false => Ok(version.number),
    }
}

pub(super) fn version(number: u64) -> Result<Which, SecretError> {
    let number = std::num::NonZeroU64::new(number);
    number.map(Which::Version).ok_or_else(|| SecretError::invalid("version", "versions are numbered from 1"))
}

/// Another try seals the same anew.
fn copied(fields: &Fields) -> Result<Fields, SecretError> {
    let mut copy = Fields::new();
    for (name, value) in fields.iter() {
        copy.set(name.clone(), value.to_vec()).map_err(too_much)?;
    }
    Ok(copy)
}

fn patch_copied(patch: &Patch) -> Patch {
    patch.iter().fold(Patch::new(), |copy, (name, value)| match value {
        Some(value) => copy.set(name.clone(), value.to_vec()),
        None => copy.remove(name.clone()),
    })
}

fn too_much(error: FieldsError) -> SecretError {
    SecretError::invalid("fields", error.to_string())
}

fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

/// Tries upon what others change all the time; then the caller is told to come back.
pub(super) const TRIES_MAX: usize = 8;
const LABELS_MAX: usize = 32;
const FAULTS_SHOWN_MAX: usize = 10;
