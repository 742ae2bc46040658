//! Public keys on hosts over a real register: which are in force, asked without opening anything, and what hosts say that they have.

mod support;

use chancery_secrets::{HostKeys, Kind, Naming, Put, REPORTS_MAX, Rotations, SecretError, ssh_fingerprint};
use policy::{Action, Owner};
use store::Database;
use support::*;

const KEY: &str = "prod/hosts/deploy";

async fn house(database: &Database) -> (House, HostKeys) {
    let house = House::open(database).await;
    let keys = HostKeys::new(house.vault.clone(), Rotations::new(house.vault.clone(), 1));
    (house, keys)
}

/// A key that is drawn.
fn drawn(pending: bool) -> Put {
    let naming = Naming { kind: Some(Kind::SshKey), ..Naming::default() };
    Put { draw: true, pending, naming, ..put(&[("username", "deploy")]) }
}

async fn versions(house: &House, keys: &HostKeys) -> Vec<u64> {
    let secret = house.vault.look(&path(KEY)).await.unwrap().unwrap();
    keys.in_force(&secret).await.unwrap().keys.into_iter().map(|key| key.version).collect()
}

async fn says(house: &House, keys: &HostKeys, host: &str, fingerprints: &[&str]) -> Result<u64, SecretError> {
    let (grant, owner) = (house.grant(Action::ListSecrets, KEY), Owner::parse("web").unwrap());
    let fingerprints = fingerprints.iter().map(|one| (*one).to_owned()).collect();
    keys.report(grant, (&path(KEY), &owner), (host, fingerprints)).await.map(|report| report.at)
}

#[test]
fn what_is_in_force_is_told_without_opening_it() {
    on_sqlite(|database| async move {
        let (house, keys) = house(&database).await;
        house.put_as(KEY, drawn(false)).await.unwrap();
        assert_eq!(versions(&house, &keys).await, [1]);
        house.put_as(KEY, drawn(true)).await.unwrap();
        let began = house.leaves();
        assert_eq!(versions(&house, &keys).await, [2, 1], "what is to be, and what is");
        assert_eq!(house.leaves(), began, "nothing was opened");
        // The line is the key's own, without what its comment says.
        let secret = house.vault.look(&path(KEY)).await.unwrap().unwrap();
        let current = keys.in_force(&secret).await.unwrap().keys.pop().unwrap();
        let fields = house.fields(KEY, "current").await.unwrap();
        assert!(fields["public_key"].starts_with(&current.line) && current.line.split(' ').count() == 2);
        assert_eq!(Some(current.fingerprint), ssh_fingerprint(&fields["public_key"]));
        // Out of use, hosts are to have none.
        house.vault.delete(house.grant(Action::WriteSecret, KEY), &path(KEY), 7).await.unwrap();
        assert_eq!(versions(&house, &keys).await, [0; 0]);
        house.world.advance(8 * 86_400);
        house.vault.purge(house.grant(Action::DestroySecret, KEY), &path(KEY)).await.unwrap();
        assert_eq!(versions(&house, &keys).await, [0; 0], "and so it is once nothing of it is left");
        house.put("prod/db", "of a database").await;
        let other = house.vault.look(&path("prod/db")).await.unwrap().unwrap();
        let refused = keys.in_force(&other).await;
        assert!(matches!(refused, Err(SecretError::Invalid { what: "kind", .. })), "{refused:?}");
    });
}

#[test]
fn a_host_says_once_what_it_has_and_says_nothing_else() {
    on_sqlite(|database| async move {
        let (house, keys) = house(&database).await;
        house.put_as(KEY, drawn(false)).await.unwrap();
        let one = format!("SHA256:{}", "a".repeat(43));
        let since = says(&house, &keys, "Web1.example.internal", &[&one]).await.unwrap();
        let began = house.leaves();
        house.world.advance(60);
        assert_eq!(says(&house, &keys, "web1.example.internal", &[&one, &one]).await.unwrap(), since);
        assert_eq!(house.leaves(), began, "the same again is no entry");
        says(&house, &keys, "web1.example.internal", &[]).await.unwrap();
        assert_eq!(house.leaves(), began + 1);
        let there = keys.reports(&path(KEY)).await.unwrap();
        assert_eq!(there.len(), 1);
        assert_eq!(
            (there[0].host.as_str(), there[0].fingerprints.len(), there[0].at),
            ("web1.example.internal", 0, since + 60)
        );
        let many: Vec<String> =
            (0..17).map(|n| format!("SHA256:{}", format!("{n:02}").repeat(22).get(..43).unwrap())).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        for bad in [&["MD5:00"][..], &["SHA256:short"], &many] {
            let refused = says(&house, &keys, "web1", bad).await;
            assert!(matches!(refused, Err(SecretError::Invalid { what: "fingerprints", .. })), "{refused:?}");
        }
        for bad in ["", "a b", "a/b"] {
            let refused = says(&house, &keys, bad, &[]).await;
            assert!(matches!(refused, Err(SecretError::Invalid { what: "host", .. })), "{refused:?}");
        }
        for number in 1..REPORTS_MAX {
            says(&house, &keys, &format!("host{number}"), &[]).await.unwrap();
        }
        let full = says(&house, &keys, "one-more", &[]).await;
        assert!(matches!(full, Err(SecretError::Conflict(_))), "{full:?}");
        says(&house, &keys, "host7", &[&one]).await.unwrap();
        let report = house.audited(&database).await;
        assert!(report.findings.is_empty(), "{:?}", report.findings);
    });
}
