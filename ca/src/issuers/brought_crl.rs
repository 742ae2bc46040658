//! A CRL that a CA elsewhere signed: read, held against the CA's certificate, and kept to be served.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use policy::Timestamp;
use serde_json::{Value, json};
use x509_parser::prelude::{FromDer, ParsedExtension};
use x509_parser::revocation_list::CertificateRevocationList;

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
                // A part of a CRL, or one that lists what others issued: RFC 5280 sections 5.2.4 and 5.2.5.
                _ if extension.critical => {
                    return Err(format!("it is no full CRL of its issuer: extension {} is critical", extension.oid));
                }
                _ => {}
            }
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

fn unix(time: x509_parser::time::ASN1Time) -> Timestamp {
    Timestamp::from_unix(time.timestamp())
}
