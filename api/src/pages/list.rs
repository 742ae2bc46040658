//! A list by a filter, as a page and as comma-separated values.

use askama::Template;
use axum::extract::State as Shared;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, Uri, header};
use policy::{Action, Actor, Grant, Owner, Resource, Timestamp};
use store::{Order, Page};

use super::asked::{Asked, Choices, KINDS, RENEWERS, REPLACED, STATES, owners};
use super::frame::{Head, Place, render};

use super::row::{self, Row};
use super::session::Visitor;
use super::words::moment;
use crate::app::App;
use crate::observe::inventory::{self, Entry, Sought};
use crate::problem::Problem;
use crate::rest::certificates::csv;

/// Rows of a file for a spreadsheet that are read at once.
const CSV_ROWS: usize = 1_000;

#[derive(Template)]
#[template(path = "list.html")]
struct List {
    head: Head,
    title: String,
    now: String,
    at: String,
    asked: Asked,
    owners: Vec<String>,
    profiles: Vec<String>,
    rows: Vec<Row>,
    next: Option<String>,
    /// That nothing was found so far, and there is more to look through.
    unfinished: bool,
    csv: String,
    states: Choices,
    kinds: Choices,
    renewers: Choices,
    replaced: Choices,
    /// What narrows the list, in words.
    chosen: String,
    /// Which comes first.
    order: &'static str,
    /// What to do where there is nothing, and nothing narrows it.
    hint: Option<&'static str>,
}

/// `/certificates`
pub(super) async fn show(Shared(app): Shared<App>, Visitor(actor): Visitor, uri: Uri) -> Response {
    let asked = Asked::of(&uri).seen_by(&actor);
    match page(&app, &actor, asked).await {
        Ok(page) => render(StatusCode::OK, &page),
        Err(problem) => problem.into_response(),
    }
}

/// `/certificates.csv`: the same list, all of it: each page is read when the one before is on its way.
pub(super) async fn show_csv(Shared(app): Shared<App>, Visitor(actor): Visitor, uri: Uri) -> Response {
    let asked = Asked::of(&uri).seen_by(&actor);
    let turn = csv::turn().await;
    let first = found(&app, &actor, &asked, CSV_ROWS).await;
    drop(turn);
    let (now, first) = match first {
        Ok((_, now, first)) => (now, first),
        Err(problem) => return problem.into_response(),
    };
    let mut response = csv::whole(first, now, move |cursor| {
        let (app, actor, asked) = (app.clone(), actor.clone(), Asked { cursor, ..asked.clone() });
        async move { found(&app, &actor, &asked, CSV_ROWS).await.map(|(_, _, page)| page) }
    });
    let name = HeaderValue::from_static("attachment; filename=\"certificates.csv\"");
    response.headers_mut().insert(header::CONTENT_DISPOSITION, name);
    response
}

async fn page(app: &App, actor: &Actor, asked: Asked) -> Result<List, Problem> {
    let (owner, now, page) = found(app, actor, &asked, 0).await?;
    let shown = Asked { owner: owner.map(|owner| owner.as_str().to_owned()).unwrap_or_default(), ..asked };
    let place = match shown.kind.as_str() {
        "ssh" | "ssh-user" | "ssh-host" => Place::Ssh,
        "ca-certificate" | "crl" | "ocsp-batch" => Place::Authorities,
        _ => Place::Certificates,
    };
    let rows = row::rows(app, page.items, now).await?;
    let without_place = Asked { cursor: String::new(), ..shown.clone() };
    Ok(List {
        head: Head::of(app, actor, place),
        title: title(&shown),
        chosen: shown.in_words(),
        order: order(shown.sought(None)?.order()),
        hint: hint(&shown),
        now: now.rfc3339(),
        at: moment(now),
        owners: owners(app, actor),
        profiles: app.authority().profiles().iter().map(|profile| profile.name().to_owned()).collect(),
        unfinished: rows.is_empty() && page.next.is_some(),
        rows,
        next: page.next.map(|cursor| Asked { cursor, ..shown.clone() }.link("/certificates")),
        csv: without_place.link("/certificates.csv"),
        asked: without_place,
        states: STATES,
        kinds: KINDS,
        renewers: RENEWERS,
        replaced: REPLACED,
    })
}

/// What the list is of, in words.
fn title(asked: &Asked) -> String {
    let what = match asked.kind.as_str() {
        "ssh" => "SSH certificates",
        "ssh-user" => "SSH certificates of users",
        "ssh-host" => "SSH certificates of hosts",
        "ca-certificate" => "CA certificates",
        "crl" => "CRLs",
        "ocsp-batch" => "OCSP responses",
        "code-signature" => "code signatures",
        _ => "certificates",
    };
    let which = match asked.state.as_str() {
        "act" => format!("{what} whose renewal is overdue"),
        "expired" if asked.replaced == "no" => format!("expired {what}, not replaced"),
        "expired" => format!("expired {what}"),
        "issued" => format!("valid {what}"),
        "intime" => format!("{what} in time"),
        "intended" => format!("{what} of unknown outcome"),
        "revoked" => format!("revoked {what}"),
        "held" => format!("{what} on hold"),
        "failed" => format!("{what} that were never signed"),
        _ => what.to_owned(),
    };
    let owner = if asked.owner.is_empty() { String::new() } else { format!(" of {}", asked.owner) };
    let issuer = if asked.issuer.trim().is_empty() { String::new() } else { format!(" by {}", asked.issuer.trim()) };
    let (first, rest) = which.split_at(1);
    format!("{}{rest}{owner}{issuer}", first.to_uppercase())
}

/// Which comes first, in words.
fn order(order: Order) -> &'static str {
    match order {
        Order::Newest => "the newest first",
        Order::Expiry => "the first to end first",
        Order::Latest => "the last that ended first",
    }
}

/// What to do where nothing was issued of a kind that nobody meets by chance.
fn hint(asked: &Asked) -> Option<&'static str> {
    let narrowed = !(asked.q.is_empty() && asked.from.is_empty() && asked.to.is_empty());
    match asked.kind.as_str() {
        _ if narrowed || !matches!(asked.state.as_str(), "" | "issued") => None,
        "ssh" | "ssh-user" => Some("chancery ssh login --principal NAME"),
        "ssh-host" => Some("chancery ssh sign-host ssh_host_ed25519_key.pub --principal HOST"),
        "code-signature" => Some("chancery sign FILE --key LABEL --format cms"),
        _ => None,
    }
}

/// The owner that is looked at, when, and what was found. What may be the beginning of a serial is looked for as that first.
async fn found(
    app: &App,
    actor: &Actor,
    asked: &Asked,
    rows: usize,
) -> Result<(Option<Owner>, Timestamp, Page<Entry>), Problem> {
    let owner = asked.owner(actor)?;
    let on = Resource::certificate(owner.clone(), asked.profile.trim(), Vec::new());
    let grant = app.authorize(actor, Action::ReadCertificate, on).await?;
    let (sought, now) = (asked.sought(owner.clone())?, app.world().now());
    let sought = if rows > 0 { Sought { limit: rows, ..sought } } else { sought };
    let goes_on = asked.cursor.starts_with(store::SERIAL_CURSOR);
    let by_serial = asked.serial().filter(|_| goes_on || asked.cursor.is_empty());
    if let Some(page) = by_serial_first(&grant, app, &sought, by_serial, now).await? {
        return Ok((owner, now, page));
    }
    Ok((owner, now, inventory::page(&grant, sought, now, app.ledger()).await?))
}

async fn by_serial_first(
    grant: &Grant,
    app: &App,
    sought: &Sought,
    serial: Option<String>,
    now: Timestamp,
) -> Result<Option<Page<Entry>>, Problem> {
    let Some(serial) = serial else { return Ok(None) };
    let sought = Sought { serial: Some(serial), text: None, ..sought.clone() };
    let page = inventory::page(grant, sought, now, app.ledger()).await?;
    Ok(Some(page).filter(|page| !page.items.is_empty() || page.next.is_some()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_says_what_the_list_is_of() {
        let of = |kind: &str, state: &str, replaced: &str| {
            title(&Asked { kind: kind.into(), state: state.into(), replaced: replaced.into(), ..Asked::default() })
        };
        assert_eq!(of("", "", ""), "Certificates");
        assert_eq!(of("certificate", "issued", "no"), "Valid certificates");
        assert_eq!(of("ssh", "issued", ""), "Valid SSH certificates");
        assert_eq!(of("", "expired", "no"), "Expired certificates, not replaced");
        assert_eq!(of("crl", "", ""), "CRLs");
    }
}
