//! The switch behind which the files of a certificate stand: its names, and what it shows.

use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::disk::{Folder, Image, Owner, parent};

/// What stands at `path` for the certificate `name`: a file, or what the agent's own link shows. Any other link is refused.
pub(super) fn look(name: &str, path: &Path) -> io::Result<Option<Image>> {
    let folder = match Folder::open(parent(path), Owner::Any) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let base = base(path);
    if folder.link(base).is_none_or(|target| target != link_of(name, base)) {
        return folder.read(base);
    }
    let store = match folder.below(&store_name(name), Owner::Agent) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    current(&store)?.map_or(Ok(None), |current| current.read(base))
}

/// The version that the switch shows; none before the first.
pub(super) fn current(store: &Folder) -> io::Result<Option<Folder>> {
    let Some(target) = store.link(OsStr::new(CURRENT)) else { return Ok(None) };
    // A number, and so a name of one part: it leads nowhere else.
    if target.to_str().is_none_or(|text| text.parse::<u64>().is_err()) {
        return Ok(None);
    }
    match store.below(target.as_os_str(), Owner::Agent) {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        opened => opened.map(Some),
    }
}

/// Relative, so that the folder may be mounted elsewhere.
pub(super) fn link_of(name: &str, base: &OsStr) -> PathBuf {
    Path::new(&store_name(name)).join(CURRENT).join(base)
}

pub(super) fn store_name(name: &str) -> OsString {
    format!(".chancery-{name}").into()
}

/// The plan refuses paths that name no file.
pub(super) fn base(path: &Path) -> &OsStr {
    path.file_name().unwrap_or(path.as_os_str())
}

/// The switch.
pub(super) const CURRENT: &str = "current";
