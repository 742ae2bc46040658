//! What an auditor finds in a log whose every byte holds: leaves that no honest node appends.

mod support;

use policy::Timestamp;
use store::{ActorStamp, Entry, Record, Revocation, TextKind};
use support::found::{append_again, clean, finds};
use support::*;

#[test]
fn what_no_honest_node_appends_is_found() {
    // A record's first version once more, over the second; a second conclusion; a second revocation.
    let cases = [
        ("record", "", "record", "replaces version 0"),
        ("conclusion", "conclusion_op", "conclusion", "is concluded already"),
        ("revocation", "revocation_op", "revocation", "is revoked already"),
    ];
    for (table, index, what, says) in cases {
        on_sqlite(|database| async move {
            let house = House::open(&database).await;
            let first = house.ledger.record(vec![record("a", Some(0))]).await.unwrap();
            house.ledger.record(vec![record("a", Some(first[0]))]).await.unwrap();
            let issued = house.issue(1).await;
            let revoked = house.ledger.revoke(revocation(issued.operation)).await.unwrap();
            house.ledger.close().await;
            clean(&database);
            let of = match table {
                "record" => first[0] - 1,
                "conclusion" => issued.operation + 1,
                _ => revoked,
            };
            append_again(&database, of, table, index);
            finds(&database, what, says);
        });
    }
}

#[test]
fn a_crl_that_covers_less_than_the_one_before_is_found() {
    on_sqlite(|database| async move {
        let house = House::open(&database).await;
        let issued = house.issue(1).await;
        let first = house.ledger.intend(house.crl(10, "tls", None)).await.unwrap().operation();
        house.ledger.revoke(revocation(issued.operation)).await.unwrap();
        house.ledger.intend(house.crl(11, "tls", None)).await.unwrap();
        house.ledger.close().await;
        clean(&database);
        append_again(&database, first, "intent", "intent_serial");
        finds(&database, "crl", "would cover less");
    });
}

#[test]
fn a_crl_whose_cover_is_not_what_the_log_holds_is_found() {
    on_sqlite(|database| async move {
        let house = House::open(&database).await;
        let (one, two) = (house.issue(1).await, house.issue(2).await);
        house.ledger.revoke(revocation(one.operation)).await.unwrap();
        // Revocations that come between the draft of a CRL and its leaf are the next one's.
        let early = house.crl(10, "tls", None);
        house.ledger.revoke(revocation(two.operation)).await.unwrap();
        house.ledger.intend(early).await.unwrap();
        clean(&database);
        // The cover of one issuer in the CRL of another.
        let covers = house.crl(11, "tls", None).covers;
        house.ledger.intend(Entry { covers, ..house.crl(11, "root", None) }).await.unwrap();
        finds(&database, "crl", "says 2 revocations of root, there were 0");
        house.ledger.close().await;
    });
    on_sqlite(|database| async move {
        let house = House::open(&database).await;
        house.ledger.intend(Entry { covers: None, ..house.crl(11, "tls", None) }).await.unwrap();
        finds(&database, "crl", "does not say what it covers");
    });
}

#[test]
fn a_crl_is_held_against_the_revocations_below_it() {
    type Listed = Vec<(Vec<u8>, Timestamp, u8)>;
    type Lie = (&'static str, fn(&mut Listed));
    let lies: [Lie; 5] = [
        ("does not list", |listed| drop(listed.pop())),
        ("lists 0101000000000000000000000000002a, which was not revoked", |l| l.push((serial(42), l[0].1, 1))),
        ("lists 01010000000000000000000000000001, which was not revoked", |l| l.push(l[0].clone())),
        ("another date or reason", |listed| listed[1].1 = listed[1].1.plus_secs(1)),
        ("another date or reason", |listed| listed[0].2 = 0),
    ];
    for (says, lie) in lies {
        on_sqlite(|database| async move {
            let house = House::open(&database).await;
            for n in 1..=2 {
                let issued = house.issue(n).await;
                house.ledger.revoke(revocation(issued.operation)).await.unwrap();
            }
            // No CRL lists an SSH certificate.
            let ssh = Entry { kind: store::Kind::SshUser, ..house.entry(3) };
            let ssh = house.ledger.conclude(house.signature(ssh).await).await.unwrap();
            let mut listed: Listed = house
                .ledger
                .revocations("tls")
                .rows
                .iter()
                .map(|row| (row.serial.clone(), row.revoked_at, row.reason))
                .collect();
            house.ledger.revoke(revocation(ssh.operation)).await.unwrap();
            house.ledger.intend(house.crl(10, "tls", Some(&listed))).await.unwrap();
            clean(&database);
            lie(&mut listed);
            house.ledger.intend(house.crl(11, "tls", Some(&listed))).await.unwrap();
            finds(&database, "crl", says);
        });
    }
}

/// `entry(1)` ends two days after the start of time here.
#[test]
fn a_revoked_certificate_leaves_the_crl_two_weeks_after_its_end_and_no_sooner() {
    on_sqlite(|database| async move {
        let house = House::open(&database).await;
        let issued = house.issue(1).await;
        house.ledger.revoke(revocation(issued.operation)).await.unwrap();
        let end = issued.validity.unwrap().not_after();
        house.world.set(end.plus_secs(14 * 86_400));
        house.ledger.intend(house.crl(10, "tls", Some(&[]))).await.unwrap();
        finds(&database, "crl", "does not list 01010000000000000000000000000001");
        house.world.set(end.plus_secs(14 * 86_400 + 1));
        house.ledger.intend(house.crl(11, "tls", Some(&[]))).await.unwrap();
        finds(&database, "crl", "does not list 01010000000000000000000000000001");
    });
}

async fn act(house: &House, actor: ActorStamp, n: u64) {
    house.ledger.intend(Entry { actor, ..house.entry(n) }).await.unwrap();
}

#[test]
fn a_token_that_was_not_recorded_below_is_found() {
    on_sqlite(|database| async move {
        let house = House::open(&database).await;
        act(&house, token_actor(), 1).await;
        house.ledger.record(vec![token_record(house.world.now().plus_secs(60), None)]).await.unwrap();
        act(&house, token_actor(), 2).await;
        finds(&database, "actor", "leaf idx=2 column bytes: `token:ops` by token `0123456789abcdef`: no such token");
    });
}

#[test]
fn a_token_acts_for_its_own_name_and_not_after_its_end() {
    let another = ActorStamp { id: "token:admin".into(), ..token_actor() };
    on_sqlite(|database| async move {
        let house = House::open(&database).await;
        house.ledger.record(vec![token_record(house.world.now().plus_secs(60), None)]).await.unwrap();
        act(&house, another, 1).await;
        finds(&database, "actor", "the token is that of `token:ops`");
    });
    for revoked in [false, true] {
        on_sqlite(|database| async move {
            let house = House::open(&database).await;
            let start = house.world.now();
            let expires = if revoked { start.plus_secs(1_000_000) } else { start };
            house.ledger.record(vec![token_record(expires, None)]).await.unwrap();
            if revoked {
                house.ledger.record(vec![token_record(expires, Some(start))]).await.unwrap();
            }
            // What was asked for before the end goes on by itself.
            house.world.set(start.plus_secs(600));
            act(&house, token_actor(), 1).await;
            clean(&database);
            house.world.set(start.plus_secs(601));
            house
                .ledger
                .revoke(Revocation { actor: token_actor(), ..revocation(3 + u64::from(revoked)) })
                .await
                .unwrap();
            finds(&database, "actor", if revoked { "ended at 2026-09-21" } else { "expired at 2026-09-21" });
        });
    }
    on_sqlite(|database| async move {
        let house = House::open(&database).await;
        let now = house.world.now();
        for revoked_at in [None, Some(now), None] {
            house.ledger.record(vec![token_record(now.plus_secs(60), revoked_at)]).await.unwrap();
        }
        finds(&database, "record", "gives back a token that was revoked");
    });
}

#[test]
fn a_client_certificate_logs_in_while_it_is_live() {
    for revoked in [false, true] {
        on_sqlite(|database| async move {
            let house = House::open(&database).await;
            let login = Entry { profile: "tls-client".into(), ..house.entry(1) };
            let intent = house.ledger.intend(login).await.unwrap();
            let hex = hex::encode(serial(1));
            let proof = "client-certificate".to_owned();
            let actor = ActorStamp { id: format!("cert:{hex}"), proof, proof_id: hex.clone() };
            let signature = house.pool.sign(intent).await.unwrap();
            let issued = house.ledger.conclude(signature).await.unwrap();
            act(&house, actor.clone(), 2).await;
            let end = if revoked {
                house.ledger.revoke(revocation(issued.operation)).await.unwrap();
                house.world.now()
            } else {
                issued.validity.unwrap().not_after()
            };
            house.world.set(end.plus_secs(600));
            act(&house, actor.clone(), 3).await;
            clean(&database);
            house.world.set(end.plus_secs(601));
            act(&house, actor, 4).await;
            finds(&database, "actor", if revoked { "ended at" } else { "expired at" });
        });
    }
    on_sqlite(|database| async move {
        let house = House::open(&database).await;
        // A server's certificate logs nobody in; nor does one that nobody signed yet.
        house.issue(1).await;
        house.ledger.intend(Entry { profile: "tls-client".into(), ..house.entry(2) }).await.unwrap();
        for n in [1, 2] {
            let hex = hex::encode(serial(n));
            let proof = "client-certificate".to_owned();
            act(&house, ActorStamp { id: format!("cert:{hex}"), proof, proof_id: hex }, 10 + n).await;
        }
        let report = verified(database, None);
        let text = shown(&report);
        assert!(report.findings_total == 2 && text.contains("no such login") && text.contains("not issued"), "{text}");
    });
}

fn account(id: &str, key: &str, status: &str) -> Record {
    let body = serde_json::json!({ "id": id, "status": status, "key": {}, "contact": [] });
    let actor = acme_actor(id, key);
    Record { kind: "acme-account", body, actor, lookup: Some(key.into()), ..record(id, None) }
}

fn acme_actor(id: &str, key: &str) -> ActorStamp {
    ActorStamp { id: format!("acme:{id}"), proof: "acme-key".into(), proof_id: key.into() }
}

#[test]
fn an_acme_account_acts_with_the_key_it_has() {
    for ended_by in
        [Record { actor: acme_actor("a", "k1"), ..account("a", "k2", "valid") }, account("a", "k1", "deactivated")]
    {
        on_sqlite(|database| async move {
            let house = House::open(&database).await;
            // A new account proves itself by the key it brings.
            house.ledger.record(vec![account("a", "k1", "valid")]).await.unwrap();
            act(&house, acme_actor("a", "k1"), 1).await;
            house.ledger.record(vec![ended_by]).await.unwrap();
            act(&house, acme_actor("a", "k1"), 2).await;
            clean(&database);
            house.world.advance(601);
            act(&house, acme_actor("a", "k1"), 3).await;
            finds(&database, "actor", "ended at");
        });
    }
    on_sqlite(|database| async move {
        let house = House::open(&database).await;
        house.ledger.record(vec![account("a", "k1", "valid")]).await.unwrap();
        // Another account's key, and a key that is nobody's; an account is not taken over with a key of one's own.
        act(&house, acme_actor("b", "k1"), 1).await;
        act(&house, acme_actor("c", "k3"), 2).await;
        house.ledger.record(vec![account("a", "k4", "valid")]).await.unwrap();
        let report = verified(database, None);
        let actors = report.findings.iter().filter(|finding| finding.what == "actor").count();
        assert_eq!((actors, report.findings_total), (3, 3), "{}", shown(&report));
    });
}

#[test]
fn a_certificates_own_key_revokes_that_certificate_alone() {
    on_sqlite(|database| async move {
        let house = House::open(&database).await;
        let (one, two) = (house.issue(1).await, house.issue(2).await);
        let of = |serial: String| ActorStamp { id: format!("acme-certificate-key:{serial}"), ..acme_actor("", "k") };
        house.ledger.revoke(Revocation { actor: of(one.serial_hex()), ..revocation(one.operation) }).await.unwrap();
        clean(&database);
        house.ledger.revoke(Revocation { actor: of(one.serial_hex()), ..revocation(two.operation) }).await.unwrap();
        finds(&database, "actor", "revokes another");
    });
}

#[test]
fn a_word_that_is_no_proof_is_found() {
    on_sqlite(|database| async move {
        let house = House::open(&database).await;
        act(&house, ActorStamp { proof: "trust-me".into(), ..actor() }, 1).await;
        finds(&database, "actor", "is no way to prove oneself");
    });
}

#[test]
fn a_hash_without_its_text_is_found_once_texts_are_kept() {
    on_both(|database| async move {
        let house = House::open(&database).await;
        let shaped_by = |n: u64, text: &str| Entry { profile_hash: text_hash(text), ..house.entry(n) };
        // A register that keeps none is not judged by them.
        house.ledger.refuse(refusal()).await.unwrap();
        clean(&database);
        for _ in 0..2 {
            house.ledger.record_text(TextKind::Profile, "a", &actor()).await.unwrap();
        }
        assert_eq!(house.ledger.head().size, 4, "two keys, a refusal, and the text once");
        house.ledger.intend(shaped_by(1, "a")).await.unwrap();
        clean(&database);
        // A long one is in parts; what was kept is read again.
        let long = "é\u{1}\"".repeat(10_000);
        house.ledger.record_text(TextKind::Profile, &long, &actor()).await.unwrap();
        house.ledger.intend(shaped_by(2, &long)).await.unwrap();
        clean(&database);
        let hash = text_hash(&long);
        assert_eq!(house.ledger.text(TextKind::Profile, &hash).await.unwrap(), Some(long));
        assert_eq!(house.ledger.text(TextKind::Policy, &hash).await.unwrap(), None);
        let size = house.ledger.head().size;
        house.ledger.intend(shaped_by(3, "b")).await.unwrap();
        house.ledger.intend(shaped_by(4, "b")).await.unwrap();
        // Too late is not below.
        house.ledger.record_text(TextKind::Profile, "b", &actor()).await.unwrap();
        finds(
            &database,
            "text",
            &format!("leaf idx={size} column bytes: no profile-text of {}", hex::encode(text_hash("b"))),
        );
    });
}

#[test]
fn a_text_that_is_not_that_of_its_hash_is_found() {
    let body = |parts: u64, text: &str| serde_json::json!({ "part": 0, "parts": parts, "text": text });
    for (id, body, says) in [
        (hex::encode(text_hash("a")), body(1, "another"), "is not the text of its hash"),
        (format!("{}.1", hex::encode(text_hash("a"))), body(2, "a"), "does not follow the part before it"),
        (hex::encode(text_hash("a")), serde_json::json!({}), "is no part of a text"),
    ] {
        on_sqlite(|database| async move {
            let house = House::open(&database).await;
            let text = Record { kind: "profile-text", id, body, ..record("text", Some(0)) };
            house.ledger.record(vec![text]).await.unwrap();
            finds(&database, "text", says);
            let read = house.ledger.text(TextKind::Profile, &text_hash("a")).await;
            assert!(!matches!(read, Ok(Some(_))), "{read:?}");
        });
    }
}

/// What the leaf of a successor says decides, and what its details say is what people read: they are one.
#[test]
fn a_successor_that_does_not_say_what_it_renews_is_found() {
    for case in 0..3 {
        on_sqlite(|database| async move {
            let house = House::open(&database).await;
            let (one, two) = (house.issue(1).await, house.issue(2).await);
            let renewal = async |op: u64| house.ledger.credential_by_operation(op).await.unwrap().unwrap().renewal();
            let (of, says) = if case == 0 { (one.operation, &one) } else { (two.operation, &one) };
            let details = serde_json::json!({ "renews": says.serial_hex() });
            let successor = Entry { details, renews: renewal(of).await, ..house.entry(3) };
            match case {
                0 | 1 => drop(house.ledger.intend(successor).await.unwrap()),
                _ => {
                    for half in [
                        Entry { renews: None, ..successor.clone() },
                        Entry { details: serde_json::json!({}), ..successor },
                    ] {
                        let refused = house.ledger.intend(half).await;
                        assert!(matches!(refused, Err(store::StoreError::Invalid(_))), "{refused:?}");
                    }
                }
            }
            house.checkpoint().await;
            match case {
                1 => finds(&database, "intent", "do not name one certificate"),
                _ => clean(&database),
            }
        });
    }
}
