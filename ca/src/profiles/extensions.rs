//! The extensions that a profile says of a certificate, encoded once for each family of keys.

use const_oid::db::rfc5280;
use der::asn1::{Ia5StringRef, OctetString};
use der::flagset::FlagSet;
use der::{AnyRef, Decode, Encode};
use serde::{Deserialize, Serialize};
use spki::ObjectIdentifier;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::certpolicy::{CertificatePolicies, PolicyInformation, PolicyQualifierInfo};
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage};

use crate::encode::x509::extension;
use crate::profiles::words::{Purpose, Usage};

/// An extension that a file writes out: for what nobody here knows.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawExtension {
    oid: String,
    #[serde(default)]
    critical: bool,
    /// Its value, DER in hexadecimal digits.
    der: String,
}

impl RawExtension {
    pub(super) fn read(&self) -> Result<Extension, String> {
        let refuse = |why: &str| format!("extension {}: {why}", self.oid);
        let oid = ObjectIdentifier::new(&self.oid).map_err(|_| refuse("its oid is no object identifier"))?;
        if OWNED.iter().any(|arc| is_below(oid, *arc)) {
            return Err(refuse("another part of the certificate, or the CA itself, says it; no profile writes it out"));
        }
        let value = hex::decode(&self.der).map_err(|_| refuse("der is hexadecimal digits, as in der = \"0500\""))?;
        if value.len() > VALUE_BYTES_MAX {
            return Err(refuse(&format!("at most {VALUE_BYTES_MAX} bytes")));
        }
        AnyRef::from_der(&value).map_err(|e| refuse(&format!("der is not one DER value: {e}")))?;
        Ok(Extension {
            extn_id: oid,
            critical: self.critical,
            extn_value: OctetString::new(value).map_err(|e| refuse(&e.to_string()))?,
        })
    }
}

fn is_below(oid: ObjectIdentifier, arc: ObjectIdentifier) -> bool {
    oid.arcs().zip(arc.arcs()).filter(|(a, b)| a == b).count() == arc.arcs().count()
}

/// basicConstraints, keyUsage, extendedKeyUsage.
pub(super) fn uses(usages: &[Usage], purposes: &[Purpose], critical: bool) -> Result<Vec<Extension>, der::Error> {
    let constraints = BasicConstraints { ca: false, path_len_constraint: None };
    let usage = usages.iter().fold(FlagSet::default(), |all, u| all | u.bit());
    let purposes = purposes.iter().map(|purpose| purpose.0).collect();
    Ok(vec![
        extension(rfc5280::ID_CE_BASIC_CONSTRAINTS, true, &constraints.to_der()?)?,
        extension(rfc5280::ID_CE_KEY_USAGE, true, &KeyUsage(usage).to_der()?)?,
        extension(rfc5280::ID_CE_EXT_KEY_USAGE, critical, &ExtendedKeyUsage(purposes).to_der()?)?,
    ])
}

/// certificatePolicies, each with the address of the practice statement where there is one. Never critical: webpki refuses that.
pub(super) fn policies(oids: &[ObjectIdentifier], cps: Option<&str>) -> Result<Extension, der::Error> {
    let qualifiers = || -> Result<Option<Vec<PolicyQualifierInfo>>, der::Error> {
        let Some(cps) = cps else { return Ok(None) };
        let address = der::Any::encode_from(&Ia5StringRef::new(cps)?)?;
        Ok(Some(vec![PolicyQualifierInfo { policy_qualifier_id: rfc5280::ID_QT_CPS, qualifier: Some(address) }]))
    };
    let policy =
        |oid: &ObjectIdentifier| Ok(PolicyInformation { policy_identifier: *oid, policy_qualifiers: qualifiers()? });
    let all = oids.iter().map(policy).collect::<Result<_, der::Error>>()?;
    extension(rfc5280::ID_CE_CERTIFICATE_POLICIES, false, &CertificatePolicies(all).to_der()?)
}

/// RFC 7633: the server staples (`status_request` is 5).
pub(super) fn must_staple() -> Result<Extension, der::Error> {
    extension(TLS_FEATURE, false, &[0x30, 0x03, 0x02, 0x01, 0x05])
}

/// RFC 7633 section 4.2.3, id-pe-tlsfeature.
pub(crate) const TLS_FEATURE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.1.24");

/// What RFC 5280 and its kin define, Certificate Transparency, and what makes an OCSP responder be believed.
const OWNED: [ObjectIdentifier; 4] = [
    ObjectIdentifier::new_unwrap("2.5.29"),
    ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.1"),
    ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48"),
    ObjectIdentifier::new_unwrap("1.3.6.1.4.1.11129.2.4"),
];
/// A certificate is read by whoever meets it.
const VALUE_BYTES_MAX: usize = 4_096;
