//! The fold and its tree as bytes: what a start goes on from, instead of reading the whole log.
//!
//! An image is sealed with the head key and bound to the log's name; it lies beside the head, outside the database. One that
//! is damaged, foreign or absent costs time and nothing else: the log is then read from its beginning.

use std::collections::BTreeMap;

use policy::Timestamp;
use serde::{Deserialize, Serialize};

use super::change::{RecordKey, Revoked, Word};
use super::crls::CrlFold;
use super::fold::{Fold, IssuerFold, Open, Version};
use super::key::HeadKey;
use crate::log::{Hash, Tree};
use crate::nouns::entry::Renews;
use crate::nouns::error::StoreError;
use crate::nouns::shard::Shard;

const SEAL_BYTES: usize = 32;

#[derive(Serialize, Deserialize)]
struct Image {
    version: u8,
    origin: String,
    size: u64,
    time: i64,
    partial: Vec<Vec<Hash>>,
    records: Vec<(RecordKey, Version)>,
    ended_seals: Vec<u32>,
    revoked: Vec<Revocation>,
    issuers: Vec<Issuer>,
    open: Vec<Waiting>,
    /// End, operation, and the successor's operation.
    renewed: Vec<(i64, u64, u64)>,
    forgotten: Option<i64>,
}

#[derive(Serialize, Deserialize)]
struct Waiting {
    operation: u64,
    at: i64,
    crl: Option<String>,
    /// Operation and end.
    renews: Option<(u64, i64)>,
}

#[derive(Serialize, Deserialize)]
struct Revocation {
    operation: u64,
    kind: String,
    serial: Vec<u8>,
    not_after: Option<i64>,
    key_hash: Hash,
    /// Which, of how many.
    shard: Option<(u16, u16)>,
    first: Word,
    later: Vec<Word>,
}

#[derive(Serialize, Deserialize)]
struct Issuer {
    label: String,
    shards: Option<u16>,
    revoked: Vec<(u64, bool)>,
    digest: Hash,
    crls: CrlFold,
}

const VERSION: u8 = 1;

/// The sealed bytes.
pub(super) fn write(key: &HeadKey, origin: &str, tree: &Tree, fold: &Fold, time: i64) -> Result<Vec<u8>, StoreError> {
    let image = Image {
        version: VERSION,
        origin: origin.to_owned(),
        size: tree.size(),
        time,
        partial: (0..8).map(|level| tree.partial(level).to_vec()).collect(),
        records: fold.records.iter().map(|(key, version)| (*key, *version)).collect(),
        ended_seals: fold.ended_seals.iter().copied().collect(),
        revoked: fold.revoked.values().map(revocation).collect(),
        issuers: fold.issuers.iter().map(issuer).collect(),
        open: fold.open.iter().map(waiting).collect(),
        renewed: fold.renewed.iter().map(|((end, op), by)| (end.unix(), *op, *by)).collect(),
        forgotten: fold.forgotten.map(Timestamp::unix),
    };
    let mut bytes = postcard::to_stdvec(&image).map_err(|e| StoreError::Invalid(format!("the fold's image: {e}")))?;
    let seal = key.seal_image(&bytes);
    bytes.extend_from_slice(&seal);
    Ok(bytes)
}

/// What an image of this log holds; none where it is not one.
pub(super) fn read(key: &HeadKey, origin: &str, bytes: &[u8]) -> Option<(Tree, Fold, i64)> {
    let (bytes, seal) = bytes.split_at_checked(bytes.len().checked_sub(SEAL_BYTES)?)?;
    if !key.image_sealed(bytes, seal) {
        return None;
    }
    let image: Image = postcard::from_bytes(bytes).ok()?;
    if image.version != VERSION || image.origin != origin {
        return None;
    }
    let tree = Tree::from_partial(image.size, image.partial).ok()?;
    let revoked: Vec<Revoked> = image.revoked.into_iter().map(revoked).collect::<Option<_>>()?;
    let compromised = revoked.iter().filter(|r| r.is_compromised()).map(|r| r.key_hash).collect();
    let mut standing = BTreeMap::new();
    for (_, version) in image.records.iter().filter(|(_, version)| version.seal > 0) {
        *standing.entry(version.seal).or_default() += 1;
    }
    let fold = Fold {
        records: image.records.into_iter().collect(),
        standing,
        ended_seals: image.ended_seals.into_iter().collect(),
        revoked: revoked.into_iter().map(|revoked| (revoked.operation, revoked)).collect(),
        issuers: image.issuers.into_iter().map(issuer_fold).collect(),
        compromised,
        open: image.open.into_iter().map(open).collect(),
        renewed: image.renewed.into_iter().map(|(end, op, by)| ((Timestamp::from_unix(end), op), by)).collect(),
        forgotten: image.forgotten.map(Timestamp::from_unix),
    };
    Some((tree, fold, image.time))
}

fn revocation(revoked: &Revoked) -> Revocation {
    Revocation {
        operation: revoked.operation,
        kind: revoked.kind.as_str().to_owned(),
        serial: revoked.serial.clone(),
        not_after: revoked.not_after.map(Timestamp::unix),
        key_hash: revoked.key_hash,
        shard: revoked.shard.map(|shard| (shard.index(), shard.of())),
        first: revoked.first,
        later: revoked.later.clone(),
    }
}

fn revoked(row: Revocation) -> Option<Revoked> {
    Some(Revoked {
        operation: row.operation,
        kind: row.kind.parse().ok()?,
        serial: row.serial,
        not_after: row.not_after.map(Timestamp::from_unix),
        key_hash: row.key_hash,
        shard: match row.shard {
            Some((index, of)) => Some(Shard::new(index, of)?),
            None => None,
        },
        first: row.first,
        later: row.later,
    })
}

fn waiting((operation, open): (&u64, &Open)) -> Waiting {
    let renews = open.renews.map(|renews| (renews.operation(), renews.until().unix()));
    Waiting { operation: *operation, at: open.at.unix(), crl: open.crl.clone(), renews }
}

fn open(waiting: Waiting) -> (u64, Open) {
    let renews = waiting.renews.map(|(op, until)| Renews::new(op, Timestamp::from_unix(until)));
    (waiting.operation, Open { at: Timestamp::from_unix(waiting.at), crl: waiting.crl, renews })
}

fn issuer((label, fold): (&String, &IssuerFold)) -> Issuer {
    let IssuerFold { shards, revoked, digest, crls } = fold.clone();
    Issuer { label: label.clone(), shards, revoked, digest, crls }
}

fn issuer_fold(issuer: Issuer) -> (String, IssuerFold) {
    let Issuer { label, shards, revoked, digest, crls } = issuer;
    (label, IssuerFold { shards, revoked, digest, crls })
}

#[cfg(test)]
mod tests {
    use super::super::change::Change;
    use super::super::change::record_key;
    use super::super::crls::CrlIntent;
    use super::*;
    use crate::log::leaf_hash;
    use crate::nouns::entry::{Covers, Kind};
    use crate::nouns::sealed::Under;

    #[test]
    fn an_image_reads_back_and_an_altered_or_foreign_one_does_not() {
        let (mut tree, mut fold) = (Tree::default(), Fold::default());
        let since = Timestamp::from_unix(7);
        let word = |leaf, reason| Word { leaf, reason, since, invalid: Some(Timestamp::from_unix(6)) };
        let revoked = Revoked {
            operation: 1,
            kind: Kind::Certificate,
            serial: vec![1, 2, 3],
            not_after: Some(Timestamp::from_unix(9)),
            key_hash: [4; 32],
            shard: Shard::of_serial(&[1, 2, 3], 4),
            first: word(2, 1),
            later: Vec::new(),
        };
        let (serial, shard) = (vec![7], Shard::of_serial(&[7], 4));
        let superseded = Revoked { operation: 7, serial, shard, first: word(8, 4), ..revoked.clone() };
        let raise = Revoked { first: word(9, 1), ..superseded.clone() };
        let changes = [
            Change::Recorded {
                key: record_key("a", "b"),
                replaces: 0,
                digest: [1; 32],
                under: Some(Under::Stands(2)),
                secret: false,
            },
            Change::Intended {
                at: Timestamp::from_unix(3),
                crl: None,
                renews: Some(Renews::new(0, Timestamp::from_unix(8))),
            },
            Change::Revoked { issuer: "tls".into(), revoked: Box::new(revoked) },
            Change::Intended {
                at: Timestamp::from_unix(3),
                crl: Some(CrlIntent { issuer: "tls".into(), covers: Covers::new(3, 1, [0; 32]), number: 5 }),
                renews: None,
            },
            Change::Intended {
                at: Timestamp::from_unix(3),
                crl: None,
                renews: Some(Renews::new(1, Timestamp::from_unix(9))),
            },
            Change::Settled { op: 4, issued: true },
            Change::Revoked { issuer: "tls".into(), revoked: Box::new(superseded) },
            Change::Revoked { issuer: "tls".into(), revoked: Box::new(raise) },
            Change::Recorded {
                key: record_key("a", "c"),
                replaces: 0,
                digest: [1; 32],
                under: Some(Under::Ends(1)),
                secret: false,
            },
        ];
        for (index, change) in changes.into_iter().enumerate() {
            let hash = leaf_hash(&[index as u8]);
            fold.apply(index as u64, &hash, change).unwrap();
            tree.append(hash, &mut Vec::new());
        }
        let key = HeadKey::new(&[9; 32]);
        let image = write(&key, "a/log", &tree, &fold, 11).unwrap();
        let (tree_again, fold_again, time) = read(&key, "a/log", &image).unwrap();
        assert_eq!((tree_again.size(), tree_again.root()), (tree.size(), tree.root()));
        assert_eq!((fold_again, time), (fold, 11));
        assert_eq!(read(&key, "b/log", &image), None);
        assert_eq!(read(&HeadKey::new(&[8; 32]), "a/log", &image), None);
        for at in [0, image.len() / 2, image.len() - 1] {
            let mut altered = image.clone();
            altered[at] ^= 1;
            assert_eq!(read(&key, "a/log", &altered), None);
        }
        assert_eq!(read(&key, "a/log", &image[..10]), None);
    }
}
