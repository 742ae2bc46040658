//! When a row is of: its caller's clock, or another time where the writer has to give one.

use std::borrow::Cow;

use policy::Timestamp;

use crate::forms::leaf::Tail;

/// A row whose time only the holder of the head can say for certain.
pub(crate) trait Timed {
    /// The time it was made with.
    fn at(&self) -> Timestamp;
    /// Its leaf with that time.
    fn tail(&self) -> &Tail;
    /// Its digest with another.
    fn digest_at(&self, at: Timestamp) -> [u8; 32];
    /// Its leaf with the time it is given.
    fn tail_at(&self, at: Timestamp) -> Cow<'_, Tail> {
        if at == self.at() {
            return Cow::Borrowed(self.tail());
        }
        Cow::Owned(self.tail().restamped(at, Some(&self.digest_at(at))))
    }
}

macro_rules! timed {
    ($row:ty, $digest:expr) => {
        impl Timed for $row {
            fn at(&self) -> Timestamp {
                self.at
            }
            fn tail(&self) -> &Tail {
                &self.tail
            }
            fn digest_at(&self, at: Timestamp) -> [u8; 32] {
                $digest(self, at)
            }
        }
    };
}

pub(super) use timed;
