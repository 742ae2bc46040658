//! Issuers as they are shown: their state, by the time, by what an operator decided and by what is revoked.

use bytes::Bytes;
use policy::Timestamp;
use store::DELTA;

use crate::craft::Office;
use crate::craft::leaf::LOGIN_PROFILE;
use crate::encode::{BundleForm, bundle};
use crate::error::CaError;
use crate::issuers::name::LOG;
use crate::issuers::plan::{CaPlan, purpose_word};
use crate::issuers::record::{Above, GenerationRecord, IssuerRecord};
use crate::issuers::{
    CaCertificate, Generation, GenerationName, GenerationState, Issuer, IssuerRole, Issuing, LOST, ShownCertificate,
    ShownHome, ShownPlan, Signer, hierarchy,
};
use crate::registrar::Registrar;
use std::sync::Arc;

/// An issuer under which nothing is issued now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// Its name.
    pub issuer: String,
    /// In a word: `away` (its tokens do not answer), `refused` (they have another key of its name, or none), `revoked`, `ended`,
    /// `altered` (its record is not what the log says), or `waits` (it has no key or no certificate yet).
    pub word: &'static str,
    /// Why, and what to do.
    pub why: String,
}

/// All of them.
pub(crate) fn issuers(office: &Office) -> Vec<Issuer> {
    let there = office.issuers.read();
    let shown = |(name, issuer): (&String, &hierarchy::Issuer)| Issuer {
        name: name.clone(),
        role: issuer.record.role,
        above: issuer.record.above.as_ref().map(|above| match above {
            Above::Itself => "itself".to_owned(),
            Above::Elsewhere => "elsewhere".to_owned(),
            Above::Issuer(above) => above.clone(),
        }),
        leaves: issuer.record.leaves,
        plan: issuer.record.plan.as_ref().map(plan),
        generations: issuer.generations.iter().map(|g| generation(office, issuer, g)).collect(),
    };
    there.issuers().map(shown).collect()
}

/// A generation's newest certificate: a look in memory, for the public.
pub(crate) fn ca_certificate(office: &Office, name: &GenerationName) -> Option<ShownCertificate> {
    let there = office.issuers.read();
    there.generation(name).and_then(|generation| Some(certificate(generation.certificate()?, generation)))
}

/// When the newest of the roots that are handed out begins.
pub(crate) fn roots_since(office: &Office) -> Option<Timestamp> {
    office.issuers.read().roots().iter().map(|root| root.validity.not_before()).max()
}

/// The roots that are handed out, in a form that other software takes.
pub(crate) fn roots_as(office: &Office, form: BundleForm) -> Result<Vec<u8>, CaError> {
    let there = office.issuers.read();
    let roots = || there.roots().iter();
    let ders: Vec<&[u8]> = roots().map(|root| root.der.as_ref()).collect();
    match form {
        BundleForm::Pkcs7 => bundle::pkcs7(&ders),
        BundleForm::Pkcs12 => bundle::pkcs12(&ders),
        BundleForm::Jks => {
            let dated: Vec<_> = roots().map(|root| (root.der.as_ref(), root.validity.not_before())).collect();
            Ok(bundle::jks(&dated))
        }
    }
    .map_err(unwritten)
}

/// Every certificate of a generation, its own ones and those by which others signed for its key.
pub(crate) fn certificates_pkcs7(office: &Office, name: &GenerationName) -> Result<Option<Vec<u8>>, CaError> {
    let there = office.issuers.read();
    let all = there.generation(name).into_iter().flat_map(|g| g.certificates.iter().chain(&g.cross));
    let ders: Vec<&[u8]> = all.map(|certificate| certificate.der.as_ref()).collect();
    let written = (!ders.is_empty()).then(|| bundle::pkcs7(&ders));
    written.transpose().map_err(unwritten)
}

fn unwritten(error: der::Error) -> CaError {
    CaError::Internal(format!("certificates cannot be written: {error}"))
}

fn generation(office: &Office, issuer: &hierarchy::Issuer, there: &hierarchy::Generation) -> Generation {
    let (state, why) = state(office, &issuer.record, there);
    let certificate = there.certificate().map(|c| certificate(c, there));
    let line = match &there.signer {
        Signer::Ssh(ca) => Some(ca.line.clone()),
        Signer::Log(key) => office.ledger.verifier_key(key).ok(),
        Signer::X509(_) | Signer::Seal(_) | Signer::None(_) => None,
    };
    let sealed = office.ledger.standing().get(&there.name.number()).copied().unwrap_or(0);
    Generation {
        name: there.name.clone(),
        role: issuer.record.role,
        state,
        why,
        key_label: there.record.label.clone(),
        tokens: homes(&office.registrar, there),
        lacks: lacks(office.registrar.pool(), issuer, there),
        elsewhere: there.record.elsewhere,
        brought: there.record.brought,
        arriving: there.record.arriving,
        crl_above: there.record.crl_above,
        sealed: (issuer.record.role == IssuerRole::Seal).then_some(sealed),
        key_kind: there.key().map(hsm::Key::kind),
        key_hash: there.record.key_hash.clone(),
        activates: there.record.activates,
        certificate,
        certificates: there.certificates.len() + there.cross.len(),
        crl_urls: there.issuing().map_or_else(Vec::new, |issuing| issuing.crl_urls()),
        delta_crl_urls: there.issuing().map_or_else(Vec::new, |issuing| issuing.delta_urls()),
        line,
    }
}

/// The tokens of a key, as they are.
fn homes(registrar: &Registrar, there: &hierarchy::Generation) -> Vec<ShownHome> {
    if there.record.elsewhere {
        return Vec::new();
    }
    let pool = registrar.pool();
    let shown = |name: &str| {
        let refused = there.wrong.iter().find(|(token, _)| token == name).map(|(_, why)| why.clone());
        let (state, why) = match (refused, pool.token(name).map(hsm::Token::health)) {
            (Some(why), _) => ("refused", Some(why)),
            (None, Some(hsm::Health::Ready)) => ("ready", None),
            (None, Some(hsm::Health::Healing { why })) => ("healing", Some(why)),
            (None, Some(hsm::Health::Locked { why })) => ("locked", Some(why)),
            (None, None) => ("refused", Some("it is not configured here".to_owned())),
        };
        ShownHome { token: name.to_owned(), state, why }
    };
    named(pool, &there.record).map(shown).collect()
}

/// The names of the tokens of a key.
fn named<'a>(pool: &'a hsm::Pool, record: &'a GenerationRecord) -> impl Iterator<Item = &'a str> {
    let first = record.tokens.is_empty().then(|| pool.first().name());
    first.into_iter().chain(record.tokens.iter().map(String::as_str))
}

/// The tokens in which the keys are that this one follows, and in which it is not: its key was made in one of them.
fn lacks(pool: &hsm::Pool, issuer: &hierarchy::Issuer, there: &hierarchy::Generation) -> Vec<String> {
    let is_ours = |record: &GenerationRecord| {
        let is_open = record.retired.is_none() && record.revoked.is_none();
        is_open && !record.elsewhere && !record.lost && record.key_hash.is_some()
    };
    if !is_ours(&there.record) {
        return Vec::new();
    }
    let own: Vec<&str> = named(pool, &there.record).collect();
    let before = issuer.generations.iter().filter(|g| g.name.number() < there.name.number() && is_ours(&g.record));
    let mut lacking: Vec<String> = Vec::new();
    for token in before.flat_map(|g| named(pool, &g.record)) {
        if pool.token(token).is_some() && !own.contains(&token) && lacking.iter().all(|known| known != token) {
            lacking.push(token.to_owned());
        }
    }
    lacking
}

/// Generations that issue, or will, of which a key is in fewer tokens than those that they follow.
fn thin(office: &Office, issuer: &hierarchy::Issuer) -> impl Iterator<Item = String> {
    let pool = office.registrar.pool();
    issuer.generations.iter().filter_map(move |there| {
        let lacking = lacks(pool, issuer, there);
        let (state, _) = state(office, &issuer.record, there);
        let counts = matches!(state, GenerationState::Active | GenerationState::Pending);
        let missing = lacking.first().filter(|_| counts)?;
        let (name, own) = (&there.name, named(pool, &there.record).collect::<Vec<_>>().join(", "));
        Some(format!(
            "the key of {name} is in token {own} and not in {}, where the key is that it follows: it signs nothing while {own} is away; bring \
             the key there (docs/TOKENS.md) and say `chancery ca tokens {name} --add {missing}`",
            lacking.join(", ")
        ))
    })
}

/// Tokens that are named as homes of a key and do not have it.
fn refused(generation: &hierarchy::Generation) -> impl Iterator<Item = String> {
    let name = &generation.name;
    generation.wrong.iter().map(move |(token, why)| {
        format!(
            "token `{token}` does not sign for {name}: {why}; put the key right there and say `chancery ca tokens {name} --add {token}`, or \
             `--remove {token}`"
        )
    })
}

/// Tokens that have the key and were to sign with it, and found it changed.
fn unfit<'a>(pool: &'a hsm::Pool, generation: &'a hierarchy::Generation) -> impl Iterator<Item = String> + 'a {
    let (name, wanted) = (&generation.name, generation.record.fingerprint());
    named(pool, &generation.record).filter_map(move |token| {
        let why = pool.token(token)?.unfit(&wanted?)?;
        let issuer = name.issuer();
        Some(format!(
            "token `{token}` signs no more for {name}, for somebody changed the key there: {why}; put it right in the token and say `chancery ca tokens \
             {name} --add {token}`, which takes from a key that was outside what it may do besides signing, or make a successor: `chancery ca rotate \
             {issuer}`"
        ))
    })
}

fn plan(plan: &CaPlan) -> ShownPlan {
    ShownPlan {
        path_len: plan.path_len,
        purposes: plan.purposes.iter().map(|oid| purpose_word(oid)).collect(),
        permitted: plan.constraints.permitted.clone(),
        excluded: plan.constraints.excluded.clone(),
        policies: plan.policies.clone(),
    }
}

fn certificate(own: &CaCertificate, there: &hierarchy::Generation) -> ShownCertificate {
    ShownCertificate {
        der: own.der.clone(),
        subject: own.subject.clone(),
        issuer: own.issuer.clone(),
        serial: hex::encode(&own.serial),
        since: own.validity.not_before(),
        until: own.validity.not_after(),
        is_root: own.is_root(),
        chains: there.issuing().map_or(0, |issuing| issuing.chains.len()),
    }
}

/// Where a generation stands, and why nothing is issued under it.
fn state(office: &Office, issuer: &IssuerRecord, there: &hierarchy::Generation) -> (GenerationState, Option<String>) {
    let now = office.ledger.cautious_time();
    let is_active = issuer.active(now).is_some_and(|active| active.number == there.name.number());
    let revoked = |why: String| (GenerationState::Revoked, Some(why));
    if there.record.revoked.is_some() {
        return revoked(format!("{} is revoked", there.name));
    }
    if there.record.retired.is_some() {
        return (GenerationState::Ended, Some(format!("{} is retired", there.name)));
    }
    if there.record.lost {
        return (GenerationState::Ended, Some(format!("{}: {LOST}", there.name)));
    }
    let why = match &there.signer {
        Signer::X509(issuing) => match office.checks.ended(issuing) {
            Some(why) => return revoked(why),
            None => office.checks.clock.outside(issuing),
        },
        Signer::None(why) => Some(format!("{}: {why}", there.name)),
        Signer::Ssh(_) | Signer::Log(_) | Signer::Seal(_) => None,
    };
    let has_ended = there.certificate().is_some_and(|certificate| certificate.validity.not_after() < now);
    let begun = there.record.activates.is_some_and(|at| at <= now);
    // It waits for its certificate, from whoever is above it.
    let waits = issuer.role == IssuerRole::X509 && there.record.certificates.is_empty();
    let state = match () {
        () if waits => GenerationState::Pending,
        () if has_ended => GenerationState::Ended,
        () if is_active => GenerationState::Active,
        () if begun => GenerationState::Retiring,
        () => GenerationState::Pending,
    };
    (state, why)
}

/// The CAs that issue now, one for each issuer that can.
pub(crate) fn active(office: &Office) -> Vec<Arc<Issuing>> {
    let (there, now) = (office.issuers.read(), office.ledger.cautious_time());
    let of =
        |(name, _): (&String, _)| there.active(name, now).ok().and_then(|generation| generation.issuing().cloned());
    there.issuers().filter_map(of).collect()
}

/// Issuers under which nothing is issued although they should.
pub(crate) fn stopped(office: &Office) -> Vec<Stopped> {
    let (there, now) = (office.issuers.read(), office.ledger.cautious_time());
    let mut stopped = Vec::new();
    for (name, issuer) in there.issuers() {
        let Ok(active) = there.active(name, now) else { continue };
        if active.record.elsewhere {
            continue;
        }
        let why = why_stopped(office, name, issuer, active);
        stopped.extend(why.map(|(word, why)| Stopped { issuer: name.clone(), word, why }));
    }
    // Of whom nothing could be read since the start there is no more than the name.
    for (name, why) in there.unread() {
        stopped.push(Stopped { issuer: name.clone(), word: ALTERED, why: put_right(why) });
    }
    stopped
}

/// The way out for an issuer whose record somebody altered: a successor cannot follow it.
pub(crate) fn put_right(why: &str) -> String {
    format!("{why}; put the row back as the log has it, from a backup of the database: it signs again within a minute")
}

/// Why nothing is issued under the generation of an issuer that should, in a word and in a sentence with what to do.
pub(crate) fn why_stopped(
    office: &Office,
    name: &str,
    issuer: &hierarchy::Issuer,
    active: &hierarchy::Generation,
) -> Option<(&'static str, String)> {
    let (state, why) = state(office, &issuer.record, active);
    let (word, why) = match (why, away(office.registrar.pool(), active)) {
        (Some(why), _) => (word(state, issuer, active), why),
        (None, Some(why)) => (AWAY, why),
        (None, None) => return None,
    };
    if word == ALTERED {
        return Some((word, put_right(&why)));
    }
    let way_out = match word {
        AWAY => format!(
            "it signs again once they answer; `chancery ca tokens {}` shows and changes where its key is",
            active.name
        ),
        _ if active.record.lost
            && let Some(next) = issuer.generations.iter().find(|there| there.waits) =>
        {
            format!(
                "{0} waits for its certificate: `chancery ca request {0} --out FILE`, `chancery ca adopt {0} --chain FILE`, and then \
             `chancery ca activate {0}`",
                next.name
            )
        }
        _ if active.waits => format!(
            "`chancery ca request {0} --out FILE` asks for its certificate, `chancery ca adopt {0} --chain FILE` brings it",
            active.name
        ),
        _ => format!("`chancery ca rotate {name}` makes its successor"),
    };
    Some((word, if why.contains("chancery ca") { why } else { format!("{why}; {way_out}") }))
}

/// What keeps a generation from issuing, in a word.
fn word(state: GenerationState, issuer: &hierarchy::Issuer, there: &hierarchy::Generation) -> &'static str {
    match (state, &there.signer) {
        (GenerationState::Revoked, _) => "revoked",
        (GenerationState::Ended, _) => "ended",
        (_, Signer::None(_)) if issuer.version == 0 => ALTERED,
        (_, Signer::None(_)) if !there.away.is_empty() => AWAY,
        (_, Signer::None(_)) if !there.wrong.is_empty() => "refused",
        (_, Signer::None(_)) => "waits",
        // Its certificate has not begun, or lasts no second more.
        (_, Signer::X509(_) | Signer::Ssh(_) | Signer::Log(_) | Signer::Seal(_)) => "ended",
    }
}

/// Its tokens do not answer, and come back by themselves.
const AWAY: &str = "away";
/// Its record is not what the log says.
const ALTERED: &str = "altered";

/// That every token of a key is away, where there are several tokens: of one, everybody knows.
fn away(pool: &hsm::Pool, generation: &hierarchy::Generation) -> Option<String> {
    let key = generation.key().filter(|_| pool.tokens().len() > 1)?;
    let name = &generation.name;
    match pool.health_of(key) {
        hsm::Health::Ready => None,
        hsm::Health::Healing { why } | hsm::Health::Locked { why } => Some(format!(
            "{name} signs nothing now, since its tokens are away ({why}); `chancery ca tokens {name}` shows and changes where its key is"
        )),
    }
}

/// Whether somebody's token would sign now: of those who issue to end entities, one is enough.
pub(crate) fn tokens(office: &Office) -> hsm::Health {
    let (there, now, pool) = (office.issuers.read(), office.ledger.cautious_time(), office.registrar.pool());
    let mut away = None;
    for (name, _) in there.issuers().filter(|(_, issuer)| issuer.record.leaves) {
        let Some(key) = there.active(name, now).ok().and_then(|active| active.key()) else { continue };
        match pool.health_of(key) {
            hsm::Health::Ready => return hsm::Health::Ready,
            other => away = away.or(Some(other)),
        }
    }
    away.unwrap_or_else(|| pool.health())
}

/// What is asked of operators before its time comes: CRLs that are signed where no task can.
pub(crate) fn due(office: &Office) -> Vec<String> {
    let (there, now) = (office.issuers.read(), office.ledger.cautious_time());
    let away: Vec<_> = there.generations().filter(|generation| generation.record.elsewhere).collect();
    let of =
        |g: &&hierarchy::Generation| [crl_alarm(g, now), end_alarm(g, now)].into_iter().flatten().collect::<Vec<_>>();
    let is_open = |g: &&hierarchy::Generation| g.record.retired.is_none() && g.record.revoked.is_none();
    let others = there.generations().filter(is_open).filter(|g| !g.record.lost);
    let thin = there.issuers().flat_map(|(_, issuer)| thin(office, issuer));
    let others = others.flat_map(|there| refused(there).chain(unfit(office.registrar.pool(), there)));
    away.iter().flat_map(of).chain(others).chain(thin).collect()
}

/// That the certificate of a CA elsewhere soon ends, which is told while there is time for another root to reach everybody.
fn end_alarm(generation: &hierarchy::Generation, now: Timestamp) -> Option<String> {
    let (name, until) = (&generation.name, generation.certificate()?.validity.not_after());
    let is_near = now < until && until < now.plus_secs(END_ALARM_SECS) && generation.record.retired.is_none();
    is_near.then(|| {
        format!("CA {name}, whose key is elsewhere, ends at {until}: `chancery ceremony rotate` makes the next, and `chancery ca import` brings it")
    })
}

/// That the CRL of a CA elsewhere is missing, or soon ends: relying parties that ask for it then refuse all below it.
fn crl_alarm(generation: &hierarchy::Generation, now: Timestamp) -> Option<String> {
    let (name, way_out) =
        (&generation.name, "hold `chancery ceremony crl`, and bring what it signs with `chancery ca import-crl`");
    if generation.record.revoked.is_some() || generation.record.retired.is_some() {
        return None;
    }
    match &generation.crl {
        None => Some(format!("no CRL of {name} was brought; {way_out}")),
        Some(crl) if crl.next_update < now => {
            Some(format!("the CRL of {name} ended at {}; {way_out}", crl.next_update))
        }
        Some(crl) if crl.next_update < now.plus_secs(CRL_ALARM_SECS) => {
            Some(format!("the CRL of {name} ends at {}; {way_out}", crl.next_update))
        }
        Some(_) => None,
    }
}

/// Whether a generation is revoked or compromised, or everything above it, or its key is lost, so that nobody tells of its revocations:
/// whoever has a certificate of it needs another.
pub(crate) fn is_dead(office: &Office, issuer: &str) -> bool {
    let there = office.issuers.read();
    issuer.parse().ok().and_then(|name| there.generation(&name)).is_some_and(|generation| is_over(office, generation))
}

/// The generations of which that is so.
pub(crate) fn dead(office: &Office) -> Vec<String> {
    let there = office.issuers.read();
    there.generations().filter(|generation| is_over(office, generation)).map(|g| g.name.to_string()).collect()
}

fn is_over(office: &Office, generation: &hierarchy::Generation) -> bool {
    let has_ended = generation.record.revoked.is_some() || generation.record.lost;
    has_ended || generation.issuing().is_some_and(|ca| office.checks.ended(ca).is_some())
}

/// Under which CAs a login is believed: the anchor itself, so that no other CA of ours can make one.
pub(crate) fn login_anchors(office: &Office) -> Vec<Bytes> {
    let Some(profile) = office.gate.rules().profile(LOGIN_PROFILE) else { return Vec::new() };
    let there = office.issuers.read();
    let Ok(issuer) = there.issuer(&profile.issuer) else { return Vec::new() };
    let good = issuer.generations.iter().filter(|generation| {
        generation.record.revoked.is_none() && generation.issuing().is_some_and(|ca| office.checks.ended(ca).is_none())
    });
    good.flat_map(|generation| &generation.certificates).map(|certificate| certificate.der.clone()).collect()
}

/// Lines of the SSH CAs of a role, of all that are in use or will be.
pub(crate) fn ssh_lines(office: &Office, role: IssuerRole) -> String {
    let there = office.issuers.read();
    let of_role = there.issuers().filter(|(_, issuer)| issuer.record.role == role);
    let mut lines = Vec::new();
    for generation in of_role.flat_map(|(_, issuer)| &issuer.generations) {
        if let (Signer::Ssh(ca), None, None) =
            (&generation.signer, &generation.record.revoked, &generation.record.retired)
        {
            lines.push(ca.line.clone());
        }
    }
    lines.join("\n")
}

/// Verifier keys of the log: the present one first, then the newest of the others.
pub(crate) fn log_keys(office: &Office) -> Vec<String> {
    let (there, now) = (office.issuers.read(), office.ledger.cautious_time());
    let Ok(issuer) = there.issuer(LOG) else { return Vec::new() };
    let active = issuer.record.active(now).map(|generation| generation.number);
    let mut all: Vec<_> = issuer.generations.iter().rev().collect();
    all.sort_by_key(|generation| Some(generation.name.number()) != active);
    let key =
        |generation: &hierarchy::Generation| generation.key().and_then(|key| office.ledger.verifier_key(key).ok());
    all.into_iter().filter_map(key).collect()
}

/// The series of CRLs that a name means: a generation's (`tls/1`, or `tls/1/full`), that of a part (`tls/1/3`; of one part alone, `0`,
/// everything), or that of the one that issues for an issuer's name; with `/delta` behind it, its deltas.
pub(crate) fn series(office: &Office, of: &str) -> String {
    if let Some(complete) = of.strip_suffix(DELTA).filter(|complete| !complete.ends_with("/full")) {
        return series(office, complete) + DELTA;
    }
    let there = office.issuers.read();
    if let Ok(active) = there.active(of, office.ledger.cautious_time()) {
        return active.name.to_string();
    }
    match of.rsplit_once('/') {
        Some((whole, "full")) => whole.to_owned(),
        Some((whole, "0"))
            if there.series(of).is_none() && there.series(whole).is_some_and(|(_, scope)| scope.shard.is_none()) =>
        {
            whole.to_owned()
        }
        Some(_) | None => of.to_owned(),
    }
}

/// So long before its end a CRL that people have to meet for is asked for.
const CRL_ALARM_SECS: i64 = 30 * 86_400;
/// And so long before its end a root: a year.
const END_ALARM_SECS: i64 = 365 * 86_400;
