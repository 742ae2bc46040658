//! The list of secrets, as a page: what they are called, when they end, who read them last. Never a value.

use askama::Template;
use axum::extract::{Query, State as Shared};
use axum::response::{IntoResponse, Response};
use http::{StatusCode, Uri};
use policy::{Actor, Owner, Timestamp, shown};
use secrets::{Label, Listed, Secret, Standing, UNREAD_DAYS, Version};
use serde::Deserialize;

use super::asked::{Choices, owners};
use super::frame::{Head, Place, percent, render};
use super::session::Visitor;
use super::words::{hours_ago, left, moment};
use crate::app::App;
use crate::problem::{Kind, Problem};
use crate::rest::secrets::found::{SecretsFound, SecretsSought, found};

/// Rows of a page.
const ROWS: usize = 50;
const DAY_SECS: u64 = 86_400;
/// The next to end are sought so far ahead.
const AHEAD_SECS: u64 = 3_650 * DAY_SECS;
/// A version that ends within these days is coloured.
const SOON_SECS: i64 = 7 * 86_400;

/// Those whose current version is given out.
const USED: &str = "used";

/// How secrets can be, as the form words it.
pub(super) const STATES: Choices = &[
    ("", "all that are there"),
    (USED, "in use"),
    ("expiring", "ends within 30 days, or has"),
    ("expired", "expired"),
    ("unread", "unread for 90 days"),
    ("overdue", "rotation overdue"),
    ("stuck", "a version waits"),
    ("unowned", "without an owner"),
    ("deleted", "deleted too"),
];

/// The query. Empty fields mean nothing, as browsers send them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct SecretsAsked {
    pub(super) q: String,
    pub(super) within: String,
    pub(super) owner: String,
    pub(super) tag: String,
    pub(super) state: String,
    /// Whose current version ends from this moment on, RFC 3339.
    pub(super) from: String,
    /// And before this one; both or neither.
    pub(super) to: String,
    pub(super) cursor: String,
}

/// One row.
pub(super) struct Row {
    pub(super) path: String,
    pub(super) description: String,
    pub(super) tone: &'static str,
    pub(super) left: String,
    pub(super) at: String,
    pub(super) ends: String,
    pub(super) badge: &'static str,
    pub(super) state: &'static str,
    pub(super) rotates: bool,
    pub(super) reader: String,
    pub(super) read: String,
    pub(super) owner: String,
    pub(super) of_owner: String,
    pub(super) kind: String,
    /// The number of its current version, and one that waits beside it.
    pub(super) current: String,
    pub(super) waits: String,
}

#[derive(Template)]
#[template(path = "secrets.html")]
struct List {
    head: Head,
    title: String,
    now: String,
    at: String,
    asked: SecretsAsked,
    owners: Vec<String>,
    states: Choices,
    chosen: String,
    order: &'static str,
    kept: Vec<Row>,
    next: Option<String>,
    unfinished: bool,
    /// How many of those that were looked at are not what the log says; none where that is nobody's, or not for this visitor.
    altered: Option<u64>,
    /// Nothing narrows the list, and there is nothing.
    hint: bool,
}

/// `/secrets`
pub(super) async fn show(Shared(app): Shared<App>, Visitor(actor): Visitor, uri: Uri) -> Response {
    let asked = Query::<SecretsAsked>::try_from_uri(&uri).map(|Query(asked)| asked).unwrap_or_default();
    match page(&app, &actor, asked).await {
        Ok(page) => render(StatusCode::OK, &page),
        Err(problem) => problem.into_response(),
    }
}

async fn page(app: &App, actor: &Actor, asked: SecretsAsked) -> Result<List, Problem> {
    let SecretsFound { items, next, altered, owner, now } = found(app, actor, asked.sought()?).await?;
    let is_used = asked.state == USED;
    let meant = items.iter().filter(|(secret, _)| !is_used || standing(secret, now).is_used());
    let kept: Vec<Row> = meant.map(|listed| row(listed, now)).collect();
    let here = SecretsAsked { owner: owner.map(|owner| owner.to_string()).unwrap_or_default(), ..asked };
    let first = SecretsAsked { cursor: String::new(), ..here.clone() };
    Ok(List {
        head: Head::of(app, actor, Place::Secrets),
        title: first.title(),
        now: now.rfc3339(),
        at: moment(now),
        owners: owners(app, actor),
        states: STATES,
        chosen: first.in_words(),
        order: first.order(),
        unfinished: kept.is_empty() && next.is_some(),
        altered,
        hint: kept.is_empty() && first.in_words().is_empty() && first.q.is_empty(),
        kept,
        next: next.map(|cursor| SecretsAsked { cursor, ..here.clone() }.link()),
        asked: first,
    })
}

/// The first that end, or have ended: so many at most, of those that the visitor may know of.
pub(super) async fn next_to_end(
    app: &App,
    actor: &Actor,
    owner: Option<&Owner>,
    limit: usize,
) -> Result<Vec<Row>, Problem> {
    let sought =
        SecretsSought { owner: owner.cloned(), expiring_secs: Some(AHEAD_SECS), limit, ..SecretsSought::default() };
    let SecretsFound { items, now, .. } = match found(app, actor, sought).await {
        Err(problem) if problem.kind() == Kind::Refused => return Ok(Vec::new()),
        found => found?,
    };
    Ok(items.iter().map(|listed| row(listed, now)).collect())
}

fn row((secret, read): &Listed, now: Timestamp) -> Row {
    let ends = secret.ends();
    let shown_as = standing(secret, now);
    Row {
        path: secret.path().to_string(),
        description: shown(secret.description()).into_owned(),
        tone: shown_as.tone,
        left: ends.map_or_else(|| "never".to_owned(), |ends| left(ends, now)),
        at: ends.map(moment).unwrap_or_default(),
        ends: ends.map(Timestamp::rfc3339).unwrap_or_default(),
        badge: shown_as.badge,
        state: shown_as.state,
        rotates: secret.is_rotated(),
        reader: read.as_ref().map_or_else(|| "nobody".to_owned(), |read| shown(&read.by).into_owned()),
        read: read.as_ref().map(|read| hours_ago(read.at, now)).unwrap_or_default(),
        of_owner: of_owner(secret.owner()),
        owner: secret.owner().to_string(),
        kind: secret.kind().to_string(),
        current: secret.labels().get(Label::CURRENT).map_or_else(|| "none".to_owned(), ToString::to_string),
        waits: secret.labels().get(Label::PENDING).map(|number| format!("{number} waits")).unwrap_or_default(),
    }
}

/// The list of an owner's secrets.
pub(super) fn of_owner(owner: &Owner) -> String {
    SecretsAsked { owner: owner.to_string(), ..SecretsAsked::default() }.link()
}

/// How a secret is: the colour of its row, its badge's, and in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) tone: &'static str,
    pub(super) badge: &'static str,
    pub(super) state: &'static str,
}

/// What is given to whoever may read it.
const IN_USE: &str = "in use";

impl Shown {
    fn is_used(self) -> bool {
        self.state == IN_USE
    }
}

/// The version that is current, if any is.
pub(super) fn current(secret: &Secret, now: Timestamp) -> Option<Version> {
    secret.versions(now).into_iter().find(|version| version.labels.iter().any(|label| label == Label::CURRENT))
}

/// How a secret is: as its current version is, since that is what is given to whoever names none.
pub(super) fn standing(secret: &Secret, now: Timestamp) -> Shown {
    let current = current(secret, now).map(|version| (version.standing, version.expires));
    shown_as(secret.deleted().is_some(), current, now)
}

fn shown_as(is_deleted: bool, current: Option<(Standing, Option<Timestamp>)>, now: Timestamp) -> Shown {
    let is_soon = |ends: Option<Timestamp>| ends.is_some_and(|ends| ends.since(now) < SOON_SECS);
    let (tone, badge, state) = match current {
        _ if is_deleted => ("quiet", "revoked", "deleted"),
        None => ("act", "intended", "nothing current"),
        Some((Standing::Disabled, _)) => ("act", "revoked", "disabled"),
        Some((Standing::Early, _)) => ("act", "intended", "early"),
        Some((Standing::Expired, _)) => ("gone", "expired", "expired"),
        Some((Standing::Destroyed, _)) => ("gone", "revoked", "destroyed"),
        Some((Standing::Enabled, ends)) if is_soon(ends) => ("act", "issued", IN_USE),
        Some((Standing::Enabled, _)) => ("calm", "issued", IN_USE),
    };
    Shown { tone, badge, state }
}

impl SecretsAsked {
    fn sought(&self) -> Result<SecretsSought, Problem> {
        let text = |value: &str| Some(value.trim().to_owned()).filter(|value| !value.is_empty());
        let owner = text(&self.owner).map(|owner| Owner::parse(&owner)).transpose();
        let within = text(&self.within).map(|within| within.parse()).transpose();
        if !STATES.iter().any(|(value, _)| *value == self.state) {
            return Err(Problem::field("state", "No secret is like that: choose one of the list."));
        }
        let is = |state: &str| self.state == state;
        let moment = |name: &'static str, value: &str| {
            let parsed = text(value).map(|value| Timestamp::parse_rfc3339(&value)).transpose();
            parsed.map_err(|error| Problem::field(name, error.to_string()))
        };
        let ends = moment("from", &self.from)?.zip(moment("to", &self.to)?);
        Ok(SecretsSought {
            owner: owner.map_err(|error| Problem::field("owner", error.to_string()))?,
            within: within.map_err(|error: secrets::NameError| Problem::field("within", error.to_string()))?,
            text: text(&self.q),
            tag: text(&self.tag),
            deleted: is("deleted"),
            expiring_secs: if is("expired") { Some(0) } else { is("expiring").then_some(30 * DAY_SECS) },
            ends,
            unread_secs: is("unread").then_some(UNREAD_DAYS.unsigned_abs() * DAY_SECS),
            stuck: is("stuck"),
            overdue: is("overdue"),
            unowned: is("unowned"),
            cursor: text(&self.cursor),
            limit: ROWS,
        })
    }

    fn title(&self) -> String {
        let which = match self.state.as_str() {
            "expiring" => "Secrets that end within 30 days, or have",
            "expired" => "Expired secrets",
            "unread" => "Secrets that nobody read for 90 days",
            "overdue" => "Secrets whose rotation is overdue",
            "stuck" => "Secrets with a version that waits",
            "unowned" => "Secrets without an owner",
            "deleted" => "Secrets, and those that are deleted",
            USED => "Secrets in use",
            _ => "Secrets",
        };
        let which = match self.ends_between() {
            Some((from, to)) => format!("Secrets that end from {from} to {to}"),
            None => which.to_owned(),
        };
        let within = if self.within.is_empty() { String::new() } else { format!(" at {}", self.within) };
        let owner = if self.owner.is_empty() { String::new() } else { format!(" of {}", self.owner) };
        format!("{which}{within}{owner}")
    }

    /// The moments between which they end, as they are shown.
    fn ends_between(&self) -> Option<(String, String)> {
        let read = |text: &str| Timestamp::parse_rfc3339(text).ok().map(moment);
        read(&self.from).zip(read(&self.to))
    }

    fn order(&self) -> &'static str {
        match self.state.as_str() {
            _ if self.ends_between().is_some() => "the first to end first",
            "expiring" | "expired" => "the first to end first",
            "unread" => "what nobody read for longest first",
            "stuck" => "what waits for longest first",
            _ => "by path",
        }
    }

    /// What narrows the list beside the text that is searched for.
    fn in_words(&self) -> String {
        let some = |what: &str, value: &str| (!value.is_empty()).then(|| format!("{what} {value}"));
        let state = STATES.iter().find(|(value, _)| !value.is_empty() && *value == self.state);
        let words = [some("owner", &self.owner), some("at", &self.within), some("tag", &self.tag)];
        let state = state.map(|(_, words)| (*words).to_owned());
        words.into_iter().flatten().chain(state).collect::<Vec<_>>().join(" · ")
    }

    /// The address of a list that is asked for so.
    pub(super) fn link(&self) -> String {
        let SecretsAsked { q, within, owner, tag, state, from, to, cursor } = self;
        let [q, within] = [("q", q), ("within", within)];
        let pairs = [
            q,
            within,
            ("owner", owner),
            ("tag", tag),
            ("state", state),
            ("from", from),
            ("to", to),
            ("cursor", cursor),
        ];
        let given = pairs.iter().filter(|(_, value)| !value.is_empty());
        let query: Vec<String> = given.map(|(name, value)| format!("{name}={}", percent(value))).collect();
        if query.is_empty() { "/secrets".to_owned() } else { format!("/secrets?{}", query.join("&")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_choice_of_the_form_is_understood_and_has_a_title_of_its_own() {
        let titles: std::collections::BTreeSet<String> = STATES
            .iter()
            .map(|(state, _)| {
                let asked = SecretsAsked { state: (*state).into(), ..SecretsAsked::default() };
                assert!(asked.sought().is_ok(), "{state}");
                asked.title()
            })
            .collect();
        assert_eq!(titles.len(), STATES.len());
        for wrong in [
            SecretsAsked { state: "dead".into(), ..SecretsAsked::default() },
            SecretsAsked { within: "a//b".into(), ..SecretsAsked::default() },
            SecretsAsked { owner: "A B".into(), ..SecretsAsked::default() },
            SecretsAsked { from: "soon".into(), ..SecretsAsked::default() },
        ] {
            assert!(wrong.sought().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn in_use_is_what_is_current_and_given_out() {
        let now = Timestamp::from_unix(1_800_000_000);
        let (soon, later) = (Some(now.plus_secs(60)), Some(now.plus_secs(90 * 86_400)));
        for (deleted, current, tone, state) in [
            (true, Some((Standing::Enabled, None)), "quiet", "deleted"),
            (false, None, "act", "nothing current"),
            (false, Some((Standing::Disabled, later)), "act", "disabled"),
            (false, Some((Standing::Early, None)), "act", "early"),
            (false, Some((Standing::Expired, None)), "gone", "expired"),
            (false, Some((Standing::Destroyed, None)), "gone", "destroyed"),
            (false, Some((Standing::Enabled, soon)), "act", "in use"),
            (false, Some((Standing::Enabled, later)), "calm", "in use"),
        ] {
            let shown = shown_as(deleted, current, now);
            assert_eq!((shown.tone, shown.state, shown.is_used()), (tone, state, state == IN_USE));
            assert!(shown.is_used() == (shown.badge == "issued"), "{shown:?}");
        }
    }

    #[test]
    fn what_ends_between_two_moments_is_a_list_of_its_own() {
        let (from, to) = ("2026-11-28T00:00:00Z".to_owned(), "2026-12-01T00:00:00Z".to_owned());
        let asked = SecretsAsked { from, to, ..SecretsAsked::default() };
        let (from, to) = asked.sought().unwrap().ends.unwrap();
        assert_eq!(to.since(from), 3 * 86_400);
        assert!(asked.title().starts_with("Secrets that end from ") && asked.order() == "the first to end first");
        assert!(asked.link().contains("from=") && asked.link().contains("&to="));
    }

    #[test]
    fn a_link_keeps_what_was_asked() {
        let asked =
            SecretsAsked { q: "a&b".into(), state: "unread".into(), tag: "t=x".into(), ..SecretsAsked::default() };
        assert_eq!(asked.link(), "/secrets?q=a%26b&tag=t%3Dx&state=unread");
        assert_eq!(SecretsAsked::default().link(), "/secrets");
    }
}
