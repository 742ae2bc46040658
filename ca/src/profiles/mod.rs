//! What a kind of credential may be: bounds, read from TOML into immutable values with a hash.
//!
//! A profile bounds and never grants. Trusted for: the bounds that drafts keep and the lint checks. No profile can make a CA.

mod profile;

mod file;

mod set;

pub use profile::{Profile, ProfileKind};
pub(crate) use profile::{Rules, SubjectPolicy, X509Rules};
pub use set::{ProfileError, Profiles};
