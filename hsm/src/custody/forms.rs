//! How PKCS#11 writes keys and signatures, and how X.509 does: the translation, both ways.
//!
//! Never decides anything: a value that is not in a known form is refused, with its name. Clauses: PKCS#11 3.1
//! section 6.3 (EC: `CKA_EC_POINT` is the DER OCTET STRING of the point, ECDSA signatures are r || s), PKCS#11 3.2 (ML-DSA:
//! `CKA_PARAMETER_SET`, `CKA_VALUE`), RFC 5480, RFC 8410 and RFC 9881 (SubjectPublicKeyInfo), RFC 3279 section 2.2.3
//! (`Ecdsa-Sig-Value`).

use der::asn1::{AnyRef, BitStringRef, Null, ObjectIdentifier, OctetStringRef, UintRef};
use der::{Decode, Encode, Sequence};
use spki::{AlgorithmIdentifier, SubjectPublicKeyInfo, SubjectPublicKeyInfoRef};

use super::kind::{Algorithm, KeyKind};

pub(crate) const OID_P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
pub(crate) const OID_P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
pub(crate) const OID_P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");
pub(crate) const OID_ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const OID_EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const OID_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const OID_ML_DSA_44: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.3.17");
const OID_ML_DSA_65: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.3.18");
const OID_ML_DSA_87: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.3.19");

/// The curves: name, kind, bytes of a point as X.509 writes it, and the first of them where there is one.
const CURVES: [(ObjectIdentifier, KeyKind, usize, Option<u8>); 4] = [
    (OID_P256, KeyKind::P256, 65, Some(0x04)),
    (OID_P384, KeyKind::P384, 97, Some(0x04)),
    (OID_P521, KeyKind::P521, 133, Some(0x04)),
    (OID_ED25519, KeyKind::Ed25519, 32, None),
];

/// The parameter sets of ML-DSA: name, kind, bytes of a public key (FIPS 204 table 2).
const LATTICES: [(ObjectIdentifier, KeyKind, usize); 3] = [
    (OID_ML_DSA_44, KeyKind::MlDsa44, 1312),
    (OID_ML_DSA_65, KeyKind::MlDsa65, 1952),
    (OID_ML_DSA_87, KeyKind::MlDsa87, 2592),
];

/// Longest signature of any kind we make (ML-DSA-87 has 4627 bytes), with room for a token that rounds up.
pub(crate) const SIGNATURE_MAX: usize = 5120;

/// RSA public exponents of more than 33 bits are refused, as ring does: they only serve to slow a verifier down.
const RSA_EXPONENT_BYTES_MAX: usize = 5;

/// RFC 8017 appendix A.1.1.
#[derive(Sequence)]
pub(crate) struct RsaPublicKey<'a> {
    pub(crate) n: UintRef<'a>,
    pub(crate) e: UintRef<'a>,
}

/// RFC 3279 section 2.2.3.
#[derive(Sequence)]
struct EcdsaSigValue<'a> {
    r: UintRef<'a>,
    s: UintRef<'a>,
}

/// The bare public key and its kind from a `CKA_EC_PARAMS` and a `CKA_EC_POINT`.
pub(crate) fn ec_public(params: &[u8], point: &[u8]) -> Result<(KeyKind, Vec<u8>), String> {
    let (_, kind, len, form) = curve(params)?;
    // Length tells the two forms apart: a DER wrapping adds two or three bytes, and no point of ours is that much longer.
    let bare = match <&OctetStringRef>::from_der(point) {
        _ if point.len() == len => point,
        Ok(wrapped) if wrapped.as_bytes().len() == len => wrapped.as_bytes(),
        _ => {
            return Err(format!(
                "its CKA_EC_POINT has {} bytes, which is no uncompressed point of {kind}",
                point.len()
            ));
        }
    };
    if form.is_some() && bare.first().copied() != form {
        return Err("its CKA_EC_POINT is not in uncompressed form".into());
    }
    Ok((kind, bare.to_vec()))
}

fn curve(params: &[u8]) -> Result<(ObjectIdentifier, KeyKind, usize, Option<u8>), String> {
    // PKCS#11 3.1 section 6.3.5 names Edwards curves by a PrintableString as well.
    let oid = match ObjectIdentifier::from_der(params) {
        Ok(oid) => oid,
        Err(_) if params == ED25519_NAME => OID_ED25519,
        Err(_) => return Err("its CKA_EC_PARAMS name no known curve".into()),
    };
    CURVES
        .into_iter()
        .find(|(known, ..)| *known == oid)
        .ok_or_else(|| format!("its curve {oid} is none of P-256, P-384, P-521, Ed25519"))
}

/// DER PrintableString "edwards25519".
pub(crate) const ED25519_NAME: &[u8] = b"\x13\x0cedwards25519";

/// SubjectPublicKeyInfo of a bare elliptic-curve key.
pub(crate) fn ec_spki(kind: KeyKind, bare: &[u8]) -> Result<Vec<u8>, String> {
    match CURVES.into_iter().find(|(_, known, ..)| *known == kind) {
        Some((oid, .., Some(_))) => spki_der(OID_EC_PUBLIC_KEY, Some(AnyRef::from(&oid)), bare),
        // RFC 8410 section 3: the parameters MUST be absent.
        Some((oid, .., None)) => spki_der(oid, None, bare),
        None => Err(format!("a key of kind {kind} is no point")),
    }
}

/// SubjectPublicKeyInfo of an ML-DSA key from its `CKA_VALUE` (RFC 9881 section 4: no parameters, and the key as it is).
pub(crate) fn ml_dsa_spki(kind: KeyKind, value: &[u8]) -> Result<Vec<u8>, String> {
    match LATTICES.into_iter().find(|(_, known, _)| *known == kind) {
        Some((oid, _, len)) if value.len() == len => spki_der(oid, None, value),
        _ => Err(format!("its CKA_VALUE has {} bytes, which is no public key of {kind}", value.len())),
    }
}

/// Kind and SubjectPublicKeyInfo of an RSA key from `CKA_MODULUS` and `CKA_PUBLIC_EXPONENT`.
pub(crate) fn rsa_spki(modulus: &[u8], exponent: &[u8]) -> Result<(KeyKind, Vec<u8>), String> {
    let key = RsaPublicKey { n: uint(modulus)?, e: uint(exponent)? };
    let kind = match key.n.as_bytes().len() * 8 {
        2048 => KeyKind::Rsa2048,
        3072 => KeyKind::Rsa3072,
        4096 => KeyKind::Rsa4096,
        bits => return Err(format!("its modulus has {bits} bits, not 2048, 3072 or 4096")),
    };
    if key.n.as_bytes().first().is_none_or(|top| top & 0x80 == 0) {
        return Err("its modulus is a few bits short of its size".into());
    }
    if key.e.as_bytes().len() > RSA_EXPONENT_BYTES_MAX {
        return Err("its public exponent is too large".into());
    }
    let body = key.to_der().map_err(|e| e.to_string())?;
    let spki = spki_der(OID_RSA, Some(AnyRef::from(Null)), &body)?;
    Ok((kind, spki))
}

fn uint(bytes: &[u8]) -> Result<UintRef<'_>, String> {
    UintRef::new(bytes).map_err(|e| format!("its numbers cannot be read: {e}"))
}

fn spki_der(oid: ObjectIdentifier, parameters: Option<AnyRef<'_>>, key: &[u8]) -> Result<Vec<u8>, String> {
    let subject_public_key = BitStringRef::from_bytes(key).map_err(|e| e.to_string())?;
    SubjectPublicKeyInfo { algorithm: AlgorithmIdentifier { oid, parameters }, subject_public_key }
        .to_der()
        .map_err(|e| e.to_string())
}

/// The bare public key out of a SubjectPublicKeyInfo, if it is one that signs with `algorithm`.
pub(crate) fn bare_key(algorithm: Algorithm, spki_der: &[u8]) -> Result<&[u8], String> {
    let spki = SubjectPublicKeyInfoRef::from_der(spki_der).map_err(|e| format!("unreadable public key: {e}"))?;
    let (oid, parameters) = (spki.algorithm.oid, spki.algorithm.parameters);
    let of_curve = |curve| {
        oid == OID_EC_PUBLIC_KEY && parameters.and_then(|p| p.decode_as::<ObjectIdentifier>().ok()) == Some(curve)
    };
    let bare = |wanted| oid == wanted && parameters.is_none();
    let fits = match algorithm {
        Algorithm::EcdsaP256Sha256 => of_curve(OID_P256),
        Algorithm::EcdsaP384Sha384 => of_curve(OID_P384),
        Algorithm::EcdsaP521Sha512 => of_curve(OID_P521),
        Algorithm::RsaPkcs1Sha256 | Algorithm::RsaPssSha256 => oid == OID_RSA,
        Algorithm::Ed25519 => bare(OID_ED25519),
        Algorithm::MlDsa44 => bare(OID_ML_DSA_44),
        Algorithm::MlDsa65 => bare(OID_ML_DSA_65),
        Algorithm::MlDsa87 => bare(OID_ML_DSA_87),
    };
    match fits {
        true => spki.subject_public_key.as_bytes().ok_or_else(|| "the public key is no whole number of bytes".into()),
        false => Err(format!("the public key is not one of {algorithm}")),
    }
}

/// r || s as a token returns it, to DER. Both halves must have the length of the curve's order.
pub(crate) fn ecdsa_der(raw: &[u8], half: usize) -> Result<Vec<u8>, String> {
    if raw.len() != half * 2 {
        return Err(format!("the token returned {} bytes for an ECDSA signature of {}", raw.len(), half * 2));
    }
    let (r, s) = raw.split_at(half);
    EcdsaSigValue { r: uint(r)?, s: uint(s)? }.to_der().map_err(|e| e.to_string())
}

/// The two integers of a DER ECDSA signature, as minimal unsigned big-endian bytes (SSH writes them as mpint).
pub fn ecdsa_parts(signature_der: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let value = EcdsaSigValue::from_der(signature_der).ok()?;
    Some((value.r.as_bytes().to_vec(), value.s.as_bytes().to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn der_oid(oid: ObjectIdentifier) -> Vec<u8> {
        oid.to_der().unwrap()
    }

    #[test]
    fn a_point_is_read_wrapped_and_bare() {
        for (oid, kind, bare) in [
            (OID_P256, KeyKind::P256, [&[4u8][..], &[0x41; 64]].concat()),
            (OID_P384, KeyKind::P384, [&[4u8][..], &[0x61; 96]].concat()),
            (OID_P521, KeyKind::P521, [&[4u8][..], &[0x01; 132]].concat()),
            (OID_ED25519, KeyKind::Ed25519, vec![0x20; 32]),
        ] {
            let wrapped = OctetStringRef::new(&bare).unwrap().to_der().unwrap();
            assert_eq!(ec_public(&der_oid(oid), &wrapped), Ok((kind, bare.clone())));
            assert_eq!(ec_public(&der_oid(oid), &bare), Ok((kind, bare.clone())));
        }
        assert_eq!(ec_public(ED25519_NAME, &[7; 32]), Ok((KeyKind::Ed25519, vec![7; 32])));
    }

    #[test]
    fn a_point_in_another_form_is_refused() {
        let compressed = [&[2u8][..], &[9; 32]].concat();
        for (params, point) in [
            (der_oid(OID_P256), compressed),
            (der_oid(OID_P256), vec![5; 65]),
            (der_oid(OID_P256), vec![]),
            (der_oid(OID_P384), vec![4; 65]),
            (der_oid(OID_P521), vec![4; 132]),
            (der_oid(OID_P521), [&[4, 0x81, 0x84, 4][..], &[1; 131]].concat()),
            (der_oid(ObjectIdentifier::new_unwrap("1.3.132.0.10")), vec![4; 65]),
            (vec![], vec![4; 65]),
            (b"\x13\x05brain".to_vec(), vec![4; 32]),
        ] {
            assert!(ec_public(&params, &point).is_err(), "{params:?} {point:?}");
        }
    }

    #[test]
    fn an_ecdsa_signature_survives_the_trip_to_der() {
        let cases: [([u8; 2], [u8; 2]); 3] =
            [([0x00, 0x01], [0x80, 0x00]), ([0x7f, 0xff], [0xff, 0xff]), ([0, 0], [0, 1])];
        for (r, s) in cases {
            let raw = [&[0u8; 30][..], &r, &[0u8; 30], &s].concat();
            let (back_r, back_s) = ecdsa_parts(&ecdsa_der(&raw, 32).unwrap()).unwrap();
            let strip = |n: [u8; 2]| n.into_iter().skip_while(|b| *b == 0).collect::<Vec<_>>();
            let or_zero = |n: Vec<u8>| if n.is_empty() { vec![0] } else { n };
            assert_eq!((back_r, back_s), (or_zero(strip(r)), or_zero(strip(s))));
        }
        assert!(ecdsa_der(&[1; 63], 32).is_err());
    }

    #[test]
    fn a_public_key_is_only_read_as_its_own_algorithm() {
        let spki = ec_spki(KeyKind::P256, &[4; 65]).unwrap();
        assert_eq!(bare_key(Algorithm::EcdsaP256Sha256, &spki), Ok(&[4u8; 65][..]));
        for other in Algorithm::ALL.into_iter().filter(|other| *other != Algorithm::EcdsaP256Sha256) {
            assert!(bare_key(other, &spki).is_err());
        }
        assert!(bare_key(Algorithm::Ed25519, &[]).is_err());
    }

    #[test]
    fn an_ml_dsa_key_has_the_length_of_its_set() {
        for (_, kind, len) in LATTICES {
            let spki = ml_dsa_spki(kind, &vec![7; len]).unwrap();
            assert_eq!(bare_key(kind.algorithm(), &spki), Ok(&vec![7; len][..]));
            assert!(ml_dsa_spki(kind, &vec![7; len - 1]).is_err() && ml_dsa_spki(kind, &[]).is_err());
        }
        assert!(ml_dsa_spki(KeyKind::P256, &[4; 65]).is_err());
    }

    #[test]
    fn an_rsa_key_of_an_odd_size_is_refused() {
        assert_eq!(rsa_spki(&[0xff; 256], &[1, 0, 1]).unwrap().0, KeyKind::Rsa2048);
        assert_eq!(rsa_spki(&[&[0u8][..], &[0xff; 384]].concat(), &[1, 0, 1]).unwrap().0, KeyKind::Rsa3072);
        for (n, e) in [(vec![0xff; 128], vec![3]), (vec![0x01; 256], vec![3]), (vec![0xff; 256], vec![0xff; 6])] {
            assert!(rsa_spki(&n, &e).is_err());
        }
    }
}
