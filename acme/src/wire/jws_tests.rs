use super::*;
use ring::hmac;
use ring::rand::SystemRandom;
use ring::signature::{self, KeyPair};
use serde_json::json;

fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// An account key with its private half.
enum Signing {
    Ecdsa(signature::EcdsaKeyPair, Alg),
    Ed25519(signature::Ed25519KeyPair),
}

impl Signing {
    fn generate(alg: Alg) -> Self {
        let rng = SystemRandom::new();
        let ecdsa = |how| {
            let pkcs8 = signature::EcdsaKeyPair::generate_pkcs8(how, &rng).unwrap();
            Self::Ecdsa(signature::EcdsaKeyPair::from_pkcs8(how, pkcs8.as_ref(), &rng).unwrap(), alg)
        };
        match alg {
            Alg::Es256 => ecdsa(&signature::ECDSA_P256_SHA256_FIXED_SIGNING),
            Alg::Es384 => ecdsa(&signature::ECDSA_P384_SHA384_FIXED_SIGNING),
            Alg::EdDsa => {
                let pkcs8 = signature::Ed25519KeyPair::generate_pkcs8(&rng).unwrap();
                Self::Ed25519(signature::Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap())
            }
            Alg::Rs256 => panic!("ring makes no RSA keys"),
        }
    }

    fn jwk(&self) -> Value {
        match self {
            Self::Ecdsa(pair, alg) => {
                let point = &pair.public_key().as_ref()[1..];
                let (x, y) = point.split_at(point.len() / 2);
                let crv = if *alg == Alg::Es256 { "P-256" } else { "P-384" };
                json!({"kty": "EC", "crv": crv, "x": b64(x), "y": b64(y)})
            }
            Self::Ed25519(pair) => json!({"kty": "OKP", "crv": "Ed25519", "x": b64(pair.public_key().as_ref())}),
        }
    }

    fn key(&self) -> Jwk {
        Jwk::parse(self.jwk()).unwrap()
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Ecdsa(pair, _) => pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec(),
            Self::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }

    fn message(&self, header: &Value, payload: &[u8]) -> Value {
        let (protected, payload) = (b64(header.to_string()), b64(payload));
        let signature = b64(self.sign(format!("{protected}.{payload}").as_bytes()));
        json!({"protected": protected, "payload": payload, "signature": signature})
    }
}

const URL: &str = "https://localhost/acme/new-order";

fn header(alg: &str) -> Value {
    json!({"alg": alg, "kid": "https://localhost/acme/account/1", "nonce": "n", "url": URL})
}

fn parse(message: &Value) -> Result<Jws, Problem> {
    Jws::parse(message.to_string().as_bytes())
}

#[test]
fn each_allowed_algorithm_verifies_its_own_signature() {
    for alg in [Alg::Es256, Alg::Es384, Alg::EdDsa] {
        let signing = Signing::generate(alg);
        let jws = parse(&signing.message(&header(alg.as_str()), b"{}")).unwrap();
        assert_eq!(jws.url(), URL);
        assert_eq!(jws.nonce(), Some("n"));
        assert!(jws.verify(&signing.key()).is_ok(), "{alg:?}");
    }
}

#[test]
fn the_rs256_example_of_rfc_7515_verifies() {
    // Appendix A.2: its header has no url, so the signature alone is put to the test.
    let key = Jwk::parse(json!({
        "kty": "RSA", "e": "AQAB",
        "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMs\
              D1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdV\
              MTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"
    }))
    .unwrap();
    let signed = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    let signature = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1d\
                     nZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZ\
                     ESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
    let signature = URL_SAFE_NO_PAD.decode(signature.replace(char::is_whitespace, "")).unwrap();
    assert!(key.verify(signed.as_bytes(), &signature));
    assert!(!key.verify(&signed.as_bytes()[1..], &signature));
}

#[test]
fn an_algorithm_off_the_list_is_refused_by_name_and_the_list_is_given() {
    let signing = Signing::generate(Alg::Es256);
    for alg in [
        "none", "None", "NONE", "", "HS256", "HS512", "ES512", "ES256K", "RS384", "RS512", "PS256", "RSA1_5", "es256",
        "EDDSA", "Ed25519",
    ] {
        let problem = parse(&signing.message(&header(alg), b"{}")).unwrap_err();
        assert_eq!(problem.kind, ErrorKind::BadSignatureAlgorithm, "{alg}");
        assert_eq!(problem.algorithms, ["ES256", "ES384", "EdDSA", "RS256"]);
    }
}

#[test]
fn an_unsigned_message_is_refused() {
    let signing = Signing::generate(Alg::Es256);
    let mut message = signing.message(&header("ES256"), b"{}");
    message["signature"] = json!("");
    assert!(parse(&message).unwrap().verify(&signing.key()).is_err());
}

#[test]
fn the_public_key_is_no_hmac_secret() {
    // Key confusion: the verifier's public key, used as the shared secret of a message that claims an algorithm it holds.
    let signing = Signing::generate(Alg::Es256);
    for secret in
        [signing.key().spki_der(), signing.jwk().to_string().into_bytes(), signing.key().thumbprint().into_bytes()]
    {
        for alg in ["HS256", "ES256", "EdDSA"] {
            let (protected, payload) = (b64(header(alg).to_string()), b64(b"{}"));
            let tag =
                hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), format!("{protected}.{payload}").as_bytes());
            let message = json!({"protected": protected, "payload": payload, "signature": b64(tag)});
            assert!(parse(&message).and_then(|jws| jws.verify(&signing.key())).is_err(), "{alg}");
        }
    }
}

#[test]
fn a_key_accepts_no_algorithm_but_its_own() {
    let (p256, p384, ed) =
        (Signing::generate(Alg::Es256), Signing::generate(Alg::Es384), Signing::generate(Alg::EdDsa));
    for (signing, key) in [(&p256, &p384), (&p256, &ed), (&p384, &p256), (&ed, &p256)] {
        for alg in Alg::ALL {
            let message = signing.message(&header(alg.as_str()), b"{}");
            assert!(parse(&message).unwrap().verify(&key.key()).is_err());
        }
    }
    // The right key, the wrong name.
    for alg in ["ES384", "EdDSA", "RS256"] {
        let problem = parse(&p256.message(&header(alg), b"{}")).unwrap().verify(&p256.key()).unwrap_err();
        assert_eq!(problem.kind, ErrorKind::Malformed);
    }
}

#[test]
fn a_signature_counts_in_its_own_form_only() {
    let signing = Signing::generate(Alg::Es256);
    let good = signing.message(&header("ES256"), b"{}");
    let raw = URL_SAFE_NO_PAD.decode(good["signature"].as_str().unwrap()).unwrap();
    let (r, s) = raw.split_at(32);
    let der = |bytes: &[u8]| {
        let mut body = bytes.to_vec();
        if body[0] & 0x80 != 0 {
            body.insert(0, 0);
        }
        [&[2, u8::try_from(body.len()).unwrap()][..], &body].concat()
    };
    let ints = [der(r), der(s)].concat();
    let order = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
    let n: Vec<u8> = (0..32).map(|i| u8::from_str_radix(&order[2 * i..2 * i + 2], 16).unwrap()).collect();
    for (what, forged) in [
        ("empty", vec![]),
        ("all zero", vec![0; 64]),
        ("r = 0", [&[0; 32], s].concat()),
        ("s = 0", [r, &[0; 32]].concat()),
        ("r = n", [&n, s].concat()),
        ("s = n", [r, &n].concat()),
        ("all ones", vec![0xff; 64]),
        ("swapped", [s, r].concat()),
        ("truncated", raw[..63].to_vec()),
        ("one byte more", [&raw[..], &[0]].concat()),
        ("padded halves", [&[0], r, &[0], s].concat()),
        ("ASN.1", [&[0x30, u8::try_from(ints.len()).unwrap()][..], &ints].concat()),
    ] {
        let mut message = good.clone();
        message["signature"] = json!(b64(forged));
        assert!(parse(&message).unwrap().verify(&signing.key()).is_err(), "{what}");
    }
    assert!(parse(&good).unwrap().verify(&signing.key()).is_ok());
}

#[test]
fn any_changed_byte_of_header_payload_or_signature_is_noticed() {
    for alg in [Alg::Es256, Alg::Es384, Alg::EdDsa] {
        let signing = Signing::generate(alg);
        let good = signing.message(&header(alg.as_str()), br#"{"identifiers":[]}"#);
        for member in ["payload", "signature"] {
            let raw = URL_SAFE_NO_PAD.decode(good[member].as_str().unwrap()).unwrap();
            for at in 0..raw.len() {
                let mut changed = raw.clone();
                changed[at] ^= 1;
                let mut message = good.clone();
                message[member] = json!(b64(changed));
                assert!(parse(&message).unwrap().verify(&signing.key()).is_err(), "{alg:?} {member} {at}");
            }
        }
        let mut other = header(alg.as_str());
        other["url"] = json!("https://localhost/acme/revoke-cert");
        let mut message = good.clone();
        message["protected"] = json!(b64(other.to_string()));
        assert!(parse(&message).unwrap().verify(&signing.key()).is_err());
    }
}

#[test]
fn a_header_that_is_not_exactly_what_acme_prescribes_is_refused() {
    let signing = Signing::generate(Alg::Es256);
    let with = |change: &dyn Fn(&mut Value)| {
        let mut header = header("ES256");
        change(&mut header);
        parse(&signing.message(&header, b"{}")).map(|_| ())
    };
    assert!(with(&|_| {}).is_ok());
    let drop = |header: &mut Value, member: &str| {
        header.as_object_mut().unwrap().remove(member);
    };
    type Change<'a> = &'a dyn Fn(&mut Value);
    let cases: [(&str, Change); 13] = [
        ("both jwk and kid", &|h| h["jwk"] = signing.jwk()),
        ("neither jwk nor kid", &|h| drop(h, "kid")),
        ("a kid that is no text", &|h| h["kid"] = json!(1)),
        ("an endless kid", &|h| h["kid"] = json!("x".repeat(10_000))),
        ("no url", &|h| drop(h, "url")),
        ("an endless url", &|h| h["url"] = json!("x".repeat(10_000))),
        ("no alg", &|h| drop(h, "alg")),
        ("alg is a list", &|h| h["alg"] = json!(["ES256"])),
        ("crit", &|h| h["crit"] = json!(["exp"])),
        ("crit of what is understood", &|h| h["crit"] = json!(["url"])),
        ("b64", &|h| h["b64"] = json!(false)),
        ("a nonce that is no text", &|h| h["nonce"] = json!(7)),
        ("a jwk that is no key", &|h| {
            drop(h, "kid");
            h["jwk"] = json!("key");
        }),
    ];
    for (what, change) in cases {
        assert!(with(change).is_err(), "{what}");
    }
}

#[test]
fn a_serialization_that_is_not_flattened_is_refused() {
    let signing = Signing::generate(Alg::Es256);
    let good = signing.message(&header("ES256"), b"{}");
    let text = good.to_string();
    let compact =
        ["protected", "payload", "signature"].map(|member| good[member].as_str().unwrap().to_owned()).join(".");
    let mut unprotected = good.clone();
    unprotected["header"] = json!({"kid": "https://localhost/acme/account/2"});
    let mut general = good.clone();
    general["signatures"] = json!([{"protected": good["protected"], "signature": good["signature"]}]);
    let padded = text.replace(good["payload"].as_str().unwrap(), "e30=");
    let standard = text.replace(good["payload"].as_str().unwrap(), "+/+/");
    let loose = text.replace(good["payload"].as_str().unwrap(), "e31");
    let twice = text.replacen('{', "{\"payload\":\"e30\",", 1);
    let header_twice = json!({
        "protected": b64(r#"{"alg":"none","alg":"ES256","kid":"k","nonce":"n","url":"u"}"#), "payload": "", "signature": ""
    });
    for (what, body) in [
        ("empty", String::new()),
        ("compact", compact),
        ("an unprotected header", unprotected.to_string()),
        ("several signatures", general.to_string()),
        ("a padded payload", padded),
        ("standard base64", standard),
        ("loose last bits", loose),
        ("a repeated member", twice),
        ("a repeated header member", header_twice.to_string()),
        ("a list", format!("[{text}]")),
        ("something behind it", format!("{text}{text}")),
        ("deep nesting", "[".repeat(100_000)),
        ("bytes that are no text", String::from_utf8_lossy(&[0xff, 0xfe]).into_owned()),
    ] {
        assert!(Jws::parse(body.as_bytes()).is_err(), "{what}");
    }
    assert!(Jws::parse(&[0xff, 0xfe]).is_err());
}

proptest::proptest! {
    #[test]
    fn no_body_panics_the_parser(body in proptest::collection::vec(proptest::num::u8::ANY, 0..400)) {
        let _ = Jws::parse(&body);
    }

    #[test]
    fn no_header_panics_the_parser(header in "\\PC{0,200}", payload in "\\PC{0,50}") {
        let message = json!({"protected": b64(header), "payload": b64(payload), "signature": ""});
        let _ = parse(&message);
    }
}
