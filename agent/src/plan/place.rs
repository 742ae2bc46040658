//! A place in the plan file, and the refusal of what stands there: file, key, reason, and the line to write instead.

use std::path::{Path, PathBuf};

use crate::error::{PlanError, bounded};

/// A place in the plan file.
pub(super) struct Place<'a> {
    file: &'a Path,
    key: String,
}

impl<'a> Place<'a> {
    /// The whole of `file`.
    pub fn root(file: &'a Path) -> Self {
        Place { file, key: String::new() }
    }

    /// The place of `key` below this one.
    pub fn at(&self, key: &str) -> Self {
        let key = match self.key.is_empty() {
            true => key.to_owned(),
            false => format!("{}.{key}", self.key),
        };
        Place { file: self.file, key }
    }

    /// The last part of the key.
    pub fn last(&self) -> &str {
        self.key.rsplit('.').next().unwrap_or(&self.key)
    }

    /// A path as the plan means it: relative to the plan file.
    pub fn path(&self, path: &Path) -> PathBuf {
        self.file.parent().unwrap_or(Path::new("")).join(path)
    }

    /// The refusal of what stands here.
    pub fn refuse(&self, reason: impl Into<String>, write: &str) -> PlanError {
        PlanError { file: self.file.to_owned(), key: self.key.clone(), reason: reason.into(), write: write.to_owned() }
    }

    /// A file that is not TOML, or has a key this agent does not know.
    pub fn syntax(&self, text: &str, error: &toml::de::Error) -> PlanError {
        let line = error.span().map(|span| {
            let before = text.get(..span.start).unwrap_or_default();
            before.matches('\n').count() + 1
        });
        PlanError {
            file: self.file.to_owned(),
            key: line.map_or_else(|| "plan".to_owned(), |line| format!("line {line}")),
            reason: bounded(error.message(), 400),
            write: "a line as in docs/AGENT.md".to_owned(),
        }
    }
}
