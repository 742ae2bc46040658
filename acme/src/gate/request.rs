//! From an HTTP request to a proven message, in the order of RFC 8555 section 6: content type, size, shape, URL, nonce, key,
//! signature, and only then is the nonce spent.
//!
//! A handler names what it needs as an argument ([`ByAccount`], [`ByKey`], [`ByEither`]) and cannot be reached with less.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequest, Request};
use http::{HeaderMap, header};

use super::server::AcmeState;
use crate::limits::BODY_BYTES_MAX;
use crate::objects::{Account, AccountStatus, Stored};
use crate::wire::{ErrorKind, Jwk, Jws, Problem, Signer, Verified};

/// A message signed by a valid account (`kid`).
pub struct ByAccount {
    /// Who.
    pub account: Stored<Account>,
    /// What.
    pub message: Verified,
    /// The URL it was signed for, which is the one it came to.
    pub url: String,
    /// The address it came from.
    pub source: IpAddr,
}

/// A message signed by a key it carries itself (`jwk`).
pub struct ByKey {
    /// The key.
    pub key: Jwk,
    /// What it signed.
    pub message: Verified,
    /// The address it came from.
    pub source: IpAddr,
}

/// A message signed either way: revokeCert.
pub enum ByEither {
    /// By an account.
    Account(ByAccount),
    /// By a key.
    Key(ByKey),
}

impl FromRequest<AcmeState> for ByAccount {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &AcmeState) -> Result<Self, Problem> {
        match ByEither::from_request(request, state).await? {
            ByEither::Account(by) => Ok(by),
            ByEither::Key(_) => Err(Problem::malformed("this resource wants an account URL in kid, not a jwk")),
        }
    }
}

impl FromRequest<AcmeState> for ByKey {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &AcmeState) -> Result<Self, Problem> {
        match ByEither::from_request(request, state).await? {
            ByEither::Key(by) => Ok(by),
            ByEither::Account(_) => Err(Problem::malformed("this resource wants the key itself in jwk, not a kid")),
        }
    }
}

impl FromRequest<AcmeState> for ByEither {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &AcmeState) -> Result<Self, Problem> {
        check_content_type(request.headers())?;
        let source = source(&request);
        let url = state.urls().of(request.uri().path_and_query().map_or("/", |path| path.as_str()));
        let body = axum::body::to_bytes(request.into_body(), BODY_BYTES_MAX).await.map_err(|_| {
            Problem::malformed(format!("the body could not be read, or is larger than {BODY_BYTES_MAX} bytes"))
                .with_status(413)
        })?;
        let jws = Jws::parse(&body)?;
        // RFC 8555 section 6.4: "If the two do not match, then the server MUST reject the request as unauthorized."
        if jws.url() != url {
            return Err(Problem::unauthorized(format!("the request came to {url}, but its JWS says another url")));
        }
        let bad_nonce = || Problem::new(ErrorKind::BadNonce, "the nonce is not fresh: use the one in this answer");
        let nonce = jws.nonce().ok_or_else(bad_nonce)?.to_owned();
        if !state.nonces().is_fresh(&nonce) {
            return Err(bad_nonce());
        }
        let spend = |message| if state.nonces().spend(&nonce) { Ok(message) } else { Err(bad_nonce()) };
        match jws.signer().clone() {
            Signer::Jwk(key) => {
                let message = jws.verify(&key).and_then(spend)?;
                Ok(Self::Key(ByKey { key, message, source }))
            }
            Signer::Kid(kid) => {
                let account = account_of(state, &kid).await?;
                let message = jws.verify(&account.object.key).and_then(spend)?;
                require_valid(&account.object)?;
                Ok(Self::Account(ByAccount { account, message, url, source }))
            }
        }
    }
}

impl ByAccount {
    /// Counts what this request is about to write into the register, or refuses it.
    pub fn spend(&self, state: &AcmeState, records: usize) -> Result<(), Problem> {
        state.quotas().records(&self.account.object.id, self.source, records, state.now())
    }
}

/// Requests whose listener does not say where they come from are counted together.
fn source(request: &Request) -> IpAddr {
    let connected = request.extensions().get::<ConnectInfo<SocketAddr>>();
    connected.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(address)| address.ip())
}

/// RFC 8555 section 6.2: the server "MUST respond with 415" to any other Content-Type.
fn check_content_type(headers: &HeaderMap) -> Result<(), Problem> {
    let mut given = headers.get_all(header::CONTENT_TYPE).iter();
    match (given.next().map(|value| value.as_bytes()), given.next()) {
        (Some(b"application/jose+json"), None) => Ok(()),
        _ => Err(Problem::malformed("the Content-Type must be exactly application/jose+json").with_status(415)),
    }
}

async fn account_of(state: &AcmeState, kid: &str) -> Result<Stored<Account>, Problem> {
    let unknown = || Problem::new(ErrorKind::AccountDoesNotExist, "the kid is not an account URL of this server");
    let id = state.urls().account_of(kid).ok_or_else(unknown)?;
    state.desk().get::<Account>(id).await?.ok_or_else(unknown)
}

/// RFC 8555 section 7.3.6: to a deactivated account the server "MUST return an error response with status code 401 (Unauthorized)
/// and type "urn:ietf:params:acme:error:unauthorized"".
pub fn require_valid(account: &Account) -> Result<(), Problem> {
    match account.status {
        AccountStatus::Valid => Ok(()),
        AccountStatus::Deactivated => Err(Problem::unauthorized("the account is deactivated").with_status(401)),
    }
}
