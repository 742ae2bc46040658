//! Lists of credentials by keyset: a page begins after the last row of the one before, however many were added since.
//!
//! Where a list comes from: the piles of the places that the filter means, merged; or a name; or a key; or what is open. Each
//! source answers in order from a position on, a bounded number at a time, and what was found is judged once more by the
//! whole filter.

use std::collections::BTreeSet;

use policy::Timestamp;

use super::credentials::by_operations;
use super::places::{Stack, Wanted, may_hold, stacks};
use super::{ARMS, PAGE_MAX, page_size};
use crate::forms::projection::{Pile, is_certificate, is_ssh};
use crate::nouns::credential::{Credential, Filter, Order, Page, State};
use crate::nouns::error::StoreError;
use crate::nouns::renewer::Renewer;
use crate::rows::NAME_SLOTS;
use crate::sql::{Row, Sql, Value};

/// Operations that one page looks at; a page that would need more ends early, and the next goes on from there.
const LOOKED_MAX: usize = 10_000;
/// Where most of what is the newest has ended: what has not is read by its end, up to so much of it.
const HOLDING_MAX: usize = 2_000;

pub(super) fn by_place(sql: &mut dyn Sql, filter: &Filter) -> Result<Page<Credential>, StoreError> {
    let mut at = match filter.after_cursor.as_deref() {
        Some(text) => Position::parse(text)?,
        None => Position::start(filter),
    };
    let source = Source::of(sql, filter)?;
    let (limit, mut looked, mut items) = (page_size(filter.limit), 0, Vec::new());
    let mut may_ask_by_ends = filter.order == Order::Newest && filter.not_after_after.is_some();
    let goes_on = loop {
        // One more than asked tells whether there is a next page. Of those that an index alone may drop, many at a time.
        let wanted = if sifts(filter) { PAGE_MAX } else { limit + 1 - items.len() };
        let stretch = source.next(sql, filter, &at, wanted)?;
        looked += stretch.looked;
        let ops: Vec<i64> = stretch.found.iter().filter(|at| at.may(filter)).map(|found| found.op).collect();
        gather(sql, filter, &ops, limit, &mut items)?;
        match stretch.on {
            Some(on) if items.len() <= limit && looked < LOOKED_MAX => at = on,
            on => break on,
        }
        if may_ask_by_ends && ops.len() * 2 < stretch.looked {
            may_ask_by_ends = false;
            if let Some(rest) = source.holding(sql, filter, &at)? {
                gather(sql, filter, &rest, limit, &mut items)?;
                break None;
            }
        }
    };
    let next = if items.len() > limit {
        items.truncate(limit);
        items.last().map(Position::of)
    } else {
        goes_on
    };
    Ok(Page { items, next: next.map(|next| next.to_string()) })
}

/// Reads operations in their order and takes those that match, until there is one more than a page has.
fn gather(
    sql: &mut dyn Sql,
    filter: &Filter,
    ops: &[i64],
    limit: usize,
    items: &mut Vec<Credential>,
) -> Result<(), StoreError> {
    for some in ops.chunks(limit + 1) {
        if items.len() > limit {
            break;
        }
        let mut credentials = by_operations(sql, some)?;
        let in_order = some.iter().filter_map(|op| credentials.remove(&u64::try_from(*op).ok()?));
        items.extend(in_order.filter(|credential| matches(filter, credential)));
    }
    Ok(())
}

/// The whole filter, of a credential as it was read.
pub(crate) fn matches(filter: &Filter, credential: &Credential) -> bool {
    fn is<T: PartialEq>(wanted: &Option<T>, there: &T) -> bool {
        wanted.as_ref().is_none_or(|wanted| wanted == there)
    }
    let not_after = credential.validity.map(|validity| validity.not_after());
    is(&filter.kind, &credential.kind)
        && (!filter.certificates || is_certificate(credential.kind.as_str()))
        && filter
            .owner
            .as_deref()
            .is_none_or(|owner| credential.owner.as_ref().map(policy::Owner::as_str) == Some(owner))
        && filter.name.as_ref().is_none_or(|name| credential.names.contains(name))
        && is(&filter.state, &credential.state)
        && filter.held.is_none_or(|held| held == credential.is_held())
        && is(&filter.profile, &credential.profile)
        && filter.issuer.as_ref().is_none_or(|wanted| is_of(&credential.issuer, wanted))
        && is(&filter.renewer, &credential.renewer())
        && filter.ssh.is_none_or(|ssh| ssh == is_ssh(credential.kind.as_str()))
        && filter.look_before.is_none_or(|before| credential.look_at().is_some_and(|at| at <= before))
        && filter.look_after.is_none_or(|after| credential.look_at().is_none_or(|at| at > after))
        && filter.renewed.is_none_or(|renewed| renewed == (credential.renewer() != Renewer::Nobody))
        && is(&filter.key_hash, &credential.key_hash)
        && is(&filter.actor, &credential.actor.id)
        && filter.serial.as_ref().is_none_or(|digits| credential.serial_hex().starts_with(&digits.to_ascii_lowercase()))
        && filter.text.as_ref().is_none_or(|text| holds(&credential.names, &text.to_lowercase()))
        && filter.not_after_before.is_none_or(|before| not_after.is_some_and(|at| at < before))
        && filter.not_after_after.is_none_or(|after| not_after.is_some_and(|at| at >= after))
}

/// Whether an issuer is that one, or a generation of it: `tls/1` of `tls`.
fn is_of(issuer: &str, wanted: &str) -> bool {
    issuer.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn holds(names: &[String], text: &str) -> bool {
    names.iter().any(|name| name.to_lowercase().contains(text))
}

/// Whether an index tells of some that the filter does not mean them.
fn sifts(filter: &Filter) -> bool {
    let by_end = filter.not_after_before.is_some() || filter.not_after_after.is_some();
    filter.look_before.is_some() || filter.look_after.is_some() || (by_end && filter.order == Order::Newest)
}

/// A place in a list: an operation and the end of its validity. As a cursor: `OP.NOT_AFTER`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    pub op: i64,
    pub not_after: i64,
    /// From when on somebody should look; no part of the place.
    pub look: Option<i64>,
}

impl Position {
    /// Before everything that the filter may find.
    fn start(filter: &Filter) -> Position {
        match filter.order {
            Order::Newest => Position { op: i64::MAX, not_after: 0, look: None },
            Order::Expiry => {
                let not_after = filter.not_after_after.map_or(i64::MIN, |after| after.unix());
                Position { op: -1, not_after, look: None }
            }
            Order::Latest => Position { op: -1, not_after: before(filter), look: None },
        }
    }

    /// Whether the filter may mean it.
    fn may(&self, filter: &Filter) -> bool {
        let not_after = Timestamp::from_unix(self.not_after);
        filter.not_after_before.is_none_or(|before| not_after < before)
            && filter.not_after_after.is_none_or(|after| not_after >= after)
            && filter.look_before.is_none_or(|before| self.look.is_some_and(|look| look <= before.unix()))
            && filter.look_after.is_none_or(|after| self.look.is_none_or(|look| look > after.unix()))
    }

    fn of(credential: &Credential) -> Position {
        Position {
            op: i64::try_from(credential.operation).unwrap_or(i64::MAX),
            not_after: credential.validity.map_or(0, |validity| validity.not_after().unix()),
            look: None,
        }
    }

    pub fn parse(text: &str) -> Result<Position, StoreError> {
        let parts = text.split_once('.').and_then(|(op, at)| Some((op.parse().ok()?, at.parse().ok()?)));
        let (op, not_after) = parts.ok_or_else(|| StoreError::Invalid("the cursor is none of ours".into()))?;
        Ok(Position { op, not_after, look: None })
    }

    /// Whether a list comes to `self` after `other`.
    fn is_after(&self, other: &Position, order: Order) -> bool {
        match order {
            Order::Newest => self.op < other.op,
            Order::Expiry => (self.not_after, self.op) > (other.not_after, other.op),
            Order::Latest => (self.not_after, self.op) < (other.not_after, other.op),
        }
    }

    fn sort(found: &mut [Position], order: Order) {
        match order {
            Order::Newest => found.sort_unstable_by_key(|at| std::cmp::Reverse(at.op)),
            Order::Expiry => found.sort_unstable_by_key(|at| (at.not_after, at.op)),
            Order::Latest => found.sort_unstable_by_key(|at| std::cmp::Reverse((at.not_after, at.op))),
        }
    }
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.op, self.not_after)
    }
}

/// Where a list comes from.
enum Source {
    Stacks(Vec<Stack>),
    /// What one index finds by the newest first, of the places that the filter means.
    Found {
        by: By,
        places: BTreeSet<i64>,
    },
}

/// What a source found from a position on.
struct Stretch {
    /// In order; perhaps none, though there are more.
    found: Vec<Position>,
    /// How many it looked at.
    looked: usize,
    /// Where it goes on; none: there are no more.
    on: Option<Position>,
}

#[derive(Clone, Copy)]
enum By {
    Name,
    Key,
    Actor,
    Open,
}

impl By {
    /// Operation, place, pile, end: below `$1`, at most `$2`, the newest first.
    fn text(self) -> String {
        match self {
            By::Name => format!(
                "SELECT n.slot / {NAME_SLOTS}, c.place, c.pile, c.not_after, c.look FROM name n \
                JOIN card c ON c.op = n.slot / {NAME_SLOTS} WHERE n.slot < $1 AND n.name = $2 ORDER BY n.slot DESC LIMIT $3"
            ),
            // The index holds the first eight bytes; the hash decides.
            By::Key => "SELECT i.op, c.place, c.pile, c.not_after, c.look FROM intent i JOIN card c ON c.op = i.op \
                WHERE i.op < $1 AND substr(i.subject_key_hash, 1, 8) = $2 AND i.subject_key_hash = $3 \
                ORDER BY i.op DESC LIMIT $4"
                .into(),
            // The condition is the index's own.
            By::Actor => "SELECT i.op, c.place, c.pile, c.not_after, c.look FROM intent i JOIN card c ON c.op = i.op \
                WHERE i.op < $1 AND i.actor = $2 AND i.kind IN ('certificate', 'ssh-user', 'ssh-host') \
                ORDER BY i.op DESC LIMIT $3"
                .into(),
            By::Open => {
                "SELECT o.op, o.place, 0, o.not_after, CAST(NULL AS BIGINT) FROM open o WHERE o.op < $1 ORDER BY o.op DESC LIMIT $2".into()
            }
        }
    }

    fn params<'a>(self, filter: &'a Filter, below: i64, limit: usize) -> Vec<Value<'a>> {
        let slots = i64::try_from(NAME_SLOTS).unwrap_or(i64::MAX);
        let limit = Value::index(limit as u64);
        match self {
            By::Name => {
                let name = filter.name.as_deref().map_or(Value::Null, Value::Text);
                vec![Value::Int(below.saturating_mul(slots)), name, limit]
            }
            By::Key => {
                let hash = filter.key_hash.as_ref();
                let start = hash.map_or(Value::Null, |hash| Value::Blob(&hash[..8]));
                let whole = hash.map_or(Value::Null, |hash| Value::Blob(hash));
                vec![Value::Int(below), start, whole, limit]
            }
            By::Actor => {
                let actor = filter.actor.as_deref().map_or(Value::Null, Value::Text);
                vec![Value::Int(below), actor, limit]
            }
            By::Open => vec![Value::Int(below), limit],
        }
    }
}

impl Source {
    fn of(sql: &mut dyn Sql, filter: &Filter) -> Result<Source, StoreError> {
        let by = match filter {
            Filter { name: Some(_), .. } => By::Name,
            Filter { key_hash: Some(_), .. } => By::Key,
            Filter { actor: Some(_), .. } => By::Actor,
            Filter { state: Some(State::Intended), .. } => By::Open,
            _ => return Ok(Source::Stacks(stacks(sql, filter)?)),
        };
        // No index has a name's by their ends: all of them would be read for the first.
        if filter.order != Order::Newest {
            return Err(StoreError::Invalid(
                "what has a name, a key or an actor, or is open, comes the newest first".into(),
            ));
        }
        let places = stacks(sql, filter)?.into_iter().map(|stack| stack.place).collect();
        Ok(Source::Found { by, places })
    }

    /// About `wanted` positions after `at`.
    fn next(&self, sql: &mut dyn Sql, filter: &Filter, at: &Position, wanted: usize) -> Result<Stretch, StoreError> {
        match self {
            Source::Stacks(stacks) => merge(sql, filter, stacks, at, wanted),
            Source::Found { by, places } => newest(sql, filter, *by, places, at),
        }
    }

    /// All after `at` that have not ended by what the filter says, where there are few: by their ends, however many others there are.
    fn holding(&self, sql: &mut dyn Sql, filter: &Filter, at: &Position) -> Result<Option<Vec<i64>>, StoreError> {
        let Source::Stacks(stacks) = self else { return Ok(None) };
        let by_end = Filter { order: Order::Expiry, ..filter.clone() };
        let (mut from, mut found) = (Position::start(&by_end), Vec::new());
        loop {
            let stretch = merge(sql, &by_end, stacks, &from, HOLDING_MAX + 1 - found.len())?;
            found.extend(stretch.found);
            if found.len() > HOLDING_MAX {
                return Ok(None);
            }
            let Some(on) = stretch.on else { break };
            from = on;
        }
        found.retain(|there| there.is_after(at, filter.order) && there.may(filter));
        Position::sort(&mut found, filter.order);
        Ok(Some(found.into_iter().map(|there| there.op).collect()))
    }
}

/// The next of what an index finds, the newest first.
fn newest(
    sql: &mut dyn Sql,
    filter: &Filter,
    by: By,
    places: &BTreeSet<i64>,
    at: &Position,
) -> Result<Stretch, StoreError> {
    let rows = sql.query(&by.text(), &by.params(filter, at.op, PAGE_MAX))?;
    let (looked, mut found, mut last) = (rows.len(), Vec::new(), None);
    for mut row in rows {
        let (position, is_ours) = read(&mut row, filter, places)?;
        // A credential that has the name twice is found twice.
        let is_new = last.is_none_or(|last: Position| last.op != position.op);
        found.extend(Some(position).filter(|_| is_ours && is_new));
        last = Some(position);
    }
    Ok(Stretch { found, looked, on: last.filter(|_| looked == PAGE_MAX) })
}

/// A position, and whether it is one that the filter may mean.
pub(super) fn read(row: &mut Row, filter: &Filter, places: &BTreeSet<i64>) -> Result<(Position, bool), StoreError> {
    let (op, place, pile) = (row.int()?, row.int()?, row.int()?);
    let (not_after, look) = (row.opt_int()?, row.opt_int()?);
    let may = Pile::of_number(pile).is_some_and(|pile| may_hold(pile, filter));
    let ends = not_after.is_some() || filter.order == Order::Newest;
    Ok((Position { op, not_after: not_after.unwrap_or(0), look }, may && ends && places.contains(&place)))
}

/// The next of many stacks, each of which is in order. Of more than a statement reads, only those whose next comes early
/// enough have to be read; and of each its share: where one has more than that, what comes after its last waits for the next
/// stretch.
fn merge(
    sql: &mut dyn Sql,
    filter: &Filter,
    stacks: &[Stack],
    at: &Position,
    wanted: usize,
) -> Result<Stretch, StoreError> {
    let (near, mut has_more);
    let stacks = if stacks.len() <= ARMS {
        has_more = false;
        stacks
    } else {
        (near, has_more) = nearest(sql, filter, stacks, at, wanted)?;
        &near
    };
    let share = share(wanted, stacks.len());
    let (mut found, mut horizon): (Vec<Position>, Option<Position>) = (Vec::new(), None);
    for some in stacks.chunks(ARMS) {
        let arms = some.len().next_power_of_two();
        let mut params = Vec::with_capacity(arms * 6);
        for at_arm in 0..arms {
            match some.get(at_arm) {
                Some(stack) => arm_params(filter, *stack, at, share, &mut params),
                // Too many arms for the statement's size: one that finds nothing.
                None => arm_params(filter, Stack { place: -1, pile: Pile::Live }, at, 0, &mut params),
            }
        }
        let mut of_arms: Vec<(usize, Option<Position>)> = vec![(0, None); arms];
        for mut row in sql.query(&arms_text(filter.order, arms), &params)? {
            let arm = usize::try_from(row.int()?).unwrap_or(usize::MAX);
            let (op, not_after, look) = (row.int()?, row.opt_int()?.unwrap_or(0), row.opt_int()?);
            let position = Position { op, not_after, look };
            found.push(position);
            if let Some((count, last)) = of_arms.get_mut(arm) {
                *count += 1;
                *last = Some(last.filter(|last| last.is_after(&position, filter.order)).unwrap_or(position));
            }
        }
        for last in of_arms.into_iter().filter(|(count, _)| *count == share).filter_map(|(_, last)| last) {
            horizon = Some(horizon.filter(|horizon| last.is_after(horizon, filter.order)).unwrap_or(last));
        }
    }
    let read = found.len();
    Position::sort(&mut found, filter.order);
    found.retain(|position| horizon.is_none_or(|horizon| !position.is_after(&horizon, filter.order)));
    found.truncate(wanted);
    has_more |= horizon.is_some() || found.len() < read;
    let on = found.last().copied().filter(|_| has_more);
    // An index entry that is read for its order alone costs a quarter of one that is looked at.
    Ok(Stretch { looked: found.len().max(read / 4), found, on })
}

/// What one of so many stacks is read for: what it has of all where they are alike, and as much again.
fn share(wanted: usize, stacks: usize) -> usize {
    (2 * wanted.div_ceil(stacks.max(1)) + SHARE_MIN).min(wanted)
}

/// Fewer would make more stretches than rows.
const SHARE_MIN: usize = 2;

fn arms_text(order: Order, arms: usize) -> String {
    let arm = |n: usize| match order {
        Order::Newest => {
            let at = |part: usize| 4 * n + part;
            format!(
                "SELECT {n}, op, not_after, look FROM (SELECT c.op, c.not_after, c.look FROM card c WHERE c.place = ${} AND c.pile = ${} \
                AND c.op < ${} ORDER BY c.op DESC LIMIT ${}) AS a{n}",
                at(1),
                at(2),
                at(3),
                at(4)
            )
        }
        Order::Expiry | Order::Latest => {
            let at = |part: usize| 6 * n + part;
            let (is, bound, order) = match order {
                Order::Latest => ("<", ">=", " DESC"),
                Order::Newest | Order::Expiry => (">", "<", ""),
            };
            format!(
                "SELECT {n}, op, not_after, look FROM (SELECT c.op, c.not_after, c.look FROM card c WHERE c.place = ${} AND c.pile = ${} \
                AND (c.not_after, c.op) {is} (${}, ${}) AND c.not_after {bound} ${} \
                ORDER BY c.not_after{order}, c.op{order} LIMIT ${}) AS a{n}",
                at(1),
                at(2),
                at(3),
                at(4),
                at(5),
                at(6)
            )
        }
    };
    (0..arms).map(arm).collect::<Vec<_>>().join(" UNION ALL ")
}

fn arm_params(filter: &Filter, stack: Stack, at: &Position, wanted: usize, params: &mut Vec<Value<'_>>) {
    params.extend([Value::Int(stack.place), Value::Int(stack.pile.number())]);
    match filter.order {
        Order::Newest => params.push(Value::Int(at.op)),
        Order::Expiry => params.extend([Value::Int(at.not_after), Value::Int(at.op), Value::Int(before(filter))]),
        Order::Latest => params.extend([Value::Int(at.not_after), Value::Int(at.op), Value::Int(after(filter))]),
    }
    params.push(Value::index(wanted as u64));
}

fn before(filter: &Filter) -> i64 {
    filter.not_after_before.map_or(i64::MAX, Timestamp::unix)
}

fn after(filter: &Filter) -> i64 {
    filter.not_after_after.map_or(i64::MIN, Timestamp::unix)
}

/// The stacks that the next `wanted` positions lie on, and whether others have more: one index look for each says where its next is.
fn nearest(
    sql: &mut dyn Sql,
    filter: &Filter,
    stacks: &[Stack],
    at: &Position,
    wanted: usize,
) -> Result<(Vec<Stack>, bool), StoreError> {
    let mut heads: Vec<(i64, Stack)> = Vec::with_capacity(stacks.len());
    for pile in Pile::ALL.into_iter().filter(|pile| stacks.iter().any(|stack| stack.pile == *pile)) {
        let [a, b, c, d] = [1, 2, 3, 4].map(|n| Wanted::PARAMS + n);
        let of = format!("FROM card c WHERE c.place = p.id AND c.pile = ${a}");
        let (head, own) = match filter.order {
            Order::Newest => {
                (format!("SELECT c.op {of} AND c.op < ${b} ORDER BY c.op DESC LIMIT 1"), vec![Value::Int(at.op)])
            }
            Order::Expiry => (
                format!(
                    "SELECT c.not_after {of} AND (c.not_after, c.op) > (${b}, ${c}) AND c.not_after < ${d} \
                    ORDER BY c.not_after, c.op LIMIT 1"
                ),
                vec![Value::Int(at.not_after), Value::Int(at.op), Value::Int(before(filter))],
            ),
            Order::Latest => (
                format!(
                    "SELECT c.not_after {of} AND (c.not_after, c.op) < (${b}, ${c}) AND c.not_after >= ${d} \
                    ORDER BY c.not_after DESC, c.op DESC LIMIT 1"
                ),
                vec![Value::Int(at.not_after), Value::Int(at.op), Value::Int(after(filter))],
            ),
        };
        // The places first: a parameter must be named in the order of its number.
        let text =
            format!("WITH p AS (SELECT p.id FROM place p WHERE {}) SELECT p.id, ({head}) FROM p", Wanted::CONDITION);
        let mut params = Wanted::of(filter).params();
        params.push(Value::Int(pile.number()));
        params.extend(own);
        for mut row in sql.query(&text, &params)? {
            let place = row.int()?;
            if let Some(head) = row.opt_int()? {
                heads.push((head, Stack { place, pile }));
            }
        }
    }
    match filter.order {
        Order::Newest => heads.sort_unstable_by_key(|(head, _)| std::cmp::Reverse(*head)),
        Order::Expiry => heads.sort_unstable_by_key(|(head, _)| *head),
        Order::Latest => heads.sort_unstable_by_key(|(head, _)| std::cmp::Reverse(*head)),
    }
    let all = heads.len();
    // So many stacks already give as many positions; those whose next is no later than the last of them may come before it.
    if let Some((last, _)) = heads.get(wanted.saturating_sub(1)).copied() {
        let many = heads.iter().take_while(|(head, _)| match filter.order {
            Order::Newest | Order::Latest => *head >= last,
            Order::Expiry => *head <= last,
        });
        let many = many.count();
        heads.truncate(many);
    }
    let has_more = heads.len() < all;
    Ok((heads.into_iter().map(|(_, stack)| stack).collect(), has_more))
}
