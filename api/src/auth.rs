//! Who is asking: an API token or a client certificate becomes an [`Actor`], or the request ends here with a 401.
//!
//! A token is `chy_ID_SECRET`; the register knows only the SHA-256 of the secret. A looked-up token is believed for
//! `limits.token_memory` (two seconds): a revocation made on this node counts at once, one made on another node after at
//! most that long. A client certificate is looked up on *each* request, so that a kept-alive connection does not outlive a
//! revocation; TLS session resumption is off for the same reason (`tls`).
//!
//! Failures are counted and rate limited and never written to the register: a stranger must not be able to fill it.
//!
//! Trusted for: the identity of every actor on the API. Whoever controls it can act as anyone policy knows, in full view of
//! the log.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use axum::extract::FromRequestParts;
use ca::{LOGIN_PROFILE, login_scopes};
use http::header::AUTHORIZATION;
use http::request::Parts;
use policy::{Actor, Name, Proof, Role, Timestamp};
use ring::digest::{SHA256, digest};
use store::{Credential, Kind, State, StoreError};

use crate::app::App;
use crate::peer::Peer;
use crate::problem::Problem;
use crate::tokens::{Token, TokenText};

/// Looked-up tokens kept; past it the memory starts anew, which costs look-ups and nothing else.
const MEMORY_MAX: usize = 4_096;

/// Why nobody was recognised. What the caller is told is in `problem`.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// Neither token nor certificate.
    #[error("send `Authorization: Bearer chy_...`, or use a client certificate of this authority")]
    Missing,
    /// An Authorization header that is not a token of ours.
    #[error("the Authorization header is not `Bearer chy_ID_SECRET`")]
    Malformed,
    /// No such token, or another secret: the same answer for both.
    #[error("this token is not known here")]
    Unknown,
    /// Its time is over.
    #[error("this token has expired")]
    Expired,
    /// It was revoked.
    #[error("this token has been revoked")]
    Revoked,
    /// The client certificate does not stand in the register as valid.
    #[error("this client certificate does not count: {0}")]
    Certificate(&'static str),
    /// Too many failures from this address.
    #[error("too many failed attempts from this address")]
    Throttled,
    /// The register did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl AuthError {
    /// The label under which it is counted.
    fn label(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Malformed => "malformed",
            Self::Unknown => "unknown",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::Certificate(_) => "certificate",
            Self::Throttled => "throttled",
            Self::Store(_) => "register",
        }
    }
}

/// The authenticated caller of a handler.
pub(crate) struct Caller(pub(crate) Arc<Actor>);

impl FromRequestParts<App> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        match recognise(parts, app).await {
            Ok(actor) => Ok(Self(actor)),
            Err(error) => {
                app.metrics().denied(error.label());
                Err(Problem::from(error))
            }
        }
    }
}

/// A token where there is one, else the connection's certificate.
async fn recognise(parts: &Parts, app: &App) -> Result<Arc<Actor>, AuthError> {
    let peer = parts.extensions.get::<Peer>();
    match (parts.headers.get(AUTHORIZATION), peer.and_then(Peer::serial)) {
        (Some(header), _) => {
            let text = header.to_str().ok().and_then(bearer).ok_or(AuthError::Malformed)?;
            by_token(text, peer.map(Peer::ip), app).await
        }
        (None, Some(serial)) => by_certificate(serial, app).await,
        (None, None) => Err(AuthError::Missing),
    }
}

/// RFC 9110 section 11.1: the scheme is case-insensitive.
fn bearer(header: &str) -> Option<&str> {
    let (scheme, rest) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| rest.trim())
}

/// Recognises a token by its whole text.
pub(crate) async fn by_token(text: &str, from: Option<IpAddr>, app: &App) -> Result<Arc<Actor>, AuthError> {
    let outcome = match TokenText::parse(text) {
        None => Err(AuthError::Malformed),
        Some(given) => match app.memory().recall(given.id()) {
            Some(token) => check(&token, &given, app.world().now()),
            None => {
                let _turn = app.throttle().turn(from).await;
                match look_up(given.id(), app).await? {
                    Some(token) => check(&token, &given, app.world().now()),
                    None => Err(AuthError::Unknown),
                }
            }
        },
    };
    match (outcome, from) {
        // Only guesses count. Whoever shows a right secret is let in or told why not, however many others guess from the
        // same address: a forgotten cron job must not lock its neighbours out.
        (Err(AuthError::Malformed | AuthError::Unknown), Some(ip)) if app.throttle().is_over(ip) => {
            Err(AuthError::Throttled)
        }
        (Err(guess @ (AuthError::Malformed | AuthError::Unknown)), Some(ip)) => {
            app.throttle().failed(ip);
            Err(guess)
        }
        (outcome, _) => outcome,
    }
}

/// Recognises a token by its id alone, for a session that showed the secret before.
pub(crate) async fn by_session(id: &str, app: &App) -> Result<Arc<Actor>, AuthError> {
    let token = match app.memory().recall(id) {
        Some(token) => token,
        None => look_up(id, app).await?.ok_or(AuthError::Unknown)?,
    };
    alive(&token, app.world().now())
}

async fn look_up(id: &str, app: &App) -> Result<Option<Arc<Known>>, AuthError> {
    let before = app.memory().generation();
    let Some(record) = app.ledger().record_get(crate::tokens::KIND, id).await? else { return Ok(None) };
    let token = Token::from_record(&record).map_err(|why| StoreError::Corrupt(format!("API token {id}: {why}")))?;
    let known = Arc::new(Known::from(token));
    app.memory().learn(id, Arc::clone(&known), before);
    Ok(Some(known))
}

/// The secret first, and in constant time: only its holder learns that a token expired or was revoked.
fn check(token: &Known, given: &TokenText<'_>, now: Timestamp) -> Result<Arc<Actor>, AuthError> {
    let digest = digest(&SHA256, given.secret().as_bytes());
    if !policy::Secret::new(token.sha256).matches(digest.as_ref()) {
        return Err(AuthError::Unknown);
    }
    alive(token, now)
}

fn alive(token: &Known, now: Timestamp) -> Result<Arc<Actor>, AuthError> {
    if token.revoked {
        return Err(AuthError::Revoked);
    }
    if now >= token.expires {
        return Err(AuthError::Expired);
    }
    Ok(Arc::clone(&token.actor))
}

/// Recognises a client certificate: the register, not the handshake, says whether it still counts.
pub(crate) async fn by_certificate(serial: &str, app: &App) -> Result<Arc<Actor>, AuthError> {
    let credential =
        app.ledger().credential(serial).await?.ok_or(AuthError::Certificate("it is not in the register"))?;
    certificate_actor(&credential, app.world().now()).map(Arc::new)
}

fn certificate_actor(credential: &Credential, now: Timestamp) -> Result<Actor, AuthError> {
    if credential.kind != Kind::Certificate || credential.profile != LOGIN_PROFILE {
        return Err(AuthError::Certificate("it is not of the profile tls-client"));
    }
    match credential.state {
        State::Issued => {}
        State::Revoked => return Err(AuthError::Certificate("it has been revoked")),
        // Nobody received a certificate whose signature is not concluded; whoever shows it did not get it from us.
        State::Intended | State::Failed => return Err(AuthError::Certificate("it was never delivered")),
    }
    if !credential.validity.is_some_and(|validity| validity.contains(now)) {
        return Err(AuthError::Certificate("it is outside its validity"));
    }
    let serial = credential.serial_hex();
    let names = credential.names.iter().map(|name| Name::parse(name)).collect::<Result<_, _>>();
    let names = names.map_err(|_| AuthError::Certificate("its names are not known here"))?;
    let scopes = login_scopes(credential).map_err(|_| AuthError::Certificate("its scopes are not known here"))?;
    Ok(Actor {
        id: format!("cert:{serial}"),
        roles: BTreeSet::from([Role::Agent]),
        owners: credential.owner.iter().cloned().collect(),
        scopes,
        proof: Proof::ClientCertificate { serial, names },
    })
}

/// A token as far as a request needs it.
pub(crate) struct Known {
    actor: Arc<Actor>,
    sha256: [u8; 32],
    expires: Timestamp,
    revoked: bool,
}

impl From<Token> for Known {
    fn from(token: Token) -> Self {
        let (sha256, expires, revoked) = (token.sha256, token.expires, token.revoked_at.is_some());
        Self { actor: Arc::new(token.into_actor()), sha256, expires, revoked }
    }
}

/// Tokens looked up lately. Bounded in number and in age.
pub(crate) struct TokenMemory {
    age_max: Duration,
    known: RwLock<Remembered>,
}

#[derive(Default)]
struct Remembered {
    /// Moves at each revocation: a look-up that began before one must not be learnt after it.
    generation: u64,
    tokens: HashMap<String, (Instant, Arc<Known>)>,
}

impl TokenMemory {
    /// An empty memory that believes for so long.
    pub(crate) fn new(age_max: Duration) -> Self {
        Self { age_max, known: RwLock::default() }
    }

    fn recall(&self, id: &str) -> Option<Arc<Known>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let (since, token) = known.tokens.get(id)?;
        (since.elapsed() < self.age_max).then(|| Arc::clone(token))
    }

    fn generation(&self) -> u64 {
        self.known.read().unwrap_or_else(PoisonError::into_inner).generation
    }

    fn learn(&self, id: &str, token: Arc<Known>, generation: u64) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.generation != generation {
            return;
        }
        if known.tokens.len() >= MEMORY_MAX {
            known.tokens.clear();
        }
        known.tokens.insert(id.to_owned(), (Instant::now(), token));
    }

    /// Forgets a token because it changed on this node.
    pub(crate) fn forget(&self, id: &str) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.generation += 1;
        known.tokens.remove(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Arc<Known> {
        Arc::new(Known {
            actor: Arc::new(Actor::system("test")),
            sha256: [0; 32],
            expires: Timestamp::from_unix(10),
            revoked: false,
        })
    }

    #[test]
    fn the_scheme_of_a_bearer_header_has_no_case() {
        assert_eq!(bearer("bEaReR chy_x"), Some("chy_x"));
        assert_eq!(bearer("Basic chy_x"), None);
        assert_eq!(bearer("chy_x"), None);
    }

    #[test]
    fn a_look_up_that_a_revocation_overtook_is_not_learnt() {
        let memory = TokenMemory::new(Duration::from_secs(60));
        let before = memory.generation();
        memory.forget("a");
        memory.learn("a", known(), before);
        assert!(memory.recall("a").is_none());
        memory.learn("a", known(), memory.generation());
        assert!(memory.recall("a").is_some());
        memory.forget("a");
        assert!(memory.recall("a").is_none());
    }

    #[test]
    fn what_is_remembered_ages() {
        let memory = TokenMemory::new(Duration::ZERO);
        memory.learn("a", known(), memory.generation());
        assert!(memory.recall("a").is_none());
    }

    #[test]
    fn the_memory_is_bounded() {
        let memory = TokenMemory::new(Duration::from_secs(60));
        for number in 0..(MEMORY_MAX + 10) {
            memory.learn(&number.to_string(), known(), 0);
        }
        assert!(memory.known.read().expect("lock").tokens.len() <= MEMORY_MAX);
    }

    #[test]
    fn an_expired_token_stops_at_its_second() {
        let token = known();
        assert!(alive(&token, Timestamp::from_unix(9)).is_ok());
        assert!(matches!(alive(&token, Timestamp::from_unix(10)), Err(AuthError::Expired)));
    }
}
