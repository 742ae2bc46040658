//! What is too weak to be certified: the arithmetic of keys, whatever they are written as.
//!
//! RSA: too short, a bad exponent, a modulus that is a prime (it has no secret at all), with a small factor (2012's shared-factor
//! surveys), with primes next to each other (Fermat, CVE-2022-26320), or of Infineon's generator (ROCA, CVE-2017-15361). Curves:
//! a point that is not on its curve. Ed25519: a point of small order, for which anyone can make signatures, or with a part of one.
//! ML-DSA: a vector of zeros, with the same effect.

use curve25519_dalek::edwards::CompressedEdwardsY;
use hsm::KeyKind;
use num_bigint::BigUint;

/// Why a key is refused, as a clause for who brought it.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub struct WeakKey(pub(super) String);

/// The kind of an RSA key: the largest named size that it reaches.
pub(super) fn rsa(modulus: &[u8], exponent: &[u8]) -> Result<KeyKind, WeakKey> {
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
    if looks_like_roca(modulus) {
        return Err(refused("an RSA key with the structure of CVE-2017-15361 (ROCA): make it with another generator"));
    }
    let n = BigUint::from_bytes_be(modulus);
    if has_close_primes(&n) {
        return Err(refused("an RSA modulus whose primes are next to each other (CVE-2022-26320): a broken key"));
    }
    if is_power(&n) {
        return Err(refused("an RSA modulus that is a power of a smaller number: a broken key"));
    }
    // RFC 8017 section 3.1: "the RSA modulus n is a product of u distinct odd primes r_i, i = 1, 2, ..., u, where u >= 2".
    match passes_for_a_prime(&n) {
        true => Err(refused("an RSA modulus that is a prime: a key without a secret")),
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

/// A point of a NIST curve: uncompressed, and on the curve.
pub(super) fn point(kind: KeyKind, point: &[u8]) -> Result<(), WeakKey> {
    let (len, on_curve): (_, fn(&[u8]) -> bool) = match kind {
        KeyKind::P256 => (65, |point| p256::PublicKey::from_sec1_bytes(point).is_ok()),
        KeyKind::P384 => (97, |point| p384::PublicKey::from_sec1_bytes(point).is_ok()),
        // `PublicKey` of this curve has no reader of points; the verifying key is the same point.
        KeyKind::P521 => (133, |point| p521::ecdsa::VerifyingKey::from_sec1_bytes(point).is_ok()),
        _ => return Err(refused("a point of no curve that is accepted")),
    };
    match (point.first(), point.len() == len) {
        (Some(0x04), true) if on_curve(point) => Ok(()),
        (Some(0x04), true) => Err(refused("an EC point that is not on its curve")),
        (Some(0x02 | 0x03), _) => Err(refused("a compressed EC point; send it uncompressed")),
        _ => Err(refused("an EC point of the wrong form")),
    }
}

/// A public key of Ed25519 that some secret could have made: a multiple of the base point, in its one spelling.
pub(super) fn ed25519(key: &[u8]) -> Result<(), WeakKey> {
    let Ok(compressed) = CompressedEdwardsY::from_slice(key) else {
        return Err(refused(format!("an Ed25519 key of {} bytes; it has 32", key.len())));
    };
    // RFC 8032 section 5.1.3: "If the resulting value is >= p, decoding fails"; and it fails where x^2 has no root.
    let point = compressed.decompress().filter(|point| point.compress() == compressed);
    let point = point.ok_or_else(|| refused("an Ed25519 key that is not on the curve"))?;
    if point.is_small_order() {
        return Err(refused("an Ed25519 key of small order: anyone can sign for it"));
    }
    match point.is_torsion_free() {
        true => Ok(()),
        false => Err(refused("an Ed25519 key with a part of small order: no secret makes one")),
    }
}

/// A public key of ML-DSA: any bytes of the right number are one, but for those that no secret makes. Where t, the part after the
/// seed of the matrix, is zero, anyone can sign (z is then all that is verified), and where nearly all of it is, too.
pub(super) fn ml_dsa(kind: KeyKind, key: &[u8]) -> Result<(), WeakKey> {
    let len = match kind {
        KeyKind::MlDsa44 => 1312,
        KeyKind::MlDsa65 => 1952,
        KeyKind::MlDsa87 => 2592,
        _ => return Err(refused("no key of ML-DSA")),
    };
    match key.get(ML_DSA_SEED_BYTES..) {
        Some(t) if key.len() == len => match t.iter().filter(|byte| **byte == 0).count() * 2 > t.len() {
            true => Err(refused("an ML-DSA key that is nearly all zeros: anyone can sign for it")),
            false => Ok(()),
        },
        _ => Err(refused(format!("an ML-DSA key of {} bytes; one of kind {kind} has {len}", key.len()))),
    }
}

/// Fermat's factoring: n = a^2 - b^2 for an `a` next to the root of n.
fn has_close_primes(n: &BigUint) -> bool {
    let mut a = n.sqrt();
    if &(&a * &a) < n {
        a += 1u8;
    }
    let mut rest = &a * &a - n;
    (0..FERMAT_ROUNDS).any(|_| {
        if is_square(&rest) {
            return true;
        }
        rest += &a + &a + 1u8;
        a += 1u8;
        false
    })
}

/// A square ends, modulo 64, in one of twelve ways; so most roots need not be drawn.
fn is_square(number: &BigUint) -> bool {
    let low = number.iter_u64_digits().next().unwrap_or(0) % 64;
    if !(0..32u64).any(|root| root * root % 64 == low) {
        return false;
    }
    let root = number.sqrt();
    &(&root * &root) == number
}

/// Whether it is a cube or a fifth ... power; a square has primes next to each other. A modulus without small factors has no root of
/// more than so many of its bits.
fn is_power(n: &BigUint) -> bool {
    let most = u32::try_from(n.bits() / LEAST_FACTOR_BITS).unwrap_or(u32::MAX);
    POWERS.iter().take_while(|power| **power <= most).any(|power| n.nth_root(*power).pow(*power) == *n)
}

/// Fermat's little theorem to base 2. Every odd prime passes; a product of two random primes does with no chance worth naming.
fn passes_for_a_prime(n: &BigUint) -> bool {
    let one = BigUint::from(1u8);
    BigUint::from(2u8).modpow(&(n - &one), n) == one
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

/// Odd primes: every other power is one of these, or a square.
const POWERS: [u32; 10] = [3, 5, 7, 11, 13, 17, 19, 23, 29, 31];
/// Smaller factors are found by whoever tries, and nobody makes a key of 32 of them by mistake.
const LEAST_FACTOR_BITS: u64 = 128;

/// Of rho (FIPS 204 section 5.1).
const ML_DSA_SEED_BYTES: usize = 32;

/// What badkeys.info and the CA/Browser Forum's baseline requirements (section 6.1.1.3) try.
const FERMAT_ROUNDS: usize = 100;

/// The primes that trial division tries, as NIST SP 800-89 section 5.3.3 has it; 2 makes "the modulus is odd" one of them.
const SMALL_PRIMES: [u32; 133] = [
    2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109,
    113, 127, 131, 137, 139, 149, 151, 157, 163, 167, 173, 179, 181, 191, 193, 197, 199, 211, 223, 227, 229, 233, 239,
    241, 251, 257, 263, 269, 271, 277, 281, 283, 293, 307, 311, 313, 317, 331, 337, 347, 349, 353, 359, 367, 373, 379,
    383, 389, 397, 401, 409, 419, 421, 431, 433, 439, 443, 449, 457, 461, 463, 467, 479, 487, 491, 499, 503, 509, 521,
    523, 541, 547, 557, 563, 569, 571, 577, 587, 593, 599, 601, 607, 613, 617, 619, 631, 641, 643, 647, 653, 659, 661,
    673, 677, 683, 691, 701, 709, 719, 727, 733, 739, 743, 751,
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
            assert_eq!(rsa(&modulus(bits), &e), Ok(kind));
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
            let why = rsa(&modulus(bits), e).unwrap_err().0;
            assert!(why.contains(says), "{why}");
        }
    }

    #[test]
    fn a_modulus_with_a_small_factor_is_refused() {
        let mut even = modulus(2048);
        even[255] &= 0xfe;
        assert!(rsa(&even, &[1, 0, 1]).unwrap_err().0.contains("divisible by"));
    }

    #[test]
    fn a_modulus_with_a_factor_below_752_is_refused_and_so_is_a_power() {
        let large = (BigUint::from(1u8) << 2203u32) - 1u8;
        for p in [211u32, 743, 751] {
            let why = rsa(&(&large * p).to_bytes_be(), &[1, 0, 1]).unwrap_err().0;
            assert!(why.contains(&format!("divisible by {p}")), "{why}");
        }
        let (prime, fifth) = ((BigUint::from(1u8) << 1279u32) - 1u8, (BigUint::from(1u8) << 521u32) - 1u8);
        for power in [prime.pow(3), fifth.pow(5), fifth.pow(7)] {
            assert!(is_power(&power) && !has_close_primes(&power));
        }
        assert!(!is_power(&(prime * large)));
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
    fn a_prime_modulus_and_close_primes_are_refused() {
        // 2^2203 - 1 is a prime (Mersenne, Robinson 1952); and so is 2^1279 - 1.
        let prime = (BigUint::from(1u8) << 2203u32) - 1u8;
        assert!(passes_for_a_prime(&prime) && !has_close_primes(&prime));
        let square: BigUint = ((BigUint::from(1u8) << 1279u32) - 1u8).pow(2u32);
        assert!(has_close_primes(&square) && !passes_for_a_prime(&square));
        let (p, gap) = (BigUint::from(1u8) << 1024, BigUint::from(1u8) << 512);
        assert!(has_close_primes(&((&p - 1u8) * (&p + 1u8))));
        assert!(has_close_primes(&(&p * (&p + gap))));
        assert!(!has_close_primes(&(&p * (&p + (BigUint::from(1u8) << 600)))));
    }

    /// The points of order 1, 2, 4 and 8, and a good key with one of them added.
    #[test]
    fn ed25519_keys_that_no_secret_makes_are_refused() {
        use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION};
        for small in EIGHT_TORSION {
            let says = ed25519(small.compress().as_bytes()).unwrap_err().0;
            assert!(says.contains("small order: anyone"), "{says}");
        }
        let mixed = (ED25519_BASEPOINT_POINT + EIGHT_TORSION[1]).compress();
        assert!(ed25519(mixed.as_bytes()).unwrap_err().0.contains("a part of small order"));
        assert!(ed25519(ED25519_BASEPOINT_POINT.compress().as_bytes()).is_ok());
        // The identity, its y written as p + 1; and a y whose x^2 has no root.
        let mut second_spelling = [0xff; 32];
        (second_spelling[0], second_spelling[31]) = (0xee, 0x7f);
        assert!(ed25519(&second_spelling).unwrap_err().0.contains("not on the curve"));
        let mut no_point = [0; 32];
        no_point[0] = 2;
        assert!(ed25519(&no_point).unwrap_err().0.contains("not on the curve"));
        assert!(ed25519(&[1; 31]).unwrap_err().0.contains("31 bytes"));
    }

    #[test]
    fn an_ml_dsa_key_has_its_length_and_is_not_zero() {
        for (kind, len) in [(KeyKind::MlDsa44, 1312), (KeyKind::MlDsa65, 1952), (KeyKind::MlDsa87, 2592)] {
            assert_eq!(ml_dsa(kind, &vec![7; len]), Ok(()));
            for other in [0, 32, 1311, len + 1] {
                let says = ml_dsa(kind, &vec![7; other]).unwrap_err().0;
                assert!(says.contains(&format!("of {other} bytes; one of kind {kind} has {len}")), "{says}");
            }
            let mut zeros = vec![0; len];
            zeros[..32].fill(7);
            assert!(ml_dsa(kind, &zeros).unwrap_err().0.contains("anyone can sign"));
            zeros[40] = 1;
            assert!(ml_dsa(kind, &zeros).unwrap_err().0.contains("anyone can sign"));
        }
    }

    #[test]
    fn a_point_off_its_curve_is_refused_on_each() {
        for (kind, len) in [(KeyKind::P256, 65), (KeyKind::P384, 97), (KeyKind::P521, 133)] {
            let mut outside = vec![0; len];
            (outside[0], outside[len - 1]) = (4, 5);
            assert!(point(kind, &outside).unwrap_err().0.contains("not on its curve"), "{kind}");
            // A coordinate that is no number below the field's prime, which is another spelling of a smaller one.
            outside[1..].fill(0xff);
            assert!(point(kind, &outside).unwrap_err().0.contains("not on its curve"), "{kind}");
            outside[0] = 2;
            assert!(point(kind, &outside).unwrap_err().0.contains("compressed"), "{kind}");
            assert!(point(kind, &[4]).is_err() && point(kind, &[0]).is_err() && point(kind, &[]).is_err());
        }
    }
}
