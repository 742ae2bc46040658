//! Small JSON files of the agent's own: written whole or not at all, and read without repeating what is in them.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::change::{Disk, Op, parent};
use super::folder::{Folder, Owner};
use super::image::Image;
use crate::error::AgentError;

/// Writes a small file of mode 0600 whole: beside its place, flushed, renamed, and the name flushed.
pub(crate) fn write_json(
    disk: &dyn Disk,
    folder: &Folder,
    name: &str,
    value: &impl Serialize,
) -> Result<(), AgentError> {
    let text = serde_json::to_vec_pretty(value)
        .map_err(|e| AgentError::Content { path: folder.path().join(name), why: e.to_string() })?;
    let next = format!(".{name}.new");
    disk.make(Op::Write(folder.spot(OsStr::new(&next)), &Image::new(text, 0o600)))?;
    disk.make(Op::Rename { folder, from: OsStr::new(&next), to: OsStr::new(name) })?;
    disk.make(Op::SyncDir(folder))
}

/// Reads such a file; `None` where there is none. It is no link, nor is any folder above it.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, AgentError> {
    let failed = |e| AgentError::disk(path, "the file cannot be read", e);
    let folder = match Folder::open(parent(path), Owner::Any) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(failed)?,
    };
    let Some(text) = folder.read(path.file_name().unwrap_or_default()).map_err(failed)? else { return Ok(None) };
    // Only the place: serde_json's own message may quote what it found, and that may be a key.
    let parsed = serde_json::from_slice(text.content()).map_err(|e| AgentError::Content {
        path: path.to_owned(),
        why: format!("not readable ({:?} at line {}); move it away to go on without it", e.classify(), e.line()),
    })?;
    Ok(Some(parsed))
}
