//! What was fetched: a chain and the key made for it, read from bytes alone. What a server says *about* a
//! certificate is never believed; only the certificate is.

use std::collections::BTreeSet;
use std::net::IpAddr;

use policy::{Name, Secret, Timestamp};
use rcgen::{KeyPair, PublicKeyData};
use ring::digest::{SHA256, digest};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::{Deserialize, Serialize, Serializer};
use x509_parser::prelude::{FromDer, GeneralName, SubjectPublicKeyInfo, X509Certificate};

use super::keys::KeyKind;

/// A key and its certificate chain, leaf first.
#[derive(Serialize, Deserialize)]
pub(crate) struct Bundle {
    #[serde(serialize_with = "exposed")]
    key: Secret<String>,
    chain: Vec<String>,
}

impl Bundle {
    /// The key and what a server answered; the text may hold nothing but certificates.
    pub fn new(key: Secret<String>, pem: &str) -> Result<Self, String> {
        let ders = certificates(pem.as_bytes())?;
        let chain = ders.iter().map(|der| encode(der)).collect::<Result<_, _>>()?;
        Ok(Self { key, chain })
    }

    pub fn key_pem(&self) -> &str {
        self.key.expose()
    }

    /// The leaf alone.
    pub fn cert_pem(&self) -> String {
        self.chain.first().cloned().unwrap_or_default()
    }

    /// What stands between leaf and root.
    pub fn chain_pem(&self) -> String {
        self.chain.get(1..).unwrap_or_default().concat()
    }

    /// Leaf and intermediates.
    pub fn fullchain_pem(&self) -> String {
        self.chain.concat()
    }

    pub fn leaf(&self) -> Result<Leaf, String> {
        Leaf::first_of(self.cert_pem().as_bytes())
    }

    pub fn ders(&self) -> Result<Vec<CertificateDer<'static>>, String> {
        certificates(self.fullchain_pem().as_bytes())
    }
}

/// The facts of one certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Leaf {
    /// Hex, as Chancery writes serials.
    pub serial: String,
    /// SHA-256 of the DER.
    pub fingerprint: [u8; 32],
    pub names: BTreeSet<Name>,
    pub not_before: Timestamp,
    /// Inclusive (RFC 5280 section 4.1.2.5).
    pub not_after: Timestamp,
    spki: Vec<u8>,
    /// All of it.
    pub der: CertificateDer<'static>,
}

impl Leaf {
    /// The first certificate of a PEM text.
    pub fn first_of(pem: &[u8]) -> Result<Self, String> {
        let der = CertificateDer::from_pem_slice(pem).map_err(|e| format!("no certificate: {e}"))?;
        Self::read(&der)
    }

    /// A certificate in DER.
    pub fn read(der: &[u8]) -> Result<Self, String> {
        let (rest, certificate) = X509Certificate::from_der(der).map_err(|e| format!("not a certificate: {e}"))?;
        if !rest.is_empty() {
            return Err("bytes after the certificate".to_owned());
        }
        let names = certificate
            .subject_alternative_name()
            .map_err(|e| format!("subjectAltName: {e}"))?
            .map(|san| san.value.general_names.iter().filter_map(name).collect())
            .unwrap_or_default();
        Ok(Self {
            serial: hex(certificate.raw_serial()),
            fingerprint: sha256(der),
            names,
            not_before: Timestamp::from_unix(certificate.validity().not_before.timestamp()),
            not_after: Timestamp::from_unix(certificate.validity().not_after.timestamp()),
            spki: certificate.public_key().raw.to_vec(),
            der: CertificateDer::from(der.to_vec()),
        })
    }

    pub fn fingerprint_hex(&self) -> String {
        hex(&self.fingerprint)
    }

    pub fn expired(&self, now: Timestamp) -> bool {
        now > self.not_after
    }

    /// What its key is, if it is of a kind that the agent makes.
    pub fn key_kind(&self) -> Option<KeyKind> {
        let (_, spki) = SubjectPublicKeyInfo::from_der(&self.spki).ok()?;
        let curve = spki.algorithm.parameters.as_ref().and_then(|p| p.as_oid().ok()).map(|oid| oid.to_id_string());
        match (spki.algorithm.algorithm.to_id_string().as_str(), curve.as_deref()) {
            ("1.2.840.10045.2.1", Some("1.2.840.10045.3.1.7")) => Some(KeyKind::P256),
            ("1.2.840.10045.2.1", Some("1.3.132.0.34")) => Some(KeyKind::P384),
            ("1.3.101.112", None) => Some(KeyKind::Ed25519),
            _ => None,
        }
    }
}

/// Whether the private key in `pem` belongs to the leaf.
pub(crate) fn key_matches(pem: &str, leaf: &Leaf) -> bool {
    KeyPair::from_pem(pem).is_ok_and(|pair| pair.subject_public_key_info() == leaf.spki)
}

/// All certificates of a PEM text: at least one, at most ten, and nothing else.
fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let ders = CertificateDer::pem_slice_iter(pem)
        .take(CHAIN_MAX + 1)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| format!("not PEM: {e}"))?;
    match ders.len() {
        0 => Err("no certificate in the answer".to_owned()),
        1..=CHAIN_MAX => Ok(ders),
        _ => Err(format!("more than {CHAIN_MAX} certificates in the answer")),
    }
}

fn encode(der: &[u8]) -> Result<String, String> {
    pem_rfc7468::encode_string("CERTIFICATE", pem_rfc7468::LineEnding::LF, der)
        .map_err(|e| format!("cannot be written as PEM: {e}"))
}

/// Names of kinds a host does not ask for are left out: nothing is decided by them.
fn name(general: &GeneralName<'_>) -> Option<Name> {
    match general {
        GeneralName::DNSName(text) => Name::parse(&format!("dns:{text}")).ok(),
        GeneralName::IPAddress(bytes) => address(bytes).map(Name::Ip),
        _ => None,
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
        _ => None,
    }
}

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, bytes).as_ref());
    out
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn exposed<S: Serializer>(key: &Secret<String>, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(key.expose())
}

/// Longest chain taken: leaf, a few intermediates, a cross-signed root.
const CHAIN_MAX: usize = 10;
