use std::process::Command;

use super::super::random::testing::{Seeded, Stuck};
use super::*;

fn drawn(algorithm: JwtAlgorithm, seed: u64) -> Zeroizing<String> {
    draw(algorithm, &mut Seeded::new(seed)).unwrap()
}

fn openssl(arguments: &[&str]) -> Vec<u8> {
    let done = Command::new("openssl").args(arguments).output().expect("openssl runs");
    assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    done.stdout
}

/// Any other judge would do; what it says of the key is the last bytes of its SubjectPublicKeyInfo.
fn public_by_openssl(pem: &str) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key.pem");
    std::fs::write(&path, pem).unwrap();
    openssl(&["pkey", "-in", path.to_str().unwrap(), "-pubout", "-outform", "DER"])
}

#[test]
fn a_thumbprint_is_that_of_the_rfcs() {
    // RFC 7638 section 3.1.
    let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMs\
             tn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn\
             1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
    let rsa = Jwk(Public::Rs256 { n: n.to_owned(), e: "AQAB".to_owned() });
    assert_eq!(rsa.kid(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    // RFC 8037 appendix A.1 to A.3.
    let seed = BASE64URL.decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap();
    let bytes = KeypairBytes { secret_key: seed.try_into().unwrap(), public_key: None };
    let okp = Jwk::of_private_pem(&bytes.to_pkcs8_pem(LineEnding::LF).unwrap()).unwrap();
    assert_eq!(okp.0, Public::EdDsa { x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo".to_owned() });
    assert_eq!(okp.kid(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
}

#[test]
fn openssl_reads_what_is_made_and_finds_the_same_public_key() {
    let raw = |text: &str| BASE64URL.decode(text).unwrap();
    let Public::Es256 { x, y } = Jwk::of_private_pem(&drawn(JwtAlgorithm::Es256, 1)).unwrap().0 else { panic!("EC") };
    assert!(public_by_openssl(&drawn(JwtAlgorithm::Es256, 1)).ends_with(&[raw(&x), raw(&y)].concat()));
    let Public::EdDsa { x } = Jwk::of_private_pem(&drawn(JwtAlgorithm::EdDsa, 1)).unwrap().0 else { panic!("OKP") };
    assert!(public_by_openssl(&drawn(JwtAlgorithm::EdDsa, 1)).ends_with(&raw(&x)));
}

#[test]
fn keys_of_openssl_are_read_and_others_told_what_to_do() {
    let made = |arguments: &[&str]| String::from_utf8(openssl(arguments)).unwrap();
    let rsa = made(&["genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]);
    let Public::Rs256 { n, e } = Jwk::of_private_pem(&rsa).unwrap().0 else { panic!("RSA") };
    let (n, spki) = (BASE64URL.decode(n).unwrap(), public_by_openssl(&rsa));
    assert!(n.len() == 256 && n[0] != 0 && e == "AQAB");
    assert!(spki.windows(256).any(|bytes| bytes == n));
    for (curve, read) in [("P-256", Ok(JwtAlgorithm::Es256)), ("P-384", Err(KeyError::Unknown))] {
        let group = format!("ec_paramgen_curve:{curve}");
        let pem = made(&["genpkey", "-algorithm", "EC", "-pkeyopt", &group]);
        assert_eq!(Jwk::of_private_pem(&pem).map(|jwk| jwk.algorithm()), read);
    }
    let ed25519 = made(&["genpkey", "-algorithm", "ED25519"]);
    assert_eq!(Jwk::of_private_pem(&ed25519).unwrap().algorithm(), JwtAlgorithm::EdDsa);
    let short = made(&["genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"]);
    assert_eq!(Jwk::of_private_pem(&short), Err(KeyError::Unknown));
    let hidden = made(&["genpkey", "-algorithm", "ED25519", "-aes256", "-pass", "pass:of-a-test"]);
    assert_eq!(Jwk::of_private_pem(&hidden), Err(KeyError::Encrypted));
    let old = made(&["ecparam", "-name", "prime256v1", "-genkey", "-noout"]);
    assert!(old.contains("BEGIN EC PRIVATE KEY"));
    for text in [old.as_str(), "", "hunter2", "-----BEGIN PRIVATE KEY-----"] {
        assert_eq!(Jwk::of_private_pem(text), Err(KeyError::NotPkcs8));
    }
}

#[test]
fn a_set_has_each_key_once_and_of_none_the_private_half() {
    let keys = [
        Jwk::of_private_pem(&drawn(JwtAlgorithm::Es256, 1)).unwrap(),
        Jwk::of_private_pem(&drawn(JwtAlgorithm::EdDsa, 2)).unwrap(),
        Jwk::of_private_pem(&drawn(JwtAlgorithm::Es256, 1)).unwrap(),
        Jwk(Public::Rs256 { n: "AQAB".to_owned(), e: "AQAB".to_owned() }),
    ];
    let set: Value = serde_json::from_str(&jwks(&keys)).unwrap();
    let listed = set["keys"].as_array().unwrap();
    let kids: Vec<_> = listed.iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect();
    assert_eq!(kids, [keys[0].kid(), keys[1].kid(), keys[3].kid()]);
    assert_eq!(set.as_object().unwrap().len(), 1);
    // Of RFC 7518 section 6 and RFC 8037 section 2: the private ones are d, p, q, dp, dq, qi, oth and k.
    let public = ["kty", "crv", "x", "y", "n", "e", "use", "alg", "kid"];
    for key in listed {
        assert!(key.as_object().unwrap().keys().all(|name| public.contains(&name.as_str())), "{key}");
        assert_eq!(key["use"], "sig");
    }
    let private = [drawn(JwtAlgorithm::EdDsa, 2), drawn(JwtAlgorithm::Es256, 1)];
    let seeds = private.map(|pem| pem_rfc7468::decode_vec(pem.as_bytes()).unwrap().1);
    for secret in [&seeds[0][16..48], &seeds[1][36..68]] {
        assert!(!jwks(&keys).contains(&BASE64URL.encode(secret)));
    }
    assert_eq!(jwks(&[]), r#"{"keys":[]}"#);
}

#[test]
fn no_key_is_made_of_no_luck() {
    for algorithm in [JwtAlgorithm::Es256, JwtAlgorithm::EdDsa] {
        assert_eq!(draw(algorithm, &mut Stuck(None)), Err(KeyError::NoRandom(NoRandom)));
    }
    // All bits set is above the order of the group, none set is no key.
    for byte in [0xff, 0] {
        assert_eq!(draw(JwtAlgorithm::Es256, &mut Stuck(Some(byte))), Err(KeyError::NoRandom(NoRandom)));
    }
    assert_eq!(draw(JwtAlgorithm::Rs256, &mut Seeded::new(1)), Err(KeyError::NotMade));
    assert_ne!(drawn(JwtAlgorithm::Es256, 1), drawn(JwtAlgorithm::Es256, 2));
}
