//! Revocation and CRLs, judged by openssl.

mod crls;
mod many;

use std::collections::{BTreeMap, BTreeSet};

use ca::{CaError, Ending, Profiles, RevocationReason};
use policy::{Actor, Role, World};
use store::{Filter, Kind, Source, State};

use crate::house::{House, accepts, actor, admin, refuses, server_request};

async fn crl_text(house: &House, issuer: &str) -> String {
    let crl = house.file("crl.der", house.authority.crl(issuer).await.unwrap());
    accepts("openssl", &[&"crl", &"-in", &crl, &"-inform", &"DER", &"-noout", &"-text"])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_certificate_is_on_the_crl_when_revoke_returns() {
    let house = House::new().await;
    let (good, bad) = (house.server(&["www.example.com"]).await, house.server(&["www.example.com"]).await);
    house.authority.revoke(&admin(), &bad.serial_hex(), RevocationReason::KeyCompromise).await.unwrap();

    let mut crls = house.authority.crl("root").await.map(|der| house.file("root.crl", der)).map(pem_of).unwrap();
    crls += &pem_of(house.file("tls.crl", house.authority.crl("tls").await.unwrap()));
    let crls = house.file("crls.pem", crls);
    for (issued, is_good) in [(&good, true), (&bad, false)] {
        let (leaf, chain, roots) = house.chain_files(issued);
        let args: [&dyn AsRef<std::ffi::OsStr>; 10] = [
            &"verify",
            &"-x509_strict",
            &"-crl_check_all",
            &"-CRLfile",
            &crls,
            &"-CAfile",
            &roots,
            &"-untrusted",
            &chain,
            &leaf,
        ];
        match is_good {
            true => drop(accepts("openssl", &args)),
            false => assert!(refuses("openssl", &args).contains("revoked")),
        }
    }
    let text = crl_text(&house, "tls").await;
    assert!(text.contains("Key Compromise") && text.contains("X509v3 CRL Number"), "{text}");
    let found = house.ledger.credential(&bad.serial_hex()).await.unwrap().unwrap();
    assert_eq!((found.state, found.reason), (State::Revoked, Some(1)));
}

fn pem_of(der: std::path::PathBuf) -> String {
    accepts("openssl", &[&"crl", &"-inform", &"DER", &"-in", &der, &"-outform", &"PEM"])
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unspecified_reason_is_left_out() {
    let house = House::new().await;
    let issued = house.server(&["www.example.com"]).await;
    house.authority.revoke(&admin(), &issued.serial_hex(), RevocationReason::Unspecified).await.unwrap();
    let text = crl_text(&house, "tls").await;
    assert!(text.to_lowercase().contains(&issued.serial_hex().trim_start_matches('0').to_owned()), "{text}");
    assert!(!text.contains("Reason Code"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_revoked_is_said_so() {
    let house = House::new().await;
    let issued = house.server(&["www.example.com"]).await;
    let serial = issued.serial_hex();
    let stranger = house.authority.revoke(&actor("otto", Role::Auditor), &serial, RevocationReason::Superseded).await;
    assert!(matches!(stranger, Err(CaError::Refused(_))));
    house.authority.revoke(&admin(), &serial, RevocationReason::Superseded).await.unwrap();
    let again = house.authority.revoke(&admin(), &serial, RevocationReason::PrivilegeWithdrawn).await;
    assert!(matches!(again, Err(CaError::Conflict(_))));
    let renewed = house.authority.renew(&admin(), &serial, None).await;
    assert!(matches!(renewed, Err(CaError::Conflict(_))));
    for missing in ["00", "", "xyz", "ffffffffffffffffffffffffffffffff"] {
        let gone = house.authority.revoke(&admin(), missing, RevocationReason::Superseded).await;
        assert!(matches!(gone, Err(CaError::NotFound(_))), "{missing}");
    }
    let crl = house.ledger.newest_crl("tls/1").await.unwrap().unwrap();
    assert!(house.authority.revoke(&admin(), &crl.serial_hex(), RevocationReason::Superseded).await.is_err());
    assert!(matches!(house.authority.crl("nobody").await, Err(CaError::NotFound(_))));
}

/// A leaked key does not get better with a new certificate, whoever asks and by whichever way.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_issued_for_a_compromised_key() {
    let house = House::new().await;
    let mut request = server_request(&["www.example.com"]);
    request.renew = true;
    let issued = house.authority.certify(&admin(), request.clone()).await.unwrap();
    let other = house.authority.certify(&admin(), request.clone()).await.unwrap();
    house.authority.certify(&admin(), request.clone()).await.unwrap();
    house.authority.revoke(&admin(), &issued.serial_hex(), RevocationReason::KeyCompromise).await.unwrap();
    let is_refused = |outcome: Result<store::Issued, CaError>| match outcome {
        Err(CaError::BadRequest { what: "key", detail }) => assert!(detail.contains("compromised"), "{detail}"),
        other => panic!("{other:?}"),
    };
    is_refused(house.authority.certify(&admin(), request.clone()).await);
    is_refused(house.authority.renew(&admin(), &other.serial_hex(), None).await);
    // Another process learns it from the register.
    let reopened = house.reopened(ca::Profiles::load(ca::Profiles::shipped()).unwrap()).await;
    is_refused(reopened.certify(&admin(), request).await);
    // A new key, and a key that was merely replaced, are fine.
    let fresh = house.server(&["www.example.com"]).await;
    house.authority.revoke(&admin(), &fresh.serial_hex(), RevocationReason::Superseded).await.unwrap();
    house.server(&["www.example.com"]).await;

    let leaked = crate::code::key_request("leaked", hsm::KeyKind::P256);
    let code = house.authority.create_code_key(&admin(), leaked.clone()).await.unwrap();
    house.authority.revoke(&admin(), &code.serial_hex(), RevocationReason::KeyCompromise).await.unwrap();
    is_refused(house.authority.create_code_key(&admin(), leaked).await);
}

/// One key, one hash: what was compromised in one dress is refused in every other.
#[tokio::test(flavor = "multi_thread")]
async fn a_compromised_key_is_refused_in_whatever_dress() {
    let house = House::new().await;
    let is_refused = |outcome: Result<(), CaError>| match outcome {
        Err(CaError::BadRequest { what: "key", detail }) => assert!(detail.contains("compromised"), "{detail}"),
        other => panic!("{other:?}"),
    };
    for kind in [
        &["-t", "ed25519"][..],
        &["-t", "ecdsa", "-b", "256"],
        &["-t", "ecdsa", "-b", "384"],
        &["-t", "ecdsa", "-b", "521"],
        &["-t", "rsa"],
    ] {
        let name = kind.join("");
        let line = crate::ssh::ssh_key(&house, &name, &[kind, &["-m", "PKCS8"]].concat());
        let key = house.dir.path().join(&name);
        let csr = csr_of(&house, &key);
        let tls = || ca::CertifyRequest { csr: csr.clone(), ..server_request(&[]) };
        let ssh = || crate::ssh::request(line.clone(), &["alice"]);
        let host = || crate::ssh::request(line.clone(), &["host.example.internal"]);
        match kind.len() {
            // Compromised as an SSH key, refused for TLS ...
            2 => {
                let issued = house.authority.sign_ssh_user(&admin(), ssh()).await.unwrap().issued;
                house.authority.certify(&admin(), tls()).await.unwrap();
                house.authority.revoke(&admin(), &issued.serial_hex(), RevocationReason::KeyCompromise).await.unwrap();
            }
            // ... and the other way round.
            _ => {
                let issued = house.authority.certify(&admin(), tls()).await.unwrap();
                assert_eq!(
                    issued.key_hash,
                    house.authority.sign_ssh_user(&admin(), ssh()).await.unwrap().issued.key_hash
                );
                house.authority.revoke(&admin(), &issued.serial_hex(), RevocationReason::KeyCompromise).await.unwrap();
            }
        }
        is_refused(house.authority.certify(&admin(), tls()).await.map(drop));
        is_refused(house.authority.sign_ssh_user(&admin(), ssh()).await.map(drop));
        is_refused(house.authority.sign_ssh_host(&admin(), host()).await.map(drop));
    }
}

/// A CSR by openssl for an SSH key of any kind.
fn csr_of(house: &House, key: &std::path::Path) -> ca::Csr {
    let pem = house.dir.path().join("as.pem");
    std::fs::copy(key, &pem).unwrap();
    // openssl reads no OpenSSH keys; for Ed25519 ssh-keygen writes nothing else.
    let text = std::fs::read_to_string(&pem).unwrap();
    if text.contains("OPENSSH") {
        std::fs::write(&pem, ed25519_pem(&text)).unwrap();
    }
    let args: [&dyn AsRef<std::ffi::OsStr>; 8] =
        [&"req", &"-new", &"-subj", &"/CN=www.example.com", &"-sha256", &"-key", &pem, &"-batch"];
    ca::Csr::parse(accepts("openssl", &args).as_bytes()).unwrap()
}

/// The secret of an unencrypted OpenSSH file, which stands after the second public key, as PKCS#8.
fn ed25519_pem(text: &str) -> String {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    let body: String = text.lines().filter(|line| !line.starts_with('-')).collect();
    let bytes = STANDARD.decode(body).unwrap();
    let at = bytes.windows(4).rposition(|window| window == [0, 0, 0, 64]).unwrap() + 4;
    let der =
        [&[0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20][..], &bytes[at..at + 32]].concat();
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(der))
}

/// RFC 5280 section 5.3.1: that the key leaked may be found out after its certificate was revoked for another reason.
#[tokio::test(flavor = "multi_thread")]
async fn a_reason_can_be_raised_to_key_compromise_once() {
    let house = House::new().await;
    let request = server_request(&["www.example.com"]);
    let (issued, other) = (
        house.authority.certify(&admin(), request.clone()).await.unwrap(),
        house.authority.certify(&admin(), server_request(&["www.example.com"])).await.unwrap(),
    );
    let serial = issued.serial_hex();
    let revoke = async |serial: &str, reason| house.authority.revoke(&admin(), serial, reason).await;
    revoke(&serial, RevocationReason::Superseded).await.unwrap();
    revoke(&other.serial_hex(), RevocationReason::Unspecified).await.unwrap();
    house.authority.certify(&admin(), request.clone()).await.expect("a key that was merely replaced is fine");
    let first = house.ledger.credential(&serial).await.unwrap().unwrap().revoked_at;

    revoke(&serial, RevocationReason::KeyCompromise).await.unwrap();
    let is_compromised = |outcome: Result<store::Issued, CaError>| {
        assert!(matches!(&outcome, Err(CaError::BadRequest { what: "key", .. })), "{outcome:?}");
    };
    is_compromised(house.authority.certify(&admin(), request.clone()).await);
    house.authority.refresh_crls().await.unwrap();
    let crl = house.authority.crl("tls").await.unwrap();
    let (_, read) = x509_parser::parse_x509_crl(&crl).unwrap();
    let reasons: BTreeMap<Vec<u8>, Option<u8>> = read
        .iter_revoked_certificates()
        .map(|entry| (entry.raw_serial().to_vec(), entry.reason_code().map(|(_, reason)| reason.0)))
        .collect();
    assert_eq!(reasons, BTreeMap::from([(issued.serial.clone(), Some(1)), (other.serial.clone(), None)]));
    let found = house.ledger.credential(&serial).await.unwrap().unwrap();
    assert_eq!((found.state, found.reason, found.revoked_at), (State::Revoked, Some(1), first), "its date stays");
    let listed = house.ledger.list(Filter { key_hash: Some(issued.key_hash), ..Filter::default() }).await.unwrap();
    assert!(listed.items.iter().any(|row| row.serial == issued.serial && row.reason == Some(1)));

    // Once, and to nothing else.
    for reason in RevocationReason::ALL.into_iter().filter(|reason| !reason.is_compromise()) {
        assert!(matches!(revoke(&serial, reason).await, Err(CaError::Conflict(_))), "{reason}");
    }
    let (otto, unspecified) = (actor("otto", Role::Auditor), other.serial_hex());
    let stranger = house.authority.revoke(&otto, &unspecified, RevocationReason::KeyCompromise).await;
    assert!(matches!(stranger, Err(CaError::Refused(_))));
    // A node that starts anew, or follows, knows it too, and publishes the same.
    let again = house.reopened(Profiles::load(Profiles::shipped()).unwrap()).await;
    is_compromised(again.certify(&admin(), request).await);
    let third = house.authority.certify(&admin(), server_request(&["www.example.com"])).await.unwrap();
    again.revoke(&admin(), &third.serial_hex(), RevocationReason::Superseded).await.unwrap();
    assert!(crl_text(&house, "tls").await.contains("Key Compromise"));
    house.authority.checkpoint().await.unwrap();
    let register = house.dir.path().join("chancery.db");
    let report = tokio::task::spawn_blocking(|| {
        store::verify(Source::Database(store::Database::Sqlite(register)), None, &mut |_| {})
    });
    let report = report.await.unwrap().unwrap();
    // These actors have no tokens; everything else is as it should be.
    let found: Vec<_> = report.findings.iter().filter(|finding| finding.what != "actor").collect();
    assert!(found.is_empty(), "{found:?}");
}

/// Invariant 5: an intent without a conclusion counts as issued, so it can be revoked and stands on the CRL.
#[tokio::test(flavor = "multi_thread")]
async fn an_intent_without_conclusion_can_be_revoked() {
    let house = House::with(World::real(), ca::CreateConfig::new("Example")).await;
    let model = house.server(&["www.example.com"]).await.into_credential();
    // As a crash between step 1 and step 2 leaves it.
    let entry = store::Entry {
        kind: model.kind,
        actor: model.actor,
        grant: model.grant,
        profile: model.profile,
        profile_hash: model.profile_hash,
        key: house.pool.find("tls-1").await.unwrap(),
        message: hsm::Message::from(model.tbs),
        serial: vec![1, 1, 9, 9],
        issuer: model.issuer,
        owner: model.owner,
        subject: model.subject,
        names: model.names,
        key_hash: model.key_hash,
        validity: model.validity,
        covers: None,
        renews: None,
        details: model.details,
    };
    let operation = house.ledger.intend(entry).await.unwrap().operation();
    assert_eq!(house.ledger.credential_by_operation(operation).await.unwrap().unwrap().state, State::Intended);
    house.authority.revoke(&admin(), "01010909", RevocationReason::Superseded).await.unwrap();
    assert!(crl_text(&house, "tls").await.contains("01010909"));
    assert!(matches!(house.authority.renew(&admin(), "01010909", None).await, Err(CaError::Conflict(_))));
}

/// The serials of a CRL.
pub fn listed(der: &[u8]) -> BTreeSet<String> {
    use x509_parser::prelude::FromDer;
    let (_, crl) = x509_parser::revocation_list::CertificateRevocationList::from_der(der).unwrap();
    let serials: BTreeSet<_> =
        crl.iter_revoked_certificates().map(|revoked| hex::encode(revoked.raw_serial())).collect();
    assert_eq!(serials.len(), crl.iter_revoked_certificates().count(), "each is listed once");
    serials
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_and_its_crl_wait_for_no_clock() {
    for (what, secs, crl_at) in [("behind the log", -3_600, -3_600), ("ten years ahead", 87_600 * 3_600, 0)] {
        let house = House::at("2027-03-01T12:00:00Z").await;
        house.world.advance(86_400);
        let noon = house.world.now();
        let issued = house.server(&["www.example.com"]).await;
        house.world.jump(secs);
        let refused = house.authority.certify(&admin(), server_request(&["www.example.com"])).await.unwrap_err();
        assert!(matches!(&refused, CaError::Held { why, .. } if why.contains("clock")), "{what}: {refused}");
        house.authority.revoke(&admin(), &issued.serial_hex(), RevocationReason::KeyCompromise).await.unwrap();
        house.authority.refresh_crls().await.unwrap();
        let der = house.authority.crl("tls").await.unwrap();
        let (_, crl) = x509_parser::parse_x509_crl(&der).unwrap();
        let entry = crl.iter_revoked_certificates().next().unwrap();
        // Never from the future for those whose clock is right, whichever clock that is.
        assert_eq!(entry.revocation_date.timestamp(), noon.plus_secs(crl_at).unix(), "{what}");
        assert_eq!(crl.last_update().timestamp(), noon.plus_secs(crl_at).unix(), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operators_word_is_the_way_back_and_needs_the_right_and_a_reason() {
    let house = House::at("2027-03-01T12:00:00Z").await;
    house.world.advance(86_400);
    house.server(&["www.example.com"]).await;
    house.world.jump(-7_200);
    let auditor = actor("auditor", Role::Auditor);
    assert!(matches!(house.authority.set_time(&auditor, "I say so").await, Err(CaError::Refused(_))));
    let empty = house.authority.set_time(&admin(), " ").await;
    assert!(matches!(empty, Err(CaError::BadRequest { what: "reason", .. })));
    assert!(house.authority.health().held.is_some());
    let clock = Actor::system("clock");
    let (from, to) = house.authority.set_time(&clock, "the host came up two hours ahead").await.unwrap();
    assert_eq!((from.since(to), to), (7_200, house.world.now()));
    assert!(house.authority.health().held.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_clock_that_was_ahead_the_next_crl_is_not_from_the_future() {
    let house = House::at("2027-03-01T12:00:00Z").await;
    house.world.advance(4 * 86_400);
    let (first, second) = (house.server(&["www.example.com"]).await, house.server(&["www.example.com"]).await);
    let third = house.server(&["www.example.com"]).await;
    let superseded = RevocationReason::Superseded;
    house.authority.revoke(&admin(), &first.serial_hex(), superseded).await.unwrap();
    house.authority.refresh_crls().await.unwrap();
    let ahead = house.authority.crl("tls").await.unwrap();
    house.world.jump(-3 * 86_400);
    let now = house.world.now();
    assert!(ahead.this_update > now);
    // Until an operator's word it may be this clock that is wrong: then the one that is published is the better one.
    house.authority.refresh_crls().await.unwrap();
    assert_eq!(house.authority.crl("tls").await.unwrap().der, ahead.der);
    house.authority.set_time(&Actor::system("clock"), "the host came up three days ahead").await.unwrap();
    house.authority.refresh_crls().await.unwrap();
    let crl = house.authority.crl("tls").await.unwrap();
    assert!(crl.this_update <= now && crl.next_update > now, "{} {}", crl.this_update, crl.next_update);
    assert!(crl.number > ahead.number, "{} {}", crl.number, ahead.number);
    assert_eq!(listed(&crl.der), [first.serial_hex()].into());
    // Once: it is not due again.
    house.authority.refresh_crls().await.unwrap();
    assert_eq!(house.authority.crl("tls").await.unwrap().number, crl.number);
    house.authority.revoke(&admin(), &second.serial_hex(), superseded).await.unwrap();
    house.authority.refresh_crls().await.unwrap();
    let next = house.authority.crl("tls").await.unwrap();
    assert!(crl.this_update < next.this_update && next.this_update <= now, "{}", next.this_update);
    assert!(next.number > crl.number);
    assert_eq!(listed(&next.der), [first.serial_hex(), second.serial_hex()].into());
    // Whoever has this clock doubted later takes nothing of the word back.
    house.world.jump(1_200);
    assert!(house.authority.health().held.is_some());
    house.authority.revoke(&admin(), &third.serial_hex(), RevocationReason::KeyCompromise).await.unwrap();
    house.authority.refresh_crls().await.unwrap();
    let doubted = house.authority.crl("tls").await.unwrap();
    // In a world whose clock stands still each begins a second after the one before it.
    assert!(doubted.this_update <= now.plus_secs(60), "{}", doubted.this_update);
    assert!(doubted.this_update > next.this_update && doubted.number > next.number);
    assert_eq!(listed(&doubted.der), [first.serial_hex(), second.serial_hex(), third.serial_hex()].into());
    house.authority.refresh_crls().await.unwrap();
    assert_eq!(house.authority.crl("tls").await.unwrap().number, doubted.number, "it is not due again");
}

/// The leaves of the log, and the entries of the newest CRL: serial, reason, invalidity date.
async fn published(house: &House, of: &str) -> (u64, Vec<(Vec<u8>, Option<u8>, bool)>) {
    house.authority.refresh_crls().await.unwrap();
    let crl = house.authority.crl(of).await.unwrap();
    let (_, read) = x509_parser::parse_x509_crl(&crl).unwrap();
    let entries = read.iter_revoked_certificates().map(|entry| {
        let reason = entry.reason_code().map(|(_, reason)| reason.0);
        (entry.raw_serial().to_vec(), reason, entry.invalidity_date().is_some())
    });
    (house.ledger.counts().await.unwrap().leaves, entries.collect())
}

/// What the register says of itself, but for actors without tokens.
async fn verified(house: &House) {
    house.authority.checkpoint().await.unwrap();
    let register = house.dir.path().join("chancery.db");
    let report = tokio::task::spawn_blocking(|| {
        store::verify(Source::Database(store::Database::Sqlite(register)), None, &mut |_| {})
    });
    let report = report.await.unwrap().unwrap();
    let found: Vec<_> = report.findings.iter().filter(|finding| finding.what != "actor").collect();
    assert!(found.is_empty(), "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_revocation_again_writes_nothing_and_answers_the_same() {
    let house = House::new().await;
    let issued = house.server(&["www.example.com"]).await;
    let serial = issued.serial_hex();
    let ending = Ending {
        reason: RevocationReason::KeyCompromise,
        invalid: Some(house.ledger.cautious_time().plus_secs(-3_600)),
    };
    house.authority.revoke(&admin(), &serial, ending).await.unwrap();
    let (leaves, entries) = published(&house, "tls").await;
    assert_eq!(entries, [(issued.serial.clone(), Some(1), true)]);
    for again in [ending, RevocationReason::KeyCompromise.into()] {
        house.authority.revoke(&admin(), &serial, again).await.unwrap();
    }
    house.authority.revoke_shown(&admin(), &issued.x509_der(), ending).await.unwrap();
    assert_eq!(published(&house, "tls").await, (leaves, entries), "no leaf, no CRL");
    let other = Ending { invalid: ending.invalid.map(|at| at.plus_secs(1)), ..ending };
    assert!(matches!(house.authority.revoke(&admin(), &serial, other).await, Err(CaError::Conflict(_))));
    let otto = house.authority.revoke(&actor("otto", Role::Auditor), &serial, ending).await;
    assert!(matches!(otto, Err(CaError::Refused(_))), "who may not revoke is not told by it either");
    let future = Ending { invalid: Some(house.ledger.cautious_time().plus_secs(3_600)), ..ending };
    let next = house.server(&["www.example.com"]).await.serial_hex();
    assert!(matches!(house.authority.revoke(&admin(), &next, future).await, Err(CaError::BadRequest { .. })));
    // Many ask at once: one leaf.
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (authority, next) = (house.authority.clone(), next.clone());
        all.spawn(async move { authority.revoke(&admin(), &next, RevocationReason::Superseded).await });
    }
    assert!(all.join_all().await.iter().all(Result::is_ok));
    let (_, entries) = published(&house, "tls").await;
    assert_eq!(entries.len(), 2);
    verified(&house).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_on_hold_is_on_the_crl_until_it_is_released_and_may_end_for_good() {
    let house = House::new().await;
    let (lifted, ended) = (house.server(&["www.example.com"]).await, house.server(&["mail.example.com"]).await);
    let hold = RevocationReason::CertificateHold;
    for issued in [&lifted, &ended] {
        house.authority.revoke(&admin(), &issued.serial_hex(), hold).await.unwrap();
    }
    let held = [&lifted, &ended].map(|issued| (issued.serial.clone(), Some(6), false));
    assert_eq!(published(&house, "tls").await.1, held);
    assert!(matches!(house.authority.renew(&admin(), &lifted.serial_hex(), None).await, Err(CaError::Conflict(_))));
    // Who comes back to release them finds those that are on hold, and no others.
    let listed = async |held: bool| {
        let of = Filter { state: Some(State::Revoked), held: Some(held), ..Filter::default() };
        let page = house.ledger.list(of).await.unwrap();
        page.items.iter().map(|one| one.serial.clone()).collect::<Vec<_>>()
    };
    assert_eq!(listed(true).await, [ended.serial.clone(), lifted.serial.clone()]);
    assert!(listed(false).await.is_empty());
    verified(&house).await;

    house.authority.release(&admin(), &lifted.serial_hex()).await.unwrap();
    house.authority.revoke(&admin(), &ended.serial_hex(), RevocationReason::Superseded).await.unwrap();
    let entry = (ended.serial.clone(), Some(4), false);
    let (leaves, entries) = published(&house, "tls").await;
    assert_eq!(entries, std::slice::from_ref(&entry));
    let found = house.ledger.credential(&lifted.serial_hex()).await.unwrap().unwrap();
    assert_eq!((found.state, found.reason, found.revoked_at), (State::Issued, None, None));
    let live = Filter { state: Some(State::Issued), name: Some("dns:www.example.com".into()), ..Filter::default() };
    assert_eq!(house.ledger.list(live).await.unwrap().items.len(), 1, "lists and counts have it back");
    let counts = house.ledger.counts().await.unwrap();
    assert_eq!(counts.revoked, 1);
    assert!(listed(true).await.is_empty());
    assert_eq!(listed(false).await, std::slice::from_ref(&ended.serial));
    // Again: nothing to do; and what ended for good is not released.
    house.authority.release(&admin(), &lifted.serial_hex()).await.unwrap();
    assert_eq!(published(&house, "tls").await, (leaves, vec![entry.clone()]));
    assert!(matches!(house.authority.release(&admin(), &ended.serial_hex()).await, Err(CaError::Conflict(_))));
    let otto = house.authority.release(&actor("otto", Role::Auditor), &lifted.serial_hex()).await;
    assert!(matches!(otto, Err(CaError::Refused(_))));

    // It counts: it is renewed, and the hold of its successor's time is another.
    house.authority.renew(&admin(), &lifted.serial_hex(), None).await.unwrap();
    house.authority.revoke(&admin(), &lifted.serial_hex(), hold).await.unwrap();
    // A node that starts anew, or follows, knows the same.
    let again = house.reopened(Profiles::load(Profiles::shipped()).unwrap()).await;
    again.release(&admin(), &lifted.serial_hex()).await.unwrap();
    again.revoke(&admin(), &lifted.serial_hex(), RevocationReason::KeyCompromise).await.unwrap();
    assert_eq!(published(&house, "tls").await.1, [(lifted.serial.clone(), Some(1), false), entry]);
    verified(&house).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reason_is_one_for_what_ends() {
    let house = House::new().await;
    let issued = house.server(&["www.example.com"]).await;
    let ca_s = house.authority.revoke(&admin(), &issued.serial_hex(), RevocationReason::CaCompromise).await;
    assert!(matches!(ca_s, Err(CaError::BadRequest { what: "reason", .. })), "{ca_s:?}");
    let of_tls = Filter { kind: Some(Kind::CaCertificate), ..Filter::default() };
    let cas = house.ledger.list(of_tls).await.unwrap().items;
    let tls = cas.iter().find(|ca| ca.details["generation"] == "tls/1").unwrap().serial_hex();
    let held = house.authority.revoke(&admin(), &tls, RevocationReason::CertificateHold).await;
    assert!(matches!(held, Err(CaError::BadRequest { what: "reason", .. })), "{held:?}");
    house.authority.revoke(&admin(), &tls, RevocationReason::CaCompromise).await.unwrap();
    house.authority.refresh_crls().await.unwrap();
    assert!(crl_text(&house, "root").await.contains("CA Compromise"));
    assert!(house.ledger.is_compromised(&cas.iter().find(|ca| ca.serial_hex() == tls).unwrap().key_hash));
}
