//! What a backup that is about to be made had better wait for: a signed head over what is in force, by which its files are proved.

use crate::nouns::database::Database;
use crate::nouns::error::StoreError;
use crate::nouns::record::SETTING;
use crate::queries;
use crate::sql::{Sql, Use, Value, connect, own_sessions};

/// Whether the log was told of something in force ([`SETTING`]) that no signed head covers yet. A hint, and no proof: rows are asked, and
/// not leaves. Needs neither a ledger nor a token. Blocks: call it off the async threads.
pub fn settings_unsigned(database: &Database) -> Result<bool, StoreError> {
    own_sessions(database, Use::Backup)?;
    let mut sql = connect(database, Use::Backup)?;
    sql.begin()?;
    let found = unsigned(sql.as_mut());
    sql.rollback();
    found
}

fn unsigned(sql: &mut dyn Sql) -> Result<bool, StoreError> {
    let signed = queries::checkpoint(sql)?.map_or(0, |(size, _)| size);
    let signed = i64::try_from(signed).unwrap_or(i64::MAX);
    let text = "SELECT id FROM present WHERE kind = $1 AND leaf >= $2 LIMIT 1";
    Ok(!sql.query(text, &[Value::Text(SETTING), Value::Int(signed)])?.is_empty())
}
