//! PostgreSQL: when several nodes share one register.
//!
//! TLS with verified server certificate towards any other host; plain only on loopback and unix sockets. Whoever waits for the
//! server waits for a bounded time, by a clock of this side: a peer that takes everything and answers nothing is given up.

mod dial;
mod fault;
mod line;
mod own;
mod session;
mod value;

pub(super) use own::own_sessions;
pub(super) use session::Postgres;
