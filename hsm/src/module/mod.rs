//! A PKCS#11 module of this process: loaded once, entered by one gate, left in order.
//!
//! Knows tokens and slots, and nothing of the keys in them. Every call into a module is made inside the gate; whoever
//! searches a token or makes something there has a turn; what the module answers becomes a `Fault`, which says whose trouble
//! it is.

mod fault;
mod raw;

pub(crate) mod ending;
mod turn;

mod gate;
mod init;
pub(crate) mod slots;

pub(crate) use fault::{Fault, answered, pin_refused};
pub(crate) use gate::{Inside, Module};
pub use init::init_token;
pub(crate) use raw::Begun;
pub(crate) use turn::{Sought, Turn, Turns};
