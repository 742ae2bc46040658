//! `[rotation]`: the programs and hooks by which secrets may be exchanged, and how short an overlap may be.
//!
//! Nobody names another program or URL than those: a caller says a name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use drivers::{Hook, HookWish, Outside, Places, Program, SHORTEST_OVERLAP_SECS, TIME_MAX};
use policy::{Secret, World};
use serde::Deserialize;

use crate::failure::{Failure, OrFail};
use crate::files;

/// `[rotation]`, as it is written; paths are those of the file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rotation {
    shortest_overlap_secs: u64,
    exec: BTreeMap<String, RawProgram>,
    http: BTreeMap<String, RawHook>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawProgram {
    command: Vec<String>,
    #[serde(default = "timeout_default")]
    timeout_secs: u64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawHook {
    url: String,
    roots: PathBuf,
    secret_file: Option<PathBuf>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    #[serde(default = "timeout_default")]
    timeout_secs: u64,
}

impl Default for Rotation {
    fn default() -> Self {
        let shortest_overlap_secs = SHORTEST_OVERLAP_SECS;
        Self { shortest_overlap_secs, exec: BTreeMap::new(), http: BTreeMap::new() }
    }
}

impl Rotation {
    /// With paths that stand beside the file; or the key that is wrong, why, and what to write.
    pub(super) fn check(mut self, dir: &Path) -> Result<Self, (String, String, &'static str)> {
        if self.shortest_overlap_secs == 0 {
            let why = "without an overlap nobody has the time to read the new credential".to_owned();
            return Err(("shortest_overlap_secs".to_owned(), why, "shortest_overlap_secs = 60"));
        }
        let is_name = |name: &str| !name.is_empty() && name.len() <= NAME_BYTES_MAX && name.chars().all(is_of_name);
        let names = self.exec.keys().map(|name| ("exec", name)).chain(self.http.keys().map(|name| ("http", name)));
        for (table, name) in names {
            if !is_name(name) {
                let why = format!("a name is letters, digits, - and _, {NAME_BYTES_MAX} at most");
                return Err((format!("{table}.{name}"), why, "[rotation.exec.router]"));
            }
        }
        for (name, program) in &self.exec {
            if !program.command.first().is_some_and(|program| program.starts_with('/')) {
                let why = "a program is named by its whole path, and looked for nowhere".to_owned();
                return Err((format!("exec.{name}.command"), why, "command = [\"/usr/local/bin/rotate-router\"]"));
            }
            is_time(&format!("exec.{name}"), program.timeout_secs)?;
        }
        for (name, hook) in &mut self.http {
            is_time(&format!("http.{name}"), hook.timeout_secs)?;
            if hook.certificate.is_some() != hook.key.is_some() {
                let why = "a certificate is shown with its key: both or neither".to_owned();
                return Err((format!("http.{name}.key"), why, "key = \"hook.key\""));
            }
            let all = [Some(&mut hook.roots), hook.secret_file.as_mut(), hook.certificate.as_mut(), hook.key.as_mut()];
            for path in all.into_iter().flatten() {
                *path = dir.join(&*path);
            }
        }
        Ok(self)
    }

    /// Reads what the hooks need, and makes the places where secrets are exchanged.
    pub fn places(&self, world: World) -> Result<Places, Failure> {
        let mut outside = Outside::default();
        for (name, RawProgram { command, timeout_secs }) in &self.exec {
            let program = Program { command: command.clone(), time: Duration::from_secs(*timeout_secs) };
            outside.programs.insert(name.clone(), program);
        }
        for (name, raw) in &self.http {
            outside.hooks.insert(name.clone(), hook(name, raw)?);
        }
        Ok(Places::new(outside, self.shortest_overlap_secs, world))
    }
}

fn hook(name: &str, raw: &RawHook) -> Result<Hook, Failure> {
    let secret = raw.secret_file.as_ref().map(|path| secret(path, SECRET_BYTES_MAX)).transpose()?;
    let identity = match (&raw.certificate, &raw.key) {
        (Some(certificate), Some(key)) => Some((files::text(certificate, PEM_BYTES_MAX)?, secret_of(key)?)),
        (_, _) => None,
    };
    let wish = HookWish {
        url: raw.url.clone(),
        roots: files::text(&raw.roots, PEM_BYTES_MAX)?,
        secret,
        identity,
        time: Duration::from_secs(raw.timeout_secs),
    };
    Hook::new(wish).or_fail(format!("[rotation.http.{name}] cannot be used"))
}

fn secret_of(path: &Path) -> Result<Secret<String>, Failure> {
    secret(path, PEM_BYTES_MAX)
}

fn secret(path: &Path, most: u64) -> Result<Secret<String>, Failure> {
    let bytes = files::secret(path, most)?;
    let text = std::str::from_utf8(&bytes).or_fail(format!("{} is no text", path.display()))?;
    Ok(Secret::new(text.trim_end().to_owned()))
}

fn is_time(key: &str, secs: u64) -> Result<(), (String, String, &'static str)> {
    match (1..=TIME_MAX.as_secs()).contains(&secs) {
        true => Ok(()),
        false => {
            let why = format!("{secs} is not in 1..={}", TIME_MAX.as_secs());
            Err((format!("{key}.timeout_secs"), why, "timeout_secs = 30"))
        }
    }
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-' || c == '_'
}

fn timeout_default() -> u64 {
    30
}

const NAME_BYTES_MAX: usize = 64;
const SECRET_BYTES_MAX: u64 = 4 * 1024;
const PEM_BYTES_MAX: u64 = 4 << 20;
