//! Issuers over HTTP: what they are, and how they are succeeded, revoked and ended.
//!
//! Who may see the state of the service sees them; who may manage the authority changes them. Each act is at the room below; here it is
//! read and shown.

use axum::extract::State as Shared;
use axum::response::Response;
use ca::{Activation, Brought, CaWish, CreateIssuer, Dn, GenerationName, Homes, IssuerRole, RevocationReason, Rotate};
use http::StatusCode;
use policy::{Action, Resource, ResourceKind, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::App;
use crate::intake::{Caller, Json, ManagesAuthority, Permitted, Segment, Segments, json};
use crate::problem::{Kind, Problem};

/// An issuer.
#[derive(Serialize, ToSchema)]
pub(crate) struct Issuer {
    /// Its name: what profiles say.
    name: String,
    /// What it signs: `x509`, `ssh-user`, `ssh-host`, `log`; `seal` signs nothing, and seals.
    role: &'static str,
    /// Below which a CA stands: `itself`, `elsewhere`, or an issuer's name.
    above: Option<String>,
    /// Whether it signs certificates of end entities; else CAs alone.
    leaves: bool,
    /// How many CAs may follow below a CA.
    path_len: Option<u8>,
    /// What a CA's leaves are for: words (`server-auth`), or OIDs. None named: anything.
    purposes: Vec<String>,
    /// Names that what is below a CA may have (`dns:example.internal`). None named: any.
    permitted: Vec<String>,
    /// Names that it may not have.
    excluded: Vec<String>,
    /// Certificate policies, OIDs.
    policies: Vec<String>,
    /// By number.
    generations: Vec<Generation>,
}

/// A generation of an issuer.
#[derive(Serialize, ToSchema)]
pub(crate) struct Generation {
    /// As certificates and URLs name it.
    #[schema(example = "tls/1")]
    name: String,
    /// `pending`, `active`, `retiring`, `ended` or `revoked`.
    state: &'static str,
    /// Why nothing is issued under it; null where it may be.
    why: Option<String>,
    /// The label of its key in its tokens.
    key_label: String,
    /// The tokens that sign with it, in the order in which they are asked.
    tokens: Vec<KeyToken>,
    /// Tokens in which the key is that it follows, and in which its own is not: `chancery ca tokens GEN --add` once it was brought there.
    lacks: Vec<String>,
    /// Its key is in no token of ours; its certificate and its CRLs are brought.
    elsewhere: bool,
    /// Its key was outside the token once, as an operator said: a copy of it may be anywhere.
    key_was_outside: bool,
    /// What it signed elsewhere is being taken in: it signs nothing until that is done.
    arriving: bool,
    /// The number of the newest CRL that was made of it elsewhere; ours are above it.
    crl_above: Option<u64>,
    /// Of a key that seals: how many sealed records stand under it.
    sealed: Option<u64>,
    /// What kind of key it is; null where the token does not have it.
    key: Option<String>,
    /// SHA-256 of the key's SubjectPublicKeyInfo.
    key_hash: Option<String>,
    /// From when it issues; null until somebody says.
    #[schema(value_type = Option<String>, format = DateTime)]
    activates: Option<Timestamp>,
    /// A CA's subject.
    subject: Option<String>,
    /// The subject of who signed its certificate.
    issuer: Option<String>,
    /// Its certificate's serial.
    serial: Option<String>,
    /// From when its certificate holds.
    #[schema(value_type = Option<String>, format = DateTime)]
    not_before: Option<Timestamp>,
    /// Until when.
    #[schema(value_type = Option<String>, format = DateTime)]
    not_after: Option<Timestamp>,
    /// How many certificates it has: renewals and cross-signatures counted.
    certificates: usize,
    /// How many chains lead from it to a root.
    chains: Option<usize>,
    /// Where the CRLs are of a CA that can sign, one for each part of its revocations.
    crl_urls: Vec<String>,
    /// Where its delta CRLs are, if it has any, one for each part.
    delta_crl_urls: Vec<String>,
    /// An SSH CA's line for `TrustedUserCAKeys`; the log's verifier key.
    line: Option<String>,
}

/// A token of a generation's key.
#[derive(Serialize, ToSchema)]
pub(crate) struct KeyToken {
    /// Its name in the configuration.
    name: String,
    /// `ready`, `healing`, `locked`; `refused`: it has another key of that name, or none, and is not asked.
    state: &'static str,
    /// Why it does not sign.
    why: Option<String>,
}

/// All issuers.
#[derive(Serialize, ToSchema)]
pub(crate) struct IssuerList {
    items: Vec<Issuer>,
}

impl Issuer {
    fn of(issuer: ca::Issuer) -> Self {
        let path_len = issuer.plan.as_ref().map(|plan| plan.path_len);
        let (purposes, permitted, excluded, policies) =
            issuer.plan.map(|plan| (plan.purposes, plan.permitted, plan.excluded, plan.policies)).unwrap_or_default();
        Self {
            path_len,
            purposes,
            permitted,
            excluded,
            policies,
            name: issuer.name,
            role: issuer.role.as_str(),
            above: issuer.above,
            leaves: issuer.leaves,
            generations: issuer.generations.into_iter().map(Generation::of).collect(),
        }
    }
}

impl Generation {
    fn of(there: ca::Generation) -> Self {
        let own = there.certificate.as_ref();
        Self {
            name: there.name.to_string(),
            state: there.state.as_str(),
            why: there.why,
            key_label: there.key_label,
            tokens: there
                .tokens
                .into_iter()
                .map(|home| KeyToken { name: home.token, state: home.state, why: home.why })
                .collect(),
            lacks: there.lacks,
            elsewhere: there.elsewhere,
            key_was_outside: there.brought,
            arriving: there.arriving,
            crl_above: there.crl_above,
            sealed: there.sealed,
            key: there.key_kind.map(|kind| kind.to_string()),
            key_hash: there.key_hash,
            // The beginning of time is none to show.
            activates: there.activates.filter(|at| at.unix() > 0),
            subject: own.map(|c| c.subject.to_string()),
            issuer: own.map(|c| c.issuer.to_string()),
            serial: own.map(|c| c.serial.clone()),
            not_before: own.map(|c| c.since),
            not_after: own.map(|c| c.until),
            certificates: there.certificates,
            chains: own.map(|c| c.chains),
            crl_urls: there.crl_urls,
            delta_crl_urls: there.delta_crl_urls,
            line: there.line,
        }
    }
}

/// Lists the issuers with their generations.
#[utoipa::path(get, path = "/api/v1/issuers", tag = "issuers", operation_id = "listIssuers",
    responses((status = 200, description = "The issuers", body = IssuerList)))]
pub(crate) async fn list(Shared(app): Shared<App>, Caller(actor): Caller) -> Result<Response, Problem> {
    let _grant = app.authorize(&actor, Action::ReadStatus, Resource::plain(ResourceKind::Status)).await?;
    let items = app.authority().issuers().into_iter().map(Issuer::of).collect();
    Ok(json(StatusCode::OK, &IssuerList { items }))
}

/// Shows one of them.
#[utoipa::path(get, path = "/api/v1/issuers/{issuer}", tag = "issuers", operation_id = "showIssuer",
    params(("issuer" = String, Path, description = "Its name")),
    responses((status = 200, description = "The issuer", body = Issuer), (status = 404, description = "No such issuer")))]
pub(crate) async fn show(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Segment(name): Segment,
) -> Result<Response, Problem> {
    let _grant = app.authorize(&actor, Action::ReadStatus, Resource::plain(ResourceKind::Status)).await?;
    shown(&app, StatusCode::OK, &name)
}

fn shown(app: &App, status: StatusCode, name: &str) -> Result<Response, Problem> {
    let found = app.authority().issuers().into_iter().find(|issuer| issuer.name == name);
    let found = found.ok_or_else(|| {
        Problem::new(
            Kind::NotFound,
            format!("There is no issuer `{}` here; `chancery ca list` has those that there are.", policy::shown(name)),
        )
    })?;
    Ok(json(status, &Issuer::of(found)))
}

/// A new issuer.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewIssuer {
    /// Its name, `[a-z][a-z0-9-]{0,30}`; profiles name it so.
    #[schema(example = "vpn")]
    name: String,
    /// What it signs: `x509` (the default), `ssh-user` or `ssh-host`.
    #[serde(default)]
    role: Option<String>,
    /// The kind of its key: `p256` (the default), `p384`, `p521`, `rsa2048` to `rsa4096` (with `-pss`: bound to PSS), `ed25519`, `mldsa44` to `mldsa87`.
    #[serde(default)]
    key: Option<String>,
    /// Below which a CA stands: `itself` (a root), `elsewhere` (its certificate is brought), or an issuer's name.
    #[serde(default)]
    above: Option<String>,
    /// A CA's subject, the most general part first: `/O=Example/CN=Example VPN CA`.
    #[serde(default)]
    #[schema(example = "/O=Example/CN=Example VPN CA")]
    subject: Option<String>,
    /// How many seconds its certificate holds; five years where nobody says.
    #[serde(default)]
    validity_secs: Option<u64>,
    /// How many CAs may follow below; none where nobody says.
    #[serde(default)]
    path_len: Option<u8>,
    /// What its leaves are for: `server-auth`, `client-auth`, `code-signing`, `email-protection`, `time-stamping`, or OIDs.
    #[serde(default)]
    purposes: Vec<String>,
    /// Names that what is below may have: `dns:example.internal`, `ip:10.0.0.0/8`, `email:example.com`, `uri:`, `dn:`.
    #[serde(default)]
    permitted: Vec<String>,
    /// Names that it may not have.
    #[serde(default)]
    excluded: Vec<String>,
    /// Certificate policies, OIDs.
    #[serde(default)]
    policies: Vec<String>,
    /// It signs CAs alone.
    #[serde(default)]
    cas_only: bool,
    /// Into how many CRLs its revocations are parted, 1 to 256, for ever: certificates point to them. One where nobody says.
    #[serde(default)]
    shards: Option<u16>,
    /// Whether it has delta CRLs too, for ever: certificates point to them. Not where nobody says.
    #[serde(default)]
    delta_crls: Option<bool>,
    /// The token in which its key is made; the first where nobody says.
    #[serde(default)]
    #[schema(example = "spare")]
    token: Option<String>,
}

impl NewIssuer {
    fn wish(self) -> Result<CreateIssuer, Problem> {
        let role = role(self.role.as_deref().unwrap_or("x509"))?;
        let key = key(self.key.as_deref())?.unwrap_or(ca::KeyKind::P256);
        let ca = match (role, self.above, self.subject) {
            (IssuerRole::X509, above, subject) => {
                let above = above.ok_or_else(|| {
                    Problem::field("above", "say what it stands below: an issuer, itself, or elsewhere")
                })?;
                let subject = subject
                    .ok_or_else(|| Problem::field("subject", "a CA has a name, such as /O=Example/CN=Example CA"))?;
                Some(CaWish {
                    above,
                    subject: Dn::parse(&subject).map_err(|e| Problem::field("subject", e.to_string()))?,
                    validity_secs: i64::try_from(self.validity_secs.unwrap_or(VALIDITY_SECS)).unwrap_or(i64::MAX),
                    path_len: self.path_len.unwrap_or(0),
                    purposes: self.purposes,
                    permitted: self.permitted,
                    excluded: self.excluded,
                    policies: self.policies,
                    leaves: !self.cas_only,
                })
            }
            (_, None, None) => None,
            (_, Some(_), _) => {
                return Err(Problem::field("above", "an SSH CA has a key alone, and stands below nothing"));
            }
            (_, None, Some(_)) => return Err(Problem::field("subject", "an SSH CA has a key alone, and no subject")),
        };
        let (name, shards, deltas, token) = (self.name, self.shards, self.delta_crls, self.token);
        Ok(CreateIssuer { name, role, key, ca, shards, deltas, token })
    }
}

fn role(word: &str) -> Result<IssuerRole, Problem> {
    match word {
        "x509" => Ok(IssuerRole::X509),
        "ssh-user" => Ok(IssuerRole::SshUser),
        "ssh-host" => Ok(IssuerRole::SshHost),
        _ => Err(Problem::field("role", "it is x509, ssh-user or ssh-host")),
    }
}

fn key(word: Option<&str>) -> Result<Option<ca::KeyKind>, Problem> {
    let unknown = |e: ca::UnknownName| {
        let kinds: Vec<_> = ca::KeyKind::ALL.iter().map(|kind| kind.as_str()).collect();
        Problem::field("key", format!("{e}; say one of {}", kinds.join(", ")))
    };
    word.map(|word| word.parse().map_err(unknown)).transpose()
}

fn generation(issuer: &str, number: &str) -> Result<GenerationName, Problem> {
    format!("{issuer}/{number}").parse().map_err(|_| Problem::new(Kind::NotFound, "There is no such generation here."))
}

fn activation(at: Option<String>, later: bool) -> Result<Activation, Problem> {
    match (at, later) {
        (Some(_), true) => Err(Problem::field("later", "a moment is named: it is that, or later")),
        (None, true) => Ok(Activation::Later),
        (None, false) => Ok(Activation::Now),
        (Some(at), false) => Timestamp::parse_rfc3339(&at)
            .map(Activation::At)
            .map_err(|e| Problem::field("at", format!("{e}; write it as 2027-03-01T12:00:00Z"))),
    }
}

/// Makes an issuer with its first generation. Below `elsewhere` it waits for its certificate.
#[utoipa::path(post, path = "/api/v1/issuers", tag = "issuers", operation_id = "createIssuer", request_body = NewIssuer,
    responses((status = 201, description = "Made", body = Issuer), (status = 409, description = "The name or the key's label is in use")))]
pub(crate) async fn create(
    Shared(app): Shared<App>,
    Permitted { actor, .. }: Permitted<ManagesAuthority>,
    Json(new): Json<NewIssuer>,
) -> Result<Response, Problem> {
    let (authority, wish) = (app.authority().clone(), new.wish()?);
    let name = app.to_its_end(async move { authority.create_issuer(&actor, wish).await }).await?;
    shown(&app, StatusCode::CREATED, name.issuer())
}

/// A successor.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rotation {
    /// The kind of its key; absent: that of the one before.
    #[serde(default)]
    key: Option<String>,
    /// From when it issues, RFC 3339; absent: at once.
    #[serde(default)]
    #[schema(format = DateTime)]
    at: Option<String>,
    /// It waits until somebody says so.
    #[serde(default)]
    later: bool,
    /// The generation that issues now signs for the new root too.
    #[serde(default)]
    cross: bool,
    /// Into how many CRLs its revocations are parted, for ever; absent: as those of the one before.
    #[serde(default)]
    shards: Option<u16>,
    /// Whether it has delta CRLs, for ever; absent: as the one before.
    #[serde(default)]
    delta_crls: Option<bool>,
    /// The token in which its key is made; absent: that of the one before.
    #[serde(default)]
    token: Option<String>,
    /// Say what would happen, and make nothing.
    #[serde(default)]
    dry_run: bool,
}

/// What a rotation would touch, and when.
#[derive(Serialize, ToSchema)]
pub(crate) struct Rehearsal {
    /// The generation that would be made.
    new: String,
    /// The one that issues now.
    old: Option<String>,
    /// The kind of its key.
    key: Option<String>,
    /// Step by step.
    phases: Vec<Phase>,
    /// How to go back.
    way_back: String,
}

/// One phase of it.
#[derive(Serialize, ToSchema)]
pub(crate) struct Phase {
    /// When it begins; null: when somebody says.
    #[schema(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// What happens.
    what: String,
    /// Whom it touches.
    touches: Vec<String>,
}

impl Rehearsal {
    fn of(rehearsal: ca::Rehearsal) -> Self {
        let phase = |phase: ca::Phase| Phase { from: phase.from, what: phase.what, touches: phase.touches };
        Self {
            new: rehearsal.new.to_string(),
            old: rehearsal.old.map(|old| old.to_string()),
            key: rehearsal.key.map(|kind| kind.to_string()),
            phases: rehearsal.phases.into_iter().map(phase).collect(),
            way_back: rehearsal.way_back,
        }
    }
}

/// Makes the successor of an issuer's generation, with a key of its own; with `dry_run` says what that would touch.
#[utoipa::path(post, path = "/api/v1/issuers/{issuer}/rotate", tag = "issuers", operation_id = "rotateIssuer",
    params(("issuer" = String, Path, description = "Its name")), request_body = Rotation,
    responses((status = 200, description = "What would happen", body = Rehearsal), (status = 201, description = "Made", body = Issuer),
        (status = 404, description = "No such issuer"), (status = 409, description = "Not now")))]
pub(crate) async fn rotate(
    Shared(app): Shared<App>,
    Permitted { actor, .. }: Permitted<ManagesAuthority>,
    Segment(issuer): Segment,
    Json(rotation): Json<Rotation>,
) -> Result<Response, Problem> {
    let activates = activation(rotation.at, rotation.later)?;
    let wish = Rotate {
        issuer,
        key: key(rotation.key.as_deref())?,
        activates,
        cross: rotation.cross,
        shards: rotation.shards,
        deltas: rotation.delta_crls,
        token: rotation.token,
    };
    if rotation.dry_run {
        let rehearsal = app.authority().rehearse_rotation(&actor, &wish).await?;
        return Ok(json(StatusCode::OK, &Rehearsal::of(rehearsal)));
    }
    let authority = app.authority().clone();
    let name = app.to_its_end(async move { authority.rotate_issuer(&actor, wish).await }).await?;
    shown(&app, StatusCode::CREATED, name.issuer())
}

/// What is done to a generation.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Act {
    /// Of `activate`: from when, RFC 3339; absent: at once.
    #[serde(default)]
    #[schema(format = DateTime)]
    at: Option<String>,
    /// Of `retire`: although it issues, or certificates of it hold yet.
    #[serde(default)]
    force: bool,
    /// Of `revoke`: why.
    #[serde(default)]
    #[schema(example = "key-compromise")]
    reason: Option<String>,
    /// Of `cross-sign`: which generation signs.
    #[serde(default)]
    #[schema(example = "root/1")]
    by: Option<String>,
    /// Of `adopt`: the certificate that was signed elsewhere and those above it, PEM.
    #[serde(default)]
    chain: Option<String>,
    /// Of `adopt`: SHA-256 of the root, where that is not known here; not from the file that has the chain.
    #[serde(default)]
    fingerprint: Option<String>,
    /// Of `adopt`: the transcript of the ceremony that signed it, as its `.json` file has it; its hash becomes a leaf.
    #[serde(default)]
    transcript: Option<String>,
    /// Of `add-token`, `remove-token` and `first-token`: which token.
    #[serde(default)]
    #[schema(example = "spare")]
    token: Option<String>,
    /// Of `add-token`: the key was outside a token once, and a copy of it may be anywhere.
    #[serde(default)]
    key_was_outside: bool,
}

/// Acts on a generation: `activate` it from a moment on, `renew` its certificate with the same key, `cross-sign` it by another, `retire`
/// or `revoke` it, or `adopt` the certificate that was signed elsewhere; `add-token`, `remove-token` or `first-token`: where its key is,
/// and which token is asked first. One that is added shows the very same key, and signs with it, before it is believed.
#[utoipa::path(post, path = "/api/v1/issuers/{issuer}/{generation}/{act}", tag = "issuers", operation_id = "actOnGeneration",
    params(("issuer" = String, Path, description = "The issuer's name"), ("generation" = String, Path, description = "The generation's number"),
        ("act" = String, Path, description = "`activate`, `renew`, `cross-sign`, `retire`, `revoke`, `adopt`, `add-token`, `remove-token` or `first-token`")), request_body = Act,
    responses((status = 200, description = "Done", body = Issuer), (status = 404, description = "No such generation or act"),
        (status = 409, description = "Not as it stands")))]
pub(crate) async fn act(
    Shared(app): Shared<App>,
    Permitted { actor, .. }: Permitted<ManagesAuthority>,
    Segments((issuer, number, what)): Segments<(String, String, String)>,
    Json(act): Json<Act>,
) -> Result<Response, Problem> {
    let (authority, name) = (app.authority().clone(), generation(&issuer, &number)?);
    match what.as_str() {
        "activate" => {
            let at = activation(act.at, false)?;
            app.to_its_end(async move { authority.activate_issuer(&actor, &name, at).await }).await?;
        }
        "renew" => {
            app.to_its_end(async move { authority.renew_issuer(&actor, &name).await }).await?;
        }
        "cross-sign" => {
            let by = act.by.ok_or_else(|| Problem::field("by", "say which generation signs, such as root/1"))?;
            let by: GenerationName = by.parse().map_err(|e: ca::NoGeneration| Problem::field("by", e.to_string()))?;
            app.to_its_end(async move { authority.cross_sign_issuer(&actor, &name, &by).await }).await?;
        }
        "retire" => {
            app.to_its_end(async move { authority.retire_issuer(&actor, &name, act.force).await }).await?;
        }
        "revoke" => {
            let reason =
                act.reason.ok_or_else(|| Problem::field("reason", "say why, such as key-compromise or superseded"))?;
            let reason: RevocationReason =
                reason.parse().map_err(|e: ca::UnknownReason| Problem::field("reason", e.to_string()))?;
            app.to_its_end(async move { authority.revoke_issuer(&actor, &name, reason).await }).await?;
        }
        "adopt" => {
            let chain = act.chain.ok_or_else(|| Problem::field("chain", "the certificate and those above it, PEM"))?;
            let root = fingerprint(act.fingerprint.as_deref())?;
            app.to_its_end(async move {
                let transcript = act.transcript.as_deref().map(str::as_bytes);
                authority.adopt_issuer(&actor, &name, chain.as_bytes(), (root, transcript)).await
            })
            .await?;
        }
        "add-token" | "remove-token" | "first-token" => {
            let token = act.token.ok_or_else(|| Problem::field("token", "say which token, by its name here"))?;
            let homes = match what.as_str() {
                "add-token" => Homes::Add { token, was_outside: act.key_was_outside },
                "remove-token" => Homes::Remove(token),
                _ => Homes::First(token),
            };
            app.to_its_end(async move { authority.set_homes(&actor, &name, homes).await }).await?;
        }
        _ => return Err(Problem::new(Kind::NotFound, "There is no such act.")),
    }
    shown(&app, StatusCode::OK, &issuer)
}

/// A SHA-256 as people copy it: with colons and blanks, or without.
pub(super) fn fingerprint(text: Option<&str>) -> Result<Option<[u8; 32]>, Problem> {
    let read = |text: &str| {
        let digits: String = text.chars().filter(|c| !matches!(c, ':' | ' ')).collect();
        hex::decode(digits).ok().and_then(|bytes| bytes.try_into().ok())
    };
    let refused = || Problem::field("fingerprint", "a SHA-256 has 64 hexadecimal digits");
    text.map(|text| read(text).ok_or_else(refused)).transpose()
}

/// A request for a generation's certificate.
#[derive(Serialize, ToSchema)]
pub(crate) struct RequestText {
    /// For which generation.
    name: String,
    /// PKCS#10, PEM.
    csr: String,
    /// SHA-256 of the request in groups, for the paper that goes with it.
    aloud: String,
}

/// Signs a request for the certificate of a generation, for who is above it elsewhere.
#[utoipa::path(post, path = "/api/v1/issuers/{issuer}/{generation}/request", tag = "issuers", operation_id = "requestGeneration",
    params(("issuer" = String, Path, description = "The issuer's name"), ("generation" = String, Path, description = "The generation's number")),
    responses((status = 201, description = "The request", body = RequestText), (status = 404, description = "No such generation")))]
pub(crate) async fn request(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Segments((issuer, number)): Segments<(String, String)>,
) -> Result<Response, Problem> {
    let (authority, name) = (app.authority().clone(), generation(&issuer, &number)?);
    let made = app.to_its_end(async move { authority.request_issuer(&actor, &name).await }).await?;
    Ok(json(StatusCode::CREATED, &RequestText { name: made.name.to_string(), csr: made.pem, aloud: made.aloud }))
}

/// The certificates of a generation.
#[derive(Serialize, ToSchema)]
pub(crate) struct Exported {
    /// Of which generation.
    name: String,
    /// Its certificates and those above it, PEM, the newest first. The key stays in the token.
    chain: String,
}

/// Exports the certificates of a generation and those above it.
#[utoipa::path(get, path = "/api/v1/issuers/{issuer}/{generation}/export", tag = "issuers", operation_id = "exportGeneration",
    params(("issuer" = String, Path, description = "The issuer's name"), ("generation" = String, Path, description = "The generation's number")),
    responses((status = 200, description = "The certificates", body = Exported), (status = 404, description = "No such generation")))]
pub(crate) async fn export(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Segments((issuer, number)): Segments<(String, String)>,
) -> Result<Response, Problem> {
    let name = generation(&issuer, &number)?;
    let chain = app.authority().export_issuer(&actor, &name).await?;
    Ok(json(StatusCode::OK, &Exported { name: name.to_string(), chain }))
}

/// A CA that existed before.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BroughtIssuer {
    /// What it will be called here.
    #[schema(example = "legacy")]
    name: String,
    /// The label of its key in the token; absent: its key is elsewhere, and its certificate and CRLs are served alone.
    #[serde(default)]
    key_label: Option<String>,
    /// The token that has it; the first where nobody says.
    #[serde(default)]
    token: Option<String>,
    /// The key was outside a token once, and a copy of it may be anywhere.
    #[serde(default)]
    key_was_outside: bool,
    /// Its certificate first, and those above it, PEM.
    chain: String,
    /// SHA-256 of the root, where that is not known here; not from the file that has the chain.
    #[serde(default)]
    fingerprint: Option<String>,
    /// Of a certificate alone: the transcript of the ceremony that made it, as it was written; its hash becomes an entry of the log.
    #[serde(default)]
    transcript: Option<String>,
    /// It signs CAs alone.
    #[serde(default)]
    cas_only: bool,
    /// With a key in the token: into how many CRLs its revocations are parted, for ever, 1 to 256; 1 where nobody says.
    #[serde(default)]
    shards: Option<u16>,
    /// With a key in the token: whether it has delta CRLs from here on, for ever; not where nobody says.
    #[serde(default)]
    delta_crls: Option<bool>,
}

/// Takes in a CA that existed before: with its key in the token, or its certificate alone.
#[utoipa::path(post, path = "/api/v1/issuers/import", tag = "issuers", operation_id = "importIssuer", request_body = BroughtIssuer,
    responses((status = 201, description = "Taken in", body = Issuer), (status = 409, description = "The name or the key is in use")))]
pub(crate) async fn import(
    Shared(app): Shared<App>,
    Permitted { actor, .. }: Permitted<ManagesAuthority>,
    Json(new): Json<BroughtIssuer>,
) -> Result<Response, Problem> {
    let authority = app.authority().clone();
    let BroughtIssuer {
        name,
        key_label,
        token,
        key_was_outside: was_outside,
        chain,
        fingerprint: root,
        transcript,
        cas_only,
        shards,
        delta_crls: deltas,
    } = new;
    let root = fingerprint(root.as_deref())?;
    let name = app.to_its_end(async move {
        match key_label {
            Some(label) => {
                let (chain_pem, leaves) = (chain.into_bytes(), !cas_only);
                let brought = Brought { name, label, token, was_outside, chain_pem, root, leaves, shards, deltas };
                authority.bring_issuer(&actor, brought).await
            }
            None => {
                let with = (root, transcript.as_deref().map(str::as_bytes));
                authority.bring_certificate(&actor, &name, chain.as_bytes(), with).await
            }
        }
    });
    shown(&app, StatusCode::CREATED, name.await?.issuer())
}

/// A CRL that a CA elsewhere signed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BroughtCrl {
    /// PEM.
    crl: String,
}

/// Takes in the next CRL of a CA whose key is elsewhere. It never goes back; what of ours it lists is revoked.
#[utoipa::path(post, path = "/api/v1/issuers/import-crl", tag = "issuers", operation_id = "importCrl", request_body = BroughtCrl,
    responses((status = 201, description = "Taken in", body = Issuer), (status = 409, description = "It is older than the one that is served")))]
pub(crate) async fn import_crl(
    Shared(app): Shared<App>,
    Permitted { actor, .. }: Permitted<ManagesAuthority>,
    Json(new): Json<BroughtCrl>,
) -> Result<Response, Problem> {
    let authority = app.authority().clone();
    let (name, _) = app.to_its_end(async move { authority.bring_crl(&actor, new.crl.as_bytes()).await }).await?;
    shown(&app, StatusCode::CREATED, name.issuer())
}

/// Five years, as the issuing CAs that a new authority begins with.
const VALIDITY_SECS: u64 = 5 * 365 * 86_400;
