//! Rotations over HTTP: how a secret's credential is exchanged at the place where it is used.
//!
//! Whoever sets one up may write the secret, and read it and the administrator's: where both are sent is said here and nowhere else.

use axum::extract::State as Shared;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use policy::{Action, Actor, Grant, Owner, Resource};
use secrets::rotation::{Bounds, NotNow, Plan, Schedule, Settings, Window};
use secrets::{Line, Place, Product, SecretError, SecretPath, Turning, TurningWish};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::found::altered;
use super::hosts::{Waiting, waiting};
use super::rotation_shown::{Rehearsal, RotationEnded, RotationInfo, credential, info, rehearsed, seconds, whole};
use super::{granted, path_of};
use crate::app::App;
use crate::exchanges::Exchanges;
use crate::intake::{Caller, Json, Params, Segment, json, page_rows};
use crate::problem::Problem;
use crate::rest::cursors;

/// Of which list a cursor is.
const LIST: &str = "rotations";

/// How a secret is exchanged.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewRotation {
    /// `single`: one user, whose password is replaced; `pair`: two users in turn; `keys`: one user with several passwords at once.
    plan: String,
    /// The user, or the two users of a pair.
    #[schema(example = json!(["app-a", "app-b"]))]
    users: Vec<String>,
    /// The secret of who sets passwords there; the caller may read it. A program or a hook may have none.
    #[serde(default)]
    #[schema(example = "infra/postgres-admin")]
    admin: Option<String>,
    /// How long the old credential logs in beside the new one, in seconds; absent: an hour of `pair` and `keys`. A single user has none.
    #[serde(default)]
    overlap_secs: Option<u64>,
    /// How much time lies between two rotations at least, in seconds; the overlap where nobody says.
    #[serde(default)]
    distance_secs: Option<u64>,
    /// How old a credential grows, in seconds; absent: it is exchanged on demand alone.
    #[serde(default)]
    period_secs: Option<u64>,
    /// By how many seconds at most it is begun earlier.
    #[serde(default)]
    jitter_secs: u64,
    /// When it may be begun, UTC: `Sat,Sun 01:00-05:00`, `daily 22:00-04:00`; none: always.
    #[serde(default)]
    windows: Vec<String>,
    /// How often a step is tried in all, 1 to 4.
    #[serde(default)]
    tries: Option<u32>,
    /// How often a step is tried while the target does not answer, 1 to 100, with growing pauses.
    #[serde(default)]
    tries_away: Option<u32>,
    /// `postgresql`, `mariadb`, `redis`, `ldap` (StartTLS), `ldaps`, `ssh`, `exec` or `http`; absent: as the secret's field `engine` says.
    #[serde(default)]
    driver: Option<String>,
    /// Absent: as the secret's field says. Of `ssh` all hosts that have the key, with a space between two, each with `:PORT` where its sshd
    /// listens elsewhere. Of `exec` and `http` the name of the program or the hook in the server's configuration.
    #[serde(default)]
    host: Option<String>,
    /// Absent: as the secret's field says, or the usual one.
    #[serde(default)]
    port: Option<u16>,
    /// The database in which one logs in; absent: as the secret's field says.
    #[serde(default)]
    database: Option<String>,
    /// Of `mariadb`: the host of the accounts, as `localhost` of `app@localhost`; absent: `%`, and a name of which that is not the only
    /// account is refused when it is to be set.
    #[serde(default)]
    #[schema(example = "localhost")]
    account_host: Option<String>,
    /// The roots of the target's certificate (PEM): it is spoken to by TLS. Without them it is this host. Of `ssh` lines of known_hosts;
    /// without them hosts are known by certificates of this house's SSH host CA.
    #[serde(default)]
    roots: Option<String>,
    /// It is spoken to without TLS although it is another host: whoever is on the way reads passwords.
    #[serde(default)]
    plain: bool,
    /// Nobody tries whether what is current logs in: the target is away, or does not have it yet. Where the place is new it is tried
    /// otherwise, and nothing is set up where it does not.
    #[serde(default)]
    unchecked: bool,
    /// Judge and try it, say what a rotation would do, and set up nothing.
    #[serde(default)]
    dry_run: bool,
}

/// What somebody says to a rotation.
#[derive(Clone, Debug)]
pub(super) enum Word {
    Rotate,
    /// What is in use leaked; what happened.
    Leaked(String),
    Back,
    Resume,
}

impl Word {
    /// A reason is one's who says that it leaked.
    pub(super) fn of(word: &str, reason: Option<&str>) -> Result<Option<Word>, Problem> {
        let word = match word {
            "rotate" => Word::Rotate,
            "rotate-leaked" => {
                let reason = reason.filter(|reason| secrets::is_reason(reason));
                let none = || Problem::field("reason", "Say in a line what leaked, and how it is known.");
                return Ok(Some(Word::Leaked(reason.ok_or_else(none)?.to_owned())));
            }
            "rotate-back" => Word::Back,
            "rotate-resume" => Word::Resume,
            _ => return Ok(None),
        };
        match reason {
            None => Ok(Some(word)),
            Some(_) => Err(Problem::field("reason", "A reason is said of what leaked: rotate-leaked.")),
        }
    }
}

/// Which rotations are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct RotationFilter {
    /// Of this owner.
    #[param(value_type = Option<String>)]
    owner: Option<Owner>,
    /// Where the last page ended; `cursor`, as other lists call it, is the same.
    #[serde(alias = "cursor")]
    after: Option<String>,
    /// So many at most, 1 to 1000.
    limit: Option<u32>,
}

/// A page of rotations.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RotationList {
    /// By path.
    items: Vec<RotationInfo>,
    /// What to say as `after` for the next page; absent where this is the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    /// So many rows of this page that are not what the log says: they are left out, and the status names them. Told to whoever may list
    /// everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    altered: Option<u64>,
}

/// The rotations of secrets that the caller may know of.
#[utoipa::path(get, path = "/api/v1/secret-rotations", tag = "secrets", operation_id = "listRotations",
    params(RotationFilter), responses((status = 200, description = "Rotations", body = RotationList)))]
pub(crate) async fn list(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Params(filter): Params<RotationFilter>,
) -> Result<Response, Problem> {
    let of = filter.owner.clone().or_else(|| actor.owners.iter().next().cloned());
    let _grant = app.authorize(&actor, Action::ListSecrets, Resource::secret(of, "")).await?;
    let limit = page_rows(filter.limit)?;
    let after = cursors::opened(&app, &actor, LIST, filter.after.as_deref())?;
    let page = app.rotations().list(after, limit).await?;
    let next = cursors::sealed(&app, &actor, LIST, page.next)?;
    let may = |turning: &Turning| {
        let on = Resource::secret(Some(turning.owner().clone()), turning.path().as_str());
        let is_of = filter.owner.as_ref().is_none_or(|owner| owner == turning.owner());
        is_of && app.authority().policies().permits(&actor, Action::ListSecrets, &on)
    };
    let items = page.items.iter().filter(|turning| may(turning)).map(|turning| info(&app, turning)).collect();
    let altered = altered(&app, &actor, page.altered);
    Ok(json(StatusCode::OK, &RotationList { items, next, altered }))
}

/// How a secret is exchanged, and how far that has come.
#[utoipa::path(get, path = "/api/v1/secret-rotations/{path}", tag = "secrets", operation_id = "showRotation",
    params(("path" = String, Path, description = "Where the secret stands, with its slashes")),
    responses((status = 200, description = "The rotation", body = RotationInfo)))]
pub(crate) async fn show(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Segment(path): Segment,
) -> Result<Response, Problem> {
    let path = path_of(&path)?;
    let _granted = granted(&app, &actor, Action::ListSecrets, &path).await?;
    let turning = there(&app, &path).await?;
    let mut shown = whole(&app, &turning);
    let Waiting { lacks, silent } = waiting(&app, &turning).await?;
    (shown.lacks, shown.silent) = (lacks, silent);
    Ok(json(StatusCode::OK, &shown))
}

/// Sets up a rotation of a secret, or changes one that rests or was set nowhere yet. What is current is what logs in, which is tried at a
/// new place. A dry run answers with the steps of a rotation.
#[utoipa::path(put, path = "/api/v1/secret-rotations/{path}", tag = "secrets", operation_id = "setRotation",
    request_body = NewRotation,
    params(("path" = String, Path, description = "Where the secret stands, with its slashes")),
    responses((status = 200, description = "It is set up", body = RotationInfo),
        (status = 409, description = "A rotation is under way"),
        (status = 422, description = "What is current does not log in there, or the settings do not fit"),
        (status = 503, description = "The target does not say whether it logs in")))]
pub(crate) async fn put(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Segment(path): Segment,
    Json(new): Json<NewRotation>,
) -> Result<Response, Problem> {
    let path = path_of(&path)?;
    let (_, grant) = granted(&app, &actor, Action::WriteSecret, &path).await?;
    let is_dry = new.dry_run;
    let wish = wish(new)?;
    // What is said here has this secret's passwords and the administrator's sent to a place: he may read both himself.
    let _granted = granted(&app, &actor, Action::ReadSecret, &path).await?;
    if let Some(admin) = &wish.admin {
        let _granted = granted(&app, &actor, Action::ReadSecret, admin).await?;
    }
    let (rotations, exchanges) = (app.rotations().clone(), Exchanges::of(&app));
    if is_dry {
        let set = async move { rotations.set_dry(grant, &path, wish, &exchanges).await };
        let (turning, is_tried) = app.secret_to_its_end(set).await?;
        let rehearsal = rehearsal(&app, &turning, Word::Rotate)?;
        let logs_in = is_tried.then(|| credential(turning.rotation().current()));
        return Ok(json(StatusCode::OK, &Rehearsal { logs_in, ..rehearsal }));
    }
    let set = async move { rotations.set(grant, &path, wish, &exchanges).await };
    let turning = app.secret_to_its_end(set).await?;
    app.rotation_asked().notify_one();
    let mut shown = info(&app, &turning);
    // It is set up, whether that can be told or not.
    let Waiting { lacks, silent } = waiting(&app, &turning).await.unwrap_or_default();
    (shown.lacks, shown.silent) = (lacks, silent);
    Ok(json(StatusCode::OK, &shown))
}

/// Ends a rotation that rests or halted, or that was set nowhere yet: no version of it is pending any more, and the secret is written by
/// hand again. Nothing changes at the target.
#[utoipa::path(delete, path = "/api/v1/secret-rotations/{path}", tag = "secrets", operation_id = "endRotation",
    params(("path" = String, Path, description = "Where the secret stands, with its slashes")),
    responses((status = 200, description = "It ended where it halted, and something is left at the target", body = RotationEnded),
        (status = 204, description = "It ended"), (status = 409, description = "It is under way")))]
pub(crate) async fn end(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Segment(path): Segment,
) -> Result<Response, Problem> {
    let path = path_of(&path)?;
    let (_, grant) = granted(&app, &actor, Action::WriteSecret, &path).await?;
    let rotations = app.rotations().clone();
    let left = app.secret_to_its_end(async move { rotations.end(grant, &path).await }).await?;
    Ok(match left {
        Some(left) => json(StatusCode::OK, &RotationEnded { left }),
        None => StatusCode::NO_CONTENT.into_response(),
    })
}

/// Says a word to a rotation; a dry run says what would be done.
pub(super) async fn said(
    app: &App,
    actor: &Actor,
    word: Word,
    path: SecretPath,
    is_dry: bool,
) -> Result<Response, Problem> {
    let (_, grant) = granted(app, actor, Action::WriteSecret, &path).await?;
    if is_dry {
        return dry(app, word, &path, grant).await;
    }
    let rotations = app.rotations().clone();
    let said = async move {
        match word {
            Word::Rotate => rotations.ask(grant, &path).await,
            Word::Leaked(reason) => rotations.ask_leaked(grant, &path, &reason).await,
            Word::Back => rotations.ask_back(grant, &path).await,
            Word::Resume => rotations.resume(grant, &path).await,
        }
    };
    let turning = app.secret_to_its_end(said).await?;
    app.rotation_asked().notify_one();
    Ok(json(StatusCode::ACCEPTED, &info(app, &turning)))
}

async fn dry(app: &App, word: Word, path: &SecretPath, _granted: Grant) -> Result<Response, Problem> {
    let turning = there(app, path).await?;
    Ok(json(StatusCode::OK, &rehearsal(app, &turning, word)?))
}

/// What a word would lead to.
fn rehearsal(app: &App, turning: &Turning, word: Word) -> Result<Rehearsal, Problem> {
    let now = seconds(app.world().now());
    let mut rotation = turning.rotation().clone();
    let asked = match word {
        Word::Rotate => rotation.ask(now),
        Word::Leaked(_) => rotation.ask_leaked(),
        Word::Back => rotation.ask_back(),
        Word::Resume => rotation.resume(),
    };
    let from = match (asked, word) {
        (Ok(()), _) => now,
        // As it would be once it may be asked for.
        (Err(NotNow::TooSoon { until }), _) => {
            rotation.ask(until).map_err(|error| SecretError::Conflict(error.to_string()))?;
            until
        }
        // What is under way goes on.
        (Err(NotNow::UnderWay), Word::Rotate) => now,
        (Err(error), _) => return Err(SecretError::Conflict(error.to_string()).into()),
    };
    let steps = rotation.rehearse(from).into_iter().filter_map(|(at, step)| rehearsed(at, step));
    Ok(Rehearsal { steps: steps.collect(), logs_in: None })
}

async fn there(app: &App, path: &SecretPath) -> Result<Turning, Problem> {
    let none = || Problem::from(SecretError::NotFound(format!("no rotation of {path} is set up")));
    app.rotations().look(path).await?.ok_or_else(none)
}

fn wish(new: NewRotation) -> Result<TurningWish, Problem> {
    let plan = plan(&new.plan, new.users)?;
    let windows = new.windows.iter().map(|text| text.parse::<Window>()).collect::<Result<Vec<_>, _>>();
    let windows = windows.map_err(|error| Problem::field("windows", error.to_string()))?;
    let usual = Bounds::default();
    let bounds =
        Bounds { tries: new.tries.unwrap_or(usual.tries), away: new.tries_away.unwrap_or(usual.away), ..usual };
    let schedule = Schedule { period_secs: new.period_secs, jitter_secs: new.jitter_secs, windows };
    let usual = match &plan {
        Plan::Single { .. } => 0,
        Plan::Pair { .. } | Plan::Keys { .. } => OVERLAP_SECS,
    };
    let overlap_secs = new.overlap_secs.unwrap_or(usual);
    let distance_secs = new.distance_secs.unwrap_or(overlap_secs);
    let settings = Settings { plan, overlap_secs, distance_secs, bounds, schedule };
    let product = product(new.driver.as_deref())?;
    let line = line(product, new.roots, new.plain)?;
    let admin = new.admin.as_deref().map(path_of).transpose()?;
    let (account_host, is_unchecked) = (new.account_host, new.unchecked);
    let place = Place { product, host: new.host, port: new.port, database: new.database, account_host };
    Ok(TurningWish { settings, place, admin, line, is_unchecked })
}

/// What is there, as somebody says it.
pub(super) fn product(word: Option<&str>) -> Result<Option<Product>, Problem> {
    let of = |word| Product::of(word).ok_or_else(|| Problem::field("driver", DRIVERS));
    word.map(of).transpose()
}

/// How it is spoken to, as somebody says it.
pub(super) fn line(product: Option<Product>, roots: Option<String>, plain: bool) -> Result<Line, Problem> {
    match (roots, plain) {
        (Some(hosts), false) if product == Some(Product::Ssh) => Ok(Line::Known { hosts }),
        (None, false) => Ok(Line::Here),
        (Some(roots), false) => Ok(Line::Tls { roots }),
        (None, true) => Ok(Line::Plain),
        (Some(_), true) => Err(Problem::field("plain", "With roots it is TLS, and not plain.")),
    }
}

/// How long an overlap is where nobody says.
const OVERLAP_SECS: u64 = 3_600;
const DRIVERS: &str = "There is a driver for postgresql, mariadb, redis, ldap, ldaps, ssh, exec and http.";

fn plan(word: &str, users: Vec<String>) -> Result<Plan, Problem> {
    match (word, <[String; 1]>::try_from(users)) {
        ("single", Ok([user])) => Ok(Plan::Single { user }),
        ("keys", Ok([user])) => Ok(Plan::Keys { user }),
        ("pair", Err(users)) => <[String; 2]>::try_from(users)
            .map(|users| Plan::Pair { users })
            .map_err(|_| Problem::field("users", "A pair has two users.")),
        ("pair", Ok(_)) => Err(Problem::field("users", "A pair has two users.")),
        ("single" | "keys", Err(_)) => Err(Problem::field("users", "This plan has one user.")),
        (_, _) => Err(Problem::field("plan", "A plan is single, pair or keys.")),
    }
}
