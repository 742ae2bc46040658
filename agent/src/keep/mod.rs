//! Keeping: the page that one certificate walks (`keeper`), the page of one file of secrets (`secret`), how long to wait between two passes,
//! and the run over a plan.

mod pace;
mod wait;
mod wake;

mod found;
mod nap;

mod keys;

mod secret;

mod keeper;

mod run;

pub use run::{Report, RunMode, run};
