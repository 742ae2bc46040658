//! CRLs: what one says it covers is what the log holds below it, and its entries are those revocations.
//!
//! A delta CRL is held to the difference: of each certificate of which something was said after its base, the last word, and
//! nothing else (RFC 5280 section 5.2.4).
//!
//! Invariant 13, recomputed by someone who was not there. The chained hash is that of `truth::fold`; the rule of what is
//! listed is that of `ca`'s CRLs: X.509 alone, until twice the life of a CRL after the certificate's own end (RFC 5280
//! section 3.3 wants it on one CRL beyond that). An entry that is kept for longer harms nobody and is no finding.

use std::collections::{BTreeMap, HashMap};

use policy::Timestamp;

use super::der::{self, Entry, stripped};
use super::line::Line;
use crate::forms::leaf::{LeafBase, LeafCovers};
use crate::forms::object;
use crate::log::Hash;
use crate::nouns::entry::{Base, Covers, DELTA, Kind};
use crate::truth::{Fold, Revoked, Word, chained, number, scope};
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
        // One whose base is none was found when its leaf was folded, and is judged by nothing else.
        let Some(since) = covers.base.map_or(Some(0), |base| leaves_of(fold, issuer, base)) else { return };
        let Some(tbs) = line.object else { return };
        let known = Known { fold, issuer, since, leaves: covers.leaves, now: line.leaf.time.parse().ok() };
        let serial = line.leaf.serial.as_deref().and_then(|serial| hex::decode(serial).ok()).unwrap_or_default();
        if let Err(why) = known.says(tbs, number(&serial), covers.base) {
            report.find("crl", object::place(line.index), why);
        }
    }

    fn covers(&self, index: u64, issuer: &str, covers: &LeafCovers) -> Result<(), String> {
        if covers.leaves > index {
            return Err(format!("covers {} leaves, of which there were only {index}", covers.leaves));
        }
        let chain = self.0.get(scope(issuer)).map_or(&[][..], Vec::as_slice);
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

/// How many leaves the base of a delta CRL covers.
fn leaves_of(fold: &Fold, issuer: &str, base: LeafBase) -> Option<u64> {
    let named = |(there, _): &&(Base, Covers)| (there.operation(), there.number()) == (base.op, base.number);
    fold.bases(issuer).iter().find(named).map(|(_, covers)| covers.leaves())
}

/// What a CRL is held against.
struct Known<'a> {
    fold: &'a Fold,
    issuer: &'a str,
    /// Of a delta CRL: so many leaves its base covers.
    since: u64,
    leaves: u64,
    now: Option<Timestamp>,
}

impl Known<'_> {
    /// Whether these bytes are the CRL of that number and base, and list what was revoked and nothing else.
    fn says(&self, tbs: &[u8], number: u64, base: Option<LeafBase>) -> Result<(), String> {
        let unreadable = |why: &str| format!("is no TBSCertList: {why}");
        let list = der::list(tbs).map_err(unreadable)?;
        if list.number.is_some_and(|said| said != number) {
            return Err(format!("has another number than its intent's {number}"));
        }
        if list.base != base.map(|base| base.number) {
            return Err("names another base than its intent does".to_owned());
        }
        self.lists(list.begins, list.entries)
    }

    /// The word of a revocation that it has to tell: neither what was said later, nor what its base tells already. What is
    /// released a delta removes; in a complete CRL it does not stand.
    fn word<'b>(&self, revoked: &'b Revoked) -> Option<&'b Word> {
        let word = revoked.last_word(self.leaves)?;
        let stands = if self.is_delta() { word.leaf >= self.since } else { word.ends() };
        stands.then_some(word)
    }

    fn is_delta(&self) -> bool {
        self.issuer.ends_with(DELTA)
    }

    fn lists(&self, begins: Timestamp, entries: der::Entries<'_>) -> Result<(), String> {
        let x509 = self.fold.revoked_of(scope(self.issuer)).filter(|revoked| is_x509(revoked.kind));
        let covered = x509.filter_map(|revoked| Some((revoked, self.word(revoked)?)));
        let mut expected: HashMap<&[u8], (&Revoked, &Word)> =
            covered.map(|(revoked, word)| (stripped(&revoked.serial), (revoked, word))).collect();
        let unreadable = |why: &str| format!("is no TBSCertList: {why}");
        for entry in entries {
            let Entry { serial, at, reason, invalid } = entry.map_err(unreadable)?;
            let shown = hex::encode(serial);
            let Some((_, word)) = expected.remove(serial) else {
                return Err(format!("lists {shown}, which was not revoked below leaf {} (or twice)", self.leaves));
            };
            // A clock that was ahead dated it: until that day a CRL lists it as of a time that is not after its own beginning.
            let is_early = word.since > begins && at <= begins;
            if (reason, invalid) != (word.reason, word.invalid) || (at != word.since && !is_early) {
                return Err(format!("lists {shown} with another date or reason than its revocation has"));
            }
        }
        let missing = expected.into_values().filter(|(revoked, _)| self.must_list(revoked));
        match missing.min_by_key(|(_, word)| word.leaf) {
            Some((missing, word)) => {
                Err(format!("does not list {}, revoked by leaf {}", hex::encode(&missing.serial), word.leaf))
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
