//! The names of secrets, each checked once.

mod name;
mod path;
mod reference;

pub use name::{FieldName, Label, NameError};
pub use path::SecretPath;
pub use reference::{Reference, Which};
