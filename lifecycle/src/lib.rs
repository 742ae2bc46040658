//! What expires when, and its renewal in time.
//!
//! Pure where it can be: when to renew, the [`Forecast`] and who succeeds whom are functions of what the register says.
//! One task, the [`Renewer`], acts: it renews what asked for it, through the same page as everybody's requests and as
//! `system:renewal`, which policy lets do just that. [`alarms`] tells what somebody should look at. Time comes from `World`
//! alone, and the [`Witnesses`] are asked what they make of it; nothing here knows of HTTP, and nothing is kept that a restart would miss.
//!
//! Trusted for: renewing in time. Whoever controls this room can at most renew certificates that are in the register, for the
//! same key and the same names and inside today's rules, or fail to, which raises an alarm in whoever reads the expiry.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod alarms;
mod away;
mod forecast;
mod summary;

mod sntp;
mod witnesses;

mod desk;
mod diary;
mod lease;
mod renewer;
mod watch;

pub use alarms::{Alarm, Alarms, alarms};
pub use forecast::{Bucket, Expiring, Forecast};
pub use renewer::Renewer;
pub use summary::Summary;
pub use watch::{Overdue, RenewalCounts, RenewalWatch};
pub use witnesses::{NoPeer, PEERS_MAX, Peer, Witnesses};
