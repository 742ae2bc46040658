//! Drills: what is to be replaced before its time, how far that is, and by when all of it should be.

use askama::Template;
use axum::extract::State as Shared;
use axum::response::{IntoResponse, Response};
use ca::{Drill, DrillProgress, Share};
use http::StatusCode;
use policy::{Action, Actor, Resource, ResourceKind, Timestamp};

use super::asked::Asked;
use super::frame::{Head, Place, render};
use super::session::Visitor;
use super::words::{grouped, left, many, moment};
use crate::app::App;
use crate::intake::Segment;
use crate::problem::Problem;

/// Ended ones that are listed.
const ENDED_MAX: usize = 50;
/// Pages of drills that are looked through for the newest.
const PAGES_MAX: usize = 20;

#[derive(Template)]
#[template(path = "drills.html")]
struct Page {
    head: Head,
    now: String,
    at: String,
    title: String,
    second: String,
    calm: bool,
    shown: Vec<Shown>,
    ended: Vec<Ended>,
}

/// One with its progress.
struct Shown {
    id: String,
    says: String,
    reason: String,
    tone: &'static str,
    /// Where its window stands.
    window: String,
    /// All of it, then by owner, who has most left first.
    parts: Vec<Part>,
    /// What is left of it.
    link: String,
}

/// How far one part is, in thousandths.
struct Part {
    owner: String,
    held: String,
    replaced: String,
    over: String,
    left: String,
    done: u64,
    gone: u64,
}

/// One that is over.
struct Ended {
    id: String,
    says: String,
    reason: String,
    begun: String,
    ended: String,
}

/// `/drills`: those that are open, with their progress; those that are over.
pub(super) async fn show(Shared(app): Shared<App>, Visitor(actor): Visitor) -> Response {
    match page(&app, &actor).await {
        Ok(page) => render(StatusCode::OK, &page),
        Err(problem) => problem.into_response(),
    }
}

/// `/drills/{id}`: one of them.
pub(super) async fn show_one(
    Shared(app): Shared<App>,
    Visitor(actor): Visitor,
    Segment(id): Segment,
) -> Result<Response, Problem> {
    let _grant = app.authorize(&actor, Action::ReadStatus, Resource::plain(ResourceKind::Status)).await?;
    let (progress, now) = (app.authority().drill(&id).await?, app.world().now());
    let (title, all) = (format!("Drill {id}"), progress.all);
    let second = match progress.drill.ended {
        Some(at) => format!("It ended {} ({} UTC).", left(at, now), moment(at)),
        None => left_of(all.left),
    };
    let page = Page {
        head: Head::of(&app, &actor, Place::Drills),
        now: now.rfc3339(),
        at: moment(now),
        title,
        second,
        calm: all.left == 0,
        shown: vec![shown(progress, now)],
        ended: Vec::new(),
    };
    Ok(render(StatusCode::OK, &page))
}

async fn page(app: &App, actor: &Actor) -> Result<Page, Problem> {
    let _grant = app.authorize(actor, Action::ReadStatus, Resource::plain(ResourceKind::Status)).await?;
    let now = app.world().now();
    let (open, over): (Vec<Drill>, Vec<Drill>) = all(app).await?.into_iter().partition(|drill| drill.ended.is_none());
    let mut progress = Vec::with_capacity(open.len());
    for drill in open {
        progress.push(app.authority().drill(&drill.id).await?);
    }
    let left: u64 = progress.iter().map(|one| one.all.left).sum();
    let title = match progress.len() as u64 {
        0 => "No drill is open.".to_owned(),
        1 => "One drill is open.".to_owned(),
        count => format!("{count} drills are open."),
    };
    let second = match progress.len() {
        0 => "`chancery drill replace --issuer tls --dry-run` says what one would mark.".to_owned(),
        _ => left_of(left),
    };
    let ended = over.iter().rev().take(ENDED_MAX).map(|drill| ended(drill, now)).collect();
    Ok(Page {
        head: Head::of(app, actor, Place::Drills),
        now: now.rfc3339(),
        at: moment(now),
        title,
        second,
        calm: left == 0,
        shown: progress.into_iter().map(|progress| shown(progress, now)).collect(),
        ended,
    })
}

/// The oldest first, as far as anyone looks.
async fn all(app: &App) -> Result<Vec<Drill>, Problem> {
    let (mut all, mut after) = (Vec::new(), None);
    for _ in 0..PAGES_MAX {
        let page = app.authority().drills(after).await?;
        all.extend(page.items);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    Ok(all)
}

fn left_of(left: u64) -> String {
    match left {
        0 => "Nothing is left to replace.".to_owned(),
        left => format!("{} left to replace.", many(left, "certificate")),
    }
}

/// What it marks, in words.
fn marks(drill: &Drill) -> String {
    let part = &drill.part;
    let of = |what: &str, value: Option<String>| value.map_or(String::new(), |value| format!(", {what} {value}"));
    let owner = part.owner.as_ref().map(|owner| owner.as_str().to_owned());
    format!("what {} issued{}{}", part.issuer, of("profile", part.profile.clone()), of("owner", owner))
}

fn shown(DrillProgress { drill, all, owners }: DrillProgress, now: Timestamp) -> Shown {
    let until = drill.begun.plus_secs(drill.window_secs);
    let is_late = until < now && all.left > 0 && drill.ended.is_none();
    let mut by_owner: Vec<(String, Share)> = owners.into_iter().collect();
    by_owner.sort_by_key(|(_, share)| std::cmp::Reverse(share.left));
    let parts = std::iter::once(("all".to_owned(), all)).chain(by_owner).map(|(owner, share)| part(owner, &share));
    let list = Asked {
        issuer: drill.part.issuer.clone(),
        profile: drill.part.profile.clone().unwrap_or_default(),
        owner: drill.part.owner.as_ref().map(|owner| owner.as_str().to_owned()).unwrap_or_default(),
        kind: "certificate".into(),
        state: "issued".into(),
        replaced: "no".into(),
        ..Asked::default()
    };
    Shown {
        says: marks(&drill),
        tone: if is_late {
            "gone"
        } else if all.left > 0 {
            "act"
        } else {
            "calm"
        },
        window: format!(
            "Begun {} UTC; all of it by {} UTC ({}).",
            moment(drill.begun),
            moment(until),
            left(until, now)
        ),
        parts: parts.collect(),
        link: list.link("/certificates"),
        reason: drill.reason,
        id: drill.id,
    }
}

fn part(owner: String, share: &Share) -> Part {
    let Share { held, replaced, left } = *share;
    let over = held.saturating_sub(replaced).saturating_sub(left);
    let of_thousand = |count: u64| (count.saturating_mul(1_000)).checked_div(held).unwrap_or(0);
    Part {
        owner,
        held: grouped(held),
        replaced: grouped(replaced),
        over: grouped(over),
        left: grouped(left),
        done: of_thousand(replaced),
        gone: of_thousand(over),
    }
}

fn ended(drill: &Drill, now: Timestamp) -> Ended {
    Ended {
        id: drill.id.clone(),
        says: marks(drill),
        reason: drill.reason.clone(),
        begun: moment(drill.begun),
        ended: drill.ended.map(|at| left(at, now)).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_revoked_is_not_called_replaced() {
        let part = part("all".into(), &Share { held: 104, replaced: 50, left: 0 });
        assert_eq!((part.replaced.as_str(), part.over.as_str(), part.left.as_str()), ("50", "54", "0"));
        assert_eq!((part.done, part.gone), (480, 519));
        let none = super::part("x".into(), &Share::default());
        assert_eq!((none.done, none.gone), (0, 0));
    }
}
