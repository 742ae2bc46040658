//! When a certificate is to be replaced, and drills: an operator's word that a part of the register is to be replaced before its
//! time, within a window.
//!
//! A drill marks by what a certificate says of itself (issuer, profile, owner, when it was made), so that marking a million costs one
//! record, and a question about one certificate costs the few drills that are open. Nothing is revoked by it. ACME clients hear of it
//! through renewal information (RFC 9773), agents through the REST surface, the server's own renewals from here.
//!
//! Trusted for: when others renew. Whoever controls it can have a fleet renew early, or late in a mass event; it signs nothing.

mod renewing;

mod drill;

mod renewal;

mod board;

mod keeper;

pub use drill::{Drill, NewDrill, Part};
pub use keeper::{DrillProgress, Share};
pub use renewal::{Renewal, Why};
pub use renewing::Renewing;

pub(crate) use keeper::Drills;
