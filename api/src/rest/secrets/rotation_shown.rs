//! What is shown of a rotation.

use policy::Timestamp;
use secrets::rotation::{Credential, Plan, Settings, Step};
use secrets::{Leaked, Line, Product, Turning};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;

/// A rotation.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RotationInfo {
    /// Of which secret.
    path: String,
    /// Whose that is.
    owner: String,
    plan: &'static str,
    users: Vec<String>,
    /// The secret of who sets passwords there.
    #[serde(skip_serializing_if = "Option::is_none")]
    admin: Option<String>,
    driver: &'static str,
    /// Of a program or a hook its name in the server's configuration.
    host: String,
    port: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    database: Option<String>,
    /// The host of its accounts, where somebody named it.
    #[serde(skip_serializing_if = "Option::is_none")]
    account_host: Option<String>,
    /// `here`, `tls` or `plain`.
    line: &'static str,
    /// The roots of the target's certificate, where one rotation is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    roots: Option<String>,
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
    /// Of `ssh`, where one is shown: the hosts whose agents have not said yet that they have exactly the keys that are in force.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) lacks: Vec<String>,
    /// Of `ssh`, where one is shown: the hosts whose agents have been silent for more than 30 days. They are waited for by each rotation:
    /// set it up without those that are gone for good.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) silent: Vec<SilentHost>,
    /// What the last try said of a step that is tried again: of `ssh` of each host, where it is known of which.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    last_try: Vec<TryInfo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trouble: Option<TroubleInfo>,
    /// Who said last that what was in use leaked.
    #[serde(skip_serializing_if = "Option::is_none")]
    leaked: Option<LeakedInfo>,
}

/// A host whose agent has been silent.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SilentHost {
    pub(super) host: String,
    /// When it was written down last what it has.
    #[schema(value_type = String, format = DateTime)]
    pub(super) heard: Timestamp,
}

/// Somebody's word that a credential leaked.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LeakedInfo {
    by: String,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    reason: String,
}

/// A version, and whose password it is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CredentialInfo {
    version: u64,
    user: String,
}

/// What a try said that did not come about yet.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TryInfo {
    /// Of `ssh`: the host of which it is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<String>,
    said: String,
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

/// A rotation that ended where it halted.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RotationEnded {
    /// What may be let in at the target beside the current version, and what to do about it.
    pub(super) left: String,
}

/// What would be done.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Rehearsal {
    pub(super) steps: Vec<RehearsedStep>,
    /// What was tried by a login at the target, and is let in: of a dry run of the set-up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) logs_in: Option<CredentialInfo>,
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

pub(super) fn rehearsed(at: u64, step: Step) -> Option<RehearsedStep> {
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

pub(super) fn info(app: &App, turning: &Turning) -> RotationInfo {
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
        account_host: at.account_host.clone(),
        line: match at.line {
            Line::Here => "here",
            Line::Tls { .. } => "tls",
            Line::Plain => "plain",
            Line::Known { .. } => "known",
        },
        roots: None,
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
        lacks: Vec::new(),
        silent: Vec::new(),
        last_try: last_try(turning),
        trouble: trouble(turning),
        leaked: turning.leaked().map(leaked),
    }
}

/// One of them, with all that was said of it.
pub(super) fn whole(app: &App, turning: &Turning) -> RotationInfo {
    let roots = match &turning.at().line {
        Line::Tls { roots: text } | Line::Known { hosts: text } => Some(text.clone()),
        Line::Here | Line::Plain => None,
    };
    RotationInfo { roots, ..info(app, turning) }
}

fn leaked(leaked: &Leaked) -> LeakedInfo {
    LeakedInfo { by: leaked.by.clone(), at: moment(leaked.at), reason: leaked.reason.clone() }
}

pub(super) fn credential(credential: &Credential) -> CredentialInfo {
    CredentialInfo { version: credential.version, user: credential.user.clone() }
}

/// Hosts stand one behind the other, as `HOST: what; HOST: what`.
fn last_try(turning: &Turning) -> Vec<TryInfo> {
    let Some(said) = turning.rotation().last_try() else { return Vec::new() };
    let at = turning.at();
    let hosts = match at.product {
        Product::Ssh => drivers::ssh_hosts(&at.host, at.port).unwrap_or_default(),
        _ => Vec::new(),
    };
    if hosts.is_empty() {
        return vec![TryInfo { host: None, said: said.to_owned() }];
    }
    let one = |words: &str| match words.split_once(": ") {
        Some((host, said)) if hosts.iter().any(|there| there.name == host) => {
            TryInfo { host: Some(host.to_owned()), said: said.to_owned() }
        }
        _ => TryInfo { host: None, said: words.to_owned() },
    };
    said.split("; ").map(one).collect()
}

fn trouble(turning: &Turning) -> Option<TroubleInfo> {
    let trouble = turning.rotation().trouble()?;
    Some(TroubleInfo { why: turning.trouble_words()?, said: trouble.said.clone(), at: moment(trouble.at) })
}

pub(super) fn moment(secs: u64) -> Timestamp {
    Timestamp::from_unix(i64::try_from(secs).unwrap_or(i64::MAX))
}

pub(super) fn seconds(at: Timestamp) -> u64 {
    u64::try_from(at.unix()).unwrap_or_default()
}
