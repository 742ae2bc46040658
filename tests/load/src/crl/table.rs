//! The table of a run: ours beside the signature and the disk alone.

use std::fmt;

use store::testing::median;

use super::{Seen, Wish};

/// A CRL may take so many times what its signature and its bytes on the disk take.
const TIMES_MAX: f64 = 2.0;

/// A run's result, as markdown.
#[derive(Clone, Debug)]
pub struct Table {
    certificates: u64,
    shards: u16,
    seen: Seen,
}

impl Table {
    pub(super) fn new(wish: &Wish, seen: Seen) -> Table {
        Table { certificates: wish.certificates, shards: wish.shards, seen }
    }
}

fn names(series: &[String]) -> String {
    if series.is_empty() { "none".to_owned() } else { series.join(", ") }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Seen {
            entries,
            bytes,
            first,
            ours,
            alone,
            grew_kib,
            created,
            moved_by_creation,
            moved_by_revocation,
            series,
        } = &self.seen;
        let ratios: Vec<f64> = ours.iter().zip(alone).map(|(ours, alone)| ours / alone).collect();
        let (ours, alone, ratio) = (median(ours.clone()), median(alone.clone()), median(ratios.clone()));
        let holds = if ratio <= TIMES_MAX { "holds" } else { "**does not hold**" };
        writeln!(
            f,
            "| {} certificates; a CRL of {entries} entries, {bytes} bytes | ours | signed and written alone | ratio | at most | |",
            self.certificates
        )?;
        writeln!(f, "|---|---|---|---|---|---|")?;
        writeln!(
            f,
            "| made after one more revocation, median of {} in turns | {ours:.1} ms | {alone:.1} ms | {ratio:.2} | {TIMES_MAX} | {holds} |",
            ratios.len()
        )?;
        writeln!(
            f,
            "| the first after a start: every entry encoded, and read by two parsers | {first:.1} ms | {alone:.1} ms | {:.2} | | |",
            first / alone
        )?;
        writeln!(f)?;
        writeln!(f, "The most that was resident grew by {:.1} MiB over all of them.", *grew_kib as f64 / 1024.0)?;
        writeln!(
            f,
            "Another issuer was made in {created:.1} ms; CRLs of others that changed: {}.",
            names(moved_by_creation)
        )?;
        write!(
            f,
            "One certificate revoked, of an issuer with {} parts: of {series} CRLs changed {}.",
            self.shards,
            names(moved_by_revocation)
        )
    }
}
