//! The projections, derived again from the rows that the walk has judged: no less, no more, nothing else.
//!
//! In pages, the newest operation first, so that a successor is seen before what it renewed. What memory grows with is places
//! and hours, and one bit an operation.

use std::collections::{BTreeMap, HashMap};

use policy::{Timestamp, Validity};

use super::report::Report;
use crate::error::StoreError;
use crate::projection::{self, Card, Labels, Pile};
use crate::sql::{Cell, Row, Sql, Value};

/// Rows of a page.
const PAGE: i64 = 1_024;
/// Serials asked for at once.
const ASK_MAX: usize = 64;

/// Compares every projection with what the rows derive.
pub(super) fn check(sql: &mut dyn Sql, report: &mut Report) -> Result<(), StoreError> {
    let mut derived = Derived::default();
    derived.operations(sql, report)?;
    for table in ["card", "open", "renewal"] {
        strays(sql, table, report)?;
    }
    derived.places(sql, report)?;
    derived.hours(sql, report)?;
    present_of_records(sql, report)?;
    records_of_present(sql, report)
}

/// What the rows derive so far.
#[derive(Default)]
struct Derived {
    /// Labels, and how many are intended, issued, failed, revoked.
    places: BTreeMap<i64, (Vec<Cell>, [i64; 4])>,
    hours: BTreeMap<(String, i64), (i64, i64)>,
    /// One bit an operation: a later conclusion says that it renews this one.
    succeeded: Vec<u64>,
}

/// An operation with everything the projections say of it.
struct Operation {
    op: i64,
    labels: [Cell; 4],
    card: Card,
    outcome: Option<String>,
    concluded: Option<i64>,
    revoked: bool,
    /// The rows of `card`, `open` and `renewal` after their key; none: no row.
    there: [Option<Vec<Cell>>; 3],
}

const OPERATION: &str = "SELECT i.op, i.kind, i.profile, i.issuer, i.owner, i.serial, i.not_before, i.not_after, i.details, \
    c.leaf, c.outcome, r.leaf, k.op, k.place, k.pile, k.not_after, o.op, o.place, o.not_after, o.due, o.renews, \
    w.op, w.due, w.not_after \
    FROM intent i LEFT JOIN conclusion c ON c.op = i.op LEFT JOIN revocation r ON r.op = i.op \
    LEFT JOIN card k ON k.op = i.op LEFT JOIN open o ON o.op = i.op LEFT JOIN renewal w ON w.op = i.op";

impl Operation {
    /// Whatever stands in the row; where it is not what we wrote, the walk said so, and this says what follows from it.
    fn read(row: Row) -> Operation {
        let cells = row.cells();
        let cell = |at: usize| cells.get(at).cloned().unwrap_or(Cell::Null);
        let number = |at: usize| match cell(at) {
            Cell::Int(n) => Some(n),
            Cell::Null | Cell::Text(_) | Cell::Blob(_) => None,
        };
        let text = |at: usize| cells.get(at).map_or("", text_of);
        let owner = cells.get(4).filter(|owner| **owner != Cell::Null).map(text_of);
        let labels = Labels { kind: text(1), profile: text(2), issuer: text(3), owner };
        let serial = match cell(5) {
            Cell::Blob(serial) => serial,
            Cell::Null | Cell::Int(_) | Cell::Text(_) => Vec::new(),
        };
        let validity = number(6)
            .zip(number(7))
            .and_then(|(from, to)| Validity::new(Timestamp::from_unix(from), Timestamp::from_unix(to)).ok());
        let details = serde_json::from_str(text(8)).unwrap_or_default();
        let rest = |key: usize, columns: usize| {
            let row = cells.get(key + 1..=key + columns)?;
            (cell(key) != Cell::Null).then(|| row.to_vec())
        };
        Operation {
            op: number(0).unwrap_or(-1),
            labels: [cell(1), cell(2), cell(3), cell(4)],
            card: Card::new(labels, &serial, validity, &details),
            outcome: cells.get(10).filter(|outcome| **outcome != Cell::Null).map(|outcome| text_of(outcome).to_owned()),
            concluded: number(9),
            revoked: cell(11) != Cell::Null,
            there: [rest(12, 3), rest(16, 4), rest(21, 2)],
        }
    }

    fn pile(&self) -> Pile {
        match (self.revoked, self.outcome.as_deref()) {
            (true, _) => Pile::Revoked,
            (false, Some("failed")) => Pile::Failed,
            (false, _) => Pile::Live,
        }
    }

    fn is_issued(&self) -> bool {
        self.outcome.as_deref() == Some("issued")
    }

    /// The rows that should be there: of `card`, of `open`, of `renewal`.
    fn expected(&self, succeeded: bool) -> [Option<Vec<Cell>>; 3] {
        let number = |n: Option<i64>| n.map_or(Cell::Null, Cell::Int);
        let Card { place, renew: _, not_after, due, renews } = &self.card;
        let card = vec![Cell::Int(*place), Cell::Int(self.pile().number()), number(*not_after)];
        let is_open = self.outcome.is_none() && !self.revoked;
        let renews = renews.clone().map_or(Cell::Null, Cell::Blob);
        let open = is_open.then(|| vec![Cell::Int(*place), number(*not_after), number(*due), renews]);
        let is_due = due.is_some() && self.is_issued() && !self.revoked && !succeeded;
        let renewal = is_due.then(|| vec![number(*due), number(*not_after)]);
        [Some(card), open, renewal]
    }
}

/// The columns of the three tables after their key.
const COLUMNS: [(&str, &[&str]); 3] = [
    ("card", &["place", "pile", "not_after"]),
    ("open", &["place", "not_after", "due", "renews"]),
    ("renewal", &["due", "not_after"]),
];

impl Derived {
    fn operations(&mut self, sql: &mut dyn Sql, report: &mut Report) -> Result<(), StoreError> {
        let text = format!("{OPERATION} WHERE i.op < $1 ORDER BY i.op DESC LIMIT $2");
        let mut below = i64::MAX;
        loop {
            let rows = sql.query(&text, &[Value::Int(below), Value::Int(PAGE)])?;
            let mut page: Vec<Operation> = rows.into_iter().map(Operation::read).collect();
            // A second conclusion or revocation of one operation is the walk's to find.
            page.dedup_by_key(|operation| operation.op);
            let Some(last) = page.last() else { return Ok(()) };
            below = last.op;
            self.successions(sql, &page)?;
            for operation in &page {
                self.count(operation);
                compare(operation, self.has_successor(operation.op), report);
            }
        }
    }

    /// Notes what the operations of a page renewed, where it was concluded before they were.
    fn successions(&mut self, sql: &mut dyn Sql, page: &[Operation]) -> Result<(), StoreError> {
        // Of several that renew one certificate the last to be concluded decides.
        let mut renews: HashMap<&[u8], Option<i64>> = HashMap::new();
        for operation in page.iter().filter(|operation| operation.is_issued()) {
            if let Some(serial) = operation.card.renews.as_deref() {
                let latest = renews.entry(serial).or_default();
                *latest = (*latest).max(operation.concluded);
            }
        }
        let serials: Vec<&[u8]> = renews.keys().copied().collect();
        for some in serials.chunks(ASK_MAX) {
            let asked = some.len().next_power_of_two();
            let marks: Vec<String> = (1..=asked).map(|at| format!("${at}")).collect();
            let params: Vec<Value<'_>> = some.iter().cycle().take(asked).map(|serial| Value::Blob(serial)).collect();
            let text = format!(
                "SELECT i.op, c.leaf, i.serial FROM intent i JOIN conclusion c ON c.op = i.op WHERE i.serial IN ({})",
                marks.join(", ")
            );
            for row in sql.query(&text, &params)? {
                let [Cell::Int(op), Cell::Int(leaf), Cell::Blob(serial)] = &row.cells()[..] else { continue };
                if renews.get(serial.as_slice()).copied().flatten().is_some_and(|later| later > *leaf) {
                    self.note_successor(*op);
                }
            }
        }
        Ok(())
    }

    fn note_successor(&mut self, op: i64) {
        let Some((word, bit)) = bit_of(op) else { return };
        if self.succeeded.len() <= word {
            self.succeeded.resize(word + 1, 0);
        }
        if let Some(word) = self.succeeded.get_mut(word) {
            *word |= bit;
        }
    }

    fn has_successor(&self, op: i64) -> bool {
        bit_of(op).is_some_and(|(word, bit)| self.succeeded.get(word).is_some_and(|word| word & bit != 0))
    }

    fn count(&mut self, operation: &Operation) {
        let pile = operation.pile();
        let counter = match (pile, operation.is_issued()) {
            (Pile::Live, false) => 0,
            (Pile::Live, true) => 1,
            (Pile::Failed, _) => 2,
            (Pile::Revoked, _) => 3,
        };
        let card = &operation.card;
        let fresh = || {
            let labels = operation.labels.iter().cloned();
            (labels.chain([Cell::Int(card.renew.into())]).collect(), [0; 4])
        };
        let (_, counters) = self.places.entry(card.place).or_insert_with(fresh);
        if let Some(counter) = counters.get_mut(counter) {
            *counter += 1;
        }
        let [kind, _, _, owner] = &operation.labels;
        let Some(not_after) = card.not_after.filter(|_| projection::is_certificate(text_of(kind))) else { return };
        for owner in [text_of(owner), ""].into_iter().skip(usize::from(*owner == Cell::Null)) {
            let (live, renewed) = self.hours.entry((owner.to_owned(), projection::hour(not_after))).or_default();
            if pile == Pile::Live {
                *live += 1;
                *renewed += i64::from(card.renew);
            }
        }
    }

    fn places(&mut self, sql: &mut dyn Sql, report: &mut Report) -> Result<(), StoreError> {
        let columns = ["kind", "profile", "issuer", "owner", "renew", "intended", "issued", "failed", "revoked"];
        let text = format!("SELECT id, {} FROM place ORDER BY id", columns.join(", "));
        for row in sql.query(&text, &[])? {
            let cells = row.cells();
            let Some((Cell::Int(id), there)) = cells.split_first() else { continue };
            let place = format!("place id={id}");
            let Some((labels, counters)) = self.places.remove(id) else {
                report.find("place", format!("{place} column id"), "no operation stands there");
                continue;
            };
            let counters = counters.into_iter().map(Cell::Int);
            let expected: Vec<Cell> = labels.into_iter().chain(counters).collect();
            differing("place", &place, &columns, there, &expected, report);
        }
        for id in self.places.keys() {
            report.find("place", format!("place id={id}"), "the row is missing");
        }
        Ok(())
    }

    fn hours(&mut self, sql: &mut dyn Sql, report: &mut Report) -> Result<(), StoreError> {
        let text = "SELECT owner, hour, live, renewed FROM expiring WHERE (owner, hour) > ($1, $2) \
            ORDER BY owner, hour LIMIT $3";
        let (mut owner, mut hour) = (String::new(), i64::MIN);
        loop {
            let rows = sql.query(text, &[Value::Text(&owner), Value::Int(hour), Value::Int(PAGE)])?;
            let count = rows.len();
            for row in rows {
                let cells = row.cells();
                let [there_owner, Cell::Int(there_hour), there @ ..] = &cells[..] else { continue };
                (owner, hour) = (text_of(there_owner).to_owned(), *there_hour);
                let place = format!("expiring owner={owner} hour={hour}");
                let Some((live, renewed)) = self.hours.remove(&(owner.clone(), hour)) else {
                    report.find("expiring", format!("{place} column hour"), "no certificate of theirs ends there");
                    continue;
                };
                let expected = [Cell::Int(live), Cell::Int(renewed)];
                differing("expiring", &place, &["live", "renewed"], there, &expected, report);
            }
            if count < PAGE as usize {
                break;
            }
        }
        for (owner, hour) in self.hours.keys() {
            report.find("expiring", format!("expiring owner={owner} hour={hour}"), "the row is missing");
        }
        Ok(())
    }
}

fn bit_of(op: i64) -> Option<(usize, u64)> {
    let op = u64::try_from(op).ok()?;
    Some((usize::try_from(op / 64).ok()?, 1 << (op % 64)))
}

fn compare(operation: &Operation, succeeded: bool, report: &mut Report) {
    let expected = operation.expected(succeeded);
    for ((expected, there), (table, columns)) in expected.iter().zip(&operation.there).zip(COLUMNS) {
        let place = format!("{table} op={}", operation.op);
        match (expected, there) {
            (Some(expected), Some(there)) => differing(table, &place, columns, there, expected, report),
            (Some(_), None) => report.find(table, place, "the row is missing"),
            (None, Some(_)) => report.find(table, format!("{place} column op"), "nothing in the register says so"),
            (None, None) => {}
        }
    }
}

fn differing(
    table: &'static str,
    place: &str,
    columns: &[&str],
    there: &[Cell],
    expected: &[Cell],
    report: &mut Report,
) {
    for ((there, expected), column) in there.iter().zip(expected).zip(columns) {
        if there != expected {
            report.find(table, format!("{place} column {column}"), "is not what the register's rows derive");
        }
    }
}

/// Rows that speak of no operation.
fn strays(sql: &mut dyn Sql, table: &'static str, report: &mut Report) -> Result<(), StoreError> {
    let text = format!(
        "SELECT t.op, i.op FROM {table} t LEFT JOIN intent i ON i.op = t.op WHERE t.op > $1 ORDER BY t.op LIMIT $2"
    );
    let mut after = i64::MIN;
    loop {
        let rows = sql.query(&text, &[Value::Int(after), Value::Int(PAGE)])?;
        let count = rows.len();
        for row in rows {
            let [Cell::Int(op), intent] = &row.cells()[..] else { continue };
            after = *op;
            if *intent == Cell::Null {
                report.find(table, format!("{table} op={op} column op"), "no intent has this number");
            }
        }
        if count < PAGE as usize {
            return Ok(());
        }
    }
}

/// Every record has its last version in `present`.
fn present_of_records(sql: &mut dyn Sql, report: &mut Report) -> Result<(), StoreError> {
    let text = "SELECT r.leaf, r.kind, r.id, r.owner, r.lookup, p.leaf, p.owner, p.lookup FROM record r \
        LEFT JOIN present p ON p.kind = r.kind AND p.id = r.id WHERE r.leaf > $1 ORDER BY r.leaf LIMIT $2";
    let mut after = i64::MIN;
    loop {
        let rows = sql.query(text, &[Value::Int(after), Value::Int(PAGE)])?;
        let count = rows.len();
        for row in rows {
            let cells = row.cells();
            let [Cell::Int(leaf), kind, id, owner, lookup, there @ ..] = &cells[..] else { continue };
            after = *leaf;
            let place = format!("present kind={} id={}", text_of(kind), text_of(id));
            match there {
                [Cell::Int(there), ..] if there > leaf => {}
                [Cell::Int(there), there_owner, there_lookup] if there == leaf => {
                    let (there, expected) =
                        ([there_owner, there_lookup].map(Cell::clone), [owner.clone(), lookup.clone()]);
                    differing("present", &place, &["owner", "lookup"], &there, &expected, report);
                }
                [Cell::Null, ..] => report.find("present", place, "the row is missing"),
                _ => {
                    let says = format!("leaf {leaf} has a later version");
                    report.find("present", format!("{place} column leaf"), says);
                }
            }
        }
        if count < PAGE as usize {
            return Ok(());
        }
    }
}

/// Every row of `present` names a version of its own record.
fn records_of_present(sql: &mut dyn Sql, report: &mut Report) -> Result<(), StoreError> {
    let text = "SELECT p.kind, p.id, r.kind, r.id FROM present p LEFT JOIN record r ON r.leaf = p.leaf \
        WHERE (p.kind, p.id) > ($1, $2) ORDER BY p.kind, p.id LIMIT $3";
    let (mut kind, mut id) = (String::new(), String::new());
    loop {
        let rows = sql.query(text, &[Value::Text(&kind), Value::Text(&id), Value::Int(PAGE)])?;
        let count = rows.len();
        for row in rows {
            let cells = row.cells();
            let [there_kind, there_id, record @ ..] = &cells[..] else { continue };
            (kind, id) = (text_of(there_kind).to_owned(), text_of(there_id).to_owned());
            if record != [there_kind.clone(), there_id.clone()] {
                let place = format!("present kind={kind} id={id}");
                report.find("present", format!("{place} column leaf"), "that leaf is no version of this record");
            }
        }
        if count < PAGE as usize {
            return Ok(());
        }
    }
}

fn text_of(cell: &Cell) -> &str {
    match cell {
        Cell::Text(text) => text,
        Cell::Null | Cell::Int(_) | Cell::Blob(_) => "",
    }
}
