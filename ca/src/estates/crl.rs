//! A CRL of a CA that is taken in: its number, and what it lists.

use policy::Timestamp;
use x509_parser::oid_registry::OID_X509_EXT_ISSUER;
use x509_parser::prelude::{FromDer, ParsedExtension};
use x509_parser::revocation_list::CertificateRevocationList;

use crate::estates::gathered::Ended;
use crate::estates::leaf::serial;
use crate::issuers::CaCertificate;
use crate::issuers::certificate::is_signed_crl;

/// What a CRL says.
pub(super) struct Listed {
    /// Its CRLNumber; none of one of version 1.
    pub(super) number: Option<u64>,
    pub(super) this_update: Timestamp,
    /// It lists what came since another one, or a part.
    pub(super) is_part: bool,
    pub(super) entries: Vec<(Vec<u8>, Ended)>,
    /// What of it cannot be taken, and why.
    pub(super) left: Vec<String>,
}

/// Reads one of this CA's, DER.
pub(super) fn read(der: &[u8], ca: &CaCertificate) -> Result<Listed, String> {
    let (rest, crl) = CertificateRevocationList::from_der(der).map_err(|e| format!("is no CRL: {e}"))?;
    if !rest.is_empty() {
        return Err("has bytes after it".to_owned());
    }
    if crl.issuer().as_raw() != ca.subject.as_der() {
        return Err("is of another CA".to_owned());
    }
    if !is_signed_crl(der, &ca.spki) {
        return Err("is not signed by the key of this CA".to_owned());
    }
    let (mut number, mut is_part) = (None, false);
    let (mut entries, mut left) = (Vec::new(), Vec::new());
    for extension in crl.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::CRLNumber(is) => {
                number = u64::try_from(is).ok().filter(|number| *number < NUMBER_MAX);
                // Its entries hold whatever its number is.
                if number.is_none() {
                    left.push(TOO_GREAT.to_owned());
                }
            }
            // RFC 5280 sections 5.2.4 and 5.2.5: a delta, or a part.
            _ if extension.critical => is_part = true,
            _ => {}
        }
    }
    // RFC 5280 section 5.3.3: whose an entry is, it and those after it, until another one says otherwise.
    let mut is_own = true;
    for entry in crl.iter_revoked_certificates() {
        if let Some(of) = entry.extensions().iter().find(|extension| extension.oid == OID_X509_EXT_ISSUER) {
            is_own = names_alone(of.value, ca.subject.as_der());
        }
        if !is_own {
            left.push(format!("an entry of serial {} is of another CA", hex::encode(entry.raw_serial())));
            continue;
        }
        let serial = match serial(entry.raw_serial()) {
            Ok(serial) => serial,
            Err(why) => {
                left.push(format!("an entry {why}"));
                continue;
            }
        };
        let reason = entry.reason_code().map_or(0, |(_, reason)| reason.0);
        let invalid = entry.invalidity_date().map(|(_, at)| Timestamp::from_unix(at.timestamp()));
        let at = Timestamp::from_unix(entry.revocation_date.timestamp());
        entries.push((serial, Ended { at, reason, invalid }));
    }
    let this_update = Timestamp::from_unix(crl.last_update().timestamp());
    Ok(Listed { number, this_update, is_part, entries, left })
}

/// Whether GeneralNames are one directory name, this one.
fn names_alone(names: &[u8], subject: &[u8]) -> bool {
    // A sequence, and in it a name with the tag 4 around it: two heads of two to four octets.
    names.strip_suffix(subject).is_some_and(|heads| (4..=8).contains(&heads.len()) && heads.first() == Some(&0x30))
}

/// Of a number that ours cannot be above.
pub(super) const TOO_GREAT: &str = "has a number beyond those that ours can go on from: our next one will be smaller";
/// Ours have room above it.
pub(super) const NUMBER_MAX: u64 = 1 << 62;
