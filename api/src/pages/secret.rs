//! One secret, as a page: its versions, who read it, how it is rotated. Never a value: those are read by the API alone, where each reading
//! is an entry of the log.

use askama::Template;
use axum::extract::State as Shared;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use policy::{Action, Actor, Timestamp, shown};
use secrets::rotation::Plan;
use secrets::{Kind, Label, Reference, Secret, SecretPath, Standing, Version};

use super::fact::{Fact, fact};
use super::frame::{Head, Place, render};
use super::secrets::{SecretsAsked, current, of_owner, standing};
use super::session::Visitor;
use super::words::{hour, left, moment};
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
    fields: Vec<Field>,
    ends: String,
}

/// A field of a version; one that is a reference says to what, and leads there.
struct Field {
    name: String,
    to: Option<Link>,
}

/// Words that lead somewhere.
struct Link {
    says: String,
    link: String,
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
    tags: Vec<Link>,
    rotation: Vec<Fact>,
    refresh: Vec<Fact>,
    versions: Vec<VersionRow>,
    /// What a command that reads it has to say beside its path.
    at: &'static str,
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
    let shown_as = standing(&secret, now);
    Ok(Sheet {
        head: Head::of(app, actor, Place::Secrets),
        levels: levels(path),
        path: path.to_string(),
        kind: secret.kind().to_string(),
        badge: shown_as.badge,
        state: shown_as.state,
        tone: shown_as.tone,
        says: says(&secret, now),
        facts: facts(&secret),
        tags: secret.tags().iter().map(|(name, value)| tag(name, value)).collect(),
        rotation: rotation(app, path, now).await?,
        refresh: refresh(app, &secret).await?,
        versions: secret.versions(now).into_iter().map(version).collect(),
        at: at(secret.labels().contains_key(Label::CURRENT), secret.labels().contains_key(Label::PENDING)),
        readers: readers
            .into_iter()
            .map(|reading| Reader {
                at: hour(reading.at),
                when: reading.at.rfc3339(),
                who: shown(&reading.reader).into_owned(),
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

/// Which version a command has to name: none where one is current; where one waits for that, that one.
fn at(has_current: bool, has_pending: bool) -> &'static str {
    if !has_current && has_pending { " --at pending" } else { "" }
}

/// A tag, as it is written where one looks for it.
fn tag(name: &str, value: &str) -> Link {
    let tag = if value.is_empty() { name.to_owned() } else { format!("{name}={value}") };
    let says = shown(&tag).into_owned();
    Link { says, link: SecretsAsked { tag, ..SecretsAsked::default() }.link() }
}

/// How it is, in a sentence.
fn says(secret: &Secret, now: Timestamp) -> String {
    if let Some((at, until)) = secret.deleted() {
        let until = moment(until);
        return format!("Deleted {}. It can be restored; from {until} UTC on it may be destroyed.", left(at, now));
    }
    let Some(version) = current(secret, now) else { return "No version of it is current.".to_owned() };
    let number = version.number;
    match (version.standing, version.expires) {
        (Standing::Disabled, _) => {
            format!(
                "Its current version, {number}, is disabled: it is given to nobody until somebody enables it or writes the next one."
            )
        }
        (Standing::Early, _) => {
            let from = version.not_before.map(|from| format!(" before {} UTC", moment(from))).unwrap_or_default();
            format!("Its current version, {number}, is not given out{from}.")
        }
        (Standing::Destroyed, _) => format!("Its current version, {number}, was destroyed: write the next one."),
        (Standing::Expired, ends) => {
            let at = ends.map(|ends| format!(" {} ({} UTC)", left(ends, now), moment(ends))).unwrap_or_default();
            format!("Its current version expired{at}: write the next one.")
        }
        (Standing::Enabled, Some(ends)) => {
            format!("Its current version expires {} ({} UTC).", left(ends, now), moment(ends))
        }
        (Standing::Enabled, None) => {
            format!("Its current version was written {}, and has no end.", left(version.at, now))
        }
    }
}

fn facts(secret: &Secret) -> Vec<Fact> {
    let (changed, by) = secret.changed();
    let mut facts = vec![fact("Owner", secret.owner().as_str()).at(of_owner(secret.owner()))];
    if !secret.description().is_empty() {
        facts.push(fact("For", shown(secret.description())));
    }
    facts.push(fact("Made", format!("{} UTC", moment(secret.made()))));
    facts.push(fact("Changed", format!("{} UTC, by {}", moment(changed), shown(by))));
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
        fact("Plan", plan(&rotation.settings().plan)),
        fact("At", format!("{}, {}", at.product, at.called())),
        fact("In use since", format!("{} UTC", moment(time(rotation.since())))),
    ];
    if let Some(period) = rotation.settings().schedule.period_secs {
        facts.push(fact("Every", format!("{} days", period / 86_400)));
    }
    let next = app.rotations().due(&turning, secs);
    facts.extend(next.map(|next| fact("Next step", format!("{} UTC", moment(time(next))))));
    if let Some(late) = rotation.overdue_secs(secs) {
        facts.push(fact("Overdue", format!("by {} days", late / 86_400)));
    }
    facts.extend(rotation.last_try().map(|said| fact("Last try", shown(said).into_owned())));
    facts.extend(turning.trouble_words().map(|words| fact("Trouble", words)));
    Ok(facts)
}

/// How its token is got anew, where it is one that is.
async fn refresh(app: &App, secret: &Secret) -> Result<Vec<Fact>, Problem> {
    if secret.kind() != Kind::OauthToken {
        return Ok(Vec::new());
    }
    let Some(refresh) = app.refreshes().look(secret.path()).await? else { return Ok(Vec::new()) };
    let time = |secs: u64| format!("{} UTC", moment(Timestamp::from_unix(i64::try_from(secs).unwrap_or(i64::MAX))));
    let mut facts = vec![
        fact("Last", refresh.refreshed().map_or_else(|| "not yet".to_owned(), time)),
        fact("At", shown(&refresh.at().url).into_owned()),
    ];
    facts.extend(refresh.due().map(|due| fact("Next", time(due))));
    facts.extend(refresh.halted().map(|why| fact("Halted", format!("{}: somebody has to look", why.as_str()))));
    Ok(facts)
}

/// Whose credential it exchanges, and how.
fn plan(plan: &Plan) -> String {
    let text = match plan {
        Plan::Single { user } => format!("one user, {user}"),
        Plan::Keys { user } => format!("several keys of {user}"),
        Plan::Pair { users } => format!("a pair of users, {}", users.join(" and ")),
    };
    shown(&text).into_owned()
}

/// A field that is a reference, and the page of what it refers to.
fn reference((name, to): (&String, &String)) -> Field {
    let link = to.parse::<Reference>().ok().map(|to| format!("/secrets/{}", to.path));
    Field { name: name.clone(), to: link.map(|link| Link { says: to.clone(), link }) }
}

fn version(version: Version) -> VersionRow {
    let Version { number, labels, at, by, fields, references, expires, standing, .. } = version;
    let badge = match standing {
        Standing::Enabled => "issued",
        Standing::Early => "intended",
        Standing::Disabled | Standing::Expired | Standing::Destroyed => "revoked",
    };
    VersionRow {
        number,
        labels: labels.join(", "),
        state: standing.as_str(),
        badge,
        at: moment(at),
        when: at.rfc3339(),
        by: shown(&by).into_owned(),
        fields: fields
            .into_iter()
            .map(|name| Field { name, to: None })
            .chain(references.iter().map(reference))
            .collect(),
        ends: expires.map_or_else(|| "never".to_owned(), |ends| format!("{} UTC", moment(ends))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_and_a_tag_lead_to_what_they_name() {
        let field = reference((&"password".to_owned(), &"chy://prod/db#password".to_owned()));
        assert_eq!(
            (field.name.as_str(), field.to.map(|to| to.link).as_deref()),
            ("password", Some("/secrets/prod/db"))
        );
        let tag = tag("team", "a\u{202e}b");
        assert_eq!((tag.says.as_str(), tag.link.as_str()), ("team=a\\u{202e}b", "/secrets?tag=team%3Da%E2%80%AEb"));
    }

    #[test]
    fn a_command_that_reads_it_names_what_waits_where_nothing_is_current() {
        assert_eq!((at(true, true), at(true, false), at(false, false)), ("", "", ""));
        assert_eq!(at(false, true), " --at pending");
    }

    #[test]
    fn each_level_but_the_last_leads_to_what_is_below_it() {
        let levels = levels(&"prod/billing/db".parse().expect("a path"));
        let told: Vec<_> = levels.iter().map(|level| (level.name.as_str(), level.link.as_deref())).collect();
        let (prod, billing) = (Some("/secrets?within=prod"), Some("/secrets?within=prod%2Fbilling"));
        assert_eq!(told, [("prod", prod), ("billing", billing), ("db", None)]);
    }
}
