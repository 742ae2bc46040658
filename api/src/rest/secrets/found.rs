//! Which secrets are found by a filter, for the API, the pages and the report: those that the caller may know of, each with who read it
//! last.

use policy::{Action, Actor, Owner, Resource, Timestamp};
use secrets::{Listed, PENDING_SECS, Page, Search, SecretPath, of_one};

use crate::app::App;
use crate::observe::inventory::only_owner;
use crate::problem::Problem;
use crate::rest::cursors;

/// Of which list a cursor is.
const LIST: &str = "secrets";

/// What somebody looks for; what is none or false does not narrow.
#[derive(Clone, Debug, Default)]
pub(crate) struct SecretsSought {
    pub(crate) owner: Option<Owner>,
    pub(crate) within: Option<SecretPath>,
    pub(crate) text: Option<String>,
    /// `name` or `name=value`.
    pub(crate) tag: Option<String>,
    /// Those that are deleted too.
    pub(crate) deleted: bool,
    /// Whose current version ends before this many seconds are over, or has ended.
    pub(crate) expiring_secs: Option<u64>,
    /// Whose current version ends from one moment on and before another; instead of `expiring_secs`.
    pub(crate) ends: Option<(Timestamp, Timestamp)>,
    /// Which nobody read for so many seconds.
    pub(crate) unread_secs: Option<u64>,
    /// Of which a version waits as pending for longer than a day, and no rotation is at work.
    pub(crate) stuck: bool,
    /// Whose credential is older than their rotation allows.
    pub(crate) overdue: bool,
    /// Whose owner the configuration does not have.
    pub(crate) unowned: bool,
    pub(crate) cursor: Option<String>,
    pub(crate) limit: usize,
}

/// What was found.
pub(crate) struct SecretsFound {
    pub(crate) items: Vec<Listed>,
    pub(crate) next: Option<String>,
    /// So many of this page are not what the log says; said to whoever may list everything.
    pub(crate) altered: Option<u64>,
    /// The owner that was looked at.
    pub(crate) owner: Option<Owner>,
    pub(crate) now: Timestamp,
}

/// Looks. Who may list nothing at all is told so; who may list some sees these, and where the list goes on is sealed: it may be at one that
/// he may not know of.
pub(crate) async fn found(app: &App, actor: &Actor, sought: SecretsSought) -> Result<SecretsFound, Problem> {
    let cursor = cursors::opened(app, actor, LIST, sought.cursor.as_deref())?;
    let found = looked(app, actor, SecretsSought { cursor, ..sought }).await?;
    Ok(SecretsFound { next: cursors::sealed(app, actor, LIST, found.next)?, ..found })
}

async fn looked(app: &App, actor: &Actor, sought: SecretsSought) -> Result<SecretsFound, Problem> {
    let owner = sought.owner.clone().or_else(|| only_owner(actor));
    let of = owner.clone().or_else(|| actor.owners.iter().next().cloned());
    let on = Resource::secret(of, sought.within.as_ref().map(SecretPath::as_str).unwrap_or_default());
    let _grant = app.authorize(actor, Action::ListSecrets, on).await?;
    let now = app.world().now();
    let policies = app.authority().policies();
    let may = |of: &Owner, path: &SecretPath| {
        let on = Resource::secret(Some(of.clone()), path.as_str());
        let is_known = || policies.owners().iter().any(|rules| rules.name == *of);
        (!sought.unowned || !is_known()) && policies.permits(actor, Action::ListSecrets, &on)
    };
    let shown = |found: Page<Listed>, owner: Option<Owner>| SecretsFound {
        altered: altered(app, actor, found.altered),
        items: found.items,
        next: found.next,
        owner,
        now,
    };
    if sought.overdue {
        let found = overdue(app, &sought, owner.as_ref(), now, may).await?;
        return Ok(shown(found, owner));
    }
    let SecretsSought { within, text, tag, deleted, expiring_secs, ends, unread_secs, stuck, cursor, limit, .. } =
        sought;
    let secs = |secs: u64| i64::try_from(secs).unwrap_or(i64::MAX / 4).min(i64::MAX / 4);
    let tag = tag.map(|tag| match tag.split_once('=') {
        Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
        None => (tag, None),
    });
    let search = Search {
        owner: owner.clone(),
        within,
        text,
        tag,
        deleted,
        ends_from: ends.map(|(from, _)| from),
        ends_before: ends.map(|(_, to)| to).or(expiring_secs.map(|within| now.plus_secs(secs(within)))),
        unread_since: unread_secs.map(|ago| now.plus_secs(-secs(ago))),
        pending_before: stuck.then(|| now.plus_secs(-PENDING_SECS)),
        after: cursor,
        limit,
    };
    let found = app.vault().inventory(&search, may).await?;
    Ok(shown(found, owner))
}

/// How many were altered, for whoever may list everything. Of what was altered nobody can say whose it is: nobody else hears of it, and the
/// status tells where it stands.
pub(crate) fn altered(app: &App, actor: &Actor, count: u64) -> Option<u64> {
    (count > 0 && app.lookout().lists_every_owner(actor)).then_some(count)
}

async fn overdue(
    app: &App,
    sought: &SecretsSought,
    owner: Option<&Owner>,
    now: Timestamp,
    may: impl Fn(&Owner, &SecretPath) -> bool,
) -> Result<Page<Listed>, Problem> {
    let late = app.rotations().overdue((owner, now, 0), sought.cursor.clone(), sought.limit).await?;
    let mut found = Page { items: Vec::with_capacity(late.items.len()), next: late.next, altered: late.altered };
    for (turning, _) in late.items {
        let is_within = sought.within.as_ref().is_none_or(|within| turning.path().is_within(within));
        if !is_within || !may(turning.owner(), turning.path()) {
            continue;
        }
        let Some(there) = of_one(app.vault().look(turning.path()).await)? else {
            found.altered = found.altered.saturating_add(1);
            continue;
        };
        let Some(secret) = there.filter(|secret| !secret.is_gone()) else { continue };
        let read = app.vault().last_read(&secret).await?;
        found.items.push((secret, read));
    }
    Ok(found)
}
