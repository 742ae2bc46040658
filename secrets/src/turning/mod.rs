//! Rotations of the register: each a record beside its secret, which a driver carries out step by step.
//!
//! The machine is [`crate::rotation`]; here its record is written, with the versions and labels that follow from it in the same
//! transaction, and the credentials that a step needs are opened, which the log says. A process that ends anywhere leaves a record
//! that says what may have happened; whoever comes next goes on from there.
//!
//! Trusted for: that nothing is asked of a target that the register does not intend, and that a credential goes to the place alone that
//! was written down by one who may read the credential of its administrator.

mod place;

mod called;
mod record;

mod ahead;
mod base;
mod overdue;
mod setting;
mod turn;
mod words;

pub use base::{Due, REASON_CHARS_MAX, Rotations, is_reason};
pub use overdue::Overdue;
pub use place::{At, Errand, Line, Login, Pinned, Place, Product, ROOTS_BYTES_MAX, Targets, Warrants};
pub use record::{Leaked, Turning};
pub use setting::{TurningWish, WINDOWS_MAX};
pub use turn::Turn;
pub(crate) use turn::login_of;
