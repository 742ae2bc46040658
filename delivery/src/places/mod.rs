//! The places in which a value can stand.

mod directory;
mod fifo;
mod folder;
mod janitor;
mod memory;
mod stand;

pub use folder::{in_memory, is_in_memory};
pub use janitor::{JANITOR, keep_house};
pub use stand::Stand;
