//! How a credential is exchanged: a machine that says what to do next, and takes down what came of it.
//!
//! [`Rotation`] is a value and a record of the register. [`Rotation::next`] says the [`Step`]; before a step outside,
//! [`Rotation::intend`] takes it down and the record is written; after it [`Rotation::outcome`] takes down the [`Outcome`] and the record
//! is written again, with the labels of the versions in the same transaction. What breaks off between the two is not assumed to have
//! happened, nor not to have: it is tried out by a login, or done again where doing it twice is doing it once.
//!
//! Pure: no clock, no luck, no target. Times are seconds since 1970 (UTC).

mod ahead;
mod ask;
mod next;
mod outcome;
mod record;
mod schedule;
mod settings;
mod trouble;
#[cfg(test)]
mod walks;
#[cfg(test)]
mod ways;
mod window;

pub(crate) use ahead::is_ahead;
pub use ask::NotNow;
pub use next::{Others, Step};
pub use outcome::{FAILED_PAUSE_SECS, Mismatch, Outcome};
pub use record::{Credential, Rotation};
pub use schedule::Schedule;
pub use settings::{AWAY_MAX, Bounds, Plan, Settings, SettingsError, TRIES_MAX, USER_BYTES_MAX};
pub use trouble::{LAST_CHARS_MAX, SAID_CHARS_MAX, Trouble, Why};
pub use window::{Window, WindowError};
