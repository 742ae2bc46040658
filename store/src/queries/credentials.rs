//! Credentials as rows, and as they stand in memory.

use std::collections::HashMap;

use hsm::Message;
use policy::{Owner, Timestamp, Validity};

use super::beginning::beginning;
use crate::nouns::credential::{Credential, State};
use crate::nouns::entry::{ActorStamp, GrantStamp, Kind, RELEASED};
use crate::nouns::error::StoreError;
use crate::nouns::x509;
use crate::rows::{ConclusionRow, FORM_IMPORTED, FORM_WHOLE, IntentRow, Outcome};
use crate::sql::{Row, Sql, Value};

/// More parameters make a statement of their own per size.
const ASK_MAX: usize = 64;
/// An operation with what is known of it; aliases `i`, `c`, `r` are used by every condition below.
const CREDENTIAL: &str = "SELECT i.op, i.kind, i.at, i.actor, i.proof, i.proof_id, i.action, i.rule, i.policy_hash, \
    i.profile, i.profile_hash, i.key_label, i.key_hash, i.algorithm, i.form, i.message, i.serial, i.issuer, i.owner, \
    i.subject, i.names, i.subject_key_hash, i.not_before, i.not_after, i.details, c.at, c.outcome, c.signature, c.reason, \
    r.revoked_at, r.reason, r.invalid_at";
const FROM: &str = " FROM intent i LEFT JOIN conclusion c ON c.op = i.op LEFT JOIN revocation r \
    ON r.op = i.op AND r.leaf = (SELECT MAX(l.leaf) FROM revocation l WHERE l.op = i.op)";

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
    let form = row.text()?;
    let (is_imported, prehashed) = (form == FORM_IMPORTED, form != FORM_WHOLE && form != FORM_IMPORTED);
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
    let invalid = row.opt_int()?.map(Timestamp::from_unix);
    // What was on hold and is released counts as if it never had been.
    let is_released = reason == Some(RELEASED);
    let (revoked_at, reason) = if is_released { (None, None) } else { (revoked_at, reason) };
    let invalid = invalid.filter(|_| !is_released);
    let state = match (outcome.as_deref(), revoked_at) {
        (_, Some(_)) => State::Revoked,
        (None, None) if is_imported => State::Issued,
        (None, None) => State::Intended,
        (Some("issued"), None) => State::Issued,
        (Some("failed"), None) => State::Failed,
        (Some(other), None) => return Err(StoreError::Corrupt(format!("operation {operation}: outcome `{other}`"))),
    };
    let (tbs, signature, imported) = match is_imported {
        true => {
            let parts = x509::parts(&tbs);
            let (inner, signature) =
                parts.ok_or_else(|| StoreError::Corrupt(format!("operation {operation}: no certificate")))?;
            (inner.to_vec(), Some(signature.to_vec()), Some(tbs))
        }
        false => (tbs, signature, None),
    };
    Ok(Credential {
        operation,
        kind,
        state,
        imported,
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
        invalid,
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
    let (prehashed, tbs) = match (&row.object, &entry.message) {
        (Some(object), _) => (true, object.digest.clone()),
        (None, Message::Whole(bytes)) => (false, bytes.to_vec()),
        (None, Message::Sha256(hash)) => (true, hash.to_vec()),
        (None, Message::Batch(batch)) => (true, batch.root().to_vec()),
    };
    Credential {
        operation,
        kind: entry.kind,
        state: State::Intended,
        imported: None,
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
        invalid: None,
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
    Ok(operations_of_serial(sql, serial)?.into_iter().next())
}

/// All operations with this serial, one a key at most; the newest first.
pub(crate) fn operations_of_serial(sql: &mut dyn Sql, serial: &[u8]) -> Result<Vec<u64>, StoreError> {
    let rows = sql.query("SELECT op FROM intent WHERE serial = $1", &[Value::Blob(serial)])?;
    let mut ops = rows.into_iter().map(|mut row| row.index()).collect::<Result<Vec<_>, _>>()?;
    ops.sort_unstable_by(|a, b| b.cmp(a));
    Ok(ops)
}

/// Operations whose serial begins with these hex digits, in the order of their serials.
pub(crate) fn operations_of_beginning(sql: &mut dyn Sql, digits: &str, most: usize) -> Result<Vec<u64>, StoreError> {
    let Some((from, to)) = beginning(digits) else { return Ok(Vec::new()) };
    let asked = "SELECT op FROM intent WHERE serial >= $1 AND serial < $2 ORDER BY serial LIMIT $3";
    let rows = sql.query(asked, &[Value::Blob(&from), Value::Blob(&to), Value::Int(most as i64)])?;
    rows.into_iter().map(|mut row| row.index()).collect()
}

/// Operations whose SSH certificate has this number.
pub(crate) fn operations_of_ssh(sql: &mut dyn Sql, number: u64, most: usize) -> Result<Vec<u64>, StoreError> {
    let asked = "SELECT op FROM intent WHERE substr(serial, 9, 8) = $1 AND kind IN ('ssh-user', 'ssh-host') LIMIT $2";
    let rows = sql.query(asked, &[Value::Blob(&number.to_be_bytes()), Value::Int(most as i64)])?;
    rows.into_iter().map(|mut row| row.index()).collect()
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
