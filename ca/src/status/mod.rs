//! What became of the issued: revocation, durable first and published next, and the desks that make CRLs.

mod shelf;

mod publisher;

mod desk;

mod shown;

mod revoke;

mod many;

pub(crate) use desk::Desks;
pub use desk::Published;
pub use many::{Act, Meant, Proposal, Selection};
pub(crate) use publisher::Publisher;
pub(crate) use revoke::Revoker;
pub use revoke::ShownRevoked;
pub use shelf::PublishedCrl;
