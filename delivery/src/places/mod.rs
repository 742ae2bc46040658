//! The places in which a value can stand.

mod directory;
mod fifo;
mod folder;
mod janitor;
mod memory;
mod stand;

pub use folder::{Folder, in_memory, is_in_memory};
pub use janitor::{JANITOR, Janitor, keep_house};
pub use stand::Stand;
