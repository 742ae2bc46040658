//! The edge: TLS, authentication, REST, the dashboard, metrics. It parses, asks policy through `ca`, and answers; it knows
//! nothing of how signing works.
//!
//! A request comes through `listener` (bounded connections, deadlines, the peer's certificate), `edge` (bounded requests,
//! a net under panics, headers, counters) and `auth` (who is asking) to a thin handler. No handler acts without a Grant, and
//! every error leaves through the one table in `problem`.
//!
//! Trusted for: who an actor is, and that answers go to whom they belong. Whoever controls this room can act as any known
//! actor, in full view of the log; it holds no signing key and cannot write to the register but through `ca` and `store`.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod serve;
mod tasks;

mod courtesy;
mod keeping;
mod limits;
mod listener;
mod peer;
mod tls;

mod edge;
mod intake;
mod problem;

mod auth;
mod sessions;
mod throttle;
pub mod tokens;

mod app;
mod routes;

mod audit;
mod certificates;
mod code;
mod log;
mod plain;
mod ssh;

mod forecast;
mod inventory;
mod metrics;
mod openapi;
mod status;

mod dashboard;

pub use limits::Limits;
pub use openapi::text as openapi;
pub use problem::{Kind as ProblemKind, Problem};
pub use serve::{ApiError, Bound, ServeConfig, serve};
pub use tls::TlsError;
