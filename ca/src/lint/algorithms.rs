//! Algorithms as they are written.

use x509_parser::prelude::AlgorithmIdentifier;
use x509_parser::prelude::asn1_rs::Tag;
use x509_parser::signature_algorithm::SignatureAlgorithm;

use crate::lint::findings::Findings;
use crate::lint::named::lints;

lints! { ALGORITHMS;
    ALGORITHM_PARAMETERS Error "signature-algorithm-has-the-right-parameters"
        "its signature algorithm has parameters where none belong, or none where NULL belongs"
        ["RFC 4055 5", "RFC 5758 3.2", "RFC 8410 3", "RFC 9881 2", "CPS 7.1.3"]
}

/// The parameters of a signature's algorithm, for those that are known.
pub(crate) fn signature(algorithm: &AlgorithmIdentifier<'_>, f: &mut Findings) {
    let parameters = algorithm.parameters.as_ref();
    let is_right = match family(algorithm.oid().as_bytes()) {
        Some(Parameters::Null) => parameters.is_some_and(|any| any.tag() == Tag::Null && any.data.is_empty()),
        Some(Parameters::None) => parameters.is_none(),
        None => true,
    };
    f.hold(&ALGORITHM_PARAMETERS, is_right);
}

/// Whether forgeries are known or at hand. PSS hashes as its parameters say, and with SHA-1 where they do not (RFC 4055 section 3.1).
pub(crate) fn is_weak(algorithm: &AlgorithmIdentifier<'_>) -> bool {
    let oid = algorithm.oid().as_bytes();
    if oid != PSS {
        return WEAK.contains(&oid);
    }
    match SignatureAlgorithm::try_from(algorithm) {
        Ok(SignatureAlgorithm::RSASSA_PSS(pss)) => WEAK_HASHES.contains(&pss.hash_algorithm_oid().as_bytes()),
        Ok(_) | Err(_) => true,
    }
}

enum Parameters {
    Null,
    None,
}

fn family(oid: &[u8]) -> Option<Parameters> {
    // sha1, sha256, sha384, sha512, sha224WithRSAEncryption.
    let rsa = oid.strip_prefix(PKCS1).and_then(<[u8]>::first).is_some_and(|last| matches!(last, 5 | 11..=14));
    // ecdsa-with-SHA224 to SHA512; Ed25519, Ed448; ML-DSA-44, 65, 87.
    let bare = oid.starts_with(ECDSA_SHA2)
        || oid == [0x2b, 0x65, 0x70]
        || oid == [0x2b, 0x65, 0x71]
        || oid.strip_prefix(NIST_SIGNATURES).and_then(<[u8]>::first).is_some_and(|last| matches!(last, 17..=19));
    match (rsa, bare) {
        (true, _) => Some(Parameters::Null),
        (_, true) => Some(Parameters::None),
        (false, false) => None,
    }
}

const PKCS1: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];
const PSS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a];
/// SHA-1, MD5.
const WEAK_HASHES: &[&[u8]] = &[&[0x2b, 0x0e, 0x03, 0x02, 0x1a], &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, 0x05]];
const ECDSA_SHA2: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03];
const NIST_SIGNATURES: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03];
/// md2, md5, sha1WithRSAEncryption; ecdsa-with-SHA1; dsa-with-sha1.
const WEAK: &[&[u8]] = &[
    &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x02],
    &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x04],
    &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x05],
    &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01],
    &[0x2a, 0x86, 0x48, 0xce, 0x38, 0x04, 0x03],
];
