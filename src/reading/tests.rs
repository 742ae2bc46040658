//! What is read of good objects, and that bad ones are refused and never end the program.

use policy::Timestamp;
use proptest::prelude::*;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, IsCa, KeyIdMethod, KeyPair,
    KeyUsagePurpose, RevocationReason, RevokedCertParams, SerialNumber, date_time_ymd,
};

use super::read;

const SSH: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti someone@somewhere";

fn now() -> Timestamp {
    Timestamp::parse_rfc3339("2026-06-01T00:00:00Z").unwrap()
}

fn ca() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    (params.not_before, params.not_after) = (date_time_ymd(2026, 1, 1), date_time_ymd(2026, 7, 1));
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// One of each kind, as bytes.
fn seeds() -> Vec<Vec<u8>> {
    let ca = ca();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    let csr = params.serialize_request(&key).unwrap();
    let revoked = RevokedCertParams {
        serial_number: SerialNumber::from(7),
        revocation_time: date_time_ymd(2026, 2, 1),
        reason_code: Some(RevocationReason::KeyCompromise),
        invalidity_date: None,
    };
    let crl = CertificateRevocationListParams {
        this_update: date_time_ymd(2026, 5, 1),
        next_update: date_time_ymd(2026, 5, 8),
        crl_number: SerialNumber::from(3),
        issuing_distribution_point: None,
        revoked_certs: vec![revoked],
        key_identifier_method: KeyIdMethod::Sha256,
    };
    let crl = crl.signed_by(&ca).unwrap();
    vec![
        ca.der().to_vec(),
        params.signed_by(&key, &ca).unwrap().pem().into_bytes(),
        csr.der().to_vec(),
        crl.der().to_vec(),
        key.serialize_der(),
        key.serialize_pem().into_bytes(),
        rcgen::PublicKeyData::subject_public_key_info(&key),
        SSH.as_bytes().to_vec(),
        keystore(&[(1, "own", ca.der().to_vec()), (2, "old root", ca.der().to_vec())]),
    ]
}

/// As Java's `JavaKeyStore` writes one: keys with a chain of one, and trusted certificates.
fn keystore(entries: &[(u32, &str, Vec<u8>)]) -> Vec<u8> {
    let number = |number: usize| u32::try_from(number).unwrap().to_be_bytes().to_vec();
    let text = |text: &str| [&u16::try_from(text.len()).unwrap().to_be_bytes()[..], text.as_bytes()].concat();
    let mut all = [vec![0xfe, 0xed, 0xfe, 0xed], number(2), number(entries.len())].concat();
    for (tag, alias, der) in entries {
        all.extend([tag.to_be_bytes().to_vec(), text(alias), 1_767_225_600_000_u64.to_be_bytes().to_vec()].concat());
        if *tag == 1 {
            all.extend([number(7), b"\x01secret".to_vec(), number(1)].concat());
        }
        all.extend([text("X.509"), number(der.len()), der.clone()].concat());
    }
    all.extend([0; 20]);
    all
}

fn kinds(bytes: &[u8]) -> Vec<&'static str> {
    read(bytes, now()).unwrap().iter().map(|one| one.kind).collect()
}

#[test]
fn each_kind_is_known_by_its_bytes() {
    let kinds: Vec<_> = seeds().iter().flat_map(|seed| kinds(seed)).collect();
    assert_eq!(
        kinds,
        [
            "ca-certificate",
            "certificate",
            "certificate-request",
            "crl",
            "private-key",
            "private-key",
            "public-key",
            "ssh-public-key",
            "java-keystore"
        ]
    );
}

#[test]
fn of_a_java_keystore_what_needs_no_password_is_shown_and_what_does_is_said() {
    let root = ca().der().to_vec();
    let good = keystore(&[(1, "own", root.clone()), (2, "old\u{202e} root", root.clone())]);
    let shown = read(&good, now()).unwrap().remove(0);
    assert!(shown.value("integrity").unwrap().as_str().unwrap().contains("not checked"));
    let [own, trusted] = &shown.inner[..] else { panic!("{shown:?}") };
    assert_eq!((own.kind, own.value("alias").unwrap().as_str()), ("private-key", Some("own")));
    assert_eq!((own.inner[0].kind, own.inner.len()), ("ca-certificate", 1));
    assert!(!format!("{shown:?}").contains("secret"), "{shown:?}");
    assert_eq!(trusted.value("alias").unwrap(), "old\\u{202e} root");
    assert_eq!(trusted.value("entered").unwrap(), "2026-01-01T00:00:00Z");
    assert!(trusted.value("sha256").is_some() && trusted.kind == "ca-certificate");
    // One that cannot be read keeps nobody from the others.
    let odd = keystore(&[(2, "odd", b"0\x03abc".to_vec()), (2, "root", root.clone())]);
    let shown = read(&odd, now()).unwrap().remove(0);
    assert_eq!((shown.inner[0].kind, shown.inner[1].kind), ("unknown-certificate", "ca-certificate"));
    let with = |at: usize, number: u32| {
        let mut other = good.clone();
        other[at..at + 4].copy_from_slice(&number.to_be_bytes());
        other
    };
    for (bytes, says) in [
        (with(4, 3), "version 3"),
        (with(8, 3), "an entry of kind 0"),
        (with(8, 1), "more in it than its entries"),
        (with(8, u32::MAX), "an entry of kind 0"),
        (with(28, u32::MAX), "cut off"),
        (with(12, 3), "an entry of kind 3"),
        (good[..good.len() - 1].to_vec(), "cut off"),
        (b"\xce\xce\xce\xce\0\0\0\x02".to_vec(), "JCEKS"),
    ] {
        let said = read(&bytes, now()).unwrap_err().to_string();
        assert!(said.contains(says), "{says}: {said}");
    }
    // A chain, and entries, have a bound.
    let chain = good.windows(11).position(|some| some == b"\x01secret\0\0\0\x01").unwrap() + 7;
    assert!(read(&with(chain, 101), now()).unwrap_err().to_string().contains("more than 100"));
    let many = vec![(2, "a", b"0".to_vec()); 10_001];
    assert!(read(&keystore(&many), now()).unwrap_err().to_string().contains("more than 10000 entries"));
}

#[test]
fn several_objects_of_a_file_are_all_shown_and_a_bad_one_is_named() {
    let pems = [seeds()[1].clone(), b"a text between them\n".to_vec(), seeds()[5].clone()].concat();
    assert_eq!(kinds(&pems), ["certificate", "private-key"]);
    let der = [seeds()[0].clone(), seeds()[3].clone()].concat();
    assert_eq!(kinds(&der), ["ca-certificate", "crl"]);
    let bad = [seeds()[1].clone(), b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n".to_vec()].concat();
    assert_eq!(read(&bad, now()).unwrap_err().place, 2);
    for (bytes, says) in [
        (&b""[..], "nothing"),
        (b"hello", "neither PEM nor DER"),
        (b"-----BEGIN CERTIFICATE-----\nMIIB", "without an end"),
        (b"-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----", "not base64"),
        (b"-----BEGIN GREETING-----\nMIIB\n-----END GREETING-----", "`GREETING`"),
    ] {
        let said = read(bytes, now()).unwrap_err().to_string();
        assert!(said.contains(says), "{said}");
    }
}

#[test]
fn times_say_how_much_is_left_and_what_is_over() {
    let certificate = ca().der().to_vec();
    let note = |at: &str, name: &str| {
        let shown = read(&certificate, Timestamp::parse_rfc3339(at).unwrap()).unwrap();
        shown[0].facts.iter().find(|fact| fact.name == name).unwrap().note.clone()
    };
    assert_eq!(note("2026-06-01T00:00:00Z", "not_after"), "30 days left");
    assert_eq!(note("2026-06-30T22:59:00Z", "not_after"), "61 minutes left");
    assert_eq!(note("2026-07-04T00:00:00Z", "not_after"), "EXPIRED 3 days ago");
    assert_eq!(note("2025-12-30T00:00:00Z", "not_before"), "begins in 2 days");
    let crl = read(&seeds()[3], now()).unwrap();
    let next = crl[0].facts.iter().find(|fact| fact.name == "next_update").unwrap();
    assert!(next.note.starts_with("OVERDUE"), "{}", next.note);
    assert_eq!(crl[0].value("revoked").unwrap(), 1);
}

/// Two kinds of key, in the clear and in both dresses.
#[test]
fn of_a_private_key_no_byte_is_shown() {
    for algorithm in [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ED25519] {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let der = key.serialize_der();
        for bytes in [der.clone(), key.serialize_pem().into_bytes()] {
            let shown = read(&bytes, now()).unwrap();
            let text = format!("{:?} {}", shown, shown[0].json()).to_lowercase();
            assert!(shown[0].der.is_empty(), "nobody keeps it");
            let some = der.windows(8).map(hex::encode).find(|some| text.contains(some));
            assert_eq!(some, None, "{text}");
        }
    }
}

/// Whatever one octet becomes, wherever the bytes end: an answer or a refusal.
#[test]
fn no_broken_object_ends_the_program() {
    for seed in seeds() {
        for at in 0..seed.len() {
            let _ = read(&seed[..at], now());
            for other in [0x00, 0x01, 0x30, 0x7f, 0x80, 0x84, 0xa0, 0xff] {
                let mut broken = seed.clone();
                broken[at] = other;
                if let Ok(shown) = read(&broken, now()) {
                    shown.iter().for_each(|one| drop(one.json()));
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_end_the_program(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = read(&bytes, now());
        // As what they are not.
        for label in ["CERTIFICATE", "CERTIFICATE REQUEST", "X509 CRL", "PRIVATE KEY", "RSA PRIVATE KEY", "PKCS7", "PKCS12", "OCSP RESPONSE"] {
            use base64::Engine;
            let body = base64::engine::general_purpose::STANDARD.encode(&bytes);
            let _ = read(format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n").as_bytes(), now());
        }
    }
}
