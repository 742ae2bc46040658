//! Small JSON files of the agent's own: written whole or not at all, and read without repeating what is in them.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use policy::Secret;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::change::{Disk, Op, parent};
use super::image::Image;
use crate::error::AgentError;

/// Writes a small file of mode 0600 whole: beside its place, flushed, renamed, and the name flushed.
pub(crate) fn write_json(disk: &dyn Disk, path: &Path, value: &impl Serialize) -> Result<(), AgentError> {
    let text = serde_json::to_vec_pretty(value)
        .map_err(|e| AgentError::Content { path: path.to_owned(), why: e.to_string() })?;
    let next = path.with_extension("new");
    disk.make(Op::Write(&next, &Image::new(text, 0o600)))?;
    disk.make(Op::Rename { from: &next, to: path })?;
    disk.make(Op::SyncDir(parent(path)))
}

/// Reads such a file; `None` where there is none.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, AgentError> {
    let text = match fs::read(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        read => Secret::new(read.map_err(|e| AgentError::disk(path, "the file cannot be read", e))?),
    };
    // Only the place: serde_json's own message may quote what it found, and that may be a key.
    let parsed = serde_json::from_slice(text.expose()).map_err(|e| AgentError::Content {
        path: path.to_owned(),
        why: format!("not readable ({:?} at line {}); move it away to go on without it", e.classify(), e.line()),
    })?;
    Ok(Some(parsed))
}
