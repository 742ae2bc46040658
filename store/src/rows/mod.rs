//! Rows made ready in the caller's task: checked, digested, their leaf written but for its numbers.
//!
//! The writer thread is one and everyone waits for it, so everything that can be computed before is computed here. The time is what
//! the caller's clock shows; where the writer has to give another ([`Timed`]), which is seldom, it digests the row again.

mod bounds;
pub(crate) mod hashes;
mod timed;

mod access;
mod conclusion;
mod intent;
mod record;
mod revocation;

mod import;

mod op;

pub(crate) use access::AccessRow;
pub(crate) use bounds::{NAME_SLOTS, SERIAL_BYTES_MAX};
pub(crate) use conclusion::{ConclusionRow, Outcome};
pub(crate) use import::ImportRow;
pub(crate) use intent::{FORM_BATCH, FORM_IMPORTED, FORM_OBJECT, FORM_WHOLE, IntentRow};
pub(crate) use op::{Op, refusal_tail};
pub(crate) use record::RecordRow;
pub(crate) use revocation::RevocationRow;
pub(crate) use timed::Timed;

#[cfg(test)]
mod tests {
    use crate::forms::schema::{CONCLUSION, INTENT, RECORD, REVOCATION, Table};

    #[test]
    fn every_row_has_a_value_for_every_column() {
        let columns_after_stated = |table: &Table| table.columns.len() - table.stated;
        assert_eq!(columns_after_stated(&INTENT), 24);
        assert_eq!(columns_after_stated(&CONCLUSION), 4);
        assert_eq!(columns_after_stated(&REVOCATION), 10);
        assert_eq!(columns_after_stated(&RECORD), 10);
    }
}
