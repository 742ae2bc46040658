//! What a CSR asks for besides its key, and the sentence that refuses one.

use policy::Name;

/// What a CSR asks for.
#[derive(Default)]
pub(super) struct Asked {
    pub(super) names: Vec<Name>,
    /// What is not granted and keeps nobody from a certificate, by name.
    pub(super) left_out: Vec<String>,
}

/// Why a CSR is refused, as a sentence for its sender.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub struct CsrError(String);

pub(super) fn refused(why: impl Into<String>) -> CsrError {
    CsrError(why.into())
}

pub(super) fn unreadable(what: &'static str) -> impl Fn(der::Error) -> CsrError {
    move |e| CsrError(format!("its {what} cannot be read: {e}"))
}
