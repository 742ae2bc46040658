//! What became of the issued: revocation, durable first and published next, and the desks that make CRLs.
//!
//! Keys that were revoked as compromised are learnt here and remembered in `checks`, where they keep a draft from the page.

mod publisher;

mod desk;

mod revoke;

pub(crate) use desk::Desks;
pub(crate) use publisher::Publisher;
pub(crate) use revoke::Revoker;
