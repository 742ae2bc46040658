//! What holds of any OCSP response, whoever made it (RFC 6960, 5019, 9654).

pub(crate) mod asn1;

mod response;

#[cfg(test)]
mod tests;

pub(crate) use response::{OCSP, whole};
