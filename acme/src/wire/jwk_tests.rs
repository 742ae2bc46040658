use super::*;
use serde_json::json;

fn rsa_of(bits: usize) -> Value {
    let mut n = vec![0x5au8; bits.div_ceil(8)];
    let spare = n.len() * 8 - bits;
    n[0] = 0x80 >> spare;
    *n.last_mut().unwrap() |= 1;
    json!({"kty": "RSA", "n": URL_SAFE_NO_PAD.encode(n), "e": "AQAB"})
}

fn b64(byte: u8, len: usize) -> String {
    URL_SAFE_NO_PAD.encode(vec![byte; len])
}

#[test]
fn the_thumbprint_is_the_one_of_rfc_7638() {
    let key = json!({
        "kty": "RSA",
        "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMs\
              tn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn\
              1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
        "e": "AQAB", "alg": "RS256", "kid": "2011-04-29"
    });
    assert_eq!(Jwk::parse(key).unwrap().thumbprint(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
}

#[test]
fn weak_strange_and_ambiguous_keys_are_refused() {
    let p256 = |x: String, y: String| json!({"kty": "EC", "crv": "P-256", "x": x, "y": y});
    let refused = [
        ("no key at all", json!({})),
        ("not an object", json!("EC")),
        ("a symmetric key", json!({"kty": "oct", "k": b64(1, 32)})),
        ("a private key", json!({"kty": "OKP", "crv": "Ed25519", "x": b64(1, 32), "d": b64(1, 32)})),
        ("an encryption key", json!({"kty": "OKP", "crv": "Ed25519", "x": b64(1, 32), "use": "enc"})),
        ("X25519", json!({"kty": "OKP", "crv": "X25519", "x": b64(1, 32)})),
        ("secp256k1", json!({"kty": "EC", "crv": "secp256k1", "x": b64(1, 32), "y": b64(1, 32)})),
        ("P-521", json!({"kty": "EC", "crv": "P-521", "x": b64(1, 66), "y": b64(1, 66)})),
        ("a short coordinate", p256(b64(1, 31), b64(1, 32))),
        ("a long coordinate", p256(b64(0, 33), b64(1, 32))),
        ("a padded coordinate", p256(format!("{}=", b64(1, 32)), b64(1, 32))),
        ("standard base64", p256("+".repeat(43), b64(1, 32))),
        ("loose last bits", p256(format!("{}B", "A".repeat(42)), b64(1, 32))),
        ("a number for x", json!({"kty": "EC", "crv": "P-256", "x": 1, "y": b64(1, 32)})),
        ("RSA 1024", rsa_of(1024)),
        ("RSA 2047", rsa_of(2047)),
        ("RSA 4097", rsa_of(4097)),
        ("RSA 16384", rsa_of(16384)),
        ("RSA exponent 3", json!({"kty": "RSA", "n": rsa_of(2048)["n"], "e": "Aw"})),
        ("RSA exponent 65536", json!({"kty": "RSA", "n": rsa_of(2048)["n"], "e": "AQAA"})),
        ("RSA exponent with a leading zero", json!({"kty": "RSA", "n": rsa_of(2048)["n"], "e": "AAEAAQ"})),
        ("RSA exponent too long", json!({"kty": "RSA", "n": rsa_of(2048)["n"], "e": b64(0x11, 9)})),
        (
            "RSA modulus with a leading zero",
            json!({"kty": "RSA", "n": URL_SAFE_NO_PAD.encode([&[0u8][..], &[0xff; 256]].concat()), "e": "AQAB"}),
        ),
        ("an even RSA modulus", json!({"kty": "RSA", "n": b64(0xfe, 256), "e": "AQAB"})),
    ];
    for (what, key) in refused {
        let problem = Jwk::parse(key).expect_err(what);
        assert_eq!(problem.kind, ErrorKind::BadPublicKey, "{what}");
    }
    for bits in [2048, 3072, 4096] {
        assert!(Jwk::parse(rsa_of(bits)).is_ok(), "RSA {bits}");
    }
}

#[test]
fn a_point_off_the_curve_verifies_nothing() {
    let key = Jwk::P256 { x: [1; 32], y: [1; 32] };
    assert!(!key.verify(b"message", &[1; 64]));
    assert!(!key.verify(b"message", &[0; 64]));
}

#[test]
fn the_spki_is_what_other_encoders_write() {
    for (algorithm, name) in [
        (&rcgen::PKCS_ECDSA_P256_SHA256, "P-256"),
        (&rcgen::PKCS_ECDSA_P384_SHA384, "P-384"),
        (&rcgen::PKCS_ED25519, "Ed25519"),
    ] {
        let pair = rcgen::KeyPair::generate_for(algorithm).unwrap();
        let raw = rcgen::PublicKeyData::der_bytes(&pair);
        let half = (raw.len() - 1) / 2;
        let key = match name {
            "P-256" => Jwk::P256 { x: raw[1..=half].try_into().unwrap(), y: raw[half + 1..].try_into().unwrap() },
            "P-384" => Jwk::P384 { x: raw[1..=half].try_into().unwrap(), y: raw[half + 1..].try_into().unwrap() },
            _ => Jwk::Ed25519 { x: raw.try_into().unwrap() },
        };
        assert_eq!(key.spki_der(), rcgen::PublicKeyData::subject_public_key_info(&pair), "{name}");
    }
}

#[test]
fn an_rsa_spki_parses_back_to_the_same_numbers() {
    for bits in [2048, 3072, 4096] {
        let Jwk::Rsa { n, e } = Jwk::parse(rsa_of(bits)).unwrap() else { panic!("RSA") };
        let der = Jwk::Rsa { n: n.clone(), e: e.clone() }.spki_der();
        let (rest, spki) =
            <x509_parser::x509::SubjectPublicKeyInfo as x509_parser::prelude::FromDer<_>>::from_der(&der).unwrap();
        assert!(rest.is_empty());
        let x509_parser::public_key::PublicKey::RSA(parsed) = spki.parsed().unwrap() else { panic!("RSA") };
        assert_eq!(parsed.key_size(), bits);
        assert_eq!(parsed.modulus.iter().skip_while(|byte| **byte == 0).copied().collect::<Vec<_>>(), n);
        assert_eq!(parsed.exponent, e);
    }
}

#[test]
fn a_key_survives_the_register() {
    for key in [Jwk::parse(rsa_of(2048)).unwrap(), Jwk::Ed25519 { x: [7; 32] }, Jwk::P384 { x: [1; 48], y: [2; 48] }] {
        let back: Jwk = serde_json::from_value(serde_json::to_value(&key).unwrap()).unwrap();
        assert_eq!(back, key);
        assert_eq!(back.thumbprint(), key.thumbprint());
    }
}
