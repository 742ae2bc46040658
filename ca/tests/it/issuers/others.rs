//! The log key and the SSH CAs are succeeded as well; what changes in one issuer is no other's matter.

use ca::{Activation, Authority, Profiles, RevocationReason, Rotate};

use super::{below, generation, name};
use crate::house::{House, accepts, admin, refuses, server_request};

/// What an auditor finds who pinned this key; the token of this file's administrator is in no register.
async fn pinned(house: &House, key: &str) -> Vec<String> {
    let database = store::Database::Sqlite(house.dir.path().join("chancery.db"));
    let pins = store::Pins { verifier_key: Some(key.to_owned()), ..store::Pins::default() };
    let verify = move || store::verify_pinned(database, &pins, &mut |_| {});
    let report = tokio::task::spawn_blocking(verify).await.unwrap().unwrap();
    let found = report.findings.iter().filter(|finding| finding.what != "actor");
    found.map(|finding| format!("{}: {}", finding.where_, finding.says)).collect()
}

/// Signature lines of the newest head.
async fn lines(house: &House) -> usize {
    house.ledger.checkpoint().await.unwrap().unwrap().lines().filter(|line| line.starts_with('\u{2014}')).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_log_key_follows_another_both_sign_and_whoever_pinned_either_verifies() {
    let house = House::new().await;
    let authority = &house.authority;
    authority.checkpoint().await.unwrap();
    let old = authority.log_verifier_key();
    assert_eq!(lines(&house).await, 1);
    authority.rotate_issuer(&admin(), Rotate::of("log")).await.unwrap();
    let new = authority.log_verifier_key();
    house.server(&["www.example.com"]).await;
    authority.checkpoint().await.unwrap();
    assert_eq!(lines(&house).await, 2);
    assert_eq!(pinned(&house, &old).await, Vec::<String>::new(), "it signs on");
    assert_eq!(pinned(&house, &new).await, Vec::<String>::new(), "its head covers what the old one signed before");
    // The old one ends. Who knows it alone follows to the new one, which a head that it signed names.
    authority.retire_issuer(&admin(), &name("log/1"), true).await.unwrap();
    house.server(&["db.example.com"]).await;
    authority.checkpoint().await.unwrap();
    assert_eq!(lines(&house).await, 1);
    assert_eq!(pinned(&house, &old).await, Vec::<String>::new());
    assert_eq!(pinned(&house, &new).await, Vec::<String>::new());
    // A key that is none of this log's vouches for nothing.
    let other = house.pool.generate("other-log", hsm::KeyKind::Ed25519).await.unwrap();
    let other = house.ledger.verifier_key(&other).unwrap();
    assert!(!pinned(&house, &other).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_and_the_ssh_cas_are_succeeded_the_same_way() {
    let house = House::new().await;
    let authority = &house.authority;
    let (log, users) = (authority.log_verifier_key(), authority.ssh_user_ca());
    authority.rotate_issuer(&admin(), Rotate::of("log")).await.unwrap();
    authority.rotate_issuer(&admin(), Rotate::of("ssh-user")).await.unwrap();
    assert_ne!(authority.log_verifier_key(), log);
    assert_eq!(authority.log_verifier_keys()[1], log, "what was signed with the old one is verified with it");
    assert_eq!(authority.ssh_user_ca().lines().count(), 2);
    assert!(authority.ssh_user_ca().contains(&users));
    authority.checkpoint().await.unwrap();
    let database = store::Database::Sqlite(house.dir.path().join("chancery.db"));
    let report =
        tokio::task::spawn_blocking(move || store::verify(database, None, &mut |_| {})).await.unwrap().unwrap();
    // The token of this file's administrator is in no register; nothing else is found.
    assert!(report.findings.iter().all(|finding| finding.what == "actor"), "{:?}", report.findings);
    authority.retire_issuer(&admin(), &name("ssh-user/1"), true).await.unwrap();
    assert_eq!(authority.ssh_user_ca().lines().count(), 1);
    assert!(authority.revoke_issuer(&admin(), &name("log/1"), RevocationReason::Superseded).await.is_err());
    authority.revoke_issuer(&admin(), &name("ssh-user/2"), RevocationReason::KeyCompromise).await.unwrap();
    assert_eq!(authority.ssh_user_ca(), "");
}

/// Takes keys out of the token, and opens the authority anew.
async fn lost(house: &House, labels: &[&str]) -> Authority {
    let pin = house.token.pin();
    for (label, kind) in labels.iter().flat_map(|label| [(*label, "privkey"), (*label, "pubkey")]) {
        let mut tool = std::process::Command::new("pkcs11-tool");
        tool.args([
            "--module",
            "/usr/lib/softhsm/libsofthsm2.so",
            "--token-label",
            house.token.label(),
            "--login",
            "--pin",
            pin,
        ]);
        tool.args(["--delete-object", "--type", kind, "--label", label])
            .env("SOFTHSM2_CONF", house.token.softhsm_conf());
        let output = tool.output().unwrap_or_else(|e| panic!("pkcs11-tool is needed: {e}"));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let (pool, mint) = hsm::open(house.token.config()).unwrap();
    let ledger = crate::house::open_ledger(house.dir.path(), (&pool, mint), &house.world).await;
    let parts = crate::house::parts(&ledger, &pool, &house.world, Profiles::load(Profiles::shipped()).unwrap());
    Authority::open(parts).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ssh_ca_that_is_revoked_is_named_to_sshd_and_ssh_by_its_key_though_the_token_lost_it() {
    let house = House::new().await;
    let number = |list: &[u8]| list.get(12..20).map(|number| u64::from_be_bytes(number.try_into().unwrap())).unwrap();
    let line = |of: &str| generation(&house.authority, of).line.unwrap();
    let (users, hosts) = (house.file("users.pub", line("ssh-user/1")), house.file("hosts.pub", line("ssh-host/1")));
    let before = house.authority.ssh_krl();
    let list = house.file("krl", &before);
    accepts("ssh-keygen", &[&"-Q", &"-f", &list, &users]);
    accepts("ssh-keygen", &[&"-Q", &"-f", &list, &hosts]);

    house.authority.revoke_issuer(&admin(), &name("ssh-user/1"), RevocationReason::KeyCompromise).await.unwrap();
    let one = house.authority.ssh_krl();
    let list = house.file("krl", &one);
    refuses("ssh-keygen", &[&"-Q", &"-f", &list, &users]);
    accepts("ssh-keygen", &[&"-Q", &"-f", &list, &hosts]);
    assert!(number(&one) > number(&before), "hosts take a newer list alone");

    // Whatever becomes of the tokens: those of a CA that is lost are in the wrong hands sooner than others.
    let authority = lost(&house, &["ssh-user-1", "ssh-host-1"]).await;
    assert_eq!(generation(&authority, "ssh-host/1").line, None, "its key is not there");
    assert_eq!(authority.ssh_krl(), one);
    authority.revoke_issuer(&admin(), &name("ssh-host/1"), RevocationReason::Superseded).await.unwrap();
    let both = authority.ssh_krl();
    let list = house.file("krl", &both);
    refuses("ssh-keygen", &[&"-Q", &"-f", &list, &users]);
    refuses("ssh-keygen", &[&"-Q", &"-f", &list, &hosts]);
    assert!(number(&both) > number(&one));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_the_token_lost_stops_its_issuer_alone() {
    let house = House::new().await;
    let authority = lost(&house, &["code-1"]).await;
    assert_eq!(authority.certify(&admin(), server_request(&["www.example.com"])).await.unwrap().issuer, "tls/1");
    let code = generation(&authority, "code/1");
    assert!(code.why.as_ref().is_some_and(|why| why.contains("code-1")), "{code:?}");
    let health = authority.health();
    assert!(health.held.is_none() && health.stopped.iter().any(|one| one.issuer == "code"), "{health:?}");
}

/// The bytes of each CA's certificate, held: whoever reads one again has others.
fn held(authority: &Authority) -> Vec<(String, bytes::Bytes)> {
    authority.cas().into_iter().map(|ca| (ca.name.to_string(), ca.certificate.unwrap().der)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_one_issuer_reads_no_other() {
    let house = House::new().await;
    let (authority, other) = (&house.authority, house.reopened(Profiles::load(Profiles::shipped()).unwrap()).await);
    let before = [held(authority), held(&other)];
    authority.create_issuer(&admin(), below("vpn", "root")).await.unwrap();
    authority.rotate_issuer(&admin(), Rotate::of("ssh-user")).await.unwrap();
    authority.rotate_issuer(&admin(), Rotate::of("code")).await.unwrap();
    // The other meets them with its next issuance.
    other.certify(&admin(), server_request(&["www.example.com"])).await.unwrap();
    for (authority, before) in [authority, &other].into_iter().zip(before) {
        let after = held(authority);
        let names: Vec<_> = after.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["code/1", "code/2", "root/1", "tls/1", "vpn/1"]);
        for (name, der) in before {
            let (_, there) = after.iter().find(|(there, _)| *there == name).unwrap();
            assert_eq!((der.as_ptr(), &der), (there.as_ptr(), there), "{name} was read again");
        }
    }
    // Who missed more changes than the roster names reads all, and knows the new ones.
    authority.create_issuer(&admin(), below("edge", "root")).await.unwrap();
    for _ in 0..65 {
        authority.activate_issuer(&admin(), &name("ssh-user/2"), Activation::Now).await.unwrap();
    }
    assert!(!other.has_issuer("edge"));
    other.certify(&admin(), server_request(&["www.example.com"])).await.unwrap();
    assert!(other.has_issuer("edge"));
    house.verified().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_who_asks_for_a_certificate_meets_a_change_of_issuers() {
    let house = House::new().await;
    let done = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let callers: Vec<_> = (0..4)
        .map(|_| {
            let (authority, done) = (house.authority.clone(), done.clone());
            tokio::spawn(async move {
                while !done.load(std::sync::atomic::Ordering::SeqCst) {
                    authority.certify(&admin(), server_request(&["www.example.com"])).await.unwrap();
                }
            })
        })
        .collect();
    for _ in 0..6 {
        house.authority.rotate_issuer(&admin(), Rotate::of("tls")).await.unwrap();
    }
    done.store(true, std::sync::atomic::Ordering::SeqCst);
    for caller in callers {
        caller.await.unwrap();
    }
}
