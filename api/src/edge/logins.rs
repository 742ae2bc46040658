//! Under which CAs a client certificate is believed: those of the issuer of logins, as they are now. It is the trust anchor itself, so
//! that no other CA of ours can make a login.
//!
//! A generation that is made, revoked or retired while the service runs counts from the next handshake on. Trusted for: nothing but
//! that; whether the certificate itself is revoked is asked with each request.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ca::Authority;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme};

/// Judges client certificates.
pub(super) struct Logins {
    authority: Authority,
    provider: Arc<CryptoProvider>,
    /// Every generation of an issuer has the same subject.
    hints: Vec<DistinguishedName>,
    known: Mutex<(u64, Arc<dyn ClientCertVerifier>)>,
}

impl std::fmt::Debug for Logins {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Logins")
    }
}

impl Logins {
    /// By the issuers in force.
    pub(super) fn new(authority: Authority, provider: Arc<CryptoProvider>) -> Result<Self, String> {
        let version = authority.issuers_version();
        let first = verifier(&authority, &provider)?;
        // One that asks for no certificate has none, and may not be asked.
        let hints = if first.offer_client_auth() { first.root_hint_subjects().to_vec() } else { Vec::new() };
        Ok(Self { authority, provider, hints, known: Mutex::new((version, first)) })
    }

    /// The verifier for the issuers as they are now.
    fn present(&self) -> Arc<dyn ClientCertVerifier> {
        let version = self.authority.issuers_version();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.0 != version {
            match verifier(&self.authority, &self.provider) {
                Ok(fresh) => *known = (version, fresh),
                // None of them is any good: nobody logs in by a certificate.
                Err(why) => {
                    tracing::warn!(%why, "no client certificate is believed");
                    *known = (version, WebPkiClientVerifier::no_client_auth());
                }
            }
        }
        Arc::clone(&known.1)
    }
}

fn verifier(authority: &Authority, provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ClientCertVerifier>, String> {
    let mut roots = RootCertStore::empty();
    for anchor in authority.login_anchors() {
        roots.add(CertificateDer::from(anchor.to_vec())).map_err(|error| error.to_string())?;
    }
    if roots.is_empty() {
        return Ok(WebPkiClientVerifier::no_client_auth());
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    builder.allow_unauthenticated().build().map_err(|error| error.to_string())
}

impl ClientCertVerifier for Logins {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _system: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        // Ended or not by the same time by which the register judges it afterwards, not by a clock that is not believed.
        let secs = u64::try_from(self.authority.ledger().believed_time().unix()).unwrap_or_default();
        let (present, now) = (self.present(), UnixTime::since_unix_epoch(Duration::from_secs(secs)));
        match present.offer_client_auth() {
            true => present.verify_client_cert(end_entity, intermediates, now),
            false => Err(Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer)),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
