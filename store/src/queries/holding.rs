//! How many certificates of a part of the register hold from a moment on, and how many of them have a successor, by owner.
//!
//! A report that somebody asks for: it counts, by an index alone, what is live or replaced and has not ended, of the places that are
//! meant and of no others.

use std::collections::BTreeMap;

use policy::Timestamp;

use super::places::Wanted;
use crate::forms::projection::Pile;
use crate::nouns::credential::{Filter, Holding};
use crate::nouns::error::StoreError;
use crate::sql::{Sql, Value};

/// Those of operations before `below`: live ones that end at the first moment or later, replaced ones at the second; the filter says
/// what all of a place have in common.
pub(crate) fn holding(
    sql: &mut dyn Sql,
    filter: &Filter,
    below: u64,
    from: [Timestamp; 2],
) -> Result<Vec<Holding>, StoreError> {
    let [at, since, op, live, replaced] = [1, 2, 3, 4, 5].map(|n| Wanted::PARAMS + n);
    let count = |pile: usize, at: usize| {
        format!(
            "(SELECT COUNT(*) FROM card c WHERE c.place = p.id AND c.pile = ${pile} AND c.not_after >= ${at} AND c.op < ${op})"
        )
    };
    // The parameters are named in the order of their numbers.
    let text = format!(
        "WITH p AS (SELECT p.id, p.owner FROM place p WHERE {} AND CAST(${at} AS BIGINT) IS NOT NULL \
        AND CAST(${since} AS BIGINT) IS NOT NULL AND CAST(${op} AS BIGINT) IS NOT NULL) SELECT p.owner, {}, {} FROM p",
        Wanted::CONDITION,
        count(live, at),
        count(replaced, since)
    );
    let mut params = Wanted::of(filter).params();
    params.extend(from.map(|from| Value::Int(from.unix())));
    params.push(Value::index(below));
    params.extend([Pile::Live, Pile::Replaced].map(|pile| Value::Int(pile.number())));
    let mut found: BTreeMap<Option<String>, [u64; 2]> = BTreeMap::new();
    for mut row in sql.query(&text, &params)? {
        let (owner, live, replaced) = (row.opt_text()?, row.index()?, row.index()?);
        let [all_live, all_replaced] = found.entry(owner).or_default();
        *all_live += live;
        *all_replaced += replaced;
    }
    let holding = |(owner, [live, replaced]): (Option<String>, [u64; 2])| Holding { owner, live, replaced };
    Ok(found.into_iter().map(holding).collect())
}
