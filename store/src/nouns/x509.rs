//! The outer shell of a signed X.509 object: `SEQUENCE { tbs, AlgorithmIdentifier, BIT STRING }`
//! (RFC 5280 sections 4.1 and 5.1). What is inside `tbs` is not this room's business.

use hsm::Algorithm;

/// The signed object, DER. RFC 5280 section 4.1.1.2: the identifier is the one inside the TBS; `ca` writes that from the same table.
pub(crate) fn assemble(tbs: &[u8], algorithm: Algorithm, signature: &[u8]) -> Vec<u8> {
    let algorithm = algorithm.identifier();
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
