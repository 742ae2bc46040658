//! Reading a PIN: from a file, the environment or a systemd credential, at each login, never kept in between.
//!
//! A PIN lives in a `SecretString`: wiped when dropped, absent from every message. A file that others may read or
//! write is refused: whoever knows the PIN is the certificate authority.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use zeroize::Zeroizing;

use super::settings::PinSource;
use crate::error::HsmError;

/// Longest PIN read; `CK_TOKEN_INFO.ulMaxPinLen` of known tokens ends at 255.
const PIN_BYTES_MAX: usize = 255;

/// Permission bits of everyone but owner and group.
const OTHERS: u32 = 0o007;
const GROUP: u32 = 0o070;

impl PinSource {
    /// Reads the PIN once.
    pub(crate) fn read(&self) -> Result<SecretString, HsmError> {
        match self {
            PinSource::File(path) => read_file(path),
            PinSource::Env(name) => {
                let value = std::env::var(name).ok().filter(|value| !value.is_empty());
                let value = value.ok_or_else(|| fail(format!("the environment has no readable {name}")))?;
                secret(&Zeroizing::new(value), || format!("environment variable {name}"))
            }
            PinSource::Credential(name) => read_file(&credential_path(name)?),
        }
    }
}

fn fail(why: String) -> HsmError {
    HsmError::Config { what: "PIN".into(), why }
}

fn credential_path(name: &str) -> Result<PathBuf, HsmError> {
    // A credential's name is a file name (systemd.exec(5)); a path would reach outside the directory.
    if name.is_empty() || name.contains('/') || name == "." || name == ".." {
        return Err(fail(format!("`{name}` is no credential name")));
    }
    let directory = std::env::var_os("CREDENTIALS_DIRECTORY")
        .filter(|directory| !directory.is_empty())
        .ok_or_else(|| fail("there is no $CREDENTIALS_DIRECTORY: write LoadCredential= in the unit".into()))?;
    Ok(Path::new(&directory).join(name))
}

fn read_file(path: &Path) -> Result<SecretString, HsmError> {
    let shown = path.display();
    let file = File::open(path).map_err(|e| fail(format!("{shown}: {e}")))?;
    // The open file is asked, not its name: nobody can swap it in between.
    let about = file.metadata().map_err(|e| fail(format!("{shown}: {e}")))?;
    if !about.is_file() {
        return Err(fail(format!("{shown} is not a regular file")));
    }
    if about.mode() & OTHERS != 0 {
        return Err(fail(format!("{shown} is open to everyone: chmod 600 {shown}")));
    }
    if about.mode() & GROUP != 0 {
        tracing::warn!(file = %shown, "the PIN file is open to its group; mode 600 is safer");
    }
    // Two bytes above the limit: a newline, and one that shows that the file is too long. The buffer never grows, so
    // that no copy is left behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(PIN_BYTES_MAX + 2));
    let limit = u64::try_from(PIN_BYTES_MAX + 2).unwrap_or(u64::MAX);
    file.take(limit).read_to_end(&mut bytes).map_err(|e| fail(format!("{shown}: {e}")))?;
    let text = std::str::from_utf8(&bytes).map_err(|_| fail(format!("{shown} is not UTF-8 text")))?;
    secret(text, || shown.to_string())
}

fn secret(text: &str, source: impl Fn() -> String) -> Result<SecretString, HsmError> {
    let pin = text.strip_suffix('\n').unwrap_or(text);
    let pin = pin.strip_suffix('\r').unwrap_or(pin);
    match pin {
        "" => Err(fail(format!("{} is empty", source()))),
        // Each wrong try counts against the token's lock, and this one is known to be wrong.
        _ if pin.starts_with('\u{feff}') => {
            Err(fail(format!("{} begins with a byte order mark: save it without", source())))
        }
        _ if pin.len() > PIN_BYTES_MAX => Err(fail(format!("{} is longer than {PIN_BYTES_MAX} bytes", source()))),
        _ if pin.contains(['\n', '\r', '\0']) => Err(fail(format!("{} has more than one line", source()))),
        _ => Ok(SecretString::from(Box::<str>::from(pin))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;
    use std::os::unix::fs::PermissionsExt;

    fn file(content: &[u8], mode: u32) -> (tempfile::TempDir, PinSource) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pin");
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        (directory, PinSource::File(path))
    }

    #[test]
    fn a_pin_is_one_line_of_a_private_file() {
        for (content, pin) in [("1234", "1234"), ("1234\n", "1234"), ("a b\r\n", "a b"), (" x ", " x ")] {
            let (_keep, source) = file(content.as_bytes(), 0o600);
            assert_eq!(source.read().unwrap().expose_secret(), pin);
        }
        let (_keep, group) = file(b"1234", 0o640);
        assert!(group.read().is_ok());
    }

    #[test]
    fn a_pin_file_open_to_everyone_is_refused_with_the_line_that_mends_it() {
        for mode in [0o644, 0o604, 0o602, 0o666] {
            let (_keep, source) = file(b"9876", mode);
            let error = source.read().unwrap_err().to_string();
            assert!(error.contains("chmod 600"), "{error}");
            assert!(!error.contains("9876"));
        }
    }

    #[test]
    fn what_is_no_pin_is_refused() {
        let long = vec![b'7'; 400];
        for content in [&b""[..], b"\n", b"12\n34\n", b"12\0", b"\xff\xfe", b"\xef\xbb\xbf1234\n", &long] {
            let (_keep, source) = file(content, 0o600);
            assert!(source.read().is_err(), "{content:?}");
        }
        let directory = tempfile::tempdir().unwrap();
        assert!(PinSource::File(directory.path().into()).read().is_err());
        assert!(PinSource::File(directory.path().join("none")).read().is_err());
        assert!(PinSource::Env("CHANCERY_NO_SUCH_PIN".into()).read().is_err());
        for name in ["", "..", "a/b", "/etc/passwd"] {
            assert!(PinSource::Credential(name.into()).read().is_err());
        }
    }
}
