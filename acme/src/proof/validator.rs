//! Runs one challenge: picks the check, bounds its time, names its failure.
//!
//! | what happened | error type |
//! |---|---|
//! | the name has no address or no TXT record; a resolver failed | `dns` |
//! | no connection, a forbidden address or port, too many redirects, no HTTP, too slow | `connection` |
//! | a redirect to HTTPS whose handshake fails | `tls` |
//! | the host answered, but not with 200 | `unauthorized` |
//! | the answer or record is there and is not this account's key authorization | `incorrectResponse` |
//!
//! One attempt per request of the client: a client knows when its answer is in place, and asks again with a new order.
//! Trusted for: saying that a name is controlled. Whoever controls the resolvers or the path to the host can make it say so.

use std::sync::Arc;

use super::dns01;
use super::http01::Http01;
use super::reach::Reach;
use super::resolve::{Resolver, ResolverError};
use crate::config::AcmeConfig;
use crate::limits::VALIDATION_TIMEOUT;
use crate::objects::{ChallengeKind, Identifier};
use crate::wire::{ErrorKind, Problem};

/// The checks of this server.
pub struct Validator {
    resolver: Arc<Resolver>,
    http01: Http01,
}

/// The validator could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum ValidatorError {
    /// No resolver.
    #[error(transparent)]
    Resolver(#[from] ResolverError),
    /// No TLS client for redirects.
    #[error("the TLS client for http-01 redirects cannot be set up")]
    Tls(#[from] rustls::Error),
}

impl Validator {
    /// As configured.
    pub fn new(config: &AcmeConfig) -> Result<Self, ValidatorError> {
        let resolver = Arc::new(Resolver::new(&config.resolvers, config.hosts_file.clone())?);
        let reach = Reach::new(config.allow_networks.clone());
        let http01 = Http01::new(Arc::clone(&resolver), reach, config.http01_port, config.tls_alpn01_port)?;
        Ok(Self { resolver, http01 })
    }

    /// The resolver, for CAA.
    pub fn resolver(&self) -> &Resolver {
        &self.resolver
    }

    /// Whether the identifier's holder answers this challenge.
    pub async fn check(
        &self,
        kind: ChallengeKind,
        identifier: &Identifier,
        token: &str,
        thumbprint: &str,
    ) -> Result<(), Problem> {
        // RFC 8555 section 8.1: keyAuthorization = token || '.' || base64url(Thumbprint(accountKey))
        let key_authorization = format!("{token}.{thumbprint}");
        let work = async {
            match (kind, identifier) {
                (ChallengeKind::Http01, identifier) if identifier.is_wildcard() => {
                    Err(Problem::malformed("a wildcard is not proven by http-01"))
                }
                (ChallengeKind::Http01, identifier) => self.http01.check(identifier, token, &key_authorization).await,
                (ChallengeKind::Dns01, Identifier::Dns(name)) => {
                    dns01::check(&self.resolver, name, &key_authorization).await
                }
                (ChallengeKind::Dns01, Identifier::Ip(_)) => {
                    Err(Problem::malformed("an address is not proven by dns-01"))
                }
            }
        };
        match tokio::time::timeout(VALIDATION_TIMEOUT, work).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Problem::new(
                ErrorKind::Connection,
                format!("{} of {identifier} took longer than {} s", kind.as_str(), VALIDATION_TIMEOUT.as_secs()),
            )),
        }
    }
}
