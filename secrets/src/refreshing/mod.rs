//! OAuth tokens that are refreshed before they end (RFC 6749 sections 6 and 4.4).
//!
//! A [`Refresh`] is a record at the path of an `oauth-token`: at which token endpoint, as which client, how long before the end. That it is
//! asked stands in the register before the endpoint hears of it, and what came back stands there, as the next version, before anything
//! else is done. So a refresh token is used once: whatever was asked and not answered is not asked again by itself, since the server may have
//! taken the token for used, and takes a second use for a theft (RFC 9700 section 4.14.2). It is said, and somebody decides.

mod base;
mod endpoint;
mod record;
mod turn;

pub use base::{RefreshWish, Refreshes};
pub use endpoint::{Asked, ClientLogin, Endpoint, Endpoints, Tokens, URL_BYTES_MAX};
pub use record::{Halt, Refresh, Way};
