//! What the fold knows of the CRLs of one series: how far they tell, their numbers, which of them have their bytes kept.
//!
//! A series has complete CRLs, and deltas of these where its issuer makes them (RFC 5280 section 5.2.4). Both tell of the same
//! revocations, under one sequence of numbers (section 5.2.3), and none ever covers less than another before it, of whichever kind.
//! A delta rests on a complete CRL that is surely signed and whose bytes are kept, and these stay as long as it names it.

use serde::{Deserialize, Serialize};

use crate::nouns::entry::{Base, Covers, DELTA};

/// What the leaf says of a CRL that will be signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CrlIntent {
    /// The series, and of a delta that with [`DELTA`].
    pub issuer: String,
    pub covers: Covers,
    pub number: u64,
}

/// The series whose revocations a CRL tells of, of a delta too.
pub(crate) fn scope(issuer: &str) -> &str {
    issuer.strip_suffix(DELTA).unwrap_or(issuer)
}

/// A CRL's serial is its number; that of a part has the part before it.
pub(crate) fn number(serial: &[u8]) -> u64 {
    serial.last_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

/// A CRL whose bytes the register keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    op: u64,
    number: u64,
    covers: Covers,
    signed: bool,
}

/// The CRLs of one series.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CrlFold {
    /// The most that one of them was intended to cover.
    covered: Option<Covers>,
    /// The newest complete one that is surely signed, and the newest delta.
    complete: Option<u64>,
    delta: Option<u64>,
    /// Those two, newer ones that may yet be signed, and what a delta among them rests on.
    kept: Vec<Kept>,
}

impl CrlFold {
    /// Whether this may be the next one.
    pub fn may_begin(&self, crl: &CrlIntent) -> Result<(), String> {
        let CrlIntent { issuer, covers, number } = crl;
        if let Some(earlier) = self.covered.filter(|earlier| !covers.includes(earlier)) {
            return Err(format!(
                "a CRL of {issuer} up to leaf {} would cover less than the one up to leaf {}",
                covers.leaves(),
                earlier.leaves()
            ));
        }
        let last = self.last_number();
        if *number <= last {
            return Err(format!("the CRL number {number} is not above {last}"));
        }
        match (covers.base(), issuer.ends_with(DELTA)) {
            (None, false) => Ok(()),
            (Some(base), true) if self.bases().any(|(there, _)| there == base) => Ok(()),
            (Some(base), true) => Err(format!(
                "a delta CRL of {issuer} names CRL {} of leaf {}, which is no complete one that is signed and kept",
                base.number(),
                base.operation()
            )),
            (Some(_), false) => Err(format!("a CRL of {issuer} names a base, and is no delta")),
            (None, true) => Err(format!("a delta CRL of {issuer} names no base")),
        }
    }

    /// Begins one that may.
    pub fn begin(&mut self, op: u64, crl: &CrlIntent) {
        let CrlIntent { covers, number, .. } = *crl;
        self.covered = Some(covers);
        self.kept.push(Kept { op, number, covers, signed: false });
    }

    /// Concludes one; answers those whose bytes go: its own if it failed, what it took the place of, what nothing rests on any more.
    pub fn settle(&mut self, op: u64, issuer: &str, issued: bool) -> Vec<u64> {
        let before: Vec<u64> = self.kept();
        if issued {
            let newest = if issuer.ends_with(DELTA) { &mut self.delta } else { &mut self.complete };
            *newest = (*newest).max(Some(op));
            self.kept.iter_mut().filter(|kept| kept.op == op).for_each(|kept| kept.signed = true);
        } else {
            self.kept.retain(|kept| kept.op != op);
        }
        let (complete, delta) = (self.complete.unwrap_or(0), self.delta.unwrap_or(0));
        self.kept.retain(|kept| kept.covers.base().is_none() || kept.op >= delta);
        let rests: Vec<u64> = self.kept.iter().filter_map(|kept| Some(kept.covers.base()?.operation())).collect();
        self.kept.retain(|kept| kept.covers.base().is_some() || kept.op >= complete || rests.contains(&kept.op));
        let stays = self.kept();
        before.into_iter().filter(|op| !stays.contains(op)).collect()
    }

    /// Those whose bytes are kept.
    pub fn kept(&self) -> Vec<u64> {
        self.kept.iter().map(|kept| kept.op).collect()
    }

    /// The greatest number of those that are signed or may yet be.
    pub fn last_number(&self) -> u64 {
        self.kept.iter().map(|kept| kept.number).max().unwrap_or(0)
    }

    /// What a delta may rest on, and what that covers; the oldest first.
    pub fn bases(&self) -> impl Iterator<Item = (Base, Covers)> {
        let complete = self.kept.iter().filter(|kept| kept.signed && kept.covers.base().is_none());
        complete.map(|kept| (Base::new(kept.op, kept.number), kept.covers))
    }

    /// The newest signed one of this kind.
    pub fn newest(&self, issuer: &str) -> Option<u64> {
        if issuer.ends_with(DELTA) { self.delta } else { self.complete }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(leaves: u64) -> Covers {
        Covers::new(leaves, leaves, [0; 32])
    }

    fn complete(leaves: u64, number: u64) -> CrlIntent {
        CrlIntent { issuer: "tls/1".into(), covers: covers(leaves), number }
    }

    fn delta(leaves: u64, number: u64, base: (u64, u64)) -> CrlIntent {
        let covers = covers(leaves).since(Base::new(base.0, base.1));
        CrlIntent { issuer: "tls/1/delta".into(), covers, number }
    }

    enum Step {
        Begins(CrlIntent),
        Ends(u64, &'static str, bool),
    }
    use Step::*;

    #[test]
    fn the_newest_signed_crl_is_kept_and_what_may_yet_be_signed() {
        let (c, d) = ("tls/1", "tls/1/delta");
        let rows: [(u64, Step, &[u64]); 18] = [
            (0, Begins(complete(0, 10)), &[0]),
            (1, Begins(complete(0, 11)), &[0, 1]),
            (2, Ends(0, c, true), &[0, 1]),
            (3, Begins(complete(0, 12)), &[0, 1, 3]),
            // Two nodes at once: the newer one is signed first, and what comes late is not kept.
            (4, Ends(3, c, true), &[3]),
            (5, Ends(1, c, true), &[3]),
            (6, Begins(complete(0, 13)), &[3, 6]),
            (7, Ends(6, c, false), &[3]),
            // What a delta rests on stays as long as it is named, and no longer.
            (8, Begins(delta(1, 14, (3, 12))), &[3, 8]),
            (9, Begins(complete(1, 15)), &[3, 8, 9]),
            (10, Ends(9, c, true), &[3, 8, 9]),
            (11, Ends(8, d, true), &[3, 8, 9]),
            (12, Begins(delta(2, 16, (3, 12))), &[3, 8, 9, 12]),
            (13, Begins(delta(2, 17, (9, 15))), &[3, 8, 9, 12, 13]),
            (14, Ends(12, d, false), &[3, 8, 9, 13]),
            (15, Ends(13, d, true), &[9, 13]),
            (16, Begins(complete(2, 18)), &[9, 13, 16]),
            (17, Ends(16, c, true), &[9, 13, 16]),
        ];
        let mut fold = CrlFold::default();
        for (at, step, kept) in rows {
            let before = fold.kept();
            match step {
                Begins(crl) => {
                    fold.may_begin(&crl).unwrap();
                    fold.begin(at, &crl);
                }
                Ends(op, issuer, issued) => {
                    let gone = fold.settle(op, issuer, issued);
                    let missing: Vec<u64> = before.into_iter().filter(|op| !fold.kept().contains(op)).collect();
                    assert_eq!(gone, missing, "{at}");
                }
            }
            assert_eq!(fold.kept(), kept, "{at}");
        }
        assert_eq!((fold.newest(c), fold.newest(d)), (Some(16), Some(13)));
    }

    #[test]
    fn no_crl_of_either_kind_covers_less_or_goes_back_and_a_delta_rests_on_what_is_there() {
        let mut fold = CrlFold::default();
        fold.begin(0, &complete(1, 10));
        assert!(fold.may_begin(&delta(1, 11, (0, 10))).is_err(), "its base may never be signed");
        fold.settle(0, "tls/1", true);
        fold.begin(1, &delta(5, 20, (0, 10)));
        let short = |crl: CrlIntent| CrlIntent { issuer: "tls/1".into(), ..crl };
        let long = |crl: CrlIntent| CrlIntent { issuer: "tls/1/delta".into(), ..crl };
        for (says, crl) in [
            ("would cover less", complete(4, 21)),
            ("would cover less", delta(4, 21, (0, 10))),
            ("number 20 is not above 20", complete(5, 20)),
            ("number 15 is not above 20", delta(5, 15, (0, 10))),
            ("no complete one", delta(5, 21, (0, 9))),
            ("no complete one", delta(5, 21, (1, 20))),
            ("no complete one", delta(5, 21, (7, 10))),
            ("names a base, and is no delta", short(delta(5, 21, (0, 10)))),
            ("names no base", long(complete(5, 21))),
        ] {
            let refused = fold.may_begin(&crl).unwrap_err();
            assert!(refused.contains(says), "{says}: {refused}");
        }
        fold.may_begin(&delta(5, 21, (0, 10))).unwrap();
        fold.may_begin(&complete(5, 21)).unwrap();
    }
}
