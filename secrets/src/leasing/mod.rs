//! Users that live for a while: somebody asks for one, gets a name and a password that nobody had before, and both end with the lease.
//!
//! A [`LeaseRole`] says where they are made, with what rights, and for how long at most; each [`Lease`] is a record of its own. The
//! user's name is drawn and written down, with the password sealed beside it, before the target hears of it: whoever is made is known,
//! and is revoked by his name whatever happens in between. The password is shown once, after the entry that says to whom.
//!
//! Of SSH nobody is made anywhere: a key is drawn, or is the caller's own, and what the target makes out is a certificate, a
//! [`Document`]; which ones there are stands in the lease, so that its end takes them back. What it is is not known here.
//!
//! Trusted for: that nobody is made at a target whose name the register does not have, and that nobody who is there is forgotten.

mod drawn;

mod base;
mod ending;
mod place;
mod records;
mod renewing;
mod roles;

pub use base::{LEASES_OF_OWNER_MAX, LEASES_OF_ROLE_MAX, LeaseWish, Leased, Leases};
pub use place::{Document, Hired, Hirer, Tenancy, Terms};
pub use records::{ENDS_TRIED_MAX, LEASE_SECS_MAX, LEASE_SECS_MIN, Lease, LeaseRole, Stage};
pub use renewing::{RENEWALS_MAX, Renewed};
pub use roles::RoleWish;
