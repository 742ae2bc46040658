//! `[backup]`: what the service backs up by itself, to where, how often, and how much of it stays.

use std::path::{Path, PathBuf};

use backup::{Access, Recipients, Target};
use serde::Deserialize;

use crate::files;
use crate::parts::span::{Span, span};

/// A register of a million entries takes a minute or two; more often helps nobody.
const EVERY_SECS_MIN: u64 = 60;
const EVERY_SECS_MAX: u64 = 366 * 86_400;
const EVERY_DEFAULT: &str = "24h";
const KEEP_DEFAULT: usize = 14;
const KEEP_MAX: usize = 10_000;
/// Recipients, a line each.
const RECIPIENTS_BYTES_MAX: u64 = 64 << 10;

/// Backups that the service makes.
#[derive(Clone, Debug)]
pub struct Backup {
    /// Where they go.
    pub target: Target,
    /// Who can read them.
    pub recipients: Recipients,
    /// So often.
    pub every: Span,
    /// So many stay.
    pub keep: usize,
    /// How an S3-compatible store is reached.
    pub access: Access,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawBackup {
    to: String,
    #[serde(default)]
    recipients: Vec<String>,
    recipients_file: Option<PathBuf>,
    every: Option<String>,
    keep: Option<usize>,
    s3: Option<RawStore>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawStore {
    endpoint: Option<String>,
    region: Option<String>,
    credentials_file: Option<PathBuf>,
    ca_file: Option<PathBuf>,
}

/// The key that is wrong, why, and what to write.
type Wrong = (&'static str, String, &'static str);

impl RawBackup {
    pub(super) fn check(self, dir: &Path) -> Result<Backup, Wrong> {
        let every = self.every.as_deref().unwrap_or(EVERY_DEFAULT);
        let every = span(every).map_err(|why| ("every", why, "every = \"24h\""))?;
        if !(EVERY_SECS_MIN..=EVERY_SECS_MAX).contains(&every.secs()) {
            let why = format!("{} s is not between a minute and a year", every.secs());
            return Err(("every", why, "every = \"24h\""));
        }
        let keep = self.keep.unwrap_or(KEEP_DEFAULT);
        if !(1..=KEEP_MAX).contains(&keep) {
            return Err(("keep", format!("{keep} is not in 1..={KEEP_MAX}"), "keep = 14"));
        }
        let file = self.recipients_file.map(|file| dir.join(file));
        let recipients = recipients(&self.recipients, file.as_deref());
        let recipients = recipients.map_err(|why| ("recipients", why, "recipients = [\"age1...\"]"))?;
        let RawStore { endpoint, region, credentials_file, ca_file } = self.s3.unwrap_or_default();
        let (credentials_file, ca_file) = (credentials_file.map(|p| dir.join(p)), ca_file.map(|p| dir.join(p)));
        let access = Access { endpoint, region, credentials_file, profile: None, ca_file }.or_environment();
        let write = "to = \"/srv/backup/\"   # or s3://BUCKET/PREFIX";
        if self.to == "-" {
            return Err(("to", "a service writes to a folder or a bucket".to_owned(), write));
        }
        let place = match self.to.starts_with("s3://") {
            true => self.to,
            // A folder, which the names of backups are in.
            false => format!("{}/", dir.join(&self.to).display()),
        };
        let target = Target::parse(&place, &access).map_err(|e| ("to", e.to_string(), write))?;
        Ok(Backup { target, recipients, every, keep, access })
    }
}

/// Those that are named, and those of a file.
pub fn recipients(named: &[String], file: Option<&Path>) -> Result<Recipients, String> {
    let text =
        file.map(|file| files::text(file, RECIPIENTS_BYTES_MAX)).transpose().map_err(|failure| failure.within())?;
    let lines = named.iter().map(String::as_str).chain(text.as_deref().unwrap_or_default().lines());
    Recipients::parse(lines).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_there_is_told_of_in_one_sentence() {
        let folder = tempfile::tempdir().expect("a folder");
        let why = recipients(&[], Some(&folder.path().join("nosuch"))).expect_err("it is not there");
        assert!(why.contains("nosuch") && !why.contains("chancery: ") && !why.contains("try:"), "{why}");
    }
}
