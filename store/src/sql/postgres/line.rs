//! A line to one server, and how long it is waited for.

use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::error::SqlState;
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::{Client, Config, Error, Socket};

use super::fault::{dial_fault, fault};
use crate::sql::error::SqlError;

/// A server that does not answer by then is away: its address is found, it takes the connection, it lets us in.
pub(super) const DIAL_MAX: Duration = Duration::from_secs(5);
/// The server ends a statement in time. So much later it is the server, or the way to it, that does not answer.
const ANSWER_GRACE: Duration = Duration::from_secs(2);
/// To say good-bye in.
const PARTING_MAX: Duration = Duration::from_millis(100);

pub(super) struct Line {
    runtime: Runtime,
    /// None after a deadline passed: what comes over the line then is the answer to another question.
    client: Option<Client>,
    driver: JoinHandle<Result<(), Error>>,
    limit: Duration,
}

impl Line {
    /// Dials one server. A statement may take it `limit`.
    pub fn dial<T>(config: &Config, tls: T, limit: Duration) -> Result<Line, SqlError>
    where
        T: MakeTlsConnect<Socket>,
        T::Stream: Send + 'static,
        <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
    {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|e| SqlError::Away(format!("no runtime: {e}")))?;
        let dialled = runtime.block_on(async { timeout(DIAL_MAX, config.connect(tls)).await });
        let error = match dialled {
            Ok(Ok((client, connection))) => {
                let driver = runtime.spawn(connection);
                return Ok(Line { runtime, client: Some(client), driver, limit });
            }
            Ok(Err(error)) => dial_fault(error),
            Err(_) => SqlError::Away(format!("no answer within {} s", DIAL_MAX.as_secs())),
        };
        // A name that is still being looked up would be waited for.
        runtime.shutdown_background();
        Err(error)
    }

    /// Does something with the server, and waits for it for as long as the server may take and a moment.
    pub fn ask<T>(&mut self, work: impl AsyncFnOnce(&Client) -> Result<T, Error>) -> Result<T, SqlError> {
        let Some(client) = &self.client else { return Err(SqlError::Lost("the server did not answer before".into())) };
        let patience = self.limit + ANSWER_GRACE;
        match self.runtime.block_on(async { timeout(patience, work(client)).await }) {
            Ok(done) => done.map_err(|error| match error.code() {
                Some(code) if *code == SqlState::QUERY_CANCELED => SqlError::Late(self.limit),
                Some(_) | None => fault(error),
            }),
            Err(_) => {
                // Ends the task that has the socket, which closes it.
                self.driver.abort();
                self.client = None;
                Err(SqlError::Lost(format!("the server did not answer within {} s", patience.as_secs())))
            }
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if let Some(client) = self.client.take() {
            drop(client);
            let _ = self.runtime.block_on(async { timeout(PARTING_MAX, &mut self.driver).await });
        }
    }
}
