//! What verifies, what does not, and that nonsense is answered.

use super::*;
use crate::custody::KeyKind;
use crate::custody::forms::{ec_spki, ml_dsa_spki, rsa_spki};
use der::Encode;
use ring::digest::{SHA256, SHA384, SHA512, digest};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, KeyPair};

#[test]
fn a_digest_and_its_message_verify_alike() {
    let random = SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref(), &random).unwrap();
    let spki = ec_spki(KeyKind::P256, pair.public_key().as_ref()).unwrap();
    let signature = pair.sign(&random, b"the charter").unwrap();
    let hashed = Message::Sha256(digest(&SHA256, b"the charter").as_ref().try_into().unwrap());
    let other = Message::Sha256(digest(&SHA256, b"the chartes").as_ref().try_into().unwrap());
    let whole = Message::from(b"the charter".to_vec());
    for (message, good) in [(&whole, true), (&hashed, true), (&other, false)] {
        assert_eq!(verify(Algorithm::EcdsaP256Sha256, &spki, message, signature.as_ref()).is_ok(), good);
    }
    let mut flipped = signature.as_ref().to_vec();
    *flipped.last_mut().unwrap() ^= 1;
    assert!(verify(Algorithm::EcdsaP256Sha256, &spki, &hashed, &flipped).is_err());
    assert!(verify(Algorithm::EcdsaP256Sha256, &spki, &hashed, &[]).is_err());
}

#[test]
fn what_is_left_as_a_digest_verifies_under_its_own_algorithm_alone() {
    let random = SystemRandom::new();
    for (kind, algorithm, signing, hash) in [
        (KeyKind::P256, Algorithm::EcdsaP256Sha256, &ECDSA_P256_SHA256_ASN1_SIGNING, &SHA256),
        (KeyKind::P384, Algorithm::EcdsaP384Sha384, &ECDSA_P384_SHA384_ASN1_SIGNING, &SHA384),
    ] {
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(signing, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(signing, pkcs8.as_ref(), &random).unwrap();
        let spki = ec_spki(kind, pair.public_key().as_ref()).unwrap();
        let signature = pair.sign(&random, b"the charter").unwrap();
        let left = digest(hash, b"the charter");
        let is_good = |algorithm, digest: &[u8]| verify_digest(algorithm, &spki, digest, signature.as_ref()).is_ok();
        assert!(is_good(algorithm, left.as_ref()));
        assert!(!is_good(algorithm, digest(hash, b"the chartes").as_ref()));
        assert!(!is_good(algorithm, &left.as_ref()[1..]) && !is_good(algorithm, &[]));
        assert!(Algorithm::ALL.into_iter().filter(|other| *other != algorithm).all(|a| !is_good(a, left.as_ref())));
    }
}

#[test]
fn nonsense_is_refused_without_a_panic() {
    let (_, rsa) = rsa_spki(&[0xff; 256], &[3]).unwrap();
    let p256 = ec_spki(KeyKind::P256, &[4; 65]).unwrap();
    let p521 = ec_spki(KeyKind::P521, &[4; 133]).unwrap();
    let lattice = ml_dsa_spki(KeyKind::MlDsa87, &[4; 2592]).unwrap();
    for spki in [&rsa[..], &p256, &p521, &lattice, &[], &[0x30, 0x80]] {
        for algorithm in Algorithm::ALL {
            for message in [Message::Sha256([0; 32]), Message::from(Vec::new())] {
                for signature in [&[][..], &[0; 256], &[0xff; 256], &[0x30, 0x06, 2, 1, 0, 2, 1, 0], &[0; 4627]] {
                    assert!(verify(algorithm, spki, &message, signature).is_err());
                    assert!(verify_digest(algorithm, spki, &[0; 32], signature).is_err());
                    assert!(verify_digest(algorithm, spki, &[0; 48], signature).is_err());
                }
            }
        }
    }
}

/// An exponent of 1 opens a signature to itself, so that any encoded message can be put before the judge.
#[test]
fn an_encoded_message_of_pss_is_judged_whole() {
    let key = crate::custody::forms::RsaPublicKey {
        n: der::asn1::UintRef::new(&[0xff; 256]).unwrap(),
        e: der::asn1::UintRef::new(&[1]).unwrap(),
    };
    let (key, made) = (key.to_der().unwrap(), digest(&SHA256, b"the charter"));
    let encoded = |salt: &[u8], padding: u8, trailer: u8, digest: &[u8]| {
        let h = ring::digest::digest(&SHA256, &[&[0; 8][..], digest, salt].concat());
        let mut em = vec![0; 256 - 32 - 1 - salt.len() - 1];
        if let Some(first) = em.first_mut() {
            *first = padding;
        }
        em.push(0x01);
        em.extend_from_slice(salt);
        let mask: Vec<u8> =
            (0..8_u32).flat_map(|n| digest_of(&[h.as_ref(), &n.to_be_bytes()].concat())).take(em.len()).collect();
        em.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
        em[0] &= 0x7f;
        em.extend_from_slice(h.as_ref());
        em.push(trailer);
        em
    };
    fn digest_of(bytes: &[u8]) -> Vec<u8> {
        digest(&SHA256, bytes).as_ref().to_vec()
    }
    let judged = |salt: usize, em: &[u8]| {
        Scheme::RsaPss(&SHA256, salt).verify_digest(Algorithm::RsaPssSha256, &key, made.as_ref(), em).is_ok()
    };
    for salt in [0, 1, 32, 222] {
        let em = encoded(&vec![5; salt], 0, 0xbc, made.as_ref());
        assert!(judged(salt, &em), "{salt}");
        assert!(!judged(salt + 1, &em) && (salt == 0 || !judged(salt - 1, &em)), "{salt}");
        let mut high = em.clone();
        high[0] |= 0x80;
        assert!(!judged(salt, &high), "a bit above the modulus");
    }
    assert!(!judged(32, &encoded(&[5; 32], 1, 0xbc, made.as_ref())), "padding that is not zero");
    assert!(!judged(32, &encoded(&[5; 32], 0, 0xcc, made.as_ref())), "another trailer");
    assert!(!judged(32, &encoded(&[5; 32], 0, 0xbc, digest(&SHA256, b"the chartes").as_ref())));
    assert!(!judged(usize::MAX, &encoded(&[5; 32], 0, 0xbc, made.as_ref())));
    assert!(Scheme::RsaPss(&SHA512, 32).verify_digest(Algorithm::RsaPssSha256, &key, made.as_ref(), &[]).is_err());
}

#[test]
fn a_scheme_is_not_taken_from_a_key_of_another() {
    for algorithm in Algorithm::ALL {
        for scheme in [Scheme::Ecdsa(&SHA512), Scheme::RsaPkcs1(&SHA384), Scheme::RsaPss(&SHA256, 20), Scheme::Whole] {
            assert!(scheme.verify_whole(algorithm, &[4; 133], b"m", &[0x30, 6, 2, 1, 1, 2, 1, 1]).is_err());
        }
    }
}
