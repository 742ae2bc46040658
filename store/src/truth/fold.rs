//! The fold: what all leaves so far amount to, of that which decides something.
//!
//! Records as their newest leaf and its digest; revocations whole, as they are few and a CRL is made of them; keys known to
//! be compromised; operations that wait for their conclusion; what each issuer's newest CRL covers; which certificates have a
//! successor. Certificates are too many to keep: they are proved one by one (`proof`). About 100 bytes a record, 200 a
//! revocation, 40 a certificate that was renewed, until two weeks after its end.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use std::ops::Range;

use policy::Timestamp;
use serde::{Deserialize, Serialize};

use super::change::{Change, RecordKey, Revoked, Word, is_compromise};
use super::crls::{CrlFold, CrlIntent, scope};
use crate::log::Hash;
use crate::nouns::credential::RevokedRow;
use crate::nouns::entry::{Base, Covers, HOLD, RELEASED, Renews};
use crate::nouns::sealed::{Under, seal_name};
use crate::nouns::shard::Shard;

/// So long after its end a certificate is known to have been renewed, by the time of the log. Whoever renews looks no further back.
pub const RENEWED_KNOWN_SECS: i64 = 14 * 86_400;

/// The present version of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Version {
    pub leaf: u64,
    pub digest: Hash,
    /// The generation of the sealing key under which it stands; 0 where it is not sealed.
    pub seal: u32,
}

/// Everything revoked of an issuer, and what a CRL of it may say that it covers.
#[derive(Clone, Debug)]
pub struct Revocations {
    /// In the order of the log, expired ones too: whoever makes a CRL knows which to leave out. All, or those that were asked for.
    pub rows: Vec<RevokedRow>,
    /// Up to where all of them are known.
    pub covers: Covers,
}

/// What one history of the log says and another does not, as far as it has to be said again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lost {
    /// Revocations, each with its issuer, in the order of the log.
    pub revoked: Vec<(String, Revoked)>,
    /// Records that had a version which is gone.
    pub records: HashSet<RecordKey>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct IssuerFold {
    /// Operations, in the order of the log; and whether that leaf changed what was said before.
    pub revoked: Vec<(u64, bool)>,
    pub digest: Hash,
    pub crls: CrlFold,
    /// How many parts its revocations have; known from the first on.
    pub shards: Option<u16>,
}

impl IssuerFold {
    fn add(&mut self, operation: u64, changes: bool, hash: &Hash) {
        self.revoked.push((operation, changes));
        self.digest = chained(&self.digest, hash);
    }
}

/// An operation without a conclusion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Open {
    pub at: Timestamp,
    /// The issuer as its leaf has it, where it is a CRL.
    pub crl: Option<String>,
    /// What it is made to succeed.
    pub renews: Option<Renews>,
}

/// What all leaves so far amount to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fold {
    pub(super) records: HashMap<RecordKey, Version>,
    /// How many of them stand under each generation of the sealing key.
    pub(super) standing: BTreeMap<u32, u64>,
    /// Generations of it that have ended.
    pub(super) ended_seals: BTreeSet<u32>,
    pub(super) revoked: HashMap<u64, Revoked>,
    pub(super) issuers: BTreeMap<String, IssuerFold>,
    pub(super) compromised: HashSet<Hash>,
    pub(super) open: BTreeMap<u64, Open>,
    /// Certificates that have a signed successor: their end and operation, and the newest successor's operation.
    pub(super) renewed: BTreeMap<(Timestamp, u64), u64>,
    /// The latest end of those of which that was forgotten.
    pub(super) forgotten: Option<Timestamp>,
}

impl Fold {
    /// Folds the leaf `index` with this hash. What no honest node would append is refused, and nothing is changed.
    pub fn apply(&mut self, index: u64, hash: &Hash, change: Change) -> Result<(), String> {
        match change {
            Change::Intended { at, crl, renews } => self.intended(index, at, crl, renews),
            Change::Settled { op, issued } => self.settled(op, issued),
            Change::Revoked { issuer, revoked } => self.revoke(issuer, *revoked, hash),
            Change::Recorded { key, replaces, digest, under, secret: _ } => {
                let there = self.version(&key);
                if there != replaces {
                    return Err(format!("leaf {index} replaces version {replaces} of a record that has {there}"));
                }
                self.may_stand(under)?;
                self.recorded(key, index, digest, under);
                Ok(())
            }
            Change::Accessed { of } => match of.iter().find(|(key, version)| self.version(key) != *version) {
                Some((_, version)) => Err(format!("leaf {index} shows version {version} of a record that has another")),
                None => Ok(()),
            },
            Change::Nothing => Ok(()),
        }
    }

    fn recorded(&mut self, key: RecordKey, leaf: u64, digest: Hash, under: Option<Under>) {
        let seal = match under {
            Some(Under::Stands(number)) => number,
            Some(Under::Ends(number)) => {
                self.ended_seals.insert(number);
                0
            }
            None => 0,
        };
        if seal > 0 {
            *self.standing.entry(seal).or_default() += 1;
        }
        let before = self.records.insert(key, Version { leaf, digest, seal });
        if let Some(Entry::Occupied(mut there)) = before.map(|before| self.standing.entry(before.seal)) {
            *there.get_mut() -= 1;
            if *there.get() == 0 {
                there.remove();
            }
        }
    }

    /// Nothing is sealed under a generation that ended, and none ends under which something stands.
    pub fn may_stand(&self, under: Option<Under>) -> Result<(), String> {
        match under {
            Some(Under::Stands(number)) if self.is_seal_ended(number) => {
                Err(format!("{} has ended: nothing is sealed under it", seal_name(number)))
            }
            Some(Under::Ends(number)) => match self.standing.get(&number) {
                Some(count) => Err(format!("{count} stand under {} yet", seal_name(number))),
                None => Ok(()),
            },
            Some(Under::Stands(_)) | None => Ok(()),
        }
    }

    /// How many records stand under each generation of the sealing key; none of those that it does not name.
    pub fn standing(&self) -> &BTreeMap<u32, u64> {
        &self.standing
    }

    pub fn is_seal_ended(&self, number: u32) -> bool {
        self.ended_seals.contains(&number)
    }

    fn intended(
        &mut self,
        index: u64,
        at: Timestamp,
        crl: Option<CrlIntent>,
        renews: Option<Renews>,
    ) -> Result<(), String> {
        if renews.is_some_and(|renews| renews.operation() >= index) {
            return Err(format!("leaf {index} renews what comes after it"));
        }
        if let Some(crl) = &crl {
            self.crls(&crl.issuer).may_begin(crl)?;
            self.issuers.entry(scope(&crl.issuer).to_owned()).or_default().crls.begin(index, crl);
        }
        self.open.insert(index, Open { at, crl: crl.map(|crl| crl.issuer), renews });
        while let Some(oldest) = self.renewed.first_entry().filter(|e| at.since(e.key().0) > RENEWED_KNOWN_SECS) {
            let ((end, _), _) = oldest.remove_entry();
            self.forgotten = self.forgotten.max(Some(end));
        }
        Ok(())
    }

    /// The CRLs of a series, or of its deltas, which are the same. No CRL covers less than an earlier one (invariant 13).
    pub fn crls(&self, issuer: &str) -> CrlFold {
        self.issuers.get(scope(issuer)).map_or_else(CrlFold::default, |fold| fold.crls.clone())
    }

    fn settled(&mut self, op: u64, issued: bool) -> Result<(), String> {
        let open = self.open.remove(&op).ok_or_else(|| format!("operation {op} is concluded already, or is none"))?;
        if let Some(renews) = open.renews.filter(|_| issued) {
            let by = self.renewed.entry((renews.until(), renews.operation())).or_default();
            *by = op.max(*by);
        }
        if let Some(issuer) = open.crl {
            self.issuers.entry(scope(&issuer).to_owned()).or_default().crls.settle(op, &issuer, issued);
        }
        Ok(())
    }

    /// Whose CRL an operation is that waits for its conclusion.
    pub fn open_crl(&self, op: u64) -> Option<String> {
        self.open.get(&op)?.crl.clone()
    }

    /// Whether the register keeps a CRL's bytes.
    pub fn keeps(&self, op: u64) -> bool {
        self.issuers.values().any(|fold| fold.crls.kept().contains(&op))
    }

    /// All CRLs whose bytes the register keeps.
    pub fn kept(&self) -> BTreeSet<u64> {
        self.issuers.values().flat_map(|fold| fold.crls.kept()).collect()
    }

    fn revoke(&mut self, issuer: String, revoked: Revoked, hash: &Hash) -> Result<(), String> {
        self.may_revoke(&issuer, &revoked)?;
        let word = revoked.first;
        if is_compromise(word.reason) {
            self.compromised.insert(revoked.key_hash);
        }
        let (operation, shard) = (revoked.operation, revoked.shard);
        let changes = match self.revoked.get_mut(&operation) {
            Some(there) => {
                there.later.push(word);
                true
            }
            None => {
                self.revoked.insert(operation, revoked);
                false
            }
        };
        let part = shard.map(|shard| shard.series(&issuer));
        let whole = self.issuers.entry(issuer).or_default();
        whole.shards = Some(shard.map_or(1, Shard::of));
        whole.add(operation, changes, hash);
        if let Some(part) = part {
            self.issuers.entry(part).or_default().add(operation, changes, hash);
        }
        Ok(())
    }

    /// Whether this may be said of a credential now.
    pub fn may_revoke(&self, issuer: &str, revoked: &Revoked) -> Result<(), String> {
        let operation = revoked.operation;
        match self.revoked.get(&operation) {
            Some(there) if there.is_changed_by(revoked) => {}
            Some(there) if there.word().reason == HOLD => {
                return Err(format!("operation {operation} is on hold already"));
            }
            Some(_) => return Err(format!("operation {operation} is revoked already")),
            None if revoked.first.reason == RELEASED => return Err(format!("operation {operation} is not on hold")),
            None if revoked.is_of_lost() && self.revocation_of(issuer, &revoked.serial).is_some() => {
                return Err(format!("certificate {} is revoked already", hex::encode(&revoked.serial)));
            }
            None => {}
        }
        if revoked.first.reason == HOLD && self.is_open(operation) {
            return Err(format!("operation {operation} has no conclusion yet: it may be revoked, but not held"));
        }
        let of = revoked.shard.map_or(1, Shard::of);
        if revoked.shard != Shard::of_serial(&revoked.serial, of)
            || self.issuers.get(issuer).and_then(|fold| fold.shards).is_some_and(|there| there != of)
        {
            return Err(format!("certificate {} is of another shard", hex::encode(&revoked.serial)));
        }
        Ok(())
    }

    /// The present version of a record, 0 where there is none.
    pub fn version(&self, key: &RecordKey) -> u64 {
        self.records.get(key).map_or(0, |version| version.leaf + 1)
    }

    pub fn record(&self, key: &RecordKey) -> Option<Version> {
        self.records.get(key).copied()
    }

    pub fn revocation(&self, operation: u64) -> Option<&Revoked> {
        self.revoked.get(&operation)
    }

    /// The revocation of this issuer's serial. Looks at all of them: for what is asked seldom.
    pub fn revocation_of(&self, issuer: &str, serial: &[u8]) -> Option<&Revoked> {
        self.revoked_of(issuer).find(|revoked| revoked.serial == serial)
    }

    pub fn is_open(&self, operation: u64) -> bool {
        self.open.contains_key(&operation)
    }

    pub fn is_compromised(&self, key_hash: &Hash) -> bool {
        self.compromised.contains(key_hash)
    }

    /// Operations intended before a time that nobody concluded or revoked, oldest first. What a clock dated which was ahead is of them: who
    /// began it is gone.
    pub fn unconcluded(&self, before: Timestamp) -> impl Iterator<Item = u64> {
        let is_old = move |at: Timestamp| at < before || before.elapsed_since(at).is_none();
        let waiting = self.open.iter().filter(move |(op, open)| is_old(open.at) && !self.revoked.contains_key(op));
        waiting.map(|(op, _)| *op)
    }

    /// What is revoked of an issuer, or told by its deltas, in the first `size` leaves, which are all that were folded; rows of that part alone.
    pub fn revocations(&self, issuer: &str, size: u64, part: Range<usize>) -> Revocations {
        let (ops, digest) =
            self.issuers.get(scope(issuer)).map_or((&[][..], [0; 32]), |fold| (&fold.revoked, fold.digest));
        let covers = Covers::new(size, ops.len() as u64, digest);
        let part = ops.get(part.start.min(ops.len())..part.end.min(ops.len())).unwrap_or_default();
        let rows = part.iter().filter_map(|(op, changes)| Some(row(self.revoked.get(op)?, *changes)));
        Revocations { rows: rows.collect(), covers }
    }

    /// Everything revoked of an issuer, in the order of the log, each once.
    pub fn revoked_of(&self, issuer: &str) -> impl Iterator<Item = &Revoked> {
        let ops = self.issuers.get(issuer).into_iter().flat_map(|fold| &fold.revoked);
        ops.filter(|(_, changes)| !changes).filter_map(|(op, _)| self.revoked.get(op))
    }

    /// What is known here and not there. A series that is a part of another has nothing of its own.
    pub fn lost_in(&self, there: &Fold) -> Lost {
        let mut revoked = Vec::new();
        for issuer in self.issuers.iter().filter(|(_, fold)| fold.shards.is_some()).map(|(issuer, _)| issuer) {
            let known: HashMap<&[u8], &Revoked> =
                there.revoked_of(issuer).map(|revoked| (revoked.serial.as_slice(), revoked)).collect();
            // What was on hold and is released here, and is held there, stays held: nothing is taken back that was not asked again.
            let gone = self.revoked_of(issuer).filter(|revoked| match known.get(revoked.serial.as_slice()) {
                _ if !revoked.is_ended() => false,
                None => true,
                // That it ended for good, or that the key is compromised, is as much told as the revocation.
                Some(other) => other.may_become(revoked.word().reason),
            });
            let as_it_was =
                |revoked: &Revoked| Revoked { first: *revoked.word(), later: Vec::new(), ..revoked.clone() };
            revoked.extend(gone.map(|revoked| (issuer.clone(), as_it_was(revoked))));
        }
        let gone = self.records.iter().filter(|(key, version)| there.records.get(*key) != Some(*version));
        Lost { revoked, records: gone.map(|(key, _)| *key).collect() }
    }

    /// Takes a version for the present one although it does not fit: an auditor found so once, and goes on.
    pub fn overrule(&mut self, key: RecordKey, leaf: u64, digest: Hash, under: Option<Under>) {
        self.recorded(key, leaf, digest, under);
    }

    /// Operations without a conclusion.
    pub fn waiting(&self) -> impl Iterator<Item = u64> {
        self.open.keys().copied()
    }

    /// The newest signed successor of a certificate; none is said of one that ended more than [`RENEWED_KNOWN_SECS`] ago.
    pub fn renewed(&self, of: Renews) -> Option<u64> {
        self.renewed.get(&(of.until(), of.operation())).copied()
    }

    /// Whether none is said of it because there is none.
    pub fn remembers(&self, of: Renews) -> bool {
        self.forgotten.is_none_or(|forgotten| of.until() > forgotten)
    }

    /// The newest signed CRL of a series, or its newest delta.
    pub fn newest_crl(&self, issuer: &str) -> Option<u64> {
        self.issuers.get(scope(issuer))?.crls.newest(issuer)
    }

    /// What a delta CRL of this series may rest on, and what that covers; the oldest first.
    pub fn bases(&self, series: &str) -> Vec<(Base, Covers)> {
        self.issuers.get(scope(series)).map_or_else(Vec::new, |fold| fold.crls.bases().collect())
    }

    /// The greatest number of a series' CRLs, deltas too, that are signed or may yet be.
    pub fn last_crl_number(&self, series: &str) -> u64 {
        self.issuers.get(scope(series)).map_or(0, |fold| fold.crls.last_number())
    }
}

fn row(revoked: &Revoked, changes: bool) -> RevokedRow {
    let Word { reason, since, invalid, .. } = *revoked.word();
    RevokedRow {
        operation: revoked.operation,
        kind: revoked.kind,
        serial: revoked.serial.clone(),
        revoked_at: since,
        reason,
        invalid,
        not_after: revoked.not_after,
        changes,
    }
}

/// The chained hash of an issuer's revocations with one more.
pub(crate) fn chained(digest: &Hash, leaf: &Hash) -> Hash {
    crate::forms::schema::sha256(&[digest.as_slice(), leaf].concat())
}

#[cfg(test)]
mod tests {
    use super::super::change::record_key;
    use super::*;
    use crate::nouns::entry::Kind;

    fn revoked(operation: u64, reason: u8) -> Change {
        said(operation, operation + 1, reason, 5)
    }

    fn said(operation: u64, leaf: u64, reason: u8, since: i64) -> Change {
        let revoked = Revoked {
            operation,
            kind: Kind::Certificate,
            serial: vec![operation as u8],
            not_after: None,
            key_hash: [operation as u8; 32],
            shard: None,
            first: Word { leaf, reason, since: Timestamp::from_unix(since), invalid: None },
            later: Vec::new(),
        };
        Change::Revoked { issuer: "tls".into(), revoked: Box::new(revoked) }
    }

    #[test]
    fn what_no_honest_node_appends_is_refused_and_changes_nothing() {
        let mut fold = Fold::default();
        let key = record_key("api-token", "a");
        let hash = [1; 32];
        fold.apply(0, &hash, Change::Recorded { key, replaces: 0, digest: [2; 32], under: None, secret: false })
            .unwrap();
        fold.apply(1, &hash, revoked(9, 1)).unwrap();
        let before = fold.clone();
        for change in [
            Change::Recorded { key, replaces: 0, digest: [3; 32], under: None, secret: false },
            Change::Recorded { key, replaces: 2, digest: [3; 32], under: None, secret: false },
            revoked(9, 4),
            Change::Settled { op: 7, issued: true },
        ] {
            assert!(fold.apply(2, &hash, change).is_err());
            assert_eq!(fold, before);
        }
        assert!(fold.is_compromised(&[9; 32]) && !fold.is_compromised(&[8; 32]));
    }

    #[test]
    fn a_reason_is_raised_to_key_compromise_and_nothing_else_changes() {
        let of = |change: Change, bend: fn(&mut Revoked)| {
            let Change::Revoked { issuer, mut revoked } = change else { panic!("a revocation") };
            bend(&mut revoked);
            Change::Revoked { issuer, revoked }
        };
        let hash = [1; 32];
        let mut fold = Fold::default();
        fold.apply(10, &hash, revoked(9, 4)).unwrap();
        let (before, digest) = (fold.clone(), fold.revocations("tls", 11, 0..9).covers);
        for (what, bend) in [
            ("another reason", (|r| r.first.reason = 3) as fn(&mut Revoked)),
            ("another date", |r| r.first.since = r.first.since.plus_secs(1)),
            ("another end", |r| r.not_after = Some(Timestamp::from_unix(7))),
            ("another key", |r| r.key_hash = [0; 32]),
            ("another kind", |r| r.kind = Kind::SshUser),
            ("another shard", |r| r.shard = Shard::of_serial(&r.serial, 4)),
        ] {
            assert!(fold.apply(11, &hash, of(said(9, 11, 1, 5), bend)).is_err(), "{what}");
            assert_eq!(fold, before, "{what}");
        }
        fold.apply(11, &hash, said(9, 11, 1, 5)).unwrap();
        let raised = fold.revocation(9).unwrap();
        let reason_at = |leaves| raised.word_at(leaves).map(|word| word.reason);
        assert_eq!((reason_at(10), reason_at(11), reason_at(12)), (None, Some(4), Some(1)));
        assert!(fold.is_compromised(&[9; 32]));
        let there = fold.revocations("tls", 12, 0..9);
        let rows: Vec<_> = there.rows.iter().map(|row| (row.operation, row.reason, row.changes)).collect();
        assert_eq!(rows, [(9, 1, false), (9, 1, true)]);
        assert!(there.covers.includes(&digest) && there.covers.revocations() == 2);
        assert_eq!(fold.revoked_of("tls").count(), 1, "one certificate, one entry");
        assert!(fold.apply(12, &hash, said(9, 12, 1, 5)).is_err(), "once");
        // A register that was put back to before it lost this, and is told the reason that is in force.
        let lost = fold.lost_in(&before).revoked;
        let said: Vec<_> = lost.iter().map(|(_, revoked)| (revoked.operation, revoked.first.reason)).collect();
        assert_eq!(said, [(9, 1)]);
        assert!(fold.lost_in(&fold).revoked.is_empty());
    }

    #[test]
    fn what_is_on_hold_is_released_or_ends_and_what_was_released_may_end_again() {
        let hash = [1; 32];
        let mut fold = Fold::default();
        fold.apply(0, &hash, Change::Intended { at: Timestamp::from_unix(1), crl: None, renews: None }).unwrap();
        assert!(fold.apply(1, &hash, said(0, 1, HOLD, 5)).is_err(), "what may not even have been signed is not held");
        assert!(fold.apply(1, &hash, said(9, 1, RELEASED, 5)).is_err(), "nothing holds it");
        fold.apply(1, &hash, said(9, 1, HOLD, 5)).unwrap();
        let held = fold.clone();
        assert!(fold.apply(2, &hash, said(9, 2, HOLD, 5)).is_err());
        fold.apply(2, &hash, said(9, 2, RELEASED, 6)).unwrap();
        let released = fold.clone();
        let there = fold.revocation(9).unwrap();
        assert!(!there.is_ended());
        assert_eq!((there.word_at(2).map(|word| word.reason), there.word_at(3)), (Some(HOLD), None));
        assert!(fold.apply(3, &hash, said(9, 3, RELEASED, 7)).is_err());
        assert!(released.lost_in(&Fold::default()).revoked.is_empty(), "it counts: nothing is said again");
        assert!(
            released.lost_in(&held).revoked.is_empty(),
            "a hold that was lifted and is there again is asked for again"
        );
        assert_eq!(held.lost_in(&Fold::default()).revoked.len(), 1);
        // After a release it ends anew, from then on; from a hold, from the hold on.
        fold.apply(3, &hash, said(9, 3, 4, 8)).unwrap();
        assert_eq!(fold.revocation(9).unwrap().word().since, Timestamp::from_unix(8));
        let mut ended = held.clone();
        assert!(ended.apply(2, &hash, said(9, 2, 4, 8)).is_err(), "it was held since, and the date stays");
        ended.apply(2, &hash, said(9, 2, 4, 5)).unwrap();
        assert!(ended.apply(3, &hash, said(9, 3, RELEASED, 9)).is_err(), "what ended for good is not released");
        assert_eq!(ended.lost_in(&held).revoked.len(), 1, "that it ended for good is told again");
    }

    #[test]
    fn a_part_has_its_own_chain_and_an_issuer_one_number_of_parts() {
        let hash = [1; 32];
        let of = |operation: u64, of: u16| {
            let Change::Revoked { issuer, mut revoked } = revoked(operation, 4) else { panic!("a revocation") };
            revoked.shard = Shard::of_serial(&revoked.serial, of);
            Change::Revoked { issuer, revoked }
        };
        let mut fold = Fold::default();
        for operation in 1..40 {
            fold.apply(operation + 1, &hash, of(operation, 4)).unwrap();
        }
        let parts: Vec<_> = (0..4).map(|n| fold.revocations(&format!("tls/{n}"), 50, 0..99)).collect();
        assert_eq!(parts.iter().map(|part| part.rows.len()).sum::<usize>(), 39);
        assert!(parts.iter().all(|part| !part.rows.is_empty()));
        assert_eq!(fold.revocations("tls", 50, 0..99).covers.revocations(), 39);
        let before = fold.clone();
        for change in [of(50, 8), of(50, 1)] {
            assert!(fold.apply(51, &hash, change).is_err(), "certificates point to what cannot change");
        }
        let Change::Revoked { issuer, mut revoked } = of(50, 4) else { panic!("a revocation") };
        revoked.shard = Shard::new((revoked.shard.unwrap().index() + 1) % 4, 4);
        assert!(fold.apply(51, &hash, Change::Revoked { issuer, revoked }).is_err(), "another part than its own");
        assert_eq!(fold, before);
        let lost = before.lost_in(&Fold::default()).revoked;
        assert_eq!(lost.len(), 39, "each once, although two chains have it");
    }

    #[test]
    fn a_certificate_is_known_to_be_renewed_once_its_successor_is_signed_until_two_weeks_after_its_end() {
        let mut fold = Fold::default();
        let end = Timestamp::from_unix(1_000);
        let old = Renews::new(3, end);
        let mut next = 10;
        let mut intend = |fold: &mut Fold, at: Timestamp, renews| {
            next += 1;
            fold.apply(next, &[0; 32], Change::Intended { at, crl: None, renews }).map(|()| next)
        };
        let settle = |fold: &mut Fold, op, issued| fold.apply(99, &[0; 32], Change::Settled { op, issued }).unwrap();
        let failed = intend(&mut fold, end, Some(old)).unwrap();
        assert_eq!(fold.renewed(old), None, "nobody can have it yet");
        settle(&mut fold, failed, false);
        assert_eq!(fold.renewed(old), None);
        let (first, second) = (intend(&mut fold, end, Some(old)).unwrap(), intend(&mut fold, end, Some(old)).unwrap());
        settle(&mut fold, second, true);
        settle(&mut fold, first, true);
        assert_eq!(fold.renewed(old), Some(second), "the newest, whichever was signed last");
        assert_eq!(fold.renewed(Renews::new(4, end)), None);
        intend(&mut fold, end.plus_secs(RENEWED_KNOWN_SECS), None).unwrap();
        assert_eq!(fold.renewed(old), Some(second));
        intend(&mut fold, end.plus_secs(RENEWED_KNOWN_SECS + 1), None).unwrap();
        assert!(fold.renewed.is_empty(), "memory is bounded");
        assert!(intend(&mut fold, end, Some(Renews::new(1_000, end))).is_err(), "what comes later cannot be renewed");
    }

    #[test]
    fn a_crl_never_covers_less_than_the_one_before() {
        let mut fold = Fold::default();
        let crl = |covers, number| Change::Intended {
            at: Timestamp::from_unix(1),
            crl: Some(CrlIntent { issuer: "tls".to_owned(), covers, number }),
            renews: None,
        };
        let none = fold.revocations("tls", 0, 0..0).covers;
        fold.apply(0, &[0; 32], revoked(100, 4)).unwrap();
        let one = fold.revocations("tls", 1, 0..9).covers;
        assert_ne!(one.digest(), none.digest());
        fold.apply(1, &[0; 32], crl(one, 1)).unwrap();
        assert!(fold.apply(2, &[0; 32], crl(none, 2)).is_err());
        assert!(fold.apply(2, &[0; 32], crl(one, 1)).is_err(), "a number comes once");
        fold.apply(2, &[0; 32], crl(one, 2)).unwrap();
        let open = |before: i64| fold.unconcluded(Timestamp::from_unix(before)).collect::<Vec<_>>();
        assert_eq!((open(2), open(1)), (vec![1, 2], vec![]));
        assert_eq!(open(-3 * 86_400), [1, 2], "a clock was ahead when they were begun");
        fold.apply(3, &[0; 32], Change::Settled { op: 1, issued: true }).unwrap();
        fold.apply(4, &[0; 32], Change::Settled { op: 2, issued: false }).unwrap();
        assert_eq!(fold.newest_crl("tls"), Some(1));
        assert_eq!(fold.kept(), [1].into(), "the bytes of the one that failed are gone");
        assert_eq!(fold.unconcluded(Timestamp::from_unix(2)).next(), None);
    }
}
