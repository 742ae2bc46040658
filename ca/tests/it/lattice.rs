//! ML-DSA: requests for its keys, and an authority of its keys in a token of PKCS#11 3.2, judged by OpenSSL through Python's
//! `cryptography` (the openssl of the system is older).

use std::path::Path;

use ca::{Authority, CreateConfig, Csr, RevocationReason};
use hsm::testing::TestToken;
use hsm::{Algorithm, KeyKind};
use ml_dsa::{ExpandedSigningKey, MlDsa44, MlDsa65, MlDsa87, MlDsaParams, Seed};
use policy::World;
use store::Database;
use tempfile::TempDir;
use x509_cert::der::asn1::BitString;
use x509_cert::der::{Decode, Encode};
use x509_cert::request::{CertReq, CertReqInfo, Version};
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};

use crate::house::{House, accepts, admin, refuses, server_request};

/// The AlgorithmIdentifier of a parameter set, of keys and signatures alike.
trait Named: MlDsaParams {
    const ALGORITHM: Algorithm;
}

impl Named for MlDsa44 {
    const ALGORITHM: Algorithm = Algorithm::MlDsa44;
}
impl Named for MlDsa65 {
    const ALGORITHM: Algorithm = Algorithm::MlDsa65;
}
impl Named for MlDsa87 {
    const ALGORITHM: Algorithm = Algorithm::MlDsa87;
}

/// A request for a name, under a key of that set.
fn csr<P: Named>(name: &str) -> Vec<u8> {
    signed::<P>(name, b"a secret of thirty-two bytes ...", |der| der.to_vec())
}

/// A request whose signature covers what `signs` makes of it.
fn signed<P: Named>(name: &str, secret: &[u8; 32], signs: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let key = ExpandedSigningKey::<P>::from_seed(&Seed::from(*secret));
    let algorithm = AlgorithmIdentifierOwned::from_der(P::ALGORITHM.identifier()).unwrap();
    let info = CertReqInfo {
        version: Version::V1,
        subject: format!("CN={name}").parse().unwrap(),
        public_key: SubjectPublicKeyInfoOwned {
            algorithm: algorithm.clone(),
            subject_public_key: BitString::from_bytes(key.verifying_key().encode().as_slice()).unwrap(),
        },
        attributes: Default::default(),
    };
    let signature = key.sign_deterministic(&signs(&info.to_der().unwrap()), &[]).unwrap();
    let signature = BitString::from_bytes(signature.encode().as_slice()).unwrap();
    CertReq { info, algorithm, signature }.to_der().unwrap()
}

fn refused(der: &[u8]) -> String {
    Csr::parse(der).unwrap_err().to_string()
}

#[test]
fn a_request_is_read_where_it_proves_possession_and_the_key_is_one() {
    for (der, kind) in [
        (csr::<MlDsa44>("a.example.com"), KeyKind::MlDsa44),
        (csr::<MlDsa65>("a.example.com"), KeyKind::MlDsa65),
        (csr::<MlDsa87>("a.example.com"), KeyKind::MlDsa87),
    ] {
        assert_eq!(Csr::parse(&der).unwrap().key_kind(), kind);
        for at in [der.len() - 1, der.len() / 2] {
            let mut bent = der.clone();
            bent[at] ^= 1;
            assert!(refused(&bent).contains("possession"));
        }
    }
    let other = signed::<MlDsa65>("a.example.com", &[0x51; 32], |_| b"something else".to_vec());
    // A secret of one byte repeated, and the one that RFC 9881 prints; both are known before anything is verified.
    assert!(refused(&other).contains("known to everybody"));
    let printed = signed::<MlDsa87>("a.example.com", &std::array::from_fn(|at| at as u8), <[u8]>::to_vec);
    assert!(refused(&printed).contains("known to everybody"));
    let unproven = signed::<MlDsa65>("a.example.com", b"another secret of 32 bytes .....", |_| b"else".to_vec());
    assert!(refused(&unproven).contains("possession"));

    let bent = |change: &dyn Fn(&mut CertReq)| {
        let mut request = CertReq::from_der(&csr::<MlDsa65>("a.example.com")).unwrap();
        change(&mut request);
        refused(&request.to_der().unwrap())
    };
    let key = |bytes: Vec<u8>| {
        move |request: &mut CertReq| request.info.public_key.subject_public_key = BitString::from_bytes(&bytes).unwrap()
    };
    for (says, change) in [
        ("of 1951 bytes; one of kind mldsa65 has 1952", &key(vec![7; 1951]) as &dyn Fn(&mut CertReq)),
        ("of 1312 bytes; one of kind mldsa65 has 1952", &key(vec![7; 1312])),
        ("anyone can sign", &key(vec![0; 1952])),
        ("possession", &|request: &mut CertReq| request.signature = BitString::from_bytes(&[7; 3308]).unwrap()),
        ("signature algorithm", &|request: &mut CertReq| {
            request.algorithm = AlgorithmIdentifierOwned::from_der(Algorithm::MlDsa44.identifier()).unwrap();
        }),
        ("with parameters", &|request: &mut CertReq| {
            request.info.public_key.algorithm.parameters = Some(x509_cert::der::asn1::Any::null());
        }),
    ] {
        let refused = bent(change);
        assert!(refused.contains(says), "{says}: {refused}");
    }
}

/// Root and issuing CAs of each set: a leaf, a CRL, a start, and the auditor; the old CRL of such a key says nothing any more, and
/// is not counted.
#[tokio::test(flavor = "multi_thread")]
async fn an_authority_of_each_set_issues_and_revokes() {
    for (root, issuing) in [
        (KeyKind::MlDsa87, KeyKind::MlDsa44),
        (KeyKind::MlDsa65, KeyKind::MlDsa65),
        (KeyKind::MlDsa44, KeyKind::MlDsa87),
    ] {
        let dir = TempDir::new().unwrap();
        let database = Database::Sqlite(dir.path().join("chancery.db"));
        let config = CreateConfig { root, issuing, ..CreateConfig::new("Example") };
        let house = House::in_token(&database, dir, World::real(), config, TestToken::kryoptic("pq")).await;
        let issued = house.server(&["www.example.com"]).await;
        assert_eq!(judged(&house, &issued, "tls").await, "good");
        crate::tls::webpki_verify(&house, &issued, "www.example.com").unwrap();
        let mut subjects = Vec::new();
        for csr in [csr::<MlDsa44>("a.example.com"), csr::<MlDsa65>("b.example.com"), csr::<MlDsa87>("c.example.com")] {
            let mut request = server_request(&[]);
            request.csr = Csr::parse(&csr).unwrap();
            subjects.push(house.authority.certify(&admin(), request).await.unwrap());
        }
        house.authority.revoke(&admin(), &issued.serial_hex(), RevocationReason::Superseded).await.unwrap();
        assert_eq!(judged(&house, &issued, "tls").await, "revoked");
        // By being shown, too: whose signature it is, is found out for this kind as well.
        house.authority.revoke_shown(&admin(), &issued.x509_der(), RevocationReason::Superseded).await.unwrap();
        for subject in &subjects {
            assert_eq!(judged(&house, subject, "tls").await, "good");
        }
        let again: Authority = house.reopened(ca::Profiles::load(ca::Profiles::shipped()).unwrap()).await;
        again.certify(&admin(), server_request(&["www.example.com"])).await.unwrap();
        house.verified().await;
    }
}

/// The responders of CAs of each set, and of Ed25519, in a token of PKCS#11 3.2: what they say is judged by another program, by our own lints,
/// and led to the log; with a byte of it another it is refused by all.
#[tokio::test(flavor = "multi_thread")]
async fn a_responder_of_each_set_answers_and_others_verify_it() {
    for (kind, named) in [
        (KeyKind::MlDsa44, "MLDSA44"),
        (KeyKind::MlDsa65, "MLDSA65"),
        (KeyKind::MlDsa87, "MLDSA87"),
        (KeyKind::Ed25519, "Ed25519"),
    ] {
        let dir = TempDir::new().unwrap();
        let database = Database::Sqlite(dir.path().join("chancery.db"));
        let config = CreateConfig { root: kind, issuing: kind, ..CreateConfig::new("Example") };
        let house = House::in_token(&database, dir, World::real(), config, TestToken::kryoptic("pq")).await;
        let (good, bad) = (house.server(&["a.example.com"]).await, house.server(&["b.example.com"]).await);
        house.authority.revoke(&admin(), &bad.serial_hex(), RevocationReason::KeyCompromise).await.unwrap();
        let ca = house.authority.cas().into_iter().find(|ca| ca.name.to_string() == "tls/1").unwrap();
        let issuer = house.file("issuer.der", &ca.certificate.unwrap().der);
        let unknown = "0101aabbccdd112233445566778899aa".to_owned();
        for (serial, says) in [(good.serial_hex(), "good"), (bad.serial_hex(), "revoked"), (unknown, "unknown")] {
            let request = ocsp_request(&house, &serial);
            let answer = house.authority.ocsp(None, &request, None).await;
            if says != "unknown" {
                assert_eq!(house.authority.ocsp(None, &request, None).await.der, answer.der, "{kind}: from memory");
            }
            let judged = |der: &[u8]| {
                let (python, script) = judge("ocsp_response.py");
                (python, script, house.file("told.der", der))
            };
            let (python, script, told) = judged(&answer.der);
            let said = accepts(&python, &[&script, &told, &issuer, &serial]);
            assert!(said.starts_with(says) && said.contains(named), "{kind}: {said}");
            let findings = ca::lint::judge(&answer.der).unwrap();
            assert!(findings.iter().all(|judged| judged.findings.is_empty()), "{kind}: {findings:?}");
            let read = ca::BroughtResponse::read(&answer.der).unwrap();
            assert!(read.is_signed() && read.signed.0 == kind.algorithm(), "{kind}");
            let key_hash = read.key_hash();
            let sought = store::Sought { message: read.data, begins: read.begins, key_hash };
            assert!(matches!(house.ledger.batch_with(sought).await.unwrap(), store::Found::In(_)), "{kind}");
            let mut bent = answer.der.to_vec();
            bent[100] ^= 1;
            let (python, script, told) = judged(&bent);
            refuses(&python, &[&script, &told, &issuer, &serial]);
            assert!(ca::BroughtResponse::read(&bent).is_ok_and(|read| !read.is_signed()), "{kind}");
        }
        house.verified().await;
    }
}

/// What a client asks about a serial of the issuer in the house's folder.
fn ocsp_request(house: &House, serial: &str) -> Vec<u8> {
    let (python, script) = judge("ocsp_request.py");
    let (issuer, out) = (house.dir.path().join("issuer.der"), house.dir.path().join("request.der"));
    accepts(&python, &[&script, &issuer, &serial, &out]);
    std::fs::read(out).unwrap()
}

/// Python with a newer OpenSSL, and one of its programs.
fn judge(script: &str) -> (String, std::path::PathBuf) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let python = root.join("target/clients/python/bin/python");
    (python.to_str().unwrap().to_owned(), root.join("tests/clients").join(script))
}

/// What OpenSSL says of a chain and its CRL; a chain with a flipped bit is refused by it.
async fn judged(house: &House, issued: &store::Issued, issuer: &str) -> String {
    let (leaf, chain, roots) = house.chain_files(issued);
    let crl = house.file("judged.crl", house.authority.crl(issuer).await.unwrap());
    let (python, script) = judge("chain.py");
    let said = accepts(&python, &[&script, &leaf, &chain, &roots, &crl]);
    let mut bent = issued.x509_der();
    *bent.last_mut().unwrap() ^= 1;
    let bent = house.file("bent.der", bent);
    refuses(&python, &[&script, &bent, &chain, &roots, &crl]);
    said.trim().to_owned()
}
