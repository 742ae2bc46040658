//! Credentials as rows: one by its number or serial, some by theirs, what is open, what is revoked.

use std::collections::HashMap;

use hsm::Message;
use policy::{Owner, Timestamp, Validity};

use super::{PAGE_MAX, number};
use crate::credential::{Credential, RevokedKey, RevokedRow, State};
use crate::entry::{ActorStamp, GrantStamp, Kind};
use crate::error::StoreError;
use crate::prepare::{ConclusionRow, FORM_SHA256, IntentRow, Outcome};
use crate::sql::{Row, Sql, Value};

/// More parameters make a statement of their own per size.
const ASK_MAX: usize = 64;
/// Revocations read at once.
const REVOKED_PAGE: u64 = 1_000;
/// An operation with what is known of it; aliases `i`, `c`, `r` are used by every condition below.
const CREDENTIAL: &str = "SELECT i.op, i.kind, i.at, i.actor, i.proof, i.proof_id, i.action, i.rule, i.policy_hash, \
    i.profile, i.profile_hash, i.key_label, i.key_hash, i.algorithm, i.form, i.message, i.serial, i.issuer, i.owner, \
    i.subject, i.names, i.subject_key_hash, i.not_before, i.not_after, i.details, c.at, c.outcome, c.signature, c.reason, \
    r.revoked_at, r.reason";
const FROM: &str = " FROM intent i LEFT JOIN conclusion c ON c.op = i.op LEFT JOIN revocation r ON r.op = i.op";

fn credential_of(mut row: Row) -> Result<Credential, StoreError> {
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
pub(crate) fn intended(operation: u64, row: &IntentRow) -> Credential {
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
        intended_at: row.at,
        concluded_at: None,
    }
}

/// The same credential once its conclusion is durable.
pub(crate) fn concluded(intended: Credential, row: &ConclusionRow) -> Credential {
    let (state, signature, failure) = match &row.outcome {
        Outcome::Issued(signature) => (State::Issued, Some(signature.clone()), None),
        Outcome::Failed(reason) => (State::Failed, None, Some(reason.clone())),
    };
    // An operation may have been revoked while it was under way.
    let state = if intended.revoked_at.is_some() { State::Revoked } else { state };
    Credential { state, signature, failure, concluded_at: Some(row.at), ..intended }
}

fn one(rows: Vec<Row>) -> Result<Option<Credential>, StoreError> {
    rows.into_iter().next().map(credential_of).transpose()
}

pub(crate) fn by_serial(sql: &mut dyn Sql, serial: &[u8]) -> Result<Option<Credential>, StoreError> {
    let found = sql.query(&format!("{CREDENTIAL}{FROM} WHERE i.serial = $1"), &[Value::Blob(serial)])?;
    let found = found.into_iter().map(credential_of).collect::<Result<Vec<_>, _>>()?;
    // The newest, should two keys ever have used one serial.
    Ok(found.into_iter().max_by_key(|credential| credential.operation))
}

pub(crate) fn by_operation(sql: &mut dyn Sql, operation: u64) -> Result<Option<Credential>, StoreError> {
    let Ok(operation) = i64::try_from(operation) else { return Ok(None) };
    one(sql.query(&format!("{CREDENTIAL}{FROM} WHERE i.op = $1"), &[Value::Int(operation)])?)
}

/// Some operations, by their number.
pub(super) fn by_operations(sql: &mut dyn Sql, ops: &[i64]) -> Result<HashMap<u64, Credential>, StoreError> {
    let mut found = HashMap::with_capacity(ops.len());
    for some in ops.chunks(ASK_MAX) {
        // Few sizes, so that few statements are parsed.
        let asked = some.len().next_power_of_two();
        let marks: Vec<String> = (1..=asked).map(|at| format!("${at}")).collect();
        let params: Vec<Value<'_>> = some.iter().cycle().take(asked).map(|op| Value::Int(*op)).collect();
        for row in sql.query(&format!("{CREDENTIAL}{FROM} WHERE i.op IN ({})", marks.join(", ")), &params)? {
            let credential = credential_of(row)?;
            found.insert(credential.operation, credential);
        }
    }
    Ok(found)
}

/// Operations from before `older_than` that are neither concluded nor revoked, oldest first, at most `limit`.
pub(crate) fn unconcluded(
    sql: &mut dyn Sql,
    older_than: Timestamp,
    limit: usize,
) -> Result<Vec<Credential>, StoreError> {
    // Operations are numbered in the order of their time, so those that are too young are the last.
    let text = "SELECT op FROM open ORDER BY op LIMIT $1";
    let ops = sql.query(text, &[number(limit as u64)])?.into_iter().map(|mut row| row.int());
    let ops = ops.collect::<Result<Vec<_>, _>>()?;
    let mut found: Vec<_> = by_operations(sql, &ops)?.into_values().collect();
    // What was concluded between the two questions is open no more.
    found.retain(|credential| credential.state == State::Intended && credential.intended_at < older_than);
    found.sort_by_key(|credential| credential.operation);
    Ok(found)
}

/// Everything revoked of an issuer, expired or not: whoever makes a CRL knows which to leave out.
pub(crate) fn revoked(sql: &mut dyn Sql, issuer: &str) -> Result<Vec<RevokedRow>, StoreError> {
    let text = "SELECT r.leaf, i.issuer, i.op, i.kind, i.serial, r.revoked_at, r.reason, i.not_after \
        FROM revocation r JOIN intent i ON i.op = r.op WHERE r.leaf > $1 ORDER BY r.leaf LIMIT $2";
    let (mut found, mut after) = (Vec::new(), -1);
    loop {
        let rows = sql.query(text, &[Value::Int(after), number(REVOKED_PAGE)])?;
        let count = rows.len() as u64;
        for mut row in rows {
            after = row.int()?;
            if row.text()? != issuer {
                continue;
            }
            found.push(RevokedRow {
                operation: row.index()?,
                kind: row.text()?.parse().map_err(|e: StoreError| StoreError::Corrupt(e.to_string()))?,
                serial: row.opt_blob()?.unwrap_or_default(),
                revoked_at: Timestamp::from_unix(row.int()?),
                reason: u8::try_from(row.int()?).map_err(|e| StoreError::Corrupt(e.to_string()))?,
                not_after: row.opt_int()?.map(Timestamp::from_unix),
            });
        }
        if count < REVOKED_PAGE {
            return Ok(found);
        }
    }
}

/// The keys of what was revoked, from a leaf on.
pub(crate) fn revoked_keys(sql: &mut dyn Sql, from_leaf: u64) -> Result<Vec<RevokedKey>, StoreError> {
    let text = format!(
        "SELECT r.leaf, r.reason, i.subject_key_hash FROM revocation r JOIN intent i ON i.op = r.op \
        WHERE r.leaf >= $1 ORDER BY r.leaf LIMIT {PAGE_MAX}"
    );
    let rows = sql.query(&text, &[Value::Int(i64::try_from(from_leaf).unwrap_or(i64::MAX))])?;
    let key = |mut row: Row| {
        let (leaf, reason) = (row.index()?, row.int()?);
        let reason = u8::try_from(reason).map_err(|e| StoreError::Corrupt(e.to_string()))?;
        Ok(RevokedKey { leaf, reason, key_hash: row.hash()? })
    };
    rows.into_iter().map(key).collect()
}
