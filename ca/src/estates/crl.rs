//! A CRL of a CA that is taken in: its number, and what it lists.

use policy::Timestamp;
use x509_parser::prelude::{FromDer, ParsedExtension};
use x509_parser::revocation_list::CertificateRevocationList;

use crate::estates::gathered::Ended;
use crate::estates::leaf::serial;
use crate::issuers::certificate::is_signed_crl;
use crate::issuers::{CaCertificate, is_of_a_part, not_ours_to_read};
use crate::lint::within::is_same_name;

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

/// Why a CRL is not taken, and what that leaves open: what it alone lists must not come as good.
pub(super) enum Refused {
    /// Another CA's, which lists nothing of this one.
    Foreign(String),
    /// It may tell of these of this CA's, and is not to be believed.
    Doubtful(String, Vec<Vec<u8>>),
    /// Of what it tells nobody can say.
    Unreadable(String),
}

/// Reads one of this CA's, DER.
pub(super) fn read(der: &[u8], ca: &CaCertificate) -> Result<Listed, Refused> {
    let (rest, crl) =
        CertificateRevocationList::from_der(der).map_err(|e| Refused::Unreadable(format!("is no CRL: {e}")))?;
    if !rest.is_empty() {
        return Err(Refused::Unreadable("has bytes after it".to_owned()));
    }
    let doubtful = |why: String| {
        let listed = crl.iter_revoked_certificates().filter_map(|entry| serial(entry.raw_serial()).ok());
        Err(Refused::Doubtful(why, listed.collect()))
    };
    let strange = crl.iter_revoked_certificates().find_map(not_ours_to_read);
    // RFC 5280 section 7.1: a name is the same in another type of string and in another case.
    let is_named = is_same_name(crl.issuer().as_raw(), ca.subject.as_der());
    match (is_named, is_signed_crl(der, &ca.spki), strange) {
        (true, true, None) => {}
        (false, false, None) => return Err(Refused::Foreign("is of another CA".to_owned())),
        // The key's word under a name that the CA may have had before.
        (false, true, None) => return doubtful("is signed by the key of this CA under another name".to_owned()),
        (true, false, None) => {
            let way = crl.signature_algorithm.algorithm.to_id_string();
            return doubtful(format!(
                "is not signed by the key of this CA, or in a way that is not verified here ({way})"
            ));
        }
        // An indirect one: which CA's each of its entries is, is not read here.
        (false, _, Some(why)) => return doubtful(format!("is of another CA, and {why}")),
        (true, _, Some(why)) => return doubtful(format!("is not to be taken: {why}")),
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
            // What it lacks is told of by nobody.
            _ if is_of_a_part(extension) => is_part = true,
            _ => {}
        }
    }
    for entry in crl.iter_revoked_certificates() {
        let serial = match serial(entry.raw_serial()) {
            Ok(serial) => serial,
            Err(why) => {
                left.push(format!("an entry {why}"));
                // It may be of any serial that the others lack.
                is_part = true;
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

/// Of a number that ours cannot be above.
pub(super) const TOO_GREAT: &str = "has a number beyond those that ours can go on from: our next one will be smaller";
/// Ours have room above it.
pub(crate) const NUMBER_MAX: u64 = 1 << 62;
