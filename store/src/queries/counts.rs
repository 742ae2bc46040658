//! How many there are, from counters alone.

use policy::Timestamp;

use super::log::head;
use super::places::Wanted;
use crate::credential::{Counts, ExpiringHour, Filter, State};
use crate::error::StoreError;
use crate::projection;
use crate::sql::{Sql, Value};

/// Credentials by state; a filter by what a place has in common.
fn states(sql: &mut dyn Sql, wanted: &Wanted<'_>) -> Result<Counts, StoreError> {
    let text = format!("SELECT p.intended, p.issued, p.failed, p.revoked FROM place p WHERE {}", Wanted::CONDITION);
    let mut counts = Counts::default();
    for mut row in sql.query(&text, &wanted.params())? {
        counts.intended += row.index()?;
        counts.issued += row.index()?;
        counts.failed += row.index()?;
        counts.revoked += row.index()?;
    }
    Ok(counts)
}

pub(crate) fn counts(sql: &mut dyn Sql) -> Result<Counts, StoreError> {
    Ok(Counts { leaves: head(sql)?.size, ..states(sql, &Wanted::default())? })
}

pub(crate) fn count(sql: &mut dyn Sql, filter: &Filter) -> Result<u64, StoreError> {
    if filter.name.is_some()
        || filter.key_hash.is_some()
        || filter.not_after_before.is_some()
        || filter.not_after_after.is_some()
    {
        return Err(StoreError::Invalid("only kinds, owners, profiles, issuers and states are counted".into()));
    }
    let counts = states(sql, &Wanted::of(filter))?;
    Ok(match filter.state {
        None => counts.intended + counts.issued + counts.failed + counts.revoked,
        Some(State::Intended) => counts.intended,
        Some(State::Issued) => counts.issued,
        Some(State::Failed) => counts.failed,
        Some(State::Revoked) => counts.revoked,
    })
}

/// What ends from the hour of `from` on.
pub(crate) fn expiring(
    sql: &mut dyn Sql,
    owner: Option<&str>,
    from: Timestamp,
) -> Result<Vec<ExpiringHour>, StoreError> {
    let text = "SELECT hour, live, renewed FROM expiring WHERE owner = $1 AND hour >= $2 ORDER BY hour";
    let params = [Value::Text(owner.unwrap_or_default()), Value::Int(projection::hour(from.unix()))];
    let mut hours = Vec::new();
    for mut row in sql.query(text, &params)? {
        let begins = projection::begins(row.int()?);
        hours.push(ExpiringHour { begins, live: row.index()?, renewed: row.index()? });
    }
    hours.retain(|hour| hour.live > 0);
    Ok(hours)
}
