//! One credential: all that is known of it, its bytes, what happened to it with the proof that it is in the log, who stood before it
//! and who after, and the two forms that change something.

use askama::Template;
use axum::extract::State as Shared;
use axum::response::Response;
use ca::RevocationReason;
use http::StatusCode;
use policy::{Action, Actor, Grant, Resource, ResourceKind, Timestamp};
use store::{Attested, Credential, Kin, Kind, Renewer, State};

use super::acts::{RENEW, REVOKE, about};
use super::asked::Asked;
use super::contents;
use super::fact::{Fact, fact, mono};
use super::frame::{Head, Place, render};
use super::row::{self, Life};
use super::session::Visitor;
use super::words::{Tone, instant, kind, left, moment};
use crate::app::App;
use crate::intake::Segment;
use crate::observe::inventory::{self, Standing};
use crate::problem::{Kind as ProblemKind, Problem};
use crate::rest::audit::proven;
use crate::rest::certificates::fetched;
use crate::rest::certificates::find;

/// Names that stand there unfolded.
const NAMES_SHOWN: usize = 12;

#[derive(Template)]
#[template(path = "certificate.html")]
struct Sheet {
    head: Head,
    name: String,
    kind: &'static str,
    state: &'static str,
    replaced: bool,
    /// Its CA is over, and nothing took its place.
    orphaned: bool,
    tone: &'static str,
    /// Where it stands, in a sentence.
    says: String,
    life: Option<Life>,
    facts: Vec<Fact>,
    names: Vec<String>,
    /// Folded.
    more_names: Vec<String>,
    renewal: Vec<Fact>,
    kin: Kin,
    certificate: String,
    chain: String,
    history: Vec<Step>,
    /// Whether the leaves are shown: for who may read the log.
    proven: bool,
    serial: String,
    renew: Option<Form>,
    revoke: Option<Form>,
    reasons: Vec<&'static str>,
}

/// One thing that happened.
struct Step {
    what: &'static str,
    when: String,
    at: String,
    leaf: u64,
    proof: Option<Proof>,
}

struct Proof {
    text: String,
    size: u64,
    path: Vec<String>,
    checkpoint: Option<String>,
}

/// A form, with the word that says it is from this page.
struct Form {
    action: String,
    word: String,
}

/// `/certificates/{serial}`
pub(super) async fn show(
    Shared(app): Shared<App>,
    Visitor(actor): Visitor,
    Segment(serial): Segment,
) -> Result<Response, Problem> {
    let credential = find(&app, &serial).await?;
    sheet(&app, &actor, credential).await
}

/// `/operations/{number}`: what has no serial of its own.
pub(super) async fn show_operation(
    Shared(app): Shared<App>,
    Visitor(actor): Visitor,
    Segment(number): Segment,
) -> Result<Response, Problem> {
    let missing = || Problem::new(ProblemKind::NotFound, "There is no such operation.");
    let number: u64 = number.parse().map_err(|_| missing())?;
    let credential = app.ledger().credential_by_operation(number).await?.ok_or_else(missing)?;
    sheet(&app, &actor, credential).await
}

/// `/certificates/{serial}/chain.pem`: who takes it is given it.
pub(super) async fn show_pem(
    Shared(app): Shared<App>,
    Visitor(actor): Visitor,
    Segment(serial): Segment,
    request: axum::extract::Request,
) -> Result<Response, Problem> {
    let (asked, credential) = (fetched::Asked::by(&request), find(&app, &serial).await?);
    let _grant = read_grant(&app, &actor, &credential).await?;
    let issued = credential.into_inner().signed();
    let issued = issued.map_err(|_| Problem::new(ProblemKind::NotFound, "It was never signed."))?;
    fetched::given(&app, &actor, asked, &issued).await;
    Ok(crate::intake::typed(StatusCode::OK, "application/pem-certificate-chain", app.authority().chain_pem(&issued)))
}

async fn read_grant(app: &App, actor: &Actor, credential: &Credential) -> Result<Grant, Problem> {
    let on = Resource::certificate(credential.owner.clone(), credential.profile.clone(), Vec::new());
    app.authorize(actor, Action::ReadCertificate, on).await
}

async fn sheet(app: &App, actor: &Actor, credential: Attested<Credential>) -> Result<Response, Problem> {
    let grant = read_grant(app, actor, &credential).await?;
    let credential = credential.into_inner();
    let (now, kin) = (app.world().now(), inventory::kin(&grant, &credential, app.ledger()).await?);
    let orphaned = inventory::is_orphaned(&credential, &kin, app.authority(), now);
    let tone = if orphaned { Tone::Gone } else { Tone::of(&credential, kin.replaced, now) };
    let (history, proven) = history(app, actor, &credential).await?;
    let is_x509 = matches!(credential.kind, Kind::Certificate | Kind::CaCertificate) && credential.signature.is_some();
    let pem = |text: String| if is_x509 { text } else { String::new() };
    let place = match credential.kind {
        Kind::SshUser | Kind::SshHost => Place::Ssh,
        Kind::CaCertificate | Kind::Crl | Kind::CaRequest | Kind::OcspBatch => Place::Authorities,
        Kind::Certificate | Kind::CodeSignature => Place::Certificates,
    };
    let (names, more_names) = credential.names.split_at(credential.names.len().min(NAMES_SHOWN));
    let sheet = Sheet {
        head: Head::of(app, actor, place),
        name: row::name(&credential).0,
        kind: kind(credential.kind),
        state: Standing::of(&credential, now).as_str(),
        replaced: kin.replaced,
        orphaned,
        tone: tone.class(),
        says: match orphaned {
            true => format!("Its CA {} is over: nobody believes it, and it needs a successor now.", credential.issuer),
            false => says(&credential, &kin, now),
        },
        life: Life::of(&credential, now),
        facts: facts(&credential),
        names: names.to_vec(),
        more_names: more_names.to_vec(),
        renewal: renewal(app, &credential, (tone, orphaned), now).await?,
        certificate: pem(app.authority().certificate_pem(&credential)),
        chain: pem(app.authority().chain_pem(&credential)),
        history,
        proven,
        renew: form(app, actor, &credential, RENEW, Action::RenewCertificate),
        revoke: form(app, actor, &credential, REVOKE, Action::RevokeCertificate),
        reasons: reasons(credential.kind == store::Kind::CaCertificate),
        serial: credential.serial_hex(),
        kin,
    };
    Ok(render(StatusCode::OK, &sheet))
}

/// Where it stands.
fn says(credential: &Credential, kin: &Kin, now: Timestamp) -> String {
    let end = credential.validity.map(|validity| validity.not_after());
    let ends = |was: &str, is: &str| match end {
        Some(end) if end < now => format!("{was} {} ({} UTC)", left(end, now), moment(end)),
        Some(end) => format!("{is} {} ({} UTC)", left(end, now), moment(end)),
        None => "It has no end".to_owned(),
    };
    match credential.state {
        State::Intended => {
            "It was intended, and nobody said what came of it. It counts as issued: revoke it if nobody has it."
                .to_owned()
        }
        State::Failed => {
            format!("It was never signed: {}.", credential.failure.as_deref().unwrap_or("nobody said why"))
        }
        State::Revoked => {
            let reason =
                credential.reason.and_then(RevocationReason::from_code).map_or("unspecified", RevocationReason::as_str);
            let at = credential.revoked_at.map(moment).unwrap_or_default();
            format!("Revoked at {at} UTC ({reason}). {}.", ends("It would have ended", "It would end"))
        }
        State::Issued if credential.kind == Kind::CodeSignature => {
            let at = credential.concluded_at.map(instant).unwrap_or_default();
            format!("Signed {at}, with the key {}.", credential.issuer.trim_start_matches("code:"))
        }
        State::Issued if kin.replaced => {
            format!("A later certificate replaced it. {}.", ends("It ended", "It ends"))
        }
        State::Issued if credential.is_expired(now) => {
            format!("{}, and nothing replaced it.", ends("It expired", "It expires"))
        }
        State::Issued => format!("{}.", ends("It ended", "It ends")),
    }
}

fn facts(credential: &Credential) -> Vec<Fact> {
    let optional = |what, value: Option<String>| value.filter(|value| !value.is_empty()).map(|value| fact(what, value));
    let times = credential
        .validity
        .map(|validity| [fact("From", instant(validity.not_before())), fact("Until", instant(validity.not_after()))]);
    let ssh = matches!(credential.kind, Kind::SshUser | Kind::SshHost);
    let mut facts = vec![mono("Serial", credential.serial_hex())];
    if ssh {
        // As `ssh-keygen -L` prints it: the last eight bytes, decimal.
        let number = credential.serial.last_chunk().map(|bytes| u64::from_be_bytes(*bytes).to_string());
        facts.extend(number.map(|number| mono("SSH serial", number)));
    }
    facts.extend(optional(if ssh { "Key id" } else { "Subject" }, Some(credential.subject.clone())));
    let owner = credential.owner.as_ref().map(|owner| owner.as_str().to_owned()).unwrap_or_default();
    let of_owner = Asked { owner: owner.clone(), ..Asked::default() };
    facts.extend(optional("Owner", Some(owner)).map(|fact| fact.to(&of_owner)));
    let of_profile = Asked { profile: credential.profile.clone(), ..Asked::default() };
    facts.push(fact("Profile", credential.profile.clone()).to(&of_profile));
    let of_issuer = Asked { issuer: credential.issuer.clone(), ..Asked::default() };
    facts.push(fact("Issuer", credential.issuer.clone()).to(&of_issuer));
    facts.extend(times.into_iter().flatten());
    facts.push(fact("Asked for by", format!("{} ({})", credential.actor.id, credential.actor.proof)));
    facts.push(fact("Allowed by", format!("{}, rule {}", credential.grant.action, credential.grant.rule)));
    facts.extend(credential.x509_der().iter().flat_map(|der| contents::facts(der)));
    facts.push(mono("Public key, SHA-256", hex::encode(credential.key_hash)));
    facts.push(mono("Signed with", format!("{} ({})", credential.signing_key, credential.algorithm.as_str())));
    facts.push(mono("Profile, SHA-256", hex::encode(credential.profile_hash)));
    facts.push(mono("Policies, SHA-256", hex::encode(credential.grant.policy_hash)));
    facts.push(fact("Operation", credential.operation.to_string()));
    facts
}

/// Who renews, believed only while the new one comes in time; and where one that the server renewed went.
async fn renewal(
    app: &App,
    credential: &Credential,
    (tone, orphaned): (Tone, bool),
    now: Timestamp,
) -> Result<Vec<Fact>, Problem> {
    // Nobody renews what was revoked or never signed.
    if credential.kind != Kind::Certificate || !matches!(credential.state, State::Issued | State::Intended) {
        return Ok(Vec::new());
    }
    let mut facts = vec![fact("Renewed by", row::renewer(credential, tone))];
    if let (Renewer::Acme, Some(thumbprint)) = (credential.renewer(), Some(&credential.actor.proof_id)) {
        facts.push(mono("ACME account key", thumbprint.clone()));
    }
    if orphaned {
        facts.push(fact("Renew by", "now: its CA is over"));
    } else if let Some((what, at)) = due(tone).zip(credential.look_at()) {
        facts.push(fact(what, format!("{} UTC ({})", moment(at), left(at, now))));
    }
    if fetched::waits(credential) {
        let told = match fetched::first(app, credential).await? {
            Some(fetched::Fetched { by, from, at }) => {
                let from = from.map(|from| format!(" from {from}")).unwrap_or_default();
                format!("by {by}{from} at {} UTC", moment(at))
            }
            None => "by nobody: what is in use is the one before it".to_owned(),
        };
        facts.push(fact("Fetched", told));
    }
    Ok(facts)
}

/// What the point of a renewal is called; of what was replaced, nothing is due.
fn due(tone: Tone) -> Option<&'static str> {
    match tone {
        Tone::Calm => Some("Renew by"),
        Tone::Act | Tone::Gone => Some("Overdue since"),
        Tone::Quiet => None,
    }
}

/// What happened, in a word for people: the leaf has its own.
fn happened(event: &str) -> &'static str {
    match event {
        "intend" => "Requested",
        "conclude" => "Signed",
        "fail" => "Not signed",
        "revoke" => "Revoked",
        _ => "Recorded",
    }
}

/// What happened, the first first; with leaves and proofs for who may read the log.
async fn history(app: &App, actor: &Actor, credential: &Credential) -> Result<(Vec<Step>, bool), Problem> {
    let on = Resource::plain(ResourceKind::Audit);
    let grant = app.authority().policies().decide(actor, Action::ReadAudit, &on).ok();
    let mut steps = Vec::new();
    for leaf in app.ledger().history(credential.operation).await? {
        let is_first = leaf == credential.operation;
        let mut proof = None;
        let (mut what, mut when) = (happened(if is_first { "intend" } else { "" }), String::new());
        if let Some(grant) = &grant {
            let proven = proven(grant, app, leaf).await?;
            let said =
                |name: &str| proven.leaf.get(name).and_then(|value| value.as_str()).unwrap_or_default().to_owned();
            (what, when) = (happened(&said("event")), said("time"));
            let text = serde_json::to_string_pretty(&proven.leaf).unwrap_or_default();
            proof = Some(Proof { text, size: proven.size, path: proven.proof, checkpoint: proven.checkpoint });
        }
        let at = Timestamp::parse_rfc3339(&when).map(instant).unwrap_or_default();
        steps.push(Step { what, when, at, leaf, proof });
    }
    if grant.is_none() {
        steps = told(credential, &steps);
    }
    Ok((steps, grant.is_some()))
}

/// The same from the credential alone.
fn told(credential: &Credential, steps: &[Step]) -> Vec<Step> {
    let concluded = if credential.failure.is_some() { "fail" } else { "conclude" };
    let all = [
        ("intend", Some(credential.intended_at)),
        (concluded, credential.concluded_at),
        ("revoke", credential.revoked_at),
    ];
    let steps_told = all.into_iter().filter_map(|(what, at)| Some((what, at?)));
    let step = |(step, (what, at)): (&Step, (&str, Timestamp))| Step {
        what: happened(what),
        when: at.rfc3339(),
        at: instant(at),
        leaf: step.leaf,
        proof: None,
    };
    steps.iter().zip(steps_told).map(step).collect()
}

/// A form for who may send it; a CA is revoked on the command line, where that is asked twice.
fn form(app: &App, actor: &Actor, credential: &Credential, act: &str, action: Action) -> Option<Form> {
    let may = match (action, credential.kind, credential.state) {
        (Action::RenewCertificate, Kind::Certificate, State::Issued) => true,
        (
            Action::RevokeCertificate,
            Kind::Certificate | Kind::SshUser | Kind::SshHost,
            State::Issued | State::Intended,
        ) => true,
        (_, _, _) => false,
    };
    let on = Resource::certificate(credential.owner.clone(), credential.profile.clone(), Vec::new());
    if !may || app.authority().policies().decide(actor, action, &on).is_err() {
        return None;
    }
    let serial = credential.serial_hex();
    let word = app.sessions().form_word(&actor.proof.to_string(), &about(act, &serial));
    Some(Form { action: format!("/certificates/{serial}/{act}"), word })
}

/// Why it may be revoked: a CA is not put on hold, and of a CA alone its compromise is said.
fn reasons(is_ca: bool) -> Vec<&'static str> {
    let not_its = if is_ca { RevocationReason::CertificateHold } else { RevocationReason::CaCompromise };
    RevocationReason::ALL.into_iter().filter(|reason| *reason != not_its).map(RevocationReason::as_str).collect()
}
