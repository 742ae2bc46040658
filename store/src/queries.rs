//! The questions readers ask, as SQL: credentials, lists by keyset, records, counts.

use std::fmt::Write;

use hsm::Message;
use policy::{Owner, Timestamp, Validity};

use crate::credential::{Counts, Credential, Filter, Order, Page, State};
use crate::entry::{ActorStamp, GrantStamp, Kind};
use crate::error::StoreError;
use crate::log::{Head, fold_edge};
use crate::prepare::{ConclusionRow, FORM_SHA256, IntentRow, NAME_SLOTS, Outcome};
use crate::record::{RecordFilter, StoredRecord};
use crate::sql::{Cell, Row, Sql, Value};

const PAGE_DEFAULT: usize = 100;
const PAGE_MAX: usize = 1_000;
/// An operation with what is known of it; aliases `i`, `c`, `r` are used by every condition below.
const CREDENTIAL: &str = "SELECT i.op, i.kind, i.at, i.actor, i.proof, i.proof_id, i.action, i.rule, i.policy_hash, \
    i.profile, i.profile_hash, i.key_label, i.key_hash, i.algorithm, i.form, i.message, i.serial, i.issuer, i.owner, \
    i.subject, i.names, i.subject_key_hash, i.not_before, i.not_after, i.details, c.at, c.outcome, c.signature, c.reason, \
    r.revoked_at, r.reason";
const FROM: &str = " FROM intent i LEFT JOIN conclusion c ON c.op = i.op LEFT JOIN revocation r ON r.op = i.op";

pub(crate) fn credential_of(mut row: Row) -> Result<Credential, StoreError> {
    let corrupt = |e: &dyn std::fmt::Display| StoreError::Corrupt(e.to_string());
    let operation = row.index()?;
    let kind: Kind = row.text()?.parse().map_err(|e: StoreError| corrupt(&e))?;
    let intended_at = Timestamp::from_unix(row.int()?);
    let actor = ActorStamp { id: row.text()?, proof: row.text()?, proof_id: row.text()? };
    let grant = GrantStamp { action: row.text()?, rule: row.text()?, policy_hash: row.hash()? };
    let (profile, profile_hash) = (row.text()?, row.hash()?);
    let (signing_key, signing_key_hash) = (row.text()?, row.hash()?);
    let algorithm = row.text()?.parse().map_err(|e: hsm::UnknownName| corrupt(&e))?;
    let prehashed = row.text()? == FORM_SHA256;
    let (tbs, serial) = (row.blob()?, row.opt_blob()?.unwrap_or_default());
    let issuer = row.text()?;
    let owner = row.opt_text()?.map(|o| Owner::parse(&o)).transpose().map_err(|e| corrupt(&e))?;
    let subject = row.text()?;
    let names = serde_json::from_str(&row.text()?).map_err(|e| corrupt(&e))?;
    let key_hash = row.hash()?;
    let validity = match (row.opt_int()?, row.opt_int()?) {
        (Some(from), Some(to)) => {
            Some(Validity::new(Timestamp::from_unix(from), Timestamp::from_unix(to)).map_err(|e| corrupt(&e))?)
        }
        _ => None,
    };
    let details = serde_json::from_str(&row.text()?).map_err(|e| corrupt(&e))?;
    let concluded_at = row.opt_int()?.map(Timestamp::from_unix);
    let outcome = row.opt_text()?;
    let (signature, failure) = (row.opt_blob()?, row.opt_text()?);
    let revoked_at = row.opt_int()?.map(Timestamp::from_unix);
    let reason = row.opt_int()?.map(u8::try_from).transpose().map_err(|e| corrupt(&e))?;
    let state = match (outcome.as_deref(), revoked_at) {
        (_, Some(_)) => State::Revoked,
        (None, None) => State::Intended,
        (Some("issued"), None) => State::Issued,
        (Some("failed"), None) => State::Failed,
        (Some(other), None) => return Err(StoreError::Corrupt(format!("operation {operation}: outcome `{other}`"))),
    };
    Ok(Credential {
        operation,
        kind,
        state,
        serial,
        issuer,
        owner,
        subject,
        names,
        profile,
        profile_hash,
        validity,
        key_hash,
        signing_key,
        signing_key_hash,
        algorithm,
        tbs,
        prehashed,
        signature,
        revoked_at,
        reason,
        failure,
        details,
        actor,
        grant,
        intended_at,
        concluded_at,
    })
}

/// An intent that is still in memory, as a reader would find it.
pub(crate) fn intended(operation: u64, at: Timestamp, row: &IntentRow) -> Credential {
    let entry = row.entry.clone();
    let (prehashed, tbs) = match &entry.message {
        Message::Whole(bytes) => (false, bytes.to_vec()),
        Message::Sha256(hash) => (true, hash.to_vec()),
    };
    Credential {
        operation,
        kind: entry.kind,
        state: State::Intended,
        serial: entry.serial,
        issuer: entry.issuer,
        owner: entry.owner,
        subject: entry.subject,
        names: entry.names,
        profile: entry.profile,
        profile_hash: entry.profile_hash,
        validity: entry.validity,
        key_hash: entry.key_hash,
        signing_key: entry.key.label().to_owned(),
        signing_key_hash: row.key_hash,
        algorithm: entry.key.algorithm(),
        tbs,
        prehashed,
        signature: None,
        revoked_at: None,
        reason: None,
        failure: None,
        details: entry.details,
        actor: entry.actor,
        grant: entry.grant,
        intended_at: at,
        concluded_at: None,
    }
}

/// The same credential once its conclusion is durable.
pub(crate) fn concluded(intended: Credential, at: Timestamp, row: &ConclusionRow) -> Credential {
    let (state, signature, failure) = match &row.outcome {
        Outcome::Issued(signature) => (State::Issued, Some(signature.clone()), None),
        Outcome::Failed(reason) => (State::Failed, None, Some(reason.clone())),
    };
    // An operation may have been revoked while it was under way.
    let state = if intended.revoked_at.is_some() { State::Revoked } else { state };
    Credential { state, signature, failure, concluded_at: Some(at), ..intended }
}

/// The newest operation with this serial, should two keys ever have used one.
pub(crate) fn operation_of_serial(sql: &mut dyn Sql, serial: &[u8]) -> Result<Option<u64>, StoreError> {
    let rows = sql.query("SELECT op FROM intent WHERE serial = $1 ORDER BY op DESC LIMIT 1", &[Value::Blob(serial)])?;
    rows.into_iter().next().map(|mut row| row.index()).transpose()
}

/// The newest operation of a kind and issuer that is surely signed.
pub(crate) fn latest(sql: &mut dyn Sql, kind: Kind, issuer: &str) -> Result<Option<u64>, StoreError> {
    let text =
        format!("SELECT i.op{FROM} WHERE i.kind = $1 AND i.issuer = $2 AND c.outcome = $3 ORDER BY i.op DESC LIMIT 1");
    let rows = sql.query(&text, &[Value::Text(kind.as_str()), Value::Text(issuer), Value::Text("issued")])?;
    rows.into_iter().next().map(|mut row| row.index()).transpose()
}

fn number(n: u64) -> Value<'static> {
    Value::Int(i64::try_from(n).unwrap_or(i64::MAX))
}

/// A WHERE clause that grows with its parameters, numbered as they come.
struct Where<'a> {
    text: String,
    params: Vec<Value<'a>>,
}

impl<'a> Where<'a> {
    fn new() -> Where<'a> {
        Where { text: String::from(" WHERE 1 = 1"), params: Vec::new() }
    }
    /// `condition` has one `?`, the parameter's place.
    fn and(&mut self, condition: &str, value: Option<Value<'a>>) {
        let Some(value) = value else { return };
        self.params.push(value);
        let place = format!("${}", self.params.len());
        let _ = write!(self.text, " AND {}", condition.replacen('?', &place, 1));
    }
}

fn conditions(filter: &Filter) -> Where<'_> {
    let mut clause = Where::new();
    clause.and("i.kind = ?", filter.kind.map(|kind| Value::Text(kind.as_str())));
    for kind in [Kind::Crl, Kind::CodeSignature].into_iter().filter(|_| filter.certificates) {
        clause.and("i.kind <> ?", Some(Value::Text(kind.as_str())));
    }
    clause.and("i.owner = ?", filter.owner.as_deref().map(Value::Text));
    clause.and("i.profile = ?", filter.profile.as_deref().map(Value::Text));
    clause.and("i.issuer = ?", filter.issuer.as_deref().map(Value::Text));
    // The index holds the first eight bytes; the hash decides.
    clause.and("substr(i.subject_key_hash, 1, 8) = ?", filter.key_hash.as_ref().map(|hash| Value::Blob(&hash[..8])));
    clause.and("i.subject_key_hash = ?", filter.key_hash.as_ref().map(|hash| Value::Blob(hash)));
    clause.and("i.not_after < ?", filter.not_after_before.map(|at| Value::Int(at.unix())));
    clause.and("i.not_after >= ?", filter.not_after_after.map(|at| Value::Int(at.unix())));
    let by_name = format!("i.op IN (SELECT n.slot / {NAME_SLOTS} FROM name n WHERE n.name = ?)");
    clause.and(&by_name, filter.name.as_deref().map(Value::Text));
    clause.text.push_str(match filter.state {
        None => "",
        Some(State::Intended) => " AND c.op IS NULL AND r.op IS NULL",
        Some(State::Issued) => " AND c.outcome = 'issued' AND r.op IS NULL",
        Some(State::Failed) => " AND c.outcome = 'failed' AND r.op IS NULL",
        Some(State::Revoked) => " AND r.op IS NOT NULL",
    });
    clause
}

/// Keyset pagination: a page begins after the last row of the one before, however many were added since.
pub(crate) fn list(sql: &mut dyn Sql, filter: &Filter) -> Result<Page<Credential>, StoreError> {
    let mut clause = conditions(filter);
    let cursor = filter.after_cursor.as_deref().map(Cursor::parse).transpose()?;
    let order = match filter.order {
        Order::Newest => {
            clause.and("i.op < ?", cursor.map(|cursor| Value::Int(cursor.op)));
            "i.op DESC"
        }
        Order::Expiry => {
            clause.text.push_str(" AND i.not_after IS NOT NULL");
            let not_after = cursor.as_ref().map(|cursor| Value::Int(cursor.not_after));
            clause.and("(i.not_after, i.op) > (?, ", not_after);
            if let Some(cursor) = cursor {
                clause.params.push(Value::Int(cursor.op));
                let _ = write!(clause.text, "${})", clause.params.len());
            }
            "i.not_after, i.op"
        }
    };
    let limit = page_size(filter.limit);
    // One more than asked tells whether there is a next page.
    clause.params.push(number(limit as u64 + 1));
    let text = format!("{CREDENTIAL}{FROM}{} ORDER BY {order} LIMIT ${}", clause.text, clause.params.len());
    let rows = sql.query(&text, &clause.params)?;
    let mut items = rows.into_iter().map(credential_of).collect::<Result<Vec<_>, _>>()?;
    let more = items.len() > limit;
    items.truncate(limit);
    let next = if more { items.last().map(|last| Cursor::at(last).to_string()) } else { None };
    Ok(Page { items, next })
}

pub(crate) fn count(sql: &mut dyn Sql, filter: &Filter) -> Result<u64, StoreError> {
    let clause = conditions(filter);
    let rows = sql.query(&format!("SELECT COUNT(*){FROM}{}", clause.text), &clause.params)?;
    rows.into_iter().next().map_or(Ok(0), |mut row| row.index())
}

/// Where a page ended: `OP.NOT_AFTER`.
struct Cursor {
    op: i64,
    not_after: i64,
}

impl Cursor {
    fn at(credential: &Credential) -> Cursor {
        Cursor {
            op: i64::try_from(credential.operation).unwrap_or(i64::MAX),
            not_after: credential.validity.map_or(0, |validity| validity.not_after().unix()),
        }
    }
    fn parse(text: &str) -> Result<Cursor, StoreError> {
        let parts = text.split_once('.').and_then(|(op, at)| Some((op.parse().ok()?, at.parse().ok()?)));
        let (op, not_after) = parts.ok_or_else(|| StoreError::Invalid("the cursor is none of ours".into()))?;
        Ok(Cursor { op, not_after })
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.op, self.not_after)
    }
}

fn page_size(asked: usize) -> usize {
    if asked == 0 { PAGE_DEFAULT } else { asked.min(PAGE_MAX) }
}

const RECORD: &str = "SELECT v.leaf, v.kind, v.id, v.at, v.owner, v.lookup, v.expires, v.body, v.actor, v.proof, v.proof_id \
    FROM record v";

pub(crate) fn record_of(mut row: Row) -> Result<StoredRecord, StoreError> {
    Ok(StoredRecord {
        version: row.index()? + 1,
        kind: row.text()?,
        id: row.text()?,
        at: Timestamp::from_unix(row.int()?),
        owner: row.opt_text()?,
        lookup: row.opt_text()?,
        expires: row.opt_int()?.map(Timestamp::from_unix),
        body: serde_json::from_str(&row.text()?).map_err(|e| StoreError::Corrupt(e.to_string()))?,
        actor: ActorStamp { id: row.text()?, proof: row.text()?, proof_id: row.text()? },
    })
}

/// The newest version of a record as it stands there, not attested.
pub(crate) fn record_get(sql: &mut dyn Sql, kind: &str, id: &str) -> Result<Option<Vec<Cell>>, StoreError> {
    let text = format!("{RECORD} WHERE v.kind = $1 AND v.id = $2 ORDER BY v.leaf DESC LIMIT 1");
    Ok(sql.query(&text, &[Value::Text(kind), Value::Text(id)])?.into_iter().next().map(Row::cells))
}

/// The present versions that match, by id. A version that was replaced does not match, whatever it said.
pub(crate) fn record_list(sql: &mut dyn Sql, kind: &str, filter: &RecordFilter) -> Result<Vec<Vec<Cell>>, StoreError> {
    let mut clause = Where::new();
    clause.and("v.kind = ?", Some(Value::Text(kind)));
    clause.and("v.owner = ?", filter.owner.as_deref().map(Value::Text));
    clause.and("v.lookup = ?", filter.lookup.as_deref().map(Value::Text));
    clause.and("v.id > ?", filter.after.as_deref().map(Value::Text));
    clause.params.push(number(page_size(filter.limit) as u64));
    let text = format!(
        "{RECORD}{} AND NOT EXISTS (SELECT 1 FROM record w WHERE w.kind = v.kind AND w.id = v.id AND w.leaf > v.leaf) \
         ORDER BY v.id LIMIT ${}",
        clause.text,
        clause.params.len()
    );
    Ok(sql.query(&text, &clause.params)?.into_iter().map(Row::cells).collect())
}

pub(crate) fn counts(sql: &mut dyn Sql) -> Result<Counts, StoreError> {
    let text = format!(
        "SELECT CASE WHEN r.op IS NOT NULL THEN 'revoked' WHEN c.op IS NULL THEN 'intended' ELSE c.outcome END, COUNT(*)\
         {FROM} GROUP BY 1"
    );
    let mut counts = Counts { leaves: head(sql)?.size, ..Counts::default() };
    for mut row in sql.query(&text, &[])? {
        let (state, n) = (row.text()?, row.index()?);
        match state.as_str() {
            "revoked" => counts.revoked = n,
            "intended" => counts.intended = n,
            "issued" => counts.issued = n,
            "failed" => counts.failed = n,
            _ => return Err(StoreError::Corrupt(format!("outcome `{state}`"))),
        }
    }
    Ok(counts)
}

pub(crate) fn head(sql: &mut dyn Sql) -> Result<Head, StoreError> {
    let rows = sql.query("SELECT size, edge FROM head WHERE id = $1", &[Value::Int(1)])?;
    let mut row = rows.into_iter().next().ok_or_else(|| StoreError::Corrupt("the head row is missing".into()))?;
    let (size, edge) = (row.index()?, row.blob()?);
    let hashes: Vec<[u8; 32]> = edge.chunks_exact(32).filter_map(|hash| hash.try_into().ok()).collect();
    Ok(Head { size, root: fold_edge(&hashes) })
}

/// The newest checkpoint: its size and its note.
pub(crate) fn checkpoint(sql: &mut dyn Sql) -> Result<Option<(u64, String)>, StoreError> {
    let rows = sql.query("SELECT size, note FROM checkpoint ORDER BY size DESC LIMIT 1", &[])?;
    rows.into_iter().next().map(|mut row| Ok((row.index()?, row.text()?))).transpose()
}

pub(crate) fn checkpoint_of(sql: &mut dyn Sql, size: u64) -> Result<Option<String>, StoreError> {
    let Ok(size) = i64::try_from(size) else { return Ok(None) };
    let rows = sql.query("SELECT note FROM checkpoint WHERE size = $1", &[Value::Int(size)])?;
    rows.into_iter().next().map(|mut row| row.text()).transpose()
}

/// Leaves `from..to`, at most a thousand.
pub(crate) fn leaves(sql: &mut dyn Sql, from: u64, to: u64) -> Result<Vec<(u64, String)>, StoreError> {
    let to = to.min(from.saturating_add(PAGE_MAX as u64));
    let (Ok(from), Ok(to)) = (i64::try_from(from), i64::try_from(to)) else { return Ok(Vec::new()) };
    let range = [Value::Int(from), Value::Int(to)];
    let rows = sql.query("SELECT idx, bytes FROM leaf WHERE idx >= $1 AND idx < $2 ORDER BY idx", &range)?;
    let leaf = |mut row: Row| {
        let (index, bytes) = (row.index()?, row.blob()?);
        Ok((index, String::from_utf8(bytes).map_err(|e| StoreError::Corrupt(e.to_string()))?))
    };
    rows.into_iter().map(leaf).collect()
}
