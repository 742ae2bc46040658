//! Private keys that everybody has: those that standards print, and those that a broken generator makes first.
//!
//! Not the lists of weak generators by the hundred thousand (Debian 2008): those keys are shorter than what is accepted now, or
//! belong to a service of its own.

use std::collections::HashSet;
use std::sync::LazyLock;

use p256::elliptic_curve::sec1::ToEncodedPoint;
use ring::signature::{Ed25519KeyPair, KeyPair};

use crate::encode::sha256;
use crate::encode::spki::{P256, P384, of_curve, of_ed25519};

/// Whether the private half of a key is known, by the SHA-256 of its SubjectPublicKeyInfo.
pub(super) fn is_known(hash: &[u8; 32]) -> bool {
    PRINTED.iter().any(|(printed, _)| hex::encode(hash) == *printed) || TRIVIAL.contains(hash)
}

/// Private keys 1 to [`SCALARS`] and their negatives on the curves (1 is the generator itself), and Ed25519 secrets of one byte
/// repeated or of bytes that count up.
static TRIVIAL: LazyLock<HashSet<[u8; 32]>> = LazyLock::new(|| {
    let mut known = Vec::new();
    for scalar in 1..=SCALARS {
        let point = p256::ProjectivePoint::GENERATOR * p256::Scalar::from(scalar);
        for point in [point, -point] {
            known.push(of_curve(P256, point.to_affine().to_encoded_point(false).as_bytes()));
        }
        let point = p384::ProjectivePoint::GENERATOR * p384::Scalar::from(scalar);
        for point in [point, -point] {
            known.push(of_curve(P384, point.to_affine().to_encoded_point(false).as_bytes()));
        }
    }
    let counting = std::array::from_fn(|at| at as u8);
    for secret in (0..=u8::MAX).map(|byte| [byte; 32]).chain([counting, counting.map(|byte| byte + 1)]) {
        if let Ok(pair) = Ed25519KeyPair::from_seed_unchecked(&secret) {
            known.push(of_ed25519(pair.public_key().as_ref()));
        }
    }
    known.into_iter().flatten().map(|spki| sha256(&spki)).collect()
});

/// So many of a counter's first values.
const SCALARS: u64 = 256;

/// SHA-256 of the SubjectPublicKeyInfo, and where the private key is printed.
const PRINTED: [(&str, &str); 15] = [
    ("8fb6bad671cfe698393c453357da61b56d757ab8c0f3fb9c87f2849e63131878", "RFC 9500 section 2.1, RSA-2048"),
    ("b2b04340cfaee616ec9c2c62d261b208e54bb197498df52e8cadede23ac0ba5e", "RFC 9500 section 2.3, P-256"),
    ("c4c10105a0be0ed4dd3354428dc38a9bfee64da141ce16e75c94eda272f9dd3a", "RFC 9500 section 2.3, P-384"),
    ("5a7a78cca4a0f420d9bc62bb669c3c2759e39f723d3ae10dcbe0f0815a07ecd4", "RFC 6979 appendix A.2.5, P-256"),
    ("2f95601fa82060b909bfc6b979dbd303d34d34e0afb27ea496beac362f242a4b", "RFC 6979 appendix A.2.6, P-384"),
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
