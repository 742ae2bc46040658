//! The room that turns a Grant into an Issued credential: hierarchy, profiles, drafts, lint, the issuance page,
//! revocation and CRLs. It knows nothing of HTTP or ACME.
//!
//! Every signature walks one page (`issue`): a draft is linted, written down as an intent, signed once by the token,
//! verified, and concluded. What was linted is, byte for byte, what is signed.
//!
//! Trusted for: the content of what is signed. Whoever controls this room can at most ask the token for wrong
//! signatures in full view of the ledger; it holds no key and cannot sign unseen.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

// How things are written.
mod encode;

// From bytes of strangers to values that cannot be wrong.
mod intake;

// Bounds.
mod profile;
mod profile_file;

// Drafts: the bytes that would be signed.
mod cms;
mod draft;
mod draft_x509;
mod ssh_body;

// The lint: the bytes read back.
mod lint;
mod lint_code;
mod lint_crl;
mod lint_ssh;
#[cfg(test)]
mod lint_tests;
mod lint_x509;

// The page.
mod issue;
#[cfg(test)]
mod issue_tests;

// The authority.
mod authority;
mod certify;
mod clock;
mod code;
mod compromised;
mod crl;
mod error;
mod hierarchy;
mod issuer;
mod revoke;
mod ssh;

pub use authority::{Authority, Health, Issuer, Parts, Urls};
pub use certify::{CertifyRequest, LOGIN_PROFILE, login_scopes};
pub use code::{CodeFormat, CodeKeyRequest, CodeRequest, CodeSignature};
pub use draft::DraftError;
pub use encode::{Dn, DnError};
pub use error::CaError;
pub use hierarchy::CreateConfig;
pub use intake::{Csr, CsrError, RevocationReason, UnknownReason};
pub use lint::LintFailure;
pub use profile::{Profile, ProfileError, ProfileKind, Profiles};
pub use ssh::{SshIssued, SshRequest};

pub use hsm::Health as TokenHealth;
pub use store::Issued;
