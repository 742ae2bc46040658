//! Leaves that no honest node appends, and what `verify` finds.

use rusqlite::{Connection, params};
use store::Database;

use super::*;

/// Finds exactly this, by its class and a part of what it says.
pub fn finds(database: &Database, what: &str, says: &str) {
    let report = verified(database.clone(), None);
    // What is appended by SQL is in no projection either; that is another test's business.
    let projections = ["place", "card", "open", "renewal", "expiring", "present"];
    let meant: Vec<_> = report.findings.iter().filter(|f| !projections.contains(&f.what)).collect();
    let found = meant.iter().filter(|f| f.what == what && f.to_string().contains(says)).count();
    assert!(found == 1 && meant.len() == 1, "[{what}] {says}:\n{}", shown(&report));
}

pub fn clean(database: &Database) {
    is_clean(&verified(database.clone(), None));
}

/// Appends what a node that was taken over might: the leaf and the row of `of` once more, as the newest. All that SQL can make
/// whole is whole.
pub fn append_again(database: &Database, of: u64, table: &str, index: &str) {
    append_bent(database, of, (table, index), |leaf| leaf);
}

/// The same, with the leaf saying something else.
pub fn append_bent(database: &Database, of: u64, (table, index): (&str, &str), bend: impl Fn(String) -> String) {
    let sql = Connection::open(path_of(database)).unwrap();
    let key = if table == "intent" { "op" } else { "leaf" };
    let (size, bytes): (i64, Vec<u8>) = sql
        .query_row("SELECT (SELECT size FROM head), bytes FROM leaf WHERE idx = ?1", [of as i64], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .unwrap();
    let leaf = String::from_utf8(bytes).unwrap();
    let leaf = leaf.replacen(&format!("\"i\":{of},"), &format!("\"i\":{size},"), 1);
    let leaf = leaf.replacen(&format!("\"op\":{of},"), &format!("\"op\":{size},"), 1);
    let leaf = bend(leaf);
    let hash = ring::digest::digest(&ring::digest::SHA256, &[&[0], leaf.as_bytes()].concat());
    if !index.is_empty() {
        sql.execute_batch(&format!("DROP INDEX {index}")).unwrap();
    }
    sql.execute(
        "INSERT INTO leaf (idx, hash, bytes) VALUES (?1, ?2, ?3)",
        params![size, hash.as_ref(), leaf.as_bytes()],
    )
    .unwrap();
    sql.execute_batch(&format!(
        "CREATE TEMP TABLE again AS SELECT * FROM {table} WHERE {key} = {of}; UPDATE again SET {key} = {size}; \
         INSERT INTO {table} SELECT * FROM again; DROP TABLE again;"
    ))
    .unwrap();
    let projected = match table {
        "record" => format!(
            "UPDATE present SET leaf = {size} WHERE (kind, id) = (SELECT kind, id FROM record WHERE leaf = {of})"
        ),
        "intent" => format!(
            "INSERT INTO card SELECT {size}, place, pile, not_after, look, family FROM card WHERE op = {of};
             INSERT INTO open SELECT {size}, place, not_after, due, renews, family FROM open WHERE op = {of};
             UPDATE place SET intended = intended + 1 WHERE id = (SELECT place FROM card WHERE op = {of})"
        ),
        _ => String::new(),
    };
    sql.execute_batch(&projected).unwrap();
    sql.execute("UPDATE head SET size = ?1, edge = ?2", params![size + 1, edge_of(&sql)]).unwrap();
}
