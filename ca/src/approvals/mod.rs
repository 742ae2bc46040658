//! Requests that others approve before they are signed: who asks waits, others look and say yes or no, who asked collects.
//!
//! The words of all of them are versions of one record, so each is a leaf. What is signed is signed for whoever asked, by what that
//! one may at the moment of collecting: an approval is a word and never a right.

mod waiting;

mod clerk;

pub(crate) use clerk::Approvals;
pub use waiting::{Said, Waiting, WaitingState};
