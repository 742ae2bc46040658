//! Which file a program's name means.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

use crate::error::DeliveryError;

/// The file of a program: a name with a `/` is one, another is looked for in `path`.
///
/// What is returned has a `/`, so that it is executed as it is: what the system cannot execute is never given to a shell, as execvp(3)
/// would.
///
/// # Errors
/// [`DeliveryError::NotFound`], or [`DeliveryError::NotExecutable`] for what is there and may not be executed.
pub fn find(program: &OsStr, path: Option<&OsStr>) -> Result<PathBuf, DeliveryError> {
    let named = PathBuf::from(program);
    if program.as_bytes().contains(&b'/') {
        return match executable(&named) {
            Ok(()) => Ok(named),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(DeliveryError::NotFound(named)),
            Err(source) => Err(DeliveryError::NotExecutable { path: named, source }),
        };
    }
    let default = OsString::from(DEFAULT_PATH);
    let mut refused = None;
    for folder in std::env::split_paths(path.unwrap_or(&default)).filter(|_| !program.is_empty()) {
        // An empty entry is the current folder (POSIX XBD section 8.3).
        let folder = if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder };
        let file = folder.join(&named);
        match executable(&file) {
            Ok(()) => return Ok(file),
            Err(source) if source.kind() == io::ErrorKind::PermissionDenied => {
                refused = refused.or(Some(DeliveryError::NotExecutable { path: file, source }));
            }
            Err(_) => {}
        }
    }
    Err(refused.unwrap_or(DeliveryError::NotFound(named)))
}

fn executable(file: &Path) -> io::Result<()> {
    match std::fs::metadata(file)?.is_file() {
        true => Ok(access(file, Access::EXEC_OK)?),
        false => Err(io::ErrorKind::PermissionDenied.into()),
    }
}

const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_looked_for_and_a_path_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("plain"), "x").unwrap();
        let found = |program: &str, path: &OsStr| find(OsStr::new(program), Some(path));
        let path = std::env::join_paths([folder.path(), Path::new("/bin")]).unwrap();
        assert_eq!(found("sh", &path).unwrap(), Path::new("/bin/sh"));
        assert_eq!(found("/bin/sh", OsStr::new("")).unwrap(), Path::new("/bin/sh"));
        assert_eq!(found("plain", &path).unwrap_err().exit_code(), 126);
        for missing in ["nothing-of-this-name", "/bin/nothing-of-this-name", ""] {
            assert_eq!(found(missing, &path).unwrap_err().exit_code(), 127, "{missing:?}");
        }
        assert_eq!(found("/bin", &path).unwrap_err().exit_code(), 126);
    }
}
