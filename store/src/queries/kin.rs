//! Who stands before and after a credential in its family. For eyes: what decides is in the fold.

use std::collections::HashMap;

use crate::forms::projection::Pile;
use crate::nouns::credential::Kin;
use crate::nouns::error::StoreError;
use crate::sql::{Sql, Value};

/// More parameters make a statement of their own per size.
const ASK_MAX: usize = 64;

/// Of each operation that has a family: the nearest signed one before it, and the nearest one after it that is not revoked.
pub(crate) fn kin(sql: &mut dyn Sql, operations: &[u64]) -> Result<HashMap<u64, Kin>, StoreError> {
    let (mut found, mut relatives) = (Vec::new(), Vec::new());
    for some in operations.chunks(ASK_MAX) {
        let text = format!("{} WHERE c.op IN ({})", text(), marks(some.len()));
        for mut row in sql.query(&text, &params(some))? {
            let (op, pile) = (row.index()?, row.int()?);
            let mut opt = || row.opt_int();
            let before = [opt()?, opt()?, opt()?].into_iter().flatten().max();
            let after = [opt()?, opt()?].into_iter().flatten().min();
            let [before, after] = [before, after].map(|op| op.and_then(|op| u64::try_from(op).ok()));
            relatives.extend(before.into_iter().chain(after));
            found.push((op, pile == Pile::Replaced.number(), before, after));
        }
    }
    let mut serials = HashMap::with_capacity(relatives.len());
    for some in relatives.chunks(ASK_MAX) {
        let text = format!("SELECT i.op, i.serial FROM intent i WHERE i.op IN ({})", marks(some.len()));
        for mut row in sql.query(&text, &params(some))? {
            serials.insert(row.index()?, hex::encode(row.opt_blob()?.unwrap_or_default()));
        }
    }
    let serial = |op: Option<u64>| serials.get(&op?).cloned();
    let kin = found.into_iter().map(|(op, replaced, before, after)| {
        (op, Kin { predecessor: serial(before), successor: serial(after), replaced })
    });
    Ok(kin.collect())
}

/// The leaves of an operation, in their order.
pub(crate) fn history(sql: &mut dyn Sql, operation: u64) -> Result<Vec<u64>, StoreError> {
    let mut leaves = vec![operation];
    for table in ["conclusion", "revocation"] {
        let text = format!("SELECT leaf FROM {table} WHERE op = $1");
        for mut row in sql.query(&text, &[Value::index(operation)])? {
            leaves.push(row.index()?);
        }
    }
    leaves.sort_unstable();
    leaves.dedup();
    Ok(leaves)
}

/// One look into the index for each pile.
fn text() -> String {
    let near = |pile: Pile, is: &str, order: &str| {
        let pile = pile.number();
        format!(
            "(SELECT n.op FROM card n LEFT JOIN open o ON o.op = n.op WHERE n.family = c.family AND n.pile = {pile} \
            AND n.op {is} c.op AND o.op IS NULL ORDER BY n.op{order} LIMIT 1)"
        )
    };
    let before = [Pile::Live, Pile::Revoked, Pile::Replaced, Pile::Held].map(|pile| near(pile, "<", " DESC"));
    let after = [Pile::Live, Pile::Replaced].map(|pile| near(pile, ">", ""));
    format!("SELECT c.op, c.pile, {}, {} FROM card c", before.join(", "), after.join(", "))
}

fn marks(count: usize) -> String {
    let marks: Vec<String> = (1..=count.next_power_of_two()).map(|at| format!("${at}")).collect();
    marks.join(", ")
}

fn params(some: &[u64]) -> Vec<Value<'_>> {
    some.iter().cycle().take(some.len().next_power_of_two()).map(|op| Value::index(*op)).collect()
}
