//! The files that a restore needs beside the register: configuration, policies, profiles, the log's key, the roots. Never a PIN, a token
//! or a password: those are files of other names, and none but these is read.

use std::fs;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use store::{COMPANION_BYTES_MAX, Companion};

use crate::error::BackupError;

/// Files of the configuration's own folder, where they are there.
const PUBLIC: [&str; 2] = ["log.vkey", "roots.pem"];

/// Where they lie.
#[derive(Clone, Debug)]
pub struct Beside {
    /// The configuration.
    pub config: PathBuf,
    /// The folder of policies.
    pub policies: PathBuf,
    /// The folder of profiles.
    pub profiles: PathBuf,
}

impl Beside {
    /// Reads them as they are now.
    pub fn gather(&self) -> Result<Vec<Companion>, BackupError> {
        let mut all = vec![read(&self.config, "chancery.toml".into())?.ok_or_else(|| missing(&self.config))?];
        let folder = self.config.parent().unwrap_or(Path::new("."));
        for name in PUBLIC {
            all.extend(read(&folder.join(name), name.to_owned())?);
        }
        for (dir, name, extension) in [(&self.policies, "policies", "cedar"), (&self.profiles, "profiles", "toml")] {
            all.extend(texts(dir, name, extension)?);
        }
        Ok(all)
    }
}

fn texts(dir: &Path, folder: &str, extension: &str) -> Result<Vec<Companion>, BackupError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(|e| BackupError::at(dir.display(), e))? {
        let path = entry.map_err(|e| BackupError::at(dir.display(), e))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).filter(|name| !name.starts_with('.'));
        if let Some(name) = name.filter(|_| path.extension().is_some_and(|e| e == extension)) {
            found.extend(read(&path, format!("{folder}/{name}"))?);
        }
    }
    found.sort_by(|one, two| one.name.cmp(&two.name));
    Ok(found)
}

fn read(path: &Path, name: String) -> Result<Option<Companion>, BackupError> {
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(BackupError::at(path.display(), error)),
    };
    let mut bytes = Vec::new();
    let most = COMPANION_BYTES_MAX as u64;
    file.take(most + 1).read_to_end(&mut bytes).map_err(|e| BackupError::at(path.display(), e))?;
    Ok(Some(Companion { name, bytes }))
}

fn missing(path: &Path) -> BackupError {
    BackupError::at(path.display(), "the configuration is not there")
}
