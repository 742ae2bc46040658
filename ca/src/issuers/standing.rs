//! What of a generation decides whether it may sign, whatever kind of key it is.

use crate::issuers::name::GenerationName;

/// How a generation stood when it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) name: GenerationName,
    /// The version of its issuer's record: where the fold has another, it is read again before it signs.
    pub(crate) version: u64,
    /// An operator's word that it signs nothing any more: `revoked`, `retired`.
    pub(crate) ended: Option<&'static str>,
}
