//! The lints of a response: its shape, what it says of each certificate, and the certificate of the one who says it.

use std::collections::BTreeSet;

use der::asn1::{GeneralizedTime, OctetStringRef};
use der::{AnyRef, Decode, Encode, Tag, TagNumber};
use x509_parser::prelude::{AlgorithmIdentifier, FromDer, X509Certificate, X509Name};

use super::asn1::{BasicResponse, CertId, Extension, OcspResponse, ResponseData, RevokedInfo, SingleResponse, Status};
use crate::encode::ocsp::{BASIC, IdHash, NO_CHECK, NONCE};
use crate::encode::spki::public_bits;
use crate::encode::tlv;
use crate::lint::findings::Findings;
use crate::lint::named::lints;
use crate::lint::{algorithms, names};

lints! { OCSP;
    OCSP_READABLE Error "ocsp-is-readable"
        "it cannot be read" ["RFC 6960 4.2.1", "CPS 7.3"]
    OCSP_DER Error "ocsp-is-der"
        "it is not in the one encoding that DER has for it" ["RFC 6960 4.2.1", "CPS 7.3"]
    OCSP_ANSWER Notice "ocsp-is-an-answer"
        "it says that there is no answer, and is signed by nobody" ["RFC 6960 2.3", "CPS 7.3"]
    OCSP_ANSWER_OR_NOT Error "ocsp-answers-where-it-succeeds"
        "it has an answer and says that there is none, or the other way round" ["RFC 6960 4.2.1", "CPS 7.3"]
    OCSP_BASIC Error "ocsp-is-basic"
        "its answer is of a type that clients need not read" ["RFC 6960 4.2.1", "RFC 5019 2.2.1", "CPS 7.3"]
    OCSP_VERSION Error "ocsp-is-version-1"
        "it is not of version 1" ["RFC 6960 4.2.1", "CPS 7.3"]
    OCSP_SIGNATURE_STRONG Error "ocsp-signature-is-not-weak"
        "it is signed with MD5 or SHA-1" ["RFC 6960 4.3", "BR 7.1.3.2", "CPS 7.1.3"]
    OCSP_RESPONDER_ID Error "ocsp-responder-is-a-name-or-a-key"
        "who responds is neither a name nor the 20 bytes of a key's SHA-1" ["RFC 6960 4.2.1", "CPS 7.3"]
    OCSP_SAYS_SOMETHING Error "ocsp-speaks-of-a-certificate"
        "it speaks of no certificate" ["RFC 6960 4.2.1", "CPS 7.3"]
    OCSP_SAYS_ONE Notice "ocsp-speaks-of-one-certificate"
        "it speaks of several certificates, and serves whoever asked for just these" ["RFC 5019 2.2.1", "CPS 7.3"]
    OCSP_SAYS_ONCE Error "ocsp-speaks-of-each-once"
        "it speaks of a certificate twice" ["RFC 6960 4.2.1", "CPS 7.3"]
    OCSP_ID_FITS Error "ocsp-hashes-are-as-long-as-theirs"
        "a hash of the issuer is not as long as its algorithm's" ["RFC 6960 4.1.1", "CPS 7.3"]
    OCSP_ID_KNOWN Notice "ocsp-hash-is-one-that-clients-ask-with"
        "the issuer is named by a hash that is neither SHA-1 nor SHA-256" ["RFC 5019 2.1.1", "CPS 7.3"]
    OCSP_STATUS_KNOWN Error "ocsp-status-is-one-of-three"
        "a status that is neither good, nor revoked, nor unknown" ["RFC 6960 4.2.1", "CPS 7.3"]
    OCSP_REASON_KNOWN Error "ocsp-reason-is-known"
        "a reason that there is not" ["RFC 6960 4.2.1", "RFC 5280 5.3.1", "CPS 7.3"]
    OCSP_REASON_SAID Warning "ocsp-reason-is-said-or-left-out"
        "a reason that is unspecified, which is left out" ["RFC 5280 5.3.1", "CPS 7.3"]
    OCSP_REVOKED_BEFORE Warning "ocsp-revocation-is-of-the-past"
        "a revocation that is later than the response" ["RFC 6960 4.2.1", "CPS 4.9.10"]
    OCSP_NEXT_UPDATE Warning "ocsp-has-a-next-update"
        "it does not say until when it holds" ["RFC 5019 2.2.4", "BR 4.9.10", "CPS 4.9.10"]
    OCSP_ORDER Error "ocsp-begins-before-it-ends"
        "it ends before it begins, or was made before what it says or after its end" ["RFC 6960 4.2.2.1", "CPS 4.9.10"]
    OCSP_SPAN Warning "ocsp-holds-eight-hours-to-ten-days"
        "it holds for less than eight hours or more than ten days" ["BR 4.9.10", "CPS 4.9.10"]
    OCSP_EXTENSION_ONCE Error "ocsp-extensions-stand-once"
        "an extension stands in it twice" ["RFC 5280 4.2", "CPS 7.3"]
    OCSP_EXTENSION_CRITICAL Warning "ocsp-extensions-are-not-critical"
        "a critical extension, which clients that do not know it stumble over" ["RFC 6960 4.4", "CPS 7.3"]
    OCSP_NONCE_FITS Error "ocsp-nonce-has-1-to-128-bytes"
        "a nonce that is no OCTET STRING of 1 to 128 bytes" ["RFC 9654 2.1", "CPS 7.3"]
    OCSP_CERTIFICATE_OF Error "ocsp-carries-its-responder"
        "none of its certificates is of who responds" ["RFC 6960 4.2.1", "CPS 7.3"]
    OCSP_DELEGATED Error "ocsp-responder-is-delegated"
        "its responder is no CA and has no id-kp-OCSPSigning" ["RFC 6960 4.2.2.2", "CPS 7.3"]
    OCSP_SIGNS Error "ocsp-responder-may-sign"
        "its responder's keyUsage leaves digitalSignature out" ["RFC 5280 4.2.1.3", "CPS 7.3"]
    OCSP_OF_ITS_ISSUER Error "ocsp-responder-is-of-the-issuer"
        "its responder is certified by another CA than that of the certificates" ["RFC 6960 4.2.2.2", "CPS 7.3"]
    OCSP_NOCHECK Warning "ocsp-responder-is-not-asked-of"
        "its responder's certificate has no id-pkix-ocsp-nocheck, or not as NULL" ["RFC 6960 4.2.2.2.1", "BR 4.9.9", "CPS 7.3"]
    OCSP_RESPONDER_HOLDS Error "ocsp-responder-holds"
        "it was made before its responder's certificate began or after it ended" ["RFC 6960 4.2.2.2", "CPS 4.9.9"]
    OCSP_RESPONDER_HOLDS_ON Warning "ocsp-is-outlived-by-its-responder"
        "it holds for longer than its responder's certificate" ["RFC 6960 4.2.2.2.1", "CPS 4.9.9"]
}

/// A response as it stands in a file. Answers who responds, where it is said.
pub(crate) fn whole(der: &[u8], f: &mut Findings) -> Option<String> {
    let read = f.read(&OCSP_READABLE, "OCSPResponse", OcspResponse::from_der(der))?;
    f.hold(&OCSP_DER, read.to_der().is_ok_and(|again| again == der));
    f.hold(&OCSP_ANSWER, read.status == Status::Successful);
    f.hold(&OCSP_ANSWER_OR_NOT, (read.status == Status::Successful) == read.bytes.is_some());
    let Some(bytes) = read.bytes else { return Some(String::new()) };
    if bytes.kind != BASIC {
        f.add_with(&OCSP_BASIC, bytes.kind.to_string());
        return Some(String::new());
    }
    let der = bytes.response.as_bytes();
    let basic = f.read(&OCSP_READABLE, "BasicOCSPResponse", BasicResponse::from_der(der))?;
    f.hold(&OCSP_DER, basic.to_der().is_ok_and(|again| again == der));
    signature(&basic, f);
    let responder = data(&basic.data, f);
    if let Some(certificates) = basic.certificates.as_deref().filter(|list| !list.is_empty()) {
        carried(&basic.data, responder.as_ref(), certificates, f);
    }
    Some(responder.map_or_else(String::new, |responder| responder.shown()))
}

fn signature(basic: &BasicResponse<'_>, f: &mut Findings) {
    let Some(der) = f.read(&OCSP_READABLE, "signatureAlgorithm", basic.algorithm.to_der()) else { return };
    let Some((_, algorithm)) = f.read(&OCSP_READABLE, "signatureAlgorithm", AlgorithmIdentifier::from_der(&der)) else {
        return;
    };
    f.hold(&OCSP_SIGNATURE_STRONG, !algorithms::is_weak(algorithm.oid().as_bytes()));
    algorithms::signature(&algorithm, f);
}

/// Who responds.
enum Responder<'a> {
    /// A Name, DER.
    Named(&'a [u8]),
    /// SHA-1 of a key's bits.
    Key(&'a [u8]),
}

impl<'a> Responder<'a> {
    fn of(choice: &AnyRef<'a>) -> Option<Responder<'a>> {
        let tag = |number| Tag::ContextSpecific { constructed: true, number: TagNumber(number) };
        match choice.header().tag() {
            found if found == tag(1) => {
                let (rest, name) = X509Name::from_der(choice.value()).ok()?;
                (rest.is_empty() && name.iter().next().is_some()).then_some(Responder::Named(choice.value()))
            }
            found if found == tag(2) => {
                let hash = <&OctetStringRef>::from_der(choice.value()).ok()?.as_bytes();
                (hash.len() == SHA1_BYTES).then_some(Responder::Key(hash))
            }
            _ => None,
        }
    }

    fn shown(&self) -> String {
        match self {
            Responder::Named(name) => {
                X509Name::from_der(name).map_or_else(|_| String::new(), |(_, name)| names::shown(&name))
            }
            Responder::Key(hash) => format!("key {}", hex::encode(hash)),
        }
    }

    fn is(&self, certificate: &X509Certificate<'_>) -> bool {
        match self {
            Responder::Named(name) => *name == certificate.subject().as_raw(),
            Responder::Key(hash) => {
                public_bits(certificate.public_key().raw).is_some_and(|bits| IdHash::Sha1.digest(&bits) == *hash)
            }
        }
    }
}

fn data<'a>(data: &ResponseData<'a>, f: &mut Findings) -> Option<Responder<'a>> {
    f.hold(&OCSP_VERSION, data.version == 0);
    let responder = Responder::of(&data.responder);
    f.hold(&OCSP_RESPONDER_ID, responder.is_some());
    f.hold(&OCSP_SAYS_SOMETHING, !data.responses.is_empty());
    f.hold(&OCSP_SAYS_ONE, data.responses.len() <= 1);
    let mut ids = BTreeSet::new();
    for single in &data.responses {
        let is_new = single.id.to_der().is_ok_and(|id| ids.insert(id));
        f.hold(&OCSP_SAYS_ONCE, is_new);
        said(single, unix(data.produced_at), f);
    }
    extensions(data.extensions.as_deref().unwrap_or_default(), f);
    responder
}

fn said(single: &SingleResponse<'_>, produced: i64, f: &mut Findings) {
    id(&single.id, f);
    status(&single.status, produced, f);
    let this = unix(single.this_update);
    f.hold(&OCSP_NEXT_UPDATE, single.next_update.is_some());
    let next = single.next_update.map(unix);
    f.hold(&OCSP_ORDER, this <= produced && next.is_none_or(|next| this < next && produced < next));
    f.hold(&OCSP_SPAN, next.is_none_or(|next| (SPAN_SECS_MIN..=SPAN_SECS_MAX).contains(&next.saturating_sub(this))));
    extensions(single.extensions.as_deref().unwrap_or_default(), f);
}

fn id(id: &CertId<'_>, f: &mut Findings) {
    match IdHash::ALL.into_iter().find(|hash| hash.oid() == id.hash.oid) {
        Some(hash) => {
            let len = hash.digest(&[]).len();
            f.hold(&OCSP_ID_FITS, [id.issuer_name, id.issuer_key].iter().all(|part| part.as_bytes().len() == len));
        }
        None => f.add_with(&OCSP_ID_KNOWN, id.hash.oid.to_string()),
    }
}

fn status(choice: &AnyRef<'_>, produced: i64, f: &mut Findings) {
    let tag = |constructed, number| Tag::ContextSpecific { constructed, number: TagNumber(number) };
    match choice.header().tag() {
        found if (found == tag(false, 0) || found == tag(false, 2)) && choice.value().is_empty() => {}
        found if found == tag(true, 1) => {
            let Some(der) = f.read(&OCSP_READABLE, "revoked", tlv::sequence(&[choice.value()])) else { return };
            let Some(info) = f.read(&OCSP_READABLE, "revoked", RevokedInfo::from_der(&der)) else { return };
            f.hold(&OCSP_REVOKED_BEFORE, unix(info.at) <= produced);
            match info.reason.as_ref().map(|reason| (reason.header().tag(), reason.value())) {
                None | Some((Tag::Enumerated, [1..=6 | 9 | 10])) => {}
                Some((Tag::Enumerated, [0])) => f.add(&OCSP_REASON_SAID),
                Some(_) => f.add(&OCSP_REASON_KNOWN),
            }
        }
        _ => f.add(&OCSP_STATUS_KNOWN),
    }
}

fn extensions(list: &[Extension<'_>], f: &mut Findings) {
    let mut seen = BTreeSet::new();
    for extension in list {
        if !seen.insert(extension.oid) {
            f.add_with(&OCSP_EXTENSION_ONCE, extension.oid.to_string());
        }
        if extension.critical {
            f.add_with(&OCSP_EXTENSION_CRITICAL, extension.oid.to_string());
        }
        if extension.oid == NONCE {
            let nonce = <&OctetStringRef>::from_der(extension.value.as_bytes());
            f.hold(&OCSP_NONCE_FITS, nonce.is_ok_and(|nonce| (1..=NONCE_BYTES_MAX).contains(&nonce.as_bytes().len())));
        }
    }
}

/// The certificates that it brings along: one is of who responds, which is the CA itself or whom that delegated.
fn carried(data: &ResponseData<'_>, responder: Option<&Responder<'_>>, list: &[AnyRef<'_>], f: &mut Findings) {
    let ders: Vec<Vec<u8>> = list.iter().filter_map(|certificate| certificate.to_der().ok()).collect();
    let read: Vec<_> = ders.iter().filter_map(|der| X509Certificate::from_der(der).ok()).collect();
    if read.len() != list.len() {
        f.add_with(&OCSP_READABLE, "a certificate in it");
    }
    let Some(responder) = responder else { return };
    let Some((_, certificate)) = read.iter().find(|(_, certificate)| responder.is(certificate)) else {
        return f.add(&OCSP_CERTIFICATE_OF);
    };
    let (begins, ends) = (certificate.validity().not_before.timestamp(), certificate.validity().not_after.timestamp());
    f.hold(&OCSP_RESPONDER_HOLDS, (begins..=ends).contains(&unix(data.produced_at)));
    let lasts = data.responses.iter().filter_map(|single| single.next_update).all(|next| unix(next) <= ends);
    f.hold(&OCSP_RESPONDER_HOLDS_ON, lasts);
    if !certificate.is_ca() {
        delegated(data, certificate, f);
    }
}

fn delegated(data: &ResponseData<'_>, certificate: &X509Certificate<'_>, f: &mut Findings) {
    let purposes = certificate.extended_key_usage().ok().flatten();
    f.hold(&OCSP_DELEGATED, purposes.is_some_and(|purposes| purposes.value.ocsp_signing));
    let usage = certificate.key_usage().ok().flatten();
    f.hold(&OCSP_SIGNS, usage.is_none_or(|usage| usage.value.digital_signature()));
    let mut extensions = certificate.extensions().iter();
    let no_check = extensions.find(|one| one.oid.as_bytes() == NO_CHECK.as_bytes());
    f.hold(&OCSP_NOCHECK, no_check.is_some_and(|one| one.value == NULL));
    let is_of = |id: &CertId<'_>| {
        let hash = IdHash::ALL.into_iter().find(|hash| hash.oid() == id.hash.oid);
        hash.is_none_or(|hash| hash.digest(certificate.issuer().as_raw()) == id.issuer_name.as_bytes())
    };
    f.hold(&OCSP_OF_ITS_ISSUER, data.responses.iter().all(|single| is_of(&single.id)));
}

fn unix(time: GeneralizedTime) -> i64 {
    i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX)
}

const SHA1_BYTES: usize = 20;
const NONCE_BYTES_MAX: usize = 128;
const NULL: &[u8] = &[5, 0];
/// BR section 4.9.10.
const SPAN_SECS_MIN: i64 = 8 * 3_600;
const SPAN_SECS_MAX: i64 = 10 * 86_400;
