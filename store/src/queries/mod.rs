//! The questions readers ask, as SQL.
//!
//! None of them walks the register: each is answered by an index from where the last page ended, or by a projection
//! (projection.rs). `tests/plans.rs` holds them to it.

mod batches;
mod beginning;
mod beside;
mod counts;
mod credentials;
mod holding;
mod keywords;
mod kin;
mod list;
mod log;
mod objects;
mod outlook;
mod places;
mod records;
mod renewals;
mod search;
mod wards;

pub(crate) use batches::{batches_beginning, hashes, hashes_before};
pub(crate) use beside::{beside, beside_in, beside_owners, sealed_in, sealed_present};
pub(crate) use counts::{count, counts};
pub(crate) use credentials::{
    concluded, credential_of, intended, operation_of_serial, operations_of_beginning, operations_of_serial,
    operations_of_ssh,
};
pub(crate) use holding::holding;
pub(crate) use keywords::{count_keywords, keywords};
pub(crate) use kin::{history, kin};
pub(crate) use list::matches;
pub(crate) use log::{checkpoint, checkpoint_of, head, leaves};
pub(crate) use objects::{crl_settled_since, object, object_slots};
pub(crate) use outlook::outlook;
pub(crate) use records::{
    PresentRow, count_records, each_present, record_at, record_get, record_leaves, record_list, record_of, record_page,
    record_rows, records_by_id,
};
pub(crate) use renewals::due;
pub(crate) use search::list;
pub(crate) use wards::{count_wards, readers, readings, ward_ends, wards, wards_between, wards_of};

const PAGE_DEFAULT: usize = 100;
const PAGE_MAX: usize = 1_000;
/// Places, or piles of them, that one statement reads.
const ARMS: usize = 16;

#[cfg(test)]
mod breadth_tests;

fn page_size(asked: usize) -> usize {
    if asked == 0 { PAGE_DEFAULT } else { asked.min(PAGE_MAX) }
}
