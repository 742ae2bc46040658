//! What leaf and CA certificates of ours have in common, besides what holds of any ([`crate::lint::certificate`]).

use const_oid::db::rfc5280;
use der::asn1::OctetString;
use der::{Decode, Encode};
use policy::{Timestamp, Validity};
use store::Entry;
use x509_cert::ext::Extension;
use x509_parser::extensions::KeyUsage;
use x509_parser::prelude::{FromDer, ParsedExtension, TbsCertificate};

use crate::craft::lints::*;
use crate::encode::x509::{extension, key_identifier};
use crate::error::DraftError;
use crate::intake::SubjectKey;
use crate::issuers::{Issuing, Pointers};
use crate::lint::Findings;
use crate::lint::certificate::{self, CERT_ALONE, CERT_READABLE};

/// The extension that names a certificate's key, as nobody named it before.
pub(crate) fn subject_key_identifier(key: &SubjectKey) -> Result<Extension, DraftError> {
    subject_key_named(key, None)
}

/// The same where the key may have a name already. RFC 5280 section 4.2.1.2: "the value of the subject key identifier MUST be the value placed
/// in the key identifier field of the authority key identifier extension of certificates issued by the subject of this certificate". So a
/// CA's key is called in each of its certificates what it is called in the first.
pub(crate) fn subject_key_named(key: &SubjectKey, named: Option<&[u8]>) -> Result<Extension, DraftError> {
    let computed = || key_identifier(key.spki_der()).map(Vec::from);
    let id = named.map(<[u8]>::to_vec).or_else(computed).ok_or_else(|| DraftError::new("key", "it has odd bits"))?;
    Ok(extension(rfc5280::ID_CE_SUBJECT_KEY_IDENTIFIER, false, &OctetString::new(id)?.to_der()?)?)
}

/// What every certificate is held against.
pub(crate) struct Common<'a> {
    pub(crate) entry: &'a Entry,
    pub(crate) key: &'a SubjectKey,
    /// What the key is called in certificates that it has; none is what is computed of it.
    pub(crate) named: Option<&'a [u8]>,
    pub(crate) now: Timestamp,
    /// How far in the past it may begin.
    pub(crate) backdate_secs: i64,
}

/// The bytes as two parsers read them.
pub(crate) fn both<'a>(tbs: &'a [u8], f: &mut Findings) -> Option<(TbsCertificate<'a>, x509_cert::TbsCertificate)> {
    let (rest, read) = f.read(&CERT_READABLE, "x509-parser", TbsCertificate::from_der(tbs))?;
    f.hold(&CERT_ALONE, rest.is_empty());
    let also = f.read(&CERT_READABLE, "x509-cert", x509_cert::TbsCertificate::from_der(tbs))?;
    Some((read, also))
}

/// What holds for every certificate, and that both parsers read the same.
pub(crate) fn common(
    read: &TbsCertificate<'_>,
    also: &x509_cert::TbsCertificate,
    expect: &Common<'_>,
    f: &mut Findings,
) {
    certificate::tbs(read, also, f);
    let serial = read.raw_serial();
    f.hold(&SERIAL_IS_THE_LEDGERS, serial == expect.entry.serial);
    f.hold(&SERIAL_HAS_16_BYTES, serial.len() == 16 && serial.first().is_some_and(|b| (1..0x80).contains(b)));
    let algorithm = expect.entry.key.algorithm().identifier();
    f.hold(&ALGORITHM_IS_THE_ISSUERS, also.signature().to_der().is_ok_and(|der| der == algorithm));
    f.hold(&KEY_IS_THE_CHECKED_ONE, read.public_key().raw == expect.key.spki_der());
    if let Some(validity) = validity_of(read) {
        f.hold(&VALIDITY_IS_THE_LEDGERS, Some(validity) == expect.entry.validity);
        f.hold(&VALIDITY_IS_NOW, validity.contains(expect.now));
        f.hold(&VALIDITY_IS_NOT_BACKDATED, expect.now.since(validity.not_before()) <= expect.backdate_secs);
    }
    let computed = key_identifier(expect.key.spki_der());
    let identifier = expect.named.or(computed.as_ref().map(|id| &id[..]));
    let has_identifier =
        has(read, |e| matches!(e, ParsedExtension::SubjectKeyIdentifier(id) if Some(id.0) == identifier));
    f.hold(&KEY_IS_NAMED, has_identifier);
}

/// What holds for every certificate below a CA, but for who answers for its certificates.
pub(crate) fn issued_by(read: &TbsCertificate<'_>, issuer: &Issuing, wanted: &Pointers, f: &mut Findings) {
    named_by(read, issuer, f);
    let (crl, access) = (wanted.crl.is_some(), wanted.ocsp.is_some() || wanted.issuer.is_some());
    f.hold(&POINTS_TO_CRL, !crl || has(read, |e| matches!(e, ParsedExtension::CRLDistributionPoints(_))));
    f.hold(&POINTS_TO_ISSUER, !access || has(read, |e| matches!(e, ParsedExtension::AuthorityInfoAccess(_))));
}

/// It names the CA as its issuer, and is valid when that is.
pub(crate) fn named_by(read: &TbsCertificate<'_>, issuer: &Issuing, f: &mut Findings) {
    f.hold(&ISSUER_IS_THE_ISSUERS_SUBJECT, read.issuer().as_raw() == issuer.subject.as_der());
    let within = validity_of(read)
        .is_some_and(|v| issuer.validity.contains(v.not_before()) && issuer.validity.contains(v.not_after()));
    f.hold(&VALIDITY_IS_WITHIN_THE_ISSUERS, within);
    let names_issuer = has(read, |e| {
        matches!(e, ParsedExtension::AuthorityKeyIdentifier(aki)
            if aki.key_identifier.as_ref().is_some_and(|id| id.0 == issuer.key_identifier))
    });
    f.hold(&ISSUER_KEY_IS_NAMED, names_issuer);
}

pub(crate) fn has(read: &TbsCertificate<'_>, what: impl Fn(&ParsedExtension<'_>) -> bool) -> bool {
    read.extensions().iter().any(|e| what(e.parsed_extension()))
}

pub(crate) fn validity_of(read: &TbsCertificate<'_>) -> Option<Validity> {
    let not_before = Timestamp::from_unix(read.validity().not_before.timestamp());
    let not_after = Timestamp::from_unix(read.validity().not_after.timestamp());
    Validity::new(not_before, not_after).ok()
}

/// keyCertSign and cRLSign, as x509-parser numbers them (bit 5 and bit 6).
pub(crate) const CA_USAGE: u16 = KeyUsage { flags: 1 << 5 | 1 << 6 }.flags;
