//! The first page: in one sentence what needs attention, then what ends when, and the first to act for.

use std::sync::Arc;

use ::secrets::Tally;
use askama::Template;
use axum::extract::State as Shared;
use axum::response::{IntoResponse, Response};
use ca::GenerationState;
use http::{HeaderMap, StatusCode, Uri};
use policy::{Action, Actor, Grant, Owner, Resource, ResourceKind, Timestamp};
use store::Renewer;

use super::asked::{Asked, owners, sees_ssh_alone};
use super::chart::{self, Chart, SPANS};
use super::first::First;
use super::frame::{Head, Place, knows_secrets, render, see};
use super::piece::{Piece, pieces};
use super::row::{self, Row};
use super::secrets::{self, SecretsAsked};
use super::session::Visitor;
use super::words::{grouped, many, moment};
use crate::app::App;
use crate::observe::inventory::{self, Kinds, Sought};
use crate::observe::{HsmStatus, Orphans, SecretEnds, Survey, live, orphans, renewed};
use crate::problem::Problem;

/// Rows of the two short lists.
const ROWS: usize = 10;

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview {
    head: Head,
    now: String,
    at: String,
    owner: String,
    owners: Vec<String>,
    /// Nothing but the server's own: what to do first is shown instead of nothing.
    empty: bool,
    first: Option<First>,
    says: Says,
    cards: Vec<Card>,
    chart: Chart,
    spans: Vec<SpanLink>,
    beyond: String,
    /// Whether secrets are drawn beside the certificates, and whether all of them are.
    secrets: bool,
    secrets_left: bool,
    rows: Vec<Row>,
    /// Whether the rows are what somebody must act for; else the next to end.
    acting: bool,
    all: Vec<More>,
    /// Secrets, the next to end first.
    kept: Vec<secrets::Row>,
    all_kept: String,
    status: Option<Status>,
    proposals: Vec<Proposed>,
}

/// What is proposed to be revoked, and waits for another person.
struct Proposed {
    id: String,
    by: String,
    count: String,
    of: String,
    reason: String,
    until: String,
    sample: Vec<(String, String)>,
}

impl Proposed {
    fn of((id, proposal): (String, ca::Proposal)) -> Self {
        let ca::Selection { owner, profile, issuer, key_hash, name, person, host } = proposal.of;
        let said = [
            ("owner", owner),
            ("profile", profile),
            ("issuer", issuer),
            ("key", key_hash),
            ("name", name),
            ("person", person),
            ("host", host),
        ];
        let of: Vec<String> = said.into_iter().filter_map(|(what, of)| Some(format!("{what} {}", of?))).collect();
        Self {
            id,
            by: proposal.by,
            count: grouped(proposal.count),
            of: of.join(", "),
            reason: proposal.reason,
            until: moment(proposal.expires),
            sample: proposal.sample,
        }
    }
}

/// The first sentence, and the second.
struct Says {
    calm: bool,
    first: String,
    second: String,
}

/// A number that leads to what it counts.
struct Card {
    count: String,
    label: &'static str,
    tone: &'static str,
    zero: bool,
    link: String,
}

/// A whole list, of which some rows are shown.
struct More {
    label: String,
    link: String,
}

struct SpanLink {
    label: &'static str,
    link: String,
    chosen: bool,
}

/// A sentence, part by part.
struct Alarm {
    parts: Vec<Piece>,
}

/// What needs the right to read the status.
struct Status {
    hsm: HsmStatus,
    issuers: Vec<String>,
    alarms: Vec<Alarm>,
    size: u64,
    root: String,
    key: String,
    checkpoint: Option<String>,
}

/// `/`
pub(super) async fn show(Shared(app): Shared<App>, Visitor(actor): Visitor, headers: HeaderMap, uri: Uri) -> Response {
    if sees_ssh_alone(&actor) {
        return see("/certificates?kind=ssh-user");
    }
    // Nobody is refused the page on which he lands after he signed in.
    if !reads_certificates(&app, &actor, &uri) && knows_secrets(&app, &actor) {
        return see("/secrets");
    }
    match page(&app, &actor, &headers, &uri).await {
        Ok(page) => render(StatusCode::OK, &page),
        Err(problem) => problem.into_response(),
    }
}

/// Whether the page is shown to a visitor. Who may not has not asked for it yet, which is no refusal to write down.
fn reads_certificates(app: &App, actor: &Actor, uri: &Uri) -> bool {
    // What is no owner has its own words.
    let Ok(owner) = Asked::of(uri).owner(actor) else { return true };
    let on = Resource::certificate(owner, "", Vec::new());
    app.authority().policies().permits(actor, Action::ReadCertificate, &on)
}

async fn page(app: &App, actor: &Actor, headers: &HeaderMap, uri: &Uri) -> Result<Overview, Problem> {
    let asked = Asked::of(uri);
    let owner = asked.owner(actor)?;
    let on = Resource::certificate(owner.clone(), "", Vec::new());
    let grant = app.authorize(actor, Action::ReadCertificate, on).await?;
    let survey = app.surveyor().now(&grant, owner.as_ref()).await?;
    let orphans = orphans(&grant, app.authority(), app.ledger(), owner.as_ref()).await?;
    let now = survey.now;
    let to_act = survey.certificates.acting + survey.certificates.expired;
    let sought = |act: bool| Sought {
        owner: owner.clone(),
        kinds: Some(Kinds::One(store::Kind::Certificate)),
        standing: Some(inventory::Standing::Issued),
        replaced: Some(false),
        act: act.then_some(true),
        by_expiry: true,
        limit: ROWS,
        ..Sought::default()
    };
    let list =
        Asked { owner: owner.as_ref().map(|owner| owner.as_str().to_owned()).unwrap_or_default(), ..Asked::default() };
    let rows = first_rows(&grant, app, sought, (&orphans, to_act > 0), now).await?;
    let of_certificates =
        Asked { kind: "certificate".into(), replaced: "no".into(), state: "issued".into(), ..list.clone() };
    let span = chart::Span::chosen(&asked.span, now, &survey.certificates);
    let between = |from: Timestamp, to: Timestamp| {
        Asked { from: from.rfc3339(), to: to.rfc3339(), ..of_certificates.clone() }.link("/certificates")
    };
    let (empty, mut says) = (is_empty(&survey, &rows), says(&survey, orphans.iter().map(|of| of.left).sum()));
    if empty && says.calm {
        says.first = "Nothing has been issued yet.".to_owned();
        says.second = "The server's own certificate is in time.".to_owned();
    }
    let tally = tally(app, actor, owner.as_ref()).await?;
    if let Some(tally) = &tally {
        says = says.and_of(tally, empty);
    }
    let proposals = app.authority().proposals(actor, true, None).await?.items.into_iter().map(Proposed::of).collect();
    let mut cards = if empty { Vec::new() } else { cards(&survey, &orphans, &list, &of_certificates) };
    cards.extend(tally.iter().flat_map(|tally| of_secrets(tally, &list.owner)));
    let kept = match tally {
        Some(_) => secrets::next_to_end(app, actor, owner.as_ref(), ROWS).await?,
        None => Vec::new(),
    };
    let all_kept = SecretsAsked { owner: list.owner.clone(), state: "expiring".to_owned(), ..SecretsAsked::default() };
    let (ends, is_whole) = secret_ends(app, actor, owner.as_ref(), span.between(now)).await?;
    let secrets_between = |from: Timestamp, to: Timestamp| {
        let owner = owner.as_ref().map(ToString::to_string).unwrap_or_default();
        SecretsAsked { owner, from: from.rfc3339(), to: to.rfc3339(), ..SecretsAsked::default() }.link()
    };
    let chart = chart::draw((&survey.certificates, ends.as_ref()), now, span, between, secrets_between);
    Ok(Overview {
        secrets: !ends.is_empty(),
        secrets_left: !is_whole,
        head: Head::of(app, actor, Place::Overview),
        now: now.rfc3339(),
        at: moment(now),
        empty: empty && ends.is_empty(),
        first: First::of(app, actor, headers, uri),
        proposals,
        says,
        cards,
        spans: SPANS
            .map(|one| SpanLink {
                label: one.label,
                link: Asked { span: one.word.into(), ..list.clone() }.link("/"),
                chosen: one == span,
            })
            .into(),
        beyond: Asked { from: chart.end.rfc3339(), ..of_certificates.clone() }.link("/certificates"),
        chart,
        acting: to_act > 0 || !orphans.is_empty(),
        all: whole(&survey, &orphans, &list, of_certificates),
        rows,
        kept,
        all_kept: all_kept.link(),
        status: status(app, actor).await?,
        owners: owners(app, actor),
        owner: list.owner,
    })
}

/// The lists that the rows are the first of.
fn whole(survey: &Survey, orphans: &[Orphans], list: &Asked, of_certificates: Asked) -> Vec<More> {
    let of = |state: &str| {
        let asked = Asked { kind: "certificate".into(), replaced: "no".into(), state: state.into(), ..list.clone() };
        asked.link("/certificates")
    };
    let counts = [("expired", survey.certificates.expired, "expired"), ("act", survey.certificates.acting, "overdue")];
    let some = counts.into_iter().filter(|(_, count, _)| *count > 0);
    let some =
        some.map(|(state, count, word)| More { label: format!("All {} {word}", grouped(count)), link: of(state) });
    let over = orphans.iter().map(|of| More {
        label: format!("All {} of {}", grouped(of.left), of.issuer),
        link: Asked { issuer: of.issuer.clone(), ..of_certificates.clone() }.link("/certificates"),
    });
    let mut all: Vec<More> = over.chain(some).collect();
    if all.is_empty() {
        all.push(More { label: "All of them".to_owned(), link: of_certificates.link("/certificates") });
    }
    all
}

/// What CAs issued that are over, what expired and was not replaced, then what somebody must act for; where there is none of it, the
/// next to end.
async fn first_rows(
    grant: &Grant,
    app: &App,
    sought: impl Fn(bool) -> Sought,
    (orphans, acting): (&[Orphans], bool),
    now: Timestamp,
) -> Result<Vec<Row>, Problem> {
    let mut entries = Vec::new();
    for of in orphans {
        let sought = Sought { issuer: Some(of.issuer.clone()), ..sought(false) };
        entries.extend(inventory::page(grant, sought, now, app.ledger()).await?.items);
    }
    if !entries.is_empty() && !acting {
        entries.truncate(ROWS);
        return row::rows(app, entries, now).await;
    }
    if acting {
        let expired = Sought { standing: Some(inventory::Standing::Expired), ..sought(false) };
        entries.extend(inventory::page(grant, expired, now, app.ledger()).await?.items);
    }
    entries.extend(inventory::page(grant, sought(acting), now, app.ledger()).await?.items);
    row::rows(app, entries, now).await
}

/// Nothing was issued to anybody but the server itself.
fn is_empty(survey: &Survey, rows: &[Row]) -> bool {
    let certificates = live(&survey.certificates) + survey.certificates.expired;
    let of_others = rows.iter().any(|row| !row.own);
    certificates <= 1 && !of_others && live(&survey.ssh) + survey.ssh.expired == 0
}

/// True to the row: how many certificates there are, and how many of them need attention, and why.
fn says(survey: &Survey, orphaned: u64) -> Says {
    let outlook = &survey.certificates;
    let (live, act) = (live(outlook), outlook.acting);
    // What is due for two reasons is one.
    let (all, need) = (live + outlook.expired, (act + outlook.expired).max(orphaned));
    let at_least = if orphaned > 0 && act + outlook.expired > 0 { "At least " } else { "" };
    let ssh = match survey.ssh.hours.iter().map(|hour| hour.live).sum() {
        0 => String::new(),
        count => format!(" {} besides.", many(count, "SSH certificate")),
    };
    let calm = need == 0;
    let first = match (all, need) {
        (0, _) => "There are no certificates.".to_owned(),
        (1, 0) => "The one certificate is in time.".to_owned(),
        (_, 0) => format!("All {} are in time.", many(all, "certificate")),
        (_, 1) => format!("{at_least}1 of {} needs attention.", many(all, "certificate")),
        (_, _) => format!("{at_least}{} of {} need attention.", grouped(need), many(all, "certificate")),
    };
    let expired = match outlook.expired {
        0 => None,
        1 => Some("1 has expired and was not replaced".to_owned()),
        count => Some(format!("{} have expired and were not replaced", grouped(count))),
    };
    let acting = match act {
        0 => None,
        1 => Some("1 is past the point of its renewal".to_owned()),
        count => Some(format!("{} are past the point of their renewal", grouped(count))),
    };
    let over = match orphaned {
        0 => None,
        1 => Some("1 is of a CA that is over: nobody believes it".to_owned()),
        count => Some(format!("{} are of a CA that is over: nobody believes them", grouped(count))),
    };
    let whys: Vec<String> = over.into_iter().chain(expired).chain(acting).collect();
    let second = match (whys.is_empty(), all) {
        (true, 0) => ssh.trim().to_owned(),
        (true, _) => {
            format!("No certificate has expired without a successor, and none is past the point of its renewal.{ssh}")
        }
        (false, _) => format!("{}.{ssh}", whys.join(", and ")),
    };
    Says { calm, first, second }
}

fn cards(survey: &Survey, orphans: &[Orphans], list: &Asked, of_certificates: &Asked) -> Vec<Card> {
    let outlook = &survey.certificates;
    let act_renewed = outlook.acts.iter().filter(|(_, renewer)| *renewer != Renewer::Nobody).count() as u64;
    let act_nobody = outlook.acting.saturating_sub(act_renewed);
    let renewed = renewed(outlook);
    let nobody = live(outlook).saturating_sub(renewed);
    let card = |count: u64, label, tone, asked: Asked| Card {
        count: grouped(count),
        label,
        tone,
        zero: count == 0,
        link: asked.link("/certificates"),
    };
    let certificates = || Asked { kind: "certificate".into(), replaced: "no".into(), ..list.clone() };
    let in_time = |renewer: &str| Asked { state: "intime".into(), renewer: renewer.into(), ..of_certificates.clone() };
    let over = orphans.iter().map(|of| {
        card(of.left, "of a CA that is over", "gone", Asked { issuer: of.issuer.clone(), ..of_certificates.clone() })
    });
    let others = [
        card(outlook.expired, "expired and not replaced", "gone", Asked { state: "expired".into(), ..certificates() }),
        card(outlook.acting, "renewal overdue", "act", Asked { state: "act".into(), ..certificates() }),
        card(renewed.saturating_sub(act_renewed), "in time, renewed automatically", "calm", in_time("somebody")),
        card(nobody.saturating_sub(act_nobody), "in time, renewed by hand", "calm", in_time("nobody")),
        card(
            live(&survey.ssh),
            "valid SSH certificates",
            "quiet",
            Asked { kind: "ssh".into(), state: "issued".into(), replaced: "no".into(), ..list.clone() },
        ),
    ];
    over.chain(others).collect()
}

/// How many secrets there are, for who may know of them; for others, and where there is none, nothing.
async fn tally(app: &App, actor: &Actor, owner: Option<&Owner>) -> Result<Option<Tally>, Problem> {
    let on = Resource::secret(owner.cloned(), "");
    let Ok(grant) = app.authority().policies().decide(actor, Action::ListSecrets, &on) else { return Ok(None) };
    let tally = app.keepsakes().tally(&grant, owner).await?;
    Ok(Some(tally).filter(|tally| tally.all > 0))
}

fn of_secrets(tally: &Tally, owner: &str) -> Vec<Card> {
    let card = |count: u64, label, tone, state: &str| {
        let link = SecretsAsked { owner: owner.to_owned(), state: state.to_owned(), ..SecretsAsked::default() }.link();
        Card { count: counted(count), label, tone, zero: count == 0, link }
    };
    let [day, week, month, _] = tally.ending;
    let cards = [
        card(tally.expired, "expired secrets", "gone", "expired"),
        card(tally.expired + day + week + month, "secrets that end within 30 days, or have", "act", "expiring"),
        card(tally.unread, "secrets unread for 90 days", "quiet", "unread"),
        card(tally.all, "secrets", "calm", ""),
    ];
    cards.into_iter().filter(|card| !card.zero).collect()
}

/// A number of secrets: counting them stops somewhere.
fn counted(count: u64) -> String {
    let at_least = if count >= store::WARDS_COUNTED_MAX { "+" } else { "" };
    format!("{}{at_least}", grouped(count))
}

impl Says {
    /// The same, and how many secrets need attention, and why.
    fn and_of(self, tally: &Tally, no_certificates: bool) -> Says {
        let [day, week, ..] = tally.ending;
        let (soon, all) = (day.saturating_add(week), tally.all);
        let need = tally.expired.saturating_add(soon);
        let secrets = if all == 1 { "1 secret".to_owned() } else { format!("{} secrets", counted(all)) };
        let of_secrets = match (need, all) {
            (0, 1) => "The one secret is in time.".to_owned(),
            (0, _) => format!("All {secrets} are in time."),
            (1, _) => format!("1 of {secrets} needs attention."),
            (_, _) => format!("{} of {secrets} need attention.", counted(need)),
        };
        let expired = match tally.expired {
            0 => None,
            1 => Some("1 secret has expired".to_owned()),
            count => Some(format!("{} secrets have expired", counted(count))),
        };
        let ending = match soon {
            0 => None,
            1 => Some("1 secret ends within 7 days".to_owned()),
            count => Some(format!("{} secrets end within 7 days", counted(count))),
        };
        let whys: Vec<String> = expired.into_iter().chain(ending).collect();
        let why = if whys.is_empty() { String::new() } else { format!(" {}.", whys.join(", and ")) };
        let issued =
            if no_certificates && self.calm { "No certificate has been issued yet." } else { self.first.as_str() };
        Says {
            calm: self.calm && need == 0,
            first: format!("{issued} {of_secrets}"),
            second: format!("{}{why}", self.second).trim().to_owned(),
        }
    }
}

/// When secrets end within the drawing, for who may know of them; for others there are none.
async fn secret_ends(
    app: &App,
    actor: &Actor,
    owner: Option<&Owner>,
    between: (Timestamp, Timestamp),
) -> Result<SecretEnds, Problem> {
    let on = Resource::secret(owner.cloned(), "");
    match app.authority().policies().decide(actor, Action::ListSecrets, &on) {
        Ok(grant) => Ok(app.keepsakes().ends(&grant, owner, between).await?),
        Err(_) => Ok((Arc::default(), true)),
    }
}

/// The panels for who may read the status; for others they are simply not there, which is no refusal to write down.
async fn status(app: &App, actor: &Actor) -> Result<Option<Status>, Problem> {
    let on = Resource::plain(ResourceKind::Status);
    let Ok(grant) = app.authority().policies().decide(actor, Action::ReadStatus, &on) else { return Ok(None) };
    let head = app.ledger().head();
    Ok(Some(Status {
        hsm: HsmStatus::of(app.authority().health().token),
        issuers: issuing(app),
        alarms: app
            .lookout()
            .alarms(&grant, app.ends().await)
            .await?
            .iter()
            .map(|says| Alarm { parts: pieces(says) })
            .collect(),
        size: head.size,
        root: hex::encode(head.root),
        key: app.authority().log_verifier_key(),
        checkpoint: app.ledger().checkpoint().await?,
    }))
}

/// The generations that issue now.
fn issuing(app: &App) -> Vec<String> {
    let all = app.authority().issuers().into_iter().flat_map(|issuer| issuer.generations);
    all.filter(|generation| generation.state == GenerationState::Active).map(|g| g.name.to_string()).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use store::{ExpiringHour, Outlook};

    use super::*;

    fn survey(live: u64, expired: u64, acting: u64, ssh: u64) -> Survey {
        let now = Timestamp::from_unix(1_800_000_000);
        let outlook = |live, expired, acting| Outlook {
            hours: vec![ExpiringHour { begins: now, live, renewed: 0 }],
            expired,
            acting,
            acts: Vec::new(),
        };
        let (certificates, ssh) = (outlook(live, expired, acting), outlook(ssh, 0, 0));
        Survey { now, buckets: BTreeMap::new(), certificates, ssh }
    }

    #[test]
    fn the_first_sentence_says_how_many_need_somebody_and_the_second_why() {
        for (of, first, second) in [
            ((0, 0, 0, 0), "There are no certificates.", ""),
            ((1, 0, 0, 0), "The one certificate is in time.", "No certificate has expired"),
            ((300, 0, 0, 2), "All 300 certificates are in time.", "2 SSH certificates besides."),
            ((299, 1, 0, 0), "1 of 300 certificates needs attention.", "1 has expired and was not replaced."),
            (
                (290, 10, 7, 1),
                "17 of 300 certificates need attention.",
                "10 have expired and were not replaced, and 7 are past the point of their renewal. 1 SSH certificate besides.",
            ),
        ] {
            let (live, expired, acting, ssh) = of;
            let says = says(&survey(live, expired, acting, ssh), 0);
            assert_eq!(says.first, first);
            assert!(says.second.contains(second), "{}", says.second);
        }
        let over = says(&survey(7, 0, 0, 0), 5);
        assert_eq!((over.calm, over.first.as_str()), (false, "5 of 7 certificates need attention."));
        assert!(over.second.starts_with("5 are of a CA that is over: nobody believes them."), "{}", over.second);
        assert_eq!(says(&survey(7, 2, 1, 0), 5).first, "At least 5 of 9 certificates need attention.");
    }

    #[test]
    fn the_first_sentence_speaks_of_secrets_too() {
        let of = |expired, ending, all| Tally { all, expired, ending, ..Tally::default() };
        let calm = || says(&survey(2, 0, 0, 0), 0);
        let fine = calm().and_of(&of(0, [0, 0, 9, 9], 20), false);
        assert_eq!(
            (fine.calm, fine.first.as_str()),
            (true, "All 2 certificates are in time. All 20 secrets are in time.")
        );
        let late = calm().and_of(&of(1, [1, 1, 0, 0], 1_000), false);
        assert!(
            !late.calm && late.first.ends_with("in time. 3 of 1\u{202f}000 secrets need attention."),
            "{}",
            late.first
        );
        assert!(late.second.ends_with("1 secret has expired, and 2 secrets end within 7 days."), "{}", late.second);
        let alone = calm().and_of(&of(1, [0; 4], 1), true);
        assert_eq!(alone.first, "No certificate has been issued yet. 1 of 1 secret needs attention.");
    }

    #[test]
    fn the_cards_of_secrets_are_there_without_any_certificate() {
        let cards = of_secrets(&Tally { all: 7, unread: 2, ..Tally::default() }, "web");
        let told: Vec<_> = cards.iter().map(|card| (card.count.as_str(), card.label, card.link.as_str())).collect();
        let unread = ("2", "secrets unread for 90 days", "/secrets?owner=web&state=unread");
        assert_eq!(told, [unread, ("7", "secrets", "/secrets?owner=web")]);
    }
}
