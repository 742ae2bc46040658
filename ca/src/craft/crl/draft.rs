//! Drafts of CRLs: of all that an issuer revoked and that has not long ended, of one part of that, or of what came since another.

use std::sync::Arc;

use const_oid::db::rfc5280;
use der::Encode;
use der::asn1::UintRef;
use hsm::Message;
use policy::{Grant, Timestamp, Validity};
use serde_json::json;
use store::{Covers, Kind, RELEASED, RevokedRow, Shard};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::crl::IssuingDistributionPoint;
use x509_cert::ext::pkix::name::DistributionPointName;

use crate::checks::CrlTime;
use crate::craft::crl::lint::Crl;
use crate::craft::crl::listed::Listed;
use crate::drafting::{Draft, Facts, ProfileStamp, validity};
use crate::encode::crl::{CrlParts, append_entry};
use crate::encode::x509::{authority_key_identifier, extension, generalized};
use crate::error::DraftError;
use crate::issuers::{Issuing, Scope, Since, freshest, uri};

/// What a CRL is to say.
pub(super) struct CrlPlan<'a> {
    pub(super) issuer: &'a Arc<Issuing>,
    /// Of which part of its revocations it tells; none: of all.
    pub(super) shard: Option<Shard>,
    /// Of a delta CRL, what it rests on.
    pub(super) since: Option<Since>,
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
/// revocation that it tells of, and after the one before it (`before` is when that began), so that of two the newer shows. Both are
/// times that may be right: what a clock wrote that was ahead is neither ([`crate::checks::CrlTime`]).
pub(super) fn begins(
    issuer: &Issuing,
    now: Timestamp,
    newest: Option<Timestamp>,
    before: Option<Timestamp>,
) -> Result<Timestamp, DraftError> {
    let early = early(issuer, now)?;
    let after = before.map(|before| before.plus_secs(1));
    Ok(Some(early).max(newest).max(after).unwrap_or(early))
}

/// The earliest that a CRL of this moment begins.
fn early(issuer: &Issuing, now: Timestamp) -> Result<Timestamp, DraftError> {
    Ok(validity(now, issuer.crl_secs, Some(issuer.validity))?.not_before())
}

/// The date that an entry tells of a revocation: its own. Where a clock that was ahead wrote that down it is yet to come: then a time that
/// is surely not after the CRL's own beginning, since a list of what will be revoked is none (RFC 5280 section 5.1.2.6).
pub(super) fn told_date(issuer: &Issuing, row: &RevokedRow, time: CrlTime) -> Result<Timestamp, DraftError> {
    match time.may_be_right(row.revoked_at) {
        true => Ok(row.revoked_at),
        false => early(issuer, time.now),
    }
}

/// Drafts a CRL.
pub(super) fn draft(grant: Grant, plan: &CrlPlan<'_>) -> Result<Draft<Crl>, DraftError> {
    let CrlPlan { issuer, shard, since, number, before, added, covers, now, begins } = *plan;
    let base = since.map(|since| since.base.number());
    let ends = begins.plus_secs(issuer.crl_secs - 1).min(issuer.validity.not_after());
    let validity = Validity::new(begins, ends).map_err(|_| DraftError::new("validity", "its issuer has expired"))?;
    // Several in one second begin one after the other.
    let now = now.max(begins);
    let parts = CrlParts {
        algorithm: issuer.key.algorithm(),
        issuer: issuer.subject.as_der(),
        validity,
        revoked: [&before.entries, &added.entries],
        extensions: extensions(issuer, shard, (number, base))?,
    };
    let listed = before.count + added.count;
    let mut details = json!({ "listed": listed, "number": number, "revocations": covers.revocations() });
    if let Some(Since { base, from }) = since {
        details["base"] = json!({ "number": base.number(), "from": from.unix() });
    }
    let facts = Facts {
        kind: Kind::Crl,
        profile: ProfileStamp::built_in("crl", TEXT),
        key: issuer.key.clone(),
        message: Message::from(parts.encode()?),
        serial: serial(shard, number),
        issuer: Scope { shard, is_delta: since.is_some() }.series(&issuer.label),
        owner: None,
        subject: subject(issuer, shard, (number, base)),
        names: Vec::new(),
        key_hash: issuer.key.fingerprint(),
        validity: Some(validity),
        covers: Some(since.map_or(covers, |since| covers.since(since.base))),
        renews: None,
        details,
    };
    let craft =
        Crl { issuer: issuer.clone(), shard, base, number, before: Arc::clone(before), added: added.count, now };
    Ok(Draft::new(grant, facts, craft))
}

fn subject(issuer: &Issuing, shard: Option<Shard>, (number, base): (u64, Option<u64>)) -> String {
    let part = shard.map_or(String::new(), |shard| format!(", part {shard}"));
    let since = base.map_or(String::new(), |base| format!(", since {base}"));
    format!("CRL {number} of {}{part}{since}", issuer.subject)
}

/// A CRL's number as the register has it, whose serials are unique under one key: that of a part has the part before it. A delta and
/// a complete CRL never have the same (RFC 5280 section 5.2.3: they "MUST share one numbering sequence").
fn serial(shard: Option<Shard>, number: u64) -> Vec<u8> {
    let part = shard.map(|shard| shard.index().to_be_bytes());
    part.into_iter().flatten().chain(number.to_be_bytes()).collect()
}

/// When a revoked certificate may leave the list. RFC 5280 section 3.3: "An entry MUST NOT be removed from the CRL until it
/// appears on one regularly scheduled CRL issued beyond the revoked certificate's validity period." Twice the lifetime of a CRL
/// is that and some. What signed code is never off it: a signature with a time stamp is judged long after its certificate's end, and
/// would be good again.
pub(super) fn leaves_at(issuer: &Issuing, row: &RevokedRow) -> Option<Timestamp> {
    row.not_after.filter(|_| !issuer.is_outlived()).map(|end| end.plus_secs(issuer.crl_secs.saturating_mul(2)))
}

/// Whether it is an entry of a complete CRL.
pub(super) fn is_listed(row: &RevokedRow) -> bool {
    is_x509(row) && !row.changes && row.reason != RELEASED
}

/// Whether it is of the kind that CRLs list.
pub(super) fn is_x509(row: &RevokedRow) -> bool {
    match row.kind {
        Kind::Certificate | Kind::CaCertificate => true,
        Kind::SshUser | Kind::SshHost | Kind::CodeSignature | Kind::Crl | Kind::CaRequest | Kind::OcspBatch => false,
    }
}

/// Encodes a revocation as an entry, of this date.
pub(super) fn append(into: &mut Vec<u8>, row: &RevokedRow, date: Timestamp) -> Result<(), der::Error> {
    // Section 5.3.1: "the reason code CRL entry extension SHOULD be absent instead of using the unspecified (0) reasonCode value."
    let reason = match row.reason {
        0 => None,
        // ENUMERATED of one octet.
        code => Some(extension(rfc5280::ID_CE_CRL_REASONS, false, &[0x0a, 0x01, code])?),
    };
    let invalid = row.invalid.map(|at| extension(rfc5280::ID_CE_INVALIDITY_DATE, false, &generalized(at)?.to_der()?));
    let extensions: Vec<Extension> = reason.into_iter().chain(invalid.transpose()?).collect();
    append_entry(into, &row.serial, date, (!extensions.is_empty()).then_some(extensions))
}

fn extensions(
    issuer: &Issuing,
    shard: Option<Shard>,
    (number, base): (u64, Option<u64>),
) -> Result<Vec<Extension>, der::Error> {
    let number = UintRef::new(&number.to_be_bytes())?.to_der()?;
    let mut all = vec![
        // The issuer's subjectKeyIdentifier, not a hash of our own: they differ for imported CAs.
        authority_key_identifier(&issuer.key_identifier)?,
        extension(rfc5280::ID_CE_CRL_NUMBER, false, &number)?,
    ];
    if let Some(shard) = shard {
        all.push(issuing_distribution_point(&issuer.crl_url(shard))?);
    }
    match base {
        // Section 5.2.4: "The delta CRL indicator is a critical CRL extension that identifies a CRL as being a delta CRL."
        Some(base) => {
            let base = UintRef::new(&base.to_be_bytes())?.to_der()?;
            all.push(extension(rfc5280::ID_CE_DELTA_CRL_INDICATOR, true, &base)?);
        }
        // Section 5.2.6: "This extension MUST NOT appear in delta CRLs."
        None => all.extend(issuer.delta_url(shard).as_deref().map(freshest).transpose()?),
    }
    Ok(all)
}

/// RFC 5280 section 5.2.5: "The issuing distribution point is a critical CRL extension that identifies the CRL distribution point and
/// scope for a particular CRL". The URL is byte for byte the one in the certificates, so that one part's CRL passes for no other's:
/// "the following rules apply ... one of the names MUST match" (section 6.3.3 (b) (2) (i)). Everything in it is of any kind of
/// certificate and any reason, so nothing else stands there.
fn issuing_distribution_point(url: &str) -> Result<Extension, der::Error> {
    let scope = IssuingDistributionPoint {
        distribution_point: Some(DistributionPointName::FullName(vec![uri(url)?])),
        only_contains_user_certs: false,
        only_contains_ca_certs: false,
        only_some_reasons: None,
        indirect_crl: false,
        only_contains_attribute_certs: false,
    };
    // By hand: the library's own extension has the OID of another (RustCrypto/formats#2389).
    extension(rfc5280::ID_CE_ISSUING_DISTRIBUTION_POINT, true, &scope.to_der()?)
}

/// What its CRLs are, for whoever reads the log.
pub(crate) const TEXT: &str = "crl v2: full or of one part (IDP), or a delta of one (deltaCRLIndicator), CRLNumber, AKI, freshestCRL where there are deltas, as long as its issuer's CRLs hold: seven days, or what was decided for it";
