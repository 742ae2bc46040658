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

/// What is signed of a certificate in DER, with its own header, and the signature.
pub(crate) fn parts(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let ((0x30, body, _), []) = element(der)? else { return None };
    let ((0x30, _, tbs), rest) = element(body)? else { return None };
    let ((0x30, _, _), rest) = element(rest)? else { return None };
    let ((0x03, bits, _), []) = element(rest)? else { return None };
    let (0, signature) = bits.split_first()? else { return None };
    Some((tbs, signature))
}

/// The AlgorithmIdentifier between the two.
pub(crate) fn algorithm(der: &[u8]) -> Option<&[u8]> {
    let ((0x30, body, _), []) = element(der)? else { return None };
    let (_, rest) = element(body)?;
    Some(element(rest)?.0.2)
}

/// Tag, content and the whole of the first element, and what follows it. Lengths are definite and minimal.
type Element<'a> = ((u8, &'a [u8], &'a [u8]), &'a [u8]);

fn element(bytes: &[u8]) -> Option<Element<'_>> {
    let (tag, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match *first {
        short @ 0..=0x7f => (usize::from(short), rest),
        // Certificates have at most 16 MiB.
        long @ 0x81..=0x83 => {
            let (length, rest) = rest.split_at_checked(usize::from(long & 0x7f))?;
            let value = length.iter().fold(0, |value, byte| value << 8 | usize::from(*byte));
            let is_minimal = value >= 0x80 && length.first() != Some(&0);
            is_minimal.then_some((value, rest))?
        }
        _ => return None,
    };
    let (content, after) = rest.split_at_checked(length)?;
    let whole = bytes.get(..bytes.len() - after.len())?;
    Some(((*tag, content, whole), after))
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
    fn what_is_assembled_is_taken_apart_and_nothing_else_is() {
        for signature in [vec![7; 64], vec![7; 300]] {
            let tbs = [&[0x30, 0x81, 0xc8][..], &[5; 200]].concat();
            let der = assemble(&tbs, Algorithm::Ed25519, &signature);
            assert_eq!(parts(&der), Some((&tbs[..], &signature[..])));
            assert_eq!(algorithm(&der), Some(Algorithm::Ed25519.identifier()));
            for end in 0..der.len() {
                assert_eq!(parts(&der[..end]), None, "{end}");
            }
            assert_eq!(parts(&[&der[..], &[0]].concat()), None);
        }
        // A length that is not minimal is another spelling.
        assert_eq!(parts(&[0x30, 0x81, 0x05, 0x30, 0, 0x30, 0, 0x03]), None);
    }

    #[test]
    fn the_parts_stand_in_order() {
        let der = assemble(&[0x30, 0x00], Algorithm::Ed25519, &[0xaa, 0xbb]);
        assert_eq!(der, hex::decode("300e3000300506032b6570030300aabb").unwrap());
    }
}
