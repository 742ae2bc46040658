//! Where random bytes come from, and how a choice is made of them without favour.

use ring::rand::{SecureRandom, SystemRandom};

/// A source of random bytes. The system's is [`SystemRandom`]; a test has its own, and hands it in as everybody does.
pub trait Random {
    /// Fills all of it.
    ///
    /// # Errors
    /// [`NoRandom`]: nothing is made of bytes that were not drawn.
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), NoRandom>;
}

/// The system has no random bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the system gives no random bytes: see whether /dev/urandom and getrandom(2) are there for this process, then try again"
)]
pub struct NoRandom;

impl Random for SystemRandom {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), NoRandom> {
        SecureRandom::fill(self, bytes).map_err(|_| NoRandom)
    }
}

/// One of `count` numbers from 0 on, each as likely as another: a byte that falls above the greatest multiple of `count` is drawn again,
/// where a remainder would favour the low ones. `count` is 1 to 256; of none there is none.
pub(super) fn one_of(count: usize, random: &mut dyn Random) -> Result<usize, NoRandom> {
    if count == 0 || count > BYTE_VALUES {
        return Err(NoRandom);
    }
    let fair = BYTE_VALUES - BYTE_VALUES % count;
    for _ in 0..DRAWS_MAX {
        let mut byte = zeroize::Zeroizing::new([0]);
        random.fill(byte.as_mut_slice())?;
        let drawn = usize::from(byte[0]);
        if drawn < fair {
            return Ok(drawn % count);
        }
    }
    Err(NoRandom)
}

const BYTE_VALUES: usize = 256;
/// A fair byte comes at least every second time: that none came in so many means that the source is none.
const DRAWS_MAX: usize = 128;

#[cfg(test)]
pub(super) mod testing {
    use ring::digest::{SHA256, digest};

    use super::*;

    /// Bytes that are the same for the same seed: a counter under SHA-256.
    pub struct Seeded {
        seed: u64,
        counter: u64,
        left: Vec<u8>,
    }

    impl Seeded {
        pub fn new(seed: u64) -> Self {
            Self { seed, counter: 0, left: Vec::new() }
        }
    }

    impl Random for Seeded {
        fn fill(&mut self, bytes: &mut [u8]) -> Result<(), NoRandom> {
            for byte in bytes {
                if self.left.is_empty() {
                    let block = [self.seed.to_be_bytes(), self.counter.to_be_bytes()].concat();
                    self.left = digest(&SHA256, &block).as_ref().to_vec();
                    self.counter += 1;
                }
                *byte = self.left.pop().ok_or(NoRandom)?;
            }
            Ok(())
        }
    }

    /// A source that gives one byte for ever, or nothing.
    pub struct Stuck(pub Option<u8>);

    impl Random for Stuck {
        fn fill(&mut self, bytes: &mut [u8]) -> Result<(), NoRandom> {
            bytes.fill(self.0.ok_or(NoRandom)?);
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{Seeded, Stuck};
    use super::*;

    /// Each byte once, in order: what comes of them is counted exactly.
    struct Each(u8);

    impl Random for Each {
        fn fill(&mut self, bytes: &mut [u8]) -> Result<(), NoRandom> {
            for byte in bytes {
                *byte = self.0;
                self.0 = self.0.wrapping_add(1);
            }
            Ok(())
        }
    }

    #[test]
    fn none_of_the_choices_is_favoured() {
        for count in [1, 2, 10, 62, 92, 255, 256] {
            let mut source = Each(0);
            let mut seen = vec![0; count];
            // Five times through all bytes: what falls above is passed over, and each of the rest counts once a time.
            let rounds = 5 * (256 / count * count);
            (0..rounds).for_each(|_| seen[one_of(count, &mut source).unwrap()] += 1);
            assert!(seen.iter().all(|&times| times == 5 * (256 / count)), "{count}: {seen:?}");
        }
    }

    #[test]
    fn a_source_that_stands_still_is_none() {
        assert_eq!(one_of(62, &mut Stuck(Some(255))), Err(NoRandom));
        assert_eq!(one_of(62, &mut Stuck(None)), Err(NoRandom));
        assert_eq!(one_of(0, &mut Seeded::new(1)), Err(NoRandom));
        assert_eq!(one_of(257, &mut Seeded::new(1)), Err(NoRandom));
    }
}
