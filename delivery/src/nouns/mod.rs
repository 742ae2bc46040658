//! What is delivered, and the names under which it is.

mod name;
mod value;

pub use name::{FileName, NameError, VariableName};
pub use value::{Value, Values};
