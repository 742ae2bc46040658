//! What the program prints, without the values: the automaton that finds their forms (`secrets::forms`), and the filter of a stream.

mod filter;
mod former;
mod mask;

pub use filter::Filter;
pub(crate) use former::Former;
pub use mask::{LINE_BYTES_MIN, MASKED_BYTES_MIN, Mask, Unmasked};
