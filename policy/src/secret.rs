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

/// Whether others may read a file that holds a secret: by its owner's number, its mode, and the number of whoever reads it. What root gave to
/// a group that may read it and no more, and we, who are not root, read by that, is not: so are the files of a Secret in a pod without root
/// (`fsGroup`). Who else is in that group is root's decision, as the file is.
#[must_use]
pub fn is_exposed(owner: u32, mode: u32, own: u32) -> bool {
    let is_given_to_our_group = owner == 0 && own != 0 && mode & 0o037 == 0;
    mode & 0o077 != 0 && !is_given_to_our_group
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

    #[test]
    fn a_file_that_root_gave_to_our_group_alone_is_taken_by_whoever_is_not_root() {
        for (owner, mode, own, exposed) in [
            (1000, 0o600, 1000, false),
            (1000, 0o400, 1000, false),
            (0, 0o440, 1000, false),
            (0, 0o640, 1000, false),
            (0, 0o440, 0, true),
            (1000, 0o440, 1000, true),
            (1001, 0o440, 1000, true),
            (0, 0o460, 1000, true),
            (0, 0o450, 1000, true),
            (0, 0o444, 1000, true),
        ] {
            assert_eq!(is_exposed(owner, mode, own), exposed, "{owner} {mode:o} {own}");
        }
    }
}
