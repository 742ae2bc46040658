//! Connection strings: built from parts, each as its readers decode it, and read back into them.
//!
//! A password that was written into a URL as it is ends the URL where the password has an `@`; that is why the parts are kept, and the
//! text is made of them when somebody asks.

mod parts;
mod target;

mod jdbc;
mod s3;
mod semicolons;
mod url;

mod carry;
mod stored;

pub use parts::{Part, PartFault, Parts};
pub use s3::S3Access;
pub use target::Target;

#[cfg(test)]
mod tests;
