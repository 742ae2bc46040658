//! The public keys that may be certified: which kinds, and which of them are known to be weak.
//!
//! Answers the threat of certifying a key whose private half can be had: too short, a bad exponent, a modulus with a
//! small factor (2012's shared-factor surveys), or the structure of Infineon's generator (ROCA, CVE-2017-15361).

use der::asn1::UintRef;
use der::{AnyRef, Decode, Sequence, Tag};
use hsm::KeyKind;
use spki::ObjectIdentifier;

use crate::encode::sha256;
use crate::encode::spki::{Algorithm, Spki, public_bits};

/// A public key fit to be certified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SubjectKey {
    spki_der: Vec<u8>,
    kind: KeyKind,
    hash: [u8; 32],
}

/// Why a key is refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub(crate) struct WeakKey(pub(crate) String);

impl SubjectKey {
    /// Reads a SubjectPublicKeyInfo and refuses what is weak or unknown, with the reason.
    pub(crate) fn from_spki(spki_der: &[u8]) -> Result<SubjectKey, WeakKey> {
        let spki = Spki::from_der(spki_der).map_err(|e| refused(format!("not a public key: {e}")))?;
        let bits = spki.key.as_bytes().ok_or_else(|| refused("a public key of odd bits"))?;
        let kind = match spki.algorithm.oid {
            ID_EC => curve(&spki.algorithm, bits)?,
            ID_RSA => rsa(&spki.algorithm, bits)?,
            ID_ED25519 => ed25519(&spki.algorithm, bits)?,
            other => return Err(refused(format!("key algorithm {other} is not accepted; {ACCEPTED}"))),
        };
        Ok(SubjectKey { spki_der: spki_der.to_vec(), kind, hash: sha256(spki_der) })
    }

    /// A key of the token: it was made by us, of a kind we chose.
    pub(crate) fn from_token(key: &hsm::Key) -> SubjectKey {
        SubjectKey { spki_der: key.spki_der().to_vec(), kind: key.kind(), hash: key.fingerprint() }
    }

    /// DER.
    pub(crate) fn spki_der(&self) -> &[u8] {
        &self.spki_der
    }

    /// What it is; an RSA key counts as the largest named size it reaches.
    pub(crate) fn kind(&self) -> KeyKind {
        self.kind
    }

    /// SHA-256 of the SubjectPublicKeyInfo.
    pub(crate) fn hash(&self) -> [u8; 32] {
        self.hash
    }

    /// The subjectPublicKey bits, which is what verification and key identifiers work on.
    pub(crate) fn public_bits(&self) -> Option<Vec<u8>> {
        public_bits(&self.spki_der)
    }
}

/// The strength of an RSA key given as its two integers (an SSH key has no SubjectPublicKeyInfo).
pub(crate) fn rsa_strength(modulus: &[u8], exponent: &[u8]) -> Result<KeyKind, WeakKey> {
    let modulus = strip(modulus);
    let exponent = strip(exponent);
    let bits = bit_len(modulus);
    let kind = match bits {
        0..2048 => return Err(refused(format!("an RSA key of {bits} bits is too short; 2048 is the least"))),
        2048..3072 => KeyKind::Rsa2048,
        3072..4096 => KeyKind::Rsa3072,
        4096 => KeyKind::Rsa4096,
        _ => return Err(refused(format!("an RSA key of {bits} bits is longer than the 4096 accepted"))),
    };
    check_exponent(exponent)?;
    if let Some(p) = SMALL_PRIMES.iter().find(|p| remainder(modulus, **p) == 0) {
        return Err(refused(format!("an RSA modulus divisible by {p}: a broken key")));
    }
    match looks_like_roca(modulus) {
        true => Err(refused("an RSA key with the structure of CVE-2017-15361 (ROCA): make it with another generator")),
        false => Ok(kind),
    }
}

fn check_exponent(exponent: &[u8]) -> Result<(), WeakKey> {
    let value = match exponent.len() {
        0..=8 => exponent.iter().fold(0u64, |v, b| v << 8 | u64::from(*b)),
        _ => u64::MAX,
    };
    if value % 2 == 0 || value < 65_537 {
        return Err(refused(format!("an RSA exponent of {value}: it must be odd and at least 65537")));
    }
    // ring, which verifies for us, reads exponents below 2^33; so do other verifiers.
    match value < 1 << 33 {
        true => Ok(()),
        false => Err(refused("an RSA exponent of more than 33 bits; make the key with 65537")),
    }
}

fn curve(algorithm: &Algorithm<'_>, point: &[u8]) -> Result<KeyKind, WeakKey> {
    let parameters = algorithm.parameters.ok_or_else(|| refused("an EC key without its curve"))?;
    let curve = parameters.decode_as::<ObjectIdentifier>().map_err(|_| {
        refused(
            "an EC key with explicit curve parameters; make it with a named curve (-pkeyopt ec_param_enc:named_curve)",
        )
    })?;
    let (kind, len) = match curve {
        P256 => (KeyKind::P256, 65),
        P384 => (KeyKind::P384, 97),
        other => return Err(refused(format!("curve {other} is not accepted; {ACCEPTED}"))),
    };
    match (point.first(), point.len() == len) {
        (Some(0x04), true) => Ok(kind),
        (Some(0x02 | 0x03), _) => Err(refused("a compressed EC point; send it uncompressed")),
        _ => Err(refused("an EC point of the wrong form")),
    }
}

fn rsa(algorithm: &Algorithm<'_>, key: &[u8]) -> Result<KeyKind, WeakKey> {
    // RFC 3279 section 2.3.1: "The parameters field MUST have ASN.1 type NULL for this algorithm identifier."
    if !algorithm.parameters.is_some_and(|p| p.tag_is_null()) {
        return Err(refused("an RSA key whose algorithm parameters are not NULL"));
    }
    let key = RsaKey::from_der(key).map_err(|e| refused(format!("not an RSA public key: {e}")))?;
    rsa_strength(key.modulus.as_bytes(), key.exponent.as_bytes())
}

fn ed25519(algorithm: &Algorithm<'_>, key: &[u8]) -> Result<KeyKind, WeakKey> {
    // RFC 8410 section 3: "the parameters MUST be absent."
    match (algorithm.parameters, key.len()) {
        (None, 32) => Ok(KeyKind::Ed25519),
        _ => Err(refused("an Ed25519 key of the wrong form")),
    }
}

/// ROCA's primes are k*M + 65537^a mod M, so modulo each small prime of M the modulus lies in the subgroup that 65537
/// generates. A healthy modulus passes all of these at once with a chance of about 2^-27.
fn looks_like_roca(modulus: &[u8]) -> bool {
    ROCA_PRIMES.iter().all(|p| {
        let wanted = remainder(modulus, *p);
        let mut power = 1;
        loop {
            if power == wanted {
                return true;
            }
            power = power * (65_537 % p) % p;
            if power == 1 {
                return false;
            }
        }
    })
}

fn remainder(number: &[u8], by: u32) -> u32 {
    number.iter().fold(0, |r, b| (r << 8 | u32::from(*b)) % by)
}

fn strip(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|b| **b == 0).count();
    number.get(zeros..).unwrap_or_default()
}

fn bit_len(number: &[u8]) -> usize {
    number.first().map_or(0, |top| number.len() * 8 - top.leading_zeros() as usize)
}

fn refused(why: impl Into<String>) -> WeakKey {
    WeakKey(why.into())
}

/// Whether parameters are an ASN.1 NULL.
trait TagIsNull {
    fn tag_is_null(&self) -> bool;
}

impl TagIsNull for AnyRef<'_> {
    fn tag_is_null(&self) -> bool {
        self.header().tag() == Tag::Null && self.value().is_empty()
    }
}

#[derive(Sequence)]
struct RsaKey<'a> {
    modulus: UintRef<'a>,
    exponent: UintRef<'a>,
}

const ACCEPTED: &str = "accepted are P-256, P-384, RSA of 2048 to 4096 bits and Ed25519";

const ID_EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const ID_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const ID_ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");

/// The primes that trial division tries; 2 makes "the modulus is odd" one of them.
const SMALL_PRIMES: [u32; 46] = [
    2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109,
    113, 127, 131, 137, 139, 149, 151, 157, 163, 167, 173, 179, 181, 191, 193, 197, 199,
];

/// The odd primes of M for 512-bit moduli and up (Nemec et al., 2017); 11 and 13 on tell the most.
const ROCA_PRIMES: [u32; 38] = [
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109,
    113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
];

#[cfg(test)]
mod tests {
    use super::*;

    /// A number of 2048 bits, odd and free of small factors as far as a test needs it.
    fn modulus(bits: usize) -> Vec<u8> {
        let mut n = vec![0xb5; bits / 8];
        let last = n.len() - 1;
        for low in (1..=u8::MAX).step_by(2) {
            n[last] = low;
            if SMALL_PRIMES.iter().all(|p| remainder(&n, *p) != 0) {
                return n;
            }
        }
        panic!("no such number");
    }

    #[test]
    fn rsa_sizes_and_exponents_are_bounded() {
        let e = [1, 0, 1];
        for (bits, kind) in
            [(2048, KeyKind::Rsa2048), (2560, KeyKind::Rsa2048), (3072, KeyKind::Rsa3072), (4096, KeyKind::Rsa4096)]
        {
            assert_eq!(rsa_strength(&modulus(bits), &e), Ok(kind));
        }
        for (bits, e, says) in [
            (1024, &[1u8, 0, 1][..], "1024 bits is too short"),
            (8192, &[1, 0, 1], "longer than the 4096"),
            (2048, &[3], "exponent of 3"),
            (2048, &[1, 0, 0], "exponent of 65536"),
            (2048, &[1, 0, 2], "must be odd"),
            (2048, &[], "exponent of 0"),
            (2048, &[2, 0, 0, 0, 1], "more than 33 bits"),
            (2048, &[1; 9], "more than 33 bits"),
        ] {
            let why = rsa_strength(&modulus(bits), e).unwrap_err().0;
            assert!(why.contains(says), "{why}");
        }
    }

    #[test]
    fn a_modulus_with_a_small_factor_is_refused() {
        let mut even = modulus(2048);
        even[255] &= 0xfe;
        assert!(rsa_strength(&even, &[1, 0, 1]).unwrap_err().0.contains("divisible by"));
    }

    #[test]
    fn a_modulus_of_the_weak_generator_is_recognised() {
        // 65537 itself lies in every subgroup, so a large power of it is a stand-in for such a modulus.
        let mut n = vec![1u8];
        for _ in 0..126 {
            n = times_65537(&n);
        }
        assert!(looks_like_roca(&n));
        assert!(!looks_like_roca(&modulus(2048)));
    }

    fn times_65537(n: &[u8]) -> Vec<u8> {
        let mut out = vec![0u8; n.len() + 3];
        let mut carry = 0u32;
        for i in (0..out.len()).rev() {
            let from_end = out.len() - 1 - i;
            let digit = |k: usize| n.len().checked_sub(k + 1).map_or(0, |j| u32::from(n[j]));
            let sum = carry + digit(from_end) + if from_end >= 2 { digit(from_end - 2) } else { 0 };
            out[i] = sum as u8;
            carry = sum >> 8;
        }
        out
    }

    #[test]
    fn garbage_is_refused_without_a_panic() {
        for bad in [&[][..], &[0x30, 0x00], &[0x30, 0x80], &[0x04, 0x01, 0x00]] {
            assert!(SubjectKey::from_spki(bad).is_err());
        }
    }
}
