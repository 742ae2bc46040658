//! The issuers: who issues, who takes over when, whose end comes when, and what each tells of revocations.

use askama::Template;
use axum::extract::State as Shared;
use axum::response::{IntoResponse, Response};
use ca::{Generation, GenerationState, Issuer};
use http::StatusCode;
use policy::{Action, Actor, Resource, ResourceKind, Timestamp};

use super::asked::Asked;
use super::frame::{Head, Place, render};
use super::lives::{Axis, Life};
use super::session::Visitor;
use super::words::{day, grouped, left, many, moment};
use crate::app::App;
use crate::problem::Problem;

#[derive(Template)]
#[template(path = "issuers.html")]
struct Page {
    head: Head,
    now: String,
    at: String,
    calm: bool,
    first: String,
    second: String,
    ticks: Vec<String>,
    rows: Vec<Row>,
}

/// A generation.
struct Row {
    name: String,
    subject: String,
    state: &'static str,
    tone: &'static str,
    /// From when it issues, or why nothing is issued under it.
    why: String,
    lane: String,
    left: String,
    until: String,
    not_after: String,
    key: String,
    /// What it issued.
    link: String,
    crl: Option<Told>,
}

/// The CRL that is served.
struct Told {
    link: String,
    says: String,
    next: String,
}

/// `/issuers`
pub(super) async fn show(Shared(app): Shared<App>, Visitor(actor): Visitor) -> Response {
    match page(&app, &actor).await {
        Ok(page) => render(StatusCode::OK, &page),
        Err(problem) => problem.into_response(),
    }
}

async fn page(app: &App, actor: &Actor) -> Result<Page, Problem> {
    let _grant = app.authorize(actor, Action::ReadStatus, Resource::plain(ResourceKind::Status)).await?;
    let (issuers, now) = (app.authority().issuers(), app.world().now());
    let lives: Vec<Life> = issuers.iter().flat_map(|issuer| &issuer.generations).map(|one| life(one, now)).collect();
    let axis = Axis::over(&lives, now);
    let mut rows = Vec::with_capacity(lives.len());
    for (generation, life) in issuers.iter().flat_map(|issuer| &issuer.generations).zip(&lives) {
        rows.push(Row { crl: told(app, generation).await, ..row(generation, axis.lane(life), now) });
    }
    let (calm, first) = first(&issuers);
    Ok(Page {
        head: Head::of(app, actor, Place::Authorities),
        now: now.rfc3339(),
        at: moment(now),
        calm,
        first,
        second: second(&issuers, now),
        ticks: axis.ticks(),
        rows,
    })
}

fn life(of: &Generation, now: Timestamp) -> Life {
    let certificate = of.certificate.as_ref();
    Life {
        since: certificate.map(|certificate| certificate.since),
        until: certificate.map(|certificate| certificate.until),
        issues_from: of.activates.filter(|at| *at > now && of.state == GenerationState::Pending),
    }
}

fn row(of: &Generation, lane: String, now: Timestamp) -> Row {
    let until = of.certificate.as_ref().map(|certificate| certificate.until);
    let from = life(of, now).issues_from.map(|at| format!("issues from {} UTC on", moment(at)));
    let name = of.name.to_string();
    Row {
        subject: of.certificate.as_ref().map_or_else(|| of.role.as_str().to_owned(), |own| own.subject.to_string()),
        state: of.state.as_str(),
        tone: tone(of),
        why: from.or_else(|| of.why.clone()).unwrap_or_default(),
        lane,
        left: until.map_or_else(|| "no end".to_owned(), |until| left(until, now)),
        until: until.map(day).unwrap_or_default(),
        not_after: until.map(Timestamp::rfc3339).unwrap_or_default(),
        key: of.key_kind.map(|kind| kind.to_string()).unwrap_or_default(),
        link: Asked { issuer: name.clone(), ..Asked::default() }.link("/certificates"),
        crl: None,
        name,
    }
}

/// By what it means: what is over is red, what should issue and does not is amber, what only waits or tells is quiet.
fn tone(of: &Generation) -> &'static str {
    match of.state {
        GenerationState::Revoked => "gone",
        GenerationState::Active if of.why.is_some() && !of.elsewhere => "act",
        GenerationState::Active => "calm",
        GenerationState::Pending | GenerationState::Retiring | GenerationState::Ended => "quiet",
    }
}

/// Its newest CRL, from memory.
async fn told(app: &App, of: &Generation) -> Option<Told> {
    of.certificate.as_ref()?;
    let crl = app.authority().crl(&of.name.to_string()).await.ok()?;
    let parts = match of.crl_urls.len() {
        0 | 1 => String::new(),
        parts => format!(", in {parts} parts"),
    };
    let deltas = if of.delta_crl_urls.is_empty() { "" } else { ", with deltas" };
    Some(Told {
        link: format!("/crl/{}/0.crl", of.name),
        says: format!("{} revoked{parts}{deltas}", grouped(crl.listed)),
        next: moment(crl.next_update),
    })
}

/// Whether each issues, in a sentence.
fn first(issuers: &[Issuer]) -> (bool, String) {
    let active = |issuer: &&Issuer| {
        let issues = |of: &Generation| of.state == GenerationState::Active && (of.why.is_none() || of.elsewhere);
        issuer.generations.iter().any(issues)
    };
    let silent: Vec<&str> =
        issuers.iter().filter(|issuer| !active(issuer)).map(|issuer| issuer.name.as_str()).collect();
    match silent.as_slice() {
        [] => (true, format!("All {} issue.", many(issuers.len() as u64, "issuer"))),
        [one] => (false, format!("Nothing is issued by {one}.")),
        several => (false, format!("Nothing is issued by {}.", several.join(", "))),
    }
}

/// What comes next: a day on which another takes over, and the first end of one that issues.
fn second(issuers: &[Issuer], now: Timestamp) -> String {
    let all = || issuers.iter().flat_map(|issuer| &issuer.generations);
    let over = all().filter(|of| of.state == GenerationState::Revoked).map(|of| of.name.to_string());
    let over: Vec<String> = over.collect();
    let mut says = Vec::new();
    if !over.is_empty() {
        says.push(format!("Revoked: {}.", over.join(", ")));
    }
    let takes_over = all().filter_map(|of| Some((life(of, now).issues_from?, of))).min_by_key(|(at, _)| *at);
    if let Some((at, of)) = takes_over {
        says.push(format!("{} takes over {} ({} UTC).", of.name, left(at, now), moment(at)));
    }
    let issuing = all().filter(|of| of.state == GenerationState::Active);
    let ends = issuing.filter_map(|of| Some((of.certificate.as_ref()?.until, of))).min_by_key(|(until, _)| *until);
    if let Some((until, of)) = ends {
        says.push(format!("The first to end of those that issue: {}, {} ({}).", of.name, left(until, now), day(until)));
    }
    says.join(" ")
}
