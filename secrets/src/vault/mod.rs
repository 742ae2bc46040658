//! The vault: secrets in the register, each version sealed, each reading written down before it is opened.
//!
//! A secret is a record of kind `secret`: what there is to say of it but its values. Each of its versions is a sealed value of the
//! ledger, whose name is never used again. Whoever comes here brings a [`policy::Grant`], which names the path and the owner.

mod body;
mod secret;

mod recovery_keys;
mod wishes;

mod sought;

mod base;
mod ends;
mod keeping;
mod listing;
mod memory;
mod progress;
mod reading;
mod writing;

mod beside;
mod changes;
mod codes;
mod inventory;
mod linking;
mod recovering;
mod recovery_standing;
mod two_hands;
mod walking;

pub use base::Vault;
pub(crate) use beside::{Beside, Current, Labels, Used};
pub(crate) use body::value_id;
pub use changes::{Changed, Happened};
pub use codes::Code;
pub use ends::{RETENTION_DAYS_MAX, RETENTION_DAYS_MIN};
pub use inventory::{ENDS_MAX, LastRead, Listed, PENDING_SECS, Tally, UNREAD_DAYS};
pub use keeping::{KeptRead, Lease};
pub use reading::{Opened, Wanted};
pub use recovering::LostRegister;
pub use recovery_standing::{Hand, Recovery, TAKEN_SHOWN_MAX, Wrapping};
pub use secret::{Secret, Standing, Version};
pub use two_hands::{Brought, KeyWaits};
pub use walking::{LEFT_SHOWN_MAX, Left, Walked};
pub use wishes::{CACHE_SECS_MAX, Change, Naming, Put, Search};
