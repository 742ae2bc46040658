//! A CA's certificate, read once: the facts that an issuance, a chain or a reader of it needs.
//!
//! Subject and key identifier are taken from the certificate's own bytes, never computed, so that an imported CA is treated exactly
//! as one made here.

use std::sync::OnceLock;

use bytes::Bytes;
use const_oid::db::rfc5280;
use der::{Decode, Encode};
use hsm::{Algorithm, Message};
use policy::{Timestamp, Validity};
use spki::ObjectIdentifier;
use x509_cert::ext::pkix::{ExtendedKeyUsage, NameConstraints, SubjectAltName};
use x509_parser::prelude::{FromDer, ParsedExtension, X509Certificate};
use x509_parser::revocation_list::CertificateRevocationList;
use x509_parser::x509::SubjectPublicKeyInfo;

use crate::encode::{Dn, sha256};
use crate::intake::proof;
use crate::lint;

/// The certificate of a CA.
#[derive(Clone, Debug)]
pub(crate) struct CaCertificate {
    /// The operation that made it; none of what came from elsewhere.
    pub(crate) operation: Option<u64>,
    pub(crate) der: Bytes,
    /// SHA-256 of that.
    pub(crate) hash: [u8; 32],
    /// As it stands in the certificate.
    pub(crate) subject: Dn,
    pub(crate) issuer: Dn,
    pub(crate) serial: Vec<u8>,
    pub(crate) key_identifier: Vec<u8>,
    authority_identifier: Option<Vec<u8>>,
    pub(crate) spki: Vec<u8>,
    key_hash: [u8; 32],
    is_root: OnceLock<bool>,
    pub(crate) validity: Validity,
    /// How many CAs may follow below; `None` is no limit.
    pub(crate) path_len: Option<u32>,
    /// Its extended key usages; `None` is for anything.
    pub(crate) purposes: Option<Vec<ObjectIdentifier>>,
    /// Which names what is below it may have.
    pub(crate) constraints: Option<NameConstraints>,
}

impl CaCertificate {
    /// Reads one; in words why it is none.
    pub(crate) fn read(operation: Option<u64>, der: Vec<u8>) -> Result<CaCertificate, String> {
        let (rest, certificate) = X509Certificate::from_der(&der).map_err(|e| format!("is unreadable: {e}"))?;
        if !rest.is_empty() {
            return Err("has bytes after it".to_owned());
        }
        let key_identifier = find(&certificate, |e| match e {
            ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0.to_vec()),
            _ => None,
        });
        let authority_identifier = find(&certificate, |e| match e {
            ParsedExtension::AuthorityKeyIdentifier(aki) => aki.key_identifier.as_ref().map(|id| id.0.to_vec()),
            _ => None,
        });
        let path_len = find(&certificate, |e| match e {
            ParsedExtension::BasicConstraints(constraints) if constraints.ca => Some(constraints.path_len_constraint),
            _ => None,
        });
        let purposes =
            certificate.extensions().iter().find(|e| e.oid.as_bytes() == rfc5280::ID_CE_EXT_KEY_USAGE.as_bytes());
        let purposes = purposes.map(|e| ExtendedKeyUsage::from_der(e.value)).transpose().map_err(|e| e.to_string())?;
        let constraints =
            certificate.extensions().iter().find(|e| e.oid.as_bytes() == rfc5280::ID_CE_NAME_CONSTRAINTS.as_bytes());
        let constraints = constraints.map(|e| NameConstraints::from_der(e.value)).transpose();
        let constraints = constraints.map_err(|e| format!("has name constraints that are none: {e}"))?;
        let dn = |raw: &[u8]| Dn::from_der(raw).map_err(|e| format!("has a name that is none: {e}"));
        let not_before = Timestamp::from_unix(certificate.validity().not_before.timestamp());
        let not_after = Timestamp::from_unix(certificate.validity().not_after.timestamp());
        Ok(CaCertificate {
            operation,
            subject: dn(certificate.subject().as_raw())?,
            issuer: dn(certificate.issuer().as_raw())?,
            serial: certificate.raw_serial().to_vec(),
            key_identifier: key_identifier.ok_or("has no subject key identifier")?,
            authority_identifier,
            spki: certificate.public_key().raw.to_vec(),
            key_hash: sha256(certificate.public_key().raw),
            is_root: OnceLock::new(),
            validity: Validity::new(not_before, not_after).map_err(|e| e.to_string())?,
            path_len: path_len.ok_or("is not one of a CA")?,
            purposes: purposes.map(|purposes| purposes.0),
            constraints,
            hash: sha256(&der),
            der: der.into(),
        })
    }

    /// SHA-256 of the key that it is for.
    pub(crate) fn key_hash(&self) -> [u8; 32] {
        self.key_hash
    }

    /// Why it may not stand below another CA, by the name constraints of that one (RFC 5280 section 4.2.1.10): its own subject and names are
    /// bound by them as those of a leaf are.
    pub(crate) fn outside(&self, above: &CaCertificate) -> Option<String> {
        let constraints = above.constraints.as_ref()?;
        let read = x509_cert::Certificate::from_der(&self.der).ok()?;
        let tbs = read.tbs_certificate();
        let san = tbs.get_extension::<SubjectAltName>().ok().flatten();
        let names = san.map_or(Vec::new(), |(_, san)| san.0);
        let outside = lint::within::outside(constraints, tbs.subject(), &names)?;
        Some(format!("{outside} by {}", above.subject))
    }

    /// Whether it names itself as its issuer, and its key signed it. Its bytes say so once and for ever.
    pub(crate) fn is_root(&self) -> bool {
        *self.is_root.get_or_init(|| self.is_signed_by(self))
    }

    /// Whether it names another CA as the one that signed it, by name and identifier.
    pub(crate) fn names(&self, above: &CaCertificate) -> bool {
        self.issuer.as_der() == above.subject.as_der()
            && self.authority_identifier.as_ref().is_none_or(|id| *id == above.key_identifier)
    }

    /// Whether another CA signed it, by name, identifier and signature.
    pub(crate) fn is_signed_by(&self, above: &CaCertificate) -> bool {
        self.names(above) && self.is_signed(above)
    }

    /// Whether another CA's key signed it.
    pub(crate) fn is_signed(&self, above: &CaCertificate) -> bool {
        is_signed(&self.der, &above.spki)
    }
}

/// Whether a CRL's signature is one of this CA's key.
pub(crate) fn is_signed_crl(der: &[u8], spki: &[u8]) -> bool {
    let Ok((_, crl)) = CertificateRevocationList::from_der(der) else { return false };
    let Ok(also) = x509_cert::crl::CertificateList::<x509_cert::certificate::Rfc5280>::from_der(der) else {
        return false;
    };
    let written = also.signature_algorithm.to_der().unwrap_or_default();
    // RFC 5280 section 5.1.1.2: it stands in it twice, the same.
    if also.tbs_cert_list.signature.to_der().unwrap_or_default() != written {
        return false;
    }
    let (message, signature) = (crl.tbs_cert_list.as_ref(), crl.signature_value.data.as_ref());
    is_of_key(spki, &written, message, signature) || key_of(spki).is_some_and(|key| crl.verify_signature(&key).is_ok())
}

/// Whether a certificate's signature is one of this key.
pub(crate) fn is_signed(der: &[u8], spki: &[u8]) -> bool {
    let Ok((_, certificate)) = X509Certificate::from_der(der) else { return false };
    let Ok(also) = x509_cert::Certificate::from_der(der) else { return false };
    let written = also.signature_algorithm().to_der().unwrap_or_default();
    let (message, signature) = (certificate.tbs_certificate.as_ref(), certificate.signature_value.data.as_ref());
    is_of_key(spki, &written, message, signature)
        || key_of(spki).is_some_and(|key| certificate.verify_signature(Some(&key)).is_ok())
}

/// Whether a signature is one of this key, in the ways that keys here sign, and in those that CAs elsewhere do.
fn is_of_key(spki: &[u8], written: &[u8], message: &[u8], signature: &[u8]) -> bool {
    if let Some(algorithm) = Algorithm::ALL.into_iter().find(|algorithm| written == algorithm.identifier()) {
        let message = Message::from(message.to_vec());
        if hsm::verify(algorithm, spki, &message, signature).is_ok() {
            return true;
        }
    }
    // A CA from elsewhere signs in other ways (P-521 with SHA-256 is what openssl makes), and may be of a size that no key here has.
    proof::is_signed(spki, written, message, signature)
}

fn key_of(spki: &[u8]) -> Option<SubjectPublicKeyInfo<'_>> {
    SubjectPublicKeyInfo::from_der(spki).ok().map(|(_, key)| key)
}

fn find<T>(certificate: &X509Certificate<'_>, pick: impl Fn(&ParsedExtension<'_>) -> Option<T>) -> Option<T> {
    certificate.extensions().iter().find_map(|e| pick(e.parsed_extension()))
}
