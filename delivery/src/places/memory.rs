//! Sealed files in memory alone (memfd_create(2)).

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::fs::{MemfdFlags, Mode, OFlags, SealFlags, fchmod, fcntl_add_seals, memfd_create, open};
use rustix::io::Errno;

use crate::error::{DeliveryError, Doing};
use crate::nouns::Value;

/// A file that has no name, cannot be written, grown, shrunk or unsealed, and is gone when nobody has it open.
pub fn sealed(value: &Value) -> Result<OwnedFd, DeliveryError> {
    const DOING: &str = "a file in memory";
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // Linux before 6.3 does not know that a file is not to be executed.
    let made = match memfd_create(NAME, flags | MemfdFlags::NOEXEC_SEAL) {
        Err(Errno::INVAL) => memfd_create(NAME, flags),
        known => known,
    };
    let mut file = File::from(made.doing(DOING)?);
    file.write_all(value.expose()).doing(DOING)?;
    // For its owner; others could open it through /proc of whoever has it.
    fchmod(&file, Mode::RUSR).doing(DOING)?;
    fcntl_add_seals(&file, SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL).doing(DOING)?;
    Ok(file.into())
}

/// The path under which whoever inherits it finds it, each time from its beginning.
pub fn path(file: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

/// Another way to it that begins at the beginning and only reads: for standard input.
pub fn reader(file: &OwnedFd) -> Result<OwnedFd, DeliveryError> {
    open(path(file), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).doing("a file in memory as standard input")
}

/// Whether a program that is started inherits it.
pub fn inherit(file: &OwnedFd, flags: rustix::io::FdFlags) -> Result<(), DeliveryError> {
    rustix::io::fcntl_setfd(file.as_fd(), flags).doing("the inheritance of a file in memory")
}

/// What /proc shows of it; it says nothing of which secret it is.
const NAME: &str = "chancery";

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek};

    use super::*;

    #[test]
    fn what_is_sealed_stays_as_it_is() {
        let file = sealed(&Value::new(b"hunter2".to_vec())).unwrap();
        let mut writer = File::from(file.try_clone().unwrap());
        assert!(writer.write_all(b"x").is_err() && writer.set_len(0).is_err() && writer.set_len(99).is_err());
        writer.rewind().unwrap();
        let mut text = String::new();
        File::from(reader(&file).unwrap()).read_to_string(&mut text).unwrap();
        assert_eq!(text, "hunter2");
        assert_eq!(fcntl_add_seals(&file, SealFlags::FUTURE_WRITE), Err(Errno::PERM));
        assert!(std::fs::metadata(path(&file)).unwrap().permissions().readonly());
    }
}
