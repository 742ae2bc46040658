//! Looks whether the service serves the new certificate: a TLS handshake, and the SHA-256 of the leaf it shows.
//!
//! The chain is not judged here (`source/verify.rs` did that before it was installed): the one question is whether the
//! service runs on *this* certificate, with its key; the handshake's signature proves the key. Reloads are
//! asynchronous, so the question is asked again until the timeout.

use std::sync::Arc;
use std::time::Duration;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_rustls::TlsConnector;

use crate::credential::{Leaf, sha256};
use crate::error::AgentError;
use crate::plan::Check;

/// Waits until the service serves `leaf`, or says what it serves instead.
pub(crate) async fn served(check: &Check, leaf: &Leaf) -> Result<(), AgentError> {
    let config = Arc::new(config().map_err(|e| AgentError::Check(e.to_string()))?);
    let deadline = Instant::now() + check.timeout;
    loop {
        let seen = timeout_at(deadline, look(check, Arc::clone(&config))).await;
        let why = match seen {
            Ok(Ok(seen)) if seen == leaf.fingerprint => return Ok(()),
            Ok(Ok(_)) => "another certificate is served".to_owned(),
            Ok(Err(why)) => why,
            Err(_) => "no TLS handshake in time".to_owned(),
        };
        if Instant::now() + PAUSE >= deadline {
            let secs = check.timeout.as_secs();
            return Err(AgentError::Check(format!("{} after {secs} s: {why}", check.connect)));
        }
        sleep(PAUSE).await;
    }
}

/// One handshake; the SHA-256 of the leaf that was shown.
async fn look(check: &Check, config: Arc<ClientConfig>) -> Result<[u8; 32], String> {
    let tcp = TcpStream::connect(&check.connect).await.map_err(|e| format!("no connection: {e}"))?;
    let tls = TlsConnector::from(config)
        .connect(check.server_name.clone(), tcp)
        .await
        .map_err(|e| format!("no TLS handshake: {e}"))?;
    let (_, session) = tls.get_ref();
    session
        .peer_certificates()
        .and_then(|chain| chain.first())
        .map(|der| sha256(der))
        .ok_or_else(|| "no certificate was shown".to_owned())
}

fn config() -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(tls::provider());
    let seen = Seen(provider.signature_verification_algorithms);
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(seen))
        .with_no_client_auth();
    // A resumed session would show the certificate of an older handshake.
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// Takes every certificate, as it is compared afterwards, but insists that the server has its key.
#[derive(Debug)]
struct Seen(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for Seen {
    fn verify_server_cert(
        &self,
        _leaf: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, leaf, signed, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, leaf, signed, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(100);
