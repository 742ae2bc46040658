//! What the program prints, without the values: the forms of a value, the automaton that finds them, and the filter of a stream.

mod filter;
mod former;
mod forms;
mod mask;

pub use filter::Filter;
pub(crate) use former::Former;
pub use mask::{LINE_BYTES_MIN, MASKED_BYTES_MIN, Mask, Unmasked};
