//! CSR intake: from bytes of a stranger to a key whose possession is proven, and the names they would like.
//!
//! Only three things of a PKCS#10 request (RFC 2986) reach a certificate: the public key, and, where the request itself
//! names nothing else, the names of its subjectAltName or common name. The attributes are read in [`attributes`](super::attributes),
//! the extensions in [`extensions`](super::extensions).
//!
//! Answers the threats of a certificate for a key that its requester does not hold, of weak keys, and of parsers that
//! panic: every access is by parser, none by index.

use std::sync::Arc;

use der::asn1::BitStringRef;
use der::{AnyRef, Decode, Tag, TagNumber};
use hsm::KeyKind;
use policy::Name;
use spki::ObjectIdentifier;
use x509_cert::name::RdnSequence;

use crate::encode::dn::{check_shape, text_of};
use crate::encode::spki::Algorithm;
use crate::encode::{pem, tlv};
use crate::intake::asked::{CsrError, refused, unreadable};
use crate::intake::attributes;
use crate::intake::proof;
use crate::intake::subject_key::SubjectKey;
use crate::intake::weigh::weigh;

/// A certificate request whose sender proved possession of a strong enough key.
#[derive(Clone, Debug)]
pub struct Csr {
    /// Sorted, each once.
    alternative_names: Vec<Name>,
    /// The common name as a name, where there is no alternative one.
    fallback: Option<Name>,
    common_name: Option<String>,
    organizations: Vec<String>,
    /// Why the common name is no name, where nothing else is one.
    unnamed: Option<String>,
    left_out: Vec<String>,
    key: SubjectKey,
    der: Arc<[u8]>,
}

impl Csr {
    /// Reads a PEM or DER PKCS#10 request that a stranger sent, beside the threads that answer others.
    pub async fn receive(bytes: Vec<u8>) -> Result<Csr, CsrError> {
        weigh(bytes.len(), move || Csr::parse(&bytes)).await
    }

    /// Reads a PEM or DER PKCS#10 request.
    pub fn parse(bytes: &[u8]) -> Result<Csr, CsrError> {
        if bytes.len() > MAX_BYTES {
            return Err(refused(format!("it is larger than {MAX_BYTES} bytes")));
        }
        match bytes.first() {
            None => Err(refused("it is empty")),
            Some(0x30) => Csr::from_der(bytes),
            Some(_) if pem::blocks(bytes, &PEM_LABELS) > 1 => {
                Err(refused("it holds more than one request: send each on its own"))
            }
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
        let organizations = texts(info.subject, ORGANIZATION)?;
        let mut asked = info.attributes.map(attributes::read).transpose()?.unwrap_or_default();
        asked.names.sort();
        asked.names.dedup();
        let title = common_name.as_deref().filter(|_| asked.names.is_empty()).map(Name::parse);
        let (fallback, unnamed) = match title {
            Some(Ok(name)) => (Some(name), None),
            Some(Err(e)) => (None, Some(format!("it has no subjectAltName, and its common name is no name: {e}"))),
            None if asked.names.is_empty() => (None, Some("it has no subjectAltName and no common name".to_owned())),
            None => (None, None),
        };
        let (alternative_names, left_out) = (asked.names, asked.left_out);
        Ok(Csr { alternative_names, fallback, common_name, organizations, unnamed, left_out, key, der: der.into() })
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

    /// The subject's organizations, in their order; certified only where a profile lists them.
    pub fn organizations(&self) -> &[String] {
        &self.organizations
    }

    /// Why it names nothing that could be certified; `None` where it does.
    pub fn unnamed(&self) -> Option<&str> {
        self.unnamed.as_deref()
    }

    /// What it asks for and does not get, each by its name: extensions that programs send by habit.
    pub fn left_out(&self) -> &[String] {
        &self.left_out
    }

    /// As it was sent, DER.
    pub fn der(&self) -> &[u8] {
        &self.der
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
pub(super) fn prove_possession(request: &Request<'_>, key: &SubjectKey) -> Result<(), CsrError> {
    let scheme = proof::scheme(key.kind(), &request.algorithm)?;
    let bits = key.public_bits().ok_or_else(|| refused("a public key of odd bits"))?;
    let signature = request.signature.as_bytes().ok_or_else(|| refused("a signature of odd bits"))?;
    hsm::verify_as(scheme, key.kind(), &bits, request.info, signature)
        .map_err(|_| refused("its signature does not verify: the sender has not proven possession of the key"))
}

fn common_name(subject: &[u8]) -> Result<Option<String>, CsrError> {
    let name = RdnSequence::from_der(subject).map_err(unreadable("subject"))?;
    let mut found = name.iter().flat_map(|rdn| rdn.iter()).filter(|a| a.oid == COMMON_NAME);
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(text_of(&one.value)),
        _ => Ok(None),
    }
}

/// The texts of the attributes of one kind.
fn texts(subject: &[u8], kind: ObjectIdentifier) -> Result<Vec<String>, CsrError> {
    let name = RdnSequence::from_der(subject).map_err(unreadable("subject"))?;
    let found = name.iter().flat_map(|rdn| rdn.iter()).filter(|a| a.oid == kind);
    Ok(found.filter_map(|attribute| text_of(&attribute.value)).collect())
}

/// `CertificationRequest`, its signed part raw.
pub(super) struct Request<'a> {
    pub(super) info: &'a [u8],
    algorithm: Algorithm<'a>,
    signature: BitStringRef<'a>,
}

impl<'a> Request<'a> {
    pub(super) fn read(der: &'a [u8]) -> Result<Request<'a>, CsrError> {
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
pub(super) struct Info<'a> {
    pub(super) subject: &'a [u8],
    pub(super) spki: &'a [u8],
    pub(super) attributes: Option<&'a [u8]>,
}

impl<'a> Info<'a> {
    pub(super) fn read(der: &'a [u8]) -> Result<Info<'a>, CsrError> {
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
        let implicit_set = Tag::ContextSpecific { constructed: true, number: TagNumber(0) };
        match attributes {
            Some(other) if other.header().tag() != implicit_set => Err(refused("its attributes are not tagged [0]")),
            Some(_) | None => Ok(Info { subject, spki, attributes: attributes.map(|a| a.value()) }),
        }
    }
}

/// RFC 7468 section 7, and what old programs write.
pub(super) const PEM_LABELS: [&str; 2] = ["CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"];
/// A hundred names and an RSA-4096 key fit into half of it.
pub(super) const MAX_BYTES: usize = 16 * 1024;

const ORGANIZATION: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.10");
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
