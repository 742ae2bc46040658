//! What went wrong, by what can be done about it.

use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use crate::sql::error::SqlError;

/// What went wrong with a session that there was.
pub(super) fn fault(error: Error) -> SqlError {
    let why = said(&error);
    let Some(code) = error.code() else { return without_code(why) };
    if *code == SqlState::UNIQUE_VIOLATION {
        return SqlError::Taken(why);
    }
    // A NUL: SQLite holds it, PostgreSQL does not.
    if *code == SqlState::CHARACTER_NOT_IN_REPERTOIRE {
        return SqlError::Unfit(why);
    }
    if *code == SqlState::DISK_FULL {
        return SqlError::Full(why);
    }
    // Prepared statements that are not there, or no longer fit their tables: a new session has none.
    if [SqlState::INVALID_SQL_STATEMENT_NAME, SqlState::FEATURE_NOT_SUPPORTED].contains(code) {
        return SqlError::Lost(why);
    }
    // PostgreSQL Appendix A, by class. Of no use any more is a session after 57 operator intervention (shutdown), 08 connection,
    // 58 system error, 25 transaction state: a server that became read-only in a failover says so for ever. It goes on after
    // 53 insufficient resources, 55 not in the needed state (lock), 40 rollback (deadlock).
    match code.code().get(..2) {
        Some("57" | "08" | "58" | "25") => SqlError::Lost(why),
        Some("53" | "55" | "40") => SqlError::Away(why),
        Some("XX") => SqlError::Corrupt(why),
        _ => SqlError::Wrong(why),
    }
}

/// A refused password or a missing database will not mend itself; everything else about dialling may.
pub(super) fn dial_fault(error: Error) -> SqlError {
    match fault(error) {
        wrong @ (SqlError::Wrong(_) | SqlError::Unfit(_)) => wrong,
        SqlError::Taken(why)
        | SqlError::Away(why)
        | SqlError::Full(why)
        | SqlError::Lost(why)
        | SqlError::Missing(why)
        | SqlError::Corrupt(why) => SqlError::Away(why),
        late @ SqlError::Late(_) => late,
    }
}

/// What a server says that wants another password than it got; the driver says the other where it wants one and we have none.
pub(super) fn is_about_password(why: &str) -> bool {
    why.ends_with("(28P01)") || why.ends_with(NO_PASSWORD)
}

const NO_PASSWORD: &str = "password missing";

/// No answer from the server: the line is gone, unless it is our own statement that does not fit its table, or our own password that
/// is missing.
fn without_code(why: String) -> SqlError {
    let ours = ["error serializing", "error deserializing", "expected"];
    if why.ends_with(NO_PASSWORD) || ours.iter().any(|start| why.starts_with(start)) {
        SqlError::Wrong(why)
    } else {
        SqlError::Lost(why)
    }
}

fn said(error: &Error) -> String {
    match error.as_db_error() {
        Some(db) => format!("{} ({})", db.message(), db.code().code()),
        None => chain(error),
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
