//! What ends, has ended and waits for somebody: from the counts by the hour, and to the second by the cards of the hour under way.

use policy::Timestamp;

use super::ARMS;
use super::places::Wanted;
use crate::forms::projection::{self, Pile};
use crate::nouns::credential::{ExpiringHour, Filter, Outlook};
use crate::nouns::entry::Kind;
use crate::nouns::error::StoreError;
use crate::nouns::renewer::{Class, Renewer};
use crate::sql::{Sql, Value};

/// Cards that are looked at for those that wait for somebody: of each place the first to end, and those that wait are among them.
const LOOKED_MAX: usize = 8_000;
/// And so many of them are told.
const ACTS_MAX: usize = 2_000;

/// The outlook of an owner, or of all, of a class.
pub(crate) fn outlook(
    sql: &mut dyn Sql,
    owner: Option<&str>,
    class: Class,
    now: Timestamp,
) -> Result<Outlook, StoreError> {
    let (of, hour) = (Value::Text(owner.unwrap_or_default()), projection::hour(now.unix()));
    let class_number = Value::Int(class.number());
    let text = "SELECT hour, live, renewed FROM expiring WHERE owner = $1 AND class = $2 AND hour >= $3 ORDER BY hour";
    let mut hours = Vec::new();
    for mut row in sql.query(text, &[of, class_number, Value::Int(hour)])? {
        let begins = projection::begins(row.int()?);
        hours.push(ExpiringHour { begins, live: row.index()?, renewed: row.index()? });
    }
    let text = "SELECT CAST(COALESCE(SUM(live), 0) AS BIGINT), CAST(COALESCE(SUM(looked), 0) AS BIGINT), \
        CAST(COALESCE(SUM(look), 0) AS BIGINT) FROM expiring WHERE owner = $1 AND class = $2 AND hour < $3";
    let mut past = [0; 3];
    for mut row in sql.query(text, &[of, class_number, Value::Int(hour)])? {
        past = [row.index()?, row.index()?, row.index()?];
    }
    let text = "SELECT look FROM expiring WHERE owner = $1 AND class = $2 AND hour = $3";
    let mut look = 0;
    for mut row in sql.query(text, &[of, class_number, Value::Int(hour)])? {
        look = row.index()?;
    }
    let (kind, ssh) = match class {
        Class::Certificates => (Some(Kind::Certificate), None),
        Class::Ssh => (None, Some(true)),
        Class::Authorities => (Some(Kind::CaCertificate), None),
    };
    let filter = Filter { owner: owner.map(str::to_owned), kind, ssh, ..Filter::default() };
    let ended = ended_this_hour(sql, &filter, hour, now)?;
    if let Some(first) = hours.first_mut().filter(|first| projection::hour(first.begins.unix()) == hour) {
        first.live = first.live.saturating_sub(ended.live);
        first.renewed = first.renewed.saturating_sub(ended.renewed);
    }
    hours.retain(|hour| hour.live > 0);
    let [expired, looked, looks] = past;
    let acting = (looks + look).saturating_sub(looked + ended.looked);
    let acts = acts(sql, &filter, acting, now)?;
    Ok(Outlook { hours, expired: expired + ended.live, acting, acts })
}

#[derive(Default)]
struct Ended {
    live: u64,
    renewed: u64,
    looked: u64,
}

/// What has ended in the hour under way.
fn ended_this_hour(sql: &mut dyn Sql, filter: &Filter, hour: i64, now: Timestamp) -> Result<Ended, StoreError> {
    let [from, pile, to] = [1, 2, 3].map(|n| Wanted::PARAMS + n);
    let card = format!(
        "FROM card c WHERE c.place = p.id AND c.pile = ${pile} AND c.not_after >= ${from} AND c.not_after < ${to}"
    );
    // The parameters are named in the order of their numbers.
    let text = format!(
        "WITH p AS (SELECT p.id, p.renewer FROM place p WHERE {} AND CAST(${from} AS BIGINT) IS NOT NULL) \
        SELECT p.renewer, (SELECT COUNT(*) {card}), (SELECT COUNT(c.look) {card}) FROM p",
        Wanted::CONDITION
    );
    let mut params = Wanted::of(filter).params();
    let pile = Value::Int(Pile::Live.number());
    params.extend([Value::Int(projection::begins(hour).unix()), pile, Value::Int(now.unix())]);
    let mut ended = Ended::default();
    for mut row in sql.query(&text, &params)? {
        let (renewer, live, looked) = (row.int()?, row.index()?, row.index()?);
        ended.live += live;
        ended.looked += looked;
        ended.renewed += if renewer == Renewer::Nobody.number() { 0 } else { live };
    }
    Ok(ended)
}

/// A place, and up to where its cards were looked at.
struct Strip {
    place: i64,
    renewer: Renewer,
    at: (i64, i64),
}

/// When those end that wait for somebody, with who renews them: of each place the first to end, by its index alone, deeper and
/// deeper until all are found that there are.
fn acts(
    sql: &mut dyn Sql,
    filter: &Filter,
    acting: u64,
    now: Timestamp,
) -> Result<Vec<(Timestamp, Renewer)>, StoreError> {
    let (mut acts, mut looked) = (Vec::new(), 0);
    let wanted = usize::try_from(acting).unwrap_or(usize::MAX).min(ACTS_MAX);
    let mut strips = if wanted > 0 { strips(sql, filter, now)? } else { Vec::new() };
    let mut depth = (LOOKED_MAX / 8).checked_div(strips.len()).unwrap_or(0).clamp(1, DEPTH_FIRST);
    while acts.len() < wanted && !strips.is_empty() && depth > 0 {
        let mut on = Vec::with_capacity(strips.len());
        for some in strips.chunks_mut(ARMS) {
            let counts = deeper(sql, some, depth, now, &mut acts)?;
            looked += counts.iter().sum::<usize>();
            let filled = some.iter().zip(counts).filter(|(_, count)| *count == depth);
            on.extend(filled.map(|(strip, _)| Strip { ..*strip }));
        }
        strips = on;
        depth = (depth * 4).min(LOOKED_MAX.saturating_sub(looked).checked_div(strips.len()).unwrap_or(0));
    }
    acts.sort_unstable();
    acts.truncate(ACTS_MAX);
    Ok(acts)
}

/// Cards of a place that are looked at first.
const DEPTH_FIRST: usize = 64;

/// The places that have live ones, before their first that has not ended.
fn strips(sql: &mut dyn Sql, filter: &Filter, now: Timestamp) -> Result<Vec<Strip>, StoreError> {
    let text =
        format!("SELECT p.id, p.renewer FROM place p WHERE {} AND p.issued > 0 ORDER BY p.id", Wanted::CONDITION);
    let mut strips = Vec::new();
    for mut row in sql.query(&text, &Wanted::of(filter).params())? {
        let (place, renewer) = (row.int()?, row.int()?);
        let renewer = Renewer::ALL.into_iter().find(|known| known.number() == renewer).unwrap_or(Renewer::Nobody);
        strips.push(Strip { place, renewer, at: (now.unix(), -1) });
    }
    Ok(strips)
}

/// Looks at the next cards of each strip, and says of how many.
fn deeper(
    sql: &mut dyn Sql,
    strips: &mut [Strip],
    depth: usize,
    now: Timestamp,
    acts: &mut Vec<(Timestamp, Renewer)>,
) -> Result<Vec<usize>, StoreError> {
    let arms = strips.len().next_power_of_two();
    let arm = |n: usize| {
        let at = |part: usize| 5 * n + part;
        format!(
            "SELECT {n}, not_after, op, look FROM (SELECT c.not_after, c.op, c.look FROM card c WHERE c.place = ${} AND c.pile = ${} \
            AND (c.not_after, c.op) > (${}, ${}) ORDER BY c.not_after, c.op LIMIT ${}) AS a{n}",
            at(1),
            at(2),
            at(3),
            at(4),
            at(5)
        )
    };
    let text = (0..arms).map(arm).collect::<Vec<_>>().join(" UNION ALL ");
    let mut params = Vec::with_capacity(arms * 5);
    for at in 0..arms {
        // Too many arms for the statement's size: one that finds nothing.
        let (place, (not_after, op), depth) = strips.get(at).map_or((-1, (0, 0), 0), |s| (s.place, s.at, depth));
        params.extend([Value::Int(place), Value::Int(Pile::Live.number()), Value::Int(not_after)]);
        params.extend([Value::Int(op), Value::index(depth as u64)]);
    }
    let mut counts = vec![0; strips.len()];
    for mut row in sql.query(&text, &params)? {
        let (arm, at, look) = (row.index()?, (row.int()?, row.int()?), row.opt_int()?);
        let arm = usize::try_from(arm).unwrap_or(usize::MAX);
        let (Some(strip), Some(count)) = (strips.get_mut(arm), counts.get_mut(arm)) else { continue };
        *count += 1;
        strip.at = strip.at.max(at);
        if look.is_some_and(|look| look <= now.unix()) {
            acts.push((Timestamp::from_unix(at.0), strip.renewer));
        }
    }
    Ok(counts)
}
