//! CRLs: what one says it covers is what the log holds below it, and its entries are those revocations.
//!
//! Invariant 13, recomputed by someone who was not there. The chained hash is that of `truth::fold`; the rule of what is
//! listed is that of `ca`'s CRLs: X.509 alone, until twice the life of a CRL after the certificate's own end (RFC 5280
//! section 3.3 wants it on one CRL beyond that). An entry that is kept for longer harms nobody and is no finding.

use std::collections::{BTreeMap, HashMap};

use policy::Timestamp;

use super::der::{self, Entry, stripped};
use super::line::Line;
use crate::forms::leaf::LeafCovers;
use crate::forms::object;
use crate::log::Hash;
use crate::nouns::entry::Kind;
use crate::truth::{Fold, Revoked, chained};
use crate::verify::report::Report;

/// Twice the seven days that a CRL is good for: so long after its end a revoked certificate stays listed.
const LISTED_SECS: i64 = 2 * 7 * 86_400;

/// Each issuer's revocations: the leaf, and the chained hash up to it.
#[derive(Default)]
pub(super) struct Crls(BTreeMap<String, Vec<(u64, Hash)>>);

impl Crls {
    /// One more revocation of an issuer.
    pub fn revoked(&mut self, issuer: &str, leaf: u64, hash: &Hash) {
        let chain = self.0.entry(issuer.to_owned()).or_default();
        let before = chain.last().map_or([0; 32], |(_, digest)| *digest);
        chain.push((leaf, chained(&before, hash)));
    }

    /// Judges the intent of a CRL; any other intent must not say that it covers something.
    pub fn judge(&self, line: &Line<'_>, fold: &Fold, report: &mut Report) {
        let is_crl = line.leaf.kind == Kind::Crl.as_str();
        let (covers, issuer) = match (&line.leaf.covers, &line.leaf.issuer) {
            (Some(covers), Some(issuer)) if is_crl => (covers, issuer),
            (None, _) if !is_crl => return,
            (_, _) if is_crl => return report.find("crl", line.place(), "a CRL that does not say what it covers"),
            (_, _) => return report.find("crl", line.place(), "covers revocations, and is no CRL"),
        };
        if let Err(why) = self.covers(line.index, issuer, covers) {
            return report.find("crl", line.place(), why);
        }
        let Some(tbs) = line.object else { return };
        let known = Known { fold, issuer, leaves: covers.leaves, now: line.leaf.time.parse().ok() };
        if let Err(why) = known.lists(tbs) {
            report.find("crl", object::place(line.index), why);
        }
    }

    fn covers(&self, index: u64, issuer: &str, covers: &LeafCovers) -> Result<(), String> {
        if covers.leaves > index {
            return Err(format!("covers {} leaves, of which there were only {index}", covers.leaves));
        }
        let chain = self.0.get(issuer).map_or(&[][..], Vec::as_slice);
        let there = chain.partition_point(|(leaf, _)| *leaf < covers.leaves);
        if covers.revocations != there as u64 {
            let says = covers.revocations;
            return Err(format!(
                "says {says} revocations of {issuer}, there were {there} below leaf {}",
                covers.leaves
            ));
        }
        let digest = there.checked_sub(1).and_then(|last| chain.get(last)).map_or([0; 32], |(_, digest)| *digest);
        if covers.digest != hex::encode(digest) {
            return Err(format!("its digest is not that of the {there} revocations of {issuer} that it covers"));
        }
        Ok(())
    }
}

/// What a CRL is held against.
struct Known<'a> {
    fold: &'a Fold,
    issuer: &'a str,
    leaves: u64,
    now: Option<Timestamp>,
}

impl Known<'_> {
    /// Whether these bytes list what was revoked, and nothing else.
    fn lists(&self, tbs: &[u8]) -> Result<(), String> {
        let covered = self.fold.revoked_of(self.issuer).filter(|revoked| revoked.leaf < self.leaves);
        let mut expected: HashMap<&[u8], &Revoked> = covered
            .filter(|revoked| is_x509(revoked.kind))
            .map(|revoked| (stripped(&revoked.serial), revoked))
            .collect();
        let unreadable = |why: &str| format!("is no TBSCertList: {why}");
        for entry in der::entries(tbs).map_err(unreadable)? {
            let Entry { serial, at, reason } = entry.map_err(unreadable)?;
            let shown = hex::encode(serial);
            let Some(revoked) = expected.remove(serial) else {
                return Err(format!("lists {shown}, which was not revoked below leaf {} (or twice)", self.leaves));
            };
            if at != revoked.revoked_at || reason != revoked.reason_at(self.leaves) {
                return Err(format!("lists {shown} with another date or reason than its revocation has"));
            }
        }
        match expected.into_values().filter(|revoked| self.must_list(revoked)).min_by_key(|revoked| revoked.leaf) {
            Some(missing) => {
                Err(format!("does not list {}, revoked by leaf {}", hex::encode(&missing.serial), missing.leaf))
            }
            None => Ok(()),
        }
    }

    fn must_list(&self, revoked: &Revoked) -> bool {
        let long_over = |end: Timestamp| self.now.is_some_and(|now| now.since(end) > LISTED_SECS);
        !revoked.not_after.is_some_and(long_over)
    }
}

fn is_x509(kind: Kind) -> bool {
    match kind {
        Kind::Certificate | Kind::CaCertificate => true,
        Kind::SshUser | Kind::SshHost | Kind::CodeSignature | Kind::Crl | Kind::CaRequest | Kind::OcspBatch => false,
    }
}
