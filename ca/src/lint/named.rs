//! A lint as a value, and the macro that makes tables of them.

use std::fmt;

/// One thing that holds of a good object.
#[derive(Debug, PartialEq, Eq)]
pub struct Lint {
    /// What holds, as one word that never changes: `leaf-is-not-a-ca`.
    pub name: &'static str,
    /// How bad it is where it does not hold.
    pub severity: Severity,
    /// What is wrong where it does not hold.
    pub says: &'static str,
    /// The clauses that demand it: `RFC 5280 4.2.1.9`, `BR 7.1.2.7.8`, `CPS 7.1.2`.
    pub clauses: &'static [&'static str],
}

/// How bad a finding is. A draft of ours is refused for errors and warnings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing; nobody forbids it.
    Notice,
    /// A SHOULD is not followed, or software in use stumbles over it.
    Warning,
    /// A MUST is broken.
    Error,
}

impl Severity {
    /// As one word.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Notice => "notice",
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A table of lints: each a static of its own, and the list of all.
macro_rules! lints {
    ($table:ident; $($lint:ident $severity:ident $name:literal $says:literal [$($clause:literal),+ $(,)?])+) => {
        $(#[doc = $says]
        pub(crate) static $lint: $crate::lint::Lint = $crate::lint::Lint {
            name: $name,
            severity: $crate::lint::Severity::$severity,
            says: $says,
            clauses: &[$($clause),+],
        };)+
        /// All of them.
        pub(crate) static $table: &[&$crate::lint::Lint] = &[$(&$lint),+];
    };
}

pub(crate) use lints;
