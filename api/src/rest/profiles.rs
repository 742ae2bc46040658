//! Profiles over HTTP: which are in force, what a request would come to, and what a changed one would have changed.

use std::collections::BTreeMap;

use axum::extract::State as Shared;
use axum::response::Response;
use ca::{CertifyRequest, Csr, Profile, ProfileKind, Replayed, Trial};
use http::StatusCode;
use policy::{Action, Actor, Name, Owner, Resource, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::app::App;
use crate::intake::{Caller, Json, Permitted, ReadsAllCertificates, Segment, json, once};
use crate::limits::CSR_BYTES_MAX;
use crate::observe::inventory::only_owner;
use crate::problem::{Kind, Problem};

/// A profile in force.
#[derive(Serialize, ToSchema)]
pub(crate) struct ProfileInForce {
    /// Its name.
    name: String,
    /// `x509`, `ssh-user`, `ssh-host`.
    kind: &'static str,
    /// The issuer that signs under it.
    issuer: String,
    /// The issuer that signs while that one does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    fallback_issuer: Option<String>,
    /// Why nothing can be issued under it now, and what to do; absent where it can.
    #[serde(skip_serializing_if = "Option::is_none")]
    unfit: Option<String>,
    /// The lifetime of who asks for none.
    default_validity_secs: u64,
    /// The longest.
    max_validity_secs: u64,
    /// SHA-256 of its canonical form, hex, as leaves name it.
    hash: String,
    /// Every key of it, those that are left out in the file among them. Not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    says: Option<Value>,
}

impl ProfileInForce {
    fn of(app: &App, profile: &Profile, whole: bool) -> Self {
        let kind = match profile.kind() {
            ProfileKind::X509 => "x509",
            ProfileKind::SshUser => "ssh-user",
            ProfileKind::SshHost => "ssh-host",
        };
        // The canonical form is a pair of the name and the rest.
        let says = || serde_json::from_str::<Value>(profile.text()).ok()?.get_mut(1).map(Value::take);
        Self {
            name: profile.name().to_owned(),
            kind,
            issuer: profile.issuer().to_owned(),
            fallback_issuer: profile.fallback_issuer().map(str::to_owned),
            unfit: app.authority().unfit_for(profile).map(|unfit| unfit.why),
            default_validity_secs: profile.default_validity_secs(),
            max_validity_secs: profile.max_validity_secs(),
            hash: hex::encode(profile.hash()),
            says: if whole { says() } else { None },
        }
    }
}

/// The profiles that the caller may see.
#[derive(Serialize, ToSchema)]
pub(crate) struct ProfileList {
    items: Vec<ProfileInForce>,
}

/// Lists the profiles whose certificates the caller may read.
#[utoipa::path(get, path = "/api/v1/profiles", tag = "profiles", operation_id = "listProfiles",
    responses((status = 200, description = "The profiles", body = ProfileList)))]
pub(crate) async fn list(Shared(app): Shared<App>, Caller(actor): Caller) -> Result<Response, Problem> {
    let (profiles, policies) = (app.authority().profiles(), app.authority().policies());
    let visible =
        |profile: &&Profile| policies.permits(&actor, Action::ReadCertificate, &resource(&actor, profile.name()));
    let items = profiles.iter().filter(visible).map(|profile| ProfileInForce::of(&app, profile, false)).collect();
    Ok(json(StatusCode::OK, &ProfileList { items }))
}

/// Shows one profile with every key of it.
#[utoipa::path(get, path = "/api/v1/profiles/{name}", tag = "profiles", operation_id = "showProfile",
    params(("name" = String, Path, description = "Its name")),
    responses((status = 200, description = "The profile", body = ProfileInForce)))]
pub(crate) async fn show(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Segment(name): Segment,
) -> Result<Response, Problem> {
    app.authorize(&actor, Action::ReadCertificate, resource(&actor, &name)).await?;
    match app.authority().profiles().get(&name) {
        Some(profile) => Ok(json(StatusCode::OK, &ProfileInForce::of(&app, profile, true))),
        None => Err(Problem::new(Kind::NotFound, "There is no such profile.")),
    }
}

fn resource(actor: &Actor, profile: &str) -> Resource {
    Resource::certificate(only_owner(actor), profile, Vec::new())
}

/// A request that is tried out.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TrialWish {
    /// The certificate request, PEM, at most 16 KiB.
    csr: String,
    /// Whose it would be.
    #[schema(value_type = String, example = "web")]
    owner: Owner,
    /// The names; absent: those that the CSR asks for.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>, example = json!(["dns:www.example.internal"]))]
    names: Option<Vec<Name>>,
    /// Its life; absent: the profile's.
    #[serde(default)]
    validity_secs: Option<u64>,
}

/// What would come of a request.
#[derive(Serialize, ToSchema)]
pub(crate) struct TrialOutcome {
    /// The profile in force.
    profile: String,
    /// Its hash, hex.
    hash: String,
    /// Everything that stands against it; empty: it would be issued.
    against: Vec<AgainstIt>,
    /// How many others have to approve it first.
    approvals: u8,
    /// The certificate as it would be.
    #[serde(skip_serializing_if = "Option::is_none")]
    would: Option<WouldBe>,
}

/// One thing that stands against a request.
#[derive(Serialize, ToSchema)]
struct AgainstIt {
    /// The part of the request: `csr`, `names`, `key`, `validity`, `subject`, `policy`, `issuer`, `lint` ...
    what: String,
    /// Why.
    why: String,
    /// The policy that refused, or the lint that did not hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<String>,
}

/// A certificate as it would be.
#[derive(Serialize, ToSchema)]
struct WouldBe {
    /// Who would sign.
    issuer: String,
    /// The subject, as RFC 4514 writes it.
    subject: String,
    /// The names.
    names: Vec<String>,
    /// The first second of its validity.
    #[schema(value_type = String, format = DateTime)]
    not_before: Timestamp,
    /// The last second of its validity.
    #[schema(value_type = String, format = DateTime)]
    not_after: Timestamp,
    /// The kind of its key.
    key: &'static str,
    /// What its extensions say.
    extensions: Vec<ExtensionInWords>,
    /// What the CSR asks for and would not get.
    left_out: Vec<String>,
}

/// An extension in words.
#[derive(Serialize, ToSchema)]
struct ExtensionInWords {
    /// Its name, or its object identifier.
    name: String,
    /// Whether it is critical.
    critical: bool,
    /// What it says; hexadecimal digits where nobody here reads it.
    says: String,
}

impl From<Trial> for TrialOutcome {
    fn from(trial: Trial) -> Self {
        let against = trial.against.into_iter();
        Self {
            profile: trial.profile,
            hash: hex::encode(trial.profile_hash),
            against: against.map(|a| AgainstIt { what: a.what, why: a.why, rule: a.rule }).collect(),
            approvals: trial.approvals,
            would: trial.would.map(|would| WouldBe {
                issuer: would.issuer,
                subject: would.subject,
                names: would.names,
                not_before: would.validity.not_before(),
                not_after: would.validity.not_after(),
                key: would.key,
                extensions: would
                    .extensions
                    .into_iter()
                    .map(|e| ExtensionInWords { name: e.name, critical: e.critical, says: e.says })
                    .collect(),
                left_out: would.left_out,
            }),
        }
    }
}

/// Tries a request out under a profile in force: what would be issued, or all that stands against it. Nothing is signed, and
/// nothing is written.
#[utoipa::path(post, path = "/api/v1/profiles/{name}/test", tag = "profiles", operation_id = "testProfile",
    params(("name" = String, Path, description = "The profile")), request_body = TrialWish,
    responses((status = 200, description = "What would come of it", body = TrialOutcome)))]
pub(crate) async fn test(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Segment(name): Segment,
    Json(wish): Json<TrialWish>,
) -> Result<Response, Problem> {
    if wish.csr.len() > CSR_BYTES_MAX {
        return Err(Problem::new(Kind::TooLarge, format!("A CSR has at most {CSR_BYTES_MAX} bytes.")));
    }
    let Some(hash) = app.authority().profiles().get(&name).map(|profile| hex::encode(profile.hash())) else {
        return Err(Problem::new(Kind::NotFound, "There is no such profile."));
    };
    let csr = match Csr::receive(wish.csr.into_bytes()).await {
        Ok(csr) => csr,
        Err(error) => {
            let against = vec![AgainstIt { what: "csr".to_owned(), why: error.to_string(), rule: None }];
            return Ok(json(StatusCode::OK, &TrialOutcome { profile: name, hash, against, approvals: 0, would: None }));
        }
    };
    let request = CertifyRequest {
        profile: name,
        owner: wish.owner,
        csr,
        names: wish.names,
        proven: Default::default(),
        lifetime: wish.validity_secs.into(),
        renew: false,
        replaces: None,
    };
    let trial = app.authority().try_out(&actor, request).await?;
    Ok(json(StatusCode::OK, &TrialOutcome::from(trial)))
}

/// Profiles before they are in force.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FitWish {
    /// Profiles by their names, TOML as it stands in their files; at most 64.
    #[serde(deserialize_with = "once")]
    #[schema(value_type = Object)]
    profiles: BTreeMap<String, String>,
}

/// What would stand against them.
#[derive(Serialize, ToSchema)]
pub(crate) struct FitOutcome {
    /// Those under which nothing could be issued now.
    items: Vec<UnfitProfile>,
}

/// A profile under which nothing could be issued.
#[derive(Serialize, ToSchema)]
struct UnfitProfile {
    /// Its name.
    profile: String,
    /// Why, and what to do.
    why: String,
}

/// Says of profiles, in force or not, whether an issuer is here now that can sign what they say. Nothing is written.
#[utoipa::path(post, path = "/api/v1/fit", tag = "profiles", operation_id = "fitProfiles",
    request_body = FitWish, responses((status = 200, description = "Those that are not", body = FitOutcome)))]
pub(crate) async fn fit(
    Shared(app): Shared<App>,
    _: Permitted<ReadsAllCertificates>,
    Json(wish): Json<FitWish>,
) -> Result<Response, Problem> {
    let mut items = Vec::new();
    for profile in read(&wish.profiles)? {
        let unfit = app.authority().unfit_for(&profile);
        items.extend(unfit.map(|unfit| UnfitProfile { profile: unfit.profile, why: unfit.why }));
    }
    Ok(json(StatusCode::OK, &FitOutcome { items }))
}

/// Reads and checks profiles that come as files do.
fn read(profiles: &BTreeMap<String, String>) -> Result<Vec<Profile>, Problem> {
    if profiles.is_empty() || profiles.len() > PROFILES_MAX {
        return Err(Problem::field("profiles", format!("1 to {PROFILES_MAX} profiles.")));
    }
    let read = |(name, text): (&String, &String)| {
        Profile::read(name, text).map_err(|error| Problem::field("profiles", error.to_string()))
    };
    profiles.iter().map(read).collect()
}

/// Changed profiles for the requests of the past.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReplayWish {
    /// The changed profiles by their names, TOML as it stands in their files.
    #[serde(deserialize_with = "once")]
    #[schema(value_type = Object)]
    profiles: BTreeMap<String, String>,
    /// How far back; the requests of so many seconds.
    since_secs: u64,
    /// `next` of the page before.
    #[serde(default)]
    cursor: Option<String>,
}

/// A page of what would differ.
#[derive(Serialize, ToSchema)]
pub(crate) struct ReplayPage {
    /// The requests of this page that the profiles concern.
    looked_at: u64,
    /// Those that would come out otherwise.
    items: Vec<ReplayedRequest>,
    /// The cursor of the next page, where there is one. A page may be empty and another follow.
    next: Option<String>,
}

/// A request that would come out otherwise.
#[derive(Serialize, ToSchema)]
struct ReplayedRequest {
    /// The serial of what came of it, hex.
    serial: String,
    /// When it was asked for.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// Under which profile.
    profile: String,
    /// Whose it is.
    owner: Option<String>,
    /// Its names.
    names: Vec<String>,
    /// What would differ.
    differs: Vec<Difference>,
}

/// One thing that would differ.
#[derive(Serialize, ToSchema)]
struct Difference {
    /// `refused`, `lifetime`, `subject`, `issuer`, or the name of an extension.
    what: String,
    /// What it was; empty: it was not there.
    was: String,
    /// What it would be; of what would be refused: why. Empty: it would not be there.
    would: String,
}

impl From<Replayed> for ReplayedRequest {
    fn from(replayed: Replayed) -> Self {
        let Replayed { serial, at, profile, owner, names, differs } = replayed;
        let differs = differs.into_iter().map(|d| Difference { what: d.what, was: d.was, would: d.would }).collect();
        Self { serial, at, profile, owner, names, differs }
    }
}

/// Runs changed profiles over the requests of the past, the newest first: what would differ if they had been in force.
#[utoipa::path(post, path = "/api/v1/replay", tag = "profiles", operation_id = "replayProfiles",
    request_body = ReplayWish, responses((status = 200, description = "A page", body = ReplayPage)))]
pub(crate) async fn replay(
    Shared(app): Shared<App>,
    Permitted { actor, .. }: Permitted<ReadsAllCertificates>,
    Json(wish): Json<ReplayWish>,
) -> Result<Response, Problem> {
    let profiles = read(&wish.profiles)?;
    let secs = i64::try_from(wish.since_secs).unwrap_or(i64::MAX).min(SINCE_SECS_MAX);
    let since = app.world().now().plus_secs(-secs);
    let page = app.authority().replay(&actor, &profiles, since, wish.cursor).await?;
    let items = page.differing.into_iter().map(ReplayedRequest::from).collect();
    Ok(json(StatusCode::OK, &ReplayPage { looked_at: page.looked_at, items, next: page.next }))
}

/// A folder of them.
const PROFILES_MAX: usize = 64;
/// Further back than any register reaches, and far from the beginning of time.
const SINCE_SECS_MAX: i64 = 30 * 366 * 86_400;
