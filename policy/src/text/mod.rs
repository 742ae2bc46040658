//! Texts from outside: what is wrong with one, what in it nobody sees, and the words it may have.

mod shown;

mod malformed;
mod words;

pub use malformed::Malformed;
pub use shown::{hidden, shown, turns};
pub(crate) use words::{serde_as_text, words};
