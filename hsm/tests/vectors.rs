//! What Project Wycheproof collected against verifiers, for what is verified here without ring: the flawed signatures of each kind
//! are refused, and the good ones taken.

use hsm::{KeyKind, Scheme, verify_as};
use ring::digest::{Algorithm, SHA256, SHA384, SHA512};
use spki::SubjectPublicKeyInfoRef;
use spki::der::Decode;
use wycheproof::{HashFunction, TestResult, ecdsa, mldsa_verify, rsa_pss_verify};

fn hash(of: HashFunction) -> Option<&'static Algorithm> {
    match of {
        HashFunction::Sha2_256 => Some(&SHA256),
        HashFunction::Sha2_384 => Some(&SHA384),
        HashFunction::Sha2_512 => Some(&SHA512),
        _ => None,
    }
}

fn bits(spki_der: &[u8]) -> Vec<u8> {
    SubjectPublicKeyInfoRef::from_der(spki_der).unwrap().subject_public_key.as_bytes().unwrap().to_vec()
}

#[test]
fn ecdsa_is_verified_with_hashes_longer_and_shorter_than_its_curve() {
    use ecdsa::TestName as T;
    let mut seen = 0;
    for (name, kind) in [
        (T::EcdsaSecp256r1Sha256, KeyKind::P256),
        (T::EcdsaSecp256r1Sha512, KeyKind::P256),
        (T::EcdsaSecp384r1Sha256, KeyKind::P384),
        (T::EcdsaSecp384r1Sha384, KeyKind::P384),
        (T::EcdsaSecp384r1Sha512, KeyKind::P384),
        (T::EcdsaSecp521r1Sha512, KeyKind::P521),
    ] {
        for group in ecdsa::TestSet::load(name).unwrap().test_groups {
            let (scheme, key) = (Scheme::Ecdsa(hash(group.hash).unwrap()), bits(&group.der));
            for test in group.tests {
                let taken = verify_as(scheme, kind, &key, &test.msg, &test.sig).is_ok();
                assert_eq!(taken, test.result == TestResult::Valid, "{name:?} {}: {}", test.tc_id, test.comment);
                seen += 1;
            }
        }
    }
    assert!(seen > 2_000, "{seen}");
}

#[test]
fn pss_is_verified_with_each_length_of_salt() {
    use rsa_pss_verify::TestName as T;
    let mut seen = 0;
    for name in [
        T::RsaPss2048Sha256Mgf1SaltLen0,
        T::RsaPss2048Sha256Mgf1SaltLen32,
        T::RsaPss2048Sha384Mgf1SaltLen48,
        T::RsaPss3072Sha256Mgf1SaltLen32,
        T::RsaPss4096Sha384Mgf1SaltLen48,
        T::RsaPss4096Sha512Mgf1SaltLen32,
        T::RsaPss4096Sha512Mgf1SaltLen64,
        T::RsaPssmisc,
    ] {
        for group in rsa_pss_verify::TestSet::load(name).unwrap().test_groups {
            // The collection has other hashes and smaller keys too; neither comes as far as this.
            let Some(hash) = hash(group.hash).filter(|_| group.mgf_hash == Some(group.hash)) else { continue };
            let kind = match group.key_size {
                2048 => KeyKind::Rsa2048,
                3072 => KeyKind::Rsa3072,
                4096 => KeyKind::Rsa4096,
                _ => continue,
            };
            for test in group.tests {
                let scheme = Scheme::RsaPss(hash, group.salt_size);
                let taken = verify_as(scheme, kind, &group.asn_key, &test.msg, &test.sig).is_ok();
                assert_eq!(taken, test.result == TestResult::Valid, "{name:?} {}: {}", test.tc_id, test.comment);
                seen += 1;
            }
        }
    }
    assert!(seen > 500, "{seen}");
}

#[test]
fn ml_dsa_is_verified_with_an_empty_context_alone() {
    use mldsa_verify::TestName as T;
    let mut seen = [0; 2];
    for (name, kind) in [
        (T::MlDsa44Verify, KeyKind::MlDsa44),
        (T::MlDsa65Verify, KeyKind::MlDsa65),
        (T::MlDsa87Verify, KeyKind::MlDsa87),
    ] {
        for group in mldsa_verify::TestSet::load(name).unwrap().test_groups {
            for test in group.tests {
                let plain = test.ctx.as_ref().is_none_or(|context| context.is_empty());
                let taken = verify_as(Scheme::Whole, kind, &group.pubkey, &test.msg, &test.sig).is_ok();
                let good = plain && test.result == TestResult::Valid;
                assert_eq!(taken, good, "{name:?} {}: {}", test.tc_id, test.comment);
                seen[usize::from(good)] += 1;
            }
        }
    }
    assert!(seen.iter().all(|seen| *seen > 50), "{seen:?}");
}
