//! A folder in memory on which a person works on a value with a program of his own: it goes with us, however we end.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use crate::error::DeliveryError;
use crate::places::{Folder, Janitor};
use crate::plan::DiskRule;
use crate::run::STEP;

/// The folder, for this user alone (0700). Gone when this goes: fields are dropped from the top.
pub struct Desk {
    folder: Folder,
    _janitor: Janitor,
}

impl Desk {
    /// In `XDG_RUNTIME_DIR`, which is given, or in `/dev/shm`; never on a disk.
    ///
    /// # Errors
    /// [`DeliveryError::NoMemoryFolder`], or what the system refuses.
    pub fn set_up(runtime: Option<&OsStr>) -> Result<Desk, DeliveryError> {
        let folder = Folder::make(DiskRule::MemoryOnly, runtime)?;
        let janitor = Janitor::hire(&[OsString::from(STEP)], folder.path())?;
        Ok(Desk { folder, _janitor: janitor })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}
