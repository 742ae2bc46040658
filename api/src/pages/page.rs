//! The page itself: its query, what is read for it under which grant, and the values that the template shows.

use askama::Template;
use axum::extract::{Query, State as Shared};
use axum::response::{IntoResponse, Response};
use http::{StatusCode, Uri};
use lifecycle::{Bucket, Expiring, Summary};
use policy::{Action, Actor, Grant, Name, Owner, Resource, ResourceKind, Timestamp};
use serde::Deserialize;
use store::{Credential, Filter, Kind, Order, Page, State};

use super::chart;
use super::frame::render;
use super::session::Visitor;
use super::words::{Tone, left};
use crate::app::App;
use crate::observe::HsmStatus;
use crate::observe::inventory::{self, only_owner};
use crate::problem::{Kind as ProblemKind, Problem};

/// Rows of the table; there is a link to the next ones.
const ROWS: usize = 100;
/// Names shown under the first; the rest is a number.
const NAMES_SHOWN: usize = 3;

/// The query of the filter form. Empty fields mean nothing, as browsers send them.
#[derive(Debug, Default, Deserialize)]
struct Asked {
    #[serde(default)]
    owner: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    cursor: String,
}

/// The states that the form offers.
const STATES: [(&str, &str); 5] = [
    ("live", "live"),
    ("intended", "without conclusion"),
    ("revoked", "revoked"),
    ("failed", "failed"),
    ("all", "every state"),
];

#[derive(Template)]
#[template(path = "dashboard.html")]
struct Dashboard {
    actor: String,
    now: String,
    live: u64,
    /// That what is listed may not be what the log says.
    held: Option<&'static str>,
    status: Option<Status>,
    buckets: Vec<Count>,
    chart: String,
    filter: Shown,
    owners: Vec<String>,
    rows: Vec<Row>,
    next: Option<String>,
}

/// One bucket with its words.
struct Count {
    count: u64,
    renewed: u64,
    label: &'static str,
    tone: &'static str,
}

fn count(bucket: Bucket, expiring: Expiring) -> Count {
    let (label, tone) = match bucket {
        Bucket::Expired => ("expired", Tone::Gone),
        Bucket::Day => ("within 24 hours", Tone::Due),
        Bucket::Week => ("in 1 to 7 days", Tone::Soon),
        Bucket::Month => ("in 7 to 30 days", Tone::Month),
        Bucket::Quarter => ("in 30 to 90 days", Tone::Calm),
        Bucket::Later => ("later", Tone::Far),
    };
    Count { count: expiring.count, renewed: expiring.renewed, label, tone: tone.class() }
}

/// What needs the right to read the status.
struct Status {
    hsm: HsmStatus,
    clock_held: bool,
    issuers: String,
    alarms: Vec<String>,
    log: Log,
}

struct Log {
    size: u64,
    root: String,
    key: String,
    checkpoint: Option<String>,
}

/// The filter as the form shows it again.
struct Shown {
    owner: String,
    state: String,
    name: String,
}

struct Row {
    name: String,
    more: Option<String>,
    owner: String,
    profile: String,
    kind: &'static str,
    state: &'static str,
    renews: bool,
    /// The urgency; none where the server takes care of it in time.
    tone: &'static str,
    left: String,
    not_after: String,
    serial: String,
}

#[derive(Template)]
#[template(path = "refused.html")]
struct Refused {
    actor: String,
    told: String,
}

/// `/`
pub(super) async fn show(Shared(app): Shared<App>, Visitor(actor): Visitor, uri: Uri) -> Response {
    match page(&app, &actor, &uri).await {
        Ok(page) => render(StatusCode::OK, &page),
        Err(problem) if problem.kind() == ProblemKind::Refused => {
            let refused = Refused { actor: actor.id.clone(), told: problem.detail().to_owned() };
            render(StatusCode::FORBIDDEN, &refused)
        }
        Err(problem) => problem.into_response(),
    }
}

async fn page(app: &App, actor: &Actor, uri: &Uri) -> Result<Dashboard, Problem> {
    let asked = Query::<Asked>::try_from_uri(uri).map(|Query(asked)| asked).unwrap_or_default();
    let owner = match asked.owner.trim() {
        "" => only_owner(actor),
        text => Some(Owner::parse(text).map_err(|error| Problem::field("owner", error.to_string()))?),
    };
    let grant = read_grant(app, actor, owner.clone()).await?;
    let now = app.world().now();
    let survey = app.surveyor().survey(&grant, owner.as_ref()).await?;
    let found = find(&grant, app, &asked, owner.as_ref(), now).await?;
    Ok(Dashboard {
        actor: actor.id.clone(),
        now: now.rfc3339(),
        live: survey.live(),
        held: app.lookout().held(),
        status: status(app, actor).await?,
        chart: chart::svg(&survey.rungs),
        buckets: survey.buckets.iter().map(|(bucket, expiring)| count(*bucket, *expiring)).collect(),
        owners: owners(app, actor),
        next: found.next.map(|cursor| next_link(&asked, &cursor)),
        rows: found.items.into_iter().map(|credential| row(credential, now)).collect(),
        filter: Shown {
            owner: owner.map(|owner| owner.as_str().to_owned()).unwrap_or_default(),
            state: if asked.state.is_empty() { "live".to_owned() } else { asked.state },
            name: asked.name,
        },
    })
}

async fn read_grant(app: &App, actor: &Actor, owner: Option<Owner>) -> Result<Grant, Problem> {
    app.authorize(actor, Action::ReadCertificate, Resource::certificate(owner, "", Vec::new())).await
}

/// The panels for who may read the status; for others they are simply not there, which is no refusal to write down.
async fn status(app: &App, actor: &Actor) -> Result<Option<Status>, Problem> {
    let on = Resource::plain(ResourceKind::Status);
    let Ok(grant) = app.authority().policies().decide(actor, Action::ReadStatus, &on) else { return Ok(None) };
    let head = app.ledger().head();
    Ok(Some(Status {
        hsm: HsmStatus::of(app.authority().health().token),
        clock_held: app.ledger().time_held().is_some(),
        issuers: app.authority().issuers().into_iter().map(|issuer| issuer.label).collect::<Vec<_>>().join(", "),
        alarms: app.lookout().alarms(&grant, app.ends().await).await?,
        log: Log {
            size: head.size,
            root: hex::encode(head.root),
            key: app.authority().log_verifier_key(),
            checkpoint: app.ledger().checkpoint().await?,
        },
    }))
}

/// The owners worth choosing: the actor's own, or all of the configuration for who sees all.
fn owners(app: &App, actor: &Actor) -> Vec<String> {
    if only_owner(actor).is_some() {
        return actor.owners.iter().map(|owner| owner.as_str().to_owned()).collect();
    }
    app.authority().policies().owners().iter().map(|rules| rules.name.as_str().to_owned()).collect()
}

/// The table's rows. A name is looked for as a certificate writes it, then as an SSH principal.
async fn find(
    grant: &Grant,
    app: &App,
    asked: &Asked,
    owner: Option<&Owner>,
    now: Timestamp,
) -> Result<Page<Credential>, Problem> {
    let base = filter(asked, owner, now);
    let text = asked.name.trim();
    if text.is_empty() {
        return Ok(inventory::page(grant, base, app.ledger()).await?);
    }
    if let Ok(name) = Name::parse(text) {
        let page =
            inventory::page(grant, Filter { name: Some(name.to_string()), ..base.clone() }, app.ledger()).await?;
        if !page.items.is_empty() {
            return Ok(page);
        }
    }
    Ok(inventory::page(grant, Filter { name: Some(text.to_owned()), ..base }, app.ledger()).await?)
}

fn filter(asked: &Asked, owner: Option<&Owner>, now: Timestamp) -> Filter {
    let (state, is_live) = match asked.state.as_str() {
        "intended" => (Some(State::Intended), false),
        "revoked" => (Some(State::Revoked), false),
        "failed" => (Some(State::Failed), false),
        "all" => (None, false),
        _ => (Some(State::Issued), true),
    };
    Filter {
        owner: owner.map(|owner| owner.as_str().to_owned()),
        state,
        not_after_after: is_live.then_some(now),
        order: Order::Expiry,
        after_cursor: Some(asked.cursor.clone()).filter(|cursor| !cursor.is_empty()),
        limit: ROWS,
        ..Filter::default()
    }
}

/// The query of the next page. Each value is percent-encoded: all of them came from the query before.
fn next_link(asked: &Asked, cursor: &str) -> String {
    let pairs = [("owner", &*asked.owner), ("state", &*asked.state), ("name", &*asked.name), ("cursor", cursor)];
    let query: Vec<_> = pairs
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("{name}={}", percent(value)))
        .collect();
    format!("/?{}", query.join("&"))
}

fn percent(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => text.push(char::from(byte)),
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

fn row(credential: Credential, now: Timestamp) -> Row {
    let not_after = credential.validity.map(|validity| validity.not_after());
    let is_over = not_after.is_some_and(|end| end < now);
    let (name, more) = name(&credential);
    let (renews, is_overdue) =
        Summary::of(&credential).map_or((false, false), |summary| (summary.renew, summary.overdue_at() <= now));
    let urgency = not_after.map_or(Tone::Far, |end| Tone::of(end.since(now)));
    Row {
        name,
        more,
        serial: credential.serial_hex(),
        kind: kind(credential.kind),
        state: if is_over && credential.state == State::Issued { "expired" } else { credential.state.as_str() },
        renews,
        tone: if renews && !is_overdue { "" } else { urgency.class() },
        left: not_after.map_or_else(|| "never".to_owned(), |end| left(end, now)),
        not_after: not_after.map(Timestamp::rfc3339).unwrap_or_default(),
        owner: credential.owner.map(|owner| owner.as_str().to_owned()).unwrap_or_default(),
        profile: credential.profile,
    }
}

/// The first name in bold, some others below it.
fn name(credential: &Credential) -> (String, Option<String>) {
    let mut names = credential.names.iter().map(|name| name.strip_prefix("dns:").unwrap_or(name));
    let Some(first) = names.next() else { return (credential.subject.clone(), None) };
    let others: Vec<_> = names.collect();
    let shown = others.iter().take(NAMES_SHOWN).copied().collect::<Vec<_>>().join(", ");
    let more = match others.len() {
        0 => None,
        count if count <= NAMES_SHOWN => Some(shown),
        count => Some(format!("{shown} and {} more", count - NAMES_SHOWN)),
    };
    (first.to_owned(), more)
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::CaCertificate => "CA certificate",
        Kind::Certificate => "certificate",
        Kind::SshUser => "SSH user",
        Kind::SshHost => "SSH host",
        Kind::CodeSignature => "code signature",
        Kind::Crl => "CRL",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_keeps_the_filter_and_escapes_it() {
        let asked = Asked { name: "a&b=\"<é".into(), state: "all".into(), ..Asked::default() };
        assert_eq!(next_link(&asked, "12.7"), "/?state=all&name=a%26b%3D%22%3C%C3%A9&cursor=12.7");
    }

    #[test]
    fn without_a_choice_the_live_ones_are_shown() {
        let now = Timestamp::from_unix(1_000);
        let filter = filter(&Asked::default(), None, now);
        assert_eq!((filter.state, filter.not_after_after), (Some(State::Issued), Some(now)));
        let every = super::filter(&Asked { state: "all".into(), ..Asked::default() }, None, now);
        assert_eq!((every.state, every.not_after_after), (None, None));
    }
}
