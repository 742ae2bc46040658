//! What comes of a question.

/// What the policies say.
#[derive(Clone)]
pub(crate) enum Verdict {
    /// Some permit, none forbids; `rule` is the first of the permits by name.
    Permit { rule: String },
    /// At least one forbids; `rule` is the first of them by name.
    Forbid { rule: String },
    /// None says anything.
    Silence,
    /// One could not be evaluated.
    Broken { rule: String },
}
