//! The lint of responses: each bend of the bytes or of what the register says is found.

use std::sync::Arc;

use hsm::testing::TestToken;
use hsm::{Batch, KeyKind, Message};
use policy::{Policies, Serial, Timestamp, Validity};
use serde_json::json;

use super::draft::{draft, times};
use super::lint::Responses;
use super::responder::{Responder, draft as draft_responder};
use super::said::{RESPONSE_SECS, Said, Wanted};
use crate::craft::lint_tests::{init, issuing, policies};
use crate::drafting::Draft;
use crate::encode::ocsp::{IdHash, Status};
use crate::error::LintFailure;

const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

struct Bench {
    _token: TestToken,
    responder: Arc<Responder>,
    other: hsm::Key,
    policies: Policies,
}

async fn bench() -> Bench {
    let token = TestToken::new("ocsp-lint");
    let (pool, _mint) = hsm::open(token.config()).unwrap();
    let policies = policies();
    let issuer = Arc::new(issuing(&pool, &policies).await);
    let key = pool.generate("tls-ocsp", KeyKind::P256).await.unwrap();
    let other = pool.generate("other", KeyKind::P256).await.unwrap();
    let validity = Validity::starting(NOW.plus_secs(-60), 86_400);
    let responder = Arc::new(Responder::new(&issuer, key, (9, vec![0x30, 0], validity)).unwrap());
    Bench { _token: token, responder, other, policies }
}

fn words(failure: &LintFailure) -> String {
    LintFailure::in_words(&failure.findings)
}

fn said(serial: &[u8], status: Status) -> Said {
    Said { hash: IdHash::Sha1, serial: serial.to_vec(), status, ends: None }
}

fn wanted() -> Vec<Wanted> {
    let revoked = Status::Revoked { at: NOW.plus_secs(-30), reason: 1 };
    let ends = Some(NOW.plus_secs(90));
    let sha256 = Said { hash: IdHash::Sha256, serial: vec![0x81, 7], status: Status::Good, ends };
    vec![
        Wanted { said: vec![said(&[1, 2], Status::Good)], nonce: None },
        Wanted { said: vec![said(&[1, 3], revoked), sha256], nonce: Some(vec![5; 32]) },
        Wanted { said: vec![said(&[1, 4], Status::Unknown)], nonce: None },
        Wanted { said: vec![said(&[1, 5], Status::Revoked { at: NOW.plus_secs(-90), reason: 0 })], nonce: None },
    ]
}

impl Bench {
    fn draft(&self) -> Draft<Responses> {
        let wanted = wanted();
        let times = times(&self.responder, NOW, &wanted).unwrap();
        draft(init(&self.policies), &self.responder, wanted, times).unwrap()
    }

    /// The findings about a batch that was bent by hand.
    fn says(&self, bend: impl FnOnce(&mut Draft<Responses>, &mut Vec<Vec<u8>>)) -> String {
        let mut draft = self.draft();
        let Message::Batch(batch) = &draft.entry.message else { panic!("a batch") };
        let mut messages: Vec<Vec<u8>> = batch.bytes().map(<[u8]>::to_vec).collect();
        bend(&mut draft, &mut messages);
        if let Some(batch) = Batch::new(messages) {
            draft.entry.message = Message::Batch(batch);
        }
        draft.lint().map_or_else(|failure| words(&failure), |_| String::new())
    }
}

#[tokio::test]
async fn what_is_right_passes_and_holds_for_as_long_as_it_may() {
    let bench = bench().await;
    assert_eq!(bench.says(|_, _| ()), "");
    let made = times(&bench.responder, NOW, &wanted()).unwrap();
    assert_eq!(made.this_update, NOW.plus_secs(-30), "not before the newest revocation it tells of");
    assert_eq!(made.next_update, bench.responder.validity.not_after(), "never past the responder's end");
    let young = Responder::new(
        &bench.responder.issuer,
        bench.other.clone(),
        (1, vec![], Validity::starting(NOW.plus_secs(-9), 30 * 86_400)),
    );
    let made = times(&young.unwrap(), NOW, &[]).unwrap();
    assert_eq!((NOW.since(made.this_update), made.next_update.since(NOW)), (9, RESPONSE_SECS));
    assert!(times(&bench.responder, NOW.plus_secs(86_400), &[]).is_err(), "its responder has ended");
}

#[tokio::test]
async fn each_bend_of_a_batch_is_found() {
    let bench = bench().await;
    type Bend = fn(&mut Draft<Responses>, &mut Vec<Vec<u8>>);
    let cases: &[(&str, Bend)] = &[
        ("what the register does not", |draft, _| draft.craft.wanted[0].said[0].status = Status::Unknown),
        ("what the register does not", |draft, _| {
            draft.craft.wanted[1].said[0].status = Status::Revoked { at: NOW.plus_secs(-30), reason: 4 };
        }),
        ("what the register does not", |draft, _| {
            draft.craft.wanted[3].said[0].status = Status::Revoked { at: NOW.plus_secs(-91), reason: 0 };
        }),
        ("another certificate", |draft, _| draft.craft.wanted[2].said[0].serial = vec![1, 9]),
        ("another hash", |draft, _| draft.craft.wanted[0].said[0].hash = IdHash::Sha256),
        ("not the one that was asked with", |draft, _| draft.craft.wanted[1].nonce = Some(vec![6; 32])),
        ("not the one that was asked with", |draft, _| draft.craft.wanted[0].nonce = Some(vec![6; 32])),
        ("not the one that was asked with", |draft, _| draft.craft.wanted[1].nonce = None),
        ("does not speak of what was asked for", |draft, _| draft.craft.wanted[1].said.truncate(1)),
        ("as many responses", |_, messages| messages.truncate(3)),
        ("what the register does not", |_, messages| messages.swap(0, 2)),
        ("cannot be read", |_, messages| messages[0].truncate(20)),
        ("cannot be read", |_, messages| messages[0].push(0)),
        ("another time", |draft, _| draft.craft.times.produced = NOW.plus_secs(1)),
        ("updates are not those", |draft, _| draft.craft.times.this_update = NOW.plus_secs(-29)),
        ("updates are not those", |draft, _| draft.craft.times.next_update = NOW.plus_secs(60)),
        ("updates are not those", |draft, _| draft.craft.wanted[1].said[1].ends = Some(NOW.plus_secs(89))),
        ("updates are not those", |draft, _| draft.craft.wanted[0].said[0].ends = Some(NOW.plus_secs(89))),
        ("not current", |draft, _| draft.craft.times.this_update = NOW.plus_secs(-61)),
        ("not current", |draft, _| draft.craft.times.next_update = NOW),
        ("outlive their responder", |draft, _| draft.craft.times.next_update = NOW.plus_secs(86_400)),
        ("hold for too long", |draft, _| draft.craft.times.next_update = NOW.plus_secs(RESPONSE_SECS + 1)),
        ("not the ledger's", |draft, _| draft.entry.validity = None),
        ("it is no batch", |draft, messages| {
            messages.clear();
            draft.entry.message = Message::from(vec![0x30, 0]);
        }),
    ];
    for (at, (finding, bend)) in cases.iter().enumerate() {
        let says = bench.says(bend);
        assert!(says.contains(finding), "{at}: `{finding}` is not in `{says}`");
    }
    let key = bench.other.clone();
    assert!(bench.says(move |draft, _| draft.entry.key = key).contains("another key than the responder's"));
    // Every byte: one that is changed is found, whatever it says then.
    for at in 0..bench.says_len() {
        for flip in [1, 0x80] {
            let says = bench.says(|_, messages| messages[1][at] ^= flip);
            assert!(!says.is_empty(), "byte {at} may be changed by {flip:#x}");
        }
    }
}

impl Bench {
    fn says_len(&self) -> usize {
        let Message::Batch(batch) = &self.draft().entry.message else { panic!("a batch") };
        batch.bytes().nth(1).unwrap().len()
    }
}

#[tokio::test]
async fn a_responders_certificate_is_held_to_what_a_responder_is() {
    let bench = bench().await;
    let issuer = bench.responder.issuer.clone();
    let make = |key: &hsm::Key| {
        let serial = Serial::from_bytes([1; 16]).unwrap();
        draft_responder(init(&bench.policies), &issuer, key, serial, (NOW, json!({}))).unwrap()
    };
    assert!(make(&bench.other).lint().is_ok());
    let replaced = |tbs: &[u8], from: &[u8], to: &[u8]| {
        let at = tbs.windows(from.len()).position(|window| window == from).unwrap();
        [&tbs[..at], to, &tbs[at + from.len()..]].concat()
    };
    let bent = |from: &[u8], to: &[u8]| {
        let mut draft = make(&bench.other);
        let Message::Whole(tbs) = &draft.entry.message else { panic!("whole") };
        draft.entry.message = Message::from(replaced(tbs, from, to));
        draft.lint().err().map_or_else(String::new, |failure| words(&failure))
    };
    // OCSPSigning (9) to timeStamping (8); nocheck (1.5) to another; digitalSignature to keyCertSign.
    let says = bent(&[0x2b, 6, 1, 5, 5, 7, 3, 9], &[0x2b, 6, 1, 5, 5, 7, 3, 8]);
    assert!(says.contains("is not a responder's"), "{says}");
    let says = bent(&[0x2b, 6, 1, 5, 5, 7, 0x30, 1, 5], &[0x2b, 6, 1, 5, 5, 7, 0x30, 1, 6]);
    assert!(says.contains("an extension that no responder has") && says.contains("nocheck"), "{says}");
    let says = bent(&[3, 2, 7, 0x80], &[3, 2, 2, 4]);
    assert!(says.contains("is not a responder's"), "{says}");
    assert!(
        make(&issuer.key)
            .lint()
            .err()
            .map_or_else(String::new, |failure| words(&failure))
            .contains("its key is its issuer's")
    );
}
