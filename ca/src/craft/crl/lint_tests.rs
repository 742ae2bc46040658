//! The lint of CRLs: what was linted before is taken as it was and no otherwise; what is new, and all around it, is read again.

use std::sync::Arc;

use hsm::Message;
use hsm::testing::TestToken;
use policy::{Policies, Timestamp, World};
use store::{Covers, Database, Kind, Ledger, LogConfig, RevokedRow};

use super::draft::{CrlPlan, append, draft};
use super::lint::Crl;
use super::listed::Listed;
use crate::craft::lint_tests::{init, issuing, policies};
use crate::drafting::Draft;
use crate::encode::tlv;
use crate::issuers::Issuing;

const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);
const OLD: u8 = 40;
const NEW: u8 = 3;

struct Bench {
    _token: TestToken,
    issuer: Arc<Issuing>,
    policies: Policies,
    covers: Covers,
}

async fn bench() -> Bench {
    let token = TestToken::new("crl-lint");
    let (pool, mint) = hsm::open(token.config()).unwrap();
    let policies = policies();
    let issuer = Arc::new(issuing(&pool, &policies).await);
    let dir = tempfile::tempdir().unwrap();
    let log = LogConfig { origin: "log.example/crl".to_owned(), state: None, instance: None };
    let database = Database::Sqlite(dir.path().join("register.db"));
    let ledger = Ledger::found(database, (&pool, mint), log, World::fixed(NOW, 5)).await.unwrap();
    let covers = ledger.revocations("tls/1").covers;
    Bench { _token: token, issuer, policies, covers }
}

/// Entries with these numbers.
fn listed(numbers: std::ops::Range<u8>) -> Listed {
    let mut listed = Listed::default();
    for number in numbers {
        let row = RevokedRow {
            operation: number.into(),
            kind: Kind::Certificate,
            serial: vec![1, 1, 0, number],
            revoked_at: NOW,
            reason: number % 5,
            not_after: None,
            changes: false,
            invalid: None,
        };
        append(&mut listed.entries, &row).unwrap();
        listed.count += 1;
    }
    listed
}

impl Bench {
    fn draft(&self, before: Listed, added: &Listed) -> Draft<Crl> {
        let (before, issuer) = (Arc::new(before), &self.issuer);
        let plan = CrlPlan {
            issuer,
            shard: None,
            number: 7,
            before: &before,
            added,
            covers: self.covers,
            now: NOW,
            begins: NOW.plus_secs(-60),
        };
        draft(init(&self.policies), &plan).unwrap()
    }

    /// The findings about a CRL of old and new entries, bent by hand.
    fn says(&self, bend: impl FnOnce(&mut Crl, &mut Vec<u8>)) -> String {
        let mut draft = self.draft(listed(0..OLD), &listed(OLD..OLD + NEW));
        let Message::Whole(bytes) = &draft.entry.message else { panic!("whole") };
        let mut bytes = bytes.to_vec();
        bend(&mut draft.craft, &mut bytes);
        draft.entry.message = Message::from(bytes);
        draft.lint().map_or_else(|failure| failure.to_string(), |_| String::new())
    }
}

/// Where an entry's serial stands.
fn serial_of(number: u8, tbs: &[u8]) -> usize {
    tbs.windows(6).position(|window| window == [2, 4, 1, 1, 0, number]).unwrap()
}

#[tokio::test]
async fn a_crl_is_linted_whole_at_first_and_then_by_what_is_new() {
    let bench = bench().await;
    assert!(bench.draft(Listed::default(), &Listed::default()).lint().is_ok(), "an empty one");
    assert!(bench.draft(Listed::default(), &listed(0..OLD)).lint().is_ok());
    assert!(bench.draft(listed(0..OLD), &Listed::default()).lint().is_ok(), "a day later, with nothing new");
    assert_eq!(bench.says(|_, _| ()), "");
    // However it came to be, it is the same CRL.
    let at_once = bench.draft(Listed::default(), &listed(0..OLD + NEW)).entry.message;
    assert_eq!(at_once, bench.draft(listed(0..OLD), &listed(OLD..OLD + NEW)).entry.message);
}

#[tokio::test]
async fn an_entry_that_was_linted_stays_what_it_was() {
    let bench = bench().await;
    let begins = "crl-begins-with-what-was-listed";
    for number in [0, OLD / 2, OLD - 1] {
        let said = bench.says(|_, tbs| {
            let at = serial_of(number, tbs) + 5;
            tbs[at] ^= 0x40;
        });
        assert!(said.contains(begins), "{said}");
    }
    // Left out, with everything else in order.
    let said = bench.says(|craft, tbs| {
        let shorter = bench.draft(listed(1..OLD), &listed(OLD..OLD + NEW));
        let Message::Whole(bytes) = &shorter.entry.message else { panic!("whole") };
        (*tbs, craft.added) = (bytes.to_vec(), shorter.craft.added);
    });
    assert!(said.contains(begins), "{said}");
    // No list at all.
    let said = bench.says(|_, tbs| {
        let parts = tlv::parts_of_sequence(tbs).unwrap();
        *tbs = tlv::sequence(&[&parts[..5], &parts[6..]].concat()).unwrap();
    });
    assert!(said.contains(begins), "{said}");
}

#[tokio::test]
async fn what_is_new_and_all_around_it_is_read_each_time() {
    type Bend = fn(&mut Crl, &mut Vec<u8>);
    let cases: [(&str, Bend); 8] = [
        ("it does not list what is revoked", |craft, _| craft.added += 1),
        ("its number is not the planned one", |craft, _| craft.number += 1),
        ("it is not current", |craft, _| craft.now = craft.now.plus_secs(8 * 86_400)),
        // The type of a new entry's serial.
        ("x509-parser", |_, tbs| {
            let at = serial_of(OLD + 1, tbs);
            tbs[at] = 4;
        }),
        ("the list", |_, tbs| tbs.push(0)),
        ("the list", |_, tbs| tbs[1] ^= 1),
        ("it is not of version 2", |_, tbs| {
            let at = tbs.windows(3).position(|window| window == [2, 1, 1]).unwrap();
            tbs[at + 2] = 0;
        }),
        ("a critical extension", |_, tbs| {
            let mut parts: Vec<Vec<u8>> =
                tlv::parts_of_sequence(tbs).unwrap().into_iter().map(<[u8]>::to_vec).collect();
            let number = [6, 3, 0x55, 0x1d, 0x14, 4, 3, 2, 1, 7];
            let critical = [6, 3, 0x55, 0x1d, 0x14, 1, 1, 0xff, 4, 3, 2, 1, 7];
            let extensions = parts.pop().unwrap();
            let at = extensions.windows(number.len()).position(|window| window == number).unwrap();
            let content = [&extensions[4..at - 2], &tlv::sequence(&[&critical]).unwrap()].concat();
            parts.push(tlv::context(0, &tlv::sequence(&[&content]).unwrap()).unwrap());
            *tbs = tlv::sequence(&parts.iter().map(Vec::as_slice).collect::<Vec<_>>()).unwrap();
        }),
    ];
    let bench = bench().await;
    for (finding, bend) in cases {
        let said = bench.says(bend);
        assert!(said.contains(finding), "{finding}: {said}");
    }
}
