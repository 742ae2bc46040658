//! The projections of a batch, written beside its rows. projection.rs has the rules.

use std::collections::{BTreeMap, HashMap};

use policy::Timestamp;

use crate::forms::projection::{self, Labels, Pile, class, is_certificate};
use crate::forms::schema::PLACE_COUNTERS;
use crate::nouns::entry::Renews;
use crate::nouns::error::StoreError;
use crate::nouns::renewer::Renewer;
use crate::rows::{ConclusionRow, IntentRow, Outcome, RecordRow, RevocationRow};
use crate::sql::{Row, Sql, SqlError, Value};

/// What a batch adds to the counters of a place, in the order of [`PLACE_COUNTERS`].
type Delta = [i64; 5];
const INTENDED: usize = 0;
const ISSUED: usize = 1;
const FAILED: usize = 2;
const REVOKED: usize = 3;
const REPLACED: usize = 4;

/// Counters under way; each row they touch is written once a batch.
#[derive(Default)]
pub(super) struct Tally<'a> {
    /// Places that a new intent stands in; perhaps nobody stood there before.
    named: BTreeMap<i64, (Labels<'a>, Renewer)>,
    places: BTreeMap<i64, Delta>,
    hours: BTreeMap<Hour, Hours>,
    /// Families of which one was signed or ended, and whether one ended.
    families: BTreeMap<i64, bool>,
}

/// The owner (of all: the empty one), its class, the hour.
type Hour = (String, i64, i64);
/// How many end, how many of them somebody renews, at how many of them somebody looks before; at how many from this hour on.
type Hours = [i64; 4];

/// An operation that has no conclusion.
struct Open {
    place: i64,
    not_after: Option<i64>,
    due: Option<i64>,
    renews: Option<Vec<u8>>,
    family: Option<i64>,
}

/// What the hours count of an operation.
struct Ends<'a> {
    kind: &'a str,
    owner: Option<&'a str>,
    renewed: bool,
    not_after: Option<i64>,
    look: Option<i64>,
}

impl<'a> Tally<'a> {
    fn count(&mut self, place: i64, which: usize, by: i64) {
        if let Some(counter) = self.places.entry(place).or_default().get_mut(which) {
            *counter += by;
        }
    }

    fn expiry(&mut self, ends: &Ends<'_>, by: i64) {
        let Some(not_after) = ends.not_after.filter(|_| is_certificate(ends.kind)) else { return };
        for owner in ends.owner.into_iter().chain([""]) {
            for (at, counts) in projection::hours(not_after, ends.look, ends.renewed) {
                let hours = self.hours.entry((owner.to_owned(), class(ends.kind), at)).or_default();
                hours.iter_mut().zip(counts).for_each(|(hour, count)| *hour += by * count);
            }
        }
    }

    /// `ended`: what was taken in with its end. It is counted where it stands from the first moment on.
    pub fn intents(
        &mut self,
        sql: &mut dyn Sql,
        rows: &[(u64, Timestamp, &'a IntentRow)],
        ended: &HashMap<u64, Pile>,
    ) -> Result<(), SqlError> {
        let mut cards = Vec::with_capacity(rows.len() * 6);
        let mut open = Vec::with_capacity(rows.len() * 6);
        for (op, _, row) in rows {
            let card = &row.card;
            let [not_after, look, family, due] =
                [card.not_after, card.look, card.family, card.due].map(|n| n.map_or(Value::Null, Value::Int));
            let end = ended.get(op).filter(|_| row.source.is_some());
            let (is_ended, pile) = (end.is_some(), end.copied().unwrap_or(Pile::Live));
            cards.extend([Value::index(*op), Value::Int(card.place), Value::Int(pile.number())]);
            cards.extend([not_after, look, family]);
            if row.source.is_none() {
                open.extend([Value::index(*op), Value::Int(card.place), not_after, due]);
                open.extend([card.renews.as_deref().map_or(Value::Null, Value::Blob), family]);
                self.count(card.place, INTENDED, 1);
            } else if is_ended {
                self.count(card.place, REVOKED, 1);
            } else {
                // Signed elsewhere long ago: it waits for nothing.
                self.count(card.place, ISSUED, 1);
                if let Some(family) = card.family {
                    self.families.entry(family).or_default();
                }
            }
            let Labels { kind, owner, .. } = row.labels();
            self.named.insert(card.place, (row.labels(), card.renewer));
            let renewed = card.renewer != Renewer::Nobody;
            if !is_ended {
                self.expiry(&Ends { kind, owner, renewed, not_after: card.not_after, look: card.look }, 1);
            }
        }
        sql.insert("INSERT INTO card (op, place, pile, not_after, look, family)", 6, &cards)?;
        sql.insert("INSERT INTO open (op, place, not_after, due, renews, family)", 6, &open)?;
        // What was taken in may be moved in this same batch, from a place where nobody stood before.
        match rows.iter().any(|(_, _, row)| row.source.is_some()) {
            true => self.name_places(sql, |_| Delta::default()),
            false => Ok(()),
        }
    }

    pub fn conclusions(
        &mut self,
        sql: &mut dyn Sql,
        rows: &[(u64, Timestamp, &ConclusionRow)],
    ) -> Result<(), SqlError> {
        let ops: Vec<u64> = rows.iter().map(|(_, _, row)| row.op).collect();
        let mut open = take_open(sql, &ops)?;
        let (mut due, mut failed) = (Vec::new(), Vec::new());
        for (_, _, row) in rows {
            let renews = match (open.remove(&row.op), &row.outcome) {
                (Some(open), Outcome::Issued(_)) => {
                    self.count(open.place, INTENDED, -1);
                    self.count(open.place, ISSUED, 1);
                    if let Some(family) = open.family {
                        self.families.entry(family).or_default();
                    }
                    if let (Some(at), Some(not_after)) = (open.due, open.not_after) {
                        due.extend([Value::index(row.op), Value::Int(at), Value::Int(not_after)]);
                    }
                    open.renews
                }
                // Revoked while it was under way; that it was signed after all still ends the wait of what it renews.
                (None, Outcome::Issued(_)) => renews_of(sql, row.op)?,
                (Some(_), Outcome::Failed(_)) => {
                    failed.push(row.op);
                    None
                }
                (None, Outcome::Failed(_)) => None,
            };
            if let Some(serial) = renews {
                // In the order of the leaves: an older certificate that is concluded later is due in its own right.
                insert_due(sql, &mut due)?;
                let text = "DELETE FROM renewal WHERE op IN (SELECT op FROM intent WHERE serial = $1)";
                sql.execute(text, &[Value::Blob(&serial)])?;
            }
        }
        insert_due(sql, &mut due)?;
        self.move_to(sql, &failed, Pile::Failed, |_| true)
    }

    pub fn revocations(
        &mut self,
        sql: &mut dyn Sql,
        rows: &[(u64, Timestamp, &RevocationRow)],
        arrived: &HashMap<u64, Pile>,
    ) -> Result<(), SqlError> {
        // What the register does not hold has no projections.
        let ends = rows.iter().filter(|(_, _, row)| !row.releases());
        let ends = ends.filter_map(|(_, _, row)| Some((row.operation?, row.pile())));
        // Of two words in one batch the later counts.
        let piles: BTreeMap<u64, Pile> = ends.filter(|(op, _)| !arrived.contains_key(op)).collect();
        let ops: Vec<u64> = piles.keys().copied().collect();
        let open = take_open(sql, &ops)?;
        ask(sql, "DELETE FROM renewal WHERE op IN", &ops, "")?;
        for to in [Pile::Revoked, Pile::Held] {
            let ops: Vec<u64> = piles.iter().filter(|(_, pile)| **pile == to).map(|(op, _)| *op).collect();
            self.move_to(sql, &ops, to, |op| open.contains_key(&op))?;
        }
        Ok(())
    }

    /// What was on hold counts again. Before the conclusions: a successor of the same batch ends its wait.
    pub fn releases(
        &mut self,
        sql: &mut dyn Sql,
        rows: &[(u64, Timestamp, &RevocationRow)],
        is_renewed: impl Fn(Renews) -> bool,
    ) -> Result<(), SqlError> {
        let released = rows.iter().filter(|(_, _, row)| row.releases());
        let released: Vec<_> = released.filter_map(|(_, _, row)| Some((row.operation?, row.due))).collect();
        if released.is_empty() {
            return Ok(());
        }
        let mut due = Vec::new();
        for (op, (at, not_after)) in released.iter().filter_map(|(op, due)| Some((*op, (*due)?))) {
            if !is_renewed(Renews::new(op, Timestamp::from_unix(not_after))) {
                due.extend([Value::index(op), Value::Int(at), Value::Int(not_after)]);
            }
        }
        insert_due(sql, &mut due)?;
        let ops: Vec<u64> = released.iter().map(|(op, _)| *op).collect();
        self.move_to(sql, &ops, Pile::Live, |_| false)
    }

    /// Who took whose place, once everything else of the batch is written: of the signed ones of a family the newest is live.
    pub fn successions(&mut self, sql: &mut dyn Sql) -> Result<(), SqlError> {
        let families: Vec<u64> = self.families.keys().filter_map(|family| u64::try_from(*family).ok()).collect();
        let select = "SELECT c.family, c.op FROM card c LEFT JOIN open o ON o.op = c.op \
            WHERE c.pile = 0 AND o.op IS NULL AND c.family IN";
        let (mut live, mut replaced) = (HashMap::with_capacity(families.len()), Vec::new());
        for mut row in ask(sql, select, &families, "")? {
            let (family, op) = (row.int().map_err(corrupt)?, row.index().map_err(corrupt)?);
            let newest = live.entry(family).or_insert(op);
            if op != *newest {
                replaced.push(op.min(*newest));
                *newest = op.max(*newest);
            }
        }
        let mut back = Vec::new();
        for family in self.families.iter().filter(|(family, ended)| **ended && !live.contains_key(family)) {
            let text = "SELECT c.op FROM card c WHERE c.family = $1 AND c.pile = 3 ORDER BY c.op DESC LIMIT 1";
            for mut row in sql.query(text, &[Value::Int(*family.0)])? {
                back.push(row.index().map_err(corrupt)?);
            }
        }
        self.move_to(sql, &replaced, Pile::Replaced, |_| false)?;
        self.move_to(sql, &back, Pile::Live, |_| false)
    }

    /// Moves operations to a pile, and from the counters they were in to those that they are in now.
    fn move_to(
        &mut self,
        sql: &mut dyn Sql,
        ops: &[u64],
        to: Pile,
        was_open: impl Fn(u64) -> bool,
    ) -> Result<(), SqlError> {
        let to_counter = match to {
            // What is merely intended does not come back.
            Pile::Live => ISSUED,
            Pile::Failed => FAILED,
            Pile::Revoked | Pile::Held => REVOKED,
            Pile::Replaced => REPLACED,
        };
        let select = "SELECT c.op, c.place, c.pile, c.not_after, c.look, c.family, p.kind, p.owner, p.renewer FROM card c \
            JOIN place p ON p.id = c.place WHERE c.op IN";
        for row in ask(sql, select, ops, "")? {
            let was = Standing::read(row)?;
            let from = match was.pile {
                Pile::Live if was_open(was.op) => INTENDED,
                Pile::Live => ISSUED,
                Pile::Failed => FAILED,
                Pile::Revoked | Pile::Held => REVOKED,
                Pile::Replaced => REPLACED,
            };
            self.count(was.place, from, -1);
            self.count(was.place, to_counter, 1);
            match (was.pile == Pile::Live, to == Pile::Live) {
                (true, false) => self.expiry(&was.ends(), -1),
                (false, true) => self.expiry(&was.ends(), 1),
                (true, true) | (false, false) => {}
            }
            match (was.family, to) {
                (Some(family), to) if to.is_ended() => drop(self.families.insert(family, true)),
                // Released: a newer one may have its place, or it has an older one's.
                (Some(family), Pile::Live) if was.pile.is_ended() => {
                    self.families.entry(family).or_default();
                }
                (_, _) => {}
            }
            let moved = [Value::Int(to.number()), Value::index(was.op)];
            sql.execute("UPDATE card SET pile = $1 WHERE op = $2", &moved)?;
        }
        Ok(())
    }

    /// Adds to the counters of the places of new intents, and makes those where nobody stood before.
    fn name_places(&self, sql: &mut dyn Sql, counted: impl Fn(&i64) -> Delta) -> Result<(), SqlError> {
        let mut named = Vec::with_capacity(self.named.len() * 11);
        for (id, (labels, renewer)) in &self.named {
            named.extend([Value::Int(*id), Value::Text(labels.kind), Value::Text(labels.profile)]);
            named.extend([Value::Text(labels.issuer), labels.owner.map_or(Value::Null, Value::Text)]);
            named.push(Value::Int(renewer.number()));
            named.extend(counted(id).map(Value::Int));
        }
        let into = "INSERT INTO place (id, kind, profile, issuer, owner, renewer, intended, issued, failed, revoked, replaced) \
            VALUES ? ON CONFLICT (id) DO UPDATE SET intended = place.intended + excluded.intended, \
            issued = place.issued + excluded.issued, failed = place.failed + excluded.failed, \
            revoked = place.revoked + excluded.revoked, replaced = place.replaced + excluded.replaced";
        sql.insert(into, 11, &named)
    }

    pub fn write(&self, sql: &mut dyn Sql) -> Result<(), SqlError> {
        self.name_places(sql, |id| self.places.get(id).copied().unwrap_or_default())?;
        for (id, delta) in self.places.iter().filter(|(id, _)| !self.named.contains_key(id)) {
            let set: Vec<String> =
                (1..).zip(PLACE_COUNTERS).map(|(at, counter)| format!("{counter} = {counter} + ${at}")).collect();
            let text = format!("UPDATE place SET {} WHERE id = $6", set.join(", "));
            let [intended, issued, failed, revoked, replaced] = delta.map(Value::Int);
            sql.execute(&text, &[intended, issued, failed, revoked, replaced, Value::Int(*id)])?;
        }
        let mut hours = Vec::with_capacity(self.hours.len() * 7);
        for ((owner, class, hour), counts) in self.hours.iter().filter(|(_, counts)| **counts != [0; 4]) {
            hours.extend([Value::Text(owner), Value::Int(*class), Value::Int(*hour)]);
            hours.extend(counts.map(Value::Int));
        }
        let into = "INSERT INTO expiring (owner, class, hour, live, renewed, looked, look) VALUES ? \
            ON CONFLICT (owner, class, hour) DO UPDATE SET live = expiring.live + excluded.live, \
            renewed = expiring.renewed + excluded.renewed, looked = expiring.looked + excluded.looked, \
            look = expiring.look + excluded.look";
        sql.insert(into, 7, &hours)?;
        // So that the past is not a row for each of its hours.
        let text = "DELETE FROM expiring WHERE owner = $1 AND class = $2 AND hour = $3 AND live = 0 AND look = 0";
        for ((owner, class, hour), _) in self.hours.iter().filter(|(_, [live, .., look])| *live < 0 || *look < 0) {
            sql.execute(text, &[Value::Text(owner), Value::Int(*class), Value::Int(*hour)])?;
        }
        Ok(())
    }
}

/// Where an operation stands.
struct Standing {
    op: u64,
    place: i64,
    pile: Pile,
    not_after: Option<i64>,
    look: Option<i64>,
    family: Option<i64>,
    kind: String,
    owner: Option<String>,
    renewed: bool,
}

impl Standing {
    fn ends(&self) -> Ends<'_> {
        let Standing { not_after, look, kind, owner, renewed, .. } = self;
        Ends { kind, owner: owner.as_deref(), renewed: *renewed, not_after: *not_after, look: *look }
    }

    fn read(mut row: Row) -> Result<Standing, SqlError> {
        let mut read = || {
            let (op, place, pile) = (row.index()?, row.int()?, row.int()?);
            let pile =
                Pile::of_number(pile).ok_or_else(|| StoreError::Corrupt(format!("card op={op} has no pile {pile}")))?;
            let (not_after, look, family) = (row.opt_int()?, row.opt_int()?, row.opt_int()?);
            let (kind, owner, renewed) = (row.text()?, row.opt_text()?, row.int()? != Renewer::Nobody.number());
            Ok(Standing { op, place, pile, not_after, look, family, kind, owner, renewed })
        };
        read().map_err(corrupt)
    }
}

fn corrupt(error: StoreError) -> SqlError {
    SqlError::Corrupt(error.to_string())
}

fn take_open(sql: &mut dyn Sql, ops: &[u64]) -> Result<HashMap<u64, Open>, SqlError> {
    let mut taken = HashMap::with_capacity(ops.len());
    for row in ask(sql, "DELETE FROM open WHERE op IN", ops, " RETURNING op, place, not_after, due, renews, family")? {
        let (op, open) = read_open(row).map_err(corrupt)?;
        taken.insert(op, open);
    }
    Ok(taken)
}

fn read_open(mut row: Row) -> Result<(u64, Open), StoreError> {
    let op = row.index()?;
    let (place, not_after, due) = (row.int()?, row.opt_int()?, row.opt_int()?);
    Ok((op, Open { place, not_after, due, renews: row.opt_blob()?, family: row.opt_int()? }))
}

fn renews_of(sql: &mut dyn Sql, op: u64) -> Result<Option<Vec<u8>>, SqlError> {
    let rows = sql.query("SELECT details FROM intent WHERE op = $1", &[Value::index(op)])?;
    let details = rows.into_iter().next().and_then(|mut row| row.text().ok());
    let details = details.and_then(|details| serde_json::from_str(&details).ok());
    Ok(details.as_ref().and_then(projection::renews))
}

fn insert_due(sql: &mut dyn Sql, rows: &mut Vec<Value<'_>>) -> Result<(), SqlError> {
    sql.insert("INSERT INTO renewal (op, due, not_after)", 3, rows)?;
    rows.clear();
    Ok(())
}

/// The last version of each record in a batch becomes the present one.
pub(super) fn records(sql: &mut dyn Sql, rows: &[(u64, u64, Timestamp, &RecordRow)]) -> Result<(), SqlError> {
    let mut last: BTreeMap<(&str, &str), (u64, &RecordRow)> = BTreeMap::new();
    for (leaf, _, _, row) in rows {
        last.insert((row.record.kind, &row.record.id), (*leaf, row));
    }
    let replacing: Vec<&RecordRow> = rows.iter().filter(|(_, old, ..)| *old > 0).map(|(.., row)| *row).collect();
    let before = found_by(sql, &replacing)?;
    let (mut moved, mut others) = (Vec::new(), Vec::new());
    for ((kind, id), (leaf, row)) in last {
        let keys = (row.record.owner.clone(), row.record.lookup.clone());
        // Found by the same words as before: none of the indexes by them has to be touched.
        let same = before.get(&(kind.to_owned(), id.to_owned())) == Some(&keys);
        let into = if same { &mut moved } else { &mut others };
        into.extend([Value::Text(kind), Value::Text(id), Value::index(leaf)]);
        let (owner, lookup) = (row.record.owner.as_deref(), row.record.lookup.as_deref());
        into.extend([owner, lookup].map(|text| text.map_or(Value::Null, Value::Text)));
    }
    let into = "INSERT INTO present (kind, id, leaf, owner, lookup) VALUES ? ON CONFLICT (kind, id) DO UPDATE SET \
        leaf = excluded.leaf";
    sql.insert(into, 5, &moved)?;
    let into = "INSERT INTO present (kind, id, leaf, owner, lookup) VALUES ? ON CONFLICT (kind, id) DO UPDATE SET \
        leaf = excluded.leaf, owner = excluded.owner, lookup = excluded.lookup";
    sql.insert(into, 5, &others)
}

/// By what else a record is found: its owner and its second key.
type Keys = (Option<String>, Option<String>);

fn found_by(sql: &mut dyn Sql, rows: &[&RecordRow]) -> Result<HashMap<(String, String), Keys>, SqlError> {
    let mut found = HashMap::with_capacity(rows.len());
    for some in rows.chunks(ASK_MAX) {
        let asked = some.len().next_power_of_two();
        let pairs: Vec<String> = (0..asked).map(|at| format!("(${}, ${})", 2 * at + 1, 2 * at + 2)).collect();
        let pairs = pairs.join(", ");
        let text = format!("SELECT kind, id, owner, lookup FROM present WHERE (kind, id) IN (VALUES {pairs})");
        let mut params = Vec::with_capacity(asked * 2);
        for row in some.iter().cycle().take(asked) {
            params.extend([Value::Text(row.record.kind), Value::Text(&row.record.id)]);
        }
        for mut row in sql.query(&text, &params)? {
            let mut read = || Ok(((row.text()?, row.text()?), (row.opt_text()?, row.opt_text()?)));
            let (record, keys) = read().map_err(corrupt)?;
            found.insert(record, keys);
        }
    }
    Ok(found)
}

/// More parameters make a statement of their own per size; a batch seldom needs more than one.
const ASK_MAX: usize = 64;

/// A statement about operations, some at a time: its text, their list, its end.
pub(super) fn ask(sql: &mut dyn Sql, text: &str, ops: &[u64], end: &str) -> Result<Vec<Row>, SqlError> {
    let mut rows = Vec::new();
    for some in ops.chunks(ASK_MAX) {
        // Few sizes, so that few statements are parsed.
        let asked = some.len().next_power_of_two();
        let marks: Vec<String> = (1..=asked).map(|at| format!("${at}")).collect();
        let params: Vec<Value<'_>> = some.iter().cycle().take(asked).map(|op| Value::index(*op)).collect();
        rows.append(&mut sql.query(&format!("{text} ({}){end}", marks.join(", ")), &params)?);
    }
    Ok(rows)
}
