//! What strangers bring: from their bytes to values that cannot be wrong.
//!
//! A key comes out strong enough to be certified, a CSR with the proof that its sender holds the key, a reason as one of those
//! we write. Who they are and what they may have is not asked here. Trusted for: refusing what is weak or unproven.

pub(crate) mod reason;

// Keys, of whatever kind of credential.
mod known;
pub(crate) mod ssh_key;
mod strength;
pub(crate) mod subject_key;
mod weigh;

// Certificate requests.
mod asked;
mod attributes;
mod ca_csr;
pub(crate) mod csr;
mod extensions;
pub(crate) mod proof;

pub use asked::CsrError;
pub(crate) use ca_csr::CaCsr;
pub use csr::Csr;
pub use reason::{Ending, RevocationReason, UnknownReason};
pub(crate) use reason::{is_compromise, is_raised};
pub(crate) use ssh_key::SshKey;
pub use strength::WeakKey;
pub(crate) use subject_key::SubjectKey;
pub use subject_key::check_key;
