//! A file that the plan names, opened to be read: a CA file, a token, a client certificate. Links are followed, as secrets that are
//! mounted are links; what is no regular file is refused, and nobody is waited for at the other end of a FIFO.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

/// The user that a process runs as; `/proc` shows its folder as his.
pub(crate) fn owner_of_process(pid: i32) -> io::Result<u32> {
    Ok(std::fs::metadata(format!("/proc/{pid}"))?.uid())
}

/// Opens it.
pub(crate) fn open_file(path: &Path) -> io::Result<File> {
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits();
    let file = OpenOptions::new().read(true).custom_flags(flags.cast_signed()).open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::other("it is no regular file")),
    }
}
