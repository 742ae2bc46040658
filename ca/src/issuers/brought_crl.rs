//! A CRL that a CA elsewhere signed: read, held against the CA's certificate, and kept to be served.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use const_oid::ObjectIdentifier;
use const_oid::db::rfc5280;
use policy::Timestamp;
use serde_json::{Value, json};
use x509_parser::prelude::{FromDer, ParsedExtension, X509Extension};
use x509_parser::revocation_list::{CertificateRevocationList, RevokedCertificate};
use x509_parser::x509::ReasonCode;

use crate::encode::sha256;
use crate::issuers::certificate::{CaCertificate, is_signed_crl};

/// A CRL as it was brought.
pub(crate) struct BroughtCrl {
    pub(crate) der: Bytes,
    pub(crate) sha256: [u8; 32],
    /// Its CRLNumber.
    pub(crate) number: u64,
    pub(crate) this_update: Timestamp,
    pub(crate) next_update: Timestamp,
    /// Serials and CRLReason codes.
    pub(crate) revoked: Vec<(Vec<u8>, u8)>,
    issuer: Vec<u8>,
    authority: Option<Vec<u8>>,
}

impl BroughtCrl {
    /// Reads one, DER; in words why it is none that can be served.
    pub(crate) fn read(der: Vec<u8>) -> Result<BroughtCrl, String> {
        let (rest, crl) = CertificateRevocationList::from_der(&der).map_err(|e| format!("it is no CRL: {e}"))?;
        if !rest.is_empty() {
            return Err("there are bytes after it".to_owned());
        }
        let next = crl.next_update().ok_or("it does not say when the next one comes")?;
        let (mut number, mut authority) = (None, None);
        for extension in crl.extensions() {
            match extension.parsed_extension() {
                ParsedExtension::CRLNumber(n) => number = u64::try_from(n).ok(),
                ParsedExtension::AuthorityKeyIdentifier(aki) => {
                    authority = aki.key_identifier.as_ref().map(|id| id.0.to_vec());
                }
                _ if is_of_a_part(extension) => {
                    return Err(format!(
                        "it is no full CRL of its issuer: it has the extension {}, which is of a delta or of a part, or critical and \
                         not known here",
                        extension.oid
                    ));
                }
                _ => {}
            }
        }
        if let Some(why) = crl.iter_revoked_certificates().find_map(not_ours_to_read) {
            return Err(why);
        }
        if let Some(entry) = crl.iter_revoked_certificates().find(|entry| is_removed(entry)) {
            return Err(format!(
                "its entry {} has the reason removeFromCRL, which is for deltas alone (RFC 5280 section 5.3.1): nobody could say \
                 whether that certificate is revoked",
                hex::encode(entry.raw_serial())
            ));
        }
        let revoked = crl.iter_revoked_certificates().map(|entry| {
            let reason = entry.reason_code().map_or(0, |(_, reason)| reason.0);
            (entry.raw_serial().to_vec(), reason)
        });
        let (revoked, issuer) = (revoked.collect(), crl.issuer().as_raw().to_vec());
        let (this_update, next_update) = (unix(crl.last_update()), unix(next));
        Ok(BroughtCrl {
            sha256: sha256(&der),
            number: number.ok_or("it has no number")?,
            this_update,
            next_update,
            revoked,
            issuer,
            authority,
            der: der.into(),
        })
    }

    /// Whether this CA signed it, by name, identifier and signature.
    pub(crate) fn is_of(&self, ca: &CaCertificate) -> bool {
        let named =
            self.issuer == ca.subject.as_der() && self.authority.as_ref().is_none_or(|id| *id == ca.key_identifier);
        named && is_signed_crl(&self.der, &ca.spki)
    }

    /// Whether it lists a certificate of its issuer; with which reason.
    pub(crate) fn lists(&self, certificate: &CaCertificate) -> Option<u8> {
        let listed = self.revoked.iter().find(|(serial, _)| *serial == certificate.serial);
        listed.filter(|_| certificate.issuer.as_der() == self.issuer).map(|(_, reason)| *reason)
    }

    /// As the register keeps it.
    pub(crate) fn record(&self) -> Value {
        json!({
            "crl": STANDARD.encode(&self.der),
            "number": self.number,
            "sha256": hex::encode(self.sha256),
            "next_update": self.next_update.to_string(),
        })
    }

    /// From how the register keeps it.
    pub(crate) fn of_record(body: &Value) -> Result<BroughtCrl, String> {
        let text = body.get("crl").and_then(Value::as_str).unwrap_or_default();
        BroughtCrl::read(STANDARD.decode(text).map_err(|e| e.to_string())?)
    }
}

/// Why an entry says something else than what is read of it here: a serial of its CRL's issuer, a date, a reason (RFC 5280 section 5.3).
/// "If a CRL contains a critical CRL entry extension that the application cannot process, then the application MUST NOT use that CRL
/// to determine the status of any certificates." One with certificateIssuer, and all after it, are of another CA, which may have given the
/// same serials.
pub(crate) fn not_ours_to_read(entry: &RevokedCertificate<'_>) -> Option<String> {
    let serial = || hex::encode(entry.raw_serial());
    entry.extensions().iter().find_map(|extension| match extension.oid.as_bytes() {
        oid if oid == rfc5280::ID_CE_CERTIFICATE_ISSUER.as_bytes() => Some(format!(
            "it is an indirect CRL: its entry {} says by certificateIssuer that another CA issued that certificate",
            serial()
        )),
        oid if READ.iter().any(|read| read.as_bytes() == oid) => None,
        _ if extension.critical => Some(format!(
            "its entry {} has the critical extension {}, which is not known here",
            serial(),
            extension.oid
        )),
        _ => None,
    })
}

/// Whether an extension makes a CRL a delta or a part, or one that lists what others issued (RFC 5280 sections 5.2.4 and 5.2.5): by what it
/// is, since openssl marks it as critical where it is told to alone; or is one that has to be understood, and is not.
pub(crate) fn is_of_a_part(extension: &X509Extension<'_>) -> bool {
    let parts = [rfc5280::ID_CE_DELTA_CRL_INDICATOR, rfc5280::ID_CE_ISSUING_DISTRIBUTION_POINT];
    extension.critical || parts.iter().any(|part| part.as_bytes() == extension.oid.as_bytes())
}

/// reasonCode and invalidityDate.
const READ: [ObjectIdentifier; 2] = [rfc5280::ID_CE_CRL_REASONS, rfc5280::ID_CE_INVALIDITY_DATE];

fn is_removed(entry: &RevokedCertificate<'_>) -> bool {
    entry.reason_code().is_some_and(|(_, reason)| reason == ReasonCode::RemoveFromCRL)
}

fn unix(time: x509_parser::time::ASN1Time) -> Timestamp {
    Timestamp::from_unix(time.timestamp())
}

#[cfg(test)]
mod tests {
    use der::Encode;

    use super::*;
    use crate::encode::{Dn, tlv};

    /// A CRL that lists one certificate, with these entry extensions and further ones of its own; nobody's signature.
    fn crl(extensions: &[Vec<u8>], own: &[Vec<u8>]) -> Vec<u8> {
        let all = |parts: &[Vec<u8>]| tlv::sequence(&parts.iter().map(Vec::as_slice).collect::<Vec<_>>()).unwrap();
        let algorithm = hsm::Algorithm::EcdsaP256Sha256.identifier().to_vec();
        let time = b"\x17\x0d270115080000Z".to_vec();
        let mut entry = vec![vec![2, 1, 77], time.clone()];
        if !extensions.is_empty() {
            entry.push(all(extensions));
        }
        let number = all(&[&[extension(rfc5280::ID_CE_CRL_NUMBER, false, &[2, 1, 5])], own].concat());
        let tbs = all(&[
            vec![2, 1, 1],
            algorithm.clone(),
            Dn::parse("/CN=Elsewhere").unwrap().as_der().to_vec(),
            time.clone(),
            time,
            all(&[all(&entry)]),
            tlv::context(0, &number).unwrap(),
        ]);
        all(&[tbs, algorithm, vec![3, 2, 0, 1]])
    }

    fn extension(oid: ObjectIdentifier, critical: bool, value: &[u8]) -> Vec<u8> {
        let value = der::asn1::OctetStringRef::new(value).unwrap().to_der().unwrap();
        let critical: &[u8] = if critical { &[1, 1, 0xff] } else { &[] };
        tlv::sequence(&[&oid.to_der().unwrap(), critical, &value]).unwrap()
    }

    #[test]
    fn what_an_entry_says_that_is_not_known_here_is_not_left_out() {
        let reason = |critical| extension(rfc5280::ID_CE_CRL_REASONS, critical, &[10, 1, 1]);
        let date = extension(rfc5280::ID_CE_INVALIDITY_DATE, true, b"\x18\x0f20270115080000Z");
        let issuer = |critical| {
            let names = tlv::context(4, Dn::parse("/CN=Another").unwrap().as_der()).unwrap();
            extension(rfc5280::ID_CE_CERTIFICATE_ISSUER, critical, &tlv::sequence(&[&names]).unwrap())
        };
        let other = |critical| extension(ObjectIdentifier::new_unwrap("1.3.6.1.4.1.99999.7"), critical, &[5, 0]);
        for (extensions, says) in [
            (vec![], ""),
            (vec![reason(false)], ""),
            (vec![reason(true), date], ""),
            (vec![reason(false), other(false)], ""),
            (vec![reason(false), other(true)], "its entry 4d has the critical extension 1.3.6.1.4.1.99999.7"),
            (vec![issuer(true)], "another CA issued"),
            (vec![reason(false), issuer(false)], "another CA issued"),
            (
                vec![extension(rfc5280::ID_CE_CRL_REASONS, false, &[10, 1, 8])],
                "its entry 4d has the reason removeFromCRL",
            ),
        ] {
            let read = BroughtCrl::read(crl(&extensions, &[]));
            match says {
                "" => assert_eq!(read.unwrap().revoked.len(), 1),
                says => assert!(read.err().unwrap().contains(says), "{says}"),
            }
        }
    }

    /// openssl marks what makes a CRL a part as critical where it is told to alone.
    #[test]
    fn a_delta_and_a_part_are_none_of_a_whole_whether_they_say_that_it_matters_or_not() {
        let scope = tlv::sequence(&[&[0x82, 1, 0xff]]).unwrap();
        for critical in [true, false] {
            let delta = extension(rfc5280::ID_CE_DELTA_CRL_INDICATOR, critical, &[2, 1, 4]);
            let part = extension(rfc5280::ID_CE_ISSUING_DISTRIBUTION_POINT, critical, &scope);
            for own in [delta, part] {
                let refused = BroughtCrl::read(crl(&[], &[own])).err().unwrap_or_default();
                assert!(refused.contains("it is no full CRL of its issuer"), "{critical}: {refused}");
            }
        }
        let other = extension(ObjectIdentifier::new_unwrap("1.3.6.1.4.1.99999.7"), false, &[5, 0]);
        assert_eq!(BroughtCrl::read(crl(&[], &[other])).unwrap().revoked.len(), 1);
    }
}
