//! What can go wrong, named for what the reader can do about it.
//!
//! No variant ever carries a key, a token, or a response body that might hold one.

use std::io;
use std::path::{Path, PathBuf};

/// A plan that cannot be used: where, why, and the line to write instead.
#[derive(Debug, thiserror::Error)]
#[error("{}: {key}: {reason}; write instead: {write}", file.display())]
pub struct PlanError {
    /// The plan file.
    pub file: PathBuf,
    /// The key in it, as a dotted path.
    pub key: String,
    /// Why its value cannot be used.
    pub reason: String,
    /// The line that would be accepted.
    pub write: String,
}

/// Everything the agent can fail with.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// Correct the plan.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// Another agent works on the same state folder: stop it, or give this one a folder of its own.
    #[error("{} is locked: another agent is running on this state_dir", path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// A file that holds a secret may be read by others: tighten it.
    #[error("{} has mode {mode:04o} and would give its secret to others; run: chmod {want} {}", path.display(), path.display())]
    Exposed {
        /// The file or folder.
        path: PathBuf,
        /// The mode it has.
        mode: u32,
        /// The mode it should have.
        want: &'static str,
    },
    /// The disk refused: free space, correct rights, or create the folder.
    #[error("{}: {what}", path.display())]
    Disk {
        /// The file.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file's content cannot be used.
    #[error("{}: {why}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The server asked to come back later.
    #[error("{who} is busy, asks to wait {retry_after_secs} s: {why}")]
    Busy {
        /// The server.
        who: String,
        /// How long it asked to wait.
        retry_after_secs: u64,
        /// What it said.
        why: String,
    },
    /// The server said no: correct the plan, or the rights of this host.
    #[error("{who} refused: {why}")]
    Refused {
        /// The server.
        who: String,
        /// What it said.
        why: String,
    },
    /// The server could not be reached, or what came back was not an answer.
    #[error("{who}: {why}")]
    Unreachable {
        /// The server.
        who: String,
        /// What happened.
        why: String,
    },
    /// Somebody else answers in the server's place, or its certificate is none that `ca_file` vouches for.
    #[error("{who} is not believed: {why}")]
    Distrusted {
        /// The server.
        who: String,
        /// What TLS says.
        why: String,
    },
    /// What answers there does not answer as Chancery does.
    #[error("{who}: {why}")]
    Broken {
        /// The server.
        who: String,
        /// What came.
        why: String,
    },
    /// Nothing of a file's secrets is used, as one of them is not to be had.
    #[error("{}", absent(.0))]
    Absent(Vec<delivery::exchange::Absent>),
    /// No value is left that may be used.
    #[error("{because}{}", ended.as_ref().map_or_else(String::new, |ended| format!("; and {ended}")))]
    Over {
        /// Why the server gave none.
        because: String,
        /// Whether it refused.
        is_refused: bool,
        /// Why nothing that was kept can be used, where that was asked.
        ended: Option<String>,
    },
    /// The sealed cache cannot be used.
    #[error("the cache cannot be used")]
    Cache(#[from] delivery::cache::CacheError),
    /// No usable credential for the server.
    #[error("no credential for {who}: {why}")]
    NoCredential {
        /// The server.
        who: String,
        /// What was looked for.
        why: String,
    },
    /// What was fetched is not the certificate that was asked for; no file was touched.
    #[error("the fetched certificate was not installed: {0}")]
    Unfit(String),
    /// The local key could not be made or used.
    #[error("key: {0}")]
    Key(String),
    /// The reload command failed.
    #[error("reload: {0}")]
    Reload(String),
    /// The service does not serve the new certificate.
    #[error("check: {0}")]
    Check(String),
    /// The agent was told to end before this was done; the next run goes on.
    #[error("stopped")]
    Stopped,
}

impl AgentError {
    /// An error of the disk at `path`.
    pub(crate) fn disk(path: &Path, what: &'static str, source: io::Error) -> Self {
        Self::Disk { path: path.to_owned(), what, source }
    }

    /// The server does not answer, or says that it cannot now: what was kept of it may be used.
    pub(crate) fn is_away(&self) -> bool {
        matches!(self, Self::Busy { .. } | Self::Unreachable { .. })
    }

    /// The server says no: what was kept of it may not be used either.
    pub(crate) fn is_refusal(&self) -> bool {
        match self {
            Self::Refused { .. } => true,
            Self::Absent(absent) => absent.iter().any(delivery::exchange::Absent::is_taken_away),
            _ => false,
        }
    }

    /// The server has the secrets and gives them, and a field lacks: a mistake of the plan, or of whoever wrote them.
    pub(crate) fn is_mistake(&self) -> bool {
        matches!(self, Self::Absent(absent) if !self.is_refusal() && absent.iter().any(|one| one.lacks_field))
    }

    /// The error and its causes on one line, bounded: for status files and logs.
    pub(crate) fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        bounded(&text, ERROR_CHARS_MAX)
    }
}

fn absent(absent: &[delivery::exchange::Absent]) -> String {
    let each: Vec<String> = absent.iter().map(ToString::to_string).collect();
    format!("not to be had: {}", each.join("; "))
}

/// `text` on one line, at most `max` characters long.
pub(crate) fn bounded(text: &str, max: usize) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(max).collect();
    line.trim().to_owned()
}

/// Longest error text kept in a status file: enough for a problem's detail and a command's last lines.
const ERROR_CHARS_MAX: usize = 1500;
