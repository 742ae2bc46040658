//! Why a comparison did not come to an end.

use crate::client::LoadError;

/// Why nothing was compared.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// A file, folder or process.
    #[error("{0}: {1}")]
    Io(String, std::io::Error),
    /// A program that was started said no.
    #[error("{0}")]
    Failed(String),
    /// The client.
    #[error(transparent)]
    Load(#[from] LoadError),
}
