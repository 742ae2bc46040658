//! The program itself: found, started, given signals, watched, and what it prints carried out through the mask.

mod ended;
mod left;
mod program;
mod pump;
mod running;
mod signals;
mod terminal;
mod usher;

pub use ended::{Change, Ended};
pub use pump::Live;
pub use running::Running;
pub use signals::{Arrived, Listening};
pub use usher::{ENDS, USHER, usher};
