//! A row of a projection that is not what the register's rows derive.

use super::PAGE;
use crate::nouns::error::StoreError;
use crate::sql::{Cell, Sql, Value};

/// A projection, as data.
#[derive(Debug)]
pub(crate) struct Projection {
    pub name: &'static str,
    pub key: &'static [&'static str],
    /// The columns after the key.
    pub columns: &'static [&'static str],
    /// How rows are inserted.
    pub insert: &'static str,
}

macro_rules! projection {
    ($static:ident, $name:literal, $key:literal $(, $more:literal)*; $($column:literal),*) => {
        pub(crate) static $static: Projection = Projection {
            name: $name,
            key: &[$key $(, $more)*],
            columns: &[$($column),*],
            insert: concat!("INSERT INTO ", $name, " (", $key $(, ", ", $more)* $(, ", ", $column)*, ")"),
        };
    };
}

projection!(CARD, "card", "op"; "place", "pile", "not_after", "look", "family");
projection!(OPEN, "open", "op"; "place", "not_after", "due", "renews", "family");
projection!(RENEWAL, "renewal", "op"; "due", "not_after");
projection!(EXPIRING, "expiring", "owner", "class", "hour"; "live", "renewed", "looked", "look");
projection!(PRESENT, "present", "kind", "id"; "leaf", "owner", "lookup");
projection!(WARD, "ward", "id"; "owner", "ends", "seen", "pending", "reader", "leaf");
projection!(READING, "reading", "id", "reader"; "leaf", "at");
projection!(KEYWORD, "keyword", "word", "owner", "path";);
projection!(
    PLACE, "place", "id";
    "kind", "profile", "issuer", "owner", "renewer", "intended", "issued", "failed", "revoked", "replaced"
);

impl Projection {
    /// All of its rows: for the one that may be walked.
    pub fn select(&self) -> String {
        let (key, columns) = (self.key.join(", "), self.columns.join(", "));
        format!("SELECT {key}, {columns} FROM {} ORDER BY {key}", self.name)
    }

    /// Takes one row away.
    pub fn delete(&self) -> String {
        let keys: Vec<String> = (1..).zip(self.key).map(|(at, key)| format!("{key} = ${at}")).collect();
        format!("DELETE FROM {} WHERE {}", self.name, keys.join(" AND "))
    }
}

/// What stands there, and what should; none: no row.
#[derive(Debug)]
pub(crate) struct Wrong {
    pub of: &'static Projection,
    pub key: Vec<Cell>,
    pub there: Option<Vec<Cell>>,
    pub expected: Option<Vec<Cell>>,
}

impl Wrong {
    pub fn unless_same(
        of: &'static Projection,
        key: Vec<Cell>,
        there: Option<Vec<Cell>>,
        expected: Option<Vec<Cell>>,
    ) -> Option<Wrong> {
        (there != expected).then_some(Wrong { of, key, there, expected })
    }

    /// Which row, and which column where that can be told, with what is wrong with it.
    pub fn says(&self) -> Vec<(String, &'static str)> {
        let keys = self.of.key.iter().zip(&self.key).map(|(name, cell)| format!(" {name}={}", show(cell)));
        let place: String = std::iter::once(self.of.name.to_owned()).chain(keys).collect();
        let (there, expected) = match (&self.there, &self.expected) {
            (Some(there), Some(expected)) => (there, expected),
            (None, _) => return vec![(place, "the row is missing")],
            (Some(_), None) => {
                let column = self.of.key.last().copied().unwrap_or_default();
                return vec![(format!("{place} column {column}"), "nothing in the register says so")];
            }
        };
        let columns =
            there.iter().zip(expected).zip(self.of.columns).filter(|((there, expected), _)| there != expected);
        let says = "is not what the register's rows derive";
        columns.map(|(_, column)| (format!("{place} column {column}"), says)).collect()
    }
}

/// Rows that speak of no operation, after one and up to another: a page of them all is looked at; none where there are no more.
pub(crate) fn strays(
    sql: &mut dyn Sql,
    of: &'static Projection,
    (after, to): (i64, i64),
) -> Result<Option<(Vec<Wrong>, i64)>, StoreError> {
    let text = format!(
        "SELECT t.op, i.op FROM {} t LEFT JOIN intent i ON i.op = t.op WHERE t.op > $1 AND t.op <= $2 ORDER BY t.op LIMIT $3",
        of.name
    );
    let (mut wrong, mut last) = (Vec::new(), None);
    for row in sql.query(&text, &[Value::Int(after), Value::Int(to), Value::Int(PAGE)])? {
        let [Cell::Int(op), intent] = &row.cells()[..] else { continue };
        last = Some(*op);
        let there = (*intent == Cell::Null).then(Vec::new);
        wrong.extend(Wrong::unless_same(of, vec![Cell::Int(*op)], there, None));
    }
    Ok(last.map(|last| (wrong, last)))
}

pub(crate) fn text_of(cell: &Cell) -> &str {
    match cell {
        Cell::Text(text) => text,
        Cell::Null | Cell::Int(_) | Cell::Blob(_) => "",
    }
}

fn show(cell: &Cell) -> String {
    match cell {
        Cell::Int(n) => n.to_string(),
        Cell::Null | Cell::Text(_) | Cell::Blob(_) => text_of(cell).to_owned(),
    }
}
