//! `[rotation]`: the programs and hooks by which secrets may be exchanged, whose secrets each is for, which targets are dialled, and how
//! short an overlap may be.
//!
//! Nobody names another program or URL than those: a caller says a name, of one that is for the owner of his secret.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use drivers::{Allowed, Hook, HookWish, Outside, Places, Program, SHORTEST_OVERLAP_SECS, Served, TIME_MAX};
use policy::{Owner, Secret, World};
use serde::Deserialize;

use crate::failure::{Failure, OrFail};
use crate::files;

/// `[rotation]`, as it is written; paths are those of the file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rotation {
    shortest_overlap_secs: u64,
    /// Nothing else is dialled; absent: all but link-local addresses.
    targets: Option<Vec<String>>,
    exec: BTreeMap<String, RawProgram>,
    http: BTreeMap<String, RawHook>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawProgram {
    command: Vec<String>,
    /// Whose secrets it exchanges; it has to be said.
    owners: Option<Vec<Owner>>,
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
    owners: Option<Vec<Owner>>,
    #[serde(default = "timeout_default")]
    timeout_secs: u64,
}

impl Default for Rotation {
    fn default() -> Self {
        let shortest_overlap_secs = SHORTEST_OVERLAP_SECS;
        Self { shortest_overlap_secs, targets: None, exec: BTreeMap::new(), http: BTreeMap::new() }
    }
}

impl Rotation {
    /// With paths that stand beside the file; or the key that is wrong, why, and what to write.
    pub(super) fn check(mut self, dir: &Path) -> Result<Self, (String, String, &'static str)> {
        if self.shortest_overlap_secs == 0 {
            let why = "without an overlap nobody has the time to read the new credential".to_owned();
            return Err(("shortest_overlap_secs".to_owned(), why, "shortest_overlap_secs = 60"));
        }
        if let Some(targets) = &self.targets {
            if targets.len() > TARGETS_MAX {
                let why = format!("at most {TARGETS_MAX} are listed: write a network, or *.domain");
                return Err(("targets".to_owned(), why, "targets = [\"10.1.0.0/16\"]"));
            }
            Allowed::those(targets).map_err(|error| {
                ("targets".to_owned(), error.to_string(), "targets = [\"*.db.example.internal:5432\", \"10.1.0.0/16\"]")
            })?;
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
            is_said(&format!("exec.{name}"), program.owners.as_ref())?;
        }
        for (name, hook) in &mut self.http {
            is_time(&format!("http.{name}"), hook.timeout_secs)?;
            if hook.certificate.is_some() != hook.key.is_some() {
                let why = "a certificate is shown with its key: both or neither".to_owned();
                return Err((format!("http.{name}.key"), why, "key = \"hook.key\""));
            }
            is_said(&format!("http.{name}"), hook.owners.as_ref())?;
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
        for (name, RawProgram { command, owners, timeout_secs }) in &self.exec {
            let what = Program { command: command.clone(), time: Duration::from_secs(*timeout_secs) };
            outside.programs.insert(name.clone(), Served { what, owners: owners.clone().unwrap_or_default() });
        }
        for (name, raw) in &self.http {
            let served = Served { what: hook(name, raw)?, owners: raw.owners.clone().unwrap_or_default() };
            outside.hooks.insert(name.clone(), served);
        }
        let places = Places::new(outside, self.shortest_overlap_secs, world);
        match &self.targets {
            None => Ok(places),
            Some(targets) => {
                Ok(places.within(Allowed::those(targets).or_fail("`targets` of [rotation] cannot be used")?))
            }
        }
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

/// Whose secrets a program or a hook is for is said: it does what it does for whoever writes one of them.
fn is_said(key: &str, owners: Option<&Vec<Owner>>) -> Result<(), (String, String, &'static str)> {
    match owners {
        Some(_) => Ok(()),
        None => {
            let why =
                "whose secrets it exchanges has to be said, since whoever writes one of them has it set a password"
                    .to_owned();
            Err((format!("{key}.owners"), why, "owners = [\"default\"]"))
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
/// More targets are a network.
const TARGETS_MAX: usize = 256;
const SECRET_BYTES_MAX: u64 = 4 * 1024;
const PEM_BYTES_MAX: u64 = 4 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_secrets_a_program_is_for_and_what_is_dialled_is_said_in_words_that_hold() {
        let checked = |text: &str| toml::from_str::<Rotation>(text).expect("TOML").check(Path::new("/"));
        let hook = "[http.x]\nurl = \"https://x\"\nroots = \"r\"";
        for (text, key) in [
            ("[exec.x]\ncommand = [\"/x\"]", "exec.x.owners"),
            (hook, "http.x.owners"),
            ("targets = [\"http://x\"]", "targets"),
        ] {
            assert_eq!(checked(text).expect_err(text).0, key, "{text}");
        }
        for text in [
            "[exec.x]\ncommand = [\"/x\"]\nowners = [\"web\"]",
            "[exec.x]\ncommand = [\"/x\"]\nowners = []",
            &format!("{hook}\nowners = [\"web\"]"),
            "targets = []",
            "targets = [\"*.db.example.internal:5432\", \"10.1.0.0/16\"]",
        ] {
            assert!(checked(text).is_ok(), "{text}");
        }
    }
}
