//! A value that must not be printed, copied or left in memory.
//!
//! Zeroized on drop, no `Clone`, no `Serialize`, a `Debug` that says nothing, comparison in constant time. Threat: secrets
//! in logs, errors and core files; guessing a secret byte by byte from the time a comparison takes.

use std::fmt;

use ring::hmac;
use serde::{Deserialize, Deserializer};
use zeroize::Zeroize;

/// Holds a secret; [`Secret::expose`] is the one way to it, so that every reader can be found by name.
pub struct Secret<T: Zeroize>(T);

impl<T: Zeroize> Secret<T> {
    /// Takes the value over.
    pub fn new(value: T) -> Secret<T> {
        Secret(value)
    }

    /// The value itself. Do not keep what this returns longer than the call that needs it.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize + AsRef<[u8]>> Secret<T> {
    /// Whether `candidate` is this secret; the time taken depends on lengths alone.
    pub fn matches(&self, candidate: &[u8]) -> bool {
        // ring's own comparison is private; its HMAC verification is public and constant-time. The key need not be secret:
        // equal tags mean equal messages for any key.
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"chancery constant-time comparison");
        let tag = hmac::sign(&key, self.0.as_ref());
        hmac::verify(&key, candidate, tag.as_ref()).is_ok()
    }
}

impl<T: Zeroize + AsRef<[u8]>> PartialEq for Secret<T> {
    fn eq(&self, other: &Secret<T>) -> bool {
        self.matches(other.0.as_ref())
    }
}

impl<T: Zeroize + AsRef<[u8]>> Eq for Secret<T> {}

impl<T: Zeroize> Drop for Secret<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

impl<T: Zeroize> From<T> for Secret<T> {
    fn from(value: T) -> Secret<T> {
        Secret(value)
    }
}

impl<'de, T: Zeroize + Deserialize<'de>> Deserialize<'de> for Secret<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Secret<T>, D::Error> {
        T::deserialize(from).map(Secret)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn a_secret_never_prints_itself() {
        let secret = Secret::new("hunter2".to_owned());
        assert_eq!(format!("{secret:?} {:?}", Some(&secret)), "Secret(redacted) Some(Secret(redacted))");
    }

    #[test]
    fn a_secret_matches_itself_alone() {
        let secret = Secret::new(b"correct horse".to_vec());
        for (candidate, same) in [
            (&b"correct horse"[..], true),
            (b"correct horsf", false),
            (b"correct hors", false),
            (b"correct horse ", false),
            (b"", false),
        ] {
            assert_eq!(secret.matches(candidate), same, "{candidate:?}");
        }
        assert!(Secret::new(String::new()).matches(b""));
    }

    #[test]
    fn a_secret_is_wiped_when_dropped() {
        struct Witness(Arc<AtomicBool>);
        impl Zeroize for Witness {
            fn zeroize(&mut self) {
                self.0.store(true, Ordering::SeqCst);
            }
        }
        let wiped = Arc::new(AtomicBool::new(false));
        drop(Secret::new(Witness(wiped.clone())));
        assert!(wiped.load(Ordering::SeqCst));
    }
}
