//! One operation: what its rows derive, and what the projections say of it.

use policy::{Timestamp, Validity};

use super::wrong::{CARD, OPEN, RENEWAL, Wrong, text_of};
use crate::forms::projection::{Card, Facts, Labels, Pile};
use crate::nouns::entry::{HOLD, RELEASED};
use crate::rows::FORM_IMPORTED;
use crate::sql::{Cell, Row};

/// An operation with everything the projections say of it.
pub(crate) struct Operation {
    pub op: i64,
    pub labels: [Cell; 4],
    pub card: Card,
    outcome: Option<String>,
    pub concluded: Option<i64>,
    revoked: bool,
    /// Of what is revoked: until it is released.
    held: bool,
    /// The rows of `card`, `open` and `renewal` after their key; none: no row.
    there: [Option<Vec<Cell>>; 3],
}

/// Its statement, up to which operations.
pub(super) const OPERATION: &str = "SELECT i.op, i.kind, i.profile, i.issuer, i.owner, i.serial, i.not_before, i.not_after, i.details, \
    i.actor, i.proof, i.subject, i.names, \
    c.leaf, c.outcome, \
    (SELECT r.reason FROM revocation r WHERE r.op = i.op ORDER BY r.leaf DESC LIMIT 1), i.form, k.op, k.place, k.pile, k.not_after, k.look, k.family, \
    o.op, o.place, o.not_after, o.due, o.renews, o.family, w.op, w.due, w.not_after \
    FROM intent i LEFT JOIN conclusion c ON c.op = i.op \
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
        let names: Vec<String> = serde_json::from_str(text(12)).unwrap_or_default();
        let rest = |key: usize, columns: usize| {
            let row = cells.get(key + 1..=key + columns)?;
            (cell(key) != Cell::Null).then(|| row.to_vec())
        };
        Operation {
            op: number(0).unwrap_or(-1),
            labels: [cell(1), cell(2), cell(3), cell(4)],
            card: Card::new(&Facts {
                labels,
                actor: text(9),
                proof: text(10),
                serial: &serial,
                subject: text(11),
                names: &names,
                validity,
                details: &details,
            }),
            concluded: number(13),
            outcome: match cells.get(14).filter(|outcome| **outcome != Cell::Null) {
                Some(outcome) => Some(text_of(outcome).to_owned()),
                // Signed elsewhere: no conclusion follows.
                None => (text(16) == FORM_IMPORTED).then(|| "issued".to_owned()),
            },
            revoked: ![Cell::Null, Cell::Int(RELEASED.into())].contains(&cell(15)),
            held: cell(15) == Cell::Int(HOLD.into()),
            there: [rest(17, 5), rest(23, 5), rest(29, 2)],
        }
    }

    /// `replaced`: whether a later one of its family is signed and not revoked.
    pub fn pile(&self, replaced: bool) -> Pile {
        match (self.revoked, self.outcome.as_deref()) {
            (true, _) if self.held => Pile::Held,
            (true, _) => Pile::Revoked,
            (false, Some("failed")) => Pile::Failed,
            (false, Some("issued")) if replaced => Pile::Replaced,
            (false, _) => Pile::Live,
        }
    }

    /// Its family, where it is one that may have replaced others of it.
    pub fn heads(&self) -> Option<i64> {
        self.card.family.filter(|_| self.is_issued() && !self.revoked)
    }

    pub fn is_issued(&self) -> bool {
        self.outcome.as_deref() == Some("issued")
    }

    /// The rows of it that are not what the register's rows derive. `succeeded`: whether a later conclusion says that it renews this
    /// one; where that is not known, whether it is due is not judged. `replaced`: as for [`Operation::pile`].
    pub fn wrong(&self, succeeded: Option<bool>, replaced: bool) -> Vec<Wrong> {
        let number = |n: Option<i64>| n.map_or(Cell::Null, Cell::Int);
        let Card { place, renewer: _, not_after, look, family, due, renews } = &self.card;
        let pile = Cell::Int(self.pile(replaced).number());
        let card = vec![Cell::Int(*place), pile, number(*not_after), number(*look), number(*family)];
        let is_open = self.outcome.is_none() && !self.revoked;
        let renews = renews.clone().map_or(Cell::Null, Cell::Blob);
        let open = is_open.then(|| vec![Cell::Int(*place), number(*not_after), number(*due), renews, number(*family)]);
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
