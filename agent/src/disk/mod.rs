//! The one door to the disk: what a file is, every change as a value, and small files replaced as a whole.
//!
//! It knows nothing of certificates. Trusted for: a file is closed before anything is in it, and what it says is durable is.

mod image;

mod lock;

mod folder;

mod change;

mod json;

mod file;

pub(crate) use change::{Disk, Op, RealDisk, parent};
pub(crate) use file::{open_file, owner_of_process};
pub(crate) use folder::{Folder, Owner};
pub(crate) use image::Image;
pub(crate) use json::{read_json, write_json};
pub(crate) use lock::Lock;
