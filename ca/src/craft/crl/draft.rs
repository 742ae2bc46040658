//! Drafts of CRLs: full ones, of all that an issuer revoked and that has not long ended.

use std::sync::Arc;

use const_oid::db::rfc5280;
use der::Encode;
use der::asn1::UintRef;
use hsm::Message;
use policy::{Grant, Timestamp, Validity};
use serde_json::json;
use store::{Covers, Kind, RevokedRow};
use x509_cert::ext::Extension;

use crate::craft::crl::lint::Crl;
use crate::craft::crl::listed::Listed;
use crate::drafting::{Draft, Facts, ProfileStamp, validity};
use crate::encode::crl::{CrlParts, append_entry};
use crate::encode::x509::{authority_key_identifier, extension};
use crate::error::DraftError;
use crate::issuers::Issuing;

/// What a CRL is to say.
pub(super) struct CrlPlan<'a> {
    pub(super) issuer: &'a Arc<Issuing>,
    pub(super) number: u64,
    /// What was on the list before, and was linted then.
    pub(super) before: &'a Arc<Listed>,
    /// What comes to it.
    pub(super) added: &'a Listed,
    pub(super) covers: Covers,
    pub(super) now: Timestamp,
    /// Its thisUpdate.
    pub(super) begins: Timestamp,
}

/// When a CRL of this moment begins: a little in the past, for relying parties whose clock is behind; but not before the newest
/// revocation that it tells of, and after the one before it (`before` is when that began), so that of two the newer shows.
pub(super) fn begins(
    issuer: &Issuing,
    now: Timestamp,
    newest: Option<Timestamp>,
    before: Option<Timestamp>,
) -> Result<Timestamp, DraftError> {
    let early = validity(now, issuer.crl_secs, Some(issuer.validity))?.not_before();
    let after = before.map(|before| before.plus_secs(1));
    Ok(Some(early).max(newest).max(after).unwrap_or(early))
}

/// Drafts a CRL.
pub(super) fn draft(grant: Grant, plan: &CrlPlan<'_>) -> Result<Draft<Crl>, DraftError> {
    let CrlPlan { issuer, number, before, added, covers, now, begins } = *plan;
    let ends = begins.plus_secs(issuer.crl_secs - 1).min(issuer.validity.not_after());
    let validity = Validity::new(begins, ends).map_err(|_| DraftError::new("validity", "its issuer has expired"))?;
    // Several in one second begin one after the other.
    let now = now.max(begins);
    let parts = CrlParts {
        algorithm: issuer.key.algorithm(),
        issuer: issuer.subject.as_der(),
        validity,
        revoked: [&before.entries, &added.entries],
        extensions: extensions(issuer, number)?,
    };
    let listed = before.count + added.count;
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
        covers: Some(covers),
        renews: None,
        details: json!({ "listed": listed, "number": number, "revocations": covers.revocations() }),
    };
    let craft = Crl { issuer: issuer.clone(), number, before: Arc::clone(before), added: added.count, now };
    Ok(Draft::new(grant, facts, craft))
}

/// When a revoked certificate may leave the list. RFC 5280 section 3.3: "An entry MUST NOT be removed from the CRL until it
/// appears on one regularly scheduled CRL issued beyond the revoked certificate's validity period." Twice the lifetime of a CRL
/// is that and some. What signed code is never off it: a signature with a time stamp is judged long after its certificate's end, and
/// would be good again.
pub(super) fn leaves_at(issuer: &Issuing, row: &RevokedRow) -> Option<Timestamp> {
    row.not_after.filter(|_| !issuer.is_outlived()).map(|end| end.plus_secs(issuer.crl_secs.saturating_mul(2)))
}

/// Whether it is of the kind that CRLs list.
pub(super) fn is_listed(row: &RevokedRow) -> bool {
    match row.kind {
        Kind::Certificate | Kind::CaCertificate => !row.raises,
        Kind::SshUser | Kind::SshHost | Kind::CodeSignature | Kind::Crl | Kind::CaRequest | Kind::OcspBatch => false,
    }
}

/// Encodes a revocation as an entry.
pub(super) fn append(into: &mut Vec<u8>, row: &RevokedRow) -> Result<(), der::Error> {
    // Section 5.3.1: "the reason code CRL entry extension SHOULD be absent instead of using the unspecified (0) reasonCode value."
    let reason = match row.reason {
        0 => None,
        // ENUMERATED of one octet.
        code => Some(vec![extension(rfc5280::ID_CE_CRL_REASONS, false, &[0x0a, 0x01, code])?]),
    };
    append_entry(into, &row.serial, row.revoked_at, reason)
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
pub(crate) const TEXT: &str =
    "crl v1: full, CRLNumber, AKI, as long as its issuer's CRLs hold: seven days, or what was decided for it";
