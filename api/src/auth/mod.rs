//! Who is asking: credentials, and what wrong ones cost.
//!
//! Reads the register and answers an actor or a reason; never decides what that actor may do (policy does), never writes,
//! and knows nothing of HTTP but the cookie of a session.
//!
//! Trusted for: the identity of every actor on the API. Whoever controls this room can act as anyone policy knows, in full
//! view of the log.

mod error;
mod factor;
mod login;
mod token;

mod memory;
mod throttle;

mod doorkeeper;
mod ends;
mod sessions;

pub(crate) use doorkeeper::Doorkeeper;
pub(crate) use ends::ends;
pub(crate) use error::AuthError;
pub(crate) use factor::{Factor, FactorState, factor_of, factors};
pub(crate) use login::{LOGIN_HEADER, LOGIN_PREFIX, Login};
pub(crate) use sessions::Sessions;
pub(crate) use token::{KIND, PREFIX, Token, TokenBody, draw};
