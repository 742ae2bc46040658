//! The chain that a host serves: a handshake that takes whatever comes and says what it was.
//!
//! Never sends anything inside TLS, and trusts nothing. Whether the chain leads to roots is asked afterwards, of webpki.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use policy::Timestamp;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::starttls::{self, Protocol};
use super::unreached;
use crate::failure::{Exit, Failure, OrFail};
use crate::reading::{self, Described};

/// What is asked.
pub struct Wish {
    pub host: String,
    pub port: u16,
    /// The name in the handshake, where it is not the host's.
    pub name: Option<String>,
    pub starttls: Option<Protocol>,
    /// Where this authority's roots come from, and they.
    pub roots: Option<(String, Vec<CertificateDer<'static>>)>,
}

/// Connects, shakes hands, describes.
pub async fn look(wish: Wish, now: Timestamp) -> Result<Described, Failure> {
    let asked = wish.name.clone().unwrap_or_else(|| wish.host.clone());
    let name = ServerName::try_from(asked.clone())
        .or_fail(format!("{asked} is no name of a host"))
        .map_err(|failure| failure.help("--servername NAME is what the host is asked for"))?;
    let seen = Arc::new(Witness::new());
    let within = tokio::time::timeout(TIMEOUT, shake(&wish, name.clone(), Arc::clone(&seen))).await;
    let done = match within {
        Ok(done) => done,
        Err(_) => Err(std::io::Error::new(std::io::ErrorKind::TimedOut, "it does not answer")),
    };
    let told = seen.told();
    let mut shown = Described::new("served-chain");
    shown.fact("address", format!("{}:{}", wish.host, wish.port));
    shown.fact("asked_for", asked);
    match done {
        Ok(facts) => facts.into_iter().for_each(|(name, value)| shown.fact(name, value)),
        // It may have shown its chain before it hung up: for want of a client certificate, say.
        Err(error) if told.is_some() => shown.fact("handshake", format!("FAILED: {error}")),
        Err(error) => return Err(unreached(&wish.host, wish.port).because(&error).help(hint(&error))),
    }
    let Some(told) = told else {
        return Err(Failure::new(Exit::Failed, "the host showed no certificate"));
    };
    if !told.proved {
        shown.fact(
            "proof",
            "the host did NOT prove that it has the key of the first certificate, or in a way unknown here",
        );
    }
    let own = match &wish.roots {
        Some((from, roots)) => format!("{} ({from})", verdict(roots, &told, &name)),
        None => "not asked: neither client.toml nor --cacert names any".to_owned(),
    };
    shown.fact("leads_to_own_roots", own);
    shown.fact("leads_to_system_roots", verdict(&rustls_native_certs::load_native_certs().certs, &told, &name));
    if !told.stapled.is_empty() {
        shown.inner.extend(reading::read(&told.stapled, now).unwrap_or_default());
        shown.fact("stapled", "an OCSP response");
    }
    for (place, certificate) in (1..).zip(told.chain.iter().take(CHAIN_MAX)) {
        let read =
            reading::read(certificate, now).or_fail(format!("certificate {place} of the chain cannot be shown"))?;
        shown.inner.extend(read);
    }
    Ok(shown)
}

/// Whether webpki finds a way from the chain to these roots, for this name, now.
fn verdict(roots: &[CertificateDer<'static>], told: &Told, name: &ServerName<'_>) -> String {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(roots.iter().cloned());
    let Some((first, others)) = told.chain.split_first() else { return "NO".to_owned() };
    let Ok(verifier) = WebPkiServerVerifier::builder(Arc::new(store)).build() else {
        return "there are none".to_owned();
    };
    match verifier.verify_server_cert(first, others, name, &[], UnixTime::now()) {
        Ok(_) => "yes, for this name, now".to_owned(),
        Err(error) => format!("NO: {}", words(&error)),
    }
}

fn words(error: &rustls::Error) -> String {
    use rustls::CertificateError as Bad;
    let rustls::Error::InvalidCertificate(bad) = error else { return error.to_string() };
    match bad {
        Bad::UnknownIssuer => "none of them is above it".to_owned(),
        Bad::NotValidForName | Bad::NotValidForNameContext { .. } => "its names are others".to_owned(),
        Bad::Expired | Bad::ExpiredContext { .. } => "something in the chain has expired".to_owned(),
        Bad::NotValidYet | Bad::NotValidYetContext { .. } => "something in the chain does not hold yet".to_owned(),
        Bad::BadSignature => "a signature in it does not hold".to_owned(),
        Bad::InvalidPurpose | Bad::InvalidPurposeContext { .. } => "it is not for TLS servers".to_owned(),
        other => other.to_string(),
    }
}

fn hint(error: &std::io::Error) -> &'static str {
    match error.get_ref().and_then(|inner| inner.downcast_ref()) {
        Some(rustls::Error::InvalidMessage(_)) => "this port speaks no TLS at first: --starttls, or another port",
        _ => "is that the host and the port of a server with TLS?",
    }
}

async fn shake(
    wish: &Wish,
    name: ServerName<'static>,
    seen: Arc<Witness>,
) -> std::io::Result<Vec<(&'static str, String)>> {
    let mut stream = TcpStream::connect((wish.host.as_str(), wish.port)).await?;
    if let Some(protocol) = wish.starttls {
        starttls::ask(&mut stream, protocol).await?;
    }
    let mut config = ClientConfig::builder().dangerous().with_custom_certificate_verifier(seen).with_no_client_auth();
    if wish.starttls.is_none() {
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    }
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    let (_, session) = stream.get_ref();
    let mut facts = Vec::new();
    if let Some(version) = session.protocol_version() {
        facts.push(("tls", format!("{version:?}").replace("TLSv1_", "1.")));
    }
    if let Some(suite) = session.negotiated_cipher_suite() {
        facts.push(("cipher", format!("{:?}", suite.suite())));
    }
    if let Some(group) = session.negotiated_key_exchange_group() {
        facts.push(("key_exchange", format!("{:?}", group.name())));
    }
    let alpn = session.alpn_protocol().map(|alpn| String::from_utf8_lossy(alpn).into_owned());
    facts.push(("alpn", alpn.unwrap_or_else(|| "none of h2, http/1.1".to_owned())));
    Ok(facts)
}

/// Takes every certificate, and remembers what it was shown.
#[derive(Debug)]
struct Witness {
    provider: Arc<CryptoProvider>,
    told: Mutex<Option<Told>>,
}

#[derive(Clone, Debug)]
struct Told {
    chain: Vec<CertificateDer<'static>>,
    stapled: Vec<u8>,
    /// Whether the handshake was signed with the first certificate's key.
    proved: bool,
}

impl Witness {
    fn new() -> Self {
        Self { provider: Arc::new(rustls::crypto::ring::default_provider()), told: Mutex::new(None) }
    }

    fn told(&self) -> Option<Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What the signature of the handshake proves is noted, and not asked for.
    fn note(&self, valid: bool) -> Result<HandshakeSignatureValid, rustls::Error> {
        if let Some(told) = self.told.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            told.proved = valid;
        }
        Ok(HandshakeSignatureValid::assertion())
    }
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        first: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        stapled: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let chain = std::iter::once(first).chain(others).map(|one| one.clone().into_owned()).collect();
        let told = Told { chain, stapled: stapled.to_vec(), proved: false };
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = Some(told);
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        self.note(verify_tls12_signature(message, certificate, signed, algorithms).is_ok())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        self.note(verify_tls13_signature(message, certificate, signed, algorithms).is_ok())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// From the first packet to the end of the handshake.
const TIMEOUT: Duration = Duration::from_secs(15);
/// Certificates that are shown.
const CHAIN_MAX: usize = 20;
