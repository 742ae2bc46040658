//! Lints of files: certificates and CRLs that others made, and bytes that are none.

use std::collections::BTreeSet;

use proptest::prelude::*;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName, DnType, DnValue,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevocationReason, RevokedCertParams,
    SanType, SerialNumber, date_time_ymd,
};

use super::{Judged, Kind, Severity, judge};
use crate::encode::{pem, tlv};

/// A CA as others make one, its certificate, a leaf below it and a CRL: PEM.
struct Foreign {
    root: String,
    leaf: String,
    crl: String,
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, DnValue::Utf8String(name.to_owned()));
    (params.not_before, params.not_after) = (date_time_ymd(2026, 1, 1), date_time_ymd(2026, 12, 31));
    params.serial_number = Some(SerialNumber::from_slice(&[1; 16]));
    params
}

fn foreign(bend: impl FnOnce(&mut CertificateParams)) -> Foreign {
    let (root_key, leaf_key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let mut root = params("Root");
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    root.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let root_pem = root.self_signed(&root_key).unwrap().pem();
    let issuer = Issuer::new(root, root_key);
    let mut leaf = params("a.example");
    leaf.subject_alt_names = vec![SanType::DnsName("a.example".try_into().unwrap())];
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    leaf.use_authority_key_identifier_extension = true;
    bend(&mut leaf);
    let leaf = leaf.signed_by(&leaf_key, &issuer).unwrap().pem();
    let revoked = |reason_code| RevokedCertParams {
        serial_number: SerialNumber::from_slice(&[1; 16]),
        revocation_time: date_time_ymd(2026, 1, 1),
        reason_code,
        invalidity_date: None,
    };
    let crl = CertificateRevocationListParams {
        this_update: date_time_ymd(2026, 1, 2),
        next_update: date_time_ymd(2026, 1, 9),
        crl_number: SerialNumber::from_slice(&[7]),
        issuing_distribution_point: None,
        revoked_certs: vec![revoked(Some(RevocationReason::KeyCompromise))],
        key_identifier_method: KeyIdMethod::Sha256,
    };
    Foreign { root: root_pem, leaf, crl: crl.signed_by(&issuer).unwrap().pem().unwrap() }
}

fn names(judged: &Judged, least: Severity) -> BTreeSet<&'static str> {
    judged.findings.iter().filter(|f| f.lint.severity >= least).map(|f| f.lint.name).collect()
}

#[test]
fn a_file_of_others_is_judged_object_by_object_and_by_kind() {
    let foreign = foreign(|_| ());
    let file = format!("{}some text\n{}{}", foreign.root, foreign.leaf, foreign.crl);
    let judged = judge(file.as_bytes()).unwrap();
    let said: Vec<_> = judged.iter().map(|one| (one.kind, one.name.as_str(), names(one, Severity::Warning))).collect();
    let none = BTreeSet::new;
    assert_eq!(
        said,
        [
            (Kind::CaCertificate, "CN=Root", none()),
            (Kind::Certificate, "CN=a.example", none()),
            (Kind::Crl, "CN=Root", none())
        ]
    );
    assert!(names(&judged[1], Severity::Notice).contains("revocation-can-be-seen"));

    // The same as DER, one behind the other.
    let der: Vec<u8> = [("CERTIFICATE", &foreign.root), ("CERTIFICATE", &foreign.leaf), ("X509 CRL", &foreign.crl)]
        .iter()
        .flat_map(|(label, pem)| pem::decode(pem.as_bytes(), &[label]).unwrap())
        .collect();
    let kinds: Vec<_> = judge(&der).unwrap().iter().map(|one| one.kind).collect();
    assert_eq!(kinds, [Kind::CaCertificate, Kind::Certificate, Kind::Crl]);
}

#[test]
fn what_others_break_has_its_name() {
    type Bend = fn(&mut CertificateParams);
    let rows: [(&str, Bend); 7] = [
        ("server-has-a-name", |p| p.subject_alt_names.clear()),
        ("curve-key-enciphers-nothing", |p| p.key_usages.push(KeyUsagePurpose::KeyEncipherment)),
        ("only-a-ca-signs-certificates", |p| p.key_usages.push(KeyUsagePurpose::KeyCertSign)),
        ("issuer-key-is-named", |p| p.use_authority_key_identifier_extension = false),
        ("cert-serial-has-64-bits", |p| p.serial_number = Some(SerialNumber::from_slice(&[7; 4]))),
        ("server-holds-825-days-at-most", |p| p.not_after = date_time_ymd(2029, 1, 1)),
        ("purposes-are-named", |p| p.extended_key_usages.push(ExtendedKeyUsagePurpose::Any)),
    ];
    for (name, bend) in rows {
        let judged = judge(foreign(bend).leaf.as_bytes()).unwrap();
        assert!(names(&judged[0], Severity::Notice).contains(name), "{name}: {:?}", judged[0].findings);
    }
}

/// Made by openssl: kinds that are not issued here, and a key that is too short for anybody.
#[test]
fn a_key_that_is_not_judged_is_no_weak_key() {
    let dir = tempfile::tempdir().unwrap();
    let (key, out) = (dir.path().join("key"), dir.path().join("cert"));
    for (algorithm, name) in [
        (&["-newkey", "rsa:1024"][..], "cert-key-is-not-weak"),
        (&["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:brainpoolP256r1"], "cert-key-is-of-a-known-kind"),
        (&["-newkey", "ed448"], "cert-key-is-of-a-known-kind"),
        (&["-newkey", "rsa-pss", "-pkeyopt", "rsa_keygen_bits:1024"], "cert-key-is-not-weak"),
        (&["-newkey", "rsa-pss", "-pkeyopt", "rsa_keygen_bits:2048"], "cert-key-is-of-a-known-kind"),
    ] {
        let mut openssl = std::process::Command::new("openssl");
        openssl.args(["req", "-x509", "-nodes", "-subj", "/CN=a"]).args(algorithm);
        assert!(openssl.arg("-keyout").arg(&key).arg("-out").arg(&out).output().unwrap().status.success());
        let judged = judge(&std::fs::read(&out).unwrap()).unwrap();
        let said: Vec<_> =
            names(&judged[0], Severity::Notice).into_iter().filter(|name| name.starts_with("cert-key")).collect();
        assert_eq!(said, [name], "{algorithm:?}");
    }
}

/// A good certificate's key replaced by one that nobody's secret made, its kind by another.
fn with_key(spki: Vec<u8>) -> Vec<u8> {
    let der = pem::decode(foreign(|_| ()).leaf.as_bytes(), &["CERTIFICATE"]).unwrap();
    let mut parts = tlv::parts_of_sequence(&der).unwrap();
    // Version, serial, algorithm, issuer, validity, subject, key.
    let mut tbs = tlv::parts_of_sequence(parts[0]).unwrap();
    tbs[6] = &spki;
    let tbs = tlv::sequence(&tbs).unwrap();
    parts[0] = &tbs;
    tlv::sequence(&parts).unwrap()
}

#[test]
fn weak_keys_of_every_kind_are_named_so() {
    use crate::encode::spki::{ID_ML_DSA_44, ID_ML_DSA_65, ID_ML_DSA_87, P521, of_bare, of_curve};
    let mut off_curve = vec![0; 133];
    (off_curve[0], off_curve[132]) = (4, 5);
    let weak = [
        of_curve(P521, &off_curve).unwrap(),
        of_bare(ID_ML_DSA_44, &[7; 1311]).unwrap(),
        of_bare(ID_ML_DSA_65, &[0; 1952]).unwrap(),
        of_bare(ID_ML_DSA_87, &[7; 1312]).unwrap(),
    ];
    for spki in weak {
        let judged = judge(&with_key(spki)).unwrap();
        let said = names(&judged[0], Severity::Error);
        assert!(said.contains("cert-key-is-not-weak") && !said.contains("cert-is-readable"), "{said:?}");
    }
    for good in [of_bare(ID_ML_DSA_44, &[7; 1312]), of_bare(ID_ML_DSA_87, &[7; 2592])] {
        let judged = judge(&with_key(good.unwrap())).unwrap();
        let said = names(&judged[0], Severity::Notice);
        assert!(!said.iter().any(|name| name.starts_with("cert-key")), "{said:?}");
    }
}

/// PSS says in its parameters with what it hashes; SHA-1 where it does not say.
#[test]
fn a_signature_of_pss_is_as_weak_as_its_hash() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let run = |arguments: &[&str]| {
        let done = std::process::Command::new("openssl").current_dir(dir.path()).args(arguments).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    };
    let ca = ["-newkey", "rsa:2048", "-keyout", "ca.key", "-out", "ca.pem"];
    run(&[&["req", "-x509", "-nodes", "-subj", "/CN=CA"][..], &ca].concat());
    run(&[
        "req",
        "-new",
        "-nodes",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-subj",
        "/CN=a",
        "-out",
        "csr",
    ]);
    for (hash, weak) in [("-sha1", true), ("-sha256", false)] {
        let by = ["-CA", "ca.pem", "-CAkey", "ca.key", "-set_serial", "0x1234567890abcdef1234", "-out", "leaf.pem"];
        let pss = ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"];
        run(&[&["x509", "-req", "-in", "csr", hash][..], &by, &pss].concat());
        let judged = judge(&std::fs::read(at("leaf.pem")).unwrap()).unwrap();
        let said = names(&judged[0], Severity::Warning);
        assert_eq!(said.contains("cert-signature-is-not-weak"), weak, "{hash}: {said:?}");
    }
}

#[test]
fn what_is_nothing_to_judge_is_said_by_what_it_is() {
    let key = KeyPair::generate().unwrap();
    let request = CertificateParams::default().serialize_request(&key).unwrap();
    let leaf = foreign(|_| ()).leaf;
    let cut = leaf.replace("-----END CERTIFICATE-----", "");
    let rows: [(&[u8], &str); 9] = [
        (b"", "neither PEM nor DER"),
        (b"a\n0123456789", "neither PEM nor DER"),
        (&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff], "neither PEM nor DER"),
        (&[0x30, 0x00], "an object of another kind"),
        (&key.serialize_der(), "a private key"),
        (request.der(), "a certificate request"),
        (b"-----BEGIN PRIVATE KEY-----\nMC4=\n-----END PRIVATE KEY-----\n", "a PEM block `PRIVATE KEY`"),
        (b"-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n", "not base64"),
        (cut.as_bytes(), "has no end"),
    ];
    for (bytes, why) in rows {
        let said = judge(bytes).unwrap_err().to_string();
        assert!(said.starts_with("object 1: ") && said.contains(why), "{why}: {said}");
    }
}

proptest! {
    /// Bytes of strangers: whatever is exchanged, cut or added, there is an answer.
    #[test]
    fn no_byte_makes_it_panic(at in any::<prop::sample::Index>(), with in any::<u8>(), cut in any::<bool>()) {
        thread_local! {
            static GOOD: Vec<Vec<u8>> = {
                let foreign = foreign(|_| ());
                [("CERTIFICATE", foreign.root), ("CERTIFICATE", foreign.leaf), ("X509 CRL", foreign.crl)]
                    .map(|(label, text)| pem::decode(text.as_bytes(), &[label]).unwrap())
                    .to_vec()
            };
        }
        GOOD.with(|good| {
            for der in good {
                let mut der = der.clone();
                let at = at.index(der.len());
                der[at] = with;
                if cut {
                    der.truncate(at);
                }
                let _ = judge(&der);
            }
        });
    }

    #[test]
    fn no_armour_makes_it_panic(
        text in "(-----BEGIN (CERTIFICATE|X509 CRL)-----|-----END CERTIFICATE-----|[A-Za-z0-9+/= \n]{0,9}|-----){0,12}",
    ) {
        let _ = judge(text.as_bytes());
    }
}
