//! From when to when a credential holds.

use policy::{Timestamp, Validity};

use crate::error::DraftError;

/// From when to when something of `secs` seconds holds: it begins a little in the past, for relying parties whose clock is
/// behind, but never before its issuer and never by more than [`BACKDATE_SECS_MAX`]; it never ends after its issuer.
pub(crate) fn validity(now: Timestamp, secs: i64, issuer: Option<Validity>) -> Result<Validity, DraftError> {
    let backdate = BACKDATE_SECS_MAX.min(secs / 20);
    let wanted = Validity::starting(now.plus_secs(-backdate), secs);
    let Some(issuer) = issuer else { return Ok(wanted) };
    let not_before = wanted.not_before().max(issuer.not_before());
    let not_after = Validity::starting(not_before, secs).not_after().min(issuer.not_after());
    Validity::new(not_before, not_after).map_err(|_| DraftError::new("validity", "its issuer has expired"))
}

/// A minute: the skew between hosts that keep time at all.
pub(crate) const BACKDATE_SECS_MAX: i64 = 60;

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

    #[test]
    fn a_lifetime_is_exact_and_begins_a_little_early() {
        for (secs, early) in [(120, 6), (1200, 60), (86_400, 60), (1, 0)] {
            let validity = validity(NOW, secs, None).unwrap();
            assert_eq!((validity.secs(), NOW.since(validity.not_before())), (secs, early));
        }
    }

    #[test]
    fn nothing_reaches_beyond_its_issuer() {
        let issuer = Validity::new(NOW.plus_secs(-10), NOW.plus_secs(1000)).unwrap();
        let inside = validity(NOW, 5000, Some(issuer)).unwrap();
        assert_eq!(inside, issuer);
        let whole = validity(NOW, 500, Some(issuer)).unwrap();
        assert_eq!((whole.not_before(), whole.secs()), (issuer.not_before(), 500));
        let gone = Validity::new(NOW.plus_secs(-100), NOW.plus_secs(-61)).unwrap();
        assert!(validity(NOW, 5000, Some(gone)).is_err());
    }
}
