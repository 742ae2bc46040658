//! The edge: TLS, authentication, REST, the dashboard, metrics. It parses, asks policy through `ca`, and answers; it knows
//! nothing of how signing works.
//!
//! A request comes through `edge` (bounded connections, deadlines, the peer's certificate; bounded requests, a net under
//! panics, headers, counters) and `intake` (who is asking, of whom `auth` knows; what was sent) to a thin handler in `rest`,
//! `pages` or `public`. No handler acts without a Grant, and every error leaves through the one table in `problem`.
//!
//! Trusted for: who an actor is, and that answers go to whom they belong. Whoever controls this room can act as any known
//! actor, in full view of the log; it holds no signing key and cannot write to the register but through `ca` and `store`.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod serve;

mod pages;
mod public;
mod rest;

mod exchanges;
mod tenants;
mod warden;

pub mod second;

mod app;
mod edge;
mod intake;

mod auth;
mod limits;
mod observe;
mod problem;

pub use edge::TlsError;
pub use limits::{Bounds, Limits};
pub use observe::Notice;
pub use problem::{Kind as ProblemKind, Problem};
pub use rest::{openapi, tokens};
pub use serve::{ApiError, Bound, ServeConfig, serve};
