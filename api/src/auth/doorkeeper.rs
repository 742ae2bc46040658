//! Who is asking: an API token or a client certificate becomes an [`Actor`], or a reason why it does not.
//!
//! A token is `chy_ID_SECRET`; the register knows only the SHA-256 of the secret. A caller who was looked up is believed for
//! `limits.caller_memory` (two seconds), and on *each* request the fold of the log is asked whether the token has another version
//! or the certificate is revoked: a kept-alive connection does not outlive a revocation. One made on this node counts at once,
//! one made on another when this node has heard of it, a second later at most. TLS session resumption is off for the same reason
//! (`edge::tls`).
//!
//! Failures are counted and rate limited and never written to the register: a stranger must not be able to fill it.
//!
//! Trusted for: the identity of every actor on the API. Whoever controls it can act as anyone policy knows, in full view of
//! the log.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use ca::{LOGIN_PROFILE, login_scopes};
use policy::{Actor, Name, Proof, Role, SecondFactor, Timestamp, Validity};
use store::{Attested, Credential, Kind, Ledger, State, StoreError};

use super::error::AuthError;
use super::factor::{FACTOR, factor_of};
use super::login::{KnownLogin, LOGIN, LOGIN_PREFIX, Login};
use super::memory::{Known, Memory, Recognised};
use super::throttle::Throttle;
use super::token::{KIND, Token, TokenText};
use crate::limits::Limits;

/// Knows the register, which says the time too, and has the memories that recognising callers needs.
pub(crate) struct Doorkeeper {
    ledger: Ledger,
    tokens: Memory<Known>,
    logins: Memory<KnownLogin>,
    certificates: Memory<Recognised>,
    throttle: Throttle,
}

impl Doorkeeper {
    /// A doorkeeper who has met nobody yet.
    pub(crate) fn new(ledger: Ledger, limits: &Limits) -> Self {
        let (tokens, certificates) = (Memory::new(limits.caller_memory), Memory::new(limits.caller_memory));
        let logins = Memory::new(limits.caller_memory);
        Self { ledger, tokens, logins, certificates, throttle: Throttle::new(limits.failures) }
    }

    /// By this time tokens, logins and certificates end: a clock that is not believed lets in what ended no more than it ends what has not.
    fn now(&self) -> Timestamp {
        self.ledger.believed_time()
    }

    /// Whether an address has made too many wrong guesses of any kind lately.
    pub(crate) fn has_guessed_enough(&self, from: Option<IpAddr>) -> bool {
        from.is_some_and(|ip| self.throttle.is_over(ip))
    }

    /// A proof that proved nothing is a guess.
    pub(crate) fn guessed(&self, from: Option<IpAddr>) {
        if let Some(ip) = from {
            self.throttle.failed(ip);
        }
    }

    /// Recognises a token by its whole text.
    pub(crate) async fn by_token(&self, text: &str, from: Option<IpAddr>) -> Result<Arc<Actor>, AuthError> {
        let outcome = match TokenText::parse(text) {
            None => Err(AuthError::Malformed),
            Some(given) => match self.remembered(given.id()) {
                Some(token) => token.check(&given, self.now()),
                None => {
                    let _turn = self.throttle.turn(from).await;
                    match Box::pin(self.look_up(given.id())).await? {
                        Some(token) => token.check(&given, self.now()),
                        None => Err(AuthError::Unknown),
                    }
                }
            },
        };
        match (outcome, from) {
            // Only guesses count. Whoever shows a right secret is let in or told why not, however many others guess from the
            // same address: a forgotten cron job must not lock its neighbours out.
            (Err(AuthError::Malformed | AuthError::Unknown), Some(ip)) if self.throttle.is_over(ip) => {
                Err(AuthError::Throttled)
            }
            (Err(guess @ (AuthError::Malformed | AuthError::Unknown)), Some(ip)) => {
                self.throttle.failed(ip);
                Err(guess)
            }
            (outcome, _) => outcome,
        }
    }

    /// Recognises a token by its id alone, for a session that showed the secret before.
    pub(crate) async fn by_session(&self, id: &str) -> Result<Arc<Actor>, AuthError> {
        let token = match self.remembered(id) {
            Some(token) => token,
            None => self.look_up(id).await?.ok_or(AuthError::Unknown)?,
        };
        token.alive(self.now())
    }

    /// The same actor with the second factor that the text of a login proves beside its token. A text that proves nothing takes nothing
    /// away from the token, and is a guess.
    pub(crate) async fn with_login(
        &self,
        actor: Arc<Actor>,
        text: &str,
        from: Option<IpAddr>,
    ) -> Result<Arc<Actor>, AuthError> {
        let Proof::Token { id } = &actor.proof else { return Ok(actor) };
        let Some(given) = TokenText::parse_as(LOGIN_PREFIX, text) else {
            self.guessed(from);
            return Ok(actor);
        };
        let _turn = self.throttle.turn(from).await;
        match self.login(given.id()).await?.filter(|login| login.has(given.secret())) {
            Some(login) => Ok(stepped_up(&actor, login.proves(id, self.now()))),
            None => {
                self.guessed(from);
                Ok(actor)
            }
        }
    }

    /// The same for a session that showed the secret before, or had the login opened itself.
    pub(crate) async fn with_session(&self, actor: Arc<Actor>, login: &str) -> Result<Arc<Actor>, AuthError> {
        let Proof::Token { id } = &actor.proof else { return Ok(actor) };
        let proved = self.login(login).await?.and_then(|login| login.proves(id, self.now()));
        Ok(stepped_up(&actor, proved))
    }

    /// A login, as of a moment ago, while neither it nor its factor has another version.
    async fn login(&self, id: &str) -> Result<Option<Arc<KnownLogin>>, AuthError> {
        let versions = |token: &str| (self.ledger.record_version(LOGIN, id), self.ledger.record_version(FACTOR, token));
        if let Some(known) = self.logins.recall(id, |login| login.is_of(versions(login.token()))) {
            return Ok(Some(known));
        }
        let Some(record) = self.ledger.record_get(LOGIN, id).await? else { return Ok(None) };
        let login: Login = serde_json::from_value(record.body.clone())
            .map_err(|why| StoreError::Corrupt(format!("login {id}: {why}")))?;
        let (factor, seen) = factor_of(&self.ledger, &login.token).await?;
        let known = Arc::new(KnownLogin::new((record.version, seen), login, factor.as_ref()));
        self.logins.learn(id, Arc::clone(&known));
        Ok(Some(known))
    }

    async fn look_up(&self, id: &str) -> Result<Option<Arc<Known>>, AuthError> {
        let Some(record) = self.ledger.record_get(KIND, id).await? else { return Ok(None) };
        let token = Token::from_record(&record).map_err(|why| StoreError::Corrupt(format!("API token {id}: {why}")))?;
        let known = Arc::new(Known::new(id, record.version, token));
        self.tokens.learn(id, Arc::clone(&known));
        Ok(Some(known))
    }

    /// Recognises a client certificate: the register, not the handshake, says whether it still counts, and it says so of the very
    /// bytes that the handshake saw.
    pub(crate) async fn by_certificate(&self, serial: &str, der: &[u8]) -> Result<Arc<Actor>, AuthError> {
        let still_counts = |it: &Recognised| it.counts(der, |operation| self.ledger.is_revoked(operation));
        match self.certificates.recall(serial, still_counts) {
            Some(recognised) => recognised.alive(self.now()),
            None => self.look_up_certificate(serial, der).await,
        }
    }

    async fn look_up_certificate(&self, serial: &str, der: &[u8]) -> Result<Arc<Actor>, AuthError> {
        let Some(credential) = self.ledger.credential(serial).await? else {
            // The handshake verified that one of our CAs signed it.
            let place = format!("intent serial={serial}");
            self.ledger.missing(&place, "a client certificate that our CA signed is not in the register");
            return Err(AuthError::Certificate("it is not in the register"));
        };
        // What was never signed has none; it is told so below.
        if credential.x509_der().is_some_and(|registered| registered != der) {
            let place = format!("intent op={}", credential.operation);
            self.ledger.missing(&place, "a client certificate that our CA signed with its serial is another one");
            return Err(AuthError::Certificate("it is not the one in the register"));
        }
        let (validity, actor) = certificate_actor(&credential, self.now())?;
        let actor = Arc::new(actor);
        let recognised = Recognised::new(credential.operation, der.to_vec(), validity, Arc::clone(&actor));
        self.certificates.learn(serial, Arc::new(recognised));
        Ok(actor)
    }

    /// A token looked up lately that has still the version that was read, as the fold of the log knows.
    fn remembered(&self, id: &str) -> Option<Arc<Known>> {
        self.tokens.recall(id, |token| token.is_of(|place| self.ledger.version_at(place)))
    }
}

/// The same actor, where a second factor was proved.
fn stepped_up(actor: &Arc<Actor>, proved: Option<SecondFactor>) -> Arc<Actor> {
    match proved {
        None => Arc::clone(actor),
        proved => Arc::new(Actor { second_factor: proved, ..Actor::clone(actor) }),
    }
}

/// Who a certificate is, and from when to when.
fn certificate_actor(credential: &Attested<Credential>, now: Timestamp) -> Result<(Validity, Actor), AuthError> {
    if credential.kind != Kind::Certificate || credential.profile != LOGIN_PROFILE {
        return Err(AuthError::Certificate("it is not of the profile tls-client"));
    }
    match credential.state {
        State::Issued => {}
        State::Revoked => return Err(AuthError::Certificate("it has been revoked")),
        // Nobody received a certificate whose signature is not concluded; whoever shows it did not get it from us.
        State::Intended | State::Failed => return Err(AuthError::Certificate("it was never delivered")),
    }
    let validity = credential.validity.filter(|validity| validity.contains(now)).ok_or(AuthError::OUTSIDE_VALIDITY)?;
    let serial = credential.serial_hex();
    let names = credential.names.iter().map(|name| Name::parse(name)).collect::<Result<_, _>>();
    let names = names.map_err(|_| AuthError::Certificate("its names are not known here"))?;
    let scopes = login_scopes(credential).map_err(|_| AuthError::Certificate("its scopes are not known here"))?;
    let actor = Actor {
        id: format!("cert:{serial}"),
        roles: BTreeSet::from([Role::Agent]),
        owners: credential.owner.iter().cloned().collect(),
        scopes,
        proof: Proof::ClientCertificate { serial, names },
        second_factor: None,
    };
    Ok((validity, actor))
}
