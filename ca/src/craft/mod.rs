//! One folder per kind of credential: what is asked for, its facts, its draft and its lint side by side.
//!
//! Each is a [`Craft`](crate::drafting::Craft); the rooms below know none of them by name. A craft hears a request, has it
//! decided at the gate, drafts, and hands the draft to its office, which lints, checks and walks to the page. Trusted for: the
//! content of what is asked to be signed. Whoever controls a craft still meets the lint, the checks and the register.

mod office;

// The names of what is held of it.
mod lints;

// What certificates have in common.
mod x509;

pub(crate) mod ca;
pub(crate) mod code;
pub(crate) mod crl;
pub(crate) mod leaf;
pub(crate) mod ocsp;
pub(crate) mod request;
pub(crate) mod ssh;

mod tables;

#[cfg(test)]
mod lint_tests;
#[cfg(test)]
mod profiled_tests;

pub(crate) use office::Office;
pub use tables::all as all_lints;
