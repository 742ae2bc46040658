//! What holds of any CRL, whoever made it (RFC 5280 section 5).

use std::collections::HashSet;

use der::asn1::UintRef;
use der::{Decode, Encode};
use x509_cert::certificate::Rfc5280;
use x509_parser::prelude::{CertificateRevocationList, FromDer, ParsedExtension, X509Version};
use x509_parser::revocation_list::{RevokedCertificate, TbsCertList};

use crate::lint::certificate::{agrees, is_told_right};
use crate::lint::findings::Findings;
use crate::lint::named::lints;
use crate::lint::{algorithms, extensions, names};

lints! { CRL;
    CRL_READABLE Error "crl-is-readable"
        "it cannot be read" ["RFC 5280 5.1", "CPS 4.3.1"]
    CRL_ALONE Error "crl-is-followed-by-nothing"
        "bytes follow the CRL" ["RFC 5280 5.1", "CPS 4.3.1"]
    CRL_DER Error "crl-is-der"
        "it is not in the one encoding that DER has for it" ["RFC 5280 5.1", "CPS 4.3.1"]
    CRL_VERSION Error "crl-is-version-2"
        "it is not of version 2" ["RFC 5280 5.1.2.1", "BR 7.2.1", "CPS 7.2.1"]
    CRL_ALGORITHMS_AGREE Error "crl-algorithms-agree"
        "the signed algorithm is not the one beside the signature" ["RFC 5280 5.1.1.2", "CPS 7.2"]
    CRL_SIGNATURE_STRONG Error "crl-signature-is-not-weak"
        "it is signed with MD5 or SHA-1" ["BR 7.1.3.2", "CPS 7.2"]
    CRL_NAMES_ISSUER Error "crl-names-its-issuer"
        "its issuer has no name" ["RFC 5280 5.1.2.3", "CPS 7.2"]
    CRL_NEXT_UPDATE Error "crl-says-when-the-next-comes"
        "no nextUpdate, or one that is not after thisUpdate" ["RFC 5280 5.1.2.5", "BR 7.2", "CPS 4.9.7"]
    CRL_TIMES_AS_TOLD Error "crl-times-are-of-the-right-type"
        "a time before 2050 that is no UTCTime" ["RFC 5280 5.1.2.4", "CPS 7.2"]
    CRL_NO_EMPTY_LIST Error "crl-has-no-empty-list"
        "an empty list instead of none" ["RFC 5280 5.1.2.6", "CPS 7.2"]
    CRL_ONE_LIST Error "crl-has-one-reading-of-list"
        "two parsers read two lists" ["RFC 5280 5.1.2.6", "CPS 4.3.1"]
    CRL_ONE_EXTENSIONS Error "crl-has-one-reading-of-extensions"
        "two parsers read two sets of extensions" ["RFC 5280 5.1.2.7", "CPS 4.3.1"]
    CRL_SERIALS_ONCE Error "crl-serials-stand-once"
        "a serial stands in it twice" ["RFC 5280 5.1.2.6", "CPS 7.2"]
    CRL_DATES_PAST Warning "crl-revocations-are-past"
        "a revocation after thisUpdate" ["RFC 5280 5.1.2.4", "CPS 7.2"]
    CRL_REASON_SAID Warning "crl-reasons-are-said-or-left-out"
        "the reason `unspecified`, which should be left out" ["RFC 5280 5.3.1", "BR 7.2.2", "CPS 7.2.2"]
    CRL_REMOVES_IN_DELTA Error "crl-removes-in-deltas-alone"
        "the reason `removeFromCRL`, and it is no delta CRL" ["RFC 5280 5.3.1", "CPS 7.2.2"]
    CRL_ENTRY_NOT_CRITICAL Error "crl-entries-are-not-critical"
        "a reason or an invalidity date that is marked critical" ["RFC 5280 5.3.1", "RFC 5280 5.3.2", "CPS 7.2.2"]
    CRL_NUMBERED Error "crl-has-a-number"
        "no CRL number, or one that is critical or longer than 20 bytes" ["RFC 5280 5.2.3", "BR 7.2.2", "CPS 7.2.2"]
    CRL_ISSUER_KEY_NAMED Error "crl-issuer-key-is-named"
        "no authority key identifier names the key that signs it" ["RFC 5280 5.2.1", "BR 7.2.2", "CPS 7.2.2"]
    CRL_POINTERS_NOT_CRITICAL Error "crl-pointers-are-not-critical"
        "a pointer is marked critical" ["RFC 5280 5.2.1", "RFC 5280 5.2.6", "CPS 7.2.2"]
    CRL_SCOPE_CRITICAL Error "crl-scope-is-critical"
        "an issuing distribution point or a delta indicator that is not critical" ["RFC 5280 5.2.4", "RFC 5280 5.2.5", "CPS 7.2.2"]
    CRL_FRESHEST_SOUND Error "crl-freshest-is-of-complete-crls"
        "a freshestCRL that is critical, or in a delta CRL" ["RFC 5280 5.2.6", "CPS 7.2.2"]
    CRL_DELTA_FOLLOWS Error "crl-delta-follows-its-base"
        "a delta indicator that is no number, or none below its own" ["RFC 5280 5.2.4", "CPS 7.2.2"]
    CRL_SCOPE_SOUND Error "crl-scope-is-sound"
        "an issuing distribution point that says nothing, or of users and of CAs alone" ["RFC 5280 5.2.5", "CPS 7.2.2"]
}

/// A CRL as it stands in a file. Answers its issuer.
pub(crate) fn whole(der: &[u8], f: &mut Findings) -> Option<String> {
    let (rest, list) = f.read(&CRL_READABLE, "x509-parser", CertificateRevocationList::from_der(der))?;
    f.hold(&CRL_ALONE, rest.is_empty());
    let read = &list.tbs_cert_list;
    if let Some(also) = f.read(&CRL_READABLE, "x509-cert", x509_cert::crl::CertificateList::<Rfc5280>::from_der(der)) {
        f.hold(&CRL_DER, also.to_der().is_ok_and(|again| again == der));
        f.hold(&CRL_ALGORITHMS_AGREE, also.signature_algorithm == also.tbs_cert_list.signature);
        both_agree(read, &also.tbs_cert_list, f);
        names::parts("issuer", &also.tbs_cert_list.issuer, f);
    }
    alone(read, f);
    names::distinguished("issuer", &read.issuer, f);
    f.hold(&CRL_SIGNATURE_STRONG, !algorithms::is_weak(&read.signature));
    Some(names::shown(&read.issuer))
}

/// A TBSCertList as two parsers read it.
pub(crate) fn tbs(read: &TbsCertList<'_>, also: &x509_cert::crl::TbsCertList<Rfc5280>, f: &mut Findings) {
    both_agree(read, also, f);
    alone(read, f);
}

fn both_agree(read: &TbsCertList<'_>, also: &x509_cert::crl::TbsCertList<Rfc5280>, f: &mut Findings) {
    let list = also.revoked_certificates.as_deref();
    // Section 5.1.2.6: "When there are no revoked certificates, the revoked certificates list MUST be absent."
    f.hold(&CRL_NO_EMPTY_LIST, list.is_none_or(|list| !list.is_empty()));
    let list = list.unwrap_or_default();
    let agree = read.revoked_certificates.len() == list.len()
        && read.revoked_certificates.iter().zip(list).all(|(a, b)| {
            let entry = b.crl_entry_extensions.as_deref().unwrap_or_default();
            a.raw_serial() == b.serial_number.as_bytes() && agrees(a.extensions(), entry)
        });
    f.hold(&CRL_ONE_LIST, agree);
    f.hold(&CRL_ONE_EXTENSIONS, agrees(read.extensions(), also.crl_extensions.as_deref().unwrap_or_default()));
    let times = [Some(&also.this_update), also.next_update.as_ref()].into_iter().flatten();
    let mut times = times.chain(list.iter().map(|entry| &entry.revocation_date));
    f.hold(&CRL_TIMES_AS_TOLD, times.all(is_told_right));
}

fn alone(read: &TbsCertList<'_>, f: &mut Findings) {
    f.hold(&CRL_VERSION, read.version == Some(X509Version::V2));
    f.hold(&CRL_NAMES_ISSUER, read.issuer.iter().next().is_some());
    // Section 5.1.2.5: "Conforming CRL issuers MUST include the nextUpdate field in all CRLs."
    f.hold(&CRL_NEXT_UPDATE, read.next_update.is_some_and(|next| next > read.this_update));
    algorithms::signature(&read.signature, f);
    extensions::in_themselves(read.extensions(), f);
    let is_delta = scope(read, f);
    entries(&read.revoked_certificates, read, is_delta, f);
}

/// Its extensions; whether it is a delta CRL.
fn scope(read: &TbsCertList<'_>, f: &mut Findings) -> bool {
    let (mut numbered, mut names_issuer, mut is_delta) = (false, false, false);
    let (mut freshest, mut own, mut base) = (None, None, None);
    for extension in read.extensions() {
        match extension.parsed_extension() {
            // Section 5.2.3: "CRL verifiers MUST be able to handle CRLNumber values up to 20 octets."
            ParsedExtension::CRLNumber(number) => {
                numbered = !extension.critical && number.bits() <= 159;
                own = Some(extension.value);
            }
            ParsedExtension::AuthorityKeyIdentifier(aki) => {
                names_issuer = aki.key_identifier.is_some();
                f.hold(&CRL_POINTERS_NOT_CRITICAL, !extension.critical);
            }
            ParsedExtension::AuthorityInfoAccess(_) => f.hold(&CRL_POINTERS_NOT_CRITICAL, !extension.critical),
            ParsedExtension::IssuingDistributionPoint(point) => {
                f.hold(&CRL_SCOPE_CRITICAL, extension.critical);
                let kinds =
                    [point.only_contains_user_certs, point.only_contains_ca_certs, point.only_contains_attribute_certs];
                let says = point.distribution_point.is_some()
                    || point.only_some_reasons.is_some()
                    || point.indirect_crl
                    || kinds.contains(&true);
                f.hold(&CRL_SCOPE_SOUND, says && kinds.into_iter().filter(|only| *only).count() <= 1);
            }
            _ if extension.oid.as_bytes() == DELTA => {
                is_delta = true;
                base = Some(extension.value);
                f.hold(&CRL_SCOPE_CRITICAL, extension.critical);
            }
            _ if extension.oid.as_bytes() == FRESHEST => freshest = Some(extension.critical),
            _ => {}
        }
    }
    f.hold(&CRL_NUMBERED, numbered);
    f.hold(&CRL_ISSUER_KEY_NAMED, names_issuer);
    // Section 5.2.6: "This extension MUST NOT appear in delta CRLs."
    f.hold(&CRL_FRESHEST_SOUND, freshest.is_none_or(|critical| !critical && !is_delta));
    f.hold(&CRL_DELTA_FOLLOWS, base.is_none_or(|base| follows(own, base)));
    is_delta
}

/// Whether a CRL's number is above that of its base, both as INTEGERs.
fn follows(own: Option<&[u8]>, base: &[u8]) -> bool {
    let number = |der: &[u8]| UintRef::from_der(der).ok().map(|n| (n.as_bytes().len(), n.as_bytes().to_vec()));
    matches!((own.and_then(number), number(base)), (Some(own), Some(base)) if own > base)
}

/// Each lint once, whatever the number of entries.
fn entries(entries: &[RevokedCertificate<'_>], read: &TbsCertList<'_>, is_delta: bool, f: &mut Findings) {
    let mut serials = HashSet::with_capacity(entries.len());
    // An indirect CRL may have one serial of two issuers.
    let is_indirect = read.extensions().iter().any(
        |e| matches!(e.parsed_extension(), ParsedExtension::IssuingDistributionPoint(point) if point.indirect_crl),
    );
    f.hold(&CRL_SERIALS_ONCE, entries.iter().all(|entry| serials.insert(entry.raw_serial())) || is_indirect);
    f.hold(&CRL_DATES_PAST, entries.iter().all(|entry| entry.revocation_date <= read.this_update));
    let reasons = || {
        entries.iter().flat_map(|entry| entry.extensions()).filter_map(|e| match e.parsed_extension() {
            ParsedExtension::ReasonCode(reason) => Some(reason.0),
            _ => None,
        })
    };
    f.hold(&CRL_REASON_SAID, reasons().all(|reason| reason != 0));
    f.hold(&CRL_REMOVES_IN_DELTA, is_delta || reasons().all(|reason| reason != REMOVE_FROM_CRL));
    let critical = entries.iter().flat_map(|entry| entry.extensions()).any(|e| {
        e.critical
            && matches!(e.parsed_extension(), ParsedExtension::ReasonCode(_) | ParsedExtension::InvalidityDate(_))
    });
    f.hold(&CRL_ENTRY_NOT_CRITICAL, !critical);
}

/// Section 5.3.1.
const REMOVE_FROM_CRL: u8 = 8;
/// id-ce-freshestCRL.
const FRESHEST: &[u8] = &[0x55, 0x1d, 0x2e];
/// id-ce-deltaCRLIndicator.
const DELTA: &[u8] = &[0x55, 0x1d, 0x1b];
