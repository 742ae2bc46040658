//! Transit keys of the register: each a record, and its versions together one sealed value.
//!
//! [`crate::transit`] computes; here is what it computes with, and who may. A key's record (kind `transit-key`, its id is the name) says
//! what there is to say of it, with its public halves; its versions lie sealed as a secret's do, wrapped for recovery as they are, and a
//! rotation puts another value in the place of the one before. Each request is an access in the log before anything is opened or
//! computed: which key, which versions, what is done and with how many items. What the token opened is kept in memory that is wiped, for
//! as long as the keys of secrets are, and is used no more once its record or its value has another version.
//!
//! Trusted for: that nothing is computed of which the log does not say for whom; and that no key leaves here.

mod record;

mod held;

mod base;

mod managing;
mod using;

pub use base::TransitKeys;
pub use managing::{KeyWish, ROTATE_DAYS_MAX, Settings};
pub use record::{KeyVersion, TransitKey};
pub use using::{InUse, Request};
