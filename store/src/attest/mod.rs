//! Rows that decide something, held against what the node knows to be so.
//!
//! The order of two looks makes it exact: what is known first, the row after. What is known was published after its commit,
//! so a row read later is never older; one that is newer is followed first. What is left is a row that nobody of ours wrote,
//! or one that somebody took away.
//!
//! And it answers the question: whoever finds a row by a second key (a serial, a filter, a name on a list) gets it only if the
//! attested row itself has that key. An index is a hint of where to look; a thief may write into it what he likes.

mod attested;
mod batches;
mod beside;
mod changes;
mod credentials;
mod crls;
mod look;
mod lost;
mod pages;
mod records;
mod search;

pub use attested::Attested;
pub(crate) use batches::{batch_with, hashes_say};
pub(crate) use beside::sealed_value;
pub(crate) use changes::{changes, mark};
pub(crate) use credentials::credential;
pub(crate) use crls::{crl, object_says};
pub use pages::{ListedRecord, RecordsOf};
pub(crate) use pages::{records_of, records_page};
pub use records::EachRecord;
pub(crate) use records::{record, records, records_each, setting, word};
pub(crate) use search::{all_by_serial, by_serial, by_text, matching};
