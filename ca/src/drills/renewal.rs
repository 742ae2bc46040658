//! When one certificate is to be renewed: by its life, or at once, or when a drill has it come.

use policy::Timestamp;

use super::drill::Drill;
use super::renewing::Renewing;

/// Why a certificate is to be replaced before its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// It is revoked.
    Revoked,
    /// Its CA is revoked or compromised.
    IssuerEnded,
    /// An open drill, by its id, marks it.
    Drill(String),
}

impl Why {
    /// The stable word.
    pub fn as_str(&self) -> &'static str {
        match self {
            Why::Revoked => "revoked",
            Why::IssuerEnded => "issuer-ended",
            Why::Drill(_) => "drill",
        }
    }
}

/// When a certificate is to be renewed: a window, as RFC 9773 suggests it to clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renewal {
    /// From when on.
    pub from: Timestamp,
    /// The window's end, after its beginning.
    pub until: Timestamp,
    /// Why before its time; none where its life says when.
    pub why: Option<Why>,
    /// Where people read about that.
    pub url: Option<String>,
}

impl Renewal {
    /// Of a certificate that must not wait: a window that is over.
    pub(crate) fn at_once(now: Timestamp, why: Why) -> Renewal {
        let until = now.plus_secs(-1);
        Renewal { from: until.plus_secs(-PAST_SECS), until, why: Some(why), url: None }
    }

    /// By its life, or by the drill that has it come first.
    pub(crate) fn of(renewing: &Renewing, open: &[Drill]) -> Renewal {
        let secs = renewing.validity.secs();
        let due = renewing.validity.renew_at(&renewing.serial);
        let own = Renewal { from: due, until: due.plus_secs((secs / LIFE_PARTS).max(1)), why: None, url: None };
        let marked = open.iter().filter(|drill| drill.marks(renewing)).map(|drill| {
            let why = Why::Drill(drill.id.clone());
            // A window of its own second would have a client that asks within that second wait for its next round.
            if drill.window_secs == 0 {
                return Renewal { url: drill.url.clone(), ..Renewal::at_once(drill.begun, why) };
            }
            let from = drill.moment(&renewing.serial);
            let until = from.plus_secs((drill.window_secs / WINDOW_PARTS).max(1));
            Renewal { from, until, why: Some(why), url: drill.url.clone() }
        });
        marked.chain([own.clone()]).min_by_key(|renewal| renewal.from).unwrap_or(own)
    }
}

/// How long ago a window began that says: at once. Any will do that is over.
const PAST_SECS: i64 = 3_600;
/// A window is a twentieth of a life, as much as falling due is moved by.
const LIFE_PARTS: i64 = 20;
/// Each certificate of a drill has its own part of the drill's window.
const WINDOW_PARTS: i64 = 20;

#[cfg(test)]
mod tests {
    use policy::{Owner, Validity};

    use super::*;

    const BEGUN: Timestamp = Timestamp::from_unix(1_800_000_000);

    fn renewing(operation: u64) -> Renewing {
        Renewing {
            operation,
            serial: operation.to_be_bytes().to_vec(),
            issuer: "tls/1".to_owned(),
            profile: "tls-server".to_owned(),
            owner: Some(Owner::parse("web").unwrap()),
            validity: Validity::starting(BEGUN.plus_secs(-86_400), 90 * 86_400),
        }
    }

    fn drill() -> Drill {
        Drill {
            id: "d1".to_owned(),
            part: super::super::drill::Part { issuer: "tls/1".to_owned(), profile: None, owner: None },
            begun: BEGUN,
            window_secs: 6 * 3_600,
            below: 10_000,
            reason: "a drill".to_owned(),
            url: None,
            ended: None,
            held: Default::default(),
        }
    }

    #[test]
    fn a_drill_spreads_what_it_marks_over_its_window_and_marks_nothing_else() {
        let drills = [drill()];
        let mut hours = [0u32; 6];
        for operation in 0..6_000 {
            let renewal = Renewal::of(&renewing(operation), &drills);
            assert_eq!(renewal.why, Some(Why::Drill("d1".to_owned())));
            assert!(renewal.from < renewal.until);
            hours[usize::try_from(renewal.from.since(BEGUN) / 3_600).unwrap()] += 1;
        }
        assert!(hours.iter().all(|count| (850..1_150).contains(count)), "{hours:?}");
        for other in [
            renewing(10_000),
            Renewing { issuer: "tls/2".to_owned(), ..renewing(1) },
            Renewing { issuer: "tlsx/1".to_owned(), ..renewing(1) },
        ] {
            assert_eq!(Renewal::of(&other, &drills).why, None, "{other:?}");
        }
        let of = |part| [Drill { part, ..drill() }];
        let part = drill().part;
        let all = super::super::drill::Part { issuer: "tls".to_owned(), ..part.clone() };
        assert!(Renewal::of(&renewing(1), &of(all)).why.is_some());
        let profile = super::super::drill::Part { profile: Some("tls-client".to_owned()), ..part.clone() };
        assert_eq!(Renewal::of(&renewing(1), &of(profile)).why, None);
        let owner = super::super::drill::Part { owner: Some(Owner::parse("db").unwrap()), ..part };
        assert_eq!(Renewal::of(&renewing(1), &of(owner)).why, None);
    }

    #[test]
    fn a_drill_without_a_window_has_all_of_it_come_at_once() {
        let at_once = Drill { window_secs: 0, ..drill() };
        for operation in 0..100 {
            let renewal = Renewal::of(&renewing(operation), std::slice::from_ref(&at_once));
            assert_eq!(renewal.why, Some(Why::Drill("d1".to_owned())));
            assert!(renewal.from < renewal.until && renewal.until < BEGUN, "a client that asks at once is late");
        }
    }

    #[test]
    fn a_drill_has_nobody_come_later_than_his_certificates_life_does() {
        let old = Renewing { validity: Validity::starting(BEGUN.plus_secs(-80 * 86_400), 90 * 86_400), ..renewing(1) };
        let renewal = Renewal::of(&old, &[drill()]);
        assert_eq!((renewal.from, renewal.why), (old.validity.renew_at(&old.serial), None));
        let once = Renewal::at_once(BEGUN, Why::Revoked);
        assert!(once.from < once.until && once.until < BEGUN);
    }
}
