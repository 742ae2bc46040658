//! One share: what one person holds.

use std::fmt;

use ring::digest::{Context, SHA256};

use super::shamir::Bytes;

/// Which set a share is of: the beginning of the hash of the key it was made for, and of what it was made for.
///
/// It keeps the shares of two ceremonies apart. What makes a share a good one is its commitment, not this.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SetId(pub(super) [u8; SET_BYTES]);

impl fmt::Display for SetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for SetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SetId({self})")
    }
}

/// A share. Its bytes are wiped and are nowhere printed.
pub(super) struct Share {
    pub(super) generation: u16,
    pub(super) threshold: u8,
    pub(super) shares: u8,
    /// From 1: its place on the polynomial.
    pub(super) number: u8,
    pub(super) set: SetId,
    pub(super) bytes: Bytes,
}

impl Share {
    /// What stands of it in the register, so that it can be told from every other without the others.
    ///
    /// A hash is enough. A share is 32 bytes of full entropy, each byte as likely as the next, so nobody finds it from its hash; and it is
    /// hashed whole, so no byte can be tried by itself. That the shares fit each other the hash does not say: whoever makes them could
    /// make them wrong. He makes the key too, and could keep it; so nothing is gained by a commitment that says more (Feldman's,
    /// Pedersen's), and one over a curve would fall to a quantum computer where this does not.
    pub(super) fn commitment(&self) -> Commitment {
        let mut hash = Context::new(&SHA256);
        hash.update(b"chancery recovery share 1\n");
        hash.update(&self.generation.to_be_bytes());
        hash.update(&[self.threshold, self.shares, self.number]);
        hash.update(&self.set.0);
        hash.update(self.bytes.as_slice());
        let mut commitment = [0; COMMITMENT_BYTES];
        commitment.copy_from_slice(hash.finish().as_ref());
        commitment
    }
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Share({} of {}, {:?})", self.number, self.shares, self.set)
    }
}

/// What stands in the register of a share: SHA-256.
pub(super) type Commitment = [u8; COMMITMENT_BYTES];

pub(super) const COMMITMENT_BYTES: usize = 32;
/// Eight characters of a share's text: two sets have the same by accident once in 2^40.
pub(super) const SET_BYTES: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    fn share() -> Share {
        let bytes = Bytes::new([9; 32].into());
        Share { generation: 1, threshold: 3, shares: 5, number: 2, set: SetId([1, 2, 3, 4, 5]), bytes }
    }

    #[test]
    fn a_commitment_is_of_everything_that_a_share_is() {
        let made = share().commitment();
        let others = [
            Share { generation: 2, ..share() },
            Share { threshold: 2, ..share() },
            Share { shares: 6, ..share() },
            Share { number: 3, ..share() },
            Share { set: SetId([1, 2, 3, 4, 6]), ..share() },
            Share { bytes: Bytes::new([8; 32].into()), ..share() },
        ];
        assert!(others.iter().all(|other| other.commitment() != made));
        assert_eq!(share().commitment(), made);
    }

    #[test]
    fn a_share_is_not_printed() {
        assert_eq!(format!("{:?}", share()), "Share(2 of 5, SetId(0102030405))");
    }
}
