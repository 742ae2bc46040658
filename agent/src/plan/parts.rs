//! What certificates and secrets are both written with: names, users and groups, commands and how long they may take.

use std::time::Duration;

use super::certificate::IDENTITY;
use super::command::Reload;
use super::place::Place;
use crate::error::{PlanError, bounded};

/// Whether a certificate or a file can be called so.
pub(super) fn is_name(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
    let fits = text.len() <= 63 && text.chars().all(plain) && text.starts_with(|c: char| c.is_ascii_alphanumeric());
    fits && !RESERVED.contains(&text)
}

/// The number of a user or a group.
pub(super) fn id(
    at: &Place<'_>,
    name: Option<&str>,
    look_up: fn(&str) -> Option<u32>,
) -> Result<Option<u32>, PlanError> {
    let Some(name) = name else { return Ok(None) };
    look_up(name).map(Some).ok_or_else(|| {
        at.refuse(
            format!("{:?} is not known on this host", bounded(name, 80)),
            &format!("{} = \"www-data\", or its number", at.last()),
        )
    })
}

/// A command and how long it may take.
pub(super) fn command(
    at: &Place<'_>,
    key: &str,
    argv: Option<Vec<String>>,
    (timeout_key, timeout_secs): (&str, Option<u64>),
) -> Result<Option<Reload>, PlanError> {
    let Some(argv) = argv else { return Ok(None) };
    let mut words = argv.into_iter();
    let program = words
        .next()
        .filter(|p| !p.is_empty())
        .ok_or_else(|| at.at(key).refuse("no program", &format!("{key} = [\"systemctl\", \"reload\", \"nginx\"]")))?;
    let timeout = timeout(&at.at(timeout_key), timeout_secs.unwrap_or(60))?;
    Ok(Some(Reload { program, args: words.collect(), timeout }))
}

/// Seconds that a command or a look may take.
pub(super) fn timeout(at: &Place<'_>, secs: u64) -> Result<Duration, PlanError> {
    if secs == 0 || secs > TIMEOUT_SECS_MAX {
        let example = format!("{} = 30", at.last());
        return Err(at.refuse(format!("{secs} is not between 1 and {TIMEOUT_SECS_MAX}"), &example));
    }
    Ok(Duration::from_secs(secs))
}

/// The cache's folder in the state folder.
pub(super) const CACHE: &str = "cache";
/// Longest a reload or a check may take: a certificate is kept by one task, which waits.
const TIMEOUT_SECS_MAX: u64 = 600;
/// Names that are taken in the state folder.
const RESERVED: [&str; 4] = [IDENTITY, "acme", "lock", CACHE];
