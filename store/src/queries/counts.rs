//! How many there are, from counters alone.

use super::log::head;
use super::places::Wanted;
use crate::nouns::credential::{Counts, Filter, State};
use crate::nouns::error::StoreError;
use crate::sql::Sql;

/// Credentials by state; a filter by what a place has in common.
fn states(sql: &mut dyn Sql, wanted: &Wanted<'_>) -> Result<Counts, StoreError> {
    let text = format!(
        "SELECT p.intended, p.issued, p.failed, p.revoked, p.replaced FROM place p WHERE {}",
        Wanted::CONDITION
    );
    let mut counts = Counts::default();
    for mut row in sql.query(&text, &wanted.params())? {
        counts.intended += row.index()?;
        counts.issued += row.index()?;
        counts.failed += row.index()?;
        counts.revoked += row.index()?;
        counts.replaced += row.index()?;
    }
    Ok(counts)
}

pub(crate) fn counts(sql: &mut dyn Sql) -> Result<Counts, StoreError> {
    Ok(Counts { leaves: head(sql)?.size, ..states(sql, &Wanted::default())? })
}

pub(crate) fn count(sql: &mut dyn Sql, filter: &Filter) -> Result<u64, StoreError> {
    if filter.name.is_some()
        || filter.key_hash.is_some()
        || filter.actor.is_some()
        || filter.not_after_before.is_some()
        || filter.not_after_after.is_some()
        || filter.look_before.is_some()
        || filter.look_after.is_some()
        || filter.text.is_some()
        || filter.serial.is_some()
    {
        return Err(StoreError::Invalid(
            "only kinds, owners, profiles, issuers, renewers and states are counted".into(),
        ));
    }
    let counts = states(sql, &Wanted::of(filter))?;
    let issued = match filter.replaced {
        None => counts.issued + counts.replaced,
        Some(true) => counts.replaced,
        Some(false) => counts.issued,
    };
    let others = |count| if filter.replaced == Some(true) { 0 } else { count };
    let [intended, failed, revoked] = [counts.intended, counts.failed, counts.revoked].map(others);
    Ok(match filter.state {
        None => intended + issued + failed + revoked,
        Some(State::Intended) => intended,
        Some(State::Issued) => issued,
        Some(State::Failed) => failed,
        Some(State::Revoked) => revoked,
    })
}
