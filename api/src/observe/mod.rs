//! What the service knows of itself and of what it has issued: counters, health, alarms, expiries, lists.
//!
//! Reads and counts; never writes, and answers nobody. What names owners or people takes the grant under which it is read.

mod backups;
mod changes;
mod connections;
mod exposition;
mod notice;
mod process;
mod recent;
mod refusals;
mod vitals;
mod wrapping;

mod metrics;

mod forecast;
mod orphans;
mod secrets;

mod health;
pub(crate) mod inventory;

pub(crate) use backups::{BackupStatus, BackupWatch, UnderWay};
pub(crate) use changes::{ChangeFeed, Heard, Standing};
pub(crate) use connections::{Connections, Outcome};
pub(crate) use exposition::Exposition;
pub(crate) use forecast::{Survey, Surveyor, live, renewed};
pub(crate) use health::{HsmStatus, Lookout};
pub(crate) use metrics::{Metrics, Own, Readings};
pub use notice::Notice;
pub(crate) use notice::{Names, Sentences};
pub(crate) use orphans::{Orphans, orphans};
pub(crate) use secrets::{Keepsakes, SecretEnds};
pub(crate) use vitals::Ends;
pub(crate) use wrapping::Wrapping;
