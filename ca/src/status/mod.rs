//! What became of the issued: revocation, durable first and published next, the desks that make CRLs, and who answers by OCSP.

mod shelf;

mod publisher;

mod desk;

mod shown;

mod revoke;

mod by_key;
mod many;

mod ocsp;

mod krl;

pub(crate) use desk::Desks;
pub use desk::Published;
pub(crate) use krl::KrlShelf;
pub use many::{Act, Meant, Proposal, Selection};
pub(crate) use ocsp::Inquiries;
pub use ocsp::{BroughtResponse, OCSP_RESPONSE_BYTES_MAX, OcspAnswer, OcspState};
pub(crate) use publisher::Publisher;
pub(crate) use revoke::Revoker;
pub use revoke::ShownRevoked;
pub use shelf::PublishedCrl;
