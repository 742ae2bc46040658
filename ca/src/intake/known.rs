//! Private keys that everybody has: those that standards print, and those that a broken generator makes first.
//!
//! Not the lists of weak generators by the hundred thousand (Debian 2008): those keys are shorter than what is accepted now, or
//! belong to a service of its own.

use std::collections::HashSet;
use std::ops::{Add, Neg};
use std::sync::LazyLock;

use hsm::{Family, KeyKind};
use ml_dsa::{ExpandedSigningKey, MlDsa44, MlDsa65, MlDsa87, MlDsaParams, Seed};
use p256::elliptic_curve::sec1::ToEncodedPoint;
use ring::signature::{Ed25519KeyPair, KeyPair};
use spki::ObjectIdentifier;

use crate::encode::sha256;
use crate::encode::spki::{ID_ED25519, ID_ML_DSA_44, ID_ML_DSA_65, ID_ML_DSA_87, P256, P384, P521, of_bare, of_curve};

/// Whether the private half of a key is known, by the SHA-256 of its SubjectPublicKeyInfo.
pub(super) fn is_known(kind: KeyKind, hash: &[u8; 32]) -> bool {
    let trivial = match kind.family() {
        Family::Lattice => &TRIVIAL_LATTICE,
        _ => &TRIVIAL,
    };
    PRINTED.iter().any(|(printed, _)| hex::encode(hash) == *printed) || trivial.contains(hash)
}

/// Private keys 1 to [`SCALARS`] and their negatives on the curves (1 is the generator itself), and Ed25519 secrets of one byte
/// repeated or of bytes that count up.
static TRIVIAL: LazyLock<HashSet<[u8; 32]>> = LazyLock::new(|| {
    let mut known = Vec::new();
    multiples(p256::ProjectivePoint::GENERATOR, |point| {
        known.push(of_curve(P256, point.to_affine().to_encoded_point(false).as_bytes()));
    });
    multiples(p384::ProjectivePoint::GENERATOR, |point| {
        known.push(of_curve(P384, point.to_affine().to_encoded_point(false).as_bytes()));
    });
    multiples(p521::ProjectivePoint::GENERATOR, |point| {
        known.push(of_curve(P521, point.to_affine().to_encoded_point(false).as_bytes()));
    });
    for secret in secrets() {
        if let Ok(pair) = Ed25519KeyPair::from_seed_unchecked(&secret) {
            known.push(of_bare(ID_ED25519, pair.public_key().as_ref()));
        }
    }
    known.into_iter().flatten().map(|spki| sha256(&spki)).collect()
});

/// The generator times 1 to [`SCALARS`], by one addition each, and the negative of each.
fn multiples<P: Copy + Add<Output = P> + Neg<Output = P>>(generator: P, mut seen: impl FnMut(P)) {
    let mut point = generator;
    for _ in 1..=SCALARS {
        seen(point);
        seen(-point);
        point = point + generator;
    }
}

/// ML-DSA of the same secrets; RFC 9881 appendix C prints the one that counts up from 0.
static TRIVIAL_LATTICE: LazyLock<HashSet<[u8; 32]>> = LazyLock::new(|| {
    let known = secrets().flat_map(|secret| {
        [
            lattice::<MlDsa44>(ID_ML_DSA_44, &secret),
            lattice::<MlDsa65>(ID_ML_DSA_65, &secret),
            lattice::<MlDsa87>(ID_ML_DSA_87, &secret),
        ]
    });
    known.flatten().map(|spki| sha256(&spki)).collect()
});

fn lattice<P: MlDsaParams>(oid: ObjectIdentifier, secret: &[u8; 32]) -> Result<Vec<u8>, der::Error> {
    let key = ExpandedSigningKey::<P>::from_seed(&Seed::from(*secret));
    of_bare(oid, key.verifying_key().encode().as_slice())
}

/// Of one byte repeated, and counting up.
fn secrets() -> impl Iterator<Item = [u8; 32]> {
    let counting = std::array::from_fn(|at| at as u8);
    (0..=u8::MAX).map(|byte| [byte; 32]).chain([counting, counting.map(|byte| byte + 1)])
}

/// So many of a counter's first values.
const SCALARS: u16 = 256;

/// SHA-256 of the SubjectPublicKeyInfo, and where the private key is printed.
const PRINTED: [(&str, &str); 19] = [
    ("8fb6bad671cfe698393c453357da61b56d757ab8c0f3fb9c87f2849e63131878", "RFC 9500 section 2.1, RSA-2048"),
    ("b2b04340cfaee616ec9c2c62d261b208e54bb197498df52e8cadede23ac0ba5e", "RFC 9500 section 2.3, P-256"),
    ("c4c10105a0be0ed4dd3354428dc38a9bfee64da141ce16e75c94eda272f9dd3a", "RFC 9500 section 2.3, P-384"),
    ("5a7a78cca4a0f420d9bc62bb669c3c2759e39f723d3ae10dcbe0f0815a07ecd4", "RFC 6979 appendix A.2.5, P-256"),
    ("2f95601fa82060b909bfc6b979dbd303d34d34e0afb27ea496beac362f242a4b", "RFC 6979 appendix A.2.6, P-384"),
    ("acb1b8327fef995e2458fdf5e3c33b2dc0749feabd6a894cb9bda9d70ac06c24", "RFC 9500 section 2.3, P-521"),
    ("2fb6d46385242ea4ad431f7175e7014eb74a5fc60f65b50ca54cc23c5b08de38", "RFC 6979 appendix A.2.7, P-521"),
    ("9146ce73d6abeda5e0ab6926e7bd9b563f2f2258b488d520534a0b84ba5871df", "RFC 7515 appendix A.4, P-521"),
    ("c6479a15a50ac4cd9b6414e27c69bf37345dc1046dc648875c4898fbd35cc74b", "RFC 7520 section 3.2, P-521"),
    ("6fd13c2435a361e7c588cd17f55f5ad3df0177a66c1727a6a200845f4d7ab88c", "RFC 7515 appendix A.2, RSA-2048"),
    ("2bd1bb0c44a897c30a7aa0991cde38d8062fe441de50da0f46825344f602e827", "RFC 7515 appendix A.3, P-256"),
    ("51b944cdfa544d4c3273aa6bf350625a7dd53bbb6a71723274f538b19a207760", "RFC 7517 appendix A.2, P-256"),
    ("ad32320cf6c596d884b05381ba573aba8ddd5749b4de8f4a23a79f9a89ddaeb2", "RFC 7517 appendix A.2, RSA-2048"),
    ("a1e9156054e04fac899ae9f275132cdc07a5dbc4ea2c2ad3a1ffc6e0d253681f", "RFC 8410 section 10.3, Ed25519"),
    ("06e3fd8fda29bb60ab59557de61edb0aecdb231134be30e75b455f8e1b792fa9", "RFC 8032 section 7.1, test 1"),
    ("deb2ded39dc26fce0e6085b6fc34bf6b5941913bbfe2ea614113cff9e004c170", "RFC 8032 section 7.1, test 2"),
    ("8d39ba50abe50f77b6bb8ae7b6927aff7ffbeba35ad2837c0e51e82bcbcc60d5", "RFC 8032 section 7.1, test 3"),
    ("e4f982b51ad0bdd87be820b259fe80337ef636e72b9fa7a8867a6949eb610fd6", "RFC 8032 section 7.1, test 4"),
    ("e77db4a9572e9f6552c22bc751d5499ad218a73bdf7e15dc6ea0fc69246a44de", "RFC 8032 section 7.1, test 5"),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// The first private keys and their negatives, as each curve's own multiplication makes them; and not the next.
    #[test]
    fn the_first_secrets_of_each_curve_are_known() {
        let known = |kind, curve, point: &[u8]| is_known(kind, &sha256(&of_curve(curve, point).unwrap()));
        for (scalar, is) in [(1_u64, true), (2, true), (255, true), (256, true), (257, false)] {
            let point = p256::ProjectivePoint::GENERATOR * p256::Scalar::from(scalar);
            for point in [point, -point] {
                assert_eq!(known(KeyKind::P256, P256, point.to_affine().to_encoded_point(false).as_bytes()), is);
            }
            let point = p384::ProjectivePoint::GENERATOR * p384::Scalar::from(scalar);
            for point in [point, -point] {
                assert_eq!(known(KeyKind::P384, P384, point.to_affine().to_encoded_point(false).as_bytes()), is);
            }
            let point = p521::ProjectivePoint::GENERATOR * p521::Scalar::from(scalar);
            for point in [point, -point] {
                assert_eq!(known(KeyKind::P521, P521, point.to_affine().to_encoded_point(false).as_bytes()), is);
            }
        }
    }

    /// The SHA-256 of the SubjectPublicKeyInfo of each example of RFC 9881 appendix C, whose seed counts up from 0, as OpenSSL makes it.
    #[test]
    fn the_examples_of_ml_dsa_are_known() {
        for (kind, printed) in [
            (KeyKind::MlDsa44, "837832708c5236d951581f1fddf2b79991b3424a0486d16da1ddad0fd69701be"),
            (KeyKind::MlDsa65, "b8b62131bfbe84433efb2273d7f5b87f7a22854a2cfd366fc2aead86d837c52d"),
            (KeyKind::MlDsa87, "07e57c4f14dbad1267f621ec3777b4e2e6c4fbc4c22fbb87510ff8e0b3c6a642"),
        ] {
            let hash = hex::decode(printed).unwrap().try_into().unwrap();
            assert!(is_known(kind, &hash), "{kind}");
        }
    }
}
