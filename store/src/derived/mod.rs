//! The projections as the rows of the register derive them, held against what stands there: for whoever says what is wrong
//! (`verify`, the service's own audit) and for whoever mends it (`rebuild`). projection.rs has the rules.

mod keywords;
mod operation;
mod part;
mod present;
pub(crate) mod rebuild;
mod wards;
mod whole;
mod wrong;

pub(crate) use keywords::keywords;
pub(crate) use part::part;
pub(crate) use present::{PRESENT_ROWS, VERSIONS, present};
pub(crate) use wards::wards;
pub(crate) use whole::operations;
pub(crate) use wrong::{PRESENT, Wrong, text_of};

use crate::nouns::error::StoreError;
use crate::sql::Sql;

/// Rows of a page.
pub(crate) const PAGE: i64 = 1_024;

/// Takes the wrong rows of a page, which is told of where there are none too.
pub(crate) type Sink<'a> = dyn FnMut(&mut dyn Sql, Vec<Wrong>) -> Result<(), StoreError> + 'a;
