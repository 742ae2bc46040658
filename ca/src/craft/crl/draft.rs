//! Drafts of CRLs: full ones, of all that an issuer revoked and that has not long ended.

use std::sync::Arc;

use const_oid::db::rfc5280;
use der::Encode;
use der::asn1::UintRef;
use hsm::Message;
use policy::{Grant, Timestamp};
use serde_json::json;
use store::{Kind, Revocations, RevokedRow};
use x509_cert::ext::Extension;

use crate::craft::crl::lint::Crl;
use crate::drafting::{Draft, Facts, ProfileStamp, validity};
use crate::encode::crl::{CrlParts, RevokedEntry};
use crate::encode::x509::{authority_key_identifier, extension};
use crate::error::DraftError;
use crate::issuers::Issuing;

/// Drafts a CRL.
pub(crate) fn draft(
    grant: Grant,
    issuer: &Arc<Issuing>,
    number: u64,
    revocations: &Revocations,
    now: Timestamp,
) -> Result<Draft<Crl>, DraftError> {
    let validity = validity(now, VALIDITY_SECS, Some(issuer.validity))?;
    let entries = revocations.rows.iter().filter(|row| listed(row, now)).map(entry).collect::<Result<Vec<_>, _>>()?;
    let parts = CrlParts {
        algorithm: issuer.key.algorithm(),
        issuer: issuer.subject.as_der(),
        validity,
        revoked: entries,
        extensions: extensions(issuer, number)?,
    };
    let facts = Facts {
        kind: Kind::Crl,
        profile: ProfileStamp::built_in("crl", TEXT),
        key: issuer.key.clone(),
        message: Message::from(parts.encode()?),
        serial: number.to_be_bytes().to_vec(),
        issuer: issuer.label.clone(),
        owner: None,
        subject: format!("CRL {number} of {}", issuer.subject),
        names: Vec::new(),
        key_hash: issuer.key.fingerprint(),
        validity: Some(validity),
        covers: Some(revocations.covers),
        details: json!({ "listed": parts.revoked.len(), "number": number, "revocations": revocations.covers.revocations() }),
    };
    let craft = Crl { issuer: issuer.clone(), number, revoked: parts.revoked.len(), now };
    Ok(Draft::new(grant, facts, craft))
}

/// RFC 5280 section 3.3: "An entry MUST NOT be removed from the CRL until it appears on one regularly scheduled CRL issued
/// beyond the revoked certificate's validity period." Twice the lifetime of a CRL is that and some.
fn listed(row: &RevokedRow, now: Timestamp) -> bool {
    match row.kind {
        Kind::Certificate | Kind::CaCertificate => row.not_after.is_none_or(|end| now.since(end) <= 2 * VALIDITY_SECS),
        Kind::SshUser | Kind::SshHost | Kind::CodeSignature | Kind::Crl => false,
    }
}

fn entry(row: &RevokedRow) -> Result<RevokedEntry, der::Error> {
    // Section 5.3.1: "the reason code CRL entry extension SHOULD be absent instead of using the unspecified (0) reasonCode value."
    let reason = match row.reason {
        0 => None,
        // ENUMERATED of one octet.
        code => Some(vec![extension(rfc5280::ID_CE_CRL_REASONS, false, &[0x0a, 0x01, code])?]),
    };
    Ok(RevokedEntry { serial: row.serial.clone(), at: row.revoked_at, extensions: reason })
}

fn extensions(issuer: &Issuing, number: u64) -> Result<Vec<Extension>, der::Error> {
    let number = UintRef::new(&number.to_be_bytes())?.to_der()?;
    Ok(vec![
        // The issuer's subjectKeyIdentifier, not a hash of our own: they differ for imported CAs.
        authority_key_identifier(&issuer.key_identifier)?,
        extension(rfc5280::ID_CE_CRL_NUMBER, false, &number)?,
    ])
}

/// What its CRLs are, for whoever reads the log.
pub(crate) const TEXT: &str = "crl v1: full, CRLNumber, AKI, seven days";

/// How long a CRL holds. A week bridges a long weekend without a token.
const VALIDITY_SECS: i64 = 7 * 86_400;
