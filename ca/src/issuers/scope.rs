//! Which CRLs a generation has: of everything, of each part of its revocations, and deltas of those that its certificates point to.
//!
//! Certificates name them for ever, so it is the generation that has them so, from its beginning on.

use policy::Timestamp;
use store::{DELTA, SHARDS_MAX, Shard};

use crate::error::CaError;

/// How the revocations of a generation are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CrlForm {
    /// Into how many parts they are parted, each with a CRL of its own.
    pub(crate) shards: u16,
    /// Whether there are delta CRLs too (RFC 5280 section 5.2.4).
    pub(crate) deltas: bool,
}

/// Of what a CRL tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scope {
    /// Of which part; none: of everything.
    pub(crate) shard: Option<Shard>,
    /// What came since another, and not all.
    pub(crate) is_delta: bool,
}

/// The complete CRL that a delta rests on, and when that begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Since {
    pub(crate) base: store::Base,
    pub(crate) from: Timestamp,
}

impl CrlForm {
    /// One CRL that tells all.
    pub(crate) const WHOLE: CrlForm = CrlForm { shards: 1, deltas: false };

    /// As somebody wants it; what is not said is as before, or [`CrlForm::WHOLE`].
    pub(crate) fn wanted(shards: Option<u16>, deltas: Option<bool>, before: Option<CrlForm>) -> Result<Self, CaError> {
        let before = before.unwrap_or(CrlForm::WHOLE);
        let form = CrlForm { shards: shards.unwrap_or(before.shards), deltas: deltas.unwrap_or(before.deltas) };
        match (1..=SHARDS_MAX).contains(&form.shards) {
            true => Ok(form),
            false => Err(CaError::bad("shards", format!("1 to {SHARDS_MAX} are possible"))),
        }
    }

    /// Whether there are deltas of the CRLs of a part: of those that certificates point to.
    pub(crate) fn has_deltas_of(self, shard: Option<Shard>) -> bool {
        self.deltas && (shard.is_some() || self.shards == 1)
    }

    /// All CRLs; what a delta rests on before it.
    pub(crate) fn scopes(self) -> impl Iterator<Item = Scope> {
        let parts = move || (0..self.shards).filter_map(move |index| Shard::new(index, self.shards)).map(Some);
        let all = move || std::iter::once(None).chain(parts());
        let complete = all().map(|shard| Scope { shard, is_delta: false });
        let deltas = all().filter(move |shard| self.has_deltas_of(*shard));
        complete.chain(deltas.map(|shard| Scope { shard, is_delta: true }))
    }
}

impl Scope {
    /// The name of its series: that of the issuer's generation, of the part, and that it is deltas.
    pub(crate) fn series(self, label: &str) -> String {
        let complete = self.shard.map_or_else(|| label.to_owned(), |shard| shard.series(label));
        if self.is_delta { complete + DELTA } else { complete }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_certificates_point_to_has_deltas_and_nothing_else() {
        let names = |shards, deltas| {
            CrlForm { shards, deltas }.scopes().map(|scope| scope.series("tls/1")).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(names(1, false), "tls/1");
        assert_eq!(names(1, true), "tls/1 tls/1/delta");
        assert_eq!(names(2, false), "tls/1 tls/1/0 tls/1/1");
        assert_eq!(names(2, true), "tls/1 tls/1/0 tls/1/1 tls/1/0/delta tls/1/1/delta");
    }
}
