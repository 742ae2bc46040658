//! The REST surface: thin handlers, one file a subject.
//!
//! A request is parsed into policy's types, `ca` decides, drafts, lints, signs and records, and the answer is written. No
//! handler acts without a Grant; none knows how signing works.

pub(crate) mod certificates;
mod code;
mod cursors;
mod recovery;
pub(crate) mod secrets;
mod ssh;

mod drills;
mod imports;
mod issuers;

pub(crate) mod audit;
mod ocsp_proof;
mod owners;
mod profiles;
mod readers;
mod report;
mod status;
pub mod tokens;
mod transit;

mod second_factor;

mod refusals;
mod shapes;

mod openapi;
mod routes;

pub use openapi::text as openapi;
pub(crate) use routes::routes;
