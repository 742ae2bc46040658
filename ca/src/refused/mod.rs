//! How many refusals of one holder are leaves of their own: whoever may do nothing does not fill the log by asking.
//!
//! The first of a window are leaves, each with what was asked for. The one after them is a leaf too, which says that the rest is counted; and
//! how many that was is one more leaf when the window is over. So nothing is refused of which the log says nothing, and what one holder can
//! have it say is bounded. What is counted lies in memory: a crash loses the number, and never that there was one. While the register is
//! away the numbers are owed, those of one holder as one, and written once it is there.
//!
//! It is counted by holder and not by credential ([`policy::Holder`]): a certificate that is renewed takes no second place, and who is kin has
//! a share of the places, so that nobody takes the names from the refusals of others. Where there is no room the leaves say so, and so do an
//! alarm and a metric. Whoever is refused very often is told as an alarm too ([`Insistent`]).

mod place;

mod window;

mod crowd;

pub(crate) use crowd::{Counting, Crowd};
pub use crowd::{Insistent, RefusalState};
pub use place::{REFUSED_APART_MAX, REFUSED_APART_OF_KIN_MAX};
pub(crate) use window::Noted;
pub use window::{INSISTENT_FROM, InCommon, REFUSALS_WINDOW_SECS};
