//! What a backup says of itself, in its first line and its last.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::forms::schema::MIGRATIONS;
use crate::log::{Checkpoint, Head, check_origin};
use crate::nouns::error::StoreError;

/// The form of the stream; another is refused.
const FORM: u32 = 1;
/// No line is longer: of a row's columns the longest is a mebibyte, in base64.
pub const LINE_BYTES_MAX: usize = 16 << 20;
/// A file beside the register: configurations, policies, profiles.
pub const COMPANION_BYTES_MAX: usize = 1 << 20;
/// So many files lie beside it at most.
pub const COMPANIONS_MAX: usize = 1_024;

/// What whoever makes a backup says of it.
#[derive(Clone, Debug)]
pub struct About {
    /// The version of the program.
    pub program: String,
    /// When, RFC 3339.
    pub taken: String,
    /// The log's name.
    pub origin: String,
}

/// A file that a restore needs beside the register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Companion {
    /// Where it lies, from the configuration's folder: `policies/system.cedar`.
    pub name: String,
    /// What is in it.
    pub bytes: Vec<u8>,
}

impl Companion {
    /// What is written by this name later has to stay in its folder, and to be seen there.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        let fits = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.contains(['\\', '\0']);
        let name = &self.name;
        if !name.split('/').all(fits) {
            return Err(StoreError::Invalid(format!("{name:?}: no name of a file beside a backup")));
        }
        if self.bytes.len() > COMPANION_BYTES_MAX {
            return Err(StoreError::Invalid(format!(
                "{name}: a file beside a backup has at most {COMPANION_BYTES_MAX} bytes"
            )));
        }
        Ok(())
    }
}

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The form of what follows.
    pub chancery_backup: u32,
    /// The version of the program that wrote it.
    pub program: String,
    /// When, RFC 3339.
    pub taken: String,
    /// The log's name.
    pub origin: String,
    /// How many leaves the log has.
    pub size: u64,
    /// The RFC 6962 root over them, hexadecimal.
    pub root: String,
    /// The newest signed head in it.
    pub checkpoint: Option<String>,
    /// Where it lay: `sqlite` or `postgresql`. It goes into either.
    pub engine: String,
    /// The steps of the schema: number, name and SHA-256.
    pub schema: Vec<(i64, String, String)>,
}

impl Manifest {
    pub(super) fn new(about: &About, head: &Head, checkpoint: Option<String>, engine: &str) -> Manifest {
        Manifest {
            chancery_backup: FORM,
            program: about.program.clone(),
            taken: about.taken.clone(),
            origin: about.origin.clone(),
            size: head.size,
            root: hex::encode(head.root),
            checkpoint,
            engine: engine.to_owned(),
            schema: schema(),
        }
    }

    /// How many leaves its checkpoint says; none where it has none, or something that is none.
    pub(super) fn signed_size(&self) -> Option<u64> {
        self.checkpoint.as_deref().and_then(|note| Checkpoint::parse(note).ok()).map(|checkpoint| checkpoint.size)
    }

    /// Whether this program can read what follows.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        if self.chancery_backup != FORM {
            let form = self.chancery_backup;
            return Err(StoreError::Invalid(format!(
                "the backup is of form {form}, this program reads form {FORM}: take the program that wrote it ({})",
                self.program
            )));
        }
        check_origin(&self.origin)?;
        if self.schema != schema() {
            return Err(StoreError::Invalid(format!(
                "the backup's register has another schema: restore it with the program that wrote it ({})",
                self.program
            )));
        }
        Ok(())
    }
}

fn schema() -> Vec<(i64, String, String)> {
    MIGRATIONS.iter().map(|step| (step.version, step.name.to_owned(), hex::encode(step.sha256()))).collect()
}

/// What a backup holds, by its last line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackedUp {
    /// Its first line.
    pub manifest: Manifest,
    /// How many rows of each table.
    pub rows: BTreeMap<String, u64>,
    /// How many files beside them.
    pub files: u64,
    /// Bytes of the stream, before encryption.
    pub bytes: u64,
    /// SHA-256 over everything before the last line, hexadecimal.
    pub sha256: String,
}

/// The last line.
#[derive(Serialize)]
pub(super) struct Trailer<'a> {
    pub end: &'a BTreeMap<String, u64>,
    pub files: u64,
    pub sha256: &'a str,
}

/// Before the last line comes none that begins so: no table has such a column.
pub(super) const TRAILER: &[u8] = b"{\"end\":";
/// Before the rows of a table.
pub(super) const TABLE: &[u8] = b"{\"table\":";
/// A file beside the register.
pub(super) const COMPANION: &[u8] = b"{\"file\":";

/// One line of JSON.
pub(super) fn line(value: &impl Serialize) -> Result<Vec<u8>, StoreError> {
    let mut line = serde_json::to_vec(value).map_err(|e| StoreError::Corrupt(e.to_string()))?;
    line.push(b'\n');
    Ok(line)
}
