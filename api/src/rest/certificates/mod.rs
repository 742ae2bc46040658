//! Certificates over HTTP: ask for one, see them, renew, revoke.
//!
//! Thin by design: a request is parsed into policy's types, `ca` decides, drafts, lints, signs and records, and the answer is
//! written. What only reads asks policy itself and takes the grant along.

mod card;
pub(crate) mod csv;
pub(crate) mod fetched;

pub(crate) mod listing;

pub(crate) mod waiting;

pub(crate) mod asking;
pub(crate) mod ending;
pub(crate) mod requests;
pub(crate) mod revocations;

pub(crate) use asking::created;
pub(crate) use card::Certificate;
pub(crate) use listing::find;

use crate::problem::Problem;

/// A closed word of a query or a body.
fn word<T: std::str::FromStr<Err: std::fmt::Display>>(
    field: &'static str,
    value: Option<&str>,
) -> Result<Option<T>, Problem> {
    value.map(str::parse).transpose().map_err(|error: T::Err| Problem::field(field, error.to_string()))
}
