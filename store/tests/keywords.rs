//! By which words and tags secrets are found; derived of their records, and derived anew.

mod support;

use serde_json::{Value, json};
use store::{Database, Keyword, KeywordFilter, KeywordRange, Record};
use support::*;

fn secret(path: &str, owner: &str, said: Value) -> Record {
    let mut body = json!({ "life": 1 });
    for (name, value) in said.as_object().unwrap() {
        body[name] = value.clone();
    }
    Record {
        kind: "secret",
        id: path.into(),
        owner: Some(owner.into()),
        lookup: None,
        expires: None,
        body,
        actor: actor(),
        expect: None,
    }
}

fn of(range: &KeywordRange) -> KeywordFilter {
    KeywordFilter { range: range.clone(), owner: None, after: None, limit: 100 }
}

fn word(text: &str) -> KeywordRange {
    KeywordRange::of_text(text).remove(0)
}

async fn found(house: &House, filter: KeywordFilter) -> Vec<String> {
    let (page, next) = house.ledger.keywords(filter).await.unwrap();
    assert_eq!(next, None);
    page.into_iter().map(|Keyword { word, owner, path }| format!("{word} {owner} {path}")).collect()
}

#[test]
fn a_secret_is_found_by_what_its_present_record_says() {
    on_both(|database| async move {
        let house = House::open(&database).await;
        let tags = json!({ "tags": { "team": "shop" }, "description": "the Shop's" });
        house.ledger.record(vec![secret("a/db", "web", tags), secret("b/db", "bank", json!({}))]).await.unwrap();
        assert_eq!(found(&house, of(&word("db"))).await, ["db bank b/db", "db web a/db"]);
        assert_eq!(found(&house, of(&word("sho"))).await, ["shop web a/db"]);
        assert_eq!(found(&house, of(&KeywordRange::of_tag("team", None))).await, ["#team=shop web a/db"]);
        assert_eq!(house.ledger.count_keywords(word("db"), 10).await.unwrap(), 2);
        assert_eq!(house.ledger.count_keywords(word("db"), 2).await.unwrap(), 2);
        let between = ("a/".to_owned(), "a0".to_owned());
        assert_eq!(house.ledger.count_records("secret", between.clone(), 9).await.unwrap(), 1);
        assert_eq!(house.ledger.count_records("thing", between, 9).await.unwrap(), 0);
        // Many versions at once, some of them in one batch: the last one counts, and what was there before goes.
        let versions = (0..16).map(|n| secret("a/db", "web", json!({ "description": format!("version v{n}") })));
        futures_util::future::try_join_all(versions.map(|version| house.ledger.record(vec![version]))).await.unwrap();
        let present = house.ledger.record_get("secret", "a/db").await.unwrap().unwrap().into_inner();
        let last = present.body["description"].as_str().unwrap().trim_start_matches("version ").to_owned();
        assert_eq!(found(&house, of(&word("v"))).await, [format!("{last} web a/db"), "version web a/db".to_owned()]);
        for (text, there) in [("sho", 0), ("db", 2)] {
            assert_eq!(found(&house, of(&word(text))).await.len(), there, "{text}");
        }
        // What is gone is found no more, and another owner's under its name is another.
        house.ledger.record(vec![secret("a/db", "web", json!({ "gone": true }))]).await.unwrap();
        assert_eq!(found(&house, of(&word("db"))).await, ["db bank b/db"]);
        house.ledger.record(vec![secret("a/db", "bank", json!({ "life": 2 }))]).await.unwrap();
        assert_eq!(found(&house, of(&word("db"))).await, ["db bank a/db", "db bank b/db"]);
        let records =
            house.ledger.records_of("secret", vec!["a/db".into(), "a/db".into(), "none".into()]).await.unwrap();
        assert_eq!(records.keys().collect::<Vec<_>>(), ["a/db"]);
        house.checkpoint().await;
        is_clean(&verified(database, None));
    });
}

#[test]
fn an_owners_are_found_past_what_is_others() {
    on_both(|database| async move {
        let house = House::open(&database).await;
        // More of others have the word than a page reads step by step.
        let others = (0..17_000).map(|n| secret(&format!("db/{n:05}"), "aaa", json!({})));
        let after = (0..3).map(|n| secret(&format!("dbs/{n}"), "zzz", json!({})));
        let ours = ["db/our", "dbs/our", "x/db"].map(|path| secret(path, "mmm", json!({})));
        let all: Vec<Record> = others.chain(after).chain(ours).collect();
        for some in all.chunks(250) {
            house.ledger.record(some.to_vec()).await.unwrap();
        }
        let filter = KeywordFilter { owner: Some("mmm".into()), limit: 2, ..of(&word("db")) };
        let (page, next) = house.ledger.keywords(filter.clone()).await.unwrap();
        assert_eq!(page.iter().map(|found| found.path.as_str()).collect::<Vec<_>>(), ["db/our", "x/db"]);
        assert_eq!(found(&house, KeywordFilter { after: next, ..filter.clone() }).await, ["dbs mmm dbs/our"]);
        assert_eq!(found(&house, KeywordFilter { owner: Some("nnn".into()), ..filter }).await, [""; 0]);
        assert_eq!(house.ledger.count_keywords(word("db"), 1_000).await.unwrap(), 1_000, "no more are counted");
    });
}

/// What somebody does, and how many rows are wrong then.
const DAMAGE: [(&str, u64); 5] = [
    ("DELETE FROM keyword WHERE word = 'shop'", 1),
    ("DELETE FROM keyword", 5),
    ("INSERT INTO keyword (word, owner, path) VALUES ('forged', 'web', 'a/db'), ('db', 'bank', 'none')", 2),
    ("UPDATE keyword SET owner = 'bank' WHERE word = 'db'", 2),
    ("UPDATE keyword SET path = 'b/db' WHERE word = 'shop'", 2),
];

#[test]
fn words_that_somebody_altered_are_found_and_derived_anew() {
    on_both(|database: Database| async move {
        let dir = tempfile::tempdir().unwrap();
        let house = House::open_in(&database, dir.path()).await;
        let said = json!({ "description": "shop", "tags": { "team": "shop" } });
        house.ledger.record(vec![secret("a/db", "web", said)]).await.unwrap();
        house.ledger.record(vec![secret("b", "web", json!({}))]).await.unwrap();
        house.checkpoint().await;
        let closed = house.closed().await;
        for (sql, wrong) in DAMAGE {
            write_beside(&database, sql);
            assert_eq!(verified(database.clone(), None).findings_total, wrong, "{sql}");
            let rebuilt = closed.rebuild(&database, dir.path()).await.unwrap();
            assert_eq!(rebuilt.wrong, [("keyword", wrong)].into(), "{sql}");
            is_clean(&verified(database.clone(), None));
        }
    });
}
