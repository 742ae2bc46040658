//! One good response, and what is found when a part of it is broken.

use std::collections::BTreeSet;

use hsm::Algorithm;
use policy::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, date_time_ymd,
};

use super::whole;
use crate::encode::ocsp::{IdHash, IssuerId, NO_CHECK, NONCE, Single, Status, Times, response, response_data};
use crate::encode::tlv;
use crate::lint::findings::Findings;

/// 2026-06-01T00:00:00Z.
const AT: Timestamp = Timestamp::from_unix(1_780_272_000);

/// What a response is made of.
struct Parts {
    statuses: Vec<Status>,
    nonce: Option<Vec<u8>>,
    produced: i64,
    next: i64,
    /// The first `from` in what is signed becomes `to`.
    bent: Vec<(Vec<u8>, Vec<u8>)>,
    algorithm: Algorithm,
    responder: CertificateParams,
    /// The issuer that the response names.
    issuer: &'static str,
    /// The hash that it names the issuer's key by.
    issuer_key: Option<Vec<u8>>,
    /// Who it says responds.
    key: Option<Vec<u8>>,
}

impl Parts {
    fn good() -> Parts {
        let mut responder = CertificateParams::default();
        responder.distinguished_name.push(DnType::CommonName, "OCSP");
        (responder.not_before, responder.not_after) = (date_time_ymd(2026, 5, 30), date_time_ymd(2026, 6, 12));
        responder.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        responder.extended_key_usages = vec![ExtendedKeyUsagePurpose::OcspSigning];
        responder.custom_extensions = vec![no_check(vec![5, 0])];
        Parts {
            statuses: vec![Status::Good],
            nonce: None,
            produced: 0,
            next: 36 * 3_600,
            bent: Vec::new(),
            algorithm: Algorithm::EcdsaP256Sha256,
            responder,
            issuer: "CA",
            issuer_key: None,
            key: None,
        }
    }

    fn made(self) -> Vec<u8> {
        let ca = |name: &str| {
            let mut params = CertificateParams::default();
            params.distinguished_name = rcgen::DistinguishedName::new();
            params.distinguished_name.push(DnType::CommonName, name);
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params
        };
        let (ca_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap());
        let named = ca(self.issuer).self_signed(&ca_key).unwrap();
        let subject = x509_parser::parse_x509_certificate(named.der()).unwrap().1.subject().as_raw().to_vec();
        let certificate = self.responder.signed_by(&key, &Issuer::new(ca("CA"), ca_key)).unwrap();
        let bits = rcgen::PublicKeyData::der_bytes(&key).to_vec();
        let responder = self.key.unwrap_or_else(|| IdHash::Sha1.digest(&bits));
        let mut id = IssuerId::new(IdHash::Sha1, &subject, b"its key");
        id.key = self.issuer_key.unwrap_or(id.key);
        let times =
            Times { produced: AT.plus_secs(self.produced), this_update: AT, next_update: AT.plus_secs(self.next) };
        let serials: Vec<[u8; 1]> = (1..).take(self.statuses.len()).map(|n| [n]).collect();
        let singles: Vec<Single<'_>> = self
            .statuses
            .iter()
            .zip(&serials)
            .map(|(status, serial)| Single {
                issuer: &id,
                serial,
                status: *status,
                next_update: AT.plus_secs(self.next),
            })
            .collect();
        let mut data = response_data(&responder, times, &singles, self.nonce.as_deref()).unwrap();
        for (from, to) in &self.bent {
            let at = data.windows(from.len()).position(|window| window == from).expect("it is in there");
            data.splice(at..at + from.len(), to.iter().copied());
        }
        response(&data, self.algorithm, &[0x30, 0], certificate.der()).unwrap()
    }
}

fn no_check(content: Vec<u8>) -> CustomExtension {
    let arcs: Vec<u64> = NO_CHECK.arcs().map(u64::from).collect();
    CustomExtension::from_oid_content(&arcs, content)
}

fn found(der: &[u8]) -> BTreeSet<&'static str> {
    let mut f = Findings::default();
    whole(der, &mut f);
    f.0.iter().map(|finding| finding.lint.name).collect()
}

#[test]
fn a_good_response_of_each_status_has_no_finding_and_says_who_responds() {
    let revoked = |reason| Status::Revoked { at: AT.plus_secs(-60), reason };
    for status in [Status::Good, Status::Unknown, revoked(0), revoked(1), revoked(9)] {
        for nonce in [None, Some(vec![7; 32])] {
            let der = Parts { statuses: vec![status], nonce, ..Parts::good() }.made();
            assert_eq!(found(&der), BTreeSet::new(), "{status:?}");
        }
    }
    let mut f = Findings::default();
    assert!(whole(&Parts::good().made(), &mut f).unwrap().starts_with("key "));
}

#[test]
fn what_is_broken_has_its_name() {
    type Bend = fn(&mut Parts);
    let rows: &[(&str, Bend)] = &[
        ("ocsp-speaks-of-a-certificate", |p| p.statuses.clear()),
        ("ocsp-speaks-of-one-certificate", |p| p.statuses.push(Status::Good)),
        ("ocsp-speaks-of-each-once", |p| {
            p.statuses.push(Status::Good);
            p.bent.push((vec![2, 1, 2, 0x80, 0], vec![2, 1, 1, 0x80, 0]));
        }),
        ("ocsp-nonce-has-1-to-128-bytes", |p| p.nonce = Some(Vec::new())),
        ("ocsp-nonce-has-1-to-128-bytes", |p| p.nonce = Some(vec![1; 129])),
        ("ocsp-status-is-one-of-three", |p| p.bent.push((vec![0x80, 0], vec![0x83, 0]))),
        ("ocsp-reason-is-known", |p| p.statuses = vec![Status::Revoked { at: AT, reason: 7 }]),
        ("ocsp-reason-is-known", |p| p.statuses = vec![Status::Revoked { at: AT, reason: 8 }]),
        ("ocsp-reason-is-said-or-left-out", |p| {
            p.statuses = vec![Status::Revoked { at: AT, reason: 1 }];
            p.bent.push((vec![0x0a, 1, 1], vec![0x0a, 1, 0]));
        }),
        ("ocsp-revocation-is-of-the-past", |p| {
            p.statuses = vec![Status::Revoked { at: AT.plus_secs(3_600), reason: 1 }];
        }),
        ("ocsp-begins-before-it-ends", |p| p.next = 0),
        ("ocsp-begins-before-it-ends", |p| p.produced = -1),
        ("ocsp-begins-before-it-ends", |p| p.produced = 36 * 3_600),
        ("ocsp-holds-eight-hours-to-ten-days", |p| p.next = 3_600),
        ("ocsp-holds-eight-hours-to-ten-days", |p| p.next = 11 * 86_400),
        ("ocsp-is-outlived-by-its-responder", |p| p.responder.not_after = date_time_ymd(2026, 6, 2)),
        ("ocsp-responder-holds", |p| p.responder.not_before = date_time_ymd(2026, 6, 2)),
        ("ocsp-responder-is-delegated", |p| p.responder.extended_key_usages.clear()),
        ("ocsp-responder-is-delegated", |p| {
            p.responder.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        }),
        ("ocsp-responder-may-sign", |p| p.responder.key_usages = vec![KeyUsagePurpose::KeyAgreement]),
        ("ocsp-responder-is-not-asked-of", |p| p.responder.custom_extensions.clear()),
        ("ocsp-responder-is-not-asked-of", |p| p.responder.custom_extensions = vec![no_check(vec![4, 0])]),
        ("ocsp-responder-is-of-the-issuer", |p| p.issuer = "Another"),
        ("ocsp-carries-its-responder", |p| p.key = Some(vec![0xcc; 20])),
        ("ocsp-responder-is-a-name-or-a-key", |p| p.key = Some(vec![0xcc; 32])),
        ("ocsp-hashes-are-as-long-as-theirs", |p| p.issuer_key = Some(vec![0xbb; 32])),
        ("ocsp-hash-is-one-that-clients-ask-with", |p| {
            p.bent.push((vec![6, 5, 0x2b, 0x0e, 3, 2, 0x1a], vec![6, 5, 0x2b, 0x0e, 3, 2, 0x1b]));
        }),
        ("ocsp-extensions-are-not-critical", |p| {
            // The octets of the nonce's value give way to a flag.
            p.nonce = Some(vec![7; 32]);
            let oid = NONCE.as_bytes();
            let nonce = [&[4, 0x22, 4, 0x20][..], &[7; 32]].concat();
            let short = [&[1, 1, 0xff, 4, 0x1f, 4, 0x1d][..], &[7; 29]].concat();
            p.bent.push(([oid, &nonce].concat(), [oid, &short].concat()));
        }),
    ];
    for (name, bend) in rows {
        let mut parts = Parts::good();
        bend(&mut parts);
        let names = found(&parts.made());
        assert!(names.contains(name), "{name}: {names:?}");
    }
}

#[test]
fn what_is_no_answer_is_known_as_one() {
    assert_eq!(found(&[0x30, 3, 0x0a, 1, 3]), BTreeSet::from(["ocsp-is-an-answer"]));
    assert_eq!(
        found(&[0x30, 3, 0x0a, 1, 0]),
        BTreeSet::from(["ocsp-answers-where-it-succeeds"]),
        "successful, and nothing in it"
    );
    assert_eq!(found(&[0x30, 3, 0x0a, 1, 4]), BTreeSet::from(["ocsp-is-readable"]), "4 is not used");
    let mut answer = Parts::good().made();
    let at = answer.windows(3).position(|window| window == [0x0a, 1, 0]).unwrap();
    answer[at + 2] = 3;
    assert!(found(&answer).contains("ocsp-answers-where-it-succeeds"));
    let bytes = tlv::sequence(&[&[6, 1, 0x2a], &[4, 0]]).unwrap();
    let other = tlv::sequence(&[&[0x0a, 1, 0], &tlv::context(0, &bytes).unwrap()]).unwrap();
    assert_eq!(found(&other), BTreeSet::from(["ocsp-is-basic"]));
}

#[test]
fn a_weak_signature_is_told_of() {
    let der = Parts { algorithm: Algorithm::RsaPkcs1Sha256, ..Parts::good() }.made();
    assert!(!found(&der).contains("ocsp-signature-is-not-weak"));
    let oid = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 0x0b];
    let mut weak = der;
    let at = weak.windows(oid.len()).position(|window| window == oid).unwrap();
    weak[at + 8] = 5;
    assert!(found(&weak).contains("ocsp-signature-is-not-weak"));
}
