//! What strangers bring: from their bytes to values that cannot be wrong.
//!
//! A key comes out strong enough to be certified, a CSR with the proof that its sender holds the key, a reason as one of those
//! we write. Who they are and what they may have is not asked here. Trusted for: refusing what is weak or unproven.

pub(crate) mod csr;
pub(crate) mod reason;
pub(crate) mod ssh_key;
pub(crate) mod subject_key;

pub use csr::{Csr, CsrError};
pub use reason::{RevocationReason, UnknownReason};
pub(crate) use ssh_key::SshKey;
pub(crate) use subject_key::SubjectKey;
