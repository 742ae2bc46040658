//! What a handler is given and what it gives back: the caller, typed parts of the request, answers.
//!
//! Parses and refuses; never asks policy, and never does what was asked for.
//!
//! Trusted for: that no handler sees a caller who was not recognised, or bytes past a bound.

mod caller;
mod once;
mod request;
mod tags;

mod answer;

pub(crate) use answer::{json, typed};
pub(crate) use caller::{Caller, ManagesAuthority, Permitted, ReadsAllCertificates, ReadsAudit};
pub(crate) use once::{once, once_or_not};
pub(crate) use request::{
    BASE64, Json, Params, Segment, Segments, expect_type, media_type, page_rows, parse_hidden, parse_json, read,
};
pub(crate) use tags::{none_match, strong_match};
