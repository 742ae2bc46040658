//! The rows of a register written straight through SQLite, with nothing around them: what an issuance cannot cost less than.
//!
//! It takes the leaves that a service wrote, with all rows that came with them, and writes the same bytes at the same places:
//! into the same tables and indexes, in commits of the same size, hashing each leaf into the same tree.

use std::path::Path;

use rusqlite::{Connection, Statement, params_from_iter};

use crate::Database;
use crate::forms::schema::{CONCLUSION, INTENT, MIGRATIONS, RECORD, Table};
use crate::log::{FullTile, Tree, leaf_hash};
use crate::nouns::error::StoreError;
use crate::sql::{Cell, Row, Sql, Use, Value, connect, make};

/// A leaf and the rows that came with it.
#[derive(Debug)]
pub struct BareStep {
    bytes: Vec<u8>,
    what: What,
}

impl BareStep {
    /// Whether it concludes a certificate.
    pub fn concludes(&self) -> bool {
        matches!(self.what, What::Concluded(..))
    }
}

#[derive(Debug)]
enum What {
    Intended(Box<Intended>),
    /// The row, and its operation.
    Concluded(Vec<Cell>, i64),
    /// A record; a refusal has no row.
    Other(Option<Vec<Cell>>),
}

#[derive(Debug)]
struct Intended {
    op: i64,
    row: Vec<Cell>,
    /// Slot and text.
    names: Vec<Vec<Cell>>,
    /// Operation, place, pile, end.
    card: Vec<Cell>,
    /// Whose it is, and in which hour it ends.
    owner: Cell,
    hour: i64,
}

/// A database with the register's schema and no register.
#[allow(missing_debug_implementations)]
pub struct BareRegister {
    connection: Connection,
    tree: Tree,
}

impl BareRegister {
    /// Makes the file, as the service configures its own.
    pub fn create(path: &Path) -> Result<BareRegister, StoreError> {
        let database = Database::Sqlite(path.to_owned());
        make(&database)?;
        drop(connect(&database, Use::Write)?);
        let connection = Connection::open(path).map_err(wrong)?;
        connection.set_prepared_statement_cache_capacity(64);
        for (name, value) in [("synchronous", "FULL"), ("cache_size", "-65536"), ("wal_autocheckpoint", "4096")] {
            connection.pragma_update(None, name, value).map_err(wrong)?;
        }
        for migration in MIGRATIONS {
            let text = migration.text.replace("BIGINT PRIMARY KEY", "INTEGER PRIMARY KEY");
            connection.execute_batch(&text).map_err(wrong)?;
        }
        let head = "INSERT INTO head (id, size, edge, time, seal) VALUES (1, 0, x'', 0, x'')";
        connection.execute_batch(head).map_err(wrong)?;
        Ok(BareRegister { connection, tree: Tree::default() })
    }

    /// The leaves that a service's register has and this one has not, with their rows; nobody may be writing there.
    pub fn missing(&self, register: &Path) -> Result<Vec<BareStep>, StoreError> {
        let mut sql = connect(&Database::Sqlite(register.to_owned()), Use::Read)?;
        let (sql, from) = (sql.as_mut(), i64::try_from(self.tree.size()).unwrap_or(i64::MAX));
        let mut intents = keyed(sql, &format!("{} WHERE op >= $1 ORDER BY op", INTENT.select()), from)?;
        let mut conclusions = keyed(sql, &format!("{} WHERE leaf >= $1 ORDER BY leaf", CONCLUSION.select()), from)?;
        let mut records = keyed(sql, &format!("{} WHERE leaf >= $1 ORDER BY leaf", RECORD.select()), from)?;
        let mut cards = keyed(sql, "SELECT op, place, pile, not_after FROM card WHERE op >= $1 ORDER BY op", from)?;
        let names = "SELECT slot / 128, slot, name FROM name WHERE slot >= $1 * 128 ORDER BY slot";
        let mut names = keyed(sql, names, from)?.peekable();
        let mut steps = Vec::new();
        for (leaf, row) in keyed(sql, "SELECT idx, bytes FROM leaf WHERE idx >= $1 ORDER BY idx", from)? {
            let [_, Cell::Blob(bytes)] = <[Cell; 2]>::try_from(row).map_err(|_| lost(leaf))? else {
                return Err(lost(leaf));
            };
            let of = |table: &mut Keyed| table.next_if(|(key, _)| *key == leaf).map(|(_, row)| row);
            let what = if let Some(row) = of(&mut intents) {
                let card = of(&mut cards).ok_or_else(|| lost(leaf))?;
                let (owner, hour) = (column(&row, &INTENT, "owner"), column(&row, &INTENT, "not_after"));
                let hour = if let Cell::Int(end) = hour { crate::forms::projection::hour(end) } else { 0 };
                let mut own = Vec::new();
                while let Some((_, row)) = names.next_if(|(op, _)| *op == leaf) {
                    own.push(row.into_iter().skip(1).collect());
                }
                What::Intended(Box::new(Intended { op: leaf, row, names: own, card, owner, hour }))
            } else if let Some(row) = of(&mut conclusions) {
                let Cell::Int(op) = column(&row, &CONCLUSION, "op") else { return Err(lost(leaf)) };
                What::Concluded(row, op)
            } else {
                What::Other(of(&mut records))
            };
            steps.push(BareStep { bytes, what });
        }
        Ok(steps)
    }

    /// Writes them, so many leaves in a commit. Answers how many certificates were concluded.
    pub fn write(&mut self, steps: &[BareStep], commit: usize) -> Result<u64, StoreError> {
        let mut concluded = 0;
        for some in steps.chunks(commit.max(1)) {
            self.commit(some).map_err(wrong)?;
            concluded += some.iter().filter(|step| step.concludes()).count() as u64;
        }
        Ok(concluded)
    }

    fn commit(&mut self, steps: &[BareStep]) -> Result<(), rusqlite::Error> {
        let c = &self.connection;
        c.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        let mut leaves = c.prepare_cached("INSERT INTO leaf (idx, hash, bytes) VALUES (?, ?, ?)")?;
        let mut intents = c.prepare_cached(&inserting(&INTENT))?;
        let mut conclusions = c.prepare_cached(&inserting(&CONCLUSION))?;
        let mut records = c.prepare_cached(&inserting(&RECORD))?;
        let mut names = c.prepare_cached("INSERT INTO name (slot, name) VALUES (?, ?)")?;
        let mut cards = c.prepare_cached("INSERT INTO card (op, place, pile, not_after) VALUES (?, ?, ?, ?)")?;
        let mut opens = c.prepare_cached("INSERT INTO open (op, place, not_after) VALUES (?, ?, ?)")?;
        let mut closes = c.prepare_cached("DELETE FROM open WHERE op = ? RETURNING place, not_after, due, renews")?;
        let (mut tiles, mut places, mut hours) = (Vec::new(), Counts::new(), Counts::new());
        for step in steps {
            let hash = leaf_hash(&step.bytes);
            let index = i64::try_from(self.tree.size()).unwrap_or(i64::MAX);
            self.tree.append(hash, &mut tiles);
            run(&mut leaves, [Value::Int(index), Value::Blob(&hash), Value::Blob(&step.bytes)])?;
            match &step.what {
                What::Intended(intended) => {
                    let Intended { op, row, names: own, card, owner, hour } = &**intended;
                    run(&mut intents, row.iter().map(Cell::as_value))?;
                    for name in own {
                        run(&mut names, name.iter().map(Cell::as_value))?;
                    }
                    run(&mut cards, card.iter().map(Cell::as_value))?;
                    let [place, end] = [card.get(1), card.get(3)].map(|cell| cell.map_or(Value::Null, Cell::as_value));
                    run(&mut opens, [Value::Int(*op), place, end])?;
                    places.entry((cell_int(card.get(1)), String::new())).or_default().0 += 1;
                    let owner = if let Cell::Text(owner) = owner { owner.as_str() } else { "" };
                    for owner in [owner, ""] {
                        hours.entry((*hour, owner.to_owned())).or_default().0 += 1;
                    }
                }
                What::Concluded(row, op) => {
                    run(&mut conclusions, row.iter().map(Cell::as_value))?;
                    let place = closes.query_row([op], |row| row.get::<_, i64>(0))?;
                    places.entry((place, String::new())).or_default().1 += 1;
                }
                What::Other(Some(row)) => run(&mut records, row.iter().map(Cell::as_value))?,
                What::Other(None) => {}
            }
        }
        self.end(&tiles, places, hours)
    }

    /// Counters, tiles, the head, and the flush.
    fn end(&self, tiles: &[FullTile], places: Counts, hours: Counts) -> Result<(), rusqlite::Error> {
        let c = &self.connection;
        let place = "INSERT INTO place (id, kind, profile, issuer, owner, renew, intended, issued, failed, revoked) \
            VALUES (?, '', '', '', NULL, 0, ?, ?, 0, 0) ON CONFLICT (id) DO UPDATE SET \
            intended = place.intended + excluded.intended, issued = place.issued + excluded.issued";
        for ((id, _), (intended, issued)) in places {
            c.prepare_cached(place)?.execute([id, intended - issued, issued])?;
        }
        let hour = "INSERT INTO expiring (owner, hour, live, renewed) VALUES (?, ?, ?, 0) ON CONFLICT (owner, hour) \
            DO UPDATE SET live = expiring.live + excluded.live";
        for ((hour_of, owner), (live, _)) in hours {
            run(&mut *c.prepare_cached(hour)?, [Value::Text(&owner), Value::Int(hour_of), Value::Int(live)])?;
        }
        for tile in tiles {
            let row = [Value::Int(tile.level.into()), Value::Int(i64::try_from(tile.n).unwrap_or(i64::MAX))];
            let row = row.into_iter().chain([Value::Blob(&tile.hashes), Value::Blob(&tile.root)]);
            run(&mut *c.prepare_cached("INSERT INTO tile (level, n, hashes, root) VALUES (?, ?, ?, ?)")?, row)?;
        }
        let (size, edge) = (i64::try_from(self.tree.size()).unwrap_or(i64::MAX), self.tree.edge().concat());
        let head = [Value::Int(size), Value::Blob(&edge), Value::Int(size), Value::Blob(&[7; 32])];
        run(&mut *c.prepare_cached("UPDATE head SET size = ?, edge = ?, time = ?, seal = ? WHERE id = 1")?, head)?;
        c.prepare_cached("COMMIT")?.execute([]).map(drop)
    }
}

/// Two counts by number and text.
type Counts = std::collections::BTreeMap<(i64, String), (i64, i64)>;

/// Rows by their first column, a number.
type Keyed = std::iter::Peekable<std::vec::IntoIter<(i64, Vec<Cell>)>>;

fn keyed(sql: &mut dyn Sql, text: &str, from: i64) -> Result<Keyed, StoreError> {
    let rows = sql.query(text, &[Value::Int(from)])?.into_iter().map(Row::cells);
    let keyed: Vec<_> = rows.map(|row| (cell_int(row.first()), row)).collect();
    Ok(keyed.into_iter().peekable())
}

fn cell_int(cell: Option<&Cell>) -> i64 {
    if let Some(Cell::Int(n)) = cell { *n } else { 0 }
}

fn column(row: &[Cell], table: &Table, name: &str) -> Cell {
    table.position(name).and_then(|at| row.get(at).cloned()).unwrap_or(Cell::Null)
}

fn inserting(table: &'static Table) -> String {
    let marks: Vec<&str> = table.columns.iter().map(|_| "?").collect();
    format!("{} VALUES ({})", table.insert(), marks.join(", "))
}

fn run<'a>(statement: &mut Statement<'_>, values: impl IntoIterator<Item = Value<'a>>) -> Result<(), rusqlite::Error> {
    statement.execute(params_from_iter(values)).map(drop)
}

fn lost(leaf: i64) -> StoreError {
    StoreError::Corrupt(format!("leaf {leaf} is not with its rows"))
}

fn wrong(error: rusqlite::Error) -> StoreError {
    StoreError::Database(error.to_string())
}
