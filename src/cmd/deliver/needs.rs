//! `.chancery.toml`: what an application needs, written beside its code. It holds names and references, and never a value, so it is committed.
//!
//! A reference has `{env}` where the environment stands: the same file serves development, test and production, which are levels of paths or
//! owners of their own, and what keeps them apart are the policies, not this file.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use delivery::template::placed;
use delivery::{FileName, Given, Place, Reads, VariableName};
use secrets::{Kind, Reference};
use serde::Deserialize;

use crate::failure::{Exit, Failure, OrFail};
use crate::files;
use crate::written::written;

/// Its name, in the folder where a command is given.
const FILE: &str = ".chancery.toml";
/// Names and references of an application are a few KiB.
const FILE_BYTES_MAX: u64 = 64 << 10;
/// An application needs some dozens.
const NEEDS_MAX: usize = 256;

/// Which environment, and what is needed there.
#[derive(clap::Args, Default)]
pub struct Environment {
    /// The environment that {env} stands for in references (or CHANCERY_ENVIRONMENT), instead of the default of .chancery.toml
    #[arg(long, value_name = "NAME", env = "CHANCERY_ENVIRONMENT", hide_env = true)]
    environment: Option<String>,
    /// What the application needs, instead of .chancery.toml in this folder
    #[arg(long, value_name = "FILE")]
    needs: Option<PathBuf>,
}

impl Environment {
    /// Whether anybody said anything of it.
    pub fn is_said(&self) -> bool {
        self.environment.is_some() || self.needs.is_some()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    #[serde(default)]
    environments: Vec<String>,
    default: Option<String>,
    #[serde(default)]
    need: BTreeMap<String, RawNeed>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawNeed {
    reference: String,
    #[serde(default)]
    place: RawPlace,
    kind: Option<String>,
    #[serde(default)]
    optional: bool,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawPlace {
    #[default]
    File,
    Fifo,
    Credential,
    Env,
}

/// What an application needs, in one environment.
pub struct Needs {
    /// Each, in the order of their names.
    pub all: Vec<Need>,
    /// What `{env}` stands for; none where nobody says.
    pub environment: Option<String>,
}

/// One thing that it needs.
pub struct Need {
    /// Under which name.
    pub name: String,
    /// What.
    pub reference: Reference,
    /// Of which kind it has to be.
    pub kind: Option<Kind>,
    /// Whether it goes without.
    pub optional: bool,
    place: Place,
}

impl Need {
    /// Where a program finds it.
    pub fn given(&self) -> Given {
        Given { reference: self.reference.clone(), place: self.place.clone() }
    }
}

impl Needs {
    /// As the file says; none where there is none, and nobody named one.
    pub fn load(args: &Environment) -> Result<Option<Needs>, Failure> {
        let path = args.needs.as_deref().unwrap_or(Path::new(FILE));
        if args.needs.is_none() && path.symlink_metadata().is_err() {
            return Ok(None);
        }
        let text = files::text(path, FILE_BYTES_MAX)?;
        Needs::read(&text, args.environment.as_deref()).map(Some).map_err(|why| {
            let failure = Failure::new(Exit::Failed, format!("{} cannot be used", files::shown(path))).since(why);
            failure.help("docs/SECRETS.md has an example; say --environment NAME where it has several")
        })
    }

    /// Those that it goes without.
    pub fn optional(&self) -> HashSet<Reference> {
        let required: HashSet<&Reference> =
            self.all.iter().filter(|need| !need.optional).map(|need| &need.reference).collect();
        let optional = self.all.iter().filter(|need| need.optional && !required.contains(&need.reference));
        optional.map(|need| need.reference.clone()).collect()
    }

    fn read(text: &str, said: Option<&str>) -> Result<Needs, String> {
        let raw: Raw = toml::from_str(text).map_err(|error| {
            let (line, why) = written(text, &error);
            format!("{line}: {why}")
        })?;
        if raw.need.len() > NEEDS_MAX {
            return Err(format!("an application needs {NEEDS_MAX} at most"));
        }
        let environment = chosen(&raw.environments, raw.default.as_deref(), said)?;
        let all = raw.need.into_iter().map(|(name, raw)| need(name, raw, environment)).collect::<Result<_, _>>()?;
        Ok(Needs { all, environment: environment.map(str::to_owned) })
    }
}

/// The environment that is said, or a file's default; it has to be one of those that the file has.
pub fn chosen<'a>(
    there: &[String],
    default: Option<&'a str>,
    said: Option<&'a str>,
) -> Result<Option<&'a str>, String> {
    let Some(name) = said.or(default) else { return Ok(None) };
    is_environment(name)?;
    match there.iter().any(|one| one == name) {
        true => Ok(Some(name)),
        false => Err(format!("there is no environment `{name}`: environments = [{}]", there.join(", "))),
    }
}

/// A level of a path: small letters, digits and hyphens.
fn is_environment(name: &str) -> Result<(), String> {
    let is_known = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    match !name.is_empty() && name.len() <= ENVIRONMENT_BYTES_MAX && name.chars().all(is_known) {
        true => Ok(()),
        false => Err(format!("`{}` is no environment: small letters, digits and hyphens", policy::shown(name))),
    }
}

/// `development` has eleven.
const ENVIRONMENT_BYTES_MAX: usize = 32;

fn need(name: String, raw: RawNeed, environment: Option<&str>) -> Result<Need, String> {
    let at = |why: String| format!("[need.{}]: {why}", policy::shown(&name));
    let reference = placed(&raw.reference, environment).map_err(at)?;
    let kind = raw.kind.map(|kind| kind.parse::<Kind>()).transpose().map_err(|error| at(error.to_string()))?;
    let variable = || name.parse::<VariableName>().map_err(|error| at(error.to_string()));
    let place = match raw.place {
        RawPlace::File => Place::MemoryFile(variable()?),
        RawPlace::Fifo => Place::Fifo(variable()?, Reads::Unbounded),
        RawPlace::Env => Place::Environment(variable()?),
        RawPlace::Credential => Place::Directory(name.parse::<FileName>().map_err(|error| at(error.to_string()))?),
    };
    Ok(Need { name, reference, kind, optional: raw.optional, place })
}

/// The environment that is said or the file's default, where only that is asked.
pub fn environment(args: &Environment) -> Result<Option<String>, Failure> {
    match Needs::load(args)? {
        Some(needs) => Ok(needs.environment),
        None => {
            let said = args.environment.clone();
            said.as_deref().map_or(Ok(()), is_environment).map_err(|why| Failure::new(Exit::Usage, why))?;
            Ok(said)
        }
    }
}

/// The needs, which have to be there.
pub fn required(args: &Environment) -> Result<Needs, Failure> {
    let none = || {
        Failure::new(Exit::Usage, format!("there is no {FILE} in this folder"))
            .help("go to the application's folder, or name the file with --needs FILE; docs/SECRETS.md has an example")
    };
    std::env::current_dir().or_fail("this folder cannot be used")?;
    Needs::load(args)?.ok_or_else(none)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
environments = ["dev", "prod"]
default = "dev"
[need.DB_PASSWORD]
reference = "chy://{env}/db#password"
kind = "database-password"
[need.API_KEY]
reference = "chy://{env}/api/key"
place = "env"
optional = true
[need.SHARED]
reference = "chy://shared/ca"
"#;

    fn read(text: &str, said: Option<&str>) -> Result<Vec<String>, String> {
        Ok(Needs::read(text, said)?.all.iter().map(|need| need.reference.to_string()).collect())
    }

    #[test]
    fn one_file_serves_every_environment_that_it_names() {
        let of = |env: &str| {
            let all =
                [format!("chy://{env}/api/key"), format!("chy://{env}/db#password"), "chy://shared/ca".to_owned()];
            all.map(|text| text.parse::<Reference>().unwrap().to_string()).to_vec()
        };
        assert_eq!(read(GOOD, None), Ok(of("dev")));
        assert_eq!(read(GOOD, Some("prod")), Ok(of("prod")));
        for (said, word) in
            [("test", "there is no environment"), ("../prod", "is no environment"), ("", "is no environment")]
        {
            assert!(read(GOOD, Some(said)).unwrap_err().contains(word), "{said}");
        }
        assert!(read(&GOOD.replace("default", "# default"), None).unwrap_err().contains("--environment"));
        assert_eq!(Needs::read(GOOD, None).unwrap().optional().len(), 1);
    }

    #[test]
    fn a_mistake_is_said_by_its_place() {
        for (from, to, word) in [
            ("chy://shared/ca", "hunter2", "[need.SHARED]"),
            ("\"database-password\"", "\"password\"", "[need.DB_PASSWORD]"),
            // What stands there is not said again: it may be a value in a wrong place.
            ("\"env\"", "\"argument\"", "expected one of"),
            ("need.SHARED", "need.\"A B\"", "[need.A B]"),
            ("optional", "opional", "opional"),
            ("[need.SHARED]", "[need.SHARED]\nvalue = \"x\"", "value"),
        ] {
            let said = read(&GOOD.replace(from, to), None).unwrap_err();
            assert!(said.contains(word), "{to}: {said}");
        }
        let many: String = (0..=NEEDS_MAX).map(|n| format!("[need.N{n}]\nreference = \"chy://a\"\n")).collect();
        assert!(read(&many, None).unwrap_err().contains("256"));
    }
}
