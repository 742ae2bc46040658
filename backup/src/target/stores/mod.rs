//! S3-compatible stores: how one is reached, what is asked of it and asked again, and why it says no.

mod access;
mod bucket;
mod credentials;
mod download;
mod line;
mod refusal;
#[cfg(test)]
mod script;
mod tries;
mod upload;

pub use access::Access;
pub use bucket::Bucket;
pub(super) use line::PATIENCE;
#[cfg(test)]
pub(super) use script::{Says, Script, aside};
pub(crate) use upload::Upload;
