//! Lists and searches of many secrets: what is sought stands on the first page, and a page reads what it shows.

mod support;

use std::collections::BTreeSet;

use chancery_secrets::{Search, SecretError, SecretPath};
use policy::Owner;
use serde_json::{Value, json};
use store::{Database, Record, StoreError};
use support::*;

/// More than are looked at for a page.
const MANY: u64 = 5_000;

/// A secret without versions, as its record says it.
fn record(on: &str, owner: &str, description: &str, tags: Value) -> Record {
    let body =
        json!({ "life": 1, "newest": 0, "kind": "generic", "description": description, "tags": tags, "keep": 10 });
    Record {
        kind: "secret",
        id: on.to_owned(),
        owner: Some(owner.to_owned()),
        lookup: None,
        expires: None,
        body,
        actor: stamp(),
        expect: None,
    }
}

async fn write(house: &House, records: Vec<Record>) {
    for some in records.chunks(250) {
        house.ledger.record(some.to_vec()).await.unwrap();
    }
}

/// Many, and among them one of another owner that has what none of them has.
async fn many(database: &Database) -> House {
    let house = House::open(database).await;
    let path = |n: u64| format!("{}/service-{:02}/key-{n:05}", ["dev", "prod"][(n % 2) as usize], n % 40);
    let filling =
        (0..MANY).map(|n| record(&path(n), "web", &format!("what number {n} is for"), json!({ "team": "web" })));
    let mut records: Vec<Record> = filling.collect();
    records.push(record(
        "prod/z/shopPassword",
        "zoo",
        "the Needle of what there is",
        json!({ "team": "db", "rare": "yes" }),
    ));
    write(&house, records).await;
    house
}

fn all(_: &Owner, _: &SecretPath) -> bool {
    true
}

fn text(text: &str) -> Search {
    Search { text: Some(text.to_owned()), limit: 10, ..Search::default() }
}

fn tag(name: &str, value: Option<&str>) -> Search {
    Search { tag: Some((name.to_owned(), value.map(str::to_owned))), limit: 10, ..Search::default() }
}

/// The first page, and whether there is another.
async fn first(house: &House, search: Search) -> (Vec<String>, bool) {
    let page = house.vault.list(&search, all).await.unwrap();
    (page.items.iter().map(|secret| secret.path().to_string()).collect(), page.next.is_some())
}

/// All pages, and how many there were.
async fn pages(house: &House, mut search: Search, may: impl Fn(&Owner, &SecretPath) -> bool) -> (Vec<String>, usize) {
    let (mut found, mut count) = (Vec::new(), 0);
    loop {
        let page = house.vault.list(&search, &may).await.unwrap();
        let next = page.next;
        found.extend(page.items.iter().map(|secret| secret.path().to_string()));
        count += 1;
        match next {
            Some(_) => search.after = next,
            None => return (found, count),
        }
    }
}

#[test]
fn what_one_of_many_has_is_found_on_the_first_page() {
    on_both(|database| async move {
        let house = many(&database).await;
        let needle = (vec!["prod/z/shopPassword".to_owned()], false);
        for search in [
            text("needle"),
            text("NEED"),
            text("passw"),
            text("what needle"),
            text("needle prod/z"),
            tag("rare", None),
            tag("rare", Some("yes")),
            tag("team", Some("db")),
            Search { within: Some(path("prod")), ..text("what shop") },
            // One of a thousand has the word, below a path that half of them stand below.
            Search { within: Some(path("prod/z")), ..text("shop what") },
            // Many have the word, and few are below that path.
            Search { within: Some(path("prod/z")), ..text("what") },
            Search { owner: Some(owner("zoo")), ..text("what") },
            Search { owner: Some(owner("zoo")), ..tag("team", None) },
            Search { owner: Some(owner("zoo")), limit: 10, ..Search::default() },
        ] {
            assert_eq!(first(&house, search.clone()).await, needle, "{search:?}");
        }
        for search in [
            text("nowhere"),
            text("eedle"),
            tag("rare", Some("no")),
            tag("rar", None),
            Search { owner: Some(owner("web")), ..text("needle") },
            Search { within: Some(path("dev")), ..text("needle") },
        ] {
            assert_eq!(first(&house, search.clone()).await, (vec![], false), "{search:?}");
        }
        assert_eq!(first(&house, text("key-00007")).await.0, ["prod/service-07/key-00007"]);
        for bad in ["/ -", &"a ".repeat(17)] {
            let refused = house.vault.list(&text(bad), all).await;
            assert!(matches!(refused, Err(SecretError::Invalid { what: "search", .. })), "{bad}: {refused:?}");
        }
        let stray = Search { after: Some("7:web:a:b".into()), ..text("needle") };
        assert!(matches!(house.vault.list(&stray, all).await, Err(SecretError::Invalid { what: "cursor", .. })));
    });
}

#[test]
fn pages_of_a_word_have_each_secret_once_and_leave_none_out() {
    on_both(|database| async move {
        let house = House::open(&database).await;
        let names = ["db", "db/dbx", "dba/dbb", "x/db-db2", "x/y", "z/DbDb", "zz/adb"];
        let records = names.iter().flat_map(|name| {
            ["web", "db"].map(|owner| record(&format!("{owner}/{name}"), owner, "of dbs", json!({ "db": name })))
        });
        write(&house, records.collect()).await;
        let expected: BTreeSet<String> =
            names.iter().flat_map(|name| [format!("web/{name}"), format!("db/{name}")]).collect();
        for limit in [1, 2, 3, 50] {
            for search in [text("db"), text("of dbs"), text("DB d"), tag("db", None)] {
                let (found, _) = pages(&house, Search { limit, ..search.clone() }, all).await;
                assert_eq!(found.iter().cloned().collect::<BTreeSet<_>>(), expected, "{limit} {search:?}");
                assert_eq!(found.len(), expected.len(), "{limit} {search:?}: one was shown twice");
            }
            let of_web = Search { owner: Some(owner("web")), limit, ..text("db") };
            let (found, _) = pages(&house, of_web, all).await;
            assert_eq!(found.len(), names.len());
            assert!(found.iter().all(|path| path.starts_with("web/")), "{found:?}");
        }
        // What is described anew is found by what it says now; what is deleted by whoever looks for that.
        write(&house, vec![record("web/x/y", "web", "of queues", json!({}))]).await;
        assert_eq!(first(&house, text("queues")).await.0, ["web/x/y"]);
        assert_eq!(first(&house, Search { within: Some(path("web/x/y")), ..text("dbs") }).await.0, [""; 0]);
        let mut deleted = record("web/x/y", "web", "of queues", json!({}));
        deleted.body["deleted"] =
            json!({ "at": policy::Timestamp::from_unix(START), "until": policy::Timestamp::from_unix(START) });
        write(&house, vec![deleted]).await;
        assert_eq!(first(&house, text("queues")).await.0, [""; 0]);
        assert_eq!(first(&house, Search { deleted: true, ..text("queues") }).await.0, ["web/x/y"]);
    });
}

#[test]
fn who_may_see_few_of_many_is_told_where_it_goes_on() {
    on_sqlite(|database| async move {
        let house = many(&database).await;
        let his = |owner: &Owner, _: &SecretPath| owner.as_str() == "zoo";
        for search in [text("what"), Search { limit: 10, ..Search::default() }, tag("team", None)] {
            let (found, pages) = pages(&house, search.clone(), his).await;
            assert_eq!(found, ["prod/z/shopPassword"], "{search:?}");
            assert_eq!(pages, 2, "{search:?}");
        }
        // What he may not know of is not read, and so not found to be altered.
        let Database::Sqlite(file) = &database else { unreachable!() };
        let thief = rusqlite::Connection::open(file).unwrap();
        thief.execute("UPDATE record SET body = body || ' ' WHERE owner = 'web'", []).unwrap();
        assert_eq!(pages(&house, text("what"), his).await.0, ["prod/z/shopPassword"]);
        assert_eq!(house.ledger.integrity().alarms_total, 0);
        // Who may know of all is told of those that were, and they take no other away.
        let page = house.vault.list(&text("what"), all).await.unwrap();
        assert!(page.items.is_empty() && page.altered > 0 && page.next.is_some(), "{page:?}");
        assert_eq!(pages(&house, text("what"), all).await.0, ["prod/z/shopPassword"]);
    });
}

#[test]
fn a_page_reads_what_it_shows_and_one_more() {
    on_sqlite(|database| async move {
        let house = many(&database).await;
        let Database::Sqlite(file) = &database else { unreachable!() };
        let thief = rusqlite::Connection::open(file).unwrap();
        let sixth: String = thief
            .query_row("SELECT id FROM present WHERE kind = 'secret' ORDER BY id LIMIT 1 OFFSET 5", [], |row| {
                row.get(0)
            })
            .unwrap();
        thief.execute("UPDATE record SET body = body || ' ' WHERE id = ?1", [&sixth]).unwrap();
        // Whoever reads it raises an alarm.
        for (limit, reads) in [(4, false), (5, true)] {
            for search in
                [Search::default(), Search { within: Some(path("dev")), ..Search::default() }, tag("team", None)]
            {
                let before = house.ledger.integrity().alarms_total;
                let search = Search { limit, owner: Some(owner("web")), ..search };
                assert_eq!(house.vault.list(&search, all).await.unwrap().items.len(), limit, "{search:?}");
                assert_eq!(house.ledger.integrity().alarms_total > before, reads, "{search:?}");
            }
        }
    });
}

#[test]
fn a_word_that_somebody_put_beside_a_secret_shows_it_to_nobody() {
    on_sqlite(|database| async move {
        let house = many(&database).await;
        let Database::Sqlite(file) = &database else { unreachable!() };
        let thief = rusqlite::Connection::open(file).unwrap();
        thief
            .execute_batch(
                "INSERT INTO keyword (word, owner, path) VALUES ('forged', 'zoo', 'prod/z/shopPassword'), \
                 ('needle', 'web', 'prod/z/shopPassword'), ('needle', 'db', 'prod/none'), ('needle', 'no owner', 'prod/z'), \
                 ('needle', 'db', 'no//path'), ('need', 'zoo', 'prod/z/shopPassword')",
            )
            .unwrap();
        assert_eq!(first(&house, text("forged")).await, (vec![], false));
        let his = |owner: &Owner, _: &SecretPath| owner.as_str() == "web";
        assert!(house.vault.list(&text("needle"), his).await.unwrap().items.is_empty());
        assert_eq!(first(&house, text("needle")).await.0, ["prod/z/shopPassword"]);
        assert_eq!(house.audited(&database).await.findings.len(), 6);
    });
}

#[test]
fn one_altered_secret_takes_no_list_away() {
    on_sqlite(|database| async move {
        let house = House::open(&database).await;
        let records = ["t/one", "t/three", "t/two"].map(|on| record(on, "web", "of tests", json!({ "team": "web" })));
        write(&house, records.to_vec()).await;
        house.put("t/live", "x").await;
        let Database::Sqlite(file) = &database else { unreachable!() };
        let thief = rusqlite::Connection::open(file).unwrap();
        thief.execute("UPDATE record SET owner = 'db' WHERE kind = 'secret' AND id = 't/three'", []).unwrap();
        let searches = [
            Search { limit: 10, ..Search::default() },
            Search { within: Some(path("t")), limit: 10, ..Search::default() },
            text("tests"),
            tag("team", None),
        ];
        for search in searches {
            let page = house.vault.list(&search, all).await.unwrap();
            let paths: Vec<&str> = page.items.iter().map(|secret| secret.path().as_str()).collect();
            assert!(paths.ends_with(&["t/one", "t/two"]) && page.altered == 1 && page.next.is_none(), "{page:?}");
        }
        // The altered one itself is what is looked below.
        let itself = Search { within: Some(path("t/three")), limit: 10, ..Search::default() };
        let page = house.vault.list(&itself, all).await.unwrap();
        assert!(page.items.is_empty() && page.altered == 1, "{page:?}");
        // By who read last, and by what happens: the others are told.
        let ever = Some(policy::Timestamp::from_unix(i64::MAX / 4));
        let unread = Search { within: Some(path("t")), unread_since: ever, limit: 10, ..Search::default() };
        let page = house.vault.inventory(&unread, all).await.unwrap();
        let paths: BTreeSet<&str> = page.items.iter().map(|(secret, _)| secret.path().as_str()).collect();
        assert_eq!((paths, page.altered), (BTreeSet::from(["t/live", "t/one", "t/two"]), 1));
        let (changes, _) = house.vault.changes(0, 100).await.unwrap();
        let paths: BTreeSet<&str> = changes.iter().map(|change| change.path.as_str()).collect();
        assert_eq!(paths, BTreeSet::from(["t/live", "t/one", "t/two"]));
        // What is read by its name is refused as ever.
        assert!(matches!(house.vault.look(&path("t/three")).await, Err(SecretError::Store(StoreError::Altered(_)))));
        assert!(house.ledger.integrity().alarms_total > 0);
    });
}

#[test]
fn what_nobody_read_below_a_path_is_found_by_the_row_and_no_other_record_is_read() {
    on_sqlite(|database| async move {
        let house = many(&database).await;
        let Database::Sqlite(file) = &database else { unreachable!() };
        let thief = rusqlite::Connection::open(file).unwrap();
        // Whoever reads one of these raises an alarm.
        thief.execute("UPDATE record SET body = body || ' ' WHERE kind = 'secret' AND id LIKE 'dev/%'", []).unwrap();
        let ever = Some(policy::Timestamp::from_unix(i64::MAX / 4));
        let unread =
            |within: &str, limit| Search { within: Some(path(within)), unread_since: ever, limit, ..Search::default() };
        // Few stand there, and the last of them all.
        for within in ["prod/z", "prod/z/shopPassword"] {
            let page = house.vault.inventory(&unread(within, 10), all).await.unwrap();
            let paths: Vec<&str> = page.items.iter().map(|(secret, _)| secret.path().as_str()).collect();
            assert_eq!((paths, page.next), (vec!["prod/z/shopPassword"], None), "{within}");
        }
        // Half of them stand there: each page is full but the last.
        let (mut search, mut sizes, mut found) = (unread("prod", 200), Vec::new(), BTreeSet::new());
        loop {
            let page = house.vault.inventory(&search, all).await.unwrap();
            sizes.push(page.items.len());
            found.extend(page.items.iter().map(|(secret, _)| secret.path().to_string()));
            match page.next {
                Some(_) => search.after = page.next,
                None => break,
            }
        }
        assert_eq!((found.len(), sizes.len()), (2_501, 13), "{sizes:?}");
        assert!(sizes.iter().rev().skip(1).all(|size| *size == 200), "{sizes:?}");
        // Nor is any read of which the caller may not know, wherever it stands.
        let his = |owner: &Owner, _: &SecretPath| owner.as_str() == "zoo";
        let (mut search, mut found) = (Search { within: None, ..unread("prod", 10) }, Vec::new());
        loop {
            let page = house.vault.inventory(&search, his).await.unwrap();
            found.extend(page.items.iter().map(|(secret, _)| secret.path().to_string()));
            match page.next {
                Some(_) => search.after = page.next,
                None => break,
            }
        }
        assert_eq!(found, ["prod/z/shopPassword"]);
        assert_eq!(house.ledger.integrity().alarms_total, 0);
    });
}
