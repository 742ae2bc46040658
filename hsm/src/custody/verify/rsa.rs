//! RSA over a digest, by the one modular power that it takes.

use num_bigint::BigUint;
use ring::digest::{self, Context, SHA256, SHA384, SHA512};

use der::Decode;

use super::{BadSignature, no_match, odd};
use crate::custody::forms::RsaPublicKey;
use crate::custody::kind::Algorithm;

type Hash = &'static digest::Algorithm;

/// DER of `DigestInfo`, but for the digest itself (RFC 8017 section 9.2, note 1).
pub(crate) fn digest_info(hash: &digest::Algorithm) -> Option<&'static [u8]> {
    let info: &[u8; 19] = match hash {
        hash if *hash == SHA256 => b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20",
        hash if *hash == SHA384 => b"\x30\x41\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x02\x05\x00\x04\x30",
        hash if *hash == SHA512 => b"\x30\x51\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x03\x05\x00\x04\x40",
        _ => return None,
    };
    Some(info)
}

/// RSASSA-PKCS1-v1_5 by comparison of the whole encoded message, never by parsing what the signature decrypts to
/// (RFC 8017 section 8.2.2; parsing is how Bleichenbacher forged with e = 3).
pub(super) fn verify_pkcs1(
    of: Algorithm,
    key: &[u8],
    hash: Hash,
    digest: &[u8],
    signature: &[u8],
) -> Result<(), BadSignature> {
    let (message, len, _) = opened(of, key, signature)?;
    let info = digest_info(hash).ok_or_else(|| odd("a hash that is not signed with RSA here"))?;
    // The least modulus has 256 bytes, the longest of these 83.
    let padding = vec![0xff; len.saturating_sub(3 + info.len() + digest.len())];
    match message == [&[0x00, 0x01][..], &padding, &[0x00], info, digest].concat() {
        true => Ok(()),
        false => Err(no_match()),
    }
}

/// RSASSA-PSS (RFC 8017 sections 8.1.2 and 9.1.2), MGF1 with the hash of the message.
pub(super) fn verify_pss(
    of: Algorithm,
    key: &[u8],
    (hash, salt): (Hash, usize),
    digest: &[u8],
    signature: &[u8],
) -> Result<(), BadSignature> {
    let (message, len, bits) = opened(of, key, signature)?;
    // emBits is one less than the modulus has; its top byte may hold none of them.
    let em_bits = bits - 1;
    let em_len = em_bits.div_ceil(8);
    let (above, em) = message.split_at_checked(len - em_len).ok_or_else(no_match)?;
    let Some((masked, rest)) = em_len.checked_sub(hash.output_len() + 1).and_then(|at| em.split_at_checked(at)) else {
        return Err(no_match());
    };
    let Some((trailer, h)) = rest.split_last() else { return Err(no_match()) };
    let unused = 0xff_u8.checked_shl(8 - (8 * em_len - em_bits) as u32).unwrap_or(0);
    if above.iter().any(|byte| *byte != 0) || *trailer != 0xbc || masked.first().is_none_or(|top| top & unused != 0) {
        return Err(no_match());
    }
    let mask = mgf1(hash, h, masked.len());
    let mut db: Vec<u8> = masked.iter().zip(mask).map(|(masked, mask)| masked ^ mask).collect();
    if let Some(top) = db.first_mut() {
        *top &= !unused;
    }
    let Some((padding, salt)) = db.len().checked_sub(salt).and_then(|at| db.split_at_checked(at)) else {
        return Err(no_match());
    };
    let padded = padding.split_last().is_some_and(|(one, zeros)| *one == 0x01 && zeros.iter().all(|byte| *byte == 0));
    let mut again = Context::new(hash);
    [&[0; 8][..], digest, salt].into_iter().for_each(|part| again.update(part));
    match padded && again.finish().as_ref() == h {
        true => Ok(()),
        false => Err(no_match()),
    }
}

/// RFC 8017 appendix B.2.1.
fn mgf1(hash: Hash, seed: &[u8], len: usize) -> Vec<u8> {
    let mut mask = Vec::with_capacity(len + hash.output_len());
    for counter in 0..len.div_ceil(hash.output_len()) {
        let mut block = Context::new(hash);
        block.update(seed);
        block.update(&(counter as u32).to_be_bytes());
        mask.extend_from_slice(block.finish().as_ref());
    }
    mask.truncate(len);
    mask
}

/// The encoded message that a signature opens to, with the bytes and the bits of the modulus.
fn opened(of: Algorithm, key: &[u8], signature: &[u8]) -> Result<(Vec<u8>, usize, usize), BadSignature> {
    if !matches!(of, Algorithm::RsaPkcs1Sha256 | Algorithm::RsaPssSha256) {
        return Err(BadSignature(format!("a key of {of} is no RSA key")));
    }
    let key = RsaPublicKey::from_der(key).map_err(|_| odd("no RSA key"))?;
    let len = key.n.as_bytes().len();
    if !(256..=1024).contains(&len) || key.e.as_bytes().len() > 5 {
        return Err(odd("an RSA key of an unusual size"));
    }
    let (n, e) = (BigUint::from_bytes_be(key.n.as_bytes()), BigUint::from_bytes_be(key.e.as_bytes()));
    let s = BigUint::from_bytes_be(signature);
    if signature.len() != len || s >= n {
        return Err(no_match());
    }
    let message = s.modpow(&e, &n).to_bytes_be();
    let zeros = vec![0; len.saturating_sub(message.len())];
    Ok(([zeros, message].concat(), len, usize::try_from(n.bits()).unwrap_or(len * 8)))
}
