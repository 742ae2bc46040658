//! What holds of any certificate, whoever made it.
//!
//! x509-parser is the reader that decides; x509-cert reads the same bytes, and wherever the two disagree, that is a finding:
//! what two parsers read differently, two relying parties will.

use der::{Decode, Encode};
use spki::ObjectIdentifier;
use x509_cert::ext::Extension;
use x509_cert::time::Time;
use x509_parser::prelude::{
    FromDer, SubjectPublicKeyInfo, TbsCertificate, X509Certificate, X509Extension, X509Version,
};

use crate::encode::spki::{
    ID_EC, ID_ED25519, ID_ML_DSA_44, ID_ML_DSA_65, ID_ML_DSA_87, ID_RSA, ID_RSA_PSS, P256, P384, P521, RsaKey, of_rsa,
};
use crate::intake::SubjectKey;
use crate::lint::findings::Findings;
use crate::lint::named::lints;
use crate::lint::{algorithms, extensions, names};

lints! { CERTIFICATE;
    CERT_READABLE Error "cert-is-readable"
        "it cannot be read" ["RFC 5280 4.1", "CPS 4.3.1"]
    CERT_ALONE Error "cert-is-followed-by-nothing"
        "bytes follow the certificate" ["RFC 5280 4.1", "CPS 4.3.1"]
    CERT_DER Error "cert-is-der"
        "it is not in the one encoding that DER has for it" ["RFC 5280 4.1", "CPS 4.3.1"]
    CERT_VERSION Error "cert-is-version-3"
        "it is not of version 3" ["RFC 5280 4.1.2.1", "BR 7.1.1", "CPS 7.1.1"]
    CERT_ONE_SERIAL Error "cert-has-one-reading-of-serial"
        "two parsers read two serials" ["RFC 5280 4.1.2.2", "CPS 4.3.1"]
    CERT_ONE_ALGORITHM Error "cert-has-one-reading-of-algorithm"
        "two parsers read two signature algorithms" ["RFC 5280 4.1.2.3", "CPS 4.3.1"]
    CERT_ONE_ISSUER Error "cert-has-one-reading-of-issuer"
        "two parsers read two issuers" ["RFC 5280 4.1.2.4", "CPS 4.3.1"]
    CERT_ONE_SUBJECT Error "cert-has-one-reading-of-subject"
        "two parsers read two subjects" ["RFC 5280 4.1.2.6", "CPS 4.3.1"]
    CERT_ONE_KEY Error "cert-has-one-reading-of-key"
        "two parsers read two keys" ["RFC 5280 4.1.2.7", "CPS 4.3.1"]
    CERT_ONE_VALIDITY Error "cert-has-one-reading-of-validity"
        "two parsers read two validities" ["RFC 5280 4.1.2.5", "CPS 4.3.1"]
    CERT_ONE_EXTENSIONS Error "cert-has-one-reading-of-extensions"
        "two parsers read two sets of extensions" ["RFC 5280 4.1.2.9", "CPS 4.3.1"]
    CERT_SERIAL_POSITIVE Error "cert-serial-is-positive"
        "its serial is not a positive number" ["RFC 5280 4.1.2.2", "CPS 7.1.1"]
    CERT_SERIAL_FITS Error "cert-serial-has-20-bytes-at-most"
        "its serial is longer than 20 bytes" ["RFC 5280 4.1.2.2", "CPS 7.1.1"]
    CERT_SERIAL_IS_LONG Warning "cert-serial-has-64-bits"
        "its serial is too short to hold 64 random bits" ["BR 7.1.2.7", "CPS 7.1.1"]
    CERT_ALGORITHMS_AGREE Error "cert-algorithms-agree"
        "the signed algorithm is not the one beside the signature" ["RFC 5280 4.1.1.2", "CPS 7.1.3"]
    CERT_SIGNATURE_STRONG Error "cert-signature-is-not-weak"
        "it is signed with MD5 or SHA-1" ["BR 7.1.3.2", "CPS 7.1.3"]
    CERT_KEY_STRONG Error "cert-key-is-not-weak"
        "its key is weak" ["BR 6.1.6", "CPS 6.1.6"]
    CERT_KEY_KNOWN Notice "cert-key-is-of-a-known-kind"
        "its key is of a kind or a size that is not judged here" ["BR 6.1.5", "CPS 6.1.5"]
    CERT_NAMES_ISSUER Error "cert-names-its-issuer"
        "its issuer has no name" ["RFC 5280 4.1.2.4", "CPS 7.1.4"]
    CERT_BEGINS_FIRST Error "cert-begins-before-it-ends"
        "it ends before it begins" ["RFC 5280 4.1.2.5", "CPS 6.3.2"]
    CERT_TIMES_AS_TOLD Error "cert-times-are-of-the-right-type"
        "a time before 2050 that is no UTCTime" ["RFC 5280 4.1.2.5", "CPS 6.3.2"]
    CERT_NO_UNIQUE_IDS Error "cert-has-no-unique-identifiers"
        "it has a unique identifier" ["RFC 5280 4.1.2.8", "CPS 7.1.1"]
}

/// What is said of a certificate beside its findings.
pub(crate) struct About {
    /// As RFC 4514 writes it.
    pub(crate) subject: String,
    /// Whether it is a CA's.
    pub(crate) is_ca: bool,
}

/// A certificate as it stands in a file.
pub(crate) fn whole(der: &[u8], f: &mut Findings) -> Option<About> {
    let (rest, certificate) = f.read(&CERT_READABLE, "x509-parser", X509Certificate::from_der(der))?;
    f.hold(&CERT_ALONE, rest.is_empty());
    let read = &certificate.tbs_certificate;
    if let Some(also) = f.read(&CERT_READABLE, "x509-cert", x509_cert::Certificate::from_der(der)) {
        f.hold(&CERT_DER, also.to_der().is_ok_and(|again| again == der));
        f.hold(&CERT_ALGORITHMS_AGREE, also.signature_algorithm() == also.tbs_certificate().signature());
        both_agree(read, also.tbs_certificate(), f);
        names::parts("issuer", also.tbs_certificate().issuer(), f);
        names::parts("subject", also.tbs_certificate().subject(), f);
    }
    alone(read, f);
    names::distinguished("issuer", read.issuer(), f);
    names::distinguished("subject", read.subject(), f);
    // What signs itself is trusted for being known, not for its signature.
    let is_self_issued = read.issuer().as_raw() == read.subject().as_raw();
    f.hold(&CERT_SIGNATURE_STRONG, is_self_issued || !algorithms::is_weak(&read.signature));
    if let Err(why) = SubjectKey::from_spki(read.public_key().raw) {
        // In the form for PSS alone it is not accepted; weak is what it is in any form.
        let (why, is_weak) = match as_plain_rsa(read.public_key()).map(|plain| SubjectKey::from_spki(&plain)) {
            Some(Err(weak)) => (weak, is_short(read.public_key())),
            Some(Ok(_)) => (why, false),
            None => (why, is_judged(read.public_key())),
        };
        f.add_with(if is_weak { &CERT_KEY_STRONG } else { &CERT_KEY_KNOWN }, why.to_string());
    }
    Some(About { subject: names::shown(read.subject()), is_ca: read.is_ca() })
}

/// Whether what is said against a key is more than that it is not accepted here.
fn is_judged(key: &SubjectPublicKeyInfo<'_>) -> bool {
    let curve = key.algorithm.parameters.as_ref().and_then(|any| any.as_oid().ok());
    match ObjectIdentifier::from_bytes(key.algorithm.oid().as_bytes()) {
        Ok(ID_EC) => {
            curve.is_none_or(|curve| [P256, P384, P521].iter().any(|known| known.as_bytes() == curve.as_bytes()))
        }
        Ok(ID_RSA) => is_short(key),
        Ok(ID_ED25519 | ID_ML_DSA_44 | ID_ML_DSA_65 | ID_ML_DSA_87) => true,
        Ok(_) | Err(_) => false,
    }
}

/// Not longer than what is judged here: what is longer is as strong as it takes long.
fn is_short(key: &SubjectPublicKeyInfo<'_>) -> bool {
    let read = RsaKey::from_der(&key.subject_public_key.data);
    read.is_ok_and(|read| read.modulus.as_bytes().len() * 8 <= RSA_BITS_MAX)
}

/// A key for PSS alone, as the RSA key that it is.
fn as_plain_rsa(key: &SubjectPublicKeyInfo<'_>) -> Option<Vec<u8>> {
    if key.algorithm.oid().as_bytes() != ID_RSA_PSS.as_bytes() {
        return None;
    }
    let read = RsaKey::from_der(&key.subject_public_key.data).ok()?;
    of_rsa(read.modulus.as_bytes(), read.exponent.as_bytes()).ok()
}

/// A TBSCertificate as two parsers read it. Of its names a draft's own lint judges what is ours to choose: the name of a CA that was
/// brought in stays what it is, byte for byte.
pub(crate) fn tbs(read: &TbsCertificate<'_>, also: &x509_cert::TbsCertificate, f: &mut Findings) {
    both_agree(read, also, f);
    alone(read, f);
}

fn both_agree(read: &TbsCertificate<'_>, also: &x509_cert::TbsCertificate, f: &mut Findings) {
    f.hold(&CERT_ONE_SERIAL, read.raw_serial() == also.serial_number().as_bytes());
    f.hold(&CERT_ONE_ALGORITHM, read.signature.oid().as_bytes() == also.signature().oid.as_bytes());
    f.hold(&CERT_ONE_ISSUER, name_agrees(read.issuer().as_raw(), also.issuer()));
    f.hold(&CERT_ONE_SUBJECT, name_agrees(read.subject().as_raw(), also.subject()));
    f.hold(&CERT_ONE_KEY, also.subject_public_key_info().to_der().is_ok_and(|der| der == read.public_key().raw));
    let unix = |time: &Time| i64::try_from(time.to_unix_duration().as_secs()).ok();
    let (ours, theirs) = (read.validity(), also.validity());
    let agree = unix(&theirs.not_before) == Some(ours.not_before.timestamp())
        && unix(&theirs.not_after) == Some(ours.not_after.timestamp());
    f.hold(&CERT_ONE_VALIDITY, agree);
    f.hold(&CERT_TIMES_AS_TOLD, is_told_right(&theirs.not_before) && is_told_right(&theirs.not_after));
    f.hold(&CERT_ONE_EXTENSIONS, agrees(read.extensions(), also.extensions().map_or(&[][..], |list| list)));
}

fn alone(read: &TbsCertificate<'_>, f: &mut Findings) {
    f.hold(&CERT_VERSION, read.version() == X509Version::V3);
    serial(read, f);
    f.hold(&CERT_NAMES_ISSUER, read.issuer().iter().next().is_some());
    f.hold(&CERT_BEGINS_FIRST, read.validity().not_before <= read.validity().not_after);
    f.hold(&CERT_NO_UNIQUE_IDS, read.issuer_uid.is_none() && read.subject_uid.is_none());
    algorithms::signature(&read.signature, f);
    extensions::of_certificate(read, f);
}

/// RFC 5280 section 4.1.2.2: "The serial number MUST be a positive integer assigned by the CA to each certificate. ... Conforming
/// CAs MUST NOT use serialNumber values longer than 20 octets."
fn serial(read: &TbsCertificate<'_>, f: &mut Findings) {
    let raw = read.raw_serial();
    let is_positive = raw.first().is_some_and(|first| *first < 0x80) && raw.iter().any(|byte| *byte != 0);
    f.hold(&CERT_SERIAL_POSITIVE, is_positive);
    f.hold(&CERT_SERIAL_FITS, raw.len() <= 20);
    // Nobody forges what signs itself.
    f.hold(&CERT_SERIAL_IS_LONG, raw.len() >= 8 || read.issuer().as_raw() == read.subject().as_raw());
}

/// RFC 5280 section 4.1.2.5: "CAs conforming to this profile MUST always encode certificate validity dates through the year 2049
/// as UTCTime".
pub(crate) fn is_told_right(time: &Time) -> bool {
    match time {
        Time::UtcTime(_) => true,
        Time::GeneralTime(general) => general.to_unix_duration().as_secs() >= YEAR_2050,
    }
}

fn name_agrees(raw: &[u8], also: &x509_cert::name::Name) -> bool {
    x509_cert::name::Name::from_der(raw).is_ok_and(|name| name == *also)
}

/// Whether two parsers read the same extensions.
pub(crate) fn agrees(read: &[X509Extension<'_>], also: &[Extension]) -> bool {
    read.len() == also.len() && read.iter().zip(also).all(|(a, b)| same(a, b))
}

/// Whether it is that extension.
pub(crate) fn same(a: &X509Extension<'_>, b: &Extension) -> bool {
    a.oid.as_bytes() == b.extn_id.as_bytes() && a.critical == b.critical && a.value == b.extn_value.as_bytes()
}

/// What is longer is as strong as it takes long.
const RSA_BITS_MAX: usize = 4096;
/// 2050-01-01T00:00:00Z.
const YEAR_2050: u64 = 2_524_608_000;
