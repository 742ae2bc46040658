//! Why an item of a batch, or all of it, came to nothing.

/// What went wrong. Nothing of a plaintext or a key is in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransitError {
    /// It is no text of ours.
    #[error("it does not read as `chy:vN:` and base64: give back what was answered, unchanged")]
    Malformed,
    /// The key never had this version.
    #[error(
        "this key has no version {0}: name one that it has; of a text, it is another key's, or of a register that is ahead of this one"
    )]
    NoVersion(u32),
    /// The version is not used any more.
    #[error(
        "version {version} of this key is used no more, those from {least} on are: lower the least version, or use a newer one"
    )]
    Retired {
        /// The one that is meant.
        version: u32,
        /// The oldest that is used for this.
        least: u32,
    },
    /// Keys of this kind do something else.
    #[error("a key of the kind {kind} does not {act}: take one of the kind {}", .takes.join(" or "))]
    NotForKind {
        /// The key's.
        kind: &'static str,
        /// What was asked.
        act: &'static str,
        /// Kinds that do.
        takes: &'static [&'static str],
    },
    /// There is no such mode for this kind.
    #[error("a key of the kind {kind} cannot be {mode}: {why}")]
    NoMode {
        /// The kind.
        kind: &'static str,
        /// The mode.
        mode: &'static str,
        /// Why.
        why: &'static str,
    },
    /// A derived key was asked without one.
    #[error("this key is derived: say for which context")]
    ContextMissing,
    /// A key that is not derived was asked with one.
    #[error(
        "this key is not derived and takes no context: bind what you mean as associated data, or make a derived key"
    )]
    ContextUnused,
    /// Something is longer than it may be.
    #[error("{what} is too long: at most {most} are taken")]
    TooLong {
        /// What it is.
        what: &'static str,
        /// And how much it may be.
        most: usize,
    },
    /// Something is not what it has to be.
    #[error("{what}: {why}")]
    Invalid {
        /// Which part.
        what: &'static str,
        /// What it has to be.
        why: String,
    },
    /// It was not made by this key for this.
    #[error(
        "it was not made under this key for this context and associated data: it was altered, or one of them is another"
    )]
    Forged,
    /// The versions are as many as there may be.
    #[error("this key has {0} versions, and no more are kept: raise the least version and trim it, then rotate")]
    Full(usize),
    /// The system has no random bytes.
    #[error("the system gives no random bytes: try again, and look at its entropy")]
    NoRandom,
}

impl TransitError {
    pub(super) fn invalid(what: &'static str, why: impl Into<String>) -> TransitError {
        TransitError::Invalid { what, why: why.into() }
    }
}

/// Refuses more than there may be.
pub(super) fn at_most(what: &'static str, there: usize, most: usize) -> Result<(), TransitError> {
    if there > most { Err(TransitError::TooLong { what, most }) } else { Ok(()) }
}
