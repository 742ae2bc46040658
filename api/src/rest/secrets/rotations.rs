//! Rotations over HTTP: how a secret's credential is exchanged at the place where it is used.
//!
//! Whoever sets one up may write the secret, and read it and the administrator's: where both are sent is said here and nowhere else.

use axum::extract::State as Shared;
use axum::response::Response;
use http::StatusCode;
use policy::{Action, Actor, Grant, Timestamp};
use secrets::rotation::{Bounds, Credential, Plan, Rotation, Schedule, Settings, Step, Window};
use secrets::{Line, Product, SecretError, SecretPath, Turning, TurningWish};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{granted, path_of};
use crate::app::App;
use crate::intake::{Caller, Json, Segment, json};
use crate::problem::Problem;

/// How a secret is exchanged.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewRotation {
    /// `single`: one user, whose password is replaced; `pair`: two users in turn; `keys`: one user with several passwords at once.
    plan: String,
    /// The user, or the two users of a pair.
    #[schema(example = json!(["app-a", "app-b"]))]
    users: Vec<String>,
    /// The secret of who sets passwords there; the caller may read it.
    #[schema(example = "infra/postgres-admin")]
    admin: String,
    /// How long the old credential logs in beside the new one, in seconds.
    #[serde(default)]
    overlap_secs: u64,
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
    /// `postgresql`, `mariadb` or `redis`; absent: as the secret's field `engine` says.
    #[serde(default)]
    driver: Option<String>,
    /// Absent: as the secret's field says.
    #[serde(default)]
    host: Option<String>,
    /// Absent: as the secret's field says, or the usual one.
    #[serde(default)]
    port: Option<u16>,
    /// The database in which one logs in; absent: as the secret's field says.
    #[serde(default)]
    database: Option<String>,
    /// The roots of the target's certificate (PEM): it is spoken to by TLS. Without them it is this host.
    #[serde(default)]
    roots: Option<String>,
    /// It is spoken to without TLS although it is another host: whoever is on the way reads passwords.
    #[serde(default)]
    plain: bool,
}

/// A rotation.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RotationInfo {
    /// Of which secret.
    path: String,
    /// Whose that is.
    owner: String,
    plan: &'static str,
    users: Vec<String>,
    admin: String,
    driver: &'static str,
    host: String,
    port: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    database: Option<String>,
    /// `here`, `tls` or `plain`.
    line: &'static str,
    overlap_secs: u64,
    distance_secs: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    period_secs: Option<u64>,
    jitter_secs: u64,
    windows: Vec<String>,
    tries: u32,
    tries_away: u32,
    /// `resting`; `made`, `set`, `proven`, `overlap`, `checked`, `retired`: on the way to a new credential; `back`, `returned`,
    /// `discarding`: on the way back.
    state: &'static str,
    /// Whether nothing is done until somebody has read the trouble, and resumes.
    halted: bool,
    current: CredentialInfo,
    #[serde(skip_serializing_if = "Option::is_none")]
    pending: Option<CredentialInfo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous: Option<CredentialInfo>,
    /// Since when the current one is in use.
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
    /// When something is done next; absent: when somebody asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    next: Option<Timestamp>,
    /// How often the target did not answer, at this step.
    times_away: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    trouble: Option<TroubleInfo>,
}

/// A version, and whose password it is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CredentialInfo {
    version: u64,
    user: String,
}

/// What went wrong last, until a rotation succeeds.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TroubleInfo {
    /// What it was, and what a person must do.
    why: String,
    /// What the target said.
    said: String,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
}

/// What would be done.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Rehearsal {
    steps: Vec<RehearsedStep>,
}

/// One step of it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RehearsedStep {
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// `make`, `set`, `test`, `promote`, `retire`.
    does: &'static str,
    /// With whose credential.
    user: String,
    /// Which version; absent where it is to be made.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u64>,
}

/// What somebody says to a rotation.
#[derive(Clone, Copy, Debug)]
pub(super) enum Word {
    Rotate,
    Back,
    Resume,
}

impl Word {
    pub(super) fn of(word: &str) -> Option<Word> {
        match word {
            "rotate" => Some(Word::Rotate),
            "rotate-back" => Some(Word::Back),
            "rotate-resume" => Some(Word::Resume),
            _ => None,
        }
    }
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
    Ok(json(StatusCode::OK, &info(&app, &turning)))
}

/// Sets up a rotation of a secret, or changes one that rests. What is current is taken for what logs in.
#[utoipa::path(put, path = "/api/v1/secret-rotations/{path}", tag = "secrets", operation_id = "setRotation",
    request_body = NewRotation,
    params(("path" = String, Path, description = "Where the secret stands, with its slashes")),
    responses((status = 200, description = "It is set up", body = RotationInfo),
        (status = 409, description = "A rotation is under way")))]
pub(crate) async fn put(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Segment(path): Segment,
    Json(new): Json<NewRotation>,
) -> Result<Response, Problem> {
    let path = path_of(&path)?;
    let (_, grant) = granted(&app, &actor, Action::WriteSecret, &path).await?;
    let wish = wish(new)?;
    // What is said here has this secret's passwords and the administrator's sent to a place: he may read both himself.
    let _granted = granted(&app, &actor, Action::ReadSecret, &path).await?;
    let _granted = granted(&app, &actor, Action::ReadSecret, &wish.admin).await?;
    let rotations = app.rotations().clone();
    let set = async move { rotations.set(grant, &path, wish, &drivers::Places).await };
    let turning = app.secret_to_its_end(set).await?;
    app.rotation_asked().notify_one();
    Ok(json(StatusCode::OK, &info(&app, &turning)))
}

/// Ends a rotation that rests or halted: the secret is written by hand again. Nothing changes at the target.
#[utoipa::path(delete, path = "/api/v1/secret-rotations/{path}", tag = "secrets", operation_id = "endRotation",
    params(("path" = String, Path, description = "Where the secret stands, with its slashes")),
    responses((status = 204, description = "It ended"), (status = 409, description = "It is under way")))]
pub(crate) async fn end(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Segment(path): Segment,
) -> Result<StatusCode, Problem> {
    let path = path_of(&path)?;
    let (_, grant) = granted(&app, &actor, Action::WriteSecret, &path).await?;
    let rotations = app.rotations().clone();
    app.secret_to_its_end(async move { rotations.end(grant, &path).await }).await?;
    Ok(StatusCode::NO_CONTENT)
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
    let now = seconds(app.world().now());
    let mut rotation = turning.rotation().clone();
    let asked = match word {
        Word::Rotate => rotation.ask(now),
        Word::Back => rotation.ask_back(),
        Word::Resume => rotation.resume(),
    };
    asked.map_err(|error| SecretError::Conflict(error.to_string()))?;
    let steps = rotation.rehearse(now).into_iter().filter_map(|(at, step)| rehearsed(at, step));
    Ok(json(StatusCode::OK, &Rehearsal { steps: steps.collect() }))
}

fn rehearsed(at: u64, step: Step) -> Option<RehearsedStep> {
    let (does, user, version) = match step {
        Step::Make { user } => ("make", user, None),
        Step::Set { credential, .. } => ("set", credential.user, Some(credential.version)),
        Step::Test { credential } => ("test", credential.user, Some(credential.version)),
        Step::Promote { credential } => ("promote", credential.user, Some(credential.version)),
        Step::Retire { credential, .. } => ("retire", credential.user, Some(credential.version)),
        Step::Discard { credential } => ("discard", credential.user, Some(credential.version)),
        Step::Rest { .. } | Step::GiveUp | Step::Halt => return None,
    };
    Some(RehearsedStep { at: moment(at), does, user, version })
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
    let distance_secs = new.distance_secs.unwrap_or(new.overlap_secs);
    let settings = Settings { plan, overlap_secs: new.overlap_secs, distance_secs, bounds, schedule };
    let product = new.driver.as_deref().map(|word| Product::of(word).ok_or(word));
    let product = product
        .transpose()
        .map_err(|_| Problem::field("driver", "There is a driver for postgresql, mariadb and redis."))?;
    let line = match (new.roots, new.plain) {
        (None, false) => Line::Here,
        (Some(roots), false) => Line::Tls { roots },
        (None, true) => Line::Plain,
        (Some(_), true) => return Err(Problem::field("plain", "With roots it is TLS, and not plain.")),
    };
    let admin = new.admin.parse().map_err(|error: secrets::NameError| Problem::field("admin", error.to_string()))?;
    Ok(TurningWish { settings, product, host: new.host, port: new.port, database: new.database, admin, line })
}

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

fn info(app: &App, turning: &Turning) -> RotationInfo {
    let (rotation, at) = (turning.rotation(), turning.at());
    let (plan, users) = match &rotation.settings().plan {
        Plan::Single { user } => ("single", vec![user.clone()]),
        Plan::Keys { user } => ("keys", vec![user.clone()]),
        Plan::Pair { users } => ("pair", users.to_vec()),
    };
    let Settings { overlap_secs, distance_secs, bounds, schedule, .. } = rotation.settings();
    RotationInfo {
        path: turning.path().to_string(),
        owner: turning.owner().to_string(),
        plan,
        users,
        admin: at.admin.clone(),
        driver: at.product.as_str(),
        host: at.host.clone(),
        port: at.port,
        database: at.database.clone(),
        line: match at.line {
            Line::Here => "here",
            Line::Tls { .. } => "tls",
            Line::Plain => "plain",
        },
        overlap_secs: *overlap_secs,
        distance_secs: *distance_secs,
        period_secs: schedule.period_secs,
        jitter_secs: schedule.jitter_secs,
        windows: schedule.windows.iter().map(ToString::to_string).collect(),
        tries: bounds.tries,
        tries_away: bounds.away,
        state: rotation.state(),
        halted: rotation.is_halted(),
        current: credential(rotation.current()),
        pending: rotation.pending().map(credential),
        previous: rotation.previous().map(credential),
        since: moment(rotation.since()),
        next: app.rotations().due(turning, seconds(app.world().now())).map(moment),
        times_away: rotation.times_away(),
        trouble: trouble(rotation),
    }
}

fn credential(credential: &Credential) -> CredentialInfo {
    CredentialInfo { version: credential.version, user: credential.user.clone() }
}

fn trouble(rotation: &Rotation) -> Option<TroubleInfo> {
    let trouble = rotation.trouble()?;
    Some(TroubleInfo { why: trouble.why.to_string(), said: trouble.said.clone(), at: moment(trouble.at) })
}

fn moment(secs: u64) -> Timestamp {
    Timestamp::from_unix(i64::try_from(secs).unwrap_or(i64::MAX))
}

fn seconds(at: Timestamp) -> u64 {
    u64::try_from(at.unix()).unwrap_or_default()
}
