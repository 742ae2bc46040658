//! Everything this room can answer but a signature.

use std::path::PathBuf;

/// Why the token did not do what it was asked; variants named for what the caller can do about it.
#[derive(Debug, thiserror::Error)]
pub enum HsmError {
    /// The configuration cannot be used as written.
    #[error("{what}: {why}")]
    Config {
        /// The setting.
        what: String,
        /// What is wrong and what to write instead.
        why: String,
    },
    /// The module cannot be loaded or initialised.
    #[error("PKCS#11 module {}: {why}", module.display())]
    Module {
        /// Path of the module.
        module: PathBuf,
        /// What went wrong.
        why: String,
    },
    /// No token, or more than one, answers to the selector.
    #[error("{0}")]
    Token(String),
    /// The PIN was refused, now or earlier: it is not tried again until restart.
    #[error("the token refused the PIN: {0}; it is not tried again until restart")]
    Locked(String),
    /// No such key.
    #[error("no key `{label}` in the token")]
    NotFound {
        /// The label asked for.
        label: String,
    },
    /// A key of that label exists already.
    #[error("a key `{label}` exists already in the token")]
    Exists {
        /// The label asked for.
        label: String,
    },
    /// A token of that label exists already.
    #[error("a token `{label}` exists already")]
    TokenExists {
        /// The label asked for.
        label: String,
    },
    /// A key is there but must not be used.
    #[error("key `{label}` is refused: {}", wrong.join("; "))]
    Unfit {
        /// The label asked for.
        label: String,
        /// Each wrong attribute, in words.
        wrong: Vec<String>,
    },
    /// The token lacks the mechanism.
    #[error("the token cannot do this: {0}")]
    Unsupported(String),
    /// The sealed bytes or their context are not what was sealed.
    #[error("sealed data refused: {0}")]
    Sealed(String),
    /// The token does not answer now; try later.
    #[error("the token is unavailable: {why}")]
    Unavailable {
        /// When to ask again.
        retry_after_secs: u32,
        /// What went wrong.
        why: String,
    },
    /// The token refused an operation for a reason of its own.
    #[error("{0}")]
    Failed(String),
}
