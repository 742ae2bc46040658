//! One operation: what its rows derive, and what the projections say of it.

use policy::{Timestamp, Validity};

use super::wrong::{CARD, OPEN, RENEWAL, Wrong, text_of};
use crate::projection::{Card, Labels, Pile};
use crate::sql::{Cell, Row};

/// An operation with everything the projections say of it.
pub(crate) struct Operation {
    pub op: i64,
    pub labels: [Cell; 4],
    pub card: Card,
    outcome: Option<String>,
    pub concluded: Option<i64>,
    revoked: bool,
    /// The rows of `card`, `open` and `renewal` after their key; none: no row.
    there: [Option<Vec<Cell>>; 3],
}

/// Its statement, up to which operations.
pub(super) const OPERATION: &str = "SELECT i.op, i.kind, i.profile, i.issuer, i.owner, i.serial, i.not_before, i.not_after, i.details, \
    c.leaf, c.outcome, r.leaf, k.op, k.place, k.pile, k.not_after, o.op, o.place, o.not_after, o.due, o.renews, \
    w.op, w.due, w.not_after \
    FROM intent i LEFT JOIN conclusion c ON c.op = i.op LEFT JOIN revocation r ON r.op = i.op \
    LEFT JOIN card k ON k.op = i.op LEFT JOIN open o ON o.op = i.op LEFT JOIN renewal w ON w.op = i.op";

impl Operation {
    /// Whatever stands in the row; where it is not what we wrote, the walk said so, and this says what follows from it.
    pub fn read(row: Row) -> Operation {
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

    pub fn pile(&self) -> Pile {
        match (self.revoked, self.outcome.as_deref()) {
            (true, _) => Pile::Revoked,
            (false, Some("failed")) => Pile::Failed,
            (false, _) => Pile::Live,
        }
    }

    pub fn is_issued(&self) -> bool {
        self.outcome.as_deref() == Some("issued")
    }

    /// The rows of it that are not what the register's rows derive. `succeeded`: whether a later conclusion says that it renews this
    /// one; where that is not known, whether it is due is not judged.
    pub fn wrong(&self, succeeded: Option<bool>) -> Vec<Wrong> {
        let number = |n: Option<i64>| n.map_or(Cell::Null, Cell::Int);
        let Card { place, renew: _, not_after, due, renews } = &self.card;
        let card = vec![Cell::Int(*place), Cell::Int(self.pile().number()), number(*not_after)];
        let is_open = self.outcome.is_none() && !self.revoked;
        let renews = renews.clone().map_or(Cell::Null, Cell::Blob);
        let open = is_open.then(|| vec![Cell::Int(*place), number(*not_after), number(*due), renews]);
        let may_be_due = due.is_some() && self.is_issued() && !self.revoked;
        let [_, _, there] = &self.there;
        let is_due = may_be_due && !succeeded.unwrap_or(there.is_none());
        let renewal = is_due.then(|| vec![number(*due), number(*not_after)]);
        let mut wrong = Vec::new();
        for ((expected, there), of) in
            [Some(card), open, renewal].into_iter().zip(&self.there).zip([&CARD, &OPEN, &RENEWAL])
        {
            wrong.extend(Wrong::unless_same(of, vec![Cell::Int(self.op)], there.clone(), expected));
        }
        wrong
    }
}
