//! Heads of the log that are kept outside its database: a register that was put back to an older state is whole in itself, and only
//! they tell.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use hsm::Pool;

use crate::log::{Checkpoint, Hash};
use crate::nouns::error::StoreError;
use crate::truth::{CHECKPOINT_FILE, HEAD_FILE, parse_head};

/// A head that was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Where: the file, or the token.
    pub by: String,
    /// The size of the log.
    pub size: u64,
    pub(crate) root: Hash,
    /// Where it is signed.
    pub(super) checkpoint: Option<Checkpoint>,
}

impl Kept {
    /// A signed checkpoint.
    pub(super) fn checkpoint(by: String, note: &str) -> Result<Kept, StoreError> {
        let checkpoint = Checkpoint::parse(note).map_err(|why| StoreError::Invalid(format!("{by}: {why}")))?;
        Ok(Kept { by, size: checkpoint.size, root: checkpoint.root, checkpoint: Some(checkpoint) })
    }

    /// What a node wrote into its folder (`[log] state`): the newest checkpoint, and the newest head. Read it before the register.
    pub fn in_folder(dir: &Path) -> Result<Vec<Kept>, StoreError> {
        let mut kept = Vec::new();
        if let Some((by, note)) = read(&dir.join(CHECKPOINT_FILE))? {
            kept.push(Kept::checkpoint(by, &note)?);
        }
        if let Some((by, line)) = read(&dir.join(HEAD_FILE))?.filter(|(_, line)| !line.is_empty()) {
            let head = parse_head(&line).ok_or_else(|| StoreError::Invalid(format!("{by}: is no head of a log")))?;
            kept.push(Kept { by, size: head.size, root: head.root, checkpoint: None });
        }
        Ok(kept)
    }

    /// The newest checkpoints that the token has of this log. Ask it before the register is read.
    pub async fn in_token(pool: &Pool, origin: &str) -> Result<Vec<Kept>, StoreError> {
        let notes = pool.notes(origin).await;
        let notes = notes.map_err(|e| StoreError::Unavailable(format!("the token does not show its note: {e}")))?;
        let of_this_log = |kept: &Kept| kept.checkpoint.as_ref().is_some_and(|checkpoint| checkpoint.origin == origin);
        let kept = notes.iter().filter_map(|note| std::str::from_utf8(note).ok());
        let kept = kept.filter_map(|note| Kept::checkpoint("the token".to_owned(), note).ok());
        Ok(kept.filter(of_this_log).collect())
    }
}

/// A file and its name; none where it is not there.
fn read(path: &Path) -> Result<Option<(String, String)>, StoreError> {
    let by = path.display().to_string();
    match fs::read(path) {
        Ok(bytes) => Ok(Some((by, String::from_utf8_lossy(&bytes).into_owned()))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StoreError::Unavailable(format!("{by}: {error}"))),
    }
}
