//! What an operator says about a token, checked once; inside, nobody re-checks.
//!
//! A PIN is read here at each login and kept nowhere.

mod pin;
mod settings;
mod uri;

pub use settings::{PinSource, TokenConfig, TokenSelector};
pub(crate) use settings::{Settled, Wanted};
