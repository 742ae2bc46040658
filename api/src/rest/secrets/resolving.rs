//! Reading with references: what a version refers to is read beside it, by the reader's own right to it, in the same entry of the log.
//!
//! References are known before anything is opened, so that all of them are asked for at once. A chain of them has [`DEPTH_MAX`] steps at
//! most, and none leads back.

use std::collections::BTreeMap;
use std::sync::Arc;

use policy::{Action, Actor, Grant};
use secrets::{FieldName, Fields, Opened, Reference, Secret, SecretError, SecretPath, Wanted, Which};

use super::{certificates, granted};
use crate::app::App;
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

/// What is read, each once, in the order in which it was met.
#[derive(Default)]
struct Plan {
    places: BTreeMap<(SecretPath, String), usize>,
    wanted: Vec<Wanted>,
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
) -> Result<Vec<Result<Answered, Problem>>, Problem> {
    let mut answers = Vec::with_capacity(roots.len());
    let mut plan = Plan::default();
    let mut firsts = Vec::with_capacity(roots.len());
    for Root { grant, secret, which, keep_secs } in roots {
        let (path, mark) = (secret.path().clone(), plan.wanted.len());
        plan.keep_secs = keep_secs;
        let first = plan.want(grant, &path, &which);
        // What a reference lacks is the fault of the one that has it, and keeps no other back.
        let led = follow(app, actor, &mut plan, &secret, &which, &mut vec![(path, which.to_string())]).await;
        if led.is_err() {
            // Nothing is opened that is not shown.
            plan.wanted.truncate(mark);
            plan.places.retain(|_, place| *place < mark);
        }
        firsts.push((first, led));
    }
    if plan.wanted.len() > store::ACCESSED_MAX {
        let says =
            format!("With what they refer to these are more than {} secrets: ask for fewer.", store::ACCESSED_MAX);
        return Err(Problem::field("references", says));
    }
    let places = plan.places;
    let read = app.vault().read_all(plan.wanted).await?;
    let mut there = Vec::with_capacity(read.len());
    for one in read {
        there.push(match one {
            Ok(mut opened) => certificates::put_in(app, &mut opened).await.map(|said| Answered { opened, said }),
            Err(error) => Err(Problem::from(error)),
        });
    }
    for (first, led) in firsts {
        answers.push(led.and_then(|()| resolved(&there, &places, first, 0)));
    }
    Ok(answers)
}

/// The same of one, looked at again where its references moved meanwhile.
pub(super) async fn read_one(app: &App, actor: &Actor, path: &SecretPath, which: &Which) -> Result<Answered, Problem> {
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
    fn want(&mut self, grant: Grant, path: &SecretPath, which: &Which) -> usize {
        let next = self.wanted.len();
        let place = *self.places.entry((path.clone(), which.to_string())).or_insert(next);
        if place == next {
            let keep_secs = self.keep_secs;
            self.wanted.push(Wanted { grant, path: path.clone(), which: which.clone(), keep_secs });
        }
        place
    }
}

/// Adds what a version refers to, and what that refers to. `way`: how one came here.
async fn follow(
    app: &App,
    actor: &Actor,
    plan: &mut Plan,
    secret: &Secret,
    which: &Which,
    way: &mut Vec<(SecretPath, String)>,
) -> Result<(), Problem> {
    // What may not be read now has no references: it says itself why.
    let references = match secret.sha256_of(which, app.world().now()) {
        Ok(_) => secret.references(which)?,
        Err(_) => return Ok(()),
    };
    for Reference { path, which, .. } in references.into_values() {
        let key = (path.clone(), which.to_string());
        if way.contains(&key) {
            let why = format!("{} refers to itself, by {path}: write that field anew", secret.path());
            return Err(SecretError::Conflict(why).into());
        }
        if way.len() > DEPTH_MAX {
            let why = format!("a chain of references has {DEPTH_MAX} steps at most: {path} is one too many");
            return Err(SecretError::Conflict(why).into());
        }
        if plan.wanted.len() > store::ACCESSED_MAX {
            return Ok(());
        }
        let (there, grant) = granted(app, actor, Action::ReadSecret, &path).await?;
        plan.want(grant, &path, &which);
        way.push(key);
        Box::pin(follow(app, actor, plan, &there, &which, way)).await?;
        way.pop();
    }
    Ok(())
}

/// What was opened at a place, with the values of its references in their fields.
fn resolved(
    read: &[Result<Answered, Problem>],
    places: &BTreeMap<(SecretPath, String), usize>,
    place: usize,
    depth: usize,
) -> Result<Answered, Problem> {
    let Answered { opened, said } = match read.get(place) {
        Some(Ok(answered)) => answered,
        Some(Err(problem)) => return Err(problem.clone()),
        None => return Err(Problem::new(Kind::NotFound, "It was not read.")),
    };
    let number = Which::Version(opened.number.try_into().map_err(|_| moved(opened.secret.path()))?);
    let (mut fields, mut lease, mut said) = (copied(&opened.fields)?, opened.lease, said.clone());
    for (name, Reference { path, field, which }) in opened.secret.references(&number)? {
        // The labels moved between the look and the reading.
        let there = places.get(&(path.clone(), which.to_string())).filter(|_| depth <= DEPTH_MAX);
        let there = there.ok_or_else(|| moved(opened.secret.path()))?;
        let Answered { opened: other, said: more } = resolved(read, places, *there, depth + 1)?;
        let none = || {
            SecretError::NotFound(format!(
                "{path} has no field {field}, to which {name} of {} refers",
                opened.secret.path()
            ))
        };
        let value = other.fields.get(field.as_str()).ok_or_else(none)?;
        said.extend(more);
        // Whoever keeps it keeps what it refers to, and none of it longer than he may.
        lease = lease.zip(other.lease).map(|(ours, theirs)| ours.shorter(theirs));
        let name: FieldName = name.parse().map_err(|_| moved(opened.secret.path()))?;
        fields.set(name, value.to_vec()).map_err(|error| Problem::field("references", error.to_string()))?;
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
    Ok(Answered { opened, said })
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
