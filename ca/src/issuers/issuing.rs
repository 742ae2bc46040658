//! A CA that signs: its key in the token, its certificate's facts, and what it puts into everything it issues.
//!
//! Built once at start-up from the certificate's own bytes, so that no issuance parses or encodes them again, and so that
//! an imported CA is treated exactly as one made here: subject and key identifier are taken from its certificate, never computed.

use bytes::Bytes;
use const_oid::db::{rfc5280, rfc5912};
use der::asn1::Ia5String;
use der::{Decode, Encode};
use hsm::Key;
use policy::{Timestamp, Validity};
use spki::ObjectIdentifier;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::crl::dp::DistributionPoint;
use x509_cert::ext::pkix::name::{DistributionPointName, GeneralName};
use x509_cert::ext::pkix::{AccessDescription, AuthorityInfoAccessSyntax, CrlDistributionPoints, ExtendedKeyUsage};
use x509_parser::oid_registry::OID_X509_EXT_EXTENDED_KEY_USAGE as EXT_KEY_USAGE;
use x509_parser::prelude::{FromDer, ParsedExtension, X509Certificate};

use crate::encode::x509::{authority_key_identifier, extension};
use crate::encode::{Dn, pem};
use crate::error::CaError;
use crate::issuers::urls::Urls;

/// A CA that certificates of ours name as issuer.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// `root`, `tls`, `code`.
    pub label: String,
    /// Its certificate, DER.
    pub certificate_der: Bytes,
    /// From when its certificate is valid.
    pub since: Timestamp,
    /// Until when.
    pub until: Timestamp,
}

/// A CA with everything an issuance needs from it.
pub(crate) struct Issuing {
    pub(crate) label: String,
    pub(crate) key: Key,
    /// The operation that made its certificate: by it the ledger knows whether that is revoked.
    pub(crate) operation: u64,
    pub(crate) certificate_der: Bytes,
    /// The subject as it stands in the certificate.
    pub(crate) subject: Dn,
    pub(crate) key_identifier: Vec<u8>,
    pub(crate) validity: Validity,
    /// How many CAs may follow below; `None` is no limit.
    pub(crate) path_len: Option<u32>,
    /// Its extended key usages; `None` is for anything.
    pub(crate) purposes: Option<Vec<ObjectIdentifier>>,
    /// authorityKeyIdentifier, cRLDistributionPoints, authorityInfoAccess of what it issues.
    pub(crate) pointers: Vec<Extension>,
    /// This CA and those between it and the root, PEM; empty for a root.
    pub(crate) chain_pem: String,
}

impl Issuing {
    /// From a CA certificate, with the operation that made it, and the key it speaks for. `parent` is `None` for a root.
    pub(crate) fn new(
        label: &str,
        key: Key,
        (operation, certificate_der): (u64, Vec<u8>),
        parent: Option<&Issuing>,
        urls: &Urls,
    ) -> Result<Issuing, CaError> {
        let broken = |why: String| CaError::Internal(format!("the certificate of CA `{label}` {why}"));
        let (_, certificate) =
            X509Certificate::from_der(&certificate_der).map_err(|e| broken(format!("is unreadable: {e}")))?;
        if certificate.public_key().raw != key.spki_der() {
            return Err(broken(format!("is not for the key `{}` of the token", key.label())));
        }
        let key_identifier = find(&certificate, |e| match e {
            ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0.to_vec()),
            _ => None,
        });
        let key_identifier = key_identifier.ok_or_else(|| broken("has no subject key identifier".to_owned()))?;
        let constraints = find(&certificate, |e| match e {
            ParsedExtension::BasicConstraints(constraints) if constraints.ca => Some(constraints.path_len_constraint),
            _ => None,
        });
        let path_len = constraints.ok_or_else(|| broken("is not one of a CA".to_owned()))?;
        let purposes = certificate.get_extension_unique(&EXT_KEY_USAGE).ok().flatten();
        let purposes = purposes.map(|e| ExtendedKeyUsage::from_der(e.value)).transpose();
        let purposes = purposes.map_err(|e| broken(e.to_string()))?.map(|ExtendedKeyUsage(all)| all);
        let subject = Dn::from_der(certificate.subject().as_raw()).map_err(|e| broken(e.to_string()))?;
        let validity = validity_of(&certificate).map_err(broken)?;
        let pointers = pointers(label, &key_identifier, urls).map_err(|e| broken(e.to_string()))?;
        let chain_pem = match parent {
            Some(parent) => pem::encode("CERTIFICATE", &certificate_der) + &parent.chain_pem,
            None => String::new(),
        };
        Ok(Issuing {
            label: label.to_owned(),
            key,
            operation,
            subject,
            key_identifier,
            validity,
            path_len,
            purposes,
            pointers,
            chain_pem,
            certificate_der: certificate_der.into(),
        })
    }

    /// What of it is for everyone.
    pub(crate) fn shown(&self) -> Issuer {
        Issuer {
            label: self.label.clone(),
            certificate_der: self.certificate_der.clone(),
            since: self.validity.not_before(),
            until: self.validity.not_after(),
        }
    }
}

fn find<T>(certificate: &X509Certificate<'_>, pick: impl Fn(&ParsedExtension<'_>) -> Option<T>) -> Option<T> {
    certificate.extensions().iter().find_map(|e| pick(e.parsed_extension()))
}

fn validity_of(certificate: &X509Certificate<'_>) -> Result<Validity, String> {
    let validity = certificate.validity();
    let not_before = Timestamp::from_unix(validity.not_before.timestamp());
    let not_after = Timestamp::from_unix(validity.not_after.timestamp());
    Validity::new(not_before, not_after).map_err(|e| e.to_string())
}

/// What a relying party needs to find the issuer, its CRL and its certificate.
fn pointers(label: &str, key_identifier: &[u8], urls: &Urls) -> Result<Vec<Extension>, der::Error> {
    let base = urls.http_base.trim_end_matches('/');
    let uri = |path: String| Ok::<_, der::Error>(GeneralName::UniformResourceIdentifier(Ia5String::new(&path)?));
    let crl = DistributionPoint {
        distribution_point: Some(DistributionPointName::FullName(vec![uri(format!("{base}/crl/{label}.crl"))?])),
        reasons: None,
        crl_issuer: None,
    };
    let access = AccessDescription {
        access_method: rfc5912::ID_AD_CA_ISSUERS,
        access_location: uri(format!("{base}/aia/{label}.cer"))?,
    };
    Ok(vec![
        authority_key_identifier(key_identifier)?,
        extension(rfc5280::ID_CE_CRL_DISTRIBUTION_POINTS, false, &CrlDistributionPoints(vec![crl]).to_der()?)?,
        extension(rfc5280::ID_PE_AUTHORITY_INFO_ACCESS, false, &AuthorityInfoAccessSyntax(vec![access]).to_der()?)?,
    ])
}
