//! The server's own TLS: its key lives in this process's memory alone, its certificate comes from our own CA through the
//! same page as everybody's, and it renews itself.
//!
//! The key is made at start and again at each renewal, never written, never exported. The certificate is replaced at two
//! thirds of its life without touching a connection; a failing renewal is tried again with growing pauses and the old
//! certificate stays in use. Session resumption is off: a resumed session would carry a client certificate past its
//! revocation.
//!
//! Trusted for: being this server towards clients. Whoever reads this process's memory can impersonate it until the
//! certificate is revoked or expires, and cannot sign anything as the CA.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use ca::{Authority, CaError, CertifyRequest, Csr, Lifetime, Renewing};
use policy::{Actor, Name, Owner, Timestamp, Validity, World};
use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::sign::any_ecdsa_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, ServerConfig};
use rustls::sign::CertifiedKey;
use store::Issued;
use tokio_util::sync::CancellationToken;
use zeroize::{Zeroize, Zeroizing};

use super::logins::Logins;
use crate::observe::Metrics;
use crate::problem::chain;

/// The profile of the server's certificate.
const PROFILE: &str = "tls-server";
/// First pause after a failed issuance; doubles up to the last.
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_LAST: Duration = Duration::from_secs(60);
/// The first certificate is tried for this often: HTTPS waits no longer than the token is away. What cannot be signed now is refused
/// before anything is written.
const FIRST_AGAIN: Duration = Duration::from_secs(2);
/// The clock is looked at this often at least: a sleep does not notice that the clock was set or the machine slept.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The authority did not issue the server's certificate.
    #[error("the server's own certificate was not issued")]
    NotIssued(#[source] CaError),
    /// rcgen could not make a key or a request.
    #[error("the server's own key could not be made")]
    Key(#[source] rcgen::Error),
    /// rustls refused key, certificate or verifier.
    #[error("rustls refused the server's own configuration: {0}")]
    Refused(String),
}

impl TlsError {
    /// Whether waiting may help.
    fn is_passing(&self) -> bool {
        match self {
            // Its CA ended, which a successor mends, or somebody altered its record, which a backup does: whatever else is served goes
            // on meanwhile.
            Self::NotIssued(
                CaError::Unavailable { .. }
                | CaError::Held { .. }
                | CaError::Unknown { .. }
                | CaError::Conflict(_)
                | CaError::Altered(_),
            ) => true,
            Self::NotIssued(
                CaError::Refused(_)
                | CaError::BadRequest { .. }
                | CaError::NotFound(_)
                | CaError::Lint(_)
                | CaError::Internal(_),
            )
            | Self::Key(_)
            | Self::Refused(_) => false,
        }
    }
}

/// The certificate in use; swapped under running connections.
#[derive(Debug, Default)]
pub(crate) struct Resolver(ArcSwapOption<CertifiedKey>);

impl ResolvesServerCert for Resolver {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.load_full()
    }
}

/// Keeps the server's certificate in its resolver.
pub(crate) struct ServerCertificate {
    authority: Authority,
    world: World,
    names: Vec<Name>,
    owner: Owner,
    provider: Arc<CryptoProvider>,
    resolver: Arc<Resolver>,
    /// The one in use.
    current: ArcSwapOption<Issued>,
}

impl ServerCertificate {
    /// A certificate for these names, not issued yet.
    pub(crate) fn new(authority: Authority, world: World, names: Vec<Name>, owner: Owner) -> Self {
        let provider = Arc::new(::tls::provider());
        Self { authority, world, names, owner, provider, resolver: Arc::default(), current: ArcSwapOption::empty() }
    }

    /// rustls's configuration: TLS 1.2 and 1.3, optional client certificates of our TLS CA, no resumption.
    pub(crate) fn config(&self) -> Result<ServerConfig, TlsError> {
        let refused = |error: &dyn std::fmt::Display| TlsError::Refused(error.to_string());
        let logins = Logins::new(self.authority.clone(), Arc::clone(&self.provider)).map_err(TlsError::Refused)?;
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(|error| refused(&error))?
            .with_client_cert_verifier(Arc::new(logins))
            .with_cert_resolver(Arc::clone(&self.resolver) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(config)
    }

    /// Issues a certificate for a fresh key and puts it in use.
    async fn issue(&self) -> Result<Validity, TlsError> {
        // Every copy that is ours is wiped; ring's own lives as long as the certificate is in use.
        let mut key = KeyPair::generate().map_err(TlsError::Key)?;
        let made = self.issue_for(&key).await;
        key.zeroize();
        made
    }

    async fn issue_for(&self, key: &KeyPair) -> Result<Validity, TlsError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        let request = params.serialize_request(key).map_err(TlsError::Key)?;
        let csr = Csr::parse(request.der()).map_err(|error| TlsError::Refused(error.to_string()))?;
        let wish = CertifyRequest {
            profile: PROFILE.to_owned(),
            owner: self.owner.clone(),
            csr,
            names: Some(self.names.clone()),
            proven: BTreeSet::new(),
            lifetime: Lifetime::ByProfile,
            renew: false,
            replaces: None,
        };
        let issued = self.authority.certify(&Actor::system("server"), wish).await.map_err(TlsError::NotIssued)?;
        let certificates = CertificateDer::pem_slice_iter(self.authority.chain_pem(&issued).as_bytes())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| TlsError::Refused(error.to_string()))?;
        let der = Zeroizing::new(key.serialize_der());
        let private = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(der.as_slice()));
        let signing = any_ecdsa_type(&private).map_err(|error| TlsError::Refused(error.to_string()))?;
        let certified = CertifiedKey::new(certificates, signing);
        certified.keys_match().map_err(|error| TlsError::Refused(error.to_string()))?;
        self.resolver.0.store(Some(Arc::new(certified)));
        let validity = issued.validity;
        self.current.store(Some(Arc::new(issued)));
        validity.ok_or_else(|| TlsError::Refused("the certificate has no validity".to_owned()))
    }

    /// The first certificate: waits while the HSM is away, and says so by `late`; gives up where waiting cannot help.
    pub(crate) async fn first(
        &self,
        shutdown: &CancellationToken,
        late: &CancellationToken,
    ) -> Result<Option<Validity>, TlsError> {
        let mut said = String::new();
        loop {
            match self.issue().await {
                Ok(validity) => return Ok(Some(validity)),
                Err(error) if error.is_passing() => {
                    late.cancel();
                    let cause = chain(&error).to_string();
                    if cause != said {
                        tracing::warn!(cause, "no server certificate yet, trying again");
                        said = cause;
                    }
                }
                Err(error) => return Err(error),
            }
            tokio::select! {
                () = shutdown.cancelled() => return Ok(None),
                () = tokio::time::sleep(FIRST_AGAIN) => {}
            }
        }
    }

    /// Whether it is to be replaced before its time: it or its CA is revoked, which nobody believes who looks, or a drill has it come; or it
    /// begins later than now, as the clock that it was made by was ahead. The last by a clock that is believed alone: one that was set
    /// back would take a certificate away that everybody believes.
    fn is_wanted_back(&self) -> bool {
        let begins =
            self.current.load().as_ref().and_then(|issued| issued.validity).map(|validity| validity.not_before());
        if begins.is_some_and(|begins| self.world.now().elapsed_since(begins).is_none())
            && self.authority.ledger().time_held().is_none()
        {
            return true;
        }
        let renewing = self.current.load().as_ref().and_then(|issued| Renewing::of(issued));
        let renewal = renewing.map(|renewing| self.authority.renewal(&renewing));
        renewal.is_some_and(|renewal| renewal.why.is_some() && renewal.from <= self.world.now())
    }

    /// Replaces the certificate at two thirds of its life, for ever.
    pub(crate) async fn keep_fresh(
        self,
        mut validity: Validity,
        metrics: Arc<Metrics>,
        shutdown: CancellationToken,
        renewed: impl Fn(Validity) + Send,
    ) {
        let mut pause = RETRY_FIRST;
        let mut due = renew_at(validity);
        loop {
            let wait = due_in(due, self.world.now());
            if wait > Duration::ZERO && !self.is_wanted_back() {
                tokio::select! {
                    () = shutdown.cancelled() => return,
                    () = tokio::time::sleep(wait) => continue,
                }
            }
            match self.issue().await {
                Ok(fresh) => {
                    tracing::info!(not_after = %fresh.not_after(), "the server's certificate was renewed");
                    (validity, pause) = (fresh, RETRY_FIRST);
                    renewed(fresh);
                    due = renew_at(validity);
                }
                Err(error) => {
                    metrics.task_failed("server-certificate");
                    tracing::warn!(cause = %chain(&error), until = %validity.not_after(), "the server's certificate was not renewed");
                    tokio::select! {
                        () = shutdown.cancelled() => return,
                        () = tokio::time::sleep(pause) => pause = (pause * 2).min(RETRY_LAST),
                    }
                }
            }
        }
    }
}

/// Two thirds into the validity.
fn renew_at(validity: Validity) -> Timestamp {
    validity.not_before().plus_secs(validity.secs() / 3 * 2)
}

/// How long to sleep before looking at the clock again.
fn due_in(due: Timestamp, now: Timestamp) -> Duration {
    let secs = u64::try_from(due.since(now)).unwrap_or(0);
    Duration::from_secs(secs).min(LOOK_EVERY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_certificate_is_due_at_two_thirds() {
        let validity = Validity::starting(Timestamp::from_unix(1_000), 300);
        assert_eq!(renew_at(validity), Timestamp::from_unix(1_200));
        assert_eq!(due_in(Timestamp::from_unix(1_200), Timestamp::from_unix(1_197)), Duration::from_secs(3));
        assert_eq!(due_in(Timestamp::from_unix(1_200), Timestamp::from_unix(1_201)), Duration::ZERO);
        assert_eq!(due_in(Timestamp::from_unix(i64::MAX), Timestamp::from_unix(0)), LOOK_EVERY);
    }
}
