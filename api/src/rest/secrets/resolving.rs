//! Reading with references: what a version refers to is read beside it, by the reader's own right to it, in the same entry of the log.
//!
//! References are known before anything is opened, so that all of them are asked for at once. A chain of them has [`DEPTH_MAX`] steps at
//! most, and none leads back.

use std::collections::BTreeMap;
use std::sync::Arc;

use policy::{Action, Actor, Grant};
use secrets::{
    FieldName, Fields, Kind as SecretKind, Opened, Reference, Secret, SecretError, SecretPath, Wanted, Which,
};

use super::{certificates, granted};
use crate::app::App;
use crate::limits::SECRET_ANSWER_BYTES_MAX;
use crate::problem::{Kind, Problem};

/// Steps of a chain of references: a connection's password that is a service's that is an account's.
const DEPTH_MAX: usize = 4;
/// Looks at what others change all the time; then the caller is told to come back.
const LOOKS_MAX: usize = 4;

/// One of what is asked for: that it may be read, and what it is.
pub(super) struct Root {
    pub(super) grant: Grant,
    pub(super) secret: Arc<Secret>,
    pub(super) which: Which,
    /// So long the caller would keep it.
    pub(super) keep_secs: u64,
}

/// A version, by its path and its label or number.
type Key = (SecretPath, String);

/// What is read, each once, in the order in which it was met.
#[derive(Default)]
struct Plan {
    places: BTreeMap<Key, usize>,
    /// Of what was followed to its end: how many steps of references hang below it.
    heights: BTreeMap<Key, usize>,
    /// What was refused: asked once, and one entry of the log.
    refused: BTreeMap<SecretPath, Problem>,
    wanted: Vec<Wanted>,
    /// Of what is wanted, together.
    bytes: u64,
    keep_secs: u64,
}

/// What was read, as it is answered.
pub(super) struct Answered {
    pub(super) opened: Opened,
    /// What is to be said of it beside its values.
    pub(super) said: Vec<String>,
}

/// Reads all of these, each for itself, with what they refer to.
///
/// # Errors
/// Where nothing can be read at all. Of each: as [`secrets::Vault::read_all`], and what hinders a reference of it.
pub(super) async fn read_all(
    app: &App,
    actor: &Actor,
    roots: Vec<Root>,
) -> Result<Vec<Result<Arc<Answered>, Problem>>, Problem> {
    let mut plan = Plan::default();
    let mut firsts = Vec::with_capacity(roots.len());
    for Root { grant, secret, which, keep_secs } in roots {
        let (key, mark) = (key_of(secret.path(), &which), plan.mark());
        plan.keep_secs = keep_secs;
        let first = match plan.want(grant, &secret, &which) {
            // What a reference lacks is the fault of the one that has it, and keeps no other back.
            Ok(first) => follow(app, actor, &mut plan, &secret, &which, &mut vec![key]).await.map(|_| first),
            Err(problem) => Err(problem),
        };
        if first.is_err() {
            // Nothing is opened that is not shown.
            plan.go_back(mark);
        }
        firsts.push(first);
    }
    if plan.wanted.len() > store::ACCESSED_MAX {
        let says =
            format!("With what they refer to these are more than {} secrets: ask for fewer.", store::ACCESSED_MAX);
        return Err(Problem::field("references", says));
    }
    let Plan { places, wanted, .. } = plan;
    let read = app.vault().read_all(wanted).await?;
    let mut there = Vec::with_capacity(read.len());
    for one in read {
        there.push(match one {
            Ok(opened) => answered(app, opened).await,
            Err(error) => Err(Problem::from(error)),
        });
    }
    let mut answers = Answers { read: there, places, resolved: BTreeMap::new(), bytes: 0 };
    Ok(firsts.into_iter().map(|first| first.and_then(|first| answers.resolved(first, 0))).collect())
}

/// The same of one, looked at again where its references moved meanwhile. Most have none: nothing is planned for them.
pub(super) async fn read_one(
    app: &App,
    actor: &Actor,
    (secret, grant): (Arc<Secret>, Grant),
    which: &Which,
) -> Result<Arc<Answered>, Problem> {
    let path = secret.path().clone();
    if secret.is_alone(which)? {
        let wanted = Wanted { grant, path: path.clone(), known: Some(secret), which: which.clone(), keep_secs: 0 };
        let opened = app.vault().read(wanted).await?;
        if opened.is_alone() {
            return answered(app, opened).await;
        }
    }
    Box::pin(read_linked(app, actor, &path, which)).await
}

/// What was opened, with the chain of the certificate that it names.
async fn answered(app: &App, mut opened: Opened) -> Result<Arc<Answered>, Problem> {
    let said = match opened.secret.kind() {
        SecretKind::CertificateBundle => Box::pin(certificates::put_in(app, &mut opened)).await?,
        _ => Vec::new(),
    };
    Ok(Arc::new(Answered { opened, said }))
}

async fn read_linked(app: &App, actor: &Actor, path: &SecretPath, which: &Which) -> Result<Arc<Answered>, Problem> {
    for look in (0..LOOKS_MAX).rev() {
        let (secret, grant) = granted(app, actor, Action::ReadSecret, path).await?;
        let root = Root { grant, secret, which: which.clone(), keep_secs: 0 };
        let none = || Err(Problem::new(Kind::NotFound, "It was not read."));
        match read_all(app, actor, vec![root]).await?.pop().unwrap_or_else(none) {
            Err(problem) if look > 0 && problem.kind() == Kind::Conflict => {}
            answer => return answer,
        }
    }
    Err(moved(path))
}

impl Plan {
    /// The place of a version that is to be read.
    fn want(&mut self, grant: Grant, secret: &Arc<Secret>, which: &Which) -> Result<usize, Problem> {
        let (next, path) = (self.wanted.len(), secret.path());
        let key = key_of(path, which);
        if let Some(place) = self.places.get(&key) {
            return Ok(*place);
        }
        // One that is not to be read says so itself.
        let bytes = self.bytes + secret.bytes_of(which).unwrap_or_default();
        if bytes > SECRET_ANSWER_BYTES_MAX as u64 && next > 0 {
            return Err(too_much());
        }
        self.bytes = bytes;
        self.places.insert(key, next);
        let (known, keep_secs) = (Some(Arc::clone(secret)), self.keep_secs);
        self.wanted.push(Wanted { grant, path: path.clone(), known, which: which.clone(), keep_secs });
        Ok(next)
    }

    fn mark(&self) -> (usize, u64) {
        (self.wanted.len(), self.bytes)
    }

    /// Wants no more than it did then.
    fn go_back(&mut self, (wanted, bytes): (usize, u64)) {
        self.wanted.truncate(wanted);
        self.places.retain(|_, place| *place < wanted);
        self.heights.retain(|key, _| self.places.contains_key(key));
        self.bytes = bytes;
    }

    async fn granted(&mut self, app: &App, actor: &Actor, path: &SecretPath) -> Result<(Arc<Secret>, Grant), Problem> {
        if let Some(refused) = self.refused.get(path) {
            return Err(refused.clone());
        }
        granted(app, actor, Action::ReadSecret, path).await.inspect_err(|problem| {
            self.refused.insert(path.clone(), problem.clone());
        })
    }
}

/// Adds what a version refers to, and what that refers to, each once; how many steps hang below it. `way`: how one came here.
async fn follow(
    app: &App,
    actor: &Actor,
    plan: &mut Plan,
    secret: &Secret,
    which: &Which,
    way: &mut Vec<Key>,
) -> Result<usize, Problem> {
    let own = key_of(secret.path(), which);
    if let Some(height) = plan.heights.get(&own) {
        return Ok(*height);
    }
    // What may not be read now has no references: it says itself why.
    let references = match secret.sha256_of(which, app.ledger().believed_time()) {
        Ok(_) => secret.references(which)?,
        Err(_) => return Ok(0),
    };
    let mut height = 0;
    for Reference { path, which, .. } in references.into_values() {
        let key = key_of(&path, &which);
        if way.contains(&key) {
            let why = format!("{} refers to itself, by {path}: write that field anew", secret.path());
            return Err(SecretError::Conflict(why).into());
        }
        let known = plan.heights.get(&key).copied();
        if way.len() + known.unwrap_or_default() > DEPTH_MAX {
            let why = format!("a chain of references has {DEPTH_MAX} steps at most: {path} is one too many");
            return Err(SecretError::Conflict(why).into());
        }
        let below = match known {
            Some(below) => below,
            None if plan.wanted.len() > store::ACCESSED_MAX => return Ok(height),
            None => {
                let (there, grant) = plan.granted(app, actor, &path).await?;
                plan.want(grant, &there, &which)?;
                way.push(key);
                let below = Box::pin(follow(app, actor, plan, &there, &which, way)).await?;
                way.pop();
                below
            }
        };
        height = height.max(below + 1);
    }
    plan.heights.insert(own, height);
    Ok(height)
}

/// What was opened, and what comes of it.
struct Answers {
    read: Vec<Result<Arc<Answered>, Problem>>,
    places: BTreeMap<Key, usize>,
    resolved: BTreeMap<usize, Arc<Answered>>,
    /// Of what references were filled in, together.
    bytes: usize,
}

impl Answers {
    /// What was opened at a place, with the values of its references in their fields.
    fn resolved(&mut self, place: usize, depth: usize) -> Result<Arc<Answered>, Problem> {
        let answered = match self.read.get(place) {
            Some(Ok(answered)) if answered.opened.is_alone() => return Ok(Arc::clone(answered)),
            Some(Ok(answered)) => Arc::clone(answered),
            Some(Err(problem)) => return Err(problem.clone()),
            None => return Err(Problem::new(Kind::NotFound, "It was not read.")),
        };
        if let Some(there) = self.resolved.get(&place) {
            return Ok(Arc::clone(there));
        }
        let Answered { opened, said } = answered.as_ref();
        let number = Which::Version(opened.number.try_into().map_err(|_| moved(opened.secret.path()))?);
        let (mut fields, mut lease, mut said) = (copied(&opened.fields)?, opened.lease, said.clone());
        for (name, Reference { path, field, which }) in opened.secret.references(&number)? {
            // The labels moved between the look and the reading.
            let there = self.places.get(&key_of(&path, &which)).copied().filter(|_| depth <= DEPTH_MAX);
            let there = there.ok_or_else(|| moved(opened.secret.path()))?;
            let answered = self.resolved(there, depth + 1)?;
            let Answered { opened: other, said: more } = answered.as_ref();
            let none = || {
                let own = opened.secret.path();
                Problem::no_field(format!("{path} has no field {field}, to which {name} of {own} refers"))
            };
            said.extend_from_slice(more);
            let value = other.fields.get(field.as_str()).ok_or_else(none)?;
            // Whoever keeps it keeps what it refers to, and none of it longer than he may.
            lease = lease.zip(other.lease).map(|(ours, theirs)| ours.shorter(theirs));
            let name: FieldName = name.parse().map_err(|_| moved(opened.secret.path()))?;
            fields.set(name, value.to_vec()).map_err(|error| Problem::field("references", error.to_string()))?;
        }
        self.bytes += fields.iter().map(|(_, value)| value.len()).sum::<usize>();
        if self.bytes > SECRET_ANSWER_BYTES_MAX {
            return Err(too_much());
        }
        let opened = Opened {
            secret: opened.secret.clone(),
            number: opened.number,
            sha256: opened.sha256.clone(),
            expires: opened.expires,
            fields,
            leaf: opened.leaf,
            lease,
        };
        let filled = Arc::new(Answered { opened, said });
        self.resolved.insert(place, Arc::clone(&filled));
        Ok(filled)
    }
}

fn key_of(path: &SecretPath, which: &Which) -> Key {
    (path.clone(), which.to_string())
}

fn copied(fields: &Fields) -> Result<Fields, Problem> {
    let mut copy = Fields::new();
    for (name, value) in fields.iter() {
        copy.set(name.clone(), value.to_vec()).map_err(|error| Problem::field("fields", error.to_string()))?;
    }
    Ok(copy)
}

fn moved(path: &SecretPath) -> Problem {
    SecretError::Conflict(format!("what {path} refers to changes at this moment: ask again")).into()
}

/// One answer is full.
pub(super) fn too_much() -> Problem {
    let mib = SECRET_ANSWER_BYTES_MAX >> 20;
    let says = format!("The values of one answer have at most {mib} MiB together: ask for this one alone.");
    Problem::new(Kind::TooLarge, says)
}
