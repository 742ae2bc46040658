//! Recovery over a real register and real tokens: what is written is wrapped, the token is lost, a few people come, and everything is read
//! again.

mod support;

use std::collections::BTreeMap;

use base64::Engine;
use chancery_secrets::recovery::{Gathering, Plan, RecoveryKey, RecoveryPrivate, Split, WRAPPED_BYTES, Wrapped, wrap};
use chancery_secrets::{Brought, Context, Dek, LostRegister, SecretError, Walked};
use policy::Action;
use ring::rand::SystemRandom;
use store::testing::TestPostgres;
use store::{Database, Rewrapped, StoreError};
use support::*;

const ORIGIN: &str = "ca.example/log";

/// What a roomful of people does: the public half, and the papers.
fn ceremony(plan: Plan) -> (RecoveryKey, Vec<String>) {
    let mut split = Split::make(plan, &SystemRandom::new()).unwrap();
    let papers: Vec<String> =
        (1..=split.shares()).map(|number| split.show(number).unwrap().expose().to_owned()).collect();
    for (number, paper) in (1..).zip(&papers) {
        split.confirm(number, paper).unwrap();
    }
    (split.release().unwrap(), papers)
}

fn joined(key: &RecoveryKey, papers: &[String], which: [usize; 3]) -> RecoveryPrivate {
    let mut gathering = Gathering::of(key.clone());
    for at in which {
        gathering.take(&papers[at]).unwrap();
    }
    gathering.join().unwrap()
}

async fn with_ceremony(house: &House) -> (RecoveryKey, Vec<String>) {
    let (key, papers) = ceremony(Plan::first(ORIGIN, 3, 5).unwrap());
    house.vault.take_recovery_key(&house.managing(), &key).await.unwrap();
    (key, papers)
}

fn counts(walked: &Walked) -> (u64, u64, u64) {
    (walked.done, walked.before, walked.left)
}

#[test]
fn what_is_written_is_wrapped_from_the_ceremony_on_and_what_was_there_by_a_walk() {
    on_both(|database| async move {
        let house = House::open(&database).await;
        house.put("prod/db", "before").await;
        assert!(house.vault.recovery_key().await.unwrap().is_none());
        let none = house.vault.wrap_all(&house.managing()).await;
        assert!(matches!(&none, Err(SecretError::NotFound(why)) if why.contains("ceremony")), "{none:?}");
        let (key, _) = with_ceremony(&house).await;
        assert_eq!(*house.vault.recovery_key().await.unwrap().unwrap(), key);
        house.put("prod/db", "after").await;
        let keys = house.keys().await;
        let is_wrapped = |id: &str| keys[id].wrapped().map(<[u8]>::len);
        assert_eq!(is_wrapped("prod/db@1.2"), Some(WRAPPED_BYTES), "as it is written");
        assert_eq!((is_wrapped("prod/db@1.1"), is_wrapped("head-key")), (None, None));

        let before = house.leaves();
        assert_eq!(counts(&house.vault.wrap_all(&house.managing()).await.unwrap()), (2, 1, 0));
        let leaves = house.last_leaves(house.leaves() - before).await;
        assert_eq!(leaves.len(), 3, "a leaf for each, and no access: nobody was shown anything");
        let kinds: Vec<_> = leaves.iter().map(|leaf| (leaf["event"].as_str(), leaf["kind"].as_str())).collect();
        let record = |kind| (Some("record"), Some(kind));
        assert_eq!(kinds, [record("sealed"), record("sealed"), record("recovery-wrapped")], "and that it is done");
        assert!(house.vault.recovery().await.unwrap().is_whole());
        assert!(house.keys().await.values().all(|key| key.wrapped().is_some()));
        assert_eq!(counts(&house.vault.wrap_all(&house.managing()).await.unwrap()), (0, 3, 0), "it is done");

        // It is taken along when the sealing key is rotated, and goes with the version.
        let wrapped: BTreeMap<_, _> =
            house.keys().await.into_iter().map(|(id, key)| (id, key.wrapped().unwrap().to_vec())).collect();
        house.seal_under(&[1, 2]).await;
        assert_eq!(house.ledger.rewrap(&stamp()).await.unwrap().left, 0);
        for (id, key) in house.keys().await {
            assert_eq!((key.generation(), key.wrapped()), (2, Some(wrapped[&id].as_slice())), "{id}");
        }
        assert_eq!(house.read("prod/db", "1").await.unwrap(), "before");
        house.put("prod/db", "third").await;
        let gone = house.grant(Action::DestroySecret, "prod/db");
        house.vault.destroy_versions(gone, &path("prod/db"), &[which("1")]).await.unwrap();
        assert_eq!(house.keys().await.keys().collect::<Vec<_>>(), ["head-key", "prod/db@1.2", "prod/db@1.3"]);
        let report = house.audited(&database).await;
        assert!(report.findings.is_empty(), "{:?}", report.findings);
        // Another start reads the key from the register.
        let house = house.reopened(&database).await;
        assert_eq!(*house.vault.recovery_key().await.unwrap().unwrap(), key);
    });
}

/// Secrets with several versions, of several owners' ways: what there is to lose.
async fn filled(house: &House) -> BTreeMap<(&'static str, u64), String> {
    let mut there = BTreeMap::new();
    for on in ["prod/db", "prod/api@2.0", "test/db"] {
        for number in 1..=3 {
            let value = format!("{on} number {number}");
            house.put(on, &value).await;
            there.insert((on, number), value);
        }
    }
    there
}

async fn everything_is_read(house: &House, there: &BTreeMap<(&'static str, u64), String>) {
    for ((on, number), value) in there {
        assert_eq!(house.read(on, &number.to_string()).await.unwrap(), *value);
    }
}

#[test]
fn the_token_is_lost_and_three_of_five_people_bring_everything_back_under_another() {
    on_both(|database| async move {
        let house = House::open(&database).await;
        let mut there = filled(&house).await;
        let (_, papers) = with_ceremony(&house).await;
        house.put("late", "written after the ceremony").await;
        there.insert(("late", 1), "written after the ceremony".to_owned());
        assert_eq!(house.vault.wrap_all(&house.managing()).await.unwrap().left, 0);
        let size = house.leaves();
        let world = house.lost().await;

        let lost = LostRegister::of(database.clone(), ORIGIN).await.unwrap();
        let private = joined(lost.key(), &papers, [4, 0, 2]);
        let head_key = lost.open(&private).unwrap();
        // Another key than that of the heads opens nothing, and changes nothing.
        let wrong = House::recovered(&database, world.clone(), (&[7; 32], 2)).await;
        assert!(matches!(wrong.err(), Some(StoreError::Held(_))));
        let house = House::recovered(&database, world.clone(), (head_key.to_seal(), 2)).await.unwrap();
        assert_eq!(house.leaves(), size + 1, "the key of the heads, sealed by the new token");
        assert_eq!(*house.vault.recovery_key().await.unwrap().unwrap(), *lost.key(), "attested now");
        let sealed = house.read("prod/db", "1").await;
        assert!(matches!(sealed, Err(SecretError::Store(StoreError::Token(_)))), "{sealed:?}");

        // Broken off here, the new token opens the register by itself; the shares are needed once more, and the walk goes on.
        let house = house.reopened(&database).await;
        house.seal_under(&[2]).await;
        assert_eq!(counts(&house.vault.restore_all(&house.managing(), &private).await.unwrap()), (10, 1, 0));
        everything_is_read(&house, &there).await;
        assert_eq!(house.ledger.standing(), BTreeMap::from([(2, 11)]), "nothing stands under what is lost");
        assert_eq!(counts(&house.vault.restore_all(&house.managing(), &private).await.unwrap()), (0, 11, 0));
        house.put("new", "life goes on").await;
        assert!(house.keys().await["new@1.1"].wrapped().is_some());
        // Another log key signs from here on, which the register says.
        let log = house.pool.find("log").await.unwrap();
        house.ledger.record_key(&log, "log", stamp()).await.unwrap();
        let report = house.audited(&database).await;
        assert!(report.findings.is_empty(), "{:?}", report.findings);

        let house = house.reopened(&database).await;
        house.seal_under(&[2]).await;
        everything_is_read(&house, &there).await;
        assert_eq!(house.read("new", "current").await.unwrap(), "life goes on");
    });
}

#[test]
fn what_was_never_wrapped_is_named_and_the_rest_comes_back() {
    on_sqlite(|database| async move {
        let house = House::open(&database).await;
        house.put("early", "before the ceremony").await;
        let (_, papers) = with_ceremony(&house).await;
        let nothing = LostRegister::of(database.clone(), ORIGIN).await;
        assert!(matches!(&nothing, Err(SecretError::NotFound(why)) if why.contains("heads")), "{nothing:?}");
        house.ledger.seal("foreign", None, &[7; 32], (stamp(), None)).await.unwrap();
        let walked = house.vault.wrap_all(&house.managing()).await.unwrap();
        assert_eq!(counts(&walked), (2, 0, 1));
        assert_eq!(walked.which[0].id, "foreign", "what nobody here knows is not called safe");
        house.put("late", "after it").await;
        let world = house.lost().await;
        let lost = LostRegister::of(database.clone(), ORIGIN).await.unwrap();
        let private = joined(lost.key(), &papers, [0, 1, 2]);
        let head_key = lost.open(&private).unwrap();
        // A generation that was used before is not the new token's, and nothing is written.
        let used = House::recovered(&database, world.clone(), (head_key.to_seal(), 1)).await;
        assert!(matches!(used.err(), Some(StoreError::Invalid(why)) if why.contains("seal/2")));
        let house = House::recovered(&database, world, (head_key.to_seal(), 5)).await.unwrap();
        let walked = house.vault.restore_all(&house.managing(), &private).await.unwrap();
        assert_eq!(counts(&walked), (2, 1, 1));
        assert_eq!(walked.which[0].id, "foreign");
        assert_eq!(house.read("early", "current").await.unwrap(), "before the ceremony");
        assert_eq!(house.read("late", "current").await.unwrap(), "after it");
        // What is left stops nobody, once its key is called lost; and it is counted.
        house.seal_under(&[5]).await;
        assert!(house.ledger.rewrap(&stamp()).await.is_err());
        house.lose(5, &[1]).await;
        assert_eq!(house.ledger.rewrap(&stamp()).await.unwrap(), Rewrapped::default());
        assert_eq!(house.ledger.standing_lost(), 1);
    });
}

#[test]
fn a_second_ceremony_wraps_everything_anew_and_the_old_papers_open_nothing_of_it() {
    on_sqlite(|database| async move {
        let house = House::open(&database).await;
        let there = filled(&house).await;
        let (first, old_papers) = with_ceremony(&house).await;
        house.vault.wrap_all(&house.managing()).await.unwrap();
        let (second, papers) = ceremony(first.successor(3, 4).unwrap());
        house.vault.take_recovery_key(&house.managing(), &second).await.unwrap();
        assert_eq!(counts(&house.vault.wrap_all(&house.managing()).await.unwrap()), (10, 0, 0));
        let generations = house
            .keys()
            .await
            .into_values()
            .map(|key| Wrapped::from_bytes(key.wrapped().unwrap().to_vec()).unwrap().generation());
        assert!(generations.into_iter().all(|generation| generation == 2));
        assert_eq!(house.vault.recovery_key_of(1).await.unwrap(), Some(first.clone()), "for old backups");
        let world = house.lost().await;
        let lost = LostRegister::of(database.clone(), ORIGIN).await.unwrap();
        assert_eq!(*lost.key(), second);
        assert!(Gathering::of(lost.key().clone()).take(&old_papers[0]).is_err());
        assert!(lost.open(&joined(&first, &old_papers, [0, 1, 2])).is_err());
        let private = joined(lost.key(), &papers, [3, 1, 0]);
        let head_key = lost.open(&private).unwrap();
        let house = House::recovered(&database, world, (head_key.to_seal(), 2)).await.unwrap();
        assert_eq!(house.vault.restore_all(&house.managing(), &private).await.unwrap().left, 0);
        everything_is_read(&house, &there).await;
    });
}

#[test]
fn a_recovery_key_comes_by_who_manages_the_authority_in_its_order_and_of_this_register_alone() {
    async fn refused(house: &House, key: &RecoveryKey, word: &str) {
        let refused = house.vault.take_recovery_key(&house.managing(), key).await;
        assert!(matches!(&refused, Err(SecretError::Invalid { why, .. }) if why.contains(word)), "{refused:?}");
    }
    on_sqlite(|database: Database| async move {
        let house = House::open(&database).await;
        let (first, _) = ceremony(Plan::first(ORIGIN, 2, 3).unwrap());
        let (second, _) = ceremony(first.successor(2, 3).unwrap());
        let (elsewhere, _) = ceremony(Plan::first("another.example/log", 2, 3).unwrap());
        let writer = house.grant(Action::WriteSecret, "a");
        assert!(matches!(house.vault.take_recovery_key(&writer, &first).await, Err(SecretError::Conflict(_))));
        assert!(matches!(house.vault.wrap_all(&writer).await, Err(SecretError::Conflict(_))));
        refused(&house, &second, "generation 2, and 1 is the next").await;
        refused(&house, &elsewhere, "another register").await;
        house.vault.take_recovery_key(&house.managing(), &first).await.unwrap();
        refused(&house, &first, "and 2 is the next").await;
        house.vault.take_recovery_key(&house.managing(), &second).await.unwrap();
        house.put("a", "x").await;
        let keys = house.keys().await;
        let wrapped = keys["a@1.1"].wrapped().unwrap().to_vec();
        assert_eq!(Wrapped::from_bytes(wrapped).unwrap().generation(), 2, "the newest, though another was held");
    });
}

#[test]
fn a_key_that_follows_another_is_brought_by_two_where_two_administer() {
    on_sqlite(|database| async move {
        let house = House::open(&database).await;
        let (first, _) = ceremony(Plan::first(ORIGIN, 2, 3).unwrap());
        let (second, _) = ceremony(first.successor(2, 3).unwrap());
        let (thiefs, _) = ceremony(first.successor(2, 2).unwrap());
        let grant = |name: &str| {
            let proof = policy::Proof::Token { id: "0123456789abcdef".to_owned() };
            let actor = policy::Actor { proof, ..someone(name, &[policy::Role::Admin], &[]) };
            let on = policy::Resource::plain(policy::ResourceKind::Authority);
            house.policies.decide(&actor, Action::ManageAuthority, &on).unwrap()
        };
        let brings = async |name: &str, key: &RecoveryKey| house.vault.bring_recovery_key(&grant(name), key).await;
        assert_eq!(brings("token:ann", &first).await.unwrap(), Brought::Taken, "the first one follows none");
        assert_eq!(house.vault.recovery_key_waits().await.unwrap(), None);
        // Alone nobody exchanges it, however often.
        for _ in 0..2 {
            assert_eq!(brings("token:thief", &thiefs).await.unwrap(), Brought::Waits);
        }
        let waits = house.vault.recovery_key_waits().await.unwrap().unwrap();
        assert_eq!((waits.generation, waits.by.as_str()), (2, "token:thief"));
        assert_eq!(house.vault.recovery_key().await.unwrap().unwrap().generation(), 1);
        // Another key is another's, and waits in its place.
        assert_eq!(brings("token:ann", &second).await.unwrap(), Brought::Waits);
        assert_eq!(brings("token:ann", &second).await.unwrap(), Brought::Waits);
        assert_eq!(brings("token:bob", &second).await.unwrap(), Brought::Taken);
        assert_eq!(*house.vault.recovery_key().await.unwrap().unwrap(), second);
        assert_eq!(house.vault.recovery_key_waits().await.unwrap(), None);
        // What waits for longer than a day waits no more.
        let (third, _) = ceremony(second.successor(2, 3).unwrap());
        assert_eq!(brings("token:ann", &third).await.unwrap(), Brought::Waits);
        house.world.advance(86_401);
        assert_eq!(house.vault.recovery_key_waits().await.unwrap(), None);
        assert_eq!(brings("token:bob", &third).await.unwrap(), Brought::Waits, "the day is over");
        assert_eq!(brings("token:ann", &third).await.unwrap(), Brought::Taken);
    });
}

/// Who can write the database, and nothing else.
async fn thief(database: &Database, sql: &str) {
    let Database::Postgres(url) = database else { panic!("a thief of PostgreSQL") };
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    client.batch_execute(sql).await.unwrap();
    drop(client);
    connection.await.unwrap().unwrap();
}

#[test]
fn a_register_that_hides_something_sealed_is_not_called_wrapped() {
    let postgres = TestPostgres::start();
    let database = postgres.database();
    block(async {
        let house = House::open(&database).await;
        house.put("a", "x").await;
        house.put("b", "y").await;
        with_ceremony(&house).await;
        thief(&database, "DELETE FROM present WHERE kind = 'sealed' AND id = 'a@1.1'").await;
        let hidden = house.vault.wrap_all(&house.managing()).await;
        let is_said = |why: &str| why.contains("does not show 1 of the keys");
        assert!(matches!(&hidden, Err(SecretError::Store(StoreError::Altered(why))) if is_said(why)), "{hidden:?}");
    });
}

#[test]
fn nothing_is_wrapped_to_a_key_that_a_thief_of_the_database_put_there() {
    let postgres = TestPostgres::start();
    let database = postgres.database();
    block(async {
        let house = House::open(&database).await;
        with_ceremony(&house).await;
        let (theirs, _) = ceremony(Plan::first(ORIGIN, 2, 2).unwrap());
        let key = base64::engine::general_purpose::STANDARD.encode(theirs.to_bytes());
        let theirs = format!("UPDATE record SET body = '{{\"key\":\"{key}\"}}' WHERE kind = 'recovery-key'");
        thief(&database, &theirs).await;
        let refused = house.put_as("a", put(&[("value", "x")])).await;
        assert!(matches!(refused, Err(SecretError::Store(StoreError::Altered(_)))), "{refused:?}");
        thief(&database, "DELETE FROM record WHERE kind = 'recovery-key'").await;
        let refused = house.put_as("a", put(&[("value", "x")])).await;
        assert!(matches!(refused, Err(SecretError::Store(StoreError::Altered(_)))), "{refused:?}");
        assert_eq!(house.keys().await.keys().collect::<Vec<_>>(), ["head-key"], "nothing was written");
    });
}

#[test]
fn a_key_that_is_not_its_values_is_not_sealed_in_its_place() {
    on_sqlite(|database| async move {
        let house = House::open(&database).await;
        house.put("a", "x").await;
        house.put("b", "y").await;
        let (key, papers) = with_ceremony(&house).await;
        house.vault.wrap_all(&house.managing()).await.unwrap();
        // Somebody who may write leaves wraps a key of his own as that of another's version.
        let context = Context { origin: ORIGIN, path: "a", life: 1, version: 1, owner: "web" };
        let own = Dek::unsealed(&[9; 32]).unwrap();
        let wrapped = wrap(&own, &context, &key, &SystemRandom::new()).unwrap().as_bytes().to_vec();
        let there = &house.keys().await["a@1.1"];
        house.ledger.wrap_key::<StoreError>(there, |_| Ok(wrapped), &stamp()).await.unwrap();
        let world = house.lost().await;
        let lost = LostRegister::of(database.clone(), ORIGIN).await.unwrap();
        let private = joined(lost.key(), &papers, [0, 1, 2]);
        let head_key = lost.open(&private).unwrap();
        let house = House::recovered(&database, world, (head_key.to_seal(), 2)).await.unwrap();
        let walked = house.vault.restore_all(&house.managing(), &private).await.unwrap();
        assert_eq!(counts(&walked), (1, 1, 1));
        assert!(walked.which[0].id == "a@1.1" && walked.which[0].why.contains("another value"), "{walked:?}");
        assert_eq!(house.keys().await["a@1.1"].generation(), 1, "left as it was");
        assert_eq!(house.read("b", "current").await.unwrap(), "y");
    });
}

/// Somebody who can write the database, and wants that nothing comes back.
fn tampered(database: &Database, sql: &str) {
    let Database::Sqlite(file) = database else { panic!("SQLite") };
    rusqlite::Connection::open(file).unwrap().execute_batch(sql).unwrap();
}

#[test]
fn what_somebody_altered_or_took_away_is_named_and_everything_else_comes_back() {
    on_sqlite(|database| async move {
        let house = House::open(&database).await;
        let (_, papers) = with_ceremony(&house).await;
        for on in ["a", "b", "c", "d", "e", "f"] {
            house.put(on, on).await;
        }
        house.vault.wrap_all(&house.managing()).await.unwrap();
        let world = house.lost().await;
        let lost = LostRegister::of(database.clone(), ORIGIN).await.unwrap();
        let private = joined(lost.key(), &papers, [0, 1, 2]);
        let head_key = lost.open(&private).unwrap();
        let house = House::recovered(&database, world, (head_key.to_seal(), 2)).await.unwrap();
        let of = |id: &str| format!("(SELECT leaf FROM present WHERE kind = 'sealed' AND id = '{id}')");
        let (b, c, f) = (of("b@1.1"), of("c@1.1"), of("f@1.1"));
        tampered(
            &database,
            &format!("UPDATE beside SET bytes = (SELECT bytes FROM beside WHERE leaf = {f}) WHERE leaf = {b}"),
        );
        tampered(&database, &format!("DELETE FROM beside WHERE leaf = {c}"));
        tampered(&database, "DELETE FROM present WHERE kind = 'sealed' AND id = 'd@1.1'");
        tampered(&database, "UPDATE record SET body = '{}' WHERE kind = 'sealed' AND id = 'e@1.1'");

        let walked = house.vault.restore_all(&house.managing(), &private).await.unwrap();
        assert_eq!(counts(&walked), (2, 1, 4), "{walked:?}");
        let named: Vec<_> = walked.which.iter().map(|left| left.id.as_str()).collect();
        assert_eq!(named, ["b@1.1", "c@1.1", "e@1.1", "(not shown)"], "{walked:?}");
        assert!(walked.which[3].why.contains("does not show 1 of the keys"), "{walked:?}");
        for on in ["a", "f"] {
            assert_eq!(house.read(on, "current").await.unwrap(), on);
        }
        // It is so whenever somebody tries again, and costs nothing that came back.
        assert_eq!(counts(&house.vault.restore_all(&house.managing(), &private).await.unwrap()), (0, 3, 4));
    });
}
