//! Secrets brought to where they are used: `run` gives them to a program, `inject` puts them into a text, `read` prints one.
//!
//! Each asks the server once for all that it names, or, while that is away, what was kept of it, and does nothing where one of them is missing. What is done with the values on this
//! host is the room `delivery`'s; what is said here never holds one.

mod ear;
mod fetch;
mod watch;

pub mod inject;
pub mod needs;
pub mod read;
pub mod run;
pub mod source;
