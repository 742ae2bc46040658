//! Public keys on hosts over a real register: which are in force, asked without opening anything, and what hosts say that they have.

mod support;

use chancery_secrets::{
    HostKeys, Kind, Naming, Put, REPORT_AGAIN_SECS, REPORT_SILENT_SECS, REPORTS_MAX, Rotations, SecretError,
    ssh_fingerprint,
};
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

/// Which hosts say something, by name.
async fn hosts(keys: &HostKeys) -> Vec<String> {
    keys.reports(&path(KEY)).await.unwrap().items.into_iter().map(|report| report.host).collect()
}

async fn forgets(house: &House, keys: &HostKeys, host: &str) -> Result<(), SecretError> {
    keys.forget(house.grant(Action::WriteSecret, KEY), (&path(KEY), &owner("web")), host).await
}

fn secs(count: u64) -> i64 {
    i64::try_from(count).unwrap()
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
        let grant = house.grant(Action::WriteSecret, KEY);
        house.vault.label(grant, &path(KEY), &"pending".parse().unwrap(), None).await.unwrap();
        assert_eq!(versions(&house, &keys).await, [1], "what is to be no more");
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
        let there = keys.reports(&path(KEY)).await.unwrap().items;
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

#[test]
fn a_host_that_was_silent_makes_room_for_another_and_one_that_speaks_does_not() {
    on_sqlite(|database| async move {
        let (house, keys) = house(&database).await;
        house.put_as(KEY, drawn(false)).await.unwrap();
        let one = format!("SHA256:{}", "a".repeat(43));
        let since = says(&house, &keys, "gone", &[&one]).await.unwrap();
        house.world.advance(1);
        for number in 2..REPORTS_MAX {
            says(&house, &keys, &format!("host{number}"), &[]).await.unwrap();
        }
        says(&house, &keys, "alive", &[&one]).await.unwrap();
        // The same is written again once a week, and since when it is so stays.
        house.world.advance(secs(REPORT_AGAIN_SECS));
        let began = house.leaves();
        assert_eq!(says(&house, &keys, "alive", &[&one]).await.unwrap(), since + 1 + REPORT_AGAIN_SECS);
        says(&house, &keys, "alive", &[&one]).await.unwrap();
        assert_eq!(house.leaves(), began + 1);
        let there = keys.reports(&path(KEY)).await.unwrap().items;
        let alive = there.iter().find(|report| report.host == "alive").unwrap();
        assert_eq!(alive.since, since + 1);
        // At the bound nobody is silent yet; a second later the one that spoke before the others is.
        house.world.advance(secs(REPORT_SILENT_SECS - 1 - REPORT_AGAIN_SECS));
        let full = says(&house, &keys, "new", &[&one]).await;
        assert!(matches!(&full, Err(SecretError::Conflict(why)) if why.contains("--forget")), "{full:?}");
        house.world.advance(1);
        let began = house.leaves();
        says(&house, &keys, "new", &[&one]).await.unwrap();
        assert_eq!(house.leaves(), began + 2, "who comes, and who goes");
        let there = hosts(&keys).await;
        assert_eq!(there.len(), REPORTS_MAX);
        assert!(there.iter().any(|host| host == "new") && !there.iter().any(|host| host == "gone"), "{there:?}");
        // One who is back is as new as any other: there is room once another is silent.
        let full = says(&house, &keys, "gone", &[&one]).await;
        assert!(matches!(full, Err(SecretError::Conflict(_))), "{full:?}");
        house.world.advance(1);
        says(&house, &keys, "gone", &[&one]).await.unwrap();
        assert_eq!(hosts(&keys).await.len(), REPORTS_MAX);
        let report = house.audited(&database).await;
        assert!(report.findings.is_empty(), "{:?}", report.findings);
    });
}

#[test]
fn hosts_that_come_at_the_same_moment_take_no_more_places_than_there_are() {
    on_sqlite(|database| async move {
        let (house, keys) = house(&database).await;
        house.put_as(KEY, drawn(false)).await.unwrap();
        for number in 3..=REPORTS_MAX {
            says(&house, &keys, &format!("host{number}"), &[]).await.unwrap();
        }
        let mut coming = tokio::task::JoinSet::new();
        for number in 0..16 {
            let (keys, grant) = (keys.clone(), house.grant(Action::ListSecrets, KEY));
            coming.spawn(async move {
                keys.report(grant, (&path(KEY), &owner("web")), (format!("new{number}").as_str(), Vec::new())).await
            });
        }
        let came = coming.join_all().await;
        assert_eq!(came.iter().filter(|outcome| outcome.is_ok()).count(), 2, "{came:?}");
        let is_full = |outcome: &Result<_, SecretError>| matches!(outcome, Err(SecretError::Conflict(_)));
        assert_eq!(came.iter().filter(|outcome| is_full(outcome)).count(), 14, "{came:?}");
        assert_eq!(hosts(&keys).await.len(), REPORTS_MAX);
    });
}

#[test]
fn a_host_is_forgotten_by_hand_and_may_speak_again() {
    on_sqlite(|database| async move {
        let (house, keys) = house(&database).await;
        house.put_as(KEY, drawn(false)).await.unwrap();
        says(&house, &keys, "web1", &[]).await.unwrap();
        says(&house, &keys, "web2", &[]).await.unwrap();
        let began = house.leaves();
        forgets(&house, &keys, "WEB1").await.unwrap();
        assert_eq!((house.leaves(), hosts(&keys).await), (began + 1, vec!["web2".to_owned()]));
        for none in ["web1", "web3", "a b"] {
            let refused = forgets(&house, &keys, none).await;
            assert!(matches!(refused, Err(SecretError::NotFound(_))), "{refused:?}");
        }
        let reading = house.grant(Action::ListSecrets, KEY);
        let refused = keys.forget(reading, (&path(KEY), &owner("web")), "web2").await;
        assert!(matches!(refused, Err(SecretError::Conflict(_))), "{refused:?}");
        says(&house, &keys, "web1", &[]).await.unwrap();
        assert_eq!(hosts(&keys).await, ["web1", "web2"]);
    });
}

#[test]
fn a_report_that_somebody_altered_hides_no_other_and_its_host_takes_its_place() {
    on_sqlite(|database| async move {
        let (house, keys) = house(&database).await;
        house.put_as(KEY, drawn(false)).await.unwrap();
        let one = format!("SHA256:{}", "a".repeat(43));
        for number in 1..=REPORTS_MAX {
            says(&house, &keys, &format!("host{number:03}"), &[]).await.unwrap();
        }
        let Database::Sqlite(file) = &database else { unreachable!() };
        let thief = rusqlite::Connection::open(file).unwrap();
        let alter = |host: &str| {
            let id = format!("{KEY} {host}");
            let sql = "UPDATE record SET body = body || ' ' WHERE kind = 'ssh-host-report' AND id = ?1";
            assert_eq!(thief.execute(sql, [&id]).unwrap(), 1);
        };
        alter("host001");
        alter("host002");
        let page = keys.reports(&path(KEY)).await.unwrap();
        assert_eq!((page.items.len(), page.altered), (REPORTS_MAX - 2, 2));
        assert!(house.ledger.integrity().alarms_total > 0);
        // It makes no room for another, and has its own.
        let full = says(&house, &keys, "one-more", &[&one]).await;
        assert!(matches!(full, Err(SecretError::Conflict(_))), "{full:?}");
        says(&house, &keys, "host001", &[&one]).await.unwrap();
        forgets(&house, &keys, "host002").await.unwrap();
        let page = keys.reports(&path(KEY)).await.unwrap();
        assert_eq!((page.items.len(), page.altered), (REPORTS_MAX - 1, 0));
        assert_eq!(page.items[0].host, "host001");
        assert_eq!(page.items[0].fingerprints, [one.as_str()]);
        says(&house, &keys, "one-more", &[&one]).await.unwrap();
    });
}
