//! The field of 256 elements in which secrets are shared: GF(2)\[x\] modulo x^8 + x^4 + x^3 + x + 1, as in FIPS 197 section 4.2.
//!
//! No table is read at a place that a secret names, and nothing branches on one: the time taken says nothing of the operands.

use std::hint::black_box;

/// The product of two elements. Their sum is `^`.
pub(super) fn times(mut a: u8, b: u8) -> u8 {
    let mut product = 0;
    for bit in 0..8 {
        product ^= a & all_or_none(b >> bit);
        a = (a << 1) ^ (REDUCTION & all_or_none(a >> 7));
    }
    product
}

/// What an element is multiplied with to give one: its 254th power, since the 255th of each but zero is one. That of zero is zero.
pub(super) fn inverse(a: u8) -> u8 {
    let square = |a| times(a, a);
    // 254 = 128 + 64 + 32 + 16 + 8 + 4 + 2.
    let (mut power, mut product) = (a, 1);
    for _ in 0..7 {
        power = square(power);
        product = times(product, power);
    }
    product
}

/// All bits where the lowest one is set, else none. The compiler is not told which, so that it makes no branch of it.
fn all_or_none(bit: u8) -> u8 {
    0_u8.wrapping_sub(black_box(bit & 1))
}

/// x^8, reduced.
const REDUCTION: u8 = 0x1b;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_fips_197_are_reproduced() {
        // Sections 4.2 and 4.2.1: {57} by {83}, by {13}, and by the powers of x.
        let products = [
            (0x57, 0x83, 0xc1),
            (0x57, 0x13, 0xfe),
            (0x57, 0x02, 0xae),
            (0x57, 0x04, 0x47),
            (0x57, 0x08, 0x8e),
            (0x57, 0x10, 0x07),
        ];
        for (a, b, product) in products {
            assert_eq!((times(a, b), times(b, a)), (product, product));
        }
    }

    #[test]
    fn it_is_a_field() {
        for a in 0..=255_u8 {
            assert_eq!((times(a, 0), times(a, 1)), (0, a));
            assert_eq!(times(a, inverse(a)), u8::from(a != 0), "{a}");
            for b in 0..=255_u8 {
                assert_eq!(times(a, b), times(b, a));
                // Enough for all c: addition is by bits, and the powers of x are a basis.
                for c in (0..8).map(|bit| 1_u8 << bit) {
                    assert_eq!(times(a, b ^ c), times(a, b) ^ times(a, c));
                    assert_eq!(times(times(a, b), c), times(a, times(b, c)));
                }
            }
        }
    }
}
