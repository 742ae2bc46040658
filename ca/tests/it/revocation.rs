//! Revocation and CRLs, judged by openssl.

use std::collections::{BTreeMap, BTreeSet};

use ca::{Act, CaError, CertifyRequest, Ending, Lifetime, Profiles, RevocationReason, Rotate, Selection};
use hsm::KeyKind;
use policy::{Actor, Role, World};
use store::{Filter, Kind, Source, State};

use crate::code::key_request;
use crate::house::{House, accepts, actor, admin, owner, refuses, server_request};

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
async fn an_empty_crl_has_no_list_at_all() {
    let house = House::new().await;
    let text = crl_text(&house, "code").await;
    assert!(text.contains("No Revoked Certificates"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_revocations_share_crls_and_their_numbers_only_grow() {
    let house = House::new().await;
    let mut serials = BTreeSet::new();
    for _ in 0..12 {
        serials.insert(house.server(&["www.example.com"]).await.serial_hex());
    }
    for serial in &serials {
        house.authority.revoke(&admin(), serial, RevocationReason::Superseded).await.unwrap();
    }
    house.authority.refresh_crls().await.unwrap();
    let text = crl_text(&house, "tls").await.to_lowercase();
    assert!(serials.iter().all(|s| text.contains(s.trim_start_matches('0'))), "{text}");

    let filter = Filter { kind: Some(Kind::Crl), issuer: Some("tls".to_owned()), ..Filter::default() };
    let crls = house.ledger.list(filter).await.unwrap().items;
    assert!(crls.len() < 12, "{} CRLs for 12 revocations", crls.len());
    let numbers: Vec<_> = crls.iter().map(|c| c.details["number"].as_u64().unwrap()).collect();
    assert!(numbers.windows(2).all(|w| w[0] > w[1]), "newest first: {numbers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crl_is_refreshed_by_age_and_not_before() {
    let house = House::at("2027-03-01T12:00:00Z").await;
    let first = house.authority.crl("tls").await.unwrap();
    house.authority.refresh_crls().await.unwrap();
    assert_eq!(house.authority.crl("tls").await.unwrap(), first);
    house.world.advance(86_400);
    house.authority.refresh_crls().await.unwrap();
    assert_ne!(house.authority.crl("tls").await.unwrap(), first);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_readers_share_one_crl_and_get_the_newest_whoever_made_it() {
    let house = House::new().await;
    let beside = house.reopened(Profiles::load(Profiles::shipped()).unwrap()).await;
    let first = beside.crl("tls").await.unwrap();
    assert!(first.is_dated, "there is none before the first");
    assert_eq!(beside.crl("tls").await.unwrap().as_ptr(), first.as_ptr(), "one buffer for all");
    let issued = house.server(&["www.example.com"]).await;
    house.authority.revoke(&admin(), &issued.serial_hex(), RevocationReason::Superseded).await.unwrap();
    let second = beside.crl("tls").await.unwrap();
    let made = house.authority.crl("tls").await.unwrap();
    assert_eq!((&second.der, second.operation), (&made.der, made.operation));
    assert!(made.took().is_some() && second.took().is_none(), "who made it knows how long it took, and nobody else");
    assert!((second.number, second.operation) > (first.number, first.operation));
    assert!(second.windows(16).any(|w| w == issued.serial));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crl_begins_after_the_one_before_it_and_not_before_what_it_tells_of() {
    let house = House::at("2027-03-01T12:00:00Z").await;
    let mut before = house.authority.crl("tls").await.unwrap();
    assert!(before.is_dated);
    for later in [0, 0, 90] {
        let issued = house.server(&["www.example.com"]).await;
        house.world.advance(later);
        house.authority.revoke(&admin(), &issued.serial_hex(), RevocationReason::Superseded).await.unwrap();
        let next = house.authority.crl("tls").await.unwrap();
        assert!(next.this_update > before.this_update && next.number > before.number, "{later} s later");
        assert!(next.is_dated, "its date tells it from the one before");
        let (_, crl) = x509_parser::parse_x509_crl(&next).unwrap();
        for entry in crl.iter_revoked_certificates() {
            assert!(entry.revocation_date <= crl.last_update(), "{later} s later");
        }
        before = next;
    }
    house.world.advance(86_400);
    house.authority.refresh_crls().await.unwrap();
    let next = house.authority.crl("tls").await.unwrap();
    assert_eq!(house.world.now().since(next.this_update), 60, "a little in the past where nothing forbids it");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_certificate_leaves_the_crl_late() {
    let house = House::at("2027-03-01T12:00:00Z").await;
    let issued = house.server(&["www.example.com"]).await;
    house.authority.revoke(&admin(), &issued.serial_hex(), RevocationReason::Superseded).await.unwrap();
    let listed = async |house: &House| {
        house.authority.refresh_crls().await.unwrap();
        crl_text(house, "tls").await.to_lowercase().contains(issued.serial_hex().trim_start_matches('0'))
    };
    house.world.advance(31 * 86_400);
    assert!(listed(&house).await, "a week past its end it is still there");
    house.world.advance(20 * 86_400);
    assert!(!listed(&house).await);
}

/// What it signed is judged by the time of a time stamp, long after its end: off the list it would be good again.
#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_code_certificate_never_leaves_the_crl() {
    let house = House::at("2027-03-01T12:00:00Z").await;
    let made = house.authority.create_code_key(&admin(), key_request("release", KeyKind::P256)).await.unwrap();
    house.authority.revoke(&admin(), &made.serial_hex(), RevocationReason::KeyCompromise).await.unwrap();
    let end = made.validity.unwrap().not_after();
    house.world.advance(end.since(house.world.now()) + 60 * 86_400);
    house.authority.refresh_crls().await.unwrap();
    assert!(crl_text(&house, "code").await.to_lowercase().contains(made.serial_hex().trim_start_matches('0')));
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

/// The entries are encoded once and kept: a node that starts anew makes the same list, and what it publishes is whole.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_starts_anew_lists_what_was_listed_before() {
    let house = House::new().await;
    let mut serials = BTreeSet::new();
    for _ in 0..3 {
        let issued = house.server(&["www.example.com"]).await;
        house.authority.revoke(&admin(), &issued.serial_hex(), RevocationReason::Superseded).await.unwrap();
        serials.insert(issued.serial_hex());
    }
    let first = house.authority.crl("tls").await.unwrap();
    assert_eq!(listed(&first), serials);
    let reopened = house.reopened(Profiles::load(Profiles::shipped()).unwrap()).await;
    let issued = house.server(&["www.example.com"]).await;
    reopened.revoke(&admin(), &issued.serial_hex(), RevocationReason::KeyCompromise).await.unwrap();
    serials.insert(issued.serial_hex());
    let second = reopened.crl("tls").await.unwrap();
    assert_eq!(listed(&second), serials);
    assert!(second.number > first.number);
}

/// Of a CRL that has a successor the register keeps digest and signature; `verify` checks them.
#[tokio::test(flavor = "multi_thread")]
async fn an_old_crl_is_kept_as_digest_and_signature() {
    let house = House::new().await;
    let before = house.authority.crl("tls").await.unwrap();
    let issued = house.server(&["www.example.com"]).await;
    house.authority.revoke(&admin(), &issued.serial_hex(), RevocationReason::Superseded).await.unwrap();
    let newest = house.authority.crl("tls").await.unwrap();
    let old = house.ledger.credential_by_operation(before.operation).await.unwrap().unwrap();
    assert_eq!((old.x509_der(), old.prehashed, old.tbs.len()), (None, true, 32));
    let (_, read) = x509_parser::parse_x509_crl(&before).unwrap();
    let digest = ring::digest::digest(&ring::digest::SHA256, read.tbs_cert_list.as_ref());
    assert_eq!((&old.tbs[..], old.signature.as_deref()), (digest.as_ref(), Some(&read.signature_value.data[..])));
    assert_eq!(house.ledger.newest_crl("tls/1").await.unwrap().unwrap().x509_der(), newest.der);
    let database = store::Database::Sqlite(house.dir.path().join("chancery.db"));
    let report =
        tokio::task::spawn_blocking(move || store::verify(database, None, &mut |_| {})).await.unwrap().unwrap();
    // Nobody recorded the tests' token.
    let meant: Vec<_> = report.findings.iter().filter(|finding| finding.what != "actor").collect();
    assert!(meant.is_empty(), "{meant:?}");
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

/// Two nodes on one register once published a CRL of a higher number that lacked revocations already published (invariant 13).
///
/// Two rounds on each engine; `CHANCERY_SIDE_BY_SIDE_SECS=60` goes on for a minute, the long proof.
#[test]
fn two_nodes_revoking_side_by_side_never_publish_a_crl_that_covers_less() {
    let runtime = || tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let dir = tempfile::TempDir::new().unwrap();
    let path = dir.path().join("chancery.db");
    runtime().block_on(side_by_side(store::Database::Sqlite(path), dir));
    let postgres = store::testing::TestPostgres::start();
    runtime().block_on(side_by_side(postgres.database(), tempfile::TempDir::new().unwrap()));
}

const ROUNDS: usize = 2;
const REVOKED_A_ROUND: usize = 30;

async fn side_by_side(database: store::Database, dir: tempfile::TempDir) {
    let house = House::over(&database, dir, World::real(), ca::CreateConfig::new("Example")).await;
    let (other, _ledger) = house.beside(&database).await;
    let long = std::env::var("CHANCERY_SIDE_BY_SIDE_SECS").ok().and_then(|secs| secs.parse().ok());
    let (began, long) = (std::time::Instant::now(), std::time::Duration::from_secs(long.unwrap_or(0)));
    let (mut revoked, mut before, mut crls, mut rounds) = (BTreeSet::new(), BTreeSet::new(), 0, 0);
    while rounds < ROUNDS || began.elapsed() < long {
        let mut serials = Vec::new();
        for n in 0..REVOKED_A_ROUND {
            serials.push(house.server(&[&format!("h{n}.example.com")]).await.serial_hex());
        }
        // By number: what the nodes served.
        let mut published = revoke_on([house.authority.clone(), other.clone()], &serials).await;
        let newest = published.split_off(&crls);
        for (number, now) in newest {
            assert!(now.is_superset(&before), "CRL {number} lacks {:?}", before.difference(&now));
            (crls, before) = (number, now);
        }
        revoked.extend(serials);
        assert_eq!(before, revoked);
        rounds += 1;
    }
    println!("{rounds} rounds, {} revocations, the last CRL has the number {crls}", revoked.len());
}

/// Each node revokes its half; the CRLs that it serves meanwhile, by number.
async fn revoke_on(nodes: [ca::Authority; 2], serials: &[String]) -> BTreeMap<u64, BTreeSet<String>> {
    let mut at_work = Vec::new();
    for (node, authority) in nodes.into_iter().enumerate() {
        let mine: Vec<String> = serials.iter().skip(node).step_by(2).cloned().collect();
        at_work.push(tokio::spawn(async move {
            let mut served = BTreeMap::new();
            for serial in mine {
                authority.revoke(&admin(), &serial, RevocationReason::Superseded).await.unwrap();
                let (number, listed) = numbered(&authority.crl("tls").await.unwrap().der);
                // Nor does what one node serves go back.
                assert!(served.last_key_value().is_none_or(|(newest, _)| *newest <= number));
                served.insert(number, listed);
            }
            (authority, served)
        }));
    }
    let mut all = BTreeMap::new();
    for node in at_work {
        let (authority, served) = node.await.unwrap();
        authority.refresh_crls().await.unwrap();
        all.extend(served);
        let (number, listed) = numbered(&authority.crl("tls").await.unwrap().der);
        all.insert(number, listed);
    }
    all
}

/// A CRL's number and serials.
fn numbered(der: &[u8]) -> (u64, BTreeSet<String>) {
    use x509_parser::prelude::FromDer;
    let (_, crl) = x509_parser::revocation_list::CertificateRevocationList::from_der(der).unwrap();
    (crl.crl_number().unwrap().try_into().unwrap(), listed(der))
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

/// RFC 5280 section 5.2.5: a certificate names the CRL of its part; that CRL says of which it tells, and no other passes for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_part_has_its_own_crl_and_openssl_takes_no_other_for_it() {
    let house = House::new().await;
    let rotation = Rotate { shards: Some(4), ..Rotate::of("tls") };
    house.authority.rotate_issuer(&admin(), rotation.clone()).await.unwrap();
    house.authority.refresh_crls().await.unwrap();
    let mut by_part: BTreeMap<u16, Vec<store::Issued>> = BTreeMap::new();
    for _ in 0..40 {
        let issued = house.server(&["www.example.com"]).await;
        let part = store::Shard::of_serial(&issued.serial, 4).unwrap();
        let url = format!("/crl/tls/2/{}.crl", part.index());
        assert!(String::from_utf8_lossy(&issued.x509_der()).contains(&url), "the certificate names its part's CRL");
        by_part.entry(part.index()).or_default().push(issued);
        if by_part.len() == 4 && by_part.values().all(|part| part.len() > 1) {
            break;
        }
    }
    let numbers = async || {
        let mut numbers = Vec::new();
        for part in 0..4 {
            numbers.push(house.authority.crl(&format!("tls/2/{part}")).await.unwrap().number);
        }
        numbers
    };
    let before = numbers().await;
    let (bad, good) = (&by_part[&1][0], &by_part[&1][1]);
    house.authority.revoke(&admin(), &bad.serial_hex(), RevocationReason::KeyCompromise).await.unwrap();
    let after = numbers().await;
    for part in [0, 2, 3] {
        assert_eq!(after[part], before[part], "a revocation touches its own part alone");
    }
    assert!(after[1] > before[1]);
    let text = crl_text(&house, "tls/2/1").await;
    assert!(text.contains("Issuing Distribution Point: critical") && text.contains("/crl/tls/2/1.crl"), "{text}");
    house.authority.refresh_crls().await.unwrap();
    let whole = house.authority.crl("tls/2/full").await.unwrap();
    assert_eq!(house.authority.crl("tls/2").await.unwrap(), whole);
    assert_eq!(listed(&whole.der), [bad.serial_hex()].into());
    assert!(!crl_text(&house, "tls/2").await.contains("Issuing Distribution Point"));
    assert_eq!(house.authority.crl("tls/1/0").await.unwrap(), house.authority.crl("tls/1").await.unwrap());
    for none in ["tls/2/4", "tls/1/1", "tls/2/01"] {
        assert!(matches!(house.authority.crl(none).await, Err(CaError::NotFound(_))), "{none}");
    }

    let judged = async |issued: &store::Issued, crl: &str| {
        let (leaf, chain, roots) = house.chain_files(issued);
        let crl = pem_of(house.file("part.crl", house.authority.crl(crl).await.unwrap()));
        let crl = house.file("part.pem", crl);
        let args: [&dyn AsRef<std::ffi::OsStr>; 11] = [
            &"verify",
            &"-x509_strict",
            &"-crl_check",
            &"-extended_crl",
            &"-CRLfile",
            &crl,
            &"-CAfile",
            &roots,
            &"-untrusted",
            &chain,
            &leaf,
        ];
        let output = std::process::Command::new("openssl").args(args.map(AsRef::as_ref)).output().unwrap();
        match (output.status.success(), String::from_utf8_lossy(&output.stderr).contains("certificate revoked")) {
            (true, _) => "good",
            (false, true) => "revoked",
            (false, false) => "unknown",
        }
    };
    for (issued, crl, verdict) in [
        (good, "tls/2/1", "good"),
        (bad, "tls/2/1", "revoked"),
        (bad, "tls/2/2", "unknown"),
        (bad, "tls/2", "revoked"),
        (&by_part[&2][0], "tls/2/2", "good"),
        (&by_part[&2][0], "tls/2/1", "unknown"),
        (&by_part[&2][0], "tls/2", "good"),
    ] {
        assert_eq!(judged(issued, crl).await, verdict, "{crl}");
    }
    // And so does webpki, which holds the name of the scope against the certificate's.
    for (issued, crl, verdict) in [
        (good, "tls/2/1", None),
        (bad, "tls/2/1", Some(webpki::Error::CertRevoked)),
        (bad, "tls/2/2", Some(webpki::Error::UnknownRevocationStatus)),
        (bad, "tls/2", Some(webpki::Error::CertRevoked)),
        (&by_part[&2][0], "tls/2/2", None),
        (&by_part[&2][0], "tls/2/1", Some(webpki::Error::UnknownRevocationStatus)),
        (&by_part[&2][0], "tls/2", None),
    ] {
        let der = house.authority.crl(crl).await.unwrap().der;
        let said = crate::tls::webpki_verify_with(&house, issued, "www.example.com", Some(&der));
        assert_eq!(said.err(), verdict, "{crl}");
    }
    // How many there are is fixed with the generation; its successor has as many unless it is said.
    let again = Rotate { shards: None, ..rotation.clone() };
    house.authority.rotate_issuer(&admin(), again).await.unwrap();
    house.authority.refresh_crls().await.unwrap();
    assert!(house.authority.crl("tls/3/3").await.is_ok());
    let many = Rotate { shards: Some(257), ..rotation };
    assert!(matches!(house.authority.rotate_issuer(&admin(), many).await, Err(CaError::BadRequest { .. })));
    // A node that starts anew publishes the same series.
    let restarted = house.reopened(Profiles::load(Profiles::shipped()).unwrap()).await;
    assert_eq!(restarted.crl("tls/2/1").await.unwrap().number, after[1]);
    verified(&house).await;
}

fn of_owner(owner: &str) -> Selection {
    Selection { owner: Some(owner.to_owned()), ..Selection::default() }
}

/// A person with a token of their own.
fn another(name: &str) -> Actor {
    actor(name, Role::Admin)
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_are_meant_are_shown_and_end_in_one_act_with_one_crl() {
    let house = House::new().await;
    for name in ["a", "b", "b", "c"] {
        house.server(&[&format!("{name}.example.com")]).await;
    }
    let ending = Ending::from(RevocationReason::CessationOfOperation);
    let (crls, leaves) =
        (house.authority.crl("tls").await.unwrap().number, house.ledger.counts().await.unwrap().leaves);
    let host = Selection { host: Some("B.example.com".into()), ..Selection::default() };
    let meant = house.authority.preview(&admin(), &host, ending).await.unwrap();
    assert_eq!((meant.count, meant.sample.len()), (2, 2));
    assert_eq!(house.ledger.counts().await.unwrap().leaves, leaves, "a look writes nothing");
    for (none, why) in [
        (Selection::default(), "nothing said"),
        (Selection { key_hash: Some("ab".into()), ..Selection::default() }, "no hash"),
        (Selection { name: Some("dns:a".into()), host: Some("b".into()), ..Selection::default() }, "two names"),
        (Selection { issuer: Some("tsl".into()), ..Selection::default() }, "no such issuer"),
        (Selection { issuer: Some("tls/7".into()), ..Selection::default() }, "no such generation"),
        (of_owner("wbe"), "no such owner"),
        (Selection { profile: Some("tls-sevrer".into()), ..Selection::default() }, "no such profile"),
    ] {
        let refused = house.authority.preview(&admin(), &none, ending).await;
        assert!(matches!(refused, Err(CaError::BadRequest { .. })), "{why}");
    }
    let of_all = [
        Selection { profile: Some("tls-server".into()), ..Selection::default() },
        Selection { issuer: Some("tls/1".into()), ..Selection::default() },
        Selection {
            issuer: Some("tls".into()),
            person: Some(store::ActorStamp::from(&admin()).id),
            ..Selection::default()
        },
    ];
    for of in of_all {
        assert_eq!(house.authority.preview(&admin(), &of, ending).await.unwrap().count, 4, "{of:?}");
    }
    let nobody_s = Selection { person: Some("token:nobody".into()), ..of_owner("web") };
    assert_eq!(house.authority.preview(&admin(), &nobody_s, ending).await.unwrap().count, 0);
    let refused = house.authority.revoke_many(&actor("otto", Role::Auditor), of_owner("web"), ending).await;
    assert!(matches!(refused, Err(CaError::Refused(_))), "{refused:?}");

    let act = house.authority.revoke_many(&admin(), host.clone(), ending).await.unwrap();
    assert!(matches!(act, Act::Done { revoked: 2, .. }), "{act:?}");
    assert!(matches!(house.authority.revoke_many(&admin(), host, ending).await, Ok(Act::Done { revoked: 0, .. })));
    // What is on hold ends for good with the others, or it would come back.
    let hold = Ending::from(RevocationReason::CertificateHold);
    let one = Selection { name: Some("dns:a.example.com".into()), ..Selection::default() };
    assert!(matches!(house.authority.revoke_many(&admin(), one, hold).await, Ok(Act::Done { revoked: 1, .. })));
    assert_eq!(house.authority.preview(&admin(), &of_owner("web"), hold).await.unwrap().count, 1);
    let act = house.authority.revoke_many(&admin(), of_owner("web"), ending).await.unwrap();
    assert!(matches!(act, Act::Done { revoked: 2, .. }), "{act:?}");
    house.authority.refresh_crls().await.unwrap();
    let crl = house.authority.crl("tls").await.unwrap();
    assert_eq!(listed(&crl.der).len(), 4);
    assert!(crl.number > crls);
    let filter = Filter { kind: Some(Kind::Crl), issuer: Some("tls/1".into()), ..Filter::default() };
    assert_eq!(house.ledger.list(filter).await.unwrap().items.len(), 4, "the first, and one for each act");
    let cas = Filter { kind: Some(Kind::CaCertificate), state: Some(State::Revoked), ..Filter::default() };
    assert!(house.ledger.list(cas).await.unwrap().items.is_empty(), "a CA is never among many");
    verified(&house).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_are_proposed_by_one_and_ended_by_another_and_exactly_those() {
    let house = House::at("2027-03-01T12:00:00Z").await;
    let request = server_request(&["www.example.com"]);
    for _ in 0..102 {
        house.authority.certify(&admin(), request.clone()).await.unwrap();
    }
    let ending = Ending::from(RevocationReason::Superseded);
    let propose = async || match house.authority.revoke_many(&admin(), of_owner("web"), ending).await.unwrap() {
        Act::Proposed { id, meant, .. } => (id, meant),
        Act::Done { .. } => panic!("one person alone ended many"),
    };
    let revoked = async || house.ledger.counts().await.unwrap().revoked;
    let (id, meant) = propose().await;
    assert_eq!((meant.count, revoked().await), (102, 0));
    let conflict = async |who: &Actor, id: &str, why: &str| {
        let answer = house.authority.confirm(who, id).await;
        assert!(matches!(&answer, Err(CaError::Conflict(says)) if says.contains(why)), "{answer:?}");
        assert!(revoked().await <= 1);
    };
    // Who may end what it is about sees it, with some of it, and so does who reads the log; nobody else learns of it.
    let listed = async |who: &Actor| house.authority.proposals(who, true, None).await.unwrap().0;
    let web = Actor { owners: [owner("web")].into(), ..actor("wanda", Role::Issuer) };
    let db = Actor { owners: [owner("db")].into(), ..actor("dora", Role::Issuer) };
    for who in [&another("berta"), &actor("otto", Role::Auditor), &web] {
        let seen = listed(who).await;
        assert_eq!((seen.len(), seen[0].0.as_str(), seen[0].1.sample.len()), (1, id.as_str(), 10));
        assert_eq!(seen[0].1.sample, meant.sample);
        assert!(house.authority.proposal(who, &id).await.unwrap().waits(house.world.now()));
    }
    assert_eq!(listed(&db).await, []);
    assert!(matches!(house.authority.proposal(&db, &id).await, Err(CaError::Refused(_))));
    conflict(&admin(), &id, "another person").await;
    let otto = house.authority.confirm(&actor("otto", Role::Auditor), &id).await;
    assert!(matches!(otto, Err(CaError::Refused(_))), "who may not end one ends none");
    assert!(matches!(house.authority.confirm(&another("berta"), "none").await, Err(CaError::NotFound(_))));
    // A list that keeps one back makes it another set.
    let first = house.ledger.list(Filter { name: Some("dns:www.example.com".into()), ..Filter::default() }).await;
    let one = first.unwrap().items.remove(0);
    let sql = rusqlite::Connection::open(house.dir.path().join("chancery.db")).unwrap();
    let card = |pile: i64| {
        sql.execute(&format!("UPDATE card SET pile = {pile} WHERE op = {}", one.operation), []).unwrap();
    };
    card(1);
    conflict(&another("berta"), &id, "another set").await;
    card(0);
    house.world.advance(3_601);
    conflict(&another("berta"), &id, "expired").await;
    let (id, _) = propose().await;
    let after = house.authority.certify(&admin(), request).await.unwrap();
    let shown = house.authority.proposal(&admin(), &id).await.unwrap();
    assert_eq!((shown.count, shown.confirmed), (102, None));
    let done = house.authority.confirm(&another("berta"), &id).await.unwrap();
    assert!(matches!(done, Act::Done { revoked: 102, .. }), "{done:?}");
    assert_eq!(house.ledger.credential(&after.serial_hex()).await.unwrap().unwrap().state, State::Issued);
    assert_eq!(revoked().await, 102);
    let berta = store::ActorStamp::from(&another("berta")).id;
    assert_eq!(house.authority.proposal(&admin(), &id).await.unwrap().confirmed, Some(berta));
    assert_eq!(listed(&admin()).await, [], "it waits no more, and the one before has expired");
    assert_eq!(house.authority.proposals(&admin(), false, None).await.unwrap().0.len(), 2);
    // Once: again by the same person there is nothing left, and later it is too late; by a third it is taken.
    assert!(matches!(house.authority.confirm(&another("berta"), &id).await, Ok(Act::Done { revoked: 0, .. })));
    let third = house.authority.confirm(&another("carl"), &id).await;
    assert!(matches!(&third, Err(CaError::Conflict(says)) if says.contains("confirmed already")), "{third:?}");
    house.world.advance(7_201);
    let late = house.authority.confirm(&another("berta"), &id).await;
    assert!(matches!(&late, Err(CaError::Conflict(says)) if says.contains("expired")), "{late:?}");
    verified(&house).await;
}

/// Of many certificates one ends every second, and people go on revoking single ones: what was proposed is carried out all the same.
#[tokio::test(flavor = "multi_thread")]
async fn what_ends_while_a_proposal_waits_does_not_undo_it() {
    for reason in [RevocationReason::Superseded, RevocationReason::CertificateHold] {
        let house = House::at("2027-03-01T12:00:00Z").await;
        let request = server_request(&["www.example.com"]);
        let short = CertifyRequest { lifetime: Lifetime::Secs(600), ..request.clone() };
        house.authority.certify(&admin(), short).await.unwrap();
        let single = house.authority.certify(&admin(), request.clone()).await.unwrap();
        let held = house.authority.certify(&admin(), request.clone()).await.unwrap();
        for _ in 0..100 {
            house.authority.certify(&admin(), request.clone()).await.unwrap();
        }
        let act = house.authority.revoke_many(&admin(), of_owner("web"), reason.into()).await.unwrap();
        let Act::Proposed { id, meant, .. } = act else { panic!("one person alone ended many") };
        assert_eq!(meant.count, 103);
        house.authority.revoke(&admin(), &single.serial_hex(), RevocationReason::PrivilegeWithdrawn).await.unwrap();
        house.authority.revoke(&admin(), &held.serial_hex(), RevocationReason::CertificateHold).await.unwrap();
        house.authority.certify(&admin(), request).await.unwrap();
        house.world.advance(700);
        let ended = if reason == RevocationReason::CertificateHold { 100 } else { 101 };
        let done = house.authority.confirm(&another("berta"), &id).await.unwrap();
        assert!(matches!(done, Act::Done { revoked, .. } if revoked == ended), "{reason:?}: {done:?}");
        assert_eq!(house.ledger.counts().await.unwrap().revoked, 102);
        verified(&house).await;
    }
}
