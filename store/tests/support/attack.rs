//! The attacker's side of the audit: every bit of every column of every row, flipped by SQL and flipped back.

use store::Report;

use super::{is_clean, shown};

/// Every table with its key columns and all others, as the schema has them.
pub const TABLES: [(&str, &[&str]); 18] = [
    ("leaf", &["idx"]),
    ("tile", &["level", "n"]),
    ("head", &["id"]),
    ("checkpoint", &["size"]),
    ("intent", &["op"]),
    ("batch", &["op"]),
    ("object", &["slot"]),
    ("name", &["slot"]),
    ("conclusion", &["leaf"]),
    ("revocation", &["leaf"]),
    ("record", &["leaf"]),
    ("place", &["id"]),
    ("card", &["op"]),
    ("open", &["op"]),
    ("renewal", &["op"]),
    ("expiring", &["owner", "class", "hour"]),
    ("present", &["kind", "id"]),
    ("migration", &["version"]),
];

/// A value with one bit flipped; which bit depends on `seed`. None: a NULL has no bits.
fn flipped(value: &Value, seed: u64) -> Option<Value> {
    match value {
        Value::Null => None,
        // Not the sign, and not so high that the other engines' arithmetic overflows: bits 0 to 40.
        Value::Int(n) => Some(Value::Int(n ^ (1 << (seed % 41)))),
        Value::Text(text) if text.is_empty() => Some(Value::Text("\u{1}".into())),
        Value::Text(text) => {
            let mut bytes = text.clone().into_bytes();
            let at = (seed / 8) as usize % bytes.len();
            // One of the low bits, so that PostgreSQL still takes it for a text; never to NUL.
            let bit = (0..7).map(|n| (seed + n) % 7).find(|bit| bytes[at] < 128 && bytes[at] ^ (1 << bit) != 0);
            match bit {
                Some(bit) => bytes[at] ^= 1 << bit,
                None => return flipped(value, seed + 8),
            }
            Some(Value::Text(String::from_utf8(bytes).unwrap()))
        }
        Value::Blob(bytes) if bytes.is_empty() => Some(Value::Blob(vec![1])),
        Value::Blob(bytes) => {
            let mut bytes = bytes.clone();
            let at = (seed / 8) as usize % bytes.len();
            bytes[at] ^= 1 << (seed % 8);
            Some(Value::Blob(bytes))
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Null,
    Int(i64),
    Text(String),
    Blob(Vec<u8>),
}

/// The attacker's own SQL.
pub trait Attack {
    fn columns(&mut self, table: &str) -> Vec<String>;
    fn rows(&mut self, table: &str, columns: &[String]) -> Vec<Vec<Value>>;
    /// False where the register itself refuses (a key that is taken).
    fn set(&mut self, table: &str, keys: &[(String, Value)], column: &str, value: &Value) -> bool;
}

impl Attack for rusqlite::Connection {
    fn columns(&mut self, table: &str) -> Vec<String> {
        let mut statement = self.prepare(&format!("SELECT name FROM pragma_table_info('{table}')")).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    }
    fn rows(&mut self, table: &str, columns: &[String]) -> Vec<Vec<Value>> {
        let mut statement = self.prepare(&format!("SELECT {} FROM {table}", columns.join(", "))).unwrap();
        let row = |row: &rusqlite::Row<'_>| (0..columns.len()).map(|at| Ok(of_sqlite(row.get_ref(at)?))).collect();
        statement.query_map([], row).unwrap().collect::<Result<_, _>>().unwrap()
    }
    fn set(&mut self, table: &str, keys: &[(String, Value)], column: &str, value: &Value) -> bool {
        let conditions: Vec<String> =
            keys.iter().enumerate().map(|(at, (k, _))| format!("{k} = ?{}", at + 2)).collect();
        let sql = format!("UPDATE {table} SET {column} = ?1 WHERE {}", conditions.join(" AND "));
        let params = std::iter::once(value).chain(keys.iter().map(|(_, v)| v)).map(to_sqlite);
        self.execute(&sql, rusqlite::params_from_iter(params)).is_ok_and(|n| n == 1)
    }
}

fn of_sqlite(value: rusqlite::types::ValueRef<'_>) -> Value {
    use rusqlite::types::ValueRef;
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(n) => Value::Int(n),
        ValueRef::Text(t) => Value::Text(String::from_utf8(t.to_vec()).unwrap()),
        ValueRef::Blob(b) => Value::Blob(b.to_vec()),
        ValueRef::Real(_) => panic!("no floats in a register"),
    }
}

fn to_sqlite(value: &Value) -> rusqlite::types::Value {
    match value {
        Value::Null => rusqlite::types::Value::Null,
        Value::Int(n) => rusqlite::types::Value::Integer(*n),
        Value::Text(t) => rusqlite::types::Value::Text(t.clone()),
        Value::Blob(b) => rusqlite::types::Value::Blob(b.clone()),
    }
}

impl Attack for postgres::Client {
    fn columns(&mut self, table: &str) -> Vec<String> {
        let sql = "SELECT column_name::text FROM information_schema.columns WHERE table_name = $1 \
                   AND table_schema = 'public' ORDER BY ordinal_position";
        self.query(sql, &[&table]).unwrap().iter().map(|row| row.get(0)).collect()
    }
    fn rows(&mut self, table: &str, columns: &[String]) -> Vec<Vec<Value>> {
        let rows = self.query(&format!("SELECT {} FROM {table}", columns.join(", ")), &[]).unwrap();
        let cell = |row: &postgres::Row, at: usize| match row.columns()[at].type_().name() {
            "int8" => row.get::<_, Option<i64>>(at).map_or(Value::Null, Value::Int),
            "text" => row.get::<_, Option<String>>(at).map_or(Value::Null, Value::Text),
            "bytea" => row.get::<_, Option<Vec<u8>>>(at).map_or(Value::Null, Value::Blob),
            other => panic!("{other}"),
        };
        rows.iter().map(|row| (0..columns.len()).map(|at| cell(row, at)).collect()).collect()
    }
    fn set(&mut self, table: &str, keys: &[(String, Value)], column: &str, value: &Value) -> bool {
        let conditions: Vec<String> =
            keys.iter().enumerate().map(|(at, (k, _))| format!("{k} = ${}", at + 2)).collect();
        let sql = format!("UPDATE {table} SET {column} = $1 WHERE {}", conditions.join(" AND "));
        let params: Vec<&(dyn postgres::types::ToSql + Sync)> = std::iter::once(value)
            .chain(keys.iter().map(|(_, v)| v))
            .map(|value| match value {
                Value::Null => &None::<i64> as &(dyn postgres::types::ToSql + Sync),
                Value::Int(n) => n,
                Value::Text(t) => t,
                Value::Blob(b) => b,
            })
            .collect();
        self.execute(&sql, &params).is_ok_and(|n| n == 1)
    }
}

/// Flips a bit in every column of every row (of every `stride`th leaf), looks, and flips it back.
pub fn flip_everything(attack: &mut dyn Attack, look: &dyn Fn() -> Report, stride: usize) -> usize {
    let mut flips = 0;
    for (table, keys) in TABLES {
        let columns = attack.columns(table);
        let rows = attack.rows(table, &columns);
        assert!(!rows.is_empty(), "{table} has rows to flip");
        for (n, row) in
            rows.iter().enumerate().filter(|(n, _)| table != "leaf" || n % stride == 0 || n + 2 > rows.len())
        {
            // The seal is no evidence for outsiders: a node holds the token's key against it (tests/truth.rs).
            let sealed = |column: &str| table == "head" && ["seal", "sealed_key"].contains(&column);
            for (column, value) in columns.iter().zip(row).filter(|(column, _)| !sealed(column)) {
                let key_of = |row: &[Value]| -> Vec<(String, Value)> {
                    let at = |key: &str| columns.iter().position(|c| c == key).unwrap();
                    keys.iter().map(|key| ((*key).to_owned(), row[at(key)].clone())).collect()
                };
                let (place, changed_place) = (key_of(row), |changed: &Value| {
                    let mut row = row.clone();
                    row[columns.iter().position(|c| c == column).unwrap()] = changed.clone();
                    key_of(&row)
                });
                let mut seed = (n * 31 + column.len() * 7 + flips) as u64;
                let changed = loop {
                    let Some(changed) = flipped(value, seed) else { break None };
                    if attack.set(table, &place, column, &changed) {
                        break Some(changed);
                    }
                    seed += 1;
                };
                let Some(changed) = changed else { continue };
                flips += 1;
                let report = look();
                // By the key it had, or by the key it has now.
                let named = [named(table, &place), named(table, &changed_place(&changed))];
                let is_named = report.findings.iter().any(|finding| {
                    let place = &finding.where_;
                    named.iter().any(|named| place == named || place.starts_with(&format!("{named} ")))
                });
                assert!(is_named, "{named:?} {column}: {value:?} -> {changed:?}\n{}", shown(&report));
                assert!(attack.set(table, &changed_place(&changed), column, value), "{named:?}: flipped back");
            }
        }
    }
    is_clean(&look());
    flips
}

fn named(table: &str, place: &[(String, Value)]) -> String {
    let keys: Vec<String> = place.iter().map(|(key, value)| format!("{key}={}", show(value))).collect();
    format!("{table} {}", keys.join(" "))
}

fn show(value: &Value) -> String {
    match value {
        Value::Int(n) => n.to_string(),
        Value::Text(text) => text.clone(),
        other => panic!("a key is a number or a text: {other:?}"),
    }
}
