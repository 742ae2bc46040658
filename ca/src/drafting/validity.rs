//! From when to when a credential holds.

use policy::{Timestamp, Validity};

use crate::error::DraftError;

/// From when to when something of `secs` seconds holds: it begins a little in the past, for relying parties whose clock is
/// behind, but never before its issuer and never by more than [`BACKDATE_SECS_MAX`]; it never ends after its issuer.
pub(crate) fn validity(now: Timestamp, secs: i64, issuer: Option<Validity>) -> Result<Validity, DraftError> {
    backdated(now, secs, BACKDATE_SECS_MAX, issuer)
}

/// The same, beginning by so much in the past at most, and never by more than a twentieth of its life.
pub(crate) fn backdated(
    now: Timestamp,
    secs: i64,
    backdate_secs: i64,
    issuer: Option<Validity>,
) -> Result<Validity, DraftError> {
    let backdate = backdate_secs.min(secs / 20);
    let wanted = Validity::starting(now.plus_secs(-backdate), secs);
    let Some(issuer) = issuer else { return Ok(wanted) };
    let not_before = wanted.not_before().max(issuer.not_before());
    let not_after = Validity::starting(not_before, secs).not_after().min(issuer.not_after());
    Validity::new(not_before, not_after).map_err(|_| DraftError::new("validity", "its issuer has expired"))
}

/// From when to when something holds whose last second is asked for: it ends then and at no other time. It begins as early as it
/// would otherwise, unless it would then be longer than `secs_max`. Who asks for the longest counts from a clock of his own: an end
/// up to [`SKEW_SECS`] beyond it is granted, and what ends then begins now.
pub(crate) fn until(
    now: Timestamp,
    end: Timestamp,
    (secs_max, backdate_secs): (i64, i64),
    issuer: Validity,
) -> Result<Validity, DraftError> {
    let refused = |why: String| DraftError::new("validity", why);
    if end < now {
        return Err(refused(format!("it would end at {end}, which has passed")));
    }
    if end > issuer.not_after() {
        return Err(refused(format!("it would end at {end}, after its issuer, which ends at {}", issuer.not_after())));
    }
    let secs = end.since(now).saturating_add(1);
    if secs > secs_max.saturating_add(SKEW_SECS) || issuer.not_before() > now {
        return Err(refused(format!("it would end at {end}; {secs_max} s is the longest lifetime")));
    }
    let earliest = end.plus_secs(1 - secs_max).max(issuer.not_before());
    let not_before = now.plus_secs(-backdate_secs.min(secs / 20)).max(earliest).min(now);
    Validity::new(not_before, end).map_err(|why| refused(why.to_string()))
}

/// A minute: the skew between hosts that keep time at all.
pub(crate) const SKEW_SECS: i64 = 60;
/// How far in the past something may begin, for those whose clock is behind.
pub(crate) const BACKDATE_SECS_MAX: i64 = SKEW_SECS;

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
    fn who_backdates_more_is_held_to_a_twentieth_of_the_life() {
        for (secs, backdate, early) in [(86_400, 3_600, 3_600), (3_600, 3_600, 180), (86_400, 0, 0)] {
            let validity = backdated(NOW, secs, backdate, None).unwrap();
            assert_eq!((validity.secs(), NOW.since(validity.not_before())), (secs, early));
        }
    }

    #[test]
    fn an_end_that_is_asked_for_is_the_end_or_is_refused() {
        let issuer = Validity::new(NOW.plus_secs(-10_000), NOW.plus_secs(10_000)).unwrap();
        for (secs, early) in
            [(0, 0), (119, 6), (3_599, 60), (3_600, 59), (3_659, 0), (3_660, 0), (3_719, 0), (3_720, 0)]
        {
            let Ok(validity) = until(NOW, NOW.plus_secs(secs), (3_660, 60), issuer) else {
                assert_eq!(secs, 3_720, "longer than the longest by the skew of clocks and one second");
                continue;
            };
            assert_eq!(
                (validity.not_after(), NOW.since(validity.not_before())),
                (NOW.plus_secs(secs), early),
                "{secs}"
            );
        }
        assert!(until(NOW, NOW.plus_secs(-1), (3_660, 60), issuer).is_err(), "in the past");
        assert!(until(NOW, NOW.plus_secs(10_001), (20_000, 60), issuer).is_err(), "after its issuer");
        let young = Validity::new(NOW.plus_secs(-10), NOW.plus_secs(10_000)).unwrap();
        assert_eq!(until(NOW, NOW.plus_secs(5_000), (9_000, 60), young).unwrap().not_before(), young.not_before());
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
