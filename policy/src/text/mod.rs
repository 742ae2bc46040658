//! Texts from outside: what is wrong with one, and the words it may have.

mod malformed;
mod words;

pub use malformed::Malformed;
pub(crate) use words::{serde_as_text, words};
