//! What is said when a delivery does not come about.

use std::io;
use std::path::PathBuf;

use crate::plan::PlanError;

/// Why the program was not started, or not started again.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// The plan contradicts itself.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A reference of the plan has no value.
    #[error("{0} has no value: it was not fetched")]
    Missing(String),
    /// A value that its place cannot hold.
    #[error("the value of {reference} cannot stand in {place}: {because}")]
    Unfit {
        /// Whose value.
        reference: String,
        /// Where it was to stand.
        place: String,
        /// Why not, and what to do.
        because: &'static str,
    },
    /// No folder in memory.
    #[error(
        "no folder lies in memory alone ({tried}): make XDG_RUNTIME_DIR or /dev/shm a tmpfs, or allow a disk by name"
    )]
    NoMemoryFolder {
        /// Which were looked at.
        tried: String,
    },
    /// The program is not there: exit code 127.
    #[error("{} is not found", .0.display())]
    NotFound(PathBuf),
    /// The program is there and cannot be executed: exit code 126.
    #[error("{} cannot be executed", .path.display())]
    NotExecutable {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The system refuses something.
    #[error("{doing} is refused by the system")]
    System {
        /// What was to be done.
        doing: &'static str,
        /// What it says.
        source: io::Error,
    },
}

impl DeliveryError {
    /// The exit code that shells use for it: 127 not found, 126 not executable, otherwise 125 as `env` and `timeout` have it.
    pub fn exit_code(&self) -> u8 {
        match self {
            DeliveryError::NotFound(_) => 127,
            DeliveryError::NotExecutable { .. } => 126,
            DeliveryError::Plan(_)
            | DeliveryError::Missing(_)
            | DeliveryError::Unfit { .. }
            | DeliveryError::NoMemoryFolder { .. }
            | DeliveryError::System { .. } => 125,
        }
    }
}

/// Says what was being done when the system refused.
pub(crate) trait Doing<T> {
    /// `doing` reads as the beginning of "... is refused by the system".
    fn doing(self, doing: &'static str) -> Result<T, DeliveryError>;
}

impl<T, E: Into<io::Error>> Doing<T> for Result<T, E> {
    fn doing(self, doing: &'static str) -> Result<T, DeliveryError> {
        self.map_err(|error| DeliveryError::System { doing, source: error.into() })
    }
}
