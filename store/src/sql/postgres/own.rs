//! Whether a session is one's own: a pooler that gives each transaction to another one would take our settings from us, and give
//! them to others.

use tokio_postgres::SimpleQueryMessage;

use super::dial::dial;
use super::line::{DIAL_MAX, Line};
use crate::sql::engine::Use;
use crate::sql::error::SqlError;

/// A setting of nobody's.
const ASK: &str = "SELECT current_setting('chancery.session', true), pg_backend_pid()";
const LEAVE: &str = "SET chancery.session = 'kept'";

/// Leaves a setting in one session, and looks from another that holds what the first may have had.
pub(in crate::sql) fn own_sessions(url: &str, usage: Use) -> Result<(), SqlError> {
    let (mut one, _) = dial(url, usage, DIAL_MAX)?;
    let (before, first_pid) = ask(&mut one)?;
    one.ask(async |client| client.batch_execute(LEAVE).await)?;
    let (mut two, _) = dial(url, usage, DIAL_MAX)?;
    two.ask(async |client| client.batch_execute("BEGIN").await)?;
    let (seen, _) = ask(&mut two)?;
    let (kept, pid) = ask(&mut one)?;
    if before.is_empty() && seen.is_empty() && kept == "kept" && pid == first_pid {
        return Ok(());
    }
    // Not to be found by who comes next.
    let _ =
        two.ask(async |client| client.batch_execute("RESET chancery.session; COMMIT; RESET chancery.session").await);
    Err(SqlError::Wrong(
        "settings do not stay with their session: a pooler stands between (PgBouncer with pool_mode = transaction?); connect to \
         the server directly, or with pool_mode = session"
            .into(),
    ))
}

fn ask(line: &mut Line) -> Result<(String, String), SqlError> {
    let found = line.ask(async |client| client.simple_query(ASK).await)?;
    let row = found.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    let cell = |at| row.and_then(|row| row.try_get(at).ok().flatten()).unwrap_or_default().to_owned();
    Ok((cell(0), cell(1)))
}
