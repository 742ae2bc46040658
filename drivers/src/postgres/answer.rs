//! What a server answers to a statement, and what came of it.

use tokio_postgres::{Client, Error};

use crate::deadline::before;
use crate::driver::Fault;

/// One statement, before anything that was asked for is done.
pub(super) async fn said(client: &Client, statement: &str) -> Result<(), Fault> {
    before(async { client.batch_execute(statement).await.map_err(not_done) }).await
}

/// Of a statement. What the server answered was rolled back.
pub(super) fn not_done(error: Error) -> Fault {
    const LATER: [&str; 4] = ["40", "53", "55", "57"];
    match error.as_db_error() {
        Some(said) if LATER.iter().any(|class| said.code().code().starts_with(class)) => Fault::away(said.message()),
        // What keeps it, the server says in its detail alone.
        Some(said) if said.code().code() == DEPENDED_ON => {
            Fault::refused(format!("{}: {}", said.message(), said.detail().unwrap_or_default()))
        }
        Some(said) => Fault::refused(said.message()),
        None => Fault::unknown(words(&error)),
    }
}

pub(super) fn words(error: &Error) -> String {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
    format!("{error}{cause}")
}

/// DEPENDENT_OBJECTS_STILL_EXIST.
const DEPENDED_ON: &str = "2BP01";
