//! The lint of CRLs: what was linted before is taken as it was and no otherwise; what is new, and all around it, is read again.

use std::sync::Arc;

use const_oid::db::rfc5280;
use der::asn1::OctetString;
use der::{Decode, Encode};
use hsm::Message;
use hsm::testing::TestToken;
use policy::{Policies, Timestamp, World};
use store::{Covers, Database, Kind, Ledger, LogConfig, RevokedRow};

use spki::ObjectIdentifier;
use x509_cert::certificate::Rfc5280;
use x509_cert::crl::RevokedCert;
use x509_cert::ext::Extension;
use x509_cert::time::Time;

use super::draft::{CrlPlan, append, draft};
use super::lint::Crl;
use super::listed::Listed;
use crate::craft::lint_tests::{init, issuing, policies};
use crate::drafting::Draft;
use crate::encode::tlv;
use crate::encode::x509::{authority_key_identifier, time};
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
    bench_with(false).await
}

async fn bench_with(deltas: bool) -> Bench {
    let token = TestToken::new("crl-lint");
    let (pool, mint) = hsm::open(token.config()).unwrap();
    let policies = policies();
    let mut issuer = issuing(&pool, &policies).await;
    issuer.form.deltas = deltas;
    let issuer = Arc::new(issuer);
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
            revoked_at: NOW.plus_secs(-100),
            reason: number % 5,
            not_after: None,
            changes: false,
            invalid: None,
        };
        append(&mut listed.entries, &row, row.revoked_at).unwrap();
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
            since: None,
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
        ("crl-lists-what-is-revoked", |craft, _| craft.added += 1),
        ("crl-number-is-the-planned", |craft, _| craft.number += 1),
        ("crl-is-current", |craft, _| craft.now = craft.now.plus_secs(8 * 86_400)),
        // The type of a new entry's serial.
        ("crl-is-readable", |_, tbs| {
            let at = serial_of(OLD + 1, tbs);
            tbs[at] = 4;
        }),
        ("crl-begins-with-what-was-listed", |_, tbs| tbs.push(0)),
        ("crl-begins-with-what-was-listed", |_, tbs| tbs[1] ^= 1),
        ("crl-is-version-2", |_, tbs| {
            let at = tbs.windows(3).position(|window| window == [2, 1, 1]).unwrap();
            tbs[at + 2] = 0;
        }),
        ("crl-extensions-are-not-critical", |_, tbs| {
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

type Tbs = x509_cert::crl::TbsCertList<Rfc5280>;

fn bent_extension(tbs: &mut Tbs, oid: ObjectIdentifier, bend: impl FnOnce(&mut Extension)) {
    bend(tbs.crl_extensions.iter_mut().flatten().find(|e| e.extn_id == oid).expect("it is there"));
}

fn scope(tbs: &mut Tbs, critical: bool, value: &[u8]) {
    let oid = rfc5280::ID_CE_ISSUING_DISTRIBUTION_POINT;
    let extension = Extension { extn_id: oid, critical, extn_value: OctetString::new(value).unwrap() };
    tbs.crl_extensions.get_or_insert_default().push(extension);
}

fn entry(tbs: &mut Tbs) -> &mut RevokedCert<Rfc5280> {
    tbs.revoked_certificates.as_mut().unwrap().last_mut().unwrap()
}

/// The reason of the last entry.
fn reason(tbs: &mut Tbs, critical: bool, code: u8) {
    let value = OctetString::new([0x0a, 1, code]).unwrap();
    let extension = Extension { extn_id: rfc5280::ID_CE_CRL_REASONS, critical, extn_value: value };
    entry(tbs).crl_entry_extensions = Some(vec![extension]);
}

#[tokio::test]
async fn each_of_24_broken_fields_of_a_crl_is_caught_by_its_lint() {
    type Bend = fn(&mut Tbs);
    let number = rfc5280::ID_CE_CRL_NUMBER;
    let rows: [(&str, &str, Bend); 24] = [
        ("version", "crl-is-version-2", |t| t.version = x509_cert::certificate::Version::V1),
        ("algorithm", "crl-algorithm-is-the-issuers-keys", |t| {
            t.signature.oid = const_oid::db::rfc5912::ECDSA_WITH_SHA_384
        }),
        ("issuer", "crl-issuer-is-its-issuers-subject", |t| t.issuer = "CN=Other".parse().unwrap()),
        ("issuer, none", "crl-names-its-issuer", |t| t.issuer = Default::default()),
        ("thisUpdate", "crl-updates-are-the-ledgers", |t| t.this_update = time(NOW.plus_secs(-61)).unwrap()),
        ("thisUpdate, later", "crl-is-current", |t| t.this_update = time(NOW.plus_secs(1)).unwrap()),
        ("thisUpdate, its type", "crl-times-are-of-the-right-type", |t| {
            let unix = t.this_update.to_unix_duration();
            t.this_update = Time::GeneralTime(der::asn1::GeneralizedTime::from_unix_duration(unix).unwrap());
        }),
        ("nextUpdate, none", "crl-says-when-the-next-comes", |t| t.next_update = None),
        ("nextUpdate, before", "crl-says-when-the-next-comes", |t| {
            t.next_update = Some(time(NOW.plus_secs(-70)).unwrap())
        }),
        ("list, one less", "crl-lists-what-is-revoked", |t| drop(t.revoked_certificates.as_mut().unwrap().pop())),
        ("list, empty", "crl-has-no-empty-list", |t| t.revoked_certificates.as_mut().unwrap().clear()),
        ("list, one twice", "crl-serials-stand-once", |t| {
            let list = t.revoked_certificates.as_mut().unwrap();
            list.push(list[0].clone());
        }),
        ("entry, its date", "crl-revocations-are-past", |t| entry(t).revocation_date = time(NOW.plus_secs(9)).unwrap()),
        ("entry, no reason", "crl-reasons-are-said-or-left-out", |t| reason(t, false, 0)),
        ("entry, removed", "crl-removes-in-deltas-alone", |t| reason(t, false, 8)),
        ("entry, critical", "crl-entries-are-not-critical", |t| reason(t, true, 1)),
        ("number, none", "crl-has-a-number", |t| {
            t.crl_extensions.as_mut().unwrap().retain(|e| e.extn_id != rfc5280::ID_CE_CRL_NUMBER)
        }),
        ("number, another", "crl-number-is-the-planned", |t| {
            bent_extension(t, rfc5280::ID_CE_CRL_NUMBER, |e| e.extn_value = OctetString::new([2, 1, 8]).unwrap());
        }),
        ("authorityKeyIdentifier, none", "crl-issuer-key-is-named", |t| {
            t.crl_extensions.as_mut().unwrap().retain(|e| e.extn_id != rfc5280::ID_CE_AUTHORITY_KEY_IDENTIFIER);
        }),
        ("authorityKeyIdentifier, another", "crl-authority-key-identifier-is-the-issuers", |t| {
            let other = authority_key_identifier(&[1; 20]).unwrap();
            bent_extension(t, rfc5280::ID_CE_AUTHORITY_KEY_IDENTIFIER, |e| *e = other);
        }),
        ("authorityKeyIdentifier, critical", "crl-pointers-are-not-critical", |t| {
            bent_extension(t, rfc5280::ID_CE_AUTHORITY_KEY_IDENTIFIER, |e| e.critical = true);
        }),
        ("scope, of nothing", "crl-scope-is-sound", |t| scope(t, true, &[0x30, 0])),
        ("scope, not critical", "crl-scope-is-critical", |t| scope(t, false, &[0x30, 3, 0x81, 1, 0xff])),
        ("an extension twice", "extensions-stand-once", |t| {
            let list = t.crl_extensions.as_mut().unwrap();
            list.push(list[0].clone());
        }),
    ];
    let bench = bench().await;
    let lint = |bend: &dyn Fn(&mut Tbs)| {
        let mut draft = bench.draft(Listed::default(), &listed(1..4));
        let Message::Whole(bytes) = &draft.entry.message else { panic!("whole") };
        let mut tbs = Tbs::from_der(bytes).unwrap();
        bend(&mut tbs);
        draft.entry.message = Message::from(tbs.to_der().unwrap());
        draft.lint().map(|_| ())
    };
    assert!(lint(&|_| ()).is_ok(), "{:?}", lint(&|_| ()));
    assert!(lint(&|t| bent_extension(t, number, |e| e.critical = true)).is_err());
    for (field, name, bend) in rows {
        let failure = lint(&bend).expect_err(field);
        let found = failure.findings.iter().any(|finding| finding.lint.name == name);
        assert!(found, "{field}: {name} is not among: {failure}");
    }
}

/// An INTEGER below an OID.
fn numbered(oid: ObjectIdentifier, critical: bool, number: u8) -> Extension {
    Extension { extn_id: oid, critical, extn_value: OctetString::new([2, 1, number]).unwrap() }
}

fn drop_extension(tbs: &mut Tbs, oid: ObjectIdentifier) {
    tbs.crl_extensions.as_mut().unwrap().retain(|e| e.extn_id != oid);
}

#[tokio::test]
async fn a_delta_and_what_it_rests_on_are_told_apart_and_each_says_what_it_has_to() {
    type Bend = fn(&mut Tbs);
    let (base, freshest) = (rfc5280::ID_CE_DELTA_CRL_INDICATOR, rfc5280::ID_CE_FRESHEST_CRL);
    let bench = bench_with(true).await;
    let lint = |rests_on: Option<u64>, bend: &dyn Fn(&mut Tbs)| {
        let mut draft = bench.draft(Listed::default(), &listed(1..4));
        let Message::Whole(bytes) = &draft.entry.message else { panic!("whole") };
        let mut tbs = Tbs::from_der(bytes).unwrap();
        draft.craft.base = rests_on;
        if let Some(number) = rests_on {
            drop_extension(&mut tbs, freshest);
            tbs.crl_extensions.as_mut().unwrap().push(numbered(base, true, number as u8));
            // What was released is removed by a delta, and by nothing else.
            reason(&mut tbs, false, 8);
        }
        bend(&mut tbs);
        draft.entry.message = Message::from(tbs.to_der().unwrap());
        draft.lint().map_or_else(|failure| failure.to_string(), |_| String::new())
    };
    assert_eq!((lint(None, &|_| ()), lint(Some(6), &|_| ())), (String::new(), String::new()));
    let rows: [(&str, Option<u64>, Bend); 10] = [
        ("crl-points-to-its-deltas", None, |t| drop_extension(t, rfc5280::ID_CE_FRESHEST_CRL)),
        ("crl-points-to-its-deltas", None, |t| {
            bent_extension(t, rfc5280::ID_CE_FRESHEST_CRL, |e| {
                *e = crate::issuers::freshest("http://pki.example/crl/tls/2/0.delta.crl").unwrap();
            });
        }),
        ("crl-freshest-is-of-complete-crls", None, |t| {
            bent_extension(t, rfc5280::ID_CE_FRESHEST_CRL, |e| e.critical = true);
        }),
        ("crl-delta-names-its-base", None, |t| {
            let indicator = numbered(rfc5280::ID_CE_DELTA_CRL_INDICATOR, true, 6);
            t.crl_extensions.as_mut().unwrap().push(indicator);
        }),
        ("crl-freshest-is-of-complete-crls", Some(6), |t| {
            let place = crate::issuers::freshest("http://pki.example/crl/tls/1/0.delta.crl").unwrap();
            t.crl_extensions.as_mut().unwrap().push(place);
        }),
        ("crl-delta-names-its-base", Some(6), |t| drop_extension(t, rfc5280::ID_CE_DELTA_CRL_INDICATOR)),
        ("crl-removes-in-deltas-alone", Some(6), |t| drop_extension(t, rfc5280::ID_CE_DELTA_CRL_INDICATOR)),
        ("crl-delta-names-its-base", Some(6), |t| {
            bent_extension(t, rfc5280::ID_CE_DELTA_CRL_INDICATOR, |e| *e = numbered(e.extn_id, true, 5));
        }),
        ("crl-scope-is-critical", Some(6), |t| {
            bent_extension(t, rfc5280::ID_CE_DELTA_CRL_INDICATOR, |e| e.critical = false);
        }),
        // Its own number is 7.
        ("crl-delta-follows-its-base", Some(7), |_| ()),
    ];
    for (name, rests_on, bend) in rows {
        let said = lint(rests_on, &bend);
        assert!(said.contains(name), "{name} of {rests_on:?}: {said}");
    }
}
