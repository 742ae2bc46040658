//! The right to take a key away.

use super::intent::Mint;
use super::key::Key;
use super::sealing::SealingKey;

/// The right to destroy one key. [`crate::Pool::destroy`] consumes it; only a [`Mint`] makes one, whose holder says first, and durably,
/// that the key is done with:
///
/// ```compile_fail,E0451
/// fn forge(key: hsm::Key) -> hsm::Farewell {
///     hsm::Farewell { home: 1, key: todo!() }
/// }
/// ```
/// ```compile_fail,E0308
/// async fn any(pool: hsm::Pool, key: hsm::Key) {
///     let _ = pool.destroy(key).await;
/// }
/// ```
#[derive(Debug)]
pub struct Farewell {
    home: u64,
    key: Gone,
}

/// What is to be destroyed.
#[derive(Debug)]
pub(crate) enum Gone {
    Signing(Key),
    Sealing(SealingKey),
}

impl Mint {
    /// The right to destroy a key. Call it after the record that says so is on disk.
    pub fn farewell(&self, key: &Key) -> Farewell {
        Farewell { home: self.home(), key: Gone::Signing(key.clone()) }
    }

    /// The same of a key that sealed, once nothing stands under it any more.
    pub fn farewell_to_seal(&self, key: &SealingKey) -> Farewell {
        Farewell { home: self.home(), key: Gone::Sealing(key.clone()) }
    }
}

impl Farewell {
    /// Which key.
    pub(crate) fn key(&self) -> &Gone {
        &self.key
    }

    pub(crate) fn home(&self) -> u64 {
        self.home
    }
}
