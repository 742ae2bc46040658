//! The files of a backup into an empty folder: all of them, or none. Each has its name once it is whole and flushed, and the configuration comes
//! last, so that no service starts with half of its neighbours.

use std::fs;
use std::path::{Path, PathBuf};

use store::Companion;

use super::proved::CONFIG;
use crate::failure::Failure;
use crate::files::{Folder, Outputs, SECRET, Standing};

/// Writes them. What fails, a full disk too, takes back what was written before it; what somebody else put there meanwhile stays.
pub fn write(all: &[Companion], dir: &Path) -> Result<(), Failure> {
    let mut written = Written::default();
    for Companion { name, bytes } in configuration_last(all) {
        written
            .put(dir.join(name), bytes)
            .map_err(|failure| failure.since("what was written before it is taken back"))?;
    }
    written.stay();
    Ok(())
}

fn configuration_last(all: &[Companion]) -> impl Iterator<Item = &Companion> {
    let is_config = |file: &&Companion| file.name == CONFIG;
    all.iter().filter(move |file| !is_config(file)).chain(all.iter().filter(is_config))
}

/// What was written until now: given up, it goes, and the folders that were made for it.
#[derive(Default)]
struct Written {
    files: Vec<PathBuf>,
    folders: Vec<Folder>,
}

impl Written {
    fn put(&mut self, path: PathBuf, bytes: &[u8]) -> Result<(), Failure> {
        if let Some(folder) = path.parent() {
            self.folders.push(Folder::take_private(folder)?);
        }
        Outputs::new(false).place(&path, SECRET, Standing::Never)?.fill(bytes)?;
        self.files.push(path);
        Ok(())
    }

    fn stay(mut self) {
        self.files.clear();
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        for file in &self.files {
            let _ = fs::remove_file(file);
        }
        // The folders go with their fields, where nothing is in them.
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(names: &[&str]) -> Vec<Companion> {
        names.iter().map(|name| Companion { name: (*name).to_owned(), bytes: name.as_bytes().to_vec() }).collect()
    }

    fn names(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).unwrap().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn the_configuration_is_written_last() {
        let all = files(&[CONFIG, "log.vkey", "policies/a.cedar"]);
        let order: Vec<&str> = configuration_last(&all).map(|file| file.name.as_str()).collect();
        assert_eq!(order, ["log.vkey", "policies/a.cedar", CONFIG]);
        let dir = tempfile::tempdir().unwrap();
        write(&all, dir.path()).unwrap();
        for Companion { name, bytes } in &all {
            assert_eq!(fs::read(dir.path().join(name)).unwrap(), *bytes);
        }
    }

    #[test]
    fn where_one_file_cannot_be_written_none_is_left_and_what_stood_there_stays() {
        let dir = tempfile::tempdir().unwrap();
        // A file in the place of a folder: the second profile has nowhere to go.
        let all = files(&[CONFIG, "policies/a.cedar", "profiles/a.toml", "profiles/a.toml/b.toml"]);
        let refused = write(&all, dir.path()).unwrap_err().to_string();
        assert!(refused.contains("what was written before it is taken back"), "{refused}");
        assert_eq!(names(dir.path()), Vec::<String>::new());
        // The very last one, by what somebody put there meanwhile.
        let all = files(&["log.vkey", "policies/a.cedar", CONFIG]);
        fs::write(dir.path().join(CONFIG), "somebody else's").unwrap();
        assert!(write(&all, dir.path()).is_err());
        assert_eq!(names(dir.path()), [CONFIG]);
        assert_eq!(fs::read_to_string(dir.path().join(CONFIG)).unwrap(), "somebody else's");
    }
}
