//! What a kind of credential may be: bounds, read from TOML into immutable values with a hash.
//!
//! A profile bounds and never grants. Trusted for: the bounds that drafts keep and the lint checks. No profile can make a CA.

// The value.
mod kinds;
mod template;

mod profile;

// The file.
mod bounds;
mod words;

mod extensions;

mod ssh;
mod x509;

mod file;

mod set;

pub(crate) use bounds::Past;
pub(crate) use extensions::TLS_FEATURE;
pub(crate) use kinds::NameKind;
pub use profile::{Profile, ProfileKind};
pub(crate) use profile::{Rules, SubjectPolicy, X509Rules, span};
pub use set::{ProfileError, Profiles};
pub(crate) use template::Filling;
pub(crate) use words::purpose_in_words;
