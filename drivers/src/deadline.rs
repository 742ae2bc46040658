//! Nothing outside is waited for without end.

use std::future::Future;
use std::time::Duration;

use crate::driver::Fault;

/// What ends in time, while nothing has been asked yet.
pub(crate) async fn before<T>(work: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    match tokio::time::timeout(DIAL_MAX, work).await {
        Ok(done) => done.map_err(Fault::before_acting),
        Err(_) => Err(Fault::away(format!("no connection within {} s", DIAL_MAX.as_secs()))),
    }
}

/// What ends in time, once it may have been asked.
pub(crate) async fn asked<T>(work: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    match tokio::time::timeout(ACT_MAX, work).await {
        Ok(done) => done,
        Err(_) => Err(Fault::unknown(format!("no answer within {} s", ACT_MAX.as_secs()))),
    }
}

/// What is done in several places, one after the other, and ends in time: what was done stays, and the next try goes on.
pub(crate) async fn in_all(work: impl Future<Output = Result<(), Fault>>) -> Result<(), Fault> {
    match tokio::time::timeout(WALK_MAX, work).await {
        Ok(done) => done,
        Err(_) => Err(Fault::unknown(format!("not all of it was done within {} s: it goes on", WALK_MAX.as_secs()))),
    }
}

/// How long a connection, its TLS and the login on it may take.
pub const DIAL_MAX: Duration = Duration::from_secs(10);
/// How long a walk through the databases of one server may take in all: a lease is another node's after two minutes.
const WALK_MAX: Duration = Duration::from_secs(60);
/// How long an answer may take.
pub const ACT_MAX: Duration = Duration::from_secs(30);
