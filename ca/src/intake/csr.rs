//! CSR intake: from bytes of a stranger to a key whose possession is proven, and the names they would like.
//!
//! Only three things of a PKCS#10 request (RFC 2986) reach a certificate: the public key, and, where the request itself
//! names nothing else, the names of its subjectAltName or common name. Extensions that OpenSSL's users send by habit (key usage,
//! EKU, basic constraints, SKI) are read and set aside, because the profile decides those; an extension we do not know
//! is refused by name, so that nobody believes it was granted. Attributes other than the extension request, such as a
//! challenge password, have no bearing on a certificate and are ignored.
//!
//! Answers the threats of a certificate for a key that its requester does not hold, of weak keys, and of parsers that
//! panic: every access is by parser, none by index.

use der::asn1::BitStringRef;
use der::{AnyRef, Decode, Sequence};
use hsm::KeyKind;
use policy::{MAX_NAMES, Name};
use ring::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use spki::ObjectIdentifier;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAltName, SubjectKeyIdentifier};
use x509_cert::name::RdnSequence;

use crate::encode::dn::{check_shape, text_of};
use crate::encode::spki::Algorithm;
use crate::encode::{pem, san, tlv};
use crate::intake::subject_key::SubjectKey;

/// A certificate request whose sender proved possession of a strong enough key.
#[derive(Clone, Debug)]
pub struct Csr {
    /// Sorted, each once.
    alternative_names: Vec<Name>,
    /// The common name as a name, where there is no alternative one.
    fallback: Option<Name>,
    common_name: Option<String>,
    key: SubjectKey,
}

/// Why a CSR is refused, as a sentence for its sender.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub struct CsrError(String);

impl Csr {
    /// Reads a PEM or DER PKCS#10 request.
    pub fn parse(bytes: &[u8]) -> Result<Csr, CsrError> {
        if bytes.len() > MAX_BYTES {
            return Err(refused(format!("it is larger than {MAX_BYTES} bytes")));
        }
        match bytes.first() {
            None => Err(refused("it is empty")),
            Some(0x30) => Csr::from_der(bytes),
            Some(_) => Csr::from_der(&pem::decode(bytes, &PEM_LABELS).map_err(refused)?),
        }
    }

    fn from_der(der: &[u8]) -> Result<Csr, CsrError> {
        let request = Request::read(der)?;
        let info = Info::read(request.info)?;
        check_shape(info.subject).map_err(|e| refused(format!("subject: {e}")))?;
        let key = SubjectKey::from_spki(info.spki).map_err(|e| refused(e.to_string()))?;
        prove_possession(&request, &key)?;
        let common_name = common_name(info.subject)?;
        let mut names = match info.attributes {
            Some(attributes) => requested_names(attributes)?,
            None => Vec::new(),
        };
        names.sort();
        names.dedup();
        let fallback = match names.is_empty() {
            true => common_name.as_deref().and_then(|cn| Name::parse(cn).ok()),
            false => None,
        };
        Ok(Csr { alternative_names: names, fallback, common_name, key })
    }

    /// The names it asks for: its SAN, or, without one, its common name if that is a name. Sorted, each once.
    pub fn names(&self) -> &[Name] {
        match &self.fallback {
            Some(name) => std::slice::from_ref(name),
            None => &self.alternative_names,
        }
    }

    /// The names of its SAN alone. Sorted, each once.
    pub fn alternative_names(&self) -> &[Name] {
        &self.alternative_names
    }

    /// The subject's common name, if there is exactly one; never certified as it stands.
    pub fn common_name(&self) -> Option<&str> {
        self.common_name.as_deref()
    }

    /// The SubjectPublicKeyInfo, DER.
    pub fn spki_der(&self) -> &[u8] {
        self.key.spki_der()
    }

    /// What the key is.
    pub fn key_kind(&self) -> KeyKind {
        self.key.kind()
    }

    /// SHA-256 of the SubjectPublicKeyInfo.
    pub fn key_hash(&self) -> [u8; 32] {
        self.key.hash()
    }

    pub(crate) fn into_key(self) -> SubjectKey {
        self.key
    }
}

/// RFC 2986 section 4.2: the signature is over the info "DER encoded", which is the bytes as they came.
fn prove_possession(request: &Request<'_>, key: &SubjectKey) -> Result<(), CsrError> {
    let algorithm = verifier(key.kind(), request.algorithm.oid)?;
    let bits = key.public_bits().ok_or_else(|| refused("a public key of odd bits"))?;
    let signature = request.signature.as_bytes().ok_or_else(|| refused("a signature of odd bits"))?;
    UnparsedPublicKey::new(algorithm, bits)
        .verify(request.info, signature)
        .map_err(|_| refused("its signature does not verify: the sender has not proven possession of the key"))
}

fn verifier(kind: KeyKind, oid: ObjectIdentifier) -> Result<&'static dyn VerificationAlgorithm, CsrError> {
    let algorithm: Option<&'static dyn VerificationAlgorithm> = match kind {
        KeyKind::P256 if oid == ECDSA_SHA256 => Some(&signature::ECDSA_P256_SHA256_ASN1),
        KeyKind::P256 if oid == ECDSA_SHA384 => Some(&signature::ECDSA_P256_SHA384_ASN1),
        // A P-384 key that signed with SHA-256: other encoders fail on it (rcgen#448); OpenSSL makes it by default.
        KeyKind::P384 if oid == ECDSA_SHA256 => Some(&signature::ECDSA_P384_SHA256_ASN1),
        KeyKind::P384 if oid == ECDSA_SHA384 => Some(&signature::ECDSA_P384_SHA384_ASN1),
        KeyKind::Rsa2048 | KeyKind::Rsa3072 | KeyKind::Rsa4096 if oid == RSA_SHA256 => {
            Some(&signature::RSA_PKCS1_2048_8192_SHA256)
        }
        KeyKind::Rsa2048 | KeyKind::Rsa3072 | KeyKind::Rsa4096 if oid == RSA_SHA384 => {
            Some(&signature::RSA_PKCS1_2048_8192_SHA384)
        }
        KeyKind::Rsa2048 | KeyKind::Rsa3072 | KeyKind::Rsa4096 if oid == RSA_SHA512 => {
            Some(&signature::RSA_PKCS1_2048_8192_SHA512)
        }
        KeyKind::Ed25519 if oid == ED25519 => Some(&signature::ED25519),
        KeyKind::P256 | KeyKind::P384 | KeyKind::Rsa2048 | KeyKind::Rsa3072 | KeyKind::Rsa4096 | KeyKind::Ed25519 => {
            None
        }
    };
    algorithm.ok_or_else(|| {
        refused(format!(
            "its signature algorithm {oid} is not accepted for a {kind} key; sign the request with SHA-256 (ECDSA or RSA \
             PKCS#1) or Ed25519"
        ))
    })
}

fn common_name(subject: &[u8]) -> Result<Option<String>, CsrError> {
    let name = RdnSequence::from_der(subject).map_err(unreadable("subject"))?;
    let mut found = name.iter().flat_map(|rdn| rdn.iter()).filter(|a| a.oid == COMMON_NAME);
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(text_of(&one.value)),
        _ => Ok(None),
    }
}

/// The names of the extension request, if there is one.
fn requested_names(attributes: &[u8]) -> Result<Vec<Name>, CsrError> {
    let mut requests = Vec::new();
    for attribute in tlv::elements(attributes).map_err(unreadable("attributes"))? {
        let attribute = Attribute::from_der(attribute).map_err(unreadable("attributes"))?;
        if attribute.oid == EXTENSION_REQUEST {
            requests.extend(tlv::elements(attribute.values.value()).map_err(unreadable("extension request"))?);
        }
    }
    match requests.as_slice() {
        [] => Ok(Vec::new()),
        [one] => names_of_extensions(&Vec::<Extension>::from_der(one).map_err(unreadable("extension request"))?),
        _ => Err(refused("more than one extension request")),
    }
}

fn names_of_extensions(extensions: &[Extension]) -> Result<Vec<Name>, CsrError> {
    let mut names = Vec::new();
    for (i, extension) in extensions.iter().enumerate() {
        if extensions.iter().take(i).any(|earlier| earlier.extn_id == extension.extn_id) {
            return Err(refused(format!("extension {} stands in it twice", extension_name(extension.extn_id))));
        }
        let value = extension.extn_value.as_bytes();
        match extension.extn_id {
            SUBJECT_ALT_NAME => names = alternative_names(value)?,
            KEY_USAGE => check_key_usage(value)?,
            EXTENDED_KEY_USAGE => check_extended_key_usage(value)?,
            BASIC_CONSTRAINTS => check_basic_constraints(value)?,
            SUBJECT_KEY_ID => {
                SubjectKeyIdentifier::from_der(value).map_err(unreadable("subjectKeyIdentifier"))?;
            }
            other => {
                return Err(refused(format!(
                    "it asks for extension {}, which is not granted here; accepted are subjectAltName, and, set by the profile, \
                     keyUsage, extendedKeyUsage, basicConstraints, subjectKeyIdentifier",
                    extension_name(other)
                )));
            }
        }
    }
    Ok(names)
}

fn alternative_names(value: &[u8]) -> Result<Vec<Name>, CsrError> {
    let SubjectAltName(general) = SubjectAltName::from_der(value).map_err(unreadable("subjectAltName"))?;
    match general.len() {
        0 => Err(refused("its subjectAltName is empty")),
        1..=MAX_NAMES => general
            .iter()
            .map(san::decode)
            .collect::<Result<_, _>>()
            .map_err(|e| refused(format!("subjectAltName: {e}"))),
        many => Err(refused(format!("it asks for {many} names; {MAX_NAMES} is the most"))),
    }
}

fn check_key_usage(value: &[u8]) -> Result<(), CsrError> {
    let usage = KeyUsage::from_der(value).map_err(unreadable("keyUsage"))?;
    match usage.key_cert_sign() || usage.crl_sign() {
        true => Err(refused("it asks for the key usage of a CA (keyCertSign or cRLSign)")),
        false => Ok(()),
    }
}

/// An empty EKU made another CA panic (CVE-2026-40097); RFC 5280 section 4.2.1.12 has SIZE (1..MAX).
fn check_extended_key_usage(value: &[u8]) -> Result<(), CsrError> {
    let ExtendedKeyUsage(purposes) = ExtendedKeyUsage::from_der(value).map_err(unreadable("extendedKeyUsage"))?;
    match purposes.is_empty() {
        true => Err(refused("its extendedKeyUsage is empty")),
        false => Ok(()),
    }
}

fn check_basic_constraints(value: &[u8]) -> Result<(), CsrError> {
    let constraints = BasicConstraints::from_der(value).map_err(unreadable("basicConstraints"))?;
    match constraints.ca {
        true => Err(refused("it asks to be a CA (basicConstraints CA:TRUE)")),
        false => Ok(()),
    }
}

/// `CertificationRequest`, its signed part raw.
struct Request<'a> {
    info: &'a [u8],
    algorithm: Algorithm<'a>,
    signature: BitStringRef<'a>,
}

impl<'a> Request<'a> {
    fn read(der: &'a [u8]) -> Result<Request<'a>, CsrError> {
        let parts = tlv::parts_of_sequence(der).map_err(unreadable("outer structure"))?;
        let [info, algorithm, signature] = parts.as_slice() else {
            return Err(refused("it is not a certificate request: three parts expected"));
        };
        Ok(Request {
            info,
            algorithm: Algorithm::from_der(algorithm).map_err(unreadable("signature algorithm"))?,
            signature: BitStringRef::from_der(signature).map_err(unreadable("signature"))?,
        })
    }
}

/// `CertificationRequestInfo`, its parts raw.
struct Info<'a> {
    subject: &'a [u8],
    spki: &'a [u8],
    attributes: Option<&'a [u8]>,
}

impl<'a> Info<'a> {
    fn read(der: &'a [u8]) -> Result<Info<'a>, CsrError> {
        let parts = tlv::parts_of_sequence(der).map_err(unreadable("info"))?;
        let (version, subject, spki, attributes) = match parts.as_slice() {
            [version, subject, spki] => (version, subject, spki, None),
            [version, subject, spki, attributes] => (version, subject, spki, Some(*attributes)),
            _ => return Err(refused("it is not a certificate request: its info has the wrong number of parts")),
        };
        // RFC 2986 section 4.1: "version ... shall be 0 for this version of the standard."
        if *version != [0x02, 0x01, 0x00] {
            return Err(refused("its version is not 0"));
        }
        let attributes = attributes.map(AnyRef::from_der).transpose().map_err(unreadable("attributes"))?;
        Ok(Info { subject, spki, attributes: attributes.map(|a| a.value()) })
    }
}

#[derive(Sequence)]
struct Attribute<'a> {
    oid: ObjectIdentifier,
    values: AnyRef<'a>,
}

fn extension_name(oid: ObjectIdentifier) -> String {
    match const_oid::db::DB.by_oid(&oid) {
        Some(name) => format!("{name} ({oid})"),
        None => oid.to_string(),
    }
}

fn refused(why: impl Into<String>) -> CsrError {
    CsrError(why.into())
}

fn unreadable(what: &'static str) -> impl Fn(der::Error) -> CsrError {
    move |e| CsrError(format!("its {what} cannot be read: {e}"))
}

/// RFC 7468 section 7, and what old programs write.
const PEM_LABELS: [&str; 2] = ["CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"];
/// A hundred names and an RSA-4096 key fit into half of it.
const MAX_BYTES: usize = 16 * 1024;

const EXTENSION_REQUEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.14");
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
const SUBJECT_ALT_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");
const KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.15");
const EXTENDED_KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37");
const BASIC_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");
const SUBJECT_KEY_ID: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.14");

const ECDSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const ECDSA_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");
const RSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");
const RSA_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.12");
const RSA_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.13");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
