//! All of them, derived again from the rows of the register: no less, no more, nothing else.
//!
//! In pages, the newest operation first, so that a successor is seen before what it renewed. What memory grows with is places
//! and hours, one bit an operation, and a number a family. Records are not of these: who knows their present versions looks at `present`.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::operation::{OPERATION, Operation};
use super::wrong::{CARD, EXPIRING, OPEN, PLACE, RENEWAL, Wrong, strays, text_of};
use super::{PAGE, Sink};
use crate::forms::projection::{self, Pile};
use crate::nouns::error::StoreError;
use crate::nouns::renewer::Renewer;
use crate::sql::{Cell, Sql, Value};

/// Serials asked for at once.
const ASK_MAX: usize = 64;

/// Compares `card`, `open`, `renewal`, `place` and `expiring` with what the rows derive.
pub(crate) fn operations(sql: &mut dyn Sql, sink: &mut Sink<'_>) -> Result<(), StoreError> {
    let mut derived = Derived::default();
    derived.operations(sql, sink)?;
    for of in [&CARD, &OPEN, &RENEWAL] {
        let mut after = i64::MIN;
        while let Some((wrong, last)) = strays(sql, of, (after, i64::MAX))? {
            sink(sql, wrong)?;
            after = last;
        }
    }
    derived.places(sql, sink)?.hours(sql, sink)
}

/// What the rows derive so far.
#[derive(Default)]
struct Derived {
    /// Labels, and how many are intended, issued, failed, revoked.
    places: BTreeMap<i64, PlaceRow>,
    hours: BTreeMap<(String, i64, i64), [i64; 4]>,
    /// Families of which a signed one that is not revoked was seen: the newest.
    heads: HashSet<i64>,
    /// One bit an operation: a later conclusion says that it renews this one.
    succeeded: Vec<u64>,
}

impl Derived {
    fn operations(&mut self, sql: &mut dyn Sql, sink: &mut Sink<'_>) -> Result<(), StoreError> {
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
            let mut wrong = Vec::new();
            for operation in &page {
                let replaced = operation.heads().is_some_and(|family| !self.heads.insert(family));
                self.count(operation, replaced);
                wrong.extend(operation.wrong(Some(self.has_successor(operation.op)), replaced));
            }
            sink(sql, wrong)?;
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

    fn count(&mut self, operation: &Operation, replaced: bool) {
        let pile = operation.pile(replaced);
        let counter = match (pile, operation.is_issued()) {
            (Pile::Live, false) => 0,
            (Pile::Live, true) => 1,
            (Pile::Failed, _) => 2,
            (Pile::Revoked | Pile::Held, _) => 3,
            (Pile::Replaced, _) => 4,
        };
        let card = &operation.card;
        let fresh = || {
            let labels = operation.labels.iter().cloned();
            (labels.chain([Cell::Int(card.renewer.number())]).collect(), [0; 5])
        };
        let (_, counters) = self.places.entry(card.place).or_insert_with(fresh);
        if let Some(counter) = counters.get_mut(counter) {
            *counter += 1;
        }
        let [kind, _, _, owner] = &operation.labels;
        let Some(not_after) = card.not_after.filter(|_| projection::is_certificate(text_of(kind))) else { return };
        if pile != Pile::Live {
            return;
        }
        let class = projection::class(text_of(kind));
        for owner in [text_of(owner), ""].into_iter().skip(usize::from(*owner == Cell::Null)) {
            for (hour, counts) in projection::hours(not_after, card.look, card.renewer != Renewer::Nobody) {
                let hours = self.hours.entry((owner.to_owned(), class, hour)).or_default();
                hours.iter_mut().zip(counts).for_each(|(hour, count)| *hour += count);
            }
        }
    }

    fn places(mut self, sql: &mut dyn Sql, sink: &mut Sink<'_>) -> Result<Derived, StoreError> {
        let mut wrong = Vec::new();
        for row in sql.query(&PLACE.select(), &[])? {
            let cells = row.cells();
            let Some((Cell::Int(id), there)) = cells.split_first() else { continue };
            let expected = self.places.remove(id).map(place_row);
            wrong.extend(Wrong::unless_same(&PLACE, vec![Cell::Int(*id)], Some(there.to_vec()), expected));
        }
        for (id, place) in std::mem::take(&mut self.places) {
            wrong.extend(Wrong::unless_same(&PLACE, vec![Cell::Int(id)], None, Some(place_row(place))));
        }
        sink(sql, wrong)?;
        Ok(self)
    }

    fn hours(mut self, sql: &mut dyn Sql, sink: &mut Sink<'_>) -> Result<(), StoreError> {
        let text = "SELECT owner, class, hour, live, renewed, looked, look FROM expiring \
            WHERE (owner, class, hour) > ($1, $2, $3) ORDER BY owner, class, hour LIMIT $4";
        let hour_row = |hours: [i64; 4]| hours.map(Cell::Int).to_vec();
        let (mut owner, mut class, mut hour) = (String::new(), i64::MIN, i64::MIN);
        loop {
            let after = [Value::Text(&owner), Value::Int(class), Value::Int(hour), Value::Int(PAGE)];
            let rows = sql.query(text, &after)?;
            let (count, mut wrong) = (rows.len(), Vec::new());
            for row in rows {
                let cells = row.cells();
                let [there_owner, Cell::Int(there_class), Cell::Int(there_hour), there @ ..] = &cells[..] else {
                    continue;
                };
                (owner, class, hour) = (text_of(there_owner).to_owned(), *there_class, *there_hour);
                let expected = self.hours.remove(&(owner.clone(), class, hour)).map(hour_row);
                let key = vec![there_owner.clone(), Cell::Int(class), Cell::Int(hour)];
                wrong.extend(Wrong::unless_same(&EXPIRING, key, Some(there.to_vec()), expected));
            }
            sink(sql, wrong)?;
            if count < PAGE as usize {
                break;
            }
        }
        let missing = self.hours.into_iter().filter_map(|((owner, class, hour), there)| {
            let key = vec![Cell::Text(owner), Cell::Int(class), Cell::Int(hour)];
            Wrong::unless_same(&EXPIRING, key, None, Some(hour_row(there)))
        });
        let missing = missing.collect();
        sink(sql, missing)
    }
}

/// A place's labels and counters.
type PlaceRow = (Vec<Cell>, [i64; 5]);

fn place_row((labels, counters): PlaceRow) -> Vec<Cell> {
    labels.into_iter().chain(counters.map(Cell::Int)).collect()
}

fn bit_of(op: i64) -> Option<(usize, u64)> {
    let op = u64::try_from(op).ok()?;
    Some((usize::try_from(op / 64).ok()?, 1 << (op % 64)))
}
