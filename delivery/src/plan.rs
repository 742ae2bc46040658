//! The plan: which program, which secrets in which places, and what a change does.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ffi::{OsStr, OsString};
use std::num::NonZeroU32;
use std::time::Duration;

use rustix::process::Signal;
use secrets::Reference;

use crate::nouns::{FileName, VariableName};

/// How often a FIFO gives its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// So often, and then it is gone.
    Times(NonZeroU32),
    /// To each who opens it, until the program's end.
    Unbounded,
}

/// Where the program finds a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A sealed file in memory alone; the variable holds its path.
    MemoryFile(VariableName),
    /// A FIFO in a folder of our own; the variable holds its path, and a reader waits until it is served.
    Fifo(VariableName, Reads),
    /// A file of the credential directory, whose path stands in `CREDENTIALS_DIRECTORY` as systemd's does.
    Directory(FileName),
    /// Standard input: the value, then the end.
    StandardInput,
    /// A variable of its environment, which everybody who may look at the program can read.
    Environment(VariableName),
}

/// One secret in one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// Which secret.
    pub reference: Reference,
    /// Where it stands.
    pub place: Place,
}

/// What a new value does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnChange {
    /// Nothing: the program keeps what it has.
    Nothing,
    /// The program is ended (TERM, after this grace KILL), with it what it leaves behind, and started anew with the new values.
    Restart {
        /// How long it has to end, and what it leaves behind in the same time.
        grace: Duration,
    },
    /// The places get the new values, then the program gets this signal.
    Signal(Signal),
    /// The places get the new values, and the program looks for itself.
    Replace,
}

/// What becomes of what the program prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Printing {
    /// Values are masked. Where our standard output is a terminal the program has one too, a pseudo terminal.
    Masked,
    /// The program has our standard output and error themselves.
    Inherited,
}

/// Whether a folder may lie where it could be written to a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskRule {
    /// Memory alone (tmpfs, ramfs); without one the run is refused.
    MemoryOnly,
    /// The folder for temporary files, where there is no memory.
    MayBeDisk,
}

/// Everything that [`run`](crate::run()) needs to know but the values.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The program: a path, or a name that is looked for in the `PATH` of `environment`.
    pub program: OsString,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Its environment, before the places add to it.
    pub environment: BTreeMap<OsString, OsString>,
    /// Whether a variable of `environment` whose whole value is a reference gets the value instead.
    pub resolve_environment: bool,
    /// The secrets and their places.
    pub given: Vec<Given>,
    /// Whether what it prints is masked.
    pub printing: Printing,
    /// What a new value does.
    pub on_change: OnChange,
    /// Whether folders may lie on a disk.
    pub disk: DiskRule,
    /// Whether the program ends when we are killed (TERM, and KILL after [`ORPHAN_GRACE`]).
    pub ends_with_us: bool,
    /// Whether processes that lost their parents below us are waited for (PR_SET_CHILD_SUBREAPER). The first process of a container
    /// does so in any case.
    pub reaps: bool,
}

impl Plan {
    /// A plan with nothing given: output masked, memory alone, nothing done on change.
    pub fn new(program: impl Into<OsString>) -> Plan {
        Plan {
            program: program.into(),
            arguments: Vec::new(),
            environment: BTreeMap::new(),
            resolve_environment: false,
            given: Vec::new(),
            printing: Printing::Masked,
            on_change: OnChange::Nothing,
            disk: DiskRule::MemoryOnly,
            ends_with_us: false,
            reaps: false,
        }
    }

    /// Each secret that it names, for whoever fetches them.
    ///
    /// # Errors
    /// [`PlanError`] when a variable holds something that begins as a reference and is none.
    pub fn asks(&self) -> Result<HashSet<Reference>, PlanError> {
        let given = self.given.iter().map(|given| given.reference.clone());
        let variables = self.referring()?.into_iter().map(|(_, reference)| reference);
        Ok(given.chain(variables).collect())
    }

    /// The variables whose values are references.
    pub(crate) fn referring(&self) -> Result<Vec<(&OsStr, Reference)>, PlanError> {
        let ours = self.environment.iter().filter(|(_, value)| self.resolve_environment && begins_as_reference(value));
        ours.map(|(name, value)| {
            let reference = value.to_string_lossy().parse();
            let shown = || PlanError::NoReference { variable: name.to_string_lossy().into_owned() };
            reference.map(|reference| (name.as_os_str(), reference)).map_err(|_| shown())
        })
        .collect()
    }

    /// Holds it against itself: no place twice, and a change reaches each place.
    ///
    /// # Errors
    /// What contradicts what.
    pub fn check(&self) -> Result<(), PlanError> {
        let mut names = BTreeSet::new();
        for given in &self.given {
            let name = match &given.place {
                Place::MemoryFile(name) | Place::Fifo(name, _) | Place::Environment(name) => name.to_string(),
                Place::Directory(file) => format!("{CREDENTIALS_DIRECTORY}/{file}"),
                Place::StandardInput => "standard input".to_owned(),
            };
            if !names.insert(name.clone()) {
                return Err(PlanError::Twice(name));
            }
        }
        let has_folder = self.given.iter().any(|given| matches!(given.place, Place::Directory(_)));
        if has_folder && names.contains(CREDENTIALS_DIRECTORY) {
            return Err(PlanError::Twice(CREDENTIALS_DIRECTORY.to_owned()));
        }
        match self.on_change {
            OnChange::Nothing | OnChange::Restart { .. } => Ok(()),
            OnChange::Signal(_) | OnChange::Replace => self.follows(),
        }
    }

    /// Whether each place can get a new value while the program runs.
    fn follows(&self) -> Result<(), PlanError> {
        let fixed = |place: &Place| match place {
            Place::Fifo(_, Reads::Unbounded) | Place::Directory(_) => None,
            Place::MemoryFile(name) | Place::Environment(name) | Place::Fifo(name, Reads::Times(_)) => {
                Some(name.to_string())
            }
            Place::StandardInput => Some("standard input".to_owned()),
        };
        let variable = self.referring()?.into_iter().map(|(name, _)| name.to_string_lossy().into_owned()).next();
        match self.given.iter().find_map(|given| fixed(&given.place)).or(variable) {
            Some(place) => Err(PlanError::Fixed(place)),
            None => Ok(()),
        }
    }
}

/// Whether a value begins as a reference, be it behind blanks, quotes or the braces of a template: who wrote it meant one, and a program
/// that is given the text itself as a password says only that it is wrong.
fn begins_as_reference(value: &OsStr) -> bool {
    let is_beside = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'"' | b'\'' | b'`' | b'{');
    let bytes = value.as_encoded_bytes();
    let begin = bytes.iter().take_while(|byte| is_beside(byte)).count();
    let scheme = bytes.get(begin..begin + Reference::SCHEME.len());
    scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case(Reference::SCHEME.as_bytes()))
}

/// A plan that contradicts itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// One place for two values.
    #[error("{0} is given twice: each place holds one value")]
    Twice(String),
    /// A place whose value stays as it was when the program began.
    #[error(
        "{0} keeps the value it began with: restart the program on change, or give this secret in the credential \
         directory or an unbounded FIFO"
    )]
    Fixed(String),
    /// A variable with something that is almost a reference. What it is, is not shown.
    #[error(
        "{variable} begins as a reference and is none: write chy://PATH#FIELD@LABEL, without blanks, quotes or braces \
         around it"
    )]
    NoReference {
        /// Which.
        variable: String,
    },
}

/// The variable that systemd gives its services (systemd.exec(5), CREDENTIALS).
pub(crate) const CREDENTIALS_DIRECTORY: &str = "CREDENTIALS_DIRECTORY";
/// How long a program has to end once we are gone, when it is to end with us.
pub const ORPHAN_GRACE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(places: Vec<Place>, on_change: OnChange) -> Plan {
        let given = places.into_iter().map(|place| Given { reference: "chy://a".parse().unwrap(), place }).collect();
        Plan { given, on_change, ..Plan::new("true") }
    }

    #[test]
    fn one_place_holds_one_value() {
        let name = |text: &str| text.parse::<VariableName>().unwrap();
        let twice = |places| plan(places, OnChange::Nothing).check();
        assert!(twice(vec![Place::MemoryFile(name("A")), Place::Environment(name("B"))]).is_ok());
        assert!(twice(vec![Place::MemoryFile(name("A")), Place::Environment(name("A"))]).is_err());
        assert!(twice(vec![Place::StandardInput, Place::StandardInput]).is_err());
        let file = Place::Directory("a".parse().unwrap());
        assert!(twice(vec![file.clone(), Place::Environment(name("CREDENTIALS_DIRECTORY"))]).is_err());
        assert!(twice(vec![file.clone(), file]).is_err());
    }

    #[test]
    fn a_change_without_a_restart_wants_places_that_follow() {
        let name = |text: &str| text.parse::<VariableName>().unwrap();
        let once = Reads::Times(NonZeroU32::MIN);
        let file = Place::Directory("a".parse().unwrap());
        for (place, follows) in [
            (file, true),
            (Place::Fifo(name("A"), Reads::Unbounded), true),
            (Place::Fifo(name("A"), once), false),
            (Place::MemoryFile(name("A")), false),
            (Place::Environment(name("A")), false),
            (Place::StandardInput, false),
        ] {
            let grace = Duration::from_secs(1);
            assert!(plan(vec![place.clone()], OnChange::Restart { grace }).check().is_ok());
            assert_eq!(plan(vec![place.clone()], OnChange::Signal(Signal::HUP)).check().is_ok(), follows, "{place:?}");
            assert_eq!(plan(vec![place.clone()], OnChange::Replace).check().is_ok(), follows, "{place:?}");
        }
    }

    #[test]
    fn references_in_the_environment_are_asked_for_when_that_is_wanted() {
        let mut plan = Plan::new("true");
        plan.environment = BTreeMap::from([("A".into(), "chy://x#y".into()), ("B".into(), "see chy://z".into())]);
        assert!(plan.asks().unwrap().is_empty());
        plan.resolve_environment = true;
        assert_eq!(plan.asks().unwrap(), HashSet::from(["chy://x#y".parse().unwrap()]));
        assert_eq!(
            Plan { on_change: OnChange::Replace, ..plan.clone() }.check(),
            Err(PlanError::Fixed("A".to_owned()))
        );
        let almost = [
            "chy://x@@",
            "\"chy://x\"",
            "'chy://x'",
            " chy://x",
            "chy://x ",
            "\t' CHY://x",
            "{{ chy://x }}",
            "Chy://x",
        ];
        for almost in almost {
            plan.environment.insert("C".into(), almost.into());
            assert_eq!(plan.asks(), Err(PlanError::NoReference { variable: "C".to_owned() }), "{almost}");
        }
    }
}
