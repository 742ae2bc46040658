//! Shamir's sharing of 32 bytes ("How to Share a Secret", 1979), byte by byte, in the field of 256 elements.
//!
//! For each byte of the secret there is a polynomial whose value at 0 is that byte and whose other coefficients are random. The share of
//! number x has its value at x. The values at m places determine it; those at m - 1 say nothing: through them and any byte at 0 goes
//! exactly one polynomial, and each of these was as likely to be drawn.

use ring::rand::SecureRandom;
use zeroize::Zeroizing;

use super::field::{inverse, times};

/// What is shared, and as long as each share of it. It lies in one place until it is wiped: moved about by itself, it would leave copies.
pub(super) type Bytes = Box<Zeroizing<[u8; SECRET_BYTES]>>;

/// A share: the place, which is never 0, and the polynomials' values there.
pub(super) type Point<'a> = (u8, &'a [u8; SECRET_BYTES]);

pub(super) const SECRET_BYTES: usize = 32;

/// The shares at 1, 2, ... `shares`, of which `threshold` give the secret. The plan has bounded both.
pub(super) fn split(
    secret: &Bytes,
    threshold: u8,
    shares: u8,
    random: &dyn SecureRandom,
) -> Result<Vec<Bytes>, ring::error::Unspecified> {
    // From x to the highest power. The highest may be zero like any other: were it not, m - 1 shares would rule out one secret.
    let mut coefficients: Vec<Bytes> = (1..threshold).map(|_| Bytes::default()).collect();
    for coefficient in &mut coefficients {
        random.fill(coefficient.as_mut_slice())?;
    }
    Ok((1..=shares).map(|x| value(secret, &coefficients, x)).collect())
}

/// The polynomials' values at a place, by Horner's rule.
fn value(secret: &Bytes, coefficients: &[Bytes], x: u8) -> Bytes {
    let mut sum = Bytes::default();
    for coefficient in coefficients.iter().rev().chain([secret]) {
        for (sum, coefficient) in sum.iter_mut().zip(coefficient.iter()) {
            *sum = times(*sum, x) ^ coefficient;
        }
    }
    sum
}

/// The values at a place of the polynomials through these points: at 0, the secret.
///
/// The places differ, or it is nothing (Lagrange's formula divides by their differences). They are no secret.
pub(super) fn through(points: &[Point<'_>], at: u8) -> Bytes {
    let mut sum = Bytes::default();
    for (x, bytes) in points {
        let others = points.iter().map(|(other, _)| *other).filter(|other| other != x);
        let weight = others.fold(1, |weight, other| times(weight, times(other ^ at, inverse(other ^ x))));
        for (sum, byte) in sum.iter_mut().zip(bytes.iter()) {
            *sum ^= times(*byte, weight);
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::slice;

    use proptest::prelude::*;
    use ring::rand::SystemRandom;

    use super::*;

    fn points(shares: &[Bytes]) -> Vec<Point<'_>> {
        (1..).zip(shares.iter().map(|bytes| &***bytes)).collect()
    }

    /// All choices of some of these points.
    fn choices<'a>(points: &[Point<'a>], some: usize) -> Vec<Vec<Point<'a>>> {
        let all = (0..1_u32 << points.len()).filter(|chosen| chosen.count_ones() as usize == some);
        let of =
            |chosen: u32| (0..).zip(points).filter(move |(bit, _)| chosen >> bit & 1 == 1).map(|(_, point)| *point);
        all.map(|chosen| of(chosen).collect()).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]
        #[test]
        fn any_m_of_n_give_the_secret_and_every_other_share(secret: [u8; 32]) {
            for (threshold, shares) in (2..=5).flat_map(|m| (m..=8).map(move |n| (m, n))) {
                let made = split(&Bytes::new(secret.into()), threshold, shares, &SystemRandom::new()).unwrap();
                let points = points(&made);
                prop_assert_eq!(points.len(), usize::from(shares));
                for chosen in choices(&points, threshold.into()) {
                    prop_assert_eq!(**through(&chosen, 0), secret, "{} of {}", threshold, shares);
                    for (x, bytes) in &points {
                        prop_assert_eq!(&**through(&chosen, *x), *bytes);
                    }
                }
                for chosen in choices(&points, usize::from(threshold) - 1) {
                    prop_assert_ne!(**through(&chosen, 0), secret, "{} of {}", threshold - 1, shares);
                }
            }
        }
    }

    /// Perfect secrecy by counting, for one byte: over all polynomials there are, what m - 1 people see comes equally often with
    /// every secret.
    #[test]
    fn fewer_shares_are_as_likely_with_every_secret() {
        let fill = |byte| Bytes::new([byte; SECRET_BYTES].into());
        // 32 polynomials at a time, one for each byte: all values that a coefficient has, in 8 steps.
        let all: Vec<Bytes> = (0..8_u8)
            .map(|step| std::array::from_fn(|byte| step * 32 + u8::try_from(byte).unwrap()))
            .map(|values| Bytes::new(values.into()))
            .collect();
        // Two are needed: one share takes each value once with each secret.
        for (secret, x) in (0..=255).flat_map(|secret| [1, 2, 16].map(|x| (secret, x))) {
            let seen: BTreeSet<u8> = all.iter().flat_map(|a| **value(&fill(secret), slice::from_ref(a), x)).collect();
            assert_eq!(seen.len(), 256, "secret {secret}, share {x}");
        }
        // Three are needed: two shares together take each pair of values once.
        for secret in [0, 1, 0x80, 0xff] {
            let mut seen = BTreeSet::new();
            for (a, b) in (0..=255).flat_map(|a| all.iter().map(move |b| (fill(a), b.clone()))) {
                let [two, five] = [2, 5].map(|x| value(&fill(secret), &[a.clone(), b.clone()], x));
                seen.extend(two.iter().copied().zip(five.iter().copied()));
            }
            assert_eq!(seen.len(), 1 << 16, "secret {secret}");
        }
    }

    /// With two needed, the first share is the secret plus the one coefficient. Of 12,800 of these, one value of 256 is missed with a
    /// chance of one to 10^19: were zero never drawn, each share would rule out one secret.
    #[test]
    fn a_coefficient_has_each_value_and_zero_too() {
        let secret = Bytes::new([7; SECRET_BYTES].into());
        let splits = (0..400).map(|_| split(&secret, 2, 2, &SystemRandom::new()).unwrap().swap_remove(0));
        let drawn: BTreeSet<u8> = splits.flat_map(|first| first.map(|byte| byte ^ 7)).collect();
        assert_eq!(drawn.len(), 256);
    }

    #[test]
    fn each_split_draws_anew_and_no_share_is_the_secret() {
        let secret = Bytes::new([7; SECRET_BYTES].into());
        let [one, other] = [(); 2].map(|()| split(&secret, 2, 16, &SystemRandom::new()).unwrap());
        let all: BTreeSet<[u8; SECRET_BYTES]> =
            one.iter().chain(&other).chain([&secret]).map(|share| ***share).collect();
        assert_eq!(all.len(), 33);
        // Each byte has a polynomial of its own: a secret of equal bytes has no share of equal bytes.
        assert!(one.iter().all(|share| share.iter().any(|byte| *byte != share[0])));
    }
}
