//! Why policies cannot be used.

use crate::text::Malformed;

/// A set of policies and owner rules that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// A policy does not parse or does not fit the schema.
    #[error("policy {name}: {why}")]
    Policy {
        /// The policy's name.
        name: String,
        /// What is wrong, with its place in the text.
        why: String,
    },
    /// Two policies have one name.
    #[error("two policies are named {0}; a policy is named by its file, or by @id where a file has several")]
    DuplicatePolicy(String),
    /// There is no policy at all, so nothing could ever be granted.
    #[error("there is no policy: nothing could ever be granted")]
    Empty,
    /// A rule of an owner does not parse.
    #[error("owner {owner}, {field}: {why}")]
    Rule {
        /// The owner.
        owner: String,
        /// `dns`, `ip`, `principals` or `email`.
        field: &'static str,
        /// What is wrong.
        why: Malformed,
    },
    /// Two rule sets have one owner.
    #[error("two [[owner]] sections are named {0}; put the rules of an owner into one")]
    DuplicateOwner(String),
}
