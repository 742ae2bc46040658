//! How a command fails: one sentence, the chain of causes, what to do about it, and an exit code a script can act on.

use std::error::Error;
use std::fmt;

use serde_json::{Value, json};

use crate::output::printable;

/// The exit codes, part of the interface (`chancery --help` lists them).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Something failed that none of the others describes.
    Failed = 1,
    /// The words of the command are wrong, as they stand: one is missing, is none, or does not go with another. No server was asked, and
    /// nothing was done. Clap exits with it too.
    Usage = 2,
    /// The server, or a policy, refused what was asked.
    Refused = 3,
    /// Not now: the server, the HSM or the database is out of reach, or an operator has to act first. The message says which.
    Unavailable = 4,
    /// `audit verify`, `lint`, `status`, `check` or `restore` found something.
    Findings = 5,
    /// `audit verify` found nothing, and had no key from elsewhere to know the log by.
    Unidentified = 6,
    /// `run` did not start its program. It and the two below are what `env` and shells have, so that they are none of the program's own.
    NotStarted = 125,
    /// The program of `run` cannot be executed.
    NotExecutable = 126,
    /// The program of `run` is not found.
    NotFound = 127,
}

/// What a server calls it that does not know whether something was written.
const OUTCOME_UNKNOWN: &str = "urn:chancery:problem:outcome-unknown";

/// A failed command.
#[derive(Debug)]
pub struct Failure {
    exit: Exit,
    message: String,
    causes: Vec<String>,
    help: Option<String>,
    field: Option<String>,
    /// The server's name for what went wrong.
    kind: Option<Box<str>>,
    /// The status of HTTP with which a server answered.
    status: Option<u16>,
}

impl Failure {
    /// A failure with the exit code `exit`.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), causes: Vec::new(), help: None, field: None, kind: None, status: None }
    }

    /// One of which all is said already, where it is read: nothing more is printed.
    pub fn told(exit: Exit) -> Self {
        Self::new(exit, "")
    }

    /// Whether nothing more is to be said of it.
    pub fn is_told(&self) -> bool {
        self.message.is_empty()
    }

    /// The same with another exit code.
    pub fn exiting(self, exit: Exit) -> Self {
        Self { exit, ..self }
    }

    /// Adds what the reader can do about it.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds what to do where the server has no such thing.
    pub fn help_if_missing(self, help: &str) -> Self {
        match self.is_missing() {
            true => self.help(help),
            false => self,
        }
    }

    /// Whether the server has no such thing.
    pub fn is_missing(&self) -> bool {
        self.status == Some(404)
    }

    /// Whether the server refuses it: of what is not there too, where who asks may not look.
    pub fn is_refused(&self) -> bool {
        self.status == Some(403)
    }

    /// Whether the server does not know who asks.
    pub fn is_of_nobody(&self) -> bool {
        self.status == Some(401)
    }

    /// Whether the server has another state of it than who asks thought.
    pub fn is_conflict(&self) -> bool {
        self.status == Some(409)
    }

    /// Adds a cause that somebody else put into words.
    pub fn since(mut self, cause: impl Into<String>) -> Self {
        self.causes.push(cause.into());
        self
    }

    /// Names the field of a request that the server takes no further.
    pub fn of_field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// Names the kind of problem, as the server calls it.
    pub fn of_kind(mut self, kind: impl Into<Box<str>>) -> Self {
        self.kind = Some(kind.into());
        self
    }

    /// Says with which status of HTTP the server answered.
    pub fn of_status(self, status: u16) -> Self {
        Self { status: Some(status), ..self }
    }

    /// Whether the server calls it so.
    pub fn is_of_kind(&self, kind: &str) -> bool {
        self.kind.as_deref() == Some(kind)
    }

    /// Of a reading: an older server says of one that its outcome is unknown where it could not write it down. Nothing was shown; it was away.
    pub fn of_a_reading(self) -> Self {
        match self.is_of_kind(OUTCOME_UNKNOWN) {
            true => self.exiting(Exit::Unavailable).help("nothing was shown: ask again in a moment"),
            false => self,
        }
    }

    /// The field that the server named.
    pub fn field(&self) -> Option<&str> {
        self.field.as_deref()
    }

    /// Adds an error and everything below it as causes, each said once: some libraries repeat what is below them.
    pub fn because(mut self, cause: &(dyn Error + 'static)) -> Self {
        let mut next = Some(cause);
        while let Some(error) = next {
            let said = error.to_string();
            next = error.source();
            match self.causes.last_mut() {
                Some(last) if last.contains(&said) => {}
                _ => self.causes.push(said),
            }
        }
        self
    }

    /// The failure as one JSON object: `error` and `exit`; `because` and `try` where there is more to say.
    pub fn json(&self) -> Value {
        let mut object = json!({"error": self.message, "exit": self.exit as u8});
        if !self.causes.is_empty() {
            object["because"] = json!(self.causes);
        }
        if let Some(help) = &self.help {
            object["try"] = json!(help);
        }
        object
    }

    /// What failed, in its first sentence.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What failed and why, without what to do about it: for within a sentence of somebody else.
    pub fn within(&self) -> String {
        let said = std::iter::once(&self.message).chain(&self.causes).map(String::as_str);
        said.collect::<Vec<_>>().join(": ")
    }

    /// The process's exit code.
    pub fn exit(&self) -> Exit {
        self.exit
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "chancery: {}", printable(&self.message))?;
        for cause in &self.causes {
            write!(f, "\n  because: {}", printable(cause))?;
        }
        if let Some(help) = &self.help {
            write!(f, "\n  try: {}", printable(help))?;
        }
        Ok(())
    }
}

/// What a failing step was about, said where it is called: `read(path).or_fail("cannot read the plan")?`.
pub trait OrFail<T> {
    /// Turns the error into a [`Failure`] (exit code 1) with `message` in front of its chain.
    fn or_fail(self, message: impl Into<String>) -> Result<T, Failure>;
    /// The same, where a word of the command is what is wrong (exit code 2).
    fn or_usage(self, message: impl Into<String>) -> Result<T, Failure>;
    /// The same with another exit code.
    fn or_exit(self, exit: Exit, message: impl Into<String>) -> Result<T, Failure>;
}

impl<T, E: Error + 'static> OrFail<T> for Result<T, E> {
    fn or_fail(self, message: impl Into<String>) -> Result<T, Failure> {
        self.or_exit(Exit::Failed, message)
    }

    fn or_usage(self, message: impl Into<String>) -> Result<T, Failure> {
        self.or_exit(Exit::Usage, message)
    }

    fn or_exit(self, exit: Exit, message: impl Into<String>) -> Result<T, Failure> {
        self.map_err(|error| Failure::new(exit, message).because(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_tells_its_chain_and_what_to_do() {
        let io = std::io::Error::other("no such disk");
        let said = Failure::new(Exit::Failed, "cannot open the register").because(&io).help("mount it").to_string();
        assert_eq!(said, "chancery: cannot open the register\n  because: no such disk\n  try: mount it");
    }

    #[test]
    fn within_another_sentence_a_failure_is_named_once() {
        let io = std::io::Error::other("no such file");
        let failure = Failure::new(Exit::Failed, "cannot read keys").because(&io).help("name another");
        let outer = Failure::new(Exit::Usage, failure.within()).to_string();
        assert_eq!(outer, "chancery: cannot read keys: no such file");
    }

    #[test]
    fn a_reading_whose_outcome_nobody_knows_showed_nothing_and_is_asked_for_again() {
        let of = |kind: &str| Failure::new(Exit::Failed, "no").of_kind(kind).of_a_reading().exit();
        assert_eq!(of("urn:chancery:problem:outcome-unknown"), Exit::Unavailable);
        assert_eq!(of("urn:chancery:problem:internal"), Exit::Failed);
    }

    #[test]
    fn what_a_server_refused_is_told_by_its_status_and_by_no_word() {
        let of = |status: u16| Failure::new(Exit::Failed, "no").of_status(status);
        assert!(of(404).is_missing() && !of(404).is_refused());
        assert!(of(403).is_refused() && !of(403).is_missing());
        assert!(of(401).is_of_nobody() && of(409).is_conflict());
        assert!(of(404).exiting(Exit::Unavailable).help("wait").since("it is away").is_missing(), "whatever is added");
        // A server has the words of a detail from whoever asked.
        for said in
            ["Invalid (422): no label is (404) (403) (401) (409)", "Not found (404)", "Forbidden (403)", "404", "403"]
        {
            for failure in [Failure::new(Exit::Failed, said), Failure::new(Exit::Failed, said).of_status(422)] {
                assert!(!failure.is_missing() && !failure.is_refused(), "{said}");
                assert!(!failure.is_of_nobody() && !failure.is_conflict(), "{said}");
                assert_eq!(failure.help_if_missing("make one").json().get("try"), None, "{said}");
            }
        }
    }

    #[test]
    fn a_failure_is_one_json_object() {
        assert_eq!(Failure::new(Exit::Refused, "no").json(), json!({"error": "no", "exit": 3}));
        let io = std::io::Error::other("no such disk");
        let full = Failure::new(Exit::Failed, "no").because(&io).help("mount it").json();
        assert_eq!(full, json!({"error": "no", "exit": 1, "because": ["no such disk"], "try": "mount it"}));
    }
}
