//! Roots, and the stores of a host that can hold them: what would be written and run, before anything is.
//!
//! Pure: no file, no network, no program. What is installed is named by its fingerprint, so that exactly that goes away again.

mod anchor;
mod fingerprint;
mod stores;

pub use anchor::{Anchor, anchors};
pub use fingerprint::{Fingerprint, fingerprint};
pub use stores::{GoOn, Home, Step, Store, install, uninstall};
