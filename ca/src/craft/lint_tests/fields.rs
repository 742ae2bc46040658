//! A good draft of a leaf and of a CA, each of its fields broken alone, and the lint that finds it.

use const_oid::db::rfc5280;
use der::asn1::{BitString, Ia5String, OctetString};
use der::flagset::FlagSet;
use der::{Decode, Encode};
use hsm::{Algorithm, Message};
use policy::{Name, Validity};
use spki::ObjectIdentifier;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::constraints::name::{GeneralSubtree, GeneralSubtrees};
use x509_cert::ext::pkix::name::{GeneralName, GeneralNames};
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages, NameConstraints};

use super::{Bench, NOW, bench, tbs, under_ca};
use crate::drafting::{Craft, Draft};
use crate::encode::certificate::CertificateParts;
use crate::encode::x509::{authority_key_identifier, extension};
use crate::encode::{Dn, san};

/// The parts of a certificate, owned, so that one can be bent.
struct Bendable {
    serial: Vec<u8>,
    algorithm: Algorithm,
    issuer: Dn,
    validity: Validity,
    subject: Dn,
    spki: Vec<u8>,
    extensions: Vec<Extension>,
    /// What is exchanged in the encoded bytes.
    exchange: Option<(Vec<u8>, Vec<u8>)>,
}

impl Bendable {
    fn read<C>(draft: &Draft<C>) -> Bendable {
        let read = x509_cert::TbsCertificate::from_der(tbs(draft)).unwrap();
        Bendable {
            serial: read.serial_number().as_bytes().to_vec(),
            algorithm: draft.entry.key.algorithm(),
            issuer: Dn::from_der(&read.issuer().to_der().unwrap()).unwrap(),
            validity: draft.entry.validity.unwrap(),
            subject: Dn::from_der(&read.subject().to_der().unwrap()).unwrap(),
            spki: read.subject_public_key_info().to_der().unwrap(),
            extensions: read.extensions().unwrap().clone(),
            exchange: None,
        }
    }

    fn encode(self) -> Vec<u8> {
        let bytes = CertificateParts {
            serial: &self.serial,
            algorithm: self.algorithm,
            issuer: self.issuer.as_der(),
            validity: self.validity,
            subject: self.subject.as_der(),
            spki: &self.spki,
            extensions: self.extensions,
        }
        .encode()
        .unwrap();
        let Some((from, to)) = self.exchange else { return bytes };
        let at = bytes.windows(from.len()).position(|window| window == from).expect("it stands in it");
        [&bytes[..at], &to, &bytes[at + from.len()..]].concat()
    }

    fn drop(&mut self, oid: ObjectIdentifier) {
        self.extensions.retain(|e| e.extn_id != oid);
    }

    fn replace(&mut self, oid: ObjectIdentifier, critical: bool, value: &impl Encode) {
        self.drop(oid);
        self.extensions.push(extension(oid, critical, &value.to_der().unwrap()).unwrap());
    }

    fn critical(&mut self, oid: ObjectIdentifier, critical: bool) {
        self.extensions.iter_mut().find(|e| e.extn_id == oid).unwrap().critical = critical;
    }

    fn usage(&mut self, usage: impl Into<FlagSet<KeyUsages>>) {
        self.replace(rfc5280::ID_CE_KEY_USAGE, true, &KeyUsage(usage.into()));
    }

    fn purposes(&mut self, purposes: &[ObjectIdentifier]) {
        self.replace(rfc5280::ID_CE_EXT_KEY_USAGE, false, &ExtendedKeyUsage(purposes.to_vec()));
    }

    fn constraints(&mut self, critical: bool, ca: bool, path_len_constraint: Option<u8>) {
        let value = BasicConstraints { ca, path_len_constraint };
        self.replace(rfc5280::ID_CE_BASIC_CONSTRAINTS, critical, &value);
    }

    fn names(&mut self, names: &[&str], critical: bool) {
        self.general(names.iter().map(|n| san::encode(&Name::parse(n).unwrap()).unwrap()).collect(), critical);
    }

    fn general(&mut self, names: GeneralNames, critical: bool) {
        self.replace(rfc5280::ID_CE_SUBJECT_ALT_NAME, critical, &names);
    }

    fn dns(&mut self, name: &str) {
        self.general(vec![GeneralName::DnsName(Ia5String::new(name).unwrap())], false);
    }
}

type Row = (&'static str, &'static str, fn(&mut Bendable, &Bench));

fn all_are_caught<C: Craft>(bench: &Bench, draft: impl Fn(&Bench) -> Draft<C>, rows: &[Row]) {
    let lint = |bend: &dyn Fn(&mut Bendable)| {
        let mut draft = draft(bench);
        let mut bendable = Bendable::read(&draft);
        bend(&mut bendable);
        draft.entry.message = Message::from(bendable.encode());
        draft.lint().map(|_| ())
    };
    assert!(lint(&|_| ()).is_ok(), "what is taken apart and put together is as good as before: {:?}", lint(&|_| ()));
    for (field, name, bend) in rows {
        let failure = lint(&|bendable| bend(bendable, bench)).expect_err(field);
        let found = failure.findings.iter().any(|finding| finding.lint.name == *name);
        assert!(found, "{field}: {name} is not among: {failure}");
    }
}

fn oid(text: &str) -> ObjectIdentifier {
    ObjectIdentifier::new_unwrap(text)
}

#[tokio::test]
async fn each_of_54_broken_fields_of_a_leaf_is_caught_by_its_lint() {
    let bench = bench().await;
    let rows: [Row; 54] = [
        ("version", "cert-is-version-3", |b, _| b.exchange = Some((vec![0xa0, 3, 2, 1, 2], vec![0xa0, 3, 2, 1, 1]))),
        ("serial, another", "serial-is-the-ledgers", |b, _| b.serial[15] ^= 1),
        ("serial, short", "serial-has-16-positive-bytes", |b, _| b.serial.truncate(8)),
        ("serial, shorter", "cert-serial-has-64-bits", |b, _| b.serial.truncate(7)),
        ("serial, negative", "cert-serial-is-positive", |b, _| {
            let from = [&[2, 16], b.serial.as_slice()].concat();
            b.exchange = Some((from, [&[2, 16, 0x81], &b.serial[1..]].concat()));
        }),
        ("serial, long", "cert-serial-has-20-bytes-at-most", |b, _| b.serial.extend([1; 5])),
        ("signature algorithm", "algorithm-is-the-issuers-keys", |b, _| b.algorithm = Algorithm::EcdsaP384Sha384),
        ("signature parameters", "signature-algorithm-has-the-right-parameters", |b, _| {
            let rsa = [6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 0x0b, 5, 0];
            let bare = [6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 0x0b, 2, 0];
            (b.algorithm, b.exchange) = (Algorithm::RsaPkcs1Sha256, Some((rsa.to_vec(), bare.to_vec())));
        }),
        ("issuer", "issuer-is-its-issuers-subject", |b, _| b.issuer = Dn::parse("/DC=example/DC=com/CN=CA").unwrap()),
        ("issuer, none", "cert-names-its-issuer", |b, _| b.issuer = Dn::empty()),
        ("validity, a second longer", "validity-is-the-ledgers", |b, _| {
            b.validity = Validity::starting(b.validity.not_before(), 3601);
        }),
        ("validity, later", "validity-is-now", |b, _| b.validity = Validity::starting(NOW.plus_secs(1), 3600)),
        ("validity, backdated", "validity-is-backdated-by-a-minute-at-most", |b, _| {
            b.validity = Validity::starting(NOW.plus_secs(-61), 3600);
        }),
        ("validity, beyond its issuer", "validity-is-within-its-issuers", |b, _| {
            b.validity = Validity::starting(NOW, 86_400);
        }),
        ("validity, a year", "leaf-is-as-short-as-its-profile", |b, _| {
            b.validity = Validity::starting(NOW, 365 * 86_400);
        }),
        ("validity, backwards", "cert-begins-before-it-ends", |b, _| {
            let time = |text: &str| [&[0x17, 13], text.as_bytes()].concat();
            let [from, to] = [b.validity.not_before(), b.validity.not_after()]
                .map(|at| crate::encode::x509::time(at).unwrap().to_der().unwrap());
            b.exchange = Some(([from.clone(), to].concat(), [from, time("200101000000Z")].concat()));
        }),
        ("subject, of somebody", "leaf-subject-is-one-of-its-names", |b, _| {
            b.subject = Dn::common_name("c.example.com").unwrap();
        }),
        ("subject, more", "leaf-subject-is-one-of-its-names", |b, _| {
            b.subject = b.subject.and("O", "Example").unwrap()
        }),
        ("subject, a country", "name-country-has-two-letters", |b, _| {
            b.subject = b.subject.and("C", "DE").unwrap();
            b.exchange = Some((vec![0x13, 2, b'D', b'E'], vec![0x13, 2, b'4', b'9']));
        }),
        ("subject, an empty part", "name-parts-are-not-empty", |b, _| {
            let [_, length, _, set, _, one, head @ .., text_length, _, _] = &b.subject.as_der()[..15] else { panic!() };
            let new = [0x30, *length, 0x31, 0, 0x31, set - 2, 0x30, one - 2];
            let text = &b.subject.as_der()[15..];
            let new = [&new, head, &[text_length - 2], text].concat();
            b.exchange = Some((b.subject.as_der().to_vec(), new));
        }),
        ("subject, a blank", "name-values-are-not-empty", |b, _| b.subject = Dn::common_name("a ").unwrap()),
        ("key", "key-is-the-checked-one", |b, bench| b.spki = bench.issuer.key.spki_der().to_vec()),
        ("basicConstraints, a CA", "leaf-is-not-a-ca", |b, _| b.constraints(true, true, None)),
        ("basicConstraints, not critical", "leaf-basic-constraints-are-critical", |b, _| {
            b.constraints(false, false, None)
        }),
        ("basicConstraints, none", "leaf-extensions-are-its-profiles", |b, _| b.drop(rfc5280::ID_CE_BASIC_CONSTRAINTS)),
        ("basicConstraints, a path", "path-length-is-a-cas", |b, _| b.constraints(true, false, Some(0))),
        ("keyUsage, of a CA", "leaf-key-usage-is-not-a-cas", |b, _| b.usage(KeyUsages::KeyCertSign)),
        ("keyUsage, certificates", "only-a-ca-signs-certificates", |b, _| b.usage(KeyUsages::KeyCertSign)),
        ("keyUsage, more", "leaf-extensions-are-its-profiles", |b, _| {
            b.usage(KeyUsages::DigitalSignature | KeyUsages::NonRepudiation);
        }),
        ("keyUsage, encipherment", "curve-key-enciphers-nothing", |b, _| {
            b.usage(KeyUsages::DigitalSignature | KeyUsages::DataEncipherment);
        }),
        ("keyUsage, none of them", "key-usage-is-not-empty", |b, _| {
            b.replace(rfc5280::ID_CE_KEY_USAGE, true, &BitString::from_bytes(&[0]).unwrap());
        }),
        ("keyUsage, not critical", "key-usage-is-critical", |b, _| b.critical(rfc5280::ID_CE_KEY_USAGE, false)),
        ("keyUsage, unreadable", "extensions-are-readable", |b, _| {
            b.replace(rfc5280::ID_CE_KEY_USAGE, true, &der::asn1::Null)
        }),
        ("extendedKeyUsage, any", "purposes-are-named", |b, _| b.purposes(&[rfc5280::ANY_EXTENDED_KEY_USAGE])),
        ("extendedKeyUsage, another", "leaf-extensions-are-its-profiles", |b, _| {
            b.purposes(&[rfc5280::ID_KP_CODE_SIGNING])
        }),
        ("extendedKeyUsage, nothing", "purposes-are-not-empty", |b, _| b.purposes(&[])),
        ("subjectAltName, one less", "leaf-names-are-the-granted", |b, _| b.names(&["a.example.com"], false)),
        ("subjectAltName, one more", "leaf-names-are-the-granted", |b, _| {
            b.names(&["a.example.com", "b.example.com", "c.example.com"], false);
        }),
        ("subjectAltName, one twice", "san-names-stand-once", |b, _| {
            b.names(&["a.example.com", "a.example.com"], false)
        }),
        ("subjectAltName, another kind", "leaf-names-are-the-granted", |b, _| {
            b.names(&["a.example.com", "uri:https://b.example.com/"], false);
        }),
        ("subjectAltName, none", "server-has-a-name", |b, _| b.drop(rfc5280::ID_CE_SUBJECT_ALT_NAME)),
        ("subjectAltName, critical", "san-is-critical-without-subject-alone", |b, _| {
            b.names(&["a.example.com", "b.example.com"], true);
        }),
        ("subjectAltName, the only name", "it-names-somebody", |b, _| b.subject = Dn::empty()),
        ("subjectAltName, empty", "san-is-not-empty", |b, _| b.general(Vec::new(), false)),
        ("subjectAltName, no host", "san-dns-names-are-well-formed", |b, _| b.dns("a..example.com")),
        ("subjectAltName, an underscore", "san-dns-names-have-no-underscore", |b, _| b.dns("a_b.example.com")),
        ("subjectAltName, a part of a label", "san-wildcards-are-whole-labels", |b, _| b.dns("a*.example.com")),
        ("an extension of another kind", "leaf-extensions-are-known", |b, _| b.replace(oid("1.2.3.4"), false, &true)),
        ("an extension twice", "extensions-stand-once", |b, _| b.extensions.push(b.extensions[0].clone())),
        ("certificatePolicies, critical", "policies-are-not-critical", |b, _| {
            b.replace(rfc5280::ID_CE_CERTIFICATE_POLICIES, true, &Vec::<bool>::new());
        }),
        ("authorityKeyIdentifier", "authority-key-identifier-is-the-issuers", |b, _| {
            b.drop(rfc5280::ID_CE_AUTHORITY_KEY_IDENTIFIER);
            b.extensions.push(authority_key_identifier(&[1; 20]).unwrap());
        }),
        ("subjectKeyIdentifier", "key-identifier-is-the-keys", |b, _| {
            b.replace(rfc5280::ID_CE_SUBJECT_KEY_IDENTIFIER, false, &OctetString::new([1; 20]).unwrap());
        }),
        ("cRLDistributionPoints", "cert-points-to-a-crl", |b, _| b.drop(rfc5280::ID_CE_CRL_DISTRIBUTION_POINTS)),
        ("authorityInfoAccess", "cert-points-to-its-issuer", |b, _| b.drop(rfc5280::ID_PE_AUTHORITY_INFO_ACCESS)),
    ];
    all_are_caught(&bench, Bench::leaf, &rows);
}

#[tokio::test]
async fn each_of_18_broken_fields_of_a_ca_is_caught_by_its_lint() {
    let bench = bench().await;
    let rows: [Row; 18] = [
        ("subject", "ca-is-named", |b, _| b.subject = Dn::empty()),
        ("basicConstraints, no CA", "ca-is-a-ca", |b, _| b.constraints(true, false, None)),
        ("basicConstraints, not critical", "ca-basic-constraints-are-critical", |b, _| {
            b.constraints(false, true, Some(0))
        }),
        ("basicConstraints, a longer path", "ca-path-is-the-planned", |b, _| b.constraints(true, true, Some(1))),
        ("basicConstraints, no bound", "ca-path-is-the-planned", |b, _| b.constraints(true, true, None)),
        ("basicConstraints, none", "ca-has-basic-constraints", |b, _| b.drop(rfc5280::ID_CE_BASIC_CONSTRAINTS)),
        ("keyUsage, CRLs alone", "a-ca-signs-certificates", |b, _| b.usage(KeyUsages::CRLSign)),
        ("keyUsage, more", "ca-key-usage-is-a-cas", |b, _| {
            b.usage(KeyUsages::KeyCertSign | KeyUsages::CRLSign | KeyUsages::DigitalSignature);
        }),
        ("keyUsage, none", "ca-has-key-usage", |b, _| b.drop(rfc5280::ID_CE_KEY_USAGE)),
        ("extendedKeyUsage, any", "purposes-are-named", |b, _| b.purposes(&[rfc5280::ANY_EXTENDED_KEY_USAGE])),
        ("extendedKeyUsage, critical", "ca-purposes-are-not-critical", |b, _| {
            b.purposes(&[rfc5280::ID_KP_SERVER_AUTH]);
            b.critical(rfc5280::ID_CE_EXT_KEY_USAGE, true);
        }),
        ("subjectKeyIdentifier, none", "ca-key-is-named", |b, _| b.drop(rfc5280::ID_CE_SUBJECT_KEY_IDENTIFIER)),
        ("subjectKeyIdentifier, critical", "pointers-are-not-critical", |b, _| {
            b.critical(rfc5280::ID_CE_SUBJECT_KEY_IDENTIFIER, true);
        }),
        ("authorityKeyIdentifier, none", "issuer-key-is-named", |b, _| b.drop(rfc5280::ID_CE_AUTHORITY_KEY_IDENTIFIER)),
        ("cRLDistributionPoints, critical", "distribution-points-are-not-critical", |b, _| {
            b.critical(rfc5280::ID_CE_CRL_DISTRIBUTION_POINTS, true);
        }),
        ("cRLDistributionPoints, https", "places-are-plain-http", |b, _| {
            b.exchange = Some((b"http://pki.example/crl".to_vec(), b"gttp://pki.example/crl".to_vec()));
        }),
        ("nameConstraints, not critical", "constraints-are-critical", |b, _| {
            let base = GeneralName::DnsName(Ia5String::new("example.com").unwrap());
            let permitted: GeneralSubtrees = vec![GeneralSubtree { base, minimum: 0, maximum: None }];
            let value = NameConstraints { permitted_subtrees: Some(permitted), excluded_subtrees: None };
            b.replace(rfc5280::ID_CE_NAME_CONSTRAINTS, false, &value);
        }),
        ("an extension of another kind", "ca-extensions-are-known", |b, _| b.replace(oid("1.2.3.4"), false, &true)),
    ];
    all_are_caught(&bench, under_ca, &rows);
}
