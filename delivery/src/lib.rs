//! Delivery: what happens on a host once the values of secrets are there.
//!
//! A [`Plan`] says which program is started, in which [`Place`] it finds which secret, and what is done when a secret changes; [`run()`]
//! puts the values ([`Values`]) there, starts the program without any shell, passes signals on, masks what it prints, and takes everything
//! away again. A [`cache`] keeps them sealed for when nobody can be asked. What a server is asked for values, and how its
//! answer is read, is [`exchange`]; a text with their places is a [`template`]. Asking is somebody else's work: nothing here speaks to a server.
//!
//! A program that uses this begins its `main` with [`step`]: a pseudo terminal's session and the removal of what a killed parent leaves
//! behind need a process of their own, and that is the same program, called with [`STEP`] as its first word. Nothing here is unsafe code.
//!
//! Trusted for: that a value stands in the places that the plan names and in no other, and not after the end. Whoever runs as the same
//! user, or as root, can read what the program can; docs/decisions/016-delivery.md says of each place by whom it is read.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

// From the bottom floor to the top; a room names only those above it in this list.
mod nouns;

mod plan;

mod error;

mod quiet;

mod masking;

mod places;

pub mod cache;

pub mod exchange;

pub mod template;

mod child;

mod run;

mod desk;

pub use child::Ended;
pub use desk::Desk;
pub use error::DeliveryError;
pub use masking::{Filter, LINE_BYTES_MIN, MASKED_BYTES_MIN, Mask, Unmasked};
pub use nouns::{FileName, NameError, Value, Values, VariableName};
pub use places::is_in_memory;
pub use plan::{DiskRule, Given, ORPHAN_GRACE, OnChange, Place, Plan, PlanError, Printing, Reads};
pub use quiet::{Quiet, be_quiet};
pub use run::{Notice, STEP, run, step};
