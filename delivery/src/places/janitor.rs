//! The janitor: a process of its own that waits until we are gone, however that came about, and takes our folder away.
//!
//! Nobody can clean up after SIGKILL in the process that got it. The janitor has a session of its own, so that a signal to our group or
//! terminal does not meet it; it has none of the values, and an empty environment. It is told of our end by the end of a pipe. Where it
//! is killed too, the next run of the same user sweeps.

use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::process::setsid;

use super::folder::{PREFIX, remove};
use crate::error::{DeliveryError, Doing};

/// The word by which the program is called as janitor.
pub const JANITOR: &str = "janitor";

/// Waits for our end from now on.
pub struct Janitor(Child);

impl Janitor {
    /// For this folder, by this program, whose first words are given.
    pub fn hire(helper: &[OsString], folder: &Path) -> Result<Janitor, DeliveryError> {
        const DOING: &str = "a process that cleans up after us";
        let mut command = Command::new("/proc/self/exe");
        command.args(helper).arg(JANITOR).arg(folder).env_clear().current_dir("/").process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Janitor(command.spawn().doing(DOING)?))
    }
}

impl Drop for Janitor {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// The janitor's whole life: waits for the end of standard input, and removes the folder if it is one of ours.
pub fn keep_house(folder: &OsStr) {
    let _ = setsid();
    let _ = std::io::stdin().lock().read(&mut [0]);
    let path = Path::new(folder);
    let (Some(base), Some(name)) = (path.parent(), path.file_name()) else { return };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    if let (true, Ok(base)) = (name.to_string_lossy().starts_with(PREFIX), openat(CWD, base, flags, Mode::empty())) {
        remove(&base, name);
    }
}
