//! When ACME servers want certificates renewed (RFC 9773), for as long as they said that they need not be asked again.

use std::collections::HashMap;
use std::sync::Mutex;

use policy::Timestamp;

/// A window, and when to ask again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    pub from: Timestamp,
    pub until: Timestamp,
    pub ask_again: Timestamp,
}

impl Window {
    /// Whether this certificate's moment in it has come. RFC 9773 section 4.2: "Select a uniform random time within the suggested
    /// window." It follows from the certificate, so that it is the same after a restart.
    pub fn has_come(&self, fingerprint: &[u8; 32], now: Timestamp) -> bool {
        let [a, b, c, d, ..] = *fingerprint;
        let share = i64::from(u32::from_be_bytes([a, b, c, d]));
        let length = self.until.since(self.from).max(0);
        self.from.plus_secs(length.saturating_mul(share) >> 32) <= now
    }
}

/// So long a server that said nothing else need not be asked again, at most, in seconds.
pub(crate) const ASK_SECS_MAX: i64 = 86_400;

/// Those that were heard of, by fingerprint.
#[derive(Default)]
pub(crate) struct Windows(Mutex<HashMap<[u8; 32], Window>>);

impl Windows {
    /// What was heard, while it need not be asked again.
    pub fn get(&self, fingerprint: &[u8; 32], now: Timestamp) -> Option<Window> {
        let windows = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        windows.get(fingerprint).copied().filter(|window| now.is_held(window.ask_again, ASK_SECS_MAX))
    }

    /// Keeps it; what was to be asked again is forgotten, so that no more is kept than certificates are.
    pub fn put(&self, fingerprint: [u8; 32], window: Window, now: Timestamp) {
        let mut windows = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        windows.retain(|_, window| now.is_held(window.ask_again, ASK_SECS_MAX));
        windows.insert(fingerprint, window);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_certificate_has_its_moment_in_the_window_and_one_that_is_over_has_come_for_all() {
        let at = Timestamp::from_unix;
        let window = Window { from: at(1_000), until: at(2_000), ask_again: at(5_000) };
        let moment = |first: u8| {
            let mut fingerprint = [0; 32];
            fingerprint[0] = first;
            (900..2_100).find(|now| window.has_come(&fingerprint, at(*now))).unwrap()
        };
        assert_eq!((moment(0), moment(128)), (1_000, 1_500));
        assert!((1_990..2_000).contains(&moment(255)));
    }

    #[test]
    fn a_server_is_asked_again_when_it_said() {
        let at = Timestamp::from_unix;
        let (windows, window) = (Windows::default(), Window { from: at(1), until: at(2), ask_again: at(100) });
        windows.put([1; 32], window, at(0));
        assert_eq!(windows.get(&[1; 32], at(99)), Some(window));
        assert_eq!(windows.get(&[1; 32], at(100)), None);
        assert_eq!(windows.get(&[1; 32], at(99 - 2 * ASK_SECS_MAX)), None, "a clock was ahead, and was put back");
        windows.put([2; 32], Window { ask_again: at(300), ..window }, at(200));
        assert_eq!(windows.0.lock().unwrap().len(), 1);
    }
}
