//! Whether a code counts. Pure: what is known of the factor, its seed, what was typed, and the time.
//!
//! * A one-time password counts within one period of now, and once: "The verifier MUST NOT accept the second attempt of the OTP" (RFC
//!   6238 section 5.2). The period that counted last is part of the record, so a restart forgets nothing.
//! * After [`MISSES_FREE`] wrong ones in a row none is looked at for a minute, then for two, four, up to a day: whoever has the token and
//!   guesses has 17 tries on the first day and one a day then, of a million.
//! * A recovery code has 80 bits, and counts also while others wait: whoever guesses must not lock out who has the paper.

use policy::{Method, Timestamp};
use secrets::Totp;

use super::code::{Typed, typed};
use crate::auth::Factor;

/// Wrong codes that cost nothing: people mistype.
const MISSES_FREE: u32 = 5;
/// The first wait; each further wrong code doubles it.
const WAIT_SECS: i64 = 60;
/// The longest wait.
const WAIT_SECS_MAX: i64 = 86_400;
/// Periods to either side of now that count: clocks of telephones (RFC 6238 section 5.2 recommends one).
const WINDOW: u64 = 1;

/// What comes of a code.
pub(super) enum Judged {
    /// It counts, and this is the record from now on.
    Right(Factor, Method),
    /// It does not, and this is the record from now on.
    Wrong(Factor),
    /// It was not looked at, for so many seconds more.
    Waits(i64),
}

/// Judges what was typed.
///
/// `seed`: none where what was typed is from paper ([`is_from_paper`](super::code::is_from_paper)): a code from paper counts also where the
/// HSM that sealed the seed is lost.
pub(super) fn judge(factor: &Factor, seed: Option<&Totp>, text: &str, now: Timestamp) -> Judged {
    let right = |next: Factor, method| Judged::Right(Factor { misses: 0, missed_at: None, ..next }, method);
    let waits = waits(factor, now);
    match typed(text) {
        Typed::Paper(hash) if factor.codes.contains(&hash) => {
            let codes = factor.codes.iter().filter(|code| **code != hash).cloned().collect();
            right(Factor { codes, ..factor.clone() }, Method::RecoveryCode)
        }
        _ if waits > 0 => Judged::Waits(waits),
        Typed::Digits(digits) => {
            let at = u64::try_from(now.unix()).unwrap_or_default();
            match seed.and_then(|seed| seed.check(&digits, at, WINDOW, factor.last_step)) {
                Some(step) => right(Factor { last_step: Some(step), ..factor.clone() }, Method::Totp),
                None => missed(factor, now),
            }
        }
        Typed::Paper(_) | Typed::Nothing => missed(factor, now),
    }
}

fn missed(factor: &Factor, now: Timestamp) -> Judged {
    Judged::Wrong(Factor { misses: factor.misses.saturating_add(1), missed_at: Some(now), ..factor.clone() })
}

/// How long no one-time password is looked at yet. A miss that a clock wrote which was ahead is waited for by nobody.
pub(super) fn waits(factor: &Factor, now: Timestamp) -> i64 {
    let Some(over) = factor.misses.checked_sub(MISSES_FREE) else { return 0 };
    let wait = WAIT_SECS.checked_shl(over.min(16)).unwrap_or(WAIT_SECS_MAX).min(WAIT_SECS_MAX);
    factor.missed_at.and_then(|at| now.elapsed_since(at)).map_or(0, |gone| (wait - gone).max(0))
}

#[cfg(test)]
mod tests {
    use secrets::Seed;

    use super::super::code::drawn;
    use super::*;
    use crate::auth::FactorState;

    const NOW: Timestamp = Timestamp::from_unix(1_800_000_015);

    fn totp() -> Totp {
        Totp::new(Seed::try_from(&[7_u8; 20][..]).expect("a seed"))
    }

    fn active() -> Factor {
        Factor { state: FactorState::Active, ..Factor::pending("0".repeat(16), NOW) }
    }

    fn code(after: u64) -> String {
        totp().code(NOW.unix() as u64 + after).to_string()
    }

    fn right(judged: Judged) -> Factor {
        match judged {
            Judged::Right(next, _) => next,
            Judged::Wrong(next) => panic!("wrong, the {}th", next.misses),
            Judged::Waits(secs) => panic!("waits {secs}"),
        }
    }

    #[test]
    fn a_code_counts_once_and_none_before_it_after() {
        let next = right(judge(&active(), Some(&totp()), &code(0), NOW));
        assert!(matches!(judge(&next, Some(&totp()), &code(0), NOW), Judged::Wrong(_)), "it was used");
        let before = totp().code(NOW.unix() as u64 - 30).to_string();
        assert!(matches!(judge(&next, Some(&totp()), &before, NOW), Judged::Wrong(_)), "an older one than that");
        let next = right(judge(&next, Some(&totp()), &code(30), NOW));
        assert!(matches!(judge(&next, Some(&totp()), &code(30), NOW.plus_secs(30)), Judged::Wrong(_)));
        assert!(matches!(judge(&active(), Some(&totp()), &code(60), NOW), Judged::Wrong(_)), "two periods ahead");
    }

    #[test]
    fn guesses_wait_ever_longer_and_a_right_one_is_not_looked_at_meanwhile() {
        let (mut factor, mut now, mut tries) = (active(), NOW, 0);
        let end = NOW.plus_secs(86_400);
        while now < end {
            match judge(&factor, Some(&totp()), "x", now) {
                Judged::Wrong(next) => (factor, tries) = (next, tries + 1),
                Judged::Waits(secs) => {
                    let late = totp().code(now.unix() as u64).to_string();
                    assert!(matches!(judge(&factor, Some(&totp()), &late, now), Judged::Waits(_)));
                    now = now.plus_secs(secs);
                }
                Judged::Right(..) => panic!("it is none"),
            }
        }
        assert!(tries <= 17, "{tries} on the first day");
        assert!(waits(&factor, now) <= WAIT_SECS_MAX);
        let code = totp().code(now.plus_secs(WAIT_SECS_MAX).unix() as u64).to_string();
        assert_eq!(right(judge(&factor, Some(&totp()), &code, now.plus_secs(WAIT_SECS_MAX))).misses, 0);
        assert_eq!(waits(&factor, NOW), 0, "a clock was a day ahead, and was put back");
    }

    #[test]
    fn a_code_from_paper_counts_once_and_while_others_wait() {
        let (shown, hashes) = drawn(&policy::World::fixed(NOW, 7));
        let factor = Factor { codes: hashes.into_iter().collect(), misses: 9, missed_at: Some(NOW), ..active() };
        assert!(waits(&factor, NOW) > 0);
        let next = right(judge(&factor, None, &shown[3], NOW));
        assert_eq!((next.codes.len(), next.misses), (factor.codes.len() - 1, 0));
        assert!(matches!(judge(&next, Some(&totp()), &shown[3], NOW), Judged::Wrong(_)));
    }
}
