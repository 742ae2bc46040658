//! The outer shell of a signed X.509 object: `SEQUENCE { tbs, AlgorithmIdentifier, BIT STRING }`
//! (RFC 5280 sections 4.1 and 5.1). What is inside `tbs` is not this room's business.

use hsm::Algorithm;

/// RFC 5280 section 4.1.1.2: the identifier is the one inside the TBS; `ca` writes that, from the same table of OIDs.
fn algorithm_identifier(algorithm: Algorithm) -> &'static [u8] {
    match algorithm {
        // ecdsa-with-SHA256 and -SHA384, no parameters (RFC 5758 section 3.2).
        Algorithm::EcdsaP256Sha256 => &[0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02],
        Algorithm::EcdsaP384Sha384 => &[0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03],
        // sha256WithRSAEncryption with its NULL parameters (RFC 4055 section 5).
        Algorithm::RsaPkcs1Sha256 => {
            &[0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b, 0x05, 0x00]
        }
        // id-Ed25519, no parameters (RFC 8410 section 3).
        Algorithm::Ed25519 => &[0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70],
    }
}

/// The signed object, DER.
pub(crate) fn assemble(tbs: &[u8], algorithm: Algorithm, signature: &[u8]) -> Vec<u8> {
    let algorithm = algorithm_identifier(algorithm);
    let mut bits = header(0x03, signature.len() + 1);
    bits.push(0);
    let mut der = header(0x30, tbs.len() + algorithm.len() + bits.len() + signature.len());
    der.extend_from_slice(tbs);
    der.extend_from_slice(algorithm);
    der.extend_from_slice(&bits);
    der.extend_from_slice(signature);
    der
}

/// Tag and length, definite and minimal.
fn header(tag: u8, length: usize) -> Vec<u8> {
    let bytes = length.to_be_bytes();
    let significant = bytes.iter().position(|&b| b != 0).map_or(&bytes[..0], |first| &bytes[first..]);
    match significant {
        [] => vec![tag, 0],
        [short] if *short < 0x80 => vec![tag, *short],
        long => [&[tag, 0x80 | long.len() as u8], long].concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_minimal() {
        assert_eq!(header(0x30, 0), [0x30, 0]);
        assert_eq!(header(0x30, 0x7f), [0x30, 0x7f]);
        assert_eq!(header(0x30, 0x80), [0x30, 0x81, 0x80]);
        assert_eq!(header(0x30, 0x1234), [0x30, 0x82, 0x12, 0x34]);
        assert_eq!(header(0x30, 0x12_3456), [0x30, 0x83, 0x12, 0x34, 0x56]);
    }

    #[test]
    fn the_parts_stand_in_order() {
        let der = assemble(&[0x30, 0x00], Algorithm::Ed25519, &[0xaa, 0xbb]);
        assert_eq!(der, hex::decode("300e3000300506032b6570030300aabb").unwrap());
    }
}
