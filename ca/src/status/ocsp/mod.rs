//! Who answers OCSP requests: what is on the shelf, who makes what is not, with which key, and what strangers may cost.

mod brought;

mod allowance;
mod counts;
mod shelf;

mod keeper;

mod leaver;

mod clerk;

mod inquiries;

pub use brought::{BroughtResponse, OCSP_RESPONSE_BYTES_MAX};
pub use counts::OcspState;
pub(crate) use inquiries::Inquiries;
pub use inquiries::OcspAnswer;
