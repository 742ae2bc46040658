//! The vault over a real register and a real token: what is written is read, by whoever may, and each reading is in the log.

mod support;

use std::time::Duration;

use chancery_secrets::{Change, Fields, Kind, Naming, Patch, Put, Search, SecretError, Standing, Wanted};
use policy::{Action, Role};
use store::Database;
use support::*;

#[test]
fn what_is_put_is_read_and_each_reading_is_one_leaf_that_was_there_before() {
    on_both(|database| async move {
        let house = House::open(&database).await;
        let secret = house.put_as("prod/db", put(&[("user", "shop"), ("password", "hunter2")])).await.unwrap();
        assert_eq!((secret.newest(), secret.labels()["current"]), (1, 1));
        let before = house.leaves();
        let opened = house.vault.read(house.wanted("prod/db", "current")).await.unwrap();
        assert_eq!(opened.fields.text("password"), Some("hunter2"));
        assert_eq!((opened.leaf, house.leaves()), (before, before + 1));
        let leaf = house.last_leaves(1).await.remove(0);
        assert_eq!(leaf["event"], "access");
        assert_eq!(leaf["actor"]["id"], "system:test");
        assert_eq!(leaf["grant"]["action"], "read-secret");
        assert_eq!(leaf["opened"][0]["id"], "prod/db@1.1");
        // A second reading asks no token, and is a leaf all the same.
        assert_eq!(house.fields("prod/db", "1").await.unwrap()["user"], "shop");
        assert_eq!(house.leaves(), before + 2);
        let house = house.reopened(&database).await;
        house.seal_under(&[1]).await;
        assert_eq!(house.fields("prod/db", "current").await.unwrap()["password"], "hunter2");
        let report = house.audited(&database).await;
        assert!(report.findings.is_empty(), "{:?}", report.findings);
    });
}

#[test]
fn a_put_of_one_field_leaves_its_siblings_and_says_that_it_opened_them() {
    on_sqlite(|database| async move {
        let house = House::open(&database).await;
        house.put_as("a", put(&[("user", "shop"), ("password", "one"), ("host", "db1")])).await.unwrap();
        let before = house.leaves();
        let change = patch(&[("password", "two")]).remove(field("host"));
        house.put_as("a", Put { change: Change::Patch(change), ..Put::default() }).await.unwrap();
        let fields = house.fields("a", "current").await.unwrap();
        assert_eq!(fields.keys().map(String::as_str).collect::<Vec<_>>(), ["password", "user"]);
        assert_eq!((fields["password"].as_str(), fields["user"].as_str()), ("two", "shop"));
        assert_eq!(house.fields("a", "previous").await.unwrap()["host"], "db1");
        let size = house.leaves();
        let opened = house.ledger.leaves(before..size).await.unwrap();
        let opening = opened.iter().find(|(_, leaf)| leaf.contains("\"event\":\"access\"")).unwrap();
        assert!(opening.1.contains("write-secret"), "the write that needed it: {}", opening.1);
        // All of them at once, by choice.
        let mut whole = Fields::new();
        whole.set(field("token"), b"three".to_vec()).unwrap();
        house.put_as("a", Put { change: Change::Whole(whole), ..Put::default() }).await.unwrap();
        assert_eq!(house.fields("a", "current").await.unwrap().len(), 1);
    });
}

#[test]
fn of_two_who_write_upon_the_same_version_one_is_told() {
    on_both(|database| async move {
        let house = House::open(&database).await;
        let upon = |expect| Put { expect: Some(expect), ..put(&[("value", "x")]) };
        assert!(matches!(house.put_as("a", upon(1)).await, Err(SecretError::Conflict(_))), "there is none yet");
        house.put_as("a", upon(0)).await.unwrap();
        assert!(matches!(house.put_as("a", upon(0)).await, Err(SecretError::Conflict(_))));
        let (one, other) = tokio::join!(house.put_as("a", upon(1)), house.put_as("a", upon(1)));
        assert!(one.is_ok() != other.is_ok(), "{one:?} {other:?}");
        // Without a word they follow each other, and none is lost; not even where the one opens what another replaces meanwhile.
        for path in ["b", "c", "d", "e", "f", "g"] {
            let all = (0..8).map(|n| {
                let name = format!("f{n}");
                let house = &house;
                async move { house.put_as(path, put(&[(&name, "x")])).await }
            });
            for put in futures_util::future::join_all(all).await {
                put.unwrap();
            }
            assert_eq!(house.fields(path, "current").await.unwrap().len(), 8);
        }
    });
}

#[test]
fn labels_stand_where_they_were_put_and_what_has_one_is_never_pruned() {
    on_sqlite(|database| async move {
        let house = House::open(&database).await;
        house
            .put_as("a", Put { naming: Naming { keep: Some(2), ..Naming::default() }, ..put(&[("value", "v1")]) })
            .await
            .unwrap();
        let grant = || house.grant(Action::WriteSecret, "a");
        house.vault.label(grant(), &path("a"), &"blue".parse().unwrap(), Some(&which("1"))).await.unwrap();
        for n in 2..=7 {
            house.put("a", &format!("v{n}")).await;
        }
        assert_eq!(house.read("a", "blue").await.unwrap(), "v1");
        assert_eq!(house.read("a", "previous").await.unwrap(), "v6");
        let pruned = house.read("a", "2").await;
        assert!(matches!(&pruned, Err(SecretError::NotFound(why)) if why.contains("pruned")), "{pruned:?}");
        assert_eq!(
            (house.read("a", "4").await.unwrap().as_str(), house.read("a", "5").await.unwrap().as_str()),
            ("v4", "v5")
        );
        assert!(house.ledger.value("a@1.2").await.unwrap().is_none(), "and its bytes are gone");
        // Back, and forth again.
        house.vault.roll_back(grant(), &path("a"), None).await.unwrap();
        assert_eq!(house.read("a", "current").await.unwrap(), "v6");
        house.vault.roll_back(grant(), &path("a"), None).await.unwrap();
        assert_eq!(house.read("a", "current").await.unwrap(), "v7");
        house.vault.roll_back(grant(), &path("a"), Some(&which("blue"))).await.unwrap();
        assert_eq!(house.read("a", "current").await.unwrap(), "v1");
        let twice = house.vault.roll_back(grant(), &path("a"), Some(&which("1"))).await;
        assert!(matches!(twice, Err(SecretError::Conflict(_))));
        let ours = house.vault.label(grant(), &path("a"), &"current".parse().unwrap(), None).await;
        assert!(matches!(ours, Err(SecretError::Invalid { .. })));
        house.vault.label(grant(), &path("a"), &"blue".parse().unwrap(), None).await.unwrap();
        assert!(matches!(house.read("a", "blue").await, Err(SecretError::NotFound(_))));
        // What is pending is given up, stays under its number, and may be destroyed.
        house.put_as("a", Put { pending: true, ..put(&[("value", "never")]) }).await.unwrap();
        let number = house.vault.look(&path("a")).await.unwrap().unwrap().labels()["pending"];
        let all = [which(&number.to_string())];
        let destroy = || house.grant(Action::DestroySecret, "a");
        let kept = house.vault.destroy_versions(destroy(), &path("a"), &all).await;
        assert!(
            matches!(&kept, Err(SecretError::Conflict(why)) if why.contains("label a pending --remove")),
            "{kept:?}"
        );
        let pending = || "pending".parse().unwrap();
        let moved = house.vault.label(grant(), &path("a"), &pending(), Some(&which("1"))).await;
        assert!(
            matches!(&moved, Err(SecretError::Invalid { why, .. }) if why.contains("pending --remove")),
            "{moved:?}"
        );
        house.vault.label(grant(), &path("a"), &pending(), None).await.unwrap();
        assert!(matches!(house.read("a", "pending").await, Err(SecretError::NotFound(_))));
        assert_eq!(house.read("a", &number.to_string()).await.unwrap(), "never");
        let twice = house.vault.label(grant(), &path("a"), &pending(), None).await;
        assert!(matches!(twice, Err(SecretError::NotFound(_))), "{twice:?}");
        house.vault.destroy_versions(destroy(), &path("a"), &all).await.unwrap();
        let report = house.audited(&database).await;
        assert!(report.findings.is_empty(), "{:?}", report.findings);
    });
}

#[test]
fn what_is_out_of_use_is_not_read_and_says_what_to_do() {
    on_sqlite(|database| async move {
        let house = House::open(&database).await;
        let ends = house.world.now().plus_secs(600);
        let begins = house.world.now().plus_secs(60);
        house
            .put_as("a", Put { not_before: Some(begins), expires: Some(ends), ..put(&[("value", "x")]) })
            .await
            .unwrap();
        let told = |outcome: Result<String, SecretError>, word: &str| match outcome {
            Err(SecretError::OutOfUse(why)) => assert!(why.contains(word), "{why}"),
            other => panic!("{word}: {other:?}"),
        };
        told(house.read("a", "1").await, "before");
        house.world.advance(61);
        assert_eq!(house.read("a", "1").await.unwrap(), "x");
        house.vault.enable(house.grant(Action::WriteSecret, "a"), &path("a"), &which("1"), false).await.unwrap();
        told(house.read("a", "1").await, "disabled");
        house.vault.enable(house.grant(Action::WriteSecret, "a"), &path("a"), &which("1"), true).await.unwrap();
        assert_eq!(house.read("a", "1").await.unwrap(), "x");
        house.world.advance(600);
        told(house.read("a", "1").await, "expired");
        let secret = house.vault.look(&path("a")).await.unwrap().unwrap();
        assert_eq!(secret.versions(house.world.now())[0].standing, Standing::Expired);
        let past = Put { expires: Some(house.world.now()), ..put(&[("value", "x")]) };
        assert!(matches!(house.put_as("a", past).await, Err(SecretError::Invalid { what: "expires", .. })));
        assert!(matches!(house.put_as("b", Put::default()).await, Err(SecretError::Invalid { what: "fields", .. })));
    });
}

/// A clock that is not believed keeps things from being written; whoever needs a password to start an application reads it.
#[test]
fn what_is_there_is_read_whatever_the_clock_shows() {
    on_sqlite(|database| async move {
        let house = House::open(&database).await;
        let ends = house.world.now().plus_secs(600);
        house.put("a", "x").await;
        house.put_as("b", Put { expires: Some(ends), ..put(&[("value", "y")]) }).await.unwrap();
        house.world.jump(-86_400);
        let held = house.put_as("a", put(&[("value", "z")])).await;
        assert!(matches!(held, Err(SecretError::Store(store::StoreError::Clock(_)))), "{held:?}");
        assert_eq!(
            (house.read("a", "current").await.unwrap(), house.read("b", "1").await.unwrap()),
            ("x".into(), "y".into())
        );
        assert_eq!(house.last_leaves(1).await[0]["event"], "access");
    });
}

/// What has ended stays ended while the clock is wrong, and what has not is there: alone and with others.
#[test]
fn a_clock_that_is_not_believed_neither_opens_what_ended_nor_ends_what_did_not() {
    on_sqlite(|database| async move {
        let house = House::open(&database).await;
        for (on, secs) in [("ended", 60), ("there", 3_600)] {
            let ends = house.world.now().plus_secs(secs);
            house.put_as(on, Put { expires: Some(ends), ..put(&[("value", "x")]) }).await.unwrap();
        }
        house.world.advance(120);
        for (what, secs) in [("right", 0), ("an hour back", -3_600), ("two hours ahead", 3 * 3_600)] {
            house.world.jump(secs);
            let both = vec![house.wanted("ended", "1"), house.wanted("there", "1")];
            let mut read = house.vault.read_all(both).await.unwrap();
            assert!(read.pop().unwrap().is_ok(), "{what}");
            assert!(matches!(read.pop().unwrap(), Err(SecretError::OutOfUse(_))), "{what}");
            assert!(matches!(house.read("ended", "1").await, Err(SecretError::OutOfUse(_))), "{what}");
            assert_eq!(house.read("there", "1").await.unwrap(), "x", "{what}");
        }
    });
}

#[test]
fn what_is_deleted_comes_back_until_it_is_destroyed_and_then_its_path_is_free() {
    on_both(|database| async move {
        let house = House::open(&database).await;
        house.put("a", "first life").await;
        let (write, destroy) = (|| house.grant(Action::WriteSecret, "a"), || house.grant(Action::DestroySecret, "a"));
        let soon = house.vault.delete(write(), &path("a"), 6).await;
        assert!(matches!(soon, Err(SecretError::Invalid { what: "retention", .. })));
        let in_use = house.vault.purge(destroy(), &path("a")).await;
        assert!(matches!(&in_use, Err(SecretError::Conflict(why)) if why.contains("delete it first")), "{in_use:?}");
        house.vault.delete(write(), &path("a"), 7).await.unwrap();
        assert!(matches!(house.read("a", "current").await, Err(SecretError::OutOfUse(_))));
        // Whatever is expected: nobody is sent to read what is not to be read.
        for expect in [None, Some(0), Some(1), Some(7)] {
            let upon = house.put_as("a", Put { expect, ..put(&[("value", "x")]) }).await;
            assert!(matches!(upon, Err(SecretError::OutOfUse(_))), "{expect:?}: {upon:?}");
        }
        house.vault.restore(write(), &path("a")).await.unwrap();
        assert_eq!(house.read("a", "current").await.unwrap(), "first life");
        house.vault.delete(write(), &path("a"), 7).await.unwrap();
        house.world.advance(7 * 86_400 - 1);
        let early = house.vault.purge(destroy(), &path("a")).await;
        assert!(matches!(&early, Err(SecretError::Conflict(why)) if why.contains("restored until")), "{early:?}");
        house.world.advance(1);
        house.vault.purge(destroy(), &path("a")).await.unwrap();
        assert!(matches!(house.read("a", "current").await, Err(SecretError::NotFound(_))));
        assert!(house.ledger.value("a@1.1").await.unwrap().is_none());
        let secret = house.put_as("a", Put { expect: Some(0), ..put(&[("value", "second life")]) }).await.unwrap();
        assert_eq!((secret.newest(), house.read("a", "1").await.unwrap().as_str()), (1, "second life"));
        let report = house.audited(&database).await;
        assert!(report.findings.is_empty(), "{:?}", report.findings);
    });
}

#[test]
fn a_lock_keeps_everything_and_single_versions_go_where_there_is_none() {
    on_sqlite(|database| async move {
        let house = House::open(&database).await;
        for value in ["v1", "v2", "v3"] {
            house.put("a", value).await;
        }
        let (write, destroy) = (|| house.grant(Action::WriteSecret, "a"), || house.grant(Action::DestroySecret, "a"));
        let lock = |purge_lock| Naming { purge_lock: Some(purge_lock), ..Naming::default() };
        house.vault.describe(write(), &path("a"), &lock(true)).await.unwrap();
        let locked = house.vault.destroy_versions(destroy(), &path("a"), &[which("1")]).await;
        assert!(matches!(&locked, Err(SecretError::Conflict(why)) if why.contains("locked")), "{locked:?}");
        house.vault.describe(write(), &path("a"), &Naming { keep: Some(0), ..Naming::default() }).await.unwrap();
        house.put("a", "v4").await;
        assert_eq!(house.read("a", "1").await.unwrap(), "v1", "nor is it pruned");
        house.vault.describe(write(), &path("a"), &Naming { keep: Some(9), ..lock(false) }).await.unwrap();
        let current = house.vault.destroy_versions(destroy(), &path("a"), &[which("1"), which("4")]).await;
        assert!(matches!(&current, Err(SecretError::Conflict(why)) if why.contains("current")), "{current:?}");
        assert_eq!(house.read("a", "1").await.unwrap(), "v1", "all or none");
        house.vault.destroy_versions(destroy(), &path("a"), &[which("1")]).await.unwrap();
        assert!(matches!(house.read("a", "1").await, Err(SecretError::OutOfUse(_))));
        assert!(house.ledger.value("a@1.1").await.unwrap().is_none());
        let back = house.vault.roll_back(write(), &path("a"), Some(&which("1"))).await;
        assert!(matches!(back, Err(SecretError::OutOfUse(_))));
    });
}

#[test]
fn a_grant_is_for_its_act_path_and_owner_alone() {
    on_sqlite(|database| async move {
        let house = House::open(&database).await;
        house.put("a", "x").await;
        house.put("b", "y").await;
        let wrong = [
            house.grant(Action::ReadSecret, "b"),
            house.grant(Action::ListSecrets, "a"),
            house.grant_on(&admin(), Action::ReadSecret, "a", "db").unwrap(),
        ];
        let before = house.leaves();
        for grant in wrong {
            let refused = house
                .vault
                .read(Wanted { grant, path: path("a"), known: None, which: which("current"), keep_secs: 0 })
                .await;
            assert!(matches!(refused, Err(SecretError::Conflict(_))), "{refused:?}");
        }
        assert_eq!(house.leaves(), before, "nothing was shown");
        // The shipped roles: a reader of the owner reads, a writer writes and does not read, and of another owner nobody does anything.
        let may = |role, owner: &str, action| {
            house.grant_on(&someone("token:x", &[role], &[owner]), action, "a", "web").is_ok()
        };
        assert!(
            may(Role::SecretReader, "web", Action::ReadSecret) && !may(Role::SecretReader, "web", Action::WriteSecret)
        );
        assert!(
            may(Role::SecretWriter, "web", Action::WriteSecret) && !may(Role::SecretWriter, "web", Action::ReadSecret)
        );
        assert!(!may(Role::SecretWriter, "web", Action::DestroySecret));
        assert!(!may(Role::SecretReader, "db", Action::ReadSecret) && !may(Role::Auditor, "web", Action::ReadSecret));
    });
}

#[test]
fn many_are_read_in_one_leaf_and_each_answers_for_itself() {
    on_sqlite(|database| async move {
        let house = House::open(&database).await;
        for name in ["a", "b", "c"] {
            house.put(name, name).await;
        }
        let before = house.leaves();
        let wanted = [("a", "current"), ("nothing", "current"), ("b", "7"), ("c", "1")];
        let wanted = wanted.map(|(on, version)| house.wanted(on, version)).into();
        let read = house.vault.read_all(wanted).await.unwrap();
        let text = |place: usize| read[place].as_ref().unwrap().fields.text("value").map(str::to_owned);
        assert_eq!((text(0).as_deref(), text(3).as_deref()), (Some("a"), Some("c")));
        assert!(matches!(read[1], Err(SecretError::NotFound(_))) && matches!(read[2], Err(SecretError::NotFound(_))));
        assert_eq!(house.leaves(), before + 1, "one answer, one leaf");
        let leaf = house.last_leaves(1).await.remove(0);
        assert_eq!(leaf["opened"].as_array().unwrap().len(), 2, "and no more in it than was shown");
        let many = (0..=store::ACCESSED_MAX).map(|_| house.wanted("a", "current")).collect();
        assert!(matches!(house.vault.read_all(many).await, Err(SecretError::Invalid { .. })));
    });
}

#[test]
fn a_list_has_what_is_below_a_path_and_what_its_reader_may_know_of() {
    on_both(|database| async move {
        let house = House::open(&database).await;
        for name in ["pro", "prod", "prod+x", "prod-x", "prod/a", "prod/b/c", "prod0", "production/a", "zoo"] {
            house
                .put_as(name, Put { naming: described(&format!("The {name} one")), ..put(&[("value", "x")]) })
                .await
                .unwrap();
        }
        let list = |search: Search| {
            let house = &house;
            async move {
                let (mut names, mut search) = (Vec::new(), search);
                loop {
                    let page = house.vault.list(&search, |_, path| path.as_str() != "prod/b/c").await.unwrap();
                    let next = page.next;
                    names.extend(page.items.iter().map(|secret| secret.path().to_string()));
                    match next {
                        Some(_) => search.after = next,
                        None => return names,
                    }
                }
            }
        };
        let within = |text: &str| Search { within: Some(path(text)), limit: 1, ..Search::default() };
        assert_eq!(list(within("prod")).await, ["prod", "prod/a"]);
        assert_eq!(list(within("prod/b")).await, [""; 0]);
        assert_eq!(list(Search { limit: 3, ..Search::default() }).await.len(), 8);
        let text = Search { text: Some("PRODUCTION".into()), limit: 9, ..Search::default() };
        assert_eq!(list(text).await, ["production/a"]);
        let tags = Some([("team".to_owned(), "shop".to_owned())].into());
        let tagged = Put { naming: Naming { tags, ..Naming::default() }, ..put(&[("value", "x")]) };
        house.put_as("tagged", tagged).await.unwrap();
        let tag = |value: Option<&str>| Search {
            tag: Some(("team".into(), value.map(str::to_owned))),
            limit: 9,
            ..Search::default()
        };
        assert_eq!(list(tag(None)).await, ["tagged"]);
        assert_eq!(list(tag(Some("mail"))).await, [""; 0]);
        house.vault.delete(house.grant(Action::WriteSecret, "tagged"), &path("tagged"), 30).await.unwrap();
        assert_eq!(list(tag(None)).await, [""; 0]);
        assert_eq!(list(Search { deleted: true, ..tag(Some("shop")) }).await, ["tagged"]);
    });
}

#[test]
fn the_token_is_asked_once_a_lease_and_each_time_where_there_is_none() {
    on_sqlite(|database| async move {
        let house = House::leasing(&database, Duration::ZERO).await;
        house.put("a", "x").await;
        assert_eq!(house.read("a", "current").await.unwrap(), "x");
        // Without the key of its generation nothing is opened; with the key at hand nobody asks for it.
        house.ledger.take_seals(store::Seals::default());
        let before = house.leaves();
        let away = house.read("a", "current").await;
        assert!(matches!(away, Err(SecretError::Store(store::StoreError::Token(_)))), "{away:?}");
        assert_eq!(house.leaves(), before, "an outage does not fill the log");
    });
    on_sqlite(|database| async move {
        let house = House::open(&database).await;
        house.put("a", "x").await;
        assert_eq!(house.read("a", "current").await.unwrap(), "x");
        house.ledger.take_seals(store::Seals::default());
        assert_eq!(house.read("a", "current").await.unwrap(), "x");
    });
}

#[test]
fn what_was_read_a_moment_ago_is_read_from_memory_while_the_log_knows_no_other() {
    for (lease, is_kept) in [(Duration::from_secs(3_600), true), (Duration::ZERO, false)] {
        on_sqlite(move |database| async move {
            let house = House::leasing(&database, lease).await;
            house.put("a", "first").await;
            assert_eq!(house.read("a", "current").await.unwrap(), "first");
            // Somebody empties the database below us: what this process read was attested, and the log knows no other version.
            let Database::Sqlite(file) = &database else { panic!("SQLite") };
            rusqlite::Connection::open(file).unwrap().execute("DELETE FROM beside", []).unwrap();
            let (before, read) = (house.leaves(), house.read("a", "current").await);
            match is_kept {
                true => assert_eq!((read.unwrap().as_str(), house.leaves()), ("first", before + 1), "with its leaf"),
                false => assert!(matches!(&read, Err(SecretError::Store(store::StoreError::Altered(_)))), "{read:?}"),
            }
        });
    }
    // Whatever changes of it counts at the next reading.
    on_both(|database| async move {
        let house = House::open(&database).await;
        house.put("a", "first").await;
        assert_eq!(house.read("a", "current").await.unwrap(), "first");
        house.put("a", "second").await;
        assert_eq!(house.read("a", "current").await.unwrap(), "second");
        house.vault.roll_back(house.grant(Action::WriteSecret, "a"), &path("a"), None).await.unwrap();
        assert_eq!(house.read("a", "current").await.unwrap(), "first");
        house.vault.delete(house.grant(Action::WriteSecret, "a"), &path("a"), 30).await.unwrap();
        assert!(matches!(house.read("a", "current").await, Err(SecretError::OutOfUse(_))));
    });
}

#[test]
fn what_was_sealed_under_an_old_generation_is_read_while_it_is_sealed_anew() {
    on_sqlite(|database| async move {
        let house = House::open(&database).await;
        for n in 0..5 {
            house.put(&format!("s{n}"), &format!("plain {n}")).await;
        }
        house.seal_under(&[1, 2]).await;
        let reading = async {
            for round in 0..20 {
                let n = round % 5;
                assert_eq!(house.read(&format!("s{n}"), "current").await.unwrap(), format!("plain {n}"));
            }
        };
        let sealing = async { while house.ledger.rewrap(&stamp()).await.unwrap().left > 0 {} };
        tokio::join!(reading, sealing);
        house.seal_under(&[2]).await;
        let house = house.reopened(&database).await;
        house.seal_under(&[2]).await;
        assert_eq!(house.read("s3", "current").await.unwrap(), "plain 3");
        let report = house.audited(&database).await;
        assert!(report.findings.is_empty(), "{:?}", report.findings);
    });
}

#[test]
fn a_secret_is_what_its_kind_is_and_what_nobody_should_think_up_is_drawn() {
    on_sqlite(|database| async move {
        let house = House::open(&database).await;
        let of = |kind| Naming { kind: Some(kind), ..Naming::default() };
        let account = Put { naming: of(Kind::DatabasePassword), draw: true, ..put(&[("username", "shop")]) };
        house.put_as("db", account).await.unwrap();
        let first = house.fields("db", "current").await.unwrap();
        assert!(first["password"].len() >= 20 && first["username"] == "shop", "{:?}", first.keys());
        house.put_as("db", Put { draw: true, ..Put::default() }).await.unwrap();
        let second = house.fields("db", "current").await.unwrap();
        assert!(second["password"] != first["password"] && second["username"] == "shop");
        let wrong = house.put_as("db", put(&[("passwort", "typed")])).await;
        match wrong {
            Err(SecretError::Invalid { what: "fields", why }) => {
                assert!(why.contains("passwort") && !why.contains("typed"), "{why}");
            }
            other => panic!("{other:?}"),
        }
        let note = Put { naming: of(Kind::Note), draw: true, ..put(&[("text", "x")]) };
        assert!(matches!(house.put_as("n", note).await, Err(SecretError::Invalid { what: "draw", .. })));
    });
}

#[test]
fn the_longest_value_fits_and_what_is_wrong_is_refused_with_its_place() {
    on_sqlite(|database| async move {
        let house = House::open(&database).await;
        let longest = chancery_secrets::VALUE_BYTES_MAX - 2 - 5 - "value".len();
        let put_of = |length: usize| {
            let change = Change::Patch(Patch::new().set(field("value"), vec![7; length]));
            Put { change, ..Put::default() }
        };
        house.put_as("a", put_of(longest)).await.unwrap();
        assert_eq!(house.read("a", "1").await.unwrap().len(), longest);
        assert!(matches!(
            house.put_as("b", put_of(longest + 1)).await,
            Err(SecretError::Invalid { what: "fields", .. })
        ));
        assert!(house.vault.look(&path("b")).await.unwrap().is_none());
        let kind = Put { naming: Naming { kind: Some(Kind::Note), ..Naming::default() }, ..put(&[("value", "x")]) };
        assert!(matches!(house.put_as("a", kind).await, Err(SecretError::Invalid { what: "kind", .. })));
    });
}
