//! The ledger's face: async calls that hand work to the writer and reader threads and wait for the disk.

mod base;

mod changing;
mod keywords;
mod knowing;
mod log;
mod reading;
mod sealing;
mod time;
mod values;
mod wards;
mod writing;

mod recovering;
mod resume;

pub use base::Ledger;
pub use recovering::{EachKey, as_it_stands, wrapped_heads_as_they_stand};
