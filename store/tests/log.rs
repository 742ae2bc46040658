//! The log as a stranger reads it, who knows only the C2SP documents (tlog-tiles, tlog-checkpoint, signed-note) and
//! RFC 6962: nothing here is taken from the room's own code.

mod support;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hsm::KeyKind;
use ring::digest::{SHA256, digest};
use ring::signature::{ECDSA_P256_SHA256_ASN1, ED25519, UnparsedPublicKey};
use store::{Entry, Ledger, Record, RefusalEntry, Revocation, StoreError};
use support::*;

type Hash = [u8; 32];

fn sha256(parts: &[&[u8]]) -> Hash {
    digest(&SHA256, &parts.concat()).as_ref().try_into().unwrap()
}

/// RFC 6962 section 2.1.
fn mth(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => sha256(&[]),
        [one] => *one,
        more => {
            let (left, right) = more.split_at(more.len().next_power_of_two() / 2);
            sha256(&[&[1], &mth(left), &mth(right)])
        }
    }
}

/// Opens a note with a verifier key string and reads its size and root.
fn opened(note: &str, vkey: &str) -> (u64, Hash) {
    let (name, rest) = vkey.split_once('+').unwrap();
    let (id, key) = rest.split_once('+').unwrap();
    let (id, key) = (hex::decode(id).unwrap(), STANDARD.decode(key).unwrap());
    let (text, signatures) = note.split_at(note.rfind("\n\n").unwrap() + 1);
    let line = signatures.trim_start_matches('\n').strip_prefix("— ").unwrap().strip_suffix('\n').unwrap();
    let (signer, signature) = line.split_once(' ').unwrap();
    let signature = STANDARD.decode(signature).unwrap();
    assert_eq!((signer, &signature[..4]), (name, id.as_slice()));
    match key[0] {
        1 => {
            assert_eq!(id, sha256(&[name.as_bytes(), b"\n", &key])[..4]);
            let key = UnparsedPublicKey::new(&ED25519, &key[1..]);
            key.verify(text.as_bytes(), &signature[4..]).unwrap();
        }
        2 => {
            assert_eq!(id, sha256(&[&key[1..]])[..4]);
            // A P-256 SubjectPublicKeyInfo ends with its 65-byte point.
            let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &key[key.len() - 65..]);
            key.verify(text.as_bytes(), &signature[4..]).unwrap();
        }
        other => panic!("signature type {other}"),
    }
    let lines: Vec<&str> = text.split('\n').collect();
    assert_eq!((lines.len(), lines[0], lines[3]), (4, ORIGIN, ""));
    (lines[1].parse().unwrap(), STANDARD.decode(lines[2]).unwrap().try_into().unwrap())
}

/// Fetches every entry of a tree of this size.
async fn entries(ledger: &Ledger, size: u64) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for n in 0..size.div_ceil(256) {
        let width = (size - n * 256).min(256) as u16;
        let bundle = ledger.entries(n, width).await.unwrap().unwrap();
        let mut rest = bundle.as_slice();
        while !rest.is_empty() {
            let length = usize::from(u16::from_be_bytes([rest[0], rest[1]]));
            found.push(rest[2..2 + length].to_vec());
            rest = &rest[2 + length..];
        }
    }
    assert_eq!(found.len() as u64, size);
    found
}

/// RFC 9162 section 2.1.3.2.
fn proves(leaf: Hash, index: u64, size: u64, path: &[Hash], root: Hash) -> bool {
    let (mut fn_, mut sn, mut hash) = (index, size - 1, leaf);
    for step in path {
        if sn == 0 {
            return false;
        }
        if fn_ & 1 == 1 || fn_ == sn {
            hash = sha256(&[&[1], step, &hash]);
            while fn_ & 1 == 0 && fn_ != 0 {
                (fn_, sn) = (fn_ >> 1, sn >> 1);
            }
        } else {
            hash = sha256(&[&[1], &hash, step]);
        }
        (fn_, sn) = (fn_ >> 1, sn >> 1);
    }
    sn == 0 && hash == root
}

async fn a_stranger_reads(house: &House) {
    let note = house.checkpoint().await;
    let vkey = house.ledger.verifier_key(&house.log).unwrap();
    let (size, root) = opened(&note, &vkey);
    assert_eq!(house.ledger.checkpoint().await.unwrap().as_deref(), Some(note.as_str()));
    assert_eq!(house.ledger.head().root, root);
    let entries = entries(&house.ledger, size).await;
    let hashes: Vec<Hash> = entries.iter().map(|entry| sha256(&[&[0], entry])).collect();
    assert_eq!(mth(&hashes), root);
    // Every tile that the specification says a tree of this size has, and none beyond.
    let mut level_hashes = hashes.clone();
    for level in 0..8 {
        for (n, tile) in level_hashes.chunks(256).enumerate() {
            let there = house.ledger.tile(level, n as u64, tile.len() as u16).await.unwrap();
            assert_eq!(there.as_deref(), Some(tile.concat().as_slice()), "level {level} tile {n}");
        }
        let beyond = (level_hashes.len() / 256) as u64;
        let width = (level_hashes.len() % 256) as u16 + 1;
        assert_eq!(house.ledger.tile(level, beyond, width).await.unwrap(), None);
        level_hashes = level_hashes.chunks_exact(256).map(mth).collect();
    }
    for index in (0..size).step_by((size as usize / 40).max(1)).chain([size - 1]) {
        for size in [index + 1, size.min(index + 100), size] {
            let path = house.ledger.inclusion_proof(index, size).await.unwrap().unwrap();
            let root = mth(&hashes[..size as usize]);
            assert!(proves(hashes[index as usize], index, size, &path, root), "{index} in {size}");
        }
    }
    for (index, size) in [(size, size), (0, size + 1), (u64::MAX, u64::MAX)] {
        assert_eq!(house.ledger.inclusion_proof(index, size).await.unwrap(), None);
    }
    let leaves = house.ledger.leaves(1..4).await.unwrap();
    assert_eq!(leaves.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(leaves.iter().zip(&entries[1..]).all(|((_, leaf), entry)| leaf.as_bytes() == entry));
}

#[test]
fn a_client_that_knows_only_the_specifications_verifies_the_log() {
    on_both(|database| async move {
        let house = House::open(&database).await;
        house.issue(1).await;
        a_stranger_reads(&house).await;
        for round in [251, 1, 300] {
            for _ in 0..round {
                house.ledger.refuse(refusal()).await.unwrap();
            }
            a_stranger_reads(&house).await;
        }
    });
}

#[test]
fn a_log_of_many_tiles_is_read_the_same_after_a_restart() {
    on_sqlite(|database| async move {
        let house = House::open_with(&database, KeyKind::P256).await;
        // Above 256 * 256 leaves there is a full tile of level 1.
        for _ in 0..260 {
            let some = (0..256).map(|n| record(&format!("{n}"), None)).collect();
            house.ledger.record(some).await.unwrap();
        }
        a_stranger_reads(&house).await;
        let house = house.reopened(&database).await;
        house.issue(1).await;
        a_stranger_reads(&house).await;
        is_clean(&verified(database, None));
    });
}

#[test]
fn a_head_is_signed_only_when_it_moved() {
    on_both(|database| async move {
        let house = House::open(&database).await;
        let first = house.checkpoint().await;
        assert!(house.ledger.intend_checkpoint(&house.log).await.unwrap().is_none());
        house.issue(1).await;
        // Two at once for the same head: one stands.
        let one = house.ledger.intend_checkpoint(&house.log).await.unwrap().unwrap();
        let two = house.ledger.intend_checkpoint(&house.log).await.unwrap().unwrap();
        let one = house.pool.sign(one).await.unwrap();
        let two = house.pool.sign(two).await.unwrap();
        let note = house.ledger.conclude_checkpoint(one).await.unwrap();
        let again = house.ledger.conclude_checkpoint(two).await;
        assert!(matches!(again, Err(StoreError::NotFound(_))), "{again:?}");
        assert_eq!(house.ledger.checkpoint().await.unwrap(), Some(note.clone()));
        assert_ne!(note, first);
        is_clean(&verified(database, Some(&first)));
    });
}

#[test]
fn a_log_that_does_not_extend_its_checkpoint_is_not_signed() {
    on_sqlite(|database| async move {
        let house = House::open(&database).await;
        house.checkpoint().await;
        house.issue(1).await;
        let attack = rusqlite::Connection::open(path_of(&database)).unwrap();
        attack.execute("UPDATE head SET edge = zeroblob(length(edge))", []).unwrap();
        let intent = house.ledger.intend_checkpoint(&house.log).await;
        assert!(matches!(intent, Err(StoreError::Held(_))), "{intent:?}");
    });
}

#[test]
fn a_tile_that_another_node_signed_a_moment_ago_is_there() {
    on_both(|database| async move {
        let house = House::open(&database).await;
        let other = house.beside(&database).await;
        for n in 1..4 {
            house.issue(n).await;
            let (size, _) = opened(&house.checkpoint().await, &house.ledger.verifier_key(&house.log).unwrap());
            assert!(other.ledger.head().size < size);
            let tile = other.ledger.tile(0, 0, size as u16).await.unwrap();
            assert_eq!(tile, house.ledger.tile(0, 0, size as u16).await.unwrap());
            assert!(tile.is_some());
        }
        // What no log can have by now is not looked for.
        house.issue(4).await;
        let known = other.ledger.head();
        for (level, n) in [(0, 1_000), (3, 0), (9, 0), (0, u64::MAX)] {
            assert_eq!(other.ledger.tile(level, n, 256).await.unwrap(), None);
        }
        assert_eq!(other.ledger.head(), known);
    });
}

#[test]
fn a_tile_that_was_altered_is_not_served() {
    on_sqlite(|database| async move {
        let house = House::open(&database).await;
        for n in 0..130 {
            house.issue(n).await;
        }
        assert!(house.ledger.head().size > 256);
        let attack = rusqlite::Connection::open(path_of(&database)).unwrap();
        let (hashes, forged): (Vec<u8>, Vec<u8>) = attack
            .query_row("SELECT hashes, zeroblob(8192) FROM tile WHERE level = 0 AND n = 0", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .unwrap();
        let put =
            |tile: &[u8]| attack.execute("UPDATE tile SET hashes = ?1 WHERE level = 0 AND n = 0", [tile]).unwrap();
        put(&forged);
        let refused = house.ledger.tile(0, 0, 256).await;
        assert!(matches!(refused, Err(StoreError::Altered(_))), "{refused:?}");
        assert!(house.ledger.integrity().alarms_total > 0);
        put(&hashes);
        let first = house.ledger.tile(0, 0, 256).await.unwrap().unwrap();
        assert_eq!(first, hashes);
        // From now on in memory, once for all its readers, whatever the database says.
        put(&forged);
        let again = house.ledger.tile(0, 0, 17).await.unwrap().unwrap();
        assert_eq!((again.as_ptr(), again.len()), (first.as_ptr(), 17 * 32));
    });
}

#[test]
fn a_register_is_not_opened_under_another_log_name() {
    on_sqlite(|database| async move {
        let house = House::open(&database).await;
        house.checkpoint().await;
        house.ledger.close().await;
        let token = hsm::testing::TestToken::new("other");
        let (pool, mint) = hsm::open(token.config()).unwrap();
        let other = store::LogConfig { origin: "other.example/log".into(), state: None, instance: None };
        let refused = store::Ledger::found(database, (&pool, mint), other, policy::World::real()).await.unwrap_err();
        let says = refused.to_string();
        assert!(says.contains("ca.example/log") && says.contains("other.example/log"), "{says}");
    });
}

#[test]
fn leaves_are_the_documented_lines() {
    on_sqlite(|database| async move {
        let house = House::open(&database).await;
        let mut entry = house.entry(1);
        entry.actor = token_actor();
        let issued = house.ledger.conclude(house.signature(entry).await).await.unwrap();
        let shard = store::Shard::of_serial(&issued.serial, 16);
        for (reason, invalid) in [(store::HOLD, None), (store::RELEASED, None), (1, Some(issued.intended_at))] {
            let revocation =
                Revocation { actor: token_actor(), reason, invalid, shard, ..revocation(issued.operation) };
            house.ledger.revoke(revocation).await.unwrap();
        }
        house.ledger.refuse(RefusalEntry { actor: token_actor(), ..refusal() }).await.unwrap();
        let made = Record { actor: token_actor(), ..record("a\"\u{7}é", Some(0)) };
        house.ledger.record(vec![made]).await.unwrap();
        let mut crl = house.crl(2, "tls", None);
        crl.actor = token_actor();
        house.ledger.intend(crl).await.unwrap();
        let old = house.ledger.credential_by_operation(issued.operation).await.unwrap().unwrap();
        let details = serde_json::json!({ "renews": old.serial_hex() });
        let successor = Entry { actor: token_actor(), details, renews: old.renewal(), ..house.entry(3) };
        house.ledger.intend(successor).await.unwrap();
        let responses = hsm::Batch::new(vec![vec![1; 9], vec![2; 9]]).unwrap();
        let batch = Entry {
            kind: store::Kind::OcspBatch,
            actor: token_actor(),
            message: hsm::Message::Batch(responses),
            serial: Vec::new(),
            ..house.entry(4)
        };
        house.ledger.conclude(house.signature(batch).await).await.unwrap();
        let body = serde_json::json!({ "sealed": "seal/1 AQID" });
        let sealed = Record {
            kind: store::SEALED,
            lookup: Some("seal/1".into()),
            body,
            actor: token_actor(),
            ..record("prod/db@1.1", Some(0))
        };
        let version = house.ledger.record(vec![sealed]).await.unwrap()[0];
        let opened = vec![store::Accessed { id: "prod/db@1.1".into(), version }];
        let grant = store::GrantStamp { action: "read-secret".into(), ..grant() };
        let showing = store::Showing::Opened;
        let entry = store::AccessEntry {
            actor: token_actor(),
            grant,
            showing,
            since: None,
            until: None,
            opened,
            judged: vec![],
            used: None,
        };
        house.ledger.access(entry.clone()).await.unwrap();
        let grant = store::GrantStamp { action: "transit-decrypt".into(), ..entry.grant.clone() };
        let used = Some(store::Used { act: "decrypt", items: 100, versions: vec![1, 3] });
        house.ledger.access(store::AccessEntry { grant, used, ..entry.clone() }).await.unwrap();
        let until = Some(house.world.now().plus_secs(3_600));
        house.ledger.access(store::AccessEntry { until, ..entry.clone() }).await.unwrap();
        let since = Some(house.world.now());
        let leased = store::AccessEntry { showing: store::Showing::Leased, since, until, ..entry };
        house.ledger.access(leased).await.unwrap();
        let mut lines = String::new();
        for (_, leaf) in house.ledger.leaves(0..100).await.unwrap() {
            // Keys and signatures are fresh in every run: their hashes are not golden.
            let fingerprint = hex::encode(issued.signing_key_hash);
            let mut line = leaf.replace(&fingerprint, "<KEY>").replace(&house.log.fingerprint_hex(), "<LOG-KEY>");
            let at = line.find("\"row\":\"").map(|at| at + 7);
            if let Some(at) =
                at.filter(|_| line.contains("<KEY>") || line.contains("<LOG-KEY>") || line.contains("issued"))
            {
                line.replace_range(at..at + 64, "<ROW>");
            }
            lines.push_str(&line);
            lines.push('\n');
        }
        let golden = include_str!("leaves.golden");
        assert!(lines == golden, "tests/leaves.golden should say:\n{lines}");
    });
}
