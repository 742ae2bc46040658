//! What lints have to say.

use std::fmt;

use crate::lint::named::Lint;

/// A lint that does not hold, and what is known of the place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The lint.
    pub lint: &'static Lint,
    /// What was read there.
    pub detail: Option<String>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.lint.name, self.lint.says)?;
        if let Some(detail) = &self.detail {
            write!(f, ": {detail}")?;
        }
        write!(f, " ({})", self.lint.clauses.join(", "))
    }
}

/// Findings, in the order they were made.
#[derive(Default)]
pub(crate) struct Findings(pub(crate) Vec<Finding>);

impl Findings {
    /// A lint does not hold.
    pub(crate) fn add(&mut self, lint: &'static Lint) {
        self.0.push(Finding { lint, detail: None });
    }

    /// A lint does not hold, and this was read.
    pub(crate) fn add_with(&mut self, lint: &'static Lint, detail: impl Into<String>) {
        self.0.push(Finding { lint, detail: Some(detail.into()) });
    }

    /// A finding unless the lint holds.
    pub(crate) fn hold(&mut self, lint: &'static Lint, holds: bool) {
        if !holds {
            self.add(lint);
        }
    }

    /// What was read, or a finding that `what` could not be.
    pub(crate) fn read<T, E: fmt::Display>(
        &mut self,
        lint: &'static Lint,
        what: &str,
        read: Result<T, E>,
    ) -> Option<T> {
        match read {
            Ok(value) => Some(value),
            Err(e) => {
                self.add_with(lint, format!("{what}: {e}"));
                None
            }
        }
    }
}
