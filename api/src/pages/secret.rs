//! One secret, as a page: its versions, who read it, how it is rotated. Never a value: those are read by the API alone, where each reading
//! is an entry of the log.

use askama::Template;
use axum::extract::State as Shared;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use policy::{Action, Actor, Timestamp};
use secrets::{Secret, SecretPath, Version};

use super::fact::{Fact, fact};
use super::frame::{Head, Place, render};
use super::secrets::{SecretsAsked, standing};
use super::session::Visitor;
use super::words::{left, moment};
use crate::app::App;
use crate::intake::Segment;
use crate::problem::Problem;
use crate::rest::secrets::{granted, path_of};

/// Readers that are shown.
const READERS_SHOWN: usize = 50;

struct VersionRow {
    number: u64,
    labels: String,
    state: &'static str,
    badge: &'static str,
    at: String,
    when: String,
    by: String,
    fields: String,
    ends: String,
}

struct Reader {
    who: String,
    at: String,
    when: String,
    leaf: u64,
}

/// A level of the path, and the list of what is below it.
struct Level {
    name: String,
    link: Option<String>,
}

#[derive(Template)]
#[template(path = "secret.html")]
struct Sheet {
    head: Head,
    levels: Vec<Level>,
    path: String,
    kind: String,
    badge: &'static str,
    state: &'static str,
    tone: &'static str,
    says: String,
    facts: Vec<Fact>,
    tags: Vec<(String, String)>,
    rotation: Vec<Fact>,
    versions: Vec<VersionRow>,
    readers: Vec<Reader>,
    /// There are more readers than are shown.
    more: bool,
}

/// `/secrets/{path}`
pub(super) async fn show(
    Shared(app): Shared<App>,
    Visitor(actor): Visitor,
    Segment(path): Segment,
) -> Result<Response, Response> {
    let sheet = async {
        let path = path_of(&path)?;
        sheet(&app, &actor, &path).await
    };
    match sheet.await {
        Ok(sheet) => Ok(render(StatusCode::OK, &sheet)),
        Err(problem) => Err(problem.into_response()),
    }
}

async fn sheet(app: &App, actor: &Actor, path: &SecretPath) -> Result<Sheet, Problem> {
    let (secret, _grant) = granted(app, actor, Action::ListSecrets, path).await?;
    let now = app.world().now();
    let mut readers = app.vault().readers(&secret, READERS_SHOWN + 1).await?;
    let more = readers.len() > READERS_SHOWN;
    readers.truncate(READERS_SHOWN);
    let (tone, badge, state) = standing(&secret, now);
    Ok(Sheet {
        head: Head::of(app, actor, Place::Secrets),
        levels: levels(path),
        path: path.to_string(),
        kind: secret.kind().to_string(),
        badge,
        state,
        tone,
        says: says(&secret, now),
        facts: facts(&secret),
        tags: secret.tags().iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
        rotation: rotation(app, path, now).await?,
        versions: secret.versions(now).into_iter().map(version).collect(),
        readers: readers
            .into_iter()
            .map(|reading| Reader {
                at: moment(reading.at),
                when: reading.at.rfc3339(),
                who: reading.reader,
                leaf: reading.leaf,
            })
            .collect(),
        more,
    })
}

/// `prod`, `billing`, `db`: each but the last leads to what is below it.
fn levels(path: &SecretPath) -> Vec<Level> {
    let text = path.as_str();
    let mut levels = Vec::new();
    let mut end = 0;
    for name in text.split('/') {
        end += name.len();
        let within = text.get(..end).unwrap_or_default().to_owned();
        let link = (end < text.len()).then(|| SecretsAsked { within, ..SecretsAsked::default() }.link());
        levels.push(Level { name: name.to_owned(), link });
        end += 1;
    }
    levels
}

/// How it is, in a sentence.
fn says(secret: &Secret, now: Timestamp) -> String {
    match (secret.deleted(), secret.ends()) {
        (Some((at, until)), _) => {
            format!("Deleted {}. It can be restored; from {} UTC on it may be destroyed.", left(at, now), moment(until))
        }
        (None, Some(ends)) if ends < now => {
            format!("Its current version expired {} ({} UTC): write the next one.", left(ends, now), moment(ends))
        }
        (None, Some(ends)) => format!("Its current version expires {} ({} UTC).", left(ends, now), moment(ends)),
        (None, None) => match secret.turned() {
            Some(at) => format!("Its current version was written {}, and has no end.", left(at, now)),
            None => "No version of it is current.".to_owned(),
        },
    }
}

fn facts(secret: &Secret) -> Vec<Fact> {
    let (changed, by) = secret.changed();
    let mut facts = vec![fact("Owner", secret.owner().as_str())];
    if !secret.description().is_empty() {
        facts.push(fact("For", secret.description()));
    }
    facts.push(fact("Made", format!("{} UTC", moment(secret.made()))));
    facts.push(fact("Changed", format!("{} UTC, by {by}", moment(changed))));
    facts.push(fact("Kept", format!("{} versions without a label", secret.keep())));
    if secret.is_purge_locked() {
        facts.push(fact("Locked", "nothing of it may be destroyed"));
    }
    facts
}

/// How it is exchanged, where it is.
async fn rotation(app: &App, path: &SecretPath, now: Timestamp) -> Result<Vec<Fact>, Problem> {
    let Some(turning) = app.rotations().look(path).await? else { return Ok(Vec::new()) };
    let (rotation, at) = (turning.rotation(), turning.at());
    let secs = u64::try_from(now.unix()).unwrap_or_default();
    let time = |secs: u64| Timestamp::from_unix(i64::try_from(secs).unwrap_or(i64::MAX));
    let mut facts = vec![
        fact("State", rotation.state()),
        fact("At", format!("{}, {}:{}", at.product, at.host, at.port)),
        fact("In use since", format!("{} UTC", moment(time(rotation.since())))),
    ];
    if let Some(period) = rotation.settings().schedule.period_secs {
        facts.push(fact("Every", format!("{} days", period / 86_400)));
    }
    if let Some(late) = rotation.overdue_secs(secs) {
        facts.push(fact("Overdue", format!("by {} days", late / 86_400)));
    }
    if let Some(trouble) = rotation.trouble() {
        facts.push(fact("Trouble", trouble.why.to_string()));
    }
    Ok(facts)
}

fn version(version: Version) -> VersionRow {
    let Version { number, labels, at, by, fields, references, expires, standing, .. } = version;
    let badge = match standing {
        secrets::Standing::Enabled => "issued",
        secrets::Standing::Early => "intended",
        secrets::Standing::Disabled | secrets::Standing::Expired | secrets::Standing::Destroyed => "revoked",
    };
    VersionRow {
        number,
        labels: labels.join(", "),
        state: standing.as_str(),
        badge,
        at: moment(at),
        when: at.rfc3339(),
        by,
        fields: fields
            .into_iter()
            .chain(references.iter().map(|(name, to)| format!("{name}: {to}")))
            .collect::<Vec<_>>()
            .join(", "),
        ends: expires.map_or_else(|| "never".to_owned(), |ends| format!("{} UTC", moment(ends))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_level_but_the_last_leads_to_what_is_below_it() {
        let levels = levels(&"prod/billing/db".parse().expect("a path"));
        let told: Vec<_> = levels.iter().map(|level| (level.name.as_str(), level.link.as_deref())).collect();
        let (prod, billing) = (Some("/secrets?within=prod"), Some("/secrets?within=prod%2Fbilling"));
        assert_eq!(told, [("prod", prod), ("billing", billing), ("db", None)]);
    }
}
