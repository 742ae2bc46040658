//! The tables of a backup, in their order. A test holds them against the schema, so that a new one is not forgotten.

use crate::forms::schema::{BATCH, CONCLUSION, INTENT, RECORD, REVOCATION, Table, table};

/// A table that is copied.
pub(super) struct Part {
    pub table: &'static Table,
    /// How many columns, from the left, are its key.
    pub key: usize,
    /// Rows of a page: few where a row may be a mebibyte.
    pub page: usize,
}

impl Part {
    /// The first page, or one that begins after a key.
    pub fn select(&self, is_first: bool) -> String {
        let names: Vec<&str> = self.table.columns.iter().take(self.key).map(|(name, _)| *name).collect();
        let (key, marks) = (names.join(", "), (1..=self.key).map(|at| format!("${at}")).collect::<Vec<_>>().join(", "));
        let after = if is_first { String::new() } else { format!(" WHERE ({key}) > ({marks})") };
        format!("{}{after} ORDER BY {key} LIMIT {}", self.table.select(), self.page)
    }
}

const ROWS: usize = 256;
const LARGE_ROWS: usize = 8;

/// Leaves first: what follows rests on them. `head` last but for the projections.
pub(super) static PARTS: [Part; 21] = [
    Part { table: &LEAF, key: 1, page: ROWS },
    Part { table: &TILE, key: 2, page: LARGE_ROWS },
    Part { table: &CHECKPOINT, key: 1, page: ROWS },
    Part { table: &INTENT, key: 1, page: LARGE_ROWS },
    Part { table: &NAME, key: 1, page: ROWS },
    Part { table: &CONCLUSION, key: 1, page: ROWS },
    Part { table: &REVOCATION, key: 1, page: ROWS },
    Part { table: &RECORD, key: 1, page: LARGE_ROWS * 8 },
    Part { table: &BATCH, key: 1, page: LARGE_ROWS },
    Part { table: &OBJECT, key: 1, page: LARGE_ROWS },
    Part { table: &BESIDE, key: 1, page: LARGE_ROWS },
    Part { table: &HEAD, key: 1, page: LARGE_ROWS },
    Part { table: &PLACE, key: 1, page: ROWS },
    Part { table: &CARD, key: 1, page: ROWS },
    Part { table: &OPEN, key: 1, page: ROWS },
    Part { table: &RENEWAL, key: 1, page: ROWS },
    Part { table: &EXPIRING, key: 3, page: ROWS },
    Part { table: &PRESENT, key: 2, page: ROWS },
    Part { table: &WARD, key: 1, page: ROWS },
    Part { table: &READING, key: 2, page: ROWS },
    Part { table: &KEYWORD, key: 3, page: ROWS },
];

table!(LEAF, "leaf", stated 0, ("idx", Int), ("hash", Blob), ("bytes", Blob));
table!(TILE, "tile", stated 0, ("level", Int), ("n", Int), ("hashes", Blob), ("root", Blob));
table!(CHECKPOINT, "checkpoint", stated 0, ("size", Int), ("note", Text));
table!(NAME, "name", stated 0, ("slot", Int), ("name", Text));
table!(OBJECT, "object", stated 0, ("slot", Int), ("bytes", Blob));
table!(BESIDE, "beside", stated 0, ("leaf", Int), ("bytes", Blob));
table!(
    HEAD,
    "head",
    stated 0,
    ("id", Int),
    ("size", Int),
    ("edge", Blob),
    ("time", Int),
    ("seal", Blob),
    ("sealed_key", Blob),
);
table!(
    PLACE,
    "place",
    stated 0,
    ("id", Int),
    ("kind", Text),
    ("profile", Text),
    ("issuer", Text),
    ("owner", Text),
    ("renewer", Int),
    ("intended", Int),
    ("issued", Int),
    ("failed", Int),
    ("revoked", Int),
    ("replaced", Int),
);
table!(
    CARD,
    "card",
    stated 0,
    ("op", Int),
    ("place", Int),
    ("pile", Int),
    ("not_after", Int),
    ("look", Int),
    ("family", Int),
);
table!(
    OPEN,
    "open",
    stated 0,
    ("op", Int),
    ("place", Int),
    ("not_after", Int),
    ("due", Int),
    ("renews", Blob),
    ("family", Int),
);
table!(
    WARD,
    "ward",
    stated 0,
    ("id", Text),
    ("owner", Text),
    ("ends", Int),
    ("seen", Int),
    ("pending", Int),
    ("reader", Text),
    ("leaf", Int),
);
table!(READING, "reading", stated 0, ("id", Text), ("reader", Text), ("leaf", Int), ("at", Int));
table!(KEYWORD, "keyword", stated 0, ("word", Text), ("owner", Text), ("path", Text));
table!(RENEWAL, "renewal", stated 0, ("op", Int), ("due", Int), ("not_after", Int));
table!(
    EXPIRING,
    "expiring",
    stated 0,
    ("owner", Text),
    ("class", Int),
    ("hour", Int),
    ("live", Int),
    ("renewed", Int),
    ("looked", Int),
    ("look", Int),
);
table!(
    PRESENT,
    "present",
    stated 0,
    ("kind", Text),
    ("id", Text),
    ("leaf", Int),
    ("owner", Text),
    ("lookup", Text),
);

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::forms::schema::MIGRATIONS;

    /// Every table of the schema's text, with its columns in their order.
    fn declared() -> BTreeMap<String, Vec<String>> {
        let text: String = MIGRATIONS.iter().map(|step| step.text).collect();
        let tables = text.split("CREATE TABLE ").skip(1);
        tables
            .map(|table| {
                let (name, rest) = table.split_once(" (").unwrap();
                let body = rest.split_once("\n)").unwrap().0;
                let columns =
                    body.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("PRIMARY"));
                (name.to_owned(), columns.map(|line| line.split(' ').next().unwrap().to_owned()).collect())
            })
            .collect()
    }

    #[test]
    fn every_table_of_the_schema_is_copied_with_every_column() {
        let copied: BTreeMap<String, Vec<String>> = PARTS
            .iter()
            .map(|part| {
                let columns = part.table.columns.iter().map(|(name, _)| (*name).to_owned());
                (part.table.name.to_owned(), columns.collect())
            })
            .collect();
        assert_eq!(copied, declared());
        assert_eq!(PARTS.iter().map(|part| part.table.name).collect::<BTreeSet<_>>().len(), PARTS.len());
    }
}
