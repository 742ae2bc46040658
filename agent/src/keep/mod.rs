//! Keeping: the page that one certificate walks (`keeper`), how long to wait between two passes, and the run over a plan.

mod wait;

mod keeper;

mod run;

pub use run::{RunMode, run};
